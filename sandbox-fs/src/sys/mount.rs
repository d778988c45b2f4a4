//! The mount calls, by descriptor.

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
    ffi::{CStr, c_int, c_uint, c_ulong},
    ptr::null,
};

use sandbox_core::{
    Errno,
    sys::{check, check_int},
};

use super::descriptor;

/// `AT_RECURSIVE` of `open_tree(2)` and `mount_setattr(2)`, in the type of their flags.
pub(crate) const RECURSIVE: c_uint = libc::AT_RECURSIVE.unsigned_abs();

const EMPTY_PATH: c_uint = libc::AT_EMPTY_PATH.unsigned_abs();

/// A detached copy of the mount at `source`, with everything below it where `flags` has [`RECURSIVE`].
///
/// # Errors
/// `EPERM`: no `CAP_SYS_ADMIN`. `EINVAL`: the mount is of another mount namespace, or a copy without [`RECURSIVE`] would
/// uncover what a locked mount hides.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/open_tree.2.html>
pub(crate) fn open_tree_clone(source: c_int, flags: c_uint) -> Result<c_int, Errno> {
    let flags = flags | EMPTY_PATH | libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: the path is a static C string; the call reads nothing else.
    descriptor(unsafe { libc::syscall(libc::SYS_open_tree, source, c"".as_ptr(), flags) })
}

/// Adds attributes to the mount that `mount` refers to, and makes it private, on every level where `flags` has
/// [`RECURSIVE`]. All or nothing.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/mount_setattr.2.html>
pub(crate) fn mount_restrict(mount: c_int, attributes: u64, flags: c_uint) -> Result<(), Errno> {
    mount_setattr(mount, attributes, flags, 0)
}

/// As [`mount_restrict`], and the mount shows ids as the user namespace maps them.
///
/// # Errors
/// `EINVAL`: a filesystem in the tree does not know idmapped mounts. `EPERM`: no `CAP_SYS_ADMIN` over it.
pub(crate) fn mount_restrict_mapped(
    mount: c_int,
    attributes: u64,
    flags: c_uint,
    namespace: c_int,
) -> Result<(), Errno> {
    let namespace = u64::try_from(namespace).map_err(|_| Errno::from_raw(libc::EBADF))?;
    let attributes = attributes | libc::MOUNT_ATTR_IDMAP;
    mount_setattr(mount, attributes, flags, namespace)
}

/// Cuts the mount at `path` and every one below it off from the propagation of their peers.
///
/// # Errors
/// `EINVAL`: no mount begins at `path`.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/mount.2.html>
pub(crate) fn mount_make_private(path: &CStr) -> Result<(), Errno> {
    mount(path, libc::MS_PRIVATE | libc::MS_REC)
}

/// Gives one mount of this namespace these flags and no others; how it notes access times stays.
///
/// # Errors
/// `EINVAL`: no mount of this namespace begins at `path`. `EPERM`: a flag that the user namespace may not clear is missing.
pub(crate) fn mount_set_flags(path: &CStr, flags: c_ulong) -> Result<(), Errno> {
    mount(path, libc::MS_REMOUNT | libc::MS_BIND | flags)
}

fn mount(path: &CStr, flags: c_ulong) -> Result<(), Errno> {
    // SAFETY: `path` is a live C string; a change of an existing mount reads no other argument.
    check_int(unsafe { libc::mount(null(), path.as_ptr(), null(), flags, null()) }).map(drop)
}

/// The number that proc(5) lists the mount of `fd` under. Asks no filesystem.
///
/// # Kernel
/// 5.8.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/statx.2.html>
pub(crate) fn mount_id(fd: c_int) -> Result<u64, Errno> {
    // SAFETY: an all-zero `statx` is valid.
    let mut found: libc::statx = unsafe { core::mem::zeroed() };
    // SAFETY: the path is a static C string, `found` a live statx that the call fills.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_statx,
            fd,
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC,
            libc::STATX_MNT_ID,
            &raw mut found,
        )
    };
    check(ret)?;
    if found.stx_mask & libc::STATX_MNT_ID == 0 {
        return Err(Errno::from_raw(libc::ENOSYS));
    }
    Ok(found.stx_mnt_id)
}

fn mount_setattr(
    mount: c_int,
    attributes: u64,
    flags: c_uint,
    userns_fd: u64,
) -> Result<(), Errno> {
    let attr = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd,
    };
    // SAFETY: the path is a static C string, `attr` a live `mount_attr` of the size given.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount,
            c"".as_ptr(),
            flags | EMPTY_PATH,
            &raw const attr,
            size_of_val(&attr),
        )
    };
    check(ret).map(drop)
}

/// Attaches a detached mount where `target` points. A symbolic link at `target` is not followed.
///
/// # Errors
/// `ENOTDIR`: a directory onto a file or the reverse. `EINVAL`: the mount is of another namespace or attached already.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/move_mount.2.html>
pub(crate) fn move_mount(mount: c_int, target: c_int) -> Result<(), Errno> {
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount_to(mount, target, c"", flags)
}

