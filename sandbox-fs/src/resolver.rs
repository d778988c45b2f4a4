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

use core::ffi::{CStr, c_int};

use sandbox_core::{Errno, sys::exit_now};

use crate::sys::{
    file::{self, Identity},
    message::{self, Message},
    process,
};

/// One source to open.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) path: &'a CStr,
    pub(crate) writable: bool,
    /// Not the path itself, but what stands here below it.
    pub(crate) beneath: Option<&'a CStr>,
}

/// The ids to open with.
#[derive(Debug)]
pub(crate) struct Ids<'a> {
    pub(crate) uid: libc::uid_t,
    pub(crate) gid: libc::gid_t,
    pub(crate) groups: &'a [libc::gid_t],
}

/// A source as it was opened; the raw descriptor is the caller's.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) fd: c_int,
    pub(crate) identity: Identity,
    pub(crate) is_dir: bool,
}

/// The calls that turn the copy into the requester, in order; a report names one by its position.
pub(crate) const IDENTITY_CALLS: [&str; 7] = [
    "close_range",
    "chdir",
    "setgroups",
    "setresgid",
    "setresuid",
    "prctl",
    "capset",
];

/// Opens one source as a place.
///
/// `O_PATH` alone needs no right to the file itself, only the way to it. The box will read the file with rights of its
/// own, so the person who names it must be able to read it too; and to write it where the box may.
pub(crate) fn open(wanted: &Wanted<'_>, check_write: bool) -> Result<Opened, Errno> {
    // A magic link leads to a place that some process holds open, past the directories above it.
    let fd = file::openat2(
        libc::AT_FDCWD,
        wanted.path,
        libc::O_PATH,
        libc::RESOLVE_NO_MAGICLINKS,
    )?;
    if let Some(beneath) = wanted.beneath {
        let seen = open_beneath(fd, beneath);
        file::close(fd)?;
        return seen;
    }
    examine(fd, check_write && wanted.writable).or_else(|errno| {
        file::close(fd)?;
        Err(errno)
    })
}

/// Opens what stands at `path` below `dir` as a place. Mounting there is init's right, so none to the file is asked.
fn open_beneath(dir: c_int, path: &CStr) -> Result<Opened, Errno> {
    let resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;
    let fd = file::openat2(dir, path, libc::O_PATH | libc::O_NOFOLLOW, resolve)?;
    let stat = file::fstat(fd);
    match stat {
        Ok(stat) if stat.st_mode & libc::S_IFMT != libc::S_IFLNK => Ok(opened(fd, &stat)),
        other => {
            file::close(fd)?;
            Err(other.err().unwrap_or(Errno::from_raw(libc::ELOOP)))
        }
    }
}

/// Whether a directory stands at `path` below `dir`.
///
/// # Errors
/// `ELOOP`: a symbolic link is there, or on the way. `ENOENT`, `ENOTDIR`.
pub(crate) fn look(dir: c_int, path: &CStr) -> Result<bool, Errno> {
    let seen = open_beneath(dir, path)?;
    file::close(seen.fd)?;
    Ok(seen.is_dir)
}

fn opened(fd: c_int, stat: &libc::stat) -> Opened {
    Opened {
        fd,
        identity: Identity {
            device: stat.st_dev,
            inode: stat.st_ino,
        },
        is_dir: stat.st_mode & libc::S_IFMT == libc::S_IFDIR,
    }
}

/// All that a filesystem is asked about a source: one that never answers must not find the embedder asking.
fn examine(fd: c_int, write: bool) -> Result<Opened, Errno> {
    let stat = file::fstat(fd)?;
    let is_dir = stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
    let mut mode = libc::R_OK;
    if is_dir {
        mode |= libc::X_OK;
    }
    if write {
        mode |= libc::W_OK;
    }
    file::access(fd, mode)?;
    Ok(opened(fd, &stat))
}

/// Becomes the requester, opens everything wanted, sends it home and ends.
///
/// First message: number 0, or `position in IDENTITY_CALLS << 16 | errno`. Then one per source: 0 and a descriptor, or
/// the errno. A failure to send ends the process; the embedder sees its end.
pub(crate) fn serve(socket: c_int, ids: &Ids<'_>, wanted: &[Wanted<'_>]) -> ! {
    let report = become_requester(socket, ids).err().unwrap_or(0);
    let mut sent = message::send(socket, number(report), None);
    if report == 0 {
        sent = sent.and_then(|()| wanted.iter().try_for_each(|one| answer(socket, one)));
    }
    exit_now(c_int::from(sent.is_err()))
}

fn number(number: u32) -> Message {
    Message {
        number,
        ..Message::default()
    }
}

fn answer(socket: c_int, wanted: &Wanted<'_>) -> Result<(), Errno> {
    match open(wanted, true) {
        Ok(opened) => {
            let found = Message {
                device: opened.identity.device,
                inode: opened.identity.inode,
                number: 0,
                is_dir: u32::from(opened.is_dir),
            };
            message::send(socket, found, Some(opened.fd))?;
            file::close(opened.fd)
        }
        Err(errno) => message::send(socket, number(errno.raw().unsigned_abs()), None),
    }
}

/// Leaves the embedder's descriptors and working directory, through which the requester would reach what lies beneath
/// directories he may not search, and takes the ids, all of them: with the fsuid alone the copy would keep
/// `CAP_SYS_PTRACE` and read of other processes in `/proc` what the requester may not.
fn become_requester(socket: c_int, ids: &Ids<'_>) -> Result<(), u32> {
    let failed = |call: u32| move |errno: Errno| call << 16 | errno.raw().unsigned_abs();
    process::close_all_but(socket).map_err(failed(0))?;
    file::chdir_root().map_err(failed(1))?;
    process::setgroups(ids.groups).map_err(failed(2))?;
    process::setresgid(ids.gid).map_err(failed(3))?;
    process::setresuid(ids.uid).map_err(failed(4))?;
    // The copy has the embedder's memory. The kernel hides it where the ids changed and fs.suid_dumpable is 0, but not
    // where an embedder of the same uid merely gives up capabilities. After setresuid, which would undo it; before
    // capset, up to which the capabilities keep a tracer away.
    process::hide().map_err(failed(5))?;
    if ids.uid != 0 {
        // The kernel has done this already, unless securebits of the embedder keep capabilities across setresuid.
        process::drop_capabilities().map_err(failed(6))?;
    }
    Ok(())
}
