//! `ios dev`: a whole cluster on this machine, for trying things out.
//!
//! Every member is a process of its own, so that killing one is what it would be elsewhere. They end with this one.

use crate::{
    arguments::{Dev, Global},
    exit::{Exit, Failure},
    process::{self, Start, how_it_ended},
    say::{line, talk},
};
use ios_core::{ids::NodeId, time::Span};
use runtime::client::ask_status;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Child,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{RecvTimeoutError, channel},
    },
    time::Duration,
};

/// How often members are looked after.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a member may take to say whether the cluster is ready.
const ASK_WITHIN: Span = Span::millis(200);
/// Peers listen this far above clients, as by default elsewhere.
const PEERS_ABOVE: u16 = crate::config::PEER_PORT - crate::config::CLIENT_PORT;
/// And so far above clients is HTTP.
const HTTP_ABOVE: u16 = crate::config::HTTP_PORT - crate::config::CLIENT_PORT;

/// Runs a cluster until it is told to stop.
pub fn run(global: &Global, dev: &Dev) -> Result<Exit, Failure> {
    if dev.base_port.checked_add(HTTP_ABOVE + u16::from(dev.nodes)).is_none() {
        return Err(Failure::new(
            Exit::Usage,
            format!("base port {} leaves no room for {} nodes", dev.base_port, dev.nodes),
        ));
    }
    let (root, temporary) = match &dev.data {
        Some(data) => (data.clone(), false),
        None => (std::env::temp_dir().join(format!("ios-dev-{}", std::process::id())), true),
    };
    fs::create_dir_all(&root).map_err(|error| Failure::system(&format!("make {}", root.display()), error))?;
    let outcome = run_in(global, dev, &root);
    if temporary && let Err(error) = fs::remove_dir_all(&root) {
        talk(format_args!("ios: {} is not removed: {error}", root.display()));
    }
    outcome
}

fn run_in(global: &Global, dev: &Dev, root: &Path) -> Result<Exit, Failure> {
    let config = root.join("ios.toml");
    write_config(dev, &config)?;
    let mut members = Vec::new();
    for id in 0..dev.nodes {
        members.push(Member::start(global, id, root, &config)?);
    }
    announce(dev, root, &config, &members)?;
    let stop = watch_signals()?;
    let exit = look_after(dev, &mut members, &stop)?;
    for member in &mut members {
        member.stop();
    }
    talk("stopped");
    Ok(exit)
}

/// Keeps a file that is there: its cluster goes on.
fn write_config(dev: &Dev, path: &Path) -> Result<(), Failure> {
    let mut text = String::new();
    for id in 0..u16::from(dev.nodes) {
        let client = dev.base_port + id;
        let (peer, http) = (client + PEERS_ABOVE, client + HTTP_ABOVE);
        text.push_str(&format!(
            "[[member]]\nid = {id}\npeer = \"127.0.0.1:{peer}\"\nclient = \"127.0.0.1:{client}\"\n\
             http = \"127.0.0.1:{http}\"\n\n"
        ));
    }
    // What the first version wrote, before members spoke HTTP.
    let first: String = text.lines().filter(|line| !line.starts_with("http")).map(|line| format!("{line}\n")).collect();
    let write =
        |text| fs::write(path, text).map_err(|error| Failure::system(&format!("write {}", path.display()), error));
    match fs::read_to_string(path) {
        Ok(there) if there == text => Ok(()),
        Ok(there) if there == first => write(text),
        Ok(_) => Err(Failure::new(
            Exit::Usage,
            format!(
                "{} belongs to another cluster than {} members from port {} on; name another directory, or run the \
                 members with `ios serve --config`",
                path.display(),
                dev.nodes,
                dev.base_port
            ),
        )),
        Err(_) => write(text),
    }
}

struct Member {
    id: u8,
    child: Child,
    log: PathBuf,
    /// Nothing more is said about it once its end was told.
    over: bool,
}

