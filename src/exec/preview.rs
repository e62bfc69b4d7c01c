//! Runs a preview: a frozen command of which the hub itself reads what it prints, for so long, so much, and no more.
//!
//! It is opened and held against what was frozen like any other command, and all that it starts ends with it, wherever that
//! went: nothing of a preview is left when the answer is given. Blocks. Start at [`look`].

use super::keeper::{self, Family};
use super::opened::{ByName, Opened};
use super::spawn::Image;
use super::starting::StartError;
use crate::clock::human;
use crate::name::shown;
use crate::secret::Given;
use nix::sys::signal::Signal;
use std::io::{self, Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// What is shown has to be read by everyone who checks the step.
pub const OUTPUT_MAX: usize = 64 * 1024;
/// What is kept of its complaints.
const COMPLAINT_MAX: usize = 4096;
/// How long output may still come after the command ended. Something it left behind may hold the pipe open for ever.
const DRAIN: Duration = Duration::from_millis(500);
/// How long what was killed may take to be gone.
const DYING: Duration = Duration::from_secs(3);
/// Where nothing says how long it may take.
const TIME: Duration = Duration::from_secs(60);

/// Why a preview said nothing that could be shown.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the message names every field
pub enum PreviewError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("it could not be run: {0}")]
    Resource(#[from] io::Error),
    #[error("it did not end within {} and was killed{}", human(*.after), said(.complaint))]
    Late { after: Duration, complaint: String },
    #[error("it failed ({end}){}", said(.complaint))]
    Failed { end: String, complaint: String },
    #[error("it prints more than {} KiB; let it say it shorter, everybody has to read it", OUTPUT_MAX / 1024)]
    TooLong,
    #[error("it ended, and something that it started still holds its output open; let it wait for what it starts")]
    HeldOpen,
    #[error("what it prints is not UTF-8 text")]
    NotText,
    #[error("nobody knows what ran: while it ran, {what}")]
    Changed { what: String },
}

/// Its last complaint, for the end of a sentence.
fn said(complaint: &str) -> String {
    match complaint.lines().rev().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) => format!(": {}", shown(&line.chars().take(200).collect::<String>())),
        None => String::new(),
    }
}

/// A command of which nothing outlives this value, but what this user may not kill.
struct Group {
    family: Family,
    /// Dropped, it has the thread that waits for the command end all of it.
    finish: Option<Sender<()>>,
    /// That thread is over.
    finished: Receiver<()>,
}

impl Drop for Group {
    fn drop(&mut self) {
        self.family.kill();
        self.finish = None;
        let _ = self.finished.recv_timeout(DYING); // it never says anything: it ends
    }
}

enum News {
    /// All of its output, or one byte more than is wanted.
    Said(Vec<u8>),
    Complained(Vec<u8>),
    Ended(io::Result<ExitStatus>),
}

