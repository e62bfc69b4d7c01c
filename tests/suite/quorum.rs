//! Set C: whose key counts, where the plan names an `allowed_signers` file. Against a real hub, with a client that is not ours.

use super::support::program::{Stage, run};
use super::support::raw::{Raw, enter};
use super::support::wait::{PATIENCE, poll};
use crosscheck::hash::Hash;
use crosscheck::identity::Key;
use crosscheck::name::StepId;
use crosscheck::session::Request;
use std::collections::BTreeMap;
use std::io::Write as _;

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";
const SEARCH: &str = "search@example.org";
const JOINS: &str = "joins@example.org";
const PAST: &str = "past@example.org";
const LATER: &str = "later@example.org";
const GIT: &str = "git@example.org";
const WATCHES: &str = "watches@example.org";
const STRANGER: &str = "stranger@example.org";

/// What the client is told, whatever the reason.
const GENERIC: &str = "not let in: this session takes only keys that its allowed_signers vouches for";

fn plan(observer: &str) -> String {
    format!(
        r#"
crosscheck = 1
name = "Signers"
environment = "test"
on_shadow_lost = "warn"
[crew]
allowed_signers = "keys/allowed_signers"
lead = ["{LEAD}"]
shadow = ["{DBA}", "{SEARCH}", "{JOINS}", "{PAST}", "{LATER}", "{GIT}"]
observer = {observer}
[[step]]
id = "go"
class = "irreversible"
run = ["touch", "ran"]
"#
    )
}

/// Everyone with a key of their own, and what their line says beside it.
struct Crew {
    stage: Stage,
    keys: BTreeMap<&'static str, Key>,
    cases: usize,
}

impl Crew {
    fn new(observer: &str) -> Crew {
        let stage = Stage::new(&plan(observer));
        std::fs::create_dir(stage.path("keys")).unwrap();
        let all = [LEAD, DBA, SEARCH, JOINS, PAST, LATER, GIT, WATCHES, STRANGER];
        let keys = all.into_iter().map(|who| (who, Key::fresh().unwrap())).collect();
        let crew = Crew { stage, keys, cases: 0 };
        crew.sign(&crew.lines());
        crew
    }
    fn line(&self, names: &str, options: &str, key: &str) -> String {
        format!("{names} {options} {}\n", self.keys[key].public())
    }
    /// A file that the crew can fly with.
    fn lines(&self) -> String {
        let mut text = "# who may sign what\n".to_owned();
        for (who, options) in [
            (LEAD, ""),
            (DBA, "namespaces=\"crosscheck-*\""),
            (SEARCH, "valid-after=\"20200101Z\",valid-before=\"20991231Z\""),
            (JOINS, "namespaces=\"crosscheck-join\""),
            (PAST, "valid-before=\"20200101Z\""),
            (LATER, "valid-after=\"20990101Z\""),
            (GIT, "namespaces=\"git\""),
            (WATCHES, "namespaces=\"crosscheck-join\""),
        ] {
            text += &self.line(who, options, who);
        }
        text
    }
    fn sign(&self, text: &str) {
        std::fs::write(self.stage.path("keys/allowed_signers"), text).unwrap();
    }
    fn link(&self, who: &str) -> String {
        self.stage.links()[who].clone()
    }
    /// Joins by one's own link, with one's own key.
    async fn join(&self, who: &str) -> Raw {
        Raw::join(&self.link(who), &self.keys[who]).await.unwrap_or_else(|why| panic!("{who}: {why}"))
    }
    /// By that link with that key there is no way in; why stands in the transcript, and only there.
    async fn kept_out(&mut self, who: &str, key: &str, reason: &str) {
        let told = enter(&self.link(who), &self.keys[key], None).await.err().expect("kept out");
        assert!(told.starts_with(GENERIC), "{who} with the key of {key}: {told}");
        let print = self.keys[key].public().fingerprint();
        let is = |refused: &serde_json::Value| {
            let why = refused["reason"].as_str().unwrap_or_default();
            refused["principal"] == who && why.contains(reason) && why.contains(&print)
        };
        // The door says no before the line is on disk.
        let found = poll(PATIENCE, || self.stage.events("Refused").iter().any(is).then_some(()));
        assert!(found.is_some(), "{who} with the key of {key}: {:#?}", self.stage.events("Refused"));
        self.cases += 1;
    }
    /// Neither `lint` nor `serve` takes this file.
    fn unfit(&mut self, text: &str, reasons: &[&str]) {
        self.sign(text);
        let (home, plan) = (self.stage.home("lint"), self.stage.plan());
        let (status, _, linted) = run(&home, &["lint", plan.to_str().unwrap()]);
        let mut hub = self.stage.serve_unready(&[]);
        let ended = hub.wait();
        let served = hub.printed();
        assert_eq!((status, ended.code()), (Some(1), Some(1)), "{text}{linted}{served}");
        for reason in reasons {
            assert!(linted.contains(reason), "{reason:?}\n{text}{linted}{served}");
            hub.expect(reason); // its last words may come after it
        }
        assert_eq!(self.transcripts(), 0, "{served}");
        self.cases += 1;
    }
    fn transcripts(&self) -> usize {
        super::support::program::transcript_files(&self.stage.path("transcripts")).len()
    }
    fn told(&self, about: &str) {
        // Past the test runner, which keeps what a passing test prints.
        let _ = writeln!(std::io::stderr(), "set C: {} cases, {about}", self.cases);
    }
}

