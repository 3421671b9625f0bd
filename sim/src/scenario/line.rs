//! Reading the second half of a plan's line (the action), and the overrides.

use super::{
    Action, Damage, End, Flap, MessageFate, Operation, Override, RotPart, Slow, SyncFate, Target, Verb,
    fields::Value,
    parse::{Words, kind, node, span, unknown, view},
};
use ios_core::{message::ReadMode, time::Span};

/// What an action begins with, besides the name of a client.
const ACTIONS: [&str; 20] = [
    "crash",
    "stop",
    "transfer",
    "restart",
    "pause",
    "resume",
    "disconnect",
    "partition",
    "isolate",
    "cut",
    "clog",
    "heal",
    "rerank",
    "rot",
    "full",
    "fail",
    "wipe",
    "skew",
    "jump",
    "slow",
];

/// Reads an action.
pub(super) fn action(rest: &mut Words<'_>) -> Result<Action, String> {
    let name = rest.next("an action")?;
    if let Some(client) = client(name) {
        return Ok(Action::Client { client, operation: operation(rest)? });
    }
    match name {
        "crash" => crash(rest),
        "stop" => Ok(Action::Stop { node: target(rest.next("a node")?)?, back: back(rest)? }),
        "transfer" => transfer(rest),
        "restart" => Ok(Action::Restart { node: target(rest.next("a node")?)? }),
        "pause" => {
            let whom = rest.next("a node or client")?;
            match client(whom) {
                Some(client) => Ok(Action::PauseClient { client, back: back(rest)? }),
                None => Ok(Action::Pause { node: target(whom)?, back: back(rest)? }),
            }
        }
        "resume" => Ok(Action::Resume { node: target(rest.next("a node")?)? }),
        "disconnect" => {
            let name = rest.next("a client")?;
            let client = client(name).ok_or_else(|| format!("\"{name}\" is no client, such as c0"))?;
            Ok(Action::Disconnect { client })
        }
        "partition" => partition(rest),
        "isolate" => {
            let node = target(rest.next("a node")?)?;
            let (back, flap) = lasting(rest)?;
            Ok(Action::Isolate { node, back, flap })
        }
        "cut" | "clog" => {
            let links = links(rest)?;
            let (back, flap) = lasting(rest)?;
            Ok(if name == "cut" { Action::Cut { links, back, flap } } else { Action::Clog { links, back, flap } })
        }
        "heal" => Ok(Action::Heal),
        "rerank" => Ok(Action::Rerank),
        "rot" => rot(rest),
        "fail" => Ok(Action::FailDisk { node: target(rest.next("a node")?)?, back: back(rest)? }),
        "full" => Ok(Action::Full { node: target(rest.next("a node")?)?, back: back(rest)? }),
        "wipe" => Ok(Action::Wipe { node: node(rest.next("a node")?)? }),
        "skew" => {
            let node = target(rest.next("a node")?)?;
            let text = rest.next("a rate error in millionths")?;
            let ppm = text.parse().map_err(|_| format!("\"{text}\" is not a whole number of millionths"))?;
            Ok(Action::Skew { node, ppm })
        }
        "jump" => jump(rest),
        "slow" => {
            let node = target(rest.next("a node")?)?;
            let what = match rest.next("disk or links")? {
                "disk" => Slow::Disk,
                "links" => Slow::Links,
                other => return Err(unknown("part of a node", other, ["disk", "links"])),
            };
            Ok(Action::Slow { node, what, by: span(rest.next("a length of time")?)?, back: back(rest)? })
        }
        other => Err(unknown("action", other, ACTIONS)),
    }
}

fn crash(rest: &mut Words<'_>) -> Result<Action, String> {
    let whom = rest.next("a node, a client or all")?;
    if let Some(client) = client(whom) {
        return Ok(Action::CrashClient { client });
    }
    let node = if whom == "all" { None } else { Some(target(whom)?) };
    let power = match rest.next("process or power")? {
        "process" => false,
        "power" => true,
        other => return Err(unknown("kind of crash", other, ["process", "power"])),
    };
    let back = back(rest)?;
    Ok(match node {
        Some(node) => Action::Crash { node, power, back },
        None => Action::CrashAll { power, back },
    })
}

