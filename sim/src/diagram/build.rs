//! From the events of a run to lanes, arrows and spans.

use super::{
    model::{
        Answered, Cut, Diagram, End, How, Kind, Lane, Mark, Message, Operation, Span, State, Synced, Verdict, Write,
    },
    moments::{Moment, family, of_client_note, of_note},
};
use crate::{
    history::Outcome as Answer,
    outcome::Outcome,
    report,
    scenario::{Action, End as Who, MessageKind, Scenario, Slow, Target},
    world::{
        item::Life,
        network::BlockId,
        told::{LetterId, Reply, Told},
    },
};
use ios_core::{
    ids::{NodeId, OpId, View},
    interface::Note,
    journal::Fact,
    time::{Span as Length, Time},
};
use std::collections::BTreeMap;

/// The most characters of a text; what is longer says how much is missing.
const TEXT_MAX: usize = 240;

/// Takes the events of a run one by one.
pub struct Builder {
    nodes: u8,
    diagram: Diagram,
    /// Where each letter is, and how many copies of it have not ended.
    letters: BTreeMap<LetterId, Letter>,
    kinds: BTreeMap<MessageKind, usize>,
    views: Vec<View>,
    members: Vec<Member>,
    paused: BTreeMap<u8, u64>,
    /// Disk operations that have not ended.
    writes: BTreeMap<(NodeId, Life, OpId), usize>,
    operations: BTreeMap<(u8, u32), usize>,
    cuts: BTreeMap<u64, OpenCut>,
    /// What each cut was told to come by.
    cut_by: BTreeMap<BlockId, String>,
    /// What the last line of the plan did.
    plan: String,
    slow: BTreeMap<(NodeId, bool), (u64, Length)>,
}

struct Letter {
    place: usize,
    copies: u8,
    held: Vec<u64>,
}

struct OpenCut {
    block: BlockId,
    from: u64,
    text: String,
    links: Vec<(u8, u8)>,
}

/// What a member is in the midst of.
#[derive(Default)]
struct Member {
    down: Option<(u64, String)>,
    follows: Option<(u64, View)>,
    stands: Option<(u64, View)>,
    leads: Option<(u64, View)>,
}

impl Builder {
    /// For one run of a scenario; `name` and `text` are its file's.
    pub fn new(name: &str, text: &str, scenario: &Scenario) -> Self {
        let (nodes, clients) = (scenario.cluster.nodes, scenario.cluster.clients);
        let lane = |name: String, client| Lane { name, client };
        let members = (0..nodes).map(|node| lane(NodeId(node).to_string(), false));
        let unborn = || Member { down: Some((0, "not started yet".to_string())), ..Member::default() };
        Self {
            nodes,
            diagram: Diagram {
                name: name.to_string(),
                story: story(text),
                scenario: text.to_string(),
                verdict: Verdict {
                    ok: true,
                    text: String::new(),
                    oracle: None,
                    time: None,
                    expected: None,
                    digest: String::new(),
                    events: 0,
                },
                shown: (0, 0),
                ended: 0,
                left_out: None,
                lanes: members.chain((0..clients).map(|client| lane(format!("c{client}"), true))).collect(),
                views: Vec::new(),
                kinds: Vec::new(),
                messages: Vec::new(),
                spans: Vec::new(),
                marks: Vec::new(),
                writes: Vec::new(),
                operations: Vec::new(),
                cuts: Vec::new(),
            },
            letters: BTreeMap::new(),
            kinds: BTreeMap::new(),
            views: Vec::new(),
            members: (0..nodes).map(|_| unborn()).collect(),
            paused: BTreeMap::new(),
            writes: BTreeMap::new(),
            operations: BTreeMap::new(),
            cuts: BTreeMap::new(),
            cut_by: BTreeMap::new(),
            plan: String::new(),
            slow: BTreeMap::new(),
        }
    }

    /// One event.
    pub fn take(&mut self, now: Time, told: &Told) {
        let at = now.0;
        match told {
            Told::Sent { .. }
            | Told::Repeated { .. }
            | Told::Lost { .. }
            | Told::Held { .. }
            | Told::Stuck { .. }
            | Told::Delivered { .. } => self.message(at, told),
            Told::Written { .. } | Told::Synced { .. } | Told::SyncFailed { .. } => self.disk(at, told),
            Told::Begun { .. } | Told::Ended { .. } => self.operation(at, told),
            Told::Started { .. } | Told::Crashed { .. } | Told::Fenced { .. } | Told::Stopped { .. } => {
                self.life(at, told);
            }
            Told::Paused { end } => drop(self.paused.entry(self.lane(*end)).or_insert(at)),
            Told::Resumed { end } => self.resumed(at, self.lane(*end)),
            Told::Noted { node, note } => self.noted(at, *node, note),
            Told::ClientNoted { client, note } => {
                let lane = self.nodes + client;
                if let Some(moment) = of_client_note(note) {
                    self.mark(at, Some(lane), moment);
                }
            }
            _ => self.fault(at, told),
        }
    }

