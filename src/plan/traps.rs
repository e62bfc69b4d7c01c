//! Commands that do something else than they seem to: they go on after an error, ask where nobody can answer, are over before
//! their work is, or do more than is meant where a name is empty. One table, [`TRAPS`], with the reason in each line; they are looked
//! for in what a step, its rollback, preview and probe run. What is found in several places is told once.

use super::shell::{self, Join, Simple, Word};
use super::warnings::Warnings;
use super::{Class, Command, Plan, Run, Step};
use crate::name::Part;
use regex_lite::Regex;

/// One of them.
struct Trap {
    /// Its name: that of its plan under `tests/data/traps`.
    #[cfg_attr(not(test), expect(dead_code))]
    name: &'static str,
    /// What is unwise; the places follow.
    says: &'static str,
    /// Why.
    why: &'static str,
    /// What to do.
    help: &'static str,
    is: fn(&Seen<'_>) -> bool,
}

/// A command, and what stands around it.
struct Seen<'a> {
    it: &'a Simple,
    /// The other commands of the same text, in their order.
    all: &'a [Simple],
    index: usize,
    command: &'a Command,
    step: &'a Step,
    plan: &'a Plan,
    part: Part,
    text: &'a str,
}

const TRAPS: &[Trap] = &[
    Trap {
        name: "psql",
        says: "psql goes on after an error",
        why: "what follows the error runs, and the exit code is 0",
        help: "give it -v ON_ERROR_STOP=1",
        is: |s| {
            s.runs("psql")
                && !s.holds("ON_ERROR_STOP")
                && (s.fed() || s.has(&["-f", "--file"]) || s.count(&["-c", "--command"]) > 1)
        },
    },
    Trap {
        name: "mysql",
        says: "mysql goes on after an error",
        why: "--force has it report errors and end as if there were none",
        help: "leave --force out",
        is: |s| s.runs_any(&["mysql", "mariadb"]) && s.has(&["-f", "--force"]),
    },
    Trap {
        name: "sqlite3",
        says: "sqlite3 goes on after an error",
        why: "what follows the error runs",
        help: "give it -bail",
        is: |s| s.runs("sqlite3") && s.fed() && !s.has(&["-bail"]),
    },
    Trap {
        name: "sqlcmd",
        says: "sqlcmd ends as if there were no error",
        why: "its exit code says nothing of the statements",
        help: "give it -b",
        is: |s| s.runs("sqlcmd") && !s.has(&["-b"]),
    },
    Trap {
        name: "redis-cli",
        says: "redis-cli ends as if there were no error",
        why: "an error in the answer is printed, and the exit code is 0",
        help: "give it -e",
        is: |s| s.runs("redis-cli") && !s.has(&["-e", "--cluster", "--rdb"]),
    },
    Trap {
        name: "curl",
        says: "curl takes an error page for an answer",
        why: "without --fail a 404 or 500 ends with exit code 0",
        help: "give it --fail-with-body, or -fsS",
        is: |s| {
            s.runs("curl")
                && !s.has(&["-f", "--fail", "--fail-with-body", "--fail-early"])
                && !s.short('f')
                && !s.holds("http_code")
        },
    },
    Trap {
        name: "httpie",
        says: "http takes an error page for an answer",
        why: "without --check-status a 404 or 500 ends with exit code 0",
        help: "give it --check-status",
        is: |s| s.runs_any(&["http", "https"]) && !s.has(&["--check-status"]),
    },
    Trap {
        name: "sudo",
        says: "sudo may ask for a password",
        why: "nobody can type one",
        help: "give it -n: then it fails at once where its rules ask",
        is: |s| {
            s.runs("sudo")
                && !s.has(&["-n", "--non-interactive", "-S", "-A"])
                && !s.short_of_first('n')
                && !s.may_type()
        },
    },
    Trap {
        name: "ssh",
        says: "ssh may ask for a password or a host key",
        why: "nobody can answer",
        help: "give it -o BatchMode=yes, or run the step `on` that host",
        is: |s| s.runs_any(&["ssh", "scp", "sftp"]) && !s.holds("BatchMode=yes") && !s.may_type(),
    },
    Trap {
        name: "ssh-in-loop",
        says: "ssh reads what its loop should read",
        why: "it takes the rest of the lines as its own input, and the loop ends after the first",
        help: "give it -n",
        is: |s| {
            s.runs("ssh")
                && s.it.maybe
                && Regex::new(r"while\s+(IFS=\S*\s+)?read\b").is_ok_and(|it| it.is_match(s.text))
                && !s.short('n')
        },
    },
    Trap {
        name: "apt",
        says: "the package manager asks before it goes on",
        why: "nobody can answer",
        help: "give it -y, and env = { DEBIAN_FRONTEND = \"noninteractive\" } where it is apt",
        is: |s| {
            let acts = [
                "install",
                "remove",
                "purge",
                "upgrade",
                "dist-upgrade",
                "full-upgrade",
                "autoremove",
                "update",
                "erase",
            ];
            let apt = s.runs_any(&["apt", "apt-get", "aptitude"])
                && s.first().is_some_and(|act| acts.contains(&act) && act != "update");
            let rpm = s.runs_any(&["yum", "dnf"]) && s.first().is_some_and(|act| acts.contains(&act));
            (apt || rpm) && !s.has(&["-y", "--yes", "--assume-yes", "--assumeyes", "-qq"]) && !s.short('y')
        },
    },
    Trap {
        name: "terraform",
        says: "terraform asks before it goes on",
        why: "nobody can answer",
        help: "apply a plan file that was made and looked at before, or give it -auto-approve",
        is: |s| {
            let apply =
                s.first() == Some("apply") && s.it.arguments().filter(|word| !word.starts_with('-')).count() < 2;
            let apply = apply || s.first() == Some("destroy");
            s.runs_any(&["terraform", "tofu", "terragrunt"]) && apply && !s.holds("auto-approve")
        },
    },
    Trap {
        name: "asks-yes",
        says: "it asks before it goes on",
        why: "nobody can answer",
        help: "say yes in its arguments: pulumi --yes, gcloud --quiet, az --yes, gh --yes, heroku --confirm, redis-cli --cluster-yes",
        is: |s| {
            let acts = |acts: &[&str]| s.it.arguments().any(|word| acts.contains(&word));
            (s.runs("pulumi") && acts(&["up", "update", "destroy"]) && !s.has(&["--yes", "-y"]))
                || (s.runs("gcloud") && acts(&["delete", "deploy", "update"]) && !s.has(&["--quiet", "-q"]))
                || (s.runs("az") && acts(&["delete", "purge"]) && !s.has(&["--yes", "-y"]))
                || (s.runs("gh") && acts(&["delete"]) && !s.has(&["--yes", "--confirm"]))
                || (s.runs("heroku") && acts(&["destroy", "apps:destroy", "pg:reset"]) && !s.holds("--confirm"))
                || (s.runs("redis-cli")
                    && acts(&["--cluster"])
                    && !s.has(&["--cluster-yes"])
                    && !acts(&["check", "info"]))
        },
    },
    Trap {
        name: "rm-i",
        says: "-i has it ask for every file",
        why: "nobody can answer",
        help: "leave -i out: what is deleted was cross-checked",
        is: |s| s.runs_any(&["rm", "cp", "mv"]) && (s.has(&["--interactive"]) || s.short('i')) && !s.may_type(),
    },
    Trap {
        name: "editor",
        says: "it waits for keys",
        why: "nobody can press any",
        help: "give it its text, file or message in its arguments",
        is: |s| {
            s.runs_any(&["vi", "vim", "nano", "emacs", "less", "more", "top", "htop", "visudo"])
                || (s.runs("crontab") && s.has(&["-e"]))
                || (s.runs_any(&["kubectl", "oc"]) && s.first() == Some("edit"))
                || (s.runs("git")
                    && s.first() == Some("commit")
                    && !s.short('m')
                    && !s.has(&["--message", "-F", "--no-edit", "-C"]))
                || (s.runs("git") && s.first() == Some("rebase") && (s.short('i') || s.has(&["--interactive"])))
        },
    },
    Trap {
        name: "pager",
        says: "a long answer goes to a pager, which waits for keys",
        why: "at a terminal it shows the first page, and nobody can press one",
        help: "give it --no-pager (aws: --no-cli-pager), or io = \"pipe\"",
        is: |s| {
            let git = s.runs("git") && ["log", "diff", "show", "blame"].iter().any(|act| s.first() == Some(act));
            let systemd = s.runs("journalctl") || (s.runs("systemctl") && s.first() == Some("status"));
            let aws = s.runs("aws") && s.first() != Some("s3") && !s.env("AWS_PAGER");
            let at_terminal = s.command.io == super::Io::Pty && s.it.after != Join::Pipe && !s.to_file();
            at_terminal && (git || systemd || aws) && !s.holds("--no-pager") && !s.holds("--no-cli-pager")
        },
    },
    Trap {
        name: "exec-t",
        says: "-t has it want a terminal of its own",
        why: "it changes line ends, and waits for keys where a program asks",
        help: "leave -t out",
        is: |s| {
            let tools = ["docker", "podman", "kubectl", "oc", "nerdctl"];
            let act = s.it.arguments().position(|word| ["exec", "run", "compose"].contains(&word));
            // What stands behind the first word that is no option is another command's.
            let own = || s.it.arguments().skip(act.unwrap_or(0) + 1).take_while(|word| word.starts_with('-'));
            s.runs_any(&tools) && act.is_some() && own().any(|word| ["-t", "-it", "-ti", "--tty"].contains(&word))
        },
    },
    Trap {
        name: "background",
        says: "what goes on in the background counts for nothing",
        why: "nobody sees whether it failed; the step waits for what stays in its session, is undecided by what leaves it, and never hears of a job that somebody else starts",
        help: "run it in the foreground (`wait $!`), have the step wait for a watch: until = { watch = \"…\", within = \"2h\" }, or say what stays: leaves = \"what, and why\"",
        is: |s| {
            let last = s.all[s.index..].iter().all(|it| it.program() != "wait");
            let left = s.it.after == Join::Background && last;
            let detached = s.runs_any(&["docker", "podman"]) && s.first() == Some("run") && s.has(&["-d", "--detach"]);
            let session = s.runs("tmux") && s.has(&["-d"]) || s.runs("screen") && s.holds("-dm");
            let unit = s.runs("systemd-run") && !s.has(&["--wait", "--pty", "--pipe", "-t", "-P"]);
            let later = s.runs_any(&["at", "batch", "nohup", "setsid", "disown"])
                && !(s.runs("setsid") && s.has(&["-w", "--wait"]));
            !s.waits() && s.command.leaves.is_none() && (left || detached || session || unit || later)
        },
    },
    Trap {
        name: "thrown-away",
        says: "what a critical command says of its errors is thrown away",
        why: "whoever has to judge it afterwards sees nothing",
        help: "leave the redirection to /dev/null out: output is kept beside the transcript",
        is: |s| {
            let null = |signs: &[&str]| {
                s.it.redirects.iter().any(|it| signs.contains(&it.sign.as_str()) && it.to.text == "/dev/null")
            };
            let joined = s.it.redirects.iter().any(|it| it.sign == "2>&" && it.to.text == "1");
            let errors = null(&["2>", "2>>", "&>", "&>>", ">&"]) || (joined && null(&[">", "1>", ">>"]));
            s.critical() && errors && !s.expected_to_fail()
        },
    },
    Trap {
        name: "or-true",
        says: "a critical command that fails counts as done",
        why: "what stands behind `||` takes its failure away",
        help: "leave it out, or ask before for the one case that may be: `test -e x && …`",
        is: |s| {
            let after = s.all.get(s.index + 1).filter(|_| s.it.after == Join::Or);
            let away = |it: &Simple| {
                ["true", ":", "echo", "printf"].contains(&it.program())
                    || (it.program() == "exit" && it.arguments().eq(["0"]))
            };
            s.critical()
                && !s.it.maybe
                && after.is_some_and(away)
                && !["test", "[", "grep", "command"].contains(&s.it.program())
        },
    },
    Trap {
        name: "set-plus-e",
        says: "`set +e` has the text go on after an error",
        why: "only its last command counts",
        help: "leave it out; ask for the exit code where one may fail: `if ! x; then …`",
        is: |s| s.runs("set") && s.it.arguments().any(|word| word.starts_with('+') && word.contains('e')),
    },
    Trap {
        name: "xargs",
        says: "xargs takes a name with a blank for two",
        why: "it splits what it reads at blanks and quotes",
        help: "write find … -print0 | xargs -0 …, or give it -d '\\n'",
        is: |s| {
            let listed = s.before().is_some_and(|it| ["find", "ls", "grep", "git", "cat"].contains(&it.program()));
            s.runs("xargs")
                && listed
                && !s.has(&["-0", "--null", "-d", "--delimiter"])
                && !s.short('0')
                && !s.holds("-d")
        },
    },
    Trap {
        name: "ls-loop",
        says: "a loop over the output of ls or find takes a name with a blank for two",
        why: "the shell splits it at blanks",
        help: "write for x in ./*, or find … -exec … {} +",
        is: |s| {
            s.it.maybe
                && ["ls", "find"].contains(&s.it.program())
                && Regex::new(r"\bfor\s+\w+\s+in\s+(\$\(|`)\s*(ls|find)\b").is_ok_and(|it| it.is_match(s.text))
        },
    },
    Trap {
        name: "rm-empty",
        says: "rm deletes the whole folder where the name at its end is empty",
        why: "nothing keeps that name from being empty",
        help: "give the parameter a `pattern` that asks for a letter, such as [a-z0-9_]+; write ${NAME:?} for a variable of the shell",
        is: |s| {
            s.runs("rm")
                && (s.short('r') || s.short('R') || s.has(&["--recursive"]))
                && s.it.words.iter().skip(1).any(|word| s.may_be_empty(word))
        },
    },
    Trap {
        name: "rm-glob",
        says: "what rm matches is known only when it runs",
        why: "people check the pattern, not the files",
        help: "give the step a `preview` that lists them, or name the folder",
        is: |s| {
            let glob = |word: &Word| word.splits && word.text.contains(['*', '?']);
            s.critical() && s.runs("rm") && s.step.preview.is_none() && s.it.words.iter().skip(1).any(glob)
        },
    },
    Trap {
        name: "find-delete",
        says: "find deletes before it asks what to delete",
        why: "-delete acts where it stands: tests behind it are never asked",
        help: "put -delete last",
        is: |s| {
            let mut behind = s.it.arguments().skip_while(|word| *word != "-delete").skip(1);
            s.runs("find")
                && behind.any(|word| {
                    [
                        "-name", "-iname", "-path", "-type", "-mtime", "-mmin", "-size", "-newer", "-user", "-regex",
                        "-empty",
                    ]
                    .contains(&word)
                })
        },
    },
    Trap {
        name: "sync-delete",
        says: "a source that is empty by mistake empties the target",
        why: "whatever is not in the source is deleted",
        help: "give it a limit (--max-delete=100), or let a gate look at the source",
        is: |s| {
            let rsync = s.runs("rsync") && s.it.arguments().any(|word| word.starts_with("--delete") || word == "--del");
            let other = s.runs("rclone") && s.first() == Some("sync");
            let limited = s.holds("--max-delete") || s.has(&["-n", "--dry-run"]) || s.short_any(&['n']);
            (rsync || other) && !limited && s.step.preview.is_none()
        },
    },
    Trap {
        name: "kubectl-returns",
        says: "kubectl says done before the cluster has done it",
        why: "it only hands the wish over",
        help: "write kubectl rollout status … behind it, or have the step wait for a watch with `until` or `verify`",
        is: |s| {
            let rollout =
                s.first() == Some("rollout") && s.it.arguments().any(|word| ["restart", "undo"].contains(&word));
            let act = rollout || ["apply", "scale", "set", "patch", "replace"].iter().any(|act| s.first() == Some(act));
            let waits = |it: &Simple| it.arguments().any(|word| ["status", "wait"].contains(&word));
            s.runs_any(&["kubectl", "oc"])
                && act
                && !s.waits()
                && !s.all[s.index + 1..].iter().any(waits)
                && !s.holds("--dry-run")
        },
    },
    Trap {
        name: "kubectl-no-wait",
        says: "kubectl delete returns before it is deleted",
        why: "--wait=false, --now and --force hand the wish over and go on",
        help: "leave them out",
        is: |s| {
            s.runs_any(&["kubectl", "oc"])
                && s.first() == Some("delete")
                && s.has(&["--wait=false", "--now", "--force"])
        },
    },
    Trap {
        name: "helm",
        says: "helm says done before the cluster has done it, and leaves a failed release half-way",
        why: "without --atomic (--rollback-on-failure) or --wait it only hands the wish over",
        help: "give it --atomic and a --timeout, or have the step wait for a watch with `until` or `verify`",
        is: |s| {
            let act = ["upgrade", "install", "rollback"].iter().any(|act| s.first() == Some(act));
            let waits = s.it.arguments().any(|word| word.starts_with("--wait"))
                || s.has(&["--atomic", "--rollback-on-failure", "--dry-run"]);
            s.runs("helm") && act && !waits && !s.waits()
        },
    },
    Trap {
        name: "async",
        says: "it says done before the work is",
        why: "--async and --no-wait hand the wish over and go on",
        help: "leave it out, or have the step wait for a watch with `until`",
        is: |s| s.runs_any(&["gcloud", "az", "aws", "doctl"]) && s.has(&["--async", "--no-wait"]) && !s.waits(),
    },
    Trap {
        name: "git-force",
        says: "a forced push takes away what others pushed meanwhile",
        why: "nobody is asked whether the branch is still where it was",
        help: "give it --force-with-lease in place of --force",
        is: |s| {
            s.runs("git")
                && s.first() == Some("push")
                && (s.has(&["--force"]) || s.short('f') || s.it.arguments().any(|word| word.starts_with('+')))
        },
    },
    Trap {
        name: "pipe-to-shell",
        says: "what is fetched is run, and nobody has checked it",
        why: "the other side decides what runs when it runs",
        help: "fetch it in a step before, list it in `files`, and run that",
        is: |s| {
            let fetched = s.before().is_some_and(|it| ["curl", "wget"].contains(&it.program()));
            fetched
                && (shell::is_shell(s.it.program()) || ["python3", "python", "perl", "bash"].contains(&s.it.program()))
        },
    },
    Trap {
        name: "latest",
        says: "the tag `latest` is another image whenever somebody pushes one",
        why: "what runs is not what was checked",
        help: "name a version, or a digest: image@sha256:…",
        is: |s| s.it.arguments().any(|word| word.ends_with(":latest")),
    },
    Trap {
        name: "broken-pipe",
        says: "what stands before it may fail with a broken pipe",
        why: "it stops reading once it has enough, and a part of a pipeline that fails fails the step",
        help: "read all of it (sed -n 1p, grep >/dev/null), or set pipefail = false",
        is: |s| {
            let grep =
                s.runs_any(&["grep", "egrep", "fgrep", "rg"]) && (s.short('q') || s.short('m') || s.has(&["--quiet"]));
            let whole = matches!(s.command.run, Run::Shell(_)) && s.command.pipefail;
            whole && s.it.before == Join::Pipe && (s.runs("head") || grep) && !s.expected_to_fail()
        },
    },
    Trap {
        name: "pkill",
        says: "a pattern ends whatever else it matches",
        why: "its own shell, and other people's processes, have the same words in their command line",
        help: "give it -x and the whole name, or end the process by its number or its service",
        is: |s| s.runs("killall") || (s.runs("pkill") && (s.short('f') || s.has(&["--full"]))),
    },
    Trap {
        name: "chmod-777",
        says: "everybody may write there afterwards",
        why: "777 for all that lies below",
        help: "give the one user or group that needs it what it needs",
        is: |s| s.runs("chmod") && s.it.arguments().any(|word| ["777", "0777", "a+rwx", "a+w", "o+w"].contains(&word)),
    },
    Trap {
        name: "sql-where",
        says: "the statement has no WHERE",
        why: "it is about every row of the table",
        help: "write what it is about, or TRUNCATE where all of it is meant",
        is: |s| {
            let statement = Regex::new(r"(?i)(^|;|\s)(delete\s+from\s+\S+|update\s+\S+\s+set\s+[^;]+?)\s*(;|$)");
            let where_ = Regex::new(r"(?i)\bwhere\b");
            let (Ok(statement), Ok(where_)) = (statement, where_) else { return false };
            let mut parts = s.it.words.iter().skip(1).flat_map(|word| word.text.split(';'));
            s.database() && parts.any(|part| statement.is_match(part) && !where_.is_match(part))
        },
    },
    Trap {
        name: "if-exists",
        says: "IF EXISTS has a wrong name count as done",
        why: "what is not there is no error",
        help: "leave IF EXISTS out: the name was cross-checked",
        is: |s| {
            let drop =
                Regex::new(r"(?i)\bdrop\s+\w+\s+(concurrently\s+)?if\s+exists\b|\bdrop\s+column\s+if\s+exists\b");
            s.critical()
                && s.part == Part::Step
                && s.database()
                && drop.is_ok_and(|drop| s.it.words.iter().any(|word| drop.is_match(&word.text)))
        },
    },
    Trap {
        name: "example",
        says: "a name or an address is still that of an example",
        why: "it leads nowhere, or to somebody else",
        help: "write your own",
        is: |s| {
            s.it.words.iter().any(|word| is_example(&word.text))
                || s.command.env.values().any(|value| is_example(value.text()))
        },
    },
];

