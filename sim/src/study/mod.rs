//! The study: how much quorum sizes and ways of replicating matter, measured in virtual time on the real code.
//!
//! A study is a list of runs, each a pure function of its [`Setup`], and what is made of their figures. Three questions
//! are asked ([`Part`]): what does a commit cost, at every cluster size, quorum size and mode; how long does nobody get
//! an answer when a leader is lost, wholly or in part; and what does one dead or slow follower do to everyone else's
//! latency. What the answers should look like is written down as [`findings`], so that a study can fail.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`setup`] | what a run depends on: cluster, mode, conditions, trouble |
//! | [`cluster`], `customers` | the run: real nodes, real clients, virtual time |
//! | [`wires`] | the network: bandwidth, distance, queues |
//! | [`meter`] | what is counted |
//! | [`findings`] | what the figures should show, and whether they do |
//! | [`endurance`] | one long run, cut into tenths |
//! | [`table`], [`page`], [`plot`] | what is printed, as text, CSV and one HTML page |
//!
//! Deliberately absent: chance in the network, faults beyond the one of the setup, and judgement of what was answered;
//! all that is the world's. Floats begin where figures are divided to be shown.

pub mod cluster;
mod customers;
pub mod endurance;
pub mod findings;
pub mod meter;
pub mod page;
pub mod plot;
pub mod setup;
pub mod table;
pub mod wires;

use crate::choice::mix;
use meter::Figures;
use setup::{Conditions, Mode, Setup, Trouble};
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// The cluster in which outages and followers are studied in every mode.
pub const TYPICAL: u8 = 5;

/// What a run is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// What a commit costs, by cluster size, quorum size and mode.
    Grid,
    /// For how long nobody is answered after something befell the leader.
    Outages,
    /// What one dead or slow follower does to latency.
    Followers,
}

impl Part {
    /// All, with their names.
    pub const NAMES: [(Part, &'static str); 3] =
        [(Part::Grid, "grid"), (Part::Outages, "outages"), (Part::Followers, "followers")];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(part, _)| *part == self).map_or("", |(_, name)| name)
    }
}

/// What to study.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Which questions.
    pub parts: Vec<Part>,
    /// Cluster sizes of the grid.
    pub nodes: Vec<u8>,
    /// Ways of replicating.
    pub modes: Vec<Mode>,
    /// How often each outage is tried, with another seed each time.
    pub tries: u16,
    /// Where the clusters work.
    pub conditions: Conditions,
    /// Keys every choice.
    pub seed: u64,
}

/// One run and its figures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// What it was for.
    pub part: Part,
    /// What was run.
    pub setup: Setup,
    /// What it came to.
    pub figures: Figures,
}

/// All runs of a plan, in its order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Study {
    /// What was asked.
    pub plan: Plan,
    /// What was found.
    pub runs: Vec<Run>,
}

impl Plan {
    /// Every run to be made.
    pub fn setups(&self) -> Vec<(Part, Setup)> {
        let mut setups = Vec::new();
        for part in &self.parts {
            let all = match part {
                Part::Grid => self.grid(),
                Part::Outages => self.outages(),
                Part::Followers => self.followers(),
            };
            setups.extend(all.into_iter().map(|setup| (*part, setup)));
        }
        setups
    }

    fn setup(&self, nodes: u8, replication: u8, mode: Mode, trouble: Trouble) -> Setup {
        Setup { nodes, replication, mode, trouble, conditions: self.conditions.clone(), seed: self.seed }
    }

    fn grid(&self) -> Vec<Setup> {
        let mut setups = Vec::new();
        for nodes in &self.nodes {
            for replication in 1..=Setup::majority(*nodes) {
                let cells = self.modes.iter().map(|mode| self.setup(*nodes, replication, *mode, Trouble::None));
                setups.extend(cells);
            }
        }
        setups
    }

    /// The typical cluster in every mode; and in the first one also a small cluster, and a small replication quorum.
    fn outages(&self) -> Vec<Setup> {
        let mut clusters: Vec<_> = self.modes.iter().map(|mode| (TYPICAL, Setup::majority(TYPICAL), *mode)).collect();
        clusters.extend(self.modes.iter().take(1).flat_map(|mode| [(3, 2, *mode), (TYPICAL, 2, *mode)]));
        let mut setups = Vec::new();
        for (nodes, replication, mode) in clusters {
            for trouble in Trouble::OUTAGES {
                let setup = self.setup(nodes, replication, mode, trouble);
                setups.extend((0..u64::from(self.tries)).map(|nth| Setup { seed: self.seed + nth, ..setup.clone() }));
            }
        }
        setups
    }

    fn followers(&self) -> Vec<Setup> {
        let mut setups = Vec::new();
        for mode in &self.modes {
            for replication in 1..=Setup::majority(TYPICAL) {
                let troubles = [Trouble::None, Trouble::FollowerDead, Trouble::FollowerSlow];
                setups.extend(troubles.map(|trouble| self.setup(TYPICAL, replication, *mode, trouble)));
            }
        }
        setups
    }

    /// Makes all runs, on so many threads. `progress` hears of each that is done.
    pub fn run(self, jobs: usize, progress: &(dyn Fn() + Sync)) -> Study {
        let setups = self.setups();
        let next = AtomicUsize::new(0);
        let runs = Mutex::new(Vec::new());
        let work = || {
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some((part, setup)) = setups.get(place) else { break };
                let run = Run { part: *part, setup: setup.clone(), figures: cluster::run(setup) };
                runs.lock().expect("no thread panics while it adds a run").push((place, run));
                progress();
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..jobs.max(1) {
                scope.spawn(work);
            }
        });
        let mut runs = runs.into_inner().expect("no thread panics while it adds a run");
        runs.sort_by_key(|(place, _)| *place);
        Study { plan: self, runs: runs.into_iter().map(|(_, run)| run).collect() }
    }
}

impl Study {
    /// Tells two studies apart that differ anywhere.
    pub fn digest(&self) -> u64 {
        self.runs.iter().fold(0, |digest, run| mix(digest ^ run.figures.digest))
    }

    /// The runs of one part.
    pub fn part(&self, part: Part) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.part == part)
    }

    /// The figures of one cell of the grid, if it was studied.
    pub fn cell(&self, nodes: u8, replication: u8, mode: Mode) -> Option<&Figures> {
        let wanted = |run: &&Run| {
            (run.setup.nodes, run.setup.replication, run.setup.mode.name) == (nodes, replication, mode.name)
        };
        self.part(Part::Grid).find(wanted).map(|run| &run.figures)
    }
}

#[cfg(test)]
mod tests;
