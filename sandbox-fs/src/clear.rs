//! Removes what a box left behind, however deep, locked or strangely named.
//!
//! Nothing is recursive and no path is built. A directory that is not empty is taken apart one level at a time: its
//! subdirectories are moved up into the top directory under new names and come to their turn there. So two descriptors and
//! two buffers are enough for any depth, and each directory is moved once at most.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
};

use sandbox_core::Errno;

use crate::{
    Error,
    bounds::Budget,
    entries::Entries,
    error::shown,
    keep::KeptKind,
    source::own,
    sys::{file, tree},
};

const BUFFER_BYTES: usize = 32 * 1024;

/// No link, no way up, no other mount.
pub(crate) const INSIDE: u64 = libc::RESOLVE_BENEATH
    | libc::RESOLVE_NO_SYMLINKS
    | libc::RESOLVE_NO_MAGICLINKS
    | libc::RESOLVE_NO_XDEV;

/// Empties the directory `top`.
pub(crate) fn contents(top: RawFd, budget: &mut Budget) -> Result<(), Error> {
    let mut lift = Lift::into(top)?;
    loop {
        let mut entries = read(top)?;
        let mut found = false;
        while let Some(entry) = entries.next().map_err(failed(c".", "getdents64"))? {
            found = true;
            budget.spend(&entry.name)?;
            lift.remove(&entry.name, entry.kind, budget)?;
        }
        // Names may be passed over while others go and come, so the end is a look that finds none.
        if !found {
            return Ok(());
        }
    }
}

/// Removes one name of the directory `dir`, with all beneath it.
pub(crate) fn one(dir: RawFd, name: &CStr, budget: &mut Budget) -> Result<(), Error> {
    let mut lift = Lift::into(dir)?;
    lift.remove(name, KeptKind::Other, budget)?;
    // What was lifted out of it lies beside it now.
    lift.sweep(budget)
}

/// The directory into which subdirectories are lifted, and their names there.
struct Lift {
    top: RawFd,
    random: u64,
    made: u64,
    swept: u64,
}

impl Lift {
    fn into(top: RawFd) -> Result<Self, Error> {
        // Random, so that a box cannot occupy the names beforehand.
        let random = tree::random().map_err(failed(c".", "getrandom"))?;
        Ok(Self {
            top,
            random,
            made: 0,
            swept: 0,
        })
    }

    fn name(&self, number: u64) -> Result<CString, Error> {
        CString::new(format!(".lifted-{:016x}-{number}", self.random))
            .map_err(|_| failed(c".", "name")(Errno::from_raw(libc::EINVAL)))
    }

    /// Removes a name of the top directory.
    fn remove(&mut self, name: &CStr, kind: KeptKind, budget: &mut Budget) -> Result<(), Error> {
        if remove_simple(self.top, name, kind)? {
            return Ok(());
        }
        let dir = open_dir(self.top, name)?;
        self.empty(dir.as_raw_fd(), budget)?;
        attempt(self.top, name, "rmdir", || tree::rmdir(self.top, name))
    }

    /// Empties a directory that lies in the top directory.
    fn empty(&mut self, dir: RawFd, budget: &mut Budget) -> Result<(), Error> {
        loop {
            let mut entries = read(dir)?;
            let mut found = false;
            while let Some(entry) = entries.next().map_err(failed(c".", "getdents64"))? {
                found = true;
                budget.spend(&entry.name)?;
                if !remove_simple(dir, &entry.name, entry.kind)? {
                    self.lift(dir, &entry.name)?;
                }
            }
            if !found {
                return Ok(());
            }
        }
    }

    fn lift(&mut self, dir: RawFd, name: &CStr) -> Result<(), Error> {
        let lifted = self.name(self.made)?;
        attempt(dir, name, "renameat2", || {
            tree::rename((dir, name), (self.top, &lifted), libc::RENAME_NOREPLACE)
        })?;
        self.made += 1;
        Ok(())
    }

    /// Removes what was lifted so far and what comes up meanwhile.
    fn sweep(&mut self, budget: &mut Budget) -> Result<(), Error> {
        while self.swept < self.made {
            let name = self.name(self.swept)?;
            self.swept += 1;
            budget.spend(&name)?;
            self.remove(&name, KeptKind::Directory, budget)?;
        }
        Ok(())
    }
}

