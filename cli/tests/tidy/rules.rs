//! The rules. Each returns a sentence for whatever breaks it.

use crate::{faults::prototype_faults, tree::Tree};
use std::collections::BTreeSet;

/// One rule.
pub type Rule = fn(&Tree) -> Vec<String>;

/// All of them.
pub const ALL: [Rule; 13] = [
    headers,
    leftovers,
    long_lines,
    vague_names,
    std_in_core,
    service_in_the_protocol,
    linter_files,
    manifests,
    arrows,
    mentioned_files,
    scenarios,
    prototype_faults,
    gate,
];

/// A file opens with what it is for.
pub fn headers(tree: &Tree) -> Vec<String> {
    let bare = tree.ending(".rs").filter(|(_, text)| !text.starts_with("//! "));
    bare.map(|(path, _)| format!("{path}: opens without a `//!` header that says what it is for")).collect()
}

/// Nothing is left half done, skipped, or tied to one machine. (Spelled in halves, or this file would be found.)
pub fn leftovers(tree: &Tree) -> Vec<String> {
    const LEFT: [&str; 9] = [
        concat!("to", "do!"),
        concat!("unimpl", "emented!"),
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("XX", "X"),
        concat!("db", "g!("),
        concat!("#[ign", "ore"),
        concat!("/wo", "rk/"),
        concat!("/ho", "me/"),
    ];
    let mut problems = Vec::new();
    for (path, text) in &tree.files {
        for (line, number) in text.lines().zip(1..) {
            let found = LEFT.iter().filter(|left| line.contains(**left));
            problems.extend(found.map(|left| format!("{path}:{number}: `{left}` is a leftover")));
        }
    }
    problems
}

/// Code is read in windows side by side. The row of a table and what a raw string quotes cannot be broken.
pub fn long_lines(tree: &Tree) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in tree.ending(".rs") {
        let mut quoting = false;
        for (line, number) in text.lines().zip(1..) {
            let is_row = line.starts_with("//! |") || line.trim_start().starts_with("/// |");
            let begins = line.contains("r#\"");
            if line.chars().count() > 120 && !is_row && !quoting && !begins {
                problems.push(format!("{path}:{number}: longer than 120 characters"));
            }
            quoting = (quoting || begins) && !line.trim_end_matches([',', ')', ']', ';']).ends_with("\"#");
        }
    }
    problems
}

/// A name says what is in a file, and these say nothing.
pub fn vague_names(tree: &Tree) -> Vec<String> {
    const VAGUE: [&str; 8] = ["utils", "util", "common", "helpers", "helper", "types", "misc", "shared"];
    let parts = |path: &str| path.split(['/', '.']).any(|part| VAGUE.contains(&part));
    let vague = tree.ending(".rs").filter(|(path, _)| parts(path));
    vague.map(|(path, _)| format!("{path}: the name does not say what is in it")).collect()
}

/// The compiler keeps clocks, threads and files out of the core, as long as nobody lets them in.
pub fn std_in_core(tree: &Tree) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in tree.ending(".rs").filter(|(path, _)| path.starts_with("core/src/")) {
        let mut before = "";
        for (line, number) in text.lines().zip(1..) {
            if line.contains("extern crate std") && before.trim() != "#[cfg(test)]" {
                problems.push(format!("{path}:{number}: std belongs to the core only under cfg(test)"));
            }
            before = line;
        }
        if path == "core/src/lib.rs" {
            let kept = ["#![no_std]", "#![forbid(unsafe_code)]"].into_iter().filter(|kept| !text.contains(kept));
            problems.extend(kept.map(|kept| format!("{path}: `{kept}` is gone")));
        }
    }
    problems
}

/// The protocol moves batches of bytes and must not know what they mean: `Node` alone is generic over a service.
pub fn service_in_the_protocol(tree: &Tree) -> Vec<String> {
    const KEPT_OUT: [&str; 4] = ["core/src/replica/", "core/src/journal/", "core/src/wire/", "core/src/client/"];
    const TRACES: [&str; 5] = [": Service", "+ Service", "<S>", "<S:", "dyn Service"];
    let mut problems = Vec::new();
    for (path, text) in tree.ending(".rs").filter(|(path, _)| KEPT_OUT.iter().any(|kept| path.starts_with(kept))) {
        let code = text.lines().zip(1..).filter(|(line, _)| !line.trim_start().starts_with("//"));
        let traces = code.filter(|(line, _)| TRACES.iter().any(|trace| line.contains(trace)));
        problems.extend(traces.map(|(_, number)| format!("{path}:{number}: the protocol must not know the service")));
    }
    problems
}

/// A crate's own linter file would replace the root's, bans and all.
pub fn linter_files(tree: &Tree) -> Vec<String> {
    let names = ["clippy.toml", ".clippy.toml", "rustfmt.toml", ".rustfmt.toml"];
    let own = tree.files.keys().filter(|path| names.iter().any(|name| path.ends_with(&format!("/{name}"))));
    own.map(|path| format!("{path}: one linter file for the workspace, at its root")).collect()
}

