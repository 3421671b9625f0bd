//! Exactly once: repetitions, the mark, expiry by log time, and bounds, through whole batches.

use super::*;
use crate::{
    batch::BatchBuilder,
    service::{Objection, kv, kv::Kv},
};
use alloc::vec;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

const TTL: Span = Span(100);

/// A service that shows each execution: it appends requests to a journal and answers with its length, padded to the
/// length that the request's first byte asks for, in units of a hundred bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Tape(Vec<Vec<u8>>);

impl Service for Tape {
    fn apply(&mut self, _: &Applied, request: &[u8], reply: &mut Vec<u8>) -> bool {
        let start = reply.len();
        self.0.push(request.to_vec());
        reply.extend_from_slice(&self.0.len().to_le_bytes());
        let padding = request.first().map_or(0, |&units| usize::from(units) * 100);
        reply.resize(start + 8 + padding, b'.');
        true
    }

    fn query(&self, _: &[u8], reply: &mut Vec<u8>) {
        reply.extend_from_slice(&self.0.len().to_le_bytes());
    }

    fn check(&self, _: Access, _: &[u8]) -> Result<(), Objection> {
        Ok(())
    }

    fn fingerprint(&self) -> u64 {
        xxh3_64(&self.0.concat())
    }

    fn snapshot_begin(&mut self) {}

    fn snapshot_next(&mut self, _: &mut Vec<u8>) -> Captured {
        Captured::End
    }

    fn snapshot_end(&mut self) {}

    fn blank(&self) -> Self {
        Self::default()
    }

    fn restore(&mut self, _: &[u8]) -> bool {
        false
    }
}

/// A machine and the log it is fed, with sessions by number.
struct Log {
    machine: Machine<Tape>,
    index: u64,
    sessions: Vec<SessionId>,
    notes: Vec<Note>,
}

impl Log {
    /// A log whose first batches open so many sessions at log time zero.
    fn new(sessions: usize) -> Self {
        let mut log = Self { machine: Machine::new(Tape::default(), TTL), index: 0, sessions: vec![], notes: vec![] };
        for _ in 0..sessions {
            log.register(0);
        }
        log
    }

    fn register(&mut self, stamp: u64) {
        let answers = self.apply(stamp, &[Command::Register]);
        let [Answer::Registered { session, ttl: TTL }] = answers[..] else { panic!("{answers:?}") };
        assert_eq!(session, SessionId { index: Index(self.index), position: 0 });
        self.sessions.push(session);
    }

    fn apply(&mut self, stamp: u64, commands: &[Command]) -> Vec<Answer> {
        let mut batch = BatchBuilder::default();
        commands.iter().for_each(|command| batch.push(command));
        self.apply_batch(&batch.finish(Time(stamp)))
    }

    fn apply_batch(&mut self, batch: &Batch) -> Vec<Answer> {
        self.index += 1;
        let (mut out, mut answers) = (vec![], vec![]);
        self.machine.apply(Index(self.index), batch, &mut out, &mut answers);
        assert_eq!(answers.len(), batch.len(), "one answer per command");
        let fingerprint = xxh3_64(&self.machine.service().0.concat());
        assert_eq!(self.machine.state_hash(), self.machine.state_hash_from_scratch(fingerprint));
        self.notes = out
            .into_iter()
            .map(|output| match output {
                Output::Note(note) => note,
                other => panic!("the machine only takes notes: {other:?}"),
            })
            .collect();
        answers
    }

    fn request(&self, session: usize, sequence: u64, acked: u64) -> Command {
        self.long_request(session, sequence, acked, 0)
    }

    /// A request for a reply of so many hundred bytes.
    fn long_request(&self, session: usize, sequence: u64, acked: u64, hundreds: u8) -> Command {
        let payload = Bytes::copy_from_slice(&[hundreds, session as u8, sequence as u8]);
        let session = self.sessions[session];
        Command::Request { session, sequence: Sequence(sequence), acked: Sequence(acked), payload }
    }

    fn one(&mut self, command: Command) -> Answer {
        self.apply(self.machine.log_time().0, &[command]).remove(0)
    }

