//! Goes through a tree that a box wrote in, by descriptor: down by name and up by `..`, and comes out where it went in or
//! not at all. A level costs 24 bytes and no descriptor, so a tree may be as deep as its filesystem lets it.

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
    source::own,
    sys::file::{self, Identity},
};

/// Small: what is left of a buffer is read again after each subdirectory.
const BUFFER_BYTES: usize = 4096;

/// Makes the error of a call on a name.
pub(crate) type Failed = fn(&CStr, &'static str, Errno) -> Error;

/// A directory above the one that is being read.
struct Level {
    identity: Identity,
    /// Where in it to go on.
    cookie: i64,
}

/// Calls `visit` with a place (`O_PATH`) for `top` and everything beneath it; it says whether the place is a directory.
pub(crate) fn tree(
    top: OwnedFd,
    budget: &mut Budget,
    failed: Failed,
    mut visit: impl FnMut(RawFd, &CStr) -> Result<bool, Error>,
) -> Result<(), Error> {
    let here = |call| move |errno| failed(c".", call, errno);
    let entries_from = |dir: &OwnedFd, cookie| {
        Entries::from(dir.as_raw_fd(), cookie, BUFFER_BYTES).map_err(here("lseek"))
    };
    visit(top.as_raw_fd(), c".")?;
    let mut above: Vec<Level> = Vec::new();
    let mut dir = top;
    let mut entries = entries_from(&dir, 0)?;
    loop {
        let Some(entry) = entries.next().map_err(here("getdents64"))? else {
            let Some(level) = above.pop() else {
                return Ok(());
            };
            dir = climb(dir.as_raw_fd(), level.identity).map_err(here("openat2 of .."))?;
            entries = entries_from(&dir, level.cookie)?;
            continue;
        };
        budget.spend(&entry.name)?;
        let fail = |errno| failed(&entry.name, "openat2", errno);
        let place = open(dir.as_raw_fd(), &entry.name, libc::O_PATH).map_err(fail)?;
        if visit(place.as_raw_fd(), &entry.name)? {
            let identity = file::identity(dir.as_raw_fd()).map_err(here("fstat"))?;
            above.push(Level {
                identity,
                cookie: entry.next,
            });
            // By its place and not by its name again: it is the directory that was looked at.
            let flags = libc::O_RDONLY | libc::O_DIRECTORY;
            dir = open(place.as_raw_fd(), c".", flags).map_err(fail)?;
            entries = entries_from(&dir, 0)?;
        }
    }
}

fn open(dir: RawFd, name: &CStr, flags: i32) -> Result<OwnedFd, Errno> {
    file::openat2(dir, name, flags | libc::O_NOFOLLOW, INSIDE).map(own)
}

/// Opens for reading what a place refers to: known to be a regular file or directory, so this waits for nothing.
pub(crate) fn reopen(place: RawFd) -> Result<OwnedFd, Errno> {
    let path = std::ffi::CString::new(format!("/proc/self/fd/{place}")).unwrap_or_default();
    let flags = libc::O_RDONLY | libc::O_NONBLOCK;
    file::openat2(libc::AT_FDCWD, &path, flags, 0).map(own)
}

/// Back to the directory above, if it is still the one that the walk came from.
fn climb(dir: RawFd, expected: Identity) -> Result<OwnedFd, Errno> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    let above = own(file::openat2(
        dir,
        c"..",
        flags,
        INSIDE & !libc::RESOLVE_BENEATH,
    )?);
    if file::identity(above.as_raw_fd())? == expected {
        Ok(above)
    } else {
        Err(Errno::from_raw(libc::ESTALE))
    }
}
