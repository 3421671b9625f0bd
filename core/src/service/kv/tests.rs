//! The store through its encoded requests: revisions, limits, atomicity, fingerprint, and no fear of any bytes.

use super::*;
use crate::{ids::Index, time::Time};
use alloc::vec;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// A store and the revision the next change gets.
#[derive(Default)]
struct Shop {
    store: Kv,
    revision: u64,
}

impl Shop {
    /// Applies a request, checks what must hold after any, and says whether it changed anything.
    fn raw(&mut self, request: &[u8]) -> (bool, Vec<u8>) {
        let revision = Revision(self.revision + 1);
        let at = Applied { index: Index(revision.0), position: 0, revision, log_time: Time::ZERO };
        let before = self.store.clone();
        let mut reply = b"what was there".to_vec();
        let changed = self.store.apply(&at, request, &mut reply);
        let reply = reply.strip_prefix(b"what was there").expect("a reply is appended").to_vec();
        self.revision += u64::from(changed);
        assert!(changed || self.store == before, "only what says so changes the store");
        assert_eq!(self.store.fingerprint(), self.store.fingerprint_from_scratch());
        (changed, reply)
    }

    fn check(&mut self, operations: &[Operation<'_>], changed: bool, outcomes: &[Outcome<'_>]) {
        let (has_changed, reply) = self.raw(&request::encode(operations).unwrap());
        assert_eq!(Reply::decode(&reply), Ok(Reply::Outcomes(outcomes.to_vec())), "{operations:?}");
        assert_eq!(has_changed, changed, "{operations:?}");
    }
}

fn marks(created: u64, modified: u64, version: u64) -> Marks {
    Marks { created: Revision(created), modified: Revision(modified), version }
}

const GET: Operation<'_> = Operation::Get { key: b"k" };
const DELETE: Operation<'_> = Operation::Delete { key: b"k" };
const EXISTS: Operation<'_> = Operation::Exists { key: b"k" };
const LIST: Operation<'_> = Operation::List { prefix: b"", limit: u32::MAX };

fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Operation<'a> {
    Operation::Put { key, value }
}

fn compare<'a>(expected: Option<&'a [u8]>, value: &'a [u8]) -> Operation<'a> {
    Operation::CompareAndSet { key: b"k", expected, value }
}

#[test]
fn revisions_and_versions_tell_a_keys_history() {
    let mut shop = Shop::default();
    shop.check(&[GET], false, &[Outcome::Missing]);
    shop.check(&[put(b"k", b"1")], true, &[Outcome::Written { modified: Revision(1) }]);
    shop.check(&[put(b"other", b"1")], true, &[Outcome::Written { modified: Revision(2) }]);
    // Writing what is there already is a write.
    shop.check(&[put(b"k", b"1")], true, &[Outcome::Written { modified: Revision(3) }]);
    shop.check(&[GET], false, &[Outcome::Value { value: b"1", marks: marks(1, 3, 2) }]);
    shop.check(&[EXISTS], false, &[Outcome::Exists { modified: Some(Revision(3)) }]);
    shop.check(&[DELETE], true, &[Outcome::Deleted { found: true }]);
    shop.check(&[DELETE], false, &[Outcome::Deleted { found: false }]);
    shop.check(&[EXISTS], false, &[Outcome::Exists { modified: None }]);
    // What is deleted and put again starts anew.
    shop.check(&[put(b"k", b"")], true, &[Outcome::Written { modified: Revision(5) }]);
    shop.check(&[GET], false, &[Outcome::Value { value: b"", marks: marks(5, 5, 1) }]);
    shop.check(&[Operation::Count], false, &[Outcome::Count(2)]);
}

