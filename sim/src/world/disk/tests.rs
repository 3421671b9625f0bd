//! What crashes, failures and damage leave on a simulated disk.

use super::*;

const SEGMENT: FileId = FileId::Segment(1);
const SIZE: u64 = 4096;

fn bytes(byte: u8, length: usize) -> Bytes {
    vec![byte; length].into()
}

fn with_segment() -> SimDisk {
    let mut disk = SimDisk::default();
    disk.apply_now(DiskAction::Create { file: SEGMENT, size: SIZE, head: bytes(b'h', 16) });
    disk
}

fn write(disk: &mut SimDisk, op: u64, offset: u64, content: Bytes) {
    submit(disk, op, 1, DiskAction::Write { file: SEGMENT, writes: vec![(offset, content)] });
}

fn submit(disk: &mut SimDisk, op: u64, life: u32, action: DiskAction) -> bool {
    disk.submit(OpId(op), life, action, Span::millis(op))
}

fn seen(disk: &mut SimDisk, offset: u64) -> u8 {
    disk.read(SEGMENT, offset, 1).unwrap()[0]
}

#[test]
fn what_was_completed_survives_the_power_and_the_rest_meets_its_fate() {
    for (fate, expected) in [(Fate::Lost, 0), (Fate::Kept, b'b')] {
        let mut disk = with_segment();
        write(&mut disk, 1, 100, bytes(b'a', 10));
        assert_eq!(disk.complete(OpId(1)).1, None);
        write(&mut disk, 2, 200, bytes(b'b', 10));
        disk.crash_power(|_| fate);
        assert_eq!((seen(&mut disk, 0), seen(&mut disk, 100), seen(&mut disk, 200)), (b'h', b'a', expected));
    }
}

#[test]
fn a_process_crash_keeps_unsynced_writes_until_the_power_goes() {
    let mut disk = with_segment();
    write(&mut disk, 1, 100, bytes(b'a', 10));
    disk.crash_process(|_, steps| steps);
    assert_eq!(seen(&mut disk, 100), b'a', "the page cache still has it");
    let aftermath = disk.crash_power(|_| Fate::Lost);
    assert_eq!((seen(&mut disk, 100), aftermath.lost), (0, 1), "but nothing ever synced it");
}

#[test]
fn a_later_sync_of_the_file_covers_what_an_earlier_life_wrote() {
    let mut disk = with_segment();
    write(&mut disk, 1, 100, bytes(b'a', 10));
    disk.crash_process(|_, steps| steps);
    write(&mut disk, 2, 200, bytes(b'b', 10));
    disk.complete(OpId(2));
    disk.crash_power(|_| Fate::Lost);
    assert_eq!((seen(&mut disk, 100), seen(&mut disk, 200)), (b'a', b'b'));
}

#[test]
fn after_a_failed_sync_the_bytes_are_readable_and_no_later_sync_writes_them() {
    let mut disk = with_segment();
    write(&mut disk, 1, 100, bytes(b'a', 10));
    disk.fail(OpId(1));
    assert_eq!(seen(&mut disk, 100), b'a');
    write(&mut disk, 2, 200, bytes(b'b', 10));
    disk.complete(OpId(2));
    write(&mut disk, 3, 105, bytes(b'c', 1));
    disk.complete(OpId(3));
    assert_eq!((seen(&mut disk, 100), seen(&mut disk, 105)), (b'a', b'c'), "the newer bytes lie on top");
    write(&mut disk, 4, 300, bytes(b'd', 10));
    disk.fail(OpId(4));
    disk.crash_power(|_| Fate::Lost);
    assert_eq!(seen(&mut disk, 300), 0);
}

#[test]
fn a_sector_that_cannot_be_read_can_be_again_once_something_in_it_is_written() {
    let mut disk = with_segment();
    write(&mut disk, 1, 0, bytes(b'a', 3 * SECTOR as usize));
    disk.complete(OpId(1));
    assert!(disk.hide(SEGMENT, 0, 2 * SECTOR) && !disk.hide(SEGMENT, 0, 2 * SECTOR));
    let read = |disk: &mut SimDisk, sector: u64| disk.read(SEGMENT, sector * SECTOR, 10).map(|bytes| bytes[0]);
    assert_eq!([0, 1, 2].map(|sector| read(&mut disk, sector)), [Err(DiskError::Io), Err(DiskError::Io), Ok(b'a')]);
    write(&mut disk, 2, SECTOR + 100, bytes(b'b', 1));
    disk.complete(OpId(2));
    assert_eq!([0, 1].map(|sector| read(&mut disk, sector)), [Err(DiskError::Io), Ok(b'a')]);
}

