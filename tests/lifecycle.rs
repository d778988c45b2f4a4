//! The embedder is as it was before, whatever it looked like and however the run ended.

use std::{
    os::fd::AsFd as _,
    thread,
    time::{Duration, Instant},
};

use sandbox_exec::{Error, Exit, Output, Stdin, Verdict};
use sandbox_test_support::{
    boxes::{self, capture},
    host, in_child,
    leaks::{self, Snapshot},
    sys,
    watch::Watched,
};

const NEEDS: [&str; 3] = ["root", "memory", "pids"];

/// A run that fails to start, one that ends by itself, one that is killed, one that is dropped: each leaves no trace.
fn every_kind_of_run() {
    let good = boxes::sandbox(&["exit"]);
    let slow = boxes::builder(boxes::limits().wall_time(Duration::from_millis(20)))
        .command(&boxes::command(&["sleep", "10000"]))
        .expect("a good command");
    let bad = boxes::builder(boxes::limits())
        .command(&boxes::command(&["exit"]).work_dir("/nowhere"))
        .expect("checked when it starts");
    let before = Snapshot::take();

    let finished = boxes::finish(&good);
    assert_eq!(boxes::said(&finished), "");
    assert_eq!(finished.outcome.judgement.verdict, Verdict::Ok);
    assert_eq!(finished.outcome.evidence.exit, Some(Exit::Code(0)));
    Snapshot::take().assert_same(&before);

    let killed = boxes::finish(&slow);
    assert_eq!(killed.outcome.judgement.verdict, Verdict::WallTimeLimit);
    Snapshot::take().assert_same(&before);

    assert!(bad.run(Stdin::Null, boxes::KEEP).is_err());
    Snapshot::take().assert_same(&before);

    let (read, write) = sys::pipe();
    let uncounted = slow.spawn(Stdin::Null, Output::Fd(write), Output::Null);
    assert!(matches!(uncounted, Err(Error::OutputNotCaptured { .. })));
    drop(read);
    drop(
        slow.spawn(Stdin::Bytes(vec![7; 1 << 20]), capture(), capture())
            .expect("it starts"),
    );
    Snapshot::take().assert_same(&before);
    assert_eq!(sys::wait_any(), Err(libc::ECHILD), "nothing to wait for");
}

#[test]
fn an_ordinary_embedder_is_as_it_was() {
    if host::has(&NEEDS) {
        in_child(every_kind_of_run);
    }
}

#[test]
fn an_embedder_in_an_odd_state_is_as_it_was() {
    if !host::has(&NEEDS) {
        return;
    }
    in_child(|| {
        sys::umask(0o077);
        std::env::set_current_dir("/proc").expect("a directory");
        for signal in [
            libc::SIGTERM,
            libc::SIGCHLD,
            libc::SIGUSR1,
            libc::SIGRTMIN(),
        ] {
            sys::block_signal(signal);
        }
        sys::set_disposition(libc::SIGPIPE, libc::SIG_DFL);
        sys::set_disposition(libc::SIGHUP, libc::SIG_IGN);
        sys::prctl(libc::PR_SET_DUMPABLE, 0);
        sys::prctl(libc::PR_SET_PDEATHSIG, 9);
        every_kind_of_run();
        assert_eq!(sys::prctl(libc::PR_GET_DUMPABLE, 0), 0);
    });
}

/// With SIGCHLD ignored the kernel reaps children by itself; the box must not lose its exit status by that.
#[test]
fn an_embedder_that_ignores_sigchld_gets_exit_statuses() {
    if !host::has(&NEEDS) {
        return;
    }
    in_child(|| {
        sys::set_disposition(libc::SIGCHLD, libc::SIG_IGN);
        every_kind_of_run();
        let finished = boxes::run(&["exit", "7"]);
        assert_eq!(finished.outcome.evidence.exit, Some(Exit::Code(7)));
    });
}

/// The numbers 0 to 2 are free then, and the next descriptors that anybody makes would get them.
#[test]
fn an_embedder_without_standard_streams_keeps_none() {
    if !host::has(&NEEDS) {
        return;
    }
    for closed in [&[0][..], &[1], &[2], &[0, 1, 2]] {
        in_child(|| {
            for fd in closed {
                sys::close(*fd);
            }
            every_kind_of_run();
            let finished = boxes::finish(&boxes::sandbox(&["exit", "3"]));
            assert_eq!(finished.stdout, boxes::STARTED.as_bytes());
            assert_eq!(finished.outcome.evidence.exit, Some(Exit::Code(3)));
        });
    }
}