    /// The run is over.
    pub fn finish(mut self, scenario: &Scenario, outcome: &Outcome) -> Diagram {
        let end = outcome.violation.as_ref().map_or(outcome.ended, |violation| violation.time.max(outcome.ended)).0;
        for letter in std::mem::take(&mut self.letters).into_values() {
            let ends = &mut self.diagram.messages[letter.place].ends;
            let flying = End { at: end, how: How::Flying, held: letter.held.first().copied(), why: None };
            ends.resize(ends.len() + usize::from(letter.copies), flying);
        }
        for node in 0..self.nodes {
            self.end_states(end, NodeId(node));
            if let Some((from, text)) = self.members[usize::from(node)].down.take() {
                self.span(node, State::Down, (from, end), text, None);
            }
        }
        for lane in std::mem::take(&mut self.paused) {
            self.span(lane.0, State::Paused, (lane.1, end), "paused".to_string(), None);
        }
        for node in 0..self.nodes {
            for disk in [false, true] {
                self.no_longer_slow(end, NodeId(node), disk);
            }
        }
        self.close_cuts(end, |_| true);
        self.diagram.writes.iter_mut().filter(|write| write.how == Synced::Open).for_each(|write| write.to = end);
        self.diagram.operations.iter_mut().filter(|one| one.how == Answered::Open).for_each(|one| one.to = end);
        self.diagram.ended = end;
        self.diagram.shown = (0, end);
        self.diagram.verdict = verdict(scenario, outcome);
        self.name_views();
        self.diagram.spans.sort_by_key(|span| (span.from, span.lane, span.to));
        self.diagram
    }

    fn lane(&self, end: Who) -> u8 {
        match end {
            Who::Node(node) => node.0,
            Who::Client(client) => self.nodes + client,
        }
    }

    /// The number of a view, in the order in which views turn up; they are sorted at the end.
    fn view(&mut self, view: View) -> usize {
        if let Some(place) = self.views.iter().rposition(|known| *known == view) {
            return place;
        }
        self.views.push(view);
        self.views.len() - 1
    }

    fn name_views(&mut self) {
        let mut order: Vec<usize> = (0..self.views.len()).collect();
        order.sort_by_key(|place| self.views[*place]);
        let mut rank = vec![0; order.len()];
        order.iter().enumerate().for_each(|(new, old)| rank[*old] = new);
        self.diagram.views = order.iter().map(|place| self.views[*place].to_string()).collect();
        let messages = self.diagram.messages.iter_mut().map(|message| &mut message.view);
        let spans = self.diagram.spans.iter_mut().map(|span| &mut span.view);
        let marks = self.diagram.marks.iter_mut().map(|mark| &mut mark.view);
        messages.chain(spans).chain(marks).flatten().for_each(|view| *view = rank[*view]);
    }

    fn message(&mut self, at: u64, told: &Told) {
        match told {
            Told::Sent { letter, from, to, subject, text } => {
                let (place, kinds) = (self.diagram.messages.len(), &mut self.diagram.kinds);
                let kind = *self.kinds.entry(subject.kind).or_insert_with(|| {
                    kinds.push(Kind { name: subject.kind.to_string(), family: family(subject.kind) });
                    kinds.len() - 1
                });
                let message = Message {
                    from: self.lane(*from),
                    to: self.lane(*to),
                    kind,
                    view: subject.view.map(|view| self.view(view)),
                    index: subject.index.map(|index| index.0),
                    sent: at,
                    text: clipped(text),
                    ends: Vec::new(),
                };
                self.diagram.messages.push(message);
                self.letters.insert(*letter, Letter { place, copies: 1, held: Vec::new() });
            }
            Told::Repeated { letter, copies } => {
                if let Some(letter) = self.letters.get_mut(letter) {
                    letter.copies = *copies;
                }
            }
            Told::Held { letter } | Told::Stuck { letter } => {
                if let Some(letter) = self.letters.get_mut(letter) {
                    letter.held.push(at);
                }
            }
            Told::Delivered { letter } => self.letter_ends(*letter, at, How::Taken, None),
            Told::Lost { letter, why } => self.letter_ends(*letter, at, How::Lost, Some(why.to_string())),
            other => unreachable!("{other:?} is about no message"),
        }
    }

