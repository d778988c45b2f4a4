//! The system calls of this crate: mounts, files, and the process that resolves sources.
//!
//! All are async-signal-safe: each is one call into the kernel on memory that the caller lends.

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
#![expect(unsafe_code, reason = "the system call module of this crate")]

use core::ffi::{c_int, c_long};

use sandbox_core::{Errno, sys::check};

pub(crate) mod file;
pub(crate) mod landlock;
pub(crate) mod message;
pub(crate) mod mount;
pub(crate) mod process;
pub(crate) mod quota;
pub(crate) mod quota_news;
pub(crate) mod tree;

/// The result of a call that returns a descriptor.
fn descriptor(ret: c_long) -> Result<c_int, Errno> {
    let number = check(ret)?;
    c_int::try_from(number).map_err(|_| Errno::from_raw(libc::EBADF))
}
