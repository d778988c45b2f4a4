//! The payload takes its descriptors 0, 1 and 2.

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

use sandbox_core::{ChildStep, Fault, Stage};

use crate::sys::descriptors::dup_onto;

/// What becomes 0, 1 and 2. All three are above 2, so none is overwritten before its turn.
#[derive(Debug)]
pub(crate) struct Streams(pub(crate) [c_int; 3]);

// SAFETY: system calls on plain values; no allocation, lock or panic, nothing is written through `self`.
#[expect(unsafe_code, reason = "the promise of an async-signal-safe step")]
unsafe impl ChildStep for Streams {
    const STAGE: Stage = Stage::Stdio;

    fn apply(&self) -> Result<(), Fault> {
        for ((index, target), fd) in (0_u16..).zip(0..).zip(self.0) {
            dup_onto(fd, target).map_err(Fault::at(index))?;
        }
        Ok(())
    }
}
