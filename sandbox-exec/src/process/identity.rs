//! Ids of the payload and of init.

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

use sandbox_core::{ChildStep, Errno, Fault, Stage};

use crate::{
    process::capabilities::SECUREBITS,
    sys::{credentials, process::prctl},
};

pub(crate) const SET_SECUREBITS: u16 = 0;
pub(crate) const DROP_BOUNDING: u16 = 1;
pub(crate) const DROP_GROUPS: u16 = 2;
pub(crate) const SET_GID: u16 = 3;
pub(crate) const SET_UID: u16 = 4;
pub(crate) const VERIFY_IDS: u16 = 5;
pub(crate) const VERIFY_GROUPS: u16 = 6;

/// Who the payload is, in the ids of its user namespace (the embedder's, where the box has none of its own).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Identity {
    /// Real, effective and saved user id.
    pub uid: u32,
    /// Real, effective and saved group id; there are no supplementary groups.
    pub gid: u32,
}

impl Identity {
    /// The identity with these ids.
    #[must_use]
    pub const fn new(uid: u32, gid: u32) -> Self {
        Self { uid, gid }
    }
}

/// What becomes of the supplementary groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Groups {
    /// `setgroups(2)` to none, read back.
    Drop,
    /// The user namespace denies `setgroups(2)`, and the embedder has none that it could leak.
    NoneToDrop,
    /// The user namespace denies `setgroups(2)`, and the embedder asked for a box that keeps its groups.
    Keep,
}

/// The ids of one process, compiled.
#[derive(Debug, Clone, Copy)]
pub struct IdentityPlan {
    pub(crate) identity: Identity,
    pub(crate) groups: Groups,
}

impl IdentityPlan {
    /// Takes the ids and reads them back. Needs `CAP_SETGID` and `CAP_SETUID`, or ids that are the caller's already.
    pub(crate) fn take_ids(&self) -> Result<(), Fault> {
        let Identity { uid, gid } = self.identity;
        if self.groups == Groups::Drop {
            credentials::drop_groups().map_err(Fault::at(DROP_GROUPS))?;
            let left = credentials::group_count().map_err(Fault::at(VERIFY_GROUPS))?;
            if left != 0 {
                return Err(Fault {
                    index: VERIFY_GROUPS,
                    errno: Errno::from_raw(libc::EPERM),
                });
            }
        }
        let none = || credentials::has_no_foreign_groups().map_err(Fault::at(VERIFY_GROUPS));
        if self.groups == Groups::NoneToDrop && !none()? {
            // The embedder has gained groups since the box was built.
            return Err(Fault {
                index: VERIFY_GROUPS,
                errno: Errno::from_raw(libc::EPERM),
            });
        }
        credentials::set_gid(gid).map_err(Fault::at(SET_GID))?;
        credentials::set_uid(uid).map_err(Fault::at(SET_UID))?;
        if credentials::ids_are(uid, gid).map_err(Fault::at(VERIFY_IDS))? {
            return Ok(());
        }
        Err(Fault {
            index: VERIFY_IDS,
            errno: Errno::from_raw(libc::EPERM),
        })
    }
}

// SAFETY: system calls on plain values; no allocation, lock or panic, nothing is written through `self`.
#[expect(unsafe_code, reason = "the promise of an async-signal-safe step")]
unsafe impl ChildStep for IdentityPlan {
    const STAGE: Stage = Stage::Credentials;

    /// Securebits and bounding set come first: both need capabilities that end with the uid.
    fn apply(&self) -> Result<(), Fault> {
        prctl(libc::PR_SET_SECUREBITS, SECUREBITS, 0).map_err(Fault::at(SET_SECUREBITS))?;
        credentials::drop_bounding_set().map_err(Fault::at(DROP_BOUNDING))?;
        self.take_ids()
    }
}
