//! One member: a machine with a disk and a clock, and on it, most of the time, a running node.

use super::{
    agenda::Handle,
    clock::Clock,
    disk::SimDisk,
    item::{Item, Life},
};
use ios_core::{
    Node,
    ids::{NodeId, View},
    service::kv::Kv,
    time::{Span, Time},
};

/// The most items that wait for a paused node; what its peers' and clients' buffers hold. The rest is lost.
pub const HELD_MAX: usize = 16 * 1024;

/// One member of the cluster.
#[derive(Debug)]
pub struct Process {
    /// Which.
    pub id: NodeId,
    /// The running node; none while it is down.
    pub node: Option<Node<Kv>>,
    /// Its disk, which outlives it.
    pub disk: SimDisk,
    /// Its machine's clock.
    pub clock: Clock,
    /// How many times it has been started.
    pub life: Life,
    /// Whether it takes no input for now.
    pub paused: bool,
    /// What waits for it to go on.
    pub held: Vec<Item>,
    /// The view it leads, by its own notes.
    pub leading: Option<View>,
    /// Per peer, the life of the peer that its link is up with.
    pub links: Vec<Option<Life>>,
    /// Whether the end of its turn is on the agenda.
    pub turn: Option<Handle>,
    /// Its deadline on the agenda, never later than the node's own.
    pub timer: Option<(Handle, Time)>,
    /// Its next disk operation fails; when to start again after that.
    pub failing: Option<Option<Span>>,
    /// An operation failed in this life, so it may stop itself; when to start again.
    pub failed: Option<Option<Span>>,
    /// It has been asked to stop; when to start again.
    pub stopping: Option<Option<Span>>,
    /// How much longer every disk operation takes.
    pub slow_disk: Span,
    /// There is no room on its disk.
    pub full: bool,
    /// The machine is without power, not only the process dead: nobody tells its peers.
    pub powerless: bool,
    /// The rate error of its clock.
    pub skew: i64,
}

impl Process {
    /// A machine that has never run.
    pub fn new(id: NodeId, peers: usize) -> Self {
        Self {
            id,
            node: None,
            disk: SimDisk::default(),
            clock: Clock::new(Time::ZERO, Time::ZERO, 0),
            life: 0,
            paused: false,
            held: Vec::new(),
            leading: None,
            links: vec![None; peers],
            turn: None,
            timer: None,
            failing: None,
            failed: None,
            stopping: None,
            slow_disk: Span::ZERO,
            full: false,
            powerless: true,
            skew: 0,
        }
    }

    /// Makes it a machine that has never run, keeping its memory.
    pub fn reset(&mut self, peers: usize) {
        let (mut disk, mut held, mut links) =
            (std::mem::take(&mut self.disk), std::mem::take(&mut self.held), std::mem::take(&mut self.links));
        disk.clear();
        held.clear();
        links.clear();
        links.resize(peers, None);
        *self = Process { disk, held, links, ..Process::new(self.id, 0) };
    }

    /// Whether a node runs here, paused or not.
    pub fn runs(&self) -> bool {
        self.node.is_some()
    }
}
