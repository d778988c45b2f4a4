//! Opens sources, in the embedder or in a copy of it that has become the requester.

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

use core::ffi::{CStr, c_int, c_uint};

use sandbox_core::{Errno, sys::exit_now};

use crate::sys::{file, process};

/// One source to open.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) path: &'a CStr,
    pub(crate) writable: bool,
}

/// The ids to open with.
#[derive(Debug)]
pub(crate) struct Ids<'a> {
    pub(crate) uid: libc::uid_t,
    pub(crate) gid: libc::gid_t,
    pub(crate) groups: &'a [libc::gid_t],
}

/// The calls that turn the copy into the requester, in order; a report names one by its position.
pub(crate) const IDENTITY_CALLS: [&str; 4] = ["setgroups", "setresgid", "setresuid", "capset"];

/// Opens one source as a place.
///
/// `O_PATH` alone needs no right to the file itself, only the way to it. The box will read the file with rights of its
/// own, so the person who names it must be able to read it too; and to write it where the box may.
pub(crate) fn open(wanted: &Wanted<'_>, check_write: bool) -> Result<c_int, Errno> {
    let fd = file::open_path(wanted.path)?;
    match permitted(fd, check_write && wanted.writable) {
        Ok(()) => Ok(fd),
        Err(errno) => {
            file::close(fd)?;
            Err(errno)
        }
    }
}

fn permitted(fd: c_int, write: bool) -> Result<(), Errno> {
    let mut mode = libc::R_OK;
    if file::fstat(fd)?.st_mode & libc::S_IFMT == libc::S_IFDIR {
        mode |= libc::X_OK;
    }
    if write {
        mode |= libc::W_OK;
    }
    file::access(fd, mode)
}

/// Becomes the requester, opens everything wanted, sends it home and ends.
///
/// First message: 0, or `position in IDENTITY_CALLS << 16 | errno`. Then one per source: 0 and a descriptor, or the errno.
/// A failure to send ends the process; the embedder sees the missing messages.
pub(crate) fn serve(socket: c_int, ids: &Ids<'_>, wanted: &[Wanted<'_>]) -> ! {
    let sent = match become_requester(ids) {
        Err(report) => process::send_number(socket, report, None),
        Ok(()) => process::send_number(socket, 0, None)
            .and_then(|()| wanted.iter().try_for_each(|one| answer(socket, one))),
    };
    exit_now(c_int::from(sent.is_err()))
}

fn answer(socket: c_int, wanted: &Wanted<'_>) -> Result<(), Errno> {
    match open(wanted, true) {
        Ok(fd) => {
            process::send_number(socket, 0, Some(fd))?;
            file::close(fd)
        }
        Err(errno) => process::send_number(socket, errno.raw().unsigned_abs(), None),
    }
}

/// Takes the ids, all of them: with the fsuid alone the copy would keep `CAP_SYS_PTRACE` and walk through
/// `/proc/PID/root` where the requester may not.
fn become_requester(ids: &Ids<'_>) -> Result<(), c_uint> {
    let failed = |call: c_uint| move |errno: Errno| call << 16 | errno.raw().unsigned_abs();
    process::setgroups(ids.groups).map_err(failed(0))?;
    process::setresgid(ids.gid).map_err(failed(1))?;
    process::setresuid(ids.uid).map_err(failed(2))?;
    if ids.uid != 0 {
        // The kernel has done this already, unless securebits of the embedder keep capabilities across setresuid.
        process::drop_capabilities().map_err(failed(3))?;
    }
    Ok(())
}