    /// One copy of a letter has come to its end.
    fn letter_ends(&mut self, name: LetterId, at: u64, how: How, why: Option<String>) {
        let Some(letter) = self.letters.get_mut(&name) else { return };
        let held = if letter.held.is_empty() { None } else { Some(letter.held.remove(0)) };
        self.diagram.messages[letter.place].ends.push(End { at, how, held, why });
        letter.copies -= 1;
        if letter.copies == 0 {
            self.letters.remove(&name);
        }
    }

    fn disk(&mut self, at: u64, told: &Told) {
        let (key, how) = match told {
            Told::Written { node, life, op, file, work, facts } => {
                let mut text = format!("{work} {file}");
                facts.iter().for_each(|fact| text.push_str(&format!("; {fact}")));
                let index = facts.iter().find_map(|fact| match fact {
                    Fact::Accepted { index, .. } | Fact::Committed { index, .. } => Some(index.0),
                    _ => None,
                });
                self.writes.insert((*node, *life, *op), self.diagram.writes.len());
                let (lane, text) = (node.0, clipped(&text));
                self.diagram.writes.push(Write { lane, from: at, to: at, how: Synced::Open, text, index });
                return;
            }
            Told::Synced { node, life, op } => ((*node, *life, *op), Synced::Durable),
            Told::SyncFailed { node, life, op, .. } => ((*node, *life, *op), Synced::Failed),
            other => unreachable!("{other:?} is about no disk"),
        };
        if let Some(place) = self.writes.remove(&key) {
            let write = &mut self.diagram.writes[place];
            (write.to, write.how) = (at, how);
        }
    }

    fn operation(&mut self, at: u64, told: &Told) {
        match told {
            Told::Begun { client, number, operation, .. } => {
                self.operations.insert((*client, *number), self.diagram.operations.len());
                self.diagram.operations.push(Operation {
                    lane: self.nodes + client,
                    number: *number,
                    from: at,
                    to: at,
                    asked: clipped(&operation.to_string()),
                    answer: "the run ended first".to_string(),
                    how: Answered::Open,
                });
            }
            Told::Ended { client, number, outcome, why } => {
                let Some(place) = self.operations.remove(&(*client, *number)) else { return };
                let operation = &mut self.diagram.operations[place];
                let reply = Reply(outcome).to_string();
                operation.to = at;
                operation.answer = clipped(&why.iter().fold(reply, |text, why| format!("{text}: {why}")));
                operation.how = match outcome {
                    Answer::Done { .. } => Answered::Done,
                    Answer::NotDone => Answered::Refused,
                    Answer::Unknown => Answered::Unknown,
                };
            }
            other => unreachable!("{other:?} is no operation"),
        }
    }

    fn life(&mut self, at: u64, told: &Told) {
        let (node, text) = match told {
            Told::Started { node, life } => {
                if let Some((from, text)) = self.members[usize::from(node.0)].down.take() {
                    self.span(node.0, State::Down, (from, at), text, None);
                }
                return self.plain(at, Some(node.0), "starts", 1, format!("life {life}"));
            }
            Told::Crashed { node, power: true } => (*node, "power lost".to_string()),
            Told::Crashed { node, power: false } => (*node, "process crashed".to_string()),
            Told::Fenced { node, fault } => (*node, format!("stopped itself: {fault}")),
            Told::Stopped { node } => (*node, "stopped in good order".to_string()),
            other => unreachable!("{other:?} begins and ends no life"),
        };
        self.end_states(at, node);
        self.resumed(at, node.0);
        for (key, place) in std::mem::take(&mut self.writes) {
            if key.0 == node {
                let write = &mut self.diagram.writes[place];
                (write.to, write.how) = (at, Synced::Doubt);
            } else {
                self.writes.insert(key, place);
            }
        }
        self.plain(at, Some(node.0), "down", 1, text.clone());
        self.members[usize::from(node.0)].down = Some((at, text));
    }

    fn end_states(&mut self, at: u64, node: NodeId) {
        let member = &mut self.members[usize::from(node.0)];
        let ended = [
            (State::Follows, member.follows.take(), "has promised"),
            (State::Stands, member.stands.take(), "candidate for"),
            (State::Leads, member.leads.take(), "leads"),
        ];
        for (state, span, text) in ended {
            if let Some((from, view)) = span {
                let number = self.view(view);
                self.span(node.0, state, (from, at), format!("{text} {view}"), Some(number));
            }
        }
    }

