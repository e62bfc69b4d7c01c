//! Where a branch or tag of lakeFS stands, over version 1 of its API.
//!
//! `fail` means that lakeFS answered and the answer is bad, a missing branch included. Who is not let in, gets no answer in
//! time or an answer that is not lakeFS's reads unknown. Its API says of no branch how far it is from another one, so the two
//! logs are read, newest first, until they meet.

use super::headers::From as Secret;
use super::heads::{Heads, short};
use super::web::{self, NoAnswer};
use super::{Findings, bytes, excerpt, text};
use crate::event::{Reading, Status};
use crate::plan::{self, Params};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Commits that are asked for at a time, of each log: most branches left the other one a few commits ago. Past all of them
/// nothing is claimed.
const PAGES: [usize; 3] = [50, 250, 1000];
/// The most that the API gives of a list at once.
const PAGE_MAX: u64 = 1000;

/// See the module.
pub(super) struct Lakefs {
    client: reqwest::Client,
    no_roots: Option<String>,
    /// Where the repository is.
    repository: reqwest::Url,
    name: String,
    other: Option<String>,
    base: Option<String>,
    key: Option<(String, Secret)>,
    expect: plan::Lakefs,
    heads: Heads,
}

/// What is known of a branch or tag in one reading.
#[derive(Debug, Clone, PartialEq)]
struct At {
    branch: bool,
    head: String,
    /// Where another one stands that has to stand there too, with its name.
    other: Option<(String, Option<String>)>,
    /// Commits that the base has not, and that this one has not.
    ahead: Option<Count>,
    behind: Option<Count>,
    /// Objects changed and not committed, and whether there are more.
    uncommitted: Option<(u64, bool)>,
    protected: Option<Result<bool, String>>,
}

/// Commits on one side alone; where the logs do not meet within what is read, so many at least.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Count {
    Exactly(u64),
    AtLeast(u64),
}

/// What came back.
enum Got {
    Json(Value),
    /// lakeFS says that there is no such thing.
    Missing,
}

/// Who asks in this reading, and until when.
struct Asking<'a> {
    lakefs: &'a Lakefs,
    secret: Option<String>,
    until: Instant,
}

#[derive(Deserialize)]
struct Page<T> {
    pagination: Pagination,
    results: Vec<T>,
}

#[derive(Deserialize)]
struct Pagination {
    has_more: bool,
    next_offset: String,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
    parents: Vec<String>,
    creation_date: i64,
}

/// The newest commits of a reference, as far as they were read.
#[derive(Default)]
struct Log {
    commits: BTreeMap<String, (Vec<String>, i64)>,
    /// Where the next page begins.
    after: Option<String>,
    whole: bool,
    oldest: i64,
}

impl Log {
    fn add(&mut self, page: Page<Commit>) {
        for commit in page.results {
            self.oldest = commit.creation_date;
            self.commits.insert(commit.id, (commit.parents, commit.creation_date));
        }
        self.whole = !page.pagination.has_more;
        self.after = Some(page.pagination.next_offset);
    }

    /// Commits from that one on that are not in the other log. lakeFS lists the newest first, so what is younger than the
    /// oldest that was read of the other one, and is not in there, is not on that side.
    fn alone(&self, from: &str, other: &Log) -> Count {
        let (mut next, mut seen) = (vec![from], BTreeSet::new());
        let mut count = 0;
        let mut met = true;
        while let Some(id) = next.pop() {
            if other.commits.contains_key(id) || !seen.insert(id) {
                continue;
            }
            match self.commits.get(id) {
                Some((parents, date)) if other.whole || *date > other.oldest => {
                    count += 1;
                    next.extend(parents.iter().map(String::as_str));
                }
                _ => met = false,
            }
        }
        if met { Count::Exactly(count) } else { Count::AtLeast(count) }
    }
}

