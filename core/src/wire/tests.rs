//! Every variant there and back, every small damage, hostile lengths.

use super::{samples::*, *};
use crate::{
    batch::Batch,
    ids::{Incarnation, Index, NodeId},
    message::*,
};
use alloc::{string::ToString, vec, vec::Vec};
use bytes::Bytes;
use core::fmt::Debug;
use expect_test::expect;

fn encode<M: Framed>(message: &M) -> Bytes {
    Bytes::from(Encoder::default().encode(message).unwrap().concat())
}

/// A frame of `M` with any header and payload area at all, and checksums that hold.
fn forge<M: Framed>(header: &[u8], payload: &[u8]) -> Bytes {
    let body_checksum = crc32fast::hash(&[header, payload].concat());
    let head = frame::Head { kind: M::KIND, header: header.len(), payload: payload.len(), body_checksum };
    Bytes::from([head.encode().as_slice(), header, payload].concat())
}

fn head_of(kind: u8, header: u32, payload: u32) -> Vec<u8> {
    let mut head = vec![MAGIC, VERSION, kind, 0];
    head.extend_from_slice(&header.to_le_bytes());
    head.extend_from_slice(&payload.to_le_bytes());
    head.extend_from_slice(&[0; 4]);
    head.extend_from_slice(&crc32fast::hash(&head).to_le_bytes());
    head
}

/// What becomes of a link that says just `bytes`.
fn read_error<M: Framed + Debug>(bytes: &[u8]) -> FrameError {
    let mut reader = FrameReader::<M>::default();
    let mut rest = bytes;
    let error = loop {
        match reader.read(&mut rest) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("all of it was taken"),
            Err(error) => break error,
        }
    };
    assert_eq!(reader.read(&mut encode(&ClientRequest::Hello { tag: 0 }).as_ref()).unwrap_err(), error, "for good");
    error
}

fn check_round_trip<M: Framed + PartialEq + Debug>(messages: &[M]) {
    let mut encoder = Encoder::default();
    let mut stream = Vec::new();
    for message in messages {
        let bytes = Bytes::from(encoder.encode(message).unwrap().concat());
        let decoded = decode_frame::<M>(&bytes).unwrap();
        assert_eq!(&decoded, message);
        assert_eq!(encode(&decoded), bytes, "{message:?}");
        stream.extend_from_slice(&bytes);
    }
    // Parts of every size up to a few heads, then parts that hold many frames.
    for part in (1..64).chain([1000, 5000, stream.len()]) {
        let mut reader = FrameReader::<M>::default();
        let mut read = Vec::new();
        for mut bytes in stream.chunks(part) {
            while let Some(message) = reader.read(&mut bytes).unwrap() {
                read.push(message);
            }
        }
        assert_eq!(reader.pending(), 0);
        assert_eq!(read, messages, "in parts of {part}");
    }
}

/// The samples name every variant: one past the last is no message. (Zeros decode as any fields there may be.)
fn check_complete<M: Framed + Debug>(messages: &[M]) {
    let variants: Vec<u8> = messages.iter().map(|message| encode(message)[HEAD_LEN]).collect();
    let last = *variants.iter().max().unwrap();
    assert!((0..=last).all(|variant| variants.contains(&variant)));
    let mut header = [0; 100];
    header[0] = last + 1;
    let error = decode_frame::<M>(&forge::<M>(&header, &[])).unwrap_err();
    assert_eq!(error, FrameError::Header(M::KIND), "a variant after number {last} has no sample");
}

#[test]
fn every_variant_has_a_sample() {
    check_complete(&peer_messages());
    check_complete(&requests());
    check_complete(&responses());
}

#[test]
fn every_message_survives_frames_cut_anywhere() {
    check_round_trip(&peer_messages());
    check_round_trip(&requests());
    check_round_trip(&responses());
}

/// Damages one frame in every small way there is. Frames of more than 20 KB would take too long.
fn check_damage<M: Framed + PartialEq + Debug>(messages: &[M]) {
    for message in messages {
        let bytes = encode(message);
        if bytes.len() > 20_000 {
            continue;
        }
        let refused = |bytes: Vec<u8>, what: &str| {
            let result = decode_frame::<M>(&Bytes::from(bytes));
            assert!(result.is_err(), "{message:?} with {what} became {result:?}");
        };
        for end in 0..bytes.len() {
            refused(bytes[..end].to_vec(), "its end cut off");
        }
        refused([&bytes[..], &[0]].concat(), "a byte more");
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            refused(damaged, "a bit flipped");
        }
    }
}

