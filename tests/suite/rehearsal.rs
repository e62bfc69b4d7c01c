//! A rehearsal on the built program: nothing live is run, and nobody can take it for a live session.

use crate::support::hook::{Answer, Hook};
use crate::support::program::{Stage, run, transcript_files};
use crate::support::tmux::Terminals;
use crate::support::wait::{PATIENCE, poll};

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";
const SEARCH: &str = "search@example.org";
const DATA: &str = "masked copy, 10 % sample";
const REHEARSE: &[&str] = &["--rehearse", "--data", DATA];

/// Every live command leaves a trace; so does every command of the rehearsal. `{hook}` is told.
const PLAN: &str = r#"
crosscheck = 1
name = "Drop the index"
environment = "prod-eu1"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org", "search@example.org"]
[[watch]]
id = "page"
kind = "command"
run = ["grep", "-q", "fine", "page"]
every = "200ms"
[[step]]
id = "load"
title = "Load the new data"
class = "critical"
run = "echo load >> LIVE; echo broken > page"
rehearse = "echo load >> dry; exit 3"
gates = ["page"]
rollback = { run = "echo unload >> LIVE", rehearse = "echo unload >> dry", automatic = true }
preview = { run = "echo count >> LIVE; echo 5", expect = "1..9", rehearse = "echo count >> dry; echo 7" }
[[step]]
id = "drop"
title = "Drop the old data"
class = "critical"
run = "echo drop >> LIVE"
preview = { run = "echo count >> LIVE; echo 5", expect = "1..9" }
[[notify]]
on = ["opened", "waiting", "closed"]
run = "echo told >> LIVE"
"#;

fn stage(plan: &str) -> Stage {
    let stage = Stage::new(plan);
    std::fs::write(stage.path("page"), "fine\n").expect("it is written");
    stage
}

fn trace(stage: &Stage, name: &str) -> Option<String> {
    std::fs::read_to_string(stage.path(name)).ok()
}

fn page_is_read(stage: &Stage) {
    poll(PATIENCE, || (!stage.events("ReadingTaken").is_empty()).then_some(())).expect("the page is read");
}