/// Runs what was opened, and returns what it printed, secrets taken out.
pub fn look(opened: Opened<'_>, given: &Given) -> Result<String, PreviewError> {
    let (covers, by_name) = (opened.covers, opened.by_name);
    if covers.secrets.is_empty() != given.env.is_empty() {
        return Err(StartError::Secrets.into());
    }
    let env = given.env.over(&covers.env);
    let image = Image { env: &env, ..opened.image };
    let ((out, their_out), (err, their_err)) = (io::pipe()?, io::pipe()?);
    let (stdin, fed) = match (opened.stdin, &covers.stdin) {
        (Some(file), _) => (Stdio::from(file), None),
        (None, Some(text)) => {
            let (theirs, ours) = io::pipe()?;
            (theirs.into(), Some((ours, text.clone())))
        }
        (None, None) => (Stdio::null(), None),
    };
    let failed = |source| StartError::Exec { path: covers.exe.path.clone().into(), source };
    let mut child = keeper::spawn(&image, [stdin, their_out.into(), their_err.into()], false, None).map_err(failed)?;
    if let Err(error) = child.identify() {
        child.end();
        return Err(error.into());
    }
    let ((finish, goes_on), (over, finished)) = (mpsc::channel(), mpsc::channel());
    let group = Group { family: child.family(), finish: Some(finish), finished };
    let after = covers.timeout_ms.map_or(TIME, Duration::from_millis);
    let end = Instant::now() + after;

    let (news, heard) = mpsc::channel();
    let (out_news, err_news) = (news.clone(), news.clone());
    // Each ends once the pipes are closed, which they are at the latest when the whole session is killed.
    thread(move || tell(&out_news, News::Said(read(out, OUTPUT_MAX + 1))))?;
    thread(move || {
        let complaint = read(&err, COMPLAINT_MAX);
        tell(&err_news, News::Complained(complaint));
        let _ = io::copy(&mut &err, &mut io::sink()); // so that it never blocks on a full pipe
    })?;
    thread(move || {
        tell(&news, News::Ended(child.wait()));
        let _ = goes_on.recv(); // an error: that is how it is told
        child.end();
        drop::<Sender<()>>(over);
    })?;
    if let Some((mut to, text)) = fed {
        thread(move || drop(to.write_all(text.as_bytes())))?; // nobody has to read it
    }

    let (mut output, mut complaint, mut ended, mut status) = (None, vec![], None::<Instant>, None);
    while output.is_none() || ended.is_none() {
        let until = ended.map_or(end, |ended| ended + DRAIN);
        match heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(News::Said(bytes)) if bytes.len() > OUTPUT_MAX => return Err(PreviewError::TooLong),
            Ok(News::Said(bytes)) => output = Some(bytes),
            Ok(News::Complained(bytes)) => complaint = bytes,
            Ok(News::Ended(how)) => (ended, status) = (Some(Instant::now()), Some(how)),
            Err(RecvTimeoutError::Timeout) if ended.is_some() => return Err(PreviewError::HeldOpen),
            Err(_) => {
                drop(group);
                if let Ok(News::Complained(bytes)) = heard.recv_timeout(DRAIN) {
                    complaint = bytes;
                }
                return Err(PreviewError::Late { after, complaint: clean(&complaint, given) });
            }
        }
    }
    drop(group);
    let status = status.unwrap_or_else(|| Err(io::Error::other("nobody knows how it ended")))?;
    if !status.success() {
        if complaint.is_empty()
            && let Ok(News::Complained(bytes)) = heard.recv_timeout(DRAIN)
        {
            complaint = bytes;
        }
        let end = match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit {code}"),
            (None, signal) => {
                let signal = signal.and_then(|signal| Signal::try_from(signal).ok());
                format!("ended by {}", signal.map_or("a signal", Signal::as_str))
            }
        };
        return Err(PreviewError::Failed { end, complaint: clean(&complaint, given) });
    }
    let mut changed = by_name.iter().filter_map(ByName::changed);
    if let Some(what) = changed.next() {
        return Err(PreviewError::Changed { what });
    }
    let output = String::from_utf8(output.unwrap_or_default()).map_err(|_| PreviewError::NotText)?;
    Ok(without_secrets(output, given))
}

fn clean(complaint: &[u8], given: &Given) -> String {
    without_secrets(String::from_utf8_lossy(complaint).into_owned(), given)
}

fn without_secrets(text: String, given: &Given) -> String {
    match &given.needles {
        Some(needles) => needles.text(&text),
        None => text,
    }
}

fn tell(news: &Sender<News>, what: News) {
    let _ = news.send(what); // nobody listens where the answer was given already
}

fn thread(body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name("preview".to_owned()).spawn(body).map(drop)
}

/// The beginning of a stream. What cannot be read ends it, as its writer's end would.
fn read(from: impl Read, most: usize) -> Vec<u8> {
    let mut bytes = vec![];
    let _ = from.take(most as u64).read_to_end(&mut bytes);
    bytes
}
