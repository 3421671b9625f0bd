//! Keyed choices: every small decision inside a run is a pure function of what it is about.
//!
//! How long this message takes, whether that write of a crashed disk was kept: each is `hash(seed, stream, words...)`,
//! where the words name the thing decided about (link, kind of message, view, index, attempt). Nothing is drawn from a
//! shared sequence, so taking one event out of a scenario leaves every other decision where it was. That is what lets a
//! failing scenario be cut down line by line, and edited by hand.
//!
//! The hash is a folded multiplication per word (the idea of wyhash): a decision costs a few nanoseconds, which a
//! cryptographic generator per decision would make ten times more.

use ios_core::time::Span;

/// What kind of decision is made. Two streams never share a key, whatever the words are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Stream {
    /// How long a message takes.
    Delay = 1,
    /// Whether a message is lost.
    Drop,
    /// Whether a message arrives twice.
    Duplicate,
    /// Whether a message ignores the order of its link.
    Reorder,
    /// Whether, and how late, a copy of a message arrives much later.
    Late,
    /// How long a disk operation takes.
    DiskLatency,
    /// Whether a disk operation is stuck for much longer than usual.
    DiskSlow,
    /// What becomes of an unsynced write when the power goes.
    WriteFate,
    /// Which sectors of a torn write reach the disk.
    Tear,
    /// Which bytes rot, and how.
    Rot,
    /// The seed a node gets at a start.
    NodeSeed,
    /// A disk's nonce.
    DiskNonce,
    /// Which node a client turns to.
    Endpoint,
    /// What a generated client operation is.
    Operation,
    /// How long a client thinks before its next operation.
    Think,
    /// Which of several things that are due at once goes first.
    Order,
    /// When a node begins to run.
    Start,
    /// Whether a seed is run a second time to compare digests, and the like.
    Sample,
    /// Whether, and how, the bytes of a frame change on their way.
    Damage,
    /// Which priority a link's or a sender's messages have.
    Rank,
}

/// Makes the decisions of one run. A value without state: asking twice gives the same answer.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Chooser {
    seed: u64,
}

const WORD: u64 = 0x9e37_79b9_7f4a_7c15;
const STEP: u64 = 0xd6e8_feb8_6659_fd93;

/// High and low half of the product, folded: every bit of `a` reaches every bit of the result.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// Spreads a number over all 64 bits, one to one.
pub fn mix(mut word: u64) -> u64 {
    word = (word ^ word >> 32).wrapping_mul(STEP);
    word = (word ^ word >> 32).wrapping_mul(STEP);
    word ^ word >> 32
}

impl Chooser {
    /// The chooser of a run with this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed: mix(seed ^ WORD) }
    }

    /// 64 bits for what `words` name.
    pub fn u64(self, stream: Stream, words: &[u64]) -> u64 {
        let mut state = self.seed ^ fold(stream as u64 ^ WORD, STEP);
        for word in words {
            state = fold(state ^ mix(*word), WORD).wrapping_add(STEP);
        }
        mix(state)
    }

    /// True in `per_million` of a million cases.
    pub fn chance(self, per_million: u32, stream: Stream, words: &[u64]) -> bool {
        per_million > 0 && below(self.u64(stream, words), 1_000_000) < u64::from(per_million)
    }

    /// A number from `low` to `high`, both included; `low` if the range is inverted.
    pub fn between(self, low: u64, high: u64, stream: Stream, words: &[u64]) -> u64 {
        match high.saturating_sub(low).checked_add(1) {
            Some(1) => low,
            Some(count) => low + below(self.u64(stream, words), count),
            None => self.u64(stream, words),
        }
    }

    /// A span from `low` to `high`, both included.
    pub fn span(self, (low, high): (Span, Span), stream: Stream, words: &[u64]) -> Span {
        Span(self.between(low.0, high.0, stream, words))
    }
}

/// Maps 64 random bits to `0..count` by multiplication; the bias is below `count / 2^64`.
fn below(bits: u64, count: u64) -> u64 {
    ((u128::from(bits) * u128::from(count)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_depends_on_seed_stream_and_every_word_and_on_nothing_else() {
        let choose = Chooser::new(7);
        let base = choose.u64(Stream::Delay, &[1, 2, 3]);
        assert_eq!(base, Chooser::new(7).u64(Stream::Delay, &[1, 2, 3]));
        for other in [
            Chooser::new(8).u64(Stream::Delay, &[1, 2, 3]),
            choose.u64(Stream::Drop, &[1, 2, 3]),
            choose.u64(Stream::Delay, &[2, 1, 3]),
            choose.u64(Stream::Delay, &[1, 2, 4]),
            choose.u64(Stream::Delay, &[1, 2]),
            choose.u64(Stream::Delay, &[1, 2, 3, 0]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn chances_and_ranges_come_out_as_asked() {
        let choose = Chooser::new(42);
        let hits = (0..100_000).filter(|i| choose.chance(250_000, Stream::Drop, &[*i])).count();
        assert!((24_000..26_000).contains(&hits), "{hits} of 100000 at 25%");
        assert!(!choose.chance(0, Stream::Drop, &[1]));
        assert!(choose.chance(1_000_000, Stream::Drop, &[1]));
        let drawn: std::collections::BTreeSet<u64> =
            (0..1000).map(|i| choose.between(3, 7, Stream::Delay, &[i])).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
        assert_eq!(choose.between(9, 9, Stream::Delay, &[1]), 9);
        assert_eq!(choose.between(9, 3, Stream::Delay, &[1]), 9);
        choose.between(0, u64::MAX, Stream::Delay, &[1]);
    }

    #[test]
    fn neighbouring_keys_share_no_pattern() {
        let choose = Chooser::new(1);
        for bit in 0..64 {
            let ones = (0..4096).filter(|i| choose.u64(Stream::Think, &[*i, 5]) >> bit & 1 == 1).count();
            assert!((1850..2250).contains(&ones), "bit {bit} is set {ones} times of 4096");
        }
    }
}
