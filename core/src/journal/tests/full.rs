//! A disk without room: what nobody relies on yet is done without, and made again later.

use super::*;
use crate::{
    interface::{Fault, Note},
    journal::ROOM_PAUSE,
};

const FILE: FileId = FileId::Snapshot(1);

impl Bench {
    /// Ends the oldest pending operation with an error.
    fn fail(&mut self, error: DiskError) -> Result<Vec<Output>, Fault> {
        let Some(Output::Disk { op, .. }) = self.pending.pop_front() else { panic!("nothing is under way") };
        let mut out = Vec::new();
        self.journal.complete(self.now, op, DiskResult::Failed(error), &mut out).map(|own| {
            assert!(own);
            out
        })
    }

    fn wake(&mut self) {
        self.now = self.journal.deadline().expect("something is due").max(self.now);
        let mut out = Vec::new();
        self.journal.wake(self.now, &mut out);
        self.pending.extend(out);
    }
}

fn file(bench: &Bench) -> Option<FileId> {
    bench.pending.front().map(|output| match output {
        Output::Disk { action, .. } => action.file(),
        other => panic!("{other:?}"),
    })
}

/// A journal that is about to make its second segment.
fn half_full() -> Bench {
    let mut bench = Bench::running(Disk::formatted(), &options(8, 64 << 10));
    bench.append(accepted(1, 1));
    bench.settle();
    for index in 2.. {
        bench.append(accepted(1, index));
        bench.flush();
        bench.step();
        bench.flush();
        if file(&bench) == Some(FileId::Segment(2)) {
            return bench;
        }
    }
    unreachable!()
}

#[test]
fn records_wait_for_a_segment_and_go_on_when_there_is_room() {
    let mut bench = half_full();
    let full = Note::DiskFull { file: FileId::Segment(2) };
    assert_eq!(bench.fail(DiskError::Full), Ok(vec![Output::Note(full)]));
    let first = bench.now;
    // What is in use goes on.
    let ticket = bench.journal.ticket();
    bench.settle();
    assert!(bench.journal.covers(ticket));
    for index in 10..20 {
        bench.append(accepted(1, index));
    }
    let ticket = bench.journal.ticket();
    bench.settle();
    assert!(!bench.journal.covers(ticket) && bench.journal.waiting_since() == Some(first));
    for _ in 0..3 {
        let before = bench.now;
        bench.wake();
        assert!(bench.now >= before + ROOM_PAUSE);
        assert_eq!(file(&bench), Some(FileId::Segment(2)));
        assert_eq!(bench.journal.waiting_since(), Some(first), "to try again is no progress");
        bench.fail(DiskError::Full).unwrap();
        assert_eq!((file(&bench), bench.journal.waiting_since()), (None, Some(first)));
    }
    bench.wake();
    bench.settle();
    assert!(bench.journal.covers(ticket) && bench.journal.waiting_since().is_none());
    let bench = bench.reopen(&options(8, 64 << 10));
    assert_eq!(bench.recovered.entries.last().map(|entry| entry.index), Some(Index(19)));
}

#[test]
fn a_snapshot_is_given_up_and_taken_later() {
    for blocks in 0..2 {
        let mut bench = Bench::running(Disk::formatted(), &options(32, 64 << 10));
        bench.rounds([accepted(1, 1)]);
        bench.idle();
        let mut out = Vec::new();
        bench.journal.draft_snapshot(Index(1), 7, 64, &mut out);
        bench.pending.extend(out.drain(..));
        for _ in 0..blocks {
            bench.step();
            bench.journal.write_block(b"state", &mut out);
            bench.pending.extend(out.drain(..));
        }
        let mut out = bench.fail(DiskError::Full).unwrap();
        assert_eq!(out.remove(0), Output::Note(Note::DiskFull { file: FILE }));
        assert!(matches!(&out[..], [Output::Disk { action: DiskAction::Remove { file: FILE }, .. }]), "{out:?}");
        bench.pending.extend(out);
        bench.settle();
        assert!(bench.journal.take_lost_draft() && !bench.journal.take_lost_draft());
        assert!(bench.journal.drafting().is_none() && !bench.journal.keeps_snapshots());
        bench.wake();
        assert!(bench.journal.keeps_snapshots() && bench.journal.deadline().is_none());
    }
}

#[test]
fn what_was_given_up_before_it_failed_fences_nobody() {
    let mut bench = Bench::running(Disk::formatted(), &options(32, 64 << 10));
    let mut out = Vec::new();
    bench.journal.draft_snapshot(Index(1), 7, 64, &mut out);
    bench.journal.abandon_snapshot(&mut out);
    bench.pending.extend(out);
    assert!(bench.fail(DiskError::Full).is_ok());
    assert!(!bench.journal.take_lost_draft());
}

#[test]
fn a_removal_without_room_is_tried_again() {
    let mut bench = Bench::running(Disk::formatted(), &options(32, 64 << 10));
    let mut out = Vec::new();
    bench.journal.draft_snapshot(Index(1), 7, 64, &mut out);
    bench.journal.abandon_snapshot(&mut out);
    bench.pending.extend(out);
    bench.step();
    assert_eq!(file(&bench), Some(FILE));
    bench.fail(DiskError::Full).unwrap();
    assert_eq!(file(&bench), None, "not at once");
    bench.wake();
    assert!(matches!(bench.pending.front(), Some(Output::Disk { action: DiskAction::Remove { file: FILE }, .. })));
    bench.settle();
    assert_eq!(bench.journal.deadline(), None);
}

#[test]
fn what_waits_for_the_disk_is_measured() {
    let mut bench = half_full();
    bench.fail(DiskError::Full).unwrap();
    assert!(!bench.journal.is_behind());
    for index in 20..90 {
        bench.append(Record::Accepted { view: view(1), index: Index(index), batch: batch(1, 1 << 20) });
    }
    bench.settle();
    assert!(bench.journal.is_behind());
    bench.wake();
    bench.settle();
    assert!(!bench.journal.is_behind());
}

#[test]
fn nothing_else_is_done_without() {
    // The fresh segment of a life, which everything it vouches for goes to; another error than that; a round.
    let mut bench = Bench::open(Disk::formatted(), &options(32, 64 << 10));
    bench.flush();
    assert_eq!(bench.fail(DiskError::Full), Err(Fault::Disk { file: FileId::Segment(1), error: DiskError::Full }));
    let fault = |error| Err(Fault::Disk { file: FileId::Segment(2), error });
    assert_eq!(half_full().fail(DiskError::Io), fault(DiskError::Io));
    assert_eq!(half_full().fail(DiskError::ReadOnly), fault(DiskError::ReadOnly));
    let mut bench = Bench::running(Disk::formatted(), &options(32, 64 << 10));
    bench.append(accepted(1, 1));
    bench.flush();
    assert_eq!(bench.fail(DiskError::Full), Err(Fault::Disk { file: FileId::Segment(1), error: DiskError::Full }));
}
