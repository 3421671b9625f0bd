//! The page of the prototype's faults: every row names tests that exist, and every test named after a fault is on it.

use crate::tree::Tree;

/// Where the faults are.
pub const PAGE: &str = "docs/prototype-faults.md";
/// How many there are. None is taken off the page: each may come back.
pub const FAULTS: usize = 23;

/// One line of the table: what kept the fault out, and how it was put back to see that it does.
struct Row<'a> {
    number: &'a str,
    tests: Vec<&'a str>,
    put_back: &'a str,
}

/// The page and the tree name the same tests.
pub fn prototype_faults(tree: &Tree) -> Vec<String> {
    let page = tree.files.get(PAGE).map_or("", String::as_str);
    let rows: Vec<Row> = page.lines().filter_map(row).collect();
    let mut problems = Vec::new();
    if rows.iter().map(|row| row.number.to_string()).ne((1..=FAULTS).map(|number| number.to_string())) {
        problems.push(format!("{PAGE}: has not one row for each of the {FAULTS} faults, in their order"));
    }
    for Row { number, tests, put_back } in &rows {
        if tests.is_empty() {
            problems.push(format!("{PAGE}: fault {number} is kept out by nothing"));
        }
        let missing = tests.iter().filter(|test| !exists(tree, test));
        problems.extend(missing.map(|test| format!("{PAGE}: fault {number} names {test}, which does not exist")));
        let edited = quoted(put_back).next().filter(|file| tree.files.contains_key(*file));
        if edited.is_none() {
            problems.push(format!("{PAGE}: fault {number} does not say in which file it was put back"));
        }
    }
    for (number, test) in named_after_faults(tree) {
        if !rows.iter().any(|row| row.number == number && row.tests.contains(&test.as_str())) {
            problems.push(format!("{PAGE}: {test} is named after fault {number}, whose row does not name it"));
        }
    }
    problems
}

/// `| number | fault | tests | how it was put back, and what failed |`
fn row(line: &str) -> Option<Row<'_>> {
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split(" | ").map(str::trim).collect();
    let [number, _, tests, put_back] = cells[..] else { return None };
    number.parse::<usize>().ok()?;
    Some(Row { number, tests: quoted(tests).collect(), put_back })
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether there is such a file, or in the file such a test.
fn exists(tree: &Tree, test: &str) -> bool {
    match test.split_once("::") {
        Some((path, name)) => tree.files.get(path).is_some_and(|text| text.contains(&format!("#[test]\nfn {name}()"))),
        None => tree.files.contains_key(test),
    }
}

/// Scripts, scenarios and tests whose names begin with the number of a fault.
fn named_after_faults(tree: &Tree) -> Vec<(String, String)> {
    let mut named = Vec::new();
    for (path, text) in &tree.files {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if matches!(folder, "scenarios" | "core/tests/golden") {
            named.extend(number_of(name).map(|number| (number, path.clone())));
        }
        for line in text.lines().filter(|_| path.ends_with(".rs")) {
            let name = line.strip_prefix("fn ").and_then(|rest| rest.split_once('(')).map(|(name, _)| name);
            named.extend(name.and_then(|name| Some((number_of(name)?, format!("{path}::{name}")))));
        }
    }
    named
}

/// Of `f07_...` or `f07-...`: 7.
fn number_of(name: &str) -> Option<String> {
    let (digits, rest) = name.strip_prefix('f')?.split_at_checked(2)?;
    rest.strip_prefix(['_', '-'])?;
    digits.parse::<usize>().ok().map(|number| number.to_string())
}
