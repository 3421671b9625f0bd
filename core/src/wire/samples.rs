//! Messages of every variant, for the tests.

use crate::{
    batch::{Batch, BatchBuilder, Command},
    ids::{ClusterId, Digest, DiskNonce, Incarnation, Index, NodeId, Revision, Sequence, SessionId, View},
    journal::SnapshotSeal,
    message::*,
    time::{Span, Time},
};
use alloc::{boxed::Box, vec, vec::Vec};
use bytes::Bytes;

pub(super) const VIEW: View = View { round: 300, node: NodeId(2) };
const SESSION: SessionId = SessionId { index: Index(1000), position: 3 };

pub(super) fn batch(payload: usize) -> Batch {
    let mut builder = BatchBuilder::default();
    let payload = Bytes::from(vec![b'x'; payload]);
    builder.push(&Command::Request { session: SESSION, sequence: Sequence(2), acked: Sequence(1), payload });
    builder.finish(Time(1))
}

fn promise() -> Promise {
    let unknown = Unknown { view: VIEW, digest: Digest(9), committed: true };
    let entry = |index, accepted, unknown| PromiseEntry {
        index: Index(index),
        accepted,
        committed: index == 6,
        unknown,
        certain: index != 6,
    };
    Promise {
        view: VIEW,
        from: Index(5),
        to: Index(9),
        end: Index(12),
        compacted_below: Index(2),
        floor: Index(4),
        loss: true,
        entries: vec![
            entry(5, Some((VIEW, batch(3))), None),
            entry(6, Some((VIEW, Batch::noop())), Some(unknown)),
            entry(7, None, Some(unknown)),
            entry(8, Some((VIEW, batch(5000))), None),
        ],
    }
}

/// At least one message of every variant, in the order of the enum; payloads small, empty of commands and large.
pub(super) fn peer_messages() -> Vec<PeerMessage> {
    let (nonce, incarnation) = (DiskNonce(7 << 100), Incarnation(4));
    let hello = Hello {
        versions: (1, 1),
        node: NodeId(63),
        nonce,
        incarnation,
        founded: Some((ClusterId(u128::MAX), vec![nonce, DiskNonce(1)])),
        complete: true,
        genesis: u64::MAX,
        answer: true,
    };
    let founding = Hello { founded: None, complete: false, answer: false, ..hello.clone() };
    let accept =
        |batch| PeerMessage::Accept { view: VIEW, index: Index(5), batch, floor: Index(4), coordinator: NodeId(2) };
    let ask = (incarnation, 77);
    let seal =
        SnapshotSeal { index: Index(1000), state_hash: 1 << 60, block: 256 << 10, length: 1 << 20, checksum: u64::MAX };
    vec![
        PeerMessage::Hello(Box::new(hello)),
        PeerMessage::Hello(Box::new(founding)),
        PeerMessage::Refused { nonce, incarnation, why: LinkRefusal::Disk },
        PeerMessage::Canvass { view: VIEW },
        PeerMessage::CanvassReply { view: VIEW, missing_leader: true, promised: View::ZERO },
        PeerMessage::Prepare { view: VIEW, from: Index(5) },
        PeerMessage::Promise(Box::new(promise())),
        PeerMessage::Reject { view: View::ZERO, promised: VIEW },
        accept(batch(3)),
        accept(Batch::noop()),
        accept(batch(100_000)),
        PeerMessage::Accepted { view: VIEW, index: Index(5), digest: Digest(1 << 63), incarnation },
        PeerMessage::Chosen { view: VIEW, index: Index(5), digest: Digest(0) },
        PeerMessage::Heartbeat { view: VIEW, round: 12, floor: Index(4) },
        PeerMessage::HeartbeatAck {
            view: VIEW,
            round: 12,
            hollow_until: Some(Index(u64::MAX)),
            checkpoint: Some(Box::new((Index(64), 0x5eed))),
        },
        PeerMessage::Fetch { nonce: ask, from: Index(5), to: Index(6) },
        PeerMessage::Entries {
            nonce: ask,
            leading: Some(Box::new((VIEW, Index(4)))),
            entries: vec![(Index(5), batch(3)), (Index(6), Batch::noop()), (Index(7), batch(2000))],
        },
        PeerMessage::Entries { nonce: ask, leading: None, entries: vec![] },
        PeerMessage::Assign { view: VIEW, index: Index(5), batch: batch(3), floor: Index(4) },
        PeerMessage::Forward { nonce: ask, batch: batch(3) },
        PeerMessage::Forwarded {
            nonce: ask,
            outcome: ForwardOutcome::Placed { index: Index(5), digest: Digest(9), at: 1, first: 2, count: 3 },
        },
        PeerMessage::Forwarded { nonce: ask, outcome: ForwardOutcome::Refused { count: 3 } },
        PeerMessage::Barrier { nonce: ask },
        PeerMessage::HighWater { nonce: ask, high: Index(6), floor: Index(4), view: VIEW },
        PeerMessage::Transfer { view: VIEW },
        PeerMessage::SnapshotAsk { above: Index(5) },
        PeerMessage::SnapshotOffer { seal },
        PeerMessage::SnapshotAck { seal, next: 3 },
        PeerMessage::SnapshotChunk { seal: Box::new(seal), number: 3, data: Bytes::from_static(b"part of a stream") },
        PeerMessage::Diverged { index: Index(64), state_hash: 0x5eed },
        PeerMessage::Released { view: VIEW },
        PeerMessage::ReadIndexAsk { nonce: ask },
        PeerMessage::ReadIndex { nonce: ask, index: Some(Index(6)) },
        PeerMessage::ReadIndex { nonce: ask, index: None },
    ]
}

