//! Telling somebody outside: one POST, or one program that reads what there is to tell. Beside the watches because it asks
//! through the same client and runs programs in the same way. Nothing here is tried twice; who asked decides that.

use super::child::{Program, TEXT_BYTES_MAX, said, signal};
use super::{excerpt, web};
use crate::clock::human;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// What is read of an answer that is a no, at most;
const ANSWER_BYTES_MAX: usize = 4096;
/// and what of it is shown.
const ANSWER: usize = 80;

/// Why somebody was not told. Never names more of an address than its host: the rest may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTold {
    /// The reason, for people.
    pub why: String,
    /// Whether the same may be tried again.
    pub again: Again,
}

/// Whether trying again makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// The answer was a no to exactly this.
    Never,
    /// It may work later.
    Later,
    /// They said when.
    After(Duration),
}

impl NotTold {
    fn new(why: impl Into<String>, again: Again) -> NotTold {
        NotTold { why: why.into(), again }
    }
}

/// Posts JSON. Any 2xx is a yes; redirects are not followed, wherever they point.
pub async fn post(address: &str, body: String, within: Duration) -> Result<(), NotTold> {
    // Without the text, which may be a secret as a whole.
    let url = match reqwest::Url::parse(address) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        Ok(_) => return Err(NotTold::new("its address is neither http nor https", Again::Never)),
        Err(error) => return Err(NotTold::new(format!("its address is no URL: {error}"), Again::Never)),
    };
    let (client, no_roots) = web::client().map_err(|why| NotTold::new(why, Again::Later))?;
    let request = client.post(url.clone()).header(reqwest::header::CONTENT_TYPE, "application/json").body(body);
    let until = Instant::now() + within;
    let mut answer = web::send(request, &url, until).await.map_err(|no_answer| {
        let roots = no_roots.filter(|_| url.scheme() == "https").map(|why| format!(" ({why})")).unwrap_or_default();
        NotTold::new(format!("{}{roots}", no_answer.why), Again::Later)
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(()); // whatever else they have to say: to tell them again because of it would tell them twice
    }
    let (code, host) = (status.as_u16(), web::host(&url));
    if status.is_redirection() {
        let why = format!("{host} answered {code} and points elsewhere; redirects are not followed");
        return Err(NotTold::new(why, Again::Never));
    }
    let retry_after = answer.headers().get(reqwest::header::RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok()).map(Duration::from_secs);
    let mut body = vec![];
    while body.len() < ANSWER_BYTES_MAX
        && let Ok(Ok(Some(chunk))) = tokio::time::timeout_at(until, answer.chunk()).await
    {
        body.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES_MAX - body.len())]);
    }
    let line = String::from_utf8_lossy(&body).lines().next().map(|line| excerpt(line, ANSWER)).unwrap_or_default();
    let line = if line.is_empty() { line } else { format!(": {line}") };
    let again = match (code, retry_after) {
        (429 | 503, Some(wait)) => Again::After(wait),
        (408 | 425 | 429 | 500..=599, _) => Again::Later,
        _ => Again::Never,
    };
    Err(NotTold::new(format!("{host} answered {code}{line}"), again))
}

/// Runs a program that reads `input`; exit 0 is a yes.
pub async fn run(
    argv: Vec<String>,
    folder: &Path,
    env: Vec<(OsString, OsString)>,
    input: String,
    within: Duration,
) -> Result<(), NotTold> {
    let program = Program { argv, folder: folder.to_owned(), env, timeout: within, keep: TEXT_BYTES_MAX };
    let ended = match program.fed(input.into_bytes()).await {
        Ok(ended) => ended,
        Err(failed) => return Err(NotTold::new(failed.why(true), Again::Later)),
    };
    match ended.status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(NotTold::new(format!("exit {code}{}", said(&ended.err, &ended.out)), Again::Later)),
        None => {
            let why = format!("ended by {} within {}", signal(ended.status), human(within));
            Err(NotTold::new(why, Again::Later))
        }
    }
}