#[test]
fn every_cut_every_extra_byte_and_every_flipped_bit_is_refused() {
    check_damage(&peer_messages());
    check_damage(&requests());
    check_damage(&responses());
}

/// Behind checksums that hold, a header cut short or lengthened is refused by rule, and no change of a byte panics.
fn check_forgery<M: Framed + PartialEq + Debug>(messages: &[M]) {
    for message in messages {
        let bytes = encode(message);
        let header_len = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        let (header, payload) = bytes[HEAD_LEN..].split_at(header_len);
        if payload.len() > 20_000 {
            continue;
        }
        assert_eq!(decode_frame::<M>(&forge::<M>(header, payload)).as_ref(), Ok(message));
        for end in 0..header.len() {
            let error = decode_frame::<M>(&forge::<M>(&header[..end], payload)).unwrap_err();
            assert_eq!(error, FrameError::Header(M::KIND), "{message:?} cut to {end}");
        }
        let longer = [header, &[0]].concat();
        let error = decode_frame::<M>(&forge::<M>(&longer, payload)).unwrap_err();
        assert_eq!(error, FrameError::HeaderTrailing { bytes: 1 });
        let error = decode_frame::<M>(&forge::<M>(header, &[payload, &[0]].concat())).unwrap_err();
        assert_eq!(error, FrameError::PayloadTrailing { bytes: 1 });
        if let Some(end) = payload.len().checked_sub(1) {
            let error = decode_frame::<M>(&forge::<M>(header, &payload[..end])).unwrap_err();
            assert_eq!(error, FrameError::PayloadShort { bytes: 1 });
        }
        for at in 0..header.len() {
            for byte in 0..=255 {
                let mut header = header.to_vec();
                header[at] = byte;
                if let Ok(other) = decode_frame::<M>(&forge::<M>(&header, payload)) {
                    assert_eq!(decode_frame::<M>(&encode(&other)).as_ref(), Ok(&other));
                }
            }
        }
    }
}

#[test]
fn a_forged_header_is_refused_by_name_and_never_panics() {
    check_forgery(&peer_messages());
    check_forgery(&requests());
    check_forgery(&responses());
}

#[test]
fn payloads_are_slices_of_the_received_bytes_and_chunks_of_the_sent_ones() {
    let sent = batch(5000);
    let message = PeerMessage::Entries { nonce: (Incarnation(1), 1), leading: None, entries: vec![(Index(1), sent)] };
    let PeerMessage::Entries { entries, .. } = &message else { unreachable!() };
    let mut encoder = Encoder::default();
    let chunks = encoder.encode(&message).unwrap();
    assert_eq!(chunks.len(), 2);
    assert_eq!(chunks[1].as_ptr(), entries[0].1.bytes().as_ptr());

    let frame = Bytes::from(chunks.concat());
    let PeerMessage::Entries { entries, .. } = decode_frame(&frame).unwrap() else { unreachable!() };
    let payload_at = frame.len() - entries[0].1.bytes().len();
    assert_eq!(entries[0].1.bytes().as_ptr(), frame[payload_at..].as_ptr());
}

