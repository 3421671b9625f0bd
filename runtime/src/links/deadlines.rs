//! When the time of each connection is over.

use ios_core::time::Time;
use std::collections::{BTreeMap, BTreeSet};

/// At most one moment for each connection, in order.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// The same in both.
    by_connection: BTreeMap<u64, Time>,
    by_time: BTreeSet<(Time, u64)>,
}

impl Deadlines {
    /// Gives a connection until `at`, or all the time there is, whatever was said before.
    pub(crate) fn set(&mut self, connection: u64, at: Option<Time>) {
        let before = match at {
            Some(at) => self.by_connection.insert(connection, at),
            None => self.by_connection.remove(&connection),
        };
        if let Some(before) = before {
            self.by_time.remove(&(before, connection));
        }
        self.by_time.extend(at.map(|at| (at, connection)));
    }

    /// The first of all moments.
    pub(crate) fn first(&self) -> Option<Time> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// A connection whose time is over. It stays so until something else is set.
    pub(crate) fn due(&self, now: Time) -> Option<u64> {
        self.by_time.first().filter(|(at, _)| *at <= now).map(|(_, connection)| *connection)
    }

    /// Whether there are none.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.by_connection.is_empty() && self.by_time.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts_and_the_first_moment_is_due_first() {
        let mut deadlines = Deadlines::default();
        for (connection, at) in [(1, Some(30)), (2, Some(20)), (1, Some(10)), (3, Some(5)), (3, None), (4, None)] {
            deadlines.set(connection, at.map(Time));
        }
        assert_eq!(deadlines.first(), Some(Time(10)));
        assert_eq!((deadlines.due(Time(9)), deadlines.due(Time(10))), (None, Some(1)));
        deadlines.set(1, None);
        assert_eq!((deadlines.due(Time(19)), deadlines.due(Time(25))), (None, Some(2)));
        deadlines.set(2, None);
        assert!(deadlines.is_empty());
    }
}
