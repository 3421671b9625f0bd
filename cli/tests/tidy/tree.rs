//! The workspace as text by path.

use std::{collections::BTreeMap, fs, path::Path};

/// Paths relative to the root, with `/`, and what the files say.
#[derive(Clone, Default)]
pub struct Tree {
    /// Only files that are written by hand: code, pages, manifests, scripts, scenarios, the gate.
    pub files: BTreeMap<String, String>,
}

/// Not written by hand, or not part of the tree.
const LEFT_OUT: [&str; 6] = [".git", "target", "failing", "artifacts", "corpus", "coverage"];

impl Tree {
    /// The tree this test was built from.
    pub fn of_this_workspace() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the workspace's folder");
        let mut tree = Tree::default();
        tree.read(root, "");
        tree
    }

    fn read(&mut self, folder: &Path, prefix: &str) {
        for entry in fs::read_dir(folder).expect("a folder of the workspace can be listed") {
            let entry = entry.expect("a folder of the workspace can be listed");
            let name = entry.file_name().into_string().expect("names in the workspace are text");
            let path = format!("{prefix}{name}");
            if entry.path().is_dir() {
                if !LEFT_OUT.contains(&name.as_str()) {
                    self.read(&entry.path(), &format!("{path}/"));
                }
            } else if is_handwritten(&path) {
                let text = fs::read_to_string(entry.path()).expect("handwritten files are text");
                self.files.insert(path, text);
            }
        }
    }

    /// A tree of these files.
    pub fn made_up(files: &[(&str, &str)]) -> Self {
        Tree { files: files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect() }
    }

    /// Files whose path ends like this.
    pub fn ending(&self, end: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.ends_with(end))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }
}

fn is_handwritten(path: &str) -> bool {
    [".rs", ".md", ".toml", ".ios", ".txt"].iter().any(|end| path.ends_with(end)) || path == ".ci/run"
}
