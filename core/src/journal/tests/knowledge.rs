//! What is known of each index after damage: unknowns, losses, floors, and how a node becomes whole again.

use super::{
    super::{
        fold::Fold,
        record::Item,
        segment::{data_offset, slot_offset},
    },
    *,
};
use crate::{ids::Incarnation, journal::Identity};
use alloc::{format, string::String};
use expect_test::{Expect, expect};

fn identity() -> Identity {
    Bench::open(Disk::formatted(), &options(32, 4096)).recovered.identity
}

fn item(record: Record) -> Item {
    Item::from(record)
}

fn unknown(round: u64, index: u64, committed: bool) -> Item {
    unknown_of(round, index, batch(round * 1000 + index, 8), committed)
}

fn unknown_of(round: u64, index: u64, batch: Batch, committed: bool) -> Item {
    let unknown = Unknown { view: view(round), digest: batch.digest(), committed };
    Item::Unknown { index: Index(index), unknown }
}

fn again(round: u64, index: u64, batch: Batch) -> Record {
    Record::Accepted { view: view(round), index: Index(index), batch }
}

fn committed(index: u64, batch: Batch) -> Record {
    Record::Committed { index: Index(index), batch }
}

/// Batches by the number that [`accepted`] gave them.
fn name(batch: &Batch) -> u64 {
    batch.stamp().map_or(0, |stamp| stamp.0)
}

fn describe(recovered: &Recovered) -> String {
    let mut text = format!("floor {}{}", recovered.floor, if recovered.loss { ", loss" } else { "" });
    if let Some(index) = recovered.divergence {
        text += &format!(", divergence at {index}");
    }
    for entry in &recovered.entries {
        text += &format!("\n{}:", entry.index);
        if let Some((view, batch)) = &entry.accepted {
            text += &format!(" {} in {view}{}", name(batch), if entry.committed { " committed" } else { "" });
        }
        if let Some(unknown) = &entry.unknown {
            text += &format!(" unknown in {}{}", unknown.view, if unknown.committed { " committed" } else { "" });
        }
        if !entry.certain {
            text += " uncertain";
        }
    }
    text
}

/// Folds these, all of one life.
fn check(items: impl IntoIterator<Item = Item>, expected: Expect) {
    let mut fold = Fold::default();
    fold.begin_life((1, 0));
    items.into_iter().zip(0..).for_each(|(item, ordinal)| fold.take((1, ordinal), item));
    expected.assert_eq(&describe(&fold.finish(identity(), Index::ZERO)));
}

