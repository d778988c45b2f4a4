//! How the payload joins: the child's side.

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

use std::os::fd::AsRawFd as _;

use sandbox_core::{ChildStep, Fault, Stage};

use crate::{Entry, sys};

// SAFETY: `apply` only writes a static byte to open descriptors: no allocation, no lock, no panic, no write to `self`.
#[expect(unsafe_code, reason = "promises that apply is async-signal-safe")]
unsafe impl ChildStep for Entry {
    const STAGE: Stage = Stage::Cgroup;

    fn apply(&self) -> Result<(), Fault> {
        for (index, file) in (0_u16..).zip(&self.files) {
            sys::write_zero(file.fd.as_raw_fd()).map_err(Fault::at(index))?;
        }
        Ok(())
    }
}
