//! The one raw system call of the payload, and the few helpers that every subcommand needs.

#![expect(unsafe_code, reason = "the raw system call of the payload")]

use std::{io::Write as _, sync::atomic::AtomicU64, time::Duration};

/// Makes a system call; the errno where it failed.
///
/// Attacks are system calls, so this file has the one `unsafe` of nearly all of them: the payload is a program of its own, and
/// what it breaks in its own memory is its own.
pub(crate) fn call(number: libc::c_long, args: [usize; 6]) -> Result<usize, i32> {
    let [a, b, c, d, e, f] = args;
    // SAFETY: callers pass numbers, or addresses of values that live across the call.
    let ret = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    usize::try_from(ret).map_err(|_| errno())
}

/// The errno of the last failed call.
pub(crate) fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// A line on standard output, at once.
pub(crate) fn say(line: impl AsRef<str>) {
    let text = format!("{}\n", line.as_ref());
    let mut out = std::io::stdout();
    // A closed stream is what some tests want.
    if out.write_all(text.as_bytes()).is_ok() {
        drop(out.flush());
    }
}

/// Says how an attempt ended: `NAME: ok 3`, or `NAME: errno 1`.
pub(crate) fn report(name: &str, result: Result<usize, i32>) {
    match result {
        Ok(value) => say(format!("{name}: ok {value}")),
        Err(errno) => say(format!("{name}: errno {errno}")),
    }
}

/// fork(2), raw: the payload has one thread wherever it forks.
pub(crate) fn fork() -> Result<usize, i32> {
    let flags = usize::try_from(libc::SIGCHLD).unwrap_or(17);
    call(libc::SYS_clone, [flags, 0, 0, 0, 0, 0])
}

/// Waits for a child; its raw status.
pub(crate) fn wait(pid: usize) -> Result<i32, i32> {
    let mut status = 0_i32;
    call(libc::SYS_wait4, [pid, (&raw mut status).addr(), 0, 0, 0, 0]).map(|_| status)
}

/// Ends this process at once.
pub(crate) fn exit(status: usize) -> ! {
    call(libc::SYS_exit_group, [status, 0, 0, 0, 0, 0]).ok();
    std::process::abort()
}

/// Memory that this process shares with its future children.
pub(crate) fn shared() -> &'static AtomicU64 {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping of one page.
    let page = unsafe { libc::mmap(core::ptr::null_mut(), 4096, protection, flags, -1, 0) };
    assert!(page != libc::MAP_FAILED, "mmap");
    // SAFETY: the page is zeroed, aligned, and never unmapped.
    unsafe { &*page.cast::<AtomicU64>() }
}

/// CPU time of the calling thread.
pub(crate) fn thread_cpu_time() -> Duration {
    let mut time = [0_u64; 2];
    let clock = usize::try_from(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0);
    let args = [clock, time.as_mut_ptr().addr(), 0, 0, 0, 0];
    call(libc::SYS_clock_gettime, args).expect("every thread has the clock");
    Duration::from_secs(time[0]) + Duration::from_nanos(time[1])
}

/// Burns this much CPU time in user mode, however long that takes on a busy machine.
pub(crate) fn burn(amount: Duration) {
    let start = thread_cpu_time();
    let mut x = 1_u64;
    while thread_cpu_time() - start < amount {
        for _ in 0..100_000 {
            x = core::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
}

/// Sleeps until standard input ends: the test's way to look from outside while the attack stands.
pub(crate) fn until_stdin_ends() {
    let mut sink = std::io::sink();
    drop(std::io::copy(&mut std::io::stdin(), &mut sink));
}

/// Argument `index` as a number.
pub(crate) fn number(args: &[String], index: usize) -> usize {
    let text = args.get(index).map_or("", String::as_str);
    text.parse()
        .unwrap_or_else(|_| panic!("argument {index} is no number: {text:?}"))
}

/// Argument `index` as a text.
pub(crate) fn text(args: &[String], index: usize) -> &str {
    args.get(index)
        .map_or_else(|| panic!("argument {index} is missing"), String::as_str)
}
