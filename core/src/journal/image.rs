//! A file that is being read while a node opens: in large pieces, around the places that cannot be read.

use crate::interface::{FileId, ReadDisk};
use alloc::{vec, vec::Vec};

/// Bytes asked for at once.
const PIECE: u64 = 16 << 10;
/// The smallest range that is tried before it is given up as unreadable.
const SECTOR: u64 = 512;
/// Pieces kept: the id table and the data area are read side by side, and a record may lie across two pieces.
const KEPT: usize = 3;

/// A file of known length.
pub(super) struct Image<'a> {
    disk: &'a mut dyn ReadDisk,
    file: FileId,
    length: u64,
    pieces: Vec<Piece>,
}

struct Piece {
    start: u64,
    bytes: Vec<u8>,
    /// Ranges that could not be read; their bytes are zero here.
    bad: Vec<(u64, u64)>,
}

/// The first place of `magic` at a multiple of eight. Most of what is searched was never written, hence zero.
fn find_in(bytes: &[u8], magic: [u8; 4]) -> Option<usize> {
    const BLANK: [u8; 256] = [0; 256];
    let in_chunk = |chunk: &[u8]| chunk.chunks_exact(8).position(|eight| eight[..4] == magic);
    let mut chunks = bytes.chunks(BLANK.len()).enumerate().filter(|(_, chunk)| **chunk != BLANK[..chunk.len()]);
    chunks.find_map(|(place, chunk)| Some(place * BLANK.len() + in_chunk(chunk)? * 8))
}

impl<'a> Image<'a> {
    pub(super) fn new(disk: &'a mut dyn ReadDisk, file: FileId, length: u64) -> Self {
        Self { disk, file, length, pieces: Vec::with_capacity(KEPT) }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Replaces the content of `into` by `length` bytes from `offset` on. False if some of them cannot be read.
    pub(super) fn read(&mut self, offset: u64, length: u64, into: &mut Vec<u8>) -> bool {
        into.clear();
        let Some(end) = offset.checked_add(length).filter(|end| *end <= self.length) else { return false };
        let mut at = offset;
        while at < end {
            let piece = self.piece(at);
            let stop = end.min(piece.start + piece.bytes.len() as u64);
            if stop <= at || piece.bad.iter().any(|(from, to)| *from < stop && at < *to) {
                return false;
            }
            into.extend_from_slice(&piece.bytes[(at - piece.start) as usize..(stop - piece.start) as usize]);
            at = stop;
        }
        true
    }

    /// The first place from `from` on, at a multiple of eight, that holds the four bytes of `magic`. What cannot be
    /// read is passed over.
    pub(super) fn find(&mut self, magic: [u8; 4], from: u64) -> Option<u64> {
        let mut at = from.next_multiple_of(8);
        while at < self.length {
            let piece = self.piece(at);
            let bytes = &piece.bytes[((at - piece.start) as usize).min(piece.bytes.len())..];
            match find_in(bytes, magic) {
                Some(place) => return Some(at + place as u64),
                None => at = piece.start + PIECE,
            }
        }
        None
    }

    fn piece(&mut self, at: u64) -> &Piece {
        let start = at - at % PIECE;
        if let Some(place) = self.pieces.iter().position(|piece| piece.start == start) {
            // The most recently used is last.
            let piece = self.pieces.remove(place);
            self.pieces.push(piece);
        } else {
            if self.pieces.len() == KEPT {
                self.pieces.remove(0);
            }
            let piece = self.load(start);
            self.pieces.push(piece);
        }
        self.pieces.last().expect("just pushed")
    }

    fn load(&mut self, start: u64) -> Piece {
        let length = PIECE.min(self.length - start);
        if let Ok(bytes) = self.disk.read(self.file, start, length as usize) {
            return Piece { start, bytes, bad: Vec::new() };
        }
        let mut piece = Piece { start, bytes: vec![0; length as usize], bad: Vec::new() };
        let mut left = vec![(start, start + length)];
        while let Some((from, to)) = left.pop() {
            match self.disk.read(self.file, from, (to - from) as usize) {
                Ok(bytes) if bytes.len() as u64 == to - from => {
                    piece.bytes[(from - start) as usize..(to - start) as usize].copy_from_slice(&bytes);
                }
                _ if to - from <= SECTOR => piece.bad.push((from, to)),
                _ => {
                    let middle = from + ((to - from) / 2).next_multiple_of(SECTOR);
                    left.extend([(from, middle), (middle, to)]);
                }
            }
        }
        piece
    }
}
