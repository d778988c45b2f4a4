//! Whatever ends a run, and whoever dies first, no process of it is left and no cgroup stays for long.

use std::{
    io::Read as _,
    os::fd::AsFd as _,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
    time::{Duration, Instant},
};

use sandbox_exec::{Basis, KillReason, Limits, Stdin, Verdict};
use sandbox_test_support::{
    Fork, boxes, host, in_child,
    leaks::{self, Snapshot},
    sys,
    watch::Watched,
};

const NEEDS: [&str; 3] = ["root", "memory", "pids"];

/// How many processes the family of sleepers has; with init that makes one more.
const SLEEPERS: &str = "10";
const PROCESSES: usize = 11;

/// A box with ten processes that each sleep for a minute, and what watches them.
#[track_caller]
fn family(limits: Limits) -> (sandbox_exec::Running, std::fs::File, Watched) {
    let (running, mut stdout) = boxes::start(limits, &["forks", SLEEPERS, "60"]);
    for _ in 0..10 {
        boxes::expect(&mut stdout, "sleeping\n");
    }
    let watched = Watched::boxes_of(std::process::id());
    assert_eq!(watched.count(), PROCESSES);
    watched.assert_alive();
    (running, stdout, watched)
}

#[test]
fn dropping_a_running_box_kills_all_of_it() {
    if !host::has(&NEEDS) {
        return;
    }
    in_child(|| {
        let before = Snapshot::take();
        let (running, stdout, watched) = family(boxes::limits());
        drop(running);
        watched.assert_dead_within(Duration::ZERO);
        drop((stdout, watched));
        Snapshot::take().assert_same(&before);
    });
}

#[test]
fn a_panic_of_the_embedder_kills_its_boxes() {
    if !host::has(&NEEDS) {
        return;
    }
    in_child(|| {
        let before = Snapshot::take();
        let mut seen = None;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let (_running, _stdout, watched) = family(boxes::limits());
            seen = Some(watched);
            // A panic without a message: this one is wanted.
            resume_unwind(Box::new(()));
        }));
        assert!(outcome.is_err());
        let watched = seen.expect("the box ran");
        watched.assert_dead_within(Duration::ZERO);
        drop(watched);
        Snapshot::take().assert_same(&before);
    });
}

#[test]
fn a_cancelled_run_ends_at_once_and_says_so() {
    if !host::has(&NEEDS) {
        return;
    }
    in_child(|| {
        let (running, _stdout, watched) = family(boxes::limits());
        let canceller = running.canceller();
        let other = thread::spawn(move || {
            canceller.clone().cancel();
            canceller.cancel();
            Instant::now()
        });
        let finished = boxes::ok(running.wait());
        let cancelled = other.join().expect("no panic");
        assert!(cancelled.elapsed() < host::patience(200));
        watched.assert_dead_within(Duration::ZERO);
        let judgement = finished.outcome.judgement;
        assert_eq!(
            (judgement.verdict, judgement.basis),
            (Verdict::Cancelled, Basis::KillRequest)
        );
        assert_eq!(finished.outcome.evidence.kill, Some(KillReason::Requested));
    });
}

#[test]
fn a_request_after_the_end_changes_nothing() {
    if !host::has(&NEEDS) {
        return;
    }
    in_child(|| {
        let (running, _stdout) = boxes::start(boxes::limits(), &["exit"]);
        let canceller = running.canceller();
        assert!(
            sys::readable(running.as_fd(), host::patience(5_000)),
            "it ends by itself"
        );
        let finished = boxes::ok(running.wait());
        canceller.cancel();
        assert_eq!(finished.outcome.judgement.verdict, Verdict::Ok);
    });
}

