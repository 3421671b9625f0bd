//! In which order messages of different links arrive: the directive `order`.
//!
//! With independent delays a race between two messages is won by either about as often, and a run in which one side
//! loses many races in a row is rare. Priorities with a few changes of mind (PCT: Burckhardt et al. 2010, for messages)
//! and one link that is always late make such runs, which is where many orders that matter are found.

use super::{
    parse::{Words, node, span, unknown},
    plan::End,
};
use ios_core::{ids::NodeId, time::Span};
use std::fmt;

/// How many priorities there are: what has none waits for up to one `step` less than that many.
pub const RANKS: u64 = 4;

/// In which order messages of different links between members arrive.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Order {
    /// As their delays come out, each by itself.
    #[default]
    Independent,
    /// `order priorities links|nodes step=TIME`: each has a priority, and is later by so many steps. Who has which is a
    /// keyed choice, made anew at every `rerank` of the plan.
    Priorities {
        /// What has a priority.
        by: RankedBy,
        /// By how much later one priority is than the one above it.
        step: Span,
    },
    /// `order slow-link nX>nY TIME`: one link is later than all others.
    SlowLink {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
        /// By how much.
        by: Span,
    },
}

/// What has a priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RankedBy {
    /// Each link.
    Links,
    /// Each sender, on all its links.
    Nodes,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Independent => f.write_str("order independent"),
            Order::Priorities { by: RankedBy::Links, step } => write!(f, "order priorities links step={step}"),
            Order::Priorities { by: RankedBy::Nodes, step } => write!(f, "order priorities nodes step={step}"),
            Order::SlowLink { from, to, by } => write!(f, "order slow-link {from}>{to} {by}"),
        }
    }
}

/// Reads what follows `order`.
pub(super) fn read(rest: &mut Words<'_>) -> Result<Order, String> {
    match rest.next("independent, priorities or slow-link")? {
        "independent" => Ok(Order::Independent),
        "priorities" => {
            let by = match rest.next("links or nodes")? {
                "links" => RankedBy::Links,
                "nodes" => RankedBy::Nodes,
                other => return Err(unknown("bearer of a priority", other, ["links", "nodes"])),
            };
            let step = match rest.pair() {
                Some(("step", value)) => span(value)?,
                Some((key, _)) => return Err(unknown("key", key, ["step"])),
                None => return Err("step=TIME must follow: how much later each priority is than the one above".into()),
            };
            Ok(Order::Priorities { by, step })
        }
        "slow-link" => {
            let link = rest.next("a link, such as n0>n1")?;
            let (from, to) = link.split_once('>').ok_or_else(|| format!("\"{link}\" is no link, such as n0>n1"))?;
            Ok(Order::SlowLink { from: node(from)?, to: node(to)?, by: span(rest.next("a length of time")?)? })
        }
        other => Err(unknown("order", other, ["independent", "priorities", "slow-link"])),
    }
}

impl Order {
    /// The link and the length of time that it names, to be checked.
    pub(super) fn named(self) -> (Option<(End, End)>, Span) {
        match self {
            Order::Independent => (None, Span::ZERO),
            Order::Priorities { step, .. } => (None, step),
            Order::SlowLink { from, to, by } => (Some((End::Node(from), End::Node(to))), by),
        }
    }
}
