//! What one member's disk holds, and what the member has vouched for.

use super::Finding;
use crate::oracle::Oracle;
use ios_core::{
    ids::{ConnectionId, Digest, DiskNonce, Incarnation, Index, NodeId, View},
    message::{ReadMode, Unknown},
    time::Time,
};
use std::collections::BTreeMap;

/// One member as its disk and its words show it.
#[derive(Clone, Debug)]
pub struct Member {
    node: NodeId,
    /// The highest promise that is durable.
    pub promised: View,
    /// The highest incarnation that is durable.
    pub incarnation: Incarnation,
    /// Everything up to here is in a durable snapshot.
    pub snapshot: Index,
    /// The disk it says it has.
    pub nonce: Option<DiskNonce>,
    /// The highest view it has vouched for in a message: from then on nothing lower is accepted.
    pub vouched: View,
    /// By reader: at which event the last answer to a `Barrier` left.
    pub told: BTreeMap<NodeId, u64>,
    /// By leader: the view of the last acknowledgement of a heartbeat, and at which event it left.
    pub followed: BTreeMap<NodeId, (View, u64)>,
    /// By index: the batch durably recorded as committed, and since which event.
    committed: Vec<Option<(Digest, u64)>>,
    /// This life.
    pub life: Life,
}

/// What lasts from one start to the next.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// Which start this is; zero before the first.
    pub number: u64,
    /// The promise that binds in memory.
    pub promised: Option<View>,
    /// At which event each promise of this life was made, the first being what it found: what became durable later need
    /// not be told in the promise, which may wait for its own sync until long after the next one was made.
    bound: Vec<(View, u64)>,
    /// Everything up to here was executed.
    pub applied: Index,
    /// The last request executed: index and position.
    pub executed: (Index, u32),
    /// The last view it came to lead.
    pub led: Option<View>,
    /// At which event it last relied on a lease.
    pub leased: Option<u64>,
    /// A leader told it up to where reads must see that had arrived by this event.
    pub referred: u64,
    /// Reads that have arrived and are not answered: connection, tag, and at which event. A client that has given up
    /// waiting may ask the same again, and in another mode.
    reads: BTreeMap<(ConnectionId, u64, u64), AskedRead>,
}

/// What was true when a read arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AskedRead {
    /// Who may answer it.
    pub mode: ReadMode,
    /// At which event.
    pub at: u64,
    /// What had been executed up to here, somewhere.
    pub executed: Index,
}

impl Life {
    /// When the promise of `view` was made, or a later one that covers it.
    pub fn promised_at(&self, view: View) -> u64 {
        let later = self.bound.iter().find(|(bound, _)| *bound >= view).or(self.bound.last());
        later.map_or(0, |(_, event)| *event)
    }

    /// A read arrives at this event.
    pub fn ask(&mut self, connection: ConnectionId, tag: u64, asked: AskedRead) {
        self.reads.insert((connection, tag, asked.at), asked);
    }

    /// A read is refused: the last of its kind, for one that waits may be answered yet. If it was asked for in several
    /// modes, nobody can tell which was refused.
    pub fn refuse(&mut self, connection: ConnectionId, tag: u64) {
        let waiting = self.asked(connection, tag);
        if let Some(last) = waiting.last().filter(|last| waiting.iter().all(|read| read.mode == last.mode)) {
            self.reads.remove(&(connection, tag, last.at));
        }
    }

    /// What a read that is answered may be: how often it was asked for and is not answered, the first time first.
    pub fn asked(&self, connection: ConnectionId, tag: u64) -> Vec<AskedRead> {
        let range = (connection, tag, 0)..=(connection, tag, u64::MAX);
        self.reads.range(range).map(|(_, asked)| *asked).collect()
    }

    /// A read is answered.
    pub fn answer(&mut self, connection: ConnectionId, tag: u64, asked: AskedRead) {
        self.reads.remove(&(connection, tag, asked.at));
    }
}

/// What a node tells about one index, after a restart or in a promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// Where.
    pub index: Index,
    /// The batch it holds and the view of its acceptance.
    pub accepted: Option<(View, Digest)>,
    /// Whether the batch is known committed.
    pub committed: bool,
    /// A newer record known only by name.
    pub unknown: Option<Unknown>,
    /// Whether nothing newer can have been lost.
    pub certain: bool,
}

