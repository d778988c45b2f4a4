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
use std::os::fd::AsRawFd as _;

use sandbox_core::{ChildStep, Fault, Stage};

use crate::{stdio::StdioPlan, sys::descriptors::dup_onto};

impl StdioPlan {
    /// The numbers of the three ends.
    pub(crate) fn raw(&self) -> [c_int; 3] {
        let [stdin, stdout, stderr] = &self.ends;
        [stdin.as_raw_fd(), stdout.as_raw_fd(), stderr.as_raw_fd()]
    }
}

// SAFETY: system calls on plain values; no allocation, lock or panic, nothing is written through `self`.
#[expect(unsafe_code, reason = "the promise of an async-signal-safe step")]
unsafe impl ChildStep for StdioPlan {
    const STAGE: Stage = Stage::Stdio;

    /// The three sources were lifted above 2, so none is overwritten before its turn.
    fn apply(&self) -> Result<(), Fault> {
        for ((index, target), fd) in (0_u16..).zip(0..).zip(self.raw()) {
            dup_onto(fd, target).map_err(Fault::at(index))?;
        }
        Ok(())
    }
}
