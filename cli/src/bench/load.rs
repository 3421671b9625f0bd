//! The load generator: one thread that plays many clients over a pipeline.
//!
//! *Closed loop.* Each client asks, waits, rests for the interval, and asks again: a slow server is asked less.
//! *Open loop.* Request i is due at begin + i / rate. A client that is free takes it at once; if none is, it waits and
//! its waiting counts, because latency is counted from when it was due. So a server that stands still for a second is
//! seen by all requests of that second and not by the few that were under way: no coordinated omission.
//!
//! A request belongs to the measurement if it was due in the *window*, which begins after the warm-up. Throughput is
//! what was done within the window; if that is a length of time, also what was due before it, in place of what is done
//! after it.

use super::{
    cpu::{Servers, Used},
    csv::Tables,
    measured::Measured,
    workload::{Length, Requests, Workload},
};
use crate::exit::{Exit, Failure};
use bytes::Bytes;
use ios_core::{
    client::{Ask, ClientOptions, OperationId, Outcome},
    message::ReadMode,
    time::{Span, Time},
};
use runtime::{
    client::{Completion, Pipeline, PipelineOptions},
    clock::unix_ns,
};
use std::collections::VecDeque;

/// Clients that share a session. It may have twice as many writes in flight, so that one that is late does not hold up
/// the others.
const CLIENTS_PER_SESSION: u32 = 32;
/// How long sessions take leave.
const LEAVE_WITHIN: Span = Span::millis(500);
/// How often whoever looks on is told.
const TELL_EVERY: Span = Span::millis(100);

/// What a run is to do.
pub struct Plan {
    /// How many clients.
    pub clients: u32,
    /// Over how many connections.
    pub connections: u32,
    /// What they ask, and when they stop.
    pub workload: Workload,
    /// Requests a second that are due, in an open loop.
    pub rate: Option<u64>,
    /// How long to run before measuring.
    pub warm_up: Span,
    /// Who may answer reads.
    pub read: ReadMode,
    /// How long a request may take.
    pub timeout: Span,
    /// Where clients connect.
    pub endpoints: Vec<String>,
    /// How clients behave.
    pub client: ClientOptions,
}

impl Plan {
    /// Sessions, and the connections they share.
    pub fn sessions(&self) -> (u32, u32) {
        let connections = self.connections.min(self.clients);
        (self.clients.div_ceil(CLIENTS_PER_SESSION).max(connections), connections)
    }
}

/// Who looks on: told how much has been done of how much, in nanoseconds or requests.
pub type Onlooker<'a> = &'a mut dyn FnMut(u64, u64);

/// Runs one plan.
pub fn run(
    plan: &Plan,
    servers: &Servers,
    tables: Option<&mut Tables>,
    onlooker: Onlooker<'_>,
) -> Result<Measured, Failure> {
    let mut requests = Requests::new(&plan.workload);
    let pipeline = prepare(plan, &mut requests)?;
    let mut generator = Generator::new(plan, pipeline, requests, servers, tables);
    generator.run(onlooker)?;
    leave(generator.pipeline);
    Ok(generator.measured)
}

/// Writes every key if there will be reads, opens the sessions, and returns the pipeline that has them.
///
/// A client that only reads stays with the member it came to by chance, as long as that one serves its reads; with the
/// first write it would go over to the leader. So if there are to be no writes, another client writes the keys.
fn prepare(plan: &Plan, requests: &mut Requests) -> Result<Pipeline, Failure> {
    let sessions = u64::from(plan.sessions().0);
    let mut pipeline = pipeline(plan)?;
    let keys = plan.workload.keys;
    match plan.workload.reads {
        0 => try_out(plan, &mut pipeline, sessions, |number| (Ask::Write, requests.put(number % keys)))?,
        100 => {
            try_out(plan, &mut pipeline, keys, |number| (Ask::Write, requests.put(number)))?;
            leave(pipeline);
            pipeline = self::pipeline(plan)?;
            try_out(plan, &mut pipeline, sessions, |_| (Ask::Read(plan.read), requests.draw().1))?;
        }
        _ => {
            let puts = keys.max(sessions);
            try_out(plan, &mut pipeline, puts, |number| (Ask::Write, requests.put(number % keys)))?;
        }
    }
    Ok(pipeline)
}

fn pipeline(plan: &Plan) -> Result<Pipeline, Failure> {
    let (sessions, connections) = plan.sessions();
    let client = plan.client.clone();
    let options = PipelineOptions { sessions: sessions as usize, connections: connections as usize, client };
    Pipeline::new(&plan.endpoints, options).map_err(|error| Failure::system("make a client", error))
}

