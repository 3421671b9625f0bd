//! The members: a directory, a configuration and a process each.
//!
//! Every member has a configuration file of its own, in which the others are where the relay listens for it. Clients
//! connect directly.

use super::{relay::Relay, trouble::Trouble};
use crate::{
    config::ClusterFile,
    exit::Failure,
    process::{self, Start, how_it_ended},
};
use ios_core::{ids::NodeId, message::Status, time::Span};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use runtime::{client::ask_status, server};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    ffi::OsString,
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
};

const PEER_PORT: u16 = 7100;
const CLIENT_PORT: u16 = 7200;
/// How long a member may take to say how it is.
const ASK_WITHIN: Span = Span::millis(500);
/// Small segments and frequent snapshots, so that a short run uses many of both.
const SETTINGS: &str = "\
[node]
participant_read = true
snapshot_interval = 3000

[journal]
segment_bytes = 1048576
segment_records = 1024
";

/// One member.
#[derive(Debug)]
pub struct Member {
    /// Its id.
    pub id: u8,
    /// Where it listens for clients.
    pub client: SocketAddr,
    /// Its data directory; elsewhere for as long as it lies on a disk of its own.
    pub data: PathBuf,
    config: PathBuf,
    log: PathBuf,
    child: Option<Child>,
    /// How long its log was when it was last started.
    log_began: usize,
    /// How often it was started with success.
    pub starts: u64,
}

/// All of them.
#[derive(Debug)]
pub struct Members {
    root: PathBuf,
    all: Vec<Member>,
}

/// An address of this machine that hardly anybody else uses: the whole of 127.0.0.0/8 belongs to it. Drawn by something
/// else than the run's seed, so that two runs with one seed do not meet.
pub fn own_address(draw: &mut ChaCha8Rng) -> Ipv4Addr {
    Ipv4Addr::new(127, draw.random_range(1..=254), draw.random_range(1..=254), draw.random_range(1..=254))
}

/// Where members listen for each other.
pub fn peer_addresses(places: &[Ipv4Addr]) -> Vec<SocketAddr> {
    places.iter().map(|place| SocketAddr::from((*place, PEER_PORT))).collect()
}

impl Members {
    /// Writes configurations and formats directories below `root`.
    pub fn prepare(root: &Path, places: &[Ipv4Addr], relay: &Relay) -> Result<Self, Failure> {
        let client = |id: usize| SocketAddr::from((places[id], CLIENT_PORT));
        let mut all = Vec::new();
        for id in 0..places.len() {
            let config = root.join(format!("n{id}.toml"));
            // Nobody dials a higher id, so its own address does.
            let seen = |peer: usize| match peer < id {
                true => relay.address(id as u8, peer as u8),
                false => SocketAddr::from((places[peer], PEER_PORT)),
            };
            write(&config, &configuration(places.len(), seen, client))?;
            let data = root.join(format!("n{id}"));
            let file = ClusterFile::load(&config)?;
            server::format(&data, NodeId(id as u8), &file.configuration).map_err(Failure::server)?;
            let log = root.join(format!("n{id}.log"));
            let member =
                Member { id: id as u8, client: client(id), data, config, log, child: None, log_began: 0, starts: 0 };
            all.push(member);
        }
        let direct = |peer: usize| SocketAddr::from((places[peer], PEER_PORT));
        write(&root.join("ios.toml"), &configuration(places.len(), direct, client))?;
        Ok(Self { root: root.to_owned(), all })
    }

    /// Where all of it lies.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Every id.
    pub fn ids(&self) -> std::ops::Range<u8> {
        0..self.all.len() as u8
    }

    /// A member.
    pub fn get(&self, id: u8) -> &Member {
        &self.all[usize::from(id)]
    }

    /// A member, to be changed.
    pub fn get_mut(&mut self, id: u8) -> &mut Member {
        &mut self.all[usize::from(id)]
    }

    /// Where clients connect.
    pub fn endpoints(&self) -> Vec<String> {
        self.all.iter().map(|member| member.client.to_string()).collect()
    }

    /// Who leads: of several that think so, the one with the highest view.
    pub fn leader(&self) -> Option<u8> {
        let leading = self.all.iter().filter_map(Member::status).filter(|status| status.role == "leader");
        leading.max_by_key(|status| status.view).map(|status| status.node.0)
    }

    /// A member that has ended though nobody asked it to.
    pub fn ended_by_itself(&mut self) -> Option<String> {
        self.all.iter_mut().find_map(|member| {
            let status = member.child.as_mut()?.try_wait().ok()??;
            Some(format!("n{} has ended ({}): {}", member.id, how_it_ended(status), member.last_words()))
        })
    }
}

impl Member {
    /// Starts its process.
    pub fn start(&mut self, environment: &[(&'static str, OsString)]) -> Result<(), Failure> {
        assert!(self.child.is_none(), "n{} runs already", self.id);
        self.log_began = self.whole_log().len();
        let Self { id, config, data, log, .. } = &*self;
        let start = Start { id: *id, config, data, log, level: "info", init: false, apart: true, environment };
        self.child = Some(process::start(start)?);
        self.starts += 1;
        Ok(())
    }

    /// Its process.
    pub fn pid(&self) -> Option<Pid> {
        self.child.as_ref().map(Pid::from_child)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<(), Trouble> {
        let pid = self.pid().ok_or_else(|| Trouble::Broken(format!("n{} does not run", self.id)))?;
        kill_process(pid, signal).map_err(|error| Trouble::Broken(format!("n{} takes no signal: {error}", self.id)))
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        Some(status)
    }

    /// Kills it, and says by which signal it ended.
    pub fn kill(&mut self) -> Option<i32> {
        let mut child = self.child.take()?;
        child.kill().ok()?;
        child.wait().ok()?.signal()
    }

    /// What it says of itself.
    pub fn status(&self) -> Option<Status> {
        self.child.as_ref()?;
        ask_status(self.client, ASK_WITHIN).ok()
    }

    /// What it has logged since it was last started.
    pub fn log(&self) -> String {
        let whole = self.whole_log();
        String::from_utf8_lossy(&whole[self.log_began.min(whole.len())..]).into_owned()
    }

    /// The last line of its log.
    pub fn last_words(&self) -> String {
        self.log().lines().last().unwrap_or("nothing in its log").to_owned()
    }

    fn whole_log(&self) -> Vec<u8> {
        fs::read(&self.log).unwrap_or_default()
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        // They would end with this process, but not those that stand still.
        for member in &mut self.all {
            member.kill();
        }
    }
}

fn configuration(members: usize, peer: impl Fn(usize) -> SocketAddr, client: impl Fn(usize) -> SocketAddr) -> String {
    let mut text = SETTINGS.to_owned();
    for id in 0..members {
        let (peer, client) = (peer(id), client(id));
        text.push_str(&format!("\n[[member]]\nid = {id}\npeer = \"{peer}\"\nclient = \"{client}\"\n"));
    }
    text
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::system(&format!("write {}", path.display()), error))
}
