//! What writes this member was asked for lately, so that one that is asked for again is not done again.
//!
//! A write is known by its two ids *and* its text: a client that was started again and counts from the beginning under
//! its old id must not be given answers to what its former life has asked, as the prototype did.
//!
//! *Bounds.* What has ended is remembered for [`REMEMBERED_FOR`], and the oldest less long if all of it comes to more
//! than [`HELD_MAX`]. What is under way is bounded by whoever begins it.

use super::request::Ids;
use bytes::Bytes;
use ios_core::time::{Span, Time};
use std::{
    collections::{BTreeMap, VecDeque},
    hash::{DefaultHasher, Hasher},
};

/// How long an answer is kept for whoever may not have got it.
pub(super) const REMEMBERED_FOR: Span = Span::secs(60);
/// Bytes of everything that is remembered.
const HELD_MAX: usize = 64 << 20;
/// What an entry weighs besides its answer, about.
const ENTRY: usize = 256;

/// How far a write is, or how it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// It is being done; the ticket says which it is.
    UnderWay,
    /// It was done, and this was answered.
    Done(Bytes),
    /// Nobody knows.
    Unknown,
}

#[derive(Debug)]
struct Entry {
    ticket: u64,
    text: u64,
    state: State,
}

impl Entry {
    fn weight(&self) -> usize {
        ENTRY + if let State::Done(line) = &self.state { line.len() } else { 0 }
    }
}

/// The writes, by their ids. Of two with the same ids and another text only the later is known.
#[derive(Debug, Default)]
pub(super) struct Memory {
    entries: BTreeMap<Ids, Entry>,
    /// Those that have ended, by when they are forgotten.
    ended: VecDeque<(Time, Ids, u64)>,
    /// What all entries weigh.
    held: usize,
}

impl Memory {
    /// Whether this write has been asked for before: its ticket, and what has become of it.
    pub(super) fn recall(&mut self, now: Time, ids: Ids, text: &str) -> Option<(u64, &State)> {
        self.forget_the_old(now);
        let entry = self.entries.get(&ids).filter(|entry| entry.text == digest(text))?;
        Some((entry.ticket, &entry.state))
    }

    /// A write is under way, under a ticket that no other had.
    pub(super) fn begin(&mut self, ids: Ids, text: &str, ticket: u64) {
        self.remove(ids);
        let entry = Entry { ticket, text: digest(text), state: State::UnderWay };
        self.held += entry.weight();
        self.entries.insert(ids, entry);
    }

    /// A write has ended with `state`, if it is still the one that is known by these ids.
    pub(super) fn end(&mut self, now: Time, ids: Ids, ticket: u64, state: State) {
        if let Some(mut entry) = self.remove_if(ids, ticket) {
            entry.state = state;
            self.held += entry.weight();
            self.entries.insert(ids, entry);
            self.ended.push_back((now + REMEMBERED_FOR, ids, ticket));
        }
        self.forget_the_old(now);
    }

    /// A write was not done and never will be: to ask for it again is to ask for it the first time.
    pub(super) fn forget(&mut self, ids: Ids, ticket: u64) {
        self.remove_if(ids, ticket);
    }

    fn forget_the_old(&mut self, now: Time) {
        while let Some((until, ids, ticket)) = self.ended.front().copied()
            && (until <= now || self.held > HELD_MAX)
        {
            self.ended.pop_front();
            self.remove_if(ids, ticket);
        }
    }

    fn remove_if(&mut self, ids: Ids, ticket: u64) -> Option<Entry> {
        match self.entries.get(&ids) {
            Some(entry) if entry.ticket == ticket => self.remove(ids),
            _ => None,
        }
    }

    fn remove(&mut self, ids: Ids) -> Option<Entry> {
        let entry = self.entries.remove(&ids)?;
        self.held -= entry.weight();
        Some(entry)
    }
}

/// Tells one text from another. Whoever contrives two that it does not tell apart deceives nobody but himself.
fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(client: i64, request: i64) -> Ids {
        Ids { client, request }
    }

    fn done(bytes: usize) -> State {
        State::Done(vec![b'x'; bytes].into())
    }

    #[test]
    fn an_answer_is_there_for_a_minute_for_the_same_ids_and_text() {
        let (mut memory, now) = (Memory::default(), Time(1));
        memory.begin(ids(1, 1), "update A 1", 7);
        assert_eq!(memory.recall(now, ids(1, 1), "update A 1"), Some((7, &State::UnderWay)));
        memory.end(now, ids(1, 1), 7, done(3));
        let later = now + REMEMBERED_FOR;
        let just_before = Time(later.0 - 1);
        assert_eq!(memory.recall(just_before, ids(1, 1), "update A 1"), Some((7, &done(3))));
        for (other, text) in [(ids(1, 1), "update A 2"), (ids(1, 2), "update A 1"), (ids(2, 1), "update A 1")] {
            assert_eq!(memory.recall(just_before, other, text), None);
        }
        assert_eq!(memory.recall(later, ids(1, 1), "update A 1"), None);
        assert_eq!((memory.held, memory.entries.len(), memory.ended.len()), (0, 0, 0));
    }

    #[test]
    fn what_was_not_done_is_asked_for_anew_and_what_nobody_knows_stays_unknown() {
        let (mut memory, now) = (Memory::default(), Time(1));
        memory.begin(ids(1, 1), "w", 1);
        memory.begin(ids(1, 2), "w", 2);
        memory.forget(ids(1, 1), 1);
        memory.end(now, ids(1, 2), 2, State::Unknown);
        assert_eq!(memory.recall(now, ids(1, 1), "w"), None);
        assert_eq!(memory.recall(now, ids(1, 2), "w"), Some((2, &State::Unknown)));
    }

    #[test]
    fn of_two_writes_with_the_same_ids_the_later_is_known() {
        let (mut memory, now) = (Memory::default(), Time(1));
        memory.begin(ids(1, 1), "old", 1);
        memory.begin(ids(1, 1), "new", 2);
        memory.end(now, ids(1, 1), 1, done(1));
        assert_eq!(memory.recall(now, ids(1, 1), "old"), None);
        assert_eq!(memory.recall(now, ids(1, 1), "new"), Some((2, &State::UnderWay)));
        memory.forget(ids(1, 1), 1);
        memory.end(now, ids(1, 1), 2, done(2));
        assert_eq!(memory.recall(now, ids(1, 1), "new"), Some((2, &done(2))));
        assert_eq!((memory.held, memory.ended.len()), (ENTRY + 2, 1));
    }

    #[test]
    fn the_oldest_make_room_and_what_is_under_way_stays() {
        let (mut memory, now) = (Memory::default(), Time(1));
        memory.begin(ids(0, 0), "w", 0);
        let large = (1 << 20) - ENTRY;
        for ticket in 1..=100u64 {
            memory.begin(ids(1, ticket as i64), "w", ticket);
            memory.end(now, ids(1, ticket as i64), ticket, done(large));
            assert!(memory.held <= HELD_MAX + ENTRY);
        }
        assert_eq!(memory.entries.len(), 64);
        assert_eq!(memory.recall(now, ids(1, 37), "w"), None);
        assert_eq!(memory.recall(now, ids(1, 38), "w"), Some((38, &done(large))));
        assert_eq!(memory.recall(now, ids(0, 0), "w"), Some((0, &State::UnderWay)));
    }
}
