//! What is counted while a run is measured, and the figures it comes to.

use crate::scenario::MessageKind;
use ios_core::time::{Span, Time};
use std::collections::BTreeMap;

/// Counts as they come.
#[derive(Debug)]
pub struct Meter {
    /// From when on; nothing before counts.
    since: Option<Time>,
    /// Per member, bytes sent and received, clients' included.
    sent: Vec<u64>,
    received: Vec<u64>,
    /// Messages between members, and their bytes, by kind.
    kinds: BTreeMap<MessageKind, (u64, u64)>,
    syncs: u64,
    latencies: Vec<Span>,
    last_done: Time,
    gap: Span,
    failed: u64,
    elections: u64,
    snapshots: u64,
}

/// What a run came to. All counts are of the measured time alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Figures {
    /// Requests answered.
    pub commits: u64,
    /// In this time.
    pub measured: Span,
    /// Median, 90th and 99th percentile of the time from a request's begin to its answer.
    pub latency: [Span; 3],
    /// Messages between members.
    pub messages: u64,
    /// Messages between members, and their bytes, by kind.
    pub kinds: BTreeMap<MessageKind, (u64, u64)>,
    /// Bytes in and out of the member that has most of them.
    pub busiest: u64,
    /// Bytes that the leader sent.
    pub leader_sent: u64,
    /// Disk operations of all members.
    pub syncs: u64,
    /// The longest time in which no request was answered.
    pub gap: Span,
    /// Requests that ended otherwise than done.
    pub failed: u64,
    /// Views that a member began to lead.
    pub elections: u64,
    /// Tells two runs apart that differ anywhere.
    pub digest: u64,
}

impl Figures {
    /// Requests a second.
    pub fn throughput(&self) -> f64 {
        self.commits as f64 * 1e9 / self.measured.0 as f64
    }

    /// One of the counts, for each request answered.
    pub fn per_commit(&self, count: u64) -> f64 {
        count as f64 / self.commits.max(1) as f64
    }
}

impl Meter {
    /// Counts nothing yet.
    pub fn new(members: usize) -> Self {
        Self {
            since: None,
            sent: vec![0; members],
            received: vec![0; members],
            kinds: BTreeMap::new(),
            syncs: 0,
            latencies: Vec::new(),
            last_done: Time::ZERO,
            gap: Span::ZERO,
            failed: 0,
            elections: 0,
            snapshots: 0,
        }
    }

    /// How many requests are answered by now.
    pub fn answered(&self) -> u64 {
        self.latencies.len() as u64
    }

    /// A member has taken a snapshot.
    pub fn takes_snapshot(&mut self) {
        self.snapshots += u64::from(self.since.is_some());
    }

    /// How many snapshots members have taken.
    pub fn snapshots(&self) -> u64 {
        self.snapshots
    }

    /// Counts from now on.
    pub fn begin(&mut self, now: Time) {
        self.since = Some(now);
        self.last_done = now;
    }

    /// A member, or a client, sends.
    pub fn sends(&mut self, from: usize, bytes: u64) {
        if let Some(sent) = self.sent.get_mut(from).filter(|_| self.since.is_some()) {
            *sent += bytes;
        }
    }

    /// A member, or a client, has received.
    pub fn receives(&mut self, to: usize, bytes: u64) {
        if let Some(received) = self.received.get_mut(to).filter(|_| self.since.is_some()) {
            *received += bytes;
        }
    }

    /// A member sends a message to another.
    pub fn message(&mut self, kind: MessageKind, bytes: u64) {
        if self.since.is_some() {
            let (messages, sum) = self.kinds.entry(kind).or_default();
            *messages += 1;
            *sum += bytes;
        }
    }

    /// A disk operation ends.
    pub fn syncs(&mut self) {
        self.syncs += u64::from(self.since.is_some());
    }

    /// A member begins to lead.
    pub fn elects(&mut self) {
        self.elections += u64::from(self.since.is_some());
    }

    /// A request that began then is answered.
    pub fn done(&mut self, began: Time, now: Time) {
        if self.since.is_some() {
            self.latencies.push(now.since(began));
            self.gap = self.gap.max(now.since(self.last_done));
            self.last_done = now;
        }
    }

    /// A request ends otherwise.
    pub fn failed(&mut self) {
        self.failed += u64::from(self.since.is_some());
    }

    /// Adds up. `leader` led when measuring began.
    pub fn conclude(mut self, now: Time, leader: usize, digest: u64) -> Figures {
        self.latencies.sort_unstable();
        let total = |place: usize| self.sent[place] + self.received[place];
        Figures {
            commits: self.latencies.len() as u64,
            measured: now.since(self.since.expect("a run ends after measuring began")),
            latency: [50, 90, 99].map(|percent| percentile(&self.latencies, percent)),
            messages: self.kinds.values().map(|(messages, _)| messages).sum(),
            busiest: (0..self.sent.len()).map(total).max().unwrap_or(0),
            leader_sent: self.sent[leader],
            kinds: self.kinds,
            syncs: self.syncs,
            gap: self.gap.max(now.since(self.last_done)),
            failed: self.failed,
            elections: self.elections,
            digest,
        }
    }
}

/// The least value that so many percent do not exceed; nothing if there is none.
fn percentile(sorted: &[Span], percent: usize) -> Span {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(Span::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let hundred: Vec<Span> = (1..=100).map(Span).collect();
        assert_eq!([50, 90, 99].map(|percent| percentile(&hundred, percent).0), [50, 90, 99]);
        assert_eq!(percentile(&hundred[..1], 99), Span(1));
        assert_eq!(percentile(&hundred[..10], 99), Span(10));
        assert_eq!(percentile(&[], 50), Span::ZERO);
    }

    #[test]
    fn the_longest_gap_reaches_to_the_end_and_nothing_before_the_begin_counts() {
        let mut meter = Meter::new(2);
        meter.sends(0, 99);
        meter.done(Time(0), Time(5));
        meter.begin(Time(100));
        for at in [110, 115] {
            meter.done(Time(105), Time(at));
        }
        for (from, bytes) in [(0, 7), (1, 5), (2, 1000)] {
            meter.sends(from, bytes);
        }
        meter.receives(1, 4);
        let figures = meter.conclude(Time(200), 0, 1);
        assert_eq!((figures.commits, figures.gap, figures.measured), (2, Span(85), Span(100)));
        assert_eq!((figures.busiest, figures.leader_sent), (9, 7));
        assert_eq!(figures.latency, [Span(5), Span(10), Span(10)]);
    }
}
