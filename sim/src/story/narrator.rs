//! Which events are worth a sentence, and what is said of those between them.

use super::{counted, moment};
use crate::{
    history::Outcome,
    scenario::{Action, End, Scenario},
    world::{
        disk::Aftermath,
        told::{Loss, Reply, Told},
    },
};
use ios_core::{
    client::ClientNote,
    ids::{Index, NodeId, View},
    interface::{Note, StepDown},
    time::{Span, Time},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Write,
};

/// Up to so many operations are told one by one.
const FEW: u32 = 12;
/// How many events are kept in case the next one is a violation, and how many of them are told, how far.
const RECENT: usize = 4000;
const LAST_STEPS: usize = 16;
const STEP_WIDTH: usize = 160;
/// With fewer steps about the index that a violation names, all of the members' steps are told.
const FEW_STEPS: usize = 4;

/// Listens to a run and keeps what is worth telling.
#[derive(Debug)]
pub(super) struct Narrator {
    text: String,
    /// Every operation and every choice is told, because there are few.
    in_detail: bool,
    meanwhile: Meanwhile,
    /// In which view something was last chosen.
    chosen_in: Option<View>,
    /// Members that have begun to run since anything else was told, and when the first did.
    started: Vec<NodeId>,
    first_start: Time,
    /// The last events as a trace has them, in case the next one is a violation.
    recent: VecDeque<(Time, String)>,
}

/// What is summed up.
#[derive(Debug, Default)]
struct Meanwhile {
    answered: u64,
    not_done: u64,
    unknown: u64,
    retries: u64,
    chosen: Vec<Index>,
    dropped: u64,
    cut_off: u64,
    damaged: u64,
    overflowed: u64,
    stuck: u64,
    snapshots: u64,
    canvasses: u64,
}

