//! Clients: each asks one thing after the other over few keys, and writes down what it was told and when.
//!
//! What they saw together is one history, which the simulator's checker judges. One operation in twenty puts a key
//! that nobody writes again; at the end each of them has to be there.

use super::{arguments::Chaos, gaps::Gaps};
use crate::exit::Failure;
use ios_core::{
    client::{Ask, ClientOptions, Outcome},
    message::ReadMode,
    time::{Span, Time},
};
use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use runtime::{
    client::BlockingClient,
    clock::{Clock, until},
};
use sim::history::{
    self, Data, History, Verb,
    store::{decode_reply, encode_request},
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

/// Keys that everybody reads and writes.
const KEYS: u64 = 5;
/// Most operations of a run: they are all kept until it is judged.
const OPERATIONS_MAX: u64 = 500_000;
/// A client begins no more than one operation in this time.
const PACE_MIN: Span = Span::millis(8);
/// How long an operation is tried; some are given up sooner, so that there are outcomes that nobody knows.
const TRIED_FOR: Span = Span::secs(5);
const GIVEN_UP_AFTER: Span = Span::millis(300);
/// How long a client goes on asking for a key that was put, when all faults are over.
const FOUND_WITHIN: Span = Span::secs(60);

/// Operations by outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Answered.
    pub done: u64,
    /// Not done, for sure.
    pub not_done: u64,
    /// Perhaps done.
    pub unknown: u64,
}

/// What clients share with whoever started them.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    done: AtomicU64,
    not_done: AtomicU64,
    unknown: AtomicU64,
    /// Of answers that took a quorum: whoever will do with an old state is answered even by a member that is alone.
    gaps: Mutex<Gaps>,
    /// Do not look for what was put.
    abandoned: AtomicBool,
}

/// Clients at work.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Result<Work, Failure>>>,
    /// Its end wakes those that pause between two operations.
    waking: Vec<Sender<()>>,
}

/// What one client has done.
#[derive(Debug)]
struct Work {
    history: History,
    /// Keys that were acknowledged and are not there.
    lost: Vec<String>,
    kept: usize,
}

/// What all of them have seen.
#[derive(Debug)]
pub struct Seen {
    /// One history, by one clock.
    pub history: History,
    /// Keys that were acknowledged and are not there.
    pub lost: Vec<String>,
    /// How many of these keys there should be.
    pub kept: usize,
    /// Operations by outcome, those that looked for the keys aside.
    pub counts: Counts,
    /// The longest time in which nothing was answered, and when it ended.
    pub longest_gap: (Span, Time),
}

impl Load {
    /// Starts the clients of a run.
    pub fn start(chaos: &Chaos, endpoints: &[String], seed: u64) -> Result<Self, Failure> {
        let clients = u64::from(chaos.clients);
        let pace = PACE_MIN.max(Span(chaos.length.0 / (OPERATIONS_MAX / clients)));
        let shared = Arc::new(Shared::default());
        let (mut threads, mut waking) = (Vec::new(), Vec::new());
        for number in 0..clients {
            let (wake, pause) = channel();
            waking.push(wake);
            let worker = Worker::new(number, clients, endpoints, seed, shared.clone())?;
            let most = OPERATIONS_MAX / clients;
            let spawned = std::thread::Builder::new()
                .name(format!("client-{number}"))
                .spawn(move || worker.work(pace, most, &pause));
            threads.push(spawned.map_err(|error| Failure::system("start a thread", error))?);
        }
        Ok(Self { shared, threads, waking })
    }

    /// Operations so far.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Answers so far that took a quorum.
    pub fn progress(&self) -> u64 {
        self.shared.gaps().answers()
    }

    /// Whether a client has given up.
    pub fn has_ended(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Ends the load, has every client look for what it put, and returns what they saw. All faults must be over, unless
    /// the cluster is `abandoned`: then nobody looks.
    pub fn finish(&mut self, abandoned: bool) -> Result<Seen, Failure> {
        self.shared.abandoned.store(abandoned, Ordering::Release);
        let counts = self.counts();
        let longest_gap = self.shared.gaps().longest();
        self.shared.stop.store(true, Ordering::Release);
        self.waking.clear();
        let (mut parts, mut lost, mut kept) = (Vec::new(), Vec::new(), 0);
        for thread in std::mem::take(&mut self.threads) {
            let work = thread.join().map_err(|_| Failure::system("go on", "a client has panicked"))??;
            parts.push(work.history);
            lost.extend(work.lost);
            kept += work.kept;
        }
        Ok(Seen { history: History::merge(parts), lost, kept, counts, longest_gap })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.abandoned.store(true, Ordering::Release);
        self.shared.stop.store(true, Ordering::Release);
    }
}

impl Shared {
    fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Acquire);
        Counts { done: read(&self.done), not_done: read(&self.not_done), unknown: read(&self.unknown) }
    }

    fn gaps(&self) -> MutexGuard<'_, Gaps> {
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One client, and its part of the history.
struct Worker {
    number: u64,
    clients: u64,
    client: BlockingClient,
    clock: Clock,
    chance: ChaCha8Rng,
    history: History,
    kept: Vec<String>,
    count: u64,
    shared: Arc<Shared>,
}

