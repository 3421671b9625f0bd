//! Three real processes, eight clients, and a bad day: the history the clients saw is linearizable, and whatever was
//! acknowledged is there after all three died at once.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test in real time")]

mod fixture;

use fixture::{Cluster, PATIENCE, eventually};
use ios_core::{
    client::{ClientOptions, Outcome},
    service::Access,
    time::Span,
};
use runtime::{client::BlockingClient, clock::Clock};
use rustix::process::Signal;
use sim::{
    history::{
        self, Answer, Data, History, Verb,
        store::{decode_reply, encode_request},
    },
    linearize::{Verdict, judge},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{JoinHandle, sleep},
    time::{Duration, Instant},
};

const CLIENTS: u64 = 8;
const KILLS: usize = 5;
/// Small segments, so that they are used up; quick elections, so that five of them fit.
const SETTINGS: &str = "
[timing]
heartbeat = \"40ms\"
election_timeout = \"300ms\"
[journal]
segment_bytes = 4194304
segment_records = 4096
";

#[test]
fn a_bad_day_is_linearizable_and_nothing_acknowledged_is_lost() {
    let begun = Instant::now();
    let mut cluster = Cluster::start(3, SETTINGS);
    cluster.leader();
    let clients = Clients::start(&cluster.client_addresses());
    clients.wait_for_progress();

    for round in 0..KILLS {
        let leader = cluster.leader();
        let follower = (leader + 1) % 3;
        if round == 2 {
            cluster.signal(follower, Signal::STOP);
            clients.wait_for_progress();
            sleep(Duration::from_millis(700));
            cluster.signal(follower, Signal::CONT);
        }
        cluster.kill(leader);
        clients.wait_for_progress();
        cluster.run(leader);
        eventually("the killed member follows", || {
            cluster.status(leader).is_some_and(|status| status.leader.is_some() && status.incarnation.0 > 1)
        });
    }

    let (mut parts, kept) = clients.stop();
    (0..3).for_each(|id| cluster.signal(id, Signal::KILL));
    (0..3).for_each(|id| _ = cluster.wait(id));
    (0..3).for_each(|id| cluster.run(id));
    let (last, found) = read_everything(&cluster.client_addresses());
    parts.push(last);

    let lost: Vec<&String> = kept.iter().filter(|key| !found.contains(key)).collect();
    assert!(lost.is_empty(), "acknowledged and gone: {lost:?}");
    let history = History::merge(parts);
    let done =
        history.operations().iter().filter(|operation| matches!(operation.outcome, history::Outcome::Done { .. }));
    let (all, done) = (history.operations().len(), done.count());
    match judge(&history) {
        Verdict::Ok { layer, .. } => {
            println!("{all} operations, {done} done, {} kept: linearizable by {layer}", kept.len())
        }
        Verdict::Illegal(illegal) => panic!("{}", illegal.describe(&history)),
        Verdict::Unknown { why } => panic!("undecided: {why}"),
    }
    assert!(done > 500 && kept.len() > 50, "too little happened: {done} of {all} done, {} kept", kept.len());
    println!("in {:?}", begun.elapsed());
}

/// Threads with a client each.
struct Clients {
    threads: Vec<JoinHandle<(History, Vec<String>)>>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Clients {
    fn start(addresses: &[String]) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..CLIENTS).map(|number| {
            let mut worker = Worker::new(number, addresses);
            let (stop, done) = (stop.clone(), done.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    done.fetch_add(u64::from(worker.work()), Ordering::Release);
                }
                (worker.history, worker.kept)
            })
        });
        Self { threads: threads.collect(), stop: stop.clone(), done: done.clone() }
    }

    /// Waits until every client, on average, has got ten more answers.
    fn wait_for_progress(&self) {
        let goal = self.done.load(Ordering::Acquire) + 10 * CLIENTS;
        eventually("clients get answers", || {
            self.threads.iter().any(JoinHandle::is_finished) || self.done.load(Ordering::Acquire) >= goal
        });
    }

    fn stop(self) -> (Vec<History>, Vec<String>) {
        self.stop.store(true, Ordering::Release);
        let mut kept = Vec::new();
        let parts = self.threads.into_iter().map(|thread| {
            let (history, keys) = thread.join().expect("a client ends in good order");
            kept.extend(keys);
            history
        });
        (parts.collect(), kept)
    }
}