/// Names that are kept for examples, and words that people leave to be filled in.
pub(super) fn is_example(text: &str) -> bool {
    let pattern = r"(?i)(^|[^a-z0-9-])((([a-z0-9-]+\.)*example\.(com|org|net))|192\.0\.2\.\d+|198\.51\.100\.\d+|203\.0\.113\.\d+|changeme|change-me|fixme|xxx+|<(your|host|name|user|password|index|table|bucket)[a-z_ -]*>|your-[a-z-]+)([^a-z0-9-]|$)";
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
}

impl Seen<'_> {
    fn runs(&self, program: &str) -> bool {
        self.it.program() == program
    }
    fn runs_any(&self, programs: &[&str]) -> bool {
        programs.contains(&self.it.program())
    }
    /// The first word that is no option: what a tool with several acts is to do.
    fn first(&self) -> Option<&str> {
        self.it.arguments().find(|word| !word.starts_with('-'))
    }
    fn has(&self, words: &[&str]) -> bool {
        self.count(words) > 0
    }
    fn count(&self, words: &[&str]) -> usize {
        let is = |word: &&str| {
            words.iter().any(|known| {
                word == known
                    || word.strip_prefix(known).is_some_and(|rest| known.starts_with("--") && rest.starts_with('='))
            })
        };
        self.it.arguments().filter(is).count()
    }
    fn holds(&self, text: &str) -> bool {
        self.it.arguments().any(|word| word.contains(text))
    }
    /// Whether that letter stands among the short options.
    fn short(&self, letter: char) -> bool {
        let flags = |word: &str| word.starts_with('-') && !word.starts_with("--");
        self.it.arguments().any(|word| {
            flags(word) && word.chars().skip(1).take_while(|c| c.is_ascii_alphanumeric()).any(|c| c == letter)
        })
    }
    fn short_any(&self, letters: &[char]) -> bool {
        letters.iter().any(|letter| self.short(*letter))
    }
    /// The same among the options before the first word.
    fn short_of_first(&self, letter: char) -> bool {
        let own = self.it.arguments().take_while(|word| word.starts_with('-'));
        own.into_iter().any(|word| !word.starts_with("--") && word.contains(letter))
    }
    fn env(&self, name: &str) -> bool {
        self.command.env.contains_key(name)
    }
    /// Whether something is read from its standard input.
    fn fed(&self) -> bool {
        let redirected = self.it.redirects.iter().any(|it| it.sign.starts_with('<'));
        redirected || self.it.before == Join::Pipe || (self.all.len() == 1 && self.command.stdin.is_some())
    }
    fn to_file(&self) -> bool {
        self.it.redirects.iter().any(|it| it.sign.contains('>') && !it.sign.starts_with('2'))
    }
    /// What hands its output to this one.
    fn before(&self) -> Option<&Simple> {
        self.index.checked_sub(1).and_then(|index| self.all.get(index)).filter(|_| self.it.before == Join::Pipe)
    }
    fn critical(&self) -> bool {
        self.step.class >= Class::Critical && matches!(self.part, Part::Step | Part::Rollback)
    }
    /// Whether something looks at what became of it once the command is over.
    fn waits(&self) -> bool {
        self.step.until().is_some() || self.step.verify_of(self.part).is_some()
    }
    fn may_type(&self) -> bool {
        self.command.input != super::Input::None
    }
    /// Whether whoever wrote it reckons with an exit code other than 0.
    fn expected_to_fail(&self) -> bool {
        self.it.maybe || self.it.after == Join::Or || self.it.after == Join::And
    }
    fn database(&self) -> bool {
        self.runs_any(&["psql", "mysql", "mariadb", "sqlite3", "sqlcmd", "clickhouse-client", "cqlsh", "sqlplus"])
    }
    /// Whether that word ends with a name that may be empty, behind a folder.
    fn may_be_empty(&self, word: &Word) -> bool {
        let text = word.text.trim_end_matches(['*', '/', '.']);
        if let (Some(start), true) = (text.rfind("{{"), text.ends_with("}}")) {
            let name = text[start..].trim_matches(['{', '}', ' ']);
            let pattern = self.plan.params.get(name).and_then(|param| param.pattern.as_ref());
            return pattern.is_none_or(|pattern| pattern.matches(""));
        }
        let Some(start) = text.rfind('$') else { return false };
        let name = text[start + 1..].trim_matches(['{', '}', '"']);
        word.filled && !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    }
}

