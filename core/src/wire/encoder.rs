//! The way from a message to the bytes to be sent.

use super::{
    HEAD_LEN,
    frame::{FrameError, Head},
    payload::Framed,
};
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use postcard::ser_flavors::Flavor;

/// Encodes messages into chunks that are written one after the other. One encoder serves all links of a driver: a
/// broadcast is encoded once and its chunks are cloned, by reference count, into each link's queue.
#[derive(Debug)]
pub struct Encoder {
    /// Heads, headers and small payloads are written here and split off: one allocation for many frames.
    scratch: BytesMut,
    payloads: Vec<Bytes>,
    chunks: Vec<Bytes>,
}

/// Bytes of one scratch allocation.
const SCRATCH: usize = 16 << 10;
/// Room made before a frame is begun: more than any header without a list needs.
const FRAME_ROOM: usize = 512;
/// Payloads up to this size are copied behind the header: cheaper than one more entry of a vectored write.
const COPY_MAX: usize = 256;

impl Default for Encoder {
    fn default() -> Self {
        Self { scratch: BytesMut::with_capacity(SCRATCH), payloads: Vec::new(), chunks: Vec::new() }
    }
}

impl Encoder {
    /// The chunks of one frame, valid until the next call. A message over [`Framed::FRAME_MAX`] is refused here, before
    /// a receiver has to: peer messages are kept below it by the replica, replies by the service; a client's request
    /// may be as large as its user likes.
    pub fn encode<M: Framed>(&mut self, message: &M) -> Result<&[Bytes], FrameError> {
        self.chunks.clear();
        self.payloads.clear();
        let result = self.fill(message);
        if result.is_err() {
            self.scratch.clear();
            self.payloads.clear();
        }
        result.map(|()| self.chunks.as_slice())
    }

    fn fill<M: Framed>(&mut self, message: &M) -> Result<(), FrameError> {
        assert!(self.scratch.is_empty(), "every frame is split off");
        let payloads = &mut self.payloads;
        let header = message.to_header(&mut |payload| payloads.push(payload.clone()));
        let payload = self.payloads.iter().fold(0, |sum: usize, payload| sum.saturating_add(payload.len()));
        // Lengths inside the header are 32 bits wide; this bounds them before they are used.
        Head::check_lengths::<M>(0, payload, M::FRAME_MAX)?;

        self.scratch.reserve(FRAME_ROOM);
        self.scratch.extend_from_slice(&[0; HEAD_LEN]);
        postcard::serialize_with_flavor(&header, Append(&mut self.scratch)).expect("headers are plain data");
        let header = self.scratch.len() - HEAD_LEN;
        Head::check_lengths::<M>(header, payload, M::FRAME_MAX)?;

        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&self.scratch[HEAD_LEN..]);
        self.payloads.iter().for_each(|payload| checksum.update(payload));
        let head = Head { kind: M::KIND, header, payload, body_checksum: checksum.finalize() };
        self.scratch[..HEAD_LEN].copy_from_slice(&head.encode());
        self.split();
        Ok(())
    }

    /// Lines up head, header and payloads as chunks.
    fn split(&mut self) {
        for payload in self.payloads.drain(..) {
            if payload.len() <= COPY_MAX {
                self.scratch.extend_from_slice(&payload);
                continue;
            }
            if !self.scratch.is_empty() {
                self.chunks.push(self.scratch.split().freeze());
            }
            self.chunks.push(payload);
        }
        if !self.scratch.is_empty() {
            self.chunks.push(self.scratch.split().freeze());
        }
    }
}

/// Lets `postcard` write behind what is there.
struct Append<'a>(&'a mut BytesMut);

impl Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.extend_from_slice(&[byte]);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
