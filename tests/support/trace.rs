//! Stops another process at a system call, as a debugger does.

#![expect(unsafe_code, reason = "ptrace(2)")]

use core::{mem::zeroed, ptr::null_mut};

use crate::sys::check;

/// What a stop at a system call has in addition to `SIGTRAP`.
const AT_CALL: i32 = 0x80;

/// Lets `pid` go on until it enters this call, does `work` while it stands there, and lets it go.
pub fn at_call(pid: i32, call: i64, work: impl FnOnce()) {
    let options = libc::PTRACE_O_TRACESYSGOOD.unsigned_abs() as usize;
    trace(libc::PTRACE_SEIZE, pid, options);
    trace(libc::PTRACE_INTERRUPT, pid, 0);
    loop {
        let mut status = 0;
        // SAFETY: `status` is live.
        let stopped = unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) };
        check("waitpid", stopped.into());
        assert!(libc::WIFSTOPPED(status), "it ended: {status:#x}");
        if libc::WSTOPSIG(status) == libc::SIGTRAP | AT_CALL && entered(pid) == Some(call) {
            break;
        }
        trace(libc::PTRACE_SYSCALL, pid, 0);
    }
    work();
    // One that `work` has killed is gone.
    // SAFETY: takes numbers.
    unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, 0, 0) };
}

/// The number of the call that it is about to make.
fn entered(pid: i32) -> Option<i64> {
    // SAFETY: plain integers, of which 0 is a value.
    let mut info: libc::ptrace_syscall_info = unsafe { zeroed() };
    let size = size_of_val(&info);
    let request = libc::PTRACE_GET_SYSCALL_INFO;
    // SAFETY: the kernel fills at most `size` bytes of a live struct of that size.
    let ret = unsafe { libc::ptrace(request, pid, size, &raw mut info) };
    check("PTRACE_GET_SYSCALL_INFO", ret);
    // SAFETY: of all members the first one is a number.
    let number = unsafe { info.u.entry.nr };
    (info.op == libc::PTRACE_SYSCALL_INFO_ENTRY).then(|| number.cast_signed())
}

fn trace(request: libc::c_uint, pid: i32, data: usize) {
    let nothing = null_mut::<u8>();
    // SAFETY: takes numbers, but for an address that these requests do not use.
    let ret = unsafe { libc::ptrace(request, pid, nothing, data) };
    check("ptrace", ret);
}
