//! The calls of landlock(7).

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

use sandbox_core::{Errno, sys::check};

use super::descriptor;

/// `struct landlock_ruleset_attr` of ABI 6.
#[repr(C)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneathAttr {
    allowed_access: u64,
    parent_fd: c_int,
}

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const CREATE_RULESET_VERSION: c_int = 1;

/// `LANDLOCK_RULE_PATH_BENEATH`.
const PATH_BENEATH: c_int = 1;

/// The version that the kernel has.
///
/// # Errors
/// `ENOSYS`: none. `EOPNOTSUPP`: it is switched off.
pub(crate) fn version() -> Result<c_int, Errno> {
    let nothing: *const RulesetAttr = core::ptr::null();
    // SAFETY: with this flag nothing is read.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            nothing,
            0,
            CREATE_RULESET_VERSION,
        )
    };
    c_int::try_from(check(ret)?).map_err(|_| Errno::from_raw(libc::ERANGE))
}

/// A ruleset that forbids all these unless a rule allows them.
///
/// # Errors
/// `E2BIG`: the kernel is older than what is asked. `ENOSYS`, `EOPNOTSUPP`: it has no Landlock.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/landlock_create_ruleset.2.html>
pub(crate) fn create_ruleset(files: u64, tcp: u64, scopes: u64) -> Result<c_int, Errno> {
    let attr = RulesetAttr {
        handled_access_fs: files,
        handled_access_net: tcp,
        scoped: scopes,
    };
    // An older kernel takes a longer structure where the rest is zero.
    // SAFETY: `attr` is live and of the size given.
    descriptor(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const attr,
            size_of_val(&attr),
            0,
        )
    })
}

/// Allows accesses to what `place` refers to and all beneath it.
///
/// # Errors
/// `EINVAL`: an access that the ruleset does not handle, or one of directories for a file.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/landlock_add_rule.2.html>
pub(crate) fn allow_beneath(ruleset: c_int, place: c_int, allowed: u64) -> Result<(), Errno> {
    let attr = PathBeneathAttr {
        allowed_access: allowed,
        parent_fd: place,
    };
    // SAFETY: `attr` is live and of the layout that the kind of rule wants.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset,
            PATH_BENEATH,
            &raw const attr,
            0,
        )
    };
    check(ret).map(drop)
}

/// Puts this thread under a ruleset for good.
///
/// # Errors
/// `EPERM`: neither `no_new_privs` nor `CAP_SYS_ADMIN`. `E2BIG`: sixteen rulesets already.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/landlock_restrict_self.2.html>
pub(crate) fn restrict_self(ruleset: c_int) -> Result<(), Errno> {
    // SAFETY: takes numbers.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::{PathBeneathAttr, RulesetAttr};
    use core::mem::offset_of;

    #[test]
    #[expect(clippy::disallowed_macros, reason = "a test may panic")]
    fn structures_have_the_kernels_layout() {
        assert_eq!(size_of::<RulesetAttr>(), 24);
        assert_eq!(offset_of!(RulesetAttr, scoped), 16);
        assert_eq!(size_of::<PathBeneathAttr>(), 12);
        assert_eq!(offset_of!(PathBeneathAttr, parent_fd), 8);
    }
}