#[test]
fn the_newer_acceptance_wins_and_a_committed_batch_is_never_replaced() {
    check(
        [accepted(1, 1), accepted(2, 1), accepted(1, 2)].map(item),
        expect![[r#"
        floor 0
        1: 2001 in 2.n2
        2: 1002 in 1.n1"#]],
    );
    check(
        [accepted(1, 1), committed(1, batch(7, 8)), accepted(3, 1)].map(item),
        expect![[r#"
        floor 0
        1: 7 in 0.n0 committed"#]],
    );
    check(
        [committed(1, batch(7, 8)), committed(1, batch(8, 8))].map(item),
        expect![[r#"
        floor 0, divergence at 1
        1: 7 in 0.n0 committed"#]],
    );
    check(
        [accepted(1, 1), floor(1), committed(1, batch(8, 8)), floor(1)].map(item),
        expect![[r#"
        floor 1, divergence at 1
        1: 1001 in 1.n1 committed"#]],
    );
}

#[test]
fn a_floor_commits_what_stands_before_it() {
    check(
        [accepted(1, 1), accepted(1, 2), floor(1), accepted(2, 1)].map(item),
        expect![[r#"
        floor 1
        1: 1001 in 1.n1 committed
        2: 1002 in 1.n1"#]],
    );
    check(
        [floor(2), accepted(1, 1)].map(item),
        expect![[r#"
        floor 2
        1: 1001 in 1.n1"#]],
    );
    check(
        [item(accepted(1, 1)), unknown(2, 1, false), item(floor(1))],
        expect![[r#"
        floor 1
        1: 1001 in 1.n1 unknown in 2.n2 committed"#]],
    );
    check(
        [item(accepted(1, 1)), Item::Loss, item(floor(1)), item(accepted(1, 2)), item(floor(2))],
        expect![[r#"
        floor 2, loss
        1: 1001 in 1.n1 uncertain
        2: 1002 in 1.n1 committed"#]],
    );
}

#[test]
fn an_unknown_hides_older_records_unless_it_is_one_of_them() {
    check(
        [item(accepted(1, 1)), unknown(2, 1, false)],
        expect![[r#"
        floor 0
        1: 1001 in 1.n1 unknown in 2.n2"#]],
    );
    check(
        [item(accepted(1, 1)), unknown_of(2, 1, batch(1001, 8), false)],
        expect![[r#"
        floor 0
        1: 1001 in 2.n2"#]],
    );
    check(
        [item(accepted(1, 1)), unknown_of(2, 1, batch(1001, 8), true)],
        expect![[r#"
        floor 0
        1: 1001 in 1.n1 committed"#]],
    );
    let other_between = [item(accepted(1, 1)), item(accepted(2, 1)), unknown_of(3, 1, batch(1001, 8), false)];
    check(
        other_between,
        expect![[r#"
        floor 0
        1: 1001 in 3.n0"#]],
    );
    check(
        [unknown(2, 1, false), item(accepted(3, 1))],
        expect![[r#"
        floor 0
        1: 3001 in 3.n0"#]],
    );
    check(
        [unknown(2, 1, true), item(accepted(3, 1))],
        expect![[r#"
        floor 0
        1: 3001 in 3.n0 unknown in 2.n2 committed"#]],
    );
    check(
        [unknown(2, 1, true), item(again(3, 1, batch(2001, 8)))],
        expect![[r#"
        floor 0
        1: 2001 in 3.n0 committed"#]],
    );
    check(
        [unknown(2, 1, true), item(committed(1, batch(2001, 8)))],
        expect![[r#"
        floor 0
        1: 2001 in 0.n0 committed"#]],
    );
    check(
        [unknown(2, 1, true), item(committed(1, batch(5, 8)))],
        expect![[r#"
        floor 0, divergence at 1
        1: unknown in 2.n2 committed"#]],
    );
    check(
        [unknown(2, 1, true), unknown(3, 1, false)],
        expect![[r#"
        floor 0
        1: unknown in 2.n2 committed"#]],
    );
    check(
        [item(committed(1, batch(5, 8))), unknown(2, 1, true)],
        expect![[r#"
        floor 0, divergence at 1
        1: 5 in 0.n0 committed"#]],
    );
}

/// Damages header and slot of one record of a sealed log, so that nothing tells what it was.
fn lose(disk: &mut Disk, segment: u64, records: u32, ordinal: u32) {
    let file = FileId::Segment(segment);
    let record = footprint(batch(1001, 8).bytes().len() as u64);
    disk.write(file, data_offset(records) + u64::from(ordinal) * record + 70, b"rot");
    disk.write(file, slot_offset(ordinal) + 70, b"rot");
}

#[test]
fn a_loss_makes_older_entries_uncertain_until_a_later_life_is_whole() {
    let options = options(32, 4096);
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.rounds([accepted(1, 1), accepted(1, 2), accepted(1, 3), accepted(1, 4)]);
    bench.idle();
    lose(&mut bench.disk, 1, 32, 1);
    let mut bench = bench.reopen(&options);
    expect![[r#"
        floor 0, loss
        1: 1001 in 1.n1 uncertain
        3: 1003 in 1.n1
        4: 1004 in 1.n1"#]]
    .assert_eq(&describe(&bench.recovered));

    bench.rounds([accepted(2, 1), accepted(2, 2)]);
    let mut bench = bench.reopen(&options);
    expect![[r#"
        floor 0, loss
        1: 2001 in 2.n2
        2: 2002 in 2.n2
        3: 1003 in 1.n1
        4: 1004 in 1.n1"#]]
    .assert_eq(&describe(&bench.recovered));

    bench.rounds([Record::Whole]);
    let bench = bench.reopen(&options).reopen(&options);
    expect![[r#"
        floor 0
        1: 2001 in 2.n2
        2: 2002 in 2.n2
        3: 1003 in 1.n1
        4: 1004 in 1.n1"#]]
    .assert_eq(&describe(&bench.recovered));
    assert_eq!(bench.recovered.identity.incarnation, Incarnation(5));
}

/// Where a record was lost and made good, and where another rots afterwards, looks the same: what the floor covers and
/// nothing holds any more tells them apart.
#[test]
fn a_record_that_rots_after_a_loss_was_made_good_is_a_loss_again() {
    let options = options(32, 4096);
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.rounds([accepted(1, 1), accepted(1, 2), accepted(1, 3), accepted(1, 4), floor(4), accepted(1, 5)]);
    bench.idle();
    lose(&mut bench.disk, 1, 32, 1);
    let mut bench = bench.reopen(&options);
    bench.rounds([committed(1, batch(1001, 8)), committed(2, batch(1002, 8)), floor(4), Record::Whole]);
    let mut bench = bench.reopen(&options);
    expect![[r#"
        floor 4
        1: 1001 in 1.n1 committed
        2: 1002 in 0.n0 committed
        3: 1003 in 1.n1 committed
        4: 1004 in 1.n1 committed
        5: 1005 in 1.n1"#]]
    .assert_eq(&describe(&bench.recovered));
    lose(&mut bench.disk, 1, 32, 2);
    let mut bench = bench.reopen(&options);
    expect![[r#"
        floor 4, loss
        1: 1001 in 1.n1 committed
        2: 1002 in 0.n0 committed
        4: 1004 in 1.n1 committed
        5: 1005 in 1.n1"#]]
    .assert_eq(&describe(&bench.recovered));
    bench.rounds([committed(3, batch(1003, 8)), floor(4), Record::Whole]);
    expect![[r#"
        floor 4
        1: 1001 in 1.n1 committed
        2: 1002 in 0.n0 committed
        3: 1003 in 0.n0 committed
        4: 1004 in 1.n1 committed
        5: 1005 in 1.n1"#]]
    .assert_eq(&describe(&bench.reopen(&options).recovered));
}

#[test]
fn whole_says_nothing_about_what_its_own_life_wrote() {
    let options = options(32, 4096);
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.rounds([accepted(1, 1), accepted(1, 2), Record::Whole, accepted(1, 3), accepted(1, 4)]);
    bench.idle();
    lose(&mut bench.disk, 1, 32, 1);
    let mut bench = bench.reopen(&options);
    expect![[r#"
        floor 0, loss
        1: 1001 in 1.n1 uncertain
        3: 1003 in 1.n1
        4: 1004 in 1.n1"#]]
    .assert_eq(&describe(&bench.recovered));
    bench.rounds([Record::Whole]);
    expect![[r#"
        floor 0
        1: 1001 in 1.n1
        3: 1003 in 1.n1
        4: 1004 in 1.n1"#]]
    .assert_eq(&describe(&bench.reopen(&options).recovered));
}

#[test]
fn a_loss_among_the_newest_rounds_is_remembered() {
    let options = options(32, 4096);
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.rounds([accepted(1, 1), accepted(1, 2), accepted(1, 3)]);
    bench.idle();
    lose(&mut bench.disk, 1, 32, 2);
    for _ in 0..3 {
        bench = bench.reopen(&options);
        assert_eq!(describe(&bench.recovered), "floor 0, loss\n1: 1001 in 1.n1 uncertain\n2: 1002 in 1.n1 uncertain");
    }
}

#[test]
fn a_missing_segment_is_a_loss_at_every_opening() {
    let options = options(4, 4096);
    for missing in 1..=3 {
        let mut bench = Bench::running(Disk::formatted(), &options);
        bench.rounds((1..=10).map(|index| accepted(1, index)));
        bench.idle();
        assert!(bench.disk.files.remove(&FileId::Segment(missing)).is_some());
        for _ in 0..3 {
            bench = bench.reopen(&options);
            assert!(bench.recovered.loss);
            let lost = (missing - 1) * 4 + 1..=missing * 4;
            assert!(bench.recovered.entries.iter().all(|entry| !lost.contains(&entry.index.0)));
            assert!(bench.recovered.entries.iter().all(|entry| entry.certain == (entry.index.0 > *lost.end())));
        }
    }
}

/// The payload rots moments after the acknowledgement, and the power goes.
#[test]
fn sealed_eagerly_a_record_is_named_from_its_acknowledgement_on() {
    let eager = JournalOptions { seal: Seal::Eager, ..options(32, 4096) };
    let mut bench = Bench::running(Disk::formatted(), &eager);
    bench.append(accepted(1, 1));
    let ticket = bench.journal.ticket();
    bench.flush();
    assert!(bench.step() && !bench.journal.covers(ticket) && bench.journal.backlog() > 0);
    assert!(bench.journal.wants_flush(), "the slots do not wait for company");
    bench.flush();
    assert!(bench.step() && bench.journal.covers(ticket) && bench.journal.backlog() == 0);
    bench.disk.write(FileId::Segment(1), data_offset(32), &[0; 4096]);
    let bench = bench.reopen(&eager);
    assert_eq!(describe(&bench.recovered), "floor 0\n1: unknown in 1.n1");
    assert_eq!(describe(&bench.reopen(&eager).recovered), "floor 0\n1: unknown in 1.n1");
}

/// The same under lazy sealing, once the idle time is over; before, a lone damaged record is taken for torn.
#[test]
fn sealed_lazily_a_record_is_named_from_the_idle_time_on() {
    let options = options(32, 4096);
    for idle in [false, true] {
        let mut bench = Bench::running(Disk::formatted(), &options);
        bench.rounds([accepted(1, 1)]);
        if idle {
            bench.idle();
        }
        bench.disk.write(FileId::Segment(1), data_offset(32), &[0; 4096]);
        let expected = if idle { "floor 0\n1: unknown in 1.n1" } else { "floor 0" };
        assert_eq!(describe(&bench.reopen(&options).recovered), expected);
    }
}
