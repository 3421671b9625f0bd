//! Faults of a disk that is in use: full, failing, stuck.
//!
//! A full disk is a real one, in memory and small (`mount -t tmpfs`, which takes the right to mount). One that fails
//! or is stuck is played by `strace`, which makes system calls of a running process fail or wait.

use super::{
    files::{copy_directory, size_of},
    scene::{ANSWERED_WITHIN, Scene, bitten, missed, skipped},
    trouble::{Bite, Trouble, failed},
};
use crate::exit::Exit;
use ios_core::time::Span;
use rand::seq::IndexedRandom;
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Room that a small disk has beside what it is filled with at first.
const ROOM: u64 = 6 << 20;
/// What fills it is written in pieces of these sizes, the last ones small, until not one byte fits.
const PIECES: [usize; 3] = [1 << 20, 4096, 1];
/// How long the load takes at most to use up the log that is there.
const FULL_WITHIN: Span = Span::secs(30);
/// How long a disk stays full once that was noticed.
const FULL: (Span, Span) = (Span::millis(200), Span::millis(3000));
/// What a member says when it is.
const FULL_SAID: &str = "the disk is full";
/// How long each sync of a stuck disk takes, and how long a disk is stuck.
const SYNC_TAKES: Span = Span::millis(1200);
const STUCK: (Span, Span) = (Span::millis(2500), Span::millis(4000));
/// How long it takes at most until a member under load writes and syncs.
const FENCED_WITHIN: Span = Span::secs(20);

/// A small disk, until dropped.
struct SmallDisk {
    place: PathBuf,
}

impl SmallDisk {
    fn mount(place: &Path, bytes: u64) -> Result<Self, String> {
        fs::create_dir_all(place).map_err(|error| error.to_string())?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=0700"), "ios-chaos"]).arg(place);
        match mount.stdin(Stdio::null()).output() {
            Ok(output) if output.status.success() => Ok(Self { place: place.to_owned() }),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(format!("mount: {error}")),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: in a run that fails somebody may still use it.
        let unmounted = Command::new("umount").arg("-l").arg(&self.place).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            tracing::error!(place = %self.place.display(), "the small disk stays mounted");
        }
    }
}

/// Moves a member to a small disk, fills that up, and makes room again.
pub fn full_disk(scene: &mut Scene) -> Result<Bite, Trouble> {
    let id = scene.victim();
    let own = scene.members.get(id).data.clone();
    let place = scene.members.root().join(format!("n{id}-small"));
    // The log still grows a little before the member has stopped.
    let disk = match SmallDisk::mount(&place, size_of(&own)? + 2 * ROOM) {
        Ok(disk) => disk,
        Err(why) => return skipped(format!("a small disk cannot be mounted: {why}")),
    };
    scene.stop(id)?;
    let data = place.join("data");
    copy_directory(&own, &data)?;
    scene.members.get_mut(id).data = data.clone();
    scene.start(id)?;
    let outcome = fill(scene, id, &place.join("filler"));
    if outcome.is_err() {
        // What is on it goes away with it, and somebody will want to look.
        let kept = scene.members.root().join(format!("n{id}-full"));
        copy_directory(&data, &kept)?;
    }
    let said = outcome?;
    scene.stop(id)?;
    fs::remove_dir_all(&own).map_err(|error| failed("remove an old directory", error))?;
    copy_directory(&data, &own)?;
    scene.members.get_mut(id).data = own;
    drop(disk);
    scene.start(id)?;
    match said {
        Some(length) => bitten(format!("n{id} said so, and went on when there was room, after {length}")),
        None => missed(format!("n{id} did not need what was full within {FULL_WITHIN}")),
    }
}

/// Fills the disk until its member says so; for how long it was full then.
fn fill(scene: &mut Scene, id: u8, filler: &Path) -> Result<Option<Span>, Trouble> {
    scene.settle()?;
    let mut file = File::create(filler).map_err(|error| failed("fill a disk", error))?;
    for size in PIECES {
        // The error is what is wanted.
        while file.write_all(&vec![b'x'; size]).is_ok() {}
    }
    let said = scene.comes_about(FULL_WITHIN, |scene| scene.members.get(id).log().contains(FULL_SAID))?;
    let length = if said { Some(scene.wait_between(FULL.0, FULL.1)?) } else { None };
    drop(file);
    fs::remove_file(filler).map_err(|error| failed("make room on a disk", error))?;
    scene.settle()?;
    Ok(length)
}

