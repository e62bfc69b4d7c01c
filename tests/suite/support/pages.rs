//! The pages people read, and the blocks of code in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README and every page of the manual, by their path from the repository's root.
pub fn pages() -> BTreeMap<String, String> {
    let mut found = vec!["README.md".to_owned()];
    let mut folders = vec![PathBuf::from("docs/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).expect("the manual is there") {
            let path = folder.join(entry.expect("it can be listed").file_name());
            match root().join(&path).is_dir() {
                true => folders.push(path),
                false => found.extend(path.to_str().filter(|path| path.ends_with(".md")).map(str::to_owned)),
            }
        }
    }
    assert!(found.len() > 20, "{found:?}");
    found.into_iter().map(|path| (path.clone(), page(&path))).collect()
}

/// A page by that path.
pub fn page(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A block of code, and what the comment right before it says of it.
#[derive(Debug, Default)]
pub struct Block {
    /// What stands behind the opening backticks.
    pub kind: String,
    /// Its lines.
    pub text: String,
    /// The comment.
    pub note: String,
}

/// The blocks of a page, in order.
pub fn blocks(text: &str) -> Vec<Block> {
    let (mut found, mut open, mut note) = (vec![], None::<Block>, String::new());
    for line in text.lines() {
        let comment = line.strip_prefix("<!--").and_then(|line| line.strip_suffix("-->"));
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some("")) => found.extend(open.take()),
            (Some(block), _) => block.text += &format!("{line}\n"),
            (None, Some(kind)) => {
                open = Some(Block { kind: kind.to_owned(), text: String::new(), note: std::mem::take(&mut note) });
            }
            (None, None) if comment.is_some() => note = comment.unwrap_or_default().trim().to_owned(),
            (None, None) => note.clear(),
        }
    }
    assert!(open.is_none(), "a block is not closed:\n{text}");
    found
}
