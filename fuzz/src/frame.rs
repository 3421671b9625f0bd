//! Frames of peers and clients.

use bytes::Bytes;
use ios_core::{
    batch::{Batch, BatchBuilder, Command},
    ids::{ClusterId, Digest, DiskNonce, Incarnation, Index, NodeId, Revision, Sequence, SessionId, View},
    message::{
        ClientRequest, ClientResponse, Hello, PeerMessage, Promise, PromiseEntry, Refusal, RequestKey, Status, Unknown,
    },
    time::{Span, Time},
    wire::{Encoder, FrameError, FrameReader, Framed, HEAD_LEN, MAGIC, VERSION, decode_frame},
};
use std::fmt::Debug;

/// A peer's bytes.
pub fn peer_frame(bytes: &[u8]) {
    check::<PeerMessage>(bytes);
}

/// A client's bytes, and what a client may be told.
pub fn client_frame(bytes: &[u8]) {
    check::<ClientRequest>(bytes);
    check::<ClientResponse>(bytes);
}

fn check<M: Framed + PartialEq + Debug>(bytes: &[u8]) {
    check_stream::<M>(bytes);
    // Almost no change of a frame survives its checksums, so the codec behind them is reached by making them hold.
    let repaired = with_checksums::<M>(bytes);
    check_stream::<M>(&repaired);
    if let Ok(message) = decode_frame::<M>(&Bytes::from(repaired)) {
        let encoded = Encoder::default().encode(&message).map(|chunks| Bytes::from(chunks.concat()));
        let encoded = encoded.expect("what came in a frame fits a frame");
        assert_eq!(decode_frame::<M>(&encoded).as_ref(), Ok(&message), "another message after encoding");
    }
}

/// However a link's bytes are cut, the same messages come out and the same error ends them.
fn check_stream<M: Framed + PartialEq + Debug>(bytes: &[u8]) {
    let whole = read_all::<M>([bytes]);
    let part = 1 + bytes.last().map_or(0, |byte| usize::from(*byte));
    let parts = read_all::<M>(bytes.chunks(part));
    assert_eq!(whole, parts, "cut into parts of {part} bytes");
}

