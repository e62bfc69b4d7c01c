//! One live session per environment: a lock on a file of its own in the transcripts folder, held for as long as the hub
//! lives. The system lets go of it with the process, however that ends; the file itself stays, and says who held it last.

use super::{HubError, slug};
use crate::hash::Hash;
use crate::plan::Plan;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// More was not written by a hub.
const BYTES_MAX: u64 = 64 * 1024;

/// Who flies in an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flying {
    /// The hub's process.
    pub pid: u32,
    /// Where.
    pub environment: String,
    /// The plan's name.
    pub plan: String,
    /// Its digest.
    pub digest: Hash,
    /// The session's transcript, once it is open.
    pub transcript: Option<PathBuf>,
}

/// The right to fly in an environment.
#[derive(Debug)]
pub struct Environment {
    file: Flock<File>,
    path: PathBuf,
    flying: Flying,
}

impl Environment {
    /// Takes it, or says who has it.
    pub fn take(folder: &Path, plan: &Plan) -> Result<Environment, HubError> {
        let digest = Hash::of(plan.environment.as_bytes()).to_string();
        let path = folder.join(format!("environment-{}-{}.lock", slug(&plan.environment), &digest[..12]));
        let failed = |source| HubError::Environment { path: path.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = match Flock::lock(file.map_err(failed)?, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((file, Errno::EWOULDBLOCK)) => {
                return Err(HubError::Flying {
                    environment: plan.environment.clone(),
                    who: read(&file).map(Box::new),
                    digest: plan.digest,
                });
            }
            Err((_, errno)) => return Err(failed(errno.into())),
        };
        let flying = Flying {
            pid: std::process::id(),
            environment: plan.environment.clone(),
            plan: plan.name.clone(),
            digest: plan.digest,
            transcript: None,
        };
        let mut environment = Environment { file, path, flying };
        environment.tell()?;
        Ok(environment)
    }

    /// Says which session it is, for whoever comes second.
    pub fn flies(&mut self, transcript: &Path) -> Result<(), HubError> {
        self.flying.transcript = Some(transcript.to_owned());
        self.tell()
    }

    fn tell(&mut self) -> Result<(), HubError> {
        let told = (|| {
            let text = serde_json::to_vec(&self.flying).map_err(io::Error::other)?;
            self.file.rewind()?;
            self.file.set_len(0)?;
            self.file.write_all(&text)
        })();
        told.map_err(|source| HubError::Environment { path: self.path.clone(), source })
    }
}

/// Who holds it; nothing where that is being written, or was written by something else.
fn read(mut file: &File) -> Option<Flying> {
    let mut text = vec![];
    file.rewind().ok()?;
    file.take(BYTES_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The words for who comes second. The same plan is a session to join; another one has to wait.
pub(super) fn told(environment: &str, who: Option<&Flying>, digest: &Hash) -> String {
    let shown = crate::name::shown;
    let environment = shown(environment);
    let Some(who) = who else {
        return format!(
            "another hub flies in the environment {environment}; it does not say which\nhint: end it first"
        );
    };
    let transcript = who.transcript.as_ref().map_or(String::new(), |path| shown(&path.display().to_string()));
    let hint = "join it with one of its links (host finds it by itself), or end it first";
    match who.digest == *digest {
        true => format!("another hub (process {}) has this session: {transcript}\nhint: {hint}", who.pid),
        false => format!(
            "another hub (process {}) flies in the environment {environment}: {:?}, {transcript}\n\
             hint: one session at a time in one environment; {hint}",
            who.pid,
            shown(&who.plan)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(name: &str, environment: &str) -> Plan {
        let head = format!("crosscheck = 1\nname = {name:?}\nenvironment = {environment:?}\n");
        Plan::parse("p", &format!("{head}crew = {{ lead = [\"a\"] }}\n")).unwrap()
    }

    #[test]
    fn an_environment_is_flown_in_once_and_is_free_again_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("transcripts");
        let (one, other) = (plan("one", "prod-eu1"), plan("two", "prod-eu1"));
        let mut held = Environment::take(&folder, &one).unwrap();
        let said = Environment::take(&folder, &other).unwrap_err().to_string();
        assert!(said.contains("flies in the environment prod-eu1: \"one\""), "{said}");
        held.flies(Path::new("/t/one.jsonl")).unwrap();
        for (second, words) in [(&one, "has this session: /t/one.jsonl"), (&other, "\"one\", /t/one.jsonl\nhint: ")] {
            let said = Environment::take(&folder, second).unwrap_err().to_string();
            assert!(said.contains(words) && said.contains(&std::process::id().to_string()), "{said}");
        }
        // Names that a file's name would make one are still two.
        for elsewhere in ["prod-eu2", "PROD-EU1", "prod eu1", "prod/eu1", "é"] {
            Environment::take(&folder, &plan("two", elsewhere)).unwrap();
        }
        drop(held);
        let again = Environment::take(&folder, &other).unwrap();
        std::fs::write(&again.path, "not json").unwrap();
        let said = Environment::take(&folder, &one).unwrap_err().to_string();
        assert!(said.contains("does not say which"), "{said}");
    }
}