#[test]
fn nothing_live_runs_and_everything_says_that_it_is_a_rehearsal() {
    let hook = Hook::start(Answer::status("200 OK"));
    let stage =
        stage(&format!("{PLAN}[[notify]]\non = [\"waiting\", \"closed\"]\nwebhook = \"http://{}/x\"\n", hook.address));
    let mut hub = stage.serve(REHEARSE);
    hub.expect("REHEARSAL, nothing live is run; data: masked copy, 10 % sample");
    hub.expect("opened REHEARSAL");
    let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
    dba.expect("REHEARSAL nothing live is run; data: masked copy, 10 % sample");
    assert!(stage.links()[LEAD].contains("#s=rehearsal-"), "{:?}", stage.links());
    page_is_read(&stage);

    lead.ok("arm load");
    dba.expect("NOT RUN, live: a script, run by sh -eu -c:");
    dba.expect("  | echo load >> LIVE");
    dba.expect("command: a script, run by sh -eu -c:");
    dba.expect("  | echo load >> dry; exit 3");
    dba.expect("preview says: 7");
    dba.ok("check");
    lead.ok("run");
    lead.expect("ROLLBACK of 01 load, as the plan says");
    lead.expect("01 load is rolled back");
    dba.expect("01 load is rolled back");
    dba.ok("settle load failed practised");
    // It is not done, so what comes after it begins only once two leave it out.
    for somebody in [&lead, &dba] {
        somebody.ok("skip load practised");
    }

    // What has no rehearsal is printed; so is what the lead types.
    for (verb, printed) in
        [("arm drop", "echo drop >> LIVE"), ("adhoc echo typed >> LIVE # because", "echo typed >> LIVE")]
    {
        lead.ok(verb);
        dba.expect("--- CHECK");
        dba.expect("here it is only printed");
        dba.expect("argument 0: printf");
        dba.ok("check");
        lead.ok("run");
        lead.expect("runs, process");
        dba.expect("REHEARSAL   | REHEARSAL: nothing is run here. Live, this would run:");
        dba.expect(&format!("  | {printed}"));
    }
    assert_eq!(hook.told("waiting")["crosscheck"]["rehearsal"], DATA);
    lead.expect("adhoc-1 done");
    lead.ok("close");
    assert!(hub.wait().success());
    hook.told("closed");
    for post in hook.posts() {
        let text = post.body["text"].as_str().expect("a text");
        let mark = "REHEARSAL, nothing live is run (data: masked copy, 10 % sample) · [prod-eu1] ";
        assert!(text.starts_with(mark), "{text}");
    }

    assert_eq!(trace(&stage, "LIVE"), None, "no command of the live plan was run");
    let dry = trace(&stage, "dry").expect("the rehearsal's own were");
    assert!(dry.contains("count\nload\nunload") || dry.contains("count\ncount\nload\nunload"), "{dry}");
    let unmarked = |printed: &str| printed.lines().filter(|line| !line.starts_with("REHEARSAL")).count();
    for (who, plain) in [(LEAD, &lead), (DBA, &dba)] {
        // What the program says beside the session ("signing with …") is not of the session.
        assert!(unmarked(&plain.printed()) <= 1, "{who}: {}", plain.printed());
    }

    // The transcript: its place, its name, its first line, what `verify`, `report` and `replay` say.
    assert!(transcript_files(&stage.path("transcripts")).is_empty(), "none among the live ones");
    let file = stage.transcript_file();
    assert!(file.to_string_lossy().contains("-rehearsal-drop-the-index-"), "{}", file.display());
    assert_eq!(stage.events("SessionOpened")[0]["rehearsal"], DATA);
    let path = file.display().to_string();
    let home = stage.home(LEAD);
    let (status, out, _) = run(&home, &["verify", &path]);
    assert!(status == Some(0) && out.starts_with("REHEARSAL, nothing live is run; data: masked copy"), "{out}");
    let (_, out, _) = run(&home, &["verify", "--json", &path]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json["audit"]["rehearsal"], DATA);
    let (_, out, _) = run(&home, &["report", &path]);
    assert!(out.starts_with("# REHEARSAL, not a release: Drop the index"), "{out}");
    let (_, out, _) = run(&home, &["replay", "--plain", &path]);
    assert!(unmarked(&out) == 0 && out.contains("NOT RUN, live: a script"), "{out}");
    let evidence = stage.path("evidence");
    let (status, _, err) = run(&home, &["evidence", &path, "load", "--out", &evidence.display().to_string()]);
    assert_eq!(status, Some(0), "{err}");
    let read = |name: &str| std::fs::read_to_string(evidence.join(name)).expect(name);
    assert!(read("README").starts_with("THIS WAS A REHEARSAL, on masked copy"), "{}", read("README"));
    assert!(
        read("01-dba@example.org.stmt").contains("\nrehearsal: masked%20copy"),
        "{}",
        read("01-dba@example.org.stmt")
    );
    let (status, out, err) =
        run(&home, &["expire", "--session", &session(&stage)[..8], &stage.path("transcripts").display().to_string()]);
    assert!(status == Some(0) && out.contains("deleted"), "{out}{err}");
}

/// The id without what marks it.
fn session(stage: &Stage) -> String {
    let id = stage.events("SessionOpened")[0]["session"].as_str().expect("an id").to_owned();
    id.strip_prefix("rehearsal-").expect("a rehearsal's id says so").to_owned()
}

