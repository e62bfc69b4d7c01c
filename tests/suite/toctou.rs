//! Between the check and the run somebody exchanges what was checked: the step is voided with a sentence that names it, or
//! what was hashed runs. What was put in its place never does.
//!
//! Every subject is a step in a folder of its own, whose command leaves `checked` behind; what is swapped in would leave
//! `swapped`. One hub flies all of them per moment.

use crate::support::program::{Hub, Plain, Stage};
use crate::support::wait::{PATIENCE, poll};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

const LEAD: &str = "lead@example.org";
const DBA: &str = "dba@example.org";

/// When the swap happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// After the request to arm was answered, before the cross-check.
    Armed,
    /// After the cross-check, before run is pressed.
    Checked,
    /// After the intent to run is on disk.
    Intended,
    /// After everything was opened and compared for the last time, before the exec.
    Opened,
}

/// What must come of it.
#[derive(Debug, Clone, Copy)]
enum Then {
    /// Nothing runs, and the reason holds these words.
    Stops(&'static str),
    /// What was hashed runs.
    Runs,
    /// The command opens it by name by itself, so this moment is past the last look: the residual race that `docs/src/why/trust.md` names.
    Residual,
}
use Then::{Residual, Runs, Stops};

struct Subject {
    id: &'static str,
    /// Keys of the step.
    keys: &'static str,
    /// Makes everything as it is when it is checked.
    prepare: fn(&Path),
    swap: fn(&Path),
    /// By moment, in their order.
    then: [Then; 4],
}

const CHECKED: &str = "#!/bin/sh\necho checked >> ran.txt\n";
const SWAPPED: &str = "#!/bin/sh\necho swapped >> ran.txt\n";

/// Puts a file in place in one move, as somebody would who wants it to go unnoticed.
fn put(file: &Path, bytes: impl AsRef<[u8]>) {
    use std::os::unix::fs::PermissionsExt as _;
    let new = file.with_extension("new");
    std::fs::write(&new, bytes).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(&new, file).unwrap();
}

/// A binary of our own, which takes a script as `sh` does.
fn put_shell(file: &Path) {
    put(file, std::fs::read("/bin/sh").unwrap());
}

fn link(to: &str, file: &Path) {
    let _ = std::fs::remove_file(file);
    std::os::unix::fs::symlink(to, file).unwrap();
}

/// A script whose interpreter is the file beside it.
fn put_interpreted(dir: &Path) {
    put_shell(&dir.join("interp"));
    put(&dir.join("go.sh"), CHECKED.replace("/bin/sh", dir.join("interp").to_str().unwrap()));
}

const TOOL: &str = r#"run = ["./tool", "-c", "echo checked >> ran.txt"]"#;

const SUBJECTS: &[Subject] = &[
    Subject {
        id: "executable",
        keys: TOOL,
        prepare: |dir| put_shell(&dir.join("tool")),
        swap: |dir| put(&dir.join("tool"), SWAPPED),
        then: [Stops("executable"), Stops("executable"), Stops("tool changed"), Runs],
    },
    Subject {
        id: "link",
        keys: TOOL,
        prepare: |dir| {
            put_shell(&dir.join("tool-a"));
            put(&dir.join("tool-b"), SWAPPED);
            link("tool-a", &dir.join("tool"));
        },
        swap: |dir| link("tool-b", &dir.join("tool")),
        then: [Stops("tool-b"), Stops("tool-b"), Stops("tool-b"), Runs],
    },
    Subject {
        id: "script",
        keys: r#"run = ["./go.sh"]"#,
        prepare: |dir| put(&dir.join("go.sh"), CHECKED),
        swap: |dir| put(&dir.join("go.sh"), SWAPPED),
        then: [Stops("go.sh changed"), Stops("go.sh changed"), Stops("go.sh changed"), Residual],
    },
    Subject {
        id: "interpreter",
        keys: r#"run = ["./go.sh"]"#,
        prepare: put_interpreted,
        swap: |dir| put(&dir.join("interp"), SWAPPED),
        then: [Stops("interpreter"), Stops("interpreter"), Stops("interp changed"), Residual],
    },
    Subject {
        id: "sealed-script",
        keys: "sealed = true\nrun = [\"./go.sh\"]",
        prepare: |dir| put(&dir.join("go.sh"), CHECKED),
        swap: |dir| put(&dir.join("go.sh"), SWAPPED),
        then: [Stops("go.sh changed"), Stops("go.sh changed"), Stops("go.sh changed"), Runs],
    },
    Subject {
        id: "sealed-interpreter",
        keys: "sealed = true\nrun = [\"./go.sh\"]",
        prepare: put_interpreted,
        swap: |dir| put(&dir.join("interp"), SWAPPED),
        then: [Stops("interpreter"), Stops("interpreter"), Stops("interp changed"), Runs],
    },
    Subject {
        id: "folder",
        keys: "run = \"cat which >> ../ran.txt\"",
        prepare: |dir| {
            let dir = dir.parent().unwrap();
            let _ = std::fs::remove_dir_all(dir.join("work"));
            let _ = std::fs::remove_dir_all(dir.join("moved"));
            for (folder, word) in [("work", "checked\n"), ("other", "swapped\n")] {
                std::fs::create_dir_all(dir.join(folder)).unwrap();
                std::fs::write(dir.join(folder).join("which"), word).unwrap();
            }
        },
        swap: |dir| {
            let dir = dir.parent().unwrap();
            std::fs::rename(dir.join("work"), dir.join("moved")).unwrap();
            std::fs::rename(dir.join("other"), dir.join("work")).unwrap();
        },
        then: [Stops("another folder"), Stops("another folder"), Stops("another folder"), Runs],
    },
    Subject {
        id: "path",
        keys: "run = [\"tool\", \"-c\", \"echo checked >> ran.txt\"]\nenv = { PATH = \"early:late:/usr/bin:/bin\" }",
        prepare: |dir| {
            for folder in ["early", "late"] {
                std::fs::create_dir_all(dir.join(folder)).unwrap();
            }
            let _ = std::fs::remove_file(dir.join("early/tool"));
            put_shell(&dir.join("late/tool"));
        },
        swap: |dir| put(&dir.join("early/tool"), SWAPPED),
        then: [Stops("early/tool"), Stops("early/tool"), Stops("early/tool"), Runs],
    },
    Subject {
        id: "stdin",
        keys: "run = \"cat >> ran.txt\"\nstdin = { file = \"in.txt\" }",
        prepare: |dir| put(&dir.join("in.txt"), "checked\n"),
        // Into the same file: a descriptor of it would see that.
        swap: |dir| std::fs::write(dir.join("in.txt"), "swapped\n").unwrap(),
        then: [Stops("in.txt changed"), Stops("in.txt changed"), Stops("in.txt changed"), Runs],
    },
    Subject {
        id: "named-file",
        keys: "run = \"cat named.txt >> ran.txt\"\nfiles = [\"named.txt\"]",
        prepare: |dir| put(&dir.join("named.txt"), "checked\n"),
        swap: |dir| put(&dir.join("named.txt"), "swapped\n"),
        then: [Stops("named.txt changed"), Stops("named.txt changed"), Stops("named.txt changed"), Residual],
    },
    Subject {
        id: "gate",
        keys: "run = \"test -e flag || echo late >> late.txt; echo checked >> ran.txt\"\ngates = [\"asked\"]",
        prepare: |dir| put(&dir.join("flag"), ""),
        swap: |dir| std::fs::remove_file(dir.join("flag")).unwrap(),
        // Gates are asked between run and intent; what they turn to afterwards is a matter for whoever watches it run.
        then: [Stops("gate asked"), Stops("gate asked"), Runs, Runs],
    },
    Subject {
        id: "plan",
        keys: "run = \"echo checked >> ran.txt\"",
        prepare: |_| {},
        swap: |dir| {
            let plan = dir.parent().unwrap().join("plan.toml");
            let text = std::fs::read_to_string(&plan).unwrap().replace("echo checked", "echo swapped");
            std::fs::write(plan, text).unwrap();
        },
        // The plan of a session is the one in its transcript.
        then: [Runs, Runs, Runs, Runs],
    },
];

fn plan() -> String {
    let mut plan = format!(
        "crosscheck = 1\nname = \"Swaps\"\nenvironment = \"test\"\n\
         [crew]\nlead = [\"{LEAD}\"]\nshadow = [\"{DBA}\"]\n\
         [[watch]]\nid = \"asked\"\nkind = \"command\"\nrun = \"test -e gate/flag\"\nevery = \"1h\"\n"
    );
    for Subject { id, keys, .. } in SUBJECTS {
        let cwd = if *id == "folder" { "folder/work" } else { id };
        let _ = writeln!(
            plan,
            "[[step]]\nid = \"{id}\"\nclass = \"critical\"\nafter = []\nio = \"pipe\"\ncwd = \"{cwd}\"\n{keys}"
        );
    }
    plan
}

/// A session and the folders of its subjects.
struct Flight {
    stage: Stage,
    _hub: Hub,
    lead: Plain,
    dba: Plain,
}

impl Flight {
    fn start(moment: Moment) -> Flight {
        let stage = Stage::new(&plan());
        for subject in SUBJECTS {
            std::fs::create_dir_all(stage.path(subject.id)).unwrap();
            (subject.prepare)(&Self::folder(&stage, subject));
        }
        let fifo = stage.path("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let place = match moment {
            Moment::Intended => "after:RunIntended",
            Moment::Opened => "before:exec",
            _ => "after:nothing",
        };
        let hub = stage.serve_with(&[("CROSSCHECK_PAUSE", &format!("{place}:{}", fifo.display()))], &[]);
        stage.wait_for_links();
        let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
        let is_ok = |turned: &Value| turned["to"] == "ok";
        poll(PATIENCE, || stage.events("GateTurned").iter().any(is_ok).then_some(())).expect("the gate reads ok");
        Flight { stage, _hub: hub, lead, dba }
    }

