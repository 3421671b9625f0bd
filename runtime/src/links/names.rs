//! Names of peers, looked up anew for each attempt to connect: where addresses are given out by an orchestrator, a
//! member that is moved keeps its name alone.
//!
//! A lookup takes as long as the system likes, so it happens on a thread of its own, one name after the other: a slow
//! one delays those behind it, and nothing else. The thread is there only if a peer has a name.

use ios_core::ids::NodeId;
use mio::Waker;
use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
};

/// Where a peer is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Address {
    /// At an address.
    Fixed(SocketAddr),
    /// Wherever a name leads, as `host:port`.
    Named(String),
}

impl Address {
    /// Reads `host:port`.
    pub(crate) fn of(text: &str) -> Self {
        text.parse().map_or_else(|_| Address::Named(text.to_owned()), Address::Fixed)
    }
}

/// What a name led to: one address or more.
pub(crate) type Found = (NodeId, io::Result<Vec<SocketAddr>>);

/// The thread that looks names up.
pub(crate) struct Names {
    asked: Sender<(NodeId, String)>,
    found: Receiver<Found>,
}

impl Names {
    /// Starts the thread. Whatever it finds wakes the loop through `waker`. It ends with whoever asks.
    pub(crate) fn start(waker: Arc<Waker>) -> io::Result<Self> {
        let (asked, names) = channel::<(NodeId, String)>();
        let (tell, found) = channel();
        std::thread::Builder::new().name("names".to_owned()).spawn(move || {
            for (peer, name) in names {
                let found = look_up(&name);
                if let Err(error) = &found {
                    tracing::warn!(%peer, name, %error, "a peer's name cannot be looked up; it is tried again");
                }
                if tell.send((peer, found)).is_err() {
                    return;
                }
                if let Err(error) = waker.wake() {
                    tracing::error!(%error, "the loop cannot be woken; it goes on with its next turn");
                }
            }
        })?;
        Ok(Self { asked, found })
    }

    /// Asks for a peer's address.
    pub(crate) fn ask(&self, peer: NodeId, name: &str) {
        if self.asked.send((peer, name.to_owned())).is_err() {
            tracing::error!(%peer, "nobody looks names up any more");
        }
    }

    /// The next answer, if there is one.
    pub(crate) fn found(&self) -> Option<Found> {
        self.found.try_recv().ok()
    }
}

fn look_up(name: &str) -> io::Result<Vec<SocketAddr>> {
    let addresses: Vec<SocketAddr> = name.to_socket_addrs()?.collect();
    if addresses.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(addresses) }
}
