//! Who answers soon: what a coordinator knows of the others' pace, and when it takes something for late.
//!
//! A leader that asks only some, or has others work for it, should ask those who are fast. It measures all alike, and
//! for nothing: heartbeats go to everyone, and each acknowledgement names the one it answers. So a member that is left
//! out because it is slow is measured as often as one that is not, and is asked again once it has recovered.
//!
//! - *Round trips.* An estimate rises at once and falls by an eighth with each better answer: who was slow a moment ago
//!   is not trusted on the first good answer, and nobody is turned to and from with every message. A heartbeat without
//!   an answer counts for as long as it has been under way, so a member need not answer to be known as slow.
//! - *Lag* compares: by how many doublings a member is slower than the fastest. Differences below that, or below a
//!   small part of a heartbeat, are none. What slows everyone down, a leader's own pause above all, favours nobody.
//! - *Suspicion* is for what heartbeats do not show, such as a slow disk: who was asked and was late comes last for a
//!   while, and for twice as long each time it is late again soon after. The first batch after that is the next test.
//! - *Patience* is how long a batch may take that others could be asked about: twice as long as batches take lately,
//!   between one and two heartbeats. What is late counts as having taken that long: were only what is chosen in time
//!   counted, then a cluster that became slow as a whole would find everything late for ever.
//!
//! # Why it is safe
//! Nothing here says whether a batch is chosen, who leads, or what may be read. It orders the members that are asked
//! first; acceptances count the same from whomever they come, and what is late goes to all others in the end. All of it
//! is volatile, ends with the view, and is as large as the cluster.

use super::retry_interval;
use crate::{
    ids::{NodeId, NodeSet},
    options::Options,
    time::{Span, Time},
};
use alloc::collections::BTreeMap;

/// The lag of a suspected member: nobody's is greater.
pub(super) const SUSPECTED: u32 = u32::MAX;
/// With each better answer an estimate falls by this part of itself.
const FALL: u64 = 8;
/// Round trips that differ by less than this part of a heartbeat do not differ.
const NOISE: u64 = 32;
/// How long a first suspicion lasts, in election timeouts.
const SUSPICION: u64 = 2;
/// How often that doubles.
const DOUBLINGS_MAX: u32 = 4;

/// What one coordinator knows in one view.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    members: BTreeMap<NodeId, Member>,
    /// How long batches took lately, from the coordinator's first message about one until it was chosen.
    usual: Option<Span>,
}

#[derive(Clone, Debug, Default)]
struct Member {
    /// The earliest heartbeat that may still be answered, and when it was sent.
    asked: Option<(u64, Time)>,
    /// How long answers took lately.
    round_trip: Option<Span>,
    suspicion: Option<Suspicion>,
}

#[derive(Clone, Copy, Debug)]
struct Suspicion {
    until: Time,
    /// How often it was renewed soon after its end.
    doublings: u32,
}

impl Pace {
    // ---- Round trips.

    /// A heartbeat goes out to `others`.
    pub(super) fn asked(&mut self, others: NodeSet, round: u64, now: Time) {
        for node in others.iter() {
            self.members.entry(node).or_default().asked.get_or_insert((round, now));
        }
    }

    /// `node` acknowledges a heartbeat. If an earlier one went unanswered, how long this one took is not known.
    pub(super) fn answered(&mut self, node: NodeId, round: u64, now: Time) {
        let Some(member) = self.members.get_mut(&node) else { return };
        if let Some((asked, at)) = member.asked.take_if(|(asked, _)| *asked <= round)
            && asked == round
        {
            member.round_trip = Some(updated(member.round_trip, now.since(at)));
        }
    }

    /// By how many doublings `node` is slower than the fastest.
    pub(super) fn lag(&self, node: NodeId, now: Time, options: &Options) -> u32 {
        let Some(member) = self.members.get(&node) else { return 0 };
        if member.suspicion.is_some_and(|suspicion| now < suspicion.until) {
            return SUSPECTED;
        }
        let Some(fastest) = self.members.values().filter_map(|member| member.round_trip).min() else { return 0 };
        let under_way = member.asked.map_or(Span::ZERO, |(_, at)| now.since(at));
        let noise = (options.heartbeat.0 / NOISE).max(1);
        let own = member.round_trip.unwrap_or(Span::ZERO).max(under_way).0.saturating_add(noise);
        (own / fastest.0.saturating_add(noise)).checked_ilog2().unwrap_or(0)
    }

    // ---- Suspicion.

