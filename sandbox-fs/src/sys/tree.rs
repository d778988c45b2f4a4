//! Calls that change a tree by descriptor: names, owners, permissions, inode flags.

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

use sandbox_core::{
    Errno,
    sys::{check, check_int},
};

/// Removes a name that is not a directory's.
///
/// # Errors
/// `EISDIR`: it is a directory's. `EPERM`: the file or the directory is immutable or append-only.
pub(crate) fn unlink(dir: c_int, name: &CStr) -> Result<(), Errno> {
    // SAFETY: `name` is a live C string.
    check_int(unsafe { libc::unlinkat(dir, name.as_ptr(), 0) }).map(drop)
}

/// Removes an empty directory.
///
/// # Errors
/// `ENOTEMPTY`, `ENOTDIR`; `EBUSY`: something is mounted on it.
pub(crate) fn rmdir(dir: c_int, name: &CStr) -> Result<(), Errno> {
    // SAFETY: `name` is a live C string.
    check_int(unsafe { libc::unlinkat(dir, name.as_ptr(), libc::AT_REMOVEDIR) }).map(drop)
}

/// Renames; what has the new name already is replaced only where `flags` lacks `RENAME_NOREPLACE`.
pub(crate) fn rename(from: (c_int, &CStr), to: (c_int, &CStr), flags: c_uint) -> Result<(), Errno> {
    // SAFETY: both names are live C strings.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            from.0,
            from.1.as_ptr(),
            to.0,
            to.1.as_ptr(),
            flags,
        )
    };
    check(ret).map(drop)
}

/// Gives what `fd` refers to another owner; `fd` may be a place (`O_PATH`), a symbolic link too.
pub(crate) fn chown(fd: c_int, uid: libc::uid_t, gid: libc::gid_t) -> Result<(), Errno> {
    // SAFETY: the path is a static C string.
    check_int(unsafe { libc::fchownat(fd, c"".as_ptr(), uid, gid, libc::AT_EMPTY_PATH) }).map(drop)
}

/// Sets the permissions of an open file.
pub(crate) fn fchmod(fd: c_int, mode: libc::mode_t) -> Result<(), Errno> {
    // SAFETY: takes numbers.
    check_int(unsafe { libc::fchmod(fd, mode) }).map(drop)
}

/// Sets the permissions of what `path` names; for `/proc/self/fd/N`, the way to a place that cannot be opened.
pub(crate) fn chmod(path: &CStr, mode: libc::mode_t) -> Result<(), Errno> {
    // SAFETY: `path` is a live C string.
    check_int(unsafe { libc::chmod(path.as_ptr(), mode) }).map(drop)
}

/// Makes the next read of a directory start at `cookie`: 0, or what an entry said comes after it.
pub(crate) fn seek(dir: c_int, cookie: i64) -> Result<(), Errno> {
    // SAFETY: takes numbers.
    let at = unsafe { libc::lseek64(dir, cookie, libc::SEEK_SET) };
    if at < 0 {
        return Err(sandbox_core::sys::errno());
    }
    Ok(())
}

/// `FS_IMMUTABLE_FL` and `FS_APPEND_FL` of `ioctl_iflags(2)`.
const LOCKING_FLAGS: c_int = 0x10 | 0x20;

/// Takes the flags away that keep root itself from removing or changing a file; whether there were any.
///
/// # Errors
/// `ENOTTY`, `EOPNOTSUPP`: the filesystem has no flags. `EPERM`: no `CAP_LINUX_IMMUTABLE`.
pub(crate) fn unlock(fd: c_int) -> Result<bool, Errno> {
    let mut flags: c_int = 0;
    // SAFETY: the call writes an int, whatever its number says, to a live one.
    check_int(unsafe { libc::ioctl(fd, libc::FS_IOC_GETFLAGS, &raw mut flags) })?;
    if flags & LOCKING_FLAGS == 0 {
        return Ok(false);
    }
    flags &= !LOCKING_FLAGS;
    // SAFETY: the call reads an int from a live one.
    check_int(unsafe { libc::ioctl(fd, libc::FS_IOC_SETFLAGS, &raw const flags) })?;
    Ok(true)
}

/// Creates a regular file below `dir`, a directory, by its last name; never opens what is there (`EEXIST`), not through a
/// link either. For writing.
pub(crate) fn create_new(dir: c_int, name: &CStr) -> Result<c_int, Errno> {
    super::file::create(dir, name, 0o600)
}

/// Random bytes for names that nobody has guessed.
pub(crate) fn random() -> Result<u64, Errno> {
    let mut bytes = [0_u8; 8];
    // SAFETY: the buffer is live and exactly this long.
    let ret = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if usize::try_from(ret) == Ok(bytes.len()) {
        Ok(u64::from_ne_bytes(bytes))
    } else {
        Err(sandbox_core::sys::errno())
    }
}