/// Every member takes lints and dependencies from the workspace, and only the core may be published.
pub fn manifests(tree: &Tree) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, manifest) in members(tree) {
        if manifest.get("lints").and_then(|lints| lints.get("workspace")) != Some(&toml::Value::Boolean(true)) {
            problems.push(format!("{name}: does not inherit the workspace's lints"));
        }
        let publish = manifest["package"].get("publish").and_then(toml::Value::as_bool);
        if name != "ios-core" && publish != Some(false) {
            problems.push(format!("{name}: is not `publish = false`"));
        }
        for (dependency, _) in dependencies(&manifest).filter(|(_, spec)| spec.get("workspace").is_none()) {
            problems.push(format!("{name}: {dependency} is not taken from the workspace, where its reason is"));
        }
    }
    problems
}

/// The arrows on the architecture page are those of the manifests, and none points the wrong way.
pub fn arrows(tree: &Tree) -> Vec<String> {
    let members = members(tree);
    let names: BTreeSet<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    let mut problems = Vec::new();
    let mut expected = Vec::new();
    for (name, manifest) in &members {
        let used: BTreeSet<String> =
            dependencies(manifest).map(|(used, _)| used).filter(|used| names.contains(used.as_str())).collect();
        for used in &used {
            let (from, to) = (name.as_str(), used.as_str());
            let wrong = from == "ios-core" || matches!((from, to), ("sim" | "runtime", to) if to != "ios-core");
            if wrong || to == "cli" || to == "fuzz" {
                problems.push(format!("{from} must not depend on {to}: arrows point toward the core"));
            }
        }
        let used: Vec<String> = used.into_iter().collect();
        expected.push(format!("{name} -> {}", used.join(" ")).trim_end().to_string());
    }
    let page = tree.files.get("ARCHITECTURE.md").map_or("", String::as_str);
    let drawn: BTreeSet<String> = page
        .lines()
        .filter(|line| line.split_once(" ->").is_some_and(|(from, _)| names.contains(from.trim())))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let expected: BTreeSet<String> = expected.into_iter().collect();
    problems.extend(expected.difference(&drawn).map(|arrow| format!("ARCHITECTURE.md lacks the arrow `{arrow}`")));
    problems
        .extend(drawn.difference(&expected).map(|arrow| format!("ARCHITECTURE.md draws `{arrow}`, which is not so")));
    problems
}

/// A page that names a file names one that exists.
pub fn mentioned_files(tree: &Tree) -> Vec<String> {
    let mut problems = Vec::new();
    for (page, text) in tree.ending(".md") {
        let folder = page.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        for quoted in text.split('`').skip(1).step_by(2) {
            let is_path = quoted.contains('/') && !quoted.contains(|c: char| "*<>{} \n".contains(c));
            let is_source = [".rs", ".md", ".ios"].iter().any(|end| quoted.ends_with(end));
            let exists = tree.files.contains_key(quoted) || tree.files.contains_key(&format!("{folder}{quoted}"));
            if is_path && is_source && !exists {
                problems.push(format!("{page}: names {quoted}, which does not exist"));
            }
        }
    }
    problems
}

/// A committed scenario is a regression test, so it passes; what fails lives in a folder that is not committed.
pub fn scenarios(tree: &Tree) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in tree.ending(".ios").filter(|(path, _)| path.starts_with("scenarios/")) {
        let mut lines = text.lines().map(|line| line.split('#').next().unwrap_or("").trim());
        if !lines.any(|line| line == "expect ok") {
            problems.push(format!("{path}: does not say `expect ok`"));
        }
        if !text.lines().any(|line| line.starts_with('#')) {
            problems.push(format!("{path}: tells no story"));
        }
    }
    problems
}

/// What the README tells people to run is what the gate runs, but for the cluster that runs until it is stopped: that
/// one has a test of its own.
pub fn gate(tree: &Tree) -> Vec<String> {
    const COMMAND: &str = "cargo test --workspace";
    let text = |path| tree.files.get(path).map_or("", String::as_str);
    let (readme, gate) = (text("README.md"), text(".ci/run"));
    let mut problems = Vec::new();
    if !readme.contains(COMMAND) {
        problems.push(format!("README.md: does not say `{COMMAND}`, which is how this is tested"));
    }
    let commands = readme.lines().filter(|line| line.starts_with("cargo ") && !line.contains(" dev "));
    for command in commands.chain([COMMAND]).filter(|command| !gate.contains(command)) {
        problems.push(format!(".ci/run: does not run `{command}`, as the README does"));
    }
    problems
}

/// Name and manifest of each member.
fn members(tree: &Tree) -> Vec<(String, toml::Table)> {
    let mut members = Vec::new();
    for (path, text) in tree.ending("/Cargo.toml").filter(|(path, _)| path.matches('/').count() == 1) {
        let manifest: toml::Table = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        let name = manifest["package"]["name"].as_str().expect("a package has a name").to_string();
        members.push((name, manifest));
    }
    members
}

/// Of any kind: the tests of a package depend as much as it does itself.
fn dependencies(manifest: &toml::Table) -> impl Iterator<Item = (String, &toml::Value)> {
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"].into_iter();
    let tables = kinds.filter_map(|kind| manifest.get(kind)).filter_map(toml::Value::as_table);
    tables.flatten().map(|(name, spec)| (name.clone(), spec))
}