    /// `node` was asked to do something, and is late.
    pub(super) fn suspect(&mut self, node: NodeId, now: Time, options: &Options) {
        let member = self.members.entry(node).or_default();
        let length = |doublings: u32| options.election_timeout.times(SUSPICION << doublings);
        let doublings = match member.suspicion {
            // It was asked before it was suspected.
            Some(suspicion) if now < suspicion.until => return,
            Some(Suspicion { until, doublings }) if now < until + length(doublings) => {
                (doublings + 1).min(DOUBLINGS_MAX)
            }
            _ => 0,
        };
        member.suspicion = Some(Suspicion { until: now + length(doublings), doublings });
    }

    // ---- Patience.

    /// A batch was chosen after `span`, without having been late.
    pub(super) fn chosen_within(&mut self, span: Span) {
        self.usual = Some(updated(self.usual, span));
    }

    /// A batch is late after `span`.
    pub(super) fn late_after(&mut self, span: Span) {
        self.usual = self.usual.max(Some(span));
    }

    /// How long a batch may take before others are asked too.
    pub(super) fn patience(&self, options: &Options) -> Span {
        let longest = retry_interval(options);
        self.usual.map_or(longest, |usual| usual.times(2).clamp(options.heartbeat, longest))
    }
}

/// An estimate of `known` after one more measurement.
fn updated(known: Option<Span>, measured: Span) -> Span {
    known.map_or(measured, |known| measured.max(Span(known.0 - known.0 / FALL)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const N1: NodeId = NodeId(1);
    const N2: NodeId = NodeId(2);

    fn at(millis: u64) -> Time {
        Time::ZERO + Span::millis(millis)
    }

    /// Heartbeats every 200 ms from `first` on, answered by N1 after 20 ms and by N2 after `other`.
    fn beat(pace: &mut Pace, first: u64, rounds: u64, other: u64) {
        for round in first..first + rounds {
            let others = [N1, N2].into_iter().collect();
            pace.asked(others, round, at(200 * round));
            pace.answered(N1, round, at(200 * round + 20));
            pace.answered(N2, round, at(200 * round + other));
        }
    }

    fn lags(pace: &Pace, millis: u64) -> [u32; 2] {
        [N1, N2].map(|node| pace.lag(node, at(millis), &Options::default()))
    }

    #[test]
    fn a_slow_answer_is_remembered_until_enough_good_ones_came() {
        let mut pace = Pace::default();
        assert_eq!(lags(&pace, 0), [0, 0]);
        beat(&mut pace, 1, 3, 25);
        assert_eq!(lags(&pace, 700), [0, 0]);
        beat(&mut pace, 4, 1, 180);
        assert_eq!(lags(&pace, 980), [0, 3]);
        beat(&mut pace, 5, 4, 20);
        assert_eq!(lags(&pace, 1780), [0, 2]);
        beat(&mut pace, 9, 9, 20);
        assert_eq!(lags(&pace, 3580), [0, 0]);
    }

    #[test]
    fn what_is_under_way_counts_and_what_slows_everyone_does_not() {
        let mut pace = Pace::default();
        beat(&mut pace, 1, 2, 20);
        pace.asked([N1, N2].into_iter().collect(), 3, at(600));
        assert_eq!(lags(&pace, 640), [0, 0]);
        assert_eq!(lags(&pace, 660), [1, 1]);
        pace.answered(N1, 3, at(661));
        assert_eq!(lags(&pace, 750), [1, 2]);
        // The answer to a later heartbeat ends the wait, and says nothing of how long answers take.
        pace.answered(N2, 4, at(800));
        assert_eq!(lags(&pace, 2000), [1, 0]);
    }

    #[test]
    fn suspicions_last_longer_if_renewed_soon() {
        let (mut pace, options) = (Pace::default(), Options::default());
        let suspected = |pace: &Pace, millis| pace.lag(N2, at(millis), &options) == SUSPECTED;
        pace.suspect(N2, at(0), &options);
        pace.suspect(N2, at(500), &options);
        assert!(suspected(&pace, 999) && !suspected(&pace, 1000));
        pace.suspect(N2, at(1100), &options);
        assert!(suspected(&pace, 3099) && !suspected(&pace, 3100));
        pace.suspect(N2, at(5100), &options);
        assert!(suspected(&pace, 6099) && !suspected(&pace, 6100));
    }

    #[test]
    fn patience_is_twice_the_usual_within_bounds() {
        let (mut pace, options) = (Pace::default(), Options::default());
        assert_eq!(pace.patience(&options), Span::millis(100));
        pace.chosen_within(Span::millis(3));
        assert_eq!(pace.patience(&options), Span::millis(50));
        pace.chosen_within(Span::millis(40));
        assert_eq!(pace.patience(&options), Span::millis(80));
        pace.chosen_within(Span::millis(3));
        assert_eq!(pace.patience(&options), Span::millis(70));
        pace.late_after(Span::millis(70));
        assert_eq!(pace.patience(&options), Span::millis(100));
    }
}
