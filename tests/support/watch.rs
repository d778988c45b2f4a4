//! Processes watched from outside, by descriptors that no reuse of a pid can fool.

use std::{
    fs,
    io::Write as _,
    os::fd::{AsFd as _, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use crate::{Fork, host, in_child, leaks, sys};

/// Every process of the boxes that some process runs: their inits, and what is in their cgroups.
#[derive(Debug)]
pub struct Watched(Vec<(i32, OwnedFd)>);

impl Watched {
    /// The boxes of the process `embedder`, as they are now.
    #[must_use]
    pub fn boxes_of(embedder: u32) -> Self {
        let mut pids = leaks::members(&leaks::cgroups_of(embedder));
        for task in fs::read_dir(format!("/proc/{embedder}/task")).expect("it lives") {
            let file = task.expect("listable").path().join("children");
            let children = fs::read_to_string(file).expect("readable");
            pids.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<i32>().ok()),
            );
        }
        pids.sort_unstable();
        pids.dedup();
        Self(
            pids.into_iter()
                .map(|pid| (pid, sys::pidfd_open(pid)))
                .collect(),
        )
    }

    /// The boxes of this process, when init and payload of all of them are there: `count` processes.
    ///
    /// # Panics
    /// Where there are never so many.
    #[must_use]
    #[track_caller]
    pub fn await_own(count: usize) -> Self {
        let deadline = Instant::now() + host::patience(5_000);
        loop {
            let watched = Self::boxes_of(std::process::id());
            if watched.count() == count {
                return watched;
            }
            assert!(Instant::now() < deadline, "{} processes", watched.count());
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Fails where one of them still lives after this time.
    #[track_caller]
    pub fn assert_dead_within(&self, time: Duration) {
        let deadline = Instant::now() + time;
        for (pid, pidfd) in &self.0 {
            let rest = deadline.saturating_duration_since(Instant::now());
            assert!(sys::readable(pidfd.as_fd(), rest), "process {pid} lives on");
        }
    }

    /// Kills each of them.
    pub fn kill(&self) {
        for (_, pidfd) in &self.0 {
            sys::pidfd_kill(pidfd);
        }
    }

    /// Fails where one of them is dead.
    #[track_caller]
    pub fn assert_alive(&self) {
        for (pid, pidfd) in &self.0 {
            assert!(
                !sys::readable(pidfd.as_fd(), Duration::ZERO),
                "process {pid} is dead"
            );
        }
    }
}

/// Boxes that wait in an embedder, `processes` in all, end when it is killed, and the next embedder removes what they leave.
#[track_caller]
pub fn assert_waiting_boxes_end_with_the_embedder<T>(processes: usize, make: impl FnOnce() -> T) {
    let mut embedder = Fork::start(|pipe| {
        let _boxes = make();
        drop(Watched::await_own(processes));
        pipe.write_all(b"x").expect("the test listens");
        loop {
            sys::pause();
        }
    });
    assert_eq!(embedder.read(1), b"x");
    let creator = embedder.pid().unsigned_abs();
    let watched = Watched::boxes_of(creator);
    assert_eq!(watched.count(), processes);
    watched.assert_alive();
    embedder.kill_by(libc::SIGKILL);
    watched.assert_dead_within(host::patience(100));
    in_child(|| leaks::collect(creator));
}
