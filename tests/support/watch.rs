//! Processes watched from outside, by descriptors that no reuse of a pid can fool.

use std::{
    fs,
    os::fd::{AsFd as _, OwnedFd},
    time::{Duration, Instant},
};

use crate::{leaks, sys};

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
