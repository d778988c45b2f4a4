//! System calls of the tests, with a failure as a panic that names the call.

#![expect(unsafe_code, reason = "the system call module of the tests")]

use core::ffi::{c_int, c_ulong};
use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
    time::Duration,
};

/// The result of a call that must not fail.
#[track_caller]
pub fn check(call: &str, ret: i64) -> i64 {
    assert!(ret >= 0, "{call}: {}", io::Error::last_os_error());
    ret
}

/// geteuid(2).
#[must_use]
pub fn effective_uid() -> u32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::geteuid() }
}

/// The effective capabilities, one bit each.
///
/// # Panics
/// Where /proc is not as on Linux.
#[must_use]
pub fn effective_capabilities() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let text = line.expect("status has CapEff").trim();
    u64::from_str_radix(text, 16).expect("hexadecimal")
}

/// Gives one capability up, of the effective set only.
pub fn drop_effective(capability: u32) {
    // <linux/capability.h>: version 3, this thread; two words of effective, permitted and inheritable each.
    let header = [0x2008_0522_u32, 0];
    let mut sets = [[0_u32; 3]; 2];
    // SAFETY: header and room for the six words of version 3.
    let ret = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) };
    check("capget", ret);
    sets[capability as usize / 32][0] &= !(1 << (capability % 32));
    // SAFETY: as above, read only.
    let ret = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
    check("capset", ret);
}

/// Lowers soft and hard limit of the size of core dumps.
pub fn limit_core(bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: a live limit.
    let ret = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) };
    check("setrlimit", ret.into());
}

/// Lowers soft and hard limit of how many processes each uid but root may have.
pub fn limit_processes(count: u64) {
    let limit = libc::rlimit {
        rlim_cur: count,
        rlim_max: count,
    };
    // SAFETY: a live limit.
    let ret = unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit) };
    check("setrlimit", ret.into());
}

/// fork(2) by glibc, which makes its allocator usable in the copy.
#[must_use]
pub fn fork() -> i32 {
    // SAFETY: the copy runs test code; locks of other threads than glibc's own are not taken in it.
    let pid = unsafe { libc::fork() };
    check("fork", pid.into());
    pid
}

/// `_exit(2)`.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: ends the copy without the destructors of the test harness.
    unsafe { libc::_exit(status) }
}

/// Writes as much as can be written, whoever reads it.
pub fn write_all(fd: c_int, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: a live buffer of the length that is said.
        let ret = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(ret) {
            Ok(written @ 1..) => bytes = &bytes[written..],
            _ => return,
        }
    }
}

/// Stops this process until another one lets it go on.
pub fn stop_self() {
    // SAFETY: takes a number.
    check("raise", unsafe { libc::raise(libc::SIGSTOP) }.into());
}

/// pause(2): until a signal comes that has a handler, or that ends the process.
pub fn pause() {
    // SAFETY: no arguments.
    unsafe { libc::pause() };
}

/// waitpid(2) of one child: its raw status.
pub fn wait(child: i32) -> i32 {
    let mut status = 0;
    loop {
        // SAFETY: the status pointer is live.
        let ret = unsafe { libc::waitpid(child, &raw mut status, 0) };
        if ret == child {
            return status;
        }
        let error = io::Error::last_os_error();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted, "waitpid: {error}");
    }
}

/// Stops a child and returns when it has stopped.
pub fn stop(child: i32) {
    kill(child, libc::SIGSTOP);
    let mut status = 0;
    // SAFETY: the status pointer is live.
    let ret = unsafe { libc::waitpid(child, &raw mut status, libc::WUNTRACED) };
    check("waitpid", ret.into());
    assert!(libc::WIFSTOPPED(status), "it ended instead: {status:#x}");
}

/// What `waitpid(-1, WNOHANG)` says to a process that knows nothing of boxes: a pid, 0, or the errno.
///
/// # Errors
/// `ECHILD` where there is no child to wait for.
pub fn wait_any() -> Result<i32, i32> {
    // SAFETY: no status is asked for.
    let ret = unsafe { libc::waitpid(-1, core::ptr::null_mut(), libc::WNOHANG) };
    if ret < 0 {
        return Err(io::Error::last_os_error().raw_os_error().unwrap_or(0));
    }
    Ok(ret)
}

/// kill(2).
pub fn kill(pid: i32, signal: c_int) {
    // SAFETY: takes numbers.
    check("kill", unsafe { libc::kill(pid, signal) }.into());
}

/// tgkill(2) of a thread of this process.
pub fn kill_thread(thread: i32, signal: c_int) {
    let process = std::process::id();
    // SAFETY: takes numbers.
    let ret = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) };
    check("tgkill", ret);
}

/// What this process has cost so far.
#[derive(Debug)]
pub struct OwnUsage {
    /// CPU time.
    pub cpu: Duration,
    /// The most memory that it ever had, in KiB.
    pub peak_kib: u64,
    /// How often it slept.
    pub sleeps: u64,
}

/// getrusage(2).
///
/// # Panics
/// Where the kernel counts below zero.
#[must_use]
pub fn own_usage() -> OwnUsage {
    // SAFETY: all-zero counters are valid.
    let mut usage: libc::rusage = unsafe { core::mem::zeroed() };
    // SAFETY: live counters.
    let ret = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    check("getrusage", ret.into());
    let count = |value: i64| u64::try_from(value).expect("positive");
    let time = |time: libc::timeval| {
        Duration::from_secs(count(time.tv_sec)) + Duration::from_micros(count(time.tv_usec))
    };
    OwnUsage {
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        peak_kib: count(usage.ru_maxrss),
        sleeps: count(usage.ru_nvcsw),
    }
}