fn transfer(rest: &mut Words<'_>) -> Result<Action, String> {
    let from = target(rest.next("a node")?)?;
    let to = rest.peek().map(node).transpose()?;
    if to.is_some() {
        rest.next("a node")?;
    }
    Ok(Action::Transfer { node: from, to })
}

fn partition(rest: &mut Words<'_>) -> Result<Action, String> {
    let (mut groups, mut oneway) = (vec![Vec::new()], false);
    while let Some(word) = rest.peek().filter(|word| !word.contains('=')) {
        rest.take(word);
        match word {
            "|" => groups.push(Vec::new()),
            "oneway" => oneway = true,
            name => groups.last_mut().expect("there is always a group").push(end(name)?),
        }
    }
    let (back, flap) = lasting(rest)?;
    Ok(Action::Partition { groups, oneway, back, flap })
}

/// One link or several.
fn links(rest: &mut Words<'_>) -> Result<Vec<(End, End)>, String> {
    let mut links = Vec::new();
    while links.is_empty() || rest.peek().is_some_and(|word| !word.contains('=')) {
        let link = rest.next("a link, such as n0>n1")?;
        let (from, to) = link.split_once('>').ok_or_else(|| format!("\"{link}\" is no link, such as n0>n1"))?;
        links.push((end(from)?, end(to)?));
    }
    Ok(links)
}

fn jump(rest: &mut Words<'_>) -> Result<Action, String> {
    let node = target(rest.next("a node")?)?;
    let text = rest.next("a length of time, such as 2s or -2s")?;
    let (backward, by) = text.strip_prefix('-').map_or((false, text), |by| (true, by));
    let by = span(by)?;
    let (back, flap) = lasting(rest)?;
    Ok(Action::Jump { node, backward, by, back, flap })
}

fn rot(rest: &mut Words<'_>) -> Result<Action, String> {
    let node = target(rest.next("a node")?)?;
    let part = match rest.next("body, slot or identity")? {
        "body" => RotPart::Body,
        "slot" => RotPart::Slot,
        "identity" => RotPart::Identity,
        "snapshot" => RotPart::Snapshot,
        other => return Err(unknown("part of a journal", other, ["body", "slot", "identity"])),
    };
    let index = match rest.pair() {
        Some(("index", value)) => Some(Value::read(value)?),
        Some((key, _)) => return Err(unknown("key", key, ["index"])),
        None => None,
    };
    let name = rest.next("a kind of damage")?;
    let damage = Damage::ALL.into_iter().find(|damage| damage.name() == name);
    let damage = damage.ok_or_else(|| unknown("kind of damage", name, Damage::ALL.map(Damage::name)))?;
    Ok(Action::Rot { node, part, index, damage })
}

/// `for=TIME`, if it is there.
fn back(rest: &mut Words<'_>) -> Result<Option<Span>, String> {
    match rest.pair() {
        Some(("for", value)) => span(value).map(Some),
        Some((key, _)) => Err(unknown("key", key, ["for"])),
        None => Ok(None),
    }
}

/// `for=TIME times=K gap=TIME`, as much of it as is there. Without a gap it is away for as long as it is there.
fn lasting(rest: &mut Words<'_>) -> Result<(Option<Span>, Option<Flap>), String> {
    let (mut back, mut times, mut gap) = (None, None, None);
    while let Some((key, value)) = rest.pair() {
        match key {
            "for" => back = Some(span(value)?),
            "times" => times = Some(Value::read(value)?),
            "gap" => gap = Some(span(value)?),
            other => return Err(unknown("key", other, ["for", "times", "gap"])),
        }
    }
    match (back, times, gap) {
        (_, None, None) => Ok((back, None)),
        (Some(hold), Some(times), gap) => Ok((back, Some(Flap { times, gap: gap.unwrap_or(hold) }))),
        (None, ..) => Err("what comes several times wants for=TIME: how long it lasts each time".into()),
        (_, None, Some(_)) => Err("gap=TIME lies between several times: it wants times=K".into()),
    }
}

