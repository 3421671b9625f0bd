//! The network of a study: every machine hangs on one switch by one wire out and one wire in, and everything it says,
//! to peers and to clients, shares them.
//!
//! ```text
//!   sender ── queue, serialised at the rate ──> hop ──> switch ── queue, serialised again ──> hop ──> receiver
//!             (its uplink)                                        (the receiver's downlink)
//! ```
//!
//! A frame is stored and forwarded: it leaves a wire when its last bit has. So a broadcast of n frames takes n times as
//! long as one to leave its sender, which is what the experiment is about; and two wires of the same rate in a row
//! keep frames of one sender in order. All arithmetic is in whole nanoseconds, rounded up.

use ios_core::time::{Span, Time};

/// What a sender's buffer holds at most, as the time that it takes to send; what exceeds it is lost.
pub const BACKLOG_MAX: Span = Span::secs(60);

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// One machine's wires.
#[derive(Clone, Copy, Debug)]
struct Wire {
    /// When everything handed to its uplink so far has left.
    up_free: Time,
    /// When everything that the switch has for it so far has left the switch.
    down_free: Time,
    /// How many times slower it is than the others, in rate and in distance.
    slow: u64,
}

/// All wires, and which pairs of ends the switch keeps apart.
#[derive(Debug)]
pub struct Wires {
    bits_per_second: u64,
    hop: Span,
    wires: Vec<Wire>,
    cut: Vec<bool>,
}

impl Wires {
    /// So many ends, each with an uplink and a downlink of this rate and this far from the switch.
    pub fn new(ends: usize, bits_per_second: u64, hop: Span) -> Self {
        assert!(bits_per_second > 0, "the caller checks the rate");
        let wire = Wire { up_free: Time::ZERO, down_free: Time::ZERO, slow: 1 };
        Self { bits_per_second, hop, wires: vec![wire; ends], cut: vec![false; ends * ends] }
    }

    /// Sends a frame on its way; tells when it has arrived at the switch, or nothing if the sender's buffer is full.
    pub fn leave(&mut self, now: Time, from: usize, bytes: u64) -> Option<Time> {
        let (taking, hop) = self.costs(from, bytes);
        let wire = &mut self.wires[from];
        if wire.up_free.since(now) > BACKLOG_MAX {
            return None;
        }
        wire.up_free = wire.up_free.max(now) + taking;
        Some(wire.up_free + hop)
    }

    /// A frame is at the switch; tells when it has arrived at its receiver, or nothing if the switch keeps them apart.
    pub fn forward(&mut self, now: Time, from: usize, to: usize, bytes: u64) -> Option<Time> {
        if self.is_cut(from, to) {
            return None;
        }
        let (taking, hop) = self.costs(to, bytes);
        let wire = &mut self.wires[to];
        wire.down_free = wire.down_free.max(now) + taking;
        Some(wire.down_free + hop)
    }

    /// From now on nothing gets from one end to the other.
    pub fn cut(&mut self, from: usize, to: usize) {
        let place = self.place(from, to);
        self.cut[place] = true;
    }

    /// Whether the switch keeps these two apart, in this direction.
    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut[self.place(from, to)]
    }

    /// From now on this end has so many times less bandwidth, and is so many times as far away.
    pub fn slow_down(&mut self, end: usize, times: u64) {
        self.wires[end].slow = times;
    }

    /// How long news of nothing (a handshake, a reset) takes from one end to another.
    pub fn distance(&self, from: usize, to: usize) -> Span {
        self.hop.times(self.wires[from].slow) + self.hop.times(self.wires[to].slow)
    }

    /// How long a frame takes to leave a wire of this end, and then to its other side.
    fn costs(&self, end: usize, bytes: u64) -> (Span, Span) {
        let slow = self.wires[end].slow;
        let nanos = (bytes * 8 * SECOND).div_ceil(self.bits_per_second);
        (Span(nanos * slow), self.hop.times(slow))
    }

    fn place(&self, from: usize, to: usize) -> usize {
        from * self.wires.len() + to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10 Mbit/s and 5 ms: 1250 bytes take a millisecond to leave.
    fn wires() -> Wires {
        Wires::new(4, 10_000_000, Span::millis(5))
    }

    fn ms(time: u64) -> Time {
        Time(time * 1_000_000)
    }

    #[test]
    fn a_frame_is_serialised_twice_and_hops_twice() {
        let mut wires = wires();
        let at_switch = wires.leave(ms(0), 0, 1250).unwrap();
        assert_eq!(at_switch, ms(6));
        assert_eq!(wires.forward(at_switch, 0, 1, 1250), Some(ms(12)));
        assert_eq!(wires.leave(ms(100), 0, 1), Some(Time(105_000_800)), "a byte takes 800 ns");
        assert_eq!(Wires::new(1, 3, Span::ZERO).leave(ms(0), 0, 1), Some(Time(2_666_666_667)), "rounded up");
    }

    #[test]
    fn all_receivers_share_the_senders_uplink() {
        let mut wires = wires();
        let broadcast: Vec<_> = (1..4).map(|_| wires.leave(ms(0), 0, 1250).unwrap()).collect();
        assert_eq!(broadcast, [ms(6), ms(7), ms(8)]);
        assert_eq!(wires.leave(ms(1), 1, 1250), Some(ms(7)), "another sender has its own");
        assert_eq!(wires.leave(ms(50), 0, 1250), Some(ms(56)), "an idle wire owes nothing");
    }

    #[test]
    fn all_senders_share_the_receivers_downlink() {
        let mut wires = wires();
        let arrivals: Vec<_> = (0..3).map(|from| wires.forward(ms(6), from, 3, 1250).unwrap()).collect();
        assert_eq!(arrivals, [ms(12), ms(13), ms(14)]);
        assert_eq!(wires.forward(ms(6), 3, 0, 1250), Some(ms(12)), "up and down do not share");
    }

    #[test]
    fn frames_of_one_pair_keep_their_order_whatever_their_sizes() {
        let mut wires = wires();
        let mut last = Time::ZERO;
        for bytes in [9000, 1, 500, 20, 1250] {
            let at_switch = wires.leave(ms(0), 0, bytes).unwrap();
            let arrived = wires.forward(at_switch, 0, 1, bytes).unwrap();
            assert!(arrived > last);
            last = arrived;
        }
    }

    #[test]
    fn a_cut_is_one_way_and_a_slow_end_is_slow_both_ways() {
        let mut wires = wires();
        wires.cut(0, 1);
        assert_eq!(wires.forward(ms(6), 0, 1, 1250), None);
        assert_eq!(wires.forward(ms(6), 1, 0, 1250), Some(ms(12)));
        wires.slow_down(2, 10);
        assert_eq!(wires.leave(ms(0), 2, 1250), Some(ms(60)));
        assert_eq!(wires.forward(ms(6), 0, 2, 1250), Some(ms(66)));
        assert_eq!(wires.distance(0, 2), Span::millis(55));
    }

    #[test]
    fn a_buffer_takes_a_minute_of_sending_and_no_more() {
        let mut wires = wires();
        let minute = 75_000_000;
        assert!(wires.leave(ms(0), 0, minute).is_some() && wires.leave(ms(0), 0, minute).is_some());
        assert_eq!(wires.leave(ms(0), 0, 1), None);
        assert!(wires.leave(ms(60_000), 0, 1).is_some());
    }
}
