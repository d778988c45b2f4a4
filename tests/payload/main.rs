//! The program that tests run in a box: one subcommand per behaviour, each bounded by itself.
//!
//! `payload NAME ARGS…` prints `started` before anything else. An attack reports what it got on standard output, one
//! `name value` per line, and ends with 0 even where it was refused: what the box does to it is for the test to judge. A
//! payload that cannot do what it is for ends with 97.

#![expect(clippy::print_stdout, reason = "standard output is its voice")]

mod behave;
mod holes;
mod inspect;
mod kernel;
mod measured;
mod processes;
mod programs;
mod raw;
mod reported;
mod space;
mod survey;

use std::io::Write as _;

/// A subcommand: its name, and what it does with its arguments.
pub(crate) type Subcommand = (&'static str, fn(&[String]));

/// The exit status for a payload that is used wrongly.
const MISUSED: i32 = 97;

const ALL: &[&[Subcommand]] = &[
    behave::SUBCOMMANDS,
    holes::SUBCOMMANDS,
    inspect::SUBCOMMANDS,
    kernel::SUBCOMMANDS,
    measured::SUBCOMMANDS,
    processes::SUBCOMMANDS,
    programs::SUBCOMMANDS,
    reported::SUBCOMMANDS,
    space::SUBCOMMANDS,
    survey::SUBCOMMANDS,
];

fn main() {
    println!("started");
    std::io::stdout().flush().expect("standard output is open");
    // Lossy: one test passes bytes that are no text, and looks at them by another way.
    let args = std::env::args_os().skip(1);
    let args: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    let found = args.first().and_then(|name| {
        let mut all = ALL.iter().copied().flatten();
        all.find(|(known, _)| known == name)
    });
    let Some((_, run)) = found else {
        println!("no such subcommand: {args:?}");
        std::process::exit(MISUSED);
    };
    run(&args[1..]);
}
