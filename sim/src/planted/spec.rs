//! One planted bug as its file tells it: what it is, the edits that make it, and what must notice.

use crate::{choice::mix, oracle::Oracle};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path},
};
use xxhash_rust::xxh3::xxh3_64;

/// No campaign is worth more seeds than that: what needs more is not caught.
const SEEDS_MAX: u64 = 100_000;

/// A bug, or a change that is none.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Its file's name without the ending.
    #[serde(skip)]
    pub name: String,
    /// What is wrong, in a sentence.
    pub about: String,
    /// Where a real system had it, or which family of mistakes it belongs to.
    pub history: String,
    /// It breaks nothing: every seed must stay green.
    #[serde(default)]
    pub harmless: bool,
    /// The oracles that may be the first to notice, by name; any of them will do.
    #[serde(default)]
    pub oracles: Vec<String>,
    /// How many seeds a campaign has to catch it.
    pub seeds: u64,
    /// What makes it.
    #[serde(rename = "edit")]
    pub edits: Vec<Edit>,
}

/// One replacement.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Which file, from the root of the workspace.
    pub file: String,
    /// What is there, once.
    pub find: String,
    /// What is there instead.
    pub replace: String,
}

impl Spec {
    /// Reads the text of a spec.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let spec: Spec = toml::from_str(text).map_err(|error| error.to_string())?;
        let spec = Spec { name: name.to_string(), ..spec };
        spec.check().map(|()| spec)
    }

    fn check(&self) -> Result<(), String> {
        for oracle in &self.oracles {
            oracle.parse::<Oracle>().map_err(|error| error.to_string())?;
        }
        if self.about.trim().is_empty() || self.history.trim().is_empty() {
            return Err("about and history are a sentence each".into());
        }
        if self.harmless != self.oracles.is_empty() {
            return Err("a bug names the oracles that notice it, a harmless change none".into());
        }
        if !(1..=SEEDS_MAX).contains(&self.seeds) {
            return Err(format!("seeds is from 1 to {SEEDS_MAX}"));
        }
        let Some(Edit { file, .. }) = self.edits.iter().find(|edit| !is_inside(&edit.file)) else {
            return if self.edits.is_empty() { Err("it changes nothing".into()) } else { Ok(()) };
        };
        Err(format!("{file} is not a path from the root of the workspace"))
    }

    /// The files it changes, as they are with its edits in. Edits of one file are made in their order.
    pub fn apply(&self, root: &Path) -> Result<BTreeMap<String, String>, String> {
        let mut edited = BTreeMap::new();
        for Edit { file, find, replace } in &self.edits {
            let text = match edited.remove(file) {
                Some(text) => text,
                None => fs::read_to_string(root.join(file)).map_err(|error| format!("cannot read {file}: {error}"))?,
            };
            let count = if find.is_empty() { 0 } else { text.matches(find).count() };
            if count != 1 || find == replace {
                let (file, first) = (file, find.lines().next().unwrap_or_default());
                return Err(format!("what it looks for is {count} times in {file}, not once: {first:?}"));
            }
            edited.insert(file.clone(), text.replacen(find, replace, 1));
        }
        Ok(edited)
    }

    /// Whether it is right for this oracle to be the first to notice.
    pub fn expects(&self, oracle: &str) -> bool {
        self.oracles.iter().any(|expected| expected == oracle)
    }
}

