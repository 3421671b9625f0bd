//! Writing: rounds, their seals, roll-over to the next segment, and the opening sequence.

use super::{
    Journal,
    record::{ALIGN, HEADER, Header, Item, Kind, RECORD_MAGIC, SLOT, SLOT_MAGIC, footprint},
    segment::{Begin, SegmentHeader, geometry, slot_offset},
};
use crate::{
    ids::{Digest, Index, OpId, View},
    interface::{DiskAction, FileId, Output},
    options::Seal,
    time::Time,
};
use alloc::vec::Vec;
use bytes::Bytes;

/// Payloads from this size on go to the disk as they are; smaller ones are gathered into one buffer.
const BY_REFERENCE: usize = 4096;

/// What the journal is doing about its segments.
///
/// ```text
/// Closed -> Creating -> Copying -> Naming -> Running -> Rolling -> Naming -> Running ...
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Read, and nothing written yet.
    Closed,
    /// The fresh segment of this life is being made.
    Creating,
    /// What was kept of the last two rounds is being written into it.
    Copying,
    /// The identity is being told of a new segment: this change.
    Naming { change: u64 },
    /// Rounds are written as records come in.
    Running,
    /// The segment is full: its last round is sealed, and its successor must exist.
    Rolling { since: Time },
}

/// A segment that is being filled, or will be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    records: u32,
    size: u64,
    /// Records in its predecessor that count.
    before: u32,
    next_ordinal: u32,
    next_offset: u64,
    /// The highest index of any record in it.
    highest: Index,
}

/// The making of a segment file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Creation {
    pub(super) op: OpId,
    pub(super) since: Time,
    segment: Segment,
}

/// A write to the current segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Round {
    pub(super) op: OpId,
    pub(super) since: Time,
    segment: u64,
    /// How many records that were handed in it makes durable.
    records: u64,
    bytes: usize,
    /// Its own records, to be sealed later.
    headers: Vec<Header>,
}

/// One write under construction: pieces of a buffer, and large payloads between them.
struct Pieces {
    buffer: Vec<u8>,
    /// Offset in the file, and either a range of the buffer or a payload.
    pieces: Vec<(u64, Piece)>,
}

enum Piece {
    Buffered { from: usize, to: usize },
    Whole(Bytes),
}

impl Creation {
    pub(super) fn file(&self) -> FileId {
        FileId::Segment(self.segment.number)
    }
}

impl Round {
    pub(super) fn file(&self) -> FileId {
        FileId::Segment(self.segment)
    }
}

impl Segment {
    fn of(header: &SegmentHeader) -> Self {
        Self {
            number: header.segment,
            records: header.records,
            size: header.size,
            before: header.begin.map_or(0, |begin| begin.cut),
            next_ordinal: 0,
            next_offset: header.data(),
            highest: Index::ZERO,
        }
    }

    fn has_room(&self, ordinals: u64, bytes: u64) -> bool {
        u64::from(self.next_ordinal) + ordinals <= u64::from(self.records) && self.next_offset + bytes <= self.size
    }

    /// Whether it is time to make the next one.
    fn is_half_full(&self) -> bool {
        self.next_ordinal >= self.records / 2 || self.next_offset >= self.size / 2 + self.data() / 2
    }

    fn data(&self) -> u64 {
        super::segment::data_offset(self.records)
    }
}

impl Journal {
    /// Starts whatever is next, except rounds: those wait for the end of the driver's turn.
    pub(super) fn proceed(&mut self, now: Time, out: &mut Vec<Output>) {
        match self.stage {
            Stage::Closed => {
                self.stage = Stage::Creating;
                self.create_fresh(now, out);
            }
            Stage::Creating => {
                if let Some(fresh) = self.prepared.take() {
                    self.segment = Some(fresh);
                    self.stage = Stage::Copying;
                    self.write_copies(now, out);
                }
            }
            Stage::Running => {
                let wanted = self.segment().is_half_full() && self.prepared.is_none();
                if wanted && self.creation.is_none() && self.may_make() {
                    self.create_successor(now, 0, out);
                }
            }
            Stage::Rolling { .. } => self.roll(now, out),
            Stage::Copying | Stage::Naming { .. } => {}
        }
        if self.stage == Stage::Copying && self.round.is_none() {
            self.name_segment();
        }
        if self.may_write_identity() && self.identity.wants_update() {
            let op = self.next_op();
            self.identity.start(now, op, out);
        }
        if let Stage::Naming { change } = self.stage
            && self.identity.is_durable(change)
        {
            self.stage = Stage::Running;
        }
        self.proceed_with_snapshot(out);
    }

    /// The number of the segment in use.
    pub(super) fn current_segment(&self) -> u64 {
        self.segment().number
    }

