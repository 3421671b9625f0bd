//! Data directories of which nothing can be taken for granted.

use crate::{
    directory::Directory,
    member::{Member, config},
};
use bytes::Bytes;
use ios_core::{
    Config, OpenError,
    batch::{Batch, BatchBuilder, Command},
    ids::{ConnectionId, DiskNonce, Index, NodeId, Sequence, SessionId, View},
    interface::{DiskResult, FileId, Input, Output},
    journal::{self, Journal, JournalError, Record, Recovered},
    message::ClientRequest,
    options::Seal,
    service::kv::{Operation, request},
    time::Time,
};

/// A directory as it was found, and again with every checksum made to hold. A node opens it or says why not; what it
/// recovers is in order, stays the same when it is opened again, and what is then recorded is there, too.
pub fn journal_image(bytes: &[u8]) {
    let found = Directory::decode(bytes);
    let mut repaired = found.clone();
    for (_, bytes) in repaired.contents() {
        repair_checksums(bytes);
    }
    let seal = if bytes.len().is_multiple_of(2) { Seal::Lazy } else { Seal::Eager };
    if repaired != found {
        check(repaired, seal);
    }
    check(found, seal);
}

fn check(directory: Directory, seal: Seal) {
    check_journal(directory.clone(), seal);
    check_node(directory, seal);
}

fn owner(seal: Seal) -> Config {
    config(0, 1, seal)
}

fn open(directory: &mut Directory, seal: Seal) -> Result<(Journal, Recovered), JournalError> {
    let Config { node, configuration, options } = owner(seal);
    Journal::open(node, configuration.genesis_hash(), options.journal, directory)
}

fn check_journal(mut directory: Directory, seal: Seal) {
    let (mut journal, recovered) = match open(&mut directory, seal) {
        Ok(opened) => opened,
        Err(error) => return assert!(error.to_string().contains(' '), "{error:?} says nothing"),
    };
    check_recovered(&recovered);
    settle(&mut journal, &mut directory);
    assert!(journal.ready(), "the opening sequence ends");

    let (_, again) = open(&mut directory, seal).expect("a directory that opened opens again");
    assert!(again.identity.incarnation > recovered.identity.incarnation, "a life begins with its own number");
    assert_eq!(unnumbered(&again), unnumbered(&recovered), "the second life does not see what the first saw");

    let added = append(&mut journal, &mut directory, &recovered);
    let (_, again) = open(&mut directory, seal).expect("a directory that was written to opens again");
    for (index, batch) in added {
        let entry = again.entries.iter().find(|entry| entry.index == index);
        let accepted = entry.and_then(|entry| entry.accepted.as_ref());
        assert_eq!(accepted, Some(&(recovered.identity.promised, batch)), "the acceptance at {index} is durable");
    }
}

/// All but the number of the life.
fn unnumbered(recovered: &Recovered) -> Recovered {
    let mut recovered = recovered.clone();
    recovered.identity.incarnation = Default::default();
    recovered
}

fn check_recovered(recovered: &Recovered) {
    let pairs = recovered.entries.windows(2);
    assert!(pairs.into_iter().all(|pair| pair[0].index < pair[1].index), "one entry an index, in order");
    for entry in &recovered.entries {
        assert!(entry.accepted.is_some() || entry.unknown.is_some(), "an entry about nothing at {}", entry.index);
        assert!(recovered.loss || entry.certain, "uncertain at {} although nothing is lost", entry.index);
    }
}

/// Records acceptances at free indexes, more than one segment holds.
fn append(journal: &mut Journal, directory: &mut Directory, recovered: &Recovered) -> Vec<(Index, Batch)> {
    let is_free = |index: &Index| recovered.entries.iter().all(|entry| entry.index != *index);
    let free: Vec<Index> = (recovered.base.0 + 1..).map(Index).filter(is_free).take(20).collect();
    let added: Vec<_> = free.into_iter().map(|index| (index, batch(index.0 as usize % 50))).collect();
    for (index, batch) in &added {
        let view = recovered.identity.promised;
        journal.append(Record::Accepted { view, index: *index, batch: batch.clone() });
        let ticket = journal.ticket();
        settle(journal, directory);
        assert!(journal.covers(ticket), "what was handed in is durable once all is done");
    }
    added
}

/// Has the disk do whatever the journal asks, until it asks nothing more.
fn settle(journal: &mut Journal, directory: &mut Directory) {
    let (mut now, mut out) = (Time::ZERO, Vec::new());
    for _ in 0..OPERATIONS_MAX {
        if journal.wants_flush() {
            journal.flush(now, &mut out);
        }
        if let Some(deadline) = journal.deadline() {
            now = now.max(deadline);
            journal.wake(now, &mut out);
        }
        if out.is_empty() {
            return assert!(!journal.wants_flush(), "a flush that does nothing is still wanted");
        }
        for output in std::mem::take(&mut out) {
            let Output::Disk { op, action } = output else { panic!("a journal asks for {output:?}") };
            let result = directory.perform(&action);
            assert!(result == DiskResult::Done, "{action:?} names no file");
            assert_eq!(journal.complete(now, op, result, &mut out), Ok(true), "its own operation");
        }
    }
    panic!("the journal never comes to rest");
}

