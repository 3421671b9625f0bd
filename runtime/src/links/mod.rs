//! Connections to peers and to clients.

pub mod pipe;
pub mod stream;
pub(crate) mod acceptor;
pub(crate) mod clients;
pub(crate) mod deadlines;
mod language;
mod names;
pub(crate) mod peers;

use mio::Token;

/// Which kind of connection a poll token stands for. The number within each kind is never used again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    Waker,
    PeerListener,
    ClientListener,
    HttpListener,
    Peer(u64),
    Client(u64),
    Http(u64),
}

impl Source {
    pub(crate) fn token(self) -> Token {
        Token(match self {
            Source::Waker => 0,
            Source::PeerListener => 1,
            Source::ClientListener => 2,
            Source::HttpListener => 3,
            Source::Peer(number) => 4 + 3 * number as usize,
            Source::Client(number) => 5 + 3 * number as usize,
            Source::Http(number) => 6 + 3 * number as usize,
        })
    }

    pub(crate) fn of(token: Token) -> Self {
        let number = token.0.saturating_sub(4) as u64 / 3;
        match token.0 {
            0 => Source::Waker,
            1 => Source::PeerListener,
            2 => Source::ClientListener,
            3 => Source::HttpListener,
            other if other % 3 == 1 => Source::Peer(number),
            other if other % 3 == 2 => Source::Client(number),
            _ => Source::Http(number),
        }
    }
}

#[cfg(test)]
mod tests;
