//! A network that can be made bad: every link between two members leads through here.
//!
//! ```text
//! n2 (dials the lower id) --> relay of the pair --> n0
//!                  link 2->0: read | queue | write
//!                  link 0->2: write | queue | read
//! ```
//! Members have one connection per pair, and a link is one direction of it, with weather of its own. A link delays
//! (always in order, as TCP would), limits bytes a second, *holds* bytes until it is told otherwise, or *loses* them.
//! A stream that has lost bytes cannot go on: once bytes could pass again, the connection is closed, so that both ends
//! begin anew.
//!
//! *Bounds.* A direction of a connection queues [`QUEUE_MAX`] chunks; then nobody reads, and TCP slows the sender down.

use ios_core::time::{Span, Time};
use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use runtime::clock::{Clock, until};
use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

/// Bytes read at once.
const CHUNK: usize = 16 << 10;
/// Chunks that wait in one direction of one connection: a megabyte.
const QUEUE_MAX: usize = 64;
/// A member that does not run refuses at once; one that is stopped has a kernel that accepts.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// What becomes of the bytes of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Flow {
    /// They arrive.
    #[default]
    Passes,
    /// They wait here.
    Held,
    /// They are gone.
    Lost,
}

/// How one direction between two members is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Weather {
    /// What becomes of bytes.
    pub flow: Flow,
    /// How long each chunk is under way.
    pub delay: Span,
    /// How much longer it may be, at random.
    pub jitter: Span,
    /// How fast bytes pass, if there is a limit.
    pub bytes_per_second: Option<u64>,
}

/// What a link has done to bytes, since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Chunks that had to wait for a delay or for others to pass.
    pub delayed: u64,
    /// Bytes that were held, whether or not they passed later.
    pub held: u64,
    /// Bytes that were lost.
    pub lost: u64,
}

impl std::ops::Add for Tally {
    type Output = Tally;
    fn add(self, other: Tally) -> Tally {
        Tally { delayed: self.delayed + other.delayed, held: self.held + other.held, lost: self.lost + other.lost }
    }
}

/// One direction between two members.
#[derive(Debug)]
struct Link {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    weather: Weather,
    tally: Tally,
    chance: ChaCha8Rng,
    /// When the last byte that was let through has passed, at the speed that is allowed.
    free_at: Time,
}

/// What is to be done with a chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Pass,
    Lose,
    Close,
}

impl Link {
    fn new(seed: u64) -> Self {
        let chance = ChaCha8Rng::seed_from_u64(seed);
        let state = State { weather: Weather::default(), tally: Tally::default(), chance, free_at: Time::ZERO };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Nothing panics while it holds the state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, weather: Weather) {
        self.state().weather = weather;
        self.changed.notify_all();
    }

    /// When a chunk that arrives now may leave, which is never before the one ahead of it.
    fn due(&self, now: Time, ahead: Time) -> Time {
        let mut state = self.state();
        let Weather { delay, jitter, .. } = state.weather;
        let extra = Span(state.chance.random_range(0..=jitter.0));
        (now + delay + extra).max(ahead)
    }

