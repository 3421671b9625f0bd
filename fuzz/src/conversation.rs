//! What peers and clients say to a running node, in any order and with any content.
//!
//! An input tells who listens, then what happens:
//!
//! ```text
//! role u8              even: the leader of three members listens; odd: a follower
//! step*   00 .. 7f     a peer's frame follows; the lowest bit tells which of the two other members sent it
//!         80 .. bf     a client's frame follows
//!         c0 .. df     the disk performs its oldest operation
//!         e0 .. ef     the next deadline comes
//!         f0 .. ff     a link goes down (even) or comes up (odd); bit 1 tells which
//! ```
//! Frames are given checksums that hold; one that still does not decode says nothing.

use crate::{
    directory::Directory,
    frame::with_checksums,
    member::{Member, config},
};
use bytes::Bytes;
use ios_core::{
    ids::{ConnectionId, DiskNonce, NodeId, Sequence, SessionId},
    interface::Input,
    journal,
    message::{ClientRequest, ClientResponse, PeerMessage},
    options::Seal,
    service::kv::{Operation, request},
    wire::{Encoder, Framed, decode_frame},
};
use std::{mem, sync::OnceLock};

const MEMBERS: u8 = 3;
const CLIENT: ConnectionId = ConnectionId(1);

/// A node never panics on what others say, and says nothing itself that does not fit a frame. It may stop itself: a
/// member that lies about what is committed, or a refusal of its own disk, is reason enough.
pub fn conversation(bytes: &[u8]) {
    let Some((role, mut rest)) = bytes.split_first() else { return };
    let scene = scene();
    let listener = if role % 2 == 0 { scene.leader } else { scene.follower };
    let others: Vec<NodeId> = (0..MEMBERS).map(NodeId).filter(|node| *node != listener).collect();
    let mut member = scene.members[usize::from(listener.0)].clone();
    while let Some((step, after)) = rest.split_first() {
        rest = after;
        match step {
            0x00..0x80 => {
                if let Some(message) = take_frame::<PeerMessage>(&mut rest) {
                    member.feed(Input::Peer { from: others[usize::from(step % 2)], message });
                }
            }
            0x80..0xc0 => {
                if let Some(request) = take_frame::<ClientRequest>(&mut rest) {
                    member.feed(Input::Client { connection: CLIENT, request });
                }
            }
            0xc0..0xe0 => drop(member.perform()),
            0xe0..0xf0 => member.pass_time(),
            0xf0..=0xff => {
                member.feed(Input::Link { peer: others[usize::from(step / 2 % 2)], up: step % 2 == 1 });
            }
        }
    }
    member.settle();
    member.pass_time();
    member.node().status();
}

/// Takes a frame off the front of `rest`, as far as its lengths go.
fn take_frame<M: Framed>(rest: &mut &[u8]) -> Option<M> {
    let frame = with_checksums::<M>(rest);
    *rest = &rest[frame.len().min(rest.len())..];
    decode_frame::<M>(&Bytes::from(frame)).ok()
}

/// A cluster in the middle of its work, made once: every input begins with it.
struct Scene {
    members: Vec<Member>,
    leader: NodeId,
    follower: NodeId,
    session: SessionId,
    /// Messages not delivered yet.
    queue: Vec<(NodeId, NodeId, PeerMessage)>,
    /// What the listeners heard since the scene was set, for the samples.
    heard: Vec<(NodeId, NodeId, PeerMessage)>,
}

fn scene() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(|| {
        let mut scene = Scene::found();
        scene.write(1, b"A");
        scene.write(2, b"B");
        scene.run();
        scene
    })
}

impl Scene {
    /// Three fresh members that meet, found their cluster and elect a leader, with whom a client registers.
    fn found() -> Self {
        let members = (0..MEMBERS).map(|node| {
            let config = config(node, MEMBERS, Seal::Lazy);
            let mut disk = Directory::default();
            for action in journal::format(NodeId(node), DiskNonce(u128::from(node) + 1), &config.configuration) {
                disk.perform(&action);
            }
            Member::open(config, disk).expect("a fresh directory opens")
        });
        let (leader, follower) = (NodeId(0), NodeId(0));
        let session = SessionId { index: Default::default(), position: 0 };
        let mut scene =
            Self { members: members.collect(), leader, follower, session, queue: Vec::new(), heard: Vec::new() };
        scene.members.iter_mut().for_each(Member::settle);
        for (node, peer) in (0..MEMBERS).flat_map(|node| (0..MEMBERS).map(move |peer| (node, peer))) {
            if node != peer {
                scene.members[usize::from(node)].feed(Input::Link { peer: NodeId(peer), up: true });
            }
        }
        let leads = |member: &Member| member.node().status().role == "leader";
        while !scene.members.iter().any(leads) {
            scene.run();
            scene.members.iter_mut().for_each(Member::pass_time);
        }
        scene.run();
        let roles: Vec<bool> = scene.members.iter().map(leads).collect();
        let place = |role| NodeId(roles.iter().position(|leads| *leads == role).expect("one leads, two follow") as u8);
        (scene.leader, scene.follower) = (place(true), place(false));
        scene.ask(ClientRequest::Register { tag: 1 });
        scene.run();
        let replies = scene.members[usize::from(scene.leader.0)].take_replies();
        let registered = replies.iter().find_map(|reply| match reply {
            ClientResponse::Registered { session, .. } => Some(*session),
            _ => None,
        });
        scene.session = registered.expect("a leader opens sessions");
        scene
    }

