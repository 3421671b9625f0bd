//! `ios chaos`: a whole cluster of real processes under load, broken again and again, and what its clients saw judged.
//!
//! ```text
//! clients --> n0, n1, n2, ...     `ios serve`, as anywhere
//!              |  |  |
//!              relay              one link per direction between two members, each with weather of its own
//! ```
//! One fault at a time: it begins, is healed, and the next one waits until clients are answered again and every member
//! has caught up and is whole, which has to happen within bounds. So no more is broken at once than the cluster
//! promises to survive. Every fault brings a proof that it took effect; one without proof counts for nothing. At the
//! end all that was acknowledged must be there, all members must be in one state, and the clients' history must be
//! linearizable.
//!
//! What is drawn comes from the seed; what happens then takes place in real time, so a seed brings back the faults and
//! not the run. Whoever wants a run back uses the simulator.

pub mod arguments;
mod plan;
mod relay;
mod members;
mod scene;
mod load;
mod gaps;
mod process_faults;
mod network_faults;
mod damage;
mod disk_faults;
mod clock_faults;
mod files;
mod report;
mod trouble;

use crate::{
    arguments::Global,
    dev::watch_signals,
    exit::{Exit, Failure},
    say::talk,
};
use arguments::Chaos;
use ios_core::time::Time;
use load::{Load, Seen};
use members::{Members, own_address, peer_addresses};
use plan::{Fault, Plan};
use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use relay::Relay;
use report::{End, Report, Round, judged, seconds};
use runtime::clock::unix_ns;
use scene::Scene;
use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};
use trouble::{Bite, Trouble};

/// The file with what clients saw, one line an event, as `sim check` reads it.
const HISTORY: &str = "history.jsonl";

/// Runs a cluster, breaks it, and judges it.
pub fn run(global: &Global, chaos: &Chaos) -> Result<Exit, Failure> {
    // Two runs at once must not meet, whatever their seeds.
    let mut elsewhere = ChaCha8Rng::seed_from_u64(unix_ns() ^ (u64::from(std::process::id()) << 40));
    let seed = chaos.seed.unwrap_or_else(|| elsewhere.random_range(0..1_000_000));
    let root = make_root(chaos)?;
    talk(format_args!("chaos with seed {seed}, {} members, in {}", chaos.nodes, root.display()));
    let mut scene = match set_up(chaos, seed, &root, &mut elsewhere) {
        Ok(scene) => scene,
        Err(Trouble::Failed(failure)) => return Err(failure),
        Err(Trouble::Stopped) => return Ok(Exit::Error),
        Err(Trouble::Broken(why)) => return Err(Failure::new(Exit::Error, format!("{why}; see {}", root.display()))),
    };
    let began = scene.now();
    let mut rounds = Vec::new();
    let ended = strike_until_over(chaos, &mut scene, &mut rounds);
    let report = conclude(chaos, seed, scene, began, rounds, ended)?;
    report.print(global)?;
    if report.kept_in.is_none() {
        fs::remove_dir_all(&root).map_err(|error| Failure::system(&format!("remove {}", root.display()), error))?;
    }
    Ok(if report.end == End::Ok { Exit::Ok } else { Exit::Error })
}

/// An empty directory for everything.
fn make_root(chaos: &Chaos) -> Result<PathBuf, Failure> {
    let temporary = || std::env::temp_dir().join(format!("ios-chaos-{}", std::process::id()));
    let root = chaos.dir.clone().unwrap_or_else(temporary);
    let unusable = |error| Failure::system(&format!("use {}", root.display()), error);
    fs::create_dir_all(&root).map_err(unusable)?;
    if fs::read_dir(&root).map_err(unusable)?.next().is_some() {
        let message = format!("{} is not empty; name a new directory for this run", root.display());
        return Err(Failure::new(Exit::Usage, message));
    }
    root.canonicalize().map_err(unusable)
}

/// Starts members, relay and clients.
fn set_up(chaos: &Chaos, seed: u64, root: &Path, elsewhere: &mut ChaCha8Rng) -> Result<Scene, Trouble> {
    let places: Vec<Ipv4Addr> = (0..chaos.nodes).map(|_| own_address(elsewhere)).collect();
    let relay = Relay::start(&peer_addresses(&places), own_address(elsewhere), seed)
        .map_err(|error| Failure::system("start the relay", error))?;
    let mut members = Members::prepare(root, &places, &relay)?;
    members.ids().try_for_each(|id| members.get_mut(id).start(&[]))?;
    let load = Load::start(chaos, &members.endpoints(), seed)?;
    let mut scene = Scene::new(members, relay, load, ChaCha8Rng::seed_from_u64(seed), watch_signals()?);
    scene.found().map(|()| scene)
}

