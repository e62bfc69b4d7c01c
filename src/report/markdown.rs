//! The report as Markdown: what is written beside the transcript when a session closes.

use super::text::{code, fence, inline, quoted};
use super::{Attempt, Report, ReportError, StepReport, Tail};
use crate::clock::{At, human};
use crate::event::{Compared, Covers, Outcome, Settled, WaitEnd};
use crate::session::drift::Drift;
use crate::session::vouching;
use crate::transcript::verify::Verdict;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Writes the report on a transcript beside it, as `<name>.md`, whole or not at all. Returns its path.
pub fn write_beside(transcript: &Path) -> Result<PathBuf, ReportError> {
    let text = markdown(&Report::of_file(transcript)?);
    let path = transcript.with_extension("md");
    let unfinished = transcript.with_extension(format!("md.{}.tmp", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    })();
    match written {
        Ok(()) => Ok(path),
        Err(source) => {
            let _ = std::fs::remove_file(&unfinished); // best effort: the error to tell is the first one
            Err(ReportError::Write { path, source })
        }
    }
}

/// The report as Markdown.
pub fn markdown(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a `String` cannot fail.
    let _ = header(&mut out, report)
        .and_then(|()| crew(&mut out, report))
        .and_then(|()| steps(&mut out, report))
        .and_then(|()| stops(&mut out, report))
        .and_then(|()| watches(&mut out, report))
        .and_then(|()| ways_back(&mut out, report))
        .and_then(|()| words(&mut out, report));
    out
}

/// A day and a time, for the few places where the day matters; everything else says the time.
fn moment(at: At) -> String {
    at.to_string().chars().take(19).collect::<String>().replace('T', " ") + " UTC"
}

fn header(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(out, "# Release report: {}\n", inline(&report.plan_name))?;
    match &report.verdict {
        Verdict::Intact { .. } => {}
        verdict => writeln!(
            out,
            "> **{}: {}.** This report tells what the lines before that say.\n",
            verdict.word(),
            inline(&verdict.to_string())
        )?,
    }
    let outcome = match &report.closed {
        Some(closed) => {
            let word = match closed.outcome {
                Outcome::Complete => "complete",
                Outcome::Partial => "closed with steps left",
            };
            let note = if closed.note.is_empty() { String::new() } else { format!(": {}", inline(&closed.note)) };
            format!("{word}, closed by {}{note}", inline(closed.by.as_str()))
        }
        None => "**not closed**".into(),
    };
    writeln!(out, "| | |\n|---|---|")?;
    let mut row = |name: &str, value: String| writeln!(out, "| {name} | {value} |");
    row("Environment", inline(&report.environment))?;
    row("Outcome", outcome)?;
    row("Opened", moment(report.opened))?;
    row(if report.closed.is_some() { "Closed" } else { "Last line" }, moment(report.ended))?;
    row("Duration", human(report.duration()))?;
    row("Lead", inline(report.lead.as_str()))?;
    row("Session", inline(&report.session))?;
    row("Host", inline(&format!("{}, as {}, in {}", report.host, report.user, report.folder)))?;
    row("Plan (SHA-256)", report.plan_digest.to_string())?;
    if let Some(digest) = &report.allowed_signers {
        row("allowed_signers (SHA-256)", digest.to_string())?;
    }
    for (name, value) in &report.params {
        row(&format!("Parameter {}", inline(name)), inline(value))?;
    }
    row("Opened by", format!("crosscheck {}", inline(&report.version)))?;
    row("Chain of lines", format!("{}: {}", report.verdict.word(), inline(&report.verdict.to_string())))?;
    if let Verdict::Intact { lines, head, .. } = &report.verdict {
        row("Last line", format!("number {lines}, SHA-256 {}", head.hash))?;
    }
    if let Some(output) = &report.output {
        row("Output", inline(&output.to_string()))?;
    }
    writeln!(out, "\nTimes are UTC.\n")
}

fn crew(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(out, "## Crew\n")?;
    if report.crew.is_empty() {
        return writeln!(out, "Nobody joined.\n");
    }
    writeln!(out, "| who | role | key | first joined | connections |\n|---|---|---|---|---|")?;
    for member in &report.crew {
        writeln!(
            out,
            "| {} | {} | {} ({}) | {} | {} |",
            inline(member.principal.as_str()),
            member.role.word(),
            inline(&member.key),
            vouching(member.vouched),
            member.joined.clock(),
            member.connections
        )?;
    }
    writeln!(out)
}