    fn ask(&mut self, request: ClientRequest) {
        self.members[usize::from(self.leader.0)].feed(Input::Client { connection: CLIENT, request });
    }

    fn write(&mut self, sequence: u64, key: &[u8]) {
        let payload = request::encode(&[Operation::Put { key, value: b"1" }]).expect("a small request");
        let (session, sequence, acked) = (self.session, Sequence(sequence), Sequence(0));
        self.ask(ClientRequest::Write { session, sequence, acked, payload });
    }

    /// Delivers everything until nobody has anything more to say.
    fn run(&mut self) {
        loop {
            for node in 0..MEMBERS {
                let member = &mut self.members[usize::from(node)];
                member.settle();
                let sent = member.take_sent().into_iter();
                self.queue.extend(sent.map(|(to, message)| (NodeId(node), to, message)));
            }
            if self.queue.is_empty() {
                return;
            }
            for (from, to, message) in mem::take(&mut self.queue) {
                self.members[usize::from(to.0)].feed(Input::Peer { from, message: message.clone() });
                self.heard.push((from, to, message));
            }
        }
    }
}

/// What the leader and a follower hear while a client writes, when an election comes, and when a member comes back that
/// has missed a little, or more than there is in any log; and a client's requests.
pub fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let writing = recorded(|scene| {
        scene.write(3, b"C");
        scene.write(4, b"A");
        scene.run();
    });
    let electing = recorded(|scene| {
        let leader = usize::from(scene.leader.0);
        let away = scene.members[leader].clone();
        for _ in 0..20 {
            scene.members.iter_mut().for_each(Member::pass_time);
            scene.run();
            // Nothing reaches the old leader, and nothing it says reaches anyone.
            scene.members[leader] = away.clone();
        }
    });
    let returning = recorded(|scene| {
        let follower = usize::from(scene.follower.0);
        let away = scene.members[follower].clone();
        (3..9).for_each(|sequence| scene.write(sequence, b"D"));
        scene.run();
        scene.members[follower] = away;
        for _ in 0..10 {
            scene.members.iter_mut().for_each(Member::pass_time);
            scene.run();
        }
    });
    let missing = recorded(|scene| {
        let follower = usize::from(scene.follower.0);
        let away = scene.members[follower].clone();
        for sequence in 3..20 {
            scene.write(sequence, b"E");
            scene.run();
        }
        scene.members[follower] = away;
        // What was said while it was away would fill the sample.
        scene.heard.clear();
        for _ in 0..10 {
            scene.members.iter_mut().for_each(Member::pass_time);
            scene.run();
        }
    });
    let session = scene().session;
    let payload = request::encode(&[Operation::Get { key: b"A" }]).expect("a small request");
    let (sequence, acked) = (Sequence(3), Sequence(2));
    let requests = [
        ClientRequest::Hello { tag: 1 },
        ClientRequest::Register { tag: 2 },
        ClientRequest::Write { session, sequence, acked, payload: payload.clone() },
        ClientRequest::Read { tag: 3, payload: payload.clone() },
        ClientRequest::ParticipantRead { tag: 8, payload: payload.clone() },
        ClientRequest::StaleRead { tag: 9, payload },
        ClientRequest::KeepAlive { tag: 4, session },
        ClientRequest::Close { tag: 5, session },
        ClientRequest::Status { tag: 6 },
        ClientRequest::Members { tag: 7 },
        ClientRequest::Suggest { tag: 10 },
        ClientRequest::Transfer { tag: 11, to: None },
    ];
    let mut asking = vec![0];
    for request in requests {
        asking.extend([&[0x80][..], &encode(&request), &[0xe0]].concat());
    }
    let mut samples = vec![("asking", asking)];
    for (names, [leader, follower]) in [
        (["writing_leader", "writing_follower"], writing),
        (["electing_leader", "electing_follower"], electing),
        (["returning_leader", "returning_follower"], returning),
        (["missing_leader", "missing_follower"], missing),
    ] {
        samples.extend([(names[0], leader), (names[1], follower)]);
    }
    samples
}

