//! The last head that a hub signed, kept on this machine beyond one visit: a hub that later shows fewer lines, or other
//! ones in their place, is found out, by the client when it comes again and by `verify` afterwards.

use crate::transcript::record::Head;
use std::io;
use std::path::{Path, PathBuf};

/// The head kept in that file; none where there is none, or it cannot be read.
pub fn kept(path: &Path) -> Option<Head> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Keeps it, in the background. What cannot be kept is no reason to leave a session.
pub fn keep(path: PathBuf, head: Head) {
    tokio::task::spawn_blocking(move || {
        if let Err(error) = write(&path, head) {
            tracing::debug!("the head of this session cannot be kept in {}: {error}", path.display());
        }
    });
}

/// Never a lower one than what is kept: several clients of one person may be in the same session.
fn write(path: &Path, head: Head) -> io::Result<()> {
    if kept(path).is_some_and(|kept| kept.seq >= head.seq) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        crate::identity::private_folder(folder)?;
    }
    let new = path.with_extension(format!("new-{}", std::process::id()));
    std::fs::write(&new, serde_json::to_vec(&head).map_err(io::Error::other)?)?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;

    #[test]
    fn the_highest_head_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heads/s.json");
        let head = |seq| Head { seq, hash: Hash::of(&[seq as u8]) };
        assert_eq!(kept(&path), None);
        for seq in [5, 9, 7] {
            write(&path, head(seq)).unwrap();
        }
        assert_eq!(kept(&path), Some(head(9)));
        std::fs::write(&path, "garbage").unwrap();
        assert_eq!(kept(&path), None);
        write(&path, head(3)).unwrap();
        assert_eq!(kept(&path), Some(head(3)));
    }
}
