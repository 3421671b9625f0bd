//! Rot after a crash: whatever a life found and vouched for is still known by name when one record of it rots later,
//! and is covered by a loss when its slot is gone too. Torn and rotten are not mixed up by a second opening.

use super::{
    super::{
        record::{Header, RECORD_MAGIC, SLOT},
        segment::{data_offset, slot_offset},
    },
    crash::{Act, Cached, Grain, go_on_with_snapshot, rolling_work, rounds_of_work},
    damage::check_knowledge,
    *,
};

/// A life on a disk behind a page cache, up to its end or to a crash.
struct Life {
    journal: Journal,
    recovered: Recovered,
    disk: Cached,
    pending: VecDeque<Output>,
    now: Time,
}

impl Life {
    fn open(disk: Cached, options: &JournalOptions) -> Life {
        let (journal, recovered) = open(&mut disk.seen(), options).unwrap_or_else(|error| panic!("{error}"));
        Life { journal, recovered, disk, pending: VecDeque::new(), now: Time(1) }
    }

    /// The next small step; false if there is none.
    fn step(&mut self, acts: &mut impl Iterator<Item = Act>) -> bool {
        let mut out = Vec::new();
        if let Some(Output::Disk { op, action }) = self.pending.pop_front() {
            self.disk.complete(&action);
            assert_eq!(self.journal.complete(self.now, op, DiskResult::Done, &mut out), Ok(true));
        } else if self.journal.wants_flush() {
            self.journal.flush(self.now, &mut out);
        } else if self.journal.wants_block() {
            go_on_with_snapshot(&mut self.journal, &mut out);
        } else {
            match acts.next() {
                None => return false,
                Some(Act::Snapshot(index)) => self.journal.draft_snapshot(index, index.0, 64, &mut out),
                Some(Act::Append(records)) => records.into_iter().for_each(|record| self.journal.append(record)),
                Some(Act::Promise(view)) => self.journal.promise(view),
                Some(Act::Idle) => {
                    self.now = self.journal.deadline().expect("something is idle");
                    self.journal.wake(self.now, &mut out);
                }
            }
        }
        self.pending.extend(out);
        true
    }
}

/// The records of a segment, as far as their chain leads.
fn chain(disk: &Disk, file: FileId, records: u32) -> Vec<Header> {
    let content = &disk.files[&file];
    let mut at = data_offset(records);
    let mut chain = Vec::new();
    while let Some(header) = content.get(at as usize..).and_then(|bytes| Header::decode(RECORD_MAGIC, bytes)) {
        at = header.end();
        chain.push(header);
    }
    chain
}

fn written(acts: &[Act]) -> Vec<(Index, Batch)> {
    let records = acts.iter().flat_map(|act| if let Act::Append(records) = act { records.clone() } else { vec![] });
    let batches = records.filter_map(|record| match record {
        Record::Accepted { index, batch, .. } | Record::Committed { index, batch } => Some((index, batch)),
        Record::Floor { .. } | Record::Whole => None,
    });
    batches.collect()
}

/// Crashes at every point of `acts`, opens, and as soon as that life may speak, takes the power away: then each
/// record in turn rots, with its slot intact or blank.
fn explore(options: &JournalOptions, acts: &[Act], grain: Grain) -> (usize, usize) {
    let written = written(acts);
    let (mut named, mut lost) = (0, 0);
    let mut life = Life::open(Cached::formatted(), options);
    let mut rest = acts.iter().cloned();
    loop {
        for crash in life.disk.crashes(&life.pending, grain) {
            let mut next = Life::open(crash, options);
            while !next.journal.ready() {
                next.step(&mut core::iter::empty());
            }
            let disk = next.disk.durable;
            let clean = Recovered { identity: next.recovered.identity.clone(), ..next.recovered.clone() };
            for file in disk.files.keys().copied().filter(|file| *file != FileId::Identity) {
                let records = options.segment_records;
                for header in chain(&disk, file, records) {
                    let mut rotten = disk.clone();
                    rotten.write(file, header.offset + 70, b"rot");
                    let (_, mut found) = open(&mut rotten, options).unwrap();
                    found.identity = clean.identity.clone();
                    assert_eq!(check_knowledge(&clean, &written, &found), Ok(()), "{header:?}");
                    assert!(!found.loss, "its slot names {header:?}");
                    named += usize::from(found != clean);

                    rotten.write(file, slot_offset(header.ordinal), &[0; SLOT]);
                    let (_, mut found) = open(&mut rotten, options).unwrap();
                    found.identity = clean.identity.clone();
                    assert_eq!(check_knowledge(&clean, &written, &found), Ok(()), "{header:?} and its slot");
                    lost += usize::from(found.loss);
                }
            }
        }
        if !life.step(&mut rest) {
            return (named, lost);
        }
    }
}

#[test]
fn what_a_life_vouched_for_is_never_forgotten_silently() {
    let grain = Grain { parts: 1, free: 2 };
    let (named, lost) = explore(&options(32, 4096), &rounds_of_work(1), grain);
    assert!(named > 200 && lost > 200, "{named} {lost}");
}

#[test]
fn nor_is_it_over_several_segments() {
    let grain = Grain { parts: 1, free: 1 };
    let (named, lost) = explore(&options(4, 4096), &rolling_work(1), grain);
    assert!(named > 200 && lost > 200, "{named} {lost}");
}