#[test]
fn compare_and_set_writes_only_what_compares() {
    let mut shop = Shop::default();
    shop.check(&[compare(Some(b""), b"1")], false, &[Outcome::NotSwapped { modified: None }]);
    shop.check(&[compare(None, b"1")], true, &[Outcome::Swapped { modified: Revision(1) }]);
    shop.check(&[compare(None, b"2")], false, &[Outcome::NotSwapped { modified: Some(Revision(1)) }]);
    shop.check(&[compare(Some(b"2"), b"3")], false, &[Outcome::NotSwapped { modified: Some(Revision(1)) }]);
    shop.check(&[compare(Some(b"1"), b"3")], true, &[Outcome::Swapped { modified: Revision(2) }]);
    shop.check(&[GET], false, &[Outcome::Value { value: b"3", marks: marks(1, 2, 2) }]);
}

#[test]
fn operations_of_one_request_see_each_other_and_share_a_revision() {
    let mut shop = Shop::default();
    shop.check(
        &[GET, put(b"k", b"1"), GET, compare(Some(b"0"), b"9"), compare(Some(b"1"), b"2"), GET, put(b"l", b"3"), LIST],
        true,
        &[
            Outcome::Missing,
            Outcome::Written { modified: Revision(1) },
            Outcome::Value { value: b"1", marks: marks(1, 1, 1) },
            Outcome::NotSwapped { modified: Some(Revision(1)) },
            Outcome::Swapped { modified: Revision(1) },
            Outcome::Value { value: b"2", marks: marks(1, 1, 2) },
            Outcome::Written { modified: Revision(1) },
            list(&[(b"k", b"2", marks(1, 1, 2)), (b"l", b"3", marks(1, 1, 1))], false),
        ],
    );
    // One change among much else is a change.
    shop.check(&[DELETE, DELETE], true, &[Outcome::Deleted { found: true }, Outcome::Deleted { found: false }]);
    assert_eq!(shop.revision, 2);
}

