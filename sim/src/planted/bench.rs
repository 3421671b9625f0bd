//! Builds a planted bug and runs campaigns until they have caught it.

use super::{Spec, Tree};
use crate::report::Summary;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// The first seeds of the campaigns. What is said of a bug is the median over them, so that no lucky seed decides.
pub const CAMPAIGNS: [u64; 3] = [0, 1_000_000, 2_000_000];

/// Which profile of the workspace's manifest is quick to build again.
const PROFILE: &str = "planted";

/// A campaign that takes longer hangs: a bug may make a loop endless, in which no oracle is asked.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often a campaign is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// Where bugs are built and run.
#[derive(Clone, Debug)]
pub struct Bench {
    tree: Tree,
    cargo: PathBuf,
}

/// One campaign.
#[derive(Clone, PartialEq, Debug)]
pub struct Catch {
    /// How many seeds it ran.
    pub seeds: u64,
    /// How long that took.
    pub seconds: f64,
    /// The oracle that fired first, and the scenario of that seed; none if all seeds were green.
    pub caught: Option<(String, PathBuf)>,
}

/// What became of one spec.
#[derive(Clone, PartialEq, Debug)]
pub struct Trial {
    /// Which.
    pub spec: Spec,
    /// Its campaigns.
    pub catches: Vec<Catch>,
    /// What became of the first scenario that caught it.
    pub small: Option<Small>,
}

/// A failing scenario, made small by the simulator that has the bug in it.
#[derive(Clone, PartialEq, Debug)]
pub struct Small {
    /// How many directives it has.
    pub lines: usize,
    /// How long it took to make.
    pub seconds: f64,
    /// Whether it fails as it says.
    pub fails: bool,
    /// Where it is.
    pub file: PathBuf,
}

impl Bench {
    /// A bench in `tree` that builds with this cargo.
    pub fn new(tree: Tree, cargo: PathBuf) -> Self {
        Self { tree, cargo }
    }

    /// Plants `edited`, builds the simulator with it, and runs the spec's campaigns. What a campaign that hangs would
    /// have found is not known, which is an error like a bug that does not compile.
    pub fn run(&self, root: &Path, spec: &Spec) -> Result<Trial, String> {
        self.tree.update(&spec.apply(root)?)?;
        let simulator = self.build()?;
        let found = self.tree.scratch().join("found").join(&spec.name);
        let mut catches = Vec::new();
        for first in CAMPAIGNS {
            let catch = campaign(&simulator, first..first + spec.seeds, &found)?;
            // One that is missed, or one that should be, says enough.
            let decided = catch.caught.is_some() == spec.harmless;
            catches.push(catch);
            if decided {
                break;
            }
        }
        let caught = catches.iter().find_map(|catch| catch.caught.as_ref());
        let small = caught.map(|(_, scenario)| shrunk(&simulator, scenario)).transpose()?;
        Ok(Trial { spec: spec.clone(), catches, small })
    }

    /// Takes the last bug out again.
    pub fn clean(&self) -> Result<(), String> {
        self.tree.update(&Default::default())
    }

    fn build(&self) -> Result<PathBuf, String> {
        let target = self.tree.scratch().join("target");
        let mut cargo = Command::new(&self.cargo);
        cargo.current_dir(self.tree.scratch()).env("CARGO_TARGET_DIR", &target);
        let output = cargo.args(["build", "--quiet", "--locked", "-p", "sim", "--profile", PROFILE]).output();
        let output = output.map_err(|error| format!("cannot start {}: {error}", self.cargo.display()))?;
        if !output.status.success() {
            return Err(format!("it does not compile:\n{}", String::from_utf8_lossy(&output.stderr).trim_end()));
        }
        Ok(target.join(PROFILE).join("sim"))
    }
}

/// Has a scenario made small, and runs what came of it.
fn shrunk(simulator: &Path, scenario: &Path) -> Result<Small, String> {
    let file = scenario.with_extension("small.ios");
    let run = |arguments: &[&std::ffi::OsStr]| {
        let output = Command::new(simulator).args(arguments).output();
        output.map_err(|error| format!("cannot run {}: {error}", simulator.display()))
    };
    #[expect(clippy::disallowed_types, reason = "how long shrinking takes is real time; no run depends on it")]
    let began = std::time::Instant::now();
    let made = run(&["shrink".as_ref(), scenario.as_ref(), "-o".as_ref(), file.as_ref()])?;
    let seconds = began.elapsed().as_secs_f64();
    if !made.status.success() {
        let said = String::from_utf8_lossy(&made.stderr);
        return Err(format!("{} does not shrink: {}", scenario.display(), said.trim_end()));
    }
    let text = fs::read_to_string(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).count();
    let fails = run(&["replay".as_ref(), file.as_ref()])?.status.success();
    Ok(Small { lines, seconds, fails, file })
}

