//! Parses the command line, calls one function, turns its result into an exit status.

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(match crosscheck::cli::Cli::try_parse() {
        Ok(cli) => crosscheck::cli::run(cli),
        Err(error) => crosscheck::cli::usage(&error),
    })
}
