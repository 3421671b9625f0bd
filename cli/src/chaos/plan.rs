//! Which fault strikes next: every one once before any strikes again, in an order that a seed decides.

use super::arguments::Faults;
use crate::suggest::nearest;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::fmt;

/// What can be done to a cluster.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// A process is killed without a word, and started again.
    Kill,
    /// All processes are, at once.
    KillAll,
    /// A process stands still for a while.
    Pause,
    /// A process is asked to stop, and started again.
    Stop,
    /// The members are in two groups that do not hear each other.
    Partition,
    /// One member is not heard, or hears nobody.
    OneWay,
    /// Everything that is sent waits, and arrives late.
    Stall,
    /// Links are slow, uneven and narrow.
    Slow,
    /// Connections break again and again.
    Reset,
    /// Bits of a member's files have flipped while it did not run.
    Flip,
    /// A file of a member's log is gone.
    LostSegment,
    /// A member's directory is replaced by an old copy of it.
    OldCopy,
    /// A member's directory is empty.
    Emptied,
    /// A member's disk is full.
    FullDisk,
    /// A member's disk fails to write or to sync.
    DiskError,
    /// A member's disk takes very long to sync.
    StuckSync,
    /// The clock of a member leaps.
    ClockJump,
}

use Fault::*;

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 17] = [
        Kill,
        KillAll,
        Pause,
        Stop,
        Partition,
        OneWay,
        Stall,
        Slow,
        Reset,
        Flip,
        LostSegment,
        OldCopy,
        Emptied,
        FullDisk,
        DiskError,
        StuckSync,
        ClockJump,
    ];

    /// Whether it hurts processes alone.
    pub fn is_of_a_process(self) -> bool {
        matches!(self, Kill | KillAll | Pause | Stop)
    }

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Kill => "kill",
            KillAll => "kill-all",
            Pause => "pause",
            Stop => "stop",
            Partition => "partition",
            OneWay => "one-way",
            Stall => "stall",
            Slow => "slow",
            Reset => "reset",
            Flip => "flip",
            LostSegment => "lost-segment",
            OldCopy => "old-copy",
            Emptied => "emptied",
            FullDisk => "full-disk",
            DiskError => "disk-error",
            StuckSync => "stuck-sync",
            ClockJump => "clock-jump",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Reads a list of names, or `all`.
pub fn parse_faults(text: &str) -> Result<Faults, String> {
    if text == "all" {
        return Ok(Faults(Fault::ALL.to_vec()));
    }
    let mut faults = Vec::new();
    for name in text.split(',') {
        let Some(fault) = Fault::ALL.into_iter().find(|fault| fault.name() == name) else {
            let names = Fault::ALL.map(Fault::name);
            let hint = nearest(name, names).map_or(String::new(), |near| format!(" Did you mean {near}?"));
            return Err(format!("there is no fault \"{name}\".{hint} Choose all, or of: {}", names.join(", ")));
        };
        faults.push(fault);
    }
    faults.sort();
    faults.dedup();
    Ok(Faults(faults))
}

/// Deals faults in cycles.
#[derive(Debug)]
pub struct Plan {
    faults: Vec<Fault>,
    left: Vec<Fault>,
    /// How many cycles may still be begun, if that is limited.
    cycles: Option<u32>,
}

impl Plan {
    /// A plan of these faults, for so many cycles or without end.
    pub fn new(faults: &Faults, cycles: Option<u32>) -> Self {
        Self { faults: faults.0.clone(), left: Vec::new(), cycles }
    }

    /// The next one; `None` when all cycles are over.
    pub fn next(&mut self, chance: &mut ChaCha8Rng) -> Option<Fault> {
        if self.left.is_empty() {
            if let Some(cycles) = &mut self.cycles {
                *cycles = cycles.checked_sub(1)?;
            }
            self.left = self.faults.clone();
            self.left.shuffle(chance);
        }
        self.left.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    fn deal(seed: u64, count: usize) -> Vec<Fault> {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let mut plan = Plan::new(&Faults(Fault::ALL.to_vec()), None);
        (0..count).map(|_| plan.next(&mut chance).unwrap()).collect()
    }

    #[test]
    fn every_fault_comes_once_in_a_cycle_and_a_seed_means_one_order() {
        let dealt = deal(3, 2 * Fault::ALL.len());
        for cycle in dealt.chunks(Fault::ALL.len()) {
            let mut cycle = cycle.to_vec();
            cycle.sort();
            assert_eq!(cycle, Fault::ALL);
        }
        assert_eq!(dealt, deal(3, 2 * Fault::ALL.len()));
        assert_ne!(dealt, deal(4, 2 * Fault::ALL.len()));
    }

    #[test]
    fn a_plan_of_so_many_cycles_ends() {
        let mut chance = ChaCha8Rng::seed_from_u64(1);
        let mut plan = Plan::new(&parse_faults("kill,slow,kill").unwrap(), Some(2));
        let mut dealt = Vec::from_iter(std::iter::from_fn(|| plan.next(&mut chance)));
        dealt.sort();
        assert_eq!(dealt, [Kill, Kill, Slow, Slow]);
    }

    #[test]
    fn a_misspelt_fault_is_told_with_what_was_meant() {
        let why = parse_faults("kill,partitoin").unwrap_err();
        assert!(
            why.contains("\"partitoin\"") && why.contains("mean partition?") && why.contains("clock-jump"),
            "{why}"
        );
        assert_eq!(parse_faults("all"), Ok(Faults(Fault::ALL.to_vec())));
    }
}
