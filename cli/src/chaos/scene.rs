//! What a fault works with: the members, the network between them, the load, chance and time.

use super::{
    load::Load,
    members::Members,
    relay::Relay,
    trouble::{Bite, Trouble, failed},
};
use ios_core::{
    ids::Index,
    time::{Span, Time},
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use runtime::clock::{Clock, until};
use std::{
    ffi::OsString,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
};

/// How often it is looked whether something is so.
const LOOK_EVERY: Span = Span::millis(50);
/// Once a fault is over and all members run, clients are answered again within this time.
pub const ANSWERED_WITHIN: Span = Span::secs(20);
/// And every member has caught up and repaired what its disk lost.
pub const WHOLE_WITHIN: Span = Span::secs(60);
/// So many answers show that the cluster serves again.
const ANSWERS: u64 = 20;

/// A cluster under load that can be hurt.
#[derive(Debug)]
pub struct Scene {
    /// The members.
    pub members: Members,
    /// The network between them.
    pub relay: Relay,
    /// The load.
    pub load: Load,
    /// What decides.
    pub chance: ChaCha8Rng,
    clock: Clock,
    stop: Arc<AtomicBool>,
    /// Nothing is ever sent: it only waits.
    nothing: (Sender<()>, Receiver<()>),
    /// The longest time from the end of a fault until clients were answered again.
    pub longest_recovery: Span,
}

impl Scene {
    /// A scene that ends when `stop` says so.
    pub fn new(members: Members, relay: Relay, load: Load, chance: ChaCha8Rng, stop: Arc<AtomicBool>) -> Self {
        let clock = Clock::default();
        Self { members, relay, load, chance, clock, stop, nothing: channel(), longest_recovery: Span::ZERO }
    }

    /// The present moment.
    pub fn now(&mut self) -> Time {
        self.clock.now()
    }

    /// Lets time pass.
    pub fn wait(&mut self, length: Span) -> Result<(), Trouble> {
        let end = self.now() + length;
        loop {
            let now = self.now();
            if self.stop.load(Ordering::Acquire) {
                return Err(Trouble::Stopped);
            }
            if now >= end {
                return Ok(());
            }
            let _ = self.nothing.1.recv_timeout(until(now, end.min(now + LOOK_EVERY)));
        }
    }

    /// Lets some time pass, as chance has it.
    pub fn wait_between(&mut self, least: Span, most: Span) -> Result<Span, Trouble> {
        let length = Span::millis(self.chance.random_range(least.0 / 1_000_000..=most.0 / 1_000_000));
        self.wait(length)?;
        Ok(length)
    }

    /// Waits until something is so, and says whether it came about.
    pub fn comes_about(&mut self, within: Span, mut is_so: impl FnMut(&mut Self) -> bool) -> Result<bool, Trouble> {
        let limit = self.now() + within;
        while !is_so(self) {
            if self.now() >= limit {
                return Ok(false);
            }
            self.wait(LOOK_EVERY)?;
        }
        Ok(true)
    }

    /// Waits until something is so that has to be.
    pub fn expect(&mut self, within: Span, what: &str, is_so: impl FnMut(&mut Self) -> bool) -> Result<(), Trouble> {
        if self.comes_about(within, is_so)? {
            return Ok(());
        }
        Err(Trouble::Broken(format!("not within {within}: {what}")))
    }

    /// Some member: the leader half the time, if there is one.
    pub fn victim(&mut self) -> u8 {
        let leader = self.members.leader().filter(|_| self.chance.random_bool(0.5));
        leader.unwrap_or_else(|| self.chance.random_range(self.members.ids()))
    }

    /// A member, and whether it leads, for people.
    pub fn describe(&self, id: u8) -> String {
        if self.members.leader() == Some(id) { format!("n{id}, the leader") } else { format!("n{id}") }
    }

    /// Starts a member with nothing special around it.
    pub fn start(&mut self, id: u8) -> Result<(), Trouble> {
        Ok(self.members.get_mut(id).start(&[])?)
    }

    /// Starts a member in an environment of its own.
    pub fn start_in(&mut self, id: u8, environment: &[(&'static str, OsString)]) -> Result<(), Trouble> {
        Ok(self.members.get_mut(id).start(environment)?)
    }

    /// Asks a member to stop, which it does in good order.
    pub fn stop(&mut self, id: u8) -> Result<(), Trouble> {
        self.members.get(id).signal(rustix::process::Signal::TERM)?;
        match self.end_of(id)? {
            Some(0) => Ok(()),
            code => {
                let last = self.members.get(id).last_words();
                Err(Trouble::Broken(format!("n{id} was asked to stop and ended with {code:?} instead of 0: {last}")))
            }
        }
    }

    /// Waits for the end of a member, and returns its exit code.
    pub fn end_of(&mut self, id: u8) -> Result<Option<i32>, Trouble> {
        let mut status = None;
        self.expect(ANSWERED_WITHIN, &format!("n{id} ends"), |scene| {
            status = scene.members.get_mut(id).ended();
            status.is_some()
        })?;
        Ok(status.and_then(|status| status.code()))
    }

    /// Waits until the cluster has its first leader.
    pub fn found(&mut self) -> Result<(), Trouble> {
        let mut ended = None;
        self.expect(WHOLE_WITHIN, "the new cluster finds a leader", |scene| {
            ended = scene.members.ended_by_itself();
            ended.is_some() || scene.members.leader().is_some()
        })?;
        ended.map_or(Ok(()), |ended| Err(Trouble::Broken(ended)))
    }

    /// Waits until clients are answered and every member is whole and has caught up: nothing is hurt before that.
    pub fn settle(&mut self) -> Result<(), Trouble> {
        let (begun, before) = (self.now(), self.load.progress());
        self.expect(ANSWERED_WITHIN, "clients are answered after a fault is over", |scene| {
            scene.load.progress() >= before + ANSWERS
        })?;
        let took = self.now().since(begun);
        self.longest_recovery = self.longest_recovery.max(took);
        let goal = self.floor();
        for id in self.members.ids() {
            let what = format!("n{id} runs, follows a leader, has caught up to index {goal} and is whole");
            self.expect(WHOLE_WITHIN, &what, |scene| scene.is_whole(id, goal))?;
        }
        match self.members.ended_by_itself() {
            Some(ended) => Err(Trouble::Broken(ended)),
            None if self.load.has_ended() => Err(failed("go on", "a client has ended")),
            None => Ok(()),
        }
    }

    /// What is committed for sure.
    fn floor(&self) -> Index {
        let floors = self.members.ids().filter_map(|id| self.members.get(id).status()).map(|status| status.floor);
        floors.max().unwrap_or(Index::ZERO)
    }

    fn is_whole(&self, id: u8, goal: Index) -> bool {
        let Some(status) = self.members.get(id).status() else { return false };
        let linked = status.reachable.len() == status.members.len();
        linked && status.leader.is_some() && status.applied >= goal && status.unknown == 0 && !status.hollow
    }

    /// Waits until no client asks anything any more and all members are in one state; returns its hash.
    pub fn agree(&mut self) -> Result<u64, Trouble> {
        let mut hash = 0;
        let what = "all members are in the same state once nobody writes any more";
        self.expect(WHOLE_WITHIN, what, |scene| {
            let all: Option<Vec<_>> = scene.members.ids().map(|id| scene.members.get(id).status()).collect();
            let Some(all) = all else { return false };
            hash = all[0].state_hash;
            all.iter().all(|status| (status.applied, status.state_hash) == (all[0].applied, hash))
        })?;
        Ok(hash)
    }
}

/// A fault that took effect.
pub fn bitten(proof: impl Into<String>) -> Result<Bite, Trouble> {
    Ok(Bite::Bitten(proof.into()))
}

/// A fault that did not, this time.
pub fn missed(why: impl Into<String>) -> Result<Bite, Trouble> {
    Ok(Bite::Missed(why.into()))
}

/// A fault that cannot be tried here.
pub fn skipped(why: impl Into<String>) -> Result<Bite, Trouble> {
    Ok(Bite::Skipped(why.into()))
}
