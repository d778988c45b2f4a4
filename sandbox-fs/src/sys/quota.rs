//! The calls of quotactl(2), and the project id of files.

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
use core::{
    ffi::{CStr, c_int, c_long},
    mem::zeroed,
};

use sandbox_core::{
    Errno,
    sys::{check, check_int},
};

/// `USRQUOTA`.
pub(crate) const USER: c_int = 0;
/// `PRJQUOTA`.
pub(crate) const PROJECT: c_int = 2;

const Q_GETQUOTA: c_int = 0x80_0007;
const Q_SETQUOTA: c_int = 0x80_0008;
/// `Q_XGETQSTAT`: which kinds are counted and enforced.
const Q_XGETQSTAT: c_int = 0x5805;
/// `QIF_BLIMITS | QIF_ILIMITS`.
const LIMITS: u32 = 1 | 4;

/// How to reach the filesystem.
#[derive(Clone, Copy)]
pub(crate) enum On<'a> {
    /// By a descriptor of anything on it (Linux 5.14).
    Descriptor(c_int),
    /// By its block device.
    Device(&'a CStr),
}

/// `struct fs_quota_stat`, as far as its flags.
#[repr(C, align(8))]
struct QuotaStat {
    version: i8,
    flags: u16,
    rest: [u8; 100],
}

/// `struct fsxattr`.
#[repr(C)]
struct FileAttributes {
    xflags: u32,
    extsize: u32,
    nextents: u32,
    projid: u32,
    cowextsize: u32,
    pad: [u8; 8],
}

const GET_ATTRIBUTES: c_long = 0x801c_581f;
const SET_ATTRIBUTES: c_long = 0x401c_5820;
/// `FS_XFLAG_PROJINHERIT`: what is made in a directory gets its project.
const INHERIT: u32 = 0x200;

fn call<T>(on: On<'_>, command: c_int, kind: c_int, id: u32, data: *mut T) -> Result<(), Errno> {
    let command = command << 8 | kind;
    let ret = match on {
        On::Descriptor(fd) => {
            // SAFETY: the caller's data has the layout of the command.
            unsafe { libc::syscall(libc::SYS_quotactl_fd, fd, command, id, data) }
        }
        On::Device(path) => {
            // SAFETY: as above; the path is a live C string.
            unsafe { libc::syscall(libc::SYS_quotactl, command, path.as_ptr(), id, data) }
        }
    };
    check(ret).map(drop)
}

/// What an id uses, and its limits in KiB and inodes; 0: none.
///
/// # Errors
/// `ESRCH`: quotas of this kind are off. `ENOSYS`: this kernel has none, or no `quotactl_fd(2)`.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/quotactl.2.html>
pub(crate) fn get(on: On<'_>, kind: c_int, id: u32) -> Result<libc::dqblk, Errno> {
    // SAFETY: an all-zero `dqblk` is valid.
    let mut found: libc::dqblk = unsafe { zeroed() };
    call(on, Q_GETQUOTA, kind, id, &raw mut found)?;
    Ok(found)
}

/// Sets both hard limits of an id, in KiB and inodes; 0 takes one away.
pub(crate) fn set(on: On<'_>, kind: c_int, id: u32, kib: u64, inodes: u64) -> Result<(), Errno> {
    // SAFETY: an all-zero `dqblk` is valid.
    let mut wanted: libc::dqblk = unsafe { zeroed() };
    wanted.dqb_bhardlimit = kib;
    wanted.dqb_ihardlimit = inodes;
    wanted.dqb_valid = LIMITS;
    call(on, Q_SETQUOTA, kind, id, &raw mut wanted)
}

/// Whether limits of this kind are enforced on the filesystem, and not just counted.
pub(crate) fn is_enforced(on: On<'_>, kind: c_int) -> Result<bool, Errno> {
    // SAFETY: an all-zero `QuotaStat` is valid.
    let mut stat: QuotaStat = unsafe { zeroed() };
    call(on, Q_XGETQSTAT, kind, 0, &raw mut stat)?;
    // `FS_QUOTA_UDQ_ENFD` is bit 1, `FS_QUOTA_PDQ_ENFD` bit 5.
    let bit = if kind == PROJECT { 1 << 5 } else { 1 << 1 };
    Ok(stat.flags & bit != 0)
}

/// The project of an open file or directory.
///
/// # Errors
/// `ENOTTY`, `EOPNOTSUPP`: the filesystem has no projects.
pub(crate) fn project(fd: c_int) -> Result<u32, Errno> {
    attributes(fd).map(|attributes| attributes.projid)
}

fn attributes(fd: c_int) -> Result<FileAttributes, Errno> {
    // SAFETY: an all-zero `FileAttributes` is valid.
    let mut attributes: FileAttributes = unsafe { zeroed() };
    let request = GET_ATTRIBUTES as libc::Ioctl;
    // SAFETY: the call fills a live structure of its layout.
    check_int(unsafe { libc::ioctl(fd, request, &raw mut attributes) })?;
    Ok(attributes)
}

/// Locks an open file or directory for this opening of it.
///
/// # Errors
/// `EWOULDBLOCK`: another opening has the lock.
pub(crate) fn lock(fd: c_int) -> Result<(), Errno> {
    // SAFETY: takes numbers.
    check_int(unsafe { libc::flock(fd, libc::LOCK_EX | libc::LOCK_NB) }).map(drop)
}

/// Gives the lock back, if there is one.
pub(crate) fn unlock(fd: c_int) {
    // SAFETY: takes numbers.
    unsafe { libc::flock(fd, libc::LOCK_UN) };
}

/// Gives an open file or directory a project id, which directories pass on to what is made in them.
///
/// # Errors
/// `ENOTTY`, `EOPNOTSUPP`: the filesystem has no projects.
pub(crate) fn set_project(fd: c_int, id: u32, is_dir: bool) -> Result<(), Errno> {
    let mut attributes = attributes(fd)?;
    attributes.projid = id;
    if is_dir {
        attributes.xflags |= INHERIT;
    }
    let request = SET_ATTRIBUTES as libc::Ioctl;
    // SAFETY: the call reads a live structure of its layout.
    check_int(unsafe { libc::ioctl(fd, request, &raw const attributes) }).map(drop)
}

/// Size of the blocks in which the filesystem counts.
pub(crate) fn block_bytes(fd: c_int) -> Result<u64, Errno> {
    Ok(statfs(fd)?.f_bsize.unsigned_abs())
}

/// What the filesystem of `fd` has and has left.
pub(crate) fn statfs(fd: c_int) -> Result<libc::statfs, Errno> {
    // SAFETY: an all-zero `statfs` is valid.
    let mut found: libc::statfs = unsafe { zeroed() };
    // SAFETY: `found` is a live statfs that the call fills.
    check_int(unsafe { libc::fstatfs(fd, &raw mut found) })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{FileAttributes, QuotaStat};
    use core::mem::offset_of;

    #[test]
    #[expect(clippy::disallowed_macros, reason = "a test may panic")]
    fn structures_have_the_kernels_layout() {
        assert_eq!(size_of::<FileAttributes>(), 28);
        assert_eq!(offset_of!(FileAttributes, projid), 12);
        assert_eq!(offset_of!(QuotaStat, flags), 2);
        assert!(size_of::<QuotaStat>() >= 80);
    }
}
