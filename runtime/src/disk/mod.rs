//! Disk operations beside the loop.
//!
//! Two *lanes*, each a thread that performs one operation at a time and wakes the loop when it is done: one for
//! rounds, one for making and removing files and for snapshots, because filling a segment with zeros takes hundreds
//! of times as long as a round and acknowledgements must not wait for it. Operations on one file stay in order: while
//! one is outstanding, the next goes to the same lane.
//!
//! A hand-over to a thread and back costs tens of microseconds, a good part of a fast disk's sync. [`Disk::in_place`]
//! is the one place that decides when the loop performs a round itself instead.

mod files;
mod rounds;

pub use files::{Files, Persistence};
pub use rounds::Rounds;

use crate::clock::Clock;
use ios_core::{
    ids::OpId,
    interface::{DiskAction, DiskResult, FileId},
    time::{Span, Time},
};
use mio::Waker;
use std::{
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

/// The loop waits for a round itself only while rounds take less than this: about what it would spend on a few dozen
/// messages. A slower disk always gets its thread, so that signs of life go on.
const IN_PLACE_MAX: Span = Span::millis(1);

type Job = (OpId, DiskAction);
/// How an operation ended, and how long it took if it was a round.
type Done = (OpId, DiskResult, Option<Span>);

/// The lanes of one data directory and what is outstanding on them.
///
/// The queues need no bound of their own: the journal has at most one round, one change of identity, one segment in
/// preparation, one block of a snapshot, one removal and a few reads under way.
pub struct Disk {
    rounds: Lane,
    layout: Lane,
    done: Receiver<Done>,
    outstanding: Vec<(OpId, FileId, LaneName)>,
    /// For rounds performed in the loop.
    own: Files,
    /// How long the last round performed in the loop took.
    last_round: Span,
    /// When the next round is performed in the loop to see whether the disk is fast again.
    probe_at: Time,
    /// How long rounds took, wherever they were performed.
    times: Rounds,
}

/// After a slow round the lanes are used for this long before the loop tries again.
const PROBE_AFTER: Span = Span::secs(1);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LaneName {
    Rounds,
    Layout,
}

struct Lane {
    /// `None` once the lane is to end.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Disk {
    /// Starts the lanes of the data directory at `root`. Each completion wakes the loop through `waker`.
    pub fn start(root: &Path, persistence: Persistence, waker: &Arc<Waker>) -> std::io::Result<Self> {
        let (finished, done) = channel();
        let lane = |name: &str| Lane::start(name, Files::new(root, persistence), finished.clone(), waker.clone());
        Ok(Self {
            rounds: lane("disk")?,
            layout: lane("disk-layout")?,
            done,
            outstanding: Vec::new(),
            own: Files::new(root, persistence),
            last_round: Span::ZERO,
            probe_at: Time::ZERO,
            times: Rounds::default(),
        })
    }

    /// Whether the loop, which has nothing else to do, should perform `action` itself: a round, alone on the disk, on a
    /// disk that was fast the last time.
    pub fn in_place(&self, now: Time, action: &DiskAction) -> bool {
        let fast = self.last_round < IN_PLACE_MAX || now >= self.probe_at;
        is_round(action) && self.outstanding.is_empty() && fast
    }

    /// Performs a round in the caller's thread; `clock` tells how long it took.
    pub fn perform(&mut self, action: &DiskAction, mut clock: impl FnMut() -> Time) -> DiskResult {
        let begun = clock();
        let result = self.own.perform(action);
        let ended = clock();
        self.last_round = ended.since(begun);
        self.probe_at = ended + PROBE_AFTER;
        self.times.take(self.last_round);
        result
    }

    /// Hands an operation to its lane.
    pub fn submit(&mut self, op: OpId, action: DiskAction) {
        let file = action.file();
        let busy = self.outstanding.iter().find(|(_, outstanding, _)| *outstanding == file);
        let name = match (busy, &action) {
            (Some((_, _, lane)), _) => *lane,
            (None, action) if is_round(action) => LaneName::Rounds,
            (None, _) => LaneName::Layout,
        };
        self.outstanding.push((op, file, name));
        let lane = match name {
            LaneName::Rounds => &self.rounds,
            LaneName::Layout => &self.layout,
        };
        let jobs = lane.jobs.as_ref().expect("lanes end when the disk is dropped");
        jobs.send((op, action)).expect("a lane ends only after its sender");
    }

    /// The next completion, if there is one.
    pub fn completed(&mut self) -> Option<(OpId, DiskResult)> {
        let (op, result, took) = self.done.try_recv().ok()?;
        if let Some(took) = took {
            self.times.take(took);
        }
        self.outstanding.retain(|(outstanding, _, _)| *outstanding != op);
        Some((op, result))
    }

    /// How long rounds took.
    pub fn times(&self) -> &Rounds {
        &self.times
    }

    /// Operations handed to a lane and not complete.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }
}

/// Whether somebody waits for this to be quick.
fn is_round(action: &DiskAction) -> bool {
    matches!(action, DiskAction::Write { file: FileId::Identity | FileId::Segment(_), .. })
}

impl Lane {
    fn start(name: &str, mut files: Files, finished: Sender<Done>, waker: Arc<Waker>) -> std::io::Result<Self> {
        let (jobs, queue) = channel::<Job>();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut clock = Clock::default();
            for (op, action) in queue {
                let begun = clock.now();
                let result = files.perform(&action);
                let took = is_round(&action).then(|| clock.now().since(begun));
                // The loop may be gone already: then nobody wants to know.
                let told = finished.send((op, result, took)).is_ok() && waker.wake().is_ok();
                if !told {
                    return;
                }
            }
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported when it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use mio::{Events, Poll, Token};

    const SEGMENT: FileId = FileId::Segment(1);

    fn write(at: u64, text: &'static [u8]) -> DiskAction {
        DiskAction::Write { file: SEGMENT, writes: vec![(at, Bytes::from_static(text))] }
    }

    struct Fixture {
        root: tempfile::TempDir,
        poll: Poll,
        disk: Disk,
    }

    fn fixture() -> Fixture {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("log")).unwrap();
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let disk = Disk::start(root.path(), Persistence::Dsync, &waker).unwrap();
        Fixture { root, poll, disk }
    }

    impl Fixture {
        fn wait_for(&mut self, count: usize) -> Vec<(OpId, DiskResult)> {
            let mut events = Events::with_capacity(4);
            let mut done = Vec::new();
            while done.len() < count {
                self.poll.poll(&mut events, None).unwrap();
                done.extend(std::iter::from_fn(|| self.disk.completed()));
            }
            done
        }
    }

    #[test]
    fn operations_on_one_file_take_effect_in_order_across_kinds() {
        let mut fixture = fixture();
        fixture.disk.submit(OpId(1), DiskAction::Create { file: SEGMENT, size: 4 << 20, head: Bytes::new() });
        fixture.disk.submit(OpId(2), write(0, b"new"));
        fixture.disk.submit(OpId(3), write(1, b"o"));
        let done = fixture.wait_for(3);
        assert_eq!(done, [1, 2, 3].map(|op| (OpId(op), DiskResult::Done)));
        let bytes = std::fs::read(fixture.root.path().join("log/00000001.seg")).unwrap();
        assert_eq!(&bytes[..4], b"now\0");
    }

    #[test]
    fn the_loop_performs_rounds_itself_only_alone_and_on_a_fast_disk() {
        let mut fixture = fixture();
        let create = DiskAction::Create { file: SEGMENT, size: 8, head: Bytes::new() };
        assert!(!fixture.disk.in_place(Time(1), &create), "making files is never quick");
        fixture.disk.submit(OpId(1), create);
        assert!(!fixture.disk.in_place(Time(1), &write(0, b"x")), "something is outstanding");
        fixture.wait_for(1);
        assert!(fixture.disk.in_place(Time(1), &write(0, b"x")));

        let mut readings = [Time(0), Time::ZERO + IN_PLACE_MAX].into_iter();
        let result = fixture.disk.perform(&write(0, b"x"), || readings.next().unwrap());
        assert_eq!(result, DiskResult::Done);
        let after = Time::ZERO + IN_PLACE_MAX + Span::nanos(1);
        assert!(!fixture.disk.in_place(after, &write(0, b"x")), "the disk was slow");
        assert!(fixture.disk.in_place(after + PROBE_AFTER, &write(0, b"x")), "it gets another chance");
    }
}
