//! The five capability sets and the securebits, emptied for good and read back.

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

use core::ffi::c_ulong;

use sandbox_core::{ChildStep, Errno, Fault, Stage};

use crate::sys::{
    credentials::{NO_CAPABILITIES, capabilities, clear_ambient_set, drop_capabilities},
    process::prctl,
};

pub(crate) const CLEAR_AMBIENT: u16 = 0;
pub(crate) const DROP_SETS: u16 = 1;
pub(crate) const VERIFY_SETS: u16 = 2;
pub(crate) const VERIFY_SECUREBITS: u16 = 3;

/// `SECBIT_*` of capabilities(7): no privileges for uid 0, none by changing ids, none kept, none ambient; all locked.
pub(crate) const SECUREBITS: c_ulong = 0b1110_1111;

/// Drops every capability. The bounding set is dropped by the stage before, while that is still allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CapabilityDrop;

impl CapabilityDrop {
    /// Ambient, effective, permitted and inheritable set; read back.
    pub(crate) fn empty_sets() -> Result<(), Fault> {
        clear_ambient_set().map_err(Fault::at(CLEAR_AMBIENT))?;
        drop_capabilities().map_err(Fault::at(DROP_SETS))?;
        if capabilities().map_err(Fault::at(VERIFY_SETS))? == NO_CAPABILITIES {
            return Ok(());
        }
        Err(Fault {
            index: VERIFY_SETS,
            errno: Errno::from_raw(libc::EPERM),
        })
    }
}

// SAFETY: system calls on plain values; no allocation, lock or panic.
#[expect(unsafe_code, reason = "the promise of an async-signal-safe step")]
unsafe impl ChildStep for CapabilityDrop {
    const STAGE: Stage = Stage::Capabilities;

    fn apply(&self) -> Result<(), Fault> {
        Self::empty_sets()?;
        let bits = prctl(libc::PR_GET_SECUREBITS, 0, 0).map_err(Fault::at(VERIFY_SECUREBITS))?;
        if c_ulong::from(bits.unsigned_abs()) == SECUREBITS {
            return Ok(());
        }
        Err(Fault {
            index: VERIFY_SECUREBITS,
            errno: Errno::from_raw(libc::EPERM),
        })
    }
}
