//! Frames and codecs: bytes <-> values, without I/O.
//!
//! A frame carries one message. All integers of the head are little-endian:
//!
//! ```text
//! byte  0      b5, so that a port can tell frames from JSON lines and HTTP by the first byte
//!       1      version of this layout
//!       2      kind: 1 peer message, 2 client request, 3 client response
//!       3      zero
//!       4..8   length of the header
//!       8..12  length of the payload area
//!      12..16  crc32 of header and payload area
//!      16..20  crc32 of the 16 bytes before
//!      20..    header: the message in `postcard`, each payload replaced by its length
//!              payload area: the payloads in the order of the message's fields
//! ```
//!
//! Nothing a head says is believed before its checksum holds, and nothing is allocated before its lengths are within
//! the reader's limits. Even then memory grows only with bytes that have arrived: announcing much costs the receiver
//! nothing. Payloads are never encoded and never copied again: what is received are slices of one buffer, what is sent
//! are the same reference-counted [`Bytes`](bytes::Bytes) that the journal and the log hold.
//!
//! Every error ends a link. A receiver could skip a whole frame that it cannot decode, but versions are negotiated by
//! `Hello`, so such a frame means a broken sender. Message enums only grow at the end.
//!
//! What is absent on purpose: compression, encryption (a driver may put TLS below), fragments (a sender cuts its
//! answers into messages below the limit), and resynchronisation after damage (a link is opened anew).

mod encoder;
mod frame;
#[cfg(test)]
mod golden;
mod payload;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use encoder::Encoder;
pub use frame::{FrameError, FrameReader, Kind, decode_frame};
pub use payload::Framed;

/// First byte of every frame: neither `{` nor an ASCII letter, nor the beginning of any UTF-8 text.
pub const MAGIC: u8 = 0xb5;
/// Version of the layout above.
pub const VERSION: u8 = 1;
/// Bytes of the fixed head.
pub const HEAD_LEN: usize = 20;

/// What a connection speaks, told by its first byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Protocol {
    /// Frames as described in this module.
    Frames,
    /// One JSON object a line.
    JsonLines,
    /// HTTP, whose methods are upper-case words.
    Http,
}

impl Protocol {
    /// Judges a connection's first byte; `None` is nothing known.
    pub fn sniff(first: u8) -> Option<Self> {
        match first {
            MAGIC => Some(Protocol::Frames),
            b'{' => Some(Protocol::JsonLines),
            b'A'..=b'Z' => Some(Protocol::Http),
            _ => None,
        }
    }
}
