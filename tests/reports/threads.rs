//! Whose call it is, and how it waits.

#![expect(unsafe_code, reason = "a filter in one thread, and signals to it")]

use std::{
    os::fd::{AsFd as _, FromRawFd as _, OwnedFd},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use sandbox_exec::{Policy, seccomp::Listener};
use sandbox_test_support::{Setup, host, in_child, outside, sys};

use crate::{ENOSYS, REPORT_ENOSYS, can_run, named};

/// The number is the host's, and the one of the thread that made the call, not of its process.
#[test]
fn a_call_is_that_of_the_thread_as_the_host_numbers_it() {
    if !can_run() {
        return;
    }
    let setup = Setup::new().policy(Policy::judge().report_kills());
    let ptrace = libc::SYS_ptrace.to_string();
    for who in ["main", "thread", "child"] {
        let mut started = setup.clone().start(&["call-numbered", who, &ptrace]);
        let inside = started.line().parse().expect("a number");
        // Nobody answers yet, so the thread stays.
        let thread = outside::thread_of(setup.identity.uid, inside);
        assert_ne!(thread, inside, "the box has numbers of its own");
        let finished = started.running.wait().expect("watched");
        assert_eq!(named(&finished, "ptrace").thread, thread, "{who}");
    }
}

static HANDLED: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

/// Once it is taken, a call waits for its answer and for nothing else, so no signal has it made and reported again.
#[test]
fn no_signal_has_a_call_reported_again() {
    // An older kernel reports such a call again, as documented.
    if !can_run() || !host::has(&["linux5.19"]) {
        return;
    }
    in_child(|| {
        let handler: extern "C" fn(libc::c_int) = count;
        sys::set_disposition(libc::SIGUSR1, handler as libc::sighandler_t);
        let policy = Policy::judge().rule("alarm", REPORT_ENOSYS);
        let filter = policy.prepare().expect("it compiles");
        let (tell, told) = std::sync::mpsc::channel();
        let caller = std::thread::spawn(move || {
            // Of this thread alone; its end hangs the listener up.
            let listener = filter.install_reporting().expect("root may");
            tell.send((listener, sys::own_thread())).expect("heard");
            // SAFETY: takes a number.
            let ret = unsafe { libc::syscall(libc::SYS_alarm, 0) };
            (ret, std::io::Error::last_os_error().raw_os_error())
        });
        let (listener, thread) = told.recv().expect("it is installed");
        // SAFETY: a fresh descriptor, owned by nobody.
        let listener = Listener::from(unsafe { OwnedFd::from_raw_fd(listener) });
        let call = listener.receive().expect("a listener").expect("a call");
        assert_eq!(call.thread, thread.unsigned_abs());
        let is_again = || sys::readable(listener.as_fd(), Duration::ZERO);
        // The first one wakes it, and it sleeps on in a way in which only death does.
        sys::kill_thread(thread, libc::SIGUSR1);
        let deadline = Instant::now() + host::patience(5_000);
        while outside::state_of(call.thread) != 'D' {
            assert!(!is_again(), "it is reported again");
            assert!(Instant::now() < deadline, "it does not wake");
            std::thread::yield_now();
        }
        for _ in 0..100 {
            sys::kill_thread(thread, libc::SIGUSR1);
        }
        assert!(!is_again(), "it is reported again");
        assert_eq!(HANDLED.load(Ordering::SeqCst), 0, "not before the answer");
        listener.refuse(&call, ENOSYS).expect("it waits");
        let answer = (-1, Some(libc::ENOSYS));
        assert_eq!(caller.join().expect("it ends"), answer);
        // A hundred that waited are one.
        assert_eq!(HANDLED.load(Ordering::SeqCst), 1);
    });
}
