//! Reading back what a disk kept, and telling torn from rotten.
//!
//! A *torn* record was being written when the node died: nobody was told of it, so it is dropped. A *rotten* one was
//! durable, was perhaps vouched for, and has been damaged since: it is never dropped silently. What tells them apart
//! is a trace of something that only happens once a round is durable: its id slots, or a record of a later round.
//! Headers and slots name the ordinals of their round, which makes the question exact.

use super::{
    JournalError,
    block::{BLOCK, Block},
    fold::Fold,
    image::Image,
    record::{HEADER, Header, Item, RECORD_MAGIC, SLOT, Slot},
    segment::{HEADERS, SegmentHeader, TABLE, slot_offset},
};
use crate::{
    ids::{DiskNonce, Index, View},
    interface::{FileId, ReadDisk},
};
use alloc::{collections::BTreeMap, vec::Vec};

/// What became of a record's header and payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Body {
    /// Both are whole.
    Good,
    /// The header is whole, the payload is not.
    Named,
    /// The header is not readable, or was never written.
    Bad,
}

/// What became of a record's id slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seal {
    Good,
    Blank,
    Unreadable,
}

/// What is made of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// It stands as it was written.
    Keep,
    /// It was durable; header or slot still tell what it was.
    Unknown,
    /// It was never durable: the log ends before it.
    Torn,
    /// Something durable was here, and nothing tells what.
    Loss,
}

/// The decision table. `later`: there is a trace of something later than this record's round.
fn verdict(body: Body, seal: Seal, later: bool) -> Verdict {
    match (body, seal, later) {
        (Body::Good, _, _) => Verdict::Keep,
        (Body::Named | Body::Bad, Seal::Good, _) => Verdict::Unknown,
        (Body::Named | Body::Bad, Seal::Blank, false) => Verdict::Torn,
        (Body::Named, Seal::Blank, true) => Verdict::Unknown,
        (Body::Bad, Seal::Blank, true) => Verdict::Loss,
        // A slot is written when its round is durable: even an unreadable one says that much.
        (Body::Named, Seal::Unreadable, _) => Verdict::Unknown,
        (Body::Bad, Seal::Unreadable, _) => Verdict::Loss,
    }
}

/// Where the log goes on after everything that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Tail {
    /// The last record but those of the newest two rounds, in the newest segment: what follows may sit in a page cache
    /// only, or lack its slots, and is written again elsewhere.
    pub(super) cut: u32,
    /// How many records the segment before the newest has, if it is readable at all.
    pub(super) before: Option<u32>,
    /// What was kept from there on, in order.
    pub(super) items: Vec<Item>,
    /// The highest promise that any header or slot names.
    pub(super) promised: View,
    /// Every segment that was read, with the highest index in it.
    pub(super) segments: Vec<(u64, Index)>,
}

/// Reads all segments from `oldest` up to `newest`, in this order. Later ones are leftovers of a crash, earlier ones
/// have been replaced by a snapshot.
pub(super) fn read_log(
    disk: &mut dyn ReadDisk,
    files: &[(FileId, u64)],
    nonce: DiskNonce,
    (oldest, newest): (u64, u64),
    fold: &mut Fold,
) -> Result<Tail, JournalError> {
    let mut tail = Tail { cut: 0, before: None, items: Vec::new(), promised: View::ZERO, segments: Vec::new() };
    let mut records = None;
    for segment in segments(files, oldest, newest) {
        let this = open_segment(disk, files, nonce, segment)?;
        let mut end = End::Open;
        if segment < newest {
            let next = open_segment(disk, files, nonce, segment + 1)?;
            let after = if segment + 1 < newest { open_segment(disk, files, nonce, segment + 2)? } else { None };
            end = end_of(disk, next.as_ref(), after.as_ref());
        }
        (tail.cut, tail.before, tail.items) = (0, records, Vec::new());
        tail.segments.push((segment, Index::ZERO));
        records = match this {
            Some(this) => Some(read_segment(disk, &this, end, fold, &mut tail)),
            None if end == End::Exactly(0) => None,
            None => {
                fold.take((segment, 0), Item::Loss);
                tail.items.push(Item::Loss);
                None
            }
        };
    }
    tail.items.dedup_by(|item, before| *item == Item::Loss && *before == Item::Loss);
    Ok(tail)
}

