//! Whatever people checked is rewritten at every moment of its step: nothing runs, or what was checked runs, or the end is told to be
//! one of which nobody knows what ran. What was put in its place never passes for what was checked.
//!
//! The table is [`SUBJECTS`]: a row for each kind of thing that a step names, a column for each [`Moment`]. Every subject is a
//! step in a folder of its own, whose command leaves `checked` behind; what is swapped in would leave `swapped`. One hub flies
//! all of them per moment. Invariant 2 in ARCHITECTURE.md says in words what stands here.

use crate::support::program::{Hub, Plain, Stage};
use crate::support::wait::{PATIENCE, poll};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

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
    /// While the command runs.
    Running,
    /// After its end, before somebody has it undone (or probed).
    Ended,
    /// After the intent to undo it is on disk.
    UndoIntended,
    /// After that was opened and compared, before the exec.
    UndoOpened,
    /// While it is undone, or its probe runs.
    Undoing,
}
use Moment::{Armed, Checked, Ended, Intended, Opened, Running, UndoIntended, UndoOpened, Undoing};

const MOMENTS: [Moment; 9] = [Armed, Checked, Intended, Opened, Running, Ended, UndoIntended, UndoOpened, Undoing];

/// Whose thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// The step's own command: the first five moments are its.
    Step,
    /// Its rollback's, which runs because the step fails.
    Rollback,
    /// Its probe's, likewise.
    Probe,
}

