//! Each runtime that a judge offers, under the presets: compiled in a box, run in a box, and what it did compared.
//!
//! The table is in `table.toml`. Every program makes threads, asks the locale, the clock and the kernel's random numbers, and
//! then starts a subprocess, each with a line of output; the twin under the narrower preset shows that the filter was in
//! force. `SANDBOX_RUNTIMES_KEEP=DIR` keeps what was compiled, and `SANDBOX_RUNTIMES_USE=DIR` runs that and compiles nothing:
//! for machines where a compiler takes minutes.

mod boxed;
mod table;

use std::{
    env,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use libtest_mimic::{Arguments, Failed, Trial};
use sandbox_exec::{Policy, SyscallReports};
use sandbox_test_support::host;

use crate::{
    boxed::Boxed,
    table::{Fits, Runtime},
};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let all = table::table();
    let declared = table::declared(&all);
    let possible = host::has(&["root", "memory", "pids", "cpuacct"]);
    let trials = all.into_iter().map(|runtime| {
        let wanted = possible && declared.contains(&runtime.name);
        let name = runtime.name.clone();
        if !wanted {
            say(&format!("skipped: needs the runtime {name}"));
        }
        Trial::test(name, move || matrix(&runtime)).with_ignored_flag(!wanted)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

#[expect(
    clippy::print_stdout,
    reason = "the figures of a run are for its reader"
)]
fn say(line: &str) {
    println!("{line}");
}

/// One row of the table.
fn matrix(runtime: &Runtime) -> Result<(), Failed> {
    let artefacts = tempfile::tempdir()?;
    fs::set_permissions(artefacts.path(), Permissions::from_mode(0o755))?;
    let started = Instant::now();
    artefacts_of(runtime, artefacts.path())?;
    let compiled = started.elapsed();

    let boxed = Boxed {
        runtime,
        artefacts: artefacts.path(),
    };
    let whole = boxed.run(Policy::judge(), &[]);
    whole.is_ok()?;
    whole.says(&runtime.says, "subprocess 7")?;
    // The judge tells what it kills for; told of every errno as well, it hears of far fewer calls than end a run.
    let told = boxed.run(Policy::judge().report_kills().report_errnos(), &[]);
    told.is_ok()?;
    told.says(&runtime.says, "subprocess 7")?;
    let reports = told.reports_at_most(SyscallReports::FLOOD / 10)?;
    match runtime.fits {
        Fits::StrictCompute => {
            let alone = boxed.run(Policy::strict_compute(), &["alone"]);
            alone.is_ok()?;
            alone.says(&runtime.says, "")?;
            let twin = boxed.run(Policy::strict_compute(), &[]);
            twin.is_killed_by_the_filter()?;
            twin.says(&runtime.says, "")?;
        }
        Fits::Interpreter => {
            let refused = boxed.run(Policy::interpreter(), &[]);
            refused.is_ok()?;
            refused.says(&runtime.says, "subprocess refused")?;
        }
    }
    let (name, all) = (&runtime.name, started.elapsed());
    say(&format!(
        "{name}: compiled in {compiled:.1?}, all in {all:.1?}, {reports} calls reported under judge"
    ));
    Ok(())
}

/// Puts what is to run into a directory: compiled now, or what was kept of an earlier run.
fn artefacts_of(runtime: &Runtime, directory: &Path) -> Result<(), Failed> {
    let kept = |variable| env::var_os(variable).map(|root| PathBuf::from(root).join(&runtime.name));
    if let Some(kept) = kept("SANDBOX_RUNTIMES_USE") {
        table::copy_artefacts(&kept, directory);
        return Ok(());
    }
    if !runtime.compile.is_empty() {
        let boxed = Boxed {
            runtime,
            artefacts: directory,
        };
        let compiled = boxed.compile();
        compiled.is_ok()?;
        if fs::read_dir(directory)?.next().is_none() {
            return Err("the compiler left nothing".into());
        }
    }
    if let Some(kept) = kept("SANDBOX_RUNTIMES_KEEP") {
        fs::create_dir_all(&kept)?;
        table::copy_artefacts(directory, &kept);
    }
    Ok(())
}
