//! Damage to a log at rest, from one bit to whole files: the journal opens, never shows a record that was not written,
//! and whatever is gone is either known by name or covered by a loss. What it makes of a damaged disk is what the next
//! life finds as well.

use super::*;

/// Where a disk is damaged, and how.
#[derive(Clone, Debug)]
enum Damage {
    Flip { file: FileId, offset: u64, bits: u8 },
    Fill { file: FileId, offset: u64, length: u64, byte: u8 },
    Latent { file: FileId, offset: u64, length: u64 },
    Truncated { file: FileId, length: u64 },
    Missing { file: FileId },
}

impl Disk {
    fn damage(&mut self, damage: &Damage) {
        match damage {
            Damage::Flip { file, offset, bits } => self.content(file)[*offset as usize] ^= bits,
            Damage::Fill { file, offset, length, byte } => {
                let content = self.content(file);
                let end = content.len().min((offset + length) as usize);
                content[*offset as usize..end].fill(*byte);
            }
            Damage::Latent { file, offset, length } => self.latent.push((*file, *offset, offset + length)),
            Damage::Truncated { file, length } => self.content(file).truncate(*length as usize),
            Damage::Missing { file } => {
                self.files.remove(file);
            }
        }
    }

    fn content(&mut self, file: &FileId) -> &mut Vec<u8> {
        Rc::make_mut(self.files.get_mut(file).expect("a file that exists"))
    }

    /// The bytes of segments that say something, and some of those that do not.
    fn telling_bytes(&self) -> Vec<(FileId, u64)> {
        let segments = self.files.iter().filter(|(file, _)| **file != FileId::Identity);
        let bytes = segments.flat_map(|(file, bytes)| {
            let telling = |place: &usize| bytes[*place] != 0 || place.is_multiple_of(97);
            (0..bytes.len()).filter(telling).map(|place| (*file, place as u64))
        });
        bytes.collect()
    }
}

/// A directory with everything in it: several segments and lives, all kinds of records, everything sealed.
fn rich_disk(options: &JournalOptions) -> Bench {
    let mut bench = Bench::running(Disk::formatted(), options);
    bench.journal.promise(view(5));
    bench.rounds((1..8).map(|index| accepted(1, index)));
    bench.rounds([floor(3), accepted(2, 5), accepted(2, 6)]);
    bench.idle();
    let mut bench = bench.reopen(options);
    bench.append(accepted(3, 6));
    bench.append(accepted(3, 7));
    bench.rounds([Record::Committed { index: Index(4), batch: batch(1004, 8) }]);
    bench.append(accepted(3, 9));
    bench.rounds([floor(6), accepted(5, 8)]);
    bench.rounds([accepted(5, 10), Record::Committed { index: Index(12), batch: batch(12, 700) }]);
    bench.idle();
    assert!(bench.disk.files.len() > 4);
    bench
}

/// Whether what is known of a damaged disk is true, and complete as far as it claims to be.
pub(super) fn check_knowledge(
    clean: &Recovered,
    written: &[(Index, Batch)],
    damaged: &Recovered,
) -> Result<(), &'static str> {
    let fail = |holds: bool, rule| if holds { Ok(()) } else { Err(rule) };
    fail(damaged.identity == clean.identity, "the identity outlives any one damage")?;
    fail(damaged.divergence.is_none(), "no divergence")?;
    fail(damaged.floor <= clean.floor, "the floor is true")?;
    fail(damaged.floor == clean.floor || damaged.loss, "a floor is not lost silently")?;
    for entry in &damaged.entries {
        let written_here = |(_, found): &(View, Batch)| written.contains(&(entry.index, found.clone()));
        fail(entry.accepted.as_ref().is_none_or(written_here), "no batch out of thin air")?;
        let named_here = |unknown: Unknown| {
            written.iter().any(|(index, batch)| *index == entry.index && batch.digest() == unknown.digest)
        };
        fail(entry.unknown.is_none_or(named_here), "no name out of thin air")?;
    }
    for was in &clean.entries {
        let (view, batch) = was.accepted.clone().expect("undamaged");
        let Some(entry) = damaged.entries.iter().find(|entry| entry.index == was.index) else {
            fail(damaged.loss, "an entry is not lost silently")?;
            continue;
        };
        let same = entry.accepted.as_ref().is_some_and(|(_, found)| *found == batch);
        let named = entry.unknown.as_ref().is_some_and(|unknown| unknown.digest == batch.digest());
        let current = same && (entry.committed || entry.accepted.as_ref().is_some_and(|(found, _)| *found == view));
        fail(current || named || damaged.loss && !entry.certain, "a newer record is not lost silently")?;
        fail(!entry.committed || same, "what is called committed is the committed batch")?;
        fail(!entry.committed || was.committed, "nothing becomes committed by damage")?;
        let known_committed = entry.committed || entry.unknown.is_some_and(|unknown| unknown.committed);
        fail(known_committed || !was.committed || damaged.loss, "a commit is not lost silently")?;
    }
    Ok(())
}

