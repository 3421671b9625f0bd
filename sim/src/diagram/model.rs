//! What the page is given: plain data, times in nanoseconds, members and clients by the number of their lane.

use serde::Serialize;

/// A whole page's worth.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Diagram {
    /// The scenario's file.
    pub name: String,
    /// Its comments, one paragraph each.
    pub story: Vec<String>,
    /// Its text.
    pub scenario: String,
    /// How the run ended.
    pub verdict: Verdict,
    /// The first moment shown, and the last.
    pub shown: (u64, u64),
    /// When the run ended.
    pub ended: u64,
    /// What is not shown, in a sentence.
    pub left_out: Option<String>,
    /// Members, then clients.
    pub lanes: Vec<Lane>,
    /// The views named below, ascending.
    pub views: Vec<String>,
    /// The kinds of messages named below.
    pub kinds: Vec<Kind>,
    /// By the moment they were sent.
    pub messages: Vec<Message>,
    /// What lasts, on one lane.
    pub spans: Vec<Span>,
    /// What happens in one moment.
    pub marks: Vec<Mark>,
    /// Disk operations.
    pub writes: Vec<Write>,
    /// What clients asked for.
    pub operations: Vec<Operation>,
    /// Partitions, isolations, cuts.
    pub cuts: Vec<Cut>,
}

/// How the run ended.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Verdict {
    /// Whether every property holds.
    pub ok: bool,
    /// In words.
    pub text: String,
    /// Which property does not hold.
    pub oracle: Option<&'static str>,
    /// When that was noticed.
    pub time: Option<u64>,
    /// What the scenario expects, if that is something else.
    pub expected: Option<String>,
    /// Tells this run from any other.
    pub digest: String,
    /// Events of the run.
    pub events: u64,
}

/// A member or a client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Lane {
    /// `n0`, `c0`.
    pub name: String,
    /// Whether it is a client.
    pub client: bool,
}

/// A kind of message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Kind {
    /// Its name in scenarios.
    pub name: String,
    /// What it is for: its colour.
    pub family: &'static str,
}

/// A message, with all its copies.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Message {
    /// The sender's lane.
    pub from: u8,
    /// The receiver's lane.
    pub to: u8,
    /// Its place in [`Diagram::kinds`].
    pub kind: usize,
    /// Its place in [`Diagram::views`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<usize>,
    /// The log index it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// When it was sent.
    pub sent: u64,
    /// The message in words.
    pub text: String,
    /// What became of it, one for each copy.
    pub ends: Vec<End>,
}

/// What became of one copy of a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct End {
    /// When. Of what is under way: when the run ended.
    pub at: u64,
    /// How.
    pub how: How,
    /// Since when it had waited for a paused receiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<u64>,
    /// Why it was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How the way of a message ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Its receiver took it.
    Taken,
    /// It was lost.
    Lost,
    /// The run ended before it arrived.
    Flying,
}

/// What lasts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Span {
    /// Where.
    pub lane: u8,
    /// What.
    pub what: State,
    /// Since when.
    pub from: u64,
    /// Until when.
    pub to: u64,
    /// In words.
    pub text: String,
    /// Which view it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<usize>,
}

/// A state of a member or a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Does not run.
    Down,
    /// Takes no input.
    Paused,
    /// Follows a view: has promised it.
    Follows,
    /// Collects promises.
    Stands,
    /// Leads, in its own eyes.
    Leads,
    /// Its disk or its links are slow.
    Slow,
}

/// What happens in one moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Mark {
    /// Where; in the margin if it is nobody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<u8>,
    /// When.
    pub at: u64,
    /// What, in one word.
    pub what: &'static str,
    /// How much it matters: 1 changes the course of a run, 2 is progress, 3 is detail.
    pub rank: u8,
    /// In words.
    pub text: String,
    /// The log index it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The view it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<usize>,
}

/// A disk operation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Write {
    /// Whose.
    pub lane: u8,
    /// When it was handed in.
    pub from: u64,
    /// When it ended.
    pub to: u64,
    /// How it ended.
    pub how: Synced,
    /// What it says.
    pub text: String,
    /// The first log index it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
}

/// How a disk operation ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Synced {
    /// Durable.
    Durable,
    /// In an error.
    Failed,
    /// Not at all: the member went down before it was done, and its writes are in doubt.
    Doubt,
    /// The run ended before.
    Open,
}

/// What a client asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Operation {
    /// Whose.
    pub lane: u8,
    /// Which of the client's.
    pub number: u32,
    /// When it began.
    pub from: u64,
    /// When it ended, or the run did.
    pub to: u64,
    /// What was asked.
    pub asked: String,
    /// What was answered.
    pub answer: String,
    /// How it ended.
    pub how: Answered,
}

/// How an operation ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answered {
    /// Done.
    Done,
    /// Certainly not done.
    Refused,
    /// Nobody knows.
    Unknown,
    /// The run ended before.
    Open,
}

/// Links that carry nothing for a while.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Cut {
    /// Since when.
    pub from: u64,
    /// Until when.
    pub to: u64,
    /// What cut them.
    pub text: String,
    /// From which lane to which.
    pub links: Vec<(u8, u8)>,
}

/// How much there is to draw.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, serde::Deserialize)]
pub struct Counts {
    /// Members and clients.
    pub lanes: usize,
    /// Messages, every copy for itself.
    pub arrows: usize,
    /// Those that are lost.
    pub crosses: usize,
    /// Times in which a member was down.
    pub downs: usize,
    /// Times in which something was paused.
    pub pauses: usize,
    /// Times in which a member led.
    pub leaders: usize,
    /// Partitions, isolations, cuts.
    pub cuts: usize,
    /// Disk operations.
    pub writes: usize,
    /// Those of them that became durable.
    pub durable: usize,
    /// Moments.
    pub marks: usize,
    /// What clients asked for.
    pub operations: usize,
    /// Lines that say what does not hold.
    pub violations: usize,
}

impl Diagram {
    /// How much there is to draw.
    pub fn counts(&self) -> Counts {
        let ends = || self.messages.iter().flat_map(|message| &message.ends);
        let spans = |what: State| self.spans.iter().filter(|span| span.what == what).count();
        Counts {
            lanes: self.lanes.len(),
            arrows: ends().count(),
            crosses: ends().filter(|end| end.how == How::Lost).count(),
            downs: spans(State::Down),
            pauses: spans(State::Paused),
            leaders: spans(State::Leads),
            cuts: self.cuts.len(),
            writes: self.writes.len(),
            durable: self.writes.iter().filter(|write| write.how == Synced::Durable).count(),
            marks: self.marks.len(),
            operations: self.operations.len(),
            violations: usize::from(self.verdict.time.is_some()),
        }
    }

    /// How many things with a time of their own there are.
    pub fn size(&self) -> usize {
        self.messages.len() + self.marks.len() + self.writes.len() + self.operations.len()
    }
}

impl Message {
    /// When the last copy of it came to its end.
    pub fn last(&self) -> u64 {
        self.ends.iter().map(|end| end.at).fold(self.sent, u64::max)
    }
}
