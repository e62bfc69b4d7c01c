//! What is allowed in a plan and still unwise. `serve` prints these and flies; a plan that is wrong never gets here.
//! Start at [`lint`].

pub use super::warnings::Warning;
use super::warnings::{Places, Warnings};
use super::{Class, KafkaLag, NotifyBy, Plan, Run, Step, Template, WatchKind};
use regex_lite::Regex;
use std::ops::Range;
use toml::de::DeTable;

/// Attention to repeated confirmations wears off; beyond a dozen in one sitting the later ones are habit.
const CRITICAL_MAX: usize = 12;

/// Everything in the plan that is allowed and still unwise, in the order of its text.
pub fn lint(plan: &Plan) -> Vec<Warning> {
    // The places are found by parsing the text again: a `Plan` keeps none, so that two plans which say the same are equal.
    let root = DeTable::parse(&plan.text).ok();
    let mut warnings = Warnings { places: Places { root: root.as_ref() }, text: &plan.text, list: vec![] };
    if plan.watches.is_empty() {
        let help = "a [[watch]] shows what the release does to others, and a gate holds it back";
        warnings.add(0..0, "the plan watches nothing", "no [[watch]]", help);
    }
    if plan.steps.is_empty() {
        warnings.add(
            0..0,
            "the plan has no steps",
            "no [[step]]",
            "every command would have to be typed and checked ad hoc",
        );
    }
    watches(plan, &mut warnings);
    notifications(plan, &mut warnings);
    let mut used: std::collections::BTreeSet<_> = plan.steps.iter().flat_map(Step::secrets).collect();
    used.extend(plan.notify.iter().flat_map(super::Notify::secrets));
    for key in plan.secrets.keys().filter(|key| !used.contains(*key)) {
        let at = warnings.places.secret(key);
        let message = format!("secret {key} is declared and not used");
        let help = "take it out, or name it in the `env` of a step or in a `webhook`: it is fetched, and looked for in output, only then";
        warnings.add(at, message, "in no step's `env` and no `webhook`", help);
    }
    if plan.poll && !plan.steps.iter().any(|step| step.checks > 0) {
        let at = warnings.places.of("checklist", 0, &["id"]);
        let help = "a routine step waits for nobody: make the one that matters critical";
        warnings.add(at, "the poll locks nothing", "no step takes a cross-check", help);
    }
    if plan.poll && plan.expected.is_none() {
        let help = "say it in `expected`: then everyone sees whose time does not fit";
        warnings.add(0..0, "nobody can tell whether people's time is long enough", "no `expected`", help);
    }
    let asked = plan.steps.iter().enumerate().filter(|(_, step)| step.class >= Class::Critical);
    if let Some((index, _)) = asked.clone().nth(CRITICAL_MAX) {
        let message = format!("{} critical steps are more than people can really check", asked.count());
        let label = format!("number {}", CRITICAL_MAX + 1);
        let at = warnings.places.of("step", index, &["class", "id"]);
        warnings.add(at, message, label, "split the release, or make one command of what is checked as one");
    }
    rehearsals(plan, &mut warnings);
    for (name, message) in plan.loose_patterns() {
        let at = warnings.places.param(&name);
        let help = "let the pattern say which letters and signs a value is made of, such as [a-z0-9_]+, or write the command as a list";
        warnings.add(at, message, "a value is read by a shell", help);
    }
    for (index, step) in plan.steps.iter().enumerate() {
        step_warnings(index, plan, step, &mut warnings);
    }
    super::traps::look(plan, &mut warnings);
    let mut list = warnings.list;
    list.sort_by_key(|warning| warning.span.start);
    list
}

