//! A few operations as lines of text, one for each process: who overlapped with whom.
//!
//! ```text
//! process 0  |--put k=1--|
//! process 1                |--get k: 2--|
//! process 2      |--put k=2-------- ?
//! ```

use crate::history::{Answer, Data, History, Operation, Outcome, Verb};
use std::collections::BTreeMap;

/// Where a label is cut off.
const LABEL_MAX: usize = 36;

/// Draws operations, by their numbers.
pub fn draw(history: &History, operations: &[usize]) -> String {
    let of = |id: &usize| &history.operations()[*id];
    let mut moments: Vec<u64> = operations.iter().flat_map(|id| [of(id).earliest(), of(id).deadline()]).collect();
    moments.sort_unstable();
    moments.dedup();
    // Each end is far enough behind its begin for what is written between.
    let mut columns: BTreeMap<u64, usize> = BTreeMap::new();
    let mut last = 0;
    for moment in moments {
        let mut column = last + 2;
        for operation in operations.iter().map(of).filter(|operation| operation.deadline() == moment) {
            column =
                column.max(columns.get(&operation.earliest()).unwrap_or(&0) + label(operation).chars().count() + 5);
        }
        columns.insert(moment, column);
        last = column;
    }
    let mut lines: BTreeMap<(u64, usize), Vec<char>> = BTreeMap::new();
    for operation in operations.iter().map(of) {
        let (from, to) = (columns[&operation.earliest()], columns[&operation.deadline()]);
        // A process with several operations under way takes several lines.
        let is_free = |row: &usize| lines.get(&(operation.process, *row)).is_none_or(|line| line.len() < from);
        let row = (0..).find(is_free).unwrap_or(0);
        let line = lines.entry((operation.process, row)).or_default();
        line.resize(from, ' ');
        let ends = if operation.deadline() == u64::MAX { '?' } else { '|' };
        let text: Vec<char> = format!("|--{}", label(operation)).chars().collect();
        let width = to - from;
        line.extend((0..width).map(|at| text.get(at).copied().unwrap_or('-')));
        line.push(ends);
    }
    let width = lines.keys().map(|(process, _)| process.to_string().len()).max().unwrap_or(0);
    let line = |((process, _), line): (&(u64, usize), &Vec<char>)| {
        format!("process {process:<width$}{}\n", line.iter().collect::<String>())
    };
    lines.iter().map(line).collect()
}

/// What was asked and answered, in a few words.
fn label(operation: &Operation) -> String {
    let answers = match &operation.outcome {
        Outcome::Done { answers, .. } => &answers[..],
        _ => &[],
    };
    let verb = |(at, verb): (usize, &Verb)| verb_label(verb, answers.get(at));
    let text = operation.request.iter().enumerate().map(verb).collect::<Vec<_>>().join("; ");
    match text.char_indices().nth(LABEL_MAX) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}

fn verb_label(verb: &Verb, answer: Option<&Answer>) -> String {
    let told = match answer {
        None | Some(Answer::Untold | Answer::Written { .. } | Answer::Swapped { .. }) => String::new(),
        Some(Answer::Value { value, .. }) => format!(": {value:?}"),
        Some(Answer::Missing) => ": none".into(),
        Some(Answer::Omitted { size }) => format!(": {size} bytes"),
        Some(Answer::Exists { there, .. }) => format!(": {there}"),
        Some(Answer::Count(count)) => format!(": {count}"),
        Some(Answer::List { pairs, .. }) => format!(": {} keys", pairs.len()),
        Some(Answer::Deleted { found }) => format!(": {found}"),
        Some(Answer::NotSwapped { .. }) => ": no".into(),
        Some(Answer::Error(why)) => format!(": {why}"),
    };
    let named = |key: &Data| if key.0.is_empty() { String::new() } else { format!(" {key}") };
    let asked = match verb {
        Verb::Get { key } => format!("get{}", named(key)),
        Verb::Exists { key } => format!("exists{}", named(key)),
        Verb::Count => "count".into(),
        Verb::List { prefix, .. } => format!("list{}", named(prefix)),
        Verb::Put { key, value } => format!("put{} {value:?}", named(key)),
        Verb::Append { key, value } => format!("append{} {value:?}", named(key)),
        Verb::Delete { key } => format!("delete{}", named(key)),
        Verb::Cas { key, expected: Some(expected), value } => format!("cas{} {expected:?} {value:?}", named(key)),
        Verb::Cas { key, expected: None, value } => format!("cas{} none {value:?}", named(key)),
    };
    asked + &told
}