#[test]
fn a_rehearsal_and_the_live_session_hold_no_lock_of_each_other_and_are_never_taken_for_one_another() {
    let stage = stage(PLAN);
    let rehearsed = stage.serve(REHEARSE);
    let rehearsal_links = stage.links();
    // The same environment, live, at the same time.
    let live = stage.serve(&[]);
    live.expect("opened session");
    assert!(!stage.links()[LEAD].contains("rehearsal") && rehearsal_links[LEAD].contains("rehearsal"));
    assert_eq!(transcript_files(&stage.path("transcripts")).len(), 1);
    assert_eq!(transcript_files(&stage.path("transcripts/rehearsals")).len(), 1);
    let lead = stage.join(LEAD);
    lead.ok("say live");
    assert!(!lead.printed().contains("REHEARSAL"), "{}", lead.printed());
    // A second rehearsal has to wait for the first one, and another one's data are not its.
    let mut second = stage.serve_unready(REHEARSE);
    assert!(!second.wait().success());
    second.expect("has this session");
    drop(live);
    drop(rehearsed);
    let mut other = stage.serve_unready(&["--rehearse", "--data", "all of it"]);
    assert!(!other.wait().success());
    other.expect("an unfinished rehearsal of this plan");
    other.expect("give the same --data");
    let again = stage.serve(REHEARSE);
    again.expect("took up the unfinished REHEARSAL");
    // `host` finds the hub of the rehearsal by these links, and does not attach to it for a live session.
    let mut host = stage.host();
    assert!(!host.wait().success());
    assert!(host.answer().contains("flies a REHEARSAL"), "{}", host.printed());
}

#[test]
fn a_rehearsal_says_on_which_data_or_does_not_start() {
    let stage = stage(PLAN);
    let plan = stage.plan().display().to_string();
    let home = stage.home(LEAD);
    for (args, words) in [
        (vec!["serve", &plan, "--rehearse"], "--data <WORDS>"),
        (vec!["host", &plan, "--rehearse"], "--data <WORDS>"),
        (vec!["serve", &plan, "--rehearse", "--data", " "], "say on which data the rehearsal is"),
        (vec!["serve", &plan, "--rehearse", "--data", "a\u{202e}b"], "hidden character"),
        (vec!["serve", &plan, "--data", "x"], "--rehearse"),
        (
            vec!["host", "--adhoc", "e", "--lead", "a", "--shadow", "b", "--rehearse", "--data", "x"],
            "cannot be used with",
        ),
    ] {
        let (status, _, err) = run(&home, &args);
        assert!(status == Some(2) && err.contains(words), "{args:?}: {status:?} {err}");
    }
    assert!(transcript_files(&stage.path("transcripts")).is_empty());
}

#[test]
fn a_flight_is_no_rehearsal_and_a_rehearsal_is_no_flight() {
    let watches = |folder: &str| {
        let watch = |id: &str, more: &str| {
            format!(
                "[[watch]]\nid = \"{id}\"\nkind = \"session\"\nenvironment = \"prod-eu1\"\ntranscripts = \"{folder}\"\n\
                 within = \"1h\"\nplan = \"Short\"\n{more}"
            )
        };
        format!(
            "crosscheck = 1\nname = \"Looks\"\nenvironment = \"e\"\n[crew]\nlead = [\"a@x\"]\n{}{}",
            watch("flown", ""),
            watch("rehearsed", "rehearsal = true\n")
        )
    };
    let short = "crosscheck = 1\nname = \"Short\"\nenvironment = \"prod-eu1\"\n[crew]\nlead = [\"lead@example.org\"]\n\
                 [[step]]\nid = \"only\"\nrun = \"echo only >> LIVE\"\n";
    let stage = stage(short);
    let fly = |args: &[&str]| {
        let mut hub = stage.serve(args);
        let lead = stage.join(LEAD);
        lead.ok("arm only");
        lead.ok("run");
        lead.expect("01 only done");
        lead.ok("close");
        assert!(hub.wait().success());
    };
    let look = || {
        let plan = stage.path("look.toml");
        std::fs::write(&plan, watches(&stage.path("transcripts").display().to_string())).expect("it is written");
        let (_, out, _) = run(&stage.home(LEAD), &["watch", "--once", "--json", &plan.display().to_string()]);
        let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        ["flown", "rehearsed"].map(|id| {
            let all = json["watches"].as_array().expect("a list");
            let found = all.iter().find(|watch| watch["id"] == id).expect(id);
            format!("{}: {}", found["status"].as_str().unwrap_or_default(), found["why"].as_str().unwrap_or_default())
        })
    };
    fly(REHEARSE);
    assert_eq!(trace(&stage, "LIVE"), None);
    let [flown, rehearsed] = look();
    assert!(flown.starts_with("fail: ") && flown.contains("never flown"), "{flown}");
    assert!(rehearsed.starts_with("ok: ") && rehearsed.contains("was rehearsed for prod-eu1"), "{rehearsed}");
    assert!(rehearsed.contains("on masked copy, 10 % sample"), "{rehearsed}");
    // Even where somebody puts its transcript among the live ones.
    let file = stage.transcript_file();
    let moved = stage.path("transcripts").join(file.file_name().expect("a name"));
    std::fs::rename(&file, &moved).expect("moved");
    assert!(look()[0].contains("never flown"), "{:?}", look());
    std::fs::rename(&moved, &file).expect("moved back");
    fly(&[]);
    assert_eq!(trace(&stage, "LIVE").as_deref(), Some("only\n"));
    let [flown, rehearsed] = look();
    assert!(flown.starts_with("ok: ") && rehearsed.starts_with("ok: "), "{flown} {rehearsed}");
}

