//! The system calls of this crate. All are async-signal-safe.

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

use core::ffi::{c_char, c_int, c_short};

use sandbox_core::{
    Errno,
    sys::{check, check_int},
};

/// `IFF_UP` as the `short` of an `ifreq`; libc's own is an `int`.
const IFF_UP: c_short = 1;

/// setresgid(2), raw: glibc's wrapper would run its all-threads protocol over a thread list that the clone did not reset.
pub(crate) fn setresgid(gid: u32) -> Result<(), Errno> {
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

/// setresuid(2), raw for the same reason.
pub(crate) fn setresuid(uid: u32) -> Result<(), Errno> {
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// sethostname(2).
pub(crate) fn sethostname(name: &[u8]) -> Result<(), Errno> {
    // SAFETY: the pointer and the length are those of one live slice; no terminator is needed.
    check_int(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }).map(drop)
}

/// unshare(2).
pub(crate) fn unshare(flags: c_int) -> Result<(), Errno> {
    // SAFETY: plain flags.
    check_int(unsafe { libc::unshare(flags) }).map(drop)
}

/// A datagram socket, the handle that netdevice(7) wants.
pub(crate) fn inet_socket() -> Result<c_int, Errno> {
    // SAFETY: plain integers.
    check_int(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })
}

/// `SIOCSIFFLAGS` with `IFF_UP`, see netdevice(7).
pub(crate) fn set_interface_up(socket: c_int, name: &[u8]) -> Result<(), Errno> {
    // SAFETY: an all-zero `ifreq` is valid: an empty name and no flags.
    let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = c_char::from_ne_bytes([*from]);
    }
    request.ifr_ifru.ifru_flags = IFF_UP;
    // SAFETY: `request` is a live ifreq, which this request reads.
    check_int(unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw const request) }).map(drop)
}

/// close(2).
pub(crate) fn close(descriptor: c_int) -> Result<(), Errno> {
    // SAFETY: the caller opened the descriptor and uses it no more.
    check_int(unsafe { libc::close(descriptor) }).map(drop)
}
