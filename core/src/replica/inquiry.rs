//! Reads that a replica must ask others about before it may evaluate them: one question at a time, and the reads that
//! share it.
//!
//! ```text
//!   arrived --(a question leaves)--> asked --(it is answered: up to here they must see)--> draining --(applied)--> out
//! ```
//!
//! What arrives while a question is under way waits for the next one: it may have to see more than those who answer
//! had when they were asked (H14). So an answer is matched with its question by a number that no other question of this
//! life has, and by whatever else the question `Q` remembers.

use super::reads::Read;
use crate::{
    ids::{ConnectionId, Index},
    time::Time,
};
use alloc::{collections::VecDeque, vec::Vec};

/// Reads on their way, and the question under way.
#[derive(Clone, Debug)]
pub(super) struct Inquiry<Q> {
    arrived: Vec<Read>,
    asked: Option<Asked<Q>>,
    draining: VecDeque<Draining>,
    /// Numbers the questions of this life.
    counter: u64,
}

/// The question under way.
#[derive(Clone, Debug)]
pub(super) struct Asked<Q> {
    pub(super) number: u64,
    pub(super) question: Q,
    since: Time,
    reads: Vec<Read>,
}

/// Reads whose question was answered.
#[derive(Clone, Debug)]
struct Draining {
    index: Index,
    since: Time,
    reads: Vec<Read>,
}

impl<Q> Default for Inquiry<Q> {
    fn default() -> Self {
        Self { arrived: Vec::new(), asked: None, draining: VecDeque::new(), counter: 0 }
    }
}

impl<Q> Inquiry<Q> {
    /// How many reads are on their way.
    pub(super) fn len(&self) -> usize {
        let asked = self.asked.as_ref().map_or(0, |asked| asked.reads.len());
        self.arrived.len() + asked + self.draining.iter().map(|draining| draining.reads.len()).sum::<usize>()
    }

    /// Takes a read, for the next question.
    pub(super) fn push(&mut self, read: Read) {
        self.arrived.push(read);
    }

    /// Whether a question is to be asked.
    pub(super) fn wants_question(&self) -> bool {
        !self.arrived.is_empty() && self.asked.is_none()
    }

    /// Whether reads wait that no answer covers.
    pub(super) fn has_unanswered(&self) -> bool {
        !self.arrived.is_empty() || self.asked.is_some()
    }

    /// Begins a question for all reads that have arrived. Returns its number.
    pub(super) fn ask(&mut self, question: Q, now: Time) -> u64 {
        assert!(self.asked.is_none(), "one question at a time");
        self.counter += 1;
        let reads = core::mem::take(&mut self.arrived);
        self.asked = Some(Asked { number: self.counter, question, since: now, reads });
        self.counter
    }

    /// The question under way.
    pub(super) fn asked(&self) -> Option<&Asked<Q>> {
        self.asked.as_ref()
    }

    /// The question under way, to note an answer in.
    pub(super) fn asked_mut(&mut self) -> Option<&mut Asked<Q>> {
        self.asked.as_mut()
    }

    /// The question under way is answered: its reads must see everything up to `index`.
    pub(super) fn answer(&mut self, index: Index) {
        let Asked { since, reads, .. } = self.asked.take().expect("only a question is answered");
        self.draining.push_back(Draining { index, since, reads });
    }

    /// The question under way will not be answered. Its reads.
    pub(super) fn give_up_question(&mut self) -> Vec<Read> {
        self.asked.take().map_or_else(Vec::new, |asked| asked.reads)
    }

    /// Takes out the reads that no answer covers.
    pub(super) fn take_unanswered(&mut self) -> Vec<Read> {
        let mut taken = self.give_up_question();
        taken.append(&mut self.arrived);
        taken
    }

    /// Takes out the reads of questions that were asked before `time`; all of them, at the end of time.
    pub(super) fn take_older_than(&mut self, time: Time) -> Vec<Read> {
        let mut taken = self.asked.take_if(|asked| asked.since < time).map_or_else(Vec::new, |asked| asked.reads);
        // One question at a time: what was asked first stands first.
        while let Some(mut old) = self.draining.pop_front_if(|draining| draining.since < time) {
            taken.append(&mut old.reads);
        }
        if time == Time::NEVER {
            taken.append(&mut self.arrived);
        }
        taken
    }

    /// The reads of one question whose last index is among the `applied`.
    pub(super) fn take_drained(&mut self, applied: Index) -> Option<Vec<Read>> {
        let place = self.draining.iter().position(|draining| draining.index <= applied)?;
        self.draining.remove(place).map(|draining| draining.reads)
    }

    /// Forgets the reads of a connection that is gone.
    pub(super) fn forget(&mut self, connection: ConnectionId) {
        let asked = self.asked.iter_mut().map(|asked| &mut asked.reads);
        let draining = self.draining.iter_mut().map(|draining| &mut draining.reads);
        for reads in asked.chain(draining).chain([&mut self.arrived]) {
            reads.retain(|read| read.connection != connection);
        }
    }
}