#[test]
fn a_head_is_judged_rule_by_rule() {
    let limit = 32 << 20;
    let check = |bytes: &[u8], error: FrameError| assert_eq!(read_error::<PeerMessage>(bytes), error);
    check(b"GET / HTTP/1.1\r\n", FrameError::Magic(b'G'));
    check(&[0], FrameError::Magic(0));
    let mut newer = head_of(1, 0, 0);
    newer[1] = 9;
    check(&newer, FrameError::Version(9));
    let mut damaged = head_of(1, 0, 0);
    damaged[9] ^= 1;
    check(&damaged, FrameError::HeadChecksum);
    check(&head_of(0, 0, 0), FrameError::UnknownKind(0, 0));
    let mut reserved = head_of(1, 0, 0);
    reserved[3] = 1;
    let checksum = crc32fast::hash(&reserved[..16]).to_le_bytes();
    reserved[16..].copy_from_slice(&checksum);
    check(&reserved, FrameError::UnknownKind(1, 1));
    check(&head_of(2, 0, 0), FrameError::WrongKind { expected: Kind::Peer, actual: Kind::Request });
    check(&head_of(1, 1, 100 << 20), FrameError::TooLarge { limit, actual: (100 << 20) + 21 });
    check(&head_of(1, 1, u32::MAX), FrameError::TooLarge { limit, actual: u64::from(u32::MAX) + 21 });
    check(&head_of(1, u32::MAX, u32::MAX), FrameError::TooLarge { limit, actual: 2 * u64::from(u32::MAX) + 20 });
    let header = (1 << 20) + 1;
    check(&head_of(1, header, 0), FrameError::HeaderTooLarge { limit: 1 << 20, actual: u64::from(header) });
    check(&head_of(1, 0, 0), FrameError::Header(Kind::Peer));
    check(&forge::<PeerMessage>(&[200], &[]), FrameError::Header(Kind::Peer));
    let mut rotten = forge::<PeerMessage>(&[200], &[]).to_vec();
    rotten[HEAD_LEN] ^= 1;
    check(&rotten, FrameError::BodyChecksum);
}

#[test]
fn a_large_frame_is_refused_by_its_reader_and_by_its_sender() {
    let error = read_error::<ClientRequest>(&head_of(2, 20, 100_000_000));
    expect!["a frame of 100000040 bytes is over the limit of 2097152"].assert_eq(&error.to_string());
    let mut tight = FrameReader::<ClientRequest>::new(99);
    let error = tight.read(&mut head_of(2, 20, 60).as_slice()).unwrap_err();
    assert_eq!(error, FrameError::TooLarge { limit: 99, actual: 100 });

    let mut encoder = Encoder::default();
    let write = |length| ClientRequest::Read { tag: 1, payload: Bytes::from(vec![0; length]) };
    let error = encoder.encode(&write(2 << 20)).unwrap_err();
    assert_eq!(error, FrameError::TooLarge { limit: 2 << 20, actual: (2 << 20) + 20 });
    let entries = (0..300_000).map(|index| (Index(index), Batch::noop())).collect();
    let entries = PeerMessage::Entries { nonce: (Incarnation(1), 1), leading: None, entries };
    let error = encoder.encode(&entries).err().unwrap();
    assert!(matches!(error, FrameError::HeaderTooLarge { limit: 0x10_0000, .. }), "{error}");
    let small = ClientRequest::Hello { tag: 1 };
    assert_eq!(encoder.encode(&small).unwrap().concat(), encode(&small), "a refusal leaves nothing behind");
}

#[test]
fn what_is_inside_a_message_is_checked_too() {
    // A node id has only 64 values: sets of nodes rely on that.
    let canvass = [2, 1, 63];
    assert!(decode_frame::<PeerMessage>(&forge::<PeerMessage>(&canvass, &[])).is_ok());
    let error = decode_frame::<PeerMessage>(&forge::<PeerMessage>(&[2, 1, 64], &[])).unwrap_err();
    assert_eq!(error, FrameError::Header(Kind::Peer));
    let bytes = encode(&PeerMessage::Accept {
        view: VIEW,
        index: Index(1),
        batch: Batch::noop(),
        floor: Index(0),
        coordinator: NodeId(0),
    });
    let header = &bytes[HEAD_LEN..bytes.len() - 1];
    let error = decode_frame::<PeerMessage>(&forge::<PeerMessage>(header, &[9])).unwrap_err();
    assert_eq!(error, FrameError::Batch);
}

#[test]
fn the_first_byte_tells_protocols_apart() {
    assert_eq!(Protocol::sniff(encode(&ClientRequest::Hello { tag: 0 })[0]), Some(Protocol::Frames));
    assert_eq!(Protocol::sniff(b'{'), Some(Protocol::JsonLines));
    assert_eq!(Protocol::sniff(b'G'), Some(Protocol::Http));
    let unknown = (0..=255).filter(|byte| Protocol::sniff(*byte).is_none()).count();
    assert_eq!(unknown, 256 - 28);
}
