//! How a quorum system is asked for, and its one text form, which reads and prints inversely.
//!
//! | text | replication quorum (Q2) | recovery quorum (Q1) |
//! | --- | --- | --- |
//! | `majority` | more than half | more than half |
//! | `non-strict-majority` | at least half | more than half |
//! | `all-in` | everyone | anyone |
//! | `one-in` | anyone | everyone |
//! | `fixed:K` | any K | any n + 1 - K |
//! | `weighted:3,1,1,1/q2=4/q1=3` | members that weigh at least 4 together | at least 3 |
//! | `grid:RxC` | a column, one of each row | a row |
//! | `grid:RxC/transposed` | a row | a column, one of each row |
//! | `explicit:q2=0+1,1+2/q1=1,0+2` | one of the sets 0 1, 1 2 | one of the sets 1, 0 2 |
//!
//! Weights are those of the members by ascending id, and members fill a grid row by row in that order. The sets of an
//! explicit system name ids. The Go prototype's spellings (`strict majority`, `non-strict majority`) are read, too.

use super::QuorumError;
use crate::ids::{NodeId, NodeSet};
use alloc::{string::ToString, vec::Vec};
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

/// How a quorum system is asked for; what suffices is worked out for given members.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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
    /// Members whose weights reach a threshold. A member that weighs nothing keeps a copy and has no say.
    Weighted {
        /// Of the members by ascending id.
        weights: Vec<u16>,
        /// What a replication quorum weighs at least.
        replication: u32,
        /// What a recovery quorum weighs at least.
        recovery: u32,
    },
    /// Members in rows and columns: a column to replicate, a row to recover.
    Grid {
        /// How many rows.
        rows: u8,
        /// How many columns.
        columns: u8,
        /// The other way round: a row to replicate, a column to recover.
        transposed: bool,
    },
    /// Sets written down one by one.
    Explicit {
        /// Any of these suffices to replicate.
        replication: Vec<NodeSet>,
        /// Any of these suffices to recover.
        recovery: Vec<NodeSet>,
    },
}

impl fmt::Display for QuorumSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QuorumSpec::Majority => f.write_str("majority"),
            QuorumSpec::NonStrictMajority => f.write_str("non-strict-majority"),
            QuorumSpec::AllIn => f.write_str("all-in"),
            QuorumSpec::OneIn => f.write_str("one-in"),
            QuorumSpec::Fixed(k) => write!(f, "fixed:{k}"),
            QuorumSpec::Weighted { weights, replication, recovery } => {
                f.write_str("weighted:")?;
                separated(f, ",", weights)?;
                write!(f, "/q2={replication}/q1={recovery}")
            }
            QuorumSpec::Grid { rows, columns, transposed } => {
                write!(f, "grid:{rows}x{columns}{}", if *transposed { "/transposed" } else { "" })
            }
            QuorumSpec::Explicit { replication, recovery } => {
                f.write_str("explicit:q2=")?;
                separated(f, ",", replication.iter().map(Joined))?;
                f.write_str("/q1=")?;
                separated(f, ",", recovery.iter().map(Joined))
            }
        }
    }
}

/// A set as an explicit system spells it.
struct Joined<'a>(&'a NodeSet);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        separated(f, "+", self.0.iter().map(|node| node.0))
    }
}

fn separated(f: &mut fmt::Formatter<'_>, by: &str, items: impl IntoIterator<Item = impl fmt::Display>) -> fmt::Result {
    for (place, item) in items.into_iter().enumerate() {
        write!(f, "{}{item}", if place == 0 { "" } else { by })?;
    }
    Ok(())
}

impl FromStr for QuorumSpec {
    type Err = QuorumError;

    fn from_str(text: &str) -> Result<Self, QuorumError> {
        let text = text.trim();
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let malformed = |form| QuorumError::Malformed { text: text.to_string(), form };
        match kind {
            "fixed" => rest.trim().parse().map(QuorumSpec::Fixed).map_err(|_| malformed("fixed:K")),
            "weighted" => weighted(rest).ok_or_else(|| malformed("weighted:3,1,1,1/q2=4/q1=3")),
            "grid" => grid(rest).ok_or_else(|| malformed("grid:2x3 or grid:2x3/transposed")),
            "explicit" => explicit(rest).ok_or_else(|| malformed("explicit:q2=0+1,1+2/q1=1,0+2")),
            _ => match text {
                "majority" | "strict majority" => Ok(QuorumSpec::Majority),
                "non-strict-majority" | "non-strict majority" => Ok(QuorumSpec::NonStrictMajority),
                "all-in" => Ok(QuorumSpec::AllIn),
                "one-in" => Ok(QuorumSpec::OneIn),
                _ => Err(QuorumError::Unknown(text.to_string())),
            },
        }
    }
}

