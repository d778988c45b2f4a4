//! The system calls of this crate. They run between `clone3(2)` and `execve(2)` as well.

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
#![expect(unsafe_code, reason = "the system call module of this crate")]

use core::ffi::{c_int, c_long, c_uint, c_ulong};

use sandbox_core::{
    Errno,
    sys::{check, check_int, retry},
};

use crate::instruction::Instruction;

/// Flags of seccomp(2): with `NEW_LISTENER` it returns a descriptor, close-on-exec.
pub(crate) const NEW_LISTENER: c_ulong = 1 << 3;

/// A call that the listener has taken waits on, whatever signal comes, but for deadly ones (Linux 5.19).
pub(crate) const WAIT_KILLABLE: c_ulong = 1 << 5;

/// Installs a filter for the calling thread and all that it starts. With [`NEW_LISTENER`] the result is a descriptor.
///
/// # Errors
/// `EACCES`: neither `no_new_privs` is set nor `CAP_SYS_ADMIN` held. `EINVAL`: the kernel has no seccomp filters, or the
/// program is empty, longer than 4096 or malformed. `ENOMEM`: the filters of this thread together pass 32 768 instructions.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/seccomp.2.html>
pub(crate) fn seccomp_set_mode_filter(
    program: &[Instruction],
    flags: c_ulong,
) -> Result<c_int, Errno> {
    let Ok(len) = u16::try_from(program.len()) else {
        return Err(Errno::from_raw(libc::EINVAL));
    };
    let filter = libc::sock_fprog {
        len,
        // The kernel copies the program in and never writes to it.
        filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut(),
    };
    // SAFETY: `filter` describes `program`, a live slice of `len` instructions of the layout of `sock_filter`.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const filter,
        )
    };
    check(ret).map(|fd| c_int::try_from(fd).unwrap_or(-1))
}

/// An operation that seccomp(2) does not have, so that without an answer it is `EINVAL` or `ENOSYS`.
pub(crate) const GREETING: c_uint = 0x5b0c_9ee7;

/// What the supervisor answers; the kernel has no such result.
pub(crate) const GREETED: c_long = 0x5b0c;

/// Calls what the filter of the own process reports to the supervisor: its answer.
pub(crate) fn greet() -> Result<c_long, Errno> {
    let nothing = core::ptr::null::<u8>();
    // SAFETY: the kernel knows no such operation, and nothing is pointed to.
    retry(|| check(unsafe { libc::syscall(libc::SYS_seccomp, GREETING, 0, nothing) }))
}

/// `SECCOMP_IOCTL_NOTIF_RECV` and `_SEND` of linux/seccomp.h: direction both, size, `'!'`, number.
pub(crate) const NOTIF_RECV: u32 = 0xc050_2100;
pub(crate) const NOTIF_SEND: u32 = 0xc018_2101;

/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`.
pub(crate) const CONTINUE: u32 = 1;

/// Takes a notification, blocking.
///
/// # Errors
/// `ENOENT`: the thread that called has ended or was interrupted. `EINTR`: a signal came.
pub(crate) fn notif_receive(listener: c_int) -> Result<libc::seccomp_notif, Errno> {
    // SAFETY: plain integers, of which 0 is a value; the kernel wants it so.
    let mut notification: libc::seccomp_notif = unsafe { core::mem::zeroed() };
    // SAFETY: the command fills one live struct of the size that is part of its number.
    check_int(unsafe { libc::ioctl(listener, NOTIF_RECV as _, &raw mut notification) })?;
    Ok(notification)
}

/// Answers a notification.
///
/// # Errors
/// `ENOENT`: as [`notif_receive`].
pub(crate) fn notif_send(
    listener: c_int,
    id: u64,
    val: i64,
    error: i32,
    flags: u32,
) -> Result<(), Errno> {
    let response = libc::seccomp_notif_resp {
        id,
        val,
        error,
        flags,
    };
    // SAFETY: the command reads one live struct of the size that is part of its number.
    retry(|| check_int(unsafe { libc::ioctl(listener, NOTIF_SEND as _, &raw const response) }))
        .map(drop)
}
