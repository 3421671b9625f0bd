//! A pipeline with a thread of its own, used from any number of others.

use super::{Pipeline, PipelineOptions};
use crate::clock::Clock;
use bytes::Bytes;
use ios_core::{
    client::{Ask, OperationId, Outcome, WhyNotDone},
    time::{Span, Time},
};
use mio::Waker;
use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, sync_channel},
    },
    thread::JoinHandle,
};

/// Most operations handed over and not yet taken by the thread; more are refused at once.
const HANDED_OVER_MAX: usize = 65_536;
/// How long a client that is dropped takes leave: it only tells the cluster to forget its sessions sooner.
const LEAVE_WITHIN: Span = Span::millis(200);

/// What is done with an outcome. An error says that the loop could not go on, and the outcome is unknown.
type Then = Box<dyn FnOnce(io::Result<Outcome>) + Send>;

/// A client of one cluster for any number of threads: a reference suffices to use it. Its sessions end with it.
pub struct PipelinedClient {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// Where operations are handed over.
struct Desk {
    tray: Mutex<Tray>,
    waker: Waker,
}

#[derive(Default)]
struct Tray {
    submissions: Vec<Submission>,
    /// Take nothing new, and end by then.
    closing: Option<Time>,
    /// Nobody serves any more.
    ended: bool,
}

struct Submission {
    ask: Ask,
    payload: Bytes,
    deadline: Time,
    then: Then,
}

/// An outcome that is awaited.
#[derive(Debug)]
pub struct Pending {
    outcome: Receiver<io::Result<Outcome>>,
}

impl Pending {
    /// Waits for it, until the operation's deadline at the longest.
    pub fn wait(self) -> io::Result<Outcome> {
        self.outcome.recv().unwrap_or_else(|_| Err(gone()))
    }
}

impl fmt::Debug for PipelinedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelinedClient").finish_non_exhaustive()
    }
}

impl PipelinedClient {
    /// Starts its thread. See [`Pipeline::new`].
    pub fn start(addresses: &[String], options: PipelineOptions) -> io::Result<Self> {
        let pipeline = Pipeline::new(addresses, options)?;
        let desk = Arc::new(Desk { waker: pipeline.waker()?, tray: Mutex::default() });
        let served = desk.clone();
        let thread = std::thread::Builder::new().name("client".to_owned()).spawn(move || serve(pipeline, &served))?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// Begins one thing that ends within `timeout`. Never waits.
    pub fn submit(&self, ask: impl Into<Ask>, payload: Bytes, timeout: Span) -> Pending {
        let (tell, outcome) = sync_channel(1);
        // Whoever does not care for the outcome has dropped the other end.
        self.submit_then(ask, payload, timeout, move |outcome| drop(tell.send(outcome)));
        Pending { outcome }
    }

    /// Begins one thing that ends within `timeout`; `then` is called with its outcome, on the client's own thread, so
    /// it must be quick and must not panic: the client would end. If the operation is refused for want of room, or
    /// because the client has ended, it is called here.
    pub fn submit_then(
        &self,
        ask: impl Into<Ask>,
        payload: Bytes,
        timeout: Span,
        then: impl FnOnce(io::Result<Outcome>) + Send + 'static,
    ) {
        let deadline = Clock::default().now() + timeout;
        let submission = Submission { ask: ask.into(), payload, deadline, then: Box::new(then) };
        let mut tray = self.desk.tray();
        if tray.ended {
            drop(tray);
            return (submission.then)(Err(gone()));
        }
        if tray.submissions.len() >= HANDED_OVER_MAX {
            drop(tray);
            let why = WhyNotDone::QueueFull { limit: HANDED_OVER_MAX };
            return (submission.then)(Ok(Outcome::NotDone { why }));
        }
        tray.submissions.push(submission);
        // Whoever came before has woken it.
        let wakes = tray.submissions.len() == 1;
        drop(tray);
        if wakes {
            self.desk.wake();
        }
    }

    /// Does one thing and waits for its outcome, `timeout` at the longest.
    pub fn call(&self, ask: impl Into<Ask>, payload: Bytes, timeout: Span) -> io::Result<Outcome> {
        self.submit(ask, payload, timeout).wait()
    }

    /// Finishes what is outstanding, ends the sessions and hangs up, within `timeout`.
    pub fn close(mut self, timeout: Span) {
        self.end_within(timeout);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the client's thread has panicked");
        }
    }

    fn end_within(&self, timeout: Span) {
        let deadline = Clock::default().now() + timeout;
        self.desk.tray().closing.get_or_insert(deadline);
        self.desk.wake();
    }
}

impl Drop for PipelinedClient {
    fn drop(&mut self) {
        self.end_within(LEAVE_WITHIN);
    }
}

impl Desk {
    /// Nothing panics while it holds the tray but for want of memory.
    fn tray(&self) -> MutexGuard<'_, Tray> {
        self.tray.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "the client's loop cannot be woken; it goes on with its next turn");
        }
    }
}

/// Marks the end of the client's thread, however it comes about: nobody waits for what it would have done.
struct Ending<'d>(&'d Desk);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut tray = self.0.tray();
        tray.ended = true;
        // Who waits for these finds that their other end is gone.
        tray.submissions.clear();
    }
}

/// The client's thread.
fn serve(mut pipeline: Pipeline, desk: &Desk) {
    let _ending = Ending(desk);
    let mut waiting = BTreeMap::new();
    let end = loop {
        let (submissions, closing) = {
            let mut tray = desk.tray();
            (std::mem::take(&mut tray.submissions), tray.closing)
        };
        for Submission { ask, payload, deadline, then } in submissions {
            waiting.insert(pipeline.submit(ask, payload, deadline), then);
        }
        let turned = match closing {
            Some(deadline) => pipeline.close(deadline),
            None => pipeline.turn(None),
        };
        tell(&mut pipeline, &mut waiting);
        if closing.is_some() || turned.is_err() {
            break turned;
        }
    };
    let left = std::mem::take(&mut desk.tray().submissions).into_iter().map(|submission| submission.then);
    for then in waiting.into_values().chain(left) {
        then(Err(end.as_ref().err().map_or_else(gone, |error| io::Error::new(error.kind(), error.to_string()))));
    }
}

fn tell(pipeline: &mut Pipeline, waiting: &mut BTreeMap<OperationId, Then>) {
    for completion in pipeline.completions() {
        if let Some(then) = waiting.remove(&completion.operation) {
            then(Ok(completion.outcome));
        }
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the client has ended")
}
