//! Faults of processes: killed, stopped, asked to go.

use super::{
    scene::{Scene, bitten},
    trouble::{Bite, Trouble},
};
use ios_core::time::Span;
use rustix::process::Signal;

const KILL: i32 = 9;
/// How long a process that was killed stays away.
const AWAY: (Span, Span) = (Span::millis(100), Span::millis(2500));
/// How long one that stands still does: from less than an election timeout to many.
const STILL: (Span, Span) = (Span::millis(300), Span::millis(3000));

/// Kills one member, half the time the leader, and starts it again.
pub fn kill(scene: &mut Scene) -> Result<Bite, Trouble> {
    let id = scene.victim();
    let who = scene.describe(id);
    killed(scene, id)?;
    let away = scene.wait_between(AWAY.0, AWAY.1)?;
    scene.start(id)?;
    bitten(format!("{who}, ended by SIGKILL, was away for {away}"))
}

/// Kills all members, none of which is told of the others' end, and starts them again.
pub fn kill_all(scene: &mut Scene) -> Result<Bite, Trouble> {
    scene.members.ids().try_for_each(|id| killed(scene, id))?;
    let away = scene.wait_between(AWAY.0, AWAY.1)?;
    scene.members.ids().try_for_each(|id| scene.start(id))?;
    bitten(format!("all members, ended by SIGKILL, were away for {away}"))
}

fn killed(scene: &mut Scene, id: u8) -> Result<(), Trouble> {
    match scene.members.get_mut(id).kill() {
        Some(KILL) => Ok(()),
        other => Err(Trouble::Broken(format!("n{id} was to be killed and had ended otherwise (signal {other:?})"))),
    }
}

/// Stops one member in its tracks, and lets it go on.
pub fn pause(scene: &mut Scene) -> Result<Bite, Trouble> {
    let id = scene.victim();
    let who = scene.describe(id);
    scene.members.get(id).signal(Signal::STOP)?;
    scene.expect(Span::secs(5), &format!("n{id} stands still"), |scene| state(scene, id) == Some('T'))?;
    let still = scene.wait_between(STILL.0, STILL.1);
    scene.members.get(id).signal(Signal::CONT)?;
    bitten(format!("{who} stood still for {}", still?))
}

/// What the system says that a process does.
fn state(scene: &Scene, id: u8) -> Option<char> {
    let pid = scene.members.get(id).pid()?.as_raw_nonzero();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it is in brackets, and may hold anything.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Asks one member to stop, which it must do in good order, and starts it again.
pub fn stop(scene: &mut Scene) -> Result<Bite, Trouble> {
    let id = scene.victim();
    let who = scene.describe(id);
    scene.stop(id)?;
    let away = scene.wait_between(AWAY.0, AWAY.1)?;
    scene.start(id)?;
    bitten(format!("{who} stopped with exit code 0 and was away for {away}"))
}
