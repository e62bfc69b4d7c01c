//! A command on another machine: what people check is the whole ssh command line, the pinned host key in it, and the script
//! that goes in on its standard input.
//!
//! No configuration and no known_hosts file of this machine has a say in it. The script is one compound command, so that a
//! link which is lost half-way through it leaves a shell with something it cannot parse, not with half of a release. What
//! ends the link ends nothing on the other side for certain: that is the session's to know (`OutcomeUnknown`).

use super::unfrozen::FreezeError;
use crate::plan::{Host, Params, Run};
use std::collections::BTreeMap;
use std::path::Path;

/// The ssh command line. Over there a shell is found by its name: where one that knows `pipefail` is asked for and is not there,
/// nothing runs, and ssh says so.
pub(super) fn argv(host: &Host, params: &Params, folder: &Path, pipefail: bool) -> Result<Vec<String>, FreezeError> {
    let mut argv: Vec<String> = ["ssh", "-F", "none", "-T", "-x", "-a"].map(str::to_owned).into();
    let known = format!("KnownHostsCommand=/bin/echo {} {}", host.name, host.host_key);
    let alias = format!("HostKeyAlias={}", host.name);
    for option in [
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "UserKnownHostsFile=/dev/null",
        "GlobalKnownHostsFile=/dev/null",
        &known,
        &alias,
        "UpdateHostKeys=no",
        "ClearAllForwardings=yes",
        "ControlMaster=no",
        "ControlPath=none",
        "PermitLocalCommand=no",
        "ConnectTimeout=10",
        "ServerAliveInterval=5",
        "ServerAliveCountMax=3",
    ] {
        argv.extend(["-o".to_owned(), option.to_owned()]);
    }
    if let Some(identity) = &host.identity {
        let error = |source| FreezeError::Render { what: format!("hosts.{}.identity", host.name), source };
        let path = folder.join(identity.render(params).map_err(error)?);
        argv.extend(["-o".to_owned(), "IdentitiesOnly=yes".to_owned(), "-i".to_owned()]);
        argv.push(path.to_string_lossy().into_owned());
    }
    argv.extend(["-p".to_owned(), host.port.to_string(), "-l".to_owned(), host.user.clone()]);
    let shell = if pipefail { "bash -eu -o pipefail -s" } else { "sh -eu -s" };
    argv.extend(["--", &host.address, shell].map(str::to_owned));
    Ok(argv)
}

/// The script: the working folder, the environment that the plan gives, and the command.
pub(super) fn script(run: &Run, argv: &[String], env: &BTreeMap<String, String>, cwd: Option<&str>) -> String {
    let mut script = "{\n".to_owned();
    if let Some(cwd) = cwd {
        script += &format!("cd -- {}\n", quoted(cwd));
    }
    for (name, value) in env {
        script += &format!("export {name}={}\n", quoted(value));
    }
    match run {
        Run::Shell(_) => script += argv.last().map_or("", String::as_str), // sh -eu -c TEXT
        Run::Argv(_) => {
            let words: Vec<_> = argv.iter().map(|word| quoted(word)).collect();
            script += &format!("exec {}", words.join(" "));
        }
    }
    script += "\n} </dev/null\n";
    script
}

/// One word for a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Template;

    #[test]
    fn a_script_means_to_a_shell_what_the_plan_says() {
        let template = |text: &str| Template::new(text).unwrap();
        let words = ["printf", "<%s>", "it's; $HOME `x`", "", "a\nb"].map(str::to_owned);
        let run = Run::Argv(words.iter().map(|word| template(&word.replace("{{", ""))).collect());
        let env = BTreeMap::from([("KEY".to_owned(), "o'ne \"two\"".to_owned())]);
        let text = script(&run, &words, &env, Some("/tmp"));
        let out = |text: &str| {
            let output = std::process::Command::new("sh").args(["-eu", "-c", text]).output().unwrap();
            (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
        };
        assert_eq!(out(&text).0, "<it's; $HOME `x`><><a\nb>");
        let shell = "pwd; printf %s \"$KEY\"; cat; exit 7".to_owned();
        let text =
            script(&Run::Shell(template(&shell)), &["sh".into(), "-eu".into(), "-c".into(), shell], &env, Some("/tmp"));
        assert_eq!(out(&text), ("/tmp\no'ne \"two\"".to_owned(), Some(7)));
        // Less than all of it does nothing at all.
        for end in (1..text.len() - "} </dev/null\n".len()).filter(|end| text.is_char_boundary(*end)) {
            assert_eq!(out(&text[..end]).0, "", "{:?}", &text[..end]);
        }
    }
}
