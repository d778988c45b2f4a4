//! The process that opens sources with the requester's rights: its birth, its ids and its end.

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
    ffi::{c_int, c_uint},
    mem::zeroed,
    ptr::{null, null_mut},
};

use sandbox_core::{
    Errno,
    sys::{check, check_int, retry},
};

/// Which side of [`fork_silent`] this is.
pub(crate) enum Forked {
    /// The copy.
    Copy,
    /// The process that made it.
    Parent { pidfd: c_int, pid: c_int },
}

/// A copy of this process with its own memory and without a signal at its end, so that no handler or `wait` of the
/// embedder sees it; in new namespaces where `CLONE_NEW*` flags are given.
///
/// # Safety
/// In the copy only async-signal-safe code may run, and it must end by `exit_now`.
pub(crate) unsafe fn fork_silent(namespaces: c_int) -> Result<Forked, Errno> {
    let mut pidfd: c_int = -1;
    // SAFETY: an all-zero `clone_args` is valid: no shared resource, no stack of its own, no exit signal.
    let mut args: libc::clone_args = unsafe { zeroed() };
    args.flags = u64::from((libc::CLONE_PIDFD | namespaces).unsigned_abs());
    args.pidfd = (&raw mut pidfd).expose_provenance() as u64;
    // SAFETY: `args` is a live `clone_args` of the size given, `pidfd` lives as long; the copy is bound by this
    // function's contract.
    let ret = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) };
    match check(ret)? {
        0 => Ok(Forked::Copy),
        pid => Ok(Forked::Parent {
            pidfd,
            pid: c_int::try_from(pid).map_err(|_| Errno::from_raw(libc::ERANGE))?,
        }),
    }
}

/// Blocks every signal for this thread and returns the old mask.
pub(crate) fn block_signals() -> Result<libc::sigset_t, Errno> {
    // SAFETY: an all-zero `sigset_t` is valid storage; the next call fills it.
    let mut all: libc::sigset_t = unsafe { zeroed() };
    // SAFETY: `all` is live.
    check_int(unsafe { libc::sigfillset(&raw mut all) })?;
    change_mask(&all)
}

/// Installs a signal mask and returns the one before.
pub(crate) fn change_mask(mask: &libc::sigset_t) -> Result<libc::sigset_t, Errno> {
    // SAFETY: an all-zero `sigset_t` is valid storage.
    let mut old: libc::sigset_t = unsafe { zeroed() };
    // SAFETY: both sets are live.
    match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, &raw mut old) } {
        0 => Ok(old),
        number => Err(Errno::from_raw(number)),
    }
}

/// Waits until one of the descriptors can be read or has ended, at most `timeout_ms`; which of them.
pub(crate) fn wait_readable<const N: usize>(
    fds: [c_int; N],
    timeout_ms: c_int,
) -> Result<[bool; N], Errno> {
    let mut polled = fds.map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    });
    let count = libc::nfds_t::try_from(N).map_err(|_| Errno::from_raw(libc::EINVAL))?;
    // SAFETY: `polled` is live and has `count` entries.
    check_int(unsafe { libc::poll(polled.as_mut_ptr(), count, timeout_ms) })?;
    Ok(polled.map(|one| one.revents != 0))
}

/// Ends a process; one that has ended already is not an error.
pub(crate) fn kill(pidfd: c_int) -> Result<(), Errno> {
    let none: *const libc::siginfo_t = null();
    // SAFETY: a null siginfo is allowed.
    let ret = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, libc::SIGKILL, none, 0) };
    match check(ret) {
        Err(errno) if errno.raw() != libc::ESRCH => Err(errno),
        _ => Ok(()),
    }
}

/// Waits for the end of a child that [`fork_silent`] made.
pub(crate) fn reap(pidfd: c_int) -> Result<(), Errno> {
    // __WALL: a child without an exit signal is invisible to a plain wait.
    let options = libc::WEXITED | libc::__WALL;
    retry(|| {
        let none: *mut libc::siginfo_t = null_mut();
        let usage: *mut libc::rusage = null_mut();
        // SAFETY: null pointers are allowed for both results.
        check(unsafe {
            libc::syscall(libc::SYS_waitid, libc::P_PIDFD, pidfd, none, options, usage)
        })
    })
    .map(drop)
}

/// Closes every descriptor but `kept`.
///
/// # Kernel
/// 5.9.
pub(crate) fn close_all_but(kept: c_int) -> Result<(), Errno> {
    let kept = c_uint::try_from(kept).map_err(|_| Errno::from_raw(libc::EBADF))?;
    let close = |first: c_uint, last: c_uint| {
        // SAFETY: takes numbers; the caller has no other descriptor in use.
        check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
    };
    if let Some(below) = kept.checked_sub(1) {
        close(0, below)?;
    }
    close(kept.saturating_add(1), c_uint::MAX)
}

/// Forbids others of the same uid to trace this process and to read its memory.
pub(crate) fn hide() -> Result<(), Errno> {
    // SAFETY: takes numbers.
    check_int(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }).map(drop)
}

/// Sets the supplementary groups of this thread. The libc function would signal all threads of a process of which only
/// this one was copied.
pub(crate) fn setgroups(groups: &[libc::gid_t]) -> Result<(), Errno> {
    // SAFETY: the slice is live and as long as the count says.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

/// Sets real, effective and saved group id of this thread.
pub(crate) fn setresgid(gid: libc::gid_t) -> Result<(), Errno> {
    // SAFETY: takes numbers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

/// Sets real, effective and saved user id of this thread.
pub(crate) fn setresuid(uid: libc::uid_t) -> Result<(), Errno> {
    // SAFETY: takes numbers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: c_int,
}

/// `_LINUX_CAPABILITY_VERSION_3`: two sets of three words follow, effective, permitted and inheritable.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Empties the permitted, effective and inheritable capabilities of this thread.
pub(crate) fn drop_capabilities() -> Result<(), Errno> {
    let header = CapabilityHeader {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    let none = [0_u32; 6];
    // SAFETY: header and data have the layout of version 3 and are live.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) }).map(drop)
}

/// Whether the calling thread has any effective capability.
pub(crate) fn has_capabilities() -> Result<bool, Errno> {
    let header = CapabilityHeader {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    let mut sets = [0_u32; 6];
    // SAFETY: header and data have the layout of version 3 and are live.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw const header, sets.as_mut_ptr()) })?;
    let [low, _, _, high, _, _] = sets;
    Ok(low | high != 0)
}

/// The effective ids of this process.
pub(crate) fn effective_ids() -> (libc::uid_t, libc::gid_t) {
    // SAFETY: takes nothing and cannot fail.
    let uid = unsafe { libc::geteuid() };
    // SAFETY: takes nothing and cannot fail.
    let gid = unsafe { libc::getegid() };
    (uid, gid)
}

/// The supplementary groups of this process, written to `groups`; `EINVAL` where there are more than fit.
pub(crate) fn getgroups(groups: &mut [libc::gid_t]) -> Result<usize, Errno> {
    let room = c_int::try_from(groups.len()).map_err(|_| Errno::from_raw(libc::EINVAL))?;
    // SAFETY: the slice is live and has the room it says.
    let count = check_int(unsafe { libc::getgroups(room, groups.as_mut_ptr()) })?;
    usize::try_from(count).map_err(|_| Errno::from_raw(libc::EINVAL))
}
