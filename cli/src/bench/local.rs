//! A cluster in this process, for measuring when no other is named.

use crate::{
    arguments::Global,
    config::{ClusterFile, Member},
    exit::{Exit, Failure},
    say::talk,
    serve::start,
};
use ios_core::{
    configuration::{Configuration, ConfigurationDraft},
    ids::NodeId,
};
use runtime::server::{self, Server};
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

/// A directory that goes away with its owner.
pub struct Room {
    path: PathBuf,
}

impl Room {
    /// A new directory in `parent`.
    pub fn make(parent: &Path) -> Result<Self, Failure> {
        let path = parent.join(format!("ios-bench-{}", std::process::id()));
        fs::create_dir_all(path.join("log"))
            .map_err(|error| Failure::system(&format!("make {}", path.display()), error))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            talk(format_args!("ios: {} is not removed: {error}", self.path.display()));
        }
    }
}

/// Servers of this process, each with a directory in a room.
pub struct LocalCluster {
    file: ClusterFile,
    servers: Vec<Server>,
}

impl LocalCluster {
    /// Whether the command line names no cluster.
    pub fn is_wanted(global: &Global) -> bool {
        global.endpoints.is_empty() && global.config.is_none()
    }

    /// Starts so many members on free ports.
    pub fn start(nodes: u8, room: &Room) -> Result<Self, Failure> {
        let file = file(nodes)?;
        let servers = start_all(&file, room.path())?;
        Ok(Self { file, servers })
    }

    /// Where clients connect.
    pub fn endpoints(&self) -> Vec<String> {
        self.file.members.iter().map(|member| member.client.clone()).collect()
    }

    /// Stops all members in good order.
    pub fn stop(self) -> Result<(), Failure> {
        for server in self.servers {
            server.stopper().stop();
            server.join().map_err(|_| Failure::new(Exit::Invariant, "a member panicked"))?;
        }
        Ok(())
    }
}

fn file(nodes: u8) -> Result<ClusterFile, Failure> {
    let mut addresses = free_addresses(2 * usize::from(nodes))?.into_iter();
    let mut next = || addresses.next().expect("two for each");
    let members: Vec<Member> =
        (0..nodes).map(|id| Member { id: NodeId(id), peer: next(), client: next(), http: None }).collect();
    let draft = ConfigurationDraft { members: members.iter().map(|member| member.id).collect(), ..Default::default() };
    let configuration = Configuration::new(draft).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    Ok(ClusterFile { members, configuration, ..ClusterFile::single() })
}

/// Addresses of this machine that nobody listens on, all different because all are taken before any is given back.
fn free_addresses(count: usize) -> Result<Vec<String>, Failure> {
    let failed = |error| Failure::system("find a free port", error);
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>().map_err(failed)?;
    let address = |listener: &TcpListener| listener.local_addr().map(|address| address.to_string());
    listeners.iter().map(address).collect::<Result<_, _>>().map_err(failed)
}

fn start_all(file: &ClusterFile, root: &Path) -> Result<Vec<Server>, Failure> {
    let mut servers = Vec::new();
    for member in &file.members {
        let directory = root.join(format!("n{}", member.id.0));
        server::format(&directory, member.id, &file.configuration).map_err(Failure::server)?;
        servers.push(start(file, member.id, directory)?);
    }
    Ok(servers)
}
