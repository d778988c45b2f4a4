//! Ids and capabilities.

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
#![expect(unsafe_code, reason = "system call module")]

use core::ffi::{c_int, c_ulong};

use sandbox_core::{Errno, sys::check};

use super::process::prctl;

/// `_LINUX_CAPABILITY_VERSION_3`: 64-bit sets in two words.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: c_int,
}

/// The three sets of a thread, as capget(2) and capset(2) lay them out.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CapabilityWord {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// No capability in any of the three sets.
pub(crate) const NO_CAPABILITIES: [CapabilityWord; 2] = [CapabilityWord {
    effective: 0,
    permitted: 0,
    inheritable: 0,
}; 2];

/// Empties the effective, permitted and inheritable sets of the calling thread.
pub(crate) fn drop_capabilities() -> Result<(), Errno> {
    let header = CapabilityHeader {
        version: CAPABILITY_VERSION,
        pid: 0,
    };
    let data = NO_CAPABILITIES.as_ptr();
    // SAFETY: version 3 reads a header and two words, both live.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data) }).map(drop)
}

/// The three sets of the calling thread.
pub(crate) fn capabilities() -> Result<[CapabilityWord; 2], Errno> {
    let mut header = CapabilityHeader {
        version: CAPABILITY_VERSION,
        pid: 0,
    };
    let mut data = [CapabilityWord::default(); 2];
    // SAFETY: version 3 fills two words, both live.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) })?;
    Ok(data)
}

/// Takes every capability out of the bounding set and reads each back. The kernel says `EINVAL` after its last one.
pub(crate) fn drop_bounding_set() -> Result<(), Errno> {
    for capability in 0..64 as c_ulong {
        match prctl(libc::PR_CAPBSET_DROP, capability, 0) {
            Ok(_) => {}
            Err(errno) if errno.raw() == libc::EINVAL => return Ok(()),
            Err(errno) => return Err(errno),
        }
        if prctl(libc::PR_CAPBSET_READ, capability, 0)? != 0 {
            return Err(Errno::from_raw(libc::ENOTRECOVERABLE));
        }
    }
    Ok(())
}

/// Empties the ambient set.
pub(crate) fn clear_ambient_set() -> Result<(), Errno> {
    prctl(
        libc::PR_CAP_AMBIENT,
        libc::PR_CAP_AMBIENT_CLEAR_ALL as c_ulong,
        0,
    )
    .map(drop)
}

/// setgroups(2) to no groups at all. Raw, like the two below: glibc's wrappers run an all-threads protocol over a thread
/// list that the clone did not reset.
pub(crate) fn drop_groups() -> Result<(), Errno> {
    let none = core::ptr::null::<libc::gid_t>();
    // SAFETY: a count of 0 reads nothing from the pointer.
    check(unsafe { libc::syscall(libc::SYS_setgroups, 0, none) }).map(drop)
}

/// Whether no supplementary group is left but perhaps the own gid, which opens nothing more.
pub(crate) fn has_no_foreign_groups() -> Result<bool, Errno> {
    let mut groups: [libc::gid_t; 2] = [0; 2];
    // SAFETY: room for two groups.
    let ret = check(unsafe { libc::syscall(libc::SYS_getgroups, 2, groups.as_mut_ptr()) });
    let count = match ret {
        // More than two.
        Err(errno) if errno.raw() == libc::EINVAL => return Ok(false),
        other => other?,
    };
    // SAFETY: no arguments, cannot fail.
    let own = unsafe { libc::getegid() };
    Ok(groups.iter().zip(0..count).all(|(group, _)| *group == own))
}

/// How many supplementary groups the caller has.
pub(crate) fn group_count() -> Result<i64, Errno> {
    let none = core::ptr::null_mut::<libc::gid_t>();
    // SAFETY: a size of 0 writes nothing and returns the count.
    check(unsafe { libc::syscall(libc::SYS_getgroups, 0, none) })
}

/// setresgid(2) with one id for all three.
pub(crate) fn set_gid(gid: u32) -> Result<(), Errno> {
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

/// setresuid(2) with one id for all three.
pub(crate) fn set_uid(uid: u32) -> Result<(), Errno> {
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// Whether real, effective and saved uid are `uid`, and the three gids `gid`.
pub(crate) fn ids_are(uid: u32, gid: u32) -> Result<bool, Errno> {
    let mut ids = [0_u32; 6];
    let [ru, eu, su, rg, eg, sg] = &mut ids;
    // SAFETY: three live places for uids.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_getresuid,
            &raw mut *ru,
            &raw mut *eu,
            &raw mut *su,
        )
    };
    check(ret)?;
    // SAFETY: three live places for gids.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_getresgid,
            &raw mut *rg,
            &raw mut *eg,
            &raw mut *sg,
        )
    };
    check(ret)?;
    Ok(ids == [uid, uid, uid, gid, gid, gid])
}

#[cfg(test)]
#[expect(clippy::disallowed_macros, reason = "tests run in no child")]
mod tests {
    use super::{CapabilityHeader, CapabilityWord};

    #[test]
    fn layouts_are_the_kernels() {
        assert_eq!(size_of::<CapabilityHeader>(), 8);
        assert_eq!(size_of::<CapabilityWord>(), 12);
        assert_eq!(core::mem::offset_of!(CapabilityWord, inheritable), 8);
    }
}
