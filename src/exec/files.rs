//! Looking at a file: hash, length and text from one descriptor, so that all three are of the same bytes.

use crate::event::FileSeen;
use crate::hash::Hash;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// How much of a file's text is kept: what a person can be expected to look at before saying yes.
pub(super) const TEXT_MAX: usize = 64 * 1024;

/// Hashes a regular file; keeps the first 64 KiB of its text where `text` asks for it and it is UTF-8.
pub(super) fn look(path: &Path, text: bool) -> io::Result<FileSeen> {
    let path = path.canonicalize()?;
    let name = path.to_str().ok_or_else(|| io::Error::other("its path is not UTF-8; rename it"))?;
    // Asked before it is opened: to open a FIFO would wait for somebody to write to it.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut tee = Tee { file: File::open(&path)?, head: vec![], keep: if text { TEXT_MAX + 1 } else { 0 }, size: 0 };
    let sha256 = Hash::of_reader(&mut tee)?;
    let text = text.then(|| text_of(tee.head)).flatten();
    Ok(FileSeen { path: name.to_owned(), sha256, size: tee.size, text })
}

/// The text to `TEXT_MAX`, cut on a character border; nothing where it is not text.
fn text_of(mut head: Vec<u8>) -> Option<String> {
    let whole = head.len() <= TEXT_MAX;
    head.truncate(TEXT_MAX);
    match String::from_utf8(head) {
        Ok(text) => Some(text),
        // A character cut in two at the limit is our doing; anything else is not text.
        Err(error) if !whole && error.utf8_error().error_len().is_none() => {
            let valid = error.utf8_error().valid_up_to();
            let mut bytes = error.into_bytes();
            bytes.truncate(valid);
            String::from_utf8(bytes).ok()
        }
        Err(_) => None,
    }
}

struct Tee {
    file: File,
    head: Vec<u8>,
    keep: usize,
    size: u64,
}
impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        let room = self.keep.saturating_sub(self.head.len());
        self.head.extend_from_slice(&buffer[..n.min(room)]);
        self.size += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_on_a_character_border_and_left_out_where_it_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            look(&folder.path().join(name), true).unwrap()
        };
        let long = at("long", format!("a{}", "é".repeat(TEXT_MAX)).as_bytes());
        assert_eq!(long.size, 1 + 2 * TEXT_MAX as u64);
        assert_eq!(long.text.unwrap().len(), TEXT_MAX - 1);
        assert_eq!(at("latin1", b"caf\xe9").text, None);
        let short = at("short", b"abc");
        assert_eq!((short.text.as_deref(), short.sha256), (Some("abc"), Hash::of(b"abc")));
        assert!(look(folder.path(), true).unwrap_err().to_string().contains("not a regular file"));
    }
}
