//! A step's signatures as files that an auditor checks without this program: the statements and signatures, the lines
//! they name, the keys as the session had them, and a script of a page that puts `ssh-keygen` and `sha256sum` to work.

use super::ReportError;
use crate::clock::At;
use crate::event::Event;
use crate::name::{Principal, StepId};
use crate::session::Session;
use crate::session::signing::{self, Act};
use crate::transcript::read::Reader;
use crate::trust::key::PublicKey;
use crate::trust::statement::{Purpose, Signed};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The script. Nothing in it but a shell, `ssh-keygen`, `sha256sum`, `sed`, `grep`, `sort` and `wc`.
const SCRIPT: &str = include_str!("evidence.sh");

/// One signature to be written.
struct Found {
    by: Principal,
    signed: Signed,
    /// When the hub wrote its line: the time at which its key must have been valid.
    at: At,
}

/// A step's evidence, ready to be written.
pub struct Evidence {
    step: StepId,
    lines: Vec<String>,
    found: Vec<Found>,
    keys: BTreeMap<Principal, BTreeSet<PublicKey>>,
    /// On which data it was only a rehearsal.
    rehearsal: Option<String>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The transcript cannot be read.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// It breaks, or a signature does not hold.
    #[error("line {at}: {why}")]
    Broken {
        /// The line.
        at: u64,
        /// What is wrong.
        why: String,
    },
    /// The step is not in the plan.
    #[error("the plan of this session has no step {0}")]
    NoSuchStep(StepId),
    /// Nobody signed anything about it.
    #[error("nobody signed anything about step {0}")]
    Nothing(StepId),
    /// The files cannot be written.
    #[error("{path} cannot be written: {source}", path = path.display())]
    Write {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Evidence {
    /// Collects it; every signature on the way is checked.
    pub fn of_step(transcript: &Path, step: &StepId) -> Result<Evidence, EvidenceError> {
        let mut session: Option<Session> = None;
        let mut evidence =
            Evidence { step: step.clone(), lines: vec![], found: vec![], keys: BTreeMap::new(), rehearsal: None };
        // From its first `StepArmed` on every line stands there, so that each can be linked to the one before.
        let mut begun = false;
        for next in Reader::open(transcript).map_err(ReportError::from)? {
            let (line, bytes, head) = match next {
                Ok(next) => next,
                Err(crate::transcript::read::ReadError::Torn { .. }) => break,
                Err(error) => {
                    let at = session.as_ref().map_or(1, |session| session.seq + 1);
                    return Err(EvidenceError::Broken { at, why: error.to_string() });
                }
            };
            let Some(session) = &mut session else {
                let opened = Session::open(&line, head.hash).map_err(ReportError::from)?;
                evidence.rehearsal = opened.rehearsal().map(str::to_owned);
                session = Some(opened);
                continue;
            };
            let proof = signing::verify_line(session, &line)
                .map_err(|error| EvidenceError::Broken { at: line.seq, why: error.to_string() })?;
            let about = line.event.step() == Some(step);
            begun |= about && matches!(line.event, Event::StepArmed { .. });
            if begun {
                evidence.lines.push(String::from_utf8_lossy(&bytes).into_owned());
            }
            if let (true, Some(proof), Some((_, Some(signed)))) = (about, proof, Act::of_event(&line.event)) {
                evidence.keys.entry(line.by.clone()).or_default().insert(proof.key);
                evidence.found.push(Found { by: line.by.clone(), signed: signed.clone(), at: line.at });
            }
            session.apply(&line, head.hash);
            let over = session.steps.get(step).is_some_and(|state| state.phase.is_over());
            if begun && over && matches!(line.event, Event::CheckpointSigned { .. }) {
                break; // its whole life, and the hub's signature over it
            }
        }
        // A step may have been typed long after the session opened.
        if session.is_none_or(|session| session.plan.step(step).is_none()) {
            return Err(EvidenceError::NoSuchStep(step.clone()));
        }
        match evidence.found.is_empty() {
            true => Err(EvidenceError::Nothing(step.clone())),
            false => Ok(evidence),
        }
    }

    /// Writes the files into a folder that is not there yet.
    pub fn write(&self, folder: &Path) -> Result<(), EvidenceError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| EvidenceError::Write { path, source }
        };
        fs::create_dir(folder).map_err(failed(folder))?;
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(failed(&path))
        };
        let mut index = String::new();
        for (number, Found { by, signed, at }) in (1..).zip(&self.found) {
            let name = format!("{number:02}-{}", file_name(by));
            write(&format!("{name}.stmt"), &signed.statement)?;
            write(&format!("{name}.sig"), &signed.signature)?;
            let _ = writeln!(index, "{name} {by} {}", at.compact().replace('T', "")); // writing to a String cannot fail
        }
        let mut keys = String::new();
        for (who, of_theirs) in &self.keys {
            for key in of_theirs {
                let _ = writeln!(keys, "{who} namespaces=\"{}\" {key}", Purpose::Approve.namespace());
            }
        }
        write("allowed_signers", &keys)?;
        write("lines.jsonl", &self.lines.concat())?;
        write("index", &index)?;
        write("check.sh", SCRIPT)?;
        write("step", &format!("{}\n", self.step))?;
        write("README", &self.readme())
    }

    fn readme(&self) -> String {
        let mut text = self.rehearsal.as_ref().map_or_else(String::new, |data| {
            let data = crate::name::shown(data);
            format!("THIS WAS A REHEARSAL, on {data}: nothing live was run, and no statement of it is worth anything live.\n\n")
        });
        text += &format!(
            "Evidence for step {} of a crosscheck session.\n\n\
             sh check.sh        checks all of it with ssh-keygen and sha256sum, and says what it found\n\n\
             By hand, for each NN-NAME:\n",
            self.step
        );
        for (number, Found { by, at, .. }) in (1..).zip(&self.found) {
            let name = format!("{number:02}-{}", file_name(by));
            let _ = writeln!(
                text,
                "  ssh-keygen -Y verify -f allowed_signers -I {by} -n {} -s {name}.sig -Overify-time={} < {name}.stmt",
                Purpose::Approve.namespace(),
                at.compact().replace('T', "")
            );
        }
        text += "\n\
             request-seq and request-hash in a statement name the line of lines.jsonl that was signed:\n  \
             grep '^{\"v\":1,\"seq\":N,' lines.jsonl | sha256sum\n\
             must print request-hash. The next line's \"prev\" is the same hash; and so on to the end.\n\n\
             What this shows: holders of these keys approved exactly these bytes. What it does not: that they read them, that the\n\
             machine ran nothing else, or who holds a key. Compare allowed_signers with your own list of keys; two keys of one\n\
             person under two names cannot be seen here. A touch of a security key is visible with ssh-keygen -vv.\n";
        text
    }
}

/// A principal as a part of a file's name.
fn file_name(who: &Principal) -> String {
    who.as_str().chars().map(|c| if c.is_ascii_alphanumeric() || "@.-_".contains(c) { c } else { '_' }).collect()
}
