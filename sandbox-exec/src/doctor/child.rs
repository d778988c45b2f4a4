//! What the throw-away copies do. Runs after `clone3(2)`, in a copy of the embedder.

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

use sandbox_cgroup::Entry;
use sandbox_core::{ChildStep as _, Errno, Fault, sys::exit_now};
use sandbox_seccomp::Filter;

use crate::sys::{
    descriptors::{read, write},
    probe,
    process::prctl,
};

/// What a copy tries.
#[derive(Debug, Clone, Copy)]
pub(super) enum Work<'a> {
    /// The calls that boxes need, with arguments that cannot succeed; its value is 1 where the dispensable one is there too.
    Calls,
    /// Mounts in the namespaces that the copy was born in, once the parent has spoken.
    Mounts,
    /// A filter of the family.
    Filter(&'a Filter),
    /// A filter that asks a supervisor.
    Listener,
    /// A Landlock domain; its value is the version of the interface.
    Landlock,
    /// Enters a cgroup.
    Join(&'a Entry),
    /// Quotas of the file system behind a descriptor; its value is the flags of `Q_XGETQSTAT`.
    Quota(c_int),
}

pub(super) const RELEASE: u16 = 0;
pub(super) const OPENAT2: u16 = 1;
pub(super) const CLOSE_RANGE: u16 = 2;
pub(super) const MOUNT_SETATTR: u16 = 3;
pub(super) const PRIVATE: u16 = 4;
pub(super) const TMPFS: u16 = 5;
pub(super) const PROC: u16 = 6;
pub(super) const NO_NEW_PRIVS: u16 = 7;
pub(super) const FILTER: u16 = 8;
pub(super) const LISTENER: u16 = 9;
pub(super) const LANDLOCK_VERSION: u16 = 10;
pub(super) const LANDLOCK_RULESET: u16 = 11;
pub(super) const LANDLOCK_RESTRICT: u16 = 12;
pub(super) const QUOTACTL_FD: u16 = 13;
pub(super) const QUOTA_STATE: u16 = 14;
pub(super) const JOIN: u16 = 15;

/// Bytes of a copy's report: operation, errno (0: done), value.
pub(super) const REPORT: usize = 12;

/// Tries, reports, ends.
pub(super) fn main(work: Work<'_>, go: c_int, report: c_int) -> ! {
    let (index, errno, value) = match attempt(work, go) {
        Ok(value) => (0, 0, value),
        Err(fault) => (fault.index, fault.errno.raw(), 0),
    };
    let [a, b] = index.to_ne_bytes();
    let [c, d, e, f] = errno.to_ne_bytes();
    let [g, h, i, j] = value.to_ne_bytes();
    // Where the pipe is gone, so is whoever would read it.
    _ = write(report, &[a, b, c, d, e, f, g, h, i, j, 0, 0]);
    exit_now(0)
}

fn attempt(work: Work<'_>, go: c_int) -> Result<c_int, Fault> {
    match work {
        Work::Calls => calls(),
        Work::Mounts => mounts(go).map(|()| 0),
        Work::Filter(filter) => {
            no_new_privs()?;
            filter.apply().map_err(|fault| Fault {
                index: FILTER,
                errno: fault.errno,
            })?;
            Ok(0)
        }
        Work::Listener => {
            no_new_privs()?;
            probe::seccomp_listener().map_err(Fault::at(LISTENER))?;
            Ok(0)
        }
        Work::Landlock => {
            let version = probe::landlock_version().map_err(Fault::at(LANDLOCK_VERSION))?;
            no_new_privs()?;
            let ruleset = probe::landlock_ruleset().map_err(Fault::at(LANDLOCK_RULESET))?;
            probe::landlock_restrict(ruleset).map_err(Fault::at(LANDLOCK_RESTRICT))?;
            Ok(version)
        }
        Work::Join(entry) => {
            entry.apply().map_err(|fault| Fault {
                index: JOIN,
                errno: fault.errno,
            })?;
            Ok(0)
        }
        Work::Quota(fd) => {
            // First with no descriptor at all: a kernel without the call says the same as a file system without quotas.
            match probe::quota_flags(-1) {
                Err(errno) if errno.raw() != libc::EBADF => {
                    return Err(Fault {
                        index: QUOTACTL_FD,
                        errno,
                    });
                }
                _ => {}
            }
            let flags = probe::quota_flags(fd).map_err(Fault::at(QUOTA_STATE))?;
            Ok(c_int::from(flags))
        }
    }
}

/// Every one must be refused for its arguments; `ENOSYS` is a kernel, and `EPERM` a filter, that does not let it through.
fn calls() -> Result<c_int, Fault> {
    for (call, index) in [
        (libc::SYS_openat2, OPENAT2),
        (libc::SYS_close_range, CLOSE_RANGE),
        (libc::SYS_mount_setattr, MOUNT_SETATTR),
    ] {
        match probe::senseless(call) {
            // The last and the only one that boxes can do without, but not where Host::probe takes it for granted.
            Err(errno) if index == MOUNT_SETATTR && errno.raw() == libc::ENOSYS => return Ok(0),
            Err(errno) if matches!(errno.raw(), libc::ENOSYS | libc::EPERM) => {
                return Err(Fault { index, errno });
            }
            _ => {}
        }
    }
    Ok(1)
}

fn mounts(go: c_int) -> Result<(), Fault> {
    let mut byte = [0];
    if read(go, &mut byte).map_err(Fault::at(RELEASE))? == 0 {
        // The parent could not write the id maps, and knows why.
        return Err(Fault {
            index: RELEASE,
            errno: Errno::from_raw(libc::ECANCELED),
        });
    }
    probe::mount_private().map_err(Fault::at(PRIVATE))?;
    probe::mount_on_proc(c"tmpfs").map_err(Fault::at(TMPFS))?;
    probe::mount_on_proc(c"proc").map_err(Fault::at(PROC))
}

fn no_new_privs() -> Result<(), Fault> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)
        .map(drop)
        .map_err(Fault::at(NO_NEW_PRIVS))
}
