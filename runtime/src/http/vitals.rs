//! What pages are made from: the node at one moment, and what the loop has counted.

use crate::{disk::Rounds, notes::Counters};
use ios_core::{ids::NodeId, message::Status};
use std::collections::BTreeMap;

/// Everything a node may be doing, as [`Status::role`] says it.
pub(super) const ROLES: [&str; 8] =
    ["opening", "founding", "follower", "canvassing", "candidate", "recovering", "leader", "stopping"];

/// The node at one moment.
pub(crate) struct Vitals<'a> {
    pub(crate) status: Status,
    pub(crate) counters: &'a Counters,
    /// Connections to the client port.
    pub(crate) clients: usize,
    /// Links to other members that carry messages.
    pub(crate) links_up: usize,
    /// Messages to them that were dropped.
    pub(crate) dropped: u64,
    pub(crate) rounds: &'a Rounds,
    /// Disk operations under way.
    pub(crate) disk_outstanding: usize,
}

/// What the HTTP port itself has counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traffic<'a> {
    pub(super) connections: usize,
    pub(super) refused: u64,
    pub(super) responses: &'a BTreeMap<u16, u64>,
}

/// One condition of being ready.
pub(super) struct Check {
    pub(super) name: &'static str,
    /// What is wrong, if it does not hold.
    pub(super) failed: Option<String>,
}

impl Vitals<'_> {
    /// The member that leads, if it is another one.
    pub(super) fn other_leader(&self) -> Option<NodeId> {
        self.status.leader.filter(|leader| *leader != self.status.node)
    }

    /// What has to hold for the node to be of use to clients.
    pub(super) fn checks(&self) -> [Check; 3] {
        let Status { role, leader, node, reachable, .. } = &self.status;
        let runs = !matches!(role.as_str(), "opening" | "founding" | "stopping");
        let hears = leader.is_none_or(|leader| leader == *node || reachable.contains(&leader));
        let recovers = *leader == Some(*node) && role == "recovering";
        let check = |name, holds: bool, why: String| Check { name, failed: (!holds).then_some(why) };
        let silent = leader.map_or("there is none to hear".to_owned(), |leader| format!("no link to {leader}"));
        [
            check("running", runs && !recovers, format!("the node is {role}")),
            check("leader-known", leader.is_some(), format!("no leader is known; the node is {role}")),
            check("leader-heard", hears && leader.is_some(), silent),
        ]
    }
}
