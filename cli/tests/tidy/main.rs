//! Tidiness as a test: the tree keeps the habits that CONTRIBUTING.md names, and ARCHITECTURE.md says what is there.
//!
//! Rules look at a [`Tree`], which is text by path, so that each of them can be shown to fire on a tree made up for it.

mod faults;
mod map;
mod rules;
mod teeth;
mod tree;

use tree::Tree;

#[test]
fn the_tree_is_tidy() {
    let tree = Tree::of_this_workspace();
    assert!(tree.files.len() > 50, "the workspace was not found");
    let problems: Vec<String> = rules::ALL.iter().flat_map(|rule| rule(&tree)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// With `UPDATE_EXPECT=1` this writes the map anew.
#[test]
fn the_map_in_the_architecture_page_is_the_tree() {
    let tree = Tree::of_this_workspace();
    let page = tree.files.get("ARCHITECTURE.md").expect("ARCHITECTURE.md is where the map is");
    expect_test::expect_file!["../../../ARCHITECTURE.md"].assert_eq(&map::with_map(page, &tree));
}
