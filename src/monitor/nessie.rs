//! Where a branch or tag of Project Nessie stands, over version 2 of its REST API.
//!
//! `fail` means that Nessie answered and the answer is bad, a missing branch included. Who is not let in, gets no answer in
//! time or an answer that is not Nessie's reads unknown. Nessie has no uncommitted changes: every change is a commit, so what
//! is not yet merged is `ahead`. Its access rules cannot be read through the API, so nothing is said of protection.

use super::heads::{Heads, short};
use super::web::{self, NoAnswer};
use super::{Findings, bytes, excerpt, prometheus, text};
use crate::event::{Reading, Status};
use crate::plan::{self, Params};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// See the module.
pub(super) struct Nessie {
    client: reqwest::Client,
    no_roots: Option<String>,
    page: reqwest::Url,
    other: Option<(String, reqwest::Url)>,
    name: String,
    token_file: Option<PathBuf>,
    expect: plan::Nessie,
    heads: Heads,
}

/// What Nessie says of a branch or tag.
#[derive(Debug, Clone, PartialEq)]
enum Reference {
    /// It is there.
    At(At),
    /// There is none of that name.
    Missing,
}

#[derive(Debug, Clone, PartialEq)]
struct At {
    /// Its type in Nessie's words: `BRANCH` or `TAG`.
    kind: String,
    head: String,
    /// Commits that the default branch has not, and that this one has not; the default branch itself has neither.
    ahead: Option<u64>,
    behind: Option<u64>,
}

impl Nessie {
    /// Fills the templates in.
    pub(super) fn new(expect: &plan::Nessie, params: &Params, folder: &Path) -> Result<Self, String> {
        let (client, no_roots) = web::client()?;
        let of = |template: &plan::Template| template.render(params).map_err(text);
        let maybe = |template: &Option<plan::Template>| template.as_ref().map(of).transpose();
        let uri = web::url(&of(&expect.uri)?)?;
        let name = of(&expect.reference)?;
        let other = maybe(&expect.same_head_as)?;
        let other = other.map(|other| Ok::<_, String>((other.clone(), page(&uri, &other)?))).transpose()?;
        Ok(Nessie {
            client,
            no_roots,
            page: page(&uri, &name)?,
            other,
            name,
            token_file: maybe(&expect.token_file)?.map(|file| folder.join(file)),
            expect: expect.clone(),
            heads: Heads::new(maybe(&expect.expect_head)?, expect.on_move),
        })
    }

    /// Asks once.
    pub(super) async fn read(&mut self, limit: Duration) -> Reading {
        // A little less than the loop gives, so that it can be said how far it came.
        let until = Instant::now() + limit.mul_f64(0.9);
        let mut bearer = None;
        if let Some(path) = &self.token_file {
            match timeout_at(until, prometheus::token(path)).await {
                Ok(Ok(token)) => bearer = Some(token),
                Ok(Err(why)) => return Reading::unknown(format!("no token to ask with: {why}")),
                Err(_) => return Reading::unknown("no token to ask with: its file cannot be read in time"),
            }
        }
        let found = match self.ask(&self.page, bearer.as_deref(), until).await {
            Ok(Reference::At(found)) => found,
            Ok(Reference::Missing) => {
                let mut findings = Findings::default();
                findings.add(Status::Fail, format!("Nessie has no branch or tag {:?}", excerpt(&self.name, 60)));
                return findings.reading("", None, "");
            }
            Err(why) => return Reading::unknown(why),
        };
        let other = match &self.other {
            None => None,
            Some((name, page)) => match self.ask(page, bearer.as_deref(), until).await {
                Ok(answer) => Some((name.clone(), answer)),
                Err(why) => return Reading::unknown(format!("{}: {why}", excerpt(name, 60))),
            },
        };
        self.judge(&found, other)
    }

    async fn ask(&self, page: &reqwest::Url, bearer: Option<&str>, until: Instant) -> Result<Reference, String> {
        let mut request = self.client.get(page.clone());
        if let Some(token) = bearer {
            request = request.bearer_auth(token);
        }
        match web::get(request, page, until).await {
            Ok(answer) if !answer.whole => Err(format!("an answer of more than {}", bytes(web::BODY_BYTES_MAX as u64))),
            Ok(answer) => decoded(answer.status.as_u16(), &answer.body),
            Err(NoAnswer { why, .. }) => {
                let roots = self.no_roots.as_deref().filter(|_| page.scheme() == "https");
                let roots = roots.map(|why| format!(" ({why})")).unwrap_or_default();
                Err(format!("no answer: {why}{roots}"))
            }
        }
    }

