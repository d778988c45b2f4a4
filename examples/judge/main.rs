//! `judge`: judges a problem in the Kattis / ICPC problem package format.
//!
//! The path of a submission: `submission` finds it, `stage` copies it, `build` compiles it in a box, `run` runs it on each
//! test in a box, `validator` has an opinion, `verdicts` and `report` say what it comes to. `session` holds the thread,
//! and `runner` is the only module that talks to the sandbox.

mod artefacts;
mod build;
mod cli;
mod context;
mod fatal;
mod language;
mod package;
mod precompiled;
mod probe;
mod report;
mod run;
mod runner;
mod session;
mod settings;
mod signals;
mod slot;
mod stage;
mod submission;
mod timelimit;
mod validator;
mod verdicts;
mod workspace;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;

use fatal::{Fatal, chain};
use report::Reporter;
use signals::Interrupt;

fn main() -> ExitCode {
    let args = cli::Args::parse();
    let reporter = Reporter::new(args.json);
    let judged = Interrupt::listen()
        .map_err(Fatal::io("listening to signals"))
        .and_then(|interrupt| session::judge(&args, &interrupt, &reporter));
    match judged {
        Ok(summary) => ExitCode::from(summary.exit_status()),
        Err(error) => {
            reporter.abandon();
            // Standard error may be closed; the exit status says the same.
            if writeln!(io::stderr(), "judge: {}", chain(&error)).is_err() {
                return ExitCode::from(2);
            }
            ExitCode::from(error.exit_status())
        }
    }
}
