//! Processor time: what the load generator used, and what the servers did if they run on this machine.
//!
//! Servers in other processes are found by where they listen: `/proc/net/tcp` names the socket of an address, and the
//! directories of the processes say who holds it. Where there is no `/proc`, or servers belong to somebody else whose
//! files may not be read, nothing is known, and that is what is said.

use ios_core::{
    message::{ClientRequest, ClientResponse},
    time::Span,
};
use runtime::{
    client::{ask, resolve},
    clock::{process_processor_time, thread_processor_time},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
};

/// How long a member may take to say where the others are.
const ASK_WITHIN: Span = Span::millis(500);
/// One tick of `/proc/PID/stat`: a hundredth of a second on every architecture that matters.
const TICK: Span = Span::millis(10);

/// Whose processor time is the servers'.
pub enum Servers {
    /// Threads of this process, all but the one that asks.
    Here,
    /// Other processes.
    Processes {
        /// Which.
        pids: BTreeSet<u32>,
        /// How many members they are.
        found: usize,
        /// How many there are.
        members: usize,
    },
}

/// Processor time used so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Used {
    /// By the thread that asks.
    pub client: Span,
    /// By the servers, if that can be known.
    pub servers: Option<Span>,
}

impl Used {
    /// What was used since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        let servers = self.servers.zip(earlier.servers).map(|(now, then)| Span(now.0.saturating_sub(then.0)));
        Self { client: Span(self.client.0 - earlier.client.0), servers }
    }
}

impl Servers {
    /// The processes of this machine that serve these endpoints, and those of the other members.
    pub fn find(endpoints: &[String]) -> Self {
        let mut addresses: BTreeSet<SocketAddr> = endpoints.iter().filter_map(|text| resolve(text).ok()).collect();
        let members = addresses.iter().find_map(|address| members(*address));
        if let Some(members) = members {
            addresses = members;
        }
        let listening = listening();
        let holder = |address: &SocketAddr| {
            let here = TcpListener::bind((address.ip(), 0)).is_ok();
            let anywhere = [address.ip(), Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
            let sockets = anywhere.iter().filter_map(|ip| listening.get(&SocketAddr::new(*ip, address.port())));
            here.then(|| sockets.copied().collect::<Vec<u64>>())
        };
        let sockets: Vec<Vec<u64>> = addresses.iter().filter_map(holder).filter(|held| !held.is_empty()).collect();
        let holders = holders(&sockets.concat().into_iter().collect());
        let found = sockets.iter().filter(|sockets| sockets.iter().any(|socket| holders.contains_key(socket))).count();
        Self::Processes { pids: holders.into_values().collect(), found, members: addresses.len() }
    }

    /// Of how many members it is known, and how many there are, if not all are threads of this process.
    pub fn coverage(&self) -> Option<(usize, usize)> {
        match self {
            Servers::Here => None,
            Servers::Processes { found, members, .. } => Some((*found, *members)),
        }
    }

    /// What has been used so far.
    pub fn used(&self) -> Used {
        let client = thread_processor_time();
        let servers = match self {
            Servers::Here => Some(Span(process_processor_time().0.saturating_sub(client.0))),
            Servers::Processes { pids, .. } if pids.is_empty() => None,
            // One that has ended since makes the sum mean nothing.
            Servers::Processes { pids, .. } => {
                pids.iter().map(|pid| processor_time(*pid)).sum::<Option<u64>>().map(Span)
            }
        };
        Used { client, servers }
    }
}

/// Where clients reach all members, as one of them tells.
fn members(address: SocketAddr) -> Option<BTreeSet<SocketAddr>> {
    match ask(address, &ClientRequest::Members { tag: 0 }, ASK_WITHIN).ok()? {
        ClientResponse::Members { members, .. } if !members.is_empty() => {
            members.values().map(|text| resolve(text).ok()).collect()
        }
        _ => None,
    }
}

/// Sockets that are listened on, by address.
fn listening() -> BTreeMap<SocketAddr, u64> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().filter_map(|path| fs::read_to_string(path).ok());
    tables.flat_map(|table| table.lines().skip(1).filter_map(listener).collect::<Vec<_>>()).collect()
}

/// One line of the kernel's table, if it is about a listening socket.
fn listener(line: &str) -> Option<(SocketAddr, u64)> {
    const LISTENING: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    if *state != LISTENING {
        return None;
    }
    let (ip, port) = local.split_once(':')?;
    let words: Option<Vec<[u8; 4]>> = ip
        .as_bytes()
        .chunks(8)
        .map(|word| Some(u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok()?.to_ne_bytes()))
        .collect();
    let ip: IpAddr = match &words?[..] {
        [v4] => IpAddr::from(*v4),
        v6 => IpAddr::from(<[u8; 16]>::try_from(v6.concat()).ok()?),
    };
    Some((SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?), inode.parse().ok()?))
}

/// Who holds these sockets.
fn holders(sockets: &BTreeSet<u64>) -> BTreeMap<u64, u32> {
    let mut holders = BTreeMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        for file in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let target = fs::read_link(file.path()).ok();
            let name = target.as_ref().and_then(|target| target.to_str());
            let socket = name.and_then(|name| name.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(socket) = socket.filter(|socket| sockets.contains(socket)) {
                holders.insert(socket, pid);
            }
        }
    }
    holders
}

/// Nanoseconds of processor time of one process, in user and in system mode.
fn processor_time(pid: u32) -> Option<u64> {
    processor_ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?).map(|ticks| TICK.times(ticks).0)
}

fn processor_ticks(stat: &str) -> Option<u64> {
    // The second field is a name in brackets, which may hold anything; `utime` and `stime` are the 14th and 15th.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 40123 1 0 100";
        if cfg!(target_endian = "little") {
            assert_eq!(listener(line), Some(("127.0.0.1:8080".parse().unwrap(), 40123)));
            let six = line.replace("0100007F", "00000000000000000000000001000000");
            assert_eq!(listener(&six), Some(("[::1]:8080".parse().unwrap(), 40123)));
        }
        assert_eq!(listener(&line.replace(" 0A ", " 01 ")), None, "connected, not listening");
        assert_eq!(listener("nonsense"), None);
        let stat = "77 (a (strange) name) S 1 77 77 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 100 0 0";
        assert_eq!(processor_ticks(stat), Some(300));
    }

    #[test]
    fn a_process_that_listens_is_found() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        match Servers::find(&[address.to_string()]) {
            Servers::Processes { pids, found: 1, members: 1 } if cfg!(target_os = "linux") => {
                assert_eq!(pids, BTreeSet::from([std::process::id()]));
            }
            Servers::Processes { pids, found: 0, members: 1 } if !cfg!(target_os = "linux") => {
                assert_eq!(pids, BTreeSet::new());
            }
            other => panic!("{:?}", other.coverage()),
        }
    }
}
