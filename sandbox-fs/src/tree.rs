//! Detached trees of bind sources: made by the parent per spawn, or by a rootless init before the pivot.

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

use core::ffi::{CStr, c_int};
use std::os::fd::AsRawFd as _;

use sandbox_core::Errno;

use crate::{
    op::Bind,
    sys::{
        file::{self, Identity},
        mount,
    },
};

/// Which call failed, and the kernel's reason.
pub(crate) type Failure = (&'static str, Errno);

/// A detached copy of the mounts at `source`, restricted and private where the kernel can do that `at_once`.
///
/// The attributes go on every level by one call, before the tree can be seen from anywhere: a remount of the bind alone
/// would leave its submounts writable. That call sets all or nothing and is not read back: statfs(2) would ask the
/// filesystem, and a FUSE or NFS server may never answer.
pub(crate) fn make(source: c_int, bind: &Bind, at_once: bool) -> Result<c_int, Failure> {
    let flags = if bind.recursive { mount::RECURSIVE } else { 0 };
    let tree = mount::open_tree_clone(source, flags).map_err(|errno| ("open_tree", errno))?;
    if !at_once {
        // What is attached nowhere cannot be changed by mount(2).
        return Ok(tree);
    }
    let restricted = match &bind.ids {
        Some(ids) => mount::mount_restrict_mapped(tree, bind.attributes, flags, ids.as_raw_fd()),
        None => mount::mount_restrict(tree, bind.attributes, flags),
    };
    match restricted {
        Ok(()) => Ok(tree),
        Err(errno) => {
            file::close(tree).map_err(|errno| ("close", errno))?;
            Err(("mount_setattr", errno))
        }
    }
}

/// Opens a source again by its path, in the mount namespace of the caller.
///
/// # Errors
/// `ESTALE`: the path leads to another file than the one that was opened with the requester's rights.
pub(crate) fn reopen(path: &CStr, expected: Identity) -> Result<c_int, Errno> {
    let fd = file::openat2(
        libc::AT_FDCWD,
        path,
        libc::O_PATH,
        libc::RESOLVE_NO_SYMLINKS,
    )?;
    match file::identity(fd) {
        Ok(found) if found == expected => Ok(fd),
        found => {
            file::close(fd)?;
            Err(found.err().unwrap_or(Errno::from_raw(libc::ESTALE)))
        }
    }
}
