//! Snapshots taken piece by piece under load, restored, and made from anything else.

use super::*;
use crate::{
    batch::{Batch, BatchBuilder, Command},
    configuration::Configuration,
    ids::{Sequence, SessionId},
    service::{
        Answer, Application,
        kv::{Kv, Operation, request::encode},
    },
    time::Span,
};
use alloc::vec;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// A machine fed with random batches.
struct Load<S> {
    machine: Machine<S>,
    history: ConfigurationHistory,
    rng: ChaCha8Rng,
    sessions: Vec<(SessionId, u64)>,
    time: u64,
}

impl<S: Service> Load<S> {
    fn new(service: S, seed: u64) -> Self {
        let configuration = Configuration::new(ConfigurationDraft::default()).unwrap();
        Self {
            machine: Machine::new(service, Span(500)),
            history: ConfigurationHistory::new(configuration),
            rng: ChaCha8Rng::seed_from_u64(seed),
            sessions: vec![],
            time: 0,
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.rng.next_u64() % limit
    }

    fn apply(&mut self) {
        self.time += self.below(40);
        let mut builder = BatchBuilder::default();
        for _ in 0..=self.below(3) {
            let command = self.command();
            builder.push(&command);
        }
        self.apply_batch(&builder.finish(Time(self.time)));
    }

    fn command(&mut self) -> Command {
        if self.sessions.is_empty() || self.below(6) == 0 {
            return Command::Register;
        }
        let pick = self.below(self.sessions.len() as u64) as usize;
        let (session, sequence) = self.sessions[pick];
        if self.below(20) == 0 {
            return Command::Close { session };
        }
        self.sessions[pick].1 += 1;
        let key = vec![b'k'; 1 + self.below(30) as usize];
        let value = vec![b'v'; self.below(90) as usize];
        let payload = match self.below(4) {
            0 => encode(&[Operation::Delete { key: &key }]),
            1 => encode(&[Operation::Get { key: &key }]),
            _ => encode(&[Operation::Put { key: &key, value: &value }]),
        };
        let acked = Sequence(self.below(sequence + 1));
        Command::Request { session, sequence: Sequence(sequence + 1), acked, payload: payload.unwrap() }
    }

    fn apply_batch(&mut self, batch: &Batch) {
        let (index, mut answers) = (self.machine.applied().next(), vec![]);
        self.machine.apply(index, batch, &mut vec![], &mut answers);
        for answer in answers {
            if let Answer::Registered { session, .. } = answer {
                self.sessions.push((session, 0));
            }
        }
    }

    /// Takes a snapshot in blocks of that size, with so many batches applied between any two of them.
    fn snapshot(&mut self, size: usize, between: u64) -> Vec<Vec<u8>> {
        let mut snapshot = Snapshotter::begin(&mut self.machine, &self.history);
        let mut blocks = vec![];
        while !snapshot.is_over() {
            blocks.extend(snapshot.block(&mut self.machine, size));
            (0..between).for_each(|_| self.apply());
        }
        assert!(blocks.iter().rev().skip(1).all(|block| block.len() == size));
        blocks
    }

    fn restore(&self, blocks: &[Vec<u8>]) -> Result<Restorer<S>, BadSnapshot> {
        let mut restorer = Restorer::begin(&self.machine, &self.history);
        blocks.iter().try_for_each(|block| restorer.take(block)).map(|()| restorer)
    }
}

#[test]
fn a_snapshot_taken_under_load_is_the_one_taken_at_once_and_goes_on_as_the_original() {
    for seed in 0..60 {
        let mut load = Load::new(Kv::default(), seed);
        (0..seed * 2).for_each(|_| load.apply());
        let (index, state_hash) = (load.machine.applied(), load.machine.state_hash());
        let at_once = load.snapshot(1 << 20, 0).concat();
        let original = load.machine.clone();
        let size = 32 + load.below(200) as usize;
        let between = load.below(4);
        let blocks = load.snapshot(size, between);
        assert_eq!(blocks.concat(), at_once, "seed {seed}");

        let mut restored = load.restore(&blocks).unwrap().finish(index, state_hash).unwrap();
        assert_eq!(restored.state_hash(), original.state_hash(), "seed {seed}");
        // It holds the same sessions, with the same replies and the same expiry.
        let mut original = original;
        let mut replay = Load { sessions: load.sessions.clone(), ..Load::new(Kv::default(), !seed) };
        replay.time = load.time;
        for _ in 0..30 {
            let mut builder = BatchBuilder::default();
            (0..3).for_each(|_| builder.push(&replay.command()));
            replay.time += replay.below(60);
            let batch = builder.finish(Time(replay.time));
            let index = original.applied().next();
            let (mut here, mut there) = (vec![], vec![]);
            original.apply(index, &batch, &mut vec![], &mut here);
            restored.apply(index, &batch, &mut vec![], &mut there);
            assert_eq!(here, there, "seed {seed} at {index}");
            assert_eq!(original.state_hash(), restored.state_hash(), "seed {seed} at {index}");
        }
    }
}

#[test]
fn a_snapshot_that_is_given_up_leaves_nothing_behind() {
    let mut load = Load::new(Kv::default(), 7);
    (0..50).for_each(|_| load.apply());
    let before = load.machine.clone();
    let mut snapshot = Snapshotter::begin(&mut load.machine, &load.history);
    assert!(snapshot.block(&mut load.machine, 64).is_some());
    load.machine.snapshot_end();
    assert_eq!(load.machine, before);
}

#[test]
fn the_service_without_state_has_a_snapshot_too() {
    for name in ["dummy", "kv-store"] {
        let mut load = Load::new(name.parse::<Application>().unwrap(), 1);
        (0..10).for_each(|_| load.apply());
        let (index, state_hash) = (load.machine.applied(), load.machine.state_hash());
        let blocks = load.snapshot(100, 1);
        let restored = load.restore(&blocks).unwrap().finish(index, state_hash).unwrap();
        assert_eq!(restored.state_hash(), state_hash, "{name}");
    }
}

#[test]
fn a_stream_with_anything_wrong_in_it_is_refused() {
    let mut load = Load::new(Kv::default(), 3);
    (0..60).for_each(|_| load.apply());
    let (index, state_hash) = (load.machine.applied(), load.machine.state_hash());
    let whole = load.snapshot(1 << 20, 0).concat();
    let judge = |bytes: &[u8]| {
        let restorer = load.restore(&[bytes.to_vec()]);
        restorer.and_then(|restorer| restorer.finish(index, state_hash)).is_ok()
    };
    assert!(judge(&whole));
    for at in 0..whole.len() {
        assert!(!judge(&whole[..at]), "cut at {at}");
        for bit in [0, 3, 7] {
            let mut bad = whole.clone();
            bad[at] ^= 1 << bit;
            assert!(!judge(&bad), "bit {bit} of byte {at}");
        }
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert!(!judge(&longer));
}

#[test]
fn no_state_counts_so_far_that_it_overflows() {
    let load = Load::new(Kv::default(), 1);
    let configurations = load.history.entries();
    let restore = |head: Head, parts: &[Vec<u8>]| {
        let mut stream = vec![];
        for part in [postcard::to_allocvec(&head).unwrap()].iter().chain(parts) {
            stream.extend((part.len() as u32).to_le_bytes());
            stream.extend(part);
        }
        Restorer::begin(&load.machine, &load.history).take(&stream)
    };
    let head = |index, time, revision| {
        let (index, log_time, revision) = (Index(index), Time(time), Revision(revision));
        Head { index, log_time, revision, configurations: configurations.clone() }
    };
    assert_eq!(restore(head(COUNT_MAX, COUNT_MAX, COUNT_MAX), &[]), Ok(()));
    for [index, time, revision] in [[COUNT_MAX + 1, 0, 0], [0, COUNT_MAX + 1, 0], [0, 0, COUNT_MAX + 1]] {
        assert_eq!(restore(head(index, time, revision), &[]), Err(BadSnapshot));
    }
    let part = |tag: u8, words: &[u64]| {
        let words = words.iter().flat_map(|word| word.to_le_bytes());
        [tag].into_iter().chain(words).collect::<Vec<u8>>()
    };
    let session = |index, mark| part(1, &[index, 0, 0, mark]);
    assert_eq!(restore(head(7, 0, 0), &[session(7, COUNT_MAX)]), Ok(()));
    assert_eq!(restore(head(7, 0, 0), &[session(8, 0)]), Err(BadSnapshot), "a session of a later batch");
    assert_eq!(restore(head(7, 0, 0), &[session(7, COUNT_MAX + 1)]), Err(BadSnapshot));
}