/// One client, its part of the history, and the keys it put once and for all.
struct Worker {
    number: u64,
    client: BlockingClient,
    clock: Clock,
    history: History,
    kept: Vec<String>,
    chance: u64,
    count: u64,
}

impl Worker {
    fn new(number: u64, addresses: &[String]) -> Self {
        let options = ClientOptions { try_timeout: Span::millis(500), ..Default::default() };
        Self {
            number,
            client: BlockingClient::new(addresses, options).unwrap(),
            clock: Clock::default(),
            history: History::new(),
            kept: Vec::new(),
            chance: number * 2 + 1,
            count: 0,
        }
    }

    /// Does one thing; whether it was answered.
    fn work(&mut self) -> bool {
        self.count += 1;
        if self.count.is_multiple_of(10) {
            let key = format!("kept/{}/{}", self.number, self.count);
            let done = self.ask(vec![Verb::Put { key: key.as_str().into(), value: "here".into() }]);
            if done {
                self.kept.push(key);
            }
            return done;
        }
        let request = self.choose();
        self.ask(request)
    }

    fn choose(&mut self) -> Vec<Verb> {
        let key: Data = format!("k{}", self.below(5)).as_str().into();
        let value: Data = format!("{}-{}", self.number, self.count).as_str().into();
        match self.below(20) {
            0..7 => vec![Verb::Get { key }],
            7..12 => vec![Verb::Put { key, value }],
            12..15 => {
                let expected = format!("{}-{}", self.below(CLIENTS), self.count.saturating_sub(self.below(5)));
                vec![Verb::Cas { key, expected: Some(expected.as_str().into()), value }]
            }
            15 => vec![Verb::Delete { key }],
            16 => vec![Verb::Exists { key }],
            17 => vec![Verb::Count],
            18 => vec![Verb::List { prefix: "k".into(), limit: 3 }],
            _ => vec![Verb::Get { key: key.clone() }, Verb::Put { key, value }, Verb::Count],
        }
    }

    fn ask(&mut self, request: Vec<Verb>) -> bool {
        let access = if request.iter().any(Verb::writes) { Access::Write } else { Access::Read };
        let payload = encode_request(&request).unwrap();
        let id = self.history.invoke(self.clock.now().0, self.number, request);
        let outcome = self.client.submit(access, payload, Span::secs(3)).unwrap();
        let outcome = match outcome {
            Outcome::Done { revision, reply } => {
                history::Outcome::Done { revision: Some(revision.0), answers: decode_reply(&reply).unwrap() }
            }
            Outcome::NotDone { .. } => history::Outcome::NotDone,
            Outcome::Unknown { .. } => history::Outcome::Unknown,
        };
        let done = matches!(outcome, history::Outcome::Done { .. });
        self.history.end(self.clock.now().0, id, outcome);
        done
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % limit
    }
}

/// What a new client finds after everything was killed, with the history of its reading.
fn read_everything(addresses: &[String]) -> (History, Vec<String>) {
    let mut reader = Worker::new(CLIENTS, addresses);
    let begun = Instant::now();
    while !reader.ask(vec![Verb::List { prefix: "".into(), limit: u32::MAX }]) {
        assert!(begun.elapsed() < PATIENCE, "the cluster does not come back");
    }
    let operations = reader.history.operations();
    let history::Outcome::Done { answers, .. } = &operations.last().unwrap().outcome else { unreachable!() };
    let [Answer::List { pairs, more: false }] = &answers[..] else { panic!("{answers:?}") };
    let found = pairs.iter().map(|(key, _, _)| key.to_string()).collect();
    (reader.history, found)
}
