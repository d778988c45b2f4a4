//! `sandbox-doctor`: says what this host offers to boxes, what is missing, what that costs, and what to type.

mod cli;
mod report;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use sandbox_exec::doctor;

fn main() -> ExitCode {
    let args = cli::Args::parse();
    let found = doctor::examine(&args.options());
    let text = if args.json {
        report::json(&found)
    } else {
        Ok(report::lines(&found))
    };
    let written = text.and_then(|text| io::stdout().write_all(text.as_bytes()));
    match written {
        Ok(()) => ExitCode::from(cli::exit_status(&found, args.strict)),
        Err(error) => {
            // Standard error may be closed as well; the exit status says the same.
            writeln!(io::stderr(), "sandbox-doctor: standard output: {error}").ok();
            ExitCode::from(cli::COULD_NOT_LOOK)
        }
    }
}