fn leave(mut pipeline: Pipeline) {
    let deadline = pipeline.now() + LEAVE_WITHIN;
    if let Err(error) = pipeline.close(deadline) {
        tracing::debug!(%error, "the sessions were not closed");
    }
}

/// Makes so many requests, all of which must be done.
fn try_out(
    plan: &Plan,
    pipeline: &mut Pipeline,
    count: u64,
    mut request: impl FnMut(u64) -> (Ask, Bytes),
) -> Result<(), Failure> {
    let at_once = u64::from(plan.sessions().0 * CLIENTS_PER_SESSION);
    let (mut submitted, mut ended) = (0, 0);
    while ended < count {
        while submitted < count && submitted - ended < at_once {
            let deadline = pipeline.now() + plan.timeout;
            let (ask, payload) = request(submitted);
            pipeline.submit(ask, payload, deadline);
            submitted += 1;
        }
        pipeline.turn(None).map_err(poll_failed)?;
        let failure = pipeline.completions().fold(None, |failure, completion| {
            ended += 1;
            match completion.outcome {
                Outcome::Done { .. } => failure,
                Outcome::NotDone { why } => Some(Failure::not_done(&why)),
                Outcome::Unknown { why } => Some(Failure::unknown(&why)),
            }
        });
        if let Some(mut failure) = failure {
            for (address, trouble) in pipeline.troubles() {
                failure.message.push_str(&format!("; {address}: {trouble}"));
            }
            return Err(failure);
        }
    }
    Ok(())
}

struct Generator<'a> {
    plan: &'a Plan,
    pipeline: Pipeline,
    requests: Requests,
    servers: &'a Servers,
    tables: Option<&'a mut Tables>,
    pace: Pace,
    flights: Flights,
    phase: Phase,
    /// From the pipeline's clock to the time of day.
    unix_offset: u64,
    /// Requests due in the window and begun.
    due: u64,
    measured: Measured,
}

#[derive(Clone, Copy)]
enum Phase {
    WarmUp {
        until: Time,
    },
    Measuring {
        since: Time,
        used: Used,
    },
    /// What is under way ends; nothing more begins.
    Ending {
        since: Time,
        until: Time,
    },
}

impl<'a> Generator<'a> {
    fn new(
        plan: &'a Plan,
        mut pipeline: Pipeline,
        requests: Requests,
        servers: &'a Servers,
        tables: Option<&'a mut Tables>,
    ) -> Self {
        let begin = pipeline.now();
        Self {
            plan,
            pipeline,
            requests,
            servers,
            tables,
            pace: Pace::new(plan, begin),
            flights: Flights::default(),
            phase: Phase::WarmUp { until: begin + plan.warm_up },
            unix_offset: unix_ns().wrapping_sub(begin.0),
            due: 0,
            measured: Measured::new(plan.clients),
        }
    }

    fn run(&mut self, onlooker: Onlooker<'_>) -> Result<(), Failure> {
        let mut ended = Vec::new();
        let mut tell_at = Time::ZERO;
        loop {
            let now = self.pipeline.now();
            self.change_phase(now);
            while let Some(due) = self.next_due().filter(|due| *due <= now) {
                self.begin(due);
            }
            if matches!(self.phase, Phase::Ending { .. }) && self.flights.under_way == 0 {
                return Ok(());
            }
            if now >= tell_at {
                tell_at = now + TELL_EVERY;
                let (done, all) = self.progress(now);
                onlooker(done, all);
            }
            let limit = [self.next_due(), self.phase_ends(), Some(tell_at)].into_iter().flatten().min();
            self.pipeline.turn(limit).map_err(poll_failed)?;
            ended.extend(self.pipeline.completions());
            for completion in ended.drain(..) {
                self.ended(completion)?;
            }
        }
    }

    /// When the next request is due, if somebody is free to make it.
    fn next_due(&self) -> Option<Time> {
        let all_begun = match (self.phase, self.plan.workload.length) {
            (Phase::Ending { .. }, _) => true,
            (Phase::Measuring { .. }, Length::Requests(requests)) => self.due >= requests,
            _ => false,
        };
        if all_begun { None } else { self.pace.next_due() }
    }

    fn phase_ends(&self) -> Option<Time> {
        match (self.phase, self.plan.workload.length) {
            (Phase::WarmUp { until }, _) => Some(until),
            (Phase::Measuring { since, .. }, Length::Time(length)) => Some(since + length),
            _ => None,
        }
    }

