//! A clock that leaps, played by `faketime`: a library that stands between a process and the system's clocks.
//!
//! Log time is told by the leader, so the member with the bad clock is made the leader first. Seen from outside, a leap
//! forward is one of log time, or the leader steps down at once: it seems to have heard of nobody, or of its own disk,
//! for that long. After a leap back log time stands still, since a node's clock never goes back.

use super::{
    scene::{Scene, bitten, missed, skipped},
    trouble::{Bite, Trouble, failed},
};
use ios_core::{
    ids::NodeId,
    message::ClientRequest,
    time::{Span, Time},
};
use rand::Rng;
use runtime::client::ask;
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// Where packages put the library for programs with threads, the machine's own folder in place of the star.
const FOLDERS: [&str; 4] =
    ["/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/lib64/faketime", "/usr/local/lib/faketime"];
const LIBRARY: &str = "libfaketimeMT.so.1";
/// Leaps, from far less to more than the lifetime of a client's session.
const LEAP_SECONDS: (i64, i64) = (1, 120);
const LEAPS: usize = 3;
/// How long the leader may take to hand over.
const HANDED_OVER_WITHIN: Span = Span::secs(5);
/// Why a leader steps down to whom much time seems to have passed.
const SILENT: [&str; 2] = ["NoQuorum", "DiskStalled"];
/// What passes between two leaps.
const BETWEEN: (Span, Span) = (Span::millis(500), Span::millis(1500));

/// Lets the clock of one member leap, forward and back.
pub fn clock_jump(scene: &mut Scene) -> Result<Bite, Trouble> {
    let Some(library) = library() else { return skipped(format!("there is no {LIBRARY}: install faketime")) };
    let id = scene.victim();
    let file = scene.members.root().join(format!("n{id}.clock"));
    let mut offset = 0;
    set(&file, offset)?;
    let environment: [(&str, OsString); 3] = [
        ("LD_PRELOAD", library.into()),
        ("FAKETIME_TIMESTAMP_FILE", file.clone().into()),
        ("FAKETIME_NO_CACHE", "1".into()),
    ];
    scene.stop(id)?;
    scene.start_in(id, &environment)?;
    scene.settle()?;
    let (mut leaps, mut seen) = (Vec::new(), 0);
    for _ in 0..LEAPS {
        // A leader whose clock has leapt may find that it has heard nobody for long, and step down.
        let leads = lead(scene, id)?;
        let (before, resigned) = ((scene.now(), log_time(scene, id)), resignations(scene, id));
        let leap = scene.chance.random_range(LEAP_SECONDS.0..=LEAP_SECONDS.1);
        let leap = if scene.chance.random_bool(0.3) { -leap } else { leap };
        offset += leap;
        set(&file, offset)?;
        leaps.push(format!("{leap:+} s"));
        scene.wait_between(BETWEEN.0, BETWEEN.1)?;
        let after = (scene.now(), log_time(scene, id));
        seen += u64::from(leads && (is_leap(before, after, leap) || resignations(scene, id) > resigned));
    }
    scene.settle()?;
    scene.stop(id)?;
    scene.start(id)?;
    let leaps = leaps.join(", ");
    if seen == 0 {
        return missed(format!("n{id}: {leaps}; log time did not follow, and it did not step down"));
    }
    bitten(format!("n{id}, the leader: {leaps}; log time followed {seen} of them, or it stepped down"))
}

/// Whether log time went by as a leap in the meantime would have it. Both pairs are real time, then log time.
fn is_leap(before: (Time, Option<Time>), after: (Time, Option<Time>), leap: i64) -> bool {
    let (Some(from), Some(to)) = (before.1, after.1) else { return false };
    let (passed, real) = (to.since(from), after.0.since(before.0));
    match leap {
        0.. => passed > real + Span::millis(leap as u64 * 900),
        // It stands still, and is told to go on once the clock has come back to where it was.
        _ => passed.0 < real.0 / 2,
    }
}

/// How often it has stepped down because it believed that others, or its disk, were silent for too long.
fn resignations(scene: &Scene, id: u8) -> usize {
    let log = scene.members.get(id).log();
    let silent = |line: &&str| line.contains("stepped down") && SILENT.iter().any(|why| line.contains(why));
    log.lines().filter(silent).count()
}

fn log_time(scene: &Scene, id: u8) -> Option<Time> {
    scene.members.get(id).status().filter(|status| status.role == "leader").map(|status| status.log_time)
}

/// Makes a member the leader, if the one there is hands over.
fn lead(scene: &mut Scene, id: u8) -> Result<bool, Trouble> {
    scene.comes_about(HANDED_OVER_WITHIN.times(2), |scene| match scene.members.leader() {
        Some(leader) if leader == id => true,
        Some(leader) => {
            let request = ClientRequest::Transfer { tag: 0, to: Some(NodeId(id)) };
            // Whatever it answers: who leads is asked again.
            let _ = ask(scene.members.get(leader).client, &request, HANDED_OVER_WITHIN);
            false
        }
        None => false,
    })
}

/// The library reads its file at every look at a clock, so the file must never be half written.
fn set(file: &Path, offset: i64) -> Result<(), Trouble> {
    let aside = file.with_extension("new");
    let written = fs::write(&aside, format!("{offset:+}\n")).and_then(|()| fs::rename(&aside, file));
    written.map_err(|error| failed("set a clock", error))
}

fn library() -> Option<PathBuf> {
    let folders = FOLDERS.iter().flat_map(|folder| match folder.split_once('*') {
        Some((before, after)) => {
            let machines = fs::read_dir(before).into_iter().flatten().flatten();
            let inside = |machine: fs::DirEntry| machine.path().join(after.trim_start_matches('/'));
            machines.map(inside).collect()
        }
        None => vec![PathBuf::from(folder)],
    });
    folders.map(|folder| folder.join(LIBRARY)).find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_is_told_from_time_that_just_passed() {
        let at = |real: u64, log: u64| (Time(real * 1_000_000_000), Some(Time(log * 1_000_000_000)));
        assert!(is_leap(at(10, 5), at(11, 66), 60));
        assert!(!is_leap(at(10, 5), at(11, 6), 60), "an ordinary second");
        assert!(is_leap(at(10, 5), at(12, 5), -60));
        assert!(!is_leap(at(10, 5), at(12, 7), -60), "nothing stood still");
        assert!(!is_leap((Time(1), None), at(12, 7), 1), "it does not lead");
    }
}