/// The segments to read: those that exist from the oldest up to the newest, the first of every gap (where one loss says
/// it all), and the newest in any case.
fn segments(files: &[(FileId, u64)], oldest: u64, newest: u64) -> Vec<u64> {
    let mut segments: Vec<u64> = [oldest, newest].into();
    for (file, _) in files {
        if let FileId::Segment(segment) = file {
            segments.extend([*segment, segment.saturating_add(1)]);
        }
    }
    segments.retain(|segment| (oldest..=newest).contains(segment));
    segments.sort_unstable();
    segments.dedup();
    segments
}

/// A segment file whose header is readable.
struct OpenSegment {
    header: SegmentHeader,
    length: u64,
}

/// How many records of a segment count, as far as its successor tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// This many. All of them were durable and sealed before the successor was used.
    Exactly(u32),
    /// As many as it shows traces of. All were durable and sealed.
    Sealed,
    /// It is the newest segment: its last round may be torn.
    Open,
}

/// Finds a segment and reads its header. None: it is missing, or neither copy of the header is readable.
fn open_segment(
    disk: &mut dyn ReadDisk,
    files: &[(FileId, u64)],
    nonce: DiskNonce,
    segment: u64,
) -> Result<Option<OpenSegment>, JournalError> {
    let file = FileId::Segment(segment);
    let Some((_, length)) = files.iter().find(|(found, _)| *found == file) else { return Ok(None) };
    let mut bytes = Vec::new();
    for copy in 0..HEADERS {
        let mut image = Image::new(disk, file, (*length).min(TABLE));
        if !image.read((copy * BLOCK) as u64, BLOCK as u64, &mut bytes) {
            continue;
        }
        match SegmentHeader::decode(&bytes) {
            Block::Newer(version) => return Err(JournalError::Newer { file, version }),
            Block::Good(header) if header.nonce != nonce => return Err(JournalError::ForeignSegment { file }),
            Block::Good(header) if header.segment == segment => {
                return Ok(Some(OpenSegment { header, length: *length }));
            }
            Block::Good(_) | Block::Bad => {}
        }
    }
    Ok(None)
}

/// How many records of a segment count, according to the next one, or to the one after that.
fn end_of(disk: &mut dyn ReadDisk, next: Option<&OpenSegment>, after: Option<&OpenSegment>) -> End {
    let begin = |segment: &OpenSegment| segment.header.begin;
    let Some(next) = next else { return End::Sealed };
    let told = match begin(next) {
        Some(begin) => Some(begin.cut),
        None => records_before(disk, next).or_else(|| after.and_then(begin)?.before),
    };
    told.map_or(End::Sealed, End::Exactly)
}

/// How many records its predecessor has, according to the first readable record or slot of a segment.
fn records_before(disk: &mut dyn ReadDisk, segment: &OpenSegment) -> Option<u32> {
    let mut reader = SegmentReader::new(disk, segment, End::Open);
    let first = reader.header_at(segment.header.data(), 0);
    let mut slots = 0..segment.header.records;
    first.or_else(|| slots.find_map(|ordinal| reader.read_slot(ordinal).header())).map(|header| header.before)
}

