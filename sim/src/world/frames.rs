//! Messages as bytes: their encoding, and what becomes of a frame whose bytes change on their way.
//!
//! Most runs hand messages over as they are. Where they go through their encoding, each must come out of it as it went
//! in. A damaged frame must never come out as anything: its receiver cannot tell where the next one begins, so it
//! closes the connection, and both ends have to begin anew.

use super::{World, agenda::Class, item::Item};
use crate::{oracle::Oracle, outcome::Counter};
use ios_core::{
    ids::NodeId,
    time::{Span, Time},
    wire::{self, Framed},
};
use std::fmt::Debug;

impl World {
    /// In runs that encode: the message as it comes out of its own encoding, which must be the same.
    pub(super) fn encoded<M: Framed + PartialEq + Debug>(&mut self, message: M) -> Option<M> {
        let Some(encoder) = &mut self.encoder else { return Some(message) };
        self.outcome.checks.count(Oracle::Encoding);
        let decoded = encoder.encode(&message).and_then(|chunks| wire::decode_frame::<M>(&chunks.concat().into()));
        match decoded {
            Ok(decoded) if decoded == message => Some(decoded),
            Ok(decoded) => {
                self.object(Oracle::Encoding, format!("{message:?} was encoded and came back as {decoded:?}"));
                None
            }
            Err(error) => {
                self.object(Oracle::Encoding, format!("{message:?} was encoded and came back as an error: {error}"));
                None
            }
        }
    }

    /// A frame of this message is damaged on its way: nobody may make anything of it.
    pub(super) fn refuse_damaged<M: Framed + Debug>(&mut self, message: &M, bits: u64) {
        self.outcome.counters.count(Counter::FramesDamaged);
        let encoder = self.encoder.get_or_insert_default();
        let Ok(chunks) = encoder.encode(message) else { return };
        let mut frame = chunks.concat();
        damage(&mut frame, bits);
        self.refuse::<M>(frame);
    }

    pub(super) fn refuse<M: Framed + Debug>(&mut self, frame: Vec<u8>) {
        self.outcome.checks.count(Oracle::Encoding);
        if let Ok(message) = wire::decode_frame::<M>(&frame.into()) {
            self.object(Oracle::Encoding, format!("a damaged frame was taken for {message:?}"));
        }
    }

    /// What a member could not read breaks its link with the sender, at both ends. Then they find each other again.
    pub(super) fn break_link(&mut self, at: Time, from: NodeId, to: NodeId, bits: u64) {
        let life = |node: NodeId| (node, self.processes[usize::from(node.0)].life);
        let (from, to) = (life(from), life(to));
        let notice = self.network.notice(to.0.0, from.0.0, bits);
        let again = at + notice + notice + Span::millis(1);
        for (time, node, peer, up) in
            [(at, to, from, false), (at + notice, from, to, false), (again, from, to, true), (again, to, from, true)]
        {
            self.agenda.put(time, Class::Ready, Item::Link { node, peer, up });
        }
    }
}

/// Changes a few bits or bytes next to each other, cuts the end off, or puts a byte in.
fn damage(frame: &mut Vec<u8>, bits: u64) {
    let place = (bits >> 16) as usize % frame.len();
    match bits % 4 {
        0 => frame[place] ^= 1 << (bits >> 8 & 7),
        1 => frame[place..].iter_mut().take(3).for_each(|byte| *byte ^= (bits >> 8) as u8 | 1),
        2 => frame.truncate(place),
        _ => frame.insert(place, (bits >> 8) as u8),
    }
}
