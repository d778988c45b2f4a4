//! A box that is made before its run: it waits without a trace in the outcome, and goes with whoever made it.

use std::{fs, os::fd::AsFd as _, thread, time::Duration};

use sandbox_exec::{
    Error, Finished, MountFlags, Prepared, Reading, Running, Sandbox, Stage, Stdin, Verdict,
};
use sandbox_test_support::{
    boxes::{self, capture},
    host, in_child, leaks, sys,
    watch::{self, Watched},
};

const NEEDS: [&str; 3] = ["root", "memory", "pids"];

fn prepare(sandbox: &Sandbox) -> Prepared {
    boxes::ok(sandbox.prepare())
}

/// The run of a prepared box.
fn finish(prepared: Prepared, input: Stdin) -> Finished {
    let running = prepared.spawn(input, capture(), capture());
    boxes::ok(running.and_then(Running::wait))
}

#[test]
fn the_time_before_the_run_is_not_the_runs() {
    if !host::has(&NEEDS) {
        return;
    }
    in_child(|| {
        let wall = host::patience(500);
        let limits = boxes::limits().wall_time(wall);
        let sandbox = boxes::builder(limits)
            .command(&boxes::command(&["exit"]))
            .expect("compiles");
        let prepared = prepare(&sandbox);
        thread::sleep(wall * 3);
        let outcome = finish(prepared, Stdin::Null).outcome;
        assert_eq!(outcome.judgement.verdict, Verdict::Ok, "{outcome:?}");
        assert!(outcome.evidence.wall_time < wall);
        let Reading::Value(cpu) = outcome.evidence.cpu_time else {
            panic!("{:?}", outcome.evidence.cpu_time)
        };
        assert!(cpu < wall);
        let mut proved = outcome.evidence.proved;
        proved.push(Stage::Landlock);
        proved.sort_unstable();
        assert_eq!(proved, Stage::ALL, "nobody asks for Landlock");
    });
}

#[test]
fn several_wait_at_once_and_each_has_its_own_run() {
    if !host::has(&NEEDS) {
        return;
    }
    leaks::leaving_nothing(|| {
        let sandbox = boxes::sandbox(&["cat"]);
        let first = prepare(&sandbox);
        let second = prepare(&sandbox);
        let watched = Watched::await_own(4);
        let said = |prepared: Prepared, text: &str| {
            boxes::said(&finish(prepared, Stdin::Bytes(text.into())))
        };
        assert_eq!(said(second, "two"), "two");
        assert_eq!(said(first, "one"), "one");
        watched.assert_dead_within(Duration::ZERO);
    });
}

#[test]
fn a_box_that_never_runs_leaves_nothing() {
    if !host::has(&NEEDS) {
        return;
    }
    leaks::leaving_nothing(|| {
        let sandbox = boxes::sandbox(&["exit"]);
        let prepared = prepare(&sandbox);
        let watched = Watched::await_own(2);
        drop(prepared);
        watched.assert_dead_within(Duration::ZERO);
    });
}

#[test]
fn a_waiting_box_ends_with_the_embedder() {
    if !host::has(&NEEDS) {
        return;
    }
    watch::assert_waiting_boxes_end_with_the_embedder(2, || prepare(&boxes::sandbox(&["exit"])));
}

#[test]
fn what_is_written_before_the_run_is_read_in_it() {
    if !host::has(&NEEDS) {
        return;
    }
    let file = std::env::temp_dir().join(format!("sandbox-tests-{}-late", std::process::id()));
    fs::write(&file, "early").expect("a fresh name");
    in_child(|| {
        let sandbox = Sandbox::builder()
            .root(boxes::root().bind(&file, "file", MountFlags::empty()))
            .identity(boxes::identity())
            .limits(boxes::limits())
            .policy(sandbox_exec::Policy::judge())
            .command(&boxes::command(&["read", "/file"]))
            .expect("compiles");
        let prepared = prepare(&sandbox);
        fs::write(&file, "late").expect("own file");
        assert!(boxes::said(&finish(prepared, Stdin::Null)).contains("late"));
    });
    fs::remove_file(&file).expect("own file");
}

#[test]
fn what_fails_while_it_waits_is_told_at_the_run() {
    if !host::has(&NEEDS) {
        return;
    }
    leaks::leaving_nothing(|| {
        let sandbox = boxes::builder(boxes::limits())
            .command(&boxes::command(&["exit"]).work_dir("/nowhere"))
            .expect("compiles");
        let prepared = prepare(&sandbox);
        match prepared.spawn(Stdin::Null, capture(), capture()) {
            Err(Error::Setup(failure)) => assert_eq!(failure.stage, Stage::WorkDir),
            other => panic!("{other:?}"),
        }
        drop(sandbox);
        let sandbox = boxes::sandbox(&["exit"]);
        let prepared = prepare(&sandbox);
        let watched = Watched::await_own(2);
        watched.kill();
        assert!(sys::readable(prepared.as_fd(), host::patience(5_000)));
        match prepared.spawn(Stdin::Null, capture(), capture()) {
            Err(Error::Vanished) => {}
            other => panic!("{other:?}"),
        }
    });
}
