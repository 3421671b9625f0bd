//! One question to one node, over a connection of its own: what needs no session and no retries.

use crate::clock::{Clock, until};
use ios_core::{
    message::{ClientRequest, ClientResponse, Status},
    time::{Span, Time},
    wire::{Encoder, FrameReader},
};
use std::{
    io::{self, Read, Write},
    net::SocketAddr,
};

/// Asks one node how it is, over a connection of its own.
pub fn ask_status(address: SocketAddr, timeout: Span) -> io::Result<Status> {
    match ask(address, &ClientRequest::Status { tag: 0 }, timeout)? {
        ClientResponse::Status { status, .. } => Ok(*status),
        ClientResponse::Refused { refusal, .. } => Err(io::Error::other(refusal.to_string())),
        _ => Err(io::Error::other("it did not answer the question")),
    }
}

/// Asks one node something that needs no session, over a connection of its own, and waits for what it says first.
pub fn ask(address: SocketAddr, request: &ClientRequest, timeout: Span) -> Result<ClientResponse, AskError> {
    let mut clock = Clock::default();
    let deadline = clock.now() + timeout;
    let mut encoder = Encoder::default();
    let request = encoder.encode(request).map_err(|error| AskError::Unheard(io::Error::other(error.to_string())))?;
    let socket = std::net::TcpStream::connect_timeout(&address, until(clock.now(), deadline));
    let mut socket = socket.map_err(AskError::Unheard)?;
    let answer = socket.set_nodelay(true).and_then(|()| socket.write_all(&request.concat()));
    let answer = answer.and_then(|()| read_response(&mut socket, &mut clock, deadline));
    answer.map_err(AskError::Unanswered)
}

/// Why a question has no answer.
#[derive(Debug)]
pub enum AskError {
    /// The node has surely not heard it.
    Unheard(io::Error),
    /// It may have heard it, and done what it was asked to do.
    Unanswered(io::Error),
}

impl From<AskError> for io::Error {
    fn from(error: AskError) -> Self {
        let (AskError::Unheard(error) | AskError::Unanswered(error)) = error;
        error
    }
}

fn read_response(socket: &mut std::net::TcpStream, clock: &mut Clock, deadline: Time) -> io::Result<ClientResponse> {
    let mut reader = FrameReader::<ClientResponse>::default();
    let mut scratch = [0; 4096];
    loop {
        let left = until(clock.now(), deadline);
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let read = match socket.read(&mut scratch) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        };
        let mut bytes = &scratch[..read];
        if let Some(response) = reader.read(&mut bytes).map_err(|error| io::Error::other(error.to_string()))? {
            return Ok(response);
        }
    }
}
