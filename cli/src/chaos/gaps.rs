//! How long nothing was answered.

use ios_core::time::{Span, Time};

/// The times between one answer, to anybody, and the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gaps {
    last: Option<Time>,
    answers: u64,
    longest: (Span, Time),
}

impl Gaps {
    /// Something was answered. Times come from several threads, so one may be a little behind another.
    pub fn answered(&mut self, at: Time) {
        if let Some(last) = self.last {
            let gap = at.since(last);
            if gap > self.longest.0 {
                self.longest = (gap, at);
            }
        }
        self.last = self.last.max(Some(at));
        self.answers += 1;
    }

    /// How many answers there were.
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// The longest, and when it ended.
    pub fn longest(&self) -> (Span, Time) {
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_time_between_two_answers_counts() {
        let mut gaps = Gaps::default();
        [5, 9, 8, 20, 21].into_iter().for_each(|at| gaps.answered(Time(at)));
        assert_eq!((gaps.longest(), gaps.answers()), ((Span(11), Time(20)), 5));
    }
}