/// Runs seeds on one core until one fails.
fn campaign(simulator: &Path, seeds: std::ops::Range<u64>, found: &Path) -> Result<Catch, String> {
    let broken = |error: std::io::Error| format!("cannot run {}: {error}", simulator.display());
    fs::create_dir_all(found).map_err(broken)?;
    let report = found.join(format!("{}.json", seeds.start));
    let mut child = Command::new(simulator)
        .args([
            "--seeds",
            &format!("{}..{}", seeds.start, seeds.end),
            "--jobs",
            "1",
            "--first",
            "--no-shrink",
            "--json",
        ])
        .arg("--out")
        .arg(found)
        .stdout(fs::File::create(&report).map_err(broken)?)
        .stderr(Stdio::null())
        .spawn()
        .map_err(broken)?;
    let mut left = PATIENCE.as_millis() / GLANCE.as_millis();
    while child.try_wait().map_err(broken)?.is_none() {
        if left == 0 {
            child.kill().and_then(|()| child.wait()).map_err(broken)?;
            return Err(format!("seeds {}..{} hang: none was done with in {PATIENCE:?}", seeds.start, seeds.end));
        }
        left -= 1;
        #[expect(clippy::disallowed_methods, reason = "another process is waited for; no run depends on it")]
        std::thread::sleep(GLANCE);
    }
    let text = fs::read_to_string(&report).map_err(broken)?;
    let summary: Summary =
        serde_json::from_str(&text).map_err(|error| format!("seeds {seeds:?} end without a report: {error}"))?;
    let caught = summary.violations.into_iter().next();
    let caught = caught.map(|violated| (violated.oracle, PathBuf::from(violated.scenario)));
    Ok(Catch { seeds: summary.clusters, seconds: summary.wall_s, caught })
}

impl Trial {
    /// What is wrong with it, if anything: a bug that some campaign missed, or that an oracle noticed which is not on
    /// its list; a harmless change that was noticed.
    pub fn problem(&self) -> Option<String> {
        let caught: Vec<&str> = self.oracles().collect();
        if self.spec.harmless {
            return caught.first().map(|oracle| format!("harmless, and yet {oracle} fires"));
        }
        if caught.len() < self.catches.len() {
            return Some(format!("caught in {} campaigns, missed in the next", caught.len()));
        }
        if let Some(small) = self.small.as_ref().filter(|small| !small.fails) {
            return Some(format!("{} does not fail as it says", small.file.display()));
        }
        let other = caught.into_iter().find(|oracle| !self.spec.expects(oracle));
        other.map(|oracle| format!("{oracle} fires, which is not among {}", self.spec.oracles.join(", ")))
    }

    /// The oracles that fired, one a campaign.
    pub fn oracles(&self) -> impl Iterator<Item = &str> {
        self.catches.iter().filter_map(|catch| catch.caught.as_ref()).map(|(oracle, _)| oracle.as_str())
    }

    /// The median of what its campaigns ran.
    pub fn median_seeds(&self) -> u64 {
        let mut seeds: Vec<u64> = self.catches.iter().map(|catch| catch.seeds).collect();
        seeds.sort_unstable();
        seeds.get(seeds.len() / 2).copied().unwrap_or(0)
    }

    /// The median of how long they took.
    pub fn median_seconds(&self) -> f64 {
        let mut seconds: Vec<f64> = self.catches.iter().map(|catch| catch.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        seconds.get(seconds.len() / 2).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A trial of a spec with these oracles whose campaigns found that.
    pub fn trial(name: &str, oracles: &[&str], found: &[(u64, f64, Option<&str>)]) -> Trial {
        let spec = Spec {
            name: name.into(),
            about: "It is wrong.".into(),
            history: "A | family.".into(),
            harmless: oracles.is_empty(),
            oracles: oracles.iter().map(|oracle| oracle.to_string()).collect(),
            seeds: 100,
            edits: Vec::new(),
        };
        let catch = |(seeds, seconds, oracle): &(u64, f64, Option<&str>)| Catch {
            seeds: *seeds,
            seconds: *seconds,
            caught: oracle.map(|oracle| (oracle.to_string(), PathBuf::new())),
        };
        let small = Small { lines: 7, seconds: 1.5, fails: true, file: PathBuf::from("small.ios") };
        let small = found.iter().any(|(_, _, oracle)| oracle.is_some()).then_some(small);
        Trial { spec, catches: found.iter().map(catch).collect(), small }
    }

    #[test]
    fn a_bug_is_caught_in_every_campaign_by_an_oracle_on_its_list() {
        let good = trial("bug", &["commit", "floor"], &[(9, 3.0, Some("floor")), (1, 0.5, Some("commit"))]);
        assert_eq!((good.problem(), good.median_seeds(), good.median_seconds()), (None, 9, 3.0));
        let missed = trial("bug", &["commit"], &[(9, 3.0, Some("commit")), (100, 9.0, None)]);
        assert!(missed.problem().unwrap().contains("caught in 1 campaigns"));
        let other = trial("bug", &["commit"], &[(9, 3.0, Some("window"))]);
        assert!(other.problem().unwrap().contains("window fires"));
        let mut other = good.clone();
        other.small.as_mut().unwrap().fails = false;
        assert_eq!(other.problem().unwrap(), "small.ios does not fail as it says");
        assert_eq!(trial("harmless-bug", &[], &[(100, 9.0, None)]).problem(), None);
        assert!(trial("harmless-bug", &[], &[(3, 9.0, Some("once"))]).problem().unwrap().contains("once fires"));
    }
}