/// gettid(2).
#[must_use]
pub fn own_thread() -> i32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::gettid() }
}

/// `pidfd_open(2)`.
#[must_use]
pub fn pidfd_open(pid: i32) -> OwnedFd {
    // SAFETY: takes numbers.
    let fd = check("pidfd_open", unsafe {
        libc::syscall(libc::SYS_pidfd_open, pid, 0)
    });
    // SAFETY: the fresh result of a call, owned by nobody.
    unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).expect("a descriptor is an int")) }
}

/// `SIGKILL` by `pidfd_send_signal(2)`; a process that is gone needs none.
pub fn pidfd_kill(pidfd: &OwnedFd) {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo asks for the one of kill(2); the rest are numbers.
    unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            libc::SIGKILL,
            info,
            0,
        )
    };
}

/// pipe2(2), close-on-exec: read end and write end.
#[must_use]
pub fn pipe() -> (OwnedFd, OwnedFd) {
    let mut fds = [0; 2];
    // SAFETY: room for two descriptors.
    let ret = unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) };
    check("pipe2", ret.into());
    // SAFETY: fresh descriptors, owned by nobody.
    fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).into()
}

/// Whether a descriptor becomes readable (or hangs up) within this time.
#[must_use]
pub fn readable(fd: BorrowedFd<'_>, timeout: Duration) -> bool {
    let mut entry = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let timeout = i32::try_from(timeout.as_millis()).expect("short");
    // SAFETY: one live entry, as the count says.
    let ready = unsafe { libc::poll(&raw mut entry, 1, timeout) };
    check("poll", ready.into()) == 1
}

/// Closes every descriptor above 2 but `keep`.
pub fn close_all_but(keep: BorrowedFd<'_>) {
    let keep = keep.as_raw_fd().unsigned_abs();
    let close_range = |low: u32, high: u32| {
        // SAFETY: takes numbers; only called in a fresh copy, in which the owners of these descriptors never run.
        let ret = unsafe { libc::syscall(libc::SYS_close_range, low, high, 0) };
        check("close_range", ret);
    };
    if keep > 3 {
        close_range(3, keep - 1);
    }
    close_range(keep.max(2) + 1, u32::MAX);
}

/// close(2) of any number.
pub fn close(fd: c_int) {
    // SAFETY: takes a number; only called in forked copies, on descriptors that nothing owns there.
    check("close", unsafe { libc::close(fd) }.into());
}

/// prctl(2) with numbers.
pub fn prctl(option: c_int, value: c_ulong) -> c_int {
    // SAFETY: only called with options whose arguments are numbers.
    let ret = unsafe { libc::prctl(option, value, 0, 0, 0) };
    check("prctl", ret.into());
    ret
}

/// Reaps whatever has ended, of every kind.
pub fn reap_all() {
    loop {
        let flags = libc::__WALL | libc::WNOHANG;
        // SAFETY: no status is asked for.
        let ret = unsafe { libc::waitpid(-1, core::ptr::null_mut(), flags) };
        if ret <= 0 {
            return;
        }
    }
}

/// Waits for any child, one that was cloned without an exit signal too, as an embedder with an init's duties does.
pub fn wait_for_all_kinds() -> i32 {
    // SAFETY: no status is asked for.
    let ret = unsafe { libc::waitpid(-1, core::ptr::null_mut(), libc::__WALL) };
    check("waitpid", ret.into());
    ret
}

/// umask(2); cannot fail.
pub fn umask(mask: libc::mode_t) {
    // SAFETY: takes a number.
    unsafe { libc::umask(mask) };
}

/// Sets a signal's disposition to `SIG_DFL`, `SIG_IGN`, or a handler that may run at any moment.
pub fn set_disposition(signal: c_int, action: libc::sighandler_t) {
    // SAFETY: one of the kernel's two, or an `extern "C"` function that is async-signal-safe.
    let old = unsafe { libc::signal(signal, action) };
    assert_ne!(old, libc::SIG_ERR, "signal: {}", io::Error::last_os_error());
}

/// Blocks a signal in the calling thread.
pub fn block_signal(signal: c_int) {
    // SAFETY: an all-zero set is empty.
    let mut set: libc::sigset_t = unsafe { core::mem::zeroed() };
    // SAFETY: a live set and a valid signal.
    unsafe { libc::sigaddset(&raw mut set, signal) };
    // SAFETY: a live set, no old one asked for.
    let ret =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, core::ptr::null_mut()) };
    assert_eq!(ret, 0, "pthread_sigmask");
}

/// Takes another user's ids for good, groups and capabilities included.
pub fn become_user(uid: u32) {
    // SAFETY: an empty list needs no pointer.
    let ret = unsafe { libc::syscall(libc::SYS_setgroups, 0, core::ptr::null::<u32>()) };
    check("setgroups", ret);
    // SAFETY: takes numbers.
    let ret = unsafe { libc::syscall(libc::SYS_setresgid, uid, uid, uid) };
    check("setresgid", ret);
    // SAFETY: takes numbers.
    let ret = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) };
    check("setresuid", ret);
    // A process that changed its ids may not write uid_map otherwise.
    prctl(libc::PR_SET_DUMPABLE, 1);
}

/// The version of Landlock that the kernel has; negative where it has none.
#[must_use]
pub fn landlock_version() -> i64 {
    const VERSION: u32 = 1;
    let nothing: *const u8 = std::ptr::null();
    // SAFETY: with this flag nothing is read.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0, VERSION) }
}