impl Lakefs {
    /// Fills the templates in.
    pub(super) fn new(expect: &plan::Lakefs, params: &Params, folder: &Path) -> Result<Self, String> {
        let (client, no_roots) = web::client()?;
        let of = |template: &plan::Template| template.render(params).map_err(text);
        let maybe = |template: &Option<plan::Template>| template.as_ref().map(of).transpose();
        let mut repository = web::url(&of(&expect.uri)?)?;
        let (name, other, base) = (of(&expect.reference)?, maybe(&expect.same_head_as)?, maybe(&expect.base)?);
        let repository_name = of(&expect.repository)?;
        for part in [&repository_name, &name].into_iter().chain(&other).chain(&base) {
            // These would be taken for steps in the path, and another page be asked.
            if part.is_empty() || part.split('/').any(|part| part == "." || part == "..") {
                return Err(format!("{:?} is no name in lakeFS", excerpt(part, 60)));
            }
        }
        {
            let mut path = repository.path_segments_mut().map_err(|()| "no address that has pages".to_owned())?;
            path.pop_if_empty().extend(["repositories", &*repository_name]);
        }
        let key =
            expect.key.as_ref().map(|(id, secret)| Ok::<_, String>((of(id)?, Secret::new(secret, params, folder)?)));
        let heads = Heads::new(maybe(&expect.expect_head)?, expect.on_move);
        let key = key.transpose()?;
        Ok(Lakefs { client, no_roots, repository, name, other, base, key, expect: expect.clone(), heads })
    }

    /// Asks once.
    pub(super) async fn read(&mut self, limit: Duration) -> Reading {
        // A little less than the loop gives, so that it can be said how far it came.
        let until = Instant::now() + limit.mul_f64(0.9);
        let secret = match &self.key {
            None => None,
            Some((_, secret)) => match secret.line(until).await {
                Ok(secret) => Some(secret),
                Err(why) => return Reading::unknown(format!("no secret_access_key to ask with: {why}")),
            },
        };
        let asking = Asking { lakefs: self, secret, until };
        match asking.look().await {
            Ok(Ok(at)) => self.judge(&at),
            Ok(Err(missing)) => {
                let mut findings = Findings::default();
                findings.add(Status::Fail, missing);
                findings.reading("", None, "")
            }
            Err(why) => Reading::unknown(why),
        }
    }

    fn judge(&mut self, at: &At) -> Reading {
        let mut findings = Findings::default();
        self.heads.judge(&at.head, &mut findings);
        match &at.other {
            Some((name, None)) => {
                let why = format!("lakeFS has no {:?} to hold it against", excerpt(name, 60));
                findings.add(Status::Fail, why);
            }
            Some((name, Some(head))) if *head != at.head => {
                findings.add(Status::Fail, format!("{} is at {}", excerpt(name, 60), short(head)));
            }
            _ => {}
        }
        let mut seen =
            format!("{} {} at {}", if at.branch { "branch" } else { "tag" }, excerpt(&self.name, 60), short(&at.head));
        let base = excerpt(self.base.as_deref().unwrap_or_default(), 60);
        for (commits, most, word) in
            [(at.ahead, self.expect.max_ahead, "ahead of"), (at.behind, self.expect.max_behind, "behind")]
        {
            let Some(commits) = commits else { continue };
            let told = match commits {
                Count::Exactly(commits) => format!("{commits} {word} {base}"),
                Count::AtLeast(commits) => format!("at least {commits} {word} {base}"),
            };
            seen += &format!(", {told}");
            match (commits, most) {
                (Count::Exactly(commits) | Count::AtLeast(commits), Some(most)) if commits > most => {
                    findings.add(Status::Fail, format!("{told}, at most {most} allowed"));
                }
                (Count::AtLeast(_), _) => {
                    let read: usize = PAGES.iter().sum();
                    findings
                        .add(Status::Unknown, format!("how many {word} {base}: not told by the last {read} commits"));
                }
                _ => {}
            }
        }
        if let Some((objects, more)) = at.uncommitted {
            let told = format!("{}{objects} uncommitted", if more { "more than " } else { "" });
            seen += &format!(", {told}");
            match self.expect.max_uncommitted {
                Some(most) if objects > most => findings.add(Status::Fail, format!("{told}, at most {most} allowed")),
                Some(_) if more => findings.add(Status::Unknown, format!("{told}, and lakeFS lists no more at once")),
                _ => {}
            }
        }
        match (&at.protected, self.expect.protected) {
            (Some(Err(why)), _) => findings.add(Status::Unknown, why.clone()),
            (Some(Ok(is)), Some(wanted)) => {
                let told = |is: bool| if is { "protected" } else { "not protected" };
                seen += &format!(", {}", told(*is));
                if *is != wanted {
                    findings.add(Status::Fail, format!("{} was expected", told(wanted)));
                }
            }
            _ => {}
        }
        let (value, unit) = match (at.ahead, at.uncommitted) {
            (Some(Count::Exactly(ahead)), _) => (Some(ahead), "commits"),
            (None, Some((objects, false))) => (Some(objects), "objects"),
            _ => (None, ""),
        };
        // Who could not tell has no number to tell either.
        let value = value.filter(|_| findings.worst() != Status::Unknown);
        findings.reading(&seen, value.map(|value| value as f64), unit)
    }
}

