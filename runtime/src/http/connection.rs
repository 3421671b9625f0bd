//! One connection: what has arrived, and how far its request is.

use super::{
    request::{self, Objection, Request},
    response::Response,
};
use crate::links::pipe::{Broken, Pipe};
use mio::net::TcpStream;

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// A request is awaited, or its answer is on its way out and the next is awaited then.
    Reading,
    /// A request waits for its answer.
    Answering { keep_alive: bool, head_only: bool },
    /// The last answer is on its way out. After it the connection is ended and read out: to close it at once would
    /// take the answer away from an end that is still sending.
    Parting,
}

/// One connection.
///
/// - `arrived` holds at most a head, a body, and what one read brought beyond.
/// - Nothing is read while an answer is queued.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) pipe: Pipe,
    pub(super) arrived: Vec<u8>,
    pub(super) stage: Stage,
    /// It has had an answer.
    pub(super) served: bool,
}

impl Connection {
    /// A connection that was just accepted.
    pub(super) fn new(socket: TcpStream) -> Self {
        let (pipe, arrived) = (Pipe::new(socket), Vec::new());
        Self { pipe, arrived, stage: Stage::Reading, served: false }
    }

    /// Reads until a request is there as a whole, or an error, or nothing more.
    pub(super) fn next_request(&mut self, scratch: &mut [u8]) -> Result<Result<Option<Request>, Objection>, Broken> {
        loop {
            match request::parse(&self.arrived) {
                Ok(Some((request, length))) => {
                    self.arrived.drain(..length);
                    return Ok(Ok(Some(request)));
                }
                Ok(None) => {}
                Err(objection) => return Ok(Err(objection)),
            }
            match self.pipe.read(scratch)? {
                Some(read) => self.arrived.extend_from_slice(&scratch[..read]),
                None => return Ok(Ok(None)),
            }
        }
    }

    /// A request is whole, or will never be.
    pub(super) fn begin_answer(&mut self, keep_alive: bool, head_only: bool) {
        self.stage = Stage::Answering { keep_alive, head_only };
    }

    /// Whether a request waits for its answer.
    pub(super) fn is_answering(&self) -> bool {
        matches!(self.stage, Stage::Answering { .. })
    }

    /// Queues the answer.
    pub(super) fn answer(&mut self, response: &Response) {
        let Stage::Answering { keep_alive, head_only } = self.stage else {
            unreachable!("one answer to each request");
        };
        self.pipe.push(&[response.encode(keep_alive, head_only)]);
        self.stage = if keep_alive { Stage::Reading } else { Stage::Parting };
        self.served = true;
    }

    /// Throws away what still arrives. It is broken when the other end has ended too.
    pub(super) fn drain(&mut self, scratch: &mut [u8]) -> Result<(), Broken> {
        self.pipe.read_share(scratch, |_| Ok(()))
    }
}
