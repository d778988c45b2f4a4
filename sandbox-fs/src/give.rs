//! Gives a tree that a box wrote in to another owner, and nothing that only looks like a part of it.

use std::{
    ffi::CStr,
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
};

use sandbox_core::Errno;

use crate::{
    Error,
    bounds::Budget,
    error::shown,
    keep::{Owned, Owner},
    sys::{file, tree},
    walk,
};

/// Gives everything beneath `top`, and `top` itself, that belongs to the user id `from` to `to`.
pub(crate) fn tree(
    top: OwnedFd,
    from: u32,
    to: Owner,
    budget: &mut Budget,
) -> Result<Owned, Error> {
    let mut owned = Owned::default();
    walk::tree(top, budget, failed, |place, name| {
        hand_over(place, name, from, to, &mut owned)
    })?;
    Ok(owned)
}

/// One inode; whether it is a directory.
fn hand_over(
    place: RawFd,
    name: &CStr,
    from: u32,
    to: Owner,
    owned: &mut Owned,
) -> Result<bool, Error> {
    let stat = file::fstat(place).map_err(|errno| failed(name, "fstat", errno))?;
    let kind = stat.st_mode & libc::S_IFMT;
    let is_dir = kind == libc::S_IFDIR;
    if !matches!(kind, libc::S_IFDIR | libc::S_IFREG | libc::S_IFLNK) {
        owned.special += 1;
    } else if stat.st_uid != from {
        owned.foreign += 1;
    } else if !is_dir && stat.st_nlink > 1 {
        // Another name of it may lie outside, and be somebody else's file.
        owned.linked += 1;
    } else {
        let give = || tree::chown(place, to.uid, to.gid);
        let given = match give() {
            Err(errno) if errno.raw() == libc::EPERM && unlock(place, kind) => give(),
            other => other,
        };
        given.map_err(|errno| failed(name, "fchownat", errno))?;
        owned.given += 1;
    }
    Ok(is_dir)
}

/// Takes an immutable or append-only flag away, where there is one.
fn unlock(place: RawFd, kind: libc::mode_t) -> bool {
    kind != libc::S_IFLNK
        && walk::reopen(place).is_ok_and(|fd| tree::unlock(fd.as_raw_fd()).unwrap_or(false))
}

fn failed(name: &CStr, call: &'static str, source: Errno) -> Error {
    Error::Chown {
        name: shown(name),
        call,
        source,
    }
}