/// `strace` on a running member, with faults.
struct Strace {
    child: Child,
    trace: PathBuf,
}

impl Strace {
    /// Attaches to every thread of a member. The error says why it cannot be done here.
    fn attach(scene: &mut Scene, id: u8, call: &str, fault: &str) -> Result<Result<Self, String>, Trouble> {
        let Some(pid) = scene.members.get(id).pid() else { return Err(Trouble::Broken(format!("n{id} does not run"))) };
        let trace = scene.members.root().join(format!("n{id}.strace"));
        let inject = format!("inject={call}:{fault}");
        let mut command = Command::new("strace");
        command.args(["-f", "-p", &pid.as_raw_nonzero().to_string(), "-e", &format!("trace={call}"), "-e", &inject]);
        command.arg("-o").arg(&trace).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Ok(Err(format!("strace cannot be run: {error}"))),
        };
        let mut strace = Self { child, trace };
        // It either refuses soon, or sees the calls of a member under load.
        let over = scene.comes_about(ANSWERED_WITHIN, |_| strace.has_ended() || strace.strikes() > 0)?;
        if strace.strikes() > 0 || !over {
            return Ok(Ok(strace));
        }
        let said = strace.child.stderr.take().and_then(|mut stderr| std::io::read_to_string(&mut stderr).ok());
        let last = said.as_deref().and_then(|said| said.trim().lines().last()).unwrap_or("it says nothing");
        Ok(Err(format!("strace cannot trace a member: {last}")))
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// How many system calls it has tampered with.
    fn strikes(&self) -> usize {
        let trace = fs::read_to_string(&self.trace).unwrap_or_default();
        trace.lines().filter(|line| line.contains("(INJECTED)") || line.contains("(DELAYED)")).count()
    }

    /// Lets the member go on by itself.
    fn detach(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if !self.has_ended() {
            let pid = rustix::process::Pid::from_child(&self.child);
            // At this signal it lets go in good order; a process that is gone needs none.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        self.end();
    }
}

/// Makes a write or a sync of a member fail: it must stop with its sentence, and go on when it is started again.
pub fn disk_error(scene: &mut Scene) -> Result<Bite, Trouble> {
    let id = scene.victim();
    let who = scene.describe(id);
    let all = [("fdatasync", "EIO"), ("pwrite64", "EIO"), ("pwrite64", "ENOSPC")];
    let (call, error) = *all.choose(&mut scene.chance).expect("there are three");
    let strace = match Strace::attach(scene, id, call, &format!("error={error}"))? {
        Ok(strace) => strace,
        Err(why) => return skipped(why),
    };
    let mut ended = None;
    let what = format!("{who} stops after {call} failed with {error}");
    scene.expect(FENCED_WITHIN, &what, |scene| {
        ended = scene.members.get_mut(id).ended();
        ended.is_some()
    })?;
    let code = ended.and_then(|status| status.code());
    let last = scene.members.get(id).last_words();
    let strikes = strace.strikes();
    strace.detach();
    if code != Some(Exit::Disk as i32) || !last.contains("disk") {
        let wanted = Exit::Disk as i32;
        return Err(Trouble::Broken(format!("{who}: {call} failed, it ended with {code:?}, not {wanted}: {last}")));
    }
    scene.wait_between(Span::millis(100), Span::millis(1500))?;
    scene.start(id)?;
    bitten(format!("{who}: {strikes} {call} failed with {error}, exit code {}: {last}", Exit::Disk as i32))
}

/// Makes every sync of a member take very long for a while.
pub fn stuck_sync(scene: &mut Scene) -> Result<Bite, Trouble> {
    let id = scene.victim();
    let who = scene.describe(id);
    let delay = format!("delay_enter={}", SYNC_TAKES.0 / 1000);
    let strace = match Strace::attach(scene, id, "fdatasync", &delay)? {
        Ok(strace) => strace,
        Err(why) => return skipped(why),
    };
    scene.wait_between(STUCK.0, STUCK.1)?;
    let strikes = strace.strikes();
    strace.detach();
    match strikes {
        0 => missed(format!("{who} did not sync")),
        _ => bitten(format!("{who}: {strikes} syncs took {SYNC_TAKES} longer")),
    }
}