impl Asking<'_> {
    /// Asks for everything that the plan wants to know. What is missing and makes the reading bad is told in its own words.
    async fn look(&self) -> Result<Result<At, String>, String> {
        let (lakefs, expect) = (self.lakefs, &self.lakefs.expect);
        let Some((branch, head)) = self.reference(&lakefs.name).await? else {
            return Ok(Err(format!("lakeFS has no branch or tag {:?}", excerpt(&lakefs.name, 60))));
        };
        let mut at = At { branch, head, other: None, ahead: None, behind: None, uncommitted: None, protected: None };
        if let Some(name) = &lakefs.other {
            let head = self.head(name).await.map_err(|why| format!("{}: {why}", excerpt(name, 60)))?;
            at.other = Some((name.clone(), head));
        }
        if let Some(base) = &lakefs.base {
            match self.distance(base, &at.head).await? {
                Some((ahead, behind)) => (at.ahead, at.behind) = (Some(ahead), Some(behind)),
                None => {
                    return Ok(Err(format!("lakeFS has no {:?} to measure it against", excerpt(base, 60))));
                }
            }
        }
        if let Some(most) = expect.max_uncommitted {
            at.uncommitted = Some(if branch { self.uncommitted(most).await? } else { (0, false) });
        }
        if expect.protected.is_some() {
            at.protected = Some(match branch {
                true => protected(&self.rules().await?, &lakefs.name),
                false => Err("a tag is protected by no rule".to_owned()),
            });
        }
        Ok(Ok(at))
    }

    /// Whether that is a branch, or else a tag, and where it stands; nothing where it is neither.
    async fn reference(&self, name: &str) -> Result<Option<(bool, String)>, String> {
        for (branch, list) in [(true, "branches"), (false, "tags")] {
            if let Got::Json(json) = self.get(&[list, name], &[]).await? {
                let head = json["commit_id"].as_str().filter(|head| is_commit(head));
                return Ok(Some((branch, head.ok_or_else(|| strange(&json.to_string()))?.to_owned())));
            }
        }
        Ok(None)
    }

    /// Where any reference stands.
    async fn head(&self, name: &str) -> Result<Option<String>, String> {
        let Some(page) = self.log(name, 1, None).await? else { return Ok(None) };
        match page.results.into_iter().next() {
            Some(commit) if is_commit(&commit.id) => Ok(Some(commit.id)),
            _ => Err(strange("a log without a commit")),
        }
    }

    async fn log(&self, name: &str, amount: usize, after: Option<&str>) -> Result<Option<Page<Commit>>, String> {
        let amount = amount.to_string();
        let mut query = vec![("amount", &*amount)];
        query.extend(after.map(|after| ("after", after)));
        self.page(&["refs", name, "commits"], &query).await
    }

    /// How many commits only this side has, and only the other; nothing where the other is not there.
    async fn distance(&self, base: &str, head: &str) -> Result<Option<(Count, Count)>, String> {
        let (mut own, mut other) = (Log::default(), Log::default());
        let mut base_head = None;
        let mut found = (Count::AtLeast(0), Count::AtLeast(0));
        for amount in PAGES {
            for (log, name) in [(&mut own, &*self.lakefs.name), (&mut other, base)] {
                if log.whole {
                    continue;
                }
                let Some(page) = self.log(name, amount, log.after.as_deref()).await? else { return Ok(None) };
                if name == base && base_head.is_none() {
                    base_head = page.results.first().map(|commit| commit.id.clone());
                }
                log.add(page);
            }
            let Some(base_head) = &base_head else { return Err(strange("a log without a commit")) };
            found = (own.alone(head, &other), other.alone(base_head, &own));
            let known = matches!(found, (Count::Exactly(_), Count::Exactly(_)));
            if known || own.whole && other.whole {
                break;
            }
        }
        Ok(Some(found))
    }

    /// Objects that are changed and not committed, counted to one more than may be.
    async fn uncommitted(&self, most: u64) -> Result<(u64, bool), String> {
        let amount = most.saturating_add(1).min(PAGE_MAX).to_string();
        let page = self.page::<Value>(&["branches", &self.lakefs.name, "diff"], &[("amount", &amount)]).await?;
        let page = page.ok_or("the branch went away while it was read")?;
        Ok((page.results.len() as u64, page.pagination.has_more))
    }

    /// The patterns of branches that are protected.
    async fn rules(&self) -> Result<Vec<String>, String> {
        let Got::Json(json) = self.get(&["settings", "branch_protection"], &[]).await? else {
            return Ok(vec![]); // lakeFS knows of no rules
        };
        let rules = json.as_array().ok_or_else(|| strange(&json.to_string()))?;
        let pattern = |rule: &Value| rule["pattern"].as_str().map(str::to_owned);
        rules.iter().map(|rule| pattern(rule).ok_or_else(|| strange(&rule.to_string()))).collect()
    }

    /// A page of a list; nothing where what it is of is not there.
    async fn page<T: for<'de> Deserialize<'de>>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Option<Page<T>>, String> {
        match self.get(path, query).await? {
            Got::Missing => Ok(None),
            Got::Json(json) => {
                let said = json.to_string();
                serde_json::from_value(json).map(Some).map_err(|_| strange(&said))
            }
        }
    }

    async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Got, String> {
        let mut page = self.lakefs.repository.clone();
        if let Ok(mut parts) = page.path_segments_mut() {
            parts.extend(path);
        }
        if !query.is_empty() {
            page.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.lakefs.client.get(page.clone());
        if let (Some((id, _)), secret) = (&self.lakefs.key, &self.secret) {
            request = request.basic_auth(id, secret.as_deref());
        }
        match web::get(request, &page, self.until).await {
            Ok(answer) if !answer.whole => Err(format!("an answer of more than {}", bytes(web::BODY_BYTES_MAX as u64))),
            Ok(answer) => decoded(answer.status.as_u16(), &answer.body),
            Err(NoAnswer { why, .. }) => {
                let roots = self.lakefs.no_roots.as_deref().filter(|_| page.scheme() == "https");
                let roots = roots.map(|why| format!(" ({why})")).unwrap_or_default();
                Err(format!("no answer: {why}{roots}"))
            }
        }
    }
}