impl Narrator {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let asked = scenario.plan.iter().filter(|line| matches!(line.action, Action::Client { .. })).count();
        Self {
            text: String::new(),
            in_detail: scenario.workload.ops + asked as u32 <= FEW,
            meanwhile: Meanwhile::default(),
            chosen_in: None,
            started: Vec::new(),
            first_start: Time::ZERO,
            recent: VecDeque::new(),
        }
    }

    pub(super) fn hear(&mut self, time: Time, told: &Told) {
        if let Told::Violated(violation) = told {
            self.tell_what_gathered();
            return self.tell_the_last_steps(&violation.text);
        }
        self.remember(time, told);
        if let Told::Started { node, life: 1 } = told {
            if self.started.is_empty() {
                self.first_start = time;
            }
            self.started.push(*node);
            return;
        }
        if let Some(sentence) = self.sentence(told) {
            self.tell_what_gathered();
            self.say(time, &sentence);
        }
    }

    fn remember(&mut self, time: Time, told: &Told) {
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((time, told.to_string().trim().to_string()));
    }

    /// The last events of the members that a violation names, one by one.
    fn tell_the_last_steps(&mut self, violation: &str) {
        let words = |text: &str| -> Vec<String> {
            let names = text.split(|char: char| !char.is_ascii_alphanumeric());
            names.filter(|word| is_member(word)).map(str::to_string).collect()
        };
        let named = words(violation);
        let about =
            |(_, text): &&(Time, String)| named.is_empty() || words(text).iter().any(|name| named.contains(name));
        let index = index_in(violation);
        let at = |(_, text): &&(Time, String)| text.split(' ').any(|word| Some(word) == index);
        let mut last: Vec<&(Time, String)> =
            self.recent.iter().rev().filter(about).filter(at).take(LAST_STEPS).collect();
        if last.len() < FEW_STEPS {
            last = self.recent.iter().rev().filter(about).take(LAST_STEPS).collect();
        }
        last.reverse();
        let mut text = String::from("\nStep by step, at last\n");
        for (time, step) in last {
            let end = step.char_indices().nth(STEP_WIDTH).map_or(step.len(), |(end, _)| end);
            writeln!(text, "  {} {}", moment(*time), &step[..end]).expect("a string takes all");
        }
        self.text += &text;
    }

    /// The whole story.
    pub(super) fn end(mut self) -> String {
        self.tell_what_gathered();
        self.text
    }

    fn say(&mut self, time: Time, sentence: &str) {
        writeln!(self.text, "  {} {sentence}", moment(time)).expect("a string takes all");
    }

    /// Tells what has gathered before the next sentence.
    fn tell_what_gathered(&mut self) {
        if !self.started.is_empty() {
            let names: Vec<String> = std::mem::take(&mut self.started).iter().map(NodeId::to_string).collect();
            self.say(
                self.first_start,
                &format!("{} {}.", list(&names), if names.len() == 1 { "starts" } else { "start" }),
            );
        }
        if self.in_detail && !self.meanwhile.chosen.is_empty() {
            let chosen = std::mem::take(&mut self.meanwhile.chosen);
            let view = self.chosen_in.map(|view| format!(" in view {view}")).unwrap_or_default();
            let durably = if chosen.len() == 1 { "it" } else { "each" };
            let sentence = format!("({}{view}: a quorum holds {durably} durably)", indexes(&chosen));
            writeln!(self.text, "{:>18}{sentence}", "").expect("a string takes all");
        }
        if let Some(sum) = std::mem::take(&mut self.meanwhile).sum() {
            writeln!(self.text, "{:>18}{sum}", "").expect("a string takes all");
        }
    }

    fn sentence(&mut self, told: &Told) -> Option<String> {
        match told {
            Told::Noted { node, note } => self.note(*node, note),
            Told::Chosen { view, index, .. } => {
                self.meanwhile.chosen.push(*index);
                self.chosen_in = Some(*view);
                None
            }
            Told::Lost { why, .. } => {
                match why {
                    Loss::Dropped => self.meanwhile.dropped += 1,
                    Loss::CutOff => self.meanwhile.cut_off += 1,
                    Loss::Damaged => self.meanwhile.damaged += 1,
                    Loss::LinkFull => self.meanwhile.overflowed += 1,
                    Loss::Down | Loss::Gone | Loss::Full => {}
                }
                None
            }
            Told::Stuck { .. } => {
                self.meanwhile.stuck += 1;
                None
            }
            Told::Begun { .. } | Told::Ended { .. } | Told::ClientNoted { .. } | Told::ClientCrashed { .. } => {
                self.client(told)
            }
            other => fault(other),
        }
    }

    fn note(&mut self, node: NodeId, note: &Note) -> Option<String> {
        Some(match note {
            Note::Candidate { view } => format!("{node} stands for view {view}."),
            Note::Leading { view, .. } => {
                format!("{node} has the promises of a recovery quorum, and leads view {view}.")
            }
            Note::SteppedDown { view, why } => format!("{node} gives up view {view}: {}.", given_up(*why)),
            Note::Installed { index, .. } => format!("{node} installs a snapshot up to index {index}."),
            Note::SnapshotLost { index } => format!("{node} finds its snapshot of index {index} damaged."),
            Note::StateDiffers { index, .. } => {
                format!("{node} finds that its state at {index} differs from the others'.")
            }
            Note::Opened { unknown, loss, .. } if *unknown > 0 || *loss => {
                let lost = if *loss { ", and records that nothing names are lost" } else { "" };
                format!("{node} opens with {} known by name only{lost}.", counted(*unknown, "record"))
            }
            Note::SnapshotTaken { .. } => {
                self.meanwhile.snapshots += 1;
                return None;
            }
            Note::Canvassed { .. } => {
                self.meanwhile.canvasses += 1;
                return None;
            }
            _ => return None,
        })
    }

    fn client(&mut self, told: &Told) -> Option<String> {
        match told {
            Told::Begun { client, number, operation, .. } if self.in_detail => {
                return Some(format!("c{client} asks: {operation} (c{client}.{number})."));
            }
            Told::Ended { client, number, outcome, why } => {
                if self.in_detail {
                    let why = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
                    return Some(format!("c{client}.{number} has its answer: {}{why}.", Reply(outcome)));
                }
                match outcome {
                    Outcome::Done { .. } => self.meanwhile.answered += 1,
                    Outcome::NotDone => self.meanwhile.not_done += 1,
                    Outcome::Unknown => self.meanwhile.unknown += 1,
                }
            }
            Told::ClientCrashed { client } => {
                return Some(format!("c{client}'s process dies with all it has in hand; a new one takes its place."));
            }
            Told::ClientNoted { note: ClientNote::Retried { .. }, .. } => self.meanwhile.retries += 1,
            _ => {}
        }
        None
    }
}