/// Opens the panel and says yes to what is armed; the reason where it is refused.
async fn check(who: &mut Raw) -> Option<String> {
    who.until("a step is armed", |session| session.open_step().is_some()).await;
    let (step, attempt, digest) = {
        let (step, state, armed) = who.session.open_step().unwrap();
        (step.id.clone(), state.attempt, armed.digest())
    };
    if let Some(why) = who.refusal(Request::OpenCheck { step: step.clone(), attempt }).await {
        return Some(why);
    }
    who.refusal(Request::Check { step, attempt, digest }).await
}

#[tokio::test]
async fn a_key_counts_as_far_as_its_line_goes() {
    let mut crew = Crew::new(&format!("[\"{WATCHES}\"]"));
    let _hub = crew.stage.serve(&[]);
    crew.kept_out(DBA, STRANGER, "no line").await;
    crew.kept_out(DBA, SEARCH, "line 4 of allowed_signers gives the key to somebody else").await;
    crew.kept_out(DBA, WATCHES, "somebody else").await;
    crew.kept_out(PAST, PAST, "expired at 2020-01-01T00:00:00").await;
    crew.kept_out(LATER, LATER, "not valid before 2099-01-01T00:00:00").await;
    crew.kept_out(GIT, GIT, "does not give the key the namespace crosscheck-join").await;
    crew.kept_out(WATCHES, DBA, "somebody else").await;
    crew.kept_out(LEAD, STRANGER, "no line").await;

    // The program's own client finds no key that the session knows, says so and gives up.
    let mut plain = crew.stage.join_unready(SEARCH, &[]);
    assert_eq!(plain.wait().code(), Some(3), "{}", plain.printed());
    assert!(plain.printed().contains("no key of yours is one that this session knows"), "{}", plain.printed());

    // Nobody's key was bound by what was refused: their own still gets everyone in.
    let (mut lead, mut dba, mut search) = (crew.join(LEAD).await, crew.join(DBA).await, crew.join(SEARCH).await);
    let (mut joins, mut watches) = (crew.join(JOINS).await, crew.join(WATCHES).await);
    let joined = crew.stage.events("Joined");
    assert!(joined.len() == 5 && joined.iter().all(|joined| joined["vouched"] == true), "{joined:#?}");

    let step = StepId::new("go").unwrap();
    assert_eq!(lead.refusal(Request::Arm { step: step.clone(), covers: None }).await, None);
    let why = check(&mut joins).await.expect("its line is for joining only");
    assert!(why.contains("line 5 of allowed_signers does not give the key the namespace crosscheck-approve"), "{why}");
    let why = check(&mut watches).await.expect("observers watch");
    assert!(why.contains("observer"), "{why}");
    assert_eq!(check(&mut dba).await, None);
    let why = lead.refusal(Request::Run { step: step.clone(), attempt: 1 }).await.expect("one of two is not two");
    assert!(why.contains("1 more cross-check"), "{why}");
    assert_eq!(check(&mut search).await, None);
    let refused = crew.stage.events("Refused");
    assert!(
        refused.iter().any(|refused| refused["principal"] == JOINS && refused["request"] == "check go"),
        "{refused:#?}"
    );
    assert_eq!((crew.stage.events("CrossChecked").len(), crew.stage.events("StepCleared").len()), (2, 1));
    crew.cases += 6;
    crew.told("a key and its line");
}

#[tokio::test]
async fn the_read_only_link_is_for_anyone_and_opens_nothing_else() {
    let mut crew = Crew::new("\"link\"");
    let _hub = crew.stage.serve(&[]);
    let mut stranger = Raw::join_as(&crew.link("observer"), &crew.keys[STRANGER], Some("kim")).await.unwrap();
    let joined = crew.stage.events("Joined").pop().unwrap();
    assert!(joined["principal"] == "observer:kim" && joined.get("vouched").is_none(), "{joined}");
    assert!(!stranger.session.people["observer:kim"].vouched);
    let mut lead = crew.join(LEAD).await;
    let step = StepId::new("go").unwrap();
    assert_eq!(lead.refusal(Request::Arm { step, covers: None }).await, None);
    assert!(check(&mut stranger).await.expect("observers watch").contains("observer"));
    // People are told, on screens and in the report.
    let plain = crew.stage.join("observer");
    plain.expect("crew lead@example.org lead here, key vouched for by allowed_signers (SHA256:");
    plain.expect("crew observer:kim observer here, invited, key not vouched for (SHA256:");
    let transcript = crew.stage.transcript_file();
    let (status, report, error) = run(&crew.stage.home("report"), &["report", transcript.to_str().unwrap()]);
    assert!(status == Some(0) && report.contains("(key vouched for by allowed_signers)"), "{report}{error}");
    assert!(
        report.contains("(invited, key not vouched for)") && report.contains("allowed_signers (SHA-256)"),
        "{report}"
    );
    crew.cases += 2;
    crew.told("the read-only link");
}