/// What main leaves behind in another session, with the streams open, dies with the run and does not delay its end.
#[test]
fn a_daemon_does_not_outlive_its_run() {
    if !host::has(&NEEDS) {
        return;
    }
    in_child(|| {
        let started = Instant::now();
        let (running, mut stdout) = boxes::start(boxes::limits(), &["daemon", "60"]);
        boxes::expect(&mut stdout, "daemon\n");
        let watched = Watched::boxes_of(std::process::id());
        let finished = boxes::ok(running.wait());
        assert!(
            started.elapsed() < host::patience(5_000),
            "nobody waited for the daemon"
        );
        watched.assert_dead_within(Duration::ZERO);
        assert_eq!(finished.outcome.judgement.verdict, Verdict::Ok);
        let mut rest = String::new();
        stdout
            .read_to_string(&mut rest)
            .expect("a pipe can be read");
        assert_eq!(rest, "", "the pipe has no writer left");
    });
}

/// An embedder that forgets its box, or hangs: init has a clock of its own.
#[test]
fn a_box_that_nobody_waits_for_ends_after_its_wall_limit() {
    if !host::has(&NEEDS) {
        return;
    }
    in_child(|| {
        let limit = Duration::from_millis(300);
        let started = Instant::now();
        let (running, _stdout, watched) = family(boxes::limits().wall_time(limit));
        let end = limit + Duration::from_secs(1);
        assert!(
            sys::readable(running.as_fd(), end + host::patience(1_000)),
            "it lives on"
        );
        watched.assert_dead_within(Duration::ZERO);
        assert!(started.elapsed() >= limit, "not before its time");
        let finished = boxes::ok(running.wait());
        assert_eq!(finished.outcome.judgement.verdict, Verdict::WallTimeLimit);
    });
}

/// An embedder that forks ten sleepers in a box, tells how it goes on, and waits to be killed.
fn embedder() -> (Fork, Watched) {
    let mut embedder = Fork::start(|pipe| {
        use std::io::Write as _;
        let (running, _stdout, _watched) = family(boxes::limits());
        pipe.write_all(b"ready").expect("the test listens");
        drop(running.wait().map(|finished| finished.outcome));
    });
    assert_eq!(embedder.read(5), b"ready");
    let watched = Watched::boxes_of(embedder.pid().unsigned_abs());
    assert_eq!(watched.count(), PROCESSES);
    watched.assert_alive();
    (embedder, watched)
}

/// By SIGKILL, or by a signal that it has no handler for: the boxes go with their embedder, and the next embedder removes
/// what is left of their cgroups. A living embedder's boxes are not touched by that.
#[test]
fn the_death_of_the_embedder_ends_its_boxes() {
    if !host::has(&NEEDS) {
        return;
    }
    let (living, other) = embedder();
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGINT, libc::SIGABRT] {
        let (dying, watched) = embedder();
        let creator = dying.pid().unsigned_abs();
        assert!(!leaks::cgroups_of(creator).is_empty());
        dying.kill_by(signal);
        watched.assert_dead_within(host::patience(100));

        leaks::collect(creator);
        other.assert_alive();
        assert!(!leaks::cgroups_of(living.pid().unsigned_abs()).is_empty());
    }
    let creator = living.pid().unsigned_abs();
    living.kill_by(libc::SIGKILL);
    other.assert_dead_within(host::patience(100));
    leaks::collect(creator);
}

/// An embedder may die at any moment of a start; what it was about to start dies too.
#[test]
fn the_death_of_the_embedder_during_starts_leaves_no_process() {
    if !host::has(&NEEDS) {
        return;
    }
    for round in 0..20_u32 {
        let mut dying = Fork::start(|pipe| {
            use std::io::Write as _;
            let sandbox = boxes::sandbox(&["sleep", "60000"]);
            pipe.write_all(b"x").expect("the test listens");
            let mut boxes = Vec::new();
            loop {
                let started = sandbox.spawn(Stdin::Null, boxes::capture(), boxes::capture());
                boxes.push(started.expect("it starts"));
            }
        });
        assert_eq!(dying.read(1), b"x");
        // A start takes some milliseconds: the kills fall on its parts evenly.
        thread::sleep(Duration::from_micros(500 * u64::from(round)));
        let creator = dying.pid().unsigned_abs();
        sys::stop(dying.pid());
        let watched = Watched::boxes_of(creator);
        dying.kill_by(libc::SIGKILL);
        watched.assert_dead_within(host::patience(100));
        leaks::collect(creator);
    }
}
