//! One test: a fresh box for the program, and the validator's opinion of what it wrote.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use sandbox_exec::{Bytes, Outcome, Verdict};
use tempfile::TempDir;

use crate::{
    build::{ATTEMPTS, Program, text},
    context::{Context, environment},
    fatal::{Fatal, chain},
    language::toolchain::Bind,
    package::TestCase,
    runner::{BoxSpec, Input, RunError, Scratch},
    settings::RUN_SCRATCH,
    slot::Slot,
    stage,
    submission::files,
    validator::{Opinion, custom::Validators, default::Options},
    workspace::{make_parents, write_file},
};

/// Bytes of standard error that are reported.
const STDERR: usize = 2048;

/// What happened on one test.
#[derive(Debug, Clone)]
pub(crate) struct TestRun {
    /// The program's outcome; `None` where it could not be started.
    pub(crate) outcome: Option<Outcome>,
    /// Why it could not be started.
    pub(crate) not_started: Option<String>,
    /// The validator's opinion, where there was an output to have one on.
    pub(crate) opinion: Option<Opinion>,
    /// The first bytes of standard error.
    pub(crate) stderr: String,
}

/// Runs a program on a test with `time` of CPU time.
pub(crate) fn test(
    context: &Context,
    slot: Slot,
    program: &Program,
    test: &TestCase,
    validators: &Validators,
    time: Duration,
) -> Result<TestRun, Fatal> {
    let processes = program.language().map_or(64, |language| language.processes);
    let mut command = program.command(&context.settings);
    command.extend(test.args.iter().cloned());
    let with_files = match &test.files {
        Some(extra) => Some(working_directory(context, program, extra)?),
        None => None,
    };
    let directory = with_files
        .as_ref()
        .map_or(&*program.directory, TempDir::path);
    let mut binds = program.binds.clone();
    binds.push(Bind {
        source: directory.to_owned(),
        target: PathBuf::from("/box"),
    });
    let spec = BoxSpec {
        command,
        env: environment(program.language()),
        work_dir: "/box",
        binds,
        scratch: vec![Scratch {
            target: "/tmp",
            size: RUN_SCRATCH,
            keep: false,
        }],
        limits: context.settings.run(time, processes),
        keep_stdout: context.settings.output,
    };
    let mut attempt = 1;
    let ran = loop {
        match context
            .runner
            .run(slot, &spec, Input::File(test.input.clone()))
        {
            Ok(ran)
                if ran.outcome.judgement.verdict == Verdict::Indeterminate
                    && attempt < ATTEMPTS =>
            {
                attempt += 1;
            }
            Ok(ran) => break ran,
            Err(error @ RunError::Program { .. }) => {
                return Ok(TestRun {
                    outcome: None,
                    not_started: Some(chain(&error)),
                    opinion: None,
                    stderr: String::new(),
                });
            }
            Err(error) => return Err(error.into()),
        }
    };
    let opinion = match ran.outcome.judgement.verdict {
        Verdict::Ok => Some(opinion(context, slot, test, validators, &ran.stdout)?),
        _ => None,
    };
    Ok(TestRun {
        outcome: Some(ran.outcome),
        not_started: None,
        opinion,
        stderr: text(&ran.stderr, STDERR),
    })
}

fn opinion(
    context: &Context,
    slot: Slot,
    test: &TestCase,
    validators: &Validators,
    output: &[u8],
) -> Result<Opinion, Fatal> {
    if !validators.is_empty() {
        return validators.judge(context, slot, test, output);
    }
    let format = context.package.metadata.format;
    // The flags were read when the package was loaded; a file that changed since is the package's fault.
    let options =
        Options::parse(&test.validator_args, format).map_err(|error| Fatal::Validator {
            path: context.package.root.clone(),
            reason: error.to_string(),
        })?;
    let answer = fs::read(&test.answer)
        .map_err(|e| Fatal::io(format!("reading {}", test.answer.display()))(e))?;
    Ok(options.compare(output, &answer))
}

/// A copy of the program's directory with the test's `.files` over it.
fn working_directory(context: &Context, program: &Program, extra: &Path) -> Result<TempDir, Fatal> {
    let failed = || Fatal::io(format!("copying {}", extra.display()));
    let directory = context.workspace.passing("files").map_err(failed())?;
    stage::copy_tree(&program.directory, directory.path()).map_err(failed())?;
    // Listed by `files`, so that no link in it leads out of the package.
    for (name, path) in files(extra, &context.package.root)? {
        let target = directory.path().join(name);
        make_parents(directory.path(), &target).map_err(failed())?;
        let bytes = fs::read(&path).map_err(failed())?;
        write_file(&target, &bytes, false).map_err(failed())?;
    }
    Ok(directory)
}

/// Checks that boxes work here under the limits of a run, before anything untrusted runs.
pub(crate) fn preflight(context: &Context, time: Duration) -> Result<(), RunError> {
    let spec = BoxSpec {
        command: vec!["/bin/true".to_owned()],
        env: Vec::new(),
        work_dir: "/tmp",
        binds: Vec::new(),
        scratch: vec![Scratch {
            target: "/tmp",
            size: RUN_SCRATCH,
            keep: false,
        }],
        limits: context.settings.run(time, 64),
        keep_stdout: Bytes::new(1),
    };
    context
        .runner
        .run(Slot::FIRST, &spec, Input::Null)
        .map(drop)
}
