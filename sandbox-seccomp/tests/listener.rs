//! A filter that reports, without the rest of the family: one thread is under it, another answers.

#![expect(unsafe_code, reason = "raw calls, and a descriptor from its number")]

use core::ffi::{c_int, c_long, c_short};
use std::{
    os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use sandbox_core::{ChildStep as _, Errno, Explain as _, Fault, Syscall, sys::check};
use sandbox_seccomp::{Action, Answer, Filter, Listener, Notification, Policy};

const E2BIG: Errno = Errno::from_raw(libc::E2BIG);

fn filter() -> Filter {
    Policy::deny_list()
        .deny(&["seccomp", "prctl"])
        .rule("getppid", Action::Report(Answer::Errno(E2BIG)))
        .rule("alarm", Action::Report(Answer::Kill))
        .prepare()
        .unwrap()
}

fn call(number: c_long, argument: c_long) -> Result<c_long, Errno> {
    // SAFETY: no call of these tests takes a pointer.
    check(unsafe { libc::syscall(number, argument, 0, 0, 0, 0, 0) })
}

/// A thread under the filter, and what it is reported to. Filters and `no_new_privs` are a thread's own.
fn under<T: Send + 'static>(
    body: impl FnOnce(&Filter) -> T + Send + 'static,
) -> (Listener, JoinHandle<T>) {
    under_filter(filter, body)
}

fn under_filter<T: Send + 'static>(
    filter: impl FnOnce() -> Filter + Send + 'static,
    body: impl FnOnce(&Filter) -> T + Send + 'static,
) -> (Listener, JoinHandle<T>) {
    let (send, receive) = mpsc::channel();
    let thread = thread::spawn(move || {
        // SAFETY: takes numbers.
        let set = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        assert_eq!(set, 0);
        let filter = filter();
        let fd = filter.install_reporting().unwrap();
        // SAFETY: a fresh descriptor, owned by nobody.
        send.send(unsafe { OwnedFd::from_raw_fd(fd) }).unwrap();
        body(&filter)
    });
    (Listener::from(receive.recv().unwrap()), thread)
}

fn next(listener: &Listener) -> Notification {
    loop {
        if let Some(call) = listener.receive().unwrap() {
            return call;
        }
    }
}

fn poll(listener: &Listener) -> c_short {
    let mut fds = [libc::pollfd {
        fd: listener.as_fd().as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    }];
    // SAFETY: one live entry.
    let ready = unsafe { libc::poll(fds.as_mut_ptr(), 1, 10_000) };
    assert_eq!(ready, 1);
    fds[0].revents
}

fn name(call: Syscall) -> String {
    call.to_string()
}

#[test]
fn calls_are_told_and_answered() {
    let (listener, thread) = under(|filter| {
        filter.greet().unwrap();
        // SAFETY: no arguments.
        let thread = unsafe { libc::gettid() };
        (thread, call(libc::SYS_getppid, 7), call(libc::SYS_alarm, 0))
    });
    let greeting = next(&listener);
    assert!(greeting.is_greeting(), "{greeting:?}");
    listener.greet_back(&greeting).unwrap();
    let refused = next(&listener);
    assert!(!refused.is_greeting());
    assert_eq!(name(refused.syscall), "getppid");
    assert_eq!(refused.args[0], 7);
    assert_eq!(
        refused.action(&filter()),
        Action::Report(Answer::Errno(E2BIG))
    );
    listener.refuse(&refused, E2BIG).unwrap();
    let let_through = next(&listener);
    assert_eq!(let_through.action(&filter()), Action::Report(Answer::Kill));
    listener.dangerous_continue(&let_through).unwrap();
    let (tid, first, second) = thread.join().unwrap();
    assert_eq!(refused.thread, tid.unsigned_abs());
    assert_eq!((first, second), (Err(E2BIG), Ok(0)));
    // The kernel does not know the call any more, and that is no failure.
    assert_eq!(listener.refuse(&refused, E2BIG), Ok(()));
}

