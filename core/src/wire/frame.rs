//! The head of a frame, and the way from received bytes to a message.

use super::{HEAD_LEN, MAGIC, VERSION, payload::Framed};
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::{fmt, marker::PhantomData};

/// What a frame carries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// [`crate::message::PeerMessage`].
    Peer = 1,
    /// [`crate::message::ClientRequest`].
    Request = 2,
    /// [`crate::message::ClientResponse`].
    Response = 3,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Kind::Peer, Kind::Request, Kind::Response].into_iter().find(|kind| *kind as u8 == byte)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Peer => "peer message",
            Kind::Request => "client request",
            Kind::Response => "client response",
        })
    }
}

/// Which rule the bytes break. Whatever it is, the link cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// The first byte is not [`MAGIC`].
    Magic(u8),
    /// Another version of the layout.
    Version(u8),
    /// The head is damaged: its checksum does not match.
    HeadChecksum,
    /// No kind has this number, or the byte after it is not zero.
    UnknownKind(u8, u8),
    /// A frame for another kind of port.
    WrongKind {
        /// What is read here.
        expected: Kind,
        /// What arrived.
        actual: Kind,
    },
    /// The whole frame is over the limit.
    TooLarge {
        /// The limit in bytes.
        limit: u64,
        /// The frame's size in bytes, head included.
        actual: u64,
    },
    /// The header is over the limit: decoded, it may take many times its size.
    HeaderTooLarge {
        /// The limit in bytes.
        limit: u64,
        /// The header's size in bytes.
        actual: u64,
    },
    /// Header or payload area are damaged: their checksum does not match.
    BodyChecksum,
    /// The header is no message of this kind.
    Header(Kind),
    /// Bytes are left after the header's message.
    HeaderTrailing {
        /// How many.
        bytes: usize,
    },
    /// The payload area ends before the payloads that the header counts.
    PayloadShort {
        /// Bytes missing.
        bytes: usize,
    },
    /// Bytes are left after the last payload.
    PayloadTrailing {
        /// How many.
        bytes: usize,
    },
    /// A payload that must be a batch is none.
    Batch,
    /// The bytes end before the frame does.
    Truncated,
    /// Bytes are left after the frame.
    Trailing {
        /// How many.
        bytes: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Magic(byte) => write!(f, "the first byte is {byte:02x}, a frame begins with {MAGIC:02x}"),
            FrameError::Version(version) => write!(f, "frame version {version}; only version {VERSION} is known here"),
            FrameError::HeadChecksum => f.write_str("the head of a frame is damaged: its checksum does not match"),
            FrameError::UnknownKind(kind, 0) => write!(f, "no kind of frame has number {kind}"),
            FrameError::UnknownKind(_, flags) => write!(f, "the reserved byte of a frame is {flags:02x}, not zero"),
            FrameError::WrongKind { expected, actual } => {
                write!(f, "a {actual} where a {expected} is read: is this the right port?")
            }
            FrameError::TooLarge { limit, actual } => {
                write!(f, "a frame of {actual} bytes is over the limit of {limit}")
            }
            FrameError::HeaderTooLarge { limit, actual } => {
                write!(f, "a frame's header of {actual} bytes is over the limit of {limit}")
            }
            FrameError::BodyChecksum => f.write_str("the body of a frame is damaged: its checksum does not match"),
            FrameError::Header(kind) => write!(f, "a frame's header is not a {kind}"),
            FrameError::HeaderTrailing { bytes } => write!(f, "{bytes} bytes too many in a frame's header"),
            FrameError::PayloadShort { bytes } => write!(f, "{bytes} bytes are missing in a frame's payload area"),
            FrameError::PayloadTrailing { bytes } => write!(f, "{bytes} bytes too many in a frame's payload area"),
            FrameError::Batch => f.write_str("a payload is not a batch"),
            FrameError::Truncated => f.write_str("the bytes end before the frame does"),
            FrameError::Trailing { bytes } => write!(f, "{bytes} bytes too many after a frame"),
        }
    }
}

impl core::error::Error for FrameError {}

/// A head that keeps the rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) header: usize,
    pub(super) payload: usize,
    pub(super) body_checksum: u32,
}

impl Head {
    /// Checks the lengths of a frame of `M` against its limits, on the way out and on the way in.
    pub(super) fn check_lengths<M: Framed>(header: usize, payload: usize, limit: usize) -> Result<(), FrameError> {
        let actual = HEAD_LEN as u64 + header as u64 + payload as u64;
        if actual > limit as u64 {
            return Err(FrameError::TooLarge { limit: limit as u64, actual });
        }
        if header > M::HEADER_MAX {
            return Err(FrameError::HeaderTooLarge { limit: M::HEADER_MAX as u64, actual: header as u64 });
        }
        Ok(())
    }

