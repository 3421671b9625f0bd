//! Phase 1's decision: what a new leader must propose at each index, from what a recovery quorum told it.
//!
//! For an index k the rule (section 5 of the protocol; Paxos Made Simple, P2c, with flexible quorums and answers that
//! may be damaged) is:
//! 1. an answer that knows k committed decides;
//! 2. an `unknown(w, digest)` becomes `accepted(w, batch)` if any answer holds a batch of that digest;
//! 3. u is the highest accepted view at k. M are the members that might hide an acceptance above u: those unheard,
//!    those that lost records they cannot name, those with an `unknown` above u, and those that have compacted k away:
//!    they no longer tell what they accepted there. If M contains a replication quorum,
//!    something above u may be chosen without anyone having told: wait. Otherwise nothing above u can be chosen, now or
//!    later, because every other member has promised. Propose u's batch: a batch chosen in u or below is the same by
//!    induction over the views between. A no-op is proposed only if no view accepted anything, and nobody has compacted
//!    k away, which is done with what is committed only: if M contains a replication quorum then, or nothing was
//!    accepted by the others, only a snapshot tells what is.
//!
//! If k was known to be chosen when the candidate stood, u's batch is not only safe to propose but the chosen one. By
//! then some replication quorum A had accepted batch b at k in one view v, durably. If v is above the candidate's view,
//! all of A had promised v before this `Prepare` left, so none of A answers it: A is within M, and we wait. (It cannot
//! be the candidate's own view: that one opens later, and once.) Else take any member of A outside M. It accepted
//! (v, b) before it promised, has not compacted k away and lost nothing it cannot name, so it tells of an acceptance in
//! v or above, or of an unknown not above u. So u is at least v, and from v on every view proposes b at k. Nothing in
//! this rests on recovery quorums meeting each other. Had k become known only later, A might have accepted above the
//! candidate's view *after* some of it had promised. It matters because those who have compacted k away vote for it no
//! more.
//!
//! Safe although answers are of different ages: a promise binds from the moment it is answered, so what an answer says
//! of views below stays complete, and `committed` knowledge that arrives later only confirms.

use super::quorum::QuorumSystem;
use crate::{
    batch::Batch,
    ids::{Index, NodeId, NodeSet, View},
    message::PromiseEntry,
};
use alloc::{collections::BTreeMap, vec::Vec};

/// All that one member answered to `Prepare`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Everything below here has been told.
    pub covered: Index,
    /// One past the last index of which the member holds anything, once told.
    pub end: Index,
    /// Everything up to here is compacted away there.
    pub compacted_below: Index,
    /// The member knows everything up to here committed.
    pub floor: Index,
    /// The member lost records it cannot name.
    pub loss: bool,
    /// What it holds.
    pub entries: BTreeMap<Index, PromiseEntry>,
    /// Whether everything has been told.
    pub complete: bool,
}

/// What to do at one index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Known committed.
    Committed(Batch),
    /// To be proposed in the new view; the no-op if nothing was ever accepted.
    Propose(Batch),
    /// Committed, and only a snapshot of this member tells what.
    Install(NodeId),
    /// Too little is known.
    Wait,
}

impl Decision {
    /// The batch decided on.
    pub fn batch(&self) -> Option<&Batch> {
        match self {
            Decision::Committed(batch) | Decision::Propose(batch) => Some(batch),
            Decision::Wait | Decision::Install(_) => None,
        }
    }
}

/// Decides index `k` from complete answers. Everything up to `known` was chosen before they were asked for.
pub fn decide(k: Index, quorums: &QuorumSystem, known: Index, answers: &BTreeMap<NodeId, Answer>) -> Decision {
    let heard = || answers.iter().filter(|(node, answer)| answer.complete && quorums.members().contains(**node));
    let entries: Vec<(NodeId, &PromiseEntry)> =
        heard().filter_map(|(node, answer)| Some((*node, answer.entries.get(&k)?))).collect();
    let held = |digest| {
        let batches = entries.iter().filter_map(|(_, entry)| entry.accepted.as_ref().map(|(_, batch)| batch));
        batches.into_iter().find(|batch| batch.digest() == digest)
    };
    // Rule 1, also for a member that lost the body of what it knew committed while another still holds that batch.
    for (_, entry) in &entries {
        if let (true, Some((_, batch))) = (entry.committed, &entry.accepted) {
            return Decision::Committed(batch.clone());
        }
        if let Some(batch) = entry.unknown.filter(|unknown| unknown.committed).and_then(|unknown| held(unknown.digest))
        {
            return Decision::Committed(batch.clone());
        }
    }
    // Rule 2.
    let revealed = entries.iter().filter_map(|(_, entry)| entry.unknown.and_then(|u| Some((u.view, held(u.digest)?))));
    let accepted = entries.iter().filter_map(|(_, entry)| entry.accepted.as_ref().map(|(view, batch)| (*view, batch)));
    let highest = accepted.chain(revealed).max_by_key(|(view, _)| *view);
    let u = highest.map_or(View::ZERO, |(view, _)| view);
    // Rule 3.
    let mut hiding = quorums.members().difference(heard().map(|(node, _)| *node).collect());
    for (node, answer) in heard() {
        let entry = answer.entries.get(&k);
        let lost = answer.loss && !entry.is_some_and(|entry| entry.certain);
        let above = entry.and_then(|entry| entry.unknown).is_some_and(|unknown| unknown.committed || unknown.view > u);
        if lost || above || k <= answer.compacted_below {
            hiding = hiding.with(*node);
        }
    }
    // An index someone knows committed is chosen: it can be recovered but never filled.
    let chosen = heard().any(|(_, answer)| k <= answer.floor);
    let compacted = heard().find(|(_, answer)| k <= answer.compacted_below).map(|(node, _)| *node);
    let hides = quorums.has_replication_quorum(hiding);
    match highest {
        _ if hides => compacted.map_or(Decision::Wait, Decision::Install),
        Some((_, batch)) if k <= known => Decision::Committed(batch.clone()),
        Some((_, batch)) => Decision::Propose(batch.clone()),
        None if compacted.is_none() && !chosen && k > known => Decision::Propose(Batch::noop()),
        None => compacted.map_or(Decision::Wait, Decision::Install),
    }
}

/// Whether something may be hidden beyond `end`, where nobody told of anything: only a loss that cannot be named, or
/// too few answers, can hide there.
pub fn tail_is_clear(quorums: &QuorumSystem, answers: &BTreeMap<NodeId, Answer>) -> bool {
    let clear: NodeSet =
        answers.iter().filter(|(_, answer)| answer.complete && !answer.loss).map(|(node, _)| *node).collect();
    !quorums.has_replication_quorum(quorums.members().difference(clear))
}