/// A list outcome, as it comes out of a reply. The bytes live as long as the test.
fn list(pairs: &[(&[u8], &[u8], Marks)], more: bool) -> Outcome<'static> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, 1);
    let limit = if more { pairs.len() as u32 } else { u32::MAX };
    let extra = more.then_some((&b"extra"[..], &b""[..], marks(0, 0, 0)));
    writer.push_list(limit, pairs.iter().copied().chain(extra));
    match Reply::decode(bytes.leak()) {
        Ok(Reply::Outcomes(mut outcomes)) => outcomes.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_list_is_sorted_and_has_a_prefix_and_a_limit() {
    let mut shop = Shop::default();
    let keys: [&[u8]; 6] = [b"b", b"", b"ab", b"a", b"a\xff", b"a\xff\xff"];
    for key in keys {
        shop.raw(&request::encode(&[put(key, key)]).unwrap());
    }
    for (prefix, limit, expected, more) in [
        (&b""[..], u32::MAX, &[&b""[..], b"a", b"ab", b"a\xff", b"a\xff\xff", b"b"][..], false),
        (b"a", 9, &[b"a", b"ab", b"a\xff", b"a\xff\xff"], false),
        (b"a", 4, &[b"a", b"ab", b"a\xff", b"a\xff\xff"], false),
        (b"a", 3, &[b"a", b"ab", b"a\xff"], true),
        (b"a\xff", 9, &[b"a\xff", b"a\xff\xff"], false),
        (b"", 0, &[], true),
        (b"c", 0, &[], false),
        (b"abc", 9, &[], false),
    ] {
        let (_, reply) = shop.raw(&request::encode(&[Operation::List { prefix, limit }]).unwrap());
        let Ok(Reply::Outcomes(outcomes)) = Reply::decode(&reply) else { panic!("{reply:?}") };
        let [Outcome::List { pairs, more: has_more }] = &outcomes[..] else { panic!("{outcomes:?}") };
        let found: Vec<_> = pairs.clone().map(|(key, value, _)| (key, value)).collect();
        assert_eq!(found, expected.iter().map(|key| (*key, *key)).collect::<Vec<_>>(), "{prefix:?} {limit}");
        assert_eq!(*has_more, more, "{prefix:?} {limit}");
    }
}

#[test]
fn replies_are_bounded_and_say_what_they_leave_out() {
    let mut shop = Shop::default();
    let value = vec![b'v'; 1 << 20];
    let two = request::encode(&[put(b"a", &value), put(b"b", &value)]).unwrap();
    shop.raw(&two);
    let value = || Outcome::Value { value: &value, marks: marks(1, 1, 1) };
    let (a, b) = (Operation::Get { key: b"a" }, Operation::Get { key: b"b" });
    let omitted = Outcome::Omitted { size: 1 << 20 };
    shop.check(
        &[a, b, put(b"c", b"small"), EXISTS, Operation::Get { key: b"c" }],
        true,
        &[
            value(),
            omitted.clone(),
            Outcome::Written { modified: Revision(2) },
            Outcome::Exists { modified: None },
            Outcome::Value { value: b"small", marks: marks(2, 2, 1) },
        ],
    );
    for (operations, most) in [(vec![a; OPERATIONS_MAX], REPLY_MAX), (vec![LIST; OPERATIONS_MAX], REPLY_MAX)] {
        let (_, reply) = shop.raw(&request::encode(&operations).unwrap());
        assert!(Reply::decode(&reply).is_ok() && reply.len() <= most + OPERATIONS_MAX * 32, "{}", reply.len());
    }
    let (_, reply) = shop.raw(&request::encode(&[LIST]).unwrap());
    let Ok(Reply::Outcomes(outcomes)) = Reply::decode(&reply) else { panic!("a list is a reply") };
    assert!(matches!(&outcomes[..], [Outcome::List { more: true, pairs }] if pairs.clone().count() == 1));
}

#[test]
fn limits_are_refused_with_limit_and_size() {
    let store = Kv::new(Limits { key: 3, value: 5, request: 60 });
    let check = |operations: &[Operation<'_>]| store.check(Access::Write, &request::encode(operations).unwrap());
    let large = |limit, actual| Err(Objection::TooLarge { limit, actual });
    assert_eq!(check(&[put(b"key", b"value")]), Ok(()));
    assert_eq!(check(&[GET, put(b"keys", b"value")]), large(3, 4));
    assert_eq!(check(&[put(b"key", b"values")]), large(5, 6));
    assert_eq!(check(&[Operation::List { prefix: b"long", limit: 1 }]), large(3, 4));
    assert_eq!(check(&[compare(None, b"values")]), large(5, 6));
    assert_eq!(check(&[compare(Some(b"a longer one never compares"), b"value")]), Ok(()));
    assert_eq!(check(&[GET; 9]), Ok(()));
    assert_eq!(check(&[GET; 10]), large(60, 62));
    let published = Limits::default();
    assert_eq!((published.key, published.value, published.request), (4096, 1_048_576, 1_572_864));
}

#[test]
fn a_read_with_a_write_anywhere_is_refused() {
    let store = Kv::default();
    let reads = [GET, EXISTS, Operation::Count, LIST];
    let request = request::encode(&reads).unwrap();
    assert_eq!(store.check(Access::Read, &request), Ok(()));
    for write in [put(b"k", b""), DELETE, compare(None, b"")] {
        for place in 0..=reads.len() {
            let mut operations = reads.to_vec();
            operations.insert(place, write);
            let request = request::encode(&operations).unwrap();
            let why = format!("a read cannot write, but operation {} is a {}", place + 1, write.name());
            assert_eq!(store.check(Access::Read, &request), Err(Objection::Invalid(why.clone())));
            assert_eq!(store.check(Access::Write, &request), Ok(()));
            let mut reply = Vec::new();
            store.query(&request, &mut reply);
            assert_eq!(Reply::decode(&reply), Ok(Reply::Error(&why)));
        }
    }
    let bad = store.check(Access::Read, b"").unwrap_err();
    assert_eq!(bad, Objection::Invalid("the request ends within an operation".to_string()));
}

#[test]
fn a_query_answers_what_the_log_would() {
    let mut shop = Shop::default();
    shop.raw(&request::encode(&[put(b"k", b"1"), put(b"l", b"2")]).unwrap());
    let request = request::encode(&[GET, EXISTS, Operation::Count, LIST, Operation::Get { key: b"m" }]).unwrap();
    let mut queried = Vec::new();
    shop.store.query(&request, &mut queried);
    assert_eq!(shop.raw(&request), (false, queried));
}

#[test]
fn the_fingerprint_sees_every_field_and_forgets_nothing_but_what_is_gone() {
    let fingerprint_after = |requests: &[&[Operation<'_>]]| {
        let mut shop = Shop::default();
        for operations in requests {
            shop.raw(&request::encode(operations).unwrap());
        }
        shop.store.fingerprint()
    };
    let (k1, k2, l1) = (put(b"k", b"1"), put(b"k", b"2"), put(b"l", b"1"));
    let histories: [&[&[Operation<'_>]]; 8] = [
        &[],
        &[&[k1]],
        &[&[k2]],
        &[&[l1]],
        &[&[k1], &[k1]],
        &[&[k1, k1]],
        &[&[l1], &[DELETE, k1]],
        &[&[put(b"k1", b"")]],
    ];
    let mut fingerprints: Vec<_> = histories.iter().map(|history| fingerprint_after(history)).collect();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), histories.len());
    assert_eq!(fingerprint_after(&[&[k1], &[DELETE]]), 0);
}

#[test]
fn no_bytes_make_it_panic_and_every_answer_can_be_read() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut shop = Shop::default();
    let sample = request::encode(&[put(b"k", b"1"), GET, DELETE, EXISTS, compare(Some(b"1"), b"2"), LIST]).unwrap();
    let mut understood = 0;
    for round in 0..20_000 {
        let mut bytes = sample.to_vec();
        if round % 2 == 0 {
            bytes = (0..rng.next_u32() % 24).map(|_| (rng.next_u32() % 9) as u8).collect();
        } else {
            let place = rng.next_u32() as usize % bytes.len();
            bytes[place] = rng.next_u32() as u8;
        }
        let (_, reply) = shop.raw(&bytes);
        understood += u32::from(matches!(Reply::decode(&reply).unwrap(), Reply::Outcomes(_)));
        let mut queried = Vec::new();
        shop.store.query(&bytes, &mut queried);
        assert!(Reply::decode(&queried).is_ok());
        assert!(text::format_reply(&reply) != text::format_reply(b""));
        // The same bytes as a reply: anything may come over the wire to a client.
        text::format_reply(&bytes);
        for access in [Access::Read, Access::Write] {
            assert!(shop.store.check(access, &bytes).is_ok() <= Operations::decode(&bytes).is_ok());
        }
    }
    assert!(understood > 1_000, "random requests that mean something: {understood}");
}

#[test]
fn f23_what_is_listed_is_in_order_whatever_the_order_it_came_in() {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let mut keys: Vec<Vec<u8>> = (0..200u32).map(|key| key.to_string().into_bytes()).collect();
    let mut listed = Vec::new();
    for _ in 0..4 {
        for at in (1..keys.len()).rev() {
            keys.swap(at, rng.next_u32() as usize % (at + 1));
        }
        let mut store = Kv::default();
        let at = Applied { index: Index(1), position: 0, revision: Revision(1), log_time: Time::ZERO };
        for key in &keys {
            store.apply(&at, &request::encode(&[put(key, b"")]).unwrap(), &mut Vec::new());
        }
        let mut reply = Vec::new();
        store.query(&request::encode(&[LIST]).unwrap(), &mut reply);
        listed.push(reply);
    }
    keys.sort();
    let lines: String = keys.iter().map(|key| format!("{}, \n", String::from_utf8_lossy(key))).collect();
    for reply in listed {
        assert_eq!(text::format_reply(&reply), lines);
    }
}
