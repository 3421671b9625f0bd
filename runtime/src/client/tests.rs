//! A server of this process and clients that share connections to it.

use super::*;
use crate::{
    disk::Persistence,
    server::{self, Server, ServerConfig, random},
};
use ios_core::{
    configuration::{Configuration, ConfigurationDraft},
    ids::NodeId,
    options::Options,
    service::{
        Access,
        kv::{Kv, Operation, Reply, request::encode},
    },
};
use std::net::TcpListener;

const TIMEOUT: Span = Span::secs(20);

/// A cluster of one, which ends with it.
struct Alone {
    server: Option<Server>,
    address: String,
    _root: tempfile::TempDir,
}

impl Alone {
    fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        // An address of its own: the whole of 127.0.0.0/8 is this machine's.
        let [a, b, c, ..] = random().unwrap().to_le_bytes().map(|byte| byte.clamp(1, 254));
        let (peers, clients) = (SocketAddr::from(([127, a, b, c], 7100)), SocketAddr::from(([127, a, b, c], 7200)));
        let node = NodeId(0);
        let configuration = Configuration::new(ConfigurationDraft { members: vec![node], ..Default::default() });
        let config = ServerConfig {
            node,
            configuration: configuration.unwrap(),
            options: Options::default(),
            peers: BTreeMap::from([(node, peers.to_string())]),
            clients,
            clients_max: 64,
            http: None,
            language: "kv-store".parse().unwrap(),
            data: root.path().join("n0"),
            persistence: Persistence::None,
        };
        server::format(&config.data, node, &config.configuration).unwrap();
        let server = Server::start(config, Kv::default()).unwrap();
        Self { server: Some(server), address: clients.to_string(), _root: root }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let server = self.server.take().unwrap();
        server.stopper().stop();
        let _ = server.join();
    }
}

fn put(key: u32) -> Bytes {
    encode(&[Operation::Put { key: &key.to_le_bytes(), value: b"v" }]).unwrap()
}

fn count() -> Bytes {
    encode(&[Operation::Count]).unwrap()
}

/// How many keys there are, and at which revision.
fn counted(outcome: Outcome) -> (u64, u64) {
    let Outcome::Done { revision, reply } = outcome else { panic!("{outcome:?}") };
    let Reply::Outcomes(outcomes) = Reply::decode(&reply).unwrap() else { panic!("{reply:?}") };
    let [ios_core::service::kv::Outcome::Count(count)] = outcomes[..] else { panic!("{outcomes:?}") };
    (count, revision.0)
}

fn finish(pipeline: &mut Pipeline, operations: usize) -> Vec<Completion> {
    let mut all = Vec::new();
    while all.len() < operations {
        pipeline.turn(None).unwrap();
        all.extend(pipeline.completions());
    }
    all
}

#[test]
fn many_operations_of_many_sessions_on_two_connections_are_each_done_once() {
    let alone = Alone::start();
    let options = PipelineOptions { sessions: 7, connections: 2, client: ClientOptions::default() };
    let mut pipeline = Pipeline::new(std::slice::from_ref(&alone.address), options).unwrap();
    let deadline = pipeline.now() + TIMEOUT;
    let mut submitted: Vec<OperationId> =
        (0..1000).map(|key| pipeline.submit(Access::Write, put(key), deadline)).collect();
    submitted.extend((0..100).map(|_| pipeline.submit(Access::Read, count(), deadline)));
    let mut completions = finish(&mut pipeline, submitted.len());
    assert_eq!(pipeline.connections(), 2);
    completions.sort_by_key(|completion| completion.operation);
    assert!(completions.iter().all(|completion| matches!(completion.outcome, Outcome::Done { .. })), "{completions:?}");
    assert_eq!(completions.iter().map(|completion| completion.operation).collect::<Vec<_>>(), submitted);

    pipeline.submit(Access::Read, count(), deadline);
    let last = finish(&mut pipeline, 1).remove(0);
    let (keys, revision) = counted(last.outcome);
    assert_eq!((keys, revision), (1000, 1000), "a put done twice has two revisions");
    pipeline.close(deadline).unwrap();
    assert_eq!(pipeline.connections(), 0);
}

#[test]
fn threads_share_a_client() {
    let alone = Alone::start();
    let options = PipelineOptions { sessions: 2, ..PipelineOptions::default() };
    let client = PipelinedClient::start(std::slice::from_ref(&alone.address), options).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let client = &client;
            scope.spawn(move || {
                let pending: Vec<Pending> =
                    (0..50).map(|key| client.submit(Access::Write, put(100 * thread + key), TIMEOUT)).collect();
                for pending in pending {
                    assert!(matches!(pending.wait().unwrap(), Outcome::Done { .. }));
                }
            });
        }
    });
    assert_eq!(counted(client.call(Access::Read, count(), TIMEOUT).unwrap()), (200, 200));
    client.close(TIMEOUT);
}

#[test]
fn a_client_that_ends_leaves_nobody_waiting() {
    // Nobody listens there: the port was free a moment ago.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let client = PipelinedClient::start(&[nobody], PipelineOptions::default()).unwrap();
    let pending = client.submit(Access::Write, put(1), TIMEOUT);
    drop(client);
    assert!(matches!(pending.wait().unwrap(), Outcome::NotDone { .. }));
}

#[test]
fn a_turn_ends_on_time() {
    let alone = Alone::start();
    let mut pipeline = Pipeline::new(std::slice::from_ref(&alone.address), PipelineOptions::default()).unwrap();
    let until = pipeline.now() + Span::micros(300);
    pipeline.turn(Some(until)).unwrap();
    assert!(pipeline.now() >= until, "not before it");
    // Not compared with a clock any further: on a busy machine it may end late.
    pipeline.turn(Some(until)).unwrap();
}
