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

use core::ffi::c_int;
use std::os::fd::AsRawFd as _;

use sandbox_core::{ChildStep, Fault, Stage};

use crate::{Entry, sys};

/// The files of an [`Entry`], for a child that did not inherit them but received them.
#[derive(Debug, Clone, Copy)]
pub struct Join<'f> {
    /// Their numbers in the child, in the order of [`Entry::files`].
    pub files: &'f [c_int],
}

fn join(files: impl Iterator<Item = c_int>) -> Result<(), Fault> {
    for (index, file) in (0_u16..).zip(files) {
        sys::write_zero(file).map_err(Fault::at(index))?;
    }
    Ok(())
}

// SAFETY: `apply` only writes a static byte to open descriptors: no allocation, no lock, no panic, no write to `self`.
#[expect(unsafe_code, reason = "promises that apply is async-signal-safe")]
unsafe impl ChildStep for Join<'_> {
    const STAGE: Stage = Stage::Cgroup;

    fn apply(&self) -> Result<(), Fault> {
        join(self.files.iter().copied())
    }
}

// SAFETY: as above.
#[expect(unsafe_code, reason = "promises that apply is async-signal-safe")]
unsafe impl ChildStep for Entry {
    const STAGE: Stage = Stage::Cgroup;

    fn apply(&self) -> Result<(), Fault> {
        join(self.files.iter().map(|file| file.fd.as_raw_fd()))
    }
}