    pub(super) fn encode(&self) -> [u8; HEAD_LEN] {
        let mut bytes = [0; HEAD_LEN];
        bytes[..4].copy_from_slice(&[MAGIC, VERSION, self.kind as u8, 0]);
        let lengths = [self.header, self.payload].map(|n| u32::try_from(n).expect("limits are below 4 GiB"));
        bytes[4..8].copy_from_slice(&lengths[0].to_le_bytes());
        bytes[8..12].copy_from_slice(&lengths[1].to_le_bytes());
        bytes[12..16].copy_from_slice(&self.body_checksum.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..16]);
        bytes[16..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode<M: Framed>(bytes: &[u8; HEAD_LEN], limit: usize) -> Result<Self, FrameError> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        check_magic(bytes[0])?;
        if bytes[1] != VERSION {
            return Err(FrameError::Version(bytes[1]));
        }
        if crc32fast::hash(&bytes[..16]) != word(16) {
            return Err(FrameError::HeadChecksum);
        }
        let kind = Kind::from_byte(bytes[2]).filter(|_| bytes[3] == 0);
        let kind = kind.ok_or(FrameError::UnknownKind(bytes[2], bytes[3]))?;
        if kind != M::KIND {
            return Err(FrameError::WrongKind { expected: M::KIND, actual: kind });
        }
        let head = Head { kind, header: word(4) as usize, payload: word(8) as usize, body_checksum: word(12) };
        Self::check_lengths::<M>(head.header, head.payload, limit)?;
        Ok(head)
    }

    /// The message, once header and payload area are there in full.
    fn open<M: Framed>(&self, header: &[u8], mut payload: Bytes) -> Result<M, FrameError> {
        assert!(header.len() == self.header && payload.len() == self.payload, "a frame is opened when it is whole");
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(header);
        checksum.update(&payload);
        if checksum.finalize() != self.body_checksum {
            return Err(FrameError::BodyChecksum);
        }
        let (header, rest) =
            postcard::take_from_bytes::<M::Header>(header).map_err(|_| FrameError::Header(self.kind))?;
        if !rest.is_empty() {
            return Err(FrameError::HeaderTrailing { bytes: rest.len() });
        }
        let message = M::from_header(&header, &mut |length| {
            if length > payload.len() {
                return Err(FrameError::PayloadShort { bytes: length - payload.len() });
            }
            Ok(payload.split_to(length))
        })?;
        if !payload.is_empty() {
            return Err(FrameError::PayloadTrailing { bytes: payload.len() });
        }
        Ok(message)
    }
}

fn check_magic(first: u8) -> Result<(), FrameError> {
    if first == MAGIC { Ok(()) } else { Err(FrameError::Magic(first)) }
}

/// Decodes bytes that are exactly one frame. Payloads are slices of `frame`.
pub fn decode_frame<M: Framed>(frame: &Bytes) -> Result<M, FrameError> {
    check_magic(*frame.first().ok_or(FrameError::Truncated)?)?;
    let head = frame.first_chunk::<HEAD_LEN>().ok_or(FrameError::Truncated)?;
    let head = Head::decode::<M>(head, M::FRAME_MAX)?;
    let header_end = HEAD_LEN + head.header;
    let end = header_end + head.payload;
    if frame.len() < end {
        return Err(FrameError::Truncated);
    }
    if frame.len() > end {
        return Err(FrameError::Trailing { bytes: frame.len() - end });
    }
    head.open(&frame[HEAD_LEN..header_end], frame.slice(header_end..))
}

/// Puts the bytes of one link together to messages. Holds at most one unfinished frame, so its memory is bounded by the
/// limit; how many messages wait behind it is for the driver to decide, which keeps what [`FrameReader::read`] leaves.
///
/// ```
/// use ios_core::{message::ClientRequest, wire::{Encoder, FrameReader}};
/// let mut encoder = Encoder::default();
/// let received = encoder.encode(&ClientRequest::Status { tag: 7 }).unwrap().concat();
/// let mut reader = FrameReader::<ClientRequest>::default();
/// let mut bytes = received.as_slice();
/// while let Some(request) = reader.read(&mut bytes).unwrap() {
///     assert_eq!(request, ClientRequest::Status { tag: 7 });
/// }
/// ```
#[derive(Debug)]
pub struct FrameReader<M> {
    limit: usize,
    head: [u8; HEAD_LEN],
    head_len: usize,
    /// The head of the frame under way, once it is whole and keeps the rules.
    current: Option<Head>,
    /// Used again for every frame.
    header: Vec<u8>,
    payload: PayloadBuffer,
    /// A link is never in step again after an error.
    failed: Option<FrameError>,
    message: PhantomData<fn() -> M>,
}

