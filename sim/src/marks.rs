//! Situations that a simulator has to have been in. What was never reached was never tested, however many seeds pass.
//!
//! What a few thousand seeds meet only with luck is not among them, because a gate must not depend on luck.
//!
//! `sometimes!` marks one where it is met. A campaign counts in how many runs each was; `sim covers` fails if one of
//! them, or one of the counters, was met in none.

macro_rules! marks {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal,)*) => {
        /// A situation.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[repr(usize)]
        pub enum Mark {
            $($(#[doc = $doc])* $name,)*
        }

        impl Mark {
            /// All of them, in the order of their discriminants.
            pub const ALL: &'static [Mark] = &[$(Mark::$name,)*];

            /// The fixed name in reports.
            pub fn name(self) -> &'static str {
                match self { $(Mark::$name => $text,)* }
            }

            /// What it stands for, in words.
            pub fn about(self) -> &'static str {
                match self { $(Mark::$name => concat!($($doc),*),)* }
            }
        }
    };
}

marks! {
    /// Two members lead at once, each in a view of its own.
    TwoLeaders = "two_leaders",
    /// Whoever comes to lead has not executed all that is chosen.
    LeaderBehind = "leader_behind",
    /// A new leader has more than one index to propose again.
    LongRecovery = "long_recovery",
    /// A new leader puts a no-op where nobody it asked had anything.
    HoleFilled = "hole_filled",
    /// A leader has a whole window of batches that are not executed.
    WindowFull = "window_full",
    /// A leader's own disk has what it leads repaired.
    LeaderRepaired = "leader_repaired",
    /// A batch takes the place of another one that an earlier view had stored on the same disk.
    Overwritten = "overwritten",
    /// A member finds rotten records and records without a name at one start.
    RottenAndLost = "rotten_and_lost",
    /// A leader dies with something chosen that it has not executed.
    LeaderDiesEarly = "leader_dies_early",
    /// A process dies while it writes a half of its identity.
    DiesInIdentity = "dies_in_identity",
    /// A process dies while a round is on its way to a segment.
    DiesInRound = "dies_in_round",
    /// A process dies while a segment is being made.
    DiesInCreation = "dies_in_creation",
    /// A process dies while it writes a snapshot.
    DiesInSnapshot = "dies_in_snapshot",
    /// A process dies while it removes what a snapshot stands for.
    DiesInRemoval = "dies_in_removal",
    /// A process dies again before the first segment of its life is made.
    DiesInOpening = "dies_in_opening",
    /// No member runs.
    NobodyRuns = "nobody_runs",
    /// A paused leader goes on when another one leads a higher view.
    DeposedLeaderWakes = "deposed_leader_wakes",
    /// The core heals while its leader is none of it.
    LeaderOutsideCore = "leader_outside_core",
    /// A leader gives up: it heard from the leader of a higher view.
    GaveUpHigherView = "gave_up_higher_view",
    /// A leader gives up: no replication quorum answers.
    GaveUpNoQuorum = "gave_up_no_quorum",
    /// A leader gives up: its disk does not answer.
    GaveUpDiskStalled = "gave_up_disk_stalled",
    /// A candidate gives up: somebody has promised more.
    GaveUpHigherPromise = "gave_up_higher_promise",
    /// A leader gives up a view for a higher one of its own.
    GaveUpRenewed = "gave_up_renewed",
    /// A candidate gives up: no recovery quorum answers.
    GaveUpTimedOut = "gave_up_timed_out",
    /// A leader gives up: it learned what another one must have done.
    GaveUpOvertaken = "gave_up_overtaken",
    /// A leader gives up because it is to stop.
    GaveUpStopping = "gave_up_stopping",
    /// A leader gives up because another member takes its place.
    GaveUpTransferred = "gave_up_transferred",
    /// Committed by counting acceptances.
    LearnedCounted = "learned_counted",
    /// Committed by the word of a coordinator.
    LearnedChosen = "learned_chosen",
    /// Committed by the floor of the view.
    LearnedFloor = "learned_floor",
    /// Committed by fetching it.
    LearnedFetched = "learned_fetched",
    /// Committed by a promise that said so.
    LearnedRecovered = "learned_recovered",
    /// Committed by an `Accept` a window above.
    LearnedImplied = "learned_implied",
    /// Ignored: the member has not finished opening, or holds back too much.
    IgnoredNotRunning = "ignored_not_running",
    /// Ignored: from someone who has not said who it is.
    IgnoredUnverified = "ignored_unverified",
    /// Ignored: an answer to what is no longer asked.
    IgnoredUnasked = "ignored_unasked",
    /// Ignored: of a view that is over.
    IgnoredOldView = "ignored_old_view",
    /// Ignored: about what was never assigned here.
    IgnoredUnassigned = "ignored_unassigned",
    /// Ignored: the same again.
    IgnoredDuplicate = "ignored_duplicate",
    /// Ignored: about another life of the member.
    IgnoredOtherLife = "ignored_other_life",
    /// Ignored: a promise that a lease forbids.
    IgnoredLeased = "ignored_leased",
    /// A client is told that another member leads.
    RefusedNotLeader = "refused_not_leader",
    /// A client is told that nobody leads.
    RefusedNoLeader = "refused_no_leader",
    /// A client is told that the member has not finished opening.
    RefusedNotReady = "refused_not_ready",
    /// A client is told that too much is waiting.
    RefusedOverloaded = "refused_overloaded",
    /// A client is told that the outcome is open.
    RefusedDeposed = "refused_deposed",
    /// A client is told that its session is over.
    RefusedExpired = "refused_expired",
    /// A client is told that reads of this mode are not served.
    RefusedNotServed = "refused_not_served",
}

