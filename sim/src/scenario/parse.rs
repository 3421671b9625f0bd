//! Text to scenario. Whatever is not understood is an error that names its line and, where one is near, the word that
//! was probably meant. A value that parses has passed [`super::check`].

use super::{
    Condition, Expect, FORMAT, Line, Liveness, Scenario, Trigger, Who,
    check::{self, Place},
    event::{EventKind, MessageKind},
    fields::{Record, Value},
    line, order,
    words::{Word, nearest, split},
};
use crate::oracle::Oracle;
use ios_core::{
    ids::{NodeId, View},
    time::{Span, Time},
};
use std::{fmt, str::FromStr};

/// Why a text is no scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for ParseError {}

/// All directives, the first word of a line.
const DIRECTIVES: [&str; 17] = [
    "ios-scenario",
    "expect",
    "cluster",
    "seed",
    "network",
    "client-network",
    "order",
    "disk",
    "clocks",
    "workload",
    "at",
    "when",
    "before",
    "after",
    "set",
    "run",
    "liveness",
];

/// The largest scenario file that is read.
pub const TEXT_MAX: usize = 1 << 20;

impl FromStr for Scenario {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() > TEXT_MAX {
            return Err(ParseError { line: 1, problem: format!("the text is longer than {TEXT_MAX} bytes") });
        }
        let mut reader = Reader::default();
        for (number, line) in (1..).zip(text.lines()) {
            let words = split(line).map_err(|problem| ParseError { line: number, problem })?;
            reader.line(number, &words).map_err(|problem| ParseError { line: number, problem })?;
        }
        reader.finish()
    }
}

/// A scenario in the making, with the lines its parts came from.
#[derive(Default)]
struct Reader {
    scenario: Scenario,
    /// Directives that may stand once, with their line.
    seen: Vec<(&'static str, usize)>,
    plan: Vec<usize>,
    overrides: Vec<usize>,
}

impl Reader {
    fn line(&mut self, number: usize, words: &[Word]) -> Result<(), String> {
        let Some(first) = words.first() else { return Ok(()) };
        let name = first.bare().ok_or("a directive is not quoted")?;
        let Some(directive) = DIRECTIVES.into_iter().find(|directive| *directive == name) else {
            return Err(unknown("directive", name, DIRECTIVES));
        };
        if (directive == "ios-scenario") != self.seen.is_empty() {
            return Err(format!("\"ios-scenario {FORMAT}\" must be the first directive, and stand only there"));
        }
        let mut rest = Words { words: &words[1..] };
        match directive {
            "at" | "when" | "before" | "after" => {
                let condition = self.condition(directive, &mut rest)?;
                self.scenario.plan.push(Line { condition, action: line::action(&mut rest)? });
                self.plan.push(number);
            }
            "set" => {
                self.scenario.overrides.push(line::set(&mut rest)?);
                self.overrides.push(number);
            }
            single => {
                if let Some((_, line)) = self.seen.iter().find(|(seen, _)| *seen == single) {
                    return Err(format!("a second \"{single}\"; the first is in line {line}"));
                }
                self.seen.push((single, number));
                self.single(single, &mut rest)?;
            }
        }
        rest.end()
    }

    /// A directive that stands once.
    fn single(&mut self, directive: &str, rest: &mut Words<'_>) -> Result<(), String> {
        let scenario = &mut self.scenario;
        match directive {
            "ios-scenario" => {
                let version = rest.next("the version of the format")?;
                if version != FORMAT.to_string() {
                    return Err(format!("format {version} is not known here; this program reads format {FORMAT}"));
                }
            }
            "expect" => scenario.expect = expectation(rest)?,
            "cluster" => record(&mut scenario.cluster, rest)?,
            "seed" => scenario.seed = seed(rest.next("a number")?)?,
            "network" => record(&mut scenario.network, rest)?,
            "client-network" => record(&mut scenario.client_network, rest)?,
            "order" => scenario.order = order::read(rest)?,
            "disk" => record(&mut scenario.disk, rest)?,
            "clocks" => {
                while let Some((key, value)) = rest.pair() {
                    let ppm = value.parse().map_err(|_| format!("\"{value}\" is not a whole number of millionths"))?;
                    scenario.clocks.push((node(key)?, ppm));
                }
                scenario.clocks.sort_unstable();
            }
            "workload" => record(&mut scenario.workload, rest)?,
            "run" => scenario.run = span(rest.next("a length of time")?)?,
            "liveness" => scenario.liveness = liveness(rest)?,
            _ => unreachable!("every directive is one of the table"),
        }
        Ok(())
    }

