//! Each rule fires on a tree made up to break it, and only there.

use crate::{faults, map, rules, tree::Tree};

const CORE: &str =
    "[package]\nname = \"ios-core\"\n[dependencies]\nbytes.workspace = true\n[lints]\nworkspace = true\n";

fn manifest(name: &str, dependencies: &[&str]) -> String {
    let uses: String = dependencies.iter().map(|name| format!("{name}.workspace = true\n")).collect();
    format!("[package]\nname = \"{name}\"\npublish = false\n[dependencies]\n{uses}[lints]\nworkspace = true\n")
}

/// A tree without fault.
fn tidy() -> Tree {
    let mut tree = Tree::made_up(&[
        ("core/Cargo.toml", CORE),
        ("core/src/lib.rs", "//! The core.\n#![no_std]\n#![forbid(unsafe_code)]\n#[cfg(test)]\nextern crate std;\n"),
        (
            "core/src/replica/mod.rs",
            "//! The protocol, which a [`Service`] is not part of.\n// fn f<S: Service>() {}\n",
        ),
        ("clippy.toml", ""),
        (
            "ARCHITECTURE.md",
            "```\nios-core ->\nsim      -> ios-core\n```\nSee `core/src/lib.rs` and `scenarios/*.ios`.\n",
        ),
        ("README.md", "`cargo test --workspace`\n"),
        (".ci/run", "step tests cargo test --workspace\n"),
        ("scenarios/calm.ios", "ios-scenario 1\n# Nothing happens.\nexpect ok   # as always\n"),
    ]);
    tree.files.insert("sim/Cargo.toml".to_string(), manifest("sim", &["ios-core"]));
    let wide = "x".repeat(130);
    let unbroken = format!("//! What cannot be broken.\n//! | {wide} |\nconst A: &str = r#\"{wide}\n{wide}\"#;\n");
    tree.files.insert("sim/src/wide.rs".to_string(), unbroken);
    let named = "//! Of a fault.\n#[test]\nfn f02_it_stays_away() {}\n";
    tree.files.insert("sim/src/f.rs".to_string(), named.to_string());
    tree.files.insert(faults::PAGE.to_string(), page_of_faults());
    tree
}

fn page_of_faults() -> String {
    let row = |number| {
        let also = if number == 2 { ", `sim/src/f.rs::f02_it_stays_away`" } else { "" };
        format!("| {number} | bad | `scenarios/calm.ios`{also} | in `core/src/lib.rs`: so |\n")
    };
    let rows: String = (1..=faults::FAULTS).map(row).collect();
    format!("| # | fault | tests | put back |\n| --- | --- | --- | --- |\n{rows}")
}

/// What a rule says when one file is replaced or added.
fn check(rule: rules::Rule, path: &str, text: &str) -> String {
    let mut tree = tidy();
    tree.files.insert(path.to_string(), text.to_string());
    rule(&tree).join("\n")
}

