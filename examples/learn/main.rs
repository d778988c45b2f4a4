//! `seccomp-learn`: the smallest system call policy under which a program does what it does. Not a sandbox; see `--help`.

mod cli;
mod failure;
mod rules;
mod runs;
mod telling;

use std::{
    error::Error as _,
    fs,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use clap::Parser as _;
use sandbox_exec::{
    Policy,
    seccomp::{Effective, oci::Profile},
};

use crate::{cli::Args, failure::Failure, rules::Learned, runs::Runs};

fn main() -> ExitCode {
    let args = Args::parse();
    tell("not a sandbox: while it is watched, the program makes every call that it likes");
    match learn(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let mut text = failure.to_string();
            let mut cause = failure.source();
            while let Some(next) = cause {
                text += &format!(": {next}");
                cause = next.source();
            }
            tell(&text);
            ExitCode::from(if failure.is_the_programs() { 1 } else { 2 })
        }
    }
}

/// For the person who learns, where anybody still reads.
fn tell(text: &str) {
    writeln!(io::stderr(), "seccomp-learn: {text}").ok();
}

fn learn(args: &Args) -> Result<(), Failure> {
    let base = rules::base(&args.policy)?;
    if let Some(directory) = &args.output {
        fs::create_dir_all(directory).map_err(|source| Failure::File {
            what: "make the directory",
            path: directory.clone(),
            source,
        })?;
    }
    let runs = Runs::new(args)?;
    let policy = rules::watched(&base)?;
    let watched = runs.watch(&policy)?;
    let calls = watched.iter().flat_map(|run| &run.seen.calls);
    let mut all = rules::learned(calls)?;
    all.extend(rules::unseen(&base, &policy));
    let learned = rules::with(&base, &all);
    learned.prepare().map_err(Failure::Unfiltered)?;
    if let Some((run, how)) = runs.differs(&learned, &watched)? {
        return Err(Failure::Differs { run, how });
    }
    let mut needed = all.clone();
    if !args.all {
        for rule in &all {
            let without: Vec<Learned> = needed.iter().filter(|one| *one != rule).cloned().collect();
            if runs
                .differs(&rules::with(&base, &without), &watched)?
                .is_none()
            {
                needed = without;
            }
        }
    }
    let policy = rules::with(&base, &needed);
    let own = rules::text(&args.policy, &policy)?;
    let oci = serde_json::to_string_pretty(&Profile::export(&unsupervised(&policy))?)?;
    if let Some(directory) = &args.output {
        write(&directory.join("policy.json"), &own)?;
        write(&directory.join("oci.json"), &oci)?;
    }
    let list = list(&args.policy, &base.effective()?, &all, &needed);
    let text = format!("{list}-- policy\n{own}\n-- OCI profile\n{oci}\n");
    let written = io::stdout().write_all(text.as_bytes());
    written.map_err(|source| Failure::File {
        what: "write to",
        path: "standard output".into(),
        source,
    })
}

/// The policy where nobody is told of calls: what it reports the kernel does by itself, and it cannot tell the start's own
/// `execve` from the program's.
fn unsupervised(policy: &Policy) -> Policy {
    if policy.reports() {
        policy.clone().allow(&["execve"]).without_reports()
    } else {
        policy.clone()
    }
}

/// What was learned, a line for each rule.
fn list(name: &str, base: &Effective, all: &[Learned], needed: &[Learned]) -> String {
    let mut text = format!("what {name} refuses, and how often it was called:\n");
    for rule in all {
        let word = if needed.contains(rule) {
            "needed"
        } else {
            "not needed"
        };
        let conditions: Vec<_> = rule.conditions.iter().map(ToString::to_string).collect();
        let place = if conditions.is_empty() { "" } else { " where " };
        let (syscall, conditions) = (&rule.syscall, conditions.join(" and "));
        let unasked = rules::unasked(base, rule);
        let mut remark = String::new();
        if !unasked.is_empty() {
            let arguments: Vec<_> = unasked.iter().map(|one| format!("arg{one}")).collect();
            remark += &format!(
                "; whatever {}, by which {name} decides",
                arguments.join(", ")
            );
        }
        if rule.beyond_judge {
            remark += "; judge refuses it";
        }
        text += &format!(
            "{word:<10} {:>7}  {syscall}{place}{conditions}{remark}\n",
            rule.count
        );
    }
    text + &format!("{} of {} rules are needed\n", needed.len(), all.len())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|source| Failure::File {
        what: "write",
        path: path.into(),
        source,
    })
}