fn read_all<'a, M: Framed>(parts: impl IntoIterator<Item = &'a [u8]>) -> (Vec<M>, Option<FrameError>) {
    let mut reader = FrameReader::<M>::default();
    let mut messages = Vec::new();
    for mut part in parts {
        loop {
            match reader.read(&mut part) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
        assert!(part.is_empty(), "a reader that wants more has taken everything");
    }
    (messages, None)
}

/// The first frame in `bytes`, with the fixed bytes and checksums it must have and lengths cut to what is there.
pub fn with_checksums<M: Framed>(bytes: &[u8]) -> Vec<u8> {
    let mut frame = bytes.to_vec();
    frame.resize(frame.len().max(HEAD_LEN), 0);
    let (head, body) = frame.split_at_mut(HEAD_LEN);
    let length = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes")) as usize;
    let header = length(4).min(body.len());
    let payload = length(8).min(body.len() - header);
    head[..4].copy_from_slice(&[MAGIC, VERSION, M::KIND as u8, 0]);
    head[4..8].copy_from_slice(&(header as u32).to_le_bytes());
    head[8..12].copy_from_slice(&(payload as u32).to_le_bytes());
    head[12..16].copy_from_slice(&crc32fast::hash(&body[..header + payload]).to_le_bytes());
    let checksum = crc32fast::hash(&head[..16]);
    head[16..].copy_from_slice(&checksum.to_le_bytes());
    frame.truncate(HEAD_LEN + header + payload);
    frame
}

const VIEW: View = View { round: 5, node: NodeId(1) };
const SESSION: SessionId = SessionId { index: Index(2), position: 0 };

fn batch() -> Batch {
    let mut builder = BatchBuilder::default();
    builder.push(&Command::Register);
    let payload = Bytes::from_static(b"update A 1");
    builder.push(&Command::Request { session: SESSION, sequence: Sequence(1), acked: Sequence(0), payload });
    builder.push(&Command::KeepAlive { session: SESSION });
    builder.push(&Command::Close { session: SESSION });
    builder.finish(Time(7))
}

/// One frame of each shape a peer sends, and two in a row.
pub fn peer_samples() -> Vec<(&'static str, Vec<u8>)> {
    let nonces = vec![DiskNonce(1), DiskNonce(u128::MAX)];
    let hello = Hello {
        versions: (1, 2),
        node: NodeId(1),
        nonce: DiskNonce(1),
        incarnation: Incarnation(3),
        founded: Some((ClusterId(9), nonces)),
        complete: true,
        genesis: 77,
        answer: false,
    };
    let unknown = Unknown { view: VIEW, digest: batch().digest(), committed: false };
    let entry = |index, accepted, unknown| {
        let committed = index == 2;
        PromiseEntry { index: Index(index), accepted, committed, unknown, certain: true }
    };
    let promise = Promise {
        view: VIEW,
        from: Index(1),
        to: Index(4),
        end: Index(4),
        compacted_below: Index(0),
        floor: Index(1),
        loss: false,
        entries: vec![entry(2, Some((VIEW, batch())), None), entry(3, Some((VIEW, Batch::noop())), Some(unknown))],
    };
    let accept =
        PeerMessage::Accept { view: VIEW, index: Index(8), batch: batch(), floor: Index(7), coordinator: NodeId(1) };
    let accepted =
        PeerMessage::Accepted { view: VIEW, index: Index(8), digest: Digest(1), incarnation: Incarnation(3) };
    let nonce = (Incarnation(3), 1);
    let entries = vec![(Index(2), batch()), (Index(3), Batch::noop())];
    let entries = PeerMessage::Entries { nonce, leading: Some(Box::new((VIEW, Index(3)))), entries };
    vec![
        ("hello", encode(&[PeerMessage::Hello(Box::new(hello))])),
        ("promise", encode(&[PeerMessage::Promise(Box::new(promise))])),
        ("accept", encode(std::slice::from_ref(&accept))),
        ("entries", encode(&[entries])),
        ("fetch", encode(&[PeerMessage::Fetch { nonce, from: Index(1), to: Index(9) }])),
        ("accept_accepted", encode(&[accept, accepted])),
    ]
}

/// Frames of clients and frames for clients, by turns.
pub fn client_samples() -> Vec<(&'static str, Vec<u8>)> {
    let (tag, payload) = (3, Bytes::from_static(b"get A"));
    let write =
        ClientRequest::Write { session: SESSION, sequence: Sequence(1), acked: Sequence(0), payload: payload.clone() };
    let read = ClientRequest::Read { tag, payload: payload.clone() };
    let refusal = Refusal::Invalid("no such verb".to_string());
    let status = Status {
        node: NodeId(0),
        incarnation: Incarnation(4),
        cluster: Some(ClusterId(5)),
        role: "follower".to_string(),
        view: VIEW,
        leader: Some(NodeId(1)),
        members: vec![NodeId(0), NodeId(1), NodeId(2)],
        reachable: vec![NodeId(0)],
        floor: Index(4),
        applied: Index(4),
        last: Index(8),
        revision: Revision(3),
        state_hash: 1,
        sessions: 2,
        log_time: Time(3),
        unknown: 4,
        hollow: true,
    };
    let written = ClientResponse::Written { session: SESSION, sequence: Sequence(1), revision: Revision(1), payload };
    let registered = ClientResponse::Registered { tag, session: SESSION, ttl: Span::secs(60) };
    let members = [(NodeId(0), "127.0.0.1:8080".to_owned()), (NodeId(1), "n1:80".to_owned())].into();
    vec![
        ("hello_register", encode(&[ClientRequest::Hello { tag }, ClientRequest::Register { tag }])),
        ("write", encode(std::slice::from_ref(&write))),
        ("write_read", encode(&[write, read])),
        ("registered", encode(&[registered])),
        ("written", encode(&[written])),
        ("refused", encode(&[ClientResponse::Refused { request: RequestKey::Tag(tag), refusal }])),
        ("status", encode(&[ClientResponse::Status { tag, status: Box::new(status) }])),
        ("hello_members", encode(&[ClientRequest::Hello { tag }, ClientRequest::Members { tag }])),
        ("members", encode(&[ClientResponse::Members { tag, members }])),
    ]
}

fn encode<M: Framed>(messages: &[M]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    messages.iter().flat_map(|message| encoder.encode(message).expect("samples are small").concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::Mutator;

    /// How many of 2000 drawn inputs hold a message once their checksums do.
    fn decodable<M: Framed>(samples: Vec<(&'static str, Vec<u8>)>) -> usize {
        let mut mutator = Mutator::new(1, samples.into_iter().map(|(_, bytes)| bytes).collect());
        let inputs = (0..2000).map(|_| with_checksums::<M>(&mutator.input()));
        inputs.filter(|frame| decode_frame::<M>(&Bytes::from(frame.clone())).is_ok()).count()
    }

    #[test]
    fn a_fair_share_of_drawn_inputs_gets_through_the_codec_and_another_does_not() {
        for count in [
            decodable::<PeerMessage>(peer_samples()),
            decodable::<ClientRequest>(client_samples()),
            decodable::<ClientResponse>(client_samples()),
        ] {
            assert!((100..1900).contains(&count), "{count} of 2000");
        }
    }
}