impl Member {
    fn start(global: &Global, id: u8, root: &Path, config: &Path) -> Result<Self, Failure> {
        let log = root.join(format!("n{id}.log"));
        let data = root.join(format!("n{id}"));
        let level = global.log.as_deref().unwrap_or("info");
        let start = Start { id, config, data: &data, log: &log, level, init: true, apart: false, environment: &[] };
        let child = process::start(start)?;
        Ok(Self { id, child, log, over: false })
    }

    /// Tells that it has ended by itself, once.
    fn look(&mut self) {
        if self.over {
            return;
        }
        let Ok(Some(status)) = self.child.try_wait() else { return };
        self.over = true;
        let how = how_it_ended(status);
        talk(format_args!("n{} has ended ({how}); its log is {}", self.id, self.log.display()));
        if status.code().is_some_and(|code| code != 0)
            && let Ok(log) = fs::read_to_string(&self.log)
            && let Some(last) = log.lines().last()
        {
            talk(format_args!("  {last}"));
        }
    }

    fn stop(&mut self) {
        // The end of its input tells it to stop.
        drop(self.child.stdin.take());
        if let Err(error) = self.child.wait() {
            talk(format_args!("ios: waiting for n{}: {error}", self.id));
        }
    }
}

fn announce(dev: &Dev, root: &Path, config: &Path, members: &[Member]) -> Result<(), Failure> {
    line(format_args!("a cluster of {} in {}; Ctrl-C stops it", dev.nodes, root.display()))?;
    for Member { id, child, .. } in members {
        let client = dev.base_port + u16::from(*id);
        let (peer, http, pid) = (client + PEERS_ABOVE, client + HTTP_ABOVE, child.id());
        line(format_args!(
            "  n{id}  clients 127.0.0.1:{client}  peers 127.0.0.1:{peer}  http 127.0.0.1:{http}  pid {pid}"
        ))?;
    }
    line(format_args!("talk to it:  ios --config {}", config.display()))?;
    line(format_args!("look at it:  ios status --config {}", config.display()))?;
    line(format_args!("or by HTTP:  curl http://127.0.0.1:{}/readyz?verbose", dev.base_port + HTTP_ABOVE))
}

/// True once somebody wants this process to end.
pub fn watch_signals() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(|error| Failure::system("wait for signals", error))?;
    let stopped = stop.clone();
    let watch = move || {
        for _ in signals.forever() {
            stopped.store(true, Ordering::Release);
        }
    };
    let started = std::thread::Builder::new().name("signals".to_owned()).spawn(watch);
    started.map_err(|error| Failure::system("start a thread", error))?;
    Ok(stop)
}

/// Who leads, as soon as somebody does.
fn leader(dev: &Dev) -> Option<NodeId> {
    let ports = dev.base_port..dev.base_port + u16::from(dev.nodes);
    let addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    addresses.filter_map(|address| ask_status(address, ASK_WITHIN).ok()).find_map(|status| status.leader)
}

/// Waits until the cluster is to stop, or all of it has.
fn look_after(dev: &Dev, members: &mut [Member], stop: &AtomicBool) -> Result<Exit, Failure> {
    let mut ready = false;
    // Nothing is ever sent: this only waits.
    let (_never, nothing) = channel::<()>();
    while !stop.load(Ordering::Acquire) {
        members.iter_mut().for_each(Member::look);
        if members.iter().all(|member| member.over) {
            talk("all members have ended");
            return Ok(Exit::Error);
        }
        if !ready && let Some(leader) = leader(dev) {
            ready = true;
            line(format_args!("ready: {leader} leads"))?;
        }
        match nothing.recv_timeout(LOOK_EVERY) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => unreachable!("the sender lives and is silent"),
        }
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_of_an_earlier_version_goes_on_and_another_one_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ios.toml");
        let dev = |nodes| Dev { nodes, base_port: 9000, data: None };
        write_config(&dev(2), &path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let first: Vec<&str> = text.lines().filter(|line| !line.starts_with("http")).collect();
        fs::write(&path, first.join("\n") + "\n").unwrap();
        write_config(&dev(2), &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert!(write_config(&dev(3), &path).unwrap_err().to_string().contains("another cluster than 3 members"));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}