fn steps(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(out, "## Steps\n")?;
    if report.steps.is_empty() {
        return writeln!(out, "The plan has none.\n");
    }
    writeln!(out, "| | step | now | attempts |\n|---|---|---|---|")?;
    for step in &report.steps {
        writeln!(
            out,
            "| {:02} | {} | {} | {} |",
            step.number,
            inline(&step.title),
            step.phase.word(),
            step.attempts.len()
        )?;
    }
    writeln!(out)?;
    times(out, report)?;
    for step in &report.steps {
        writeln!(out, "### {:02} {}: {}\n", step.number, inline(step.id.as_str()), inline(&step.title))?;
        if step.attempts.is_empty() {
            writeln!(out, "Never armed.\n")?;
        }
        for attempt in &step.attempts {
            one_attempt(out, step, attempt)?;
        }
    }
    Ok(())
}

/// What was planned, what it took, and the difference; nothing where the plan expects nothing.
fn times(out: &mut String, report: &Report) -> std::fmt::Result {
    let mut expected: Vec<_> = report.steps.iter().filter(|step| step.expected_ms.is_some()).collect();
    expected.sort_by_key(|step| step.number);
    if expected.is_empty() && report.expected_ms.is_none() {
        return Ok(());
    }
    writeln!(out, "| | step | expected | took | drift |\n|---|---|---|---|---|")?;
    let time = |ms: u64| human(Duration::from_millis(ms));
    for step in &expected {
        writeln!(
            out,
            "| {:02} | {} | {} | {} | {} |",
            step.number,
            inline(&step.title),
            step.expected_ms.map_or_else(String::new, time),
            step.took().map_or_else(|| "not run".to_owned(), human),
            step.drift().map_or_else(String::new, |drift| drift.to_string())
        )?;
    }
    let drift =
        expected.iter().filter_map(|step| step.drift()).reduce(|sum, it| Drift { ms: sum.ms.saturating_add(it.ms) });
    if let Some(drift) = drift {
        writeln!(out, "| | these steps | | | {drift} |")?;
    }
    if let Some(expected) = report.expected_ms {
        let whole = Drift::between(report.duration(), Duration::from_millis(expected));
        writeln!(out, "| | the session | {} | {} | {whole} |", time(expected), human(report.duration()))?;
    }
    writeln!(out)
}

fn one_attempt(out: &mut String, step: &StepReport, attempt: &Attempt) -> std::fmt::Result {
    let covers = attempt.covers.covers();
    if step.attempts.len() > 1 {
        writeln!(out, "#### Attempt {}\n", attempt.attempt)?;
    }
    let who = |principal: &crate::name::Principal| inline(principal.as_str());
    writeln!(out, "- {} armed by {} (line {})", attempt.armed.clock(), who(&attempt.by), attempt.line)?;
    let point = if covers.point_of_no_return { ", **point of no return**" } else { "" };
    writeln!(out, "- class {}, cross-checks needed: {}{point}", inline(&covers.class), covers.checks)?;
    writeln!(out, "- digest {}", attempt.digest)?;
    if let Some(words) = &covers.manual {
        writeln!(out, "- **done by hand**, no command runs: {}", inline(words))?;
    } else if covers.command.is_nothing() {
        writeln!(out, "- nothing runs; it only waits")?;
    } else {
        what_runs(out, covers)?;
    }
    for (name, words) in &covers.words {
        writeln!(out, "- plan says, {}: {}", inline(&name.replace('_', " ")), inline(words))?;
    }
    for gate in &covers.gates {
        let age = human(Duration::from_millis(gate.age_ms));
        let (status, why) = (gate.reading.status.word(), inline(&gate.reading.why));
        writeln!(out, "- gate {} was {status} when armed, read {age} before: {why}", inline(gate.watch.as_str()))?;
    }
    if !covers.command.is_nothing() {
        command_line(out, covers)?;
    }
    for check in &attempt.checks {
        let quick = if check.is_very_quick() { " (**very quick**)" } else { "" };
        let looked = human(Duration::from_millis(check.looked_ms));
        let (at, by, key) = (check.at.clock(), who(&check.by), inline(&check.key));
        writeln!(out, "- {at} cross-checked by {by} after looking for {looked}{quick}, key {key}")?;
    }
    for objection in &attempt.objections {
        let (at, by) = (objection.at.clock(), who(&objection.by));
        writeln!(out, "- {at} **{by} objected**: {}", inline(&objection.text))?;
    }
    for (at, by) in &attempt.withdrawn {
        writeln!(out, "- {} {} withdrew the check", at.clock(), who(by))?;
    }
    if let Some(at) = attempt.cleared {
        writeln!(out, "- {} cleared", at.clock())?;
    }
    if let Some((at, by)) = &attempt.requested {
        writeln!(out, "- {} {} pressed run", at.clock(), who(by))?;
    }
    if let Some((at, cause)) = &attempt.voided {
        writeln!(out, "- {} voided: {}", at.clock(), inline(cause))?;
    }
    run(out, attempt)?;
    writeln!(out)?;
    output(out, attempt)
}