pub(super) fn requests() -> Vec<ClientRequest> {
    let tag = 1 << 40;
    let write = |length| ClientRequest::Write {
        session: SESSION,
        sequence: Sequence(9),
        acked: Sequence(8),
        payload: Bytes::from(vec![b'w'; length]),
    };
    vec![
        ClientRequest::Hello { tag },
        ClientRequest::Register { tag },
        write(0),
        write(64),
        write(257),
        write(1025),
        write(1 << 20),
        ClientRequest::KeepAlive { tag, session: SESSION },
        ClientRequest::Close { tag, session: SESSION },
        ClientRequest::Read { tag, payload: Bytes::from_static(b"get A") },
        ClientRequest::Status { tag },
        ClientRequest::Members { tag },
        ClientRequest::ParticipantRead { tag, payload: Bytes::from_static(b"get A") },
        ClientRequest::StaleRead { tag, payload: Bytes::from_static(b"get A") },
        ClientRequest::Suggest { tag },
        ClientRequest::Transfer { tag, to: None },
        ClientRequest::Transfer { tag, to: Some(NodeId(2)) },
    ]
}

pub(super) fn responses() -> Vec<ClientResponse> {
    let tag = 5;
    let refusals = [
        Refusal::NotLeader { leader: Some(NodeId(1)) },
        Refusal::NotReady,
        Refusal::Overloaded,
        Refusal::Invalid("no such verb".into()),
        Refusal::TooLarge { limit: 10, actual: 11 },
        Refusal::Deposed { leader: None },
        Refusal::Expired,
        Refusal::Stale,
        Refusal::NotServed { mode: ReadMode::Participant },
        Refusal::NoTransfer("n2 does not answer".into()),
    ];
    let refused = |refusal| ClientResponse::Refused { request: RequestKey::Write(SESSION, Sequence(9)), refusal };
    let mut all = vec![
        ClientResponse::Welcome { tag, node: NodeId(0), leader: Some(NodeId(2)) },
        ClientResponse::Registered { tag, session: SESSION, ttl: Span::secs(60) },
        ClientResponse::Written {
            session: SESSION,
            sequence: Sequence(9),
            revision: Revision(100),
            payload: Bytes::from_static(b"OK"),
        },
        ClientResponse::Done { tag },
        ClientResponse::Read { tag, revision: Revision(100), payload: Bytes::from(vec![b'r'; 3000]) },
        ClientResponse::Refused { request: RequestKey::Tag(tag), refusal: Refusal::NotReady },
    ];
    all.extend(refusals.map(refused));
    let status = Status {
        node: NodeId(0),
        incarnation: Incarnation(4),
        cluster: Some(ClusterId(5)),
        role: "leader".into(),
        view: VIEW,
        leader: Some(NodeId(2)),
        members: vec![NodeId(0), NodeId(1), NodeId(2)],
        reachable: vec![NodeId(0), NodeId(2)],
        floor: Index(4),
        applied: Index(4),
        last: Index(8),
        revision: Revision(100),
        state_hash: 1,
        sessions: 2,
        log_time: Time(3),
        unknown: 4,
        hollow: true,
    };
    all.push(ClientResponse::Status { tag, status: Box::new(status) });
    let members = [(NodeId(0), "127.0.0.1:8080".into()), (NodeId(63), "n63.example:80".into())];
    all.push(ClientResponse::Members { tag, members: members.into() });
    all.push(ClientResponse::Members { tag, members: [].into() });
    all
}
