//! From a submission's files to a program that can be run.

use std::{path::PathBuf, sync::Arc};

use sandbox_exec::{Outcome, Verdict};

use crate::{
    artefacts,
    context::{Context, compiler_box, environment},
    fatal::{Fatal, chain},
    language::{Language, Values, entry::EntryPoint, toolchain::Bind},
    precompiled::Compiled,
    runner::{BoxSpec, Input, Ran, RunError},
    settings::{COMPILER_SCRATCH, Settings},
    slot::Slot,
    stage::{self, Origin, StageError, Staged},
};

/// Longest compiler message that is reported.
const MESSAGE: usize = 4096;
/// How often a run without a verdict is repeated.
pub(crate) const ATTEMPTS: u32 = 3;

/// A program that can be run any number of times.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Host directory, shown read-only at `/box`.
    pub(crate) directory: PathBuf,
    /// What else it is shown of the host.
    pub(crate) binds: Vec<Bind>,
    /// How it is started.
    pub(crate) start: Start,
}

/// How a program is started.
#[derive(Debug, Clone)]
pub(crate) enum Start {
    /// By its language's run command.
    Language(Arc<Language>, EntryPoint),
    /// By its own `run` file. Validators only.
    Script,
}

/// What became of a build.
#[derive(Debug)]
pub(crate) enum Built {
    /// A program, and the compiler's outcome where there was a compiler.
    Program(Arc<Program>, Option<Outcome>),
    /// A compile error.
    Failed {
        /// What the compiler said.
        message: String,
        /// Its outcome, where it ran.
        outcome: Option<Outcome>,
    },
}

impl Program {
    /// The command under these limits.
    pub(crate) fn command(&self, settings: &Settings) -> Vec<String> {
        match &self.start {
            Start::Script => vec!["/box/run".to_owned()],
            Start::Language(language, entry) => {
                let values = values(language, entry, settings, &[], "/box");
                language.command(&language.run, &values)
            }
        }
    }

    /// The language, where there is one.
    pub(crate) fn language(&self) -> Option<&Language> {
        match &self.start {
            Start::Script => None,
            Start::Language(language, _) => Some(language),
        }
    }
}

fn values(
    language: &Language,
    entry: &EntryPoint,
    settings: &Settings,
    sources: &[String],
    directory: &str,
) -> Values {
    let place = |name: &String| format!("{directory}/{name}");
    Values {
        files: sources.iter().map(place).collect(),
        main: place(&entry.file),
        entry: entry.entry.clone(),
        heap_mib: language.heap_mib(settings.memory.get() >> 20),
        stack_kib: settings.stack().get() / 1024 / 8 * 7,
    }
}

/// Stages and compiles a program in a language.
pub(crate) fn build(
    context: &Context,
    slot: Slot,
    origin: &Origin<'_>,
    language: &Language,
    declared: Option<&str>,
    binds: Vec<Bind>,
) -> Result<Built, Fatal> {
    let fresh = |label| {
        let made = context.workspace.fresh(label);
        made.map_err(Fatal::io("making a working directory"))
    };
    let staged = match stage::stage(origin, Some(language), declared, fresh("src")?) {
        Ok(staged) => staged,
        Err(error @ StageError::TooLarge { .. }) => return Ok(failed(error.to_string(), None)),
        Err(error) => return Err(error.into()),
    };
    let entry = match staged.entry.clone() {
        Ok(entry) => entry,
        Err(reason) => return Ok(failed(reason, None)),
    };
    let directory = fresh("box")?;
    stage::copy_tree(&staged.directory, &directory).map_err(Fatal::io("copying sources"))?;
    let mut outcome = None;
    if let Some(template) = &language.compile {
        let values = values(language, &entry, &context.settings, &staged.sources, "/src");
        let command = language.command(template, &values);
        let store = &context.precompiled;
        let taken = store.take(origin, &command, &staged.directory, &directory)?;
        let compiled = match taken {
            Some(compiled) => compiled,
            None => {
                let mut spec = box_for(context, command.clone(), &binds);
                spec.env = environment(Some(language));
                let ran = compile(context, slot, spec, &staged)?;
                let compiled = collect(ran, command, &directory);
                store.keep(origin, &compiled, &staged.directory, &directory)?;
                compiled
            }
        };
        if let Some(message) = compiled.refused {
            return Ok(failed(message, Some(compiled.outcome)));
        }
        outcome = Some(compiled.outcome);
    }
    let program = Program {
        directory,
        binds,
        start: Start::Language(Arc::new(language.clone()), entry),
    };
    let first = program.command(&context.settings).into_iter().next();
    let own = first.as_deref().and_then(|path| path.strip_prefix("/box/"));
    if own.is_some_and(|name| !program.directory.join(name).is_file()) {
        return Ok(failed("the compiler left no program".to_owned(), outcome));
    }
    Ok(Built::Program(Arc::new(program), outcome))
}