#[test]
fn a_listener_that_is_gone_lets_nothing_through() {
    let (listener, thread) = under(|filter| {
        let waiting = call(libc::SYS_getppid, 0);
        (waiting, call(libc::SYS_getppid, 0), filter.greet())
    });
    assert_eq!(name(next(&listener).syscall), "getppid");
    drop(listener);
    let (waiting, later, greeting) = thread.join().unwrap();
    let enosys = Err(Errno::from_raw(libc::ENOSYS));
    assert_eq!((waiting, later), (enosys, enosys));
    assert_eq!(greeting.unwrap_err().errno.raw(), libc::ENOSYS);
}

/// What answers is the supervisor, or it is no greeting.
#[test]
fn another_answer_is_no_greeting() {
    let (listener, thread) = under(|filter| (filter.greet(), filter.greet()));
    let first = next(&listener);
    listener.refuse(&first, E2BIG).unwrap();
    // The kernel knows no such operation.
    listener.dangerous_continue(&next(&listener)).unwrap();
    let (refused, through) = thread.join().unwrap();
    assert_eq!(refused.unwrap_err().errno, E2BIG);
    assert_eq!(through.unwrap_err().errno.raw(), libc::EINVAL);
}

/// A filter that reports nothing has nobody to greet, even where the one of another process answers.
#[test]
fn a_filter_without_reports_is_not_greeted_back() {
    let (listener, thread) = under(|_| Policy::judge().prepare().unwrap().greet());
    listener.greet_back(&next(&listener)).unwrap();
    let fault = thread.join().unwrap().unwrap_err();
    assert_eq!(fault.errno.raw(), libc::EPROTO);
    assert!(filter().explain(fault.index).contains("greet"));
}