    /// An identity written before the fresh segment is complete would name the old one for a life that has no segment
    /// yet.
    pub(super) fn may_write_identity(&self) -> bool {
        !matches!(self.stage, Stage::Closed | Stage::Creating | Stage::Copying)
    }

    fn segment(&self) -> &Segment {
        self.segment.as_ref().expect("a running journal has a segment")
    }

    fn create_fresh(&mut self, now: Time, out: &mut Vec<Output>) {
        let copies = u32::try_from(self.copies.len()).expect("no more copies than a segment holds");
        let bytes = self.copies.iter().map(Item::footprint).sum();
        let begin = Begin { cut: self.cut, before: self.before, copies };
        let header = self.header(self.identity.stored.newest + 1, copies, bytes, Some(begin));
        self.create(now, &header, out);
    }

    fn create_successor(&mut self, now: Time, bytes: u64, out: &mut Vec<Output>) {
        let header = self.header(self.segment().number + 1, 0, bytes, None);
        self.create(now, &header, out);
    }

    fn header(&self, segment: u64, records: u32, bytes: u64, begin: Option<Begin>) -> SegmentHeader {
        let identity = &self.identity.stored.identity;
        let (records, size) = geometry(&self.options, records, bytes);
        SegmentHeader {
            segment,
            node: identity.node,
            nonce: identity.nonce,
            incarnation: identity.incarnation,
            promised: identity.promised,
            records,
            size,
            begin,
        }
    }

    fn create(&mut self, now: Time, header: &SegmentHeader, out: &mut Vec<Output>) {
        let op = self.next_op();
        out.push(Output::Disk { op, action: header.create() });
        self.prepared = None;
        self.creation = Some(Creation { op, since: now, segment: Segment::of(header) });
    }

    /// A segment file is complete.
    pub(super) fn created(&mut self) {
        self.prepared = self.creation.take().map(|creation| creation.segment);
        self.full = None;
    }

    /// Everything kept of the last two rounds, with its slots, in one write: the segment is not in use before this and
    /// the identity that names it are durable.
    fn write_copies(&mut self, now: Time, out: &mut Vec<Output>) {
        let copies = core::mem::take(&mut self.copies);
        if copies.is_empty() {
            return;
        }
        let headers = self.place(&copies);
        let mut pieces = Pieces::with_room_for(headers.len(), &copies);
        pieces.slots(&headers);
        pieces.records(&headers, &copies);
        let (op, segment) = (self.next_op(), self.segment().number);
        out.push(pieces.write(op, segment));
        self.round = Some(Round { op, since: now, segment, records: 0, bytes: 0, headers: Vec::new() });
    }

    /// Makes the current segment the newest, as far as memory goes.
    fn name_segment(&mut self) {
        self.identity.stored.newest = self.segment().number;
        self.stage = Stage::Naming { change: self.identity.changed() };
    }

    /// Goes on towards the next segment: seals this one, makes the next one if there is none or it is too small.
    fn roll(&mut self, now: Time, out: &mut Vec<Output>) {
        let bytes = self.staged.first().map_or(0, Item::footprint);
        let fits = self.prepared.as_ref().is_some_and(|next| next.has_room(1, bytes));
        if !fits && self.creation.is_none() && self.may_make() {
            self.create_successor(now, bytes, out);
        }
        if self.round.is_none() && !self.unsealed.is_empty() {
            self.start_round(now, 0, out);
        }
        if fits && self.round.is_none() {
            let Segment { number, next_ordinal: before, highest, .. } = *self.segment();
            self.snapshots.segments.push((number, highest));
            self.segment = self.prepared.take().map(|next| Segment { before, ..next });
            self.name_segment();
        }
    }

    /// Whether a round would start at the end of the turn. Floors alone are in no hurry.
    pub(super) fn wants_round(&self) -> bool {
        let seal_now = self.options.seal == Seal::Eager && !self.unsealed.is_empty();
        self.stage == Stage::Running && self.round.is_none() && (self.urgent > self.rounds_begun || seal_now)
    }

    /// Starts a round with as much as fits, or begins to roll over.
    pub(super) fn begin_round(&mut self, now: Time, out: &mut Vec<Output>) {
        let (mut fitting, mut bytes) = (0, 0);
        for item in &self.staged {
            bytes += item.footprint();
            if !self.segment().has_room(fitting as u64 + 1, bytes) {
                break;
            }
            fitting += 1;
        }
        if fitting == 0 && !self.staged.is_empty() {
            self.stage = Stage::Rolling { since: now };
            self.proceed(now, out);
        } else {
            self.start_round(now, fitting, out);
        }
    }