/// A plan that rehearses some of its commands is meant to be rehearsed; the others are only printed.
fn rehearsals(plan: &Plan, warnings: &mut Warnings<'_>) {
    let rollback = |step: &Step| step.rollback.as_ref().is_some_and(|rollback| rollback.rehearse.is_some());
    let preview = |step: &Step| step.preview.as_ref().is_some_and(|preview| preview.rehearse.is_some());
    if !plan
        .steps
        .iter()
        .any(|step| step.runs().is_some_and(|runs| runs.rehearse.is_some()) || rollback(step) || preview(step))
    {
        return;
    }
    for (index, step) in plan.steps.iter().enumerate() {
        let printed = "a rehearsal prints what it would run, and runs nothing";
        if step.runs().is_some_and(|runs| runs.rehearse.is_none()) {
            let help = "give it a `rehearse` that does the same to data that may be lost";
            let at = warnings.places.of("step", index, &["run", "id"]);
            warnings.add(at, format!("step {} has no `rehearse`", step.id), printed, help);
        }
        if step.rollback.as_ref().is_some_and(|rollback| rollback.rehearse.is_none()) {
            let help = "write rollback = { run = …, rehearse = … }";
            let at = warnings.places.of("step", index, &["rollback", "id"]);
            warnings.add(at, format!("the rollback of step {} has no `rehearse`", step.id), printed, help);
        }
        if step.preview.as_ref().is_some_and(|preview| preview.rehearse.is_none()) {
            let help = "write preview = { run = …, expect = …, rehearse = … }";
            let at = warnings.places.of("step", index, &["preview", "id"]);
            warnings.add(
                at,
                format!("the preview of step {} has no `rehearse`", step.id),
                "a rehearsal of it has no preview",
                help,
            );
        }
    }
}

fn watches(plan: &Plan, warnings: &mut Warnings<'_>) {
    for (index, watch) in plan.watches.iter().enumerate() {
        let at = |keys: &[&str]| warnings.places.of("watch", index, keys);
        match &watch.kind {
            WatchKind::KafkaLag(KafkaLag { warn_above: None, fail_above: None, drained: false, .. }) => {
                let (at, message) = (at(&["id"]), format!("watch {} has no limit for the lag", watch.id));
                warnings.add(
                    at,
                    message,
                    "any lag that does not grow reads ok",
                    "give it `warn_above`, `fail_above` or `drained`",
                );
            }
            WatchKind::Prometheus(query) if !query.bounds.any() && !compared(plan, &watch.id) => {
                let (at, message) = (at(&["id"]), format!("watch {} has no limit for its value", watch.id));
                warnings.add(at, message, "any value reads ok", "give it `fail_above` or `fail_below`, or compare it");
            }
            WatchKind::Sql(sql) if !sql.bounds.any() && sql.expect.is_empty() && !compared(plan, &watch.id) => {
                let (at, message) = (at(&["id"]), format!("watch {} has no limit for its answer", watch.id));
                warnings.add(
                    at,
                    message,
                    "any row reads ok",
                    "give it `fail_above`, `fail_below` or `expect`, or compare it",
                );
            }
            WatchKind::Command { run, .. } if secret(run) => secret_warning(at(&["run"]), warnings),
            _ => {}
        }
    }
}

fn notifications(plan: &Plan, warnings: &mut Warnings<'_>) {
    for (index, notify) in plan.notify.iter().enumerate() {
        match &notify.by {
            NotifyBy::Webhook(url) if token_in(url.text()) => {
                let at = warnings.places.of("notify", index, &["webhook"]);
                let help = "whoever knows the address can write there, and the plan stands in every transcript: declare it in \
                            [secrets] and write {{ secret.KEY }} in its place";
                let message = "this looks like a secret in a webhook's address";
                warnings.add(at, message, "a secret here is no secret", help);
            }
            NotifyBy::Command(command) if secret(&command.run) => {
                secret_warning(warnings.places.of("notify", index, &["run"]), warnings);
            }
            _ => {}
        }
    }
}

