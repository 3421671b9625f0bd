//! Who may open a directory, what survives of the identity, and what is said when it does not open.

use super::{
    super::{block::BLOCK, damaged_slots, identity_of},
    *,
};
use crate::ids::{ClusterId, OpId};
use alloc::string::{String, ToString};
use expect_test::{Expect, expect};

const SLOTS: usize = 6;

/// The identity file before an update that promises view 5, the writes of the update, and the file after it.
fn update() -> (Disk, Vec<DiskAction>, JournalOptions) {
    let options = options(32, 4096);
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.journal.promise(view(2));
    bench.settle();
    let before = bench.disk.clone();
    bench.journal.promise(view(5));
    let mut writes = Vec::new();
    bench.flush();
    while let Some(Output::Disk { action, .. }) = bench.pending.front() {
        writes.push(action.clone());
        bench.step();
    }
    assert_eq!(writes.len(), 2);
    (before, writes, options)
}

fn slots_of(action: &DiskAction) -> &[(u64, Bytes)] {
    let DiskAction::Write { file: FileId::Identity, writes } = action else { panic!("{action:?}") };
    writes
}

#[test]
fn an_interrupted_update_leaves_the_old_promise_or_the_new_one_and_one_slot_may_rot_besides() {
    let (before, writes, options) = update();
    let mut opened = 0;
    for done in 0..=2 {
        let mut base = before.clone();
        writes[..done].iter().for_each(|action| base.perform(action));
        // Of the write under way every slot is old, new, or torn at one of these bytes.
        let under_way: &[(u64, Bytes)] = writes.get(done).map_or(&[], slots_of);
        let tears = [0, 5, 14, 40, 70, BLOCK];
        for state in 0..tears.len().pow(under_way.len() as u32) {
            let mut torn = base.clone();
            for (place, (offset, bytes)) in under_way.iter().enumerate() {
                let tear = tears[state / tears.len().pow(place as u32) % tears.len()];
                torn.write(FileId::Identity, *offset, &bytes[..tear]);
            }
            for rotten in 0..=SLOTS {
                let mut disk = torn.clone();
                if rotten < SLOTS {
                    disk.write(FileId::Identity, (rotten * BLOCK) as u64 + 30, &[0xEE; 20]);
                }
                let (_, recovered) = open(&mut disk, &options).unwrap();
                let promised = recovered.identity.promised;
                assert!(promised == view(5) || done < 2 && promised == view(2), "{promised} after {done} writes");
                opened += 1;
            }
        }
    }
    assert_eq!(opened, (2 * 216 + 1) * 7);
}

#[test]
fn after_an_update_any_two_slots_agreeing_are_enough_and_fewer_are_refused() {
    let (mut disk, writes, options) = update();
    writes.iter().for_each(|action| disk.perform(action));
    for rotten in 0..1_u32 << SLOTS {
        let mut damaged = disk.clone();
        for slot in (0..SLOTS).filter(|slot| rotten >> slot & 1 == 1) {
            damaged.write(FileId::Identity, (slot * BLOCK) as u64, &[0; BLOCK]);
        }
        let left = SLOTS - rotten.count_ones() as usize;
        match open(&mut damaged, &options) {
            Ok((_, recovered)) => assert!(left >= 2 && recovered.identity.promised == view(5)),
            Err(error) => assert_eq!((error, left < 2), (JournalError::IdentityUnreadable { readable: left }, true)),
        }
    }
}

/// The slot of an update that never finished must not be completed by a later update with the same number.
#[test]
fn a_leftover_of_an_interrupted_update_is_never_paired() {
    let (before, writes, options) = update();
    for first in slots_of(&writes[0]) {
        let mut disk = before.clone();
        disk.write(FileId::Identity, first.0, &first.1);
        let mut bench = Bench::open(disk, &options);
        assert_eq!(bench.recovered.identity.promised, view(2));
        bench.flush();
        while let Some(Output::Disk { action, .. }) = bench.pending.front() {
            if let DiskAction::Write { file: FileId::Identity, writes } = action {
                // The counter comes first in a slot.
                assert!(writes.iter().all(|(_, slot)| slot[16] > first.1[16]));
                for (offset, slot) in writes {
                    let mut torn = bench.disk.clone();
                    torn.write(FileId::Identity, *offset, slot);
                    let incarnation = open(&mut torn, &options).unwrap().1.identity.incarnation;
                    assert!(incarnation >= bench.recovered.identity.incarnation);
                }
            }
            bench.step();
        }
        assert!(bench.journal.ready());
    }
}

