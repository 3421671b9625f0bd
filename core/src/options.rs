//! What one node decides for itself: timing, batching, journal layout, bounds. Members of one cluster may differ in all
//! of it. Cluster-wide values are in [`crate::configuration`].

use crate::{configuration::Configuration, ids::NodeId, message::is_address, replica::quorum::MEMBERS_MAX, time::Span};
use alloc::{collections::BTreeMap, format, string::String};
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

/// The largest block of a snapshot: it travels in the header of a message.
pub const SNAPSHOT_BLOCK_MAX: u32 = 512 << 10;

/// A node's own settings. [`Options::check`] says whether they make sense together.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Options {
    /// How often an idle leader says that it is alive.
    pub heartbeat: Span,
    /// How long a silent leader is believed in; jittered up to twice that.
    pub election_timeout: Span,
    /// Most requests in one batch.
    pub max_batch: usize,
    /// Most payload bytes in one batch (a single larger request still gets a batch of its own).
    pub max_batch_bytes: usize,
    /// How long the first queued request waits for company; zero takes what is there at the end of a driver's turn.
    pub batch_interval: Span,
    /// Tell everyone at once what was chosen, instead of with the next message.
    pub explicit_commit: bool,
    /// Ask only as many members to accept a batch as suffice, and the others when those do not answer.
    pub thrifty: bool,
    /// Who stores this node's assignments at a replication quorum while it leads.
    pub delegate: Delegate,
    /// What this node does with a client's command, or leader read, while it follows a leader.
    pub participant: Participant,
    /// Serve participant reads, whether this node leads or not.
    pub participant_read: bool,
    /// Most requests waiting for a place in the window; beyond it they are refused as overloaded.
    pub queue_max: usize,
    /// Most leader reads, and most participant reads, waiting for confirmation or for the log to be applied.
    pub reads_max: usize,
    /// A snapshot is taken whenever so many batches have been applied since the last one; zero leaves that to `length`
    /// alone.
    pub snapshot_interval: u64,
    /// Most batches kept in the log. At half of that a snapshot is taken whatever the interval; at all of it the leader
    /// refuses new commands as overloaded until one is done.
    pub length: u64,
    /// Bytes of a snapshot that are made, written and sent at once.
    pub snapshot_block: u32,
    /// How the journal lays out its files.
    pub journal: JournalOptions,
    /// Where clients reach the members, as far as this node was told; it tells clients, and uses none of it itself.
    pub client_addresses: BTreeMap<NodeId, String>,
}

/// Whom a leader asks to store its assignments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Delegate {
    /// Nobody: it sends every batch to everyone itself.
    #[default]
    None,
    /// So many other members, in turn.
    Rotate(u8),
    /// The member that forwarded the requests; nobody for those that came from clients.
    Forwarder,
}

/// What becomes of a client's command, or leader read, at a node that does not lead.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Participant {
    /// The client is told who leads.
    #[default]
    Redirect,
    /// The node hands it to the leader, and answers when it has executed it. Of a read it asks the leader up to where
    /// it must see, and answers when it has executed that.
    Forward,
}

impl fmt::Display for Delegate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Delegate::None => f.write_str("none"),
            Delegate::Rotate(nodes) => write!(f, "{nodes}"),
            Delegate::Forwarder => f.write_str("forwarder"),
        }
    }
}

impl FromStr for Delegate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Delegate::None),
            "forwarder" => Ok(Delegate::Forwarder),
            _ => match text.parse() {
                Ok(nodes) if (1..=MEMBERS_MAX as u8).contains(&nodes) => Ok(Delegate::Rotate(nodes)),
                _ => Err(format!("must be none, forwarder, or how many members from 1 to {MEMBERS_MAX}, not {text}")),
            },
        }
    }
}

impl fmt::Display for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Participant::Redirect => "redirect",
            Participant::Forward => "forward",
        })
    }
}

impl FromStr for Participant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "redirect" => Ok(Participant::Redirect),
            "forward" => Ok(Participant::Forward),
            _ => Err(format!("must be redirect or forward, not {text}")),
        }
    }
}

/// Layout and timing of the journal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JournalOptions {
    /// Bytes of one segment file, header and id table included.
    pub segment_bytes: u64,
    /// Id slots in one segment: the most records it can hold.
    pub segment_records: u32,
    /// When an acceptance may be acknowledged.
    pub seal: Seal,
    /// How long after a round its slots are written if no other round carries them.
    pub seal_idle: Span,
    /// Whether anything is made durable at all.
    pub persistence: Persistence,
}

