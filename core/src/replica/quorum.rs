//! Quorum systems: which members suffice to choose a batch (replication quorum, Q2) and which suffice to lead a view
//! (recovery quorum, Q1).
//!
//! Flexible Paxos (Howard, Malkhi, Spiegelman 2016) asks for one thing only: *every Q1 meets every Q2*. Two Q2s need
//! not meet, nor two Q1s. A [`QuorumSystem`] exists only if that holds.

use crate::ids::NodeSet;
use alloc::string::{String, ToString};
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

/// The most members a cluster may have.
pub const MEMBERS_MAX: usize = 16;

/// How a quorum system is asked for; sizes are worked out for a given number of members.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum QuorumSpec {
    /// More than half for both phases.
    Majority,
    /// At least half to replicate, more than half to recover.
    NonStrictMajority,
    /// Everyone to replicate, anyone to recover.
    AllIn,
    /// Anyone to replicate, everyone to recover.
    OneIn,
    /// Exactly this many to replicate, all but that many and one to recover.
    Fixed(i64),
}

/// A checked quorum system over a fixed member set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QuorumSystem {
    members: NodeSet,
    replication: u8,
    recovery: u8,
}

/// Why a quorum system cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QuorumError {
    /// The text names no quorum system.
    Unknown(String),
    /// No members, or more than [`MEMBERS_MAX`].
    Members(usize),
    /// The replication quorum has no members, or more than there are.
    Size {
        /// What was asked for.
        spec: QuorumSpec,
        /// The members there are.
        members: usize,
    },
}

impl fmt::Display for QuorumError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QuorumError::Unknown(text) => write!(
                f,
                "unknown quorum system \"{text}\"; known are majority, non-strict-majority, all-in, one-in and fixed:K"
            ),
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
        }
    }
}

impl core::error::Error for QuorumError {}

impl fmt::Display for QuorumSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QuorumSpec::Majority => f.write_str("majority"),
            QuorumSpec::NonStrictMajority => f.write_str("non-strict-majority"),
            QuorumSpec::AllIn => f.write_str("all-in"),
            QuorumSpec::OneIn => f.write_str("one-in"),
            QuorumSpec::Fixed(k) => write!(f, "fixed:{k}"),
        }
    }
}

impl FromStr for QuorumSpec {
    type Err = QuorumError;

    /// Reads our spelling and the Go prototype's (`strict majority`, `non-strict majority`, `all-in`, `one-in`).
    fn from_str(text: &str) -> Result<Self, QuorumError> {
        match text.trim() {
            "majority" | "strict majority" => Ok(QuorumSpec::Majority),
            "non-strict-majority" | "non-strict majority" => Ok(QuorumSpec::NonStrictMajority),
            "all-in" => Ok(QuorumSpec::AllIn),
            "one-in" => Ok(QuorumSpec::OneIn),
            other => other
                .strip_prefix("fixed:")
                .and_then(|k| k.trim().parse().ok())
                .map(QuorumSpec::Fixed)
                .ok_or_else(|| QuorumError::Unknown(other.to_string())),
        }
    }
}

impl QuorumSystem {
    /// Sizes `spec` for `members` and checks that every Q1 meets every Q2.
    pub fn new(spec: QuorumSpec, members: NodeSet) -> Result<Self, QuorumError> {
        let n = members.len();
        if n == 0 || n > MEMBERS_MAX {
            return Err(QuorumError::Members(n));
        }
        let size = n as i64;
        let (replication, recovery) = match spec {
            QuorumSpec::Majority => (size / 2 + 1, size / 2 + 1),
            QuorumSpec::NonStrictMajority => ((size + 1) / 2, size / 2 + 1),
            QuorumSpec::AllIn => (size, 1),
            QuorumSpec::OneIn => (1, size),
            QuorumSpec::Fixed(k) if (1..=size).contains(&k) => (k, size + 1 - k),
            QuorumSpec::Fixed(_) => return Err(QuorumError::Size { spec, members: n }),
        };
        // Two counting quorums meet in every case only if together they exceed the members.
        assert!(replication + recovery > size, "a recovery quorum misses a replication quorum");
        assert!((1..=size).contains(&replication) && (1..=size).contains(&recovery), "quorum larger than the cluster");
        Ok(Self { members, replication: replication as u8, recovery: recovery as u8 })
    }

