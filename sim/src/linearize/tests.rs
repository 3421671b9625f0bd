//! The layers against each other, on thousands of small histories: right ones, made by an object that takes each
//! request at one moment, and the same ones falsified.

use super::*;
use crate::history::{Data, Marks};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// Draws for one history.
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.0.next_u64() % limit as u64) as usize
    }

    pub(super) fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }
}

/// One operation before it is part of a history.
#[derive(Clone, Debug)]
struct Planned {
    process: u64,
    request: Vec<Verb>,
    outcome: Outcome,
    began: u64,
    ended: Option<u64>,
}

/// A history, and the order in which the object took requests.
pub(super) struct Sample {
    planned: Vec<Planned>,
    taken: Vec<usize>,
}

impl Sample {
    /// `count` operations on one store. Each begins, is taken at a later moment and ends at a still later one; some
    /// are never taken, some never heard of again.
    fn draw(seed: u64, count: usize) -> Sample {
        Sample::of(seed, count, request)
    }

    /// The same with other requests, each made for its number.
    pub(super) fn of(seed: u64, count: usize, request: fn(&mut Draw, usize) -> Vec<Verb>) -> Sample {
        let mut draw = Draw::new(seed);
        let (spread, unknown, not_done) = (1 + draw.below(40), draw.below(30), draw.below(15));
        let mut planned: Vec<Planned> = Vec::new();
        let mut moments = Vec::new();
        for id in 0..count {
            let began = 10 * (draw.below(count * 10) as u64);
            let moment = began + 1 + draw.below(spread * 10) as u64;
            let ended = moment + 1 + draw.below(spread * 10) as u64;
            let request = request(&mut draw, id);
            let outcome = Outcome::Unknown;
            planned.push(Planned { process: id as u64 % 5, request, outcome, began, ended: Some(ended) });
            if draw.percent(not_done) {
                planned[id].outcome = Outcome::NotDone;
            } else if draw.percent(unknown) {
                planned[id].ended = None;
                if draw.percent(60) {
                    moments.push((moment + draw.below(200) as u64, id));
                }
            } else {
                planned[id].outcome = Outcome::Done { revision: None, answers: Vec::new() };
                moments.push((moment, id));
            }
        }
        moments.sort_unstable();
        let mut store = Store::default();
        for &(_, id) in &moments {
            let mut answers = Vec::new();
            store.perform(&planned[id].request, &mut answers, &mut Vec::new());
            if planned[id].ended.is_some() {
                planned[id].outcome = Outcome::Done { revision: Some(store.revision()), answers };
            }
        }
        Sample { planned, taken: moments.into_iter().map(|(_, id)| id).collect() }
    }

    /// The history, and the taken order in its numbers (reads left out, as a cluster's log leaves them out).
    pub(super) fn history(&self) -> (History, Vec<usize>) {
        let mut events: Vec<(u64, bool, usize)> = Vec::new();
        for (id, planned) in self.planned.iter().enumerate() {
            events.push((planned.began, false, id));
            events.extend(planned.ended.map(|ended| (ended, true, id)));
        }
        events.sort_unstable();
        let mut history = History::new();
        let mut numbers = vec![0; self.planned.len()];
        for (time, ends, id) in events {
            let planned = &self.planned[id];
            if ends {
                history.end(time, numbers[id], planned.outcome.clone());
            } else {
                numbers[id] = history.invoke(time, planned.process, planned.request.clone());
            }
        }
        let logged = self.taken.iter().filter(|id| self.planned[**id].request.iter().any(Verb::writes));
        (history, logged.map(|id| numbers[*id]).collect())
    }

    fn done(&self) -> Vec<usize> {
        let done = |id: &usize| matches!(self.planned[*id].outcome, Outcome::Done { .. });
        (0..self.planned.len()).filter(done).collect()
    }
}

fn request(draw: &mut Draw, id: usize) -> Vec<Verb> {
    let verbs = if draw.percent(15) { 2 + draw.below(2) } else { 1 };
    (0..verbs).map(|place| verb(draw, id * 4 + place)).collect()
}

