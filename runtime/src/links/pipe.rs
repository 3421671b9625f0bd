//! A non-blocking TCP connection that carries bytes: what arrives is read piece by piece, what is to be sent queues up
//! and leaves with as few system calls as possible.
//!
//! Readiness is edge-triggered: `readable` and `writable` remember what the poll said until a call would block, or a
//! read that does not fill its buffer has told as much.

use bytes::{Bytes, BytesMut};
use mio::net::TcpStream;
use std::{
    collections::VecDeque,
    fmt,
    io::{self, IoSlice, Read, Write},
    net::Shutdown,
    time::Duration,
};

/// Pieces handed to one vectored write.
const PIECES: usize = 64;
/// Pieces up to this size are gathered into one: cheaper to copy than to hand to the system each for itself.
const SMALL: usize = 1 << 10;
/// Bytes read from one connection in one turn of the loop: a busy one must not starve the others.
const READ_PER_TURN: usize = 256 << 10;
/// A connection whose other end does not acknowledge anything for this long is dead, whatever TCP still hopes for.
const DEAD_AFTER: Duration = Duration::from_secs(5);

/// A connection and its queue.
#[derive(Debug)]
pub struct Pipe {
    socket: TcpStream,
    readable: bool,
    writable: bool,
    /// The other end sends no more; what it has sent may still be here.
    ended: bool,
    queue: VecDeque<Bytes>,
    /// Small pieces that come after `queue`.
    small: BytesMut,
    /// Bytes in both.
    queued: usize,
}

/// Why bytes neither come nor go any more.
#[derive(Debug)]
pub enum Broken {
    /// The other end closed it.
    Closed,
    /// The system gave up.
    Error(io::Error),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Closed => f.write_str("closed by the other end"),
            Broken::Error(error) => error.fmt(f),
        }
    }
}

impl Pipe {
    /// Takes over a connection that is or is being established.
    pub fn new(socket: TcpStream) -> Self {
        let (queue, small) = (VecDeque::new(), BytesMut::new());
        Self { socket, readable: false, writable: false, ended: false, queue, small, queued: 0 }
    }

    /// The connection, to register it with a poll.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Whether a connection under way has been established, and is tuned then; an error says that it never will be.
    pub fn establish(&self) -> io::Result<bool> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        match self.socket.peer_addr() {
            Ok(_) => self.tune().map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes an established connection quick to send and quick to notice that the other end is gone.
    pub fn tune(&self) -> io::Result<()> {
        use rustix::net::sockopt;
        self.socket.set_nodelay(true)?;
        sockopt::set_socket_keepalive(&self.socket, true)?;
        #[cfg(target_os = "linux")]
        {
            sockopt::set_tcp_keepidle(&self.socket, DEAD_AFTER)?;
            sockopt::set_tcp_keepintvl(&self.socket, Duration::from_secs(1))?;
            sockopt::set_tcp_keepcnt(&self.socket, 5)?;
            // Covers what keep-alives do not: bytes sent and never acknowledged.
            sockopt::set_tcp_user_timeout(&self.socket, DEAD_AFTER.as_millis() as u32)?;
        }
        Ok(())
    }

    /// Takes note of what the poll said.
    pub fn ready(&mut self, event: &mio::event::Event) {
        self.ended |= event.is_read_closed() || event.is_error();
        self.readable |= event.is_readable() || self.ended;
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
    }

    /// Whether a read may find something.
    pub fn is_readable(&self) -> bool {
        self.readable
    }

    /// Bytes waiting to be sent.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Reads once into `scratch`, and returns how many bytes; `None` if there are none yet.
    pub fn read(&mut self, scratch: &mut [u8]) -> Result<Option<usize>, Broken> {
        while self.readable {
            match self.socket.read(scratch) {
                Ok(0) => return Err(Broken::Closed),
                Ok(read) => {
                    // What comes from now on, the end included, the poll will tell.
                    self.readable = self.ended || read == scratch.len();
                    return Ok(Some(read));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Broken::Error(error)),
            }
        }
        Ok(None)
    }

    /// Reads what is there, up to this turn's share, handing on each piece. `scratch` is where bytes pass through.
    pub fn read_share<E: From<Broken>>(
        &mut self,
        scratch: &mut [u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut share = READ_PER_TURN;
        while share > 0
            && let Some(read) = self.read(scratch)?
        {
            share = share.saturating_sub(read);
            each(&scratch[..read])?;
        }
        Ok(())
    }

    /// Queues pieces.
    pub fn push(&mut self, chunks: &[Bytes]) {
        for chunk in chunks {
            self.queued += chunk.len();
            if chunk.len() <= SMALL {
                self.small.extend_from_slice(chunk);
            } else {
                self.line_up();
                self.queue.push_back(chunk.clone());
            }
        }
    }

    /// Lines the small pieces up behind the others.
    fn line_up(&mut self) {
        if !self.small.is_empty() {
            self.queue.push_back(self.small.split().freeze());
        }
    }

    /// Sends what the system takes.
    pub fn flush(&mut self) -> Result<(), Broken> {
        self.line_up();
        while self.writable && !self.queue.is_empty() {
            let mut pieces = [IoSlice::new(&[]); PIECES];
            let count = self.queue.len().min(PIECES);
            for (piece, bytes) in pieces.iter_mut().zip(&self.queue) {
                *piece = IoSlice::new(bytes);
            }
            match self.socket.write_vectored(&pieces[..count]) {
                Ok(0) => return Err(Broken::Closed),
                Ok(written) => self.sent(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Broken::Error(error)),
            }
        }
        Ok(())
    }

    /// Tells the other end that nothing more will come, while it may still send.
    pub fn end(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    fn sent(&mut self, mut written: usize) {
        self.queued -= written;
        while let Some(front) = self.queue.front_mut() {
            if front.len() > written {
                bytes::Buf::advance(front, written);
                return;
            }
            written -= front.len();
            self.queue.pop_front();
        }
    }
}
