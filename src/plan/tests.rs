//! What a plan may say and what not, and that no text makes the parser fall over.

use super::*;
use proptest::prelude::*;

pub(super) const HEAD: &str =
    "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\n[crew]\nlead = [\"a\"]\nshadow = [\"b\", \"c\"]\n";
pub(super) const WATCH: &str = "[[watch]]\nid = \"w\"\nkind = \"tcp\"\naddress = \"h:1\"\n";
pub(super) const STEP: &str = "[[step]]\nid = \"s\"\nrun = [\"true\"]\n";

pub(super) fn errors(text: &str) -> PlanError {
    match Plan::parse("plan.toml", text) {
        Err(error) => error,
        Ok(_) => panic!("accepted:\n{text}"),
    }
}
fn messages(text: &str) -> Vec<String> {
    errors(text).problems.into_iter().map(|problem| problem.message).collect()
}
fn parsed(text: &str) -> Plan {
    Plan::parse("plan.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

/// Found by the fuzz target `plan`: a pattern of 30 characters that took seven megabytes.
#[test]
fn a_pattern_that_would_take_megabytes_is_refused() {
    let with = |pattern: &str| HEAD.to_owned() + &format!("[params.p]\npattern = '{pattern}'\n");
    let told = messages(&with(r"(a,b|){7420}[^x-z]*\d"));
    assert!(told.len() == 1 && told[0].starts_with("`pattern` does not compile"), "{told:?}");
    parsed(&with(r"[a-z0-9_.-]{1,255}(v[0-9]{1,6}|latest)?"));
}

/// Every plan that comes with the program.
fn plans() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/sessions");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "toml"));
    let sessions = files.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
    let samples = SAMPLES.iter().map(|name| ((*name).to_owned(), sample(name, "Release").unwrap()));
    sessions.chain(samples).collect()
}

#[test]
fn standard_input_is_a_text_or_a_file() {
    let step = |line: &str| {
        let text = format!("{HEAD}[[step]]\nid = \"s\"\nrun = \"cat\"\n{line}\n");
        Plan::parse("plan.toml", &text).map(|plan| plan.steps[0].clone()).map_err(|error| error.to_string())
    };
    let template = |text: &str| Template::new(text).unwrap();
    assert_eq!(step("stdin = \"yes\\n\"").unwrap().command().unwrap().stdin, Some(Stdin::Text(template("yes\n"))));
    assert_eq!(
        step("stdin = { file = \"a.sql\" }").unwrap().command().unwrap().stdin,
        Some(Stdin::File(template("a.sql")))
    );
    let sealed = |keys: &str| step(keys).unwrap().command().unwrap().sealed;
    assert_eq!((sealed("sealed = true"), sealed("sealed = false"), sealed("")), (Some(true), Some(false), None));
    for (line, says) in [
        ("stdin = {}", "has no `file`"),
        ("stdin = { path = \"a\" }", "unknown key `path`"),
        ("stdin = 1", "`stdin` has the wrong type"),
        ("stdin = { file = \"{{ nope }}\" }", "`nope` is not declared"),
        ("stdin = { file = \"a\\u001b\" }", "hidden character"),
        ("sealed = \"yes\"", "`sealed` has the wrong type"),
    ] {
        let error = step(line).unwrap_err();
        assert!(error.contains(says), "{line}: {error}");
    }
}

#[test]
fn every_plan_that_comes_with_the_program_is_clean() {
    let plans = plans();
    assert!(plans.len() >= 7);
    for (name, text) in plans {
        let plan = Plan::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"));
        // What a template leaves to be filled in is named; nothing is left in the plans that can be flown as they are.
        let left = |message: &str| !name.ends_with(".toml") && message.contains("still that of an example");
        let warnings = lint(&plan).into_iter().filter(|warning| !left(&warning.message));
        let warnings: Vec<_> = warnings.map(|warning| warning.render(&name, &plan, false)).collect();
        assert!(warnings.is_empty(), "{}", warnings.join("\n"));
        assert_eq!(Plan::parse("elsewhere", &text).unwrap(), plan, "equal texts give equal plans");
        // A plan that is flown was rehearsed before: nothing in it is only printed then.
        if name.ends_with(".toml") {
            assert_eq!(plan.without_rehearsal(), [""; 0], "{name}");
            let mut previews = plan.steps.iter().flat_map(|step| &step.preview);
            assert!(previews.all(|preview| preview.rehearse.is_some()), "{name}");
        }
    }
}

#[test]
fn defaults_are_the_documented_ones() {
    let plan = parsed(&format!(
        "{HEAD}{WATCH}{STEP}[[step]]\nid = \"t\"\nclass = \"critical\"\nrun = \"x\"\n\
         [[step]]\nid = \"u\"\nclass = \"irreversible\"\nrun = \"x\"\ngates = [\"w\", ]\nafter = [\"s\"]\n"
    ));
    assert_eq!(plan.lapse, Duration::from_secs(300));
    assert_eq!((plan.on_shadow_lost, plan.shadow_grace), (ShadowLost::Hold, Duration::from_secs(90)));
    assert_eq!(plan.crew.observer, Observers::None);
    assert_eq!((plan.watches[0].every, plan.watches[0].stale_after), (Duration::from_secs(5), Duration::from_secs(15)));
    assert_eq!(plan.steps.iter().map(|step| step.checks).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(plan.steps[1].after, [StepId::new("s").unwrap()]);
    assert_eq!(plan.steps[2].after, [StepId::new("s").unwrap()]);
    assert_eq!(plan.steps[0].after, []);
    assert_eq!((plan.steps[0].title.as_str(), plan.steps[0].command().unwrap().io), ("s", Io::Pty));
}

#[test]
fn ways_back_stand_on_watches_of_the_plan() {
    let rung = |name: &str, rest: &str| format!("[[recovery]]\nname = \"{name}\"\n{rest}\n");
    let whole = "watch = \"w\"\ntakes = \"40m\"";
    let plan = parsed(&format!(
        "{HEAD}{WATCH}{}{}",
        rung("replay", whole),
        rung("dump", &format!("{whole}\nloses = \"a day\""))
    ));
    let seen: Vec<_> = plan.recovery.iter().map(|r| (r.name.as_str(), r.takes, r.loses.as_deref())).collect();
    assert_eq!(seen, [("replay", Duration::from_secs(2400), None), ("dump", Duration::from_secs(2400), Some("a day"))]);
    assert_eq!(plan.recovery[0].watch.as_str(), "w");
    for (text, says) in [
        (rung("r", "watch = \"v\"\ntakes = \"40m\""), "there is no watch \"v\""),
        (rung("r", "takes = \"40m\""), "a way back has no `watch`"),
        (rung("r", "watch = \"w\""), "a way back has no `takes`"),
        (rung("r", "watch = \"w\"\ntakes = \"soon\""), "`takes` is not a duration"),
        (rung("r", &format!("{whole}\nloses = \" \"")), "`loses` is empty"),
        (rung("r", &format!("{whole}\nby = \"x\"")), "unknown key `by` in a way back"),
        ([rung("r", whole), rung("r", whole)].concat(), "two [[recovery]] tables have the name \"r\""),
        ("[recovery]\nname = \"r\"\n".to_owned(), "`recovery` has the wrong type"),
        ((0..21).map(|n| rung(&n.to_string(), whole)).collect(), "more than 20 [[recovery]] tables"),
    ] {
        assert_eq!(messages(&format!("{HEAD}{WATCH}{text}")), [says], "{text}");
    }
}

#[test]
fn a_retention_watch_says_what_is_needed_from_where() {
    let watch = |rest: &str| {
        format!("{HEAD}[[watch]]\nid = \"r\"\nkind = \"kafka-retention\"\nbrokers = \"h:1\"\ntopic = \"t\"\n{rest}\n")
    };
    let read = |rest: &str| match parsed(&watch(rest)).watches.remove(0).kind {
        WatchKind::KafkaRetention(retention) => retention,
        other => panic!("{other:?}"),
    };
    let hours = |n: u64| Duration::from_secs(n * 3600);
    for (rest, from) in [
        ("", NeededFrom::Opening),
        ("group = \"g\"", NeededFrom::Committed),
        ("goal = \"rises\"", NeededFrom::Low),
        ("needed_from = \"low\"", NeededFrom::Low),
        ("needed_from = \"26h\"", NeededFrom::Before(hours(26))),
        ("group = \"g\"\nneeded_from = \"opening\"", NeededFrom::Opening),
        ("group = \"g\"\nneeded_from = \"committed\"", NeededFrom::Committed),
    ] {
        assert_eq!(read(rest).needed_from, from, "{rest}");
    }
    let both = read("must_cover = \"6h\"\nmust_not_exceed = \"168h\"");
    assert_eq!((both.must_cover, both.must_not_exceed, both.rises), (Some(hours(6)), Some(hours(168)), false));
    for (rest, says) in [
        ("must_cover = \"7d\"\nmust_not_exceed = \"6d\"", "`must_cover` is longer than `must_not_exceed`"),
        ("goal = \"falls\"", "`goal` cannot be \"falls\""),
        ("goal = \"rises\"\nmust_cover = \"6h\"", "`must_cover` beside goal = \"rises\""),
        ("goal = \"rises\"\ngroup = \"g\"", "`group` beside goal = \"rises\""),
        ("needed_from = \"yesterday\"", "`needed_from` cannot be \"yesterday\""),
        ("needed_from = \"0s\"", "`needed_from` is no time at all"),
        ("needed_from = \"committed\"", "`needed_from` is what a group committed, but there is no `group`"),
        ("group = \"\"", "`group` is empty"),
        ("topics = [\"t\"]", "unknown key `topics` in this watch"),
    ] {
        assert_eq!(messages(&watch(rest)), [says], "{rest}");
    }
    assert!(messages(&format!("{HEAD}{STEP}expects_loss = \"t\"\n"))[0].contains("`expects_loss` has the wrong type"));
    let purge = format!("{}{STEP}expects_loss = [\"t\", \"other\"]\n", watch(""));
    assert_eq!(parsed(&purge).steps[0].expects_loss.len(), 2);
    let warned: Vec<_> = lint(&parsed(&purge)).into_iter().map(|warning| warning.message).collect();
    assert_eq!(warned, ["no kafka-retention watch looks at the topic other that step s purges"]);
}

#[test]
fn secrets_come_from_three_places_and_stand_in_env_alone() {
    let secrets =
        "[secrets]\nES_KEY = { command = [\"pass\", \"show\", \"es\"] }\nA = { env = \"A\" }\nB = { file = \"b\" }\n";
    let plan = parsed(&format!(
        "{HEAD}{secrets}{STEP}env = {{ AUTH = \"Bearer {{{{ secret.ES_KEY }}}}\", B = \"{{{{secret.B}}}}\", C = \"c\" }}\n"
    ));
    assert_eq!(plan.secrets.keys().collect::<Vec<_>>(), ["A", "B", "ES_KEY"]);
    assert_eq!(plan.secrets["A"], SecretSource::Env("A".into()));
    assert_eq!(plan.steps[0].secrets().into_iter().collect::<Vec<_>>(), ["B", "ES_KEY"]);
    let warnings: Vec<_> = lint(&plan).into_iter().map(|warning| (warning.line, warning.message)).collect();
    assert!(warnings.contains(&(9, "secret A is declared and not used".to_owned())), "{warnings:?}");

    // Whatever else is filled in stands on screens, in the transcript or in `ps`.
    let step = |line: &str| format!("{HEAD}{secrets}[[step]]\nid = \"s\"\n{line}\n");
    let watch = |lines: &str| format!("{HEAD}{secrets}[[watch]]\nid = \"w\"\n{lines}\n");
    for (text, key) in [
        (step("run = [\"x\", \"--key={{ secret.A }}\"]"), "run"),
        (step("run = \"x {{ secret.A }}\""), "run"),
        (step("run = \"x\"\nstdin = \"{{ secret.A }}\""), "stdin"),
        (step("run = \"x\"\ncwd = \"{{ secret.A }}\""), "cwd"),
        (step("run = \"x\"\nfiles = [\"{{ secret.A }}\"]"), "files"),
        (step("run = \"x\"\ntitle = \"with {{ secret.A }}\""), "title"),
        (step("run = \"x\"\ntouches = \"{{secret.A}}\""), "touches"),
        (watch("kind = \"http\"\nurl = \"http://h/{{ secret.A }}\""), "url"),
        (watch("kind = \"http\"\nurl = \"http://h\"\nexpect = { contains = \"{{ secret.A }}\" }"), "contains"),
        (watch("kind = \"command\"\nrun = [\"x\", \"{{ secret.A }}\"]"), "run"),
        (watch("kind = \"tcp\"\naddress = \"{{ secret.A }}:1\""), "address"),
        (format!("{HEAD}[secrets]\nA = {{ env = \"A\" }}\nB = {{ file = \"{{{{ secret.A }}}}\" }}\n"), "file"),
    ] {
        assert_eq!(messages(&text), [format!("a secret in `{key}`")], "{text}");
    }
    let env = |value: &str| step(&format!("run = \"x\"\nenv = {{ {value} }}"));
    for (text, message) in [
        (env("K = \"{{ secret.C }}\""), "secret `C` is not declared"),
        (env("K = \"{{ secret }}\""), "parameter `secret` is not declared"),
        (env("PATH = \"{{ secret.A }}\""), "`PATH` cannot be a secret"),
        (env("LD_PRELOAD = \"{{ secret.A }}\""), "`LD_PRELOAD` cannot be a secret"),
        (format!("{HEAD}[secrets]\nK = \"hunter2\"\n"), "a secret's value does not stand in a plan"),
        (format!("{HEAD}[secrets]\nK = {{ env = \"A\", file = \"b\" }}\n"), "secret `K` comes from one place"),
        (format!("{HEAD}[secrets]\nK = {{}}\n"), "secret `K` comes from one place"),
        (format!("{HEAD}[secrets]\nK = {{ env = \"A B\" }}\n"), "`env` names no variable"),
        (format!("{HEAD}[secrets]\nK = {{ command = [] }}\n"), "`command` names no command"),
        (format!("{HEAD}[secrets]\nK = {{ vault = \"x\" }}\n"), "unknown key `vault` in a secret"),
        (format!("{HEAD}[secrets]\n\"a b\" = {{ env = \"A\" }}\n"), "a secret cannot be called `a b`"),
    ] {
        let told = messages(&text);
        assert!(told.iter().any(|told| told == message), "{text}: {told:?}");
    }
}

#[test]
fn every_mistake_is_told_at_once_and_in_order() {
    let text = format!(
        "{HEAD}colour = 1\n{WATCH}every = \"1x\"\n[[step]]\nid = \"s\"\nrun = []\ngates = [\"v\"]\nafter = [\"z\"]\nclass = \"crit\"\n"
    );
    assert_eq!(
        messages(&text),
        [
            "unknown key `colour` in the crew",
            "`every` is not a duration",
            "`run` names no command",
            "there is no watch \"v\"",
            "there is no step \"z\"",
            "`class` cannot be \"crit\"",
        ]
    );
}

#[test]
fn what_a_step_is_verified_with_is_read_whole_or_refused() {
    let step = |verify: &str| format!("{HEAD}{WATCH}{STEP}verify = {verify}\n");
    let read = parsed(&step("{ watches = [{ watch = \"w\", worse = \"down\" }], for = \"90s\" }"));
    let verify = read.steps[0].verify().unwrap();
    assert_eq!(verify.time, Duration::from_secs(90));
    assert_eq!((verify.watches[0].watch.as_str(), verify.watches[0].worse), ("w", Some(Worse::Down)));
    for (verify, message) in [
        ("{ watches = [\"w\"] }", "a verification has no `for`"),
        ("{ for = \"60s\" }", "a verification has no `watches`"),
        ("{ watches = [], for = \"60s\" }", "`watches` is empty"),
        ("{ watches = [\"w\"], for = \"0s\" }", "`for` is no time at all"),
        ("{ watches = [\"w\", \"w\"], for = \"60s\" }", "w is verified twice"),
        ("{ watches = [\"v\"], for = \"60s\" }", "there is no watch \"v\""),
        ("{ watches = [{ watch = \"w\", worse = \"left\" }], for = \"60s\" }", "`worse` cannot be \"left\""),
        ("{ watches = [\"w\"], for = \"60s\", until = 3 }", "unknown key `until` in a verification"),
    ] {
        let told = messages(&step(verify));
        assert!(told.iter().any(|told| told == message), "{verify}: {told:?}");
    }
}

#[test]
fn a_step_waits_for_a_watch_or_is_done_by_a_person() {
    let plan = parsed(&format!("{HEAD}{WATCH}{STEP}until = \"w\"\n"));
    let until = plan.steps[0].until().unwrap();
    assert_eq!((until.watch.as_str(), until.within), ("w", None));
    let bare = |keys: &str| format!("{HEAD}{WATCH}[[step]]\nid = \"s\"\n{keys}\n");
    let plan = parsed(&bare("until = { watch = \"w\", within = \"2h\" }"));
    assert!(plan.steps[0].runs().is_none() && plan.steps[0].commands().next().is_none());
    assert_eq!(plan.steps[0].until().unwrap().within, Some(Duration::from_secs(7200)));
    let plan = parsed(&bare("manual = \"tell support\""));
    assert!(plan.steps[0].runs().is_none() && plan.steps[0].by_hand().unwrap().text() == "tell support");
    for (keys, message) in [
        ("until = \"v\"", "there is no watch \"v\""),
        ("until = { within = \"2h\" }", "a wait has no `watch`"),
        ("until = { watch = \"w\", within = \"0s\" }", "`within` is no time at all"),
        ("until = { watch = \"w\", for = \"2h\" }", "unknown key `for` in a wait"),
        ("until = \"w\"\ntimeout = \"2h\"", "`timeout` in a step without `run`"),
        ("manual = \"x\"\nrun = [\"x\"]", "a step with `manual` and with `run`"),
        ("manual = \" \"", "`manual` is empty"),
        ("manual = \"{{ nothing }}\"", "parameter `nothing` is not declared"),
        ("manual = \"x\"\nenv = { A = \"b\" }", "`env` in a step without `run`"),
        ("manual = \"x\"\nrun_on_clear = true", "`run_on_clear` on a manual step"),
        ("manual = \"x\"\nverify = { watches = [\"w\"], for = \"2s\" }", "`verify` on a manual step"),
        ("title = \"x\"", "a step has no `run`"),
    ] {
        let told = messages(&bare(keys));
        assert!(told.iter().any(|told| told == message), "{keys}: {told:?}");
    }
}

#[test]
fn what_this_version_does_not_carry_out_is_refused_by_its_name() {
    let watch = "id = \"w\"\nkind = \"kafka-lag\"\nbrokers = \"k:9092\"\ngroup = \"g\"";
    let text = format!("{HEAD}[[watch]]\n{watch}\nclient = {{ \"sasl.mechanism\" = \"GSSAPI\" }}\n");
    let problems = errors(&text).problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    let problem = &problems[0];
    assert!(problem.message.contains("GSSAPI"), "{problem:?}");
    assert!(problem.message.ends_with("is not in this version of crosscheck"), "{problem:?}");
    assert!(text[problem.span.clone()].contains("GSSAPI"), "{problem:?}");
    parsed(&format!("{HEAD}{STEP}input = \"none\"\n"));
}

#[test]
fn a_rollback_is_a_command_with_what_must_follow_it() {
    let steps = |rollback: &str| {
        format!(
            "{HEAD}{WATCH}[[step]]\nid = \"a\"\nrun = \"x\"\nrollback = {rollback}\n[[step]]\nid = \"pause\"\nrun = \"x\"\n[[step]]\nid = \"z\"\nrun = \"x\"\n"
        )
    };
    let plan = parsed(&steps("{ run = [\"u\"], timeout = \"5s\", automatic = true, contain = [\"pause\"] }"));
    let rollback = plan.steps[0].rollback.as_ref().unwrap();
    assert!(rollback.automatic && rollback.command.timeout == Some(Duration::from_secs(5)));
    assert_eq!(rollback.contain, [StepId::new("pause").unwrap()]);
    // What only contains a rollback stands in nobody's way: it waits for nothing, and nothing waits for it.
    assert!(plan.steps[1].after.is_empty());
    assert_eq!(plan.steps[2].after, [StepId::new("a").unwrap()]);
    for (rollback, says) in [
        ("{ automatic = true }", "run"),
        ("{ run = [\"u\"], contain = [\"pausee\"] }", "there is no step \"pausee\""),
        ("{ run = [\"u\"], contain = [\"a\"] }", "a step cannot contain its own rollback"),
        ("{ run = [\"u\"], gates = [\"w\"] }", "unknown key `gates` in a rollback"),
    ] {
        let found = messages(&steps(rollback));
        assert!(found.iter().any(|message| message.contains(says)), "{rollback}: {found:?}");
    }
}

#[test]
fn an_automatic_rollback_on_a_point_of_no_return_is_wrong_in_itself() {
    let text = format!("{HEAD}{STEP}point_of_no_return = true\nrollback = {{ run = [\"x\"], automatic = true }}\n");
    assert!(messages(&text).contains(&"an automatic rollback on a point of no return".to_owned()));
}

#[test]
fn mistakes_in_values_are_told() {
    let param = |rest: &str| format!("{HEAD}[params.p]\n{rest}\n");
    let step = |rest: &str| format!("{HEAD}{WATCH}[[step]]\nid = \"s\"\nrun = \"x\"\n{rest}\n");
    let run = |run: &str| format!("{HEAD}[[step]]\nid = \"s\"\nrun = {run}\n");
    let watch = |rest: &str| format!("{HEAD}[[watch]]\nid = \"w\"\n{rest}\n");
    let head = |from: &str, to: &str| HEAD.replacen(from, to, 1);
    for (text, expected) in [
        (head("[\"a\"]", "[]"), "nobody may lead"),
        (head("\"a\"", "\"a b\""), "a principal may not contain"),
        (head("\"a\"", "\"hub\""), "\"hub\" is what the hub signs as"),
        (head("\"b\", \"c\"", "\"b\", \"b\""), "b is named twice"),
        (head("name = \"n\"\n", ""), "the plan has no `name`"),
        (head("\"e\"", "\" \""), "`environment` is empty"),
        (format!("{HEAD}observer = \"links\"\n"), "`observer` cannot be \"links\""),
        (format!("on_shadow_lost = 3\n{HEAD}"), "`on_shadow_lost` has the wrong type"),
        (param("pattern = \"(\""), "`pattern` does not compile"),
        (param("pattern = \"a)|(b\""), "`pattern` does not compile"),
        (param("default = 3"), "`default` has the wrong type"),
        (format!("{HEAD}[params.true]\n"), "a parameter cannot be called `true`"),
        (format!("{HEAD}[params.\"a-b\"]\n"), "a parameter cannot be called `a-b`"),
        (step("class = \"critical\"\nchecks = 0"), "a step of class \"critical\" needs a cross-check"),
        (step("checks = -1"), "`checks` is out of range"),
        (step("checks = 3"), "the step needs 3 cross-checks, but the plan names only 2 shadows beside the lead"),
        (step("after = [\"s\"]"), "a step cannot wait for itself"),
        (step("gates = [\"w\", \"w\"]"), "w is a gate twice"),
        (step("gates = [{ watch = \"w\", allow = \"fail\" }]"), "`allow` cannot be \"fail\""),
        (step("timeout = \"0s\""), "`timeout` is no time at all"),
        (step("timeout = \"99999d\""), "`timeout` is too long"),
        (step("env = { \"A B\" = \"x\" }"), "a variable cannot be called `A B`"),
        (step("io = \"tty\""), "`io` cannot be \"tty\""),
        (step("title = \"\"\"a\nb\"\"\""), "`title` holds the hidden character"),
        (run("\" \""), "`run` is empty"),
        (run("[\"\"]"), "`run` names no command"),
        (run("3"), "`run` has the wrong type"),
        (run("\"a {{ b\""), "`{{` is never closed"),
        (run("\"a {{ b|upper }}\""), "`{{ b|upper }}` is not a parameter"),
        (run("\"${#a}\""), "`{#` is not in a plan's texts"),
        (run("\"{% if a %}\""), "`{%` is not in a plan's texts"),
        (format!("{HEAD}[[step]]\nid = \"a b\"\nrun = \"x\"\n"), "a step id may not contain"),
        (format!("{HEAD}[step]\nid = \"a\"\n"), "`step` has the wrong type"),
        (format!("{HEAD}[[steps]]\nid = \"a\"\n"), "unknown key `steps` in the plan"),
        (watch(""), "a watch has no `kind`"),
        (watch("kind = \"htp\""), "`kind` cannot be \"htp\""),
        (watch("kind = \"http\"\nurl = \"h\""), "`url` is not a web address"),
        (watch("kind = \"http\"\nurl = \"http://h\"\nvalue = \"a\""), "`value` is not a JSON pointer"),
        (watch("kind = \"http\"\nurl = \"http://h\"\nexpect = { status = 99 }"), "`status` is out of range"),
        (
            watch("kind = \"http\"\nurl = \"http://h\"\nexpect = { contains = \"{{ a }}\" }"),
            "parameters are not filled in",
        ),
        (watch("kind = \"tcp\"\naddress = \"h\""), "`address` has no port"),
        (watch("kind = \"tcp\"\naddress = \"h:1\"\nevery = \"50ms\""), "`every` is too often"),
        (watch("kind = \"tcp\"\naddress = \"h:1\"\nstale_after = \"5s\""), "every reading would be stale"),
        (watch("kind = \"file\"\npath = \"p\"\nmin_size = \"5 gigs\""), "`min_size` is not a size"),
        (watch("kind = \"file\"\npath = \"p\"\nmin_size_ratio = 1.5"), "`min_size_ratio` is out of range"),
        (watch("kind = \"file\"\npath = \"p\"\nmin_size_ratio = nan"), "`min_size_ratio` is out of range"),
        (watch("kind = \"host\""), "this watch has no limit"),
        (
            watch(
                "kind = \"kafka-lag\"\nbrokers = \"b\"\ngroup = \"g\"\ntopics = [\"t\"]\nwarn_above = 2\nfail_above = 1",
            ),
            "`warn_above` is above `fail_above`",
        ),
        (watch("kind = \"kafka-lag\"\nbrokers = \"b\"\ngroup = \"g\"\ntopics = []"), "`topics` is empty"),
        (watch("kind = \"process\"\nuser = \"root\""), "this watch does not say which process"),
        (watch("kind = \"process\"\nname = \"\""), "`name` is empty"),
        (watch("kind = \"process\"\nname = \"n\"\nmax_restarts = -1"), "`max_restarts` is out of range"),
        (watch("kind = \"compare\"\nassert = \"1 == 1\""), "this formula reads no watch"),
        (watch("kind = \"compare\"\nassert = \"v == 1\""), "there is no watch \"v\""),
        (watch("kind = \"compare\"\nassert = \"w == 1\""), "this comparison rests on itself"),
    ] {
        let messages = messages(&text);
        assert!(messages.iter().any(|message| message.contains(expected)), "{expected}: {messages:?}\n{text}");
        assert_eq!(messages.len(), 1, "{expected}: {messages:?}\n{text}");
    }
}

#[test]
fn braces_that_are_meant_are_written_in_quotes() {
    let plan = parsed(&format!(
        "{HEAD}[[step]]\nid = \"s\"\nrun = '''docker ps --format '{{{{ \"{{{{\" }}}}.Names}}}}' '''\n"
    ));
    let argv = plan.steps[0].command().unwrap().run.argv(&Params::new()).unwrap();
    assert_eq!(argv[3], "docker ps --format '{{.Names}}' ");
}

#[test]
fn one_name_written_in_two_ways_is_one_name() {
    let text =
        format!("{HEAD}[[step]]\nid = \"caf\u{e9}\"\nrun = \"x\"\n[[step]]\nid = \"cafe\u{301}\"\nrun = \"x\"\n");
    assert_eq!(messages(&text), ["two step tables have the id \"caf\u{e9}\""]);
    let text = format!(
        "{HEAD}[[step]]\nid = \"caf\u{e9}\"\nrun = \"x\"\n[[step]]\nid = \"b\"\nrun = \"x\"\nafter = [\"cafe\u{301}\"]\n"
    );
    assert_eq!(parsed(&text).steps[1].after, [StepId::new("caf\u{e9}").unwrap()]);
}

#[test]
fn sizes_have_limits() {
    let long = format!("{HEAD}#{}\n", "x".repeat(1 << 20));
    assert_eq!(errors(&long).problems.len(), 1);
    assert!(errors(&long).to_string().contains("expected at most 98304"));
    let steps: String = (0..501).map(|i| format!("[[step]]\nid = \"s{i}\"\nrun = \"x\"\n")).collect();
    assert_eq!(messages(&format!("{HEAD}{steps}")), ["more than 500 [[step]] tables"]);
    let watches: String = (0..201).map(|i| WATCH.replace("\"w\"", &format!("\"w{i}\""))).collect();
    assert_eq!(messages(&format!("{HEAD}{watches}")), ["more than 200 [[watch]] tables"]);
    // Many mistakes are counted, not all drawn.
    let steps: String = (0..100).map(|i| format!("[[step]]\nid = \"s{i}\"\n")).collect();
    assert!(errors(&format!("{HEAD}{steps}")).to_string().ends_with("plan.toml: 100 problems, the first 50 shown"));
}

/// A hostile file may not keep a hub, or a person's editor, busy: each of these took minutes or the stack in some parser.
#[test]
fn large_hostile_texts_are_answered_quickly() {
    let n = 1 << 17;
    let start = std::time::Instant::now();
    let run = |text: &str| format!("{HEAD}[[step]]\nid = \"s\"\nrun = \'\'\'{text}\'\'\'\n");
    let many = |item: &str| format!("{HEAD}{WATCH}{STEP}gates = [{}]\n", item.repeat(n / item.len()));
    for text in [
        "[".repeat(n),
        format!("a = {}", "[".repeat(n)),
        format!("a = {}", "{a=".repeat(n / 3)),
        "a.".repeat(n / 2),
        run(&"{{ a }}".repeat(n / 7)),
        run(&"{ {".repeat(n / 3)),
        run(&(0..n / 12).map(|i| format!("{{{{a{i}}}}}")).collect::<String>()),
        run(&"{{ '{{' }}".repeat(n / 10)),
        many("\"v\","),
        many("{},"),
        "\u{202e}".repeat(n / 3),
        format!("{HEAD}{}", (0..n / 10).map(|i| format!("k{i} = 1\n")).collect::<String>()),
    ] {
        survives(&text);
    }
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn line_ends_of_windows_are_line_ends() {
    parsed(&format!("{HEAD}{STEP}").replace('\n', "\r\n"));
}

#[test]
fn given_values_are_checked_like_defaults() {
    let plan = parsed(&format!("{HEAD}[params.i]\npattern = \"[a-z]+\"\n[params.j]\n"));
    let given = |name: &str, value: &str| plan.params(&Params::from([(name.to_owned(), value.to_owned())]));
    assert_eq!(given("i", "abc").unwrap().len(), 1);
    for (name, value) in [("i", "a1"), ("i", "a\n"), ("j", "a\u{202e}"), ("k", "x")] {
        assert!(given(name, value).is_err(), "{name} {value:?}");
    }
}

#[test]
fn a_rehearsal_has_values_of_its_own_and_a_live_session_never_has_them() {
    let table = "default = \"\"\npattern = \"(rehearsal_)?\"\nrehearsal = \"rehearsal_\"\n";
    let live = parsed(&format!("{HEAD}[params.prefix]\n{table}[params.other]\nrehearsal = \"x\"\n"));
    let given = |plan: &Plan, values: &[(&str, &str)]| {
        plan.params(&values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    };
    assert_eq!(given(&live, &[]).unwrap(), Params::from([("prefix".into(), String::new())]));
    for (name, value) in [("prefix", "rehearsal_"), ("other", "x")] {
        let why = given(&live, &[(name, value)]).unwrap_err();
        assert!(why.contains("is its value in a rehearsal"), "{why}");
    }
    let rehearsed = live.rehearsed_on("masked copy");
    let values = given(&rehearsed, &[]).unwrap();
    assert_eq!(values, Params::from([("other".into(), "x".into()), ("prefix".into(), "rehearsal_".into())]));
    assert_eq!(given(&rehearsed, &[("prefix", "")]).unwrap()["prefix"], "");
    for (table, says) in [
        (table.replace("l_\"\n", "l\"\n"), "the value in a rehearsal of `prefix` does not match its own pattern"),
        (table.replace("default = \"\"", "default = \"rehearsal_\""), "is the same in a rehearsal"),
        (table.replace("rehearsal = \"rehearsal_\"", "rehearsal = 1"), "wrong type"),
    ] {
        let error = Plan::parse("plan.toml", &format!("{HEAD}[params.prefix]\n{table}")).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

/// Whatever the text: an answer, problems that can be drawn, and nothing hidden in what is drawn.
fn survives(text: &str) {
    match Plan::parse("any\u{1b}.toml", text) {
        Ok(plan) => {
            for warning in lint(&plan) {
                warning.render("any.toml", &plan, false);
            }
        }
        Err(error) => {
            assert!(!error.problems.is_empty());
            assert!(!error.to_string().chars().any(|c| crate::name::is_hidden(c) && c != '\n'), "{error:?}");
            error.render(true);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_fall_over(text in ".{0,300}", toml in "[\\[\\]a-z=\"{}.,#' \n\t0-9\u{301}\u{202e}%-]{0,200}") {
        survives(&text);
        survives(&toml);
        survives(&format!("{HEAD}{toml}"));
        survives(&format!("{HEAD}[[step]]\nid = \"s\"\nrun = '''{toml}'''\n"));
    }

    #[test]
    fn no_change_to_a_plan_makes_the_parser_fall_over(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..40_usize, "[\\[\\]a-z=\"{}.,#'\n 0-9é\u{202e}]{0,6}"), 1..4),
    ) {
        let plans = plans();
        let mut text: Vec<char> = plans[which.index(plans.len())].1.chars().collect();
        for (at, cut, put) in changes {
            let at = at.index(text.len());
            let end = (at + cut).min(text.len());
            text.splice(at..end, put.chars());
        }
        survives(&text.into_iter().collect::<String>());
    }
}

#[test]
fn seats_a_checklist_and_a_poll_go_together() {
    let with = |crew: &str, rest: &str| format!("{HEAD}{crew}\n{rest}\n");
    const SEAT: &str = "[[crew.seat]]\nname = \"status page\"\nwho = [\"s\", \"b\"]\n";
    const ITEM: &str = "[[checklist]]\nid = \"restored\"\nask = \"By whom?\"\nanswer = \"text\"\n";
    let plan = parsed(&with(SEAT, &format!("{ITEM}seat = \"status page\"\n")));
    assert!(plan.poll && plan.checklist[0].answer == Asked::Text);
    let names = |names: Vec<&Principal>| names.into_iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(plan.principals()), ["a", "b", "c", "s"], "a seat's holder needs a link");
    assert_eq!(names(plan.crew()), ["a", "b", "c", "s"], "and a line in allowed_signers");
    assert!(!parsed(HEAD).poll && parsed(&with("", ITEM)).poll && parsed(&with(SEAT, "")).poll);
    let polled = |word: &str, rest: &str| HEAD.replacen("[crew]", &format!("poll = {word}\n[crew]"), 1) + rest;
    assert!(parsed(&polled("true", "")).poll && !parsed(&polled("false", "")).poll);
    for (text, says) in [
        (polled("false", ITEM), "a plan with a checklist is polled"),
        (polled("false", SEAT), "a plan with seats is polled"),
        (polled("\"yes\"", ""), "`poll` has the wrong type"),
        (with(SEAT, &format!("{ITEM}seat = \"status\"\n")), "there is no seat \"status\""),
        (with("", &format!("{ITEM}seat = \"any\"\n")), "there is no seat \"any\""),
        (with(&format!("{SEAT}{SEAT}"), ""), "two [[crew.seat]] tables have the name \"status page\""),
        (with("", &format!("{ITEM}{ITEM}")), "two checklist tables have the id \"restored\""),
        (with("", &ITEM.replace("text", "maybe")), "`answer` cannot be \"maybe\""),
        (with("", "[[checklist]]\nid = \"x\"\nask = \"?\"\n"), "a checklist item has no `answer`"),
        (
            with("", "[[checklist]]\nid = \"x y\"\nask = \"?\"\nanswer = \"yes\"\n"),
            "a checklist id may not contain ' '",
        ),
        (with("[[crew.seat]]\nname = \"x\"\n", ""), "a seat has no `who`"),
        (with("[[crew.seat]]\nname = \"x\"\nwho = []\n", ""), "nobody may take the seat"),
        (with("[[crew.seat]]\nname = \"x\"\nwho = [\"hub\"]\n", ""), "\"hub\" is what the hub signs as"),
        (
            with(&format!("[[crew.seat]]\nname = \"{}\"\nwho = [\"s\"]\n", "x".repeat(33)), ""),
            "the seat's name is too long",
        ),
    ] {
        assert_eq!(messages(&text), [says], "{text}");
    }
}
