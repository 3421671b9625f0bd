//! Faults of what lies on a disk: flipped bits, a file that is gone, an old copy, an empty directory.
//!
//! One member at a time is damaged, after it has stopped in good order, and the next one only after that one is whole
//! again: more than that no promise covers.

use super::{
    files::{copy_directory, files_of},
    scene::{Scene, WHOLE_WITHIN, bitten, missed},
    trouble::{Bite, Trouble, failed},
};
use crate::{
    config::ClusterFile,
    exit::{Exit, Failure},
    inspect::problems,
};
use ios_core::{ids::NodeId, time::Span};
use rand::{Rng, seq::SliceRandom};
use runtime::server;
use std::{fs, path::Path};

/// How often bits are flipped in vain, in places that nothing depends on.
const TRIES: usize = 30;
/// How long a member takes to find out that it must not serve.
const REFUSED_WITHIN: Span = Span::secs(20);
/// What a member says when records are missing, and when all of them are there again.
const LOST: &str = "the disk lost records";

/// Flips bits in the log or a snapshot of a member that does not run, until its directory is known to be damaged.
pub fn flip(scene: &mut Scene) -> Result<Bite, Trouble> {
    let id = scene.victim();
    scene.stop(id)?;
    let data = scene.members.get(id).data.clone();
    let mut flipped = 0;
    let mut found = Vec::new();
    for _ in 0..TRIES {
        for _ in 0..scene.chance.random_range(1..4) {
            flipped += usize::from(flip_one(scene, &data)?);
        }
        found = problems(&data)?;
        if !found.is_empty() {
            break;
        }
    }
    serve_again(scene, id)?;
    match found.first() {
        Some(problem) => bitten(format!("n{id}, {flipped} bits flipped: {problem}")),
        None => missed(format!("n{id}, {flipped} bits flipped where nothing was")),
    }
}

/// Flips one bit where something is written; false if chance found no such place.
fn flip_one(scene: &mut Scene, data: &Path) -> Result<bool, Trouble> {
    let mut files = files_of(&data.join("log"))?;
    files.extend(files_of(&data.join("snap"))?);
    let Some(path) = files.get(scene.chance.random_range(0..files.len().max(1))) else { return Ok(false) };
    let mut bytes = fs::read(path).map_err(|error| failed("read a file to be damaged", error))?;
    let written: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    if written.is_empty() {
        return Ok(false);
    }
    let place = written[scene.chance.random_range(0..written.len())];
    bytes[place] ^= 1 << scene.chance.random_range(0..8);
    fs::write(path, bytes).map_err(|error| failed("damage a file", error))?;
    Ok(true)
}

/// Removes a file of a member's log that holds something that matters.
pub fn lost_segment(scene: &mut Scene) -> Result<Bite, Trouble> {
    let id = scene.victim();
    scene.stop(id)?;
    let data = scene.members.get(id).data.clone();
    let mut segments = files_of(&data.join("log"))?;
    segments.shuffle(&mut scene.chance);
    let mut proof = None;
    for segment in segments {
        let bytes = fs::read(&segment).map_err(|error| failed("read a segment", error))?;
        fs::remove_file(&segment).map_err(|error| failed("remove a segment", error))?;
        if let Some(problem) = problems(&data)?.into_iter().next() {
            let name = segment.file_name().unwrap_or_default().to_string_lossy().into_owned();
            proof = Some(format!("n{id}, {name} removed: {problem}"));
            break;
        }
        // Nothing depended on it.
        fs::write(&segment, bytes).map_err(|error| failed("put a segment back", error))?;
    }
    serve_again(scene, id)?;
    match proof {
        Some(proof) => bitten(proof),
        None => missed(format!("no segment of n{id} held anything that mattered")),
    }
}

