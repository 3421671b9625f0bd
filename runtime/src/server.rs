//! One node as a thread of this process: made from a configuration and a data directory, stopped by a handle.

use crate::{
    client::resolve,
    clock::Clock,
    directory::{Directory, DirectoryError},
    disk::{Disk, Files, Persistence},
    event_loop::{End, Ends, EventLoop},
    http::{self, Http, HttpConfig},
    inside::Inside,
    lines::Lines,
    links::{Source, clients::Clients, peers::Peers},
    manners::Manners,
    notes::Counters,
};
use ios_core::{
    Config, Node, OpenError,
    configuration::Configuration,
    ids::{DiskNonce, NodeId},
    interface::DiskResult,
    journal,
    options::{self, Options},
    service::{Application, Service},
};
use mio::{Interest, Poll, Waker, net::TcpListener};
use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

/// Everything a server is told before it starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerConfig {
    /// Which member it is.
    pub node: NodeId,
    /// The cluster's first configuration.
    pub configuration: Configuration,
    /// The node's own settings.
    pub options: Options,
    /// Where each member listens for the others, this one included, as `host:port`. Names of others are looked up
    /// whenever they are connected to.
    pub peers: BTreeMap<NodeId, String>,
    /// Where this one listens for clients.
    pub clients: SocketAddr,
    /// Most client connections at a time.
    pub clients_max: usize,
    /// Where it speaks HTTP, if it does.
    pub http: Option<HttpConfig>,
    /// In which language those ask who send words.
    pub language: Application,
    /// The data directory, formatted before.
    pub data: PathBuf,
    /// How writes are made durable.
    pub persistence: Persistence,
}

/// Why a server does not start. Each says what to do.
#[derive(Debug)]
pub enum ServerError {
    /// The data directory cannot be used.
    Directory(DirectoryError),
    /// The node does not open.
    Open {
        /// The data directory.
        data: PathBuf,
        /// Why not.
        error: OpenError,
    },
    /// An address cannot be listened on.
    Listen {
        /// Which.
        address: SocketAddr,
        /// For whom.
        whom: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// The name of an address to listen on leads nowhere.
    Name {
        /// Which.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// The configuration has no address for the node itself.
    NoAddress(NodeId),
    /// The system refused something else.
    System {
        /// What was tried.
        doing: &'static str,
        /// What it said.
        error: io::Error,
    },
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(error) => error.fmt(f),
            Self::Open { data, error } => write!(f, "data directory {}: {error}", data.display()),
            Self::Listen { address, whom, error } if error.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "cannot listen for {whom} on {address}: the address is in use. Stop the process that has it, or give \
                 this member another address"
            ),
            Self::Listen { address, whom, error } => write!(
                f,
                "cannot listen for {whom} on {address}: {error}. Check that the address belongs to this machine and \
                 that the port is open to this user"
            ),
            Self::Name { name, error } => {
                write!(f, "cannot listen on {name}: {error}. It must be an address or a name of this machine")
            }
            Self::NoAddress(node) => write!(f, "{node} is not among the members, so it has no address to listen on"),
            Self::System { doing, error } => write!(f, "cannot {doing}: {error}"),
        }
    }
}

impl std::error::Error for ServerError {}

/// A running node.
#[derive(Debug)]
pub struct Server {
    thread: JoinHandle<Ended>,
    stopper: Stopper,
}

/// How a server ended, and what had been counted by then.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub end: End,
    /// The node's notes, counted.
    pub counters: Counters,
}

/// Stops a server from anywhere.
#[derive(Clone, Debug)]
pub struct Stopper {
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl Stopper {
    /// Asks the node to stop in good order.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "the loop cannot be woken; it will stop at its next turn");
        }
    }
}

impl Server {
    /// Opens the node and starts its thread. What can go wrong beforehand is an error here; afterwards only
    /// [`Server::join`] tells.
    pub fn start<S: Service + Send + 'static>(config: ServerConfig, service: S) -> Result<Self, ServerError> {
        raise_file_limit(config.clients_max + config.http.as_ref().map_or(0, |_| http::CONNECTIONS_MAX));
        let mut directory = Directory::open(&config.data).map_err(ServerError::Directory)?;
        let own = config.peers.get(&config.node).ok_or(ServerError::NoAddress(config.node))?;
        let own_address = resolve(own).map_err(|error| ServerError::Name { name: own.clone(), error })?;
        let peer_listener = listen(own_address, "peers")?;
        let mut clients = Clients::new(listen(config.clients, "clients")?, config.clients_max);
        let manners = Manners::new(config.language, &config.options);
        let mut http = match &config.http {
            Some(http) => Some(Http::new(listen(http.address, "HTTP")?, manners.clone(), http.members.clone())),
            None => None,
        };
        let mut clock = Clock::default();
        let forgetful = config.options.journal.persistence == options::Persistence::None;
        let node_config = Config { node: config.node, configuration: config.configuration, options: config.options };
        let seed = random().map_err(system("draw a random number"))? as u64;
        let node = Node::open(node_config, service, seed, clock.now(), &mut directory)
            .map_err(|error| ServerError::Open { data: config.data.clone(), error })?;

