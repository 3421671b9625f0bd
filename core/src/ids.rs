//! Names of things: members, views, log positions, sessions, disks. Newtypes, so that an index is never taken for a
//! round, each with the one text form used in traces, golden scripts and reports.

use core::fmt;
use serde::{Deserialize, Serialize};

/// One member of the cluster, `0..64`. Ids are never reused, not even after a disk is replaced.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8")]
pub struct NodeId(pub u8);

impl NodeId {
    /// One more than the largest id a [`NodeSet`] can hold.
    pub const LIMIT: u8 = 64;
}

/// The number is too large for a [`NodeId`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadNodeId(pub u8);

impl fmt::Display for BadNodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node id {}: ids go from 0 to {}", self.0, NodeId::LIMIT - 1)
    }
}

impl core::error::Error for BadNodeId {}

/// What peers, clients and disks say comes in through here: sets and tables rely on the limit.
impl TryFrom<u8> for NodeId {
    type Error = BadNodeId;

    fn try_from(id: u8) -> Result<Self, BadNodeId> {
        if id < Self::LIMIT { Ok(NodeId(id)) } else { Err(BadNodeId(id)) }
    }
}

/// A set of members as a bit set; iterates in ascending order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct NodeSet(u64);

impl NodeSet {
    /// The set without members.
    pub const EMPTY: NodeSet = NodeSet(0);

    /// The set of exactly one node.
    pub fn only(node: NodeId) -> Self {
        Self::EMPTY.with(node)
    }

    /// This set and `node`.
    #[must_use]
    pub fn with(self, node: NodeId) -> Self {
        assert!(node.0 < NodeId::LIMIT, "node ids end at {}", NodeId::LIMIT - 1);
        NodeSet(self.0 | 1 << node.0)
    }

    /// This set but `node`.
    #[must_use]
    pub fn without(self, node: NodeId) -> Self {
        NodeSet(self.0 & !Self::only(node).0)
    }

    /// Adds `node`; true if it was not there.
    pub fn insert(&mut self, node: NodeId) -> bool {
        let before = self.0;
        *self = self.with(node);
        self.0 != before
    }

    /// Takes `node` out.
    pub fn remove(&mut self, node: NodeId) {
        *self = self.without(node);
    }

    /// Whether `node` is a member.
    pub fn contains(self, node: NodeId) -> bool {
        node.0 < NodeId::LIMIT && self.0 >> node.0 & 1 == 1
    }

    /// Members in both sets.
    #[must_use]
    pub fn intersection(self, other: NodeSet) -> Self {
        NodeSet(self.0 & other.0)
    }

    /// Members of either set.
    #[must_use]
    pub fn union(self, other: NodeSet) -> Self {
        NodeSet(self.0 | other.0)
    }

    /// Members of this set that `other` lacks.
    #[must_use]
    pub fn difference(self, other: NodeSet) -> Self {
        NodeSet(self.0 & !other.0)
    }

    /// How many members.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many of them come before `node`: its place among them, if it is one of them.
    pub fn rank(self, node: NodeId) -> usize {
        (self.0 & ((1 << node.0) - 1)).count_ones() as usize
    }

    /// Members in ascending order.
    pub fn iter(self) -> impl Iterator<Item = NodeId> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            (rest != 0).then(|| {
                let lowest = rest.trailing_zeros() as u8;
                rest &= rest - 1;
                NodeId(lowest)
            })
        })
    }
}

impl FromIterator<NodeId> for NodeSet {
    fn from_iter<I: IntoIterator<Item = NodeId>>(nodes: I) -> Self {
        nodes.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// A numbered view, ordered by round, then node. Owned by exactly one node, its leader, and never led twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct View {
    /// Grows with every attempt to lead.
    pub round: u64,
    /// The only node that may lead this view.
    pub node: NodeId,
}

impl View {
    /// Before any view: promised by everyone, led by nobody.
    pub const ZERO: View = View { round: 0, node: NodeId(0) };
}

/// A position in the log, from 1. `Index(0)` stands before the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Index(pub u64);

impl Index {
    /// Before the first position.
    pub const ZERO: Index = Index(0);

    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Index {
        Index(self.0 + 1)
    }

    /// The position `by` further on, saturating.
    #[must_use]
    pub fn plus(self, by: u64) -> Index {
        Index(self.0.saturating_add(by))
    }

    /// The position `by` before, `Index(0)` at the least.
    #[must_use]
    pub fn minus(self, by: u64) -> Index {
        Index(self.0.saturating_sub(by))
    }
}

/// Names a batch: xxh3 of its bytes and of nothing else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub u64);

/// Counts the starts of one node on one disk; durable before the first message of the life it names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

/// Drawn once when a data directory is formatted: tells this disk from any other that bears the same node id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DiskNonce(pub u128);

/// Hash of the first configuration and of all first members' disk nonces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterId(pub u128);

/// A client's connection, numbered by the driver and never reused within one incarnation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnectionId(pub u64);

/// A session: where in the log it was registered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId {
    /// The index of the batch that registered it.
    pub index: Index,
    /// Its place within that batch.
    pub position: u32,
}

/// Numbers the requests of one session, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sequence(pub u64);

/// Numbers the disk operations of one incarnation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OpId(pub u64);

/// Counts the requests that changed the service's state, from 1. `Revision(0)`: nothing has changed yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Revision(pub u64);

macro_rules! text_form {
    ($($type:ty: $self:ident => ($($form:tt)*);)*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $self = self;
                write!(f, $($form)*)
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

text_form! {
    NodeId: id => ("n{}", id.0);
    View: view => ("{}.{}", view.round, view.node);
    Index: index => ("{}", index.0);
    Digest: digest => ("{:016x}", digest.0);
    Incarnation: incarnation => ("{}", incarnation.0);
    DiskNonce: nonce => ("{:032x}", nonce.0);
    ClusterId: cluster => ("{:032x}", cluster.0);
    ConnectionId: connection => ("#{}", connection.0);
    SessionId: session => ("{}/{}", session.index, session.position);
    Sequence: sequence => ("{}", sequence.0);
    OpId: op => ("op{}", op.0);
    Revision: revision => ("{}", revision.0);
}

impl fmt::Display for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (place, node) in self.iter().enumerate() {
            write!(f, "{}{node}", if place == 0 { "" } else { " " })?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::ToString, vec::Vec};

    #[test]
    fn a_set_iterates_in_order_and_prints_its_members() {
        let set: NodeSet = [NodeId(5), NodeId(0), NodeId(63)].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [NodeId(0), NodeId(5), NodeId(63)]);
        assert_eq!(set.to_string(), "{n0 n5 n63}");
        assert!(!set.contains(NodeId(64)));
        assert_eq!(set.without(NodeId(5)).len(), 2);
    }

    #[test]
    fn views_order_by_round_then_node() {
        assert!(View { round: 1, node: NodeId(9) } < View { round: 2, node: NodeId(0) });
        assert!(View { round: 2, node: NodeId(0) } < View { round: 2, node: NodeId(1) });
        assert_eq!(View { round: 2, node: NodeId(1) }.to_string(), "2.n1");
    }
}