/// As [`move_mount`], onto a path below `dir`. A symbolic link before the last part of the path would be followed: only for
/// paths of which nobody else has made a part.
pub(crate) fn move_mount_below(mount: c_int, dir: c_int, path: &CStr) -> Result<(), Errno> {
    move_mount_to(mount, dir, path, libc::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Attaches a detached mount on top of everything that is mounted at `/`.
pub(crate) fn move_mount_over_root(mount: c_int) -> Result<(), Errno> {
    move_mount_to(mount, libc::AT_FDCWD, c"/", libc::MOVE_MOUNT_F_EMPTY_PATH)
}

fn move_mount_to(mount: c_int, dir: c_int, path: &CStr, flags: c_uint) -> Result<(), Errno> {
    // SAFETY: both paths are live C strings; the call reads nothing else.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount,
            c"".as_ptr(),
            dir,
            path.as_ptr(),
            flags,
        )
    };
    check(ret).map(drop)
}

/// A configuration context for a new filesystem.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/fsopen.2.html>
pub(crate) fn fsopen(kind: &CStr) -> Result<c_int, Errno> {
    // SAFETY: `kind` is a live C string.
    descriptor(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), libc::FSOPEN_CLOEXEC) })
}

/// Sets one option of a context.
///
/// # Errors
/// `EINVAL`: the filesystem does not know the option or the value.
pub(crate) fn fsconfig_string(context: c_int, key: &CStr, value: &CStr) -> Result<(), Errno> {
    // SAFETY: key and value are live C strings.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context,
            libc::FSCONFIG_SET_STRING,
            key.as_ptr(),
            value.as_ptr(),
            0,
        )
    };
    check(ret).map(drop)
}

/// Sets one option of a context that has no value.
pub(crate) fn fsconfig_flag(context: c_int, key: &CStr) -> Result<(), Errno> {
    let nothing: *const libc::c_char = null();
    // SAFETY: the key is a live C string; a flag wants no value.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context,
            libc::FSCONFIG_SET_FLAG,
            key.as_ptr(),
            nothing,
            0,
        )
    };
    check(ret).map(drop)
}

/// Makes the filesystem and a detached mount of it; the context stays open.
///
/// # Errors
/// `EPERM` for proc in a user namespace: the proc that is mounted here is covered in part, as in a container, and a new
/// one would uncover it.
pub(crate) fn fsmount(context: c_int, attributes: u64) -> Result<c_int, Errno> {
    let nothing: *const libc::c_char = null();
    // SAFETY: CMD_CREATE wants null pointers and 0.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context,
            libc::FSCONFIG_CMD_CREATE,
            nothing,
            nothing,
            0,
        )
    };
    check(ret)?;
    let attributes = c_uint::try_from(attributes).map_err(|_| Errno::from_raw(libc::EINVAL))?;
    // SAFETY: the call takes numbers only.
    descriptor(unsafe {
        libc::syscall(
            libc::SYS_fsmount,
            context,
            libc::FSMOUNT_CLOEXEC,
            attributes,
        )
    })
}

/// Swaps the root of this namespace with the mount at the working directory; the old root is then on top of the new one.
///
/// # Errors
/// `EINVAL`: the root is the kernel's initial ramfs, or a mount involved is shared.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/pivot_root.2.html>
pub(crate) fn pivot_root_here() -> Result<(), Errno> {
    // SAFETY: both paths are static C strings.
    let ret = unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) };
    check(ret).map(drop)
}

/// Detaches what is mounted on top of the working directory, with everything below it.
pub(crate) fn umount_detach_here() -> Result<(), Errno> {
    // SAFETY: the path is a static C string.
    check_int(unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) }).map(drop)
}

/// The `MOUNT_ATTR_*` bits of the mount that `at` lies on, as the kernel reports them: read-only, nosuid, nodev, noexec.
///
/// # References
/// <https://man7.org/linux/man-pages/man3/fstatvfs.3.html>
pub(crate) fn mount_attributes(at: c_int) -> Result<u64, Errno> {
    // SAFETY: an all-zero `statvfs` is valid.
    let mut found: libc::statvfs = unsafe { core::mem::zeroed() };
    // fstatvfs is fstatfs(2) with the numbers moved, since the kernel reports the flags itself (2.6.36); `struct statfs`
    // of the libc crate hides them.
    // SAFETY: `found` is a live statvfs that the call fills.
    check_int(unsafe { libc::fstatvfs(at, &raw mut found) })?;
    let mut attributes = 0;
    for (flag, attribute) in [
        (libc::ST_RDONLY, libc::MOUNT_ATTR_RDONLY),
        (libc::ST_NOSUID, libc::MOUNT_ATTR_NOSUID),
        (libc::ST_NODEV, libc::MOUNT_ATTR_NODEV),
        (libc::ST_NOEXEC, libc::MOUNT_ATTR_NOEXEC),
    ] {
        if found.f_flag & flag != 0 {
            attributes |= attribute;
        }
    }
    Ok(attributes)
}