/// Hands a segment's records to the fold, and keeps the newest of them in `tail`. Returns how many there are.
fn read_segment(disk: &mut dyn ReadDisk, this: &OpenSegment, end: End, fold: &mut Fold, tail: &mut Tail) -> u32 {
    let segment = this.header.segment;
    let mut kept = Vec::new();
    let mut reader = SegmentReader::new(disk, this, end);
    let mut highest = Index::ZERO;
    let records = reader.read(|ordinal, item| {
        highest = highest.max(item.index().unwrap_or(Index::ZERO));
        if this.header.begin.is_some_and(|begin| ordinal == begin.copies) {
            fold.begin_life((segment, ordinal));
        }
        if end == End::Open {
            kept.push((ordinal, item.clone()));
        }
        fold.take((segment, ordinal), item);
    });
    if let Some(begin) = this.header.begin {
        fold.begin_life((segment, begin.copies));
    }
    tail.cut = reader.rounds.last_but_one();
    tail.items.extend(kept.into_iter().filter(|(ordinal, _)| *ordinal >= tail.cut).map(|(_, item)| item));
    tail.promised = tail.promised.max(this.header.promised).max(reader.promised);
    tail.segments.last_mut().expect("the segment at hand").1 = highest;
    records
}

struct SegmentReader<'a> {
    image: Image<'a>,
    header: &'a SegmentHeader,
    end: End,
    /// The table up to its last slot that is not blank.
    slots: Vec<Slot>,
    /// Every record below this ordinal was durable once.
    durable: u32,
    /// Where the chain of lengths has led so far.
    reached: u64,
    /// The records found by searching what lies beyond, once that was necessary.
    found: Option<BTreeMap<u32, Header>>,
    rounds: Rounds,
    promised: View,
    buffer: Vec<u8>,
}

impl<'a> SegmentReader<'a> {
    fn new(disk: &'a mut dyn ReadDisk, segment: &'a OpenSegment, end: End) -> Self {
        let header = &segment.header;
        Self {
            image: Image::new(disk, FileId::Segment(header.segment), segment.length),
            header,
            end,
            slots: Vec::new(),
            durable: match end {
                End::Exactly(records) => records,
                End::Sealed => 0,
                End::Open => header.begin.map_or(0, |begin| begin.copies),
            },
            reached: header.data(),
            found: None,
            rounds: Rounds::default(),
            promised: View::ZERO,
            buffer: Vec::new(),
        }
    }

    /// Judges one ordinal after the other, and hands out what is left of each. Returns where the log ends.
    fn read(&mut self, mut keep: impl FnMut(u32, Item)) -> u32 {
        let count = match self.end {
            End::Exactly(records) => records.min(self.header.records),
            End::Sealed | End::Open => self.header.records,
        };
        // Of a file cut short nothing is left beyond its end: one loss says so.
        let limit = count.min(u32::try_from(self.image.length() / SLOT as u64).unwrap_or(u32::MAX));
        self.read_table(limit);
        let mut next = Some(self.header.data());
        for ordinal in 0..limit {
            let slot = self.slots.get(ordinal as usize).copied().unwrap_or(Slot::Blank);
            let header = self.locate(ordinal, next, slot);
            let item = header.and_then(|header| self.whole(&header));
            let body = match (header, &item) {
                (Some(_), Some(_)) => Body::Good,
                (Some(_), None) => Body::Named,
                (None, _) => Body::Bad,
            };
            // The search that this may take is spared where the answer changes nothing.
            let later = body != Body::Good && slot == Slot::Blank && self.was_durable(ordinal);
            let known = header.or(slot.header());
            match (verdict(body, Seal::of(slot), later), item, known) {
                (Verdict::Keep, Some(item), _) => keep(ordinal, item),
                (Verdict::Unknown, _, Some(known)) => keep(ordinal, known.named()),
                (Verdict::Torn, ..) => return ordinal,
                _ => keep(ordinal, Item::Loss),
            }
            next = known.map(|known| known.end());
            self.reached = self.reached.max(next.unwrap_or(0));
        }
        count
    }

    fn read_table(&mut self, limit: u32) {
        for ordinal in 0..limit {
            let slot = self.read_slot(ordinal);
            if slot == Slot::Blank {
                continue;
            }
            self.slots.resize(ordinal as usize, Slot::Blank);
            self.slots.push(slot);
            if let Some(header) = slot.header() {
                // Its slots are written when a round is durable.
                self.durable = self.durable.max(header.round_last.saturating_add(1));
                self.note(&header);
            }
        }
    }

