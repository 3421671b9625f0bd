//! Whether all members are in the same state: checkpoints, compared by the leader.
//!
//! Replicas that executed the same batches are in the same state, unless memory was damaged, a service is not the
//! function of its log that it should be, or there is a bug of ours. Nothing else in the protocol would notice: reads
//! would be answered from a state that nobody agreed on, and snapshots would spread it. So each replica remembers the
//! hash of its state at every [`CHECKPOINT_EVERY`]th index and names the newest with its answer to a heartbeat; the
//! leader compares that with its own of the same index.
//!
//! Two hashes do not say which of them is wrong; a majority of the members does, whatever the quorums are. Whom the
//! leader and a majority contradict is told so, looks for itself, and stops. Only who agrees at that index or a later
//! one counts toward the majority: what was damaged just now was in order a moment ago. A leader that no majority can
//! agree with any more stops itself: with two members that is what a difference comes to, for nobody can tell who
//! should go on. Comparing decides nothing else, so late, lost and repeated reports do no harm; the next one comes with
//! the next heartbeat.

use super::{Replica, Role, turn::Turn};
use crate::{
    ids::{Index, NodeId, NodeSet},
    interface::{Fault, Ignored, Note},
    message::PeerMessage,
};
use alloc::collections::{BTreeMap, VecDeque};

/// Every so many indexes the hash of the state is remembered.
pub const CHECKPOINT_EVERY: u64 = 64;
/// Most checkpoints remembered: who is further behind, or ahead, is compared when that is over.
const CHECKPOINTS_MAX: usize = 128;

/// What is known of the members' states.
#[derive(Clone, Debug, Default)]
pub(super) struct Checkpoints {
    /// The latest of one's own, ascending: index, and hash of the state after it.
    own: VecDeque<(Index, u64)>,
    /// As leader: where each follower was compared the last time, and whether it agreed.
    compared: BTreeMap<NodeId, (Index, bool)>,
}

impl Checkpoints {
    fn at(&self, index: Index) -> Option<u64> {
        let place = self.own.binary_search_by_key(&index, |(at, _)| *at).ok()?;
        Some(self.own[place].1)
    }
}

impl Replica {
    /// The state after `index` has this hash.
    pub fn note_state(&mut self, index: Index, state_hash: u64) {
        if index.0.is_multiple_of(CHECKPOINT_EVERY) {
            if self.checkpoints.own.len() == CHECKPOINTS_MAX {
                self.checkpoints.own.pop_front();
            }
            self.checkpoints.own.push_back((index, state_hash));
        }
    }

    /// Another state has taken the place of the one that was remembered.
    pub(super) fn forget_states(&mut self) {
        self.checkpoints.own.clear();
    }

    /// What to tell a leader of one's state.
    pub(super) fn checkpoint(&self) -> Option<(Index, u64)> {
        self.checkpoints.own.back().copied()
    }

    /// A new leader has compared nobody yet.
    pub(super) fn compare_anew(&mut self) {
        self.checkpoints.compared.clear();
    }

    /// Compares what a follower of this leader says of its state.
    pub(super) fn compare_state(&mut self, turn: &mut Turn, from: NodeId, checkpoint: Option<(Index, u64)>) {
        let Some((index, theirs)) = checkpoint else { return };
        let Some(state_hash) = self.checkpoints.at(index) else { return };
        let members = self.members().len();
        let majority = members / 2 + 1;
        self.checkpoints.compared.insert(from, (index, theirs == state_hash));
        if theirs == state_hash {
            return;
        }
        turn.note(Note::StateDiffers { from, index });
        let compared = self.checkpoints.compared.values();
        let differ = compared.clone().filter(|(_, agrees)| !agrees).count();
        let agree = 1 + compared.filter(|(at, agrees)| *agrees && *at >= index).count();
        if members - differ < majority {
            self.fence(Fault::State { index });
        } else if agree >= majority {
            turn.send(NodeSet::only(from), PeerMessage::Diverged { index, state_hash });
        }
    }

    /// A leader says that it and a majority had another state after `index`.
    pub(super) fn told_of_divergence(&mut self, turn: &mut Turn, from: NodeId, index: Index, state_hash: u64) {
        if self.following != Some(from) || matches!(self.role, Role::Leader(_)) {
            return turn.ignore(Ignored::OldView);
        }
        match self.checkpoints.at(index) {
            Some(own) if own != state_hash => self.fence(Fault::State { index }),
            _ => turn.ignore(Ignored::Unasked),
        }
    }
}
