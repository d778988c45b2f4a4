//! What only the doctor asks the kernel.

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
#![expect(unsafe_code, reason = "system call module")]

use core::{
    ffi::{CStr, c_int, c_long, c_void},
    ptr,
};

use sandbox_core::{
    Errno,
    sys::{check, check_int, retry},
};

/// How a process ended: whether by a signal, and the status or the signal. It stays to be reaped.
pub(crate) fn wait_end(pidfd: c_int) -> Result<(bool, c_int), Errno> {
    retry(|| {
        // SAFETY: an all-zero siginfo is valid, and the call fills it.
        let mut info: libc::siginfo_t = unsafe { core::mem::zeroed() };
        let flags = libc::WEXITED | libc::WNOWAIT | libc::__WALL;
        // SAFETY: `info` is live; the other arguments are plain integers.
        check_int(unsafe {
            libc::waitid(libc::P_PIDFD, pidfd.unsigned_abs(), &raw mut info, flags)
        })?;
        // SAFETY: waitid(2) has filled the members of SIGCHLD.
        let status = unsafe { info.si_status() };
        Ok((info.si_code != libc::CLD_EXITED, status))
    })
}

/// A call with arguments that no kernel takes: descriptors of -1, nothing else. What comes back says who refused.
pub(crate) fn senseless(call: c_long) -> Result<(), Errno> {
    let nothing = ptr::null::<c_void>();
    // SAFETY: only called with calls that fail for a descriptor of -1 or a range that ends before it begins.
    check(unsafe { libc::syscall(call, -1, nothing, nothing, nothing, 0) }).map(drop)
}

/// mount(2) of `/` with its whole tree as private.
pub(crate) fn mount_private() -> Result<(), Errno> {
    let nothing = ptr::null();
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: live or null C strings; the copy has a mount namespace of its own.
    check_int(unsafe { libc::mount(nothing, c"/".as_ptr(), nothing, flags, ptr::null()) }).map(drop)
}

/// mount(2) of a new file system over `/proc`.
pub(crate) fn mount_on_proc(kind: &CStr) -> Result<(), Errno> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let (name, target) = (kind.as_ptr(), c"/proc".as_ptr());
    // SAFETY: live C strings; the copy has a mount namespace of its own, private by now.
    check_int(unsafe { libc::mount(name, target, name, flags, ptr::null()) }).map(drop)
}

/// seccomp(2) with a filter that allows everything and has a listener.
pub(crate) fn seccomp_listener() -> Result<c_int, Errno> {
    // BPF_RET | BPF_K.
    let mut program = [libc::sock_filter {
        code: 0x06,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_ALLOW,
    }];
    let filter = libc::sock_fprog {
        len: 1,
        filter: program.as_mut_ptr(),
    };
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // SAFETY: `filter` describes one live instruction.
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const filter,
        )
    })?;
    c_int::try_from(fd).map_err(|_| Errno::from_raw(libc::EBADF))
}

/// `landlock_create_ruleset(2)` for the version of the interface.
pub(crate) fn landlock_version() -> Result<c_int, Errno> {
    const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;
    let nothing = ptr::null::<c_void>();
    // SAFETY: with this flag and no attributes the call only returns a number.
    let version = check(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            nothing,
            0,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    })?;
    c_int::try_from(version).map_err(|_| Errno::from_raw(libc::EOVERFLOW))
}

/// `landlock_create_ruleset(2)` of rules about executing files, which the first version has.
pub(crate) fn landlock_ruleset() -> Result<c_int, Errno> {
    const LANDLOCK_ACCESS_FS_EXECUTE: u64 = 1;
    let handled = LANDLOCK_ACCESS_FS_EXECUTE;
    // SAFETY: the first version's attributes are one live 64-bit number.
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const handled,
            size_of_val(&handled),
            0,
        )
    })?;
    c_int::try_from(fd).map_err(|_| Errno::from_raw(libc::EBADF))
}

/// `landlock_restrict_self(2)`.
pub(crate) fn landlock_restrict(ruleset: c_int) -> Result<(), Errno> {
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) }).map(drop)
}

/// Magic number of the file system behind an open file, see statfs(2).
pub(crate) fn file_system(fd: c_int) -> Result<i64, Errno> {
    // SAFETY: an all-zero `statfs` is valid.
    let mut found: libc::statfs = unsafe { core::mem::zeroed() };
    // SAFETY: `found` is live and filled.
    check_int(unsafe { libc::fstatfs(fd, &raw mut found) })?;
    #[expect(
        clippy::useless_conversion,
        reason = "the type differs between C libraries"
    )]
    Ok(found.f_type.into())
}

/// Whether set-user-id bits count on the mount of a path.
pub(crate) fn honours_set_user_id(path: &CStr) -> Result<bool, Errno> {
    // SAFETY: an all-zero `statvfs` is valid.
    let mut found: libc::statvfs = unsafe { core::mem::zeroed() };
    // SAFETY: a live C string; `found` is live and filled.
    check_int(unsafe { libc::statvfs(path.as_ptr(), &raw mut found) })?;
    Ok(found.f_flag & libc::ST_NOSUID == 0)
}

/// Whether a program has capabilities of its own, in the place of set-user-id bits.
pub(crate) fn has_file_capabilities(path: &CStr) -> bool {
    let name = c"security.capability".as_ptr();
    // SAFETY: live C strings; a size of 0 asks for the size only.
    let size = unsafe { libc::getxattr(path.as_ptr(), name, ptr::null_mut(), 0) };
    size > 0
}

/// Which quotas the file system of a directory enforces: the flags of `Q_XGETQSTAT`.
///
/// # Errors
/// `ENOSYS`: none at all, or a kernel without `quotactl_fd(2)`, which says so to the descriptor -1 as well.
///
/// # Kernel
/// 5.14.
pub(crate) fn quota_flags(fd: c_int) -> Result<u16, Errno> {
    // `QCMD(Q_XGETQSTAT, USRQUOTA)`; the flags are of all kinds together.
    const COMMAND: c_int = (0x5805 << 8) as c_int;
    // `struct fs_quota_stat` is 80 bytes: version, padding, 16 bits of flags, and numbers that nobody needs here.
    let mut state = [0_u16; 64];
    // SAFETY: `state` is live, and longer than what the kernel writes.
    check(unsafe { libc::syscall(libc::SYS_quotactl_fd, fd, COMMAND, 0, state.as_mut_ptr()) })?;
    let [_, flags, ..] = state;
    Ok(flags)
}
