//! What goes wrong.

use std::{collections::BTreeSet, io, path::PathBuf};

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What was given as a policy is none.
    #[error(
        "--policy {name}: neither `nothing` nor a preset ({presets}) nor a file that can be read"
    )]
    NoPolicy {
        /// What was given.
        name: String,
        /// The presets' names.
        presets: String,
        /// Why it cannot be read as a file.
        source: io::Error,
    },
    /// A file cannot be read or written.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was to be done with what.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The policy file is none.
    #[error("{} is no policy", path.display())]
    Policy {
        /// Its path.
        path: PathBuf,
        /// Where and why not.
        source: serde_json::Error,
    },
    /// The box does not work, or not with this program.
    #[error("the box failed")]
    Box(#[from] sandbox_exec::Error),
    /// A rule of the policy file names what no kernel has.
    #[error(transparent)]
    Rule(#[from] sandbox_exec::seccomp::Error),
    /// The supervisor was told nothing.
    #[error("the calls cannot be seen here: {0}")]
    Unseen(String),
    /// More calls than can be kept.
    #[error(
        "the program makes more than 4096 calls that differ in their arguments; start from a policy that allows more"
    )]
    TooMany,
    /// The kernel takes no filter that tells all of them apart.
    #[error("what was learned is too much for a filter; start from a policy that allows more")]
    Unfiltered(#[source] sandbox_exec::seccomp::Error),
    /// Calls without a name in this family's tables.
    #[error("the program makes calls that a policy cannot name: {0:?}")]
    Nameless(BTreeSet<String>),
    /// The program ends badly by itself.
    #[error("run {run} is no example to learn from: {how}")]
    Ended {
        /// Which input, from 1.
        run: usize,
        /// Verdict and basis.
        how: String,
    },
    /// It does something else under what it was seen to call.
    #[error(
        "run {run} is another one under all that was learned: {how}; does it print the same each time?"
    )]
    Differs {
        /// Which input, from 1.
        run: usize,
        /// Verdict and basis.
        how: String,
    },
    /// The policy cannot be said in the other form.
    #[error("the policy has no OCI form")]
    Oci(#[from] sandbox_exec::seccomp::oci::Error),
    /// It cannot be written.
    #[error("cannot write the policy")]
    Json(#[from] serde_json::Error),
}

impl Failure {
    /// Whether the program is the reason, and not the command line or the host.
    pub(crate) fn is_the_programs(&self) -> bool {
        match self {
            Self::TooMany
            | Self::Unfiltered(_)
            | Self::Nameless(_)
            | Self::Ended { .. }
            | Self::Differs { .. }
            | Self::Oci(_) => true,
            Self::NoPolicy { .. }
            | Self::File { .. }
            | Self::Policy { .. }
            | Self::Box(_)
            | Self::Rule(_)
            | Self::Unseen(_)
            | Self::Json(_) => false,
        }
    }
}