/// `int 0x80`, whose numbers mean other calls.
#[cfg(target_arch = "x86_64")]
fn of_i386(number: u32, argument: u32) -> i32 {
    let result: i32;
    // SAFETY: the filter reports the call; the kernel changes rax and, on 32-bit entry, r8 to r11. rbx is put back.
    unsafe {
        core::arch::asm!(
            "xchg rbx, {argument:r}", "int 0x80", "xchg rbx, {argument:r}",
            argument = inout(reg) u64::from(argument) => _, inout("eax") number => result,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_call_of_another_table_is_no_start_and_no_greeting() {
    let number = |number: c_long| u32::try_from(number).unwrap();
    let (execve, seccomp) = (number(libc::SYS_execve), number(libc::SYS_seccomp));
    let (send, receive) = mpsc::channel();
    let (listener, thread) = under(move |filter| {
        filter.greet().unwrap();
        let operation = receive.recv().unwrap();
        (of_i386(execve, 0), of_i386(seccomp, operation))
    });
    let greeting = next(&listener);
    send.send(u32::try_from(greeting.args[0]).unwrap()).unwrap();
    listener.greet_back(&greeting).unwrap();
    let start = next(&listener);
    assert_eq!(start.syscall.number, execve);
    assert!(!start.is_start());
    let einval = Errno::from_raw(libc::EINVAL);
    assert_eq!(listener.let_start(&start), Err(einval));
    listener.refuse(&start, E2BIG).unwrap();
    let other = next(&listener);
    let same = (greeting.syscall.number, greeting.args[0]);
    assert_eq!((other.syscall.number, other.args[0]), same);
    assert!(!other.is_greeting());
    listener.refuse(&other, E2BIG).unwrap();
    let refused = -E2BIG.raw();
    assert_eq!(thread.join().unwrap(), (refused, refused));
}

/// Gives a signal a handler that does nothing, and after which calls are not made again.
fn interrupts(signal: c_int) {
    extern "C" fn nothing(_: c_int) {}
    // SAFETY: plain data, of which zeros are a value.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(c_int) as usize;
    // SAFETY: `action` is live, and its handler does nothing.
    let set = unsafe { libc::sigaction(signal, &raw const action, core::ptr::null_mut()) };
    assert_eq!(set, 0);
}

#[test]
fn a_call_that_is_gone_before_it_is_taken_is_none() {
    interrupts(libc::SIGUSR2);
    let (send, receive) = mpsc::channel();
    let (listener, thread) = under(move |_| {
        // SAFETY: no arguments.
        send.send(unsafe { libc::gettid() }).unwrap();
        call(libc::SYS_getppid, 0)
    });
    let tid = receive.recv().unwrap();
    assert_ne!(poll(&listener) & libc::POLLIN, 0);
    // SAFETY: takes numbers; the thread waits in its call.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), tid, libc::SIGUSR2) };
    assert_eq!(sent, 0);
    let eintr = Errno::from_raw(libc::EINTR);
    assert_eq!(thread.join().unwrap(), Err(eintr));
    assert_eq!(listener.receive(), Ok(None));
}

#[test]
fn what_is_no_listener_is_an_error() {
    let file = std::fs::File::open("/dev/null").unwrap();
    let none = Listener::from(OwnedFd::from(file));
    let (listener, thread) = under(|_| call(libc::SYS_getppid, 0));
    let waiting = next(&listener);
    let enotty = Errno::from_raw(libc::ENOTTY);
    assert_eq!(none.receive(), Err(enotty));
    assert_eq!(none.refuse(&waiting, E2BIG), Err(enotty));
    assert_eq!(none.greet_back(&waiting), Err(enotty));
    assert_eq!(none.dangerous_continue(&waiting), Err(enotty));
    listener.refuse(&waiting, E2BIG).unwrap();
    assert_eq!(thread.join().unwrap(), Err(E2BIG));
}

#[test]
fn a_second_listener_is_refused_by_name() {
    let (listener, thread) = under(|_| {
        // Under another policy it could try: here the own filter is in the way, so the kernel is not asked.
        filter().install_reporting()
    });
    let eperm = thread.join().unwrap().unwrap_err();
    assert_eq!(eperm.errno.raw(), libc::EPERM);
    assert!(filter().explain(eperm.index).contains("EBUSY"));
    drop(listener);
}

#[test]
fn the_step_of_other_filters_refuses_one_that_reports() {
    let Fault { errno, .. } = filter().apply().unwrap_err();
    assert_eq!(errno.raw(), libc::EINVAL);
    assert_eq!(filter().apply().unwrap_err().index, 0);
}

/// The descriptor is readable while a call waits, and hung up when nobody is left to call.
#[test]
fn the_descriptor_can_be_polled() {
    let (listener, thread) = under(|_| call(libc::SYS_getppid, 0));
    assert_ne!(poll(&listener) & libc::POLLIN, 0);
    listener.refuse(&next(&listener), E2BIG).unwrap();
    assert_eq!(thread.join().unwrap(), Err(E2BIG));
    assert_ne!(poll(&listener) & libc::POLLHUP, 0);
}

#[test]
fn a_start_is_let_through_and_nothing_else_as_one() {
    let policy = || {
        Policy::deny_list()
            .deny(&["seccomp", "prctl"])
            .rule("execve", Action::Report(Answer::Errno(E2BIG)))
            .rule("getppid", Action::Report(Answer::Errno(E2BIG)))
            .prepare()
            .unwrap()
    };
    assert!(policy().reports_start() && !filter().reports_start());
    let (listener, thread) = under_filter(policy, |_| {
        // Without a path there is no program to become.
        let execve = || call(libc::SYS_execve, 0);
        (execve(), execve(), call(libc::SYS_getppid, 0))
    });
    let start = next(&listener);
    assert!(start.is_start(), "{start:?}");
    assert_eq!(listener.let_start(&start), Ok(true));
    let second = next(&listener);
    assert!(second.is_start() && second != start);
    listener.refuse(&second, E2BIG).unwrap();
    let other = next(&listener);
    assert!(!other.is_start());
    let einval = Errno::from_raw(libc::EINVAL);
    assert_eq!(listener.let_start(&other), Err(einval));
    listener.refuse(&other, E2BIG).unwrap();
    let efault = Errno::from_raw(libc::EFAULT);
    let ends = thread.join().unwrap();
    assert_eq!(ends, (Err(efault), Err(E2BIG), Err(E2BIG)));
    // It is for the one who counts to know that this let nothing through.
    assert_eq!(listener.let_start(&second), Ok(false));
}