    fn resumed(&mut self, at: u64, lane: u8) {
        if let Some(from) = self.paused.remove(&lane) {
            self.span(lane, State::Paused, (from, at), "paused".to_string(), None);
        }
    }

    /// A note, and what it changes about the state of its member.
    fn noted(&mut self, at: u64, node: NodeId, note: &Note) {
        self.mark(at, Some(node.0), of_note(note));
        let member = &mut self.members[usize::from(node.0)];
        let follows = match note {
            Note::Opened { promised, .. } => Some(*promised),
            Note::Promised { view } | Note::Candidate { view } => Some(*view),
            _ => None,
        };
        let changes = follows.filter(|view| member.follows.is_none_or(|(_, before)| before != *view));
        if let Some(view) = changes {
            let before = member.follows.replace((at, view));
            let stood = member.stands.take_if(|(_, stood)| *stood != view);
            self.state_over(at, node, State::Follows, before, "has promised");
            self.state_over(at, node, State::Stands, stood, "candidate for");
        }
        let member = &mut self.members[usize::from(node.0)];
        match note {
            Note::Candidate { view } => member.stands = Some((at, *view)),
            Note::Leading { view, .. } => {
                let stood = member.stands.take();
                member.leads = Some((at, *view));
                self.state_over(at, node, State::Stands, stood, "candidate for");
            }
            Note::SteppedDown { view, .. } => {
                let led = member.leads.take_if(|(_, led)| led == view);
                let stood = member.stands.take_if(|(_, stood)| stood == view);
                self.state_over(at, node, State::Leads, led, "leads");
                self.state_over(at, node, State::Stands, stood, "candidate for");
            }
            _ => {}
        }
    }

    fn state_over(&mut self, at: u64, node: NodeId, state: State, span: Option<(u64, View)>, text: &str) {
        if let Some((from, view)) = span {
            let number = self.view(view);
            self.span(node.0, state, (from, at), format!("{text} {view}"), Some(number));
        }
    }

    fn fault(&mut self, at: u64, told: &Told) {
        match told {
            Told::Acted { action, it, .. } => {
                self.plan = clipped(&action.to_string());
                let lane = match action {
                    // A client's operation is drawn as one.
                    Action::Client { .. } => return,
                    action => target(action, *it).map(|node| node.0),
                };
                self.plain(at, lane, "plan", 1, self.plan.clone());
            }
            Told::InVain { .. } => self.plain(at, None, "in vain", 2, format!("{}: changes nothing", self.plan)),
            Told::CutOff { block, links } | Told::Clogged { block, links } => {
                let links = links.iter().map(|(from, to)| (self.lane(*from), self.lane(*to))).collect();
                // One that comes again is told with the line that it first came by.
                let text = self.cut_by.entry(*block).or_insert_with(|| self.plan.clone()).clone();
                let cut = OpenCut { block: *block, from: at, text, links };
                self.cuts.insert(self.cuts.last_key_value().map_or(0, |(last, _)| last + 1), cut);
            }
            Told::Joined { block: Some(block) } | Told::Flows { block } => {
                self.close_cuts(at, |cut| cut.block == *block)
            }
            Told::Joined { block: None } => self.close_cuts(at, |_| true),
            Told::Healed { nodes } => {
                let nodes = *nodes;
                let members = self.nodes;
                let works = |end: u8| end >= members || nodes.contains(NodeId(end));
                self.close_cuts(at, |cut| {
                    cut.links.iter().all(|(a, b)| *a >= members || *b >= members || works(*a) && works(*b))
                });
                for node in nodes.iter() {
                    self.no_longer_slow(at, node, false);
                    self.no_longer_slow(at, node, true);
                }
                self.plain(at, None, "healed", 1, told.to_string());
            }
            Told::Slowed { node, what, by } => {
                let disk = *what == Slow::Disk;
                self.no_longer_slow(at, *node, disk);
                if *by != Length::ZERO {
                    self.slow.insert((*node, disk), (at, *by));
                }
            }
            Told::Rotted { node, .. } => self.plain(at, Some(node.0), "rots", 1, told.to_string()),
            Told::Filled { node, full } => {
                let label = if *full { "disk full" } else { "disk has room" };
                self.plain(at, Some(node.0), label, 1, told.to_string());
            }
            Told::Wiped { node } => self.plain(at, Some(node.0), "disk gone", 1, told.to_string()),
            Told::Refused { node, .. } => self.plain(at, Some(node.0), "refuses to start", 1, told.to_string()),
            Told::Skewed { node, .. } | Told::Leapt { node, .. } => {
                self.plain(at, Some(node.0), "clock", 1, told.to_string())
            }
            Told::PowerLost { node, .. } => self.plain(at, Some(node.0), "unsynced", 2, told.to_string()),
            Told::Unperformed { node, .. } => self.plain(at, Some(node.0), "cut short", 2, told.to_string()),
            Told::Chosen { view, index, .. } => {
                let (text, index, view) = (format!("{index} is chosen in {view}"), Some(*index), Some(*view));
                self.mark(at, None, Moment { what: "chosen", rank: 2, text, index, view });
            }
            Told::ClientCrashed { client } => {
                self.resumed(at, self.nodes + client);
                self.plain(at, Some(self.nodes + client), "crashes", 1, told.to_string());
            }
            Told::Disconnected { client } => {
                self.plain(at, Some(self.nodes + client), "disconnected", 1, told.to_string());
            }
            Told::Connected { client, .. } | Told::Broken { client, .. } => {
                self.plain(at, Some(self.nodes + client), "link", 3, told.to_string());
            }
            Told::Link { node, .. } => self.plain(at, Some(node.0), "link", 3, told.to_string()),
            _ => {}
        }
    }

