//! A listening socket. Whoever waits there is accepted as long as the system allows it.

use ios_core::time::{Span, Time};
use mio::net::{TcpListener, TcpStream};
use std::{io, net::SocketAddr};

/// How long accepting rests after the system refused, usually for want of file descriptors.
const PAUSE: Span = Span::millis(100);

/// The socket, and whether somebody may wait there.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listener: TcpListener,
    /// Who is accepted, for the log.
    whom: &'static str,
    /// Connections wait to be accepted, from this moment on.
    at: Option<Time>,
}

impl Acceptor {
    /// Accepts `whom` through `listener`.
    pub(crate) fn new(listener: TcpListener, whom: &'static str) -> Self {
        Self { listener, whom, at: Some(Time::ZERO) }
    }

    /// The socket, to register it with a poll.
    pub(crate) fn listener(&mut self) -> &mut TcpListener {
        &mut self.listener
    }

    /// The poll says that somebody waits. A rest goes on.
    pub(crate) fn ready(&mut self) {
        self.at = self.at.or(Some(Time::ZERO));
    }

    /// When [`Acceptor::next`] is due although the poll says nothing.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.at
    }

    /// The next connection, if somebody waits.
    pub(crate) fn next(&mut self, now: Time) -> Option<(TcpStream, SocketAddr)> {
        while self.at.is_some_and(|at| at <= now) {
            match self.listener.accept() {
                Ok(accepted) => return Some(accepted),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.at = None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::warn!(%error, whom = self.whom, "accepting a connection failed");
                    self.at = Some(now + PAUSE);
                }
            }
        }
        None
    }
}