#[test]
fn a_tidy_tree_breaks_no_rule() {
    let problems: Vec<String> = rules::ALL.iter().flat_map(|rule| rule(&tidy())).collect();
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn every_rule_fires() {
    let long = format!("//! {}\n", "x".repeat(117));
    let half_done = concat!("//! Half done.\nfn f() {\n    to", "do!()\n}\n");
    let skipped = concat!("//! Skipped.\n#[test]\n#[ign", "ore = \"slow\"]\nfn f() {}\n");
    let own_version = manifest("sim", &["ios-core"]).replace("ios-core.workspace = true", "ios-core = \"1\"");
    let after = format!("//! Quotes.\nconst A: &str = r#\"a\n\"#;\n{}\n", "x".repeat(121));
    let page = page_of_faults();
    let broken = |what: &str, by: &str| page.replacen(what, by, 1);
    let [renumbered, gone, bare, nowhere] = [
        broken("| 23 |", "| 24 |"),
        broken("calm", "gone"),
        broken("`scenarios/calm.ios`", ""),
        broken("lib.rs", "gone.rs"),
    ];
    let stray = "//! Of a fault.\n#[test]\nfn f07_nobody_knows() {}\n";
    let helper = "//! Of a fault.\nfn f02_it_stays_away() {}\n";
    let cases: [(rules::Rule, &str, &str, &str); 30] = [
        (rules::headers, "sim/src/a.rs", "use b;\n//! Late.\n", "opens without"),
        (rules::headers, "sim/src/a.rs", "// A comment.\n", "opens without"),
        (rules::leftovers, "sim/src/a.rs", half_done, "a.rs:3"),
        (rules::leftovers, "sim/src/a.rs", skipped, "a.rs:3"),
        (rules::leftovers, "README.md", concat!("run it in /wo", "rk/main\n"), "README.md:1"),
        (rules::long_lines, "sim/src/a.rs", &long, "a.rs:1: longer than 120"),
        (rules::long_lines, "sim/src/a.rs", &after, "a.rs:4: longer than 120"),
        (rules::vague_names, "sim/src/utils.rs", "", "does not say what is in it"),
        (rules::vague_names, "sim/src/common/mod.rs", "", "does not say what is in it"),
        (rules::std_in_core, "core/src/ids.rs", "//! Names.\nextern crate std;\n", "ids.rs:2"),
        (rules::std_in_core, "core/src/lib.rs", "//! Core.\n#![no_std]\n", "`#![forbid(unsafe_code)]` is gone"),
        (rules::service_in_the_protocol, "core/src/client/a.rs", "fn f<S: Service>() {}\n", "a.rs:1"),
        (rules::service_in_the_protocol, "core/src/wire/a.rs", "//! W.\nfn f(s: &dyn Service) {}\n", "a.rs:2"),
        (rules::linter_files, "core/clippy.toml", "", "one linter file"),
        (rules::manifests, "sim/Cargo.toml", "[package]\nname = \"sim\"\npublish = false\n", "inherit"),
        (rules::manifests, "cli/Cargo.toml", &manifest("cli", &[]).replace("publish = false", ""), "is not `publish"),
        (rules::manifests, "sim/Cargo.toml", &own_version, "ios-core is not taken from the workspace"),
        (rules::arrows, "runtime/Cargo.toml", &manifest("runtime", &["sim"]), "runtime must not depend on sim"),
        (rules::arrows, "runtime/Cargo.toml", &manifest("runtime", &[]), "lacks the arrow `runtime ->`"),
        (rules::arrows, "ARCHITECTURE.md", "ios-core -> sim\n", "draws `ios-core -> sim`, which is not so"),
        (rules::mentioned_files, "README.md", "see `core/src/gone.rs`\n", "names core/src/gone.rs"),
        (rules::scenarios, "scenarios/a.ios", "# It fails.\nexpect violation agreement\n", "`expect ok`"),
        (faults::prototype_faults, faults::PAGE, &renumbered, "has not one row for each"),
        (faults::prototype_faults, faults::PAGE, &gone, "fault 1 names scenarios/gone.ios"),
        (faults::prototype_faults, faults::PAGE, &bare, "fault 1 is kept out by"),
        (faults::prototype_faults, faults::PAGE, &nowhere, "fault 1 does not say in which"),
        (faults::prototype_faults, "sim/src/f.rs", helper, "fault 2 names sim/src/f.rs::f02_it_stays_away, which"),
        (faults::prototype_faults, "sim/src/g.rs", stray, "g.rs::f07_nobody_knows is named after fault 7, whose"),
        (faults::prototype_faults, "core/tests/golden/f03_a.txt", "So.\n", "golden/f03_a.txt is named after fault 3"),
        (rules::gate, ".ci/run", "cargo test -p cli\n", ".ci/run: does not run"),
    ];
    for (rule, path, text, said) in cases {
        let problems = check(rule, path, text);
        assert!(problems.contains(said), "{path} must be told `{said}`, but was told `{problems}`");
    }
    let fired: Vec<rules::Rule> = cases.iter().map(|(rule, ..)| *rule).collect();
    for (place, rule) in rules::ALL.iter().enumerate() {
        assert!(fired.iter().any(|fired| std::ptr::fn_addr_eq(*fired, *rule)), "rule {place} never fires here");
    }
}

#[test]
fn the_map_lists_every_source_file_once_and_keeps_the_prose() {
    let tree = Tree::made_up(&[
        ("core/src/lib.rs", "//! The core. It is pure.\n"),
        (
            "core/src/client/mod.rs",
            "//! The client's own [`state`] machine: a session,\n//! and more\n//!\n//! Details.\n",
        ),
        ("README.md", "no source\n"),
    ]);
    let expected = "# Prose\n\n## Every file\n\n`core/src/`\n- `lib.rs` The core\n\n`core/src/client/`\n\
                    - `mod.rs` The client's own `state` machine: a session, and more\n";
    assert_eq!(map::with_map("# Prose\n", &tree), expected);
    assert_eq!(map::with_map(&expected.replace("lib.rs", "gone.rs"), &tree), expected);
}