    /// Waits until something is to be done with `bytes` that may leave at `due`.
    fn decide(&self, clock: &mut Clock, due: Time, bytes: u64, closed: &AtomicBool) -> Fate {
        let mut state = self.state();
        let (mut counted_as_held, mut leaves) = (false, due);
        let mut waits_for_room = true;
        loop {
            if closed.load(Ordering::Acquire) {
                return Fate::Close;
            }
            let now = clock.now();
            match state.weather.flow {
                Flow::Lost => {
                    state.tally.lost += bytes;
                    return Fate::Lose;
                }
                Flow::Held => {
                    if !std::mem::replace(&mut counted_as_held, true) {
                        state.tally.held += bytes;
                    }
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                Flow::Passes => {
                    if let Some(speed) = state.weather.bytes_per_second.filter(|_| waits_for_room) {
                        leaves = leaves.max(now).max(state.free_at) + Span(bytes * 1_000_000_000 / speed.max(1));
                        state.free_at = leaves;
                        waits_for_room = false;
                    }
                    if now >= leaves {
                        return Fate::Pass;
                    }
                    state.tally.delayed += 1;
                    let waited = self.changed.wait_timeout(state, until(now, leaves));
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }
}

/// The relays of all pairs.
#[derive(Debug)]
pub struct Relay {
    pairs: Vec<Arc<Pair>>,
}

/// Two members and the connections between them.
#[derive(Debug)]
struct Pair {
    dialler: usize,
    listener: usize,
    /// Where the dialler connects.
    address: SocketAddr,
    /// Where the listener is.
    target: SocketAddr,
    /// From dialler to listener, and back.
    links: [Arc<Link>; 2],
    live: Mutex<Vec<Arc<Connection>>>,
    over: AtomicBool,
    resets: AtomicU64,
}

#[derive(Debug)]
struct Connection {
    ends: [TcpStream; 2],
    closed: AtomicBool,
}

impl Relay {
    /// Relays between members that listen at `members`, and themselves on addresses of `place`.
    pub fn start(members: &[SocketAddr], place: Ipv4Addr, seed: u64) -> io::Result<Self> {
        let mut pairs = Vec::new();
        for dialler in 0..members.len() {
            for listener in 0..dialler {
                let socket = TcpListener::bind((place, 0))?;
                let number = (dialler * members.len() + listener) as u64;
                let link = |way: u64| Arc::new(Link::new(seed ^ (number * 2 + way)));
                let pair = Arc::new(Pair {
                    dialler,
                    listener,
                    address: socket.local_addr()?,
                    target: members[listener],
                    links: [link(0), link(1)],
                    live: Mutex::default(),
                    over: AtomicBool::new(false),
                    resets: AtomicU64::new(0),
                });
                let serving = pair.clone();
                thread(move || serving.serve(&socket))?;
                pairs.push(pair);
            }
        }
        Ok(Self { pairs })
    }

    /// Where `dialler` finds `listener`, which has the lower id.
    pub fn address(&self, dialler: u8, listener: u8) -> SocketAddr {
        self.pair(dialler, listener).address
    }

    /// Sets the weather from one member to another.
    pub fn set(&self, from: u8, to: u8, weather: Weather) {
        let pair = self.pair(from, to);
        pair.links[usize::from(pair.dialler != usize::from(from))].set(weather);
    }

    /// Fair weather everywhere.
    pub fn heal(&self) {
        self.links().for_each(|link| link.set(Weather::default()));
    }

    /// Breaks the connections between two members.
    pub fn reset(&self, a: u8, b: u8) {
        let pair = self.pair(a, b);
        pair.live().drain(..).for_each(|connection| {
            connection.close();
            pair.resets.fetch_add(1, Ordering::Relaxed);
        });
        pair.links.iter().for_each(|link| link.changed.notify_all());
    }

    /// What all links have done so far.
    pub fn tally(&self) -> Tally {
        self.links().map(|link| link.state().tally).fold(Tally::default(), std::ops::Add::add)
    }

    /// Connections that were broken so far by [`Relay::reset`].
    pub fn resets(&self) -> u64 {
        self.pairs.iter().map(|pair| pair.resets.load(Ordering::Relaxed)).sum()
    }

    fn links(&self) -> impl Iterator<Item = &Arc<Link>> {
        self.pairs.iter().flat_map(|pair| &pair.links)
    }

    fn pair(&self, a: u8, b: u8) -> &Pair {
        let ids = (usize::from(a.max(b)), usize::from(a.min(b)));
        let found = self.pairs.iter().find(|pair| (pair.dialler, pair.listener) == ids);
        found.expect("every two members have a relay")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        for pair in &self.pairs {
            pair.over.store(true, Ordering::Release);
            // Wakes the thread that accepts; if it cannot be reached it is gone.
            let _ = TcpStream::connect_timeout(&pair.address, CONNECT_WITHIN);
            pair.live().drain(..).for_each(|connection| connection.close());
            pair.links.iter().for_each(|link| link.set(Weather::default()));
        }
    }
}

impl Pair {
    fn live(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, socket: &TcpListener) {
        for accepted in socket.incoming() {
            if self.over.load(Ordering::Acquire) {
                return;
            }
            // Whoever dials sees a connection that ends at once, and comes again.
            let Ok(near) = accepted else { continue };
            let Ok(far) = TcpStream::connect_timeout(&self.target, CONNECT_WITHIN) else { continue };
            if let Err(error) = self.join(near, far) {
                tracing::warn!(%error, "a connection could not be relayed");
            }
        }
    }

    /// Carries bytes both ways until one end closes.
    fn join(&self, near: TcpStream, far: TcpStream) -> io::Result<()> {
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let connection = Arc::new(Connection { ends: [near, far], closed: AtomicBool::new(false) });
        for way in 0..2 {
            let (queue, chunks) = sync_channel(QUEUE_MAX);
            let (link, reading, writing) = (self.links[way].clone(), connection.clone(), connection.clone());
            let reader = link.clone();
            thread(move || reading.read(way, &reader, &queue))?;
            thread(move || writing.write(way, &link, &chunks))?;
        }
        let mut live = self.live();
        live.retain(|connection| !connection.closed.load(Ordering::Acquire));
        live.push(connection);
        Ok(())
    }
}

impl Connection {
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // An end that is closed already is as it should be.
        self.ends.iter().for_each(|end| drop(end.shutdown(Shutdown::Both)));
    }

    fn read(&self, way: usize, link: &Link, queue: &SyncSender<(Time, Vec<u8>)>) {
        let (mut clock, mut scratch, mut ahead) = (Clock::default(), vec![0; CHUNK], Time::ZERO);
        while let Ok(read @ 1..) = (&self.ends[way]).read(&mut scratch) {
            ahead = link.due(clock.now(), ahead);
            if queue.send((ahead, scratch[..read].to_vec())).is_err() {
                return;
            }
        }
    }

    fn write(&self, way: usize, link: &Link, chunks: &Receiver<(Time, Vec<u8>)>) {
        let (mut clock, mut gap) = (Clock::default(), false);
        while let Ok((due, bytes)) = chunks.recv() {
            match link.decide(&mut clock, due, bytes.len() as u64, &self.closed) {
                Fate::Lose => gap = true,
                Fate::Pass if !gap && (&self.ends[1 - way]).write_all(&bytes).is_ok() => {}
                Fate::Pass | Fate::Close => break,
            }
        }
        self.close();
        link.changed.notify_all();
    }
}

fn thread(body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name("relay".to_owned()).spawn(body).map(drop)
}

#[cfg(test)]
mod tests;