fn verb(draw: &mut Draw, number: usize) -> Verb {
    let key = Data::from(["a", "b", "c"][draw.below(3)]);
    // Mostly unique values; some that several writes share, which tell less.
    let value =
        |draw: &mut Draw| if draw.percent(80) { Data::from(&*format!("v{number}")) } else { Data::from("same") };
    match draw.below(10) {
        0..4 => Verb::Put { value: value(draw), key },
        4 => Verb::Delete { key },
        5 => {
            let expected = (!draw.percent(40)).then(|| Data::from("same"));
            Verb::Cas { value: value(draw), key, expected }
        }
        6 => Verb::Exists { key },
        7 if draw.percent(50) => Verb::Count,
        7 => Verb::List { prefix: if draw.percent(50) { key } else { "".into() }, limit: 1 + draw.below(3) as u32 },
        _ => Verb::Get { key },
    }
}

/// How a history is falsified. Each family names a bug that some cluster could have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mutation {
    /// A read answers with what it would have seen earlier: a stale read.
    OlderValue,
    /// Two operations get each other's answers.
    SwappedOutputs,
    /// A request takes effect a second time, seen by whoever comes later.
    DoubledEffect,
    /// "Not done" is told of something that was done.
    FalseNotDone,
    /// An operation ends before what it answers had happened.
    TooEarly,
    /// A write is answered, and lost.
    LostWrite,
}

pub(super) const MUTATIONS: [Mutation; 6] = [
    Mutation::OlderValue,
    Mutation::SwappedOutputs,
    Mutation::DoubledEffect,
    Mutation::FalseNotDone,
    Mutation::TooEarly,
    Mutation::LostWrite,
];

impl Mutation {
    /// Falsifies a sample, if it has something to falsify.
    pub(super) fn apply(self, sample: &mut Sample, draw: &mut Draw) -> Option<()> {
        let done = sample.done();
        let pick = |draw: &mut Draw, among: &[usize]| (!among.is_empty()).then(|| among[draw.below(among.len())]);
        match self {
            Mutation::OlderValue => {
                let reads: Vec<usize> =
                    done.into_iter().filter(|id| !sample.planned[*id].request.iter().any(Verb::writes)).collect();
                let id = pick(draw, &reads)?;
                let place = sample.taken.iter().position(|taken| *taken == id)?;
                let earlier = draw.below(place + 1);
                let prefix = sample.taken[..earlier].to_vec();
                let mut store = Store::default();
                for other in prefix {
                    store.perform(&sample.planned[other].request, &mut Vec::new(), &mut Vec::new());
                }
                let mut answers = Vec::new();
                store.perform(&sample.planned[id].request, &mut answers, &mut Vec::new());
                sample.planned[id].outcome = Outcome::Done { revision: Some(store.revision()), answers };
            }
            Mutation::SwappedOutputs => {
                let one = pick(draw, &done)?;
                let like: Vec<usize> = done
                    .iter()
                    .copied()
                    .filter(|id| *id != one && sample.planned[*id].request.len() == sample.planned[one].request.len())
                    .collect();
                let two = pick(draw, &like)?;
                let outcome = sample.planned[one].outcome.clone();
                sample.planned[one].outcome = std::mem::replace(&mut sample.planned[two].outcome, outcome);
            }
            Mutation::DoubledEffect => {
                let writes: Vec<usize> =
                    done.into_iter().filter(|id| sample.planned[*id].request.iter().any(Verb::writes)).collect();
                let id = pick(draw, &writes)?;
                let place = sample.taken.iter().position(|taken| *taken == id)?;
                let again = place + 1 + draw.below(sample.taken.len() - place);
                sample.taken.insert(again, id);
                replay(sample, None);
                sample.taken.remove(again);
            }
            Mutation::FalseNotDone => {
                let id = pick(draw, &done)?;
                sample.planned[id].outcome = Outcome::NotDone;
                sample.taken.retain(|taken| *taken != id);
            }
            Mutation::TooEarly => {
                let id = pick(draw, &done)?;
                let planned = &mut sample.planned[id];
                let span = planned.ended.expect("it is done") - planned.began;
                let shift = 200 + draw.below(1000) as u64;
                planned.began = planned.began.saturating_sub(shift);
                planned.ended = Some(planned.began + 1 + draw.below(span as usize) as u64);
            }
            Mutation::LostWrite => {
                let id = pick(draw, &done)?;
                replay(sample, Some(id));
            }
        }
        Some(())
    }
}

