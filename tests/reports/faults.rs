//! A supervisor whose own calls fail, and a start that is late or has no filter.

#![expect(unsafe_code, reason = "a chain of one's own")]

use core::convert::Infallible;
use std::time::Instant;

use sandbox_exec::{
    Basis, Error, Exit, Output, Plan, Policy, Running, Stdin, Verdict,
    child::{Child, Cloned},
    core::StepFailure,
};
use sandbox_test_support::{
    Setup, assert_judged, boxes, host, in_child, inject::Injection, leaks, outside, setup::judged,
    sys, trace,
};

use crate::{REPORT_ENOSYS, can_run, capture, endings::ended, wait_in_time};

/// `SECCOMP_IOCTL_NOTIF_RECV` and `_SEND`.
const RECEIVE: u32 = 0xc050_2100;
const SEND: u32 = 0xc018_2101;

fn reporting() -> Setup {
    let policy = Policy::strict_compute().rule("alarm", REPORT_ENOSYS);
    Setup::new().policy(policy)
}

fn fail(command: u32, errno: i32) -> Injection {
    Injection::new(libc::SYS_ioctl, errno).when(1, command)
}

#[track_caller]
fn assert_named<T>(result: Result<T, Error>, call: &str, errno: i32) {
    match result.err() {
        Some(Error::Syscall {
            call: failed,
            source,
            ..
        }) => {
            assert!(failed.contains(call), "{failed}");
            assert_eq!(source.raw(), errno);
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_nothing_left(setup: &Setup) {
    assert_eq!(outside::processes_of(setup.identity.uid), []);
    assert_eq!(leaks::children(), []);
    assert!(leaks::own_cgroups().is_empty());
}

/// Whatever the listener's calls answer, at the start or later: an error by name, or the end of the run; never a verdict that
/// takes calls for not made.
#[test]
fn calls_of_the_listener_that_fail_are_named() {
    if !can_run() {
        return;
    }
    let alarm = libc::SYS_alarm.to_string();
    let cases = [
        (RECEIVE, "NOTIF_RECV", libc::ENOMEM),
        (SEND, "NOTIF_SEND", libc::EINPROGRESS),
    ];
    for (command, call, errno) in cases {
        in_child(|| {
            let setup = reporting();
            let sandbox = setup.sandbox(&["call", &alarm]);
            fail(command, errno).install();
            let start = sandbox.spawn(Stdin::Null, Output::Null, Output::Null);
            assert_named(start, call, errno);
            assert_nothing_left(&setup);
        });
        in_child(|| {
            let setup = reporting();
            let sandbox = setup.sandbox(&["call", &alarm]);
            let running = sandbox.spawn(Stdin::Null, Output::Null, Output::Null);
            let running = boxes::ok(running);
            fail(command, errno).install();
            assert_named(running.wait(), call, errno);
            assert_nothing_left(&setup);
        });
    }
    // Always interrupted, or always too late: as many as a run may have, and no more.
    for errno in [libc::EINTR, libc::ENOENT] {
        in_child(|| {
            let sandbox = reporting().sandbox(&["call", &alarm]);
            let running = sandbox.spawn(Stdin::Null, Output::Null, Output::Null);
            let running = boxes::ok(running);
            fail(RECEIVE, errno).install();
            let finished = boxes::ok(running.wait());
            let nameless = Verdict::SecurityViolation { syscall: None };
            assert_eq!(judged(&finished), (nameless, Basis::SyscallReport));
        });
    }
}

/// Nor at the end, where init waits until the calls of what the program has left behind are taken.
#[test]
fn calls_of_the_listener_that_fail_at_the_end_are_no_end_without_calls() {
    if !can_run() {
        return;
    }
    let alarm = libc::SYS_alarm.to_string();
    let nameless = Verdict::SecurityViolation { syscall: None };
    for errno in [libc::EINTR, libc::ENOENT] {
        in_child(|| {
            let policy = Policy::judge().rule("alarm", REPORT_ENOSYS);
            let running = ended(&Setup::new().policy(policy), 1, &alarm).running;
            fail(RECEIVE, errno).install();
            let finished = boxes::ok(running.wait());
            assert_eq!(judged(&finished), (nameless, Basis::SyscallReport));
            let evidence = &finished.outcome.evidence;
            assert_eq!(evidence.exit, Some(Exit::Code(0)), "{evidence:?}");
        });
    }
}

/// The family's chain without its filter.
fn unfiltered(init: Child<Cloned>, plan: &Plan<'_>) -> Result<Infallible, StepFailure> {
    let (framed, frame) = init
        .await_release(plan.init)?
        .isolate(plan.namespaces)?
        .frame_root(plan.root)?;
    framed
        .fork_payload(plan.init, frame, plan.namespaces)?
        .limit(plan.rlimits)?
        .drop_privileges(plan.identity)?
        .attach_stdio()?
        .confine(plan.landlock)?
        .dangerous()
        .seal_unfiltered(plan.image)?
        .execve(plan.image)
}

/// init waits with the end of a box whose policy reports, and is let go also where a chain has left the filter out.
#[test]
fn a_chain_without_the_filter_ends_with_its_program() {
    if !can_run() {
        return;
    }
    in_child(|| {
        let setup = reporting().limits(|limits| {
            limits.wall_time = None;
            limits.cpu_time = None;
        });
        let sandbox = setup.sandbox(&["daemon", "60"]);
        let begun = Instant::now();
        // SAFETY: the family's own transitions, which are async-signal-safe.
        let running = unsafe { sandbox.spawn_with(unfiltered, Stdin::Null, capture(), capture()) };
        let finished = wait_in_time(boxes::ok(running));
        assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
        assert!(begun.elapsed() < host::patience(5_000));
    });
}

/// The number on the host of the payload of a box that waits for its run.
fn payload_of(uid: u32) -> i32 {
    let deadline = Instant::now() + host::patience(5_000);
    loop {
        if let [payload] = outside::processes_of(uid)[..] {
            return payload;
        }
        assert!(Instant::now() < deadline, "it does not come");
        std::thread::yield_now();
    }
}

/// Starts a box in whose payload `work` is done when it is about to become the program.
fn start_with(
    setup: &Setup,
    args: &[&str],
    work: impl FnOnce(i32) + Send,
) -> Result<Running, Error> {
    let prepared = boxes::ok(setup.sandbox(args).prepare());
    let payload = payload_of(setup.identity.uid);
    std::thread::scope(|scope| {
        let tracer = scope.spawn(move || {
            trace::at_call(payload, libc::SYS_execve, || work(payload));
        });
        // Only one that is traced stands still there.
        outside::await_tracer(payload);
        let running = prepared.spawn(Stdin::Null, capture(), capture());
        tracer.join().expect("it stood there");
        running
    })
}

/// What a start waits, on a busy machine or beside `cpu_rate`, is no time of the program's.
#[test]
fn a_late_start_is_not_charged_to_the_program() {
    if !can_run() {
        return;
    }
    in_child(|| {
        let limit = host::patience(300);
        // A wall limit would end the box by itself on a busy machine.
        let setup = reporting().limits(|limits| {
            limits.wall_time = None;
            limits.idle_time = Some(limit);
        });
        let late = |_| std::thread::sleep(limit + limit / 2);
        let running = boxes::ok(start_with(&setup, &["sleep", "60000"], late));
        let finished = boxes::ok(running.wait());
        assert_eq!(boxes::said(&finished), "", "it has begun");
        assert_judged(&finished, Verdict::IdleTimeLimit, Basis::IdleReading);
    });
}

/// Nor is there a verdict on a program that has not begun.
#[test]
fn a_start_that_dies_late_is_no_run() {
    if !can_run() {
        return;
    }
    for pause in [0, 300] {
        in_child(|| {
            let setup = reporting();
            let dies = |payload| {
                std::thread::sleep(host::patience(pause));
                sys::kill(payload, libc::SIGKILL);
            };
            let running = start_with(&setup, &["exit"], dies);
            match running.and_then(Running::wait) {
                Err(Error::Vanished) => {}
                other => panic!("{other:?}"),
            }
            assert_nothing_left(&setup);
        });
    }
}
