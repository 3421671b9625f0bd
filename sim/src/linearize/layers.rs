//! Every layer against the naive one, on small random histories of every model that tell no revisions: those of an
//! atomic object, and the same falsified. 20,000 of them, or as many as `IOS_HISTORIES` says.

use super::{
    blackbox::{self, Failure, Means},
    tests::{Draw, MUTATIONS, Sample, without_revisions},
    *,
};
use crate::history::Data;

/// Makes the request of a number.
type Ask = fn(&mut Draw, usize) -> Vec<Verb>;

/// What histories are about, by what is asked for.
const MODELS: [(&str, Ask); 6] = [
    ("register, few values", register),
    ("register, different values", different),
    ("kv", kv),
    ("kv with appends", appends),
    ("transactions", transaction),
    ("locks", lock),
];

fn key(draw: &mut Draw, keys: usize) -> Data {
    Data::from(["a", "b", "c"][draw.below(keys)])
}

fn small(draw: &mut Draw) -> Data {
    Data::from(["0", "1", "2"][draw.below(3)])
}

fn register(draw: &mut Draw, _: usize) -> Vec<Verb> {
    let key = Data::from("r");
    vec![match draw.below(3) {
        0 => Verb::Get { key },
        1 => Verb::Put { key, value: small(draw) },
        _ => Verb::Cas { key, expected: (!draw.percent(25)).then(|| small(draw)), value: small(draw) },
    }]
}

fn different(draw: &mut Draw, number: usize) -> Vec<Verb> {
    let key = key(draw, 2);
    vec![match draw.percent(50) {
        true => Verb::Get { key },
        false => Verb::Put { key, value: Data::from(&*format!("v{number}")) },
    }]
}

fn kv(draw: &mut Draw, number: usize) -> Vec<Verb> {
    let key = key(draw, 3);
    vec![match draw.below(10) {
        0..3 => {
            Verb::Put { key, value: if draw.percent(50) { small(draw) } else { Data::from(&*format!("{number}")) } }
        }
        3 => Verb::Delete { key },
        4 => Verb::Exists { key },
        5 if draw.percent(60) => Verb::Count,
        5 => Verb::List { prefix: if draw.percent(50) { key } else { "".into() }, limit: 1 + draw.below(3) as u32 },
        6 => Verb::Cas { key, expected: (!draw.percent(40)).then(|| small(draw)), value: small(draw) },
        _ => Verb::Get { key },
    }]
}

fn appends(draw: &mut Draw, number: usize) -> Vec<Verb> {
    let key = key(draw, 2);
    let value = if draw.percent(40) { small(draw) } else { Data::from(&*format!("{number}.")) };
    vec![match draw.below(8) {
        0..3 => Verb::Append { key, value },
        3 => Verb::Put { key, value },
        4 if draw.percent(50) => Verb::Delete { key },
        5 if draw.percent(30) => Verb::Count,
        _ => Verb::Get { key },
    }]
}

fn transaction(draw: &mut Draw, number: usize) -> Vec<Verb> {
    let of = if draw.percent(20) { appends } else { kv };
    (0..1 + draw.below(3)).flat_map(|place| of(draw, number * 4 + place)).collect()
}

fn lock(draw: &mut Draw, _: usize) -> Vec<Verb> {
    let key = key(draw, 2);
    vec![match draw.percent(50) {
        true => Verb::Cas { key, expected: None, value: "held".into() },
        false => Verb::Delete { key },
    }]
}

/// How histories of one model came out.
#[derive(Default)]
struct Tally {
    legal: u32,
    illegal: u32,
    undecided: u32,
    zones: u32,
}