#[test]
fn a_file_in_which_names_are_not_people_is_not_flown_with() {
    let mut crew = Crew::new("\"none\"");
    let fine = crew.lines();
    let cases = [
        (crew.line(SEARCH, "", DBA), vec!["line 3 and 10", DBA, SEARCH, "several people", "hint:"]),
        (crew.line(STRANGER, "", DBA), vec!["line 3 and 10", DBA, STRANGER]),
        (crew.line("*@example.org", "", STRANGER), vec!["line 10: its patterns", LEAD, DBA, SEARCH]),
        (crew.line("*,!x", "namespaces=\"crosscheck-approve\"", STRANGER), vec!["line 10: its patterns"]),
        (crew.line(&format!("{DBA},!{SEARCH}"), "", STRANGER), vec!["line 10: its patterns", DBA]),
        (crew.line(DBA, "cert-authority", STRANGER), vec!["line 10: it names a certificate authority", "hint:"]),
        (crew.line("d\"ba", "", STRANGER), vec!["line 10: a quote stands inside"]),
        ("nobody\n".to_owned(), vec!["line 10: there is no key"]),
        ("# \u{202e}\n".to_owned(), vec!["line 10: it holds the hidden character"]),
        ("#".repeat(64 * 1024), vec!["more than 65536 bytes"]),
    ];
    for (line, reasons) in cases {
        crew.unfit(&format!("{fine}{line}"), &reasons);
    }
    let without = fine.replace(&format!("{SEARCH} "), &format!("{STRANGER} "));
    crew.unfit(&without, &["search@example.org is in the plan's crew and has no line"]);
    crew.unfit(&fine.replace(SEARCH, "Search@example.org"), &["search@example.org is in the plan's crew"]);
    std::fs::remove_file(crew.stage.path("keys/allowed_signers")).unwrap();
    let (status, _, linted) = run(&crew.stage.home("lint"), &["lint", crew.stage.plan().to_str().unwrap()]);
    assert!(status == Some(1) && linted.contains("cannot be read"), "{linted}");
    // What does not touch a cross-check is nobody's business: git's wildcard, a second key, Windows line ends.
    let more = crew.line("*", "namespaces=\"git,crosscheck-join\"", STRANGER) + &crew.line(DBA, "", STRANGER);
    crew.sign(&format!("{fine}{more}").replace('\n', "\r\n"));
    let (status, out, linted) = run(&crew.stage.home("lint"), &["lint", crew.stage.plan().to_str().unwrap()]);
    assert!(status == Some(0) && out.contains("allowed_signers"), "{out}{linted}");
    crew.cases += 2;
    crew.told("names and people");
}

#[tokio::test]
async fn a_session_keeps_the_file_it_was_opened_with() {
    let mut crew = Crew::new("\"none\"");
    let fine = crew.lines();
    let mut hub = crew.stage.serve(&[]);
    let opened = crew.stage.events("SessionOpened").remove(0);
    assert_eq!(opened["allowed_signers"], fine.as_str());
    assert_eq!(opened["allowed_signers_digest"], Hash::of(fine.as_bytes()).to_string());
    // The file changes while the hub runs: nothing changes.
    crew.sign(&fine.replace(&crew.keys[DBA].public().to_string(), &crew.keys[STRANGER].public().to_string()));
    drop(crew.join(DBA).await);
    crew.kept_out(DBA, STRANGER, "no line").await;
    hub.kill();

    // Whoever changed it expects it to count, so the hub does not go on as if nothing were.
    for change in [Some(format!("{fine}# a comment\n")), Some("nonsense".to_owned()), None] {
        match change {
            Some(text) => crew.sign(&text),
            None => std::fs::remove_file(crew.stage.path("keys/allowed_signers")).unwrap(),
        }
        let mut refused = crew.stage.serve_unready(&[]);
        assert_eq!(refused.wait().code(), Some(1), "{}", refused.printed());
        let said = refused.printed();
        assert!(said.contains("changed since the unfinished session") && said.contains("--new"), "{said}");
        crew.cases += 1;
    }
    crew.sign(&fine);
    let mut hub = crew.stage.serve(&[]);
    assert_eq!(crew.stage.events("Recovered").len(), 1);
    drop(crew.join(DBA).await);
    crew.kept_out(DBA, STRANGER, "no line").await;
    hub.kill();
    let changed = fine.replace(&crew.keys[DBA].public().to_string(), &crew.keys[STRANGER].public().to_string());
    crew.sign(&changed);
    let _new = crew.stage.serve(&["--new"]);
    assert_eq!(crew.transcripts(), 2);
    drop(Raw::join(&crew.link(DBA), &crew.keys[STRANGER]).await.expect("the new file counts"));
    crew.cases += 3;
    crew.told("a file that changes");
}