/// The promise is repeated in every record, slot and segment header.
#[test]
fn a_promise_outlives_an_identity_that_forgot_it() {
    let options = options(32, 4096);
    let mut bench = Bench::running(Disk::formatted(), &options);
    let old = bench.disk.files[&FileId::Identity].clone();
    bench.journal.promise(view(7));
    bench.rounds([accepted(7, 1)]);
    bench.idle();
    bench.disk.files.insert(FileId::Identity, old);
    for damaged in [0, super::super::segment::slot_offset(0), super::super::segment::data_offset(32)] {
        let mut disk = bench.disk.clone();
        disk.write(FileId::Segment(1), damaged, &[0x55; 256]);
        assert_eq!(Bench::open(disk, &options).recovered.identity.promised, view(7));
    }
}

#[test]
fn the_founding_is_remembered() {
    let options = options(32, 4096);
    let mut bench = Bench::running(Disk::formatted(), &options);
    let nonces: Vec<DiskNonce> = (0..16).map(|member| DiskNonce(u128::MAX - member)).collect();
    bench.journal.found(ClusterId(77), nonces.clone());
    let ticket = bench.journal.ticket();
    bench.settle();
    assert!(bench.journal.covers(ticket));
    assert_eq!(identity_of(&bench.disk.files[&FileId::Identity]).as_ref(), Some(bench.journal.identity()));
    assert_eq!(bench.reopen(&options).recovered.identity.founded, Some((ClusterId(77), nonces)));
}

#[test]
fn a_slot_that_differs_is_damage_unless_an_interrupted_update_may_have_left_it() {
    let image = Disk::formatted().files[&FileId::Identity].to_vec();
    let damage = |slots: &[usize]| {
        let mut image = image.clone();
        slots.iter().for_each(|slot| image[slot * BLOCK + 100] ^= 1 + *slot as u8);
        damaged_slots(&image)
    };
    assert_eq!(damage(&[]), []);
    assert_eq!((damage(&[0]), damage(&[4, 5])), (vec![], vec![]));
    assert_eq!(damage(&[1, 5]), [1, 5]);
}

#[test]
fn a_failed_write_is_a_fault_that_names_the_file() {
    let options = options(32, 4096);
    let error = || DiskResult::Failed(DiskError::Full);
    let mut bench = Bench::open(Disk::formatted(), &options);
    let mut faults = Vec::new();
    bench.append(accepted(1, 1));
    loop {
        bench.flush();
        let Some(Output::Disk { op, .. }) = bench.pending.front() else { break };
        assert_eq!(bench.journal.clone().complete(bench.now, OpId(op.0 + 100), error(), &mut Vec::new()), Ok(false));
        faults.push(bench.journal.clone().complete(bench.now, *op, error(), &mut Vec::new()).unwrap_err().to_string());
        assert_eq!(bench.journal.waiting_since(), Some(bench.now));
        bench.step();
    }
    let files: Vec<&str> = faults.iter().filter_map(|fault| fault.split([' ', ':']).nth(1)).collect();
    assert_eq!(files, ["log/00000001.seg", "identity", "identity", "log/00000001.seg"]);
    assert!(faults[0].contains("no space left"), "{}", faults[0]);
    assert_eq!(bench.journal.waiting_since(), None);
}

#[test]
fn an_identity_opens_around_slots_that_cannot_be_read() {
    let options = options(32, 4096);
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.rounds([accepted(1, 1)]);
    for slot in [0, 2, 3, 5] {
        bench.disk.latent.push((FileId::Identity, slot * 4096 + 512, slot * 4096 + 1024));
    }
    assert!(open(&mut bench.disk, &options).is_ok(), "two equal slots are left");
    bench.disk.latent.push((FileId::Identity, 4096, 4097));
    let error = open(&mut bench.disk, &options).map(|_| ()).unwrap_err();
    assert_eq!(error, JournalError::IdentityUnreadable { readable: 1 });
}

