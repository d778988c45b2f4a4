//! Processes: clone, exec, wait, limits, scheduling.

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

use core::ffi::{CStr, c_char, c_int, c_long, c_uint, c_ulong};

use std::os::fd::OwnedFd;

use sandbox_core::{
    Errno,
    sys::{check, check_int, retry},
};

use super::descriptors::{above_stdio, own};

/// What a clone needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CloneRequest {
    /// `CLONE_*` flags, without those that the fields below imply.
    pub(crate) flags: u64,
    /// Signal to the parent at the end; 0 hides the child from the parent's `wait(2)` without `__WALL`.
    pub(crate) exit_signal: c_int,
    /// A v2 cgroup directory to start in.
    pub(crate) cgroup: Option<c_int>,
}

/// The parent's view of a clone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clone {
    /// The child's pid as the caller sees it; 0 in the child.
    pub(crate) pid: c_int,
    /// Descriptor of the child, close-on-exec; -1 in the child.
    pub(crate) pidfd: c_int,
}

/// clone3(2) without a stack of its own: the child goes on as a copy of the caller, as after fork(2).
///
/// # Safety
/// In the child only async-signal-safe code may run until `execve(2)` or `_exit(2)`: another thread of the caller may
/// have held any lock at this moment.
pub(crate) unsafe fn clone3(request: CloneRequest) -> Result<Clone, Errno> {
    let mut pidfd: c_int = -1;
    // SAFETY: an all-zero `clone_args` is valid.
    let mut args: libc::clone_args = unsafe { core::mem::zeroed() };
    args.flags = request.flags | u64::from(libc::CLONE_PIDFD.unsigned_abs());
    args.pidfd = (&raw mut pidfd).expose_provenance() as u64;
    args.exit_signal = u64::from(request.exit_signal.unsigned_abs());
    if let Some(cgroup) = request.cgroup {
        args.flags |= sandbox_core::sys::CLONE_INTO_CGROUP;
        args.cgroup = u64::from(cgroup.unsigned_abs());
    }
    // SAFETY: `args` is a live clone_args of the given size; without CLONE_VM the child has memory of its own, and the
    // caller promises to run only safe code in it.
    let ret = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of_val(&args)) };
    let pid = check(ret)?;
    // A pid fits in an int: pid_max is at most 2^22.
    let pid = c_int::try_from(pid).map_err(|_| Errno::from_raw(libc::EOVERFLOW))?;
    Ok(Clone {
        pid,
        pidfd: if pid == 0 { -1 } else { pidfd },
    })
}

/// getpid(2).
pub(crate) fn getpid() -> c_int {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::getpid() }
}

/// `pidfd_open(2)`, close-on-exec by itself.
pub(crate) fn pidfd_open(pid: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: plain integers.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = c_int::try_from(fd).map_err(|_| Errno::from_raw(libc::EBADF))?;
    above_stdio(own(fd))
}

/// `pidfd_send_signal(2)`.
pub(crate) fn pidfd_send_signal(pidfd: c_int, signal: c_int) -> Result<(), Errno> {
    let info = core::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo asks for the one of kill(2); the rest are plain integers.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, info, 0) }).map(drop)
}

/// Reaps the child behind a pidfd, blocking. `__WALL`, because it was cloned with exit signal 0.
pub(crate) fn wait_pidfd(pidfd: c_int) -> Result<(), Errno> {
    retry(|| {
        // SAFETY: an all-zero siginfo is valid, and the call fills it.
        let mut info: libc::siginfo_t = unsafe { core::mem::zeroed() };
        let flags = libc::WEXITED | libc::__WALL;
        // SAFETY: `info` is live; the other arguments are plain integers.
        check_int(unsafe {
            libc::waitid(libc::P_PIDFD, pidfd.unsigned_abs(), &raw mut info, flags)
        })
        .map(drop)
    })
}

/// Reaps any child that has ended, without blocking: its pid and raw wait status.
pub(crate) fn reap() -> Result<Option<(c_int, c_int)>, Errno> {
    let mut status = 0;
    let nothing = core::ptr::null_mut();
    // SAFETY: `status` is live, no rusage is asked for.
    let pid = check_int(unsafe {
        libc::wait4(-1, &raw mut status, libc::WNOHANG | libc::__WALL, nothing)
    })?;
    Ok((pid > 0).then_some((pid, status)))
}

