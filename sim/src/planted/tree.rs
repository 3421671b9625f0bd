//! A copy of the workspace's sources in which bugs are planted, kept from bug to bug.
//!
//! A file is written only if its content differs: its time stamp then tells cargo the truth, and what no edit touches
//! is not compiled again.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Folders that are no sources.
const SKIPPED: [&str; 4] = ["target", "corpus", "artifacts", "planted"];

/// What must be a file in the root of a workspace, and is copied from there.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "Cargo.lock"];

/// The copy.
#[derive(Clone, Debug)]
pub struct Tree {
    root: PathBuf,
    scratch: PathBuf,
}

impl Tree {
    /// A copy of the workspace at `root` in the folder `scratch`, which is made if need be. Nothing is copied yet.
    pub fn new(root: &Path, scratch: &Path) -> Result<Self, String> {
        if let Some(absent) = MANIFESTS.iter().find(|name| !root.join(name).is_file()) {
            return Err(format!("{} is not the root of the workspace: it has no {absent}", root.display()));
        }
        fs::create_dir_all(scratch).map_err(|error| format!("cannot make {}: {error}", scratch.display()))?;
        let scratch = scratch.canonicalize().map_err(|error| format!("{}: {error}", scratch.display()))?;
        Ok(Self { root: root.to_path_buf(), scratch })
    }

    /// Where it is.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Makes it the workspace again, except that the files in `edited` have the contents given there.
    pub fn update(&self, edited: &BTreeMap<String, String>) -> Result<(), String> {
        self.copy(edited).map_err(|error| format!("cannot copy the tree to {}: {error}", self.scratch.display()))
    }

    fn copy(&self, edited: &BTreeMap<String, String>) -> io::Result<()> {
        for name in MANIFESTS {
            self.put(Path::new(name), edited)?;
        }
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.path().join("Cargo.toml").is_file() && is_source(&entry.file_name().to_string_lossy()) {
                self.copy_folder(Path::new(&entry.file_name()), edited)?;
            }
        }
        Ok(())
    }

    fn copy_folder(&self, folder: &Path, edited: &BTreeMap<String, String>) -> io::Result<()> {
        let copy = self.scratch.join(folder);
        fs::create_dir_all(&copy)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(self.root.join(folder))? {
            let entry = entry?;
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            let is_module = folder.ends_with("src");
            if kind.is_dir() && (is_module || is_source(&name.to_string_lossy())) {
                self.copy_folder(&folder.join(&name), edited)?;
            } else if kind.is_file() {
                self.put(&folder.join(&name), edited)?;
            }
            names.push(name);
        }
        // What is gone from the workspace would be compiled all the same, as a target that is found by its place.
        for entry in fs::read_dir(&copy)? {
            let entry = entry?;
            if !names.contains(&entry.file_name()) && entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn put(&self, file: &Path, edited: &BTreeMap<String, String>) -> io::Result<()> {
        let wanted = match edited.iter().find(|(name, _)| Path::new(name) == file) {
            Some((_, text)) => text.clone().into_bytes(),
            None => fs::read(self.root.join(file))?,
        };
        let copy = self.scratch.join(file);
        if fs::read(&copy).is_ok_and(|there| there == wanted) {
            return Ok(());
        }
        fs::write(copy, wanted)
    }
}

fn is_source(folder: &str) -> bool {
    !folder.starts_with('.') && !SKIPPED.contains(&folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_what_differs_is_written_and_edits_are_taken_back() {
        let (root, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |file: &str, text: &str| {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for file in ["Cargo.toml", "Cargo.lock", "core/Cargo.toml", "core/src/planted/a.rs", "core/src/b.rs"] {
            write(file, file);
        }
        write("core/target/c", "");
        write("docs/d", "");
        let tree = Tree::new(root.path(), scratch.path()).unwrap();
        tree.update(&BTreeMap::new()).unwrap();
        let copy = |file: &str| scratch.path().join(file);
        let read = |file: &str| fs::read_to_string(copy(file)).unwrap();
        assert_eq!(read("core/src/planted/a.rs"), "core/src/planted/a.rs");
        assert!(!copy("core/target").exists() && !copy("docs").exists());

        let old = fs::metadata(copy("core/src/b.rs")).unwrap().modified().unwrap() - Duration::from_secs(9);
        fs::File::options().write(true).open(copy("core/src/b.rs")).unwrap().set_modified(old).unwrap();
        let edited = BTreeMap::from([("core/src/planted/a.rs".to_string(), "bug".to_string())]);
        tree.update(&edited).unwrap();
        assert_eq!(read("core/src/planted/a.rs"), "bug");
        assert_eq!(fs::metadata(copy("core/src/b.rs")).unwrap().modified().unwrap(), old, "left alone");

        fs::remove_file(root.path().join("core/src/b.rs")).unwrap();
        tree.update(&BTreeMap::new()).unwrap();
        assert_eq!(read("core/src/planted/a.rs"), "core/src/planted/a.rs");
        assert!(!copy("core/src/b.rs").exists());
        assert!(Tree::new(scratch.path(), root.path()).is_ok());
        assert!(Tree::new(&root.path().join("core"), scratch.path()).unwrap_err().contains("no Cargo.lock"));
    }
}