/// What must come of it.
#[derive(Debug, Clone, Copy)]
enum Then {
    /// It does not run, and the reason holds these words. Where it is the rollback's, the step may have run before.
    Stops(&'static str),
    /// What was hashed runs.
    Runs,
    /// It ran, and its end says that nobody knows what: these words are in it.
    Undecided(&'static str),
    /// The first batch is as it was checked, and the next does not run.
    Halts(&'static str),
    /// The command opens it by itself, and nobody holds it any more: what is there then is what it reads. Invariant 2 says so.
    Free,
    /// It went to another host, which knows nothing of it.
    Lost,
    /// There is no such moment.
    Never,
}
use Then::{Free, Halts, Lost, Never, Runs, Stops, Undecided};

struct Subject {
    id: &'static str,
    whose: Whose,
    /// Keys of the step, or of its rollback or probe.
    keys: &'static str,
    /// Makes everything as it is when it is checked.
    prepare: fn(&Path),
    swap: fn(&Path),
    /// By moment, in their order.
    then: &'static [Then],
}

/// A step's or a probe's command says that it has begun, and waits until it may go on.
const WAIT: &str = ": > begun; while [ ! -e go ]; do sleep 0.02; done";
const CHECKED: &str = "#!/bin/sh\n: > begun; while [ ! -e go ]; do sleep 0.02; done\necho checked >> ran.txt\n";
const SWAPPED: &str = "#!/bin/sh\n: > begun; while [ ! -e go ]; do sleep 0.02; done\necho swapped >> ran.txt\n";

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

/// A shell beside the script under the name by which it is known, so that scripts for it run from copies.
fn interpreter(dir: &Path) -> PathBuf {
    dir.join(Path::new("/bin/sh").canonicalize().unwrap().file_name().unwrap())
}

/// A script whose interpreter is the file beside it.
fn put_interpreted(dir: &Path) {
    put_shell(&interpreter(dir));
    put(&dir.join("go.sh"), CHECKED.replace("/bin/sh", interpreter(dir).to_str().unwrap()));
}

fn put_script(dir: &Path) {
    put(&dir.join("go.sh"), CHECKED);
}
fn swap_script(dir: &Path) {
    put(&dir.join("go.sh"), SWAPPED);
}
fn swap_interpreter(dir: &Path) {
    put(&interpreter(dir), SWAPPED);
}
/// Into the same file: a descriptor of it would see that.
fn rewrite_script(dir: &Path) {
    std::fs::write(dir.join("go.sh"), SWAPPED).unwrap();
}
fn put_text(dir: &Path) {
    put(&dir.join("text"), "checked\n");
}
fn swap_text(dir: &Path) {
    put(&dir.join("text"), "swapped\n");
}
fn rewrite_text(dir: &Path) {
    std::fs::write(dir.join("text"), "swapped\n").unwrap();
}

fn put_folders(dir: &Path) {
    let _ = std::fs::remove_dir_all(dir.join("work"));
    let _ = std::fs::remove_dir_all(dir.join("moved"));
    for (folder, word) in [("work", "checked\n"), ("other", "swapped\n")] {
        std::fs::create_dir_all(dir.join(folder)).unwrap();
        std::fs::write(dir.join(folder).join("text"), word).unwrap();
    }
}
fn swap_folders(dir: &Path) {
    std::fs::rename(dir.join("work"), dir.join("moved")).unwrap();
    std::fs::rename(dir.join("other"), dir.join("work")).unwrap();
}

/// How many files the hub, and so what it starts, may have open, changed from outside.
fn limit_hub(dir: &Path, files: u32) {
    let Ok(pid) = std::fs::read_to_string(dir.parent().unwrap().join("hub.pid")) else { return };
    let mut prlimit = std::process::Command::new("prlimit");
    let set = prlimit.args(["--pid", pid.trim(), &format!("--nofile={files}:")]).status().expect("prlimit is here");
    assert!(set.success());
}

const TOOL: &str = "run = ['./tool', '-c', 'WAIT; echo checked >> ran.txt']";

const SUBJECTS: &[Subject] = &[
    Subject {
        id: "executable",
        whose: Whose::Step,
        keys: TOOL,
        prepare: |dir| put_shell(&dir.join("tool")),
        swap: |dir| put(&dir.join("tool"), SWAPPED),
        then: &[Stops("executable"), Stops("executable"), Stops("tool changed"), Runs, Runs],
    },
    Subject {
        id: "link",
        whose: Whose::Step,
        keys: TOOL,
        prepare: |dir| {
            put_shell(&dir.join("tool-a"));
            put(&dir.join("tool-b"), SWAPPED);
            link("tool-a", &dir.join("tool"));
        },
        swap: |dir| link("tool-b", &dir.join("tool")),
        then: &[Stops("tool-b"), Stops("tool-b"), Stops("tool-b"), Runs, Runs],
    },
    Subject {
        id: "script",
        whose: Whose::Step,
        keys: "run = ['./go.sh']",
        prepare: put_script,
        swap: rewrite_script,
        then: &[Stops("go.sh changed"), Stops("go.sh changed"), Stops("go.sh changed"), Runs, Runs],
    },
    Subject {
        id: "script-by-name",
        whose: Whose::Step,
        keys: "run = ['./go.sh']\nsealed = false",
        prepare: put_script,
        swap: swap_script,
        then: &[
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Undecided("go.sh changed"),
            Undecided("go.sh changed"),
        ],
    },
    Subject {
        id: "given-script",
        whose: Whose::Step,
        keys: "run = ['sh', '-e', 'go.sh']",
        prepare: put_script,
        swap: rewrite_script,
        then: &[Stops("go.sh changed"), Stops("go.sh changed"), Stops("go.sh changed"), Runs, Runs],
    },
    Subject {
        id: "interpreter",
        whose: Whose::Step,
        keys: "run = ['./go.sh']",
        prepare: put_interpreted,
        swap: swap_interpreter,
        then: &[Stops("interpreter"), Stops("interpreter"), Stops("changed"), Runs, Runs],
    },
    Subject {
        id: "interpreter-by-name",
        whose: Whose::Step,
        keys: "run = ['./go.sh']\nsealed = false",
        prepare: put_interpreted,
        swap: swap_interpreter,
        // What the kernel has opened is what runs, whatever gets its name then.
        then: &[Stops("interpreter"), Stops("interpreter"), Stops("changed"), Undecided("changed"), Runs],
    },
    Subject {
        id: "sealed-script",
        whose: Whose::Step,
        keys: "run = ['./go.sh']\nsealed = true",
        prepare: put_script,
        swap: rewrite_script,
        then: &[Stops("go.sh changed"), Stops("go.sh changed"), Stops("go.sh changed"), Runs, Runs],
    },
    Subject {
        id: "sealed-given-script",
        whose: Whose::Step,
        keys: "run = ['sh', 'go.sh']\nsealed = true",
        prepare: put_script,
        swap: rewrite_script,
        then: &[Stops("go.sh changed"), Stops("go.sh changed"), Stops("go.sh changed"), Runs, Runs],
    },
    Subject {
        id: "sealed-interpreter",
        whose: Whose::Step,
        keys: "run = ['./go.sh']\nsealed = true",
        prepare: put_interpreted,
        swap: swap_interpreter,
        then: &[Stops("interpreter"), Stops("interpreter"), Stops("changed"), Runs, Runs],
    },
    Subject {
        id: "folder",
        whose: Whose::Step,
        keys: "run = ': > ../begun; while [ ! -e ../go ]; do sleep 0.02; done; cat text >> ../ran.txt'\ncwd = 'folder/work'",
        prepare: put_folders,
        swap: swap_folders,
        then: &[Stops("another folder"), Stops("another folder"), Stops("another folder"), Runs, Runs],
    },
    Subject {
        id: "path",
        whose: Whose::Step,
        keys: "run = ['tool', '-c', 'WAIT; echo checked >> ran.txt']\nenv = { PATH = 'early:late:/usr/bin:/bin' }",
        prepare: |dir| {
            for folder in ["early", "late"] {
                std::fs::create_dir_all(dir.join(folder)).unwrap();
            }
            let _ = std::fs::remove_file(dir.join("early/tool"));
            put_shell(&dir.join("late/tool"));
        },
        swap: |dir| put(&dir.join("early/tool"), SWAPPED),
        then: &[Stops("early/tool"), Stops("early/tool"), Stops("early/tool"), Runs, Runs],
    },
    Subject {
        id: "stdin",
        whose: Whose::Step,
        keys: "run = 'WAIT; cat >> ran.txt'\nstdin = { file = 'text' }",
        prepare: put_text,
        swap: rewrite_text,
        then: &[Stops("text changed"), Stops("text changed"), Stops("text changed"), Runs, Runs],
    },
    Subject {
        id: "named-file",
        whose: Whose::Step,
        keys: "run = 'WAIT; cat text >> ran.txt'\nfiles = ['text']",
        prepare: put_text,
        swap: swap_text,
        then: &[
            Stops("text changed"),
            Stops("text changed"),
            Stops("text changed"),
            Undecided("text changed"),
            Undecided("text changed"),
        ],
    },
    Subject {
        id: "argument",
        whose: Whose::Step,
        keys: "run = ['sh', '-c', 'WAIT; cat \"$0\" >> ran.txt', 'text']",
        prepare: put_text,
        swap: swap_text,
        then: &[Stops("text changed"), Stops("text changed"), Stops("text changed"), Free, Free],
    },
    Subject {
        id: "batch-list",
        whose: Whose::Step,
        keys: "run = 'WAIT; cat >> ran.txt'\neach = { file = 'text', first = 1, then = 1 }\nverify = { watches = ['asked'], for = '1s' }",
        prepare: |dir| put(&dir.join("text"), "checked\nchecked\n"),
        swap: |dir| std::fs::write(dir.join("text"), "checked\nswapped\n").unwrap(),
        then: &[
            Stops("text changed"),
            Stops("text changed"),
            Stops("text changed"),
            Halts("text changed"),
            Halts("text changed"),
        ],
    },
    Subject {
        id: "secret",
        whose: Whose::Step,
        keys: "run = 'WAIT; echo ${TOKEN%%-*} >> ran.txt'\nenv = { TOKEN = '{{ secret.token }}' }",
        prepare: |dir| put(&dir.join("token"), "checked-but-nobody-sees-it"),
        swap: |dir| put(&dir.join("token"), "swapped-but-nobody-sees-it"),
        // It was fetched when run was pressed.
        then: &[Stops("secret token changed"), Stops("secret token changed"), Runs, Runs, Runs],
    },
    Subject {
        id: "gate",
        whose: Whose::Step,
        keys: "run = 'WAIT; test -e flag || echo late >> late.txt; echo checked >> ran.txt'\ngates = ['flagged']",
        prepare: |dir| put(&dir.join("flag"), ""),
        swap: |dir| std::fs::remove_file(dir.join("flag")).unwrap(),
        // Gates are asked between run and intent; what they turn to afterwards is a matter for whoever watches it run.
        then: &[Stops("\"watch\":\"flagged\""), Stops("\"watch\":\"flagged\""), Runs, Runs, Runs],
    },
    Subject {
        id: "limits",
        whose: Whose::Step,
        keys: "run = 'WAIT; if [ \"$(ulimit -Sn)\" = 300 ]; then echo checked; else echo swapped; fi >> ran.txt'",
        prepare: |dir| limit_hub(dir, 300),
        swap: |dir| limit_hub(dir, 299),
        then: &[Stops("limit nofile"), Stops("limit nofile"), Stops("limit nofile"), Runs, Runs],
    },
    Subject {
        id: "plan",
        whose: Whose::Step,
        keys: "run = 'WAIT; echo checked >> ran.txt'",
        prepare: |_| {},
        swap: |dir| {
            let plan = dir.parent().unwrap().join("plan.toml");
            let text = std::fs::read_to_string(&plan).unwrap().replace("echo checked", "echo swapped");
            std::fs::write(plan, text).unwrap();
        },
        // The plan of a session is the one in its transcript, and so are the hosts' keys in it.
        then: &[Runs, Runs, Runs, Runs, Runs],
    },
    Subject {
        id: "remote-key",
        whose: Whose::Step,
        keys: "run = ['true']\non = 'far'",
        prepare: |dir| put(&dir.join("key"), "checked"),
        swap: |dir| put(&dir.join("key"), "swapped"),
        then: &[Stops("key changed"), Stops("key changed"), Stops("key changed"), Lost, Never],
    },
    Subject {
        id: "preview",
        whose: Whose::Step,
        keys: "run = 'WAIT; echo checked >> ran.txt'\npreview = { run = ['./count.sh'], expect = { equals = 'checked' } }",
        prepare: |dir| put(&dir.join("count.sh"), "#!/bin/sh\necho checked\n"),
        swap: |dir| put(&dir.join("count.sh"), "#!/bin/sh\n: > begun\necho swapped >> ran.txt; echo checked\n"),
        then: &[Stops("count.sh changed"), Stops("count.sh changed"), Runs, Runs, Runs],
    },
    Subject {
        id: "undo-executable",
        whose: Whose::Rollback,
        keys: TOOL,
        prepare: |dir| put_shell(&dir.join("tool")),
        swap: |dir| put(&dir.join("tool"), SWAPPED),
        then: &[
            Stops("executable"),
            Stops("executable"),
            Stops("executable"),
            Stops("executable"),
            Stops("executable"),
            Stops("executable"),
            Stops("executable"),
            Runs,
            Runs,
        ],
    },
    Subject {
        id: "undo-script",
        whose: Whose::Rollback,
        keys: "run = ['./go.sh']",
        prepare: put_script,
        swap: rewrite_script,
        then: &[
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Runs,
            Runs,
        ],
    },
    Subject {
        id: "undo-script-by-name",
        whose: Whose::Rollback,
        keys: "run = ['./go.sh'], sealed = false",
        prepare: put_script,
        swap: swap_script,
        then: &[
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Undecided("go.sh changed"),
            Undecided("go.sh changed"),
        ],
    },
    Subject {
        id: "undo-file",
        whose: Whose::Rollback,
        keys: "run = 'WAIT; cat text >> ran.txt', files = ['text']",
        prepare: put_text,
        swap: swap_text,
        then: &[
            Stops("text changed"),
            Stops("text changed"),
            Stops("text changed"),
            Stops("text changed"),
            Stops("text changed"),
            Stops("text changed"),
            Stops("text changed"),
            Undecided("text changed"),
            Undecided("text changed"),
        ],
    },
    Subject {
        id: "undo-stdin",
        whose: Whose::Rollback,
        keys: "run = 'WAIT; cat >> ran.txt', stdin = { file = 'text' }",
        prepare: put_text,
        swap: rewrite_text,
        then: &[
            Stops("text changed"),
            Stops("text changed"),
            Stops("text changed"),
            Stops("text changed"),
            Stops("text changed"),
            Stops("text changed"),
            Stops("text changed"),
            Runs,
            Runs,
        ],
    },
    Subject {
        id: "undo-folder",
        whose: Whose::Rollback,
        keys: "run = ': > ../begun; while [ ! -e ../go ]; do sleep 0.02; done; cat text >> ../ran.txt', cwd = 'undo-folder/work'",
        prepare: put_folders,
        swap: swap_folders,
        then: &[
            Stops("another folder"),
            Stops("another folder"),
            Stops("another folder"),
            Stops("another folder"),
            Stops("another folder"),
            Stops("another folder"),
            Stops("another folder"),
            Runs,
            Runs,
        ],
    },
    Subject {
        id: "undo-argument",
        whose: Whose::Rollback,
        keys: "run = ['sh', '-c', 'WAIT; cat \"$0\" >> ran.txt', 'text']",
        prepare: put_text,
        swap: swap_text,
        // The step is there to change it.
        then: &[Free, Free, Free, Free, Free, Free, Free, Free, Free],
    },
    Subject {
        id: "probe-script",
        whose: Whose::Probe,
        keys: "run = ['./go.sh']",
        prepare: put_script,
        swap: rewrite_script,
        then: &[
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Stops("go.sh changed"),
            Never,
            Never,
            Runs,
        ],
    },
    Subject {
        id: "probe-file",
        whose: Whose::Probe,
        keys: "run = 'WAIT; cat text >> ran.txt', files = ['text']",
        prepare: put_text,
        swap: swap_text,
        then: &[
            Stops("text changed"),
            Stops("text changed"),
            Stops("text changed"),
            Stops("text changed"),
            Stops("text changed"),
            Stops("text changed"),
            Never,
            Never,
            Undecided("text changed"),
        ],
    },
];

/// Something that nobody named: what is put in its place runs, and the table says so.
const UNNAMED: &[Subject] = &[Subject {
    id: "unnamed",
    whose: Whose::Step,
    keys: "run = 'WAIT; cat text >> ran.txt'",
    prepare: put_text,
    swap: swap_text,
    then: &[Runs, Runs, Runs, Runs, Runs],
}];

fn plan(subjects: &[Subject]) -> String {
    let mut plan = format!(
        "crosscheck = 1\nname = \"Swaps\"\nenvironment = \"test\"\n\
         [crew]\nlead = [\"{LEAD}\"]\nshadow = [\"{DBA}\"]\n\
         [secrets]\ntoken = {{ file = \"secret/token\" }}\n\
         [hosts.far]\naddress = \"127.0.0.1\"\nport = 1\nuser = \"release\"\nidentity = \"remote-key/key\"\n\
         host_key = \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKjIBqlfOPrL1ZvVvbEfyXHcRkpRqDtEJXYJYwmKM8zO\"\n\
         [[watch]]\nid = \"flagged\"\nkind = \"command\"\nrun = \"test -e gate/flag\"\nevery = \"1h\"\n\
         [[watch]]\nid = \"asked\"\nkind = \"command\"\nrun = [\"true\"]\nevery = \"100ms\"\n"
    );
    for Subject { id, whose, keys, .. } in subjects {
        let keys = keys.replace("WAIT", WAIT);
        let remote = keys.contains("on = ");
        let cwd = if keys.contains("cwd = 'folder") || remote { String::new() } else { format!("cwd = \"{id}\"\n") };
        let io = if remote { "" } else { "io = \"pipe\"\n" };
        let _ = writeln!(plan, "[[step]]\nid = \"{id}\"\nclass = \"critical\"\nafter = []\n{io}{cwd}");
        let part = match whose {
            Whose::Step => {
                let _ = writeln!(plan, "{keys}");
                continue;
            }
            Whose::Rollback => "rollback",
            Whose::Probe => "probe",
        };
        let _ = writeln!(
            plan,
            "run = ': > begun-step; while [ ! -e go-step ]; do sleep 0.02; done; exit 1'\n{part} = {{ {keys} }}"
        );
    }
    // What a plan does not use it may not declare.
    if subjects.iter().all(|subject| subject.id != "remote-key") {
        plan = plan.lines().filter(|line| !line.contains("host_key")).collect::<Vec<_>>().join("\n");
        plan = plan.replace(
            "[hosts.far]\naddress = \"127.0.0.1\"\nport = 1\nuser = \"release\"\nidentity = \"remote-key/key\"\n",
            "",
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
    moment: Moment,
}

/// What came of a subject: what its command left behind, and why it did not run, or what its end says, where that is no exit.
#[derive(Debug)]
struct Came {
    ran: String,
    stopped: Option<String>,
    undecided: Option<String>,
    lost: bool,
}

impl Flight {
    fn start(subjects: &[Subject], moment: Moment) -> Flight {
        let stage = Stage::new(&plan(subjects));
        for subject in subjects {
            let dir = stage.path(subject.id);
            std::fs::create_dir_all(&dir).unwrap();
            (subject.prepare)(&dir);
        }
        std::fs::create_dir_all(stage.path("gate")).unwrap();
        std::fs::write(stage.path("gate/flag"), "").unwrap();
        let fifo = stage.path("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let place = match moment {
            Intended => "after:RunIntended",
            UndoIntended => "after:RollbackIntended",
            Opened | UndoOpened => "before:exec",
            _ => "after:nothing",
        };
        let hub = stage.serve_with(&[("CROSSCHECK_PAUSE", &format!("{place}:{}", fifo.display()))], &[]);
        std::fs::write(stage.path("hub.pid"), hub.pid().to_string()).unwrap();
        stage.wait_for_links();
        let (lead, dba) = (stage.join(LEAD), stage.join(DBA));
        let read = |watch: &str| {
            stage.events("GateTurned").iter().any(|turned| turned["watch"] == watch && turned["to"] == "ok")
        };
        poll(PATIENCE, || (read("flagged") && read("asked")).then_some(())).expect("the gates read ok");
        Flight { stage, _hub: hub, lead, dba, moment }
    }

    /// There is a reader once the hub waits; dropping the pen lets it go on.
    fn pen(&self) -> Option<std::os::fd::OwnedFd> {
        let flags = nix::fcntl::OFlag::O_WRONLY | nix::fcntl::OFlag::O_NONBLOCK;
        let opened = nix::fcntl::open(&self.stage.path("fifo"), flags, nix::sys::stat::Mode::empty()).ok()?;
        Some(opened)
    }

    /// Does that while the hub waits, if it comes to that.
    fn held(&self, what: &str, then: impl FnOnce()) {
        let pen = poll(PATIENCE, || self.pen()).unwrap_or_else(|| panic!("{what}: the hub waits"));
        then();
        drop(pen);
    }

    /// Everything from arming to the end; what came of it.
    fn fly(&self, subject: &Subject) -> Came {
        let (id, moment) = (subject.id, self.moment);
        let what = format!("{id} at {moment:?}");
        let dir = self.stage.path(id);
        for name in ["ran.txt", "begun", "go", "begun-step", "go-step"] {
            let _ = std::fs::remove_file(dir.join(name));
        }
        (subject.prepare)(&dir);
        let own = if subject.whose == Whose::Step { Running } else { Undoing };
        let begins = |name: &str, go: &str| {
            let begun = poll(PATIENCE, || dir.join(name).exists().then_some(()));
            begun.unwrap_or_else(|| panic!("{what}: it begins, {}", self.lead.described()));
            // The look right after the start is over once the start is told.
            let told = || self.stage.events("RunStarted").iter().any(|started| started["step"] == id);
            poll(PATIENCE, || told().then_some(())).expect("its start is told");
            (subject.swap)(&dir);
            std::fs::write(dir.join(go), "").unwrap();
        };
        for (name, waits) in [("go", own), ("go-step", Running)] {
            if moment != waits {
                std::fs::write(dir.join(name), "").unwrap();
            }
        }
        let swap_at = |here: Moment| {
            if here == moment {
                (subject.swap)(&dir);
            }
        };
        self.lead.ok(&format!("arm {id}"));
        self.dba.expect("--- digest");
        swap_at(Armed);
        self.dba.ok("check");
        swap_at(Checked);
        self.lead.ok("run");
        match moment {
            Intended | Opened => self.held(&what, || swap_at(moment)),
            UndoOpened => self.held(&what, || {}),
            Running => begins(
                if subject.whose == Whose::Step { "begun" } else { "begun-step" },
                if subject.whose == Whose::Step { "go" } else { "go-step" },
            ),
            _ => {}
        }
        let armed = self.stage.events("StepArmed");
        let attempt = armed.iter().rfind(|event| event["step"] == id).expect("it was armed")["attempt"].clone();
        let of_it = |event: &Value| event["step"] == id && event["attempt"] == attempt;
        let ends =
            |kind: &str| -> Vec<Value> { self.stage.events(kind).into_iter().filter(|event| of_it(event)).collect() };
        let batches = subject.then.iter().any(|then| matches!(then, Halts(_)));
        let voided = poll(PATIENCE, || {
            // Further batches wait before their exec too.
            drop(batches.then(|| self.pen()));
            let lost = !ends("OutcomeUnknown").is_empty();
            let runs = ends("RunEnded");
            let over = runs.iter().any(|end| end["end"]["exited"]["code"] != 0) || runs.len() > usize::from(batches);
            match ends("StepVoided").first() {
                Some(voided) => Some(Some(voided["cause"].to_string())),
                None => (lost || over).then_some(None),
            }
        });
        let voided = voided.unwrap_or_else(|| panic!("{what}: it ends, {}", self.lead.described()));
        let lost = !ends("OutcomeUnknown").is_empty();
        let mut end = ends("RunEnded").pop().map(|event| event["end"].clone());
        if voided.is_none() && subject.whose != Whose::Step {
            assert_eq!(end.take().expect("an end")["exited"]["code"], 1, "{what}: the step itself fails");
            swap_at(Ended);
            let (verb, kind) = match subject.whose {
                Whose::Probe => ("probe", "ProbeEnded"),
                _ => ("rollback", "RollbackEnded"),
            };
            // Answered once it is intended, which is where the hub waits.
            self.lead.say(&format!("{verb} {id}"));
            if moment != UndoIntended {
                assert!(self.lead.answer().starts_with("ok"), "{what}: {}", self.lead.described());
            }
            match moment {
                UndoIntended | UndoOpened => self.held(&what, || swap_at(moment)),
                Undoing => begins("begun", "go"),
                _ => {}
            }
            end = poll(PATIENCE, || {
                drop((moment == Opened).then(|| self.pen())); // it waits there too, and nothing is swapped any more
                ends(kind).pop()
            })
            .map(|event| event["end"].clone());
            if moment == UndoIntended {
                assert!(self.lead.answer().starts_with("ok"), "{what}: {}", self.lead.described());
            }
            assert!(end.is_some(), "{what}: {verb} ends, {}", self.lead.described());
        }
        let of = |kind: &str, word: &str| end.as_ref().and_then(|end| Some(end.get(kind)?[word].to_string()));
        // Whatever is owed of it, so that the next can fly. A client that is behind says no, or signs what is past: it is asked again.
        let undone = voided.is_none() && subject.whose != Whose::Step;
        let owed = undone || lost || of("changed", "what").is_some();
        let noted = poll(PATIENCE, || {
            let answers = [format!("settle {id} failed seen"), "ack seen".to_owned()].map(|verb| self.dba.ask(&verb));
            let behind = answers.iter().any(|answer| answer.contains("its signature does not count"));
            (!behind && (!owed || answers.iter().any(|answer| answer.starts_with("ok")))).then_some(())
        });
        noted.unwrap_or_else(|| panic!("{what}: somebody takes note, {}", self.dba.described()));
        Came {
            ran: std::fs::read_to_string(dir.join("ran.txt")).unwrap_or_default(),
            stopped: voided.or_else(|| of("not_started", "why")),
            undecided: of("changed", "what"),
            lost,
        }
    }
}

/// Whether what came of it is what invariant 2 says.
fn judge(then: Then, came: &Came) -> Result<(), String> {
    let Came { ran, stopped, undecided, lost } = came;
    let wrong = |why: &str| Err(format!("{why}: expected {then:?}, and there came {came:?}"));
    let says = |told: &Option<String>, words: &str| told.as_ref().is_some_and(|told| told.contains(words));
    if ran.contains("swapped") && !matches!(then, Undecided(_) | Free) {
        return wrong("what was swapped in ran");
    }
    match then {
        Stops(words) if ran.is_empty() && says(stopped, words) => Ok(()),
        Stops(_) => wrong("it was not stopped with these words"),
        Runs if ran == "checked\n" && stopped.is_none() && undecided.is_none() && !lost => Ok(()),
        Runs => wrong("it did not run as it was checked"),
        Undecided(words) if stopped.is_none() && says(undecided, words) => Ok(()),
        Undecided(_) => wrong("nobody was told"),
        Halts(words) if ran == "checked\n" && says(stopped, words) => Ok(()),
        Halts(_) => wrong("it did not stop after its first batch"),
        Free if !ran.is_empty() && stopped.is_none() && undecided.is_none() => Ok(()),
        Free => wrong("it is free to change"),
        Lost if *lost => Ok(()),
        Lost => wrong("the link was not lost"),
        Never => Ok(()),
    }
}

#[test]
fn what_was_checked_runs_or_nothing_does_or_nobody_takes_it_for_done() {
    let fly_all = |moment: Moment| {
        let index = MOMENTS.iter().position(|other| *other == moment).unwrap();
        let flight = Flight::start(SUBJECTS, moment);
        let mut cases = 0;
        let mut wrong = vec![];
        for subject in SUBJECTS {
            let Some(then) = subject.then.get(index).filter(|then| !matches!(then, Never)) else { continue };
            let came = flight.fly(subject);
            wrong.extend(judge(*then, &came).err().map(|why| format!("{} at {moment:?}: {why}", subject.id)));
            cases += 1;
        }
        (cases, wrong)
    };
    let (mut cases, mut wrong) = (0, vec![]);
    std::thread::scope(|scope| {
        let threads: Vec<_> = MOMENTS.iter().map(|moment| scope.spawn(move || fly_all(*moment))).collect();
        for thread in threads {
            let (more, found) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            cases += more;
            wrong.extend(found);
        }
    });
    // Not by println: what a passing test prints is swallowed.
    let _ = writeln!(std::io::stderr(), "set D: {cases} cases");
    assert!(wrong.is_empty(), "{wrong:#?}");
    let owed: usize =
        SUBJECTS.iter().map(|subject| subject.then.iter().filter(|then| !matches!(then, Never)).count()).sum();
    assert_eq!(cases, owed);
    for subject in SUBJECTS {
        let moments = if subject.whose == Whose::Step { 5 } else { MOMENTS.len() };
        assert_eq!(subject.then.len(), moments, "{}: something is said of each moment", subject.id);
    }
}

/// The table's twin: it sees what is not named, and so not held.
#[test]
fn what_nobody_named_is_seen_to_run_swapped() {
    let flight = Flight::start(UNNAMED, Checked);
    let came = flight.fly(&UNNAMED[0]);
    let why = judge(UNNAMED[0].then[1], &came).unwrap_err();
    assert!(why.starts_with("what was swapped in ran"), "{why}");
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
    let cases: [Case; 9] = [
        ("run = ['sh', 'do.sh']\nsealed = false", "do.sh changed: SHA-256 ", rewrite, "UNDECIDED"),
        ("run = ['./do.sh']\nsealed = false", "do.sh changed: SHA-256 ", rewrite, "UNDECIDED"),
        ("run = ['./do.sh']\nsealed = false", "do.sh was written anew", and_back, "UNDECIDED"),
        ("run = ['./do.sh']\nsealed = false", "do.sh changed: SHA-256 ", moved, "UNDECIDED"),
        ("run = ['./do.sh']\nsealed = false", "do.sh was taken away", gone, "UNDECIDED"),
        ("run = ['./do.sh']\nfiles = ['config']", "config changed: SHA-256 ", config, "UNDECIDED"),
        // Who may read it is another thing than what is in it, and a copy cannot change.
        ("run = ['./do.sh']\nsealed = false", "done", readable, ""),
        ("run = ['sh', 'do.sh']", "done", rewrite, ""),
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