/// execve(2); returns only to fail.
///
/// # Safety
/// `argv` and `envp` are NULL-terminated tables of NUL-terminated strings that live through the call.
pub(crate) unsafe fn execve(
    program: &CStr,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> Errno {
    // Not by libc, which leaves in the registers of further arguments what was there: a filter can ask about them, and
    // whether it reports this call is found out for 0.
    // SAFETY: promised by the caller; `program` is a C string.
    unsafe { libc::syscall(libc::SYS_execve, program.as_ptr(), argv, envp, 0, 0, 0) };
    sandbox_core::sys::errno()
}

/// Whether the caller may execute `program`, with its real ids.
pub(crate) fn access_execute(program: &CStr) -> Result<(), Errno> {
    // SAFETY: a live C string.
    check_int(unsafe { libc::access(program.as_ptr(), libc::X_OK) }).map(drop)
}

/// chdir(2).
pub(crate) fn chdir(path: &CStr) -> Result<(), Errno> {
    // SAFETY: a live C string.
    check_int(unsafe { libc::chdir(path.as_ptr()) }).map(drop)
}

/// setsid(2).
pub(crate) fn setsid() -> Result<(), Errno> {
    // SAFETY: no arguments.
    check_int(unsafe { libc::setsid() }).map(drop)
}

/// umask(2); cannot fail.
pub(crate) fn umask(mask: libc::mode_t) {
    // SAFETY: a plain integer.
    unsafe { libc::umask(mask) };
}

/// prctl(2) with plain integers.
pub(crate) fn prctl(option: c_int, a: c_ulong, b: c_ulong) -> Result<c_int, Errno> {
    // SAFETY: only called with options whose arguments are integers.
    check_int(unsafe { libc::prctl(option, a, b, 0 as c_ulong, 0 as c_ulong) })
}

/// Replaces the session keyring by a new, empty one. `Ok` where the kernel has no keyrings.
pub(crate) fn join_new_session_keyring() -> Result<(), Errno> {
    const KEYCTL_JOIN_SESSION_KEYRING: c_int = 1;
    let anonymous = core::ptr::null::<c_char>();
    // SAFETY: a null name asks for an anonymous keyring.
    let ret = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, anonymous) };
    match check(ret) {
        Err(errno) if errno.raw() == libc::ENOSYS => Ok(()),
        other => other.map(drop),
    }
}

/// The ordinary scheduling policy at nice 0.
pub(crate) fn reset_scheduler() -> Result<(), Errno> {
    // SAFETY: plain integer; 0 is the caller.
    let policy = check_int(unsafe { libc::sched_getscheduler(0) })?;
    if policy != libc::SCHED_OTHER {
        let parameter = libc::sched_param { sched_priority: 0 };
        // SAFETY: `parameter` is live.
        let reset = check_int(unsafe {
            libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const parameter)
        });
        match reset {
            // Without CAP_SYS_NICE an idle or batch policy cannot be left. It gives the box less, never more.
            Err(errno)
                if errno.raw() == libc::EPERM
                    && matches!(policy, libc::SCHED_IDLE | libc::SCHED_BATCH) => {}
            other => other.map(drop)?,
        }
    }
    // SAFETY: plain integers. The raw call returns 20 - nice, so that no value looks like an error.
    let nice = check(unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, 0) })?;
    if nice == 20 {
        return Ok(());
    }
    // SAFETY: plain integers.
    match check(unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, 0) }) {
        // Without CAP_SYS_NICE a positive nice value cannot be taken back. It gives the box less, never more.
        Err(errno) if errno.raw() == libc::EACCES && nice < 20 => Ok(()),
        other => other.map(drop),
    }
}

/// The default I/O priority: the class follows the scheduling policy.
pub(crate) fn reset_io_priority() -> Result<(), Errno> {
    const IOPRIO_WHO_PROCESS: c_int = 1;
    // SAFETY: plain integers; 0 is the caller, and the class "none".
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, 0) }).map(drop)
}

/// The ordinary execution domain, with address space randomisation.
pub(crate) fn reset_personality() -> Result<(), Errno> {
    // SAFETY: a plain integer.
    check_int(unsafe { libc::personality(0) }).map(drop)
}

/// One resource limit, soft and hard alike.
pub(crate) fn setrlimit(resource: c_int, value: u64) -> Result<(), Errno> {
    let new = libc::rlimit64 {
        rlim_cur: value,
        rlim_max: value,
    };
    let old = core::ptr::null_mut::<libc::rlimit64>();
    // SAFETY: `new` is live, no old value is asked for; pid 0 is the caller.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const new, old) }).map(drop)
}

/// A resource limit: soft and hard.
pub(crate) fn getrlimit(resource: c_int) -> Result<(u64, u64), Errno> {
    let mut old = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let new = core::ptr::null::<libc::rlimit64>();
    // SAFETY: `old` is live and filled, nothing is set; pid 0 is the caller.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, new, &raw mut old) })?;
    Ok((old.rlim_cur, old.rlim_max))
}

/// How many CPUs are online.
pub(crate) fn online_cpus() -> u32 {
    // SAFETY: a plain constant.
    let n: c_long = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    c_uint::try_from(n).unwrap_or(1).max(1)
}