/// A path that cannot lead out of the tree that is edited.
fn is_inside(file: &str) -> bool {
    let path = Path::new(file);
    path.components().count() > 0 && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Reads the specs of a directory, by name; only those asked for, if any are. Each is also tried on the tree at `root`.
pub fn load(directory: &Path, root: &Path, names: &[String]) -> Result<Vec<Spec>, String> {
    let unreadable = |error| format!("cannot read {}: {error}", directory.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let mut specs = Vec::new();
    for path in paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        let wrong = |why: String| format!("{}: {}", path.display(), why.trim_end());
        let text = fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        let spec = Spec::parse(&name, &text).map_err(wrong)?;
        spec.apply(root).map_err(wrong)?;
        specs.push(spec);
    }
    if let Some(absent) = names.iter().find(|name| !specs.iter().any(|spec| spec.name == **name)) {
        return Err(format!("there is no {absent}.toml in {}", directory.display()));
    }
    Ok(specs)
}

/// So many of the specs, chosen by `key`: the same ones for the same key, and every one for some.
pub fn sample(mut specs: Vec<Spec>, count: usize, key: u64) -> Vec<Spec> {
    specs.sort_by_key(|spec| mix(key ^ xxh3_64(spec.name.as_bytes())));
    specs.truncate(count);
    specs.sort_by(|one, other| one.name.cmp(&other.name));
    specs
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "about = \"a\"\nhistory = \"h\"\noracles = [\"commit\"]\nseeds = 9\n";

    fn edit(find: &str, replace: &str) -> String {
        format!("[[edit]]\nfile = \"a.rs\"\nfind = \"{find}\"\nreplace = \"{replace}\"\n")
    }

    fn refused(text: &str, said: &str) {
        let error = Spec::parse("name", text).unwrap_err();
        assert!(error.contains(said), "{text}: {error}");
    }

    #[test]
    fn what_is_no_spec_is_refused_with_what_is_wrong() {
        let edit = edit("x", "y");
        assert!(Spec::parse("name", &format!("{WHOLE}{edit}")).is_ok());
        refused(WHOLE, "missing field `edit`");
        refused(&format!("{WHOLE}edit = []\n"), "changes nothing");
        refused(&format!("{WHOLE}colour = 3\n{edit}"), "unknown field `colour`");
        refused(&format!("{WHOLE}harmless = true\n{edit}"), "a harmless change none");
        refused(&format!("{WHOLE}{edit}").replace("[\"commit\"]", "[]"), "names the oracles");
        refused(&format!("{WHOLE}{edit}").replace("commit", "comit"), "unknown oracle \"comit\"");
        refused(&format!("{WHOLE}{edit}").replace("= 9", "= 0"), "from 1 to");
        refused(&format!("{WHOLE}{edit}").replace("\"a.rs\"", "\"../a.rs\""), "not a path from the root");
        refused(&format!("{WHOLE}{edit}").replace("\"h\"", "\" \""), "a sentence each");
    }

    #[test]
    fn edits_are_made_where_their_text_is_once_and_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.rs"), "one two two").unwrap();
        let apply = |edits: &str| Spec::parse("name", &format!("{WHOLE}{edits}")).unwrap().apply(root.path());
        let both = [edit("one", "three"), edit("three two ", "")].concat();
        assert_eq!(apply(&both).unwrap()["a.rs"], "two", "the second sees what the first left");
        assert!(apply(&edit("two", "x")).unwrap_err().contains("is 2 times in a.rs"));
        assert!(apply(&edit("four", "x")).unwrap_err().contains("is 0 times in a.rs"));
        assert!(apply(&edit("one", "one")).is_err());
        assert!(apply(&edit("one", "x").replace("a.rs", "b.rs")).unwrap_err().contains("cannot read b.rs"));
    }

    #[test]
    fn every_committed_spec_applies() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        let specs = load(&root.join("sim/planted"), root, &[]).unwrap_or_else(|error| panic!("{error}"));
        let harmless = specs.iter().filter(|spec| spec.harmless).count();
        assert!(specs.len() - harmless >= 40 && harmless >= 10, "{} specs, {harmless} of them harmless", specs.len());
        for spec in &specs {
            assert!(spec.harmless == spec.name.starts_with("harmless-"), "{}: the name says so", spec.name);
        }
    }

    #[test]
    fn a_sample_is_of_the_size_asked_for_and_every_spec_is_in_some() {
        let specs: Vec<Spec> = ["a", "b", "c", "d", "e", "f"]
            .map(|name| Spec::parse(name, &format!("{WHOLE}{}", edit("x", "y"))).unwrap())
            .into();
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        for key in 0..100 {
            let some = sample(specs.clone(), 2, key);
            assert_eq!((some.len(), &some), (2, &sample(specs.clone(), 2, key)));
            some.into_iter().for_each(|spec| *seen.entry(spec.name).or_default() += 1);
        }
        assert_eq!(seen.len(), specs.len());
        assert_eq!(sample(specs.clone(), 9, 1), specs);
    }
}