/// A clean directory to be damaged.
struct Subject {
    options: JournalOptions,
    disk: Disk,
    clean: Recovered,
    written: Vec<(Index, Batch)>,
}

impl Subject {
    fn new() -> Self {
        let options = options(8, 4 << 10);
        let Bench { disk, written, .. } = rich_disk(&options);
        let clean = Bench::open(disk.clone(), &options).recovered;
        assert!(clean.entries.iter().all(|entry| entry.accepted.is_some() && entry.unknown.is_none()));
        Self { options, disk, clean, written }
    }

    /// Damages, opens, lets the opening sequence run, opens again. Returns whether anything was noticed.
    fn check(&self, damages: &[Damage]) -> bool {
        let mut disk = self.disk.clone();
        damages.iter().for_each(|damage| disk.damage(damage));
        let first = Bench::running(disk, &self.options);
        if let Err(rule) = check_knowledge(&self.clean, &self.written, &first.recovered) {
            panic!("{rule}: {damages:?}\n{:#?}\nbecame\n{:#?}", self.clean, first.recovered);
        }
        let again = Bench::open(first.disk, &self.options).recovered;
        let same = again.entries == first.recovered.entries && again.floor == first.recovered.floor;
        assert!(same && again.loss == first.recovered.loss, "{damages:?}: {:#?}\nthen\n{again:#?}", first.recovered);
        first.recovered != self.clean
    }
}

#[test]
fn any_flipped_bit_is_noticed_or_without_effect() {
    let subject = Subject::new();
    let mut noticed = 0;
    for (place, (file, offset)) in subject.disk.telling_bytes().into_iter().enumerate() {
        let damage = Damage::Flip { file, offset, bits: 1 << (place % 8) };
        noticed += usize::from(subject.check(&[damage]));
    }
    assert!(noticed > 500, "{noticed}");
}

#[test]
fn two_flipped_bits_are_noticed_too() {
    let subject = Subject::new();
    let bytes = subject.disk.telling_bytes();
    let mut noticed = 0;
    for pair in 0..3000_usize {
        let damages = [pair * 7919, pair * 104_729 + 5].map(|place| {
            let (file, offset) = bytes[place % bytes.len()];
            Damage::Flip { file, offset, bits: 1 << (place % 8) }
        });
        noticed += usize::from(subject.check(&damages));
    }
    assert!(noticed > 500, "{noticed}");
}

#[test]
fn blocks_of_any_size_may_go_bad() {
    let subject = Subject::new();
    let mut noticed = 0;
    for (file, content) in &subject.disk.files {
        for length in [8, 96, 512, 4096, 1 << 20] {
            for offset in (0..content.len() as u64).step_by(length.clamp(72, 4096)) {
                let (file, length) = (*file, length as u64);
                let mut damages = Vec::new();
                if file != FileId::Identity || length <= 4096 {
                    damages.push(Damage::Fill { file, offset, length, byte: 0xA5 });
                }
                if length <= 4096 {
                    // Zeros in table and data at once look like records that were never written.
                    damages.push(Damage::Fill { file, offset, length, byte: 0 });
                }
                if file != FileId::Identity {
                    damages.push(Damage::Latent { file, offset, length });
                    damages.push(Damage::Truncated { file, length: offset });
                }
                for damage in damages {
                    noticed += usize::from(subject.check(&[damage]));
                }
            }
        }
        if *file != FileId::Identity {
            noticed += usize::from(subject.check(&[Damage::Missing { file: *file }]));
        }
    }
    assert!(noticed > 500, "{noticed}");
}
