//! A connection that carries frames: what arrives becomes messages.

use super::pipe::{Broken, Pipe};
use bytes::Bytes;
use ios_core::wire::{FrameError, FrameReader, Framed};
use mio::net::TcpStream;
use std::{fmt, io};

/// A connection, its queue, and the frame that is arriving.
#[derive(Debug)]
pub struct Stream<M> {
    pipe: Pipe,
    reader: FrameReader<M>,
}

/// Why a connection is over.
#[derive(Debug)]
pub enum Lost {
    /// Bytes neither come nor go.
    Broken(Broken),
    /// The other end sent what is no frame.
    Frame(FrameError),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Broken(broken) => broken.fmt(f),
            Lost::Frame(error) => error.fmt(f),
        }
    }
}

impl From<Broken> for Lost {
    fn from(broken: Broken) -> Self {
        Lost::Broken(broken)
    }
}

impl From<FrameError> for Lost {
    fn from(error: FrameError) -> Self {
        Lost::Frame(error)
    }
}

impl<M: Framed> Stream<M> {
    /// Takes over a connection that is or is being established.
    pub fn new(socket: TcpStream) -> Self {
        Self { pipe: Pipe::new(socket), reader: FrameReader::default() }
    }

    /// The connection, to register it with a poll.
    pub fn socket(&mut self) -> &mut TcpStream {
        self.pipe.socket()
    }

    /// Whether a connection under way has been established, and is tuned then; an error says that it never will be.
    pub fn establish(&self) -> io::Result<bool> {
        self.pipe.establish()
    }

    /// Makes an established connection quick to send and quick to notice that the other end is gone.
    pub fn tune(&self) -> io::Result<()> {
        self.pipe.tune()
    }

    /// Takes note of what the poll said.
    pub fn ready(&mut self, event: &mio::event::Event) {
        self.pipe.ready(event);
    }

    /// Whether a read may find something.
    pub fn is_readable(&self) -> bool {
        self.pipe.is_readable()
    }

    /// Bytes waiting to be sent.
    pub fn queued(&self) -> usize {
        self.pipe.queued()
    }

    /// Reads what is there, up to this turn's share, handing on each message. `scratch` is where bytes pass through.
    pub fn read(&mut self, scratch: &mut [u8], mut each: impl FnMut(M)) -> Result<(), Lost> {
        let Self { pipe, reader } = self;
        pipe.read_share(scratch, |mut bytes| {
            while let Some(message) = reader.read(&mut bytes)? {
                each(message);
            }
            Ok(())
        })
    }

    /// Queues the pieces of one frame.
    pub fn push(&mut self, chunks: &[Bytes]) {
        self.pipe.push(chunks);
    }

    /// Sends what the system takes.
    pub fn flush(&mut self) -> Result<(), Lost> {
        Ok(self.pipe.flush()?)
    }
}