fn what_runs(out: &mut String, covers: &Covers) -> std::fmt::Result {
    writeln!(out, "- executable {}, SHA-256 {}", code(&covers.command.exe.path), covers.command.exe.sha256)?;
    if covers.command.sealed {
        writeln!(out, "- run from a sealed copy of it")?;
    }
    if let Some(file) = &covers.command.stdin_file {
        writeln!(out, "- standard input {}, {} bytes, SHA-256 {}", code(&file.path), file.size, file.sha256)?;
    }
    for file in &covers.command.files {
        writeln!(out, "- file {}, {} bytes, SHA-256 {}", code(&file.path), file.size, file.sha256)?;
    }
    writeln!(
        out,
        "- in {} on {} as {}",
        code(&covers.command.cwd),
        inline(&covers.command.host),
        inline(&covers.command.user)
    )?;
    Ok(())
}

fn command_line(out: &mut String, covers: &Covers) -> std::fmt::Result {
    let command: Vec<_> = covers.command.argv.iter().map(|word| quoted(word)).collect();
    if !covers.command.env.is_empty() {
        // Values stay in the transcript: the digest covers them, and a report is passed on further than a transcript.
        let names: Vec<_> = covers.command.env.keys().map(|name| code(name)).collect();
        writeln!(out, "- environment: {}", names.join(", "))?;
    }
    if !covers.command.secrets.is_empty() {
        let keys: Vec<_> = covers.command.secrets.keys().map(|key| code(key)).collect();
        writeln!(out, "- secrets: {}", keys.join(", "))?;
    }
    if let Some(stdin) = &covers.command.stdin {
        writeln!(out, "- fed {} bytes on standard input", stdin.len())?;
    }
    writeln!(out, "\n{}", fence(&[command.join(" ")]))?;
    for (number, word) in covers.command.argv.iter().enumerate().filter(|(_, word)| word.trim_end().contains('\n')) {
        let lines: Vec<_> = word.trim_end().split('\n').collect();
        writeln!(out, "Argument {number} of it, line by line:\n\n{}", fence(&lines))?;
    }
    Ok(())
}

fn run(out: &mut String, attempt: &Attempt) -> std::fmt::Result {
    if let Some(at) = attempt.intended {
        writeln!(out, "- {} the intent to run is on disk", at.clock())?;
    }
    if let (Some(at), Some(process)) = (attempt.started, &attempt.process) {
        writeln!(out, "- {} started, process {}", at.clock(), process.pid)?;
    }
    for (at, by, chars, text) in &attempt.typed {
        let words = match text {
            Some(text) => code(text),
            None => format!("{chars} characters, hidden"),
        };
        writeln!(out, "- {} {} typed: {words}", at.clock(), inline(by.as_str()))?;
    }
    for (at, by, force) in &attempt.interrupted {
        let word = if *force { "killed" } else { "interrupted" };
        writeln!(out, "- {} {word} by {}", at.clock(), inline(by.as_str()))?;
    }
    if let (Some(at), Some(end)) = (attempt.ended, &attempt.end) {
        let took = attempt.started.map(|started| format!(" after {}", human(at.since(started)))).unwrap_or_default();
        writeln!(out, "- {} ended: **{}**{took}", at.clock(), inline(&end.to_string()))?;
    }
    if let (true, Some(at)) = (attempt.lost, attempt.ended) {
        let why = match &attempt.link_lost {
            Some(end) => format!("the link to its host was lost ({})", inline(&end.to_string())),
            None => "the hub died while it ran".to_owned(),
        };
        writeln!(out, "- {} **outcome unknown**: {why}", at.clock())?;
    }
    if let Some(said) = &attempt.by_hand {
        let note = if said.text.is_empty() { String::new() } else { format!(": {}", inline(&said.text)) };
        writeln!(out, "- {} **done by hand** by {}{note}", said.at.clock(), inline(said.by.as_str()))?;
    }
    for wait in &attempt.waits {
        let until = wait.until.map_or_else(|| "without a limit".to_owned(), |until| format!("until {}", until.clock()));
        let anew = if wait.anew { ", anew: the hub was away" } else { "" };
        writeln!(out, "- {} waits for {} to read ok, {until}{anew}", wait.at.clock(), wait.watch)?;
        if let Some((at, by, end, why)) = &wait.ended {
            let word = match end {
                WaitEnd::Met => "waited until it read".to_owned(),
                WaitEnd::TimedOut => "**waited too long**, it read".to_owned(),
                WaitEnd::GivenUp => format!("**given up** by {}, it read", inline(by.as_str())),
            };
            writeln!(out, "- {} {word} {}, after {}", at.clock(), inline(why), human(at.since(wait.at)))?;
        }
    }
    if let Some((at, verdict, compared)) = &attempt.verified {
        writeln!(out, "- {} verified: **{}**", at.clock(), verdict.word())?;
        for Compared { watch, before, after, verdict, why, .. } in compared {
            let (was, is) = (before.status.word(), after.status.word());
            writeln!(out, "  - {watch}: {was} → {is}, {}: {}", verdict.word(), inline(why))?;
        }
    }
    for (at, end, says) in &attempt.probes {
        let says = if says.is_empty() { "it said nothing".to_owned() } else { code(says) };
        writeln!(out, "- {} probe: {}; {says}", at.clock(), inline(&end.to_string()))?;
    }
    if let Some((outcome, said)) = &attempt.settled {
        let word = match outcome {
            Settled::Done => "done",
            Settled::Failed => "not done",
        };
        let by = inline(said.by.as_str());
        writeln!(out, "- {} settled as {word} by {by}: {}", said.at.clock(), inline(&said.text))?;
    }
    Ok(())
}