    fn condition(&mut self, directive: &str, rest: &mut Words<'_>) -> Result<Condition, String> {
        match directive {
            "at" => Ok(Condition::At(Time(span(rest.next("a time, such as 12ms")?)?.0))),
            "after" => {
                let text = rest.next("an operation of a client, such as c0.1")?;
                let parts = text.strip_prefix('c').and_then(|text| text.split_once('.'));
                let parsed = parts.and_then(|(client, number)| Some((client.parse().ok()?, number.parse().ok()?)));
                let (client, operation) =
                    parsed.ok_or_else(|| format!("\"{text}\" names no operation of a client, such as c0.1"))?;
                Ok(Condition::After { client, operation })
            }
            when => trigger(when == "before", rest).map(Condition::Event),
        }
    }

    fn finish(self) -> Result<Scenario, ParseError> {
        if self.seen.is_empty() {
            let problem = format!("this is no scenario: its first directive must be \"ios-scenario {FORMAT}\"");
            return Err(ParseError { line: 1, problem });
        }
        let line_of = |place: &Place| match place {
            Place::Plan(line) => self.plan[*line],
            Place::Override(line) => self.overrides[*line],
            Place::Directive(name) => self.seen.iter().find(|(seen, _)| seen == name).map_or(1, |(_, line)| *line),
        };
        match check::problem(&self.scenario) {
            Some((place, problem)) => Err(ParseError { line: line_of(&place), problem }),
            None => Ok(self.scenario),
        }
    }
}

/// The words of a line that are still to be read.
pub(super) struct Words<'a> {
    words: &'a [Word],
}

impl<'a> Words<'a> {
    /// The next bare word; `what` says what it should have been.
    pub fn next(&mut self, what: &str) -> Result<&'a str, String> {
        let word = self.word(what)?;
        word.bare().ok_or_else(|| format!("{} is quoted where {what} should stand", word.shown()))
    }

    /// The next word, quoted or not.
    pub fn word(&mut self, what: &str) -> Result<&'a Word, String> {
        let (first, rest) =
            self.words.split_first().ok_or_else(|| format!("the line ends where {what} should stand"))?;
        self.words = rest;
        Ok(first)
    }

    /// The next word if it is bare, without taking it.
    pub fn peek(&self) -> Option<&'a str> {
        self.words.first().and_then(Word::bare)
    }

    /// Takes the next word if it is this one.
    pub fn take(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    /// Takes the next word if it has the form `key=value`.
    pub fn pair(&mut self) -> Option<(&'a str, &'a str)> {
        let pair = self.peek().and_then(|word| word.split_once('='));
        if pair.is_some() {
            self.words = &self.words[1..];
        }
        pair
    }

    fn end(&self) -> Result<(), String> {
        match self.words.first() {
            Some(word) => Err(format!("{} is one word too many", word.shown())),
            None => Ok(()),
        }
    }
}

pub(super) fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("unknown {what} \"{name}\"; did you mean \"{near}\"?"),
        None => {
            let all: Vec<&str> = known.into_iter().collect();
            format!("unknown {what} \"{name}\"; there are {}", all.join(", "))
        }
    }
}

fn record<R: Record>(record: &mut R, rest: &mut Words<'_>) -> Result<(), String> {
    let mut seen: Vec<&str> = Vec::new();
    while let Some((key, value)) = rest.pair() {
        if seen.contains(&key) {
            return Err(format!("{key} is set twice"));
        }
        seen.push(key);
        match record.set(key, value) {
            Some(result) => result.map_err(|problem| format!("{key}: {problem}"))?,
            None => return Err(unknown("key", key, R::KEYS.iter().copied())),
        }
    }
    Ok(())
}

