//! Parses the command line, calls one function, turns its result into an exit status.

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(crosscheck::cli::run(crosscheck::cli::Cli::parse()))
}