#[test]
fn operations_on_one_file_wait_for_each_other_and_those_that_wait_are_never_written() {
    let mut disk = with_segment();
    submit(&mut disk, 1, 1, DiskAction::Write { file: SEGMENT, writes: vec![(100, bytes(b'a', 1))] });
    let runs = submit(&mut disk, 2, 1, DiskAction::Write { file: SEGMENT, writes: vec![(200, bytes(b'b', 1))] });
    assert!(!runs);
    let runs = submit(&mut disk, 3, 1, DiskAction::Remove { file: FileId::Segment(9) });
    assert!(runs, "another file is free");
    disk.crash_power(|_| Fate::Kept);
    assert_eq!((seen(&mut disk, 100), seen(&mut disk, 200)), (b'a', 0));
}

#[test]
fn a_created_file_may_vanish_or_be_short_and_a_removed_one_may_come_back() {
    let second = FileId::Segment(2);
    for (fate, expected) in [(Fate::Lost, None), (Fate::Torn(7), Some(7)), (Fate::Kept, Some(SIZE))] {
        let mut disk = with_segment();
        submit(&mut disk, 1, 1, DiskAction::Create { file: second, size: SIZE, head: bytes(b'x', 8) });
        disk.crash_process(|_, steps| steps);
        assert_eq!(disk.files().unwrap(), [(SEGMENT, SIZE), (second, SIZE)]);
        disk.crash_power(|doubt| if doubt.offset == u64::MAX { fate } else { Fate::Kept });
        let found = disk.files().unwrap().into_iter().find(|file| file.0 == second).map(|file| file.1);
        assert_eq!(found, expected);
    }
    for (fate, there) in [(Fate::Lost, true), (Fate::Kept, false)] {
        let mut disk = with_segment();
        submit(&mut disk, 1, 1, DiskAction::Remove { file: SEGMENT });
        disk.crash_process(|_, steps| steps);
        assert_eq!(disk.files().unwrap(), []);
        disk.crash_power(|_| fate);
        assert_eq!(disk.files().unwrap().len() == 1, there);
    }
}

#[test]
fn the_end_of_any_creation_makes_the_entries_of_its_directory_durable() {
    let mut disk = with_segment();
    submit(&mut disk, 1, 1, DiskAction::Create { file: FileId::Segment(2), size: SIZE, head: Bytes::new() });
    disk.crash_process(|_, _| 1);
    submit(&mut disk, 2, 2, DiskAction::Create { file: FileId::Segment(3), size: SIZE, head: Bytes::new() });
    disk.complete(OpId(2));
    disk.crash_power(|_| Fate::Lost);
    assert_eq!(disk.files().unwrap().len(), 3);
}

#[test]
fn a_torn_write_leaves_a_prefix_or_a_set_of_sectors_and_nothing_else() {
    let (mut prefixes, mut sectors) = (0, 0);
    for bits in 0..512 {
        let mut disk = with_segment();
        write(&mut disk, 1, 500, bytes(b'a', 2000));
        disk.crash_power(|_| Fate::Torn(bits));
        let after = disk.read(SEGMENT, 0, SIZE as usize).unwrap();
        assert!(after[16..500].iter().chain(&after[2500..]).all(|byte| *byte == 0), "only its own range is touched");
        let content = &after[500..2500];
        let prefix = content.iter().position(|byte| *byte == 0).unwrap_or(content.len());
        if content[prefix..].iter().all(|byte| *byte == 0) {
            prefixes += 1;
        } else {
            sectors += 1;
            for sector in after.chunks(SECTOR as usize).skip(1).take(3) {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "sectors are whole");
            }
        }
    }
    assert!(prefixes > 50 && sectors > 50, "{prefixes} prefixes, {sectors} sets of sectors");
}

#[test]
fn damage_changes_durable_bytes_only() {
    let mut disk = with_segment();
    assert!(disk.damage(SEGMENT, 3, b"x"));
    assert!(!disk.damage(SEGMENT, 3, b"x"), "nothing changed");
    assert_eq!(disk.read(SEGMENT, 2, 3).unwrap(), b"hxh");
    write(&mut disk, 1, 3, bytes(b'w', 1));
    disk.crash_process(|_, steps| steps);
    assert!(disk.damage(SEGMENT, 3, b"y"));
    assert_eq!(seen(&mut disk, 3), b'w', "the page cache lies on top");
    assert!(!disk.damage(FileId::Segment(9), 0, b"x"), "no such file");
}