/// What was done to the cluster from outside.
fn fault(told: &Told) -> Option<String> {
    Some(match told {
        Told::Started { node, life } => format!("{node} starts again, its life {life}."),
        Told::Crashed { node, power: true } => format!("{node} loses power."),
        Told::Crashed { node, power: false } => format!("{node}'s process dies; what it wrote can still be read."),
        Told::PowerLost { node, aftermath: Aftermath { lost, kept, torn, .. } } => {
            if lost + kept + torn == 0 {
                return None;
            }
            format!("Of what {node} had not synced, {} are lost, {kept} kept, {torn} torn.", counted(*lost, "write"))
        }
        Told::Unperformed { node, outputs } => {
            format!(
                "That was in the midst of a step: {} of {node} are never performed.",
                counted(*outputs as u64, "output")
            )
        }
        Told::Fenced { node, fault } => format!("{node} stops itself: {fault}."),
        Told::Stopped { node } => format!("{node} has stopped in good order."),
        Told::Paused { end: End::Client(_) } | Told::Resumed { end: End::Client(_) } => return None,
        Told::Paused { end } => format!("{end} is paused: it takes nothing in, and time goes on."),
        Told::Resumed { end } => format!("{end} goes on where it was."),
        Told::SyncFailed { node, error, .. } => format!("A disk operation of {node} fails: {error}."),
        Told::CutOff { links, .. } => format!("What is sent {} from now on is lost.", routes(links)),
        Told::Joined { block: Some(_) } => "A cut is over.".to_string(),
        Told::Clogged { links, .. } => format!("What is sent {} from now on waits on its way.", routes(links)),
        Told::Flows { .. } => "A clog is over: what waited arrives in order and at once.".to_string(),
        Told::Ranked { behind } => return ranks(behind),
        Told::Joined { block: None } => "Every cut is over.".to_string(),
        Told::Rotted { node, file, part, damage } => format!("Bytes of {node} rot, in its {file}: {part}, {damage}."),
        Told::Filled { node, full: true } => format!("{node}'s disk is full: there is no room for another file."),
        Told::Filled { node, full: false } => format!("{node}'s disk has room again."),
        Told::Wiped { node } => format!("{node}'s disk loses everything."),
        Told::Refused { node, why } => format!("{node} refuses to start: {why}."),
        Told::Slowed { node, what, by: Span::ZERO } => format!("{node}'s {what} is as fast as ever."),
        Told::Slowed { node, what, by } => format!("{node}'s {what} becomes slower by {by}."),
        Told::Skewed { node, ppm } => format!("{node}'s clock is off by {ppm} millionths from now on."),
        Told::Leapt { node, backward: false, by } => format!("{node}'s clock leaps ahead by {by}."),
        Told::Leapt { node, by, .. } => {
            format!("{node}'s machine sets its clock back by {by}: for {node} it stands still until it has caught up.")
        }
        Told::Healed { nodes } => format!("Faults are over: {nodes} heal for good, the rest stays as it is."),
        Told::InVain { line } => format!("Line {} of the plan changes nothing.", line + 1),
        _ => return None,
    })
}

