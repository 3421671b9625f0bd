//! What is written is read back: over restarts, over segments, and by the witness that reads the bytes alone.

use super::*;
use crate::journal::{Fact, RecoveredEntry, facts};

fn index_of(entry: &RecoveredEntry) -> u64 {
    entry.index.0
}

#[test]
fn what_was_written_is_read_back() {
    let options = options(64, 64 << 10);
    let mut bench = Bench::running(Disk::formatted(), &options);
    assert_eq!(bench.recovered.entries, []);
    bench.append(accepted(1, 1));
    bench.append(accepted(1, 2));
    bench.append(Record::Committed { index: Index(3), batch: batch(9, 10_000) });
    let ticket = bench.journal.ticket();
    assert!(bench.journal.wants_flush() && !bench.journal.covers(ticket));
    bench.flush();
    assert!(!bench.journal.wants_flush() && bench.journal.backlog() > 10_000);
    bench.settle();
    assert!(bench.journal.covers(ticket));
    assert_eq!(bench.journal.backlog(), 0);
    bench.append(floor(1));
    bench.idle();

    for life in 2..6 {
        bench = bench.reopen(&options);
        assert_eq!(bench.recovered.identity.incarnation.0, life);
        assert_eq!(bench.recovered.entries.iter().map(index_of).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(bench.recovered.floor, Index(1));
        let [one, two, three] = &bench.recovered.entries[..] else { unreachable!() };
        assert!(one.committed && !two.committed && three.committed);
        assert!(one.certain && two.certain && three.certain);
        assert_eq!(one.accepted, Some((view(1), batch(1001, 8))));
        assert_eq!(two.accepted, Some((view(1), batch(1002, 8))));
        assert_eq!(three.accepted, Some((View::ZERO, batch(9, 10_000))));
        assert!(!bench.recovered.loss);
    }
}

#[test]
fn promises_are_durable_when_their_ticket_is() {
    let options = options(64, 64 << 10);
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.journal.promise(view(7));
    let first = bench.journal.ticket();
    bench.flush();
    bench.journal.promise(view(9));
    let second = bench.journal.ticket();
    bench.flush();
    assert!(bench.step() && !bench.journal.covers(first), "one half does not make a promise");
    assert!(bench.step() && bench.journal.covers(first) && !bench.journal.covers(second));
    bench.settle();
    assert!(bench.journal.covers(second));
    assert_eq!(bench.reopen(&options).recovered.identity.promised, view(9));
}

#[test]
fn a_log_of_many_segments_is_read_back() {
    let options = options(4, 4096);
    let mut bench = Bench::running(Disk::formatted(), &options);
    for index in 1..100 {
        bench.append(accepted(1 + index / 10, index));
        if index % 3 == 0 {
            bench.settle();
        }
    }
    bench.append(Record::Accepted { view: view(20), index: Index(100), batch: batch(7, 50_000) });
    bench.rounds([accepted(20, 101)]);
    assert!(bench.disk.files.len() > 25, "{} files", bench.disk.files.len());
    let bench = bench.reopen(&options).reopen(&options);
    assert_eq!(bench.recovered.entries.iter().map(index_of).collect::<Vec<_>>(), (1..=101).collect::<Vec<_>>());
    assert!(bench.recovered.entries.iter().all(|entry| entry.accepted.is_some() && entry.certain));
}

#[test]
fn facts_are_read_off_the_bytes_of_a_write() {
    let options = options(64, 64 << 10);
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.rounds([accepted(1, 1)]);
    let large = batch(5, 5000);
    bench.append(Record::Accepted { view: view(1), index: Index(2), batch: large.clone() });
    bench.append(floor(1));
    bench.append(Record::Committed { index: Index(3), batch: batch(6, 7) });
    bench.flush();
    let Some(Output::Disk { action: DiskAction::Write { file, writes }, .. }) = bench.pending.front() else {
        panic!("{:?}", bench.pending)
    };
    assert_eq!(
        facts(*file, writes),
        [
            Fact::Slot { ordinal: 0, view: view(1), index: Index(1), digest: batch(1001, 8).digest() },
            Fact::Accepted { view: view(1), index: Index(2), digest: batch(5, 5000).digest() },
            Fact::Floor { index: Index(1) },
            Fact::Committed { index: Index(3), digest: batch(6, 7).digest() },
        ]
    );
    let same = |(_, bytes): &(u64, Bytes)| bytes.as_ptr() == large.bytes().as_ptr();
    assert!(writes.iter().any(same), "large payloads are not copied");
}

#[test]
fn without_persistence_nothing_is_written_and_everything_counts_as_durable() {
    let options = JournalOptions { persistence: Persistence::None, ..options(64, 64 << 10) };
    let mut bench = Bench::open(Disk::formatted(), &options);
    bench.append(accepted(1, 1));
    bench.journal.promise(view(3));
    assert!(bench.journal.ready() && bench.journal.covers(bench.journal.ticket()));
    assert!(!bench.journal.wants_flush());
    bench.flush();
    assert!(bench.pending.is_empty() && bench.journal.deadline().is_none());
    assert_eq!(bench.journal.identity().promised, view(3));
    assert_eq!(Bench::open(bench.disk, &options).recovered.entries, []);
}

/// A change of these numbers is a change of the format: it takes a new version, and a reader for this one.
#[test]
fn the_format_is_that_of_version_2() {
    let options = options(8, 4096);
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.journal.promise(view(2));
    bench.rounds([accepted(2, 1), floor(1), Record::Committed { index: Index(2), batch: batch(3, 9) }, Record::Whole]);
    bench.idle();
    bench.disk.write(FileId::Segment(1), crate::journal::segment::data_offset(8) + 100, b"rot");
    let bench = bench.reopen(&options);
    let hashes: Vec<u64> = bench.disk.files.values().map(|bytes| xxhash_rust::xxh3::xxh3_64(bytes)).collect();
    let expected = [0x2918_c8dc_1d64_dbe5, 0xf4f8_175d_457b_04b7, 0x899d_359d_b582_40af];
    assert_eq!(hashes, expected, "identity and two segments: {hashes:x?}");
}

/// Version 2 added two fields to the identity, and nothing to segments.
#[test]
fn a_directory_of_version_1_opens_and_is_written_on() {
    let options = options(8, 4096);
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.journal.promise(view(2));
    bench.rounds([accepted(2, 1), accepted(2, 2)]);
    bench.idle();
    let files: Vec<FileId> = bench.disk.files.keys().copied().collect();
    for (file, added) in files.iter().flat_map(|file| [(*file, if *file == FileId::Identity { 2 } else { 0 })]) {
        let content = Rc::make_mut(bench.disk.files.get_mut(&file).unwrap());
        let blocks = if file == FileId::Identity { 6 } else { 2 };
        for block in content.chunks_mut(4096).take(blocks) {
            let length = u32::from_le_bytes(block[12..16].try_into().unwrap()) - added;
            block[8..12].copy_from_slice(&1_u32.to_le_bytes());
            block[12..16].copy_from_slice(&length.to_le_bytes());
            block[16 + length as usize..].fill(0);
            let crc = crc32fast::hash(&block[8..16 + length as usize]);
            block[4..8].copy_from_slice(&crc.to_le_bytes());
        }
    }
    let mut bench = bench.reopen(&options);
    assert_eq!((bench.recovered.identity.promised, bench.recovered.entries.len()), (view(2), 2));
    bench.rounds([accepted(2, 3)]);
    assert_eq!(bench.reopen(&options).recovered.entries.len(), 3);
}