#[test]
fn a_check_that_was_signed_in_a_rehearsal_is_refused_live() {
    use crate::support::raw::{Raw, hub_of};
    use crosscheck::identity::Key;
    use crosscheck::name::StepId;
    use crosscheck::session::Request;
    use crosscheck::session::steps::Phase;
    const SHORT: &str = "crosscheck = 1\nname = \"Short\"\nenvironment = \"e\"\n[crew]\nlead = [\"lead@example.org\"]\n\
                         shadow = [\"dba@example.org\"]\n[[step]]\nid = \"drop\"\nclass = \"critical\"\nrun = [\"true\"]\n";
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let key = Key::fresh().expect("a key");
        let step = StepId::new("drop").expect("a name");
        let mut practised = None;
        for data in [Some("masked copy"), None] {
            let hub = hub_of(folder.path(), SHORT, data).await;
            let mut lead = Raw::join(&hub.links[LEAD], &Key::fresh().expect("a key")).await.expect("joined");
            let mut dba = Raw::join(&hub.links[DBA], &key).await.expect("joined");
            assert_eq!(dba.session.rehearsal(), data, "whoever joins is told");
            assert_eq!(lead.refusal(Request::Arm { step: step.clone(), covers: None }).await, None);
            dba.until("armed", |session| session.steps["drop"].phase == Phase::Armed).await;
            assert_eq!(dba.refusal(Request::OpenCheck { step: step.clone(), attempt: 1 }).await, None);
            let digest = dba.session.steps["drop"].armed.as_ref().expect("armed").digest();
            let check = Request::Check { step: step.clone(), attempt: 1, digest };
            if let Some(practised) = practised.take() {
                let refused = dba.refusal_of(check.clone(), practised).await.expect("it is worthless here");
                assert!(refused.contains("its signature does not count") && refused.contains("rehearsal"), "{refused}");
            }
            let signed = dba.signed(&check);
            assert_eq!(dba.refusal_of(check, signed.clone()).await, None, "in its own session it counts");
            practised = Some(signed);
            hub.stop().await;
            hub.wait().await.expect("it ends");
        }
    });
}

#[test]
fn the_row_stands_over_every_screen() {
    let stage = stage(PLAN);
    let _hub = stage.serve(REHEARSE);
    let terminals = Terminals::new(&stage);
    let (lead, dba, search) =
        (terminals.open(&stage, LEAD), terminals.open(&stage, DBA), terminals.open(&stage, SEARCH));
    for terminal in [&lead, &dba, &search] {
        terminal.join();
    }
    let banner = |screen: &str| {
        let first = screen.lines().next().unwrap_or_default().to_owned();
        first.contains("REHEARSAL  nothing live is run; data: masked") && !screen.contains(" LIVE ")
    };
    for (cols, rows) in [(120, 40), (80, 24), (60, 16)] {
        for terminal in [&lead, &dba, &search] {
            terminal.resize(cols, rows);
            terminal.until("the row", banner);
            terminal.press(&["?"]);
            let help = terminal.shows("Keys");
            assert!(banner(&help), "{help}");
            for _ in 0..30 {
                terminal.press(&["Down"]);
            }
            terminal.until("the row over the scrolled help", banner);
            terminal.press(&["Escape"]);
            terminal.until("the help is gone", |screen| !screen.contains("Esc closes"));
        }
    }
}
