//! The system calls of this crate. [`write_zero`] runs in the child, the others in the embedder.

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

use core::ffi::{c_int, c_short};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use sandbox_core::{
    Errno,
    sys::{check, check_int, errno, retry},
};

/// Moves the calling thread into the group whose `tasks` or `cgroup.procs` is open as `fd`: 0 stands for the writer.
///
/// # References
/// <https://man7.org/linux/man-pages/man7/cgroups.7.html>
pub(crate) fn write_zero(fd: c_int) -> Result<(), Errno> {
    retry(|| {
        // SAFETY: the buffer is a static byte, and the length is its own.
        match unsafe { libc::write(fd, c"0".as_ptr().cast(), 1) } {
            1 => Ok(()),
            ret if ret < 0 => Err(errno()),
            _ => Err(Errno::from_raw(libc::EIO)),
        }
    })
}

/// flock(2) with `LOCK_EX`; waits for the lock where `wait` is set.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/flock.2.html>
pub(crate) fn flock_exclusive(fd: BorrowedFd<'_>, wait: bool) -> Result<(), Errno> {
    let operation = if wait {
        libc::LOCK_EX
    } else {
        libc::LOCK_EX | libc::LOCK_NB
    };
    retry(|| {
        // SAFETY: the borrow keeps the descriptor open; the call takes no pointer.
        check_int(unsafe { libc::flock(fd.as_raw_fd(), operation) }).map(drop)
    })
}

/// A non-blocking, close-on-exec event counter.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/eventfd.2.html>
pub(crate) fn eventfd() -> Result<OwnedFd, Errno> {
    // SAFETY: the call takes no pointer.
    let fd = check_int(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: the kernel has just made this descriptor, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor for the process that has this id now.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/pidfd_open.2.html>
pub(crate) fn pidfd_open(pid: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: the call takes no pointer.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = c_int::try_from(fd).map_err(|_| Errno::from_raw(libc::EBADF))?;
    // SAFETY: the kernel has just made this descriptor, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends `SIGKILL` to the process behind a descriptor, whoever has its id by now.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html>
pub(crate) fn pidfd_kill(pidfd: BorrowedFd<'_>) -> Result<(), Errno> {
    let info = core::ptr::null::<libc::siginfo_t>();
    // SAFETY: the borrow keeps the descriptor open; a null siginfo is allowed.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            libc::SIGKILL,
            info,
            0,
        )
    };
    check(ret).map(drop)
}

/// Waits until one of `events` comes or the time is up; a signal may end the wait early.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/poll.2.html>
pub(crate) fn wait_for(fd: BorrowedFd<'_>, events: c_short, timeout_ms: c_int) {
    let mut entry = libc::pollfd {
        fd: fd.as_raw_fd(),
        events,
        revents: 0,
    };
    // SAFETY: `entry` is one live pollfd, as the count says. The result does not matter: every caller looks again.
    unsafe { libc::poll(&raw mut entry, 1, timeout_ms) };
}

/// Random bits that no other group's name has.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/getrandom.2.html>
pub(crate) fn random() -> Result<u64, Errno> {
    let mut bytes = [0_u8; 8];
    let read = retry(|| {
        // SAFETY: `bytes` is a live array of exactly `bytes.len()` bytes.
        let ret = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        usize::try_from(ret).map_err(|_| errno())
    })?;
    if read == bytes.len() {
        Ok(u64::from_ne_bytes(bytes))
    } else {
        Err(Errno::from_raw(libc::EIO))
    }
}

/// Bytes of memory that the machine has.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/sysinfo.2.html>
pub(crate) fn total_memory() -> Result<u64, Errno> {
    // SAFETY: an all-zero `sysinfo` is valid.
    let mut info: libc::sysinfo = unsafe { core::mem::zeroed() };
    // SAFETY: `info` is a live structure that the call fills.
    check_int(unsafe { libc::sysinfo(&raw mut info) })?;
    Ok(info.totalram.saturating_mul(info.mem_unit.into()))
}

/// Bytes of a page.
pub(crate) fn page_size() -> u64 {
    // SAFETY: the call takes no pointer.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// The same descriptor under a number above the three standard ones, which the child replaces before it joins.
pub(crate) fn above_stdio(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    // SAFETY: `fd` is open; the call takes no pointer.
    let new = check_int(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: the kernel has just made this descriptor, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

/// Major and minor number of a device, as mountinfo shows them.
pub(crate) fn device(number: u64) -> (u32, u32) {
    (libc::major(number), libc::minor(number))
}