/// Builds a program by its own `build` and `run` scripts. Validators only.
pub(crate) fn build_by_script(
    context: &Context,
    slot: Slot,
    origin: &Origin<'_>,
    binds: Vec<Bind>,
) -> Result<Built, Fatal> {
    let fresh = |label| {
        let made = context.workspace.fresh(label);
        made.map_err(Fatal::io("making a working directory"))
    };
    let staged = stage::stage(origin, None, None, fresh("src")?)?;
    let directory = fresh("box")?;
    stage::copy_tree(&staged.directory, &directory).map_err(Fatal::io("copying sources"))?;
    let mut outcome = None;
    if staged.directory.join("build").is_file() {
        // Two commands, so a shell: the script wants to be in a copy of its directory that it can write to.
        let script = "cp -R /src/. /box/ && exec ./build";
        let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        let spec = box_for(context, command.clone(), &binds);
        let compiled = collect(compile(context, slot, spec, &staged)?, command, &directory);
        if let Some(message) = compiled.refused {
            return Ok(failed(message, Some(compiled.outcome)));
        }
        outcome = Some(compiled.outcome);
    }
    if !directory.join("run").is_file() {
        return Ok(failed(
            "the build script left no file `run`".to_owned(),
            outcome,
        ));
    }
    let start = Start::Script;
    Ok(Built::Program(
        Arc::new(Program {
            directory,
            binds,
            start,
        }),
        outcome,
    ))
}

fn failed(message: String, outcome: Option<Outcome>) -> Built {
    Built::Failed { message, outcome }
}

fn compile(
    context: &Context,
    slot: Slot,
    mut spec: BoxSpec,
    staged: &Staged,
) -> Result<Ran, RunError> {
    spec.binds.push(Bind {
        source: staged.directory.clone(),
        target: PathBuf::from("/src"),
    });
    let mut ran = context.runner.run(slot, &spec, Input::Null)?;
    for _ in 1..ATTEMPTS {
        if ran.outcome.judgement.verdict != Verdict::Indeterminate {
            break;
        }
        ran = context.runner.run(slot, &spec, Input::Null)?;
    }
    Ok(ran)
}

fn box_for(context: &Context, command: Vec<String>, binds: &[Bind]) -> BoxSpec {
    compiler_box(command, binds.to_vec(), context.settings.compilation())
}

/// Takes what a compiler left to `directory`, unless it refused.
fn collect(ran: Ran, command: Vec<String>, directory: &std::path::Path) -> Compiled {
    let refused = refusal(&ran).or_else(|| take(&ran, directory).err());
    Compiled {
        command,
        outcome: ran.outcome,
        refused,
    }
}

/// Why a compiler's run is a compile error, with what it said.
fn refusal(ran: &Ran) -> Option<String> {
    let how = match ran.outcome.judgement.verdict {
        Verdict::Ok => return None,
        Verdict::RuntimeError(exit) => format!("the compiler ended with {exit}"),
        other => format!("the compiler was stopped: {other}"),
    };
    // fpc writes its messages to standard output.
    let said = [ran.stderr.as_slice(), ran.stdout.as_slice()].concat();
    Some(
        format!("{how}\n{}", text(&said, MESSAGE))
            .trim_end()
            .to_owned(),
    )
}

fn take(ran: &Ran, directory: &std::path::Path) -> Result<(), String> {
    match &ran.kept {
        Some(kept) => {
            artefacts::take(kept, directory, COMPILER_SCRATCH).map_err(|error| chain(&error))
        }
        None => Err("the box kept nothing".to_owned()),
    }
}

/// Bytes of a program as text for people: bounded, and without control characters that would reach a terminal.
pub(crate) fn text(bytes: &[u8], max: usize) -> String {
    let shown = bytes.get(..max).unwrap_or(bytes);
    let mut text: String = String::from_utf8_lossy(shown)
        .chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect();
    if shown.len() < bytes.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn what_programs_say_is_tamed() {
        assert_eq!(text(b"a\x1b[31mb\n", 100), "a\u{fffd}[31mb\n");
        assert_eq!(text(b"abcdef", 3), "abc…");
        assert_eq!(text(b"\xff", 3), "\u{fffd}");
    }
}
