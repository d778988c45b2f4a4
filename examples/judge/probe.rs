//! Which languages are installed: their probe commands, run inside a box.

use crate::{
    context::{Context, compiler_box, environment},
    language::{
        Language, Values,
        toolchain::{self, Bind},
    },
    runner::{Input, RunError},
    slot::Slot,
};

use sandbox_exec::{Exit, Verdict};

/// What the language is shown of the host, or why it is not installed.
pub(crate) fn probe(context: &Context, language: &Language) -> Result<Installed, RunError> {
    let binds = match toolchain::binds(language) {
        Ok(binds) => binds,
        Err(reason) => return Ok(Err(reason)),
    };
    let compiler = language.compile_probe.as_ref();
    // Where nothing is compiled, the compiler may be missing.
    let compiler = compiler.filter(|_| !context.precompiled.is_taken());
    let commands = [Some(&language.probe), compiler];
    for template in commands.into_iter().flatten() {
        let command = language.command(template, &Values::default());
        let mut spec = compiler_box(command, binds.clone(), context.settings.probe());
        spec.env = environment(Some(language));
        spec.work_dir = "/tmp";
        match context.runner.run(Slot::FIRST, &spec, Input::Null) {
            Ok(ran) => match ran.outcome.judgement.verdict {
                Verdict::Ok => {}
                verdict => return Ok(Err(failed(template, verdict, &ran.stderr))),
            },
            Err(RunError::Program { program, source }) => {
                return Ok(Err(format!("{program}: {}", root_cause(&source))));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Ok(binds))
}

/// The innermost error: `ENOENT (No such file or directory)`.
fn root_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => root_cause(source),
        None => error.to_string(),
    }
}

/// The binds of an installed language, or the reason.
pub(crate) type Installed = Result<Vec<Bind>, String>;

fn failed(template: &[String], verdict: Verdict, stderr: &[u8]) -> String {
    let how = match verdict {
        Verdict::RuntimeError(exit) => exit.to_string(),
        other => other.to_string(),
    };
    let said = String::from_utf8_lossy(stderr);
    let said = said.lines().next().unwrap_or("").escape_debug().to_string();
    let hint = match verdict {
        // What execve reports by way of a dynamic loader that misses a library.
        Verdict::RuntimeError(Exit::Code(127)) => " (a library may be missing in the box)",
        _ => "",
    };
    format!("probe `{}`: {how}{hint}: {said}", template.join(" "))
}