fn given_up(why: StepDown) -> &'static str {
    match why {
        StepDown::HigherView => "it heard from the leader of a higher view",
        StepDown::NoQuorum => "no replication quorum has answered it for an election timeout",
        StepDown::DiskStalled => "its disk has not answered for an election timeout",
        StepDown::HigherPromise => "it learned of a higher promise",
        StepDown::Renewed => "it goes on in a higher view of its own",
        StepDown::TimedOut => "no recovery quorum has answered it for an election timeout",
        StepDown::Overtaken => "it learned something that another leader must have done",
        StepDown::Stopping => "it stops",
        StepDown::Transferred => "it has handed its place to another member",
    }
}

/// The log index that a violation is about, if its sentence says "at" one.
fn index_in(violation: &str) -> Option<&str> {
    let mut words = violation.split([' ', ';', ',']);
    words.by_ref().find(|word| *word == "at" || *word == "index")?;
    words.next().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a word is a member's name.
fn is_member(word: &str) -> bool {
    word.strip_prefix('n').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Links, those of senders with the same receivers together.
fn routes(links: &[(End, End)]) -> String {
    let mut by_sender: BTreeMap<End, BTreeSet<End>> = BTreeMap::new();
    for (from, to) in links {
        by_sender.entry(*from).or_default().insert(*to);
    }
    let mut by_receivers: BTreeMap<&BTreeSet<End>, Vec<String>> = BTreeMap::new();
    for (from, to) in &by_sender {
        by_receivers.entry(to).or_default().push(from.to_string());
    }
    let route = |(to, from): (&&BTreeSet<End>, &Vec<String>)| {
        let to: Vec<String> = to.iter().map(End::to_string).collect();
        format!("from {} to {}", list(from), list(&to))
    };
    by_receivers.iter().map(route).collect::<Vec<_>>().join(", and ")
}

/// Which messages are late on principle, by how much; those with equal priority together.
fn ranks(behind: &[((End, End), Span)]) -> Option<String> {
    let mut by_delay: BTreeMap<Span, Vec<(End, End)>> = BTreeMap::new();
    for (link, by) in behind {
        by_delay.entry(*by).or_default().push(*link);
    }
    let parts: Vec<String> = by_delay.iter().map(|(by, links)| format!("{} by {by}", routes(links))).collect();
    match parts.is_empty() {
        true => Some("All messages have the same priority from now on.".to_string()),
        false => Some(format!("From now on messages are later than they would be: {}.", parts.join("; "))),
    }
}

/// `index 3 is chosen`, `indexes 3 to 9 are chosen`; gaps are not told.
fn indexes(chosen: &[Index]) -> String {
    match (chosen.iter().min(), chosen.iter().max()) {
        (Some(first), Some(last)) if first < last => format!("indexes {first} to {last} are chosen"),
        (first, _) => format!("index {} is chosen", first.copied().unwrap_or(Index::ZERO)),
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

impl Meanwhile {
    /// One line; nothing if nothing happened.
    fn sum(self) -> Option<String> {
        let mut parts = Vec::new();
        let plural = |number: u64| if number == 1 { "" } else { "s" };
        for (number, one) in
            [(self.answered, "answered"), (self.not_done, "not done"), (self.unknown, "of unknown outcome")]
        {
            if number > 0 {
                parts.push(format!("{number} operation{} {one}", plural(number)));
            }
        }
        if !self.chosen.is_empty() {
            parts.push(indexes(&self.chosen));
        }
        for (number, one, many) in [
            (self.retries, "retry", "retries"),
            (self.snapshots, "snapshot taken", "snapshots taken"),
            (self.canvasses, "canvass for a new leader", "canvasses for a new leader"),
            (self.dropped, "message dropped", "messages dropped"),
            (self.cut_off, "message cut off", "messages cut off"),
            (self.damaged, "message damaged", "messages damaged"),
            (self.overflowed, "message lost on a full link", "messages lost on full links"),
            (self.stuck, "message stuck on a clogged link", "messages stuck on clogged links"),
        ] {
            if number > 0 {
                parts.push(format!("{number} {}", if number == 1 { one } else { many }));
            }
        }
        (!parts.is_empty()).then(|| format!("({})", parts.join(", ")))
    }
}
