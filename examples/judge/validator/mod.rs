//! Is the output right? The default validator, or the package's own.

pub(crate) mod custom;
pub(crate) mod default;

/// What a validator says of one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opinion {
    /// The output is right.
    Accepted {
        /// What it tells the judges; may be empty.
        message: String,
    },
    /// The output is wrong.
    Wrong {
        /// What it tells the judges; may be empty.
        message: String,
    },
    /// The validator did not work, so there is no verdict.
    Broken {
        /// What happened.
        reason: String,
    },
}
