//! Directories as a whole: listed, copied, measured.

use super::trouble::{Trouble, failed};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The files of a directory, by name.
pub fn files_of(directory: &Path) -> Result<Vec<PathBuf>, Trouble> {
    let unreadable = |error| failed(&format!("list {}", directory.display()), error);
    let entries = fs::read_dir(directory).map_err(unreadable)?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Copies a directory with everything in it.
pub fn copy_directory(from: &Path, to: &Path) -> Result<(), Trouble> {
    fs::create_dir_all(to).map_err(|error| failed(&format!("make {}", to.display()), error))?;
    for path in files_of(from)? {
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_directory(&path, &target)?;
        } else {
            fs::copy(&path, &target).map_err(|error| failed(&format!("copy {}", path.display()), error))?;
        }
    }
    Ok(())
}

/// How many bytes the files of a directory have together.
pub fn size_of(directory: &Path) -> Result<u64, Trouble> {
    let mut size = 0;
    for path in files_of(directory)? {
        size += match path.is_dir() {
            true => size_of(&path)?,
            false => fs::metadata(&path).map_err(|error| failed("measure a file", error))?.len(),
        };
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_everything() {
        let root = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| root.path().join(name));
        fs::create_dir_all(from.join("log")).unwrap();
        fs::write(from.join("identity"), "four").unwrap();
        fs::write(from.join("log/1.seg"), "sixsix").unwrap();
        copy_directory(&from, &to).unwrap();
        assert_eq!((size_of(&from), size_of(&to)), (Ok(10), Ok(10)));
        assert_eq!(files_of(&to).unwrap(), [to.join("identity"), to.join("log")]);
        assert_eq!(fs::read_to_string(to.join("log/1.seg")).unwrap(), "sixsix");
        assert!(matches!(files_of(&root.path().join("absent")), Err(Trouble::Failed(_))));
    }
}