/// Far more than opening a full directory takes.
const OPERATIONS_MAX: usize = 1000;

/// A whole node on the directory: alone in its cluster, so that it goes on to lead and to execute what it found.
/// Whatever numbers stand under a checksum, the node opens or says why not. One that opens alone goes on to lead, if
/// that does not take filling a gap of millions.
fn check_node(directory: Directory, seal: Seal) {
    let short = open(&mut directory.clone(), seal).is_ok_and(|(_, recovered)| is_short(&recovered));
    let mut member = match Member::open(owner(seal), directory) {
        Ok(member) => member,
        Err(OpenError::Option(_) | OpenError::NotAMember(_)) => panic!("the configuration is sound"),
        Err(_) => return,
    };
    if !short {
        return;
    }
    member.settle();
    for _ in 0..30 {
        member.pass_time();
    }
    assert_eq!(member.take_sent(), [], "a node that is alone has nobody to talk to");
}

/// Whether a node that leads is soon done with filling its gaps.
fn is_short(recovered: &Recovered) -> bool {
    let last = recovered.entries.last().map_or(Index::ZERO, |entry| entry.index).max(recovered.floor);
    last <= Index(10_000)
}

/// Makes the checksums hold of whatever looks like a part of a journal: blocks with a length, headers without.
fn repair_checksums(bytes: &mut [u8]) {
    const BLOCK: usize = 4096;
    const HEADER: usize = 96;
    for at in (0..bytes.len()).step_by(8) {
        let Some(magic) = bytes[at..].first_chunk::<4>() else { return };
        let end = match magic {
            b"ioNd" | b"ioSg" | b"ioSn" if at % BLOCK == 0 => {
                let length = bytes.get(at + 12..at + 16).map(|four| u32::from_le_bytes(four.try_into().expect("four")));
                16 + length.unwrap_or(0) as usize
            }
            b"ioRc" | b"ioId" => HEADER,
            _ => continue,
        };
        if let Some(part) = bytes.get_mut(at..at.saturating_add(end)).filter(|part| part.len() >= 16) {
            let checksum = crc32fast::hash(&part[8..]);
            part[4..8].copy_from_slice(&checksum.to_le_bytes());
        }
    }
}

fn batch(payload: usize) -> Batch {
    let mut builder = BatchBuilder::default();
    builder.push(&Command::Register);
    let session = SessionId { index: Index(1), position: 0 };
    let payload = Bytes::from(vec![b'p'; payload]);
    builder.push(&Command::Request { session, sequence: Sequence(1), acked: Sequence(0), payload });
    builder.finish(Time(1))
}

/// Directories as a node left them, at several ages and with some damage.
pub fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let mut fresh = Directory::default();
    let configuration = owner(Seal::Lazy).configuration;
    for action in journal::format(NodeId(0), DiskNonce(7), &configuration) {
        fresh.perform(&action);
    }
    let first = live(fresh.clone(), |life| {
        life.journal.found(configuration.cluster_id(&[DiskNonce(7)]), vec![DiskNonce(7)]);
        life.journal.promise(View { round: 1, node: NodeId(0) });
        (1..=5).for_each(|index| life.accept(index));
        life.append(Record::Floor { index: Index(3) });
    });
    let second = live(first.clone(), |life| {
        life.append(Record::Committed { index: Index(4), batch: batch(4) });
        (6..=9).for_each(|index| life.accept(index));
        life.append(Record::Floor { index: Index(6) });
    });
    let long = live(first.clone(), |life| (6..=40).for_each(|index| life.accept(index)));
    let crashed = live(first.clone(), |life| {
        life.journal.append(Record::Accepted { view: VIEW, index: Index(6), batch: batch(6) });
        life.journal.append(Record::Accepted { view: VIEW, index: Index(7), batch: batch(7) });
        let mut out = Vec::new();
        life.journal.flush(Time::ZERO, &mut out);
        for output in out {
            let Output::Disk { action, .. } = output else { continue };
            life.directory.perform(&action);
        }
    });
    let apart = live(first.clone(), |life| {
        life.append(Record::Accepted { view: VIEW, index: Index(1 << 40), batch: batch(1) });
    });
    let promised = live(first.clone(), |life| {
        life.journal.promise(View { round: u64::MAX, node: NodeId(0) });
        life.accept(6);
    });
    let mut rotten = second.clone();
    for (_, bytes) in rotten.contents() {
        // The last payload of each segment goes, its id does not.
        if let Some(last) = bytes.windows(4).rposition(|four| four == b"pppp") {
            bytes[last] ^= 1;
        }
    }
    let mut unreadable = second.clone();
    let holds_batches = |bytes: &[u8]| bytes.windows(4).any(|four| four == b"pppp");
    let (last, size) = unreadable
        .contents()
        .filter_map(|(file, bytes)| holds_batches(bytes).then_some((file, bytes.len())))
        .last()
        .expect("a segment holds a batch");
    unreadable.lose(last, 8192..size);
    let snapshot = snapshotted(fresh.clone());
    let mut lost = snapshot.clone();
    let (file, size) = lost
        .contents()
        .find_map(|(file, bytes)| matches!(file, FileId::Snapshot(_)).then_some((file, bytes.len())))
        .expect("it has taken snapshots");
    lost.lose(file, 4096..size);
    let all = [
        ("fresh", fresh),
        ("first", first),
        ("second", second),
        ("long", long),
        ("crashed", crashed),
        ("rotten", rotten),
        ("unreadable", unreadable),
        ("apart", apart),
        ("promised", promised),
        ("snapshot", snapshot),
        ("snapshot_lost", lost),
    ];
    all.map(|(name, directory)| (name, directory.encode())).to_vec()
}

