//! The nodes of a script with their disks, the messages on their way, and the time.

use crate::{disk::Disk, ledger::Ledger};
use ios_core::{
    Config, Node,
    configuration::{Configuration, ConfigurationDraft},
    ids::{ConnectionId, DiskNonce, NodeId, NodeSet, OpId, Sequence, SessionId},
    interface::{DiskError, DiskResult, Input, Output, Timer},
    journal,
    message::{ClientRequest, ClientResponse, PeerMessage},
    options::{JournalOptions, Options, Seal},
    replica::quorum::QuorumSpec,
    service::Application,
    time::{Span, Time},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The only client of a script, as far as nodes can tell.
const CLIENT: ConnectionId = ConnectionId(1);
/// More steps without an end are a loop.
const STEPS_MAX: usize = 20_000;

/// One member.
#[derive(Default)]
pub struct Member {
    /// None while it is down.
    pub node: Option<Node<Application>>,
    pub disk: Disk,
    lives: u64,
}

/// A message on its way.
pub struct Letter {
    pub from: NodeId,
    pub to: NodeId,
    pub message: PeerMessage,
}

/// Everything a script acts on.
pub struct Cluster {
    pub configuration: Configuration,
    pub options: Options,
    pub now: Time,
    pub members: BTreeMap<NodeId, Member>,
    pub network: VecDeque<Letter>,
    /// Taken out of the network until they are let go.
    pub held: Vec<Letter>,
    /// Ways on which messages are lost.
    pub cuts: BTreeSet<(NodeId, NodeId)>,
    pub ledger: Ledger,
    /// Whether `Hello` is left to the script.
    pub manual_hello: bool,
    /// Whether what is sent is not shown, because it is delivered at once.
    pub hide_sends: bool,
    /// Whether the driver's turn goes on: more input is about to come.
    pub hold_turn: bool,
    pub session: Option<SessionId>,
    pub sequence: Sequence,
    pub tag: u64,
    pub last_write: Option<ClientRequest>,
    lines: Vec<String>,
    broken: Option<String>,
}

impl Cluster {
    /// Opens the nodes, links them and founds the cluster; or only formats the disks, with `hello=manual`.
    pub fn new(words: &[&str]) -> Result<Self, String> {
        let mut nodes = 3;
        let mut manual_hello = false;
        let mut draft = ConfigurationDraft { members: Vec::new(), ..Default::default() };
        let mut options = Options {
            journal: JournalOptions { segment_records: 256, segment_bytes: 1 << 18, ..Default::default() },
            ..Options::default()
        };
        for word in words {
            let (key, value) = word.split_once('=').ok_or(format!("`{word}` is no key=value"))?;
            let bad = || format!("{key}={value} is no value");
            let span = || value.parse::<Span>().map_err(|error| error.to_string());
            match key {
                "nodes" => nodes = value.parse::<u8>().map_err(|_| bad())?,
                "quorum" => draft.quorum = value.parse::<QuorumSpec>().map_err(|error| error.to_string())?,
                "window" => draft.window = value.parse().map_err(|_| bad())?,
                "index_exclusivity" => draft.index_exclusivity = value == "on",
                "implicit_commit" => draft.implicit_commit = value == "on",
                "lease" => draft.lease = Some(value.parse().map_err(|_| bad())?),
                "ttl" => draft.session_ttl = span()?,
                "explicit_commit" => options.explicit_commit = value == "on",
                "thrifty" => options.thrifty = value == "on",
                "delegate" => options.delegate = value.parse()?,
                "participant" => options.participant = value.parse()?,
                "participant_read" => options.participant_read = value == "on",
                "reads_max" => options.reads_max = value.parse().map_err(|_| bad())?,
                "heartbeat" => options.heartbeat = span()?,
                "election_timeout" => options.election_timeout = span()?,
                "queue_max" => options.queue_max = value.parse().map_err(|_| bad())?,
                "max_batch" => options.max_batch = value.parse().map_err(|_| bad())?,
                "batch_interval" => options.batch_interval = span()?,
                "snapshot_interval" => options.snapshot_interval = value.parse().map_err(|_| bad())?,
                "snapshot_block" => options.snapshot_block = value.parse().map_err(|_| bad())?,
                "length" => options.length = value.parse().map_err(|_| bad())?,
                "segment_records" => options.journal.segment_records = value.parse().map_err(|_| bad())?,
                "seal" => options.journal.seal = if value == "eager" { Seal::Eager } else { Seal::Lazy },
                "hello" => manual_hello = value == "manual",
                _ => return Err(format!("a cluster has no `{key}`")),
            }
        }
        draft.members = (0..nodes).map(NodeId).collect();
        let configuration = Configuration::new(draft).map_err(|error| error.to_string())?;
        let mut cluster = Self {
            members: (0..nodes).map(|node| (NodeId(node), Member::default())).collect(),
            configuration,
            options,
            now: Time::ZERO,
            network: VecDeque::new(),
            held: Vec::new(),
            cuts: BTreeSet::new(),
            ledger: Ledger::default(),
            manual_hello,
            hide_sends: false,
            hold_turn: false,
            session: None,
            sequence: Sequence(0),
            tag: 0,
            last_write: None,
            lines: Vec::new(),
            broken: None,
        };
        for node in cluster.ids() {
            cluster.format(node, u128::from(node.0) + 1);
            if !manual_hello {
                cluster.start(node)?;
            }
        }
        cluster.take_lines();
        Ok(cluster)
    }

    pub fn ids(&self) -> Vec<NodeId> {
        self.members.keys().copied().collect()
    }

    /// What has been shown since it was last taken.
    pub fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    pub fn show(&mut self, line: String) {
        self.lines.push(line);
    }

    /// What the ledger found wrong, if anything.
    pub fn verdict(&mut self) -> Result<(), String> {
        self.broken.take().map_or(Ok(()), Err)
    }

    pub fn is_up(&self, id: NodeId) -> bool {
        self.members.get(&id).is_some_and(|member| member.node.is_some())
    }

    pub fn node(&self, id: NodeId) -> Result<&Node<Application>, String> {
        self.members.get(&id).and_then(|member| member.node.as_ref()).ok_or(format!("{id} is down"))
    }

    // ---- Lives.

    /// Makes an empty directory.
    pub fn format(&mut self, id: NodeId, nonce: u128) {
        let mut disk = Disk::default();
        for action in journal::format(id, DiskNonce(nonce), &self.configuration) {
            disk.ask(OpId(0), action);
            disk.complete();
        }
        self.members.get_mut(&id).expect("a member").disk = disk;
    }

    /// Opens a node on what its disk holds, and brings its links up.
    pub fn start(&mut self, id: NodeId) -> Result<(), String> {
        if self.is_up(id) {
            return Err(format!("{id} is up"));
        }
        let config = Config { node: id, configuration: self.configuration.clone(), options: self.options.clone() };
        let service = "kv-store".parse::<Application>().expect("the store is an application");
        let member = self.members.get_mut(&id).ok_or("no such member")?;
        member.lives += 1;
        let seed = u64::from(id.0) << 8 | member.lives;
        match Node::open(config, service, seed, self.now, &mut member.disk.readable()) {
            Ok(node) => member.node = Some(node),
            Err(error) => {
                self.show(format!("{id} does not open: {error}"));
                return Ok(());
            }
        }
        self.finish_turn(id);
        for peer in self.ids().into_iter().filter(|peer| *peer != id) {
            if self.is_up(peer) {
                self.step(id, Input::Link { peer, up: true });
                self.step(peer, Input::Link { peer: id, up: true });
            }
        }
        Ok(())
    }

    /// The node is gone; its peers see their links go down. What is on its way stays there.
    pub fn stop(&mut self, id: NodeId) {
        self.members.get_mut(&id).expect("a member").node = None;
        for peer in self.ids() {
            self.step(peer, Input::Link { peer: id, up: false });
        }
    }

    // ---- Steps.

    /// Feeds one input and what follows from it at once: the end of the driver's turn, and the disk's answers unless
    /// they are left to the script.
    pub fn step(&mut self, id: NodeId, input: Input) {
        self.feed(id, input);
        if !self.hold_turn {
            self.finish_turn(id);
        }
    }

    /// Ends the driver's turn, and every turn that follows from it without waiting.
    pub fn finish_turn(&mut self, id: NodeId) {
        for _ in 0..STEPS_MAX {
            let Some(member) = self.members.get_mut(&id) else { return };
            let Some(node) = &member.node else { return };
            if node.deadline().is_some_and(|(_, timer)| timer == Timer::Turn) {
                self.feed(id, Input::Wake);
            } else if member.disk.manual {
                return;
            } else if let Some((op, result)) = member.disk.complete() {
                self.feed(id, Input::Disk { op, result });
            } else {
                return;
            }
        }
        self.broken.get_or_insert(format!("{id} never comes to rest"));
    }

    fn feed(&mut self, id: NodeId, input: Input) {
        let Some(node) = self.members.get_mut(&id).and_then(|member| member.node.as_mut()) else { return };
        let mut out = Vec::new();
        node.step(self.now, input, &mut out);
        out.iter().for_each(|output| self.ledger.learn(output));
        let mut hellos = Vec::new();
        for output in out {
            self.take(id, output, &mut hellos);
        }
        for Letter { from, to, message } in hellos {
            self.step(to, Input::Peer { from, message });
        }
    }

    fn take(&mut self, id: NodeId, output: Output, hellos: &mut Vec<Letter>) {
        let text = self.ledger.rename(&output.to_string());
        match output {
            Output::Note(note) => {
                self.show(format!("{id} {text}"));
                if let Err(why) = self.ledger.check(id, &note) {
                    self.broken.get_or_insert(why);
                }
            }
            Output::Send { to, message } => self.post(id, to, message, &text, hellos),
            Output::Reply { response, .. } => self.reply(id, &response),
            Output::Disk { op, action } => {
                let disk = &mut self.members.get_mut(&id).expect("a member").disk;
                disk.ask(op, action);
                if disk.manual {
                    self.show(format!("{id} disk {text}"));
                }
            }
            Output::Close { .. } => self.show(format!("{id} {text}")),
            Output::Fence(_) | Output::Stopped => {
                self.show(format!("{id} {text}"));
                self.stop(id);
            }
        }
    }

    fn post(&mut self, from: NodeId, to: NodeSet, message: PeerMessage, text: &str, hellos: &mut Vec<Letter>) {
        let arrives = |to: &NodeId| self.is_up(*to) && !self.cuts.contains(&(from, *to));
        let lost: NodeSet = to.iter().filter(|to| !arrives(to)).collect();
        let hidden = !self.manual_hello && matches!(message, PeerMessage::Hello(_));
        for to in to.difference(lost).iter() {
            let letter = Letter { from, to, message: message.clone() };
            if hidden { hellos.push(letter) } else { self.network.push_back(letter) }
        }
        if hidden || self.hide_sends {
            return;
        }
        match lost.is_empty() {
            true => self.show(format!("{from} {text}")),
            false => self.show(format!("{from} {text}  (lost: {lost})")),
        }
    }

    fn reply(&mut self, id: NodeId, response: &ClientResponse) {
        let service = "kv-store".parse::<Application>().expect("the store is an application");
        if let ClientResponse::Registered { session, .. } = response {
            (self.session, self.sequence) = (Some(*session), Sequence(0));
        }
        let text = match response {
            ClientResponse::Written { session, sequence, revision, payload } => format!(
                "Written session={session} sequence={sequence} revision={revision}: {}",
                service.format_reply(payload)
            ),
            ClientResponse::Read { tag, revision, payload } => {
                format!("Read tag={tag} revision={revision}: {}", service.format_reply(payload))
            }
            other => other.to_string(),
        };
        self.show(format!("{id} => {text}"));
    }

    /// A client's request.
    pub fn ask(&mut self, id: NodeId, request: ClientRequest) {
        self.step(id, Input::Client { connection: CLIENT, request });
    }

    /// The client is gone.
    pub fn hang_up(&mut self, id: NodeId) {
        self.step(id, Input::Gone { connection: CLIENT });
    }

    /// Ends an operation of a disk that is left to the script. False if none was under way.
    pub fn sync(&mut self, id: NodeId, fails: Option<DiskError>) -> bool {
        let Some(member) = self.members.get_mut(&id) else { return false };
        let ended = match fails {
            None => member.disk.complete(),
            Some(error) => member.disk.fail().map(|op| (op, DiskResult::Failed(error))),
        };
        let Some((op, result)) = ended else { return false };
        self.step(id, Input::Disk { op, result });
        true
    }

    // ---- Network and time.

    /// Hands over one letter.
    pub fn deliver(&mut self, letter: Letter) {
        let Letter { from, to, message } = letter;
        if self.is_up(to) {
            self.step(to, Input::Peer { from, message });
        }
    }

    /// Delivers everything, in the order it was sent, until nothing is on its way.
    pub fn settle(&mut self) -> Result<(), String> {
        for _ in 0..STEPS_MAX {
            let Some(letter) = self.network.pop_front() else { return Ok(()) };
            self.deliver(letter);
        }
        Err("the nodes never fall silent".to_string())
    }

    /// Lets time pass until `until` for `who`, waking each when its deadline comes.
    pub fn pass(&mut self, until: Time, who: &[NodeId], deliver: bool) -> Result<(), String> {
        for _ in 0..STEPS_MAX {
            if deliver {
                self.settle()?;
            }
            let due = |id: &NodeId| Some((self.members[id].node.as_ref()?.deadline()?.0, *id));
            let Some((time, id)) = who.iter().filter_map(due).min().filter(|(time, _)| *time <= until) else {
                self.now = self.now.max(until);
                return Ok(());
            };
            self.now = self.now.max(time);
            self.step(id, Input::Wake);
        }
        Err("the timers never rest".to_string())
    }
}