    fn executed(&self) -> usize {
        self.machine.service().0.len()
    }
}

/// The answer of the tape's `nth` execution.
fn reply(nth: u64, first: bool) -> Answer {
    Answer::Reply { revision: Revision(nth), payload: Bytes::copy_from_slice(&nth.to_le_bytes()), first }
}

#[test]
fn a_repeated_request_gets_the_first_reply_and_executes_once() {
    let mut log = Log::new(1);
    let request = log.request(0, 1, 0);
    assert_eq!(log.apply(0, &[request.clone(), request.clone()]), [reply(1, true), reply(1, false)]);
    let (session, sequence) = (log.sessions[0], Sequence(1));
    let executed = Note::Executed { index: Index(2), position: 0, session, sequence };
    assert_eq!(log.notes, [executed, Note::Repeated { session, sequence }]);
    let second = log.request(0, 2, 0);
    assert_eq!(log.apply(0, &[second, request]), [reply(2, true), reply(1, false)]);
    assert_eq!(log.executed(), 2);
}

#[test]
fn replies_of_any_length_are_repeated_byte_for_byte() {
    let mut log = Log::new(1);
    for (sequence, hundreds) in [(1, 0), (2, 1), (3, 0), (4, 255)] {
        let request = log.long_request(0, sequence, 0, hundreds);
        let answers = log.apply(0, &[request.clone(), request.clone()]);
        let later = log.one(request);
        let payload = |answer: &Answer| match answer {
            Answer::Reply { payload, .. } => payload.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(payload(&answers[0]).len(), 8 + usize::from(hundreds) * 100);
        assert_eq!((payload(&answers[0]), payload(&answers[0])), (payload(&answers[1]), payload(&later)));
    }
}

#[test]
fn a_window_of_requests_executes_in_any_order_and_each_once() {
    let mut log = Log::new(1);
    let window = IN_FLIGHT_MAX as u64;
    // 5 is coprime to 64: every sequence number comes up once, far from in order.
    let order: Vec<u64> = (0..window).map(|step| step * 5 % window + 1).collect();
    for (nth, &sequence) in (1..).zip(&order) {
        let request = log.request(0, sequence, 0);
        assert_eq!(log.one(request), reply(nth, true));
    }
    for (nth, &sequence) in (1..).zip(&order) {
        let request = log.request(0, sequence, 0);
        assert_eq!(log.one(request), reply(nth, false));
    }
    let beyond = log.request(0, window + 1, 0);
    assert_eq!(log.one(beyond), Answer::OutOfWindow);
    let moved = log.request(0, window + 1, 1);
    assert_eq!(log.one(moved), reply(window + 1, true));
    assert_eq!(log.executed(), IN_FLIGHT_MAX + 1);
}

#[test]
fn at_or_below_the_mark_is_stale_and_the_mark_never_goes_back() {
    let mut log = Log::new(1);
    for (sequence, acked, answer) in [
        (1, 0, reply(1, true)),
        (0, 0, Answer::Stale),
        (3, 1, reply(2, true)),
        (1, 0, Answer::Stale),
        // Acknowledging 2, which never came, gives it up.
        (4, 2, reply(3, true)),
        (2, 0, Answer::Stale),
        (3, 0, reply(2, false)),
        (66, 0, reply(4, true)),
        (67, 0, Answer::OutOfWindow),
        // The mark moves to 5 even so, and what was kept below is gone.
        (70, 5, Answer::OutOfWindow),
        (4, 0, Answer::Stale),
        (69, 0, reply(5, true)),
    ] {
        let request = log.request(0, sequence, acked);
        assert_eq!(log.one(request), answer, "sequence {sequence}, acked {acked}");
    }
}

#[test]
fn nonsense_harms_nobody_but_its_sender() {
    let mut log = Log::new(2);
    let kept = log.request(1, 1, 0);
    log.one(kept.clone());
    for (sequence, acked, answer) in [
        (u64::MAX, 0, Answer::OutOfWindow),
        (0, 0, Answer::Stale),
        (5, 5, Answer::Stale),
        (6, 9, Answer::Stale),
        (10, 9, reply(2, true)),
        (u64::MAX, u64::MAX - 1, reply(3, true)),
        (u64::MAX, 0, reply(3, false)),
        (u64::MAX, u64::MAX, Answer::Stale),
        (1, 0, Answer::Stale),
    ] {
        let request = log.request(0, sequence, acked);
        assert_eq!(log.one(request), answer, "sequence {sequence}, acked {acked}");
    }
    assert_eq!(log.one(kept), reply(1, false));
    log.sessions.push(SessionId { index: Index(u64::MAX), position: u32::MAX });
    let of_nobody = log.request(2, 1, 0);
    assert_eq!(log.one(of_nobody), Answer::Expired);
    assert_eq!(log.executed(), 3);
}

#[test]
fn sessions_expire_by_log_time_alone() {
    let mut log = Log::new(3);
    assert_eq!(log.machine.next_expiry(), Some(Time(100)));
    let (keep_alive, request) = (Command::KeepAlive { session: log.sessions[1] }, log.request(2, 1, 0));
    log.apply(50, &[keep_alive, request]);
    // Neither an older stamp nor a no-op moves log time.
    log.apply(20, &[]);
    log.apply_batch(&Batch::noop());
    assert_eq!((log.machine.log_time(), log.machine.sessions()), (Time(50), 3));
    log.apply(99, &[]);
    assert_eq!((log.machine.sessions(), log.notes.len()), (3, 0));
    // The sign of life in the batch that carries log time to the end comes too late.
    let late = Command::KeepAlive { session: log.sessions[0] };
    assert_eq!(log.apply(100, &[late]), [Answer::Expired]);
    assert_eq!(log.notes, [Note::Expired { session: log.sessions[0] }]);
    assert_eq!(log.machine.next_expiry(), Some(Time(150)));
    let (renewed, lost) = (log.request(1, 1, 0), log.request(0, 1, 0));
    assert_eq!(log.apply(149, &[renewed, lost]), [reply(2, true), Answer::Expired]);
    log.apply(150, &[]);
    assert_eq!(log.notes, [Note::Expired { session: log.sessions[2] }]);
    log.apply(u64::MAX, &[]);
    assert_eq!((log.machine.sessions(), log.machine.next_expiry()), (0, None));
    log.register(u64::MAX);
    assert_eq!(log.apply(u64::MAX, &[]), []);
    assert_eq!(log.machine.sessions(), 0, "at the end of time nothing lasts, and nothing spins");
}

#[test]
fn a_refused_request_is_a_sign_of_life_too() {
    let mut log = Log::new(1);
    let (stale, beyond) = (log.request(0, 0, 0), log.request(0, 1000, 0));
    log.apply(60, &[stale]);
    log.apply(120, &[beyond]);
    log.apply(219, &[]);
    assert_eq!(log.machine.sessions(), 1);
    log.apply(220, &[]);
    assert_eq!(log.machine.sessions(), 0);
}

#[test]
fn a_closed_session_is_gone_and_may_be_closed_again() {
    let mut log = Log::new(2);
    let fresh = log.machine.clone();
    let close = Command::Close { session: log.sessions[1] };
    assert_eq!(log.apply(0, &[close.clone(), close]), [Answer::Done, Answer::Done]);
    let (request, keep_alive) = (log.request(1, 1, 0), Command::KeepAlive { session: log.sessions[1] });
    assert_eq!(log.apply(0, &[request, keep_alive]), [Answer::Expired, Answer::Expired]);
    assert_eq!((log.machine.sessions(), log.notes.len()), (1, 0));
    assert_ne!(log.machine.state_hash(), fresh.state_hash());
}

#[test]
fn the_table_of_sessions_is_bounded_and_a_newcomer_ends_nobody() {
    let mut log = Log::new(1);
    let mut batch = BatchBuilder::default();
    (0..SESSIONS_MAX).for_each(|_| batch.push(&Command::Register));
    let answers = log.apply_batch(&batch.finish(Time(0)));
    assert_eq!(answers.iter().filter(|answer| **answer == Answer::Overloaded).count(), 1);
    assert_eq!((answers.last(), log.machine.sessions()), (Some(&Answer::Overloaded), SESSIONS_MAX));
    assert_eq!(Answer::Overloaded.refusal(), Some(Refusal::Overloaded));
    let request = log.request(0, 1, 0);
    assert_eq!(log.one(request), reply(1, true));
    log.apply(100, &[]);
    log.register(100);
}

#[test]
fn a_reply_without_room_is_delivered_once_and_never_executed_again() {
    let mut sessions = Sessions::new(TTL);
    let id = SessionId { index: Index(1), position: 0 };
    sessions.register(id, Time(0));
    let long = vec![7; KEPT_BYTES_MAX - 10];
    sessions.with(id, Time(0), |session, room| session.keep(Sequence(1), Revision(1), &long, room));
    sessions.with(id, Time(0), |session, room| {
        assert_eq!(room, 10);
        session.keep(Sequence(2), Revision(2), &[0; 39], room);
        session.keep(Sequence(3), Revision(2), &[0; 38], room);
        let kept = |sequence| match session.look_up(Sequence(sequence)) {
            Lookup::Kept(kept) => kept.clone(),
            _ => panic!("{sequence} is kept in some form"),
        };
        let mut replies = BatchReplies::new(0);
        assert_eq!(replies.repeat(0, &kept(2)), Answer::Stale);
        assert!(matches!(kept(3).payload(), Payload::Inline(_)), "short replies are always kept");
    });
    assert_eq!(sessions.fingerprint(), sessions.fingerprint_from_scratch());
    sessions.with(id, Time(0), |session, _| session.acknowledge(Sequence(1)));
    sessions.with(id, Time(0), |_, room| assert_eq!(room, KEPT_BYTES_MAX));
    assert_eq!(sessions.fingerprint(), sessions.fingerprint_from_scratch());
}

#[test]
fn the_replies_of_one_batch_are_bounded() {
    let mut log = Log::new(60);
    let mut batch = BatchBuilder::default();
    for sequence in 1..=30 {
        (0..60).for_each(|session| batch.push(&log.long_request(session, sequence, 0, 255)));
    }
    let batch = batch.finish(Time(0));
    let answers = log.apply_batch(&batch);
    let fit = BATCH_REPLY_BYTES_MAX / 25_508 + 1;
    assert_eq!(log.executed(), fit);
    assert!(answers[..fit].iter().all(|answer| matches!(answer, Answer::Reply { first: true, .. })));
    assert!(answers[fit..].iter().all(|answer| *answer == Answer::Overloaded));
    // What was refused was not executed, and may be tried again.
    log.apply_batch(&batch);
    assert_eq!(log.executed(), 2 * fit);
}

#[test]
#[should_panic(expected = "batch 1 comes after batch 1")]
fn no_batch_is_applied_twice() {
    let mut machine = Machine::new(Tape::default(), TTL);
    for _ in 0..2 {
        machine.apply(Index(1), &Batch::noop(), &mut vec![], &mut vec![]);
    }
}

/// One batch of anything that may come: mostly requests that make sense, with repetitions, late copies and nonsense.
fn any_batch(rng: &mut ChaCha8Rng, sessions: &[SessionId], clock: &mut u64) -> Batch {
    if rng.next_u32().is_multiple_of(16) {
        return Batch::noop();
    }
    *clock += u64::from(rng.next_u32() % 12);
    let stamp = Time(clock.saturating_sub(u64::from(rng.next_u32() % 20)));
    let mut batch = BatchBuilder::default();
    for _ in 0..rng.next_u32() % 8 {
        let pick = rng.next_u32() as usize % (sessions.len() + 1);
        let session = sessions.get(pick).copied().unwrap_or(SessionId { index: Index(999), position: 0 });
        let kind = rng.next_u32() % 32;
        batch.push(&match kind {
            0..=2 => Command::Register,
            3 => Command::Close { session },
            4 => Command::KeepAlive { session },
            _ => {
                let sequence = if kind == 5 { rng.next_u64() } else { u64::from(rng.next_u32() % 80) };
                let acked = if kind == 6 { rng.next_u64() } else { sequence.saturating_sub(rng.next_u64() % 70) };
                let key = [b'a' + (rng.next_u32() % 4) as u8];
                let value = vec![b'v'; rng.next_u32() as usize % 60];
                let list = kv::Operation::List { prefix: b"", limit: 9 };
                let put = kv::Operation::Put { key: &key, value: &value };
                let operations = [[put, list], [kv::Operation::Delete { key: &key }, put]];
                let payload = kv::request::encode(&operations[rng.next_u32() as usize % 2][..1 + kind as usize % 2]);
                Command::Request {
                    session,
                    sequence: Sequence(sequence),
                    acked: Sequence(acked),
                    payload: payload.unwrap(),
                }
            }
        });
    }
    batch.finish(stamp)
}

#[test]
fn machines_fed_the_same_batches_are_equal_and_their_hash_is_that_of_their_state() {
    for seed in 0..20 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut one, mut other) = (Machine::new(Kv::default(), TTL), Machine::new(Kv::default(), TTL));
        let (mut sessions, mut clock, mut hashes) = (vec![], 0, vec![]);
        for index in (1..=300).map(Index) {
            let batch = any_batch(&mut rng, &sessions, &mut clock);
            let (mut out, mut answers) = (vec![], vec![]);
            one.apply(index, &batch, &mut out, &mut answers);
            let (mut other_out, mut other_answers) = (vec![], vec![]);
            let decoded = Batch::decode(Bytes::copy_from_slice(batch.bytes())).unwrap();
            other.apply(index, &decoded, &mut other_out, &mut other_answers);
            assert_eq!((&one, &out, &answers), (&other, &other_out, &other_answers));
            let fingerprint = one.service().fingerprint_from_scratch();
            assert_eq!(one.state_hash(), one.state_hash_from_scratch(fingerprint));
            assert_eq!(one.state_hash(), other.state_hash());
            hashes.push(one.state_hash());
            sessions.extend(answers.iter().filter_map(|answer| match answer {
                Answer::Registered { session, .. } => Some(*session),
                _ => None,
            }));
            sessions.drain(..sessions.len().saturating_sub(6));
        }
        hashes.sort_unstable();
        hashes.dedup();
        assert!(hashes.len() > 200, "the hash moves with the state: {} values", hashes.len());
        assert!(one.revision() > Revision(100), "the batches do something: {}", one.revision());
    }
}

