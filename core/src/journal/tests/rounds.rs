//! When what is written: rounds, seals, idle times, segments made ahead of time.

use super::*;
use crate::journal::{Fact, Witness, extents};

fn writes(bench: &Bench) -> Vec<(FileId, usize)> {
    let of = |output: &Output| match output {
        Output::Disk { action: DiskAction::Write { file, writes }, .. } => (*file, writes.len()),
        Output::Disk { action: DiskAction::Create { file, .. }, .. } => (*file, 0),
        output => panic!("{output:?}"),
    };
    bench.pending.iter().map(of).collect()
}

#[test]
fn one_round_at_a_time_and_the_next_takes_all_that_gathered() {
    let options = options(32, 64 << 10);
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.append(accepted(1, 1));
    bench.flush();
    bench.append(accepted(1, 2));
    bench.append(accepted(1, 3));
    assert!(!bench.journal.wants_flush(), "a round is under way");
    bench.flush();
    assert_eq!(writes(&bench), [(FileId::Segment(1), 1)]);
    assert!(bench.step() && bench.pending.is_empty(), "a completion starts no round");
    assert!(bench.journal.wants_flush());
    bench.flush();
    assert_eq!(writes(&bench), [(FileId::Segment(1), 2)], "two records in one piece, and the slot of the one before");
}

#[test]
fn idle_slots_and_floors_are_written_after_the_idle_time() {
    let options = options(32, 64 << 10);
    let mut bench = Bench::running(Disk::formatted(), &options);
    assert_eq!(bench.journal.deadline(), None);
    bench.rounds([accepted(1, 1)]);
    let due = bench.now + options.seal_idle;
    assert_eq!(bench.journal.deadline(), Some(due));
    let mut out = Vec::new();
    bench.journal.wake(Time(due.0 - 1), &mut out);
    assert_eq!(out, []);

    let ticket = bench.journal.ticket();
    bench.append(floor(1));
    assert_eq!(bench.journal.ticket(), ticket, "nobody waits for a floor");
    assert!(!bench.journal.wants_round());
    bench.append(floor(2));
    bench.now = due;
    bench.journal.wake(due, &mut out);
    bench.pending.extend(out);
    assert_eq!(writes(&bench), [(FileId::Segment(1), 2)]);
    bench.settle();
    bench.idle();
    assert_eq!(bench.journal.deadline(), None, "the floor's own slot is written too, and then there is peace");
    assert_eq!(bench.reopen(&options).recovered.floor, Index(2));
}

#[test]
fn the_next_segment_is_made_when_this_one_is_half_full() {
    let options = options(8, 64 << 10);
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.rounds((1..4).map(|index| accepted(1, index)));
    assert!(!bench.disk.files.contains_key(&FileId::Segment(2)));
    bench.rounds([accepted(1, 4)]);
    assert!(bench.disk.files.contains_key(&FileId::Segment(2)));
    // Nobody waits for that one.
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.append(Record::Accepted { view: view(1), index: Index(1), batch: batch(1, 40_000) });
    bench.flush();
    bench.step();
    assert_eq!(writes(&bench), [(FileId::Segment(2), 0)]);
    assert_eq!(bench.journal.waiting_since(), None);
}

#[test]
fn waiting_for_a_new_segment_counts_from_when_it_is_needed() {
    let options = options(4, 4096);
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.rounds((1..=4).map(|index| accepted(1, index)));
    bench.idle();
    // Larger than the segment that was made ahead of time: it is made anew.
    bench.append(Record::Accepted { view: view(1), index: Index(5), batch: batch(1, 40_000) });
    bench.now = Time(1_000_000_000);
    bench.flush();
    assert_eq!(writes(&bench), [(FileId::Segment(2), 0)]);
    assert_eq!(bench.journal.waiting_since(), Some(bench.now));
    bench.settle();
    assert_eq!(bench.journal.waiting_since(), None);
    assert_eq!(bench.journal.backlog(), 0);
}

#[test]
fn a_witness_holds_back_what_no_identity_names_yet() {
    let options = options(32, 64 << 10);
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.rounds([accepted(1, 1)]);
    let mut witness = Witness::default();
    let mut bench = Bench::open(bench.disk, &options);
    bench.flush();
    let mut log = Vec::new();
    while let Some(Output::Disk { action, .. }) = bench.pending.front() {
        let facts = witness.durable(action, |_| {});
        log.push(facts.iter().filter(|fact| matches!(fact, Fact::Accepted { .. })).count());
        bench.step();
    }
    // Create, copies, first half of the identity, second half.
    assert_eq!(log, [0, 0, 0, 1]);
    bench.append(accepted(2, 1));
    bench.flush();
    let Some(Output::Disk { action, .. }) = bench.pending.front() else { panic!("a round") };
    let digest = batch(2001, 8).digest();
    assert!(witness.durable(action, |_| {}).contains(&Fact::Accepted { view: view(2), index: Index(1), digest }));
    let DiskAction::Write { file, writes } = action else { panic!("a write") };
    for extent in extents(*file, writes) {
        let alone =
            |bytes: &Bytes, at: u64| bytes.slice((extent.offset - at) as usize..).slice(..extent.length as usize);
        let within = |(at, bytes): &&(u64, Bytes)| (*at..*at + bytes.len() as u64).contains(&extent.offset);
        let (at, bytes) = writes.iter().find(within).expect("an extent is part of a write");
        let again = extents(*file, &[(extent.offset, alone(bytes, *at))]);
        assert_eq!(again, [extent]);
    }
}