    fn judge(&mut self, found: &At, other: Option<(String, Reference)>) -> Reading {
        let mut findings = Findings::default();
        self.heads.judge(&found.head, &mut findings);
        match other {
            Some((name, Reference::Missing)) => {
                let why = format!("Nessie has no branch or tag {:?} to hold it against", excerpt(&name, 60));
                findings.add(Status::Fail, why);
            }
            Some((name, Reference::At(at))) if at.head != found.head => {
                findings.add(Status::Fail, format!("{} is at {}", excerpt(&name, 60), short(&at.head)));
            }
            _ => {}
        }
        for (commits, most, word) in
            [(found.ahead, self.expect.max_ahead, "ahead of"), (found.behind, self.expect.max_behind, "behind")]
        {
            match (commits, most) {
                (Some(commits), Some(most)) if commits > most => {
                    let why = format!("{commits} commits {word} the default branch, at most {most} allowed");
                    findings.add(Status::Fail, why);
                }
                (None, Some(_)) => {
                    let why = format!("Nessie does not say how far it is {word} the default branch");
                    findings.add(Status::Unknown, why);
                }
                _ => {}
            }
        }
        let distance = match (found.ahead, found.behind) {
            (Some(ahead), Some(behind)) => format!(", {ahead} ahead, {behind} behind"),
            _ => String::new(),
        };
        let seen =
            format!("{} {} at {}{distance}", found.kind.to_lowercase(), excerpt(&self.name, 60), short(&found.head));
        // Who could not tell has no number to tell either.
        let value = found.ahead.filter(|_| findings.worst() != Status::Unknown);
        findings.reading(&seen, value.map(|ahead| ahead as f64), "commits")
    }
}

/// Where a branch or tag is asked for. Its name is one part of the path, whatever is in it.
fn page(uri: &reqwest::Url, name: &str) -> Result<reqwest::Url, String> {
    // These would be taken for steps in the path, and another page be asked.
    if name.is_empty() || name.split('/').any(|part| part == "." || part == "..") {
        return Err(format!("{:?} is no name of a branch or tag", excerpt(name, 60)));
    }
    let mut page = uri.clone();
    {
        let mut path = page.path_segments_mut().map_err(|()| "no address that has pages".to_owned())?;
        path.pop_if_empty().push("trees").push(name);
    }
    page.query_pairs_mut().append_pair("fetch", "ALL");
    Ok(page)
}

fn decoded(status: u16, body: &[u8]) -> Result<Reference, String> {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let json = json.as_ref().filter(|json| json.is_object());
    let error = json.and_then(|json| json["errorCode"].as_str());
    match (status, error) {
        // Any web server answers 404; only Nessie says what is not there.
        (404, Some("REFERENCE_NOT_FOUND")) => return Ok(Reference::Missing),
        (401, _) => return Err("Nessie lets nobody in without a valid token (status 401)".into()),
        (403, _) => return Err("whose token this is may not see it (status 403)".into()),
        (200, _) => {}
        (_, Some(code)) => {
            let said = json.and_then(|json| json["message"].as_str()).unwrap_or("it does not say why");
            return Err(format!("Nessie says {} (status {status}): {}", excerpt(code, 40), excerpt(said, 120)));
        }
        _ => {
            let said = excerpt(&String::from_utf8_lossy(body), 80);
            return Err(format!("status {status}, and its body is no answer of Nessie: {said}"));
        }
    }
    let strange = || format!("not an answer of Nessie: {}", excerpt(&String::from_utf8_lossy(body), 80));
    let found = &json.ok_or_else(strange)?["reference"];
    let head = found["hash"].as_str().filter(|hash| !hash.is_empty() && hash.bytes().all(|b| b.is_ascii_hexdigit()));
    let kind = found["type"].as_str().filter(|kind| ["BRANCH", "TAG"].contains(kind));
    let (Some(head), Some(kind)) = (head, kind) else { return Err(strange()) };
    let metadata = &found["metadata"];
    Ok(Reference::At(At {
        kind: kind.to_owned(),
        head: head.to_owned(),
        ahead: metadata["numCommitsAhead"].as_u64(),
        behind: metadata["numCommitsBehind"].as_u64(),
    }))
}

#[cfg(test)]
mod tests;
