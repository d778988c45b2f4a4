//! What can be wrong with a package, found before anything untrusted runs.

use std::{io, path::PathBuf};

use super::glob::GlobError;

/// A fault of the problem package. Each message names the file and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackageError {
    /// Something in the package cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A YAML file is broken, has an unknown key or a value of the wrong type.
    #[error("{} is not what the package format describes", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// Where in the file, and what was expected there.
        source: serde_yaml_ng::Error,
    },
    /// A value is outside of what the format allows.
    #[error("{}: {what}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// A kind of problem that this judge does not judge.
    #[error("{}: {what} is not supported by this judge", path.display())]
    Unsupported {
        /// The file that asks for it.
        path: PathBuf,
        /// Its name in the format.
        what: String,
    },
    /// A file that the format requires is missing.
    #[error("{} is missing: {why}", path.display())]
    Missing {
        /// What is missing.
        path: PathBuf,
        /// Why it is needed.
        why: &'static str,
    },
    /// A pattern of `submissions.yaml` cannot be read.
    #[error("{}", path.display())]
    Glob {
        /// The file.
        path: PathBuf,
        /// The pattern's fault.
        source: GlobError,
    },
    /// A link of the package leads out of it: following it as root would show the host's files to a submission.
    #[error("{} leads out of the package; replace the link by the file", path.display())]
    Escape {
        /// The link.
        path: PathBuf,
    },
}

impl PackageError {
    /// A constructor for `map_err`.
    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }

    /// A value error.
    pub(crate) fn value(path: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self::Value {
            path: path.into(),
            what: what.into(),
        }
    }

    /// A refusal by name.
    pub(crate) fn unsupported(path: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self::Unsupported {
            path: path.into(),
            what: what.into(),
        }
    }
}
