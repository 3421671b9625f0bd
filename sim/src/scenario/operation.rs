//! What clients ask: operations written by hand, and a generated workload.

use super::fields::Percent;
use crate::choice::{Chooser, Stream};
use ios_core::{message::ReadMode, time::Span};

/// One request of a client: one verb, or several that take effect as one (`a ; b`); a read may begin with its mode
/// (`stale get k`, `participant count`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    /// Who may answer it, if it is a read; else by the leader.
    pub mode: ReadMode,
    /// At least one, at most [`Operation::VERBS_MAX`].
    pub verbs: Vec<Verb>,
}

/// One thing a client asks for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verb {
    /// `get KEY`.
    Get(Vec<u8>),
    /// `put KEY VALUE`.
    Put(Vec<u8>, Vec<u8>),
    /// `delete KEY`.
    Delete(Vec<u8>),
    /// `exists KEY`.
    Exists(Vec<u8>),
    /// `count`: how many keys there are.
    Count,
    /// `cas KEY EXPECTED NEW`: put if the value is exactly the expected one.
    Cas(Vec<u8>, Vec<u8>, Vec<u8>),
}

impl Operation {
    /// The most verbs of one request.
    pub const VERBS_MAX: usize = 8;

    /// What only the leader may answer.
    pub fn by_leader(verbs: Vec<Verb>) -> Self {
        Self { mode: ReadMode::Leader, verbs }
    }

    /// Whether it can change nothing, so that it may be a read instead of a write.
    pub fn is_read(&self) -> bool {
        self.verbs.iter().all(|verb| matches!(verb, Verb::Get(_) | Verb::Exists(_) | Verb::Count))
    }
}

/// A generated workload: operations spread evenly over the clients. Shares are drawn per operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workload {
    /// How many operations in all; zero for none.
    pub ops: u32,
    /// Over how many keys.
    pub keys: u32,
    /// Share of reads among all.
    pub reads: Percent,
    /// Share of participant reads among reads.
    pub participant: Percent,
    /// Share of stale reads among the others.
    pub stale: Percent,
    /// Share of deletions among writes.
    pub deletes: Percent,
    /// Share of compare-and-set among writes.
    pub cas: Percent,
    /// Share of requests of several verbs among writes.
    pub multi: Percent,
    /// Bytes of a value, at least; values are unique, so that a reader's history tells which write it saw.
    pub value: u32,
    /// How long a client waits from the end of an operation to the next.
    pub think: (Span, Span),
    /// How many operations a client has under way at a time, up to 64.
    pub in_flight: u8,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            ops: 0,
            keys: 4,
            reads: Percent(30),
            participant: Percent(0),
            stale: Percent(0),
            deletes: Percent(5),
            cas: Percent(10),
            multi: Percent(5),
            value: 8,
            think: (Span::millis(1), Span::millis(20)),
            in_flight: 1,
        }
    }
}

impl Workload {
    /// How many of the operations are `client`'s.
    pub fn share(&self, client: u8, clients: u8) -> u32 {
        let (clients, client) = (u32::from(clients), u32::from(client));
        if client >= clients { 0 } else { self.ops / clients + u32::from(client < self.ops % clients) }
    }

    /// The `number`-th generated operation of a client, from 1.
    pub fn operation(&self, choose: Chooser, client: u8, number: u32) -> Operation {
        let key = |what: u64| [u64::from(client), u64::from(number), what];
        let percent = |what| choose.between(0, 99, Stream::Operation, &key(what));
        let verb = |place: u64, read: bool| self.verb(choose, client, number, place, read);
        if percent(0) < u64::from(self.reads.0) {
            let mode = match () {
                () if percent(3) < u64::from(self.participant.0) => ReadMode::Participant,
                () if percent(4) < u64::from(self.stale.0) => ReadMode::Stale,
                () => ReadMode::Leader,
            };
            return Operation { mode, verbs: vec![verb(0, true)] };
        }
        if percent(1) >= u64::from(self.multi.0) {
            return Operation::by_leader(vec![verb(0, false)]);
        }
        let count = choose.between(2, 4, Stream::Operation, &key(2));
        Operation::by_leader((0..count).map(|place| verb(place, percent(10 + place) < 40)).collect())
    }

    /// How long a client waits before its `number`-th generated operation.
    pub fn think(&self, choose: Chooser, client: u8, number: u32) -> Span {
        choose.span(self.think, Stream::Think, &[u64::from(client), u64::from(number)])
    }

    fn verb(&self, choose: Chooser, client: u8, number: u32, place: u64, read: bool) -> Verb {
        let draw = |low, high, what: u64| {
            choose.between(low, high, Stream::Operation, &[u64::from(client), u64::from(number), place, what])
        };
        let name = format!("k{}", draw(0, u64::from(self.keys.max(1)) - 1, 0)).into_bytes();
        if read {
            return match draw(0, 9, 1) {
                0 => Verb::Count,
                1 => Verb::Exists(name),
                _ => Verb::Get(name),
            };
        }
        let share = draw(0, 99, 2);
        let (deletes, cas) = (u64::from(self.deletes.0), u64::from(self.cas.0));
        let value = self.padded(format!("{client}.{number}.{place}"));
        if share < deletes {
            Verb::Delete(name)
        } else if share < deletes + cas {
            Verb::Cas(name, self.guess(choose, client, number, place), value)
        } else {
            Verb::Put(name, value)
        }
    }

    /// A value some client may have put a short while ago: a compare-and-set that never matched would test nothing.
    fn guess(&self, choose: Chooser, client: u8, number: u32, place: u64) -> Vec<u8> {
        let draw = |high, what: u64| {
            choose.between(0, high, Stream::Operation, &[u64::from(client), u64::from(number), place, what])
        };
        let of = draw(u64::from(client) + 1, 3);
        let back = 1 + draw(3, 4);
        self.padded(format!("{of}.{}.0", u64::from(number).saturating_sub(back).max(1)))
    }

    fn padded(&self, text: String) -> Vec<u8> {
        let mut value = text.into_bytes();
        value.resize(value.len().max(self.value as usize), b'.');
        value
    }
}
