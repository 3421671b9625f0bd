//! Quorum systems: which members suffice to choose a batch (replication quorum, Q2) and which suffice to lead a view
//! (recovery quorum, Q1).
//!
//! Flexible Paxos (Howard, Malkhi, Spiegelman 2016) asks for one thing only: *every Q1 meets every Q2*. Two Q2s need
//! not meet, nor two Q1s. A [`QuorumSystem`] exists only if that holds: it is shown by arithmetic where that suffices
//! (counts and weights that together exceed the whole; a row and a column always cross), else by looking at every pair.
//!
//! Whoever contains a quorum is one, so all questions are of the form *do these members contain a quorum?* Nobody
//! counts members: outside of this module no size means anything.

mod spec;

use crate::ids::{NodeId, NodeSet};
use alloc::{string::String, vec::Vec};
use core::fmt;
use serde::Serialize;
pub use spec::QuorumSpec;

/// The most members a cluster may have.
pub const MEMBERS_MAX: usize = 16;

/// The most sets an explicit system may list for one phase.
pub const SETS_MAX: usize = 128;

/// A checked quorum system over a fixed member set.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct QuorumSystem {
    members: NodeSet,
    replication: Family,
    recovery: Family,
}

/// The quorums of one phase.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
enum Family {
    /// Any so many members.
    Count(u8),
    /// Any members that weigh so much together; weights are those of the members in ascending order.
    Weight { weights: Vec<u16>, least: u32 },
    /// Whoever contains one of these.
    AnyOf(Vec<NodeSet>),
}

/// Why a quorum system cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QuorumError {
    /// The text names no quorum system.
    Unknown(String),
    /// The text names a kind of quorum system and does not go on as it should.
    Malformed {
        /// What was written.
        text: String,
        /// How such a system is written.
        form: &'static str,
    },
    /// No members, or more than [`MEMBERS_MAX`].
    Members(usize),
    /// The replication quorum has no members, or more than there are.
    Size {
        /// What was asked for.
        spec: QuorumSpec,
        /// The members there are.
        members: usize,
    },
    /// Weights, or places in a grid, for another number of members.
    Shape {
        /// What was asked for.
        spec: QuorumSpec,
        /// How many members it is about.
        wanted: usize,
        /// The members there are.
        members: usize,
    },
    /// All members together weigh less than a quorum must.
    OutOfReach {
        /// What was asked for.
        spec: QuorumSpec,
        /// The threshold.
        least: u32,
        /// What all members weigh.
        total: u32,
    },
    /// A set names somebody who is not a member.
    Stranger {
        /// What was asked for.
        spec: QuorumSpec,
        /// Who is named.
        node: NodeId,
    },
    /// A phase has no sets, or more than [`SETS_MAX`].
    Sets(usize),
    /// A recovery quorum misses a replication quorum: a new leader could overlook what was chosen.
    Disjoint {
        /// What was asked for.
        spec: QuorumSpec,
        /// A replication quorum.
        replication: NodeSet,
        /// A recovery quorum without any of its members.
        recovery: NodeSet,
    },
}

impl fmt::Display for QuorumError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QuorumError::Unknown(text) => write!(
                f,
                "unknown quorum system \"{text}\"; known are majority, non-strict-majority, all-in, one-in, fixed:K, \
                 weighted:..., grid:... and explicit:..."
            ),
            QuorumError::Malformed { text, form } => {
                write!(f, "quorum system \"{text}\" is not written as it should be, such as {form}")
            }
            QuorumError::Members(n) => write!(f, "a cluster has 1 to {MEMBERS_MAX} members, not {n}"),
            QuorumError::Size { spec: spec @ QuorumSpec::Fixed(k), members } if *k < 1 => write!(
                f,
                "quorum system {spec} of {members} members is unsafe: a replication quorum of no members meets no \
                 recovery quorum, for instance {{}} and all {members}; K must be from 1 to {members}"
            ),
            QuorumError::Size { spec, members } => write!(
                f,
                "quorum system {spec} of {members} members is impossible: no replication quorum can have that many \
                 members, so nothing could ever be chosen; K must be from 1 to {members}"
            ),
            QuorumError::Shape { spec, wanted, members } => {
                write!(f, "quorum system {spec} is one of {wanted} members, but there are {members}")
            }
            QuorumError::OutOfReach { spec, least, total } => write!(
                f,
                "quorum system {spec} is impossible: a quorum must weigh {least}, and all members together weigh \
                 {total}"
            ),
            QuorumError::Stranger { spec, node } => {
                write!(f, "quorum system {spec} names {node}, which is not a member")
            }
            QuorumError::Sets(count) => {
                write!(f, "an explicit quorum system lists 1 to {SETS_MAX} sets for each phase, not {count}")
            }
            QuorumError::Disjoint { spec, replication, recovery } => write!(
                f,
                "quorum system {spec} is unsafe: the replication quorum {replication} and the recovery quorum \
                 {recovery} have no member in common, so a new leader could overlook what was chosen"
            ),
        }
    }
}

