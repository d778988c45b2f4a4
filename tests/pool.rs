//! Boxes that a thread makes ahead: each run has one of its own, and the pool takes with it whatever waits.

use std::{
    num::NonZeroUsize,
    os::fd::{AsFd as _, AsRawFd as _},
    thread,
    time::{Duration, Instant},
};

use sandbox_exec::{
    Error, Finished, Output, Pool, Running, Sandbox, Stage, Stdin, UidPool, Verdict,
};
use sandbox_test_support::{
    Setup,
    boxes::{self, capture},
    host, leaks,
    watch::{self, Watched},
};

const NEEDS: [&str; 3] = ["root", "memory", "pids"];

fn pool(sandbox: &Sandbox, size: usize) -> Pool {
    let size = NonZeroUsize::new(size).expect("a pool holds something");
    boxes::ok(sandbox.pool(size))
}

fn spawn(pool: &Pool) -> Result<Running, Error> {
    pool.spawn(Stdin::Null, capture(), capture())
}

fn run(pool: &Pool) -> Finished {
    boxes::ok(spawn(pool).and_then(Running::wait))
}

#[track_caller]
fn await_ready(pool: &Pool, count: usize) {
    let deadline = Instant::now() + host::patience(5_000);
    while pool.ready() != count {
        assert!(Instant::now() < deadline, "{} are ready", pool.ready());
        thread::sleep(Duration::from_millis(1));
    }
}

/// The process that a pidfd is for.
fn pid(running: &Running) -> i32 {
    let info = format!("/proc/self/fdinfo/{}", running.as_fd().as_raw_fd());
    let info = std::fs::read_to_string(info).expect("own descriptor");
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    pid.and_then(|pid| pid.trim().parse().ok())
        .expect("a pidfd")
}

#[test]
fn a_run_takes_a_box_that_was_ready_and_another_takes_its_place() {
    if !host::has(&NEEDS) {
        return;
    }
    leaks::leaving_nothing(|| {
        let sandbox = boxes::sandbox(&["exit"]);
        let pool = pool(&sandbox, 2);
        await_ready(&pool, 2);
        drop(Watched::await_own(4));
        let waiting = leaks::children();
        for round in 0..5 {
            let running = spawn(&pool).expect("spawns");
            // Twin: the box of a run from nothing is none of those that wait.
            let fresh = sandbox
                .spawn(Stdin::Null, Output::Null, Output::Null)
                .expect("spawns");
            assert!(!waiting.contains(&pid(&fresh)));
            if round < 2 {
                assert!(waiting.contains(&pid(&running)), "{round}: made anew");
            } else {
                assert!(!waiting.contains(&pid(&running)), "{round}: used twice");
            }
            for running in [running, fresh] {
                let outcome = running.wait().expect("waits").outcome;
                assert_eq!(outcome.judgement.verdict, Verdict::Ok, "{outcome:?}");
            }
            await_ready(&pool, 2);
        }
    });
}

#[test]
fn more_runs_than_boxes_wait_for_nobody() {
    if !host::has(&NEEDS) {
        return;
    }
    leaks::leaving_nothing(|| {
        let sandbox = boxes::sandbox(&["exit"]);
        let pool = pool(&sandbox, 2);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let outcome = run(&pool).outcome;
                        assert_eq!(outcome.judgement.verdict, Verdict::Ok, "{outcome:?}");
                    }
                });
            }
        });
        // A run that does not end does not keep the pool from filling.
        let sleepers = boxes::sandbox(&["sleep", "60000"]);
        let other = sleepers.pool(NonZeroUsize::MIN).expect("makes a pool");
        let running = [spawn(&other), spawn(&other), spawn(&other)];
        await_ready(&other, 1);
        assert!(running.iter().all(Result::is_ok));
    });
}

#[test]
fn what_runs_outlives_the_pool_and_what_waits_does_not() {
    if !host::has(&NEEDS) {
        return;
    }
    leaks::leaving_nothing(|| {
        let sandbox = boxes::sandbox(&["sleep", "200"]);
        let pool = pool(&sandbox, 3);
        await_ready(&pool, 3);
        let waiting = Watched::await_own(6);
        let running = spawn(&pool).expect("spawns");
        drop(pool);
        leaks::await_single_thread();
        drop(Watched::await_own(2));
        let outcome = running.wait().expect("waits").outcome;
        assert_eq!(outcome.judgement.verdict, Verdict::Ok, "{outcome:?}");
        waiting.assert_dead_within(Duration::ZERO);
    });
}

#[test]
fn the_boxes_end_with_the_embedder() {
    if !host::has(&NEEDS) {
        return;
    }
    watch::assert_waiting_boxes_end_with_the_embedder(4, || {
        let pool = pool(&boxes::sandbox(&["exit"]), 2);
        await_ready(&pool, 2);
        pool
    });
}

#[test]
fn a_box_that_was_killed_while_it_waited_is_replaced() {
    if !host::has(&NEEDS) {
        return;
    }
    leaks::leaving_nothing(|| {
        let sandbox = boxes::sandbox(&["exit"]);
        let pool = pool(&sandbox, 2);
        await_ready(&pool, 2);
        let watched = Watched::await_own(4);
        watched.kill();
        watched.assert_dead_within(host::patience(1_000));
        assert_eq!(run(&pool).outcome.judgement.verdict, Verdict::Ok);
        await_ready(&pool, 2);
    });
}

#[test]
fn what_cannot_be_made_is_told_to_who_wants_it() {
    if !host::has(&NEEDS) {
        return;
    }
    leaks::leaving_nothing(|| {
        let sandbox = boxes::builder(boxes::limits())
            .command(&boxes::command(&["exit"]).work_dir("/nowhere"))
            .expect("compiles");
        let no_place = pool(&sandbox, 1);
        for _ in 0..3 {
            match spawn(&no_place) {
                Err(Error::Setup(failure)) => assert_eq!(failure.stage, Stage::WorkDir),
                other => panic!("{other:?}"),
            }
        }
        drop((no_place, sandbox));

        // One id for a pool of two: the second box cannot be made as long as the first waits or runs.
        let directory = tempfile::tempdir().expect("a temporary directory");
        let ids = UidPool::open(directory.path(), 1_900_000_900..=1_900_000_900).expect("free");
        let sandbox = Setup::new().in_pool(&ids).sandbox(&["exit"]);
        let two = pool(&sandbox, 2);
        await_ready(&two, 1);
        for _ in 0..3 {
            let running = spawn(&two).expect("the id is free");
            match spawn(&two) {
                Err(Error::UidsInUse { .. }) => {}
                other => panic!("{other:?}"),
            }
            let outcome = running.wait().expect("waits").outcome;
            assert_eq!(outcome.judgement.verdict, Verdict::Ok, "{outcome:?}");
        }
    });
}
