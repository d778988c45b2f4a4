//! What ends the judge without a verdict.

use std::{io, path::PathBuf};

use crate::{
    language::LanguageError, package::error::PackageError, precompiled::PrecompiledError,
    runner::RunError, stage::StageError, timelimit::TimeLimitError,
};

/// The package, the host or the judge is at fault: exit status 2, or 128 plus the signal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    /// The package.
    #[error("the package is at fault")]
    Package(#[from] PackageError),
    /// The language table.
    #[error("the language table is at fault")]
    Languages(#[from] LanguageError),
    /// A program of the package cannot be copied.
    #[error("a program cannot be staged")]
    Stage(#[from] StageError),
    /// What was compiled elsewhere.
    #[error("artefacts cannot be used")]
    Precompiled(#[from] PrecompiledError),
    /// `--delegate`.
    #[error("the judge's own cgroup cannot hold boxes")]
    Delegation(#[from] sandbox_exec::cgroup::Error),
    /// The sandbox.
    #[error("no box can be run")]
    Run(#[from] RunError),
    /// The package's own validator.
    #[error("the output validator {} cannot be used: {reason}", path.display())]
    Validator {
        /// The validator.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No time limit.
    #[error("the time limit cannot be found")]
    TimeLimit(#[from] TimeLimitError),
    /// The judge's own files.
    #[error("{what} failed")]
    Io {
        /// What was done.
        what: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A signal came.
    #[error("stopped by signal {0}")]
    Signal(i32),
}

impl Fatal {
    /// A constructor for `map_err`.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// The exit status of the judge.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(2),
            _ => 2,
        }
    }
}

/// An error with all its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // `transparent` errors repeat what they wrap.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