fn check(break_it: impl FnOnce(&mut Disk), expected: Expect) {
    let options = options(32, 4096);
    let mut bench = Bench::running(Disk::formatted(), &options);
    bench.rounds([accepted(1, 1)]);
    break_it(&mut bench.disk);
    expected.assert_eq(&wrapped(&open(&mut bench.disk, &options).map(|_| ()).unwrap_err()));
}

/// The text in lines that fit this page.
fn wrapped(error: &JournalError) -> String {
    let mut text = String::new();
    let mut width = 0;
    for word in error.to_string().split(' ') {
        width += word.len() + 1;
        if width > 80 {
            width = word.len() + 1;
            text.push('\n');
        } else if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// Rewrites a block as a version from the future would.
fn from_the_future(block: &mut [u8]) {
    block[8..12].copy_from_slice(&9_u32.to_le_bytes());
    let end = 16 + u32::from_le_bytes(block[12..16].try_into().unwrap()) as usize;
    let crc = crc32fast::hash(&block[8..end]);
    block[4..8].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn a_directory_that_does_not_open_says_why_and_what_to_do() {
    check(
        |disk| disk.files.clear(),
        expect![[r#"
            the data directory is empty. A new node is formatted once, with `ios init`; if
            this node has run before, its disk is missing or not mounted, and it must not
            start on another one"#]],
    );
    check(
        |disk| drop(disk.files.remove(&FileId::Identity)),
        expect![[r#"
            the data directory holds a log but no identity file, so the promises made on it
            are unknown. Restore the whole directory of this very node, or replace the node
            under a new id"#]],
    );
    check(
        |disk| {
            disk.write(FileId::Identity, 0, &[0; 5 * BLOCK]);
        },
        expect![[r#"
            the identity file is damaged: 1 of its slots are readable and no two of them
            agree. Voting on a guess could lose data, so the node does not start; check the
            disk and replace the node under a new id"#]],
    );
    check(
        |disk| disk.latent.push((FileId::Identity, 0, super::super::identity::FILE_BYTES)),
        expect![[r#"
            the identity file cannot be read: input/output error. Check the disk; the node
            starts again once the file is readable"#]],
    );
    check(
        |disk| from_the_future(&mut Rc::make_mut(disk.files.get_mut(&FileId::Identity).unwrap())[..BLOCK]),
        expect![[r#"
            identity has format 9, and this version of Ios reads formats up to 2. Start the
            version that wrote it, or a newer one"#]],
    );
    check(
        |disk| from_the_future(&mut Rc::make_mut(disk.files.get_mut(&FileId::Segment(1)).unwrap())[..BLOCK]),
        expect![[r#"
            log/00000001.seg has format 9, and this version of Ios reads formats up to 2.
            Start the version that wrote it, or a newer one"#]],
    );
    check(
        |disk| {
            let mut other = Disk::default();
            format(NODE, DiskNonce(5), &configuration()).iter().for_each(|action| other.perform(action));
            let other = Bench::running(other, &options(32, 4096)).disk;
            disk.files.insert(FileId::Segment(1), other.files[&FileId::Segment(1)].clone());
        },
        expect![[r#"
            log/00000001.seg was written on another disk. Data directories cannot be mixed:
            put back the files that belong here"#]],
    );
}

#[test]
fn another_node_or_configuration_is_refused() {
    let refusal = |node, genesis| {
        let opened = Journal::open(node, genesis, options(32, 4096), &mut Disk::formatted());
        wrapped(&opened.map(|_| ()).unwrap_err())
    };
    expect![[r#"
        the data directory belongs to n1, not to n2. Check which directory and which
        node id this process was given"#]]
    .assert_eq(&refusal(NodeId(2), configuration().genesis_hash()));
    expect![[r#"
        the data directory was formatted for another cluster-wide configuration (hash
        9bdc6bb07e92ec73, given now 0000000000000001). Members, quorum system, window,
        index exclusivity, implicit commit, lease, session lifetime and application
        cannot be changed afterwards: give the values it was formatted with"#]]
    .assert_eq(&refusal(NODE, 1));
}
