//! `completions` and `man`: what packages install beside the program, made from the command line and the table of acts.

use super::args::{Cli, Completions, Man};
use crate::brief::acts::{Place, TABLE};
use crate::brief::keys::Keys;
use clap::CommandFactory as _;
use std::io::Write as _;

/// Prints the script for a shell.
pub fn completions(args: &Completions) -> anyhow::Result<()> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut Cli::command(), "crosscheck", &mut script);
    super::out::stdout().write_all(&script)?;
    Ok(())
}

/// Prints the manual page, or writes all of them.
pub fn run(args: &Man) -> anyhow::Result<()> {
    let command = Cli::command();
    let Some(folder) = &args.out else {
        super::out::stdout().write_all(&page(&command)?)?;
        return Ok(());
    };
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("crosscheck.1"), page(&command)?)?;
    let mut built = command;
    built.build();
    for sub in built.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let name = format!("crosscheck-{}", sub.get_name());
        let man = clap_mangen::Man::new(sub.clone().display_name(name.clone()));
        let mut text = vec![];
        man.render(&mut text)?;
        std::fs::write(folder.join(format!("{name}.1")), text)?;
    }
    Ok(())
}

/// The first page: the commands, and the keys and verbs of a cockpit.
fn page(command: &clap::Command) -> anyhow::Result<Vec<u8>> {
    let man = clap_mangen::Man::new(command.clone());
    let mut text = vec![];
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_subcommands_section(&mut text)?;
    text.extend(keys_and_verbs().as_bytes());
    man.render_version_section(&mut text)?;
    Ok(text)
}

fn keys_and_verbs() -> String {
    let (keys, mut text) = (Keys::default(), String::new());
    // A line that begins with a dot or a quote is an order to the formatter, and a hyphen is a dash unless escaped.
    let safe = |text: &str| format!("\\&{}", text.replace('\\', "\\e").replace('-', "\\-"));
    for place in Place::ALL {
        text.push_str(&format!(".SH KEYS ON {}\n", place.title().to_uppercase()));
        for row in keys.rows(place) {
            let all = keys.all(row.act, place).join(" ");
            text.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", safe(&all), safe(row.help)));
        }
    }
    text.push_str(".SH VERBS OF PLAIN MODE\n");
    for row in TABLE.iter().filter(|row| !row.plain.is_empty()) {
        text.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", safe(row.plain), safe(row.help)));
    }
    text
}
