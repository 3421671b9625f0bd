//! The bytes themselves. A change in one of these is a change of the format: neighbouring versions would no longer
//! understand each other, nor would anything that kept frames.

use super::{samples::*, *};
use crate::message::PeerMessage;
use alloc::{format, string::String};
use core::fmt::Debug;
use expect_test::{Expect, expect};

/// The frames of `messages` but for large ones, as hexadecimal digits: the head, then the body in rows.
fn check<M: Framed + Debug>(messages: &[M], expected: &Expect) {
    let mut text = String::new();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for message in messages {
        let bytes = Encoder::default().encode(message).unwrap().concat();
        if bytes.len() >= 150 {
            continue;
        }
        let name: String = format!("{message:?}").chars().take_while(|c| c.is_alphanumeric()).collect();
        text += &format!("{name} {}\n", hex(&bytes[..HEAD_LEN]));
        for row in bytes[HEAD_LEN..].chunks(40) {
            text += &format!("  {}\n", hex(row));
        }
    }
    expected.assert_eq(&text);
}

#[test]
fn the_bytes_of_peer_messages_stay_what_they_are() {
    let mut messages = peer_messages();
    messages.retain(|message| !is_about_state(message) && !is_about_reads(message));
    for message in &mut messages {
        if let PeerMessage::Promise(promise) = message {
            promise.entries.pop();
        }
        if let PeerMessage::Entries { entries, .. } = message {
            entries.pop();
        }
    }
    let expected = expect![[r#"
        Hello b50101004500000000000000fe934647a79f4460
          0001013f80808080808080808080808080801c0401ffffffffffffffffffffffffffffffffffff03
          0280808080808080808080808080801c0101ffffffffffffffffff0101
        Hello b5010100210000000000000031efbe042bdc650b
          0001013f80808080808080808080808080801c040000ffffffffffffffffff0100
        Refused b501010012000000000000009f10cf7b1e46608d
          0180808080808080808080808080801c0404
        Canvass b501010004000000000000003db01787cc73b5ad
          02ac0202
        CanvassReply b50101000700000000000000aae55113a42b8ac1
          03ac0202010000
        Prepare b5010100050000000000000003b5c775f524a4f2
          04ac020205
        Promise b50101002c0000003200000024759cb34173d637
          05ac020205090c020401030501ac0202310000010601ac0202010101ac020209010007000001ac02
          020901010101000000000000000100000001e8030000000000000300000002000000000000000100
          0000000000000300000078787800
        Reject b5010100060000000000000014e5c16b762d1d88
          060000ac0202
        Accept b50101000800000031000000dcda0e29f2223560
          07ac0202053104020101000000000000000100000001e80300000000000003000000020000000000
          0000010000000000000003000000787878
        Accept b50101000800000001000000cd19bee0c0bdc998
          07ac02020501040200
        Accepted b501010010000000000000007d1a5e9456905548
          08ac0202058080808080808080800104
        Chosen b501010006000000000000005c6ae0f795cbf249
          09ac02020500
        Heartbeat b50101000600000000000000a267dba79e874a70
          0aac02020c04
        HeartbeatAck b50101001500000000000000e30edf333ce56cfc
          0bac02020c01ffffffffffffffffff010140edbd01
        Fetch b50101000500000000000000a8c2e6602c3532d8
          0c044d0506
        Entries b50101000d0000003200000006552cf408bf498a
          0d044d01ac02020402053106010101000000000000000100000001e8030000000000000300000002
          0000000000000001000000000000000300000078787800
        Entries b5010100050000000000000068ba92c97c45c410
          0d044d0000
        Assign b50101000700000031000000b56b07bb0cd8d05f
          0eac02020531040101000000000000000100000001e8030000000000000300000002000000000000
          00010000000000000003000000787878
        Forward b50101000400000031000000680eb9e79afcf7aa
          0f044d310101000000000000000100000001e8030000000000000300000002000000000000000100
          00000000000003000000787878
        Forwarded b5010100090000000000000069d54af483e070ff
          10044d000509010203
        Forwarded b50101000500000000000000a089f0d12f49b7c1
          10044d0103
        Transfer b50101000400000000000000c780b26f7942a41d
          13ac0202
        Released b50101000400000000000000a3600f00b15e648c
          19ac0202
    "#]];
    check(&messages, &expected);
}

#[test]
fn the_bytes_of_messages_about_the_state_stay_what_they_are() {
    let mut messages = peer_messages();
    messages.retain(is_about_state);
    let expected = expect![[r#"
        SnapshotAsk b5010100020000000000000025311d1f172be933
          1405
        SnapshotOffer b50101001c000000000000007714b50ce821226b
          15e807808080808080808010808010808040ffffffffffffffffff01
        SnapshotAck b50101001d00000000000000d0846e20fc843c8d
          16e807808080808080808010808010808040ffffffffffffffffff0103
        SnapshotChunk b50101002e0000000000000073c524f9ebfc9435
          17e807808080808080808010808010808040ffffffffffffffffff01031070617274206f66206120
          73747265616d
        Diverged b50101000500000000000000f3d0f08a2074db87
          1840edbd01
    "#]];
    check(&messages, &expected);
}

fn is_about_state(message: &PeerMessage) -> bool {
    matches!(
        message,
        PeerMessage::SnapshotAsk { .. }
            | PeerMessage::SnapshotOffer { .. }
            | PeerMessage::SnapshotAck { .. }
            | PeerMessage::SnapshotChunk { .. }
            | PeerMessage::Diverged { .. }
    )
}

#[test]
fn the_bytes_of_messages_about_reads_stay_what_they_are() {
    let mut messages = peer_messages();
    messages.retain(is_about_reads);
    let expected = expect![[r#"
        Barrier b501010003000000000000007ce8a48ecc9f1e2e
          11044d
        HighWater b50101000800000000000000c3114d10b7db8338
          12044d0604ac0202
        ReadIndexAsk b501010003000000000000009d07f18236cb192c
          1a044d
        ReadIndex b501010005000000000000003e4c4ad68258028b
          1b044d0106
        ReadIndex b50101000400000000000000169682e41c2fcb3e
          1b044d00
    "#]];
    check(&messages, &expected);
}

fn is_about_reads(message: &PeerMessage) -> bool {
    matches!(
        message,
        PeerMessage::Barrier { .. }
            | PeerMessage::HighWater { .. }
            | PeerMessage::ReadIndexAsk { .. }
            | PeerMessage::ReadIndex { .. }
    )
}

#[test]
fn the_bytes_of_client_requests_stay_what_they_are() {
    let expected = expect![[r#"
        Hello b501020007000000000000000c6ebb3ed4fbc5d9
          00808080808020
        Register b50102000700000000000000b865cc9814244b18
          01808080808020
        Write b50102000700000000000000c1957997beffb5b2
          02e80703090800
        Write b501020007000000400000000a7037a514756033
          02e80703090840777777777777777777777777777777777777777777777777777777777777777777
          77777777777777777777777777777777777777777777777777777777777777
        KeepAlive b50102000a0000000000000003f118cb18fcbba1
          03808080808020e80703
        Close b50102000a000000000000007aeac429d85676c4
          04808080808020e80703
        Read b5010200080000000500000011b22ba92aa57bda
          05808080808020056765742041
        Status b50102000700000000000000365b6b5d97317031
          06808080808020
        Members b5010200070000000000000082501cfb57eefef0
          07808080808020
        ParticipantRead b501020008000000050000006fd207ee3806c5c8
          08808080808020056765742041
        StaleRead b50102000800000005000000ea0b91337bcd634f
          09808080808020056765742041
        Suggest b501020007000000000000004231cb9a50a36a3b
          0a808080808020
        Transfer b501020008000000000000009e04e0865dbcad65
          0b80808080802000
        Transfer b50102000900000000000000a7e126320f52ae8d
          0b8080808080200102
    "#]];
    check(&requests(), &expected);
}

#[test]
fn the_bytes_of_client_responses_stay_what_they_are() {
    let expected = expect![[r#"
        Welcome b501030005000000000000004257e90664f20f58
          0005000102
        Registered b50103000b00000000000000c21b3254e9cf4ec2
          0105e8070380b09dc2df01
        Written b501030007000000020000004553c6f7040169b4
          02e807030964024f4b
        Done b50103000200000000000000b3b59e1a99dd54cc
          0305
        Refused b50103000400000000000000fdebea1c0a4db09c
          05000501
        Refused b501030009000000000000003abdca1974185a64
          0501e8070309000101
        Refused b501030007000000000000005da2f8256bc8fffe
          0501e807030901
        Refused b50103000700000000000000e7f3f1bcbbb25fb9
          0501e807030902
        Refused b50103001400000000000000fdaff6754b012235
          0501e8070309030c6e6f20737563682076657262
        Refused b501030009000000000000003325e21d05d462b0
          0501e8070309040a0b
        Refused b5010300080000000000000062ff91a3f5f4a3f0
          0501e80703090500
        Refused b50103000700000000000000fe379cbb7b14df4c
          0501e807030906
        Refused b5010300070000000000000068079bcccb3dbf71
          0501e807030907
        Refused b50103000800000000000000b9b138619bce5d71
          0501e80703090801
        Refused b50103001a0000000000000084bf37fa8de6e479
          0501e807030909126e3220646f6573206e6f7420616e73776572
        Status b50103002200000000000000c103cae8b4e7e459
          060500040105066c6561646572ac0202010203000102020002040408640102030401
        Members b501030023000000000000007bcb40c4ffde86dc
          070502000e3132372e302e302e313a383038303f0e6e36332e6578616d706c653a3830
        Members b50103000300000000000000d23b7987c8bd41a0
          070500
    "#]];
    check(&responses(), &expected);
}
