//! Calls that are made while the main program ends.

use std::{
    io::Write as _,
    os::fd::AsFd as _,
    path::Path,
    time::{Duration, Instant},
};

use sandbox_exec::{Basis, Exit, Policy, Verdict};
use sandbox_test_support::{
    Fork, Setup, assert_judged, boxes, host, outside,
    setup::{Started, judged},
    sys,
};

use crate::{REPORT_ENOSYS, REPORT_KILL, can_run, named, reports, violation, wait_in_time};

fn judge() -> Setup {
    Setup::new().policy(Policy::judge().report_kills())
}

fn ptrace() -> String {
    libc::SYS_ptrace.to_string()
}

/// Whatever comes first, the call or the end: what is listed decides.
#[test]
fn a_call_beside_the_end_is_made_or_not_and_never_half() {
    if !can_run() {
        return;
    }
    let sandbox = judge().sandbox(&["call-left", &ptrace()]);
    let mut told = 0;
    for _ in 0..if host::is_emulated() { 20 } else { 100 } {
        let finished = boxes::finish(&sandbox);
        let seen = reports(&finished);
        if seen.total == 0 {
            assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
            continue;
        }
        told += 1;
        assert_eq!(seen.decisive, Some(named(&finished, "ptrace")));
        assert_eq!(judged(&finished).1, Basis::SyscallReport);
    }
    assert!(told > 0, "the child was never so far");
    // The twin: allowed, it decides nothing, whenever it is made.
    let allowed = Policy::judge().report_kills().allow(&["ptrace"]);
    let twin = Setup::new().policy(allowed).run(&["call-left", &ptrace()]);
    assert_judged(&twin, Verdict::Ok, Basis::ExitStatus);
    assert_eq!(reports(&twin).total, 0);
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + host::patience(5_000);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
    }
}

/// A box whose program has ended while so many children of it wait in this call.
pub(crate) fn ended(setup: &Setup, children: usize, call: &str) -> Started {
    let args = ["call-left-waiting", &children.to_string(), call];
    let mut started = setup.clone().start(&args);
    let uid = setup.identity.uid;
    let main = outside::thread_of(uid, 2);
    for _ in 0..children {
        let inside = started.line().parse().expect("a number");
        let child = outside::thread_of(uid, inside);
        // Having said its number, it sleeps in the call alone.
        until("it calls", || outside::state_of(child) == 'S');
    }
    started.end_input();
    let main = format!("/proc/{main}");
    until("it ends", || !Path::new(&main).exists());
    started
}

#[test]
fn no_end_hides_a_call_that_waits() {
    if !can_run() {
        return;
    }
    let setup = judge();
    for _ in 0..10 {
        let running = ended(&setup, 3, &ptrace()).running;
        let over = sys::readable(running.as_fd(), Duration::from_millis(10));
        assert!(!over, "the box waits for the answer");
        let finished = running.wait().expect("watched");
        assert_eq!(judged(&finished).1, Basis::SyscallReport);
        // The first of the three; after it nothing is taken.
        let call = named(&finished, "ptrace");
        assert_eq!(reports(&finished).decisive, Some(call));
        let evidence = &finished.outcome.evidence;
        // It had ended well before anybody could kill it.
        assert_eq!((evidence.exit, evidence.kill), (Some(Exit::Code(0)), None));
    }
    // Those that are refused are all counted, more of them than are taken at once.
    let refusing = Policy::judge().report_kills().rule("alarm", REPORT_ENOSYS);
    let many = Setup::new().policy(refusing);
    let many = many.limits(|limits| limits.processes = Some(200));
    let running = ended(&many, 100, &libc::SYS_alarm.to_string()).running;
    let finished = running.wait().expect("watched");
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    assert_eq!(named(&finished, "alarm").count, 100);
}