impl core::error::Error for QuorumError {}

impl QuorumSystem {
    /// Works out `spec` for `members` and checks that every Q1 meets every Q2.
    pub fn new(spec: &QuorumSpec, members: NodeSet) -> Result<Self, QuorumError> {
        let n = members.len();
        if n == 0 || n > MEMBERS_MAX {
            return Err(QuorumError::Members(n));
        }
        let (replication, recovery) = families(spec, members)?;
        let system = Self { members, replication, recovery };
        match system.disjoint_pair() {
            None => Ok(system),
            Some((replication, recovery)) => Err(QuorumError::Disjoint { spec: spec.clone(), replication, recovery }),
        }
    }

    /// All members, whose votes alone count.
    pub fn members(&self) -> NodeSet {
        self.members
    }

    /// Whether `nodes` contain a replication quorum (Q2): enough acceptances to choose a batch.
    #[inline]
    pub fn has_replication_quorum(&self, nodes: NodeSet) -> bool {
        self.replication.within(self.members, nodes)
    }

    /// Whether `nodes` contain a recovery quorum (Q1): enough promises to lead a view.
    pub fn has_recovery_quorum(&self, nodes: NodeSet) -> bool {
        self.recovery.within(self.members, nodes)
    }

    /// A replication quorum and a recovery quorum that miss each other, if there are any.
    fn disjoint_pair(&self) -> Option<(NodeSet, NodeSet)> {
        match (&self.replication, &self.recovery) {
            (Family::Count(replication), Family::Count(recovery)) => {
                // Two counting quorums meet in every case only if together they exceed the members.
                let exceed = usize::from(*replication) + usize::from(*recovery) > self.members.len();
                assert!(exceed, "a recovery quorum misses a replication quorum");
                None
            }
            (Family::Weight { weights, least: replication }, Family::Weight { least: recovery, .. })
                if u64::from(*replication) + u64::from(*recovery) > u64::from(total(weights)) =>
            {
                None
            }
            (Family::AnyOf(replication), Family::AnyOf(recovery)) => {
                let pairs = replication.iter().flat_map(|q2| recovery.iter().map(move |q1| (*q2, *q1)));
                pairs.into_iter().find(|(q2, q1)| q2.intersection(*q1).is_empty())
            }
            _ => self.disjoint_split(),
        }
    }

    /// Tries every split of the members: two quorums are disjoint only if some split has one on either side.
    fn disjoint_split(&self) -> Option<(NodeSet, NodeSet)> {
        let is_pair =
            |(one, other): &(NodeSet, NodeSet)| self.has_replication_quorum(*one) && self.has_recovery_quorum(*other);
        let (one, other) =
            subsets(self.members).map(|one| (one, self.members.difference(one))).find(|pair| is_pair(pair))?;
        Some((
            smallest_within(one, |nodes| self.has_replication_quorum(nodes)),
            smallest_within(other, |nodes| self.has_recovery_quorum(nodes)),
        ))
    }
}

impl Family {
    /// Whether `nodes` contain a quorum.
    #[inline(always)]
    fn within(&self, members: NodeSet, nodes: NodeSet) -> bool {
        match self {
            Family::Count(least) => nodes.intersection(members).len() >= usize::from(*least),
            Family::Weight { weights, least } => weigh(weights, members, nodes) >= *least,
            Family::AnyOf(sets) => sets.iter().any(|set| set.difference(nodes).is_empty()),
        }
    }
}