/// Whether an address seems to hold what lets anyone write there: services that are known for it, a password before the
/// host, a parameter of such a name, or a part so long and mixed that nobody chose it.
fn token_in(url: &str) -> bool {
    let filled =
        Regex::new(r"\{\{[^}]*\}\}").map_or_else(|_| url.to_owned(), |regex| regex.replace_all(url, "").into());
    let patterns = [
        r"(?i)://hooks\.slack(-gov)?\.com/(services|workflows|triggers)/[^/]+/[^/]+/[^/]",
        r"(?i)://(\w+\.)?discord(app)?\.com/api/webhooks/[^/]+/[^/]",
        r"://[^/\s:@]+:[^@\s/]+@",
        r"(?i)[?&;]([a-z0-9_.-]*(token|secret|password|passwd|key|sig|signature))=[^&]",
    ];
    let known = patterns.iter().any(|pattern| Regex::new(pattern).is_ok_and(|regex| regex.is_match(&filled)));
    let after_host = filled.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let part = |part: &str| {
        let (digits, letters) =
            (part.chars().any(|c| c.is_ascii_digit()), part.chars().any(|c| c.is_ascii_alphabetic()));
        part.len() >= 20 && digits && letters
    };
    known || after_host.split(['/', '?', '&', '=', ';', '.']).any(part)
}

/// Whether a compare reads that watch.
fn compared(plan: &Plan, id: &crate::name::WatchId) -> bool {
    plan.watches.iter().any(|watch| match &watch.kind {
        WatchKind::Compare(compare) => compare.formula.watches().contains(&id),
        _ => false,
    })
}