    fn change_phase(&mut self, now: Time) {
        match (self.phase, self.plan.workload.length) {
            (Phase::WarmUp { until }, _) if now >= until => {
                self.pace.forget_before(until);
                self.phase = Phase::Measuring { since: until, used: self.servers.used() };
            }
            (Phase::Measuring { since, used }, Length::Time(length)) if now >= since + length => {
                self.end(since, since + length, used);
            }
            (Phase::Measuring { since, used }, Length::Requests(requests))
                if self.due >= requests && self.flights.under_way == 0 =>
            {
                self.end(since, now, used);
            }
            _ => {}
        }
    }

    fn end(&mut self, since: Time, until: Time, used: Used) {
        self.measured.window = until.since(since);
        self.measured.used = self.servers.used().since(used);
        // With all clients busy, requests were due that nobody began.
        self.measured.behind = self.pace.behind(until);
        self.phase = Phase::Ending { since, until };
    }

    fn begin(&mut self, due: Time) {
        self.pace.begin();
        let (read, request) = self.requests.draw();
        let ask = if read { Ask::Read(self.plan.read) } else { Ask::Write };
        let deadline = self.pipeline.now() + self.plan.timeout;
        let operation = self.pipeline.submit(ask, request, deadline);
        let number = match self.phase {
            Phase::Measuring { since, .. } if due >= since => {
                self.due += 1;
                Some(self.due)
            }
            _ => None,
        };
        self.flights.begin(operation, Flight { due, read, number });
    }

    fn ended(&mut self, completion: Completion) -> Result<(), Failure> {
        let Some(flight) = self.flights.end(completion.operation) else { return Ok(()) };
        self.pace.end(completion.at);
        let within = match self.phase {
            Phase::WarmUp { .. } => return Ok(()),
            Phase::Measuring { since, .. } => match self.plan.workload.length {
                Length::Time(length) => completion.at >= since && completion.at < since + length,
                Length::Requests(_) => flight.number.is_some(),
            },
            Phase::Ending { until, .. } => completion.at < until,
        };
        let done = matches!(completion.outcome, Outcome::Done { .. });
        if done && within {
            self.measured.done_in_window += 1;
            self.measured.bytes_in_window += (self.plan.workload.key_size + self.plan.workload.value_size) as u64;
        }
        let (Some(number), Phase::Measuring { since, .. } | Phase::Ending { since, .. }) = (flight.number, self.phase)
        else {
            return Ok(());
        };
        let took = completion.at.since(flight.due);
        self.measured.ended(flight.read, flight.due.since(since), took, &completion);
        if let Some(tables) = self.tables.as_mut().filter(|_| done) {
            let begun = flight.due.0.wrapping_add(self.unix_offset);
            let written = tables.request(begun, number, took, completion.tries, flight.read);
            written.map_err(|error| Failure::system("write latency.csv", error))?;
        }
        Ok(())
    }

    fn progress(&self, now: Time) -> (u64, u64) {
        match (self.phase, self.plan.workload.length) {
            (Phase::WarmUp { .. }, _) => (0, 0),
            (Phase::Measuring { since, .. }, Length::Time(length)) => (now.since(since).0, length.0),
            (Phase::Measuring { .. }, Length::Requests(requests)) => (self.measured.ended_count(), requests),
            (Phase::Ending { .. }, _) => (1, 1),
        }
    }
}

/// When requests are due, and who is free to make them.
enum Pace {
    /// When each of those who are free will have rested, earliest first.
    Closed {
        free: VecDeque<Time>,
        interval: Span,
    },
    Open {
        begin: Time,
        rate: u64,
        next: u64,
        free: u32,
    },
}

impl Pace {
    fn new(plan: &Plan, begin: Time) -> Self {
        match plan.rate {
            Some(rate) => Pace::Open { begin, rate, next: 0, free: plan.clients },
            None => {
                let free = (0..plan.clients).map(|_| begin).collect();
                Pace::Closed { free, interval: plan.workload.interval }
            }
        }
    }

    fn next_due(&self) -> Option<Time> {
        match self {
            Pace::Closed { free, .. } => free.front().copied(),
            Pace::Open { free: 0, .. } => None,
            Pace::Open { begin, rate, next, .. } => Some(due(*begin, *rate, *next)),
        }
    }