impl Member {
    /// A member with an empty disk.
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            promised: View::ZERO,
            incarnation: Incarnation::default(),
            snapshot: Index::ZERO,
            nonce: None,
            vouched: View::ZERO,
            told: BTreeMap::new(),
            followed: BTreeMap::new(),
            committed: Vec::new(),
            life: Life::default(),
        }
    }

    /// A committed record became durable at this event. The log has checked the index and the batch.
    pub fn commit(&mut self, index: Index, digest: Digest, event: u64) {
        let place = usize::try_from(index.0 - 1).expect("the log bounds indexes");
        if self.committed.len() <= place {
            self.committed.resize(place + 1, None);
        }
        self.committed[place].get_or_insert((digest, event));
    }

    /// The batch it has durably recorded as committed.
    pub fn committed(&self, index: Index) -> Option<Digest> {
        self.committed_by(index, u64::MAX)
    }

    /// The batch it had durably recorded as committed by this event.
    pub fn committed_by(&self, index: Index, event: u64) -> Option<Digest> {
        let (digest, since) = (*self.committed.get(usize::try_from(index.0.checked_sub(1)?).ok()?)?)?;
        (since <= event).then_some(digest)
    }

    /// A new life begins.
    pub fn open(&mut self, promised: View, incarnation: Incarnation, event: u64) -> Result<(), Finding> {
        let node = self.node;
        let number = self.life.number + 1;
        self.life = Life { number, promised: Some(promised), bound: vec![(promised, event)], ..Life::default() };
        if promised < self.promised {
            let durable = self.promised;
            return Err((Oracle::Promise, format!("{node} opens with promise {promised}; {durable} was durable")));
        }
        if incarnation <= self.incarnation {
            let durable = self.incarnation;
            return Err((
                Oracle::Promise,
                format!("{node} opens as incarnation {incarnation}; {durable} was durable before"),
            ));
        }
        Ok(())
    }

    /// A promise binds in memory.
    pub fn promise(&mut self, view: View, event: u64) -> Result<(), Finding> {
        match self.life.promised {
            Some(higher) if view < higher => {
                Err((Oracle::Promise, format!("{} promises {view} after {higher}", self.node)))
            }
            _ => {
                self.life.promised = Some(view);
                self.life.bound.push((view, event));
                Ok(())
            }
        }
    }

    /// A message that relies on the promise of `view` leaves. `what` names the message.
    pub fn vouch(&mut self, view: View, what: &str) -> Result<(), Finding> {
        if view > self.promised {
            let (node, durable) = (self.node, self.promised);
            return Err((
                Oracle::Promise,
                format!("{node} sends {what} of {view} while only the promise of {durable} is durable"),
            ));
        }
        self.vouched = self.vouched.max(view);
        Ok(())
    }

    /// A batch was executed.
    pub fn apply(&mut self, index: Index) -> Result<(), Finding> {
        if index != self.life.applied.next() {
            let (node, applied) = (self.node, self.life.applied);
            return Err((Oracle::Application, format!("{node} executes {index} right after {applied}")));
        }
        self.life.applied = index;
        Ok(())
    }

    /// The state is that of a snapshot.
    pub fn restore(&mut self, index: Index) -> Result<(), Finding> {
        if index <= self.life.applied {
            let (node, applied) = (self.node, self.life.applied);
            return Err((Oracle::Application, format!("{node} goes from {applied} back to a snapshot of {index}")));
        }
        self.life.applied = index;
        Ok(())
    }

    /// A request was executed.
    pub fn execute(&mut self, index: Index, position: u32) -> Result<(), Finding> {
        let (node, (last, before)) = (self.node, self.life.executed);
        if (last, before) >= (index, position) && last != Index::ZERO {
            return Err((
                Oracle::Once,
                format!("{node} executes request {position} of {index} after request {before} of {last}"),
            ));
        }
        self.life.executed = (index, position);
        Ok(())
    }
}

/// What is durable at one index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// The acceptance of the highest view that matters.
    pub accepted: Option<(View, Digest)>,
    /// The batch recorded as committed.
    pub committed: Option<Digest>,
}

impl Held {
    /// Whether an answer owns up to this, or to not knowing it.
    pub fn is_told_by(&self, told: Option<Told>, loss: bool) -> bool {
        if self.committed.is_none() && self.accepted.is_none() {
            return true;
        }
        let Some(told) = told else { return loss };
        if loss && !told.certain {
            return true;
        }
        if let Some(committed) = self.committed {
            let same = told.accepted.is_some_and(|(_, digest)| digest == committed);
            if told.committed && same || told.unknown.is_some_and(|unknown| unknown.committed) {
                return true;
            }
            // What said that it is committed may be lost. An acceptance that came later is no loss for anybody, as long
            // as it is not older than another one that was vouched for.
            if !(loss && same) {
                return false;
            }
        }
        let Some((view, digest)) = self.accepted else { return true };
        told.committed
            || told.unknown.is_some_and(|unknown| unknown.committed || unknown.view >= view)
            || told.accepted.is_some_and(|(newer, other)| newer > view || newer == view && other == digest)
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.committed, self.accepted) {
            (Some(digest), _) => write!(f, "committed {digest}"),
            (None, Some((view, digest))) => write!(f, "accepted {digest} in {view}"),
            (None, None) => f.write_str("nothing"),
        }
    }
}

/// What a node tells, in words.
pub fn describe(told: Option<Told>) -> String {
    let Some(told) = told else { return "absent".to_string() };
    let mut text = match told.accepted {
        Some((_, digest)) if told.committed => format!("committed {digest}"),
        Some((view, digest)) => format!("accepted {digest} in {view}"),
        None => "without a batch".to_string(),
    };
    if let Some(unknown) = told.unknown {
        text.push_str(&format!(", unknown {} of {}", unknown.digest, unknown.view));
    }
    text
}

/// The moment log time is measured from.
#[derive(Clone, Copy, Debug)]
pub struct FirstStamp {
    /// Real time.
    pub real: Time,
    /// Log time.
    pub log: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_may_be_forgotten_with_a_loss_and_a_vote_never() {
        let view = |round| View { round, node: NodeId(0) };
        let (this, other) = (Digest(1), Digest(2));
        let held = Held { accepted: Some((view(2), this)), committed: Some(this) };
        let told = |round, digest, committed, certain| {
            Some(Told { index: Index(1), accepted: Some((view(round), digest)), committed, unknown: None, certain })
        };
        for (entry, loss, truthful) in [
            (told(2, this, true, true), false, true),
            (told(2, this, false, true), false, false),
            (told(2, this, false, true), true, true),
            (told(3, this, false, true), true, true),
            (told(1, this, false, true), true, false),
            (told(1, this, false, false), true, true),
            (told(3, other, false, true), true, false),
            (None, true, true),
            (None, false, false),
        ] {
            assert_eq!(held.is_told_by(entry, loss), truthful, "{entry:?} loss={loss}");
        }
    }
}