#[test]
fn no_child_is_visible_to_the_embedders_own_wait() {
    if !host::has(&NEEDS) {
        return;
    }
    in_child(|| {
        let (running, _stdout) = boxes::start(boxes::limits(), &["sleep", "60000"]);
        assert_eq!(sys::wait_any(), Err(libc::ECHILD));
        running.canceller().cancel();
        assert!(running.wait().is_ok());
        assert_eq!(sys::wait_any(), Err(libc::ECHILD));
    });
}

/// An embedder that is PID 1 of a container reaps whatever there is, boxes too.
#[test]
fn an_embedder_that_reaps_everything_loses_no_outcome() {
    if !host::has(&NEEDS) {
        return;
    }
    in_child(|| {
        let before = Snapshot::take();
        let (running, stdout) = boxes::start(boxes::limits(), &["exit", "5"]);
        assert!(sys::wait_for_all_kinds() > 0);
        let finished = running
            .wait()
            .unwrap_or_else(|error| panic!("{}", boxes::full(&error)));
        assert_eq!(finished.outcome.evidence.exit, Some(Exit::Code(5)));
        drop(stdout);
        Snapshot::take().assert_same(&before);
    });
}

/// The parent-death signal of Linux fires when the *thread* ends that cloned. A box must not care.
#[test]
fn the_thread_that_started_a_box_may_end() {
    if !host::has(&NEEDS) {
        return;
    }
    in_child(|| {
        let start = || boxes::start(boxes::limits(), &["sleep", "60000"]);
        let (running, _stdout) = thread::spawn(start).join().expect("it starts");
        let watched = Watched::boxes_of(std::process::id());
        assert!(watched.count() >= 2, "init and the payload");
        assert!(
            !sys::readable(running.as_fd(), Duration::from_millis(50)),
            "the box goes on"
        );
        watched.assert_alive();
        running.canceller().cancel();
        let finished = thread::spawn(|| running.wait()).join().expect("no panic");
        let finished = finished.unwrap_or_else(|error| panic!("{}", boxes::full(&error)));
        assert_eq!(finished.outcome.judgement.verdict, Verdict::Cancelled);
        watched.assert_dead_within(Duration::ZERO);
    });
}

/// Boxes of one sandbox at the same time, from several threads: nothing is shared, each gets its own output.
#[test]
fn one_sandbox_serves_several_threads() {
    if !host::has(&NEEDS) {
        return;
    }
    in_child(|| {
        let before = Snapshot::take();
        let sandbox = boxes::sandbox(&["cat"]);
        let work = |number: u8| {
            let sandbox = sandbox.clone();
            move || {
                for round in 0..10_u8 {
                    let text = format!("box {number} round {round}\n");
                    let stdin = Stdin::Bytes(text.clone().into_bytes());
                    let finished = sandbox.run(stdin, boxes::KEEP).expect("it runs");
                    assert_eq!(boxes::said(&finished), text);
                }
            }
        };
        // Joined one by one: a scope would let go while a thread is still on its way out.
        let threads: Vec<_> = (0..4).map(|number| thread::spawn(work(number))).collect();
        for thread in threads {
            thread.join().expect("no panic");
        }
        leaks::await_single_thread();
        drop(sandbox);
        Snapshot::take().assert_same(&before);
    });
}

#[test]
fn a_thousand_runs_leave_nothing() {
    if !host::has(&NEEDS) {
        return;
    }
    // What each run leaves adds up, so fewer show it too where each takes a third of a second.
    let runs = if host::is_emulated() { 100 } else { 1_000 };
    in_child(|| {
        let sandbox = boxes::sandbox(&["exit"]);
        let before = Snapshot::take();
        let started = Instant::now();
        for number in 0..runs {
            let finished = boxes::finish(&sandbox);
            let verdict = finished.outcome.judgement.verdict;
            assert_eq!(verdict, Verdict::Ok, "run {number}: {:?}", finished.outcome);
        }
        Snapshot::take().assert_same(&before);
        assert!(
            started.elapsed() < Duration::from_secs(300),
            "a leak shows as slowness too"
        );
    });
}
