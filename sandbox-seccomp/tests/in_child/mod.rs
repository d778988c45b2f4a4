//! Runs code in a forked child, with a filter or without.

use core::ffi::{c_int, c_long};

use sandbox_core::ChildStep as _;
use sandbox_seccomp::Filter;

/// How a forked child ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Exit(c_int),
    Signal(c_int),
}

/// Runs `body` in a forked child, which exits with what it returns. `body` only makes system calls: the harness has
/// other threads.
#[expect(unsafe_code, reason = "tests change the process, so they fork first")]
pub(crate) fn in_child(body: impl FnOnce() -> c_int) -> End {
    // SAFETY: the child makes system calls only and ends by `_exit`.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let status = body();
        // SAFETY: takes any status and does not return.
        unsafe { libc::_exit(status) };
    }
    let mut status = 0;
    // SAFETY: `status` is a live int and `pid` our own child.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(waited, pid);
    if libc::WIFSIGNALED(status) {
        End::Signal(libc::WTERMSIG(status))
    } else {
        End::Exit(libc::WEXITSTATUS(status))
    }
}

/// Makes a system call with these arguments and zeros, which some calls insist on; 0 where it succeeded, else its errno.
#[expect(unsafe_code, reason = "a raw call is what a filter sees")]
pub(crate) fn errno_of<const N: usize>(number: c_long, args: [c_long; N]) -> c_int {
    let mut all = [0; 6];
    all[..N].copy_from_slice(&args);
    let [a, b, c, d, e, f] = all;
    // SAFETY: the callers pass no pointer but NULL, and numbers that do not touch this process's memory.
    let ret = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if ret < 0 {
        sandbox_core::sys::errno().raw()
    } else {
        0
    }
}

pub(crate) const NOT_INSTALLED: c_int = 250;

/// Runs `body` under a filter.
pub(crate) fn under(filter: &Filter, body: impl FnOnce() -> c_int) -> End {
    in_child(|| {
        let privileges = errno_of(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS.into(), 1, 0]);
        if privileges != 0 || filter.apply().is_err() {
            return NOT_INSTALLED;
        }
        body()
    })
}
