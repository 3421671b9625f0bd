//! Connections to peers and to clients.

pub mod stream;
pub(crate) mod clients;
mod names;
pub(crate) mod peers;

use mio::Token;

/// Which kind of connection a poll token stands for. The number within each kind is never used again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    Waker,
    PeerListener,
    ClientListener,
    Peer(u64),
    Client(u64),
}

impl Source {
    pub(crate) fn token(self) -> Token {
        Token(match self {
            Source::Waker => 0,
            Source::PeerListener => 1,
            Source::ClientListener => 2,
            Source::Peer(number) => 4 + 2 * number as usize,
            Source::Client(number) => 5 + 2 * number as usize,
        })
    }

    pub(crate) fn of(token: Token) -> Self {
        match token.0 {
            0 => Source::Waker,
            1 => Source::PeerListener,
            2 => Source::ClientListener,
            even if even % 2 == 0 => Source::Peer((even as u64 - 4) / 2),
            odd => Source::Client((odd as u64 - 5) / 2),
        }
    }
}

#[cfg(test)]
mod tests;