/// The command that such a program runs in its place, where it is one that does.
fn wrapped(simple: &Simple) -> Option<Simple> {
    let wrappers =
        ["sudo", "env", "nice", "ionice", "timeout", "nohup", "setsid", "stdbuf", "xargs", "doas", "chronic", "flock"];
    if !wrappers.contains(&simple.program()) {
        return None;
    }
    let (mut words, mut takes) = (simple.words.iter().skip(1).peekable(), false);
    while let Some(word) = words.peek() {
        let text = word.text.as_str();
        let option = text.starts_with('-');
        let other = text.contains('=')
            || text.starts_with(|c: char| c.is_ascii_digit())
            || (simple.program() == "flock" && text.starts_with('/'));
        if !(option || takes || other) {
            break;
        }
        takes = option
            && ["-u", "-g", "-n", "-c", "-k", "-s", "-I", "-P", "-L", "-d"].contains(&text)
            && !(text == "-n" && simple.program() == "sudo");
        words.next();
    }
    let words: Vec<_> = words.cloned().collect();
    (!words.is_empty()).then(|| Simple { words, ..simple.clone() })
}

/// The commands of that one, and the text they stand in.
fn taken_apart(command: &Command) -> (Vec<Simple>, String) {
    let words = match &command.run {
        Run::Shell(text) => return (shell::commands(text.text()), text.text().to_owned()),
        Run::Argv(words) => words,
    };
    let word = |text: &str| Word { text: text.to_owned(), quoted: true, ..Word::default() };
    let simple = Simple {
        words: words.iter().map(|template| word(template.text())).collect(),
        redirects: vec![],
        before: Join::End,
        after: Join::End,
        maybe: false,
    };
    let text = shell::inner(simple.program(), simple.arguments()).unwrap_or_default().to_owned();
    let mut all = vec![simple];
    all.extend(shell::commands(&text));
    (all, text)
}