fn step_warnings(index: usize, plan: &Plan, step: &Step, warnings: &mut Warnings<'_>) {
    let places = warnings.places;
    let at = |keys: &[&str]| places.of("step", index, keys);
    let (id, class) = (&step.id, step.class.word());
    if step.command().is_some_and(|command| secret(&command.run)) {
        secret_warning(at(&["run"]), warnings);
    }
    if step.rollback.as_ref().is_some_and(|rollback| secret(&rollback.command.run)) {
        secret_warning(at(&["rollback"]), warnings);
    }
    if let (Some(expected), Some(timeout)) = (step.expected, step.command().and_then(|command| command.timeout))
        && timeout <= expected
    {
        let message = format!("step {id} is ended before it is expected to end");
        warnings.add(at(&["timeout"]), message, "not longer than `expected`", "give it a longer `timeout`");
    }
    if step.until().is_some_and(|until| until.within.is_none()) {
        let message = format!("step {id} waits without a limit");
        let help = "write until = { watch = \"…\", within = \"2h\" }; without it only a person ends the wait";
        warnings.add(at(&["until"]), message, "for how long?", help);
    }
    for (key, words) in [
        ("title", Some(&step.title)),
        ("touches", step.touches.as_ref()),
        ("undo", step.undo.as_ref()),
        ("half_way", step.half_way.as_ref()),
        ("remains_in", step.remains_in.as_ref()),
    ] {
        if words.is_some_and(|words| words.contains("{{")) {
            let message = format!("parameters are not filled in in `{key}`");
            warnings.add(at(&[key]), message, "shown as it stands", "the armed command shows the parameters' values");
        }
    }
    let watched = |topic: &Template| {
        plan.watches.iter().any(|watch| matches!(&watch.kind, WatchKind::KafkaRetention(of) if of.topic == *topic))
    };
    if let Some(topic) = step.expects_loss.iter().find(|topic| !watched(topic)) {
        let message = format!("no kafka-retention watch looks at the topic {} that step {id} purges", topic.text());
        let help = "`expects_loss` only matters to such a watch: add one, or leave the topic out";
        warnings.add(at(&["expects_loss"]), message, "changes nothing", help);
    }
    // Such a watch reads LOST until the anchor moves, which it does once the step is over.
    let counts_down = |watch: &WatchKind| matches!(watch, WatchKind::KafkaRetention(of) if !of.rises && step.expects_loss.contains(&of.topic));
    if let Some(until) = step.until()
        && plan.watch(&until.watch).is_some_and(|watch| counts_down(&watch.kind))
    {
        let message = format!("step {id} waits for {}, which fails until the step is over", until.watch);
        let help = "it purges the topic on purpose; wait for a kafka-retention watch with goal = \"rises\"";
        warnings.add(at(&["until"]), message, "never ends", help);
    }
    if let Some(each) = step.each().filter(|each| each.first > each.then) {
        let message = format!("the first batch of step {id} is its largest");
        let help = "the first one shows what happens: a few lines are enough for that";
        warnings.add(at(&["each"]), message, format!("{} lines, then {}", each.first, each.then), help);
    }
    if step.point_of_no_return && plan.recovery.is_empty() {
        let message = format!("nothing says how to get back once step {id} is done");
        let help =
            "name the ways back in [[recovery]], best first: the clock on every screen shows which one still stands";
        warnings.add(at(&["point_of_no_return"]), message, "no [[recovery]]", help);
    }
    if step.class == Class::Routine {
        if step.point_of_no_return {
            let message = format!("step {id} cannot be undone, yet nobody is asked to check it");
            let help = "make it class = \"critical\" or \"irreversible\"";
            warnings.add(at(&["point_of_no_return"]), message, "a routine step", help);
        }
        return;
    }
    if step.gates.is_empty() {
        let message = format!("{class} step {id} has no gate");
        warnings.add(at(&["class"]), message, "no `gates`", "name the watches that must be ok before it may run");
    }
    if step.undo.is_none() && step.rollback.is_none() && !step.point_of_no_return {
        let message = format!("{class} step {id} does not say how it could be undone");
        let help = "give it a `rollback`, say it in `undo`, or mark it point_of_no_return = true";
        warnings.add(at(&["class"]), message, "neither `rollback` nor `undo` nor `point_of_no_return`", help);
    }
    if step.expected.is_none() {
        let message = format!("{class} step {id} does not say how long it should take");
        warnings.add(
            at(&["class"]),
            message,
            "no `expected`",
            "without it nobody can tell a slow step from a stuck one",
        );
    }
    let text =
        |step: &Step| step.commands().flat_map(super::people::names_in).collect::<std::collections::BTreeSet<_>>();
    if let Some(name) = step.readback.iter().find(|name| !text(step).contains(*name)) {
        let message = format!("step {id} has {name} read back, and nothing it runs is filled in with it");
        let help = "what people type should decide what happens: name a parameter of the command";
        warnings.add(at(&["readback"]), message, "changes nothing", help);
    }
    if step.class == Class::Irreversible && step.readback.is_empty() {
        let message = format!("irreversible step {id} is checked without a read-back");
        let help =
            "make what it destroys a parameter, and have shadows type it from their own copy: readback = [\"name\"]";
        warnings.add(at(&["class"]), message, "no `readback`", help);
    }
    if step.class == Class::Irreversible && step.checks < 2 {
        let message = format!("irreversible step {id} is cleared by one person");
        warnings.add(at(&["checks"]), message, "two by default", "leave `checks` out, or ask for two");
    }
}

fn secret_warning(at: Range<usize>, warnings: &mut Warnings<'_>) {
    let help = "the command is on every screen and in the transcript: declare it in [secrets] and let the command read it from `env`";
    warnings.add(at, "this looks like a secret in a command", "a secret here is no secret", help);
}