/// Starts a damaged member, which must serve again and say so if records are missing.
fn serve_again(scene: &mut Scene, id: u8) -> Result<(), Trouble> {
    let damaged = problems(&scene.members.get(id).data)?.iter().any(|problem| problem.starts_with("log: "));
    scene.start(id)?;
    scene.expect(WHOLE_WITHIN, &format!("n{id} opens its damaged directory"), |scene| {
        scene.members.get_mut(id).ended().is_some() || scene.members.get(id).status().is_some()
    })?;
    if scene.members.get(id).status().is_none() {
        let last = scene.members.get(id).last_words();
        return Err(Trouble::Broken(format!("n{id} does not serve from a directory that peers can repair: {last}")));
    }
    if damaged && !scene.members.get(id).log().contains(LOST) {
        return Err(Trouble::Broken(format!("n{id} serves from a damaged directory and does not say so")));
    }
    Ok(())
}

/// Puts an older copy of a member's directory in the place of its own: it must be refused. Then its own is put back.
///
/// What tells an old copy is that the other members have met a later life of the same disk, so that the member has to
/// start at least twice after the copy is made, and the others must not have started since.
pub fn old_copy(scene: &mut Scene) -> Result<Bite, Trouble> {
    let id = scene.victim();
    let data = scene.members.get(id).data.clone();
    let [copy, own] = ["old", "own"].map(|name| scene.members.root().join(format!("n{id}-{name}")));
    scene.stop(id)?;
    copy_directory(&data, &copy)?;
    for _ in 0..2 {
        scene.start(id)?;
        scene.settle()?;
        scene.stop(id)?;
    }
    rename(&data, &own)?;
    rename(&copy, &data)?;
    let told = refused(scene, id, "an old copy")?;
    remove(&data)?;
    rename(&own, &data)?;
    scene.start(id)?;
    bitten(format!("n{id}: {told}"))
}

/// Takes a member's directory away, and has it serve from none, from an empty one and from a newly formatted one: it
/// must not under any of them. Then its own is put back.
pub fn emptied(scene: &mut Scene) -> Result<Bite, Trouble> {
    let id = scene.victim();
    let data = scene.members.get(id).data.clone();
    let own = scene.members.root().join(format!("n{id}-own"));
    scene.stop(id)?;
    rename(&data, &own)?;
    does_not_start(scene, id, "does not exist")?;
    fs::create_dir(&data).map_err(|error| failed("make a directory", error))?;
    does_not_start(scene, id, "was never formatted")?;
    let file = ClusterFile::load(&scene.members.root().join("ios.toml")).map_err(Failure::from)?;
    server::format(&data, NodeId(id), &file.configuration).map_err(Failure::server)?;
    let told = refused(scene, id, "emptied or replaced")?;
    remove(&data)?;
    rename(&own, &data)?;
    scene.start(id)?;
    bitten(format!("n{id}: {told}"))
}

/// Starts a member that has no data, which says so and ends.
fn does_not_start(scene: &mut Scene, id: u8, why: &str) -> Result<(), Trouble> {
    ends_with(scene, id, Exit::Usage, why).map(drop)
}

/// Starts a member that the others refuse, so that it ends; returns what it said.
fn refused(scene: &mut Scene, id: u8, why: &str) -> Result<String, Trouble> {
    ends_with(scene, id, Exit::Disk, why)
}

fn ends_with(scene: &mut Scene, id: u8, exit: Exit, why: &str) -> Result<String, Trouble> {
    scene.start(id)?;
    let mut ended = None;
    scene.expect(REFUSED_WITHIN, &format!("n{id} refuses to serve, for its directory is not its own"), |scene| {
        ended = scene.members.get_mut(id).ended();
        ended.is_some()
    })?;
    let last = scene.members.get(id).last_words();
    let code = ended.and_then(|status| status.code());
    if code == Some(exit as i32) && last.contains(why) {
        return Ok(last);
    }
    Err(Trouble::Broken(format!(
        "n{id} ended with {code:?} instead of {}, and no word of \"{why}\": {last}",
        exit as i32
    )))
}

fn rename(from: &Path, to: &Path) -> Result<(), Trouble> {
    fs::rename(from, to).map_err(|error| failed(&format!("move {}", from.display()), error))
}

fn remove(path: &Path) -> Result<(), Trouble> {
    fs::remove_dir_all(path).map_err(|error| failed(&format!("remove {}", path.display()), error))
}
