//! Whether a file hashes to what it should. A long one is hashed over as many readings as it takes, and once: what stands
//! under that name, of that size, time and inode has been hashed.

use super::seen::Seen;
use super::{excerpt, text};
use crate::event::Status;
use crate::hash::{Hash, Hashing};
use crate::plan::{Checksum, Params};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A file of checksums is a few lines.
const SUMS_BYTES_MAX: u64 = 1 << 20;

/// What a file has to hash to, and how far its hash has come.
pub(super) struct Sum {
    wanted: Wanted,
    work: Option<Work>,
}

enum Wanted {
    Given(Hash),
    /// Its last part may hold a `*`, which stands for the name of the file that is hashed.
    File(PathBuf),
}

/// The hash of one file, as far as it was read.
struct Work {
    of: Seen,
    open: File,
    hashing: Hashing,
    read: u64,
    hash: Option<Hash>,
}

impl Sum {
    pub(super) fn new(sum: &Checksum, params: &Params, folder: &Path) -> Result<Self, String> {
        let wanted = match sum {
            Checksum::Given(hash) => Wanted::Given(*hash),
            Checksum::File(path) => Wanted::File(folder.join(path.render(params).map_err(text)?)),
        };
        Ok(Sum { wanted, work: None })
    }

    /// Goes on hashing until then, and says how the file stands.
    pub(super) fn check(&mut self, file: &Seen, deadline: Instant) -> (Status, String) {
        let wanted = match self.wanted(file) {
            Ok(wanted) => wanted,
            Err(why) => return (Status::Unknown, why),
        };
        match self.hash(file, deadline) {
            Ok(Some(hash)) if hash == wanted => (Status::Ok, format!("SHA-256 {} as expected", hash.short())),
            Ok(Some(hash)) => {
                (Status::Fail, format!("damaged: its SHA-256 is {}, not {}", hash.short(), wanted.short()))
            }
            Ok(None) => {
                let read = self.work.as_ref().map_or(0, |work| work.read);
                let percent = read.saturating_mul(100) / file.size.max(1);
                (Status::Unknown, format!("its SHA-256 is being taken, {percent}% read"))
            }
            Err(why) => {
                self.work = None;
                (Status::Unknown, format!("cannot be hashed: {why}"))
            }
        }
    }

