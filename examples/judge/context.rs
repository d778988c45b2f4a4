//! What every part of the judge works with.

use std::collections::BTreeMap;

use sandbox_exec::Limits;

use crate::{
    language::{Language, toolchain::Bind},
    package::Package,
    precompiled::Precompiled,
    runner::{BoxSpec, Runner, Scratch},
    settings::{COMPILER_SCRATCH, Settings},
    workspace::Workspace,
};

/// One judging of one package.
#[derive(Debug)]
pub(crate) struct Context {
    /// The package.
    pub(crate) package: Package,
    /// The limits.
    pub(crate) settings: Settings,
    /// The sandbox.
    pub(crate) runner: Runner,
    /// Whether programs are compiled here.
    pub(crate) precompiled: Precompiled,
    /// The temporary directory.
    pub(crate) workspace: Workspace,
    /// Probed languages by code: what they are shown of the host, or why they are not installed.
    pub(crate) installed: BTreeMap<String, Result<Vec<Bind>, String>>,
}

impl Context {
    /// What a language is shown of the host; nothing where it was not probed.
    pub(crate) fn binds(&self, language: &Language) -> Result<Vec<Bind>, String> {
        match self.installed.get(&language.code) {
            Some(known) => known.clone(),
            None => Err(format!("{} was not probed", language.name)),
        }
    }
}

/// The judge's own small environment, with the language's over it.
pub(crate) fn environment(language: Option<&Language>) -> Vec<(String, String)> {
    let mut variables: BTreeMap<String, String> = [
        ("HOME", "/tmp"),
        ("LANG", "C.UTF-8"),
        ("PATH", "/usr/bin:/bin"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    if let Some(language) = language {
        variables.extend(language.env.clone());
    }
    variables.into_iter().collect()
}

/// A box for a compiler or a probe under `limits`: sources at `/src`, `/box` to be kept, `/tmp` to be thrown away.
pub(crate) fn compiler_box(command: Vec<String>, binds: Vec<Bind>, limits: Limits) -> BoxSpec {
    let scratch = |target, keep| Scratch {
        target,
        size: COMPILER_SCRATCH,
        keep,
    };
    BoxSpec {
        command,
        env: environment(None),
        work_dir: "/box",
        binds,
        scratch: vec![scratch("/box", true), scratch("/tmp", false)],
        limits,
        keep_stdout: sandbox_exec::Bytes::kib(64),
    }
}