/// Answers everybody anew, as the taken order says; what is taken a second time keeps its first answers. What `lost`
/// did is not seen by others.
fn replay(sample: &mut Sample, lost: Option<usize>) {
    let mut store = Store::default();
    let mut answered = vec![false; sample.planned.len()];
    for id in sample.taken.clone() {
        let mut answers = Vec::new();
        let before = store.clone();
        store.perform(&sample.planned[id].request, &mut answers, &mut Vec::new());
        let fresh = !std::mem::replace(&mut answered[id], true);
        if fresh && matches!(sample.planned[id].outcome, Outcome::Done { .. }) {
            sample.planned[id].outcome = Outcome::Done { revision: Some(store.revision()), answers };
        }
        if lost == Some(id) {
            store = before;
        }
    }
}

/// Takes all revisions out, as in a foreign history.
pub(super) fn without_revisions(sample: &Sample) -> Sample {
    let mut planned = sample.planned.clone();
    for planned in &mut planned {
        if let Outcome::Done { revision, .. } = &mut planned.outcome {
            *revision = None;
        }
    }
    Sample { planned, taken: sample.taken.clone() }
}

fn naive_says(history: &History) -> bool {
    match naive::order(history) {
        Ok(order) => {
            assert_eq!(certify(history, &order), Ok(()), "{history}");
            true
        }
        Err(naive::Failure::Illegal(_)) => false,
        Err(naive::Failure::Undecided(why)) => panic!("small histories are decided: {why}\n{history}"),
    }
}

fn revision_says(history: &History) -> bool {
    match revision::order(history) {
        Ok(order) => {
            assert_eq!(certify(history, &order), Ok(()), "{history}");
            true
        }
        Err(revision::Failure::Illegal(illegal)) => {
            assert!(!illegal.operations.is_empty(), "{illegal:?}\n{history}");
            false
        }
        Err(revision::Failure::Undecided(why)) => panic!("small histories are decided: {why}\n{history}"),
    }
}

#[test]
fn every_layer_passes_what_an_atomic_object_did() {
    for seed in 0..1500 {
        let sample = Sample::draw(seed, 4 + seed as usize % 13);
        let (history, executed) = sample.history();
        assert!(naive_says(&history), "seed {seed}\n{history}");
        assert!(revision_says(&history), "seed {seed}\n{history}");
        let verdict = judge_with_witness(&history, &executed);
        assert!(matches!(verdict, Verdict::Ok { layer: Layer::Witness, .. }), "seed {seed}: {verdict:?}\n{history}");
        let lists = |operation: &Operation| operation.request.iter().any(|verb| matches!(verb, Verb::List { .. }));
        let order = witness::order(&history, &executed);
        let replays = history.operations().iter().any(lists) || ledger::replays(&history, &order);
        assert!(replays, "seed {seed}: {order:?}\n{history}");
        assert!(naive_says(&without_revisions(&sample).history().0), "seed {seed}\n{history}");
    }
}

#[test]
fn all_layers_agree_on_falsified_histories_and_each_falsification_is_caught() {
    for mutation in MUTATIONS {
        let (mut caught, mut tried, mut blind) = (0, 0, 0);
        for seed in 0..1500 {
            let mut sample = Sample::draw(seed, 4 + seed as usize % 11);
            if mutation.apply(&mut sample, &mut Draw::new(seed + 1_000_000)).is_none() {
                continue;
            }
            let (history, executed) = sample.history();
            let legal = naive_says(&history);
            assert_eq!(revision_says(&history), legal, "{mutation:?}, seed {seed}\n{history}");
            let order = witness::order(&history, &executed);
            let replays = ledger::replays(&history, &order);
            assert!(
                !replays || certify_by_model(&history, &order).is_ok(),
                "{mutation:?}, seed {seed}, {order:?}\n{history}"
            );
            assert_eq!(judge_with_witness(&history, &executed).is_ok(), legal, "{mutation:?}, seed {seed}\n{history}");
            tried += 1;
            caught += u32::from(!legal);
            blind += u32::from(!naive_says(&without_revisions(&sample).history().0));
        }
        assert!(tried > 800 && caught > 200, "{mutation:?}: {caught} of {tried} caught");
        assert!(blind > 15 && blind <= caught, "{mutation:?}: {blind} of {tried} caught without revisions");
    }
}