fn target(name: &str) -> Result<Target, String> {
    match name {
        "leader" => Ok(Target::Leader),
        "it" => Ok(Target::It),
        name => node(name).map(Target::Node),
    }
}

fn client(name: &str) -> Option<u8> {
    name.strip_prefix('c').and_then(|digits| digits.parse().ok())
}

fn end(name: &str) -> Result<End, String> {
    match client(name) {
        Some(client) => Ok(End::Client(client)),
        None => node(name).map(End::Node).map_err(|_| format!("\"{name}\" is neither a node nor a client")),
    }
}

/// Reads a client's operation, up to the end of the line.
fn operation(rest: &mut Words<'_>) -> Result<Operation, String> {
    let mode = match () {
        () if rest.take("participant") => ReadMode::Participant,
        () if rest.take("stale") => ReadMode::Stale,
        () => ReadMode::Leader,
    };
    let mut verbs = vec![verb(rest)?];
    while rest.take(";") {
        verbs.push(verb(rest)?);
    }
    Ok(Operation { mode, verbs })
}

fn verb(rest: &mut Words<'_>) -> Result<Verb, String> {
    let name = rest.next("a verb")?;
    let mut bytes = |what| rest.word(what).map(|word| word.bytes.clone());
    Ok(match name {
        "get" => Verb::Get(bytes("a key")?),
        "put" => Verb::Put(bytes("a key")?, bytes("a value")?),
        "delete" => Verb::Delete(bytes("a key")?),
        "exists" => Verb::Exists(bytes("a key")?),
        "count" => Verb::Count,
        "cas" => Verb::Cas(bytes("a key")?, bytes("the expected value")?, bytes("the new value")?),
        other => return Err(unknown("verb", other, ["get", "put", "delete", "exists", "count", "cas"])),
    })
}

/// Reads what follows `set`.
pub(super) fn set(rest: &mut Words<'_>) -> Result<Override, String> {
    let what = rest.next("delay, drop, duplicate or sync")?;
    if what == "sync" {
        return set_sync(rest);
    }
    if !["delay", "drop", "duplicate"].contains(&what) {
        return Err(unknown("decision", what, ["delay", "drop", "duplicate", "sync"]));
    }
    let link = rest.next("a link, such as n0>any")?;
    let (from, to) = link.split_once('>').ok_or_else(|| format!("\"{link}\" is no link, such as n0>any"))?;
    let either = |name| if name == "any" { Ok(None) } else { end(name).map(Some) };
    let (from, to) = (either(from)?, either(to)?);
    let message = rest.next("a kind of message, or any")?;
    let kind = if message == "any" { None } else { Some(kind(message)?) };
    let (mut at_view, mut index, mut nth) = (None, None, None);
    while let Some((key, value)) = rest.pair() {
        match key {
            "view" => at_view = Some(view(value)?),
            "index" => index = Some(Value::read(value)?),
            "nth" => nth = Some(Value::read(value)?),
            other => return Err(unknown("key", other, ["view", "index", "nth"])),
        }
    }
    let fate = match what {
        "delay" => MessageFate::Delay(span(rest.next("a length of time")?)?),
        "duplicate" => MessageFate::Duplicate(span(rest.next("a length of time")?)?),
        _ => MessageFate::Drop,
    };
    Ok(Override::Message { from, to, kind, view: at_view, index, nth, fate })
}

fn set_sync(rest: &mut Words<'_>) -> Result<Override, String> {
    let node = node(rest.next("a node")?)?;
    let nth = match rest.pair() {
        Some(("nth", value)) => Value::read(value)?,
        _ => return Err("nth=K must follow the node: which of its disk operations".into()),
    };
    let fate = match rest.next("lost, kept, torn or a length of time")? {
        "lost" => SyncFate::Lost,
        "kept" => SyncFate::Kept,
        "torn" => SyncFate::Torn,
        time => SyncFate::Latency(span(time).map_err(|_| unknown("fate", time, ["lost", "kept", "torn", "10ms"]))?),
    };
    Ok(Override::Sync { node, nth, fate })
}
