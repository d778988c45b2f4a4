//! The few calls that every step needs between `clone3(2)` and `execve(2)`. All are async-signal-safe.

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

pub mod rights;

use core::ffi::{c_int, c_long};

use crate::{Errno, Record};

/// `CLONE_INTO_CGROUP` of clone(2); libc's own constant is an `int` that overflows.
pub const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// The calling thread's `errno`.
#[must_use]
pub fn errno() -> Errno {
    // SAFETY: glibc and musl return a pointer to thread-local storage that is valid for the thread's life.
    let location = unsafe { libc::__errno_location() };
    // SAFETY: see above; the value is a plain int.
    Errno::from_raw(unsafe { *location })
}

/// Turns the return value of `libc::syscall` or of a wrapper into a result.
///
/// # Errors
/// The thread's `errno` where `ret` is negative.
pub fn check(ret: c_long) -> Result<c_long, Errno> {
    if ret < 0 { Err(errno()) } else { Ok(ret) }
}

/// [`check`] for calls that return an `int`: a descriptor, a process id or 0.
///
/// # Errors
/// The thread's `errno` where `ret` is negative.
pub fn check_int(ret: c_int) -> Result<c_int, Errno> {
    if ret < 0 { Err(errno()) } else { Ok(ret) }
}

/// Repeats `call` while a signal interrupts it.
///
/// # Errors
/// Any errno of `call` but `EINTR`.
pub fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(errno) if errno.raw() == libc::EINTR => {}
            other => return other,
        }
    }
}

/// Sends one record as one message. A closed peer is an error here, never `SIGPIPE`.
///
/// # Errors
/// `EPIPE` or `ECONNRESET`: the supervisor is gone.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/send.2.html>
pub fn send_record(socket: c_int, record: Record) -> Result<(), Errno> {
    let bytes = record.encode();
    retry(|| {
        // SAFETY: `bytes` is a live array of exactly `bytes.len()` bytes.
        let sent = unsafe {
            libc::send(
                socket,
                bytes.as_ptr().cast(),
                bytes.len(),
                libc::MSG_NOSIGNAL,
            )
        };
        if sent < 0 { Err(errno()) } else { Ok(()) }
    })
}

/// `CLOCK_MONOTONIC` in nanoseconds.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/clock_gettime.2.html>
#[must_use]
pub fn monotonic_ns() -> i64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a live timespec that the call fills; the clock exists on every kernel.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec)
}

/// Ends the process at once: no atexit handlers, no destructors, no flush of the copied buffers of the embedder.
pub fn exit_now(status: c_int) -> ! {
    // SAFETY: `_exit` takes any status and does not return.
    unsafe { libc::_exit(status) }
}
