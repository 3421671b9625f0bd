//! A scenario as text: what [`super::parse`] reads back. Whatever is as by default is left out.

use super::{
    Action, Condition, Damage, End, Expect, FORMAT, Flap, Line, Liveness, MessageFate, Operation, Order, Override,
    RotPart, Scenario, Slow, SyncFate, Target, Trigger, Verb, Who,
    event::{EventKind, MessageKind},
    fields::Record,
    words::word_of,
};
use ios_core::{ids::NodeId, message::ReadMode, time::Span};
use std::fmt;

/// Where a line of a story ends.
const STORY_WIDTH: usize = 118;

impl Scenario {
    /// The text with a story in its comment: what happened, in whole sentences.
    pub fn with_story(&self, story: &str) -> String {
        let text = self.to_string();
        let (header, rest) = text.split_once('\n').expect("a scenario has several lines");
        let mut lines = vec![header.to_string()];
        for paragraph in story.lines() {
            let mut line = String::from("#");
            for word in paragraph.split_whitespace() {
                if line.len() + word.len() >= STORY_WIDTH && line.len() > 1 {
                    lines.push(std::mem::replace(&mut line, String::from("#")));
                }
                line = line + " " + word;
            }
            lines.push(line);
        }
        lines.join("\n") + "\n" + rest
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ios-scenario {FORMAT}")?;
        writeln!(f, "expect {}", self.expect)?;
        record(f, "cluster", &self.cluster)?;
        writeln!(f, "seed {}", self.seed)?;
        record(f, "network", &self.network)?;
        record(f, "client-network", &self.client_network)?;
        if self.order != Order::Independent {
            writeln!(f, "{}", self.order)?;
        }
        record(f, "disk", &self.disk)?;
        if !self.clocks.is_empty() {
            write!(f, "clocks")?;
            for (node, ppm) in &self.clocks {
                write!(f, " {node}={ppm}")?;
            }
            writeln!(f)?;
        }
        record(f, "workload", &self.workload)?;
        for line in &self.plan {
            writeln!(f, "{line}")?;
        }
        for over in &self.overrides {
            writeln!(f, "{over}")?;
        }
        writeln!(f, "run {}", self.run)?;
        if self.liveness != Scenario::default().liveness {
            writeln!(f, "{}", self.liveness)?;
        }
        Ok(())
    }
}

fn record<R: Record>(f: &mut fmt::Formatter<'_>, name: &str, record: &R) -> fmt::Result {
    let settings = record.settings();
    if settings.is_empty() { Ok(()) } else { writeln!(f, "{name} {}", settings.join(" ")) }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expect::Ok => f.write_str("ok"),
            Expect::Violation(oracle) => write!(f, "violation {oracle}"),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.condition, self.action)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::At(time) => write!(f, "at {time}"),
            Condition::Event(trigger) => trigger.fmt(f),
            Condition::After { client, operation } => write!(f, "after c{client}.{operation}"),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", if self.before { "before" } else { "when" }, self.who, self.event)?;
        if let Some(peer) = self.peer {
            let key = if matches!(self.event, EventKind::Receives(_)) { "from" } else { "to" };
            write!(f, " {key}={peer}")?;
        }
        filter(f, "view", self.view)?;
        filter(f, "index", self.index)?;
        filter(f, "nth", Some(self.nth).filter(|nth| *nth != 1))?;
        filter(f, "in", Some(self.delay).filter(|delay| *delay != Span::ZERO))
    }
}

