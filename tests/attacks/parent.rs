//! The death of the embedder.

use core::time::Duration;
use std::{io::Write as _, os::fd::AsFd as _, time::Instant};

use sandbox_exec::{Identity, Output, Stdin};
use sandbox_test_support::{Fork, Setup, boxes, host, leaks, outside, sys};

use crate::can_run;

/// How long the box may outlive its embedder.
fn patience() -> Duration {
    host::patience(200)
}

fn wait_for_none(uid: u32) -> bool {
    let started = Instant::now();
    loop {
        if outside::processes_of(uid).is_empty() {
            return true;
        }
        if started.elapsed() > patience() {
            return false;
        }
        std::thread::yield_now();
    }
}

#[test]
fn the_box_dies_with_its_embedder() {
    if !can_run() {
        return;
    }
    let setup = Setup::new();
    let Identity { uid, .. } = setup.identity;
    let mut embedder = Fork::start(|pipe| {
        // No limit of time may end it: only the death of this process.
        let unlimited = setup.clone().limits(|limits| limits.wall_time = None);
        let mut running = unlimited.live(&["forks", "20", "60"]);
        for _ in 0..20 {
            assert_eq!(running.line(), "sleeping");
        }
        pipe.write_all(b"x").expect("the test lives");
        std::thread::sleep(Duration::from_secs(60));
    });
    assert_eq!(embedder.read(1), b"x");
    assert_eq!(outside::processes_of(uid).len(), 20, "the box is at work");
    let pid = embedder.pid();
    embedder.kill_by(libc::SIGKILL);
    assert!(
        wait_for_none(uid),
        "still there: {:?}",
        outside::processes_of(uid)
    );
    // What it left is empty, and the next sandbox that anybody makes sweeps it away.
    drop(setup.sandbox(&["exit"]));
    assert_eq!(
        leaks::cgroups_of(pid.unsigned_abs()),
        [] as [std::path::PathBuf; 0]
    );
}

#[test]
fn outside_of_a_box_it_would_live_on() {
    if !can_run() {
        return;
    }
    let uid = Setup::new().identity.uid;
    let mut parent = Fork::start(|pipe| {
        let mut child = outside::start(uid, &["sleep", "20000"]);
        pipe.write_all(&child.id().to_ne_bytes())
            .expect("the test lives");
        child.wait().expect("our child");
    });
    let pid = parent
        .read(4)
        .try_into()
        .map(i32::from_ne_bytes)
        .expect("four bytes");
    parent.kill_by(libc::SIGKILL);
    assert!(!wait_for_none(uid), "the twin outlives its parent");
    sys::kill(pid, libc::SIGKILL);
}

/// Whether a box with this limit of wall time, for which nobody waits, is over a second and a half after 200 ms.
fn ends_by_itself(limit: Option<Duration>) -> bool {
    let mut setup = Setup::new().limits(|limits| limits.wall_time = limit);
    let uid = setup.identity.uid;
    setup.limits.output = None;
    let running = setup
        .sandbox(&["sleep", "60000"])
        .spawn(Stdin::Null, Output::Null, Output::Null);
    let running = running.unwrap_or_else(|error| panic!("{}", boxes::full(&error)));
    assert_eq!(outside::processes_of(uid).len(), 1, "it is at work");
    // A second after its limit, init makes an end.
    let over = sys::readable(running.as_fd(), WALL + host::patience(1500));
    assert_eq!(outside::processes_of(uid).is_empty(), over);
    drop(running);
    assert_eq!(outside::processes_of(uid), []);
    over
}

const WALL: Duration = Duration::from_millis(200);

#[test]
fn a_box_that_nobody_watches_ends_by_itself() {
    if !can_run() {
        return;
    }
    assert!(ends_by_itself(Some(WALL)), "it has not ended");
    // The twin has no clock, and lives until it is dropped.
    assert!(!ends_by_itself(None), "what has ended it?");
}