/// A history written down: each operation with the moments of its begin and end.
fn history(operations: Vec<(u64, Option<u64>, Verb, Outcome)>) -> History {
    let planned = operations.into_iter().enumerate().map(|(id, (began, ended, verb, outcome))| Planned {
        process: id as u64,
        request: vec![verb],
        outcome,
        began,
        ended,
    });
    Sample { planned: planned.collect(), taken: Vec::new() }.history().0
}

fn put(value: &str) -> Verb {
    Verb::Put { key: "k".into(), value: value.into() }
}

fn get() -> Verb {
    Verb::Get { key: "k".into() }
}

fn written(revision: u64) -> Outcome {
    Outcome::Done { revision: Some(revision), answers: vec![Answer::Written { modified: Some(revision) }] }
}

fn value(text: &str, revision: u64, (created, modified, version): (u64, u64, u64)) -> Outcome {
    let marks = Some(Marks { created, modified, version });
    Outcome::Done { revision: Some(revision), answers: vec![Answer::Value { value: text.into(), marks }] }
}

fn illegal(history: &History) -> Illegal {
    let Verdict::Illegal(illegal) = judge(history) else { panic!("must not be linearizable:\n{history}") };
    illegal
}

#[test]
fn a_stale_read_is_named_with_the_write_it_misses() {
    let illegal = illegal(&history(vec![
        (0, Some(1), put("a"), written(1)),
        (2, Some(3), put("b"), written(2)),
        (4, Some(5), get(), value("a", 1, (1, 1, 1))),
    ]));
    assert_eq!(illegal.operations, [2, 1]);
    assert!(illegal.why.contains("ended before"), "{}", illegal.why);
}

#[test]
fn a_wrong_value_is_named_with_the_last_write_of_its_key() {
    let illegal = illegal(&history(vec![
        (0, Some(1), put("a"), written(1)),
        (2, Some(3), put("b"), written(2)),
        (4, Some(5), get(), value("a", 2, (1, 1, 1))),
    ]));
    assert_eq!(illegal.operations, [1, 2]);
}

#[test]
fn two_makers_of_one_revision_contradict_each_other() {
    let illegal = illegal(&history(vec![(0, Some(9), put("a"), written(1)), (0, Some(9), put("b"), written(1))]));
    assert_eq!(illegal.operations, [0, 1]);
}

#[test]
fn what_is_not_done_is_never_seen_and_what_is_unknown_may_be() {
    for (outcome, fine) in [(Outcome::NotDone, false), (Outcome::Unknown, true)] {
        let history = history(vec![(0, Some(1), put("a"), outcome), (2, Some(3), get(), value("a", 1, (1, 1, 1)))]);
        assert_eq!(judge(&history).is_ok(), fine);
    }
}

#[test]
fn an_unknown_write_may_come_late_but_not_before_its_begin() {
    for (began, fine) in [(0, true), (5, true), (20, false)] {
        let history = history(vec![
            (1, Some(2), put("a"), written(1)),
            (began, None, put("late"), Outcome::Unknown),
            (10, Some(11), get(), value("late", 2, (1, 2, 2))),
        ]);
        assert_eq!(judge(&history).is_ok(), fine, "{began}");
    }
}

#[test]
fn a_revision_nobody_can_have_made_is_illegal() {
    let illegal = illegal(&history(vec![(0, Some(1), put("a"), written(2))]));
    assert!(illegal.why.contains("revision 2"), "{}", illegal.why);
}

#[test]
fn a_search_that_runs_out_of_its_budget_is_said_to_be_undecided() {
    let done = |answer| Outcome::Done { revision: None, answers: vec![answer] };
    let written = || done(Answer::Written { modified: None });
    let history = history((0..30).map(|at| (at, Some(40 + at), put(["a", "b"][at as usize % 2]), written())).collect());
    assert!(judge(&history).is_ok());
    let cut_short = blackbox::order(&history, blackbox::Means::Search, 3);
    assert!(matches!(cut_short, Err(blackbox::Failure::Undecided(why)) if why.contains("30 operations")));
}

