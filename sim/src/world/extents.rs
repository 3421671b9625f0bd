//! The content of a file as the writes that made it, each held by reference. What was never written is zeros and takes
//! neither memory nor time: files are created far longer than they are ever filled.

use bytes::Bytes;
use std::collections::BTreeMap;

/// Bytes by offset. No extent is empty, and no two overlap.
#[derive(Debug, Default)]
pub struct Extents {
    by_offset: BTreeMap<u64, Bytes>,
}

impl Extents {
    /// Puts `bytes` in place of whatever was there.
    pub fn write(&mut self, offset: u64, bytes: Bytes) {
        if !bytes.is_empty() {
            self.erase(offset, offset + bytes.len() as u64);
            self.by_offset.insert(offset, bytes);
        }
    }

    /// Makes everything from `from` up to `to` zeros.
    pub fn erase(&mut self, from: u64, to: u64) {
        while let Some((start, bytes)) = self.by_offset.range(..to).next_back() {
            let (start, end) = (*start, *start + bytes.len() as u64);
            if end <= from {
                break;
            }
            let bytes = self.by_offset.remove(&start).expect("just found");
            if start < from {
                self.by_offset.insert(start, bytes.slice(..(from - start) as usize));
            }
            if end > to {
                self.by_offset.insert(to, bytes.slice((to - start) as usize..));
            }
        }
    }

    /// A copy of `length` bytes from `offset` on.
    pub fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        let end = offset + length as u64;
        let mut copy = Vec::with_capacity(length);
        let before = self.by_offset.range(..offset).next_back();
        for (start, bytes) in before.into_iter().chain(self.by_offset.range(offset..end)) {
            let (from, to) = ((*start).max(offset), (*start + bytes.len() as u64).min(end));
            if from < to {
                copy.resize((from - offset) as usize, 0);
                copy.extend_from_slice(&bytes[(from - start) as usize..(to - start) as usize]);
            }
        }
        copy.resize(length, 0);
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way in which a second write can lie over, in and beside a first one, against a plain array.
    #[test]
    fn later_bytes_replace_earlier_ones_wherever_they_lie() {
        const SIZE: usize = 7;
        let ranges = || (0..SIZE).flat_map(|from| (from..=SIZE).map(move |to| from..to));
        for (first, second, third) in ranges().flat_map(|a| {
            ranges()
                .flat_map(move |b| [(a.clone(), b.clone(), 0..0), (a.clone(), b.clone(), 2..5), (2..3, a.clone(), b)])
        }) {
            let (mut extents, mut plain) = (Extents::default(), [0; SIZE]);
            for (value, range) in [first, second, third].into_iter().enumerate() {
                let bytes = vec![value as u8 + 1; range.len()];
                plain[range.clone()].copy_from_slice(&bytes);
                extents.write(range.start as u64, bytes.into());
            }
            for range in ranges() {
                assert_eq!(extents.read(range.start as u64, range.len()), &plain[range.clone()], "{range:?}");
            }
            extents.erase(3, 5);
            plain[3..5].fill(0);
            assert_eq!(extents.read(0, SIZE), plain);
        }
    }
}