    fn no_longer_slow(&mut self, at: u64, node: NodeId, disk: bool) {
        if let Some((from, by)) = self.slow.remove(&(node, disk)) {
            let text = format!("{} slower by {by}", if disk { "disk" } else { "links" });
            self.span(node.0, State::Slow, (from, at), text, None);
        }
    }

    fn close_cuts(&mut self, to: u64, over: impl Fn(&OpenCut) -> bool) {
        for (key, cut) in std::mem::take(&mut self.cuts) {
            if over(&cut) {
                let OpenCut { from, text, links, .. } = cut;
                self.diagram.cuts.push(Cut { from, to, text, links });
            } else {
                self.cuts.insert(key, cut);
            }
        }
    }

    fn plain(&mut self, at: u64, lane: Option<u8>, what: &'static str, rank: u8, text: String) {
        self.mark(at, lane, Moment { what, rank, text, index: None, view: None });
    }

    fn mark(&mut self, at: u64, lane: Option<u8>, moment: Moment) {
        let Moment { what, rank, text, index, view } = moment;
        let view = view.map(|view| self.view(view));
        let (text, index) = (clipped(text.trim()), index.map(|index| index.0));
        self.diagram.marks.push(Mark { lane, at, what, rank, text, index, view });
    }

    fn span(&mut self, lane: u8, what: State, (from, to): (u64, u64), text: String, view: Option<usize>) {
        self.diagram.spans.push(Span { lane, what, from, to, text, view });
    }
}

/// The member that an action of the plan is about, if it is about one that can be named without asking the world. Who
/// is isolated is seen in the cut.
fn target(action: &Action, it: Option<NodeId>) -> Option<NodeId> {
    match action.target().filter(|_| !matches!(action, Action::Isolate { .. }))? {
        Target::Node(node) => Some(node),
        Target::It => it,
        Target::Leader => None,
    }
}

fn verdict(scenario: &Scenario, outcome: &Outcome) -> Verdict {
    let violation = outcome.violation.as_ref();
    Verdict {
        ok: violation.is_none(),
        text: violation.map_or("every property holds".to_string(), |violation| violation.text.clone()),
        oracle: violation.map(|violation| violation.oracle.name()),
        time: violation.map(|violation| violation.time.0),
        expected: report::against_expectation(scenario, outcome),
        digest: format!("{:016x}", outcome.digest),
        events: outcome.events,
    }
}

/// The comments of a scenario's file; an empty one ends a paragraph.
fn story(text: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for line in text.lines().filter_map(|line| line.strip_prefix('#')).map(str::trim) {
        match paragraphs.last_mut() {
            Some(last) if !line.is_empty() => {
                last.push_str(if last.is_empty() { "" } else { " " });
                last.push_str(line);
            }
            _ => paragraphs.push(String::new()),
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs
}

/// Texts of entries and snapshots can be as long as they like; a page cannot.
fn clipped(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{} … and {} characters more", &text[..end], text[end..].chars().count()),
        None => text.to_string(),
    }
}
