//! Gives a tree that a box wrote in to another owner, and nothing that only looks like a part of it.
//!
//! Walks by descriptor, down by name and up by `..`, and comes out where it went in or not at all. A level costs 24 bytes
//! and no descriptor, so a tree may be as deep as its filesystem lets it.

use std::{
    ffi::CStr,
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
};

use sandbox_core::Errno;

use crate::{
    Error,
    bounds::Budget,
    clear::INSIDE,
    entries::Entries,
    error::shown,
    keep::{Owned, Owner},
    source::own,
    sys::{
        file::{self, Identity},
        tree,
    },
};

/// Small: what is left of a buffer is read again after each subdirectory.
const BUFFER_BYTES: usize = 4096;

/// A directory above the one that is being read.
struct Level {
    identity: Identity,
    /// Where in it to go on.
    cookie: i64,
}

/// Gives everything beneath `top`, and `top` itself, that belongs to the user id `from` to `to`.
pub(crate) fn tree(
    top: OwnedFd,
    from: u32,
    to: Owner,
    budget: &mut Budget,
) -> Result<Owned, Error> {
    let mut owned = Owned::default();
    hand_over(top.as_raw_fd(), c".", from, to, &mut owned)?;
    let mut above: Vec<Level> = Vec::new();
    let mut dir = top;
    let mut entries = entries_from(&dir, 0)?;
    loop {
        let Some(entry) = entries.next().map_err(failed(c".", "getdents64"))? else {
            let Some(level) = above.pop() else {
                return Ok(owned);
            };
            dir = climb(dir.as_raw_fd(), level.identity)?;
            entries = entries_from(&dir, level.cookie)?;
            continue;
        };
        budget.spend(&entry.name)?;
        let place = open(dir.as_raw_fd(), &entry.name, libc::O_PATH)?;
        if hand_over(place.as_raw_fd(), &entry.name, from, to, &mut owned)? {
            let identity = file::identity(dir.as_raw_fd()).map_err(failed(c".", "fstat"))?;
            above.push(Level {
                identity,
                cookie: entry.next,
            });
            // By its place and not by its name again: it is the directory that was looked at.
            dir = open(place.as_raw_fd(), c".", libc::O_RDONLY | libc::O_DIRECTORY)?;
            entries = entries_from(&dir, 0)?;
        }
    }
}

/// One inode; whether it is a directory.
fn hand_over(
    place: RawFd,
    name: &CStr,
    from: u32,
    to: Owner,
    owned: &mut Owned,
) -> Result<bool, Error> {
    let stat = file::fstat(place).map_err(failed(name, "fstat"))?;
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
        given.map_err(failed(name, "fchownat"))?;
        owned.given += 1;
    }
    Ok(is_dir)
}

/// Takes an immutable or append-only flag away, where there is one.
fn unlock(place: RawFd, kind: libc::mode_t) -> bool {
    if kind == libc::S_IFLNK {
        return false;
    }
    // The descriptor was seen to be a regular file or directory, so opening it waits for nothing and starts nothing.
    let path = std::ffi::CString::new(format!("/proc/self/fd/{place}")).unwrap_or_default();
    let flags = libc::O_RDONLY | libc::O_NONBLOCK;
    file::openat2(libc::AT_FDCWD, &path, flags, 0)
        .map(own)
        .is_ok_and(|fd| tree::unlock(fd.as_raw_fd()).unwrap_or(false))
}

fn open(dir: RawFd, name: &CStr, flags: i32) -> Result<OwnedFd, Error> {
    file::openat2(dir, name, flags | libc::O_NOFOLLOW, INSIDE)
        .map(own)
        .map_err(failed(name, "openat2"))
}

/// Back to the directory above, if it is still the one that the walk came from.
fn climb(dir: RawFd, expected: Identity) -> Result<OwnedFd, Error> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    let above = file::openat2(dir, c"..", flags, INSIDE & !libc::RESOLVE_BENEATH)
        .map(own)
        .map_err(failed(c"..", "openat2"))?;
    let found = file::identity(above.as_raw_fd()).map_err(failed(c"..", "fstat"))?;
    if found == expected {
        Ok(above)
    } else {
        Err(failed(c"..", "openat2")(Errno::from_raw(libc::ESTALE)))
    }
}

fn entries_from(dir: &OwnedFd, cookie: i64) -> Result<Entries, Error> {
    Entries::from(dir.as_raw_fd(), cookie, BUFFER_BYTES).map_err(failed(c".", "lseek"))
}

fn failed(name: &CStr, call: &'static str) -> impl Fn(Errno) -> Error {
    let name = shown(name);
    move |source| Error::Chown {
        name: name.clone(),
        call,
        source,
    }
}
