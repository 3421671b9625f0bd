//! From what the command line says to a cluster that can be talked to.

use crate::{
    arguments::Global,
    config::{CLIENT_PORT, ClientFile, ClusterFile, ConfigError, PEER_PORT},
    exit::{Exit, Failure},
    say::talk,
};
use bytes::Bytes;
use ios_core::{
    client::{Ask, Outcome},
    ids::Revision,
    message::ReadMode,
    service::Access,
    time::Span,
};
use runtime::client::{self, BlockingClient};
use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// A port of this machine answers or refuses at once.
const PROBE_WITHIN: Duration = Duration::from_millis(100);
/// How long a client takes leave: it only tells the cluster to forget its session sooner.
const LEAVE_WITHIN: Span = Span::millis(200);

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure::new(Exit::Usage, error.to_string())
    }
}

/// The configuration named on the command line, or the built-in one.
pub fn file(global: &Global) -> Result<ClusterFile, Failure> {
    match &global.config {
        Some(path) => Ok(ClusterFile::load(path)?),
        None => Ok(ClusterFile::built_in()?),
    }
}

/// What the configuration named on the command line tells clients. Says what of it is ignored.
pub fn client_file(global: &Global) -> Result<ClientFile, Failure> {
    let Some(path) = &global.config else { return Ok(ClientFile::default()) };
    let file = ClientFile::load(path)?;
    file.ignored.iter().for_each(talk);
    Ok(file)
}

/// Where clients connect, as written.
pub fn endpoints(global: &Global) -> Result<Vec<String>, Failure> {
    if !global.endpoints.is_empty() {
        return Ok(global.endpoints.clone());
    }
    endpoints_of(global, &client_file(global)?)
}

/// The same, for whom the file tells more.
pub fn endpoints_of(global: &Global, file: &ClientFile) -> Result<Vec<String>, Failure> {
    match &global.config {
        _ if !global.endpoints.is_empty() => Ok(global.endpoints.clone()),
        None => Ok(local_endpoints()),
        Some(_) if !file.endpoints.is_empty() => Ok(file.endpoints.clone()),
        Some(path) => {
            let what = "it does not say where servers are: name them with --endpoints, or add [servers]";
            Err(Failure::new(Exit::Usage, format!("{}: {what}", path.display())))
        }
    }
}

/// Whoever listens on this machine on the default ports for clients: one node, or as many as `ios dev` started.
fn local_endpoints() -> Vec<String> {
    let all: Vec<SocketAddr> =
        (CLIENT_PORT..PEER_PORT).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).collect();
    let listens = |address: &&SocketAddr| TcpStream::connect_timeout(address, PROBE_WITHIN).is_ok();
    let there: Vec<String> = all.iter().filter(listens).map(SocketAddr::to_string).collect();
    // Nobody yet: the first member may still come while the client tries.
    if there.is_empty() { vec![all[0].to_string()] } else { there }
}

/// The address that `host:port` stands for.
pub fn resolve(text: &str) -> Result<SocketAddr, Failure> {
    let wrong = |why: String| Failure::new(Exit::Usage, format!("address \"{text}\": {why}; write host:port"));
    client::resolve(text).map_err(|error| wrong(error.to_string()))
}

/// A client and how long it waits.
pub struct Connection {
    client: BlockingClient,
    read: ReadMode,
    timeout: Span,
}

/// What was answered, and when it took effect.
pub struct Answer {
    /// The revision.
    pub revision: Revision,
    /// The service's reply.
    pub reply: Bytes,
}

impl Connection {
    /// A client of the cluster that the command line names. Connects when it is asked something.
    pub fn open(global: &Global) -> Result<Self, Failure> {
        let file = client_file(global)?;
        let addresses = endpoints_of(global, &file)?;
        // What was typed wrong is said at once; a client that runs for long looks names up anew.
        addresses.iter().try_for_each(|text| resolve(text).map(drop))?;
        let client = BlockingClient::new(&addresses, file.options(global.before_force))
            .map_err(|error| Failure::system("make a client", error))?;
        Ok(Self { client, read: global.read.unwrap_or_default(), timeout: global.timeout })
    }

    /// Asks, and waits for the outcome.
    pub fn ask(&mut self, access: Access, request: Bytes) -> Result<Answer, Failure> {
        let ask = match access {
            Access::Write => Ask::Write,
            Access::Read => Ask::Read(self.read),
        };
        let outcome = self.client.submit(ask, request, self.timeout);
        match outcome.map_err(|error| Failure::system("wait for an answer", error))? {
            Outcome::Done { revision, reply } => Ok(Answer { revision, reply }),
            Outcome::NotDone { why } => Err(self.with_troubles(Failure::not_done(&why))),
            Outcome::Unknown { why } => Err(self.with_troubles(Failure::unknown(&why))),
        }
    }

    /// Ends the session. Whatever goes wrong, the cluster forgets it in time.
    pub fn close(mut self) {
        if let Err(error) = self.client.close(LEAVE_WITHIN) {
            tracing::debug!(%error, "the session was not closed");
        }
    }

    fn with_troubles(&self, mut failure: Failure) -> Failure {
        for (address, trouble) in self.client.troubles() {
            failure.message.push_str(&format!("; {address}: {trouble}"));
        }
        failure
    }
}