/// Who waits in a call can be killed by its own program, which takes the call back. Then it is not made either.
#[test]
fn a_call_that_is_taken_back_is_not_made() {
    if !can_run() {
        return;
    }
    // A child would end the main program, which is process 2.
    let [kill, term] = [libc::SYS_kill, libc::SIGTERM.into()].map(|number: i64| number.to_string());
    let args = ["call-left-waiting", "1", &kill, "2", &term];
    let forbidden = Policy::judge().report_kills().rule("kill", REPORT_KILL);
    let setup = Setup::new().policy(forbidden);
    let mut started = setup.clone().start(&args);
    let inside = started.line().parse().expect("a number");
    let child = outside::thread_of(setup.identity.uid, inside);
    until("it calls", || outside::state_of(child) == 'S');
    sys::kill(child.cast_signed(), libc::SIGKILL);
    until("it dies", || outside::state_of(child) == 'Z');
    started.end_input();
    let finished = wait_in_time(started.running);
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    assert_eq!(reports(&finished).total, 0);

    // The twin: allowed, it is made.
    let twin = Setup::new().policy(Policy::judge().report_kills());
    let started = twin.start(&args);
    let finished = wait_in_time(started.running);
    let verdict = judged(&finished).0;
    let by_it = |exit| {
        matches!(
            exit,
            Exit::Signal {
                signo: libc::SIGTERM,
                ..
            }
        )
    };
    assert!(
        matches!(verdict, Verdict::RuntimeError(exit) if by_it(exit)),
        "{verdict:?}"
    );
}

/// How often a machine may be too busy for the program to end within its limit.
const TRIES: usize = 5;

/// Nor is there a wait that comes too late: beyond the wall limit, and the second after which a box that nobody watches ends.
#[test]
fn no_late_wait_loses_a_call_that_waits() {
    if !can_run() {
        return;
    }
    let limit = host::patience(1_000);
    let late = || judge().limits(|limits| limits.wall_time = Some(limit));
    // The twin: a program that has not ended is at its limit, and its box ends by itself.
    let twin = late().start(&["sleep", "60000"]).running;
    let is_in_time = (0..TRIES).any(|_| waits_beyond(&late(), limit));
    assert!(is_in_time, "the machine is too busy");
    let over = sys::readable(twin.as_fd(), host::patience(5_000));
    assert!(over, "it ends by itself");
    let finished = twin.wait().expect("watched");
    assert_judged(&finished, Verdict::WallTimeLimit, Basis::WallReading);
}

/// Whether the program came to its end within the limit; then its call waited beyond it.
fn waits_beyond(setup: &Setup, limit: Duration) -> bool {
    let running = ended(setup, 1, &ptrace()).running;
    let over = sys::readable(running.as_fd(), limit + Duration::from_millis(1_200));
    let finished = wait_in_time(running);
    let evidence = &finished.outcome.evidence;
    if evidence.wall_time >= limit {
        return false;
    }
    assert!(!over, "the box waits for the answer");
    assert_eq!(violation(&finished), "ptrace");
    assert_eq!((evidence.exit, evidence.kill), (Some(Exit::Code(0)), None));
    assert_eq!(outside::processes_of(setup.identity.uid), []);
    true
}

/// init waits for who watches, and for nobody else.
#[test]
fn a_box_that_waits_with_its_end_ends_with_who_could_answer() {
    if !can_run() {
        return;
    }
    let setup = judge();
    drop(ended(&setup, 1, &ptrace()).running);
    assert_eq!(outside::processes_of(setup.identity.uid), []);

    let mut embedder = Fork::start(|pipe| {
        let _started = ended(&setup, 1, &ptrace());
        pipe.write_all(b"x").expect("the test listens");
        loop {
            sys::pause();
        }
    });
    assert_eq!(embedder.read(1), b"x");
    assert_ne!(outside::processes_of(setup.identity.uid), []);
    embedder.kill_by(libc::SIGKILL);
    until("the box ends", || {
        outside::processes_of(setup.identity.uid).is_empty()
    });

    // And for no process that makes no call: it ends with the program, as ever.
    let begun = Instant::now();
    let finished = setup.run(&["daemon", "60"]);
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    assert!(begun.elapsed() < host::patience(5_000));
}