/// What those of `nodes` weigh together that are members; the weights are theirs by ascending id.
fn weigh(weights: &[u16], members: NodeSet, nodes: NodeSet) -> u32 {
    let present = members.iter().zip(weights).filter(|(node, _)| nodes.contains(*node));
    present.map(|(_, weight)| u32::from(*weight)).sum()
}

/// Replication quorums and recovery quorums of `spec`, not yet checked against each other.
fn families(spec: &QuorumSpec, members: NodeSet) -> Result<(Family, Family), QuorumError> {
    let n = members.len();
    let count = |replication: usize, recovery: usize| {
        assert!((1..=n).contains(&replication) && (1..=n).contains(&recovery), "quorum larger than the cluster");
        Ok((Family::Count(replication as u8), Family::Count(recovery as u8)))
    };
    match spec {
        QuorumSpec::Majority => count(n / 2 + 1, n / 2 + 1),
        QuorumSpec::NonStrictMajority => count(n.div_ceil(2), n / 2 + 1),
        QuorumSpec::AllIn => count(n, 1),
        QuorumSpec::OneIn => count(1, n),
        QuorumSpec::Fixed(k) if (1..=n as i64).contains(k) => count(*k as usize, n + 1 - *k as usize),
        QuorumSpec::Fixed(_) => Err(QuorumError::Size { spec: spec.clone(), members: n }),
        QuorumSpec::Weighted { weights, replication, recovery } => {
            if weights.len() != n {
                return Err(QuorumError::Shape { spec: spec.clone(), wanted: weights.len(), members: n });
            }
            let least = *replication.max(recovery);
            if least > total(weights) {
                return Err(QuorumError::OutOfReach { spec: spec.clone(), least, total: total(weights) });
            }
            let family = |least| Family::Weight { weights: weights.clone(), least };
            Ok((family(*replication), family(*recovery)))
        }
        QuorumSpec::Grid { rows, columns, transposed } => {
            let (height, width) = (usize::from(*rows), usize::from(*columns));
            if height * width != n {
                return Err(QuorumError::Shape { spec: spec.clone(), wanted: height * width, members: n });
            }
            let places: Vec<NodeId> = members.iter().collect();
            let rows = places.chunks(width).map(|row| row.iter().copied().collect()).collect();
            let columns =
                (0..width).map(|column| places.iter().skip(column).step_by(width).copied().collect()).collect();
            let (rows, columns) = (Family::AnyOf(rows), Family::AnyOf(columns));
            Ok(if *transposed { (rows, columns) } else { (columns, rows) })
        }
        QuorumSpec::Explicit { replication, recovery } => {
            let family = |sets: &Vec<NodeSet>| {
                if !(1..=SETS_MAX).contains(&sets.len()) {
                    return Err(QuorumError::Sets(sets.len()));
                }
                let named = sets.iter().fold(NodeSet::EMPTY, |all, set| all.union(*set));
                match named.difference(members).iter().next() {
                    Some(node) => Err(QuorumError::Stranger { spec: spec.clone(), node }),
                    None => Ok(Family::AnyOf(sets.clone())),
                }
            };
            Ok((family(replication)?, family(recovery)?))
        }
    }
}

fn total(weights: &[u16]) -> u32 {
    weights.iter().copied().map(u32::from).sum()
}

/// Every subset of `of`, the empty one first.
pub fn subsets(of: NodeSet) -> impl Iterator<Item = NodeSet> {
    let members: Vec<NodeId> = of.iter().collect();
    assert!(members.len() <= MEMBERS_MAX, "subsets of a cluster's members only");
    (0_u32..1 << members.len()).map(move |bits| {
        members.iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1).map(|(_, node)| *node).collect()
    })
}

/// Takes out of `nodes` whoever is not needed for `suffices` to hold.
fn smallest_within(nodes: NodeSet, suffices: impl Fn(NodeSet) -> bool) -> NodeSet {
    nodes.iter().fold(nodes, |rest, node| if suffices(rest.without(node)) { rest.without(node) } else { rest })
}

#[cfg(test)]
mod tests;