fn expectation(rest: &mut Words<'_>) -> Result<Expect, String> {
    match rest.next("ok or violation")? {
        "ok" => Ok(Expect::Ok),
        "violation" => {
            let name = rest.next("the name of an oracle")?;
            let oracle = Oracle::ALL.iter().find(|oracle| oracle.name() == name);
            let names: Vec<&str> = Oracle::ALL.iter().map(|oracle| oracle.name()).collect();
            oracle.copied().map(Expect::Violation).ok_or_else(|| unknown("oracle", name, names))
        }
        other => Err(unknown("expectation", other, ["ok", "violation"])),
    }
}

/// A seed, decimal or hexadecimal.
pub fn seed(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("\"{text}\" is not a seed: a whole number below 2^64, decimal or as 0x51c3"))
}

fn liveness(rest: &mut Words<'_>) -> Result<Liveness, String> {
    if rest.take("off") {
        return Ok(Liveness::Off);
    }
    let Liveness::Core { mut nodes, mut within } = Scenario::default().liveness else {
        unreachable!("liveness is asked for by default")
    };
    while let Some((key, value)) = rest.pair() {
        match key {
            "core" => {
                nodes = value.split(',').map(node).collect::<Result<Vec<_>, _>>()?;
                nodes.sort_unstable();
            }
            "within" => within = span(value)?,
            other => return Err(unknown("key", other, ["core", "within"])),
        }
    }
    Ok(Liveness::Core { nodes, within })
}

fn trigger(before: bool, rest: &mut Words<'_>) -> Result<Trigger, String> {
    let who = match rest.next("a node, any or leader")? {
        "any" => Who::Any,
        "leader" => Who::Leader,
        name => Who::Node(node(name)?),
    };
    let event = match rest.next("an event")? {
        "sends" => EventKind::Sends(kind(rest.next("a kind of message")?)?),
        "receives" => EventKind::Receives(kind(rest.next("a kind of message")?)?),
        name => {
            let names = || ["sends", "receives"].into_iter().chain(EventKind::NAMES.iter().map(|(_, name)| *name));
            let found = EventKind::NAMES.iter().find(|(_, known)| *known == name);
            found.ok_or_else(|| unknown("event", name, names().collect::<Vec<_>>()))?.0
        }
    };
    let mut trigger = Trigger { who, event, index: None, view: None, peer: None, nth: 1, before, delay: Span::ZERO };
    let peer = match event {
        EventKind::Sends(_) => "to",
        EventKind::Receives(_) => "from",
        _ => "",
    };
    while let Some((key, value)) = rest.pair() {
        match key {
            "index" => trigger.index = Some(Value::read(value)?),
            "view" => trigger.view = Some(view(value)?),
            "nth" => trigger.nth = Value::read(value)?,
            "in" => trigger.delay = span(value)?,
            key if key == peer => trigger.peer = Some(node(value)?),
            other => return Err(unknown("key", other, ["index", "view", "nth", "in", "to", "from"])),
        }
    }
    Ok(trigger)
}

pub(crate) fn span(text: &str) -> Result<Span, String> {
    Value::read(text)
}

pub(super) fn node(text: &str) -> Result<NodeId, String> {
    let id = text.strip_prefix('n').and_then(|digits| digits.parse().ok());
    id.map(NodeId).ok_or_else(|| format!("\"{text}\" is no node, such as n0"))
}

pub(super) fn kind(text: &str) -> Result<MessageKind, String> {
    let names = MessageKind::NAMES.iter();
    let found = names.clone().find(|(_, name)| *name == text);
    found.map(|(kind, _)| *kind).ok_or_else(|| unknown("kind of message", text, names.map(|(_, name)| *name)))
}

pub(super) fn view(text: &str) -> Result<View, String> {
    let parts = text.split_once('.').and_then(|(round, owner)| Some((round.parse().ok()?, node(owner).ok()?)));
    let (round, node) = parts.ok_or_else(|| format!("\"{text}\" is no view, such as 3.n0"))?;
    Ok(View { round, node })
}
