//! The filter's step in the child. Runs between `clone3(2)` and `execve(2)`.

#![deny(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::alloc_instead_of_core
)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![deny(
    clippy::disallowed_macros,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]

use sandbox_core::{ChildStep, Fault, Stage};

use crate::{Filter, sys};

// SAFETY: `apply` reads the compiled program and makes one raw system call; nothing is allocated, locked or written.
#[expect(unsafe_code, reason = "promises that `apply` is async-signal-safe")]
unsafe impl ChildStep for Filter {
    const STAGE: Stage = Stage::Seccomp;

    /// Installs the filter. `no_new_privs` must be set before.
    fn apply(&self) -> Result<(), Fault> {
        sys::seccomp_set_mode_filter(self.program()).map_err(Fault::at(0))
    }
}
