//! The recovery table over all combinations, each made on a real log by damaging it.

use super::{
    super::segment::{data_offset, slot_offset},
    *,
};
use crate::journal::record::{HEADER, SLOT};
use alloc::{format, string::String};
use expect_test::expect;

#[derive(Clone, Copy, Debug)]
enum Body {
    Good,
    Payload,
    Header,
}

#[derive(Clone, Copy, Debug)]
enum Slot {
    Good,
    Blank,
    Unreadable,
}

const RECORDS: u32 = 32;

/// Bytes of each record here.
fn record() -> u64 {
    footprint(batch(1001, 8).bytes().len() as u64)
}

/// Three rounds of one record each; the second is damaged, the third is there to be its trace or is taken away.
fn damaged(body: Body, slot: Slot, later: bool) -> Recovered {
    let options = options(RECORDS, 4096);
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.rounds([accepted(1, 1), accepted(1, 2), accepted(1, 3)]);
    bench.idle();
    let mut disk = bench.disk;
    let file = FileId::Segment(1);
    let (record_at, slot_at) = (data_offset(RECORDS) + record(), slot_offset(1));
    match body {
        Body::Good => {}
        Body::Payload => disk.write(file, record_at + HEADER as u64 + 3, b"rot"),
        Body::Header => disk.write(file, record_at + 70, b"rot"),
    }
    match slot {
        Slot::Good => {}
        Slot::Blank => disk.write(file, slot_at, &[0; SLOT]),
        Slot::Unreadable => disk.write(file, slot_at + 70, b"rot"),
    }
    if !later {
        disk.write(file, record_at + record(), &vec![0; record() as usize]);
        disk.write(file, slot_offset(2), &[0; SLOT]);
    }
    Bench::running(disk, &options).recovered
}

fn describe(recovered: &Recovered, index: u64) -> &'static str {
    match recovered.entries.iter().find(|entry| entry.index == Index(index)) {
        None => "-",
        Some(entry) if entry.unknown.is_some() => "unknown",
        Some(_) => "kept",
    }
}

#[test]
fn the_table_over_all_combinations() {
    let mut table = String::from("body    slot       later  second   third  loss\n");
    for body in [Body::Good, Body::Payload, Body::Header] {
        for slot in [Slot::Good, Slot::Blank, Slot::Unreadable] {
            for later in [false, true] {
                let recovered = damaged(body, slot, later);
                assert_eq!(describe(&recovered, 1), "kept");
                let (second, third) = (describe(&recovered, 2), describe(&recovered, 3));
                let (body, slot) = (format!("{body:?}"), format!("{slot:?}"));
                let row = format!("{body:7} {slot:10} {later:5}  {second:8} {third:6} {}\n", recovered.loss);
                table.push_str(&row);
            }
        }
    }
    expect![[r#"
        body    slot       later  second   third  loss
        Good    Good       false  kept     -      false
        Good    Good       true   kept     kept   false
        Good    Blank      false  kept     -      false
        Good    Blank      true   kept     kept   false
        Good    Unreadable false  kept     -      false
        Good    Unreadable true   kept     kept   false
        Payload Good       false  unknown  -      false
        Payload Good       true   unknown  kept   false
        Payload Blank      false  -        -      false
        Payload Blank      true   unknown  kept   false
        Payload Unreadable false  unknown  -      false
        Payload Unreadable true   unknown  kept   false
        Header  Good       false  unknown  -      false
        Header  Good       true   unknown  kept   false
        Header  Blank      false  -        -      false
        Header  Blank      true   -        kept   true
        Header  Unreadable false  -        -      true
        Header  Unreadable true   -        kept   true
    "#]]
    .assert_eq(&table);
}

/// A round of three records of which the one in the middle did not reach the disk.
#[test]
fn the_rest_of_a_torn_round_goes_with_it() {
    let options = options(RECORDS, 4096);
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.rounds([accepted(1, 1)]);
    for record in [accepted(1, 2), accepted(2, 1), floor(1)] {
        bench.append(record);
    }
    bench.settle();
    let mut disk = bench.disk;
    let second = data_offset(RECORDS) + 2 * record();
    disk.write(FileId::Segment(1), second, &vec![0; record() as usize]);
    let recovered = Bench::running(disk, &options).recovered;
    assert_eq!(recovered.floor, Index(0), "this floor speaks of a record that is not there");
    assert_eq!(recovered.entries.len(), 2);
    assert!(recovered.entries.iter().all(|entry| !entry.committed && entry.unknown.is_none()));
    assert!(!recovered.loss);
}
