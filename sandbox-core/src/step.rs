//! What every crate of the family gives to the child: a compiled step.

use crate::{Errno, Stage};

/// A part of the start, compiled in the parent and executed between `clone3(2)` and `execve(2)`.
///
/// # Safety
/// An implementation promises that `apply` is async-signal-safe: no allocation and no free, no lock, no panic, no
/// formatting and no write through `self`. The caller may be a copy of a process whose other threads held any lock at the
/// moment of the clone.
#[expect(
    unsafe_code,
    reason = "giving the promise shows in review as an `unsafe impl`"
)]
pub unsafe trait ChildStep: Send + Sync {
    /// The stage that this step is.
    const STAGE: Stage;

    /// Executes the step in the child.
    ///
    /// # Errors
    /// The first operation that failed, by its index in the plan, and the kernel's errno. [`Explain`] names it in the
    /// parent.
    fn apply(&self) -> Result<(), Fault>;
}

/// Parent-side names of a step's operations. May allocate, so it never shares a file with [`ChildStep::apply`].
pub trait Explain {
    /// What operation `index` is, with its arguments: `bind /srv/x on box (ro,nodev,nosuid)`.
    fn explain(&self, index: u16) -> String;
}

/// Which operation of a step failed, and the kernel's reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Number of the operation inside its step.
    pub index: u16,
    /// What the kernel said.
    pub errno: Errno,
}

impl Fault {
    /// A constructor for `map_err`: `call().map_err(Fault::at(3))`.
    pub fn at(index: u16) -> impl Fn(Errno) -> Self {
        move |errno| Self { index, errno }
    }
}

/// A [`Fault`] with the stage it happened in. `Copy` and without heap: it travels in one 16-byte record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepFailure {
    /// The stage that failed.
    pub stage: Stage,
    /// Its operation and errno.
    pub fault: Fault,
}
