//! Requests to the key-value store, lines typed by users, replies read by clients.

use bytes::Bytes;
use ios_core::{
    ids::{Index, Revision},
    service::{
        Access, Applied, Objection, Service,
        kv::{Kv, Operation, Reply, request, text},
    },
    time::Time,
};
use std::str::from_utf8;

/// The same bytes in the place of a request, of a line and of a reply.
pub fn service_request(bytes: &[u8]) {
    check_request(bytes);
    if let Ok(line) = from_utf8(bytes) {
        check_line(line);
    }
    text::format_reply(bytes);
}

/// Equal stores execute any bytes alike, answer with a reply that clients can read, and what passes for a read changes
/// nothing and says the same by either way.
fn check_request(bytes: &[u8]) {
    let before = store();
    let (mut one, mut other) = (before.clone(), before.clone());
    let (changed, reply) = apply(&mut one, bytes);
    assert_eq!((changed, &reply), (apply(&mut other, bytes).0, &apply(&mut before.clone(), bytes).1));
    assert_eq!(one.fingerprint(), other.fingerprint());
    assert!(changed || one.fingerprint() == before.fingerprint(), "a change went unreported");
    assert!(Reply::decode(&reply).is_ok(), "an unreadable reply");

    let mut answer = Vec::new();
    before.query(bytes, &mut answer);
    assert!(Reply::decode(&answer).is_ok(), "an unreadable answer");
    if before.check(Access::Read, bytes).is_ok() {
        assert!(before.check(Access::Write, bytes).is_ok(), "a read may go through the log");
        assert!(!changed, "a read changed something");
        assert_eq!(answer, reply);
    }
}

/// A line that is a command becomes a request that the store takes, unless it is over a limit.
fn check_line(line: &str) {
    let Ok((access, request)) = text::parse_line(line) else { return };
    match store().check(access, &request) {
        Ok(()) | Err(Objection::TooLarge { .. }) => check_request(&request),
        Err(objection) => panic!("{line:?} became a request that is refused: {objection:?}"),
    }
}

fn apply(store: &mut Kv, request: &[u8]) -> (bool, Vec<u8>) {
    let mut reply = Vec::new();
    let at = Applied { index: Index(9), position: 0, revision: Revision(4), log_time: Time(1) };
    (store.apply(&at, request, &mut reply), reply)
}

fn store() -> Kv {
    let mut store = Kv::default();
    for (revision, key, value) in [(1, "A", "1"), (2, "B", ""), (3, "key", "value")] {
        let request = encode(&[Operation::Put { key: key.as_bytes(), value: value.as_bytes() }]);
        let at = Applied { index: Index(1), position: 0, revision: Revision(revision), log_time: Time(0) };
        assert!(store.apply(&at, &request, &mut Vec::new()));
    }
    store
}

fn encode(operations: &[Operation<'_>]) -> Bytes {
    request::encode(operations).expect("samples are small")
}

/// Requests, lines and a reply.
pub fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let (key, value) = (&b"A"[..], &b"2"[..]);
    let swap = Operation::CompareAndSet { key, expected: Some(b"1"), value };
    let several = [Operation::Put { key: b"C", value }, swap, Operation::Delete { key: b"B" }, Operation::Get { key }];
    let reads = [Operation::Get { key }, Operation::Exists { key }, Operation::Count];
    let list = Operation::List { prefix: b"k", limit: 10 };
    let (_, reply) = apply(&mut store(), &encode(&several));
    vec![
        ("several", encode(&several).to_vec()),
        ("reads", encode(&reads).to_vec()),
        ("list", encode(&[list]).to_vec()),
        ("line", b"update A 1; get A; cas A 1 2; delete B; count; print".to_vec()),
        ("reply", reply),
    ]
}
