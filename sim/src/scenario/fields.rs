//! Directives of the form `name key=value ...`: one table per record serves reading, writing and suggestions.

use super::{Cluster, Disk, Links, Workload};
use ios_core::{
    configuration::Lease,
    options::{Delegate, Participant, Seal},
    replica::quorum::QuorumSpec,
    time::Span,
};

/// A value of a `key=value` pair.
pub trait Value: PartialEq + Sized {
    /// Reads it, or says what would do.
    fn read(text: &str) -> Result<Self, String>;
    /// Writes what [`Value::read`] reads back.
    fn write(&self) -> String;
}

/// A share of a hundred.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Percent(pub u8);

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Value for $number {
            fn read(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("\"{text}\" is not a whole number from 0 to {}", <$number>::MAX))
            }
            fn write(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

numbers!(u8, u32, u64, usize);

impl Value for Percent {
    fn read(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').and_then(|number| number.parse().ok());
        number.filter(|n| *n <= 100).map(Percent).ok_or_else(|| format!("\"{text}\" is not a share such as 30%"))
    }
    fn write(&self) -> String {
        format!("{}%", self.0)
    }
}

impl Value for Span {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|bad| format!("\"{text}\": {bad}"))
    }
    fn write(&self) -> String {
        self.to_string()
    }
}

/// A range, both ends included; a single value stands for both.
impl Value for (Span, Span) {
    fn read(text: &str) -> Result<Self, String> {
        let (low, high) = text.split_once("..").unwrap_or((text, text));
        let (low, high) = (Span::read(low)?, Span::read(high)?);
        if low > high { Err(format!("the range {text} is upside down")) } else { Ok((low, high)) }
    }
    fn write(&self) -> String {
        if self.0 == self.1 { self.0.to_string() } else { format!("{}..{}", self.0, self.1) }
    }
}

impl Value for bool {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(format!("\"{text}\" is neither on nor off")),
        }
    }
    fn write(&self) -> String {
        if *self { "on".into() } else { "off".into() }
    }
}

impl Value for QuorumSpec {
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error| format!("{error}"))
    }
    fn write(&self) -> String {
        self.to_string()
    }
}

macro_rules! words {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn read(text: &str) -> Result<Self, String> {
                text.parse()
            }
            fn write(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

words!(Delegate, Participant);

impl Value for Option<Lease> {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(None),
            lease => lease.parse().map(Some).map_err(|error| format!("{error}")),
        }
    }
    fn write(&self) -> String {
        self.map_or("off".into(), |lease| lease.to_string())
    }
}

impl Value for Seal {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "lazy" => Ok(Seal::Lazy),
            "eager" => Ok(Seal::Eager),
            _ => Err(format!("\"{text}\" is neither lazy nor eager")),
        }
    }
    fn write(&self) -> String {
        match self {
            Seal::Lazy => "lazy".into(),
            Seal::Eager => "eager".into(),
        }
    }
}

/// A record that a directive sets, key by key.
pub trait Record: Default {
    /// All keys.
    const KEYS: &'static [&'static str];
    /// Sets one; `None` if there is no such key.
    fn set(&mut self, key: &str, text: &str) -> Option<Result<(), String>>;
    /// `key=value` of everything that is not as by default, in the order of the keys.
    fn settings(&self) -> Vec<String>;
}

macro_rules! record {
    ($record:ty { $($key:literal => $($path:ident).+;)* }) => {
        impl Record for $record {
            const KEYS: &'static [&'static str] = &[$($key),*];

            fn set(&mut self, key: &str, text: &str) -> Option<Result<(), String>> {
                Some(match key {
                    $($key => Value::read(text).map(|value| self.$($path).+ = value),)*
                    _ => return None,
                })
            }

            fn settings(&self) -> Vec<String> {
                let default = Self::default();
                let mut all = Vec::new();
                $(if self.$($path).+ != default.$($path).+ {
                    all.push(format!("{}={}", $key, self.$($path).+.write()));
                })*
                all
            }
        }
    };
}

record! { Cluster {
    "nodes" => nodes;
    "quorum" => quorum;
    "window" => window;
    "index_exclusivity" => index_exclusivity;
    "implicit_commit" => implicit_commit;
    "clients" => clients;
    "told" => told;
    "lease" => lease;
    "session_ttl" => session_ttl;
    "client_retry" => client_retry;
    "client_deadline" => client_deadline;
    "before_force" => before_force;
    "heartbeat" => options.heartbeat;
    "election_timeout" => options.election_timeout;
    "max_batch" => options.max_batch;
    "max_batch_bytes" => options.max_batch_bytes;
    "batch_interval" => options.batch_interval;
    "explicit_commit" => options.explicit_commit;
    "thrifty" => options.thrifty;
    "delegate" => options.delegate;
    "participant" => options.participant;
    "participant_read" => options.participant_read;
    "queue_max" => options.queue_max;
    "reads_max" => options.reads_max;
    "snapshot_interval" => options.snapshot_interval;
    "length" => options.length;
    "snapshot_block" => options.snapshot_block;
    "segment_bytes" => options.journal.segment_bytes;
    "segment_records" => options.journal.segment_records;
    "seal" => options.journal.seal;
    "seal_idle" => options.journal.seal_idle;
} }

record! { Links {
    "delay" => delay;
    "drop" => drop;
    "duplicate" => duplicate;
    "reorder" => reorder;
    "late" => late;
    "late_by" => late_by;
    "damage" => damage;
    "queue" => queue;
} }

record! { Disk {
    "latency" => latency;
    "lost" => lost;
    "torn" => torn;
    "slow" => slow;
    "slow_by" => slow_by;
    "beyond" => beyond;
} }

record! { Workload {
    "ops" => ops;
    "keys" => keys;
    "reads" => reads;
    "participant" => participant;
    "stale" => stale;
    "deletes" => deletes;
    "cas" => cas;
    "multi" => multi;
    "value" => value;
    "think" => think;
    "in_flight" => in_flight;
} }