fn filter(f: &mut fmt::Formatter<'_>, key: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {key}={value}"))
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventKind::Sends(kind) => write!(f, "sends {kind}"),
            EventKind::Receives(kind) => write!(f, "receives {kind}"),
            plain => {
                let named = EventKind::NAMES.iter().find(|(event, _)| event == plain);
                f.write_str(named.expect("every event without a message has a name").1)
            }
        }
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = MessageKind::NAMES.iter().find(|(kind, _)| kind == self);
        f.write_str(named.expect("every kind has a name").1)
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Node(node) => node.fmt(f),
            Who::Any => f.write_str("any"),
            Who::Leader => f.write_str("leader"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Node(node) => node.fmt(f),
            Target::Leader => f.write_str("leader"),
            Target::It => f.write_str("it"),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Node(node) => node.fmt(f),
            End::Client(client) => write!(f, "c{client}"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = |power: &bool| if *power { "power" } else { "process" };
        match self {
            Action::Client { client, operation } => return write!(f, "c{client} {operation}"),
            Action::Crash { node, power, .. } => write!(f, "crash {node} {}", kind(power))?,
            Action::Stop { node, .. } => write!(f, "stop {node}")?,
            Action::Transfer { node, to: None } => return write!(f, "transfer {node}"),
            Action::Transfer { node, to: Some(to) } => return write!(f, "transfer {node} {to}"),
            Action::CrashAll { power, .. } => write!(f, "crash all {}", kind(power))?,
            Action::CrashClient { client } => return write!(f, "crash c{client}"),
            Action::Restart { node } => return write!(f, "restart {node}"),
            Action::Pause { node, .. } => write!(f, "pause {node}")?,
            Action::PauseClient { client, .. } => write!(f, "pause c{client}")?,
            Action::Resume { node } => return write!(f, "resume {node}"),
            Action::Disconnect { client } => return write!(f, "disconnect c{client}"),
            Action::Partition { groups, oneway, .. } => partition(f, groups, *oneway)?,
            Action::Isolate { node, .. } => write!(f, "isolate {node}")?,
            Action::Cut { links, .. } => listed(f, "cut", links)?,
            Action::Clog { links, .. } => listed(f, "clog", links)?,
            Action::Heal => return f.write_str("heal"),
            Action::Rerank => return f.write_str("rerank"),
            Action::Rot { node, part, index, damage } => {
                write!(f, "rot {node} {part}")?;
                filter(f, "index", *index)?;
                return write!(f, " {damage}");
            }
            Action::FailDisk { node, .. } => write!(f, "fail {node}")?,
            Action::Full { node, .. } => write!(f, "full {node}")?,
            Action::Wipe { node } => return write!(f, "wipe {node}"),
            Action::Skew { node, ppm } => return write!(f, "skew {node} {ppm}"),
            Action::Jump { node, backward, by, .. } => {
                write!(f, "jump {node} {}{by}", if *backward { "-" } else { "" })?;
            }
            Action::Slow { node, what, by, .. } => write!(f, "slow {node} {what} {by}")?,
        }
        filter(f, "for", self.back())?;
        filter(f, "times", self.flap().map(|flap| flap.times))?;
        filter(f, "gap", self.flap().map(|flap| flap.gap))
    }
}

impl Action {
    /// After which time the effect ends by itself, if it does.
    pub fn back(&self) -> Option<Span> {
        match self {
            Action::Crash { back, .. }
            | Action::CrashAll { back, .. }
            | Action::Stop { back, .. }
            | Action::Pause { back, .. }
            | Action::PauseClient { back, .. }
            | Action::Partition { back, .. }
            | Action::Isolate { back, .. }
            | Action::Cut { back, .. }
            | Action::Clog { back, .. }
            | Action::Jump { back, .. }
            | Action::FailDisk { back, .. }
            | Action::Full { back, .. }
            | Action::Slow { back, .. } => *back,
            Action::Client { .. }
            | Action::CrashClient { .. }
            | Action::Transfer { .. }
            | Action::Restart { .. }
            | Action::Resume { .. }
            | Action::Disconnect { .. }
            | Action::Heal
            | Action::Rerank
            | Action::Rot { .. }
            | Action::Wipe { .. }
            | Action::Skew { .. } => None,
        }
    }

