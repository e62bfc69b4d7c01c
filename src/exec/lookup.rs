//! Which file a command's first word means: what `execvp` would find with the step's own PATH and folder, and what the
//! kernel would then start for a script.

use super::unfrozen::FreezeError;
use nix::unistd::{AccessFlags, access};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How the kernel would take a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A binary.
    Binary,
    /// A script: its interpreter's word and whatever else stands on the `#!` line.
    Script(String, String),
    /// Nothing the kernel starts. `execvp` would hand it to `/bin/sh` unasked; here that is refused, because nobody
    /// cross-checked that shell.
    Neither,
}

/// Finds the file `word` means, links not resolved: scripts that look at `$0` depend on the name they were found under.
pub(super) fn find(word: &str, path: &str, cwd: &Path) -> Result<PathBuf, FreezeError> {
    if word.contains('/') {
        let file = cwd.join(word);
        return match executable(&file) {
            Ok(()) => Ok(file),
            Err(why) if file.exists() => Err(FreezeError::NotExecutable { path: file, why }),
            Err(_) => Err(FreezeError::NoSuchFile { path: file, cwd: cwd.into() }),
        };
    }
    // As execvp: an empty part is the current folder, and what may not be executed is passed over, but remembered.
    let mut passed_over = None;
    for part in path.split(':') {
        let file = cwd.join(part).join(word);
        match executable(&file) {
            Ok(()) => return Ok(file),
            Err(why) if file.is_file() => passed_over = passed_over.or(Some((file, why))),
            Err(_) => {}
        }
    }
    Err(match passed_over {
        Some((path, why)) => FreezeError::NotExecutable { path, why },
        None => FreezeError::NotOnPath { word: word.to_owned(), path: path.to_owned() },
    })
}

fn executable(file: &Path) -> Result<(), String> {
    match file.metadata() {
        Err(error) => Err(error.to_string()),
        Ok(meta) if !meta.is_file() => Err("it is not a regular file".into()),
        Ok(_) => access(file, AccessFlags::X_OK).map_err(|error| error.desc().to_owned()),
    }
}

/// Reads the first line as the kernel would.
pub(super) fn kind(file: &Path) -> std::io::Result<Kind> {
    kind_of(&std::fs::File::open(file)?)
}

/// As [`kind`], of an open file, wherever it was read to.
pub(super) fn kind_of(file: &std::fs::File) -> std::io::Result<Kind> {
    let mut head = vec![0; 256]; // the kernel looks no further (BINPRM_BUF_SIZE)
    let mut filled = 0;
    loop {
        match file.read_at(&mut head[filled..], filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    head.truncate(filled);
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|b| *b == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let line = line.trim_matches([' ', '\t', '\0']);
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        return Ok(match word {
            "" => Kind::Neither,
            _ => Kind::Script(word.to_owned(), rest.trim().to_owned()),
        });
    }
    Ok(if is_binary(&head) { Kind::Binary } else { Kind::Neither })
}

#[cfg(not(target_os = "macos"))]
fn is_binary(head: &[u8]) -> bool {
    head.starts_with(b"\x7fELF")
}
/// Mach-O, both byte orders, 32 and 64 bits, and the fat form.
#[cfg(target_os = "macos")]
fn is_binary(head: &[u8]) -> bool {
    let magic = head.first_chunk().map(|four| u32::from_be_bytes(*four));
    matches!(magic, Some(0xfeedface | 0xfeedfacf | 0xcefaedfe | 0xcffaedfe | 0xcafebabe))
}

/// The word `env` would look up on a `#!/usr/bin/env …` line.
pub(super) fn word_after_env(rest: &str) -> Option<&str> {
    rest.split_whitespace().find(|word| !word.starts_with('-') && !word.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_step_s_own_path_and_folder_count() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        for (name, mode) in [("a/tool", 0o644), ("b/tool", 0o755), ("c/tool/x", 0o644), ("plain", 0o644)] {
            let file = dir.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        }
        assert_eq!(find("tool", "c:a:b", dir).unwrap(), dir.join("b/tool"));
        assert_eq!(find("b/tool", "", dir).unwrap(), dir.join("b/tool"));
        assert_eq!(find("tool", "a::", &dir.join("b")).unwrap(), dir.join("b/tool"), "an empty part is the folder");
        let error = |word: &str| find(word, "c:a", dir).unwrap_err().to_string();
        assert!(error("tool").contains("a/tool"), "{}", error("tool"));
        assert!(error("./plain").contains("chmod +x"), "{}", error("./plain"));
        assert!(error("./nothing").contains("nothing"), "{}", error("./nothing"));
        assert!(error("nothing").contains("c:a"), "{}", error("nothing"));
    }

    #[test]
    fn first_lines_are_read_as_the_kernel_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        for (text, is) in [
            ("#!/bin/sh -e\nrm", Kind::Script("/bin/sh".into(), "-e".into())),
            ("#! \t/usr/bin/env  python3", Kind::Script("/usr/bin/env".into(), "python3".into())),
            ("#!\n", Kind::Neither),
            ("rm -r /", Kind::Neither),
            ("", Kind::Neither),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(kind(&file).unwrap(), is, "{text:?}");
        }
        assert_eq!(kind(Path::new("/bin/sh")).unwrap(), Kind::Binary);
        assert_eq!(word_after_env("-S LANG=C python3 -u"), Some("python3"));
    }
}