/// What the journal does with what it is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Persistence {
    /// Makes it durable before anyone relies on it.
    Durable,
    /// Forgets it: a node that stops must never come back, or it breaks its promises. For benchmarks, and for clusters
    /// whose operator said in so many words that they may lose everything.
    None,
}

/// When a record counts as durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Seal {
    /// When its body is synced: rot is located once the record is older than the idle time.
    Lazy,
    /// When its id slot is synced too: rot is located at any age, at the price of a second sync.
    Eager,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            heartbeat: Span::millis(50),
            election_timeout: Span::millis(500),
            max_batch: 1024,
            max_batch_bytes: 1 << 20,
            batch_interval: Span::ZERO,
            explicit_commit: false,
            thrifty: false,
            delegate: Delegate::None,
            participant: Participant::Redirect,
            participant_read: false,
            queue_max: 64 * 1024,
            reads_max: 64 * 1024,
            snapshot_interval: 100_000,
            length: 1_000_000,
            snapshot_block: 256 << 10,
            journal: JournalOptions::default(),
            client_addresses: BTreeMap::new(),
        }
    }
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            segment_records: 128 * 1024,
            seal: Seal::Lazy,
            seal_idle: Span::millis(5),
            persistence: Persistence::Durable,
        }
    }
}

/// Why options do not make sense.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadOption {
    /// The option's name as in `ios.toml`.
    pub name: &'static str,
    /// What is wrong, and what would do.
    pub why: &'static str,
}

impl fmt::Display for BadOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "option {}: {}", self.name, self.why)
    }
}

impl core::error::Error for BadOption {}

impl Options {
    /// Whether a leader can choose whom it relies on first.
    pub fn has_choice(&self) -> bool {
        self.thrifty || self.delegate != Delegate::None
    }

    /// Whether every value is within its bounds.
    pub fn check(&self) -> Result<(), BadOption> {
        let rules = [
            ("heartbeat", self.heartbeat > Span::ZERO, "must be longer than nothing"),
            (
                "election_timeout",
                self.election_timeout >= self.heartbeat.times(2),
                "must be at least two heartbeats, or healthy leaders are given up",
            ),
            ("election_timeout", self.election_timeout <= Span::secs(3600), "must be at most an hour"),
            ("max_batch", (1..=1 << 20).contains(&self.max_batch), "must be from 1 to 1048576"),
            ("max_batch_bytes", (1..=16 << 20).contains(&self.max_batch_bytes), "must be from 1 to 16 MiB"),
            ("batch_interval", self.batch_interval < self.election_timeout, "must be below the election timeout"),
            ("delegate", self.delegate != Delegate::Rotate(0), "must be none, forwarder, or at least 1 member"),
            ("queue_max", self.queue_max >= 1, "must be at least 1"),
            ("reads_max", self.reads_max >= 1, "must be at least 1"),
            ("length", self.length >= 1, "must be at least 1"),
            (
                "snapshot_block",
                (64..=SNAPSHOT_BLOCK_MAX).contains(&self.snapshot_block),
                "must be from 64 bytes to 512 KiB",
            ),
            ("journal.segment_records", self.journal.segment_records >= 4, "must be at least 4"),
            ("journal.segment_records", self.journal.segment_records <= 1 << 24, "must be at most 16777216"),
            (
                "journal.segment_bytes",
                self.journal.segment_bytes >= crate::journal::segment_bytes_min(self.journal.segment_records),
                "must leave room for header, id table and one record of the largest size",
            ),
            ("journal.segment_bytes", self.journal.segment_bytes <= 4 << 30, "must be at most 4 GiB"),
            (
                "client",
                self.client_addresses.len() <= MEMBERS_MAX && self.client_addresses.values().all(|at| is_address(at)),
                "must be of at most 16 members, each printable ASCII without spaces, 261 characters at the longest",
            ),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((name, _, why)) => Err(BadOption { name, why }),
            None => Ok(()),
        }
    }

    /// Whether the values also suit what the whole cluster agrees on.
    pub fn check_for(&self, configuration: &Configuration) -> Result<(), BadOption> {
        if configuration.lease().is_some_and(|lease| lease.relied_on() <= self.heartbeat) {
            let why = "must be shorter than a lease is relied on, or none is held for long";
            return Err(BadOption { name: "heartbeat", why });
        }
        Ok(())
    }
}
