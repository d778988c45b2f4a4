//! Calls on files and directories.

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

use sandbox_core::{
    Errno,
    sys::{check, check_int, errno, retry},
};

use super::descriptor;

/// What identifies an inode, and what kind it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// `openat2(2)`: opens `path` below `dir` under the restrictions of `resolve`. Creates nothing.
///
/// # Errors
/// `ELOOP`: a symbolic link where none is allowed. `EXDEV`: the path leaves `dir` or its mount.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/openat2.2.html>
pub(crate) fn openat2(dir: c_int, path: &CStr, flags: c_int, resolve: u64) -> Result<c_int, Errno> {
    // SAFETY: an all-zero `open_how` is valid.
    let mut how: libc::open_how = unsafe { core::mem::zeroed() };
    how.flags = u64::from((flags | libc::O_CLOEXEC).unsigned_abs());
    how.resolve = resolve;
    retry(|| {
        // SAFETY: `path` is a live C string, `how` a live `open_how` of the size given.
        descriptor(unsafe {
            libc::syscall(
                libc::SYS_openat2,
                dir,
                path.as_ptr(),
                &raw const how,
                size_of_val(&how),
            )
        })
    })
}

/// Makes a new file below `dir` and opens it for writing; an existing one is `EEXIST`.
pub(crate) fn create(dir: c_int, path: &CStr, mode: libc::mode_t) -> Result<c_int, Errno> {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: `path` is a live C string.
    check_int(unsafe { libc::openat(dir, path.as_ptr(), flags, mode) })
}

/// Makes a new file without contents below `dir`; an existing one is `EEXIST`.
pub(crate) fn create_empty(dir: c_int, path: &CStr, mode: libc::mode_t) -> Result<(), Errno> {
    // SAFETY: `path` is a live C string.
    check_int(unsafe { libc::mknodat(dir, path.as_ptr(), libc::S_IFREG | mode, 0) }).map(drop)
}

/// Sets an extended attribute to nothing.
///
/// # Errors
/// `EPERM`: one of `trusted`, without `CAP_SYS_ADMIN` over the host. `EOPNOTSUPP`: the filesystem has none.
pub(crate) fn set_attribute(fd: c_int, name: &CStr) -> Result<(), Errno> {
    // SAFETY: `name` is a live C string; a value of no bytes is not read.
    check_int(unsafe { libc::fsetxattr(fd, name.as_ptr(), core::ptr::null(), 0, 0) }).map(drop)
}

/// Removes an extended attribute.
pub(crate) fn remove_attribute(fd: c_int, name: &CStr) -> Result<(), Errno> {
    // SAFETY: `name` is a live C string.
    check_int(unsafe { libc::fremovexattr(fd, name.as_ptr()) }).map(drop)
}

/// Opens `path` as a place, following links; reads nothing and wakes no device.
pub(crate) fn open_path(path: &CStr) -> Result<c_int, Errno> {
    // SAFETY: `path` is a live C string.
    retry(|| check_int(unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) }))
}

/// Closes a descriptor. On Linux it is closed whatever the result says, so this is never repeated.
pub(crate) fn close(fd: c_int) -> Result<(), Errno> {
    // SAFETY: the callers own `fd` and do not use it afterwards.
    check_int(unsafe { libc::close(fd) }).map(drop)
}

/// Fills `buffer` with what comes next, and returns how many bytes that is; 0 at the end.
pub(crate) fn read(fd: c_int, buffer: &mut [u8]) -> Result<usize, Errno> {
    retry(|| {
        // SAFETY: the buffer is live, writable and exactly `buffer.len()` bytes long.
        let count = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
        usize::try_from(count).map_err(|_| errno())
    })
}

/// Writes all of `bytes`.
pub(crate) fn write_all(fd: c_int, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let written = retry(|| {
            // SAFETY: the buffer is live and exactly `bytes.len()` bytes long.
            let written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
            usize::try_from(written).map_err(|_| errno())
        })?;
        // A write of nothing would repeat for ever.
        bytes = match bytes.get(written..) {
            Some(rest) if written > 0 => rest,
            _ => return Err(Errno::from_raw(libc::EIO)),
        };
    }
    Ok(())
}

/// Makes a directory.
pub(crate) fn mkdirat(dir: c_int, path: &CStr, mode: libc::mode_t) -> Result<(), Errno> {
    // SAFETY: `path` is a live C string.
    check_int(unsafe { libc::mkdirat(dir, path.as_ptr(), mode) }).map(drop)
}

/// Makes a symbolic link at `path` that points to `to`.
pub(crate) fn symlinkat(to: &CStr, dir: c_int, path: &CStr) -> Result<(), Errno> {
    // SAFETY: both are live C strings.
    check_int(unsafe { libc::symlinkat(to.as_ptr(), dir, path.as_ptr()) }).map(drop)
}

/// Sets the file mode creation mask and returns the old one. Cannot fail.
pub(crate) fn umask(mask: libc::mode_t) -> libc::mode_t {
    // SAFETY: takes and returns a number.
    unsafe { libc::umask(mask) }
}

/// Makes the directory of `dir` the working directory.
pub(crate) fn fchdir(dir: c_int) -> Result<(), Errno> {
    // SAFETY: takes a number.
    check_int(unsafe { libc::fchdir(dir) }).map(drop)
}

/// Makes `/` the working directory.
pub(crate) fn chdir_root() -> Result<(), Errno> {
    // SAFETY: the path is a static C string.
    check_int(unsafe { libc::chdir(c"/".as_ptr()) }).map(drop)
}

/// What `fd` refers to, with its type and permissions.
pub(crate) fn fstat(fd: c_int) -> Result<libc::stat, Errno> {
    // SAFETY: an all-zero `stat` is valid.
    let mut found: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: `found` is a live stat that the call fills.
    check_int(unsafe { libc::fstat(fd, &raw mut found) })?;
    Ok(found)
}

/// Device and inode number of `fd`.
pub(crate) fn identity(fd: c_int) -> Result<Identity, Errno> {
    let found = fstat(fd)?;
    Ok(Identity {
        device: found.st_dev,
        inode: found.st_ino,
    })
}

/// Whether the effective ids of this process may use `fd` for `mode` (`R_OK`, `W_OK`, `X_OK`).
///
/// # Kernel
/// 5.8.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/access.2.html>
pub(crate) fn access(fd: c_int, mode: c_int) -> Result<(), Errno> {
    // SAFETY: the path is a static C string.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_faccessat2,
            fd,
            c"".as_ptr(),
            mode,
            libc::AT_EACCESS | libc::AT_EMPTY_PATH,
        )
    };
    check(ret).map(drop)
}

/// Fills `buffer` with the next entries of a directory and returns how many bytes it used; 0 at the end.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/getdents.2.html>
pub(crate) fn getdents(dir: c_int, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the buffer is live, writable and exactly `buffer.len()` bytes long.
    let ret =
        unsafe { libc::syscall(libc::SYS_getdents64, dir, buffer.as_mut_ptr(), buffer.len()) };
    usize::try_from(check(ret)?).map_err(|_| Errno::from_raw(libc::EIO))
}
