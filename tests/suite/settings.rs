//! A person's own settings on the built program: keys, themes, completions, manual pages.

use crate::support::program::{Stage, run};
use crate::support::real::installed;
use crate::support::tmux::Terminals;

const PLAN: &str = r#"
crosscheck = 1
name = "Settings"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["sam@example.org"]
[[step]]
id = "look"
title = "Look"
run = ["echo", "seen"]
"#;

fn settings(stage: &Stage, text: &str) {
    let folder = stage.home("lead@example.org").join(".config/crosscheck");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("config.toml"), text).expect("a file");
}

#[test]
fn keys_of_ones_own_act_and_are_the_ones_that_are_named() {
    if installed("tmux", "-V").is_none() {
        return;
    }
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&[]);
    settings(&stage, "theme = \"mono\"\n[keys]\narm = \"I\"\nrun = \"a\"\n");
    let terminals = Terminals::new(&stage);
    let lead = terminals.open(&stage, "lead@example.org");
    lead.join();
    lead.shows("I arm");
    // What armed before now runs, and there is nothing to run yet.
    lead.press(&["a"]);
    lead.shows("planned, not armed");
    assert!(stage.events("StepArmed").is_empty());
    lead.press(&["I"]);
    lead.shows("a runs it");
    lead.press(&["a"]);
    lead.enter("01");
    lead.shows("seen");
    lead.press(&["?"]);
    lead.until("the help with the keys in force", |screen| {
        screen.lines().any(|line| line.contains("I ") && line.contains("freeze what would run"))
    });
}

#[test]
fn settings_that_cannot_be_used_are_told_and_keep_nobody_out() {
    if installed("tmux", "-V").is_none() {
        return;
    }
    let stage = Stage::new(PLAN);
    let _hub = stage.serve(&[]);
    settings(&stage, "[keys]\narm = \"r\"\n");
    let home = stage.home("lead@example.org");
    let (status, _, told) = run(&home, &["config", "check"]);
    assert!(status == Some(1) && told.contains("config.toml:2") && told.contains("`arm` and `run`"), "{told}");
    let terminals = Terminals::new(&stage);
    let lead = terminals.open(&stage, "lead@example.org");
    lead.join();
    lead.shows("your own settings are not used");
    lead.press(&["a"]);
    lead.shows("r runs it");
}

#[test]
fn themes_are_listed_and_measured() {
    let home = tempfile::tempdir().expect("a folder");
    let themes = home.path().join(".config/crosscheck/themes");
    std::fs::create_dir_all(&themes).expect("a folder");
    std::fs::write(themes.join("mine.toml"), "name = \"mine\"\ninherits = \"dusk\"\ncvd_safe = true\n")
        .expect("a file");
    std::fs::write(themes.join("typo.toml"), "name = \"typo\"\ninherits = \"dusk\"\n[roles]\npas = {}\n")
        .expect("a file");
    let (status, out, _) = run(home.path(), &["theme", "list"]);
    assert!(status == Some(0) && out.contains("harbour  built in") && out.contains("mine  your own"), "{out}");
    let (status, out, _) = run(home.path(), &["theme", "check", "dusk", "paper", "beacon", "harbour", "ansi", "mono"]);
    assert!(status == Some(0) && out.contains("harbour: it can be read"), "{out}");
    // The dark default does not claim to be safe for colour-blind eyes, and is not.
    let (status, out, _) = run(home.path(), &["theme", "check", "mine"]);
    assert!(status == Some(1) && out.contains("mine: WRONG: ") && out.contains("15 are needed"), "{out}");
    let (status, _, err) = run(home.path(), &["theme", "check", "typo"]);
    assert!(status == Some(1) && err.contains("unknown role") && err.contains("typo.toml:4"), "{err}");
    let (status, _, err) = run(home.path(), &["theme", "check", "nowhere"]);
    assert!(status == Some(3) && err.contains("no theme is called nowhere"), "{err}");
    let (status, out, _) = run(home.path(), &["config", "paths"]);
    assert!(status == Some(0) && out.contains("/.config/crosscheck/config.toml  not there"), "{out}");
}

#[test]
fn completions_are_a_script_and_the_manual_has_a_page_for_every_command() {
    let home = tempfile::tempdir().expect("a folder");
    let (status, script, _) = run(home.path(), &["completions", "bash"]);
    assert_eq!(status, Some(0));
    let file = home.path().join("completions.bash");
    std::fs::write(&file, &script).expect("a file");
    // What a person gets who types `crosscheck re` and presses Tab.
    let asked = format!(
        "source {}; COMP_WORDS=(crosscheck re); COMP_CWORD=1; _crosscheck crosscheck re crosscheck; echo \"${{COMPREPLY[*]}}\"",
        file.display()
    );
    let told = std::process::Command::new("bash").args(["-c", &asked]).output().expect("bash is there");
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert_eq!(told.trim(), "replay report", "{told}");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let (status, out, _) = run(home.path(), &["completions", shell]);
        assert!(status == Some(0) && out.contains("rehearse"), "{shell}: {out}");
    }
    let pages = home.path().join("man1");
    let (status, _, err) = run(home.path(), &["man", "--out", pages.to_str().expect("a path")]);
    assert_eq!(status, Some(0), "{err}");
    let (_, help, _) = run(home.path(), &["--help"]);
    let commands = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a list");
    let named = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for name in named.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        let page = std::fs::read_to_string(pages.join(format!("crosscheck-{name}.1"))).unwrap_or_default();
        assert!(page.contains(".SH SYNOPSIS"), "{name} has no page");
    }
    let (_, first, _) = run(home.path(), &["man"]);
    assert_eq!(std::fs::read_to_string(pages.join("crosscheck.1")).expect("the first page"), first);
    for wanted in
        [".SH KEYS ON THE CROSS-CHECK", "yes to exactly this digest", ".SH VERBS OF PLAIN MODE", "break\\-glass"]
    {
        assert!(first.contains(wanted), "{wanted}");
    }
}
