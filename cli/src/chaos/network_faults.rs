//! Faults of the network, done by the relay. What bit is what the relay counted.

use super::{
    relay::{Flow, Weather},
    scene::{Scene, bitten, missed},
    trouble::{Bite, Trouble},
};
use ios_core::time::Span;
use rand::{Rng, seq::SliceRandom};

/// How long a network is bad.
const BAD: (Span, Span) = (Span::millis(500), Span::millis(4000));
/// How long everything stands still: a little longer than an election timeout at most, since nobody can do anything.
const STALLED: (Span, Span) = (Span::millis(200), Span::millis(1500));
/// A narrow link, in bytes a second: less than the load needs.
const NARROW: u64 = 100_000;

/// Two groups, neither of which hears the other.
pub fn partition(scene: &mut Scene) -> Result<Bite, Trouble> {
    let mut ids: Vec<u8> = scene.members.ids().collect();
    ids.shuffle(&mut scene.chance);
    let (one, other) = ids.split_at(scene.chance.random_range(1..ids.len()));
    let cut = one.iter().flat_map(|a| other.iter().flat_map(|b| [(*a, *b), (*b, *a)])).collect();
    let (one, other) = (names(one), names(other));
    silence(scene, cut, &format!("between {one} and {other}"))
}

/// One member is not heard by others, or does not hear them.
pub fn one_way(scene: &mut Scene) -> Result<Bite, Trouble> {
    let id = scene.victim();
    let others = scene.members.ids().filter(|other| *other != id);
    let speaks = scene.chance.random_bool(0.5);
    let cut = others.map(|other| if speaks { (id, other) } else { (other, id) }).collect();
    let who = scene.describe(id);
    silence(scene, cut, &if speaks { format!("from {who}") } else { format!("to {who}") })
}

/// Holds or loses everything on some links for a while.
fn silence(scene: &mut Scene, cut: Vec<(u8, u8)>, place: &str) -> Result<Bite, Trouble> {
    let lost = scene.chance.random_bool(0.5);
    let flow = if lost { Flow::Lost } else { Flow::Held };
    let before = scene.relay.tally();
    cut.iter().for_each(|(from, to)| scene.relay.set(*from, *to, Weather { flow, ..Weather::default() }));
    let length = scene.wait_between(BAD.0, BAD.1);
    scene.relay.heal();
    let (length, after) = (length?, scene.relay.tally());
    let bytes = (after.lost - before.lost) + (after.held - before.held);
    let what = if lost { "lost" } else { "held" };
    if bytes == 0 {
        missed(format!("nothing was sent {place}"))
    } else {
        bitten(format!("{bytes} bytes {what} {place} in {length}"))
    }
}

/// Everything is held, everywhere.
pub fn stall(scene: &mut Scene) -> Result<Bite, Trouble> {
    let before = scene.relay.tally().held;
    everywhere(scene, |_| Weather { flow: Flow::Held, ..Weather::default() });
    let length = scene.wait_between(STALLED.0, STALLED.1);
    scene.relay.heal();
    let (length, bytes) = (length?, scene.relay.tally().held - before);
    if bytes == 0 { missed("nothing was sent") } else { bitten(format!("{bytes} bytes held everywhere for {length}")) }
}

/// Links are slow and uneven for a while.
pub fn slow(scene: &mut Scene) -> Result<Bite, Trouble> {
    let before = scene.relay.tally().delayed;
    overcast(scene);
    let length = scene.wait_between(BAD.0, BAD.1);
    scene.relay.heal();
    let (length, chunks) = (length?, scene.relay.tally().delayed - before);
    if chunks == 0 { missed("nothing was sent") } else { bitten(format!("{chunks} chunks delayed in {length}")) }
}

/// Gives every link a delay and a jitter of its own, and makes half of them narrow.
pub fn overcast(scene: &mut Scene) {
    everywhere(scene, |scene| Weather {
        delay: Span::millis(scene.chance.random_range(1..=30)),
        jitter: Span::millis(scene.chance.random_range(0..=30)),
        bytes_per_second: scene.chance.random_bool(0.5).then_some(NARROW),
        ..Weather::default()
    });
}

fn everywhere(scene: &mut Scene, mut weather: impl FnMut(&mut Scene) -> Weather) {
    for from in scene.members.ids() {
        for to in scene.members.ids().filter(|to| *to != from) {
            let weather = weather(scene);
            scene.relay.set(from, to, weather);
        }
    }
}

/// Connections break, one after the other.
pub fn reset(scene: &mut Scene) -> Result<Bite, Trouble> {
    let before = scene.relay.resets();
    let ids = scene.members.ids();
    for _ in 0..scene.chance.random_range(3..12) {
        let a = scene.chance.random_range(ids.clone());
        let b = (a + scene.chance.random_range(1..ids.end)) % ids.end;
        scene.relay.reset(a, b);
        scene.wait_between(Span::millis(20), Span::millis(300))?;
    }
    match scene.relay.resets() - before {
        0 => missed("there were no connections"),
        broken => bitten(format!("{broken} connections broken")),
    }
}

fn names(ids: &[u8]) -> String {
    let mut ids: Vec<String> = ids.iter().map(|id| format!("n{id}")).collect();
    ids.sort();
    ids.join("+")
}