/// Removes what needs no look inside: everything but directories that are not empty, where it says `false`.
fn remove_simple(dir: RawFd, name: &CStr, kind: KeptKind) -> Result<bool, Error> {
    if kind != KeptKind::Directory {
        match attempt_raw(dir, name, || tree::unlink(dir, name)) {
            Err(errno) if errno.raw() == libc::EISDIR => {}
            Err(errno) if errno.raw() == libc::ENOENT => return Ok(true),
            other => return other.map(|()| true).map_err(failed(name, "unlinkat")),
        }
    }
    match attempt_raw(dir, name, || tree::rmdir(dir, name)) {
        Err(errno) if matches!(errno.raw(), libc::ENOTEMPTY | libc::EEXIST) => Ok(false),
        Err(errno) if errno.raw() == libc::ENOENT => Ok(true),
        other => other.map(|()| true).map_err(failed(name, "rmdir")),
    }
}

fn attempt(
    dir: RawFd,
    name: &CStr,
    call: &'static str,
    action: impl Fn() -> Result<(), Errno>,
) -> Result<(), Error> {
    attempt_raw(dir, name, action).map_err(failed(name, call))
}

/// Once more where permissions or inode flags of the entry or of its directory were in the way.
fn attempt_raw(
    dir: RawFd,
    name: &CStr,
    action: impl Fn() -> Result<(), Errno>,
) -> Result<(), Errno> {
    match action() {
        Err(errno) if errno.raw() == libc::EPERM => {
            let unlocked = [unlock_dir(dir), unlock_entry(dir, name)];
            if unlocked.contains(&true) {
                action()
            } else {
                Err(errno)
            }
        }
        Err(errno) if errno.raw() == libc::EACCES => {
            open_up(dir, c".")?;
            // Only a directory must be writable to be moved; anything else is not asked.
            match open_up(dir, name) {
                Err(inner) if inner.raw() != libc::ENOTDIR => return Err(inner),
                _ => {}
            }
            action()
        }
        other => other,
    }
}

/// Whether there was a flag to take. What cannot be unlocked is told by the repeated call.
fn unlock_dir(dir: RawFd) -> bool {
    tree::unlock(dir).unwrap_or(false)
}

/// As [`unlock_dir`], for a regular file or directory: nothing else is opened, for a device that would be an act.
fn unlock_entry(dir: RawFd, name: &CStr) -> bool {
    let place = |flags| file::openat2(dir, name, flags | libc::O_NOFOLLOW, INSIDE).map(own);
    let Ok(seen) = place(libc::O_PATH) else {
        return false;
    };
    let lockable = |fd: &OwnedFd| {
        file::fstat(fd.as_raw_fd())
            .is_ok_and(|stat| matches!(stat.st_mode & libc::S_IFMT, libc::S_IFREG | libc::S_IFDIR))
    };
    lockable(&seen)
        && place(libc::O_RDONLY | libc::O_NONBLOCK)
            .is_ok_and(|fd| lockable(&fd) && tree::unlock(fd.as_raw_fd()).unwrap_or(false))
}

/// Gives a directory's owner, if that is us, all rights to it: what an embedder without capabilities needs.
fn open_up(dir: RawFd, name: &CStr) -> Result<(), Errno> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let place = own(file::openat2(dir, name, flags, INSIDE)?);
    // A place has no fchmod(2) before Linux 6.6; the link of proc(5) leads to the very inode that is held.
    let link = CString::new(format!("/proc/self/fd/{}", place.as_raw_fd())).unwrap_or_default();
    tree::chmod(&link, 0o700)
}

fn open_dir(dir: RawFd, name: &CStr) -> Result<OwnedFd, Error> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let open = || file::openat2(dir, name, flags, INSIDE);
    let opened = match open() {
        Err(errno) if errno.raw() == libc::EACCES => {
            open_up(dir, name).map_err(failed(name, "chmod"))?;
            open()
        }
        other => other,
    };
    opened.map(own).map_err(failed(name, "openat2"))
}

fn read(dir: RawFd) -> Result<Entries, Error> {
    Entries::from(dir, 0, BUFFER_BYTES).map_err(failed(c".", "lseek"))
}

fn failed(name: &CStr, call: &'static str) -> impl Fn(Errno) -> Error {
    let name = shown(name);
    move |source| Error::Remove {
        name: name.clone(),
        call,
        source,
    }
}
