//! What can happen to the virtual hub, written down so whole that a kept run replays without any chance in it.

use crate::event::{Attention, RunEnd, Status};
use crate::name::{Principal, StepId, WatchId};
use crate::session::Request;
use serde::{Deserialize, Serialize};

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Time passes, then several inputs are decided, written and synced together.
    Batch {
        after_ms: u64,
        inputs: Vec<Stimulus>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        crash: Option<Crash>,
    },
    /// What a watch would see from now on; `why` and `value` are indexes into [`HOSTILE`] and [`VALUES`].
    Turn { watch: WatchId, status: Status, why: usize, value: usize },
    /// The bytes of what a step runs change; version 0 is what they were at first, 9 is gone.
    Edit { step: StepId, version: u8 },
    /// What a step's preview says changes; version 9 fails.
    Say { step: StepId, version: u8 },
    /// The next process does not come to be.
    BreakSpawn,
    /// A process ends by itself, whether or not the hub hears of it.
    Die { step: StepId, attempt: u32, end: RunEnd },
    /// A client comes by snapshot, and may never say goodbye.
    Late,
    /// A client stops reading.
    Stall { client: usize },
    /// It goes on after its last number.
    Resume { client: usize },
}

/// One input of the sequencer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Stimulus {
    Ask {
        who: Principal,
        request: Request,
    },
    Join {
        who: Principal,
    },
    Leave {
        who: Principal,
        why: usize,
    },
    /// A periodic reading that took so long.
    Read {
        watch: WatchId,
        took_ms: u64,
    },
    /// The answer to a reading that a `RunRequested` asked for.
    Asked {
        watch: WatchId,
    },
    /// A job to freeze a step is done.
    Froze,
    /// A job to freeze a starting step once more is done; `again`: it is reported twice.
    Rechecked {
        again: bool,
    },
    /// A job to freeze a rollback once more is done.
    Undone,
    Started,
    Output {
        bytes: u32,
    },
    /// The hub reaps the process of that attempt, which ends that way if it has not ended otherwise.
    Reaped {
        step: StepId,
        attempt: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        end: Option<RunEnd>,
    },
    /// The hub sees that the process of an unknown run is gone.
    Gone {
        step: StepId,
        attempt: u32,
    },
    Jumped {
        by_ms: i64,
    },
    /// Nothing is heard over somebody's link since then; without a time it is heard again.
    Silent {
        who: Principal,
        since_ms: Option<u64>,
    },
    /// Somebody comes with a key that is not theirs.
    Knock {
        who: Principal,
    },
    /// The plan's file says something else than the session flies.
    PlanFile,
    /// What runs last waits for keys.
    Awaits,
    /// The hub is asked to stop. It goes once nothing runs, and another one takes the session up.
    Stop,
    /// The oldest durable line that is due to be told to that place of the plan: it was told, or could not be.
    Told {
        notify: u32,
        fails: bool,
    },
    Tick,
}

/// Where the hub dies. Counted things are taken modulo how many there are, so that each number means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Crash {
    /// Nothing of the batch reaches the disk.
    BeforeAppend {
        after_inputs: usize,
    },
    /// Some lines do, and some bytes of the one after them.
    Torn {
        lines: usize,
        bytes: usize,
    },
    AfterSync,
    AfterPublish,
    /// After so many effects: among them between a spawn and its `RunStarted`.
    AfterEffects {
        effects: usize,
    },
}

/// Texts that try something: colours, a title, C1, bidi, zero-width, tags, line ends, quotes, much of it.
pub const HOSTILE: &[&str] = &[
    "fine",
    "\u{1b}[31mred\u{1b}]0;owned\u{7}",
    "\u{9b}31m\u{90}q\u{9c}",
    "drop\u{202e}xedni\u{2066}!\u{2069}",
    "a\u{200b}b\u{feff}c\u{e0041}d",
    "first\r\nsecond\tthird\u{2028}fourth",
    "\"},\"event\":{\"RunIntended\":{}}\n{",
    "\u{7f}\u{0}\u{8}\u{8}\u{8}yes",
    "שלום \u{200f}\u{200e}\u{61c} ok",
];

/// What only a terminal that hides it may get, in a step that takes nothing else.
pub const PASSWORD: &str = "hunter2";

/// Numbers that JSON does not like.
pub const VALUES: &[f64] = &[
    0.0,
    0.1 + 0.2,
    1e300,
    5e-324,
    -0.0,
    f64::NAN,
    f64::INFINITY,
    9_007_199_254_740_993.0,
    123.456_789_012_345_67,
    2.225_073_858_507_201e-308,
];