#[test]
fn f19_no_small_number_counts_as_seen() {
    let mut log = Log::new(2);
    for session in [0, 1] {
        let request = log.request(session, 1, 0);
        assert_eq!(log.one(request), reply(1 + session as u64, true), "the first request there is");
    }
    // Zero is the mark of a client that has heard no answer. As a number it is no request's, and nothing executes.
    let request = log.request(0, 0, 0);
    assert_eq!(log.one(request), Answer::Stale);
    let request = log.request(0, 2, 0);
    assert_eq!(log.one(request), reply(3, true));
}

#[test]
fn f20_no_two_sessions_have_one_id_and_none_has_the_replies_of_another() {
    let mut log = Log::new(1);
    let first = log.request(0, 1, 0);
    assert_eq!(log.one(first), reply(1, true));
    // A client that comes back, alone and with others in the same batch; and after all of them have expired.
    log.register(0);
    log.apply(0, &[Command::Register, Command::Register]).iter().for_each(|answer| match answer {
        Answer::Registered { session, .. } => log.sessions.push(*session),
        other => panic!("{other:?}"),
    });
    log.register(1_000);
    let mut ids = log.sessions.clone();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5, "{:?}", log.sessions);
    let request = log.request(4, 1, 0);
    assert_eq!(log.one(request), reply(2, true), "the same number, and not the reply of the first session's");
    let request = log.request(0, 1, 0);
    assert_eq!(log.one(request), Answer::Expired);
}