/// Looks for all of them.
pub(super) fn look(plan: &Plan, warnings: &mut Warnings<'_>) {
    // By trap, in the table's order: the place of the first, and the words for all.
    let mut found: Vec<(std::ops::Range<usize>, Vec<String>)> = vec![(0..0, vec![]); TRAPS.len()];
    for (number, step) in plan.steps.iter().enumerate() {
        for part in Part::ALL {
            let Some(command) = step.command_of(part) else { continue };
            let (key, words) = match part {
                Part::Step => ("run", format!("step {}", step.id)),
                other => (other.word(), format!("the {} of {}", other.word(), step.id)),
            };
            let (mut all, text) = taken_apart(command);
            let inner: Vec<_> = all.iter().enumerate().filter_map(|(at, it)| Some((at, wrapped(it)?))).collect();
            for (at, it) in inner.into_iter().rev() {
                all.insert(at + 1, it);
            }
            for (index, it) in all.iter().enumerate() {
                let seen = Seen { it, all: &all, index, command, step, plan, part, text: &text };
                for (trap, (place, told)) in TRAPS.iter().zip(&mut found) {
                    if (trap.is)(&seen) && !told.contains(&words) {
                        if told.is_empty() {
                            *place = warnings.step(number, &[key, "id"]);
                        }
                        told.push(words.clone());
                    }
                }
            }
        }
    }
    for (trap, (place, told)) in TRAPS.iter().zip(found) {
        if !told.is_empty() {
            warnings.add(place, format!("{}: {}", trap.says, told.join(", ")), trap.why, trap.help);
        }
    }
    let params = super::Params::new();
    let watched = plan.watches.iter().filter(|watch| is_example(&watch.kind.source(&params)));
    let watched: Vec<_> = watched.map(|watch| format!("watch {}", watch.id)).collect();
    let given = plan.params.iter().filter(|(_, param)| param.default.as_deref().is_some_and(is_example));
    let given: Vec<_> = given.map(|(name, _)| format!("parameter {name}")).collect();
    let all = [watched, given].concat();
    if let (false, Some(trap)) = (all.is_empty(), TRAPS.last()) {
        warnings.add(0..0, format!("{}: {}", trap.says, all.join(", ")), trap.why, trap.help);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::lint;

    fn warnings(text: &str) -> Vec<String> {
        let plan = Plan::parse("trap.toml", text).unwrap_or_else(|error| panic!("{error}"));
        lint(&plan).into_iter().map(|warning| warning.message).collect()
    }

    #[test]
    fn each_is_named_in_a_plan_that_has_it_and_not_once_it_is_mended() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/traps");
        for trap in TRAPS {
            let text = std::fs::read_to_string(folder.join(trap.name).with_extension("toml"));
            let text = text.unwrap_or_else(|error| panic!("{}: {error}", trap.name));
            let found = warnings(&text);
            assert_eq!(found, [format!("{}: step it", trap.says)], "{}", trap.name);
            // What should stand in its place is the line behind `#instead`.
            let mended: Vec<_> = text.lines().filter(|line| !line.starts_with("run = ")).collect();
            let mended = mended.join("\n").replace("#instead ", "");
            assert_ne!(mended, text, "{}", trap.name);
            assert_eq!(warnings(&mended), [""; 0], "{}", trap.name);
        }
        let plans = std::fs::read_dir(&folder).unwrap().count();
        assert!(plans >= 30 && plans == TRAPS.len(), "every plan there is looked at: {plans}");
    }

    #[test]
    fn one_that_several_steps_have_is_told_once() {
        let head = "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\ncrew = { lead = [\"a\"] }\n[[watch]]\nid = \"w\"\nkind = \"tcp\"\naddress = \"h:1\"\n";
        let step = |id: &str, run: &str| format!("[[step]]\nid = \"{id}\"\nrun = {run}\n");
        let text = format!(
            "{head}{}{}rollback = {{ run = \"true; sudo x\" }}\n{}",
            step("one", "[\"sudo\", \"a\"]"),
            step("two", "[\"./x\"]"),
            step("three", "\"timeout 10 sudo -u app b\"")
        );
        assert_eq!(warnings(&text), ["sudo may ask for a password: step one, the rollback of two, step three"]);
    }

    #[test]
    fn an_example_that_is_watched_is_told() {
        let text = "crosscheck = 1\nname = \"n\"\nenvironment = \"e\"\ncrew = { lead = [\"a@example.org\"] }\n[[watch]]\nid = \"w\"\n\
                    kind = \"http\"\nurl = \"https://search.example.org/health\"\n[[step]]\nid = \"s\"\nrun = [\"x\"]\n";
        assert_eq!(warnings(text), ["a name or an address is still that of an example: watch w"]);
        for mine in ["https://search.shop.de/", "counterexample.organic", "an example", "my-index", "your"] {
            assert!(!is_example(mine), "{mine}");
        }
        for example in ["db1.example.org:5432", "192.0.2.17", "changeme", "https://<host>/x", "s3://your-bucket/x"] {
            assert!(is_example(example), "{example}");
        }
    }
}