    fn begin(&mut self) {
        match self {
            Pace::Closed { free, .. } => drop(free.pop_front()),
            Pace::Open { next, free, .. } => (*next, *free) = (*next + 1, *free - 1),
        }
    }

    fn end(&mut self, at: Time) {
        match self {
            Pace::Closed { free, interval } => free.push_back(at + *interval),
            Pace::Open { free, .. } => *free += 1,
        }
    }

    /// Requests due before `until` that were not begun.
    fn behind(&self, until: Time) -> u64 {
        match self {
            Pace::Closed { .. } => 0,
            Pace::Open { begin, rate, next, .. } => due_before(*begin, *rate, until).saturating_sub(*next),
        }
    }

    /// Gives up what was due before `since` and not begun: it is not measured, and must not delay what is.
    fn forget_before(&mut self, since: Time) {
        if let Pace::Open { begin, rate, next, .. } = self {
            *next = due_before(*begin, *rate, since).max(*next);
        }
    }
}

/// How many requests are due before `until`.
fn due_before(begin: Time, rate: u64, until: Time) -> u64 {
    (u128::from(until.since(begin).0) * u128::from(rate)).div_ceil(1_000_000_000) as u64
}

fn due(begin: Time, rate: u64, number: u64) -> Time {
    begin + Span((u128::from(number) * 1_000_000_000 / u128::from(rate)) as u64)
}

/// A request under way.
#[derive(Clone, Copy)]
struct Flight {
    due: Time,
    read: bool,
    /// Which one of those measured, from 1.
    number: Option<u64>,
}

/// Requests under way. Operations are numbered one after the other and end in about that order, so that those under way
/// lie close together.
#[derive(Default)]
struct Flights {
    first: u64,
    flights: VecDeque<Option<Flight>>,
    under_way: usize,
}

impl Flights {
    fn begin(&mut self, operation: OperationId, flight: Flight) {
        if self.flights.is_empty() {
            self.first = operation.0;
        }
        assert!(operation.0 == self.first + self.flights.len() as u64, "operations are numbered without a gap");
        self.flights.push_back(Some(flight));
        self.under_way += 1;
    }

    fn end(&mut self, operation: OperationId) -> Option<Flight> {
        let place = operation.0.checked_sub(self.first)?;
        let flight = self.flights.get_mut(place as usize)?.take()?;
        self.under_way -= 1;
        while let Some(None) = self.flights.front() {
            self.flights.pop_front();
            self.first += 1;
        }
        Some(flight)
    }
}

fn poll_failed(error: std::io::Error) -> Failure {
    Failure::new(Exit::Error, format!("cannot wait for answers: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_is_due_by_the_clock_and_not_by_the_answers() {
        let mut pace = Pace::Open { begin: Time(1000), rate: 1_000_000, next: 0, free: 2 };
        assert_eq!(pace.next_due(), Some(Time(1000)));
        pace.begin();
        assert_eq!(pace.next_due(), Some(Time(2000)));
        pace.begin();
        assert_eq!(pace.next_due(), None, "both are busy");
        assert_eq!(pace.behind(Time(12_000)), 9);
        pace.end(Time(12_000));
        assert_eq!(pace.next_due(), Some(Time(3000)), "it was due long ago, and that counts");
        pace.forget_before(Time(12_000));
        assert_eq!((pace.next_due(), pace.behind(Time(12_000))), (Some(Time(12_000)), 0));
    }

    #[test]
    fn a_closed_loop_rests_between_an_answer_and_the_next_request() {
        let mut pace = Pace::Closed { free: VecDeque::from([Time(5)]), interval: Span(100) };
        pace.begin();
        assert_eq!(pace.next_due(), None);
        pace.end(Time(50));
        assert_eq!((pace.next_due(), pace.behind(Time(1000))), (Some(Time(150)), 0));
    }

    #[test]
    fn what_is_under_way_is_found_in_whatever_order_it_ends() {
        let mut flights = Flights::default();
        let flight = |due| Flight { due: Time(due), read: false, number: None };
        (7..10).for_each(|number| flights.begin(OperationId(number), flight(number)));
        assert!(flights.end(OperationId(3)).is_none());
        for number in [8, 7, 9] {
            assert_eq!(flights.end(OperationId(number)).unwrap().due, Time(number));
            assert!(flights.end(OperationId(number)).is_none(), "once");
        }
        assert_eq!((flights.under_way, flights.flights.len()), (0, 0));
        flights.begin(OperationId(20), flight(20));
        assert_eq!(flights.end(OperationId(20)).unwrap().due, Time(20));
    }
}
