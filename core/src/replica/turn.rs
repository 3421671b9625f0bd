//! What every leaf of the replica works with, and the rule that nothing leaves too early.
//!
//! Whatever vouches for something durable (a promise, an acceptance, a view of one's own) becomes an [`Effect`] with
//! the journal's [`Ticket`] of that moment, and takes place once *everything* handed to the journal before it is
//! durable. One queue in order is stricter than needed and cannot be got wrong: a promise, for one, thereby waits for
//! every acceptance journalled before it (H4).

use crate::{
    ids::{Digest, Index, NodeId, NodeSet, View},
    interface::{Ignored, Note, Output},
    journal::{Journal, Ticket},
    message::PeerMessage,
    time::Time,
};
use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use rand_chacha::ChaCha8Rng;

/// Time, chance, the journal and the outputs of one step.
pub struct Turn<'a> {
    /// The step's time.
    pub now: Time,
    /// The node's own seeded generator.
    pub rng: &'a mut ChaCha8Rng,
    /// Where durable things go.
    pub journal: &'a mut Journal,
    /// What is to be done.
    pub out: &'a mut Vec<Output>,
}

impl Turn<'_> {
    /// Reports what happened.
    #[inline(always)]
    pub fn note(&mut self, note: Note) {
        Output::put_note(self.out, note);
    }

    /// Reports input that no rule has a use for.
    pub fn ignore(&mut self, why: Ignored) {
        self.note(Note::Ignored(why));
    }

    /// Sends at once: only for what vouches for nothing that is not durable yet.
    pub fn send(&mut self, to: NodeSet, message: PeerMessage) {
        self.send_with(to, || message);
    }

    /// The same for what is sent so often that the message is to be built in its place.
    #[inline(always)]
    pub fn send_with(&mut self, to: NodeSet, message: impl FnOnce() -> PeerMessage) {
        if !to.is_empty() {
            Output::put(self.out, || Output::Send { to, message: message() });
        }
    }
}

/// What takes place when the journal has caught up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// A message that vouches for durable state leaves.
    Send {
        /// To whom.
        to: NodeId,
        /// What. Such messages are few, acceptances are many.
        message: Box<PeerMessage>,
    },
    /// An acceptance counts, here or at its coordinator.
    Accepted {
        /// In which view.
        view: View,
        /// Where.
        index: Index,
        /// What.
        digest: Digest,
        /// Who counts.
        coordinator: NodeId,
    },
    /// A view of one's own may be asked promises for.
    Candidacy {
        /// The view.
        view: View,
    },
    /// The founding of the cluster is durable here.
    Founded,
}

/// Most effects held back. A disk that is this far behind accepts nothing more; whoever asked asks again.
pub const WITHHELD_MAX: usize = 1 << 16;

/// Effects in the order in which they were caused.
#[derive(Clone, Debug, Default)]
pub struct Withheld {
    queue: VecDeque<(Ticket, Effect)>,
}

impl Withheld {
    /// Holds an effect back until everything handed to the journal so far is durable.
    #[inline(always)]
    pub fn push(&mut self, journal: &Journal, effect: impl FnOnce() -> Effect) {
        let ticket = journal.ticket();
        self.queue.extend(core::iter::once_with(|| (ticket, effect())));
    }

    /// The next effect whose time has come.
    pub fn pop(&mut self, journal: &Journal) -> Option<Effect> {
        let (ticket, _) = self.queue.front()?;
        journal.covers(*ticket).then(|| self.queue.pop_front().expect("just seen").1)
    }

    /// Whether no more may be added.
    pub fn is_full(&self) -> bool {
        self.queue.len() >= WITHHELD_MAX
    }

    /// Whether nothing is held back.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