fn output(out: &mut String, attempt: &Attempt) -> std::fmt::Result {
    match &attempt.output_tail {
        Tail::None if attempt.output_bytes == 0 => Ok(()),
        Tail::None => writeln!(out, "It printed {} bytes.\n", attempt.output_bytes),
        Tail::Missing => writeln!(out, "It printed {} bytes: OUTPUT MISSING.\n", attempt.output_bytes),
        Tail::Expired => writeln!(out, "It printed {} bytes: OUTPUT EXPIRED.\n", attempt.output_bytes),
        Tail::Lines { lines, more } => {
            let which = if *more { format!("the last {} lines:", lines.len()) } else { "all of it:".into() };
            writeln!(out, "It printed {} bytes; {which}\n\n{}", attempt.output_bytes, fence(lines))
        }
    }
}

fn stops(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.stops.is_empty() {
        return writeln!(out, "## The line\n\nNobody stopped it.\n");
    }
    writeln!(out, "## The line\n")?;
    for stop in &report.stops {
        for pull in &stop.pulls {
            let who = if pull.by.is_hub() {
                "held by the hub".into()
            } else {
                format!("stopped by {}", inline(pull.by.as_str()))
            };
            let why = if pull.text.is_empty() { "no reason given".into() } else { inline(&pull.text) };
            writeln!(out, "- {} {who}: {why}", pull.at.clock())?;
        }
        for (at, by) in &stop.releases {
            writeln!(out, "- {} released by {}", at.clock(), inline(by.as_str()))?;
        }
        match (stop.freed, stop.pulls.first()) {
            (Some(at), Some(pull)) => writeln!(out, "- {} free again, after {}", at.clock(), human(at.since(pull.at)))?,
            _ => writeln!(out, "- never freed")?,
        }
    }
    writeln!(out)
}

fn watches(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.watches.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Watches\n\n| watch | readings | turns | at the end |\n|---|---|---|---|")?;
    for watch in &report.watches {
        let last = match &watch.last {
            Some((status, why)) => format!("{}: {}", status.word(), inline(why)),
            None => "never read".into(),
        };
        writeln!(out, "| {} | {} | {} | {last} |", inline(watch.id.as_str()), watch.readings, watch.turns.len())?;
    }
    writeln!(out)
}

fn ways_back(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.ways_back.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Ways back\n\nBest first.\n\n| way back | while | price |\n|---|---|---|")?;
    for way in &report.ways_back {
        let watch = inline(way.watch.as_str());
        writeln!(out, "| {} | {watch} | {} |", inline(&way.name), inline(&way.price))?;
    }
    writeln!(out)?;
    if report.turns_back.is_empty() {
        writeln!(out, "- **none of them ever stood**")?;
    }
    let name = |name: &Option<String>| name.as_ref().map_or_else(|| "**none**".into(), |name| inline(name));
    for turn in &report.turns_back {
        writeln!(out, "- {} {}, before: {}: {}", turn.at.clock(), name(&turn.to), name(&turn.from), inline(&turn.why))?;
    }
    writeln!(out)
}

fn words(out: &mut String, report: &Report) -> std::fmt::Result {
    if !report.refusals.is_empty() {
        writeln!(out, "## Refused\n")?;
        for refused in &report.refusals {
            let (at, who) = (refused.at.clock(), inline(refused.principal.as_str()));
            writeln!(out, "- {at} to {who}, {}: {}", inline(&refused.request), inline(&refused.reason))?;
        }
        writeln!(out)?;
    }
    if !report.said.is_empty() {
        writeln!(out, "## What was said\n")?;
        for said in &report.said {
            writeln!(out, "- {} {}: {}", said.at.clock(), inline(said.by.as_str()), inline(&said.text))?;
        }
        writeln!(out)?;
    }
    writeln!(out, "## Timeline\n")?;
    for told in &report.timeline {
        writeln!(out, "- {} {} (line {})", told.at.clock(), inline(&told.text), told.seq)?;
    }
    Ok(())
}