/// The plans that runs fly. In the first a lead may also check; in the second checks start steps; the third is all
/// critical and lapses soon; in the fourth people read back; the fifth waits for seats, a checklist and a poll; in the sixth parameters
/// and commands are changed, and a preview is; the last one is only rehearsed.
pub const PLANS: &[&str] = &[
    r#"
crosscheck = 1
name = "Generated"
environment = "test"
[crew]
lead = ["ana@example.org", "bo@example.org"]
shadow = ["ana@example.org", "bo@example.org", "cy@example.org", "dan@example.org"]
observer = "link"
[[watch]]
id = "api"
kind = "tcp"
address = "127.0.0.1:1"
stale_after = "20s"
[[watch]]
id = "lag"
kind = "tcp"
address = "127.0.0.1:2"
stale_after = "40s"
[[watch]]
id = "idle"
kind = "kafka-retention"
brokers = "127.0.0.1:3"
topic = "events"
[[recovery]]
name = "replay"
watch = "lag"
takes = "40m"
[[recovery]]
name = "restore"
watch = "api"
takes = "6h"
[[step]]
id = "build"
run = ["./build"]
probe = ["./probe"]
input = "hidden-only"
expects_loss = ["events"]
gates = ["api"]
[[step]]
id = "swap"
class = "critical"
run = ["./swap"]
gates = ["api", { watch = "lag", allow = "warn" }]
verify = { watches = ["api", { watch = "lag", worse = "status" }], for = "3s" }
rollback = { run = ["./unswap"], automatic = true }
[[step]]
id = "drop"
class = "irreversible"
point_of_no_return = true
run = ["./drop"]
gates = ["lag"]
[[step]]
id = "clean"
run = ["./clean"]
run_on_clear = true
[[step]]
id = "tell"
manual = "tell support"
[[notify]]
on = ["recovered", "waiting", "running", "failed", "degraded", "unknown", "andon", "released", "acknowledged", "closed"]
webhook = "https://chat.example.org/hook"
[[notify]]
on = ["opened", "recovered", "waiting", "cleared", "running", "done", "objected", "held", "freed", "handed-over"]
run = ["./tell"]
"#,
    r#"
crosscheck = 1
name = "Started by checks"
environment = "test"
shadow_grace = "30s"
[crew]
lead = ["ana@example.org"]
shadow = ["bo@example.org", "cy@example.org", "dan@example.org"]
observer = "link"
[[watch]]
id = "api"
kind = "tcp"
address = "127.0.0.1:1"
stale_after = "20s"
[[step]]
id = "first"
class = "critical"
run = ["./first"]
input = "lead"
verify = { watches = ["api"], for = "2s" }
rollback = { run = ["./unfirst"] }
gates = [{ watch = "api", allow = "warn" }]
run_on_clear = true
[[step]]
id = "second"
class = "critical"
run = ["./second"]
verify = { watches = ["api"], for = "3s" }
rollback = { run = ["./unsecond"] }
probe = ["./probe"]
until = { watch = "api", within = "20s" }
[[step]]
id = "drain"
until = "api"
verify = { watches = ["api"], for = "2s" }
[[step]]
id = "switch"
class = "critical"
manual = "turn the switch"
until = { watch = "api", within = "10s" }
[[step]]
id = "third"
class = "irreversible"
run = ["./third"]
after = ["first"]
gates = ["api"]
"#,
    r#"
crosscheck = 1
name = "Nobody holds the line"
environment = "test"
lapse = "40s"
on_shadow_lost = "warn"
[hosts.db1]
address = "db1.example.org"
user = "release"
host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFGSx5AQ2Vxn6Gb2m2d5VhZ0W1v6D9oRkq3lUu8yT0aB"
[crew]
lead = ["ana@example.org", "eva@example.org"]
shadow = ["bo@example.org", "cy@example.org", "eva@example.org"]
observer = ["olga@example.org"]
[[watch]]
id = "api"
kind = "tcp"
address = "127.0.0.1:1"
stale_after = "20s"
[[watch]]
id = "lag"
kind = "tcp"
address = "127.0.0.1:2"
stale_after = "25s"
[[step]]
id = "wait"
until = { watch = "api", within = "5s" }
[[step]]
id = "one"
class = "critical"
run = ["./one"]
rollback = { run = ["./unone"], automatic = true }
on = "db1"
gates = ["api"]
until = "lag"
[[step]]
id = "two"
class = "irreversible"
run = ["./two"]
gates = ["api", { watch = "lag", allow = "warn" }]
each = { file = "lines", first = 1, then = 2 }
verify = { watches = ["api"], for = "2s" }
[[step]]
id = "three"
class = "critical"
checks = 2
run = ["./three"]
each = { file = "lines", first = 2, then = 2 }
verify = { watches = ["api", "lag"], for = "4s" }
"#,
    r#"
crosscheck = 1
name = "People"
environment = "test"
shadow_grace = "20s"
break_glass = ["ana@example.org"]
[crew]
lead = ["ana@example.org", "bo@example.org"]
shadow = ["bo@example.org", "cy@example.org", "dan@example.org"]
[params.old]
default = "orders_v1"
[params.place]
default = "eu"
[[watch]]
id = "api"
kind = "tcp"
address = "127.0.0.1:1"
stale_after = "20s"
[[watch]]
id = "lag"
kind = "tcp"
address = "127.0.0.1:2"
stale_after = "30s"
[[step]]
id = "shut"
class = "critical"
run = ["./shut", "{{ place }}"]
readback = ["old", "place"]
gates = ["api"]
[[step]]
id = "wipe"
class = "irreversible"
run = ["./wipe", "{{ old }}"]
readback = ["old", "place"]
gates = [{ watch = "lag", allow = "warn" }]
[[step]]
id = "tell"
run = ["./tell"]
gates = ["api"]
"#,
    r#"
crosscheck = 1
name = "Polled"
environment = "test"
expected = "20m"
[crew]
lead = ["ana@example.org", "bo@example.org"]
shadow = ["bo@example.org", "cy@example.org", "dan@example.org"]
observer = "link"
[[crew.seat]]
name = "status page"
who = ["sue@example.org", "tom@example.org"]
[[crew.seat]]
name = "on call"
who = ["cy@example.org", "sue@example.org"]
[[checklist]]
id = "restored"
ask = "By whom?"
answer = "text"
seat = "status page"
[[checklist]]
id = "told"
ask = "Are customers told?"
answer = "yes"
[[checklist]]
id = "since"
ask = "Frozen since?"
answer = "time"
seat = "on call"
[[watch]]
id = "api"
kind = "tcp"
address = "127.0.0.1:1"
stale_after = "60s"
[[step]]
id = "prepare"
run = ["./prepare"]
gates = ["api"]
each = { file = "lines", first = 1, then = 1 }
verify = { watches = ["api"], for = "1s" }
rollback = { run = ["./unprepare"], automatic = true }
[[step]]
id = "swap"
class = "critical"
run = ["./swap"]
gates = ["api"]
[[step]]
id = "drop"
class = "critical"
run = ["./drop"]
after = []
run_on_clear = true
"#,
    r#"
crosscheck = 1
name = "Changed while it is flown"
environment = "test"
on_shadow_lost = "warn"
[crew]
lead = ["ana@example.org", "bo@example.org"]
shadow = ["bo@example.org", "cy@example.org", "dan@example.org"]
[params.host]
default = "db-1"
pattern = "db-[0-9]"
[params.table]
[[watch]]
id = "api"
kind = "tcp"
address = "{{ host }}:1"
stale_after = "20s"
[[step]]
id = "load"
run = ["./load", "{{ host }}"]
[[step]]
id = "look"
run = ["./look"]
gates = ["api"]
[[step]]
id = "drop"
class = "critical"
run = ["./drop", "{{ table }}"]
preview = { run = ["./count"], expect = "1..9" }
gates = ["api"]
"#,
    r#"
crosscheck = 1
name = "Rehearsed"
environment = "test"
[crew]
lead = ["ana@example.org", "bo@example.org"]
shadow = ["bo@example.org", "cy@example.org", "dan@example.org"]
observer = "link"
[params.table]
default = "orders_v1"
[[watch]]
id = "api"
kind = "tcp"
address = "127.0.0.1:1"
stale_after = "20s"
[[step]]
id = "load"
run = ["./load", "{{ table }}"]
rehearse = ["./dry-load", "{{ table }}"]
gates = ["api"]
[[step]]
id = "swap"
class = "critical"
run = ["./swap"]
rehearse = "./dry-swap"
rollback = { run = ["./unswap"], rehearse = ["./dry-unswap"], automatic = true }
[[step]]
id = "drop"
class = "irreversible"
run = ["./drop", "{{ table }}"]
rollback = { run = ["./undrop"] }
gates = ["api"]
"#,
];

/// Who is around. The last ones are nobody's crew; names that are no names were refused at the door.
pub fn everyone() -> Vec<Principal> {
    let crew = ["ana", "bo", "cy", "dan", "eva", "olga", "sue", "tom"].map(|name| format!("{name}@example.org"));
    let guests = ["guest-1", "аna@example.org", "שרה", "a\u{202e}na", "a\u{1b}[31m", "zoe\u{200b}"].map(str::to_owned);
    crew.iter().chain(&guests).filter_map(|name| Principal::new(name).ok()).collect()
}

/// What an `Attend` says.
pub fn attention(index: u64, step: &StepId) -> Attention {
    match index % 3 {
        0 => Attention::Here,
        1 => Attention::Inspecting(step.clone()),
        _ => Attention::Away,
    }
}