    /// How it comes again, if it does.
    pub fn flap(&self) -> Option<Flap> {
        match self {
            Action::Partition { flap, .. }
            | Action::Isolate { flap, .. }
            | Action::Cut { flap, .. }
            | Action::Clog { flap, .. }
            | Action::Jump { flap, .. } => *flap,
            _ => None,
        }
    }
}

fn listed(f: &mut fmt::Formatter<'_>, name: &str, links: &[(End, End)]) -> fmt::Result {
    f.write_str(name)?;
    links.iter().try_for_each(|(from, to)| write!(f, " {from}>{to}"))
}

fn partition(f: &mut fmt::Formatter<'_>, groups: &[Vec<End>], oneway: bool) -> fmt::Result {
    f.write_str("partition")?;
    for (place, group) in groups.iter().enumerate() {
        f.write_str(if place == 0 { "" } else { " |" })?;
        for end in group {
            write!(f, " {end}")?;
        }
    }
    f.write_str(if oneway { " oneway" } else { "" })
}

impl fmt::Display for RotPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RotPart::Body => "body",
            RotPart::Slot => "slot",
            RotPart::Identity => "identity",
            RotPart::Snapshot => "snapshot",
        })
    }
}

impl Damage {
    /// All kinds.
    pub const ALL: [Damage; 5] = [Damage::Bit, Damage::Whole, Damage::Zero, Damage::Misdirected, Damage::Unreadable];

    /// As scenarios spell it.
    pub fn name(self) -> &'static str {
        match self {
            Damage::Bit => "bit",
            Damage::Whole => "whole",
            Damage::Zero => "zero",
            Damage::Misdirected => "misdirected",
            Damage::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Slow::Disk => "disk",
            Slow::Links => "links",
        })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mode != ReadMode::Leader {
            write!(f, "{} ", self.mode)?;
        }
        for (place, verb) in self.verbs.iter().enumerate() {
            write!(f, "{}{verb}", if place == 0 { "" } else { " ; " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verb::Get(key) => write!(f, "get {}", word_of(key)),
            Verb::Put(key, value) => write!(f, "put {} {}", word_of(key), word_of(value)),
            Verb::Delete(key) => write!(f, "delete {}", word_of(key)),
            Verb::Exists(key) => write!(f, "exists {}", word_of(key)),
            Verb::Count => f.write_str("count"),
            Verb::Cas(key, old, new) => write!(f, "cas {} {} {}", word_of(key), word_of(old), word_of(new)),
        }
    }
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Override::Message { from, to, kind, view, index, nth, fate } => {
                let name = match fate {
                    MessageFate::Delay(_) => "delay",
                    MessageFate::Drop => "drop",
                    MessageFate::Duplicate(_) => "duplicate",
                };
                write!(f, "set {name} {}>{} {}", any(*from), any(*to), any(*kind))?;
                filter(f, "view", *view)?;
                filter(f, "index", *index)?;
                filter(f, "nth", *nth)?;
                match fate {
                    MessageFate::Delay(span) | MessageFate::Duplicate(span) => write!(f, " {span}"),
                    MessageFate::Drop => Ok(()),
                }
            }
            Override::Sync { node, nth, fate } => {
                write!(f, "set sync {node} nth={nth} ")?;
                match fate {
                    SyncFate::Latency(span) => span.fmt(f),
                    SyncFate::Lost => f.write_str("lost"),
                    SyncFate::Kept => f.write_str("kept"),
                    SyncFate::Torn => f.write_str("torn"),
                }
            }
        }
    }
}

fn any(what: Option<impl fmt::Display>) -> String {
    what.map_or_else(|| "any".into(), |what| what.to_string())
}

impl fmt::Display for Liveness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Liveness::Off => f.write_str("liveness off"),
            Liveness::Core { nodes, within } => {
                f.write_str("liveness")?;
                if !nodes.is_empty() {
                    let names: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
                    write!(f, " core={}", names.join(","))?;
                }
                write!(f, " within={within}")
            }
        }
    }
}