/// One fault after the other, until time or plan are over.
fn strike_until_over(chaos: &Chaos, scene: &mut Scene, rounds: &mut Vec<Round>) -> Result<(), Trouble> {
    let mut plan = Plan::new(&chaos.faults, chaos.cycles);
    let first = scene.now();
    scene.settle()?;
    while chaos.cycles.is_some() || scene.now() < first + chaos.length {
        let Some(fault) = plan.next(&mut scene.chance) else { break };
        let began = scene.now();
        talk(format_args!("{:>8}  {fault}", seconds(began.since(first))));
        let bite = strike(fault, scene)?;
        scene.relay.heal();
        scene.settle()?;
        let over = scene.now();
        let told = match &bite {
            Bite::Bitten(proof) => proof.clone(),
            Bite::Missed(why) => format!("without effect: {why}"),
            Bite::Skipped(why) => format!("skipped: {why}"),
        };
        talk(format_args!("{:>8}  {fault:13} {told}", seconds(over.since(first))));
        rounds.push(Round { fault, began, over, bite });
    }
    Ok(())
}

/// One fault, from its beginning to its end; one of a process half the time on a network that is slow besides.
fn strike(fault: Fault, scene: &mut Scene) -> Result<Bite, Trouble> {
    if fault.is_of_a_process() && scene.chance.random_bool(0.5) {
        network_faults::overcast(scene);
    }
    match fault {
        Fault::Kill => process_faults::kill(scene),
        Fault::KillAll => process_faults::kill_all(scene),
        Fault::Pause => process_faults::pause(scene),
        Fault::Stop => process_faults::stop(scene),
        Fault::Partition => network_faults::partition(scene),
        Fault::OneWay => network_faults::one_way(scene),
        Fault::Stall => network_faults::stall(scene),
        Fault::Slow => network_faults::slow(scene),
        Fault::Reset => network_faults::reset(scene),
        Fault::Flip => damage::flip(scene),
        Fault::LostSegment => damage::lost_segment(scene),
        Fault::OldCopy => damage::old_copy(scene),
        Fault::Emptied => damage::emptied(scene),
        Fault::FullDisk => disk_faults::full_disk(scene),
        Fault::DiskError => disk_faults::disk_error(scene),
        Fault::StuckSync => disk_faults::stuck_sync(scene),
        Fault::ClockJump => clock_faults::clock_jump(scene),
    }
}

/// Ends the load and judges everything.
fn conclude(
    chaos: &Chaos,
    seed: u64,
    mut scene: Scene,
    began: Time,
    rounds: Vec<Round>,
    ended: Result<(), Trouble>,
) -> Result<Report, Failure> {
    let lasted = scene.now().since(began);
    scene.relay.heal();
    let seen = scene.load.finish(ended.is_err())?;
    talk(format_args!("judging {} operations", seen.history.operations().len()));
    let (judged, mut end) = match judged(&seen.history) {
        Ok(judged) => (judged, End::Ok),
        Err(why) => ("see the verdict".to_owned(), End::Violation(why)),
    };
    if end == End::Ok {
        end = match ended.and_then(|()| agree_and_stop(&mut scene, &seen)) {
            Ok(()) => End::Ok,
            Err(Trouble::Broken(why)) => End::Violation(why),
            Err(Trouble::Stopped) => End::Stopped,
            Err(Trouble::Failed(failure)) => return Err(failure),
        };
    }
    let root = scene.members.root().to_owned();
    let mut report = Report {
        seed,
        nodes: chaos.nodes,
        lasted,
        faults: chaos.faults.0.clone(),
        rounds,
        counts: seen.counts,
        longest_gap: seen.longest_gap,
        longest_recovery: scene.longest_recovery,
        kept: seen.kept,
        judged,
        end,
        kept_in: chaos.dir.is_some().then(|| root.clone()),
    };
    if report.end == End::Ok && chaos.require_all && !report.toothless().is_empty() {
        report.end = End::Toothless(report.toothless().join("; "));
    }
    if matches!(report.end, End::Violation(_)) {
        report.kept_in = Some(root.clone());
    }
    if report.kept_in.is_some() {
        let path = root.join(HISTORY);
        let written = fs::write(&path, seen.history.to_string());
        written.map_err(|error| Failure::system(&format!("write {}", path.display()), error))?;
    }
    Ok(report)
}

/// What has to be so at the end of a run that nothing has stopped.
fn agree_and_stop(scene: &mut Scene, seen: &Seen) -> Result<(), Trouble> {
    if !seen.lost.is_empty() {
        return Err(Trouble::Broken(format!("acknowledged and gone: {}", seen.lost.join(", "))));
    }
    scene.agree()?;
    scene.members.ids().try_for_each(|id| scene.stop(id))
}