fn weighted(text: &str) -> Option<QuorumSpec> {
    let (weights, thresholds) = text.split_once('/')?;
    let weights = weights.split(',').map(|weight| weight.parse().ok()).collect::<Option<_>>()?;
    let (replication, recovery) = both_phases(thresholds)?;
    Some(QuorumSpec::Weighted { weights, replication: replication.parse().ok()?, recovery: recovery.parse().ok()? })
}

fn grid(text: &str) -> Option<QuorumSpec> {
    let (shape, transposed) = match text.strip_suffix("/transposed") {
        Some(shape) => (shape, true),
        None => (text, false),
    };
    let (rows, columns) = shape.split_once('x')?;
    Some(QuorumSpec::Grid { rows: rows.parse().ok()?, columns: columns.parse().ok()?, transposed })
}

fn explicit(text: &str) -> Option<QuorumSpec> {
    let (replication, recovery) = both_phases(text)?;
    Some(QuorumSpec::Explicit { replication: sets(replication)?, recovery: sets(recovery)? })
}

fn sets(text: &str) -> Option<Vec<NodeSet>> {
    let id = |id: &str| NodeId::try_from(id.parse::<u8>().ok()?).ok();
    text.split(',').map(|set| set.split('+').map(id).collect()).collect()
}

/// What stands behind `q2=` and `q1=`, in either order.
fn both_phases(text: &str) -> Option<(&str, &str)> {
    let (first, second) = text.split_once('/')?;
    match (first.strip_prefix("q2="), second.strip_prefix("q1=")) {
        (Some(replication), Some(recovery)) => Some((replication, recovery)),
        _ => Some((second.strip_prefix("q2=")?, first.strip_prefix("q1=")?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};

    #[test]
    fn spellings_of_both_projects_are_read_and_ours_is_printed() {
        let set = |ids: &[u8]| ids.iter().copied().map(NodeId).collect::<NodeSet>();
        for (text, spec) in [
            ("majority", QuorumSpec::Majority),
            ("strict majority", QuorumSpec::Majority),
            ("non-strict majority", QuorumSpec::NonStrictMajority),
            ("all-in", QuorumSpec::AllIn),
            (" one-in ", QuorumSpec::OneIn),
            ("fixed:2", QuorumSpec::Fixed(2)),
            ("fixed: -1", QuorumSpec::Fixed(-1)),
            (
                "weighted:3,1,0,1/q1=3/q2=4",
                QuorumSpec::Weighted { weights: vec![3, 1, 0, 1], replication: 4, recovery: 3 },
            ),
            ("grid:2x3", QuorumSpec::Grid { rows: 2, columns: 3, transposed: false }),
            ("grid:3x2/transposed", QuorumSpec::Grid { rows: 3, columns: 2, transposed: true }),
            (
                "explicit:q2=0+1,2/q1=2+1",
                QuorumSpec::Explicit { replication: vec![set(&[0, 1]), set(&[2])], recovery: vec![set(&[1, 2])] },
            ),
        ] {
            assert_eq!(text.parse(), Ok(spec.clone()));
            assert_eq!(spec.to_string().parse(), Ok(spec));
        }
        for text in ["weighted:3,1/q2=4/q1=3", "grid:2x3/transposed", "explicit:q2=0+1,2/q1=1+2", "fixed:3"] {
            assert_eq!(text.parse::<QuorumSpec>().map(|spec| spec.to_string()), Ok(text.to_string()));
        }
    }

    #[test]
    fn what_is_misspelt_is_answered_with_the_form_it_should_have() {
        for (text, form) in [
            ("fixed:x", "fixed:K"),
            ("fixed", "fixed:K"),
            ("weighted:1,1,1", "weighted:3,1,1,1/q2=4/q1=3"),
            ("weighted:1,,1/q2=2/q1=2", "weighted:3,1,1,1/q2=4/q1=3"),
            ("weighted:1,65536/q2=2/q1=2", "weighted:3,1,1,1/q2=4/q1=3"),
            ("weighted:1,1/q2=2/q2=2", "weighted:3,1,1,1/q2=4/q1=3"),
            ("weighted:1,1/q2=2/q1=2/q1=2", "weighted:3,1,1,1/q2=4/q1=3"),
            ("grid:23", "grid:2x3 or grid:2x3/transposed"),
            ("grid:2x3/turned", "grid:2x3 or grid:2x3/transposed"),
            ("explicit:q2=/q1=0", "explicit:q2=0+1,1+2/q1=1,0+2"),
            ("explicit:q2=0+64/q1=0", "explicit:q2=0+1,1+2/q1=1,0+2"),
        ] {
            let error = text.parse::<QuorumSpec>().unwrap_err();
            assert_eq!(error, QuorumError::Malformed { text: text.to_string(), form });
            assert!(error.to_string().contains(&format!("such as {form}")), "{error}");
        }
        assert_eq!("most".parse::<QuorumSpec>(), Err(QuorumError::Unknown("most".to_string())));
        assert_eq!("most:3".parse::<QuorumSpec>(), Err(QuorumError::Unknown("most:3".to_string())));
    }
}