/// Ten thousand operations in one walk. The bound is on work, not on time: a clock would make the test flaky.
#[test]
fn large_histories_take_one_walk() {
    let sample = Sample::draw(7, 10_000);
    let (history, executed) = sample.history();
    let verdict = judge_with_witness(&history, &executed);
    assert!(matches!(verdict, Verdict::Ok { layer: Layer::Witness, .. }));
    let done = sample.done();
    let known = Sample {
        planned: done.iter().map(|id| sample.planned[*id].clone()).collect(),
        taken: (sample.taken.iter()).filter_map(|id| done.binary_search(id).ok()).collect(),
    };
    let mut known = known;
    replay(&mut known, None);
    assert!(matches!(judge(&known.history().0), Verdict::Ok { layer: Layer::Revision, .. }));
}

/// The model was written from the store's description; here the two must not be told apart.
#[test]
fn the_model_and_the_real_store_answer_alike() {
    use crate::history::store::{decode_reply, encode_request};
    use ios_core::{
        ids::{Index, Revision},
        service::{Applied, Service, kv},
        time::Time,
    };
    let mut draw = Draw::new(5);
    let mut real = kv::Kv::new(kv::Limits::default());
    let (mut model, mut answers, mut undo) = (Store::default(), Vec::new(), Vec::new());
    let large = |text: &str| Data::from(&*text.repeat(700 << 10));
    for at in 0..3000 {
        let request = match at {
            2000..2004 => vec![Verb::Put { key: Data::from(["w", "x", "y", "z"][at - 2000]), value: large("l") }],
            2004 => ["w", "x", "y", "a", "z"].map(|key| Verb::Get { key: key.into() }).to_vec(),
            2005 => vec![Verb::List { prefix: "".into(), limit: 100 }, Verb::Get { key: "a".into() }],
            _ => request(&mut draw, at),
        };
        let revision = model.revision();
        let place = Applied {
            index: Index(at as u64 + 1),
            position: 0,
            revision: Revision(revision + 1),
            log_time: Time::ZERO,
        };
        let mut reply = Vec::new();
        let changed = real.apply(&place, &encode_request(&request).unwrap(), &mut reply);
        model.perform(&request, &mut answers, &mut undo);
        assert_eq!(decode_reply(&reply).unwrap(), answers, "{request:?}");
        assert_eq!(model.revision() > revision, changed, "{request:?}");
    }
    assert!(answers.len() < 5 && model.revision() > 1000, "most requests write");
    model.revert(&mut undo, 0, 0);
    assert_eq!(model, Store::default(), "all changes can be taken back");
}

/// A stale read may see any state that was, none that never was and none that is yet to come; every layer says so.
#[test]
fn a_stale_read_sees_what_was_true_once_and_nothing_else() {
    let put = |value: &str| vec![Verb::Put { key: "k".into(), value: value.into() }];
    let written = |revision| Outcome::Done {
        revision: Some(revision),
        answers: vec![Answer::Written { modified: Some(revision) }],
    };
    let saw = |revision, value: &str| {
        let marks = Some(Marks { created: 1, modified: revision, version: revision });
        Outcome::Done { revision: Some(revision), answers: vec![Answer::Value { value: value.into(), marks }] }
    };
    for (stale, early, outcome, good) in [
        (true, false, saw(1, "a"), true),
        (true, false, saw(2, "b"), true),
        (false, false, saw(2, "b"), true),
        (false, false, saw(1, "a"), false),
        (true, false, saw(1, "b"), false),
        (true, true, saw(1, "a"), true),
        (true, true, saw(2, "b"), false),
    ] {
        let mut history = History::new();
        let first = history.invoke(0, 0, put("a"));
        history.end(1, first, written(1));
        let get = vec![Verb::Get { key: "k".into() }];
        let read = |history: &mut History| {
            let id = match stale {
                true => history.invoke_stale(2, 1, get.clone()),
                false => history.invoke(2, 1, get.clone()),
            };
            history.end(3, id, outcome.clone());
        };
        if early {
            read(&mut history);
        }
        let second = history.invoke(4, 0, put("b"));
        history.end(5, second, written(2));
        if !early {
            read(&mut history);
        }
        assert_eq!(judge_with_witness(&history, &[first, second]).is_ok(), good, "{history}");
        assert_eq!(judge(&history).is_ok(), good, "{history}");
        assert_eq!(naive::order(&history).is_ok(), good, "{history}");
    }
}
