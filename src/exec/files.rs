//! Looking at files and folders through one descriptor, so that hash, length and text, and what is executed or read later,
//! are of the same bytes; and copies that nobody can change.

use crate::event::{FileSeen, FolderSeen};
use crate::hash::Hash;
use std::fs::File;
use std::io::{self, BufRead as _, Read};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// How much of a file's text is kept: what a person can be expected to look at before saying yes.
pub(super) const TEXT_MAX: usize = 64 * 1024;

/// A sealed copy lies in memory. Whatever is larger is no script and no input that anybody looked through.
pub(super) const SEALED_MAX: u64 = 64 << 20;

/// Opens a regular file, links resolved. Hashing it, looking at its first line and executing it are then about the same
/// bytes, whatever happens to its name meanwhile.
pub(super) fn open(path: &Path) -> io::Result<(PathBuf, File)> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = path.canonicalize()?;
    let regular = |meta: std::fs::Metadata| match meta.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is not a regular file")),
    };
    // Asked before it is opened: to open a device may do something. And without waiting, because it may be another one by
    // now, and to open a FIFO would wait for somebody to write to it.
    regular(path.metadata()?)?;
    let file = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY).open(&path)?;
    regular(file.metadata()?)?;
    Ok((path, file))
}

/// Hashes a regular file; keeps the first 64 KiB of its text where `text` asks for it and it is UTF-8.
pub(super) fn look(path: &Path, text: bool) -> io::Result<FileSeen> {
    let (path, file) = open(path)?;
    look_at(&path, &file, text)
}

/// As [`look`], at a file that was opened under that path and from which nothing was read yet.
pub(super) fn look_at(path: &Path, file: &File, text: bool) -> io::Result<FileSeen> {
    let name = path.to_str().ok_or_else(|| io::Error::other("its path is not UTF-8; rename it"))?;
    let before = Stamp::of(file)?;
    let mut tee = Tee { file, head: vec![], keep: if text { TEXT_MAX + 1 } else { 0 }, size: 0 };
    let sha256 = Hash::of_reader(&mut tee)?;
    // A hash of the first half as it was and the second half as it is would be that of a file that never was.
    if Stamp::of(file)? != before {
        return Err(io::Error::other("it was written to while it was read; wait until nobody does"));
    }
    let text = text.then(|| text_of(tee.head)).flatten();
    Ok(FileSeen { path: name.to_owned(), sha256, size: tee.size, text })
}

