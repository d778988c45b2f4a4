//! Killing what runs in a group, and removing the group.

use core::time::Duration;
use std::{
    fs::{self, File},
    io::Read as _,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use sandbox_core::{Errno, HierarchyVersion};

use crate::{Error, node, sys};

/// How long dying processes get. The exit of one with gigabytes of memory takes some 100 ms.
const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// A tree that still lives after so many rounds forks as fast as we kill.
const ROUNDS_BEFORE_FORKS_STOP: u32 = 8;

/// Kills every process in these groups and waits until none is left.
///
/// By `cgroup.kill` where there is one (Linux 5.14, v2), which no fork escapes; then, on v1 always, process by process.
pub(crate) fn tree(groups: &[&Path]) -> Result<(), Error> {
    let at_once = node::is_used(|host| host.cgroup_kill);
    for group in groups.iter().filter(|_| at_once) {
        match node::write(&group.join("cgroup.kill"), "1") {
            Ok(()) => {}
            Err(error) if error.errno() == Some(Errno::from_raw(libc::ENOENT)) => {}
            Err(error) => return Err(error),
        }
    }
    let deadline = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    for round in 1_u32.. {
        if round == ROUNDS_BEFORE_FORKS_STOP {
            stop_forks(groups)?;
        }
        let mut left = None;
        let mut last = None;
        for group in groups {
            let found = members(group)?;
            if !found.is_empty() {
                left = Some(*group);
                last = kill_members(group, &found)?.or(last);
            }
        }
        let Some(left) = left else { return Ok(()) };
        if Instant::now() >= deadline {
            let source = Errno::from_raw(libc::ETIMEDOUT);
            return Err(Error::Kill {
                path: left.to_owned(),
                source,
            });
        }
        match last {
            // Readable when the process has ended.
            Some(pidfd) => sys::wait_for(pidfd.as_fd(), libc::POLLIN, 10),
            None => thread::sleep(pause),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

/// The processes of a group. 0 stands for one of a process id namespace that is not visible here.
pub(crate) fn members(group: &Path) -> Result<Vec<i32>, Error> {
    let path = group.join("cgroup.procs");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
        Err(error) if node::is_gone(&error) => Ok(Vec::new()),
        Err(error) => Err(Error::read(path)(error)),
    }
}

/// Sends `SIGKILL` to each of `pids` that is a member; returns the last one for waiting.
///
/// An id may be given to a stranger between the look at the group and the signal. So the process is pinned first and the
/// group read again: an id that is still listed belongs to the pinned process, or the pinned process is dead, and
/// signalling it hits nobody.
fn kill_members(group: &Path, pids: &[i32]) -> Result<Option<OwnedFd>, Error> {
    let pinned: Vec<(i32, OwnedFd)> = pids
        .iter()
        .filter(|pid| **pid > 0)
        .filter_map(|pid| sys::pidfd_open(*pid).ok().map(|pidfd| (*pid, pidfd)))
        .collect();
    let still = members(group)?;
    let mut last = None;
    for (_, pidfd) in pinned.into_iter().filter(|(pid, _)| still.contains(pid)) {
        match sys::pidfd_kill(pidfd.as_fd()) {
            Ok(()) => last = Some(pidfd),
            Err(errno) if errno.raw() == libc::ESRCH => {}
            Err(source) => {
                return Err(Error::Kill {
                    path: group.to_owned(),
                    source,
                });
            }
        }
    }
    Ok(last)
}

/// Forbids new processes where one of the groups has the pids controller. Late, because it changes `pids.events`.
fn stop_forks(groups: &[&Path]) -> Result<(), Error> {
    let files: Vec<PathBuf> = groups.iter().map(|group| group.join("pids.max")).collect();
    for file in files.iter().filter(|file| file.exists()) {
        node::write(file, "0")?;
    }
    Ok(())
}

/// Removes a group; what still runs in it is killed.
///
/// `rmdir` says `EBUSY` for a moment after the last process has ended, so it is tried again until [`PATIENCE`] is over.
pub(crate) fn remove(group: &Path, version: HierarchyVersion) -> Result<(), Error> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        match fs::remove_dir(group) {
            Ok(()) => return Ok(()),
            Err(error) if node::is_gone(&error) => return Ok(()),
            Err(error)
                if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < deadline =>
            {
                if !members(group)?.is_empty() {
                    tree(&[group])?;
                }
            }
            Err(error) => {
                return Err(Error::Remove {
                    path: group.to_owned(),
                    source: Errno::from_io(&error),
                });
            }
        }
        wait_for_change(group, version, pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Waits for `cgroup.events` to change (v2) or for `pause`.
fn wait_for_change(group: &Path, version: HierarchyVersion, pause: Duration) {
    if version == HierarchyVersion::V2 {
        let mut text = String::new();
        // A change is one since the last read of the same descriptor.
        if let Ok(mut events) = File::open(group.join("cgroup.events")) {
            if events.read_to_string(&mut text).is_ok() && text.contains("populated 1") {
                return sys::wait_for(events.as_fd(), libc::POLLPRI, 10);
            }
        }
    }
    thread::sleep(pause);
}