impl<M: Framed> Default for FrameReader<M> {
    fn default() -> Self {
        Self::new(M::FRAME_MAX)
    }
}

impl<M: Framed> FrameReader<M> {
    /// A reader at the beginning of a link, that refuses frames of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            head: [0; HEAD_LEN],
            head_len: 0,
            current: None,
            header: Vec::new(),
            payload: PayloadBuffer::default(),
            failed: None,
            message: PhantomData,
        }
    }

    /// Takes bytes off the front of `bytes` until a message is whole; `None` when all are taken. After an error the
    /// link is to be closed: every further call returns the same error.
    pub fn read(&mut self, bytes: &mut &[u8]) -> Result<Option<M>, FrameError> {
        let result = match self.failed {
            Some(error) => Err(error),
            None => self.advance(bytes),
        };
        self.failed = result.as_ref().err().copied();
        result
    }

    /// Bytes of the unfinished frame that have arrived.
    pub fn pending(&self) -> usize {
        self.head_len + self.header.len() + self.payload.len()
    }

    fn advance(&mut self, bytes: &mut &[u8]) -> Result<Option<M>, FrameError> {
        let Some(head) = self.head(bytes)? else { return Ok(None) };
        let part = take(bytes, head.header - self.header.len());
        self.header.extend_from_slice(part);
        if self.header.len() < head.header {
            return Ok(None);
        }
        let part = take(bytes, head.payload - self.payload.len());
        self.payload.extend(part, head.payload);
        if self.payload.len() < head.payload {
            return Ok(None);
        }
        let message = head.open(&self.header, self.payload.take())?;
        self.head_len = 0;
        self.current = None;
        self.header.clear();
        Ok(Some(message))
    }

    fn head(&mut self, bytes: &mut &[u8]) -> Result<Option<Head>, FrameError> {
        if self.current.is_some() {
            return Ok(self.current);
        }
        let part = take(bytes, HEAD_LEN - self.head_len);
        self.head[self.head_len..][..part.len()].copy_from_slice(part);
        self.head_len += part.len();
        if self.head_len > 0 {
            // Whoever speaks something else is told so at once, not after twenty bytes.
            check_magic(self.head[0])?;
        }
        if self.head_len == HEAD_LEN {
            self.current = Some(Head::decode::<M>(&self.head, self.limit)?);
        }
        Ok(self.current)
    }
}

/// Takes up to `n` bytes off the front of `bytes`.
fn take<'a>(bytes: &mut &'a [u8], n: usize) -> &'a [u8] {
    let (part, rest) = bytes.split_at(n.min(bytes.len()));
    *bytes = rest;
    part
}

/// Where a payload area gathers. Small ones share a chunk, so that a request costs no allocation; a large one gets a
/// buffer of exactly its size, so that a batch which stays in the log holds no memory but its own.
#[derive(Debug, Default)]
struct PayloadBuffer {
    small: Option<BytesMut>,
    large: Vec<u8>,
}

impl PayloadBuffer {
    const CHUNK: usize = 8 << 10;
    const SMALL_MAX: usize = 1 << 10;
    /// How far a large buffer runs ahead of what has arrived.
    const AHEAD: usize = 64 << 10;

    fn len(&self) -> usize {
        self.large.len() + self.small.as_ref().map_or(0, BytesMut::len)
    }

    /// Adds a part of a payload area of `total` bytes.
    fn extend(&mut self, part: &[u8], total: usize) {
        assert!(self.len() + part.len() <= total, "no more than the payload area is taken");
        if total <= Self::SMALL_MAX {
            if total > 0 {
                let small = self.small.get_or_insert_with(|| BytesMut::with_capacity(Self::CHUNK));
                small.reserve(total - small.len());
                small.extend_from_slice(part);
            }
            return;
        }
        let needed = self.large.len() + part.len();
        if self.large.capacity() < needed {
            let ahead = needed.saturating_mul(2).max(Self::AHEAD).min(total);
            self.large.reserve_exact(ahead - self.large.len());
        }
        self.large.extend_from_slice(part);
    }

    /// The whole payload area, leaving none.
    fn take(&mut self) -> Bytes {
        if !self.large.is_empty() {
            return Bytes::from(core::mem::take(&mut self.large));
        }
        self.small.as_mut().map_or_else(Bytes::new, |small| small.split().freeze())
    }
}
