//! The report as Markdown: what is written beside the transcript when a session closes.

use super::preflight;
use super::text::{code, fence, inline};
use super::{Attempt, Exception, Kind, NotTold, Ran, Report, ReportError, StepReport, Tail};
use super::{armed, deviations};
use crate::brief::command::command_line;
use crate::clock::{At, human};
use crate::event::{Compared, Outcome, Settled, WaitEnd};
use crate::plan::Occasion;
use crate::session::drift::Drift;
use crate::session::vouching;
use crate::transcript::verify::Integrity;
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
        .and_then(|()| deviations::section(&mut out, report))
        .and_then(|()| crew(&mut out, report))
        .and_then(|()| preflight::markdown(&mut out, &report.preflight))
        .and_then(|()| steps(&mut out, report))
        .and_then(|()| stops(&mut out, report))
        .and_then(|()| watches(&mut out, report))
        .and_then(|()| ways_back(&mut out, report))
        .and_then(|()| told(&mut out, report))
        .and_then(|()| words(&mut out, report));
    out
}

/// A day and a time, for the few places where the day matters; everything else says the time.
fn moment(at: At) -> String {
    at.to_string().chars().take(19).collect::<String>().replace('T', " ") + " UTC"
}

fn header(out: &mut String, report: &Report) -> std::fmt::Result {
    let what = if report.rehearsal.is_some() { "REHEARSAL, not a release" } else { "Release report" };
    writeln!(out, "# {what}: {}\n", inline(&report.plan_name))?;
    if let Some(data) = &report.rehearsal {
        writeln!(out, "> **REHEARSAL on this data: {}.** Nothing that the plan runs live was run.\n", inline(data))?;
    }
    exceptions(out, report)?;
    match &report.verdict {
        Integrity::Intact { .. } => {}
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
    if let Integrity::Intact { lines, head, .. } = &report.verdict {
        row("Last line", format!("number {lines}, SHA-256 {}", head.hash))?;
    }
    if let Some(output) = &report.output {
        row("Output", inline(&output.to_string()))?;
    }
    writeln!(out, "\nTimes are UTC.\n")
}

/// Before anything else: what was done beside the usual way, the worst first.
fn exceptions(out: &mut String, report: &Report) -> std::fmt::Result {
    let rank = |exception: &&Exception| match exception.kind {
        Kind::BreakGlass { .. } => 0,
        Kind::Waived { .. } => 1,
        Kind::Skipped { .. } => 2,
    };
    let mut all: Vec<_> = report.exceptions.iter().collect();
    all.sort_by_key(rank);
    for exception in &all {
        let step = report.steps.iter().find(|step| step.id == exception.step);
        let step = step.map_or_else(|| exception.step.to_string(), |step| format!("{:02} {}", step.number, step.id));
        let (at, by, why) = (exception.at.clock(), inline(exception.by.as_str()), inline(&exception.why));
        match &exception.kind {
            Kind::BreakGlass { attempt, missing } => {
                let s = if *missing == 1 { "" } else { "s" };
                writeln!(
                    out,
                    "> **BREAK GLASS: step {step} was cleared by {by} alone** at {at}, attempt {attempt}, {missing} \
                     cross-check{s} missing: {why}\n>"
                )?;
            }
            Kind::Waived { attempt, watch, status } => writeln!(
                out,
                "> **Waived: gate {watch}, {}**, for attempt {attempt} of step {step}, by {by} at {at}: {why}\n>",
                status.word()
            )?,
            Kind::Skipped { agreed } => {
                let agreed = inline(agreed.as_str());
                writeln!(out, "> **Skipped: step {step}**, by {agreed} and {by} at {at}: {why}\n>")?;
            }
        }
    }
    for taken in &report.taken {
        let words = taken.to_string();
        let words = words.strip_prefix("LEAD TAKEN OVER ").unwrap_or(&words);
        writeln!(out, "> **LEAD TAKEN OVER** {}\n>", inline(words))?;
    }
    if all.is_empty() && report.taken.is_empty() { Ok(()) } else { writeln!(out) }
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
        let before = std::iter::once(None).chain(step.attempts.iter().map(Some));
        for (attempt, before) in step.attempts.iter().zip(before) {
            one_attempt(out, step, attempt, before)?;
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

fn one_attempt(out: &mut String, step: &StepReport, attempt: &Attempt, before: Option<&Attempt>) -> std::fmt::Result {
    let covers = attempt.covers.covers();
    if step.attempts.len() > 1 {
        writeln!(out, "#### Attempt {}\n", attempt.attempt)?;
    }
    let who = |principal: &crate::name::Principal| inline(principal.as_str());
    writeln!(out, "- {} armed by {} (line {})", attempt.armed.clock(), who(&attempt.by), attempt.line)?;
    writeln!(out, "- digest {}", attempt.digest)?;
    armed::markdown(out, covers, before.map(|before| before.covers.covers()))?;
    for (at, by, field, right) in &attempt.read_back {
        let word = if *right { "read back" } else { "**read back wrong**" };
        writeln!(out, "- {} {} {word}: {}", at.clock(), who(by), inline(field))?;
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
        let what = match covers.manual {
            Some(_) => "says that it is done",
            None if covers.command.is_nothing() => "let it begin",
            None => "pressed run",
        };
        writeln!(out, "- {} {} {what}", at.clock(), who(by))?;
    }
    if let Some((at, cause)) = &attempt.voided {
        writeln!(out, "- {} voided: {}", at.clock(), inline(cause))?;
    }
    for (number, batch) in attempt.batches.iter().chain([&attempt.run]).enumerate() {
        if covers.each.is_some() && batch.intended.is_some() {
            let batch = u32::try_from(number + 1).unwrap_or(u32::MAX);
            let lines = covers.each.map(|each| (each.batches(), each.batch(batch)));
            let (of, lines) = lines.unwrap_or_default();
            writeln!(out, "- **batch {batch} of {of}**, lines {} to {}", lines.start + 1, lines.end)?;
        }
        run(out, batch)?;
    }
    if let Some((at, why)) = &attempt.batches_ended {
        writeln!(out, "- {} **no further batch**: {}", at.clock(), inline(why))?;
    }
    writeln!(out)?;
    output(out, &attempt.run)?;
    for rollback in &attempt.rollbacks {
        let at = rollback.run.intended.unwrap_or(attempt.armed).clock();
        match rollback.automatic {
            true => writeln!(out, "\n**Rolled back at {at}, as the plan says**: {}\n", inline(&rollback.why))?,
            false => writeln!(out, "\n**Rolled back at {at} by {}**: {}\n", who(&rollback.by), inline(&rollback.why))?,
        }
        run(out, &rollback.run)?;
        writeln!(out)?;
        output(out, &rollback.run)?;
    }
    if let Some(probe) = covers.probe.as_ref().filter(|_| !attempt.run.probed_by.is_empty()) {
        let by: Vec<_> = attempt.run.probed_by.iter().map(who).collect();
        writeln!(out, "- probe asked for by {}: {}", by.join(", "), code(&command_line(&probe.argv)))?;
    }
    for (at, end, says) in &attempt.run.probes {
        let says = if says.is_empty() { "it said nothing".to_owned() } else { code(says) };
        writeln!(out, "- {} probe: {}; {says}", at.clock(), inline(&end.to_string()))?;
    }
    if let Some((outcome, said)) = &attempt.settled {
        let word = match outcome {
            Settled::Done => "**DONE, though it ended badly**",
            Settled::Failed => "not done",
        };
        let by = attempt.agreed.iter().chain([&said.by]).map(who).collect::<Vec<_>>().join(" and ");
        writeln!(out, "- {} settled as {word} by {by}: {}", said.at.clock(), inline(&said.text))?;
    }
    Ok(())
}

fn run(out: &mut String, run: &Ran) -> std::fmt::Result {
    if let Some(at) = run.intended {
        writeln!(out, "- {} the intent to run is on disk", at.clock())?;
    }
    if let (Some(at), Some(process)) = (run.started, &run.process) {
        writeln!(out, "- {} started, process {}", at.clock(), process.pid)?;
    }
    for (at, by, chars, text) in &run.typed {
        let words = match text {
            Some(text) => code(text),
            None => format!("{chars} characters, hidden"),
        };
        writeln!(out, "- {} {} typed: {words}", at.clock(), inline(by.as_str()))?;
    }
    for (at, line) in &run.asked {
        writeln!(out, "- {} **waited for an answer that nobody may give**: {}", at.clock(), code(line))?;
    }
    for (at, end, of) in &run.awaited {
        let (end, of) = (inline(&end.to_string()), code(&of.to_string()));
        writeln!(out, "- {} the command itself ended ({end}); its step waited for {of}", at.clock())?;
    }
    for (at, of) in &run.left {
        let how = match &run.leaves {
            Some(words) => format!("left running, as the plan says ({})", inline(words)),
            None => "**LEFT RUNNING, and the plan does not say so**".to_owned(),
        };
        writeln!(out, "- {} {how}: {}", at.clock(), code(&of.to_string()))?;
    }
    for (at, processes) in &run.left_gone {
        let all: Vec<_> = processes.iter().map(ToString::to_string).collect();
        writeln!(out, "- {} what was left has ended: {}", at.clock(), code(&all.join(", ")))?;
    }
    if let Some(left) = run.still_left() {
        writeln!(out, "- **as far as this transcript says it still runs**: {}", code(&left))?;
    }
    for (at, by, force) in &run.interrupted {
        let word = if *force { "killed" } else { "interrupted" };
        writeln!(out, "- {} {word} by {}", at.clock(), inline(by.as_str()))?;
    }
    if let (Some(at), Some(end)) = (run.ended, &run.end) {
        let took = run.started.map(|started| format!(" after {}", human(at.since(started)))).unwrap_or_default();
        writeln!(out, "- {} ended: **{}**{took}", at.clock(), inline(&run.exits.words(end)))?;
    }
    if let (true, Some(at)) = (run.lost, run.ended) {
        let why = match &run.link_lost {
            Some(end) => format!("the link to its host was lost ({})", inline(&end.to_string())),
            None => "the hub died while it ran".to_owned(),
        };
        writeln!(out, "- {} **outcome unknown**: {why}", at.clock())?;
    }
    if let Some(said) = &run.by_hand {
        let note = if said.text.is_empty() { String::new() } else { format!(": {}", inline(&said.text)) };
        writeln!(out, "- {} **done by hand** by {}{note}", said.at.clock(), inline(said.by.as_str()))?;
    }
    for wait in &run.waits {
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
    if let Some((at, verdict, compared)) = &run.verified {
        writeln!(out, "- {} verified: **{}**", at.clock(), verdict.word())?;
        for Compared { watch, before, after, verdict, why, .. } in compared {
            let (was, is) = (before.status.word(), after.status.word());
            writeln!(out, "  - {watch}: {was} → {is}, {}: {}", verdict.word(), inline(why))?;
        }
    }
    Ok(())
}

fn output(out: &mut String, run: &Ran) -> std::fmt::Result {
    match &run.output_tail {
        Tail::None if run.output_bytes == 0 => Ok(()),
        Tail::None => writeln!(out, "It printed {} bytes.\n", run.output_bytes),
        Tail::Missing => writeln!(out, "It printed {} bytes: OUTPUT MISSING.\n", run.output_bytes),
        Tail::Expired => writeln!(out, "It printed {} bytes: OUTPUT EXPIRED.\n", run.output_bytes),
        Tail::Lines { lines, more } => {
            let which = if *more { format!("the last {} lines:", lines.len()) } else { "all of it:".into() };
            writeln!(out, "It printed {} bytes; {which}\n\n{}", run.output_bytes, fence(lines))
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

fn told(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.told.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Told to others\n\n| who | how | of | told | not told |\n|---|---|---|---|---|")?;
    for place in &report.told {
        let on: Vec<_> = place.on.iter().map(|occasion| occasion.word()).collect();
        let failed: usize = place.failures.iter().map(|failure| failure.of.len()).sum();
        writeln!(out, "| {} | {} | {} | {} | {failed} |", inline(&place.name), place.by, on.join(", "), place.told)?;
    }
    writeln!(out)?;
    let numbers = |of: &[u64]| of.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    for place in &report.told {
        for NotTold { at, of, tries, why } in &place.failures {
            let (at, name, of) = (at.clock(), inline(&place.name), numbers(of));
            writeln!(out, "- {at} **{name} was not told** of line {of} (tries: {tries}): {}", inline(why))?;
        }
        for (seq, occasion) in &place.open {
            let name = inline(&place.name);
            match occasion {
                Occasion::Closed => {
                    writeln!(out, "- {name} is told of the end after the last line, which is line {seq}")?
                }
                _ => writeln!(out, "- nothing says whether {name} was told of line {seq} ({occasion})")?,
            }
        }
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
