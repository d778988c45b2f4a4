//! The package's own output validators: built and run in boxes of their own.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use sandbox_exec::{Bytes, Exit, Verdict};
use tempfile::TempDir;

use crate::{
    build::{self, Built, Program, text},
    context::{Context, environment},
    fatal::{Fatal, chain},
    language::{Languages, toolchain::Bind},
    package::{TestCase, error::PackageError},
    runner::{BoxSpec, Input, RunError, Scratch},
    slot::Slot,
    stage::Origin,
    submission::files,
    validator::Opinion,
};

/// Exit code of a validator that accepts.
const ACCEPTED: u8 = 42;
/// Exit code of a validator that does not.
const WRONG: u8 = 43;
/// Longest message that is reported.
const MESSAGE: usize = 4096;

/// The built validators; none means that the default validator judges.
#[derive(Debug, Default)]
pub(crate) struct Validators(Vec<Arc<Program>>);

impl Validators {
    /// Builds the validators of the package.
    pub(crate) fn build(context: &Context, languages: &Languages) -> Result<Self, Fatal> {
        let mut programs = Vec::new();
        for path in &context.package.validators {
            programs.push(build_one(context, languages, path)?);
        }
        Ok(Self(programs))
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Asks all of them; the first that does not accept decides.
    pub(crate) fn judge(
        &self,
        context: &Context,
        slot: Slot,
        test: &TestCase,
        output: &[u8],
    ) -> Result<Opinion, Fatal> {
        let mut messages = String::new();
        for program in &self.0 {
            match ask(context, slot, program, test, output.to_vec())? {
                Opinion::Accepted { message } => messages.push_str(&message),
                other => return Ok(other),
            }
        }
        Ok(Opinion::Accepted { message: messages })
    }
}

/// The languages that the package's validators are written in, to be probed with those of the submissions.
pub(crate) fn languages<'l>(
    validators: &[PathBuf],
    root: &Path,
    languages: &'l Languages,
) -> Result<Vec<&'l crate::language::Language>, PackageError> {
    let mut found = Vec::new();
    for path in validators {
        for (name, _) in files(path, root)? {
            found.extend(languages.by_file_name(&name));
        }
    }
    Ok(found)
}

fn build_one(context: &Context, languages: &Languages, path: &Path) -> Result<Arc<Program>, Fatal> {
    let wrong = |reason: String| Fatal::Validator {
        path: path.to_owned(),
        reason,
    };
    let constants = &context.package.metadata.constants;
    let origin = Origin {
        source: path,
        root: &context.package.root,
        includes: &[],
        include_root: &context.package.root,
        constants,
        code: Bytes::mib(64),
    };
    let names: Vec<String> = files(path, &context.package.root)?
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let built = if path.is_dir() && (has("build") || has("run")) {
        build::build_by_script(context, Slot::FIRST, &origin, Vec::new())?
    } else {
        let mut used: Vec<_> = names
            .iter()
            .filter_map(|name| languages.by_file_name(name))
            .collect();
        used.dedup_by(|a, b| a.code == b.code);
        let [language] = used.as_slice() else {
            return Err(wrong(
                "it is neither in one known language nor has it a file build or run".to_owned(),
            ));
        };
        let binds = context
            .binds(language)
            .map_err(|reason| wrong(format!("{} is not installed: {reason}", language.name)))?;
        let entry = has("__main__.py").then_some("__main__.py");
        build::build(context, Slot::FIRST, &origin, language, entry, binds)?
    };
    match built {
        Built::Program(program, _) => Ok(program),
        Built::Failed { message, .. } => Err(wrong(message)),
    }
}

fn ask(
    context: &Context,
    slot: Slot,
    program: &Program,
    test: &TestCase,
    output: Vec<u8>,
) -> Result<Opinion, Fatal> {
    let mut command = program.command(&context.settings);
    command.extend(["/data/input.in", "/data/answer.ans", "/feedback/"].map(str::to_owned));
    command.extend(test.validator_args.iter().cloned());
    let mut binds = program.binds.clone();
    let bind = |source: PathBuf, target: &str| Bind {
        source,
        target: PathBuf::from(target),
    };
    binds.push(bind(program.directory.clone(), "/box"));
    let input = readable(context, &test.input)?;
    let answer = readable(context, &test.answer)?;
    binds.push(bind(input.path.clone(), "/data/input.in"));
    binds.push(bind(answer.path.clone(), "/data/answer.ans"));
    let size = context.settings.validation_output;
    let scratch = |target, keep| Scratch { target, size, keep };
    let spec = BoxSpec {
        command,
        env: environment(program.language()),
        work_dir: "/box",
        binds,
        scratch: vec![scratch("/feedback", true), scratch("/tmp", false)],
        limits: context.settings.validation(),
        keep_stdout: Bytes::kib(4),
    };
    let ran = match context.runner.run(slot, &spec, Input::Bytes(output)) {
        Ok(ran) => ran,
        Err(error @ RunError::Program { .. }) => {
            return Ok(Opinion::Broken {
                reason: chain(&error),
            });
        }
        Err(error) => return Err(error.into()),
    };
    let message = ran.kept.as_ref().map_or_else(String::new, |kept| {
        // Absent where the validator wrote none; anything but a readable file counts as absent.
        let bytes = kept.read("judgemessage.txt", size).unwrap_or_default();
        text(&bytes, MESSAGE)
    });
    Ok(match ran.outcome.judgement.verdict {
        Verdict::RuntimeError(Exit::Code(ACCEPTED)) => Opinion::Accepted { message },
        Verdict::RuntimeError(Exit::Code(WRONG)) => Opinion::Wrong { message },
        other => Opinion::Broken {
            reason: format!(
                "the output validator ended with {other:?}, not with exit code 42 or 43; {}",
                text(&ran.stderr, MESSAGE).trim_end()
            ),
        },
    })
}

/// A file that every user can read, and the copy's directory where it is a copy.
struct Readable {
    path: PathBuf,
    _copy: Option<TempDir>,
}

/// The file itself, or a copy: a package that was checked out under umask 077 has data that no box could open.
fn readable(context: &Context, path: &Path) -> Result<Readable, Fatal> {
    let failed = || Fatal::io(format!("copying {}", path.display()));
    let real = fs::canonicalize(path).map_err(failed())?;
    let mode = fs::metadata(&real).map_err(failed())?.permissions().mode();
    if mode & 0o004 != 0 {
        return Ok(Readable {
            path: real,
            _copy: None,
        });
    }
    let directory = context.workspace.passing("data").map_err(failed())?;
    let copy = directory.path().join("file");
    fs::copy(&real, &copy).map_err(failed())?;
    fs::set_permissions(&copy, Permissions::from_mode(0o644)).map_err(failed())?;
    Ok(Readable {
        path: copy,
        _copy: Some(directory),
    })
}