/// Which bytes a descriptor stood for, as far as the file system tells without reading them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    place: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}
impl Stamp {
    /// Whether nothing was written to it in between, whatever else was changed of it.
    pub(super) fn same_writing(&self, other: &Stamp) -> bool {
        (self.place, self.size, self.modified) == (other.place, other.size, other.modified)
    }
    pub(super) fn of(file: &File) -> io::Result<Stamp> {
        use std::os::unix::fs::MetadataExt;
        let meta = file.metadata()?;
        Ok(Stamp {
            place: (meta.dev(), meta.ino()),
            size: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }
}

/// Opens a folder; what is started there starts in this one, whatever gets its name meanwhile.
pub(super) fn open_folder(path: &Path) -> io::Result<(File, FolderSeen)> {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    // A folder that one may enter but not list is a working folder all the same.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const FLAGS: i32 = nix::libc::O_DIRECTORY | nix::libc::O_PATH;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const FLAGS: i32 = nix::libc::O_DIRECTORY;
    let file = File::options().read(true).custom_flags(FLAGS).open(path)?;
    let meta = file.metadata()?;
    let born = meta.created().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let born_ns = born.and_then(|time| u64::try_from(time.as_nanos()).ok());
    Ok((file, FolderSeen { device: meta.dev(), inode: meta.ino(), born_ns }))
}

/// Where each line of that file begins and ends, its end of line included; the last may have none.
pub(super) fn lines(file: &File) -> io::Result<Vec<Range<u64>>> {
    let mut read = io::BufReader::new(file.take(SEALED_MAX + 1));
    let (mut lines, mut at, mut line) = (vec![], 0, vec![]);
    loop {
        line.clear();
        let length = read.read_until(b'\n', &mut line)? as u64;
        if length == 0 {
            return Ok(lines);
        }
        lines.push(at..at + length);
        at += length;
    }
}

/// Lines that do not look like what they are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OddLines {
    /// How many lines there are at all.
    pub lines: usize,
    /// Without anything in them but blanks, by their numbers from 1.
    pub empty: Vec<usize>,
    /// With a carriage return at their end.
    pub returns: Vec<usize>,
    /// That stood there before: each with the number of the first.
    pub again: Vec<(usize, usize)>,
}

/// So many numbers are told one by one.
const NUMBERS_TOLD: usize = 10;

/// Those numbers in words; nothing where there are none.
pub(super) fn numbered(numbers: &[usize]) -> Option<String> {
    let told: Vec<_> = numbers.iter().take(NUMBERS_TOLD).map(usize::to_string).collect();
    let word = if numbers.len() == 1 { "line" } else { "lines" };
    match numbers.len().checked_sub(NUMBERS_TOLD) {
        _ if numbers.is_empty() => None,
        None | Some(0) => Some(format!("{word} {}", told.join(", "))),
        Some(more) => Some(format!("{word} {} and {more} more", told.join(", "))),
    }
}

impl OddLines {
    /// In words, for whoever checks what is done with each of them.
    pub fn words(&self) -> Option<String> {
        let empty = numbered(&self.empty).map(|lines| format!("{lines}: EMPTY"));
        let returns = numbered(&self.returns)
            .map(|lines| format!("{lines}: END IN A CARRIAGE RETURN, which is part of what is read"));
        let told: Vec<_> =
            self.again.iter().take(NUMBERS_TOLD).map(|(line, first)| format!("{line} as {first}")).collect();
        let again = (!told.is_empty()).then(|| {
            let more = self.again.len() - told.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("line {}{more}: COMES TWICE", told.join(", "))
        });
        let all: Vec<_> = [empty, returns, again].into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// What of a file's lines people should know before something is done with each of them.
pub(super) fn odd_lines(file: &File) -> io::Result<OddLines> {
    let mut bytes = vec![];
    file.take(SEALED_MAX + 1).read_to_end(&mut bytes)?;
    let mut odd = OddLines::default();
    let mut first = std::collections::HashMap::new();
    for (line, number) in bytes.split_inclusive(|byte| *byte == b'\n').zip(1..) {
        odd.lines = number;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let bare = line.strip_suffix(b"\r").unwrap_or(line);
        if bare.len() < line.len() {
            odd.returns.push(number);
        }
        if bare.iter().all(u8::is_ascii_whitespace) {
            odd.empty.push(number);
        } else if let Some(first) = first.get(bare) {
            odd.again.push((number, *first));
        } else {
            first.insert(bare, number);
        }
    }
    Ok(odd)
}

/// A copy of a file's bytes that nobody can change any more, not even this program, and where it can be opened by whoever
/// inherits the descriptor.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn sealed_copy(file: impl Read) -> io::Result<File> {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let copy = memfd_create(c"crosscheck sealed", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let mut copy = File::from(copy);
    let copied = io::copy(&mut file.take(SEALED_MAX + 1), &mut copy)?;
    if copied > SEALED_MAX {
        return Err(io::Error::other(format!("it has more than {SEALED_MAX} bytes, too many for a sealed copy")));
    }
    let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&copy, FcntlArg::F_ADD_SEALS(seals))?;
    // Opened anew, for reading only and from its start.
    File::open(inherited(&copy))
}
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn sealed_copy(_: impl Read) -> io::Result<File> {
    Err(io::Error::other("sealed copies need Linux (memfd); leave out sealed and stdin = { file }"))
}

/// The path under which a process that has this descriptor can open it again.
pub(super) fn inherited(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
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

struct Tee<'a> {
    file: &'a File,
    head: Vec<u8>,
    keep: usize,
    size: u64,
}
impl Read for Tee<'_> {
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
        let odd = |bytes: &[u8]| {
            at("lines", bytes);
            odd_lines(&File::open(folder.path().join("lines")).unwrap()).unwrap()
        };
        assert_eq!(odd(b"a\nb\nc").words(), None);
        assert_eq!((odd(b"").lines, odd(b"a\nb").lines, odd(b"a\nb\n").lines), (0, 2, 2));
        let told = odd(b"a\n\nb\r\n \na\nb\na\n").words().unwrap();
        assert_eq!(
            told,
            "lines 2, 4: EMPTY; line 3: END IN A CARRIAGE RETURN, which is part of what is read; line 5 as 1, 6 as 3, 7 as 1: COMES TWICE"
        );
        let many = odd(&b"\n".repeat(12));
        assert_eq!(numbered(&many.empty).unwrap(), "lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more");
        assert!(look(folder.path(), true).unwrap_err().to_string().contains("not a regular file"));
    }
}