    fn folder(stage: &Stage, subject: &Subject) -> std::path::PathBuf {
        if subject.id == "folder" { stage.path("folder/work") } else { stage.path(subject.id) }
    }

    /// Everything from arming to the end; what the command left behind, and why it did not run where it did not.
    fn fly(&self, subject: &Subject, moment: Moment) -> (String, Option<String>) {
        let folder = Self::folder(&self.stage, subject);
        let ran = self.stage.path(subject.id).join("ran.txt");
        let _ = std::fs::remove_file(&ran);
        (subject.prepare)(&folder);
        let swap_at = |here: Moment| {
            if here == moment {
                (subject.swap)(&folder);
            }
        };
        self.lead.ok(&format!("arm {}", subject.id));
        self.dba.expect("--- digest");
        swap_at(Moment::Armed);
        self.dba.ok("check");
        swap_at(Moment::Checked);
        self.lead.ok("run");
        if matches!(moment, Moment::Intended | Moment::Opened) {
            // There is a reader once the hub waits; dropping the pen lets it go on.
            let open = || {
                let flags = nix::fcntl::OFlag::O_WRONLY | nix::fcntl::OFlag::O_NONBLOCK;
                nix::fcntl::open(&self.stage.path("fifo"), flags, nix::sys::stat::Mode::empty()).ok()
            };
            let pen = poll(PATIENCE, open).unwrap_or_else(|| panic!("{}: the hub waits at {moment:?}", subject.id));
            swap_at(moment);
            drop(pen);
        }
        let armed = self.stage.events("StepArmed");
        let attempt = armed.iter().rfind(|event| event["step"] == subject.id).expect("it was armed")["attempt"].clone();
        let of_it = |event: &&Value| event["step"] == subject.id && event["attempt"] == attempt;
        let stopped = poll(PATIENCE, || {
            let voided = self.stage.events("StepVoided").iter().find(of_it).map(|event| event["cause"].to_string());
            let ended = self.stage.events("RunEnded").iter().find(of_it).map(|event| event["end"].clone());
            match (voided, ended) {
                (Some(cause), _) => Some(Some(cause)),
                (None, Some(end)) => Some(end.get("not_started").map(|why| why["why"].to_string())),
                (None, None) => None,
            }
        });
        let stopped = stopped.unwrap_or_else(|| panic!("{}: no end at {moment:?}", subject.id));
        let failed =
            self.stage.events("RunEnded").iter().any(|event| of_it(&event) && event["end"]["exited"]["code"] != 0);
        if failed {
            self.dba.ok(&format!("settle {} failed it did not start", subject.id));
        }
        (std::fs::read_to_string(ran).unwrap_or_default(), stopped)
    }
}

#[test]
fn what_was_checked_runs_or_nothing_does() {
    let moments = [Moment::Armed, Moment::Checked, Moment::Intended, Moment::Opened];
    let fly_all = |index: usize, moment: Moment| {
        let flight = Flight::start(moment);
        let mut cases = 0;
        for subject in SUBJECTS.iter().filter(|subject| !matches!(subject.then[index], Residual)) {
            let what = format!("{} at {moment:?}", subject.id);
            let (ran, stopped) = flight.fly(subject, moment);
            assert!(!ran.contains("swapped"), "{what}: what was swapped in ran");
            match (subject.then[index], &stopped) {
                (Stops(says), Some(why)) => {
                    assert!(ran.is_empty(), "{what}: {ran:?} although {why}");
                    let gate =
                        says.strip_prefix("gate ").is_some_and(|id| why.contains(&format!("\"watch\":\"{id}\"")));
                    assert!(gate || why.contains(says), "{what}: {why} does not say {says:?}");
                }
                (Runs, None) => assert_eq!(ran, "checked\n", "{what}"),
                (then, stopped) => panic!("{what}: expected {then:?}, and {stopped:?} came of it, {ran:?} ran"),
            }
            cases += 1;
        }
        cases
    };
    let cases: usize = std::thread::scope(|scope| {
        let threads: Vec<_> =
            moments.iter().enumerate().map(|(index, moment)| scope.spawn(move || fly_all(index, *moment))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).sum()
    });
    // Not by println: what a passing test prints is swallowed.
    let _ = writeln!(std::io::stderr(), "set D: {cases} cases");
    assert!(cases >= 21, "{cases}");
}

/// What is rewritten while its interpreter reads it: nobody has checked the rest, and nobody takes it for done.
#[test]
fn what_changes_while_it_runs_ends_undecided() {
    const SCRIPT: &str =
        "#!/bin/sh\necho begun > begun.txt; while [ ! -e go ]; do sleep 0.05; done\necho checked >> ran.txt\n";
    const EVIL: &str =
        "#!/bin/sh\necho begun > begun.txt; while [ ! -e go ]; do sleep 0.05; done\necho swapped >> ran.txt\n";
    type Case = (&'static str, &'static str, fn(&Path), &'static str);
    let rewrite: fn(&Path) = |dir| std::fs::write(dir.join("do.sh"), EVIL).unwrap();
    let and_back: fn(&Path) = |dir| {
        std::fs::write(dir.join("do.sh"), EVIL).unwrap();
        std::fs::write(dir.join("do.sh"), SCRIPT).unwrap();
    };
    let moved: fn(&Path) = |dir| put(&dir.join("do.sh"), EVIL);
    let gone: fn(&Path) = |dir| std::fs::remove_file(dir.join("do.sh")).unwrap();
    let readable: fn(&Path) = |dir| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(dir.join("do.sh"), std::fs::Permissions::from_mode(0o700)).unwrap();
    };
    let config: fn(&Path) = |dir| std::fs::write(dir.join("config"), "b").unwrap();
    let cases: [Case; 8] = [
        ("run = ['sh', 'do.sh']", "do.sh changed: SHA-256 ", rewrite, "UNDECIDED"),
        ("run = ['./do.sh']", "do.sh changed: SHA-256 ", rewrite, "UNDECIDED"),
        ("run = ['./do.sh']", "do.sh was written anew", and_back, "UNDECIDED"),
        ("run = ['./do.sh']", "do.sh changed: SHA-256 ", moved, "UNDECIDED"),
        ("run = ['./do.sh']", "do.sh was taken away", gone, "UNDECIDED"),
        ("run = ['./do.sh']\nfiles = ['config']", "config changed: SHA-256 ", config, "UNDECIDED"),
        // Who may read it is another thing than what is in it, and a copy cannot change.
        ("run = ['./do.sh']", "done", readable, ""),
        ("run = ['./do.sh']\nsealed = true", "done", rewrite, ""),
    ];
    for (keys, says, change, undecided) in cases {
        let stage = Stage::new(&format!(
            "crosscheck = 1\nname = \"n\"\nenvironment = \"test\"\n[crew]\nlead = [\"{LEAD}\"]\nshadow = [\"{DBA}\"]\n[[step]]\nid = \"it\"\n{keys}\n"
        ));
        put(&stage.path("do.sh"), SCRIPT);
        std::fs::write(stage.path("config"), "a").unwrap();
        let mut hub = stage.serve(&[]);
        let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
        lead.ok("arm it");
        lead.ok("run");
        poll(PATIENCE, || stage.path("begun.txt").exists().then_some(())).expect("it runs");
        change(&stage.path(""));
        std::fs::write(stage.path("go"), "").unwrap();
        if undecided.is_empty() {
            lead.expect("01 it done: exit 0");
            continue;
        }
        for who in [&lead, &dba] {
            let told = who.expect("NOBODY KNOWS WHAT RAN: while it ran, ");
            assert!(told.contains(says), "{keys}: {told}");
        }
        assert!(lead.refused("arm it").contains("undecided"), "{keys}");
        dba.ok("settle it failed somebody wrote to it");
        lead.ok("close");
        assert!(hub.wait().success());
        let report = std::fs::read_to_string(stage.transcript_file().with_extension("md")).expect("a report");
        assert!(report.contains("NOBODY KNOWS WHAT RAN"), "{report}");
    }
}