/// Whether a command line seems to hold a secret. A shell's `$NAME` is a reference to one, which is how it should be.
fn secret(run: &Run) -> bool {
    const WORD: &str = r"(?i)(password|passwd|passphrase|token|secret|api[-_]?key|access[-_]?key)";
    let patterns = [
        format!(r#"{WORD}=['"]?[^\s$'"]"#),
        format!(r#"--?{WORD}[ \x00]['"]?[^\s$'"\x00-]"#),
        r"\bAKIA[0-9A-Z]{12,}".to_owned(),
        r"(?i)\bbearer\s+[a-z0-9{]".to_owned(),
        r"://[^/\s:@]+:[^@\s/$]+@".to_owned(),
    ];
    // A zero byte parts the words: a flag's value may be the next word of a list.
    let text = match run {
        Run::Shell(text) => text.text().to_owned(),
        Run::Argv(words) => words.iter().map(|word| word.text()).collect::<Vec<_>>().join("\0"),
    };
    patterns.iter().any(|pattern| Regex::new(pattern).is_ok_and(|regex| regex.is_match(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(rest: &str) -> Vec<String> {
        let text = format!(
            "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n[crew]\nlead = [\"a\"]\nshadow = [\"b\", \"c\"]\n\
             [[watch]]\nid = \"w\"\nkind = \"tcp\"\naddress = \"h:1\"\n{rest}"
        );
        let plan = Plan::parse("test.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        lint(&plan).into_iter().map(|warning| format!("{}: {}", warning.line, warning.message)).collect()
    }

    const GOOD: &str = "class = \"critical\"\nrun = [\"x\"]\ngates = [\"w\"]\nundo = \"y\"\nexpected = \"1m\"\n";

    #[test]
    fn a_critical_step_says_what_holds_it_how_it_is_undone_and_how_long_it_takes() {
        assert_eq!(warnings(&format!("[[step]]\nid = \"s\"\n{GOOD}")), [""; 0]);
        assert_eq!(
            warnings("[[step]]\nid = \"s\"\nclass = \"irreversible\"\nchecks = 1\nrun = [\"x\"]\n"),
            [
                "13: irreversible step s has no gate",
                "13: irreversible step s does not say how it could be undone",
                "13: irreversible step s does not say how long it should take",
                "13: irreversible step s is checked without a read-back",
                "14: irreversible step s is cleared by one person",
            ]
        );
    }

    #[test]
    fn a_point_of_no_return_needs_a_way_back() {
        let step = format!("[[step]]\nid = \"s\"\npoint_of_no_return = true\n{GOOD}");
        assert_eq!(warnings(&step), ["13: nothing says how to get back once step s is done"]);
        let way = "[[recovery]]\nname = \"r\"\nwatch = \"w\"\ntakes = \"1h\"\n";
        assert_eq!(warnings(&format!("{way}{step}")), [""; 0]);
    }

    #[test]
    fn a_poll_locks_something_and_people_know_how_long_it_takes() {
        let item = "[[checklist]]\nid = \"i\"\nask = \"?\"\nanswer = \"yes\"\n";
        assert_eq!(
            warnings(&format!("{item}[[step]]\nid = \"s\"\nrun = [\"x\"]\n")),
            ["1: nobody can tell whether people's time is long enough", "12: the poll locks nothing"]
        );
    }

    #[test]
    fn a_purge_does_not_wait_for_what_only_its_end_mends() {
        let plan = |goal: &str| {
            warnings(&format!(
                "[[watch]]\nid = \"low\"\nkind = \"kafka-retention\"\nbrokers = \"h:1\"\ntopic = \"t\"\n{goal}\n[[step]]\nid = \"s\"\n\
                 expects_loss = [\"t\"]\nuntil = {{ watch = \"low\", within = \"1h\" }}\n{GOOD}"
            ))
        };
        assert_eq!(plan("must_cover = \"6h\""), ["20: step s waits for low, which fails until the step is over"]);
        assert_eq!(plan("goal = \"rises\""), [""; 0]);
    }

    #[test]
    fn the_first_batch_is_a_small_one() {
        let plan = |first: u32| {
            warnings(&format!(
                "[[step]]\nid = \"s\"\nverify = {{ watches = [\"w\"], for = \"1s\" }}\neach = {{ file = \"f\", first = {first}, then = 10 }}\n{GOOD}"
            ))
        };
        assert_eq!(plan(11), ["14: the first batch of step s is its largest"]);
        assert_eq!(plan(10), [""; 0]);
    }

    #[test]
    fn a_dozen_critical_steps_are_enough() {
        let steps = |n: usize| (0..n).map(|i| format!("[[step]]\nid = \"s{i}\"\n{GOOD}")).collect::<String>();
        assert_eq!(warnings(&steps(12)), [""; 0]);
        assert_eq!(warnings(&steps(13)), ["97: 13 critical steps are more than people can really check"]);
    }

    #[test]
    fn an_empty_plan_is_told_so() {
        let text = "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\ncrew = { lead = [\"a\"] }\n";
        let plan = Plan::parse("test.toml", text).unwrap_or_else(|error| panic!("{error}"));
        let list = lint(&plan);
        assert_eq!(list.len(), 2);
        insta::assert_snapshot!(list[0].render("test.toml", &plan, false), @r"
        warning: the plan watches nothing
         --> test.toml:1:1
          |
        1 | crosscheck = 1
          | ^ no [[watch]]
          |
          = help: a [[watch]] shows what the release does to others, and a gate holds it back
        ");
    }

    #[test]
    fn a_token_in_a_webhook_is_seen_and_a_placeholder_is_not() {
        let step = format!("[[step]]\nid = \"s\"\n{GOOD}[secrets]\nHOOK = {{ env = \"HOOK\" }}\n");
        for (url, seen) in [
            ("https://hooks.slack.com/services/T00000000/B00000000/abcdefg", true),
            ("https://discord.com/api/webhooks/1234/abcdefg", true),
            ("https://bot:hunter2@chat.example.org/hook", true),
            ("https://chat.example.org/hook?access_token=abc", true),
            ("https://chat.example.org/hooks/4f7d2c9be81a4d6f9c3e", true),
            ("https://chat.example.org/hook", false),
            ("https://chat.example.org/a-channel-with-a-very-long-name", false),
            ("https://hooks.slack.com/services/T00000000/B00000000/{{ secret.HOOK }}", false),
            ("https://chat.example.org/hook?access_token={{ secret.HOOK }}", false),
            ("{{ secret.HOOK }}", false),
        ] {
            let mut found = warnings(&format!("{step}[[notify]]\non = [\"closed\"]\nwebhook = \"{url}\"\n"));
            found.retain(|warning| !warning.contains("is declared and not used"));
            let wanted: &[&str] = if seen { &["22: this looks like a secret in a webhook's address"] } else { &[] };
            assert_eq!(found, wanted, "{url}");
        }
    }

    #[test]
    fn secrets_are_seen_and_references_to_them_are_not() {
        for run in [
            r#"["x", "--password", "hunter2"]"#,
            r#"["x", "--token=abc"]"#,
            r#""PGPASSWORD=hunter2 psql""#,
            r#""curl -f -H 'Authorization: Bearer abc123' https://search-1""#,
            r#"["aws", "s3", "AKIAIOSFODNN7EXAMPLE"]"#,
            r#"["psql", "postgres://app:hunter2@db/app"]"#,
        ] {
            let found = warnings(&format!("[[step]]\nid = \"s\"\nrun = {run}\n"));
            assert_eq!(found, ["13: this looks like a secret in a command"], "{run}");
        }
        for run in [
            r#"["x", "--password-file", "/run/secret"]"#,
            r#""PGPASSWORD=$SECRET psql""#,
            r#""x --token \"$TOKEN\"""#,
            r#"["psql", "postgres://app@db/app"]"#,
            r#"["curl", "-f", "http://127.0.0.1:8080/a@b"]"#,
        ] {
            assert_eq!(warnings(&format!("[[step]]\nid = \"s\"\nrun = {run}\n")), [""; 0], "{run}");
        }
    }
}