/// Marks that the given situation is met, if the condition holds.
macro_rules! sometimes {
    ($outcome:expr, $mark:ident, $condition:expr) => {{
        let met: bool = $condition;
        $outcome.marks.extend(met.then_some($crate::marks::Mark::$mark))
    }};
}
pub(crate) use sometimes;

/// Which situations a run was in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Marks(u128);

impl Marks {
    /// Notes one.
    pub fn insert(&mut self, mark: Mark) {
        self.0 |= 1 << mark as usize;
    }

    /// Notes one, if it is there.
    pub fn extend(&mut self, mark: Option<Mark>) {
        self.0 |= mark.map_or(0, |mark| 1 << mark as usize);
    }

    /// Whether it is among them.
    pub fn contains(self, mark: Mark) -> bool {
        self.0 >> mark as usize & 1 == 1
    }
}

/// In how many runs each situation was met.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Met([u64; Mark::ALL.len()]);

impl Default for Met {
    fn default() -> Self {
        Self([0; Mark::ALL.len()])
    }
}

impl Met {
    /// Adds a run.
    pub fn add(&mut self, marks: Marks) {
        for mark in Mark::ALL {
            self.0[*mark as usize] += u64::from(marks.contains(*mark));
        }
    }

    /// Adds other runs.
    pub fn merge(&mut self, other: &Met) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }

    /// Every situation with its number of runs.
    pub fn iter(&self) -> impl Iterator<Item = (Mark, u64)> + '_ {
        Mark::ALL.iter().map(|mark| (*mark, self.0[*mark as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_have_names_of_their_own_and_are_counted_by_runs() {
        let mut names: Vec<_> = Mark::ALL.iter().map(|mark| mark.name()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]) && Mark::ALL.len() <= 128);
        let (mut one, mut all) = (Marks::default(), Marks::default());
        one.insert(Mark::TwoLeaders);
        one.insert(Mark::TwoLeaders);
        Mark::ALL.iter().for_each(|mark| all.insert(*mark));
        let (mut met, mut others) = (Met::default(), Met::default());
        met.add(one);
        others.add(all);
        met.merge(&others);
        assert!(met.iter().all(|(mark, runs)| runs == 1 + u64::from(mark == Mark::TwoLeaders)));
    }
}