    /// All members, whose votes alone count.
    pub fn members(&self) -> NodeSet {
        self.members
    }

    /// Whether `nodes` contain a replication quorum (Q2): enough acceptances to choose a batch.
    pub fn has_replication_quorum(&self, nodes: NodeSet) -> bool {
        nodes.intersection(self.members).len() >= usize::from(self.replication)
    }

    /// Whether `nodes` contain a recovery quorum (Q1): enough promises to lead a view.
    pub fn has_recovery_quorum(&self, nodes: NodeSet) -> bool {
        nodes.intersection(self.members).len() >= usize::from(self.recovery)
    }

    /// Members in the smallest replication quorum and in the smallest recovery quorum.
    pub fn sizes(&self) -> (usize, usize) {
        (usize::from(self.replication), usize::from(self.recovery))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::NodeId;
    use alloc::{vec, vec::Vec};

    fn members(n: u8) -> NodeSet {
        (0..n).map(NodeId).collect()
    }

    fn subsets(n: u8) -> impl Iterator<Item = NodeSet> {
        (0u32..1 << n).map(move |bits| (0..n).filter(|i| bits >> i & 1 == 1).map(NodeId).collect())
    }

    #[test]
    fn every_recovery_quorum_meets_every_replication_quorum_up_to_seven_members() {
        for n in 1..=7 {
            let mut specs =
                vec![QuorumSpec::Majority, QuorumSpec::NonStrictMajority, QuorumSpec::AllIn, QuorumSpec::OneIn];
            specs.extend((1..=i64::from(n)).map(QuorumSpec::Fixed));
            for spec in specs {
                let system = QuorumSystem::new(spec, members(n)).unwrap();
                let recovery: Vec<_> = subsets(n).filter(|s| system.has_recovery_quorum(*s)).collect();
                let replication: Vec<_> = subsets(n).filter(|s| system.has_replication_quorum(*s)).collect();
                assert!(!recovery.is_empty() && !replication.is_empty(), "{spec} of {n} has quorums");
                for q1 in &recovery {
                    for q2 in &replication {
                        assert!(!q1.intersection(*q2).is_empty(), "{spec} of {n}: {q1} misses {q2}");
                    }
                }
            }
        }
    }

    #[test]
    fn unsafe_and_impossible_systems_are_refused() {
        for k in [-1, 0, 6, i64::MIN, i64::MAX] {
            let error = QuorumSystem::new(QuorumSpec::Fixed(k), members(5)).unwrap_err();
            assert!(error.to_string().contains("K must be from 1 to 5"), "{error}");
        }
        assert_eq!(QuorumSystem::new(QuorumSpec::Majority, NodeSet::EMPTY), Err(QuorumError::Members(0)));
        assert_eq!(QuorumSystem::new(QuorumSpec::Majority, members(17)), Err(QuorumError::Members(17)));
    }

    #[test]
    fn votes_of_strangers_do_not_count() {
        let system = QuorumSystem::new(QuorumSpec::Majority, members(3)).unwrap();
        assert!(!system.has_replication_quorum([NodeId(0), NodeId(7), NodeId(8)].into_iter().collect()));
    }

    #[test]
    fn spellings_of_both_projects_are_read_and_ours_is_printed() {
        for (text, spec) in [
            ("majority", QuorumSpec::Majority),
            ("strict majority", QuorumSpec::Majority),
            ("non-strict majority", QuorumSpec::NonStrictMajority),
            ("all-in", QuorumSpec::AllIn),
            ("one-in", QuorumSpec::OneIn),
            ("fixed:2", QuorumSpec::Fixed(2)),
            ("fixed:-1", QuorumSpec::Fixed(-1)),
        ] {
            assert_eq!(text.parse(), Ok(spec));
            assert_eq!(spec.to_string().parse(), Ok(spec));
        }
        assert!("fixed:x".parse::<QuorumSpec>().is_err());
    }
}