/// What a whole node leaves that is alone in its cluster and has taken snapshots.
fn snapshotted(fresh: Directory) -> Directory {
    let mut member = Member::open(owner(Seal::Lazy), fresh).expect("a fresh directory opens");
    member.settle();
    while member.node().status().role != "leader" {
        member.pass_time();
    }
    let session = SessionId { index: Index(1), position: 0 };
    let put = |sequence: u64| {
        let (key, value) = (sequence.to_le_bytes(), [b'v'; 40]);
        let payload = request::encode(&[Operation::Put { key: &key, value: &value }]).expect("a small request");
        ClientRequest::Write { session, sequence: Sequence(sequence), acked: Sequence(0), payload }
    };
    let requests = [ClientRequest::Register { tag: 1 }].into_iter().chain((1..=20).map(put));
    for request in requests {
        member.feed(Input::Client { connection: ConnectionId(1), request });
        member.settle();
    }
    member.disk().clone()
}

const VIEW: View = View { round: 1, node: NodeId(0) };

struct Life {
    journal: Journal,
    directory: Directory,
}

impl Life {
    fn accept(&mut self, index: u64) {
        self.append(Record::Accepted { view: VIEW, index: Index(index), batch: batch(index as usize) });
    }

    fn append(&mut self, record: Record) {
        self.journal.append(record);
        settle(&mut self.journal, &mut self.directory);
    }
}

/// What a life leaves of a directory.
fn live(mut directory: Directory, act: impl FnOnce(&mut Life)) -> Directory {
    let (mut journal, _) = open(&mut directory, Seal::Lazy).expect("a sound directory opens");
    settle(&mut journal, &mut directory);
    let mut life = Life { journal, directory };
    act(&mut life);
    life.directory
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::Mutator;

    fn recovered(input: &[u8]) -> Recovered {
        open(&mut Directory::decode(input), Seal::Lazy).expect("a sample opens").1
    }

    #[test]
    fn the_samples_show_every_kind_of_entry() {
        let samples: Vec<_> = samples().into_iter().map(|(name, input)| (name, recovered(&input))).collect();
        let find = |wanted: &str| &samples.iter().find(|(name, _)| *name == wanted).expect("a sample").1;
        assert_eq!(find("fresh").entries, []);
        assert_eq!((find("first").entries.len(), find("first").floor), (5, Index(3)));
        assert_eq!(find("long").entries.len(), 40);
        assert_eq!(find("crashed").entries.len(), 7);
        assert!(find("rotten").entries.iter().any(|entry| entry.unknown.is_some()), "{:?}", find("rotten"));
        assert!(find("unreadable").loss);
        let seal = find("snapshot").snapshot.expect("its snapshot can be read");
        assert_eq!((find("snapshot_lost").snapshot, find("snapshot_lost").base), (None, seal.index));
        assert!(samples.iter().any(|(_, recovered)| recovered.entries.iter().any(|entry| entry.committed)));
    }

    #[test]
    fn a_node_opens_no_directory_that_none_can_have_written() {
        let refused = |wanted: &str| {
            let (_, input) = samples().into_iter().find(|(name, _)| *name == wanted).expect("a sample");
            Member::open(owner(Seal::Lazy), Directory::decode(&input)).expect_err("it does not open")
        };
        assert!(matches!(refused("apart"), OpenError::Apart(_)));
        assert!(matches!(refused("promised"), OpenError::Promise(_)));
    }

    #[test]
    fn a_fair_share_of_drawn_directories_opens_and_another_does_not() {
        let corpus = samples().into_iter().map(|(_, input)| input).collect();
        let mut mutator = Mutator::new(1, corpus);
        let inputs = (0..1000).map(|_| Directory::decode(&mutator.input()));
        let open = inputs.filter(|directory| open(&mut directory.clone(), Seal::Lazy).is_ok()).count();
        assert!((200..900).contains(&open), "{open} of 1000");
    }
}