#[test]
fn every_layer_agrees_with_the_naive_one() {
    #[expect(clippy::disallowed_methods, reason = "how many histories a test takes is no configuration of the store")]
    let count = std::env::var("IOS_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000);
    let mut tallies: [Tally; 6] = Default::default();
    for seed in 0..count {
        let model = seed as usize % MODELS.len();
        let mut sample = Sample::of(seed, 3 + (seed / 6) as usize % 9, MODELS[model].1);
        let mut draw = Draw::new(!seed);
        let falsified = draw.percent(60);
        if falsified {
            let mutation = MUTATIONS[draw.below(MUTATIONS.len())];
            let _ = mutation.apply(&mut sample, &mut draw);
        }
        let (history, executed) = without_revisions(&sample).history();
        compare(&history, &executed, falsified, &mut tallies[model]);
    }
    for ((name, _), Tally { legal, illegal, undecided, zones }) in MODELS.iter().zip(&tallies) {
        println!("{name}: {legal} legal, {illegal} illegal, {undecided} undecided, {zones} by zones");
        let all = legal + illegal;
        assert!(illegal * 20 > all && legal * 5 > all && *undecided == 0, "{name}: the test has lost its teeth");
    }
    assert!(tallies[1].zones > 0 && tallies[0].zones > 0);
}

fn compare(history: &History, executed: &[usize], falsified: bool, tally: &mut Tally) {
    let legal = match naive::order(history) {
        Ok(_) => true,
        Err(naive::Failure::Illegal(_)) => false,
        Err(naive::Failure::Undecided(_)) => {
            tally.undecided += 1;
            return;
        }
    };
    assert!(legal || falsified, "an atomic object did this\n{history}");
    let by_model = certify_by_model(history, executed).is_ok();
    assert!(by_model || !ledger::replays(history, executed), "the model would not replay {executed:?}\n{history}");
    for means in [Means::Search, Means::Zones, Means::Any] {
        match blackbox::order(history, means, u64::MAX) {
            Ok((order, _)) => {
                assert!(legal, "{means:?} gave {order:?}\n{history}");
                let replayed = certify(history, &order);
                assert_eq!(replayed, Ok(()), "{means:?} gave {order:?}\n{history}");
            }
            Err(Failure::Illegal(operations, _)) => assert!(!legal, "{means:?} blames {operations:?}\n{history}"),
            Err(Failure::Undecided(_)) if means == Means::Zones => continue,
            Err(Failure::Undecided(why)) => panic!("{means:?}: {why}\n{history}"),
        }
        tally.zones += u32::from(means == Means::Zones);
    }
    assert_eq!(judge(history).is_ok(), legal, "{history}");
    assert_eq!(judge_with_witness(history, executed).is_ok(), legal, "{history}");
    tally.legal += u32::from(legal);
    tally.illegal += u32::from(!legal);
}

/// What is left out of a contradiction would not have helped: a history some of whose outcomes are not told is as legal
/// without the writes that nobody can use.
#[test]
fn writes_that_nobody_can_use_make_no_difference() {
    use super::{contradiction::Use, unseen::leave_out_unseen};
    let (mut left_out, mut illegal) = (0, 0);
    for seed in 0..12_000 {
        let (_, ask) = MODELS[seed as usize % MODELS.len()];
        let mut sample = Sample::of(seed, 4 + (seed / 6) as usize % 8, ask);
        let mut draw = Draw::new(!seed);
        let _ = MUTATIONS[draw.below(MUTATIONS.len())].apply(&mut sample, &mut draw);
        let (history, _) = without_revisions(&sample).history();
        let share = draw.below(80);
        let state = |operation: &Operation| match &operation.outcome {
            Outcome::NotDone => Use::Out,
            Outcome::Done { .. } if !draw.percent(share) => Use::Whole,
            _ if operation.is_read() => Use::Out,
            _ => Use::Unknown,
        };
        let whole: Vec<Use> = history.operations().iter().map(state).collect();
        let mut less = whole.clone();
        leave_out_unseen(&history, &mut less);
        let is_legal = |state: &[Use]| {
            let kept: Vec<usize> = (0..state.len()).filter(|id| state[*id] != Use::Out).collect();
            let unknown: Vec<bool> = kept.iter().map(|id| state[*id] == Use::Unknown).collect();
            naive::order(&history.weakened(&kept, &unknown)).is_ok()
        };
        let legal = is_legal(&whole);
        assert_eq!(is_legal(&less), legal, "seed {seed}: {whole:?}, then {less:?}\n{history}");
        illegal += u32::from(!legal);
        left_out += u32::from(whole != less);
    }
    assert!(left_out > 1000 && illegal > 500, "{left_out} with something left out, {illegal} illegal");
}
