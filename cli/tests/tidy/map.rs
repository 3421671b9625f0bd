//! The file map at the end of ARCHITECTURE.md: every source file with the first sentence of its header.

use crate::tree::Tree;

/// What comes after this line is written by `UPDATE_EXPECT=1 cargo test -p cli --test tidy`.
pub const HEADING: &str = "## Every file";

/// The page with the map that belongs to the tree.
pub fn with_map(page: &str, tree: &Tree) -> String {
    let prose = page.split_once(HEADING).map_or(page, |(prose, _)| prose).trim_end();
    format!("{prose}\n\n{HEADING}\n{}", map(tree))
}

fn map(tree: &Tree) -> String {
    let mut sources: Vec<(&str, &str, String)> = tree
        .ending(".rs")
        .map(|(path, text)| {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            (folder, name, first_sentence(text))
        })
        .collect();
    sources.sort();
    let mut text = String::new();
    let mut last = None;
    for (folder, name, sentence) in sources {
        if last.replace(folder) != Some(folder) {
            text.push_str(&format!("\n`{folder}/`\n"));
        }
        text.push_str(&format!("- `{name}` {sentence}\n"));
    }
    text
}

/// Of the header, without its full stop and without links.
fn first_sentence(source: &str) -> String {
    let header = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let paragraph: Vec<&str> = header.take_while(|line| !line.is_empty()).collect();
    let paragraph = paragraph.join(" ").replace("[`", "`").replace("`]", "`");
    let sentence = paragraph.split_once(". ").map_or(paragraph.as_str(), |(first, _)| first);
    sentence.trim_end_matches(['.', ':']).to_string()
}
