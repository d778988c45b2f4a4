//! Signals: masks, dispositions, signalfd.

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

use core::ffi::{c_int, c_ulong};

use sandbox_core::{
    Errno,
    sys::{check, check_int},
};

/// Size of the kernel's own signal set in bytes; glibc's `sigset_t` is larger.
const KERNEL_SET: usize = size_of::<u64>();

/// `struct sigaction` as the kernel has it. Zeroed, it is the default disposition.
#[repr(C)]
struct KernelAction {
    handler: usize,
    flags: c_ulong,
    restorer: usize,
    mask: u64,
}

/// Replaces the calling thread's mask by `mask` and returns the old one; bit `n - 1` blocks signal `n`.
pub(crate) fn set_mask(mask: u64) -> Result<u64, Errno> {
    let mut old = 0_u64;
    let how = libc::SIG_SETMASK;
    // SAFETY: two live sets of the kernel's size. The raw call, because glibc's never blocks its own two signals.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            how,
            &raw const mask,
            &raw mut old,
            KERNEL_SET,
        )
    };
    check(ret).map(|_| old)
}

/// The default disposition for every signal. Handlers of the embedder must not run in init, and an ignored signal would
/// stay ignored in the program: execve(2) resets handlers only.
pub(crate) fn reset_dispositions() -> Result<(), Errno> {
    let default = KernelAction {
        handler: libc::SIG_DFL,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    let old = core::ptr::null_mut::<KernelAction>();
    for signal in 1..=64 {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        // SAFETY: a live action, no old one asked for. glibc's wrapper refuses signals 32 and 33.
        let ret = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                &raw const default,
                old,
                KERNEL_SET,
            )
        };
        check(ret)?;
    }
    Ok(())
}

/// A descriptor that becomes readable at SIGCHLD, close-on-exec and non-blocking.
pub(crate) fn child_signals() -> Result<c_int, Errno> {
    // SAFETY: an all-zero set is empty.
    let mut set: libc::sigset_t = unsafe { core::mem::zeroed() };
    // SAFETY: a live set and a valid signal.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGCHLD) };
    // SAFETY: a live set; -1 asks for a new descriptor.
    check_int(unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })
}