    fn read_slot(&mut self, ordinal: u32) -> Slot {
        if !self.image.read(slot_offset(ordinal), SLOT as u64, &mut self.buffer) {
            return Slot::Unreadable;
        }
        match Slot::decode(&self.buffer) {
            Slot::Good(header) if !self.stands_here(&header) || header.ordinal != ordinal => Slot::Unreadable,
            slot => slot,
        }
    }

    /// The header of a record: where the one before it ends, or where its slot says, or where a search finds it.
    fn locate(&mut self, ordinal: u32, next: Option<u64>, slot: Slot) -> Option<Header> {
        let by_slot = slot.header().map(|header| header.offset);
        let places = [next, by_slot.filter(|_| by_slot != next)];
        let near = places.into_iter().flatten().find_map(|offset| self.header_at(offset, ordinal));
        if near.is_some() || places != [None, None] {
            return near;
        }
        self.search().get(&ordinal).copied()
    }

    fn header_at(&mut self, offset: u64, ordinal: u32) -> Option<Header> {
        let header = self.any_header_at(offset).filter(|header| header.ordinal == ordinal)?;
        self.note(&header);
        Some(header)
    }

    fn any_header_at(&mut self, offset: u64) -> Option<Header> {
        if !self.image.read(offset, HEADER as u64, &mut self.buffer) {
            return None;
        }
        let header = Header::decode(RECORD_MAGIC, &self.buffer)?;
        (self.stands_here(&header) && header.offset == offset).then_some(header)
    }

    fn stands_here(&self, header: &Header) -> bool {
        header.nonce == self.header.nonce && header.segment == self.header.segment
    }

    /// The record, if its payload is whole too.
    fn whole(&mut self, header: &Header) -> Option<Item> {
        let mut payload = Vec::new();
        let readable = self.image.read(header.offset + HEADER as u64, u64::from(header.length), &mut payload);
        if readable { header.item(payload.into()) } else { None }
    }

    /// Whether there is a trace of something that only happens once this record is durable.
    fn was_durable(&mut self, ordinal: u32) -> bool {
        if ordinal >= self.durable {
            self.search();
        }
        ordinal < self.durable
    }

    /// Finds the records beyond the place where the chain of lengths broke.
    fn search(&mut self) -> &BTreeMap<u32, Header> {
        if self.found.is_none() {
            let mut found = BTreeMap::new();
            let mut from = self.reached;
            while let Some(offset) = self.image.find(RECORD_MAGIC, from) {
                from = offset + 1;
                if let Some(header) = self.any_header_at(offset) {
                    self.note(&header);
                    found.insert(header.ordinal, header);
                }
            }
            self.found = Some(found);
        }
        self.found.get_or_insert_default()
    }

    fn note(&mut self, header: &Header) {
        // A round starts when the one before it is durable; of a sealed segment all is.
        let durable = match self.end {
            End::Sealed => header.round_last.saturating_add(1),
            End::Exactly(_) | End::Open => header.round_first,
        };
        self.durable = self.durable.max(durable);
        self.promised = self.promised.max(header.promised);
        self.rounds.note(header.round_first);
    }
}

impl Seal {
    fn of(slot: Slot) -> Seal {
        match slot {
            Slot::Good(_) => Seal::Good,
            Slot::Blank => Seal::Blank,
            Slot::Unreadable => Seal::Unreadable,
        }
    }
}

/// The newest two rounds there is a trace of, by their first ordinals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Rounds {
    last: Option<u32>,
    before: Option<u32>,
}

impl Rounds {
    fn note(&mut self, first: u32) {
        if Some(first) > self.last {
            (self.last, self.before) = (Some(first), self.last);
        } else if Some(first) < self.last {
            self.before = self.before.max(Some(first));
        }
    }

    /// Every record before this one is durable and sealed.
    fn last_but_one(self) -> u32 {
        self.before.unwrap_or(0)
    }
}
