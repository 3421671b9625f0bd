//! What a connection to the client port speaks, which its first byte tells.

use crate::lines::Conversation;
use ios_core::{
    message::ClientRequest,
    wire::{FrameError, FrameReader, Protocol},
};

/// The language of one connection, and what it has said in it so far.
#[derive(Debug)]
pub(super) enum Language {
    /// Nothing was said.
    Unheard,
    /// Frames, or what will soon turn out to be none.
    Frames(FrameReader<ClientRequest>),
    /// The Go client's.
    Lines(Conversation),
}

impl Language {
    /// Takes what has arrived; requests in frames go to `each`, lines are kept.
    pub(super) fn hear(&mut self, mut bytes: &[u8], mut each: impl FnMut(ClientRequest)) -> Result<(), FrameError> {
        if let (Language::Unheard, [first, ..]) = (&*self, bytes) {
            *self = match Protocol::sniff(*first) {
                Some(Protocol::JsonLines) => Language::Lines(Conversation::default()),
                Some(Protocol::Frames | Protocol::Http) | None => Language::Frames(FrameReader::default()),
            };
        }
        match self {
            Language::Unheard => {}
            Language::Frames(reader) => {
                while let Some(request) = reader.read(&mut bytes)? {
                    each(request);
                }
            }
            Language::Lines(conversation) => conversation.hear(bytes),
        }
        Ok(())
    }

    /// Whether more bytes are wanted.
    pub(super) fn listens(&self) -> bool {
        match self {
            Language::Lines(conversation) => conversation.listens(),
            Language::Unheard | Language::Frames(_) => true,
        }
    }

    /// Bytes of what is not whole, or waits.
    pub(super) fn held(&self) -> usize {
        match self {
            Language::Unheard => 0,
            Language::Frames(reader) => reader.pending(),
            Language::Lines(conversation) => conversation.held(),
        }
    }

    /// The conversation, if it is one.
    pub(super) fn conversation(&mut self) -> Option<&mut Conversation> {
        match self {
            Language::Lines(conversation) => Some(conversation),
            Language::Unheard | Language::Frames(_) => None,
        }
    }
}
