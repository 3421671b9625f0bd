//! How each kind of message takes its payloads out and puts them back: [`crate::message`]'s types hold a batch or bytes
//! in memory and a length inside a header.

use super::frame::{FrameError, Kind};
use crate::{
    batch::Batch,
    message::{ClientRequest, ClientResponse, PeerMessage, Promise, PromiseEntry},
};
use alloc::{boxed::Box, vec::Vec};
use bytes::Bytes;
use core::convert::Infallible;
use serde::{Serialize, de::DeserializeOwned};

/// A message that frames carry.
pub trait Framed: Sized {
    /// The kind of its frames.
    const KIND: Kind;
    /// Most bytes of one frame, head included, unless a reader says otherwise.
    const FRAME_MAX: usize;
    /// Most bytes of a header, which takes more memory decoded than encoded.
    const HEADER_MAX: usize;
    /// The message with a length in place of each payload.
    type Header: Serialize + DeserializeOwned;

    /// Makes the header, handing each payload to `payload` in order.
    fn to_header(&self, payload: &mut dyn FnMut(&Bytes)) -> Self::Header;

    /// Makes the message, asking `payload` for so many bytes in order.
    fn from_header(
        header: &Self::Header,
        payload: &mut dyn FnMut(usize) -> Result<Bytes, FrameError>,
    ) -> Result<Self, FrameError>;
}

impl Framed for PeerMessage {
    const KIND: Kind = Kind::Peer;
    const FRAME_MAX: usize = 32 << 20;
    const HEADER_MAX: usize = 1 << 20;
    type Header = PeerMessage<u32>;

    fn to_header(&self, payload: &mut dyn FnMut(&Bytes)) -> PeerMessage<u32> {
        let Ok(header) = self.try_map_payloads(&mut |batch| length(batch.bytes(), payload));
        header
    }

    fn from_header(
        header: &PeerMessage<u32>,
        payload: &mut dyn FnMut(usize) -> Result<Bytes, FrameError>,
    ) -> Result<Self, FrameError> {
        header.try_map_payloads(&mut |length| Batch::decode(payload(*length as usize)?).map_err(|_| FrameError::Batch))
    }
}

impl Framed for ClientRequest {
    const KIND: Kind = Kind::Request;
    const FRAME_MAX: usize = 2 << 20;
    const HEADER_MAX: usize = 4 << 10;
    type Header = ClientRequest<u32>;

    fn to_header(&self, payload: &mut dyn FnMut(&Bytes)) -> ClientRequest<u32> {
        let Ok(header) = self.try_map_payloads(&mut |bytes| length(bytes, payload));
        header
    }

    fn from_header(
        header: &ClientRequest<u32>,
        payload: &mut dyn FnMut(usize) -> Result<Bytes, FrameError>,
    ) -> Result<Self, FrameError> {
        header.try_map_payloads(&mut |length| payload(*length as usize))
    }
}

/// Replies may be longer than any request (a listing), and a refusal's text is part of the header.
impl Framed for ClientResponse {
    const KIND: Kind = Kind::Response;
    const FRAME_MAX: usize = 32 << 20;
    const HEADER_MAX: usize = 32 << 20;
    type Header = ClientResponse<u32>;

    fn to_header(&self, payload: &mut dyn FnMut(&Bytes)) -> ClientResponse<u32> {
        let Ok(header) = self.try_map_payloads(&mut |bytes| length(bytes, payload));
        header
    }

    fn from_header(
        header: &ClientResponse<u32>,
        payload: &mut dyn FnMut(usize) -> Result<Bytes, FrameError>,
    ) -> Result<Self, FrameError> {
        header.try_map_payloads(&mut |length| payload(*length as usize))
    }
}

/// Hands a payload over and keeps its length. The encoder refuses frames whose lengths do not fit.
fn length(bytes: &Bytes, payload: &mut dyn FnMut(&Bytes)) -> Result<u32, Infallible> {
    payload(bytes);
    Ok(bytes.len() as u32)
}