impl Worker {
    fn new(number: u64, clients: u64, endpoints: &[String], seed: u64, shared: Arc<Shared>) -> Result<Self, Failure> {
        let options = ClientOptions { try_timeout: Span::millis(500), ..Default::default() };
        // Each begins with another member.
        let mut endpoints = endpoints.to_vec();
        let first = number as usize % endpoints.len();
        endpoints.rotate_left(first);
        let client = BlockingClient::new(&endpoints, options);
        Ok(Self {
            number,
            clients,
            client: client.map_err(|error| Failure::system("make a client", error))?,
            clock: Clock::default(),
            chance: ChaCha8Rng::seed_from_u64(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            history: History::new(),
            kept: Vec::new(),
            count: 0,
            shared,
        })
    }

    fn work(mut self, pace: Span, most: u64, pause: &Receiver<()>) -> Result<Work, Failure> {
        while !self.shared.stop.load(Ordering::Acquire) && self.count < most {
            let next = self.clock.now() + pace;
            self.one()?;
            // Nothing is ever sent: this only waits, until the other end is gone.
            let _ = pause.recv_timeout(until(self.clock.now(), next));
        }
        // All faults are over only when the other end is gone: whoever has done its share waits for that.
        let _ = pause.recv();
        let mut lost = Vec::new();
        let looked_for = if self.shared.abandoned.load(Ordering::Acquire) { Vec::new() } else { self.kept.clone() };
        for key in looked_for {
            if !self.finds(&key)? {
                lost.push(key);
            }
        }
        Ok(Work { history: self.history, kept: self.kept.len(), lost })
    }

    /// Does one thing.
    fn one(&mut self) -> Result<(), Failure> {
        self.count += 1;
        let kept = self.count.is_multiple_of(20).then(|| format!("kept/{}/{}", self.number, self.count));
        let request = match &kept {
            Some(key) => vec![Verb::Put { key: key.as_str().into(), value: "here".into() }],
            None => self.choose(),
        };
        let mode = match self.chance.random_range(0..10) {
            0..2 => ReadMode::Participant,
            2 => ReadMode::Stale,
            _ => ReadMode::Leader,
        };
        let took_a_quorum = mode != ReadMode::Stale || request.iter().any(Verb::writes);
        let given_up_soon = kept.is_none() && self.chance.random_bool(0.2);
        let timeout = if given_up_soon { GIVEN_UP_AFTER } else { TRIED_FOR };
        let count = match self.ask(request, mode, timeout)? {
            history::Outcome::Done { .. } => {
                if took_a_quorum {
                    self.shared.gaps().answered(self.clock.now());
                }
                self.kept.extend(kept);
                &self.shared.done
            }
            history::Outcome::NotDone => &self.shared.not_done,
            history::Outcome::Unknown => &self.shared.unknown,
        };
        count.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn choose(&mut self) -> Vec<Verb> {
        let key: Data = format!("k{}", self.chance.random_range(0..KEYS)).as_str().into();
        let value: Data = format!("{}-{}", self.number, self.count).as_str().into();
        match self.chance.random_range(0..20) {
            0..7 => vec![Verb::Get { key }],
            7..12 => vec![Verb::Put { key, value }],
            12..15 => {
                let (whose, back) = (self.chance.random_range(0..self.clients), self.chance.random_range(0..5));
                let expected = format!("{whose}-{}", self.count.saturating_sub(back));
                vec![Verb::Cas { key, expected: Some(expected.as_str().into()), value }]
            }
            15 => vec![Verb::Delete { key }],
            16 => vec![Verb::Exists { key }],
            17 => vec![Verb::Count],
            18 => vec![Verb::List { prefix: "k".into(), limit: 3 }],
            _ => vec![Verb::Get { key: key.clone() }, Verb::Put { key, value }, Verb::Count],
        }
    }

    /// Whether a key is there, asked until that is known.
    fn finds(&mut self, key: &str) -> Result<bool, Failure> {
        let limit = self.clock.now() + FOUND_WITHIN;
        while self.clock.now() < limit {
            let exists = vec![Verb::Exists { key: key.into() }];
            if let history::Outcome::Done { answers, .. } = self.ask(exists, ReadMode::Leader, TRIED_FOR)? {
                return Ok(matches!(answers[..], [history::Answer::Exists { there: true, .. }]));
            }
        }
        Ok(false)
    }

    fn ask(&mut self, request: Vec<Verb>, mode: ReadMode, timeout: Span) -> Result<history::Outcome, Failure> {
        let payload = encode_request(&request).map_err(|error| Failure::system("encode a request", error))?;
        let writes = request.iter().any(Verb::writes);
        let (now, process) = (self.clock.now().0, self.number);
        let (ask, id) = match (writes, mode) {
            (true, _) => (Ask::Write, self.history.invoke(now, process, request)),
            (false, ReadMode::Stale) => (Ask::Read(mode), self.history.invoke_stale(now, process, request)),
            (false, _) => (Ask::Read(mode), self.history.invoke(now, process, request)),
        };
        let outcome = self.client.submit(ask, payload, timeout);
        let outcome = match outcome.map_err(|error| Failure::system("wait for an answer", error))? {
            Outcome::Done { revision, reply } => {
                let answers = decode_reply(&reply).map_err(|error| Failure::system("read an answer", error))?;
                history::Outcome::Done { revision: Some(revision.0), answers }
            }
            Outcome::NotDone { .. } => history::Outcome::NotDone,
            Outcome::Unknown { .. } => history::Outcome::Unknown,
        };
        self.history.end(self.clock.now().0, id, outcome.clone());
        Ok(outcome)
    }
}