    /// Writes the slots of the previous round and the first `count` staged records.
    fn start_round(&mut self, now: Time, count: usize, out: &mut Vec<Output>) {
        assert!(self.round.is_none(), "one round at a time");
        let items: Vec<Item> = self.staged.drain(..count).collect();
        let headers = self.place(&items);
        let mut pieces = Pieces::with_room_for(self.unsealed.len(), &items);
        pieces.slots(&self.unsealed);
        pieces.records(&headers, &items);
        self.unsealed.clear();
        let bytes = items.iter().map(|item| item.footprint() as usize).sum();
        self.staged_bytes -= bytes;
        self.rounds_begun += count as u64;
        let (op, segment) = (self.next_op(), self.segment().number);
        out.push(pieces.write(op, segment));
        self.round = Some(Round { op, since: now, segment, records: count as u64, bytes, headers });
        self.lazy_since = None;
    }

    /// Gives records the next places of the current segment.
    fn place(&mut self, items: &[Item]) -> Vec<Header> {
        let identity = &self.identity.stored.identity;
        let segment = self.segment.as_mut().expect("records have a segment to go to");
        let first = segment.next_ordinal;
        let mut next = Header {
            nonce: identity.nonce,
            segment: segment.number,
            offset: segment.next_offset,
            ordinal: first,
            round_first: first,
            round_last: (first + items.len() as u32).saturating_sub(1),
            before: segment.before,
            length: 0,
            promised: identity.promised,
            kind: Kind::Loss,
            view: View::ZERO,
            index: Index::ZERO,
            digest: Digest(0),
            committed: false,
        };
        let mut headers = Vec::with_capacity(items.len());
        for item in items {
            let header = next.describe(item);
            segment.highest = segment.highest.max(header.index);
            headers.push(header);
            (next.ordinal, next.offset) = (header.ordinal + 1, header.end());
        }
        (segment.next_ordinal, segment.next_offset) = (next.ordinal, next.offset);
        headers
    }

    /// The round under way is durable.
    pub(super) fn round_done(&mut self, now: Time) {
        let round = self.round.take().expect("a round is under way");
        self.sealed = self.synced;
        self.synced += round.records;
        self.unsealed_bytes = round.bytes;
        self.unsealed = round.headers;
        if !self.unsealed.is_empty() || !self.staged.is_empty() {
            self.lazy_since = Some(now);
        }
    }

    /// Bytes of the round under way.
    pub(super) fn round_bytes(&self) -> usize {
        self.round.as_ref().map_or(0, |round| round.bytes)
    }

    /// Names the next operation.
    pub(super) fn next_op(&mut self) -> OpId {
        self.ops += 1;
        OpId(self.ops)
    }
}

impl Pieces {
    fn with_room_for(slots: usize, items: &[Item]) -> Self {
        let gathered = |length| if length < BY_REFERENCE { length } else { 0 };
        let payload = |item: &Item| item.payload().map_or(0, |payload| gathered(payload.len()));
        let records: usize = items.iter().map(|item| HEADER + payload(item) + ALIGN as usize).sum();
        Self { buffer: Vec::with_capacity(slots * SLOT + records), pieces: Vec::new() }
    }

    fn slots(&mut self, headers: &[Header]) {
        let Some(first) = headers.first() else { return };
        let from = self.buffer.len();
        for header in headers {
            header.encode(SLOT_MAGIC, &mut self.buffer);
            self.buffer.resize(self.buffer.len() + SLOT - HEADER, 0);
        }
        self.pieces.push((slot_offset(first.ordinal), Piece::Buffered { from, to: self.buffer.len() }));
    }

    fn records(&mut self, headers: &[Header], items: &[Item]) {
        let Some(first) = headers.first() else { return };
        let mut from = self.buffer.len();
        let mut offset = first.offset;
        for (header, item) in headers.iter().zip(items) {
            header.encode(RECORD_MAGIC, &mut self.buffer);
            let Some(payload) = item.payload() else { continue };
            if payload.len() < BY_REFERENCE {
                self.buffer.extend_from_slice(payload);
            } else {
                self.pieces.push((offset, Piece::Buffered { from, to: self.buffer.len() }));
                from = self.buffer.len();
                offset = header.offset + HEADER as u64;
                self.pieces.push((offset, Piece::Whole(payload.clone())));
                offset += payload.len() as u64;
            }
            let padding = footprint(payload.len() as u64) - (HEADER + payload.len()) as u64;
            self.buffer.resize(self.buffer.len() + padding as usize, 0);
        }
        if self.buffer.len() > from {
            self.pieces.push((offset, Piece::Buffered { from, to: self.buffer.len() }));
        }
    }

    fn write(self, op: OpId, segment: u64) -> Output {
        let buffer = Bytes::from(self.buffer);
        let bytes = |piece| match piece {
            Piece::Buffered { from, to } => buffer.slice(from..to),
            Piece::Whole(payload) => payload,
        };
        let writes = self.pieces.into_iter().map(|(offset, piece)| (offset, bytes(piece))).collect();
        Output::Disk { op, action: DiskAction::Write { file: FileId::Segment(segment), writes } }
    }
}