/// Most messages of one sample.
const HEARD_MAX: usize = 24;

/// What the leader and the follower of the scene hear while `act` goes on, each as an input.
fn recorded(act: impl FnOnce(&mut Scene)) -> [Vec<u8>; 2] {
    let Scene { members, leader, follower, session, .. } = scene();
    let (leader, follower) = (*leader, *follower);
    let members = members.clone();
    let mut scene = Scene { members, leader, follower, session: *session, queue: Vec::new(), heard: Vec::new() };
    act(&mut scene);
    [(0, leader), (1, follower)].map(|(role, listener)| {
        let others: Vec<NodeId> = (0..MEMBERS).map(NodeId).filter(|node| *node != listener).collect();
        let mut input = vec![role];
        for (from, _, message) in scene.heard.iter().filter(|(_, to, _)| *to == listener).take(HEARD_MAX) {
            input.push(u8::from(*from == others[1]));
            input.extend(encode(message));
            input.push(0xc0);
        }
        input
    })
}

fn encode<M: Framed>(message: &M) -> Vec<u8> {
    Encoder::default().encode(message).expect("samples are small").concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ios_core::wire::HEAD_LEN;

    /// The frames of all samples, each with the role of the listener and the step before it.
    fn frames() -> Vec<(u8, u8, Vec<u8>)> {
        let mut frames = Vec::new();
        for (_, input) in samples() {
            let mut rest = &input[1..];
            while let Some((step, after)) = rest.split_first() {
                rest = after;
                if *step < 0xc0 {
                    take_frame::<PeerMessage>(&mut rest);
                    frames.push((input[0], *step, after[..after.len() - rest.len()].to_vec()));
                }
            }
        }
        frames.sort();
        frames.dedup();
        frames
    }

    #[test]
    fn the_samples_hold_most_kinds_of_messages() {
        let decode = |frame: Vec<u8>| decode_frame::<PeerMessage>(&Bytes::from(frame)).ok();
        let mut kinds: Vec<String> = frames()
            .into_iter()
            .filter_map(|(_, _, frame)| decode(frame))
            .map(|message| format!("{message:?}").split([' ', '(']).next().expect("a name").to_string())
            .collect();
        kinds.sort();
        kinds.dedup();
        let snapshots = ["SnapshotOffer", "SnapshotAck", "SnapshotChunk"];
        let others = ["Accept", "Accepted", "Entries", "Fetch", "Heartbeat", "HeartbeatAck", "Prepare", "Promise"];
        for kind in others.iter().chain(&snapshots) {
            assert!(kinds.iter().any(|seen| seen == kind), "no {kind} among {kinds:?}");
        }
    }

    /// The frame with the number that begins at `place` of its header replaced.
    fn with_number(frame: &[u8], place: usize, number: u64) -> Option<Vec<u8>> {
        let header_len = u32::from_le_bytes(frame[4..8].try_into().expect("four bytes")) as usize;
        let (header, payload) = frame[HEAD_LEN..].split_at(header_len);
        let old = 1 + header[place..].iter().position(|byte| *byte < 0x80)?;
        let mut encoded = Vec::new();
        let mut left = number;
        while left >= 0x80 {
            encoded.push(left as u8 | 0x80);
            left >>= 7;
        }
        encoded.push(left as u8);
        let header = [&header[..place], &encoded, &header[place + old..]].concat();
        let mut head = frame[..HEAD_LEN].to_vec();
        head[4..8].copy_from_slice(&(header.len() as u32).to_le_bytes());
        Some([&head, header.as_slice(), payload].concat())
    }

    /// Whatever number a real message holds at any place: zero, one, or at the very end of a range.
    #[test]
    fn no_number_in_a_message_is_too_large_or_too_small() {
        let edges = [0, 1, 63, u64::from(u32::MAX), u64::MAX >> 1, u64::MAX - 1, u64::MAX];
        let mut heard = 0;
        for (role, step, frame) in frames() {
            let header_len = u32::from_le_bytes(frame[4..8].try_into().expect("four bytes")) as usize;
            for (place, edge) in (0..header_len).flat_map(|place| edges.map(|edge| (place, edge))) {
                let Some(changed) = with_number(&frame, place, edge) else { continue };
                let repaired = with_checksums::<PeerMessage>(&changed);
                heard += usize::from(decode_frame::<PeerMessage>(&Bytes::from(repaired)).is_ok());
                let pause = vec![0xe0; 4];
                let input = [&[role, step], changed.as_slice(), &pause, &[step], &frame, &pause].concat();
                let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
                let result = std::panic::catch_unwind(|| conversation(&input));
                assert!(result.is_ok(), "{edge} at {place} of {frame:02x?}: {hex}");
            }
        }
        assert!(heard > 1000, "only {heard} changed messages decode");
    }
}