        if forgetful {
            directory.mark_forgetful().map_err(ServerError::Directory)?;
        }

        let poll = Poll::new().map_err(system("make a poll"))?;
        let waker = Waker::new(poll.registry(), Source::Waker.token()).map_err(system("make a waker"))?;
        let waker = Arc::new(waker);
        let mut peers = Peers::new(config.node, &config.peers, peer_listener, &waker)
            .map_err(system("start a thread that looks names up"))?;
        let listeners = [(peers.listener(), Source::PeerListener), (clients.listener(), Source::ClientListener)];
        let http_listener = http.as_mut().map(|http| (http.listener(), Source::HttpListener));
        for (listener, source) in listeners.into_iter().chain(http_listener) {
            let registered = poll.registry().register(listener, source.token(), Interest::READABLE);
            registered.map_err(system("poll a listening socket"))?;
        }
        let disk = Disk::start(directory.path(), config.persistence, &waker).map_err(system("start a disk thread"))?;
        let stopper = Stopper { stop: Arc::default(), waker };
        let inside = Inside::new(random().map_err(system("draw a random number"))? as u64, clock.now());
        tracing::info!(
            node = %config.node, peers = %own, clients = %config.clients, data = %config.data.display(), "starting"
        );
        let ends = Ends { peers, clients, http, lines: Lines::new(manners), inside };
        let mut event_loop = EventLoop::new(node, clock, poll, ends, disk, stopper.stop.clone());
        let thread = std::thread::Builder::new().name(format!("node-{}", config.node)).spawn(move || {
            let end = event_loop.run();
            tracing::info!(counters = %event_loop.counters, dropped = event_loop.peers.dropped(), "stopped");
            let counters = event_loop.counters.clone();
            // The lock is given back when nothing writes any more.
            drop(event_loop);
            drop(directory);
            Ended { end, counters }
        });
        Ok(Self { thread: thread.map_err(system("start a node's thread"))?, stopper })
    }

    /// A handle that stops it.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits until it has stopped. An error is a panic of its thread.
    pub fn join(self) -> std::thread::Result<Ended> {
        self.thread.join()
    }
}

/// Formats a blank data directory for a member of a cluster.
pub fn format(data: &Path, node: NodeId, configuration: &Configuration) -> Result<(), ServerError> {
    let directory = Directory::make(data).map_err(ServerError::Directory)?;
    let nonce = DiskNonce(random().map_err(system("draw a random number"))?);
    let mut files = Files::new(directory.path(), Persistence::Fsync);
    for action in journal::format(node, nonce, configuration) {
        if let DiskResult::Failed(error) = files.perform(&action) {
            let error = DirectoryError::Format { path: data.to_owned(), file: action.file(), error };
            return Err(ServerError::Directory(error));
        }
    }
    Ok(())
}

/// Files besides connections of clients: links, segments, whatever the process has open.
const FILES_BESIDES: u64 = 256;

/// Asks for as many open files as the connections that were promised need. If the system does not give them, accepting
/// pauses whenever it runs out, and says so.
fn raise_file_limit(connections: usize) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = connections as u64 + FILES_BESIDES;
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(wanted, %error, "the limit of open files stays as it is");
        }
    }
}

/// 128 bits that nobody else has drawn.
pub(crate) fn random() -> io::Result<u128> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u128::from_le_bytes(bytes))
}

fn listen(address: SocketAddr, whom: &'static str) -> Result<TcpListener, ServerError> {
    if !address.ip().is_loopback() {
        tracing::warn!(
            %address,
            "listening for {whom} beyond this machine, unencrypted: anyone who reaches it may use it"
        );
    }
    TcpListener::bind(address).map_err(|error| ServerError::Listen { address, whom, error })
}

fn system(doing: &'static str) -> impl FnOnce(io::Error) -> ServerError {
    move |error| ServerError::System { doing, error }
}