    fn wanted(&self, file: &Seen) -> Result<Hash, String> {
        let path = match &self.wanted {
            Wanted::Given(hash) => return Ok(*hash),
            Wanted::File(path) => path,
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy().replace('*', &file.name);
        let path = path.with_file_name(&name);
        let name = excerpt(&name, 60);
        let mut sums = String::new();
        let open = File::open(&path).map_err(|error| format!("no checksum: {name}: {error}"))?;
        open.take(SUMS_BYTES_MAX).read_to_string(&mut sums).map_err(|error| format!("no checksum: {name}: {error}"))?;
        find(&sums, &file.name).ok_or_else(|| format!("no checksum of {} in {name}", excerpt(&file.name, 60)))
    }

    /// The hash, or nothing where more has to be read.
    fn hash(&mut self, file: &Seen, deadline: Instant) -> Result<Option<Hash>, String> {
        let fresh = self.work.as_ref().is_none_or(|work| work.of != *file);
        if fresh {
            let open = File::open(&file.path).map_err(text)?;
            let hashing = Hashing::default();
            self.work = Some(Work { of: file.clone(), open, hashing, read: 0, hash: None });
        }
        let Some(work) = &mut self.work else { return Ok(None) };
        if work.hash.is_some() {
            return Ok(work.hash);
        }
        let mut buffer = vec![0; 256 << 10];
        loop {
            let count = work.open.read(&mut buffer).map_err(text)?;
            if count == 0 {
                break;
            }
            work.hashing.update(&buffer[..count]);
            work.read += count as u64;
            if Instant::now() >= deadline {
                return Ok(None);
            }
        }
        // What was opened must be what was looked at, and must not have grown or been written to meanwhile.
        let now = work.open.metadata().map_err(text)?;
        let same = now.ino() == file.inode && now.modified().map_err(text)? == file.modified;
        if !same || work.read != file.size {
            return Err("it changed while it was read".into());
        }
        work.hash = Some(std::mem::take(&mut work.hashing).finish());
        Ok(work.hash)
    }
}

/// The sum of that file in a list as `sha256sum` writes it, as BSD's `sha256` or `openssl dgst` do, or the only sum there is.
fn find(sums: &str, name: &str) -> Option<Hash> {
    let sums = sums.trim_start_matches('\u{feff}');
    let all: Vec<_> = sums.lines().filter(|text| !text.trim().is_empty() && !text.starts_with('#')).map(line).collect();
    match &all[..] {
        [Some((sum, of))] if of.is_empty() || of == "-" || of == "stdin" => Some(*sum),
        all => {
            // Two different sums for one name say nothing.
            let mut found = all.iter().flatten().filter(|(_, of)| of == name).map(|(sum, _)| *sum);
            let first = found.next()?;
            found.all(|other| other == first).then_some(first)
        }
    }
}

/// A sum and the name of its file, without folders.
fn line(line: &str) -> Option<(Hash, String)> {
    let line = line.trim_end();
    let name = |of: &str| Path::new(of).file_name().map(|of| of.to_string_lossy().into_owned()).unwrap_or_default();
    // `SHA256 (shop.dump) = …` as BSD and `sha256sum --tag` write it, `SHA2-256(shop.dump)= …` as OpenSSL does.
    if let Some((of, sum)) = line.rsplit_once('=') {
        let (kind, of) = of.trim_end().strip_suffix(')')?.split_once('(')?;
        let kind = kind.trim().to_ascii_uppercase();
        let sum = ["SHA256", "SHA2-256", "SHA-256"].contains(&&*kind).then(|| sum.trim().to_ascii_lowercase());
        return Some((sum?.parse().ok()?, name(of)));
    }
    // A name with a line end or a backslash in it stands behind a backslash, with both written out.
    let (escaped, line) = match line.strip_prefix('\\') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let (sum, rest) = line.split_at_checked(64)?;
    let of = rest.trim_start();
    let of = of.strip_prefix('*').unwrap_or(of);
    let of = if escaped { of.replace("\\n", "\n").replace("\\\\", "\\") } else { of.to_owned() };
    Some((sum.to_ascii_lowercase().parse().ok()?, name(&of)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::seen::look;
    use crate::plan::Template;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn a_file_is_hashed_once_and_again_when_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.dump");
        std::fs::write(&path, b"whole").unwrap();
        let seen = look(&path).unwrap().unwrap();
        let mut sum = Sum::new(&Checksum::Given(Hash::of(b"whole")), &Params::new(), folder.path()).unwrap();
        let (status, why) = sum.check(&seen, soon());
        assert_eq!(status, Status::Ok, "{why}");
        // The same size, time and inode are the same file: it is not opened again.
        std::fs::remove_file(&path).unwrap();
        assert_eq!(sum.check(&seen, soon()).0, Status::Ok);
        std::fs::write(&path, b"wholE").unwrap();
        let (status, why) = sum.check(&look(&path).unwrap().unwrap(), soon());
        assert_eq!(status, Status::Fail);
        assert!(why.starts_with("damaged: "), "{why}");
    }

    #[test]
    fn a_long_file_is_hashed_over_several_readings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        let bytes = vec![7; 1 << 20];
        std::fs::write(&path, &bytes).unwrap();
        let seen = look(&path).unwrap().unwrap();
        let mut sum = Sum::new(&Checksum::Given(Hash::of(&bytes)), &Params::new(), folder.path()).unwrap();
        // A deadline that is over lets one piece through at a time.
        let mut told = vec![];
        loop {
            let (status, why) = sum.check(&seen, Instant::now());
            told.push(why);
            match status {
                Status::Unknown => assert!(told.len() < 10, "{told:?}"),
                status => break assert_eq!(status, Status::Ok),
            }
        }
        assert_eq!(told.len(), 5, "{told:?}");
        assert!(told[1].contains("50% read"), "{told:?}");
        // Written to while it was read: what was hashed is no file that ever stood there.
        let mut sum = Sum::new(&Checksum::Given(Hash::of(&bytes)), &Params::new(), folder.path()).unwrap();
        assert_eq!(sum.check(&seen, Instant::now()).0, Status::Unknown);
        std::fs::File::options().append(true).open(&path).unwrap().set_len(2 << 20).unwrap();
        let (status, why) = sum.check(&seen, soon());
        assert_eq!((status, why.as_str()), (Status::Unknown, "cannot be hashed: it changed while it was read"));
    }

    #[test]
    fn a_list_of_sums_names_the_file() {
        let sum = Hash::of(b"x");
        let other = Hash::of(b"y");
        for (sums, expected) in [
            (format!("{sum}\n"), Some(sum)),
            (format!("{other}  b\n{sum} */srv/a\n"), Some(sum)),
            (format!("{sum}  b\n"), None),
            (format!("SHA256 (a) = {sum}\n"), Some(sum)),
            (format!("SHA256 (/srv/a) = {sum}\nSHA256 (b) = {other}\n"), Some(sum)),
            (format!("SHA256(a)= {sum}\n"), Some(sum)),
            (format!("SHA2-256(/srv/a)= {}\n", sum.to_string().to_uppercase()), Some(sum)),
            (format!("SHA2-256(stdin)= {sum}\n"), Some(sum)),
            (format!("SHA256 (b) = {sum}\n"), None),
            (format!("SHA512 (a) = {sum}\n"), None),
            (format!("MD5 (a) = 9dd4e461268c8034f5c8564e155c67a6\nSHA256 (a) = {sum}\n"), Some(sum)),
            (format!("SHA256 (a) = {sum}\nSHA256 (a) = {other}\n"), None),
            (format!("{sum}  -\n"), Some(sum)),
            (format!("\u{feff}# sums of today\r\n{sum} *a\r\n"), Some(sum)),
            (format!("{sum}  a\n{other}  a\n"), None),
            (String::new(), None),
            ("not a sum at all".to_owned(), None),
            (format!("{}é  a", &sum.to_string()[..63]), None),
        ] {
            assert_eq!(find(&sums, "a"), expected, "{sums}");
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), b"x").unwrap();
        std::fs::write(folder.path().join("a.sha256"), format!("{sum}  a\n")).unwrap();
        let seen = look(&folder.path().join("a")).unwrap().unwrap();
        for (file, status) in [("*.sha256", Status::Ok), ("a.sha256", Status::Ok), ("b.sha256", Status::Unknown)] {
            let wanted = Checksum::File(Template::new(file).unwrap());
            let (found, why) = Sum::new(&wanted, &Params::new(), folder.path()).unwrap().check(&seen, soon());
            assert_eq!(found, status, "{file}: {why}");
        }
    }
}