impl<P> PeerMessage<P> {
    /// The same message with every payload held as `hold` says, asked in the order of the fields.
    pub fn try_map_payloads<Q, E>(&self, hold: &mut impl FnMut(&P) -> Result<Q, E>) -> Result<PeerMessage<Q>, E> {
        Ok(match *self {
            PeerMessage::Hello(ref hello) => PeerMessage::Hello(hello.clone()),
            PeerMessage::Refused { nonce, incarnation, why } => PeerMessage::Refused { nonce, incarnation, why },
            PeerMessage::Canvass { view } => PeerMessage::Canvass { view },
            PeerMessage::CanvassReply { view, missing_leader, promised } => {
                PeerMessage::CanvassReply { view, missing_leader, promised }
            }
            PeerMessage::Prepare { view, from } => PeerMessage::Prepare { view, from },
            PeerMessage::Promise(ref promise) => PeerMessage::Promise(Box::new(promise.try_map_payloads(hold)?)),
            PeerMessage::Reject { view, promised } => PeerMessage::Reject { view, promised },
            PeerMessage::Accept { view, index, ref batch, floor, coordinator } => {
                PeerMessage::Accept { view, index, batch: hold(batch)?, floor, coordinator }
            }
            PeerMessage::Accepted { view, index, digest, incarnation } => {
                PeerMessage::Accepted { view, index, digest, incarnation }
            }
            PeerMessage::Chosen { view, index, digest } => PeerMessage::Chosen { view, index, digest },
            PeerMessage::Heartbeat { view, round, floor } => PeerMessage::Heartbeat { view, round, floor },
            PeerMessage::HeartbeatAck { view, round, hollow_until, ref checkpoint } => {
                PeerMessage::HeartbeatAck { view, round, hollow_until, checkpoint: checkpoint.clone() }
            }
            PeerMessage::Diverged { index, state_hash } => PeerMessage::Diverged { index, state_hash },
            PeerMessage::Fetch { nonce, from, to } => PeerMessage::Fetch { nonce, from, to },
            PeerMessage::Entries { nonce, ref leading, ref entries } => {
                let entries = entries.iter().map(|(index, batch)| Ok((*index, hold(batch)?)));
                PeerMessage::Entries { nonce, leading: leading.clone(), entries: entries.collect::<Result<_, E>>()? }
            }
            PeerMessage::Assign { view, index, ref batch, floor } => {
                PeerMessage::Assign { view, index, batch: hold(batch)?, floor }
            }
            PeerMessage::Forward { nonce, ref batch } => PeerMessage::Forward { nonce, batch: hold(batch)? },
            PeerMessage::Forwarded { nonce, outcome } => PeerMessage::Forwarded { nonce, outcome },
            PeerMessage::Barrier { nonce } => PeerMessage::Barrier { nonce },
            PeerMessage::HighWater { nonce, high, floor, view } => PeerMessage::HighWater { nonce, high, floor, view },
            PeerMessage::Transfer { view } => PeerMessage::Transfer { view },
            PeerMessage::SnapshotAsk { above } => PeerMessage::SnapshotAsk { above },
            PeerMessage::SnapshotOffer { seal } => PeerMessage::SnapshotOffer { seal },
            PeerMessage::SnapshotAck { seal, next } => PeerMessage::SnapshotAck { seal, next },
            PeerMessage::SnapshotChunk { ref seal, number, ref data } => {
                PeerMessage::SnapshotChunk { seal: seal.clone(), number, data: data.clone() }
            }
            PeerMessage::Released { view } => PeerMessage::Released { view },
            PeerMessage::ReadIndexAsk { nonce } => PeerMessage::ReadIndexAsk { nonce },
            PeerMessage::ReadIndex { nonce, index } => PeerMessage::ReadIndex { nonce, index },
        })
    }
}

impl<P> Promise<P> {
    fn try_map_payloads<Q, E>(&self, hold: &mut impl FnMut(&P) -> Result<Q, E>) -> Result<Promise<Q>, E> {
        let Promise { view, from, to, end, compacted_below, floor, loss, ref entries } = *self;
        let mut held = Vec::with_capacity(entries.len());
        for &PromiseEntry { index, ref accepted, committed, unknown, certain } in entries {
            let accepted = match accepted {
                Some((view, batch)) => Some((*view, hold(batch)?)),
                None => None,
            };
            held.push(PromiseEntry { index, accepted, committed, unknown, certain });
        }
        Ok(Promise { view, from, to, end, compacted_below, floor, loss, entries: held })
    }
}

impl<P> ClientRequest<P> {
    /// The same message with its payload held as `hold` says.
    pub fn try_map_payloads<Q, E>(&self, hold: &mut impl FnMut(&P) -> Result<Q, E>) -> Result<ClientRequest<Q>, E> {
        Ok(match *self {
            ClientRequest::Hello { tag } => ClientRequest::Hello { tag },
            ClientRequest::Register { tag } => ClientRequest::Register { tag },
            ClientRequest::Write { session, sequence, acked, ref payload } => {
                ClientRequest::Write { session, sequence, acked, payload: hold(payload)? }
            }
            ClientRequest::KeepAlive { tag, session } => ClientRequest::KeepAlive { tag, session },
            ClientRequest::Close { tag, session } => ClientRequest::Close { tag, session },
            ClientRequest::Read { tag, ref payload } => ClientRequest::Read { tag, payload: hold(payload)? },
            ClientRequest::Status { tag } => ClientRequest::Status { tag },
            ClientRequest::Members { tag } => ClientRequest::Members { tag },
            ClientRequest::ParticipantRead { tag, ref payload } => {
                ClientRequest::ParticipantRead { tag, payload: hold(payload)? }
            }
            ClientRequest::StaleRead { tag, ref payload } => ClientRequest::StaleRead { tag, payload: hold(payload)? },
            ClientRequest::Suggest { tag } => ClientRequest::Suggest { tag },
            ClientRequest::Transfer { tag, to } => ClientRequest::Transfer { tag, to },
        })
    }
}

impl<P> ClientResponse<P> {
    /// The same message with its payload held as `hold` says.
    pub fn try_map_payloads<Q, E>(&self, hold: &mut impl FnMut(&P) -> Result<Q, E>) -> Result<ClientResponse<Q>, E> {
        Ok(match *self {
            ClientResponse::Welcome { tag, node, leader } => ClientResponse::Welcome { tag, node, leader },
            ClientResponse::Registered { tag, session, ttl } => ClientResponse::Registered { tag, session, ttl },
            ClientResponse::Written { session, sequence, revision, ref payload } => {
                ClientResponse::Written { session, sequence, revision, payload: hold(payload)? }
            }
            ClientResponse::Done { tag } => ClientResponse::Done { tag },
            ClientResponse::Read { tag, revision, ref payload } => {
                ClientResponse::Read { tag, revision, payload: hold(payload)? }
            }
            ClientResponse::Refused { request, ref refusal } => {
                ClientResponse::Refused { request, refusal: refusal.clone() }
            }
            ClientResponse::Status { tag, ref status } => ClientResponse::Status { tag, status: status.clone() },
            ClientResponse::Members { tag, ref members } => ClientResponse::Members { tag, members: members.clone() },
        })
    }
}
