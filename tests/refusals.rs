//! What is asked for and cannot be: errors that say whose fault it is. And what is over is not blamed afterwards.

use std::{
    os::fd::{AsFd as _, AsRawFd as _},
    thread,
};

use sandbox_exec::{Basis, Bytes, Error, Output, RootSpec, Running, Stage, Stdin, Verdict};
use sandbox_test_support::{assert_judged, boxes, host};

fn spawned(sandbox: &sandbox_exec::Sandbox) -> Result<Running, Error> {
    sandbox.spawn(Stdin::Null, Output::Null, Output::Null)
}

/// Waits until no process of the box is left, without looking at it otherwise.
#[expect(unsafe_code, reason = "poll of one descriptor")]
fn await_end(running: &Running) {
    let mut fd = libc::pollfd {
        fd: running.as_fd().as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one live pollfd.
    let ready = unsafe { libc::poll(&raw mut fd, 1, 20_000) };
    assert_eq!(ready, 1, "the box ends by itself");
}

#[test]
fn a_memory_limit_that_starts_nothing_is_named() {
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    let limit = Bytes::kib(64);
    let small = boxes::builder(boxes::limits().memory(limit));
    let sandbox = small
        .command(&boxes::command(&["cat"]))
        .expect("it compiles");
    let mut named = 0;
    for _ in 0..10 {
        match spawned(&sandbox) {
            Err(Error::MemoryTooSmall { limit: told }) if told == limit => named += 1,
            Err(other) => panic!("{other}"),
            // What the kernel has charged ahead brings one in a hundred as far as `execve`, and no further.
            Ok(running) => {
                let finished = running.wait().expect("watched");
                assert_judged(&finished, Verdict::MemoryLimit, Basis::OomKill);
            }
        }
    }
    assert!(named >= 8, "{named} of 10");
    // The twin: with the ordinary limit the same program starts.
    let finished = boxes::finish(&boxes::sandbox(&["cat"]));
    assert_eq!(finished.outcome.judgement.verdict, Verdict::Ok);
}

#[test]
fn a_failed_start_says_whether_the_program_is_at_fault() {
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    let fault = |command| {
        let sandbox = boxes::builder(boxes::limits())
            .command(&command)
            .expect("it compiles");
        match spawned(&sandbox) {
            Err(Error::Setup(failure)) => (failure.stage, failure.is_the_programs_fault()),
            other => panic!("{other:?}"),
        }
    };
    let missing = sandbox_exec::Command::new("/nowhere");
    assert_eq!(fault(missing), (Stage::WorkDir, true));
    let elsewhere = boxes::command(&["cat"]).work_dir("/nowhere");
    assert_eq!(fault(elsewhere), (Stage::WorkDir, false));
    let no_program = sandbox_exec::Command::new("/usr/bin");
    assert_eq!(fault(no_program), (Stage::Execve, true));
}

#[test]
fn a_run_that_is_over_is_neither_late_nor_cancelled() {
    if !host::has(&["root", "memory", "pids"]) {
        return;
    }
    let wall = host::patience(300);
    let builder = boxes::builder(boxes::limits().wall_time(wall));
    let sandbox = builder
        .command(&boxes::command(&["cat"]))
        .expect("it compiles");
    for cancel in [false, true] {
        let running = spawned(&sandbox).expect("it starts");
        await_end(&running);
        if cancel {
            running.canceller().cancel();
        } else {
            // The clock that wait() looks at first is past the limit; the program was not.
            thread::sleep(wall + wall / 4);
        }
        let finished = running.wait().expect("it was watched");
        assert_eq!(finished.outcome.evidence.kill, None, "cancelled: {cancel}");
        let judgement = finished.outcome.judgement;
        assert_eq!(
            (judgement.verdict, judgement.basis),
            (Verdict::Ok, Basis::ExitStatus)
        );
    }
}

#[test]
fn more_kept_directories_than_a_start_can_send_are_refused() {
    let kept = |count: usize| {
        let root = RootSpec::new(boxes::QUOTA);
        (0..count)
            .fold(root, |root, i| {
                root.dir(format!("d{i}")).keep(format!("d{i}"))
            })
            .prepare()
    };
    assert!(kept(32).is_ok());
    let error = kept(33).expect_err("their descriptors would fill the socket");
    assert!(error.to_string().contains("kept directories"), "{error}");
}