fn decoded(status: u16, body: &[u8]) -> Result<Got, String> {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|json| json["message"].as_str());
    let said = |message: &str| excerpt(message, 120);
    match (status, json.as_ref(), message) {
        (200, Some(_), _) => Ok(Got::Json(json.unwrap_or_default())),
        // Any web server answers 404; only lakeFS says in words of its own what is not there.
        (404, _, Some(message)) if message.contains("repository not found") => {
            Err(format!("lakeFS says: {}", said(message)))
        }
        (404, _, Some(message)) if message.contains("not found") => Ok(Got::Missing),
        // It says so of keys it does not know, and of what they may not see.
        (401 | 403, _, Some(message)) => {
            Err(format!("lakeFS does not show it to whose key this is (status {status}): {}", said(message)))
        }
        (_, _, Some(message)) if status != 200 => Err(format!("lakeFS says (status {status}): {}", said(message))),
        _ => {
            let said = excerpt(&String::from_utf8_lossy(body), 80);
            Err(format!("status {status}, and its body is no answer of lakeFS: {said}"))
        }
    }
}

fn strange(said: &str) -> String {
    format!("not an answer of lakeFS: {}", excerpt(said, 80))
}

fn is_commit(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether one of these rules is about that branch. Signs with a meaning beyond `*` and `?` are left to lakeFS.
fn protected(rules: &[String], branch: &str) -> Result<bool, String> {
    let (plain, other): (Vec<_>, Vec<_>) = rules.iter().partition(|rule| !rule.contains(['[', ']', '{', '}', '\\']));
    if plain.iter().any(|rule| matches(rule.as_bytes(), branch.as_bytes())) {
        return Ok(true);
    }
    match other.first() {
        None => Ok(false),
        Some(rule) => Err(format!("nobody here can tell whether the rule {:?} is about it", excerpt(rule, 40))),
    }
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=name.len()).any(|skipped| matches(rest, &name[skipped..])),
        ([b'?', pattern @ ..], [_, name @ ..]) => matches(pattern, name),
        ([one, pattern @ ..], [same, name @ ..]) if one == same => matches(pattern, name),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
