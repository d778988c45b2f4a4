//! Trying things in throw-away copies of the process.

use core::fmt;
use std::{
    fs::File,
    io::Read as _,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
};

use sandbox_core::{Errno, Host};
use sandbox_ns::{NamespacePlan, NamespaceSpec, Namespaces, UserMap};
use sandbox_seccomp::Policy;

use super::child::{self, Work};
use crate::{
    error::chain,
    init_process::InitProcess,
    sys::{
        descriptors, probe,
        process::{CloneRequest, clone3},
        signals,
    },
};

/// What came of trying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tried {
    /// It worked; some attempts have a value.
    Worked(i32),
    /// The kernel refused one operation.
    Refused {
        /// Which.
        operation: Operation,
        /// Why.
        errno: Errno,
    },
    /// The parent's part failed: the id maps of a user namespace.
    Unmapped(String),
    /// The copy was ended by a signal: `SIGSYS`, where a filter kills for a call.
    Killed(i32),
    /// Nobody could try.
    Untried(String),
}

/// The operations of all attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// clone3(2) itself.
    Clone,
    /// One of the copy's.
    InCopy(u16),
    /// The feature that [`Host::probe`] misses.
    Feature(&'static str),
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clone => "clone3(2)",
            Self::Feature(feature) => feature,
            Self::InCopy(index) => match *index {
                child::RELEASE => "the parent's word",
                child::OPENAT2 => "openat2(2)",
                child::CLOSE_RANGE => "close_range(2)",
                child::MOUNT_SETATTR => "mount_setattr(2)",
                child::PRIVATE => "mount(2) of / as private",
                child::TMPFS => "mount(2) of a tmpfs",
                child::PROC => "mount(2) of a new /proc",
                child::NO_NEW_PRIVS => "prctl(2) PR_SET_NO_NEW_PRIVS",
                child::FILTER => "seccomp(2) with the judge's filter",
                child::LISTENER => "seccomp(2) with a listener",
                child::LANDLOCK_VERSION => "landlock_create_ruleset(2) for its version",
                child::LANDLOCK_RULESET => "landlock_create_ruleset(2)",
                child::LANDLOCK_RESTRICT => "landlock_restrict_self(2)",
                child::QUOTACTL_FD => "quotactl_fd(2)",
                child::QUOTA_STATE => "quotactl_fd(2) for the quotas that are on",
                child::JOIN => "entering the cgroup",
                _ => "an operation without a name",
            },
        })
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worked(_) => f.write_str("it works"),
            Self::Refused { operation, errno } => write!(f, "{operation}: {errno}"),
            Self::Unmapped(why) | Self::Untried(why) => f.write_str(why),
            Self::Killed(libc::SIGSYS) => f.write_str("a system call filter kills for it (SIGSYS)"),
            Self::Killed(signal) => write!(f, "the copy that tried was ended by signal {signal}"),
        }
    }
}

impl Tried {
    pub(super) fn worked(&self) -> bool {
        matches!(self, Self::Worked(_))
    }

    /// Refused by the kernel or a filter, for this reason.
    pub(super) fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { errno, .. } => Some(errno.raw()),
            _ => None,
        }
    }

    pub(super) fn refused(operation: Operation, errno: i32) -> Self {
        Self::Refused {
            operation,
            errno: Errno::from_raw(errno),
        }
    }
}

/// Everything that was tried.
#[derive(Debug)]
pub(super) struct Attempts {
    pub(super) calls: Tried,
    /// Namespaces and mounts as this process's boxes have them.
    pub(super) namespaces: Tried,
    /// The same with a user namespace.
    pub(super) user_namespaces: Tried,
    pub(super) filter: Tried,
    pub(super) listener: Tried,
    pub(super) landlock: Tried,
}

impl Attempts {
    pub(super) fn make(privileged: bool) -> Self {
        let user_namespaces = namespaces(Some(UserMap::own()));
        Self {
            calls: required_calls(),
            namespaces: if privileged {
                namespaces(None)
            } else {
                user_namespaces.clone()
            },
            user_namespaces,
            filter: match Policy::judge().prepare() {
                Ok(filter) => apart(Work::Filter(&filter)),
                Err(error) => Tried::Untried(chain(&error)),
            },
            listener: apart(Work::Listener),
            landlock: apart(Work::Landlock),
        }
    }
}

/// First in a copy: under a filter that kills for one of these calls, [`Host::probe`] would end the embedder.
fn required_calls() -> Tried {
    let tried = in_copy(0, Work::Calls, |_| Ok(()));
    if !tried.worked() {
        return tried;
    }
    match Host::probe() {
        Ok(_) => tried,
        Err(error) => Tried::refused(Operation::Feature(error.feature), error.errno.raw()),
    }
}

/// Where no copy can be made, nothing is known of what it would have tried.
pub(super) fn apart(work: Work<'_>) -> Tried {
    match in_copy(0, work, |_| Ok(())) {
        refused @ Tried::Refused {
            operation: Operation::Clone,
            ..
        } => Tried::Untried(format!("no copy of this process could try it: {refused}")),
        tried => tried,
    }
}

fn namespaces(user_map: Option<UserMap>) -> Tried {
    let mut spec = NamespaceSpec::default();
    if user_map.is_some() {
        spec.unshare |= Namespaces::USER;
    }
    spec.user_map = user_map;
    match spec.prepare() {
        Ok(plan) => {
            // A box's init takes the network namespace itself.
            let net = u64::from(libc::CLONE_NEWNET.unsigned_abs());
            in_copy(plan.clone_flags() | net, Work::Mounts, |pid| {
                map(&plan, pid)
            })
        }
        Err(error) => Tried::Untried(chain(&error)),
    }
}

fn map(plan: &NamespacePlan, pid: u32) -> Result<(), String> {
    plan.write_id_maps(pid).map_err(|error| chain(&error))
}

/// Clones a copy of this process with these flags, which works and ends. `release` is the parent's part; the copy may wait
/// for it.
fn in_copy(flags: u64, work: Work<'_>, release: impl FnOnce(u32) -> Result<(), String>) -> Tried {
    match start(flags, work) {
        Ok(Ok(copy)) => copy.finish(release),
        Ok(Err(errno)) => Tried::refused(Operation::Clone, errno.raw()),
        Err(errno) => Tried::Untried(format!("the doctor could not prepare: {errno}")),
    }
}

struct Copy {
    process: InitProcess,
    pid: u32,
    go: OwnedFd,
    report: File,
}

/// Outer error: the doctor's own preparations. Inner: the clone.
fn start(flags: u64, work: Work<'_>) -> Result<Result<Copy, Errno>, Errno> {
    let (wait, go) = descriptors::pipe()?;
    let (report, tell) = descriptors::pipe()?;
    let request = CloneRequest {
        flags,
        exit_signal: 0,
        cgroup: None,
    };
    let (waiting, telling) = (wait.as_raw_fd(), tell.as_raw_fd());
    // A handler of the embedder must not run in the copy.
    let mask = signals::set_mask(u64::MAX)?;
    // SAFETY: the copy runs async-signal-safe code of `child` only, and ends in it.
    #[expect(unsafe_code, reason = "clones the copy")]
    let cloned = unsafe { clone3(request) };
    if matches!(cloned, Ok(clone) if clone.pid == 0) {
        // The copy's end of its own pipe, for else it would wait for itself where the parent is gone.
        _ = descriptors::close(go.as_raw_fd());
        child::main(work, waiting, telling);
    }
    signals::set_mask(mask)?;
    Ok(cloned.map(|clone| Copy {
        process: InitProcess::new(descriptors::own(clone.pidfd)),
        pid: clone.pid.unsigned_abs(),
        go,
        report: report.into(),
    }))
}

impl Copy {
    fn finish(mut self, release: impl FnOnce(u32) -> Result<(), String>) -> Tried {
        let released = release(self.pid);
        if released.is_ok() {
            // A copy that does not wait may be gone already, and one that waits then says so.
            _ = descriptors::write(self.go.as_raw_fd(), &[1]);
        }
        drop(self.go);
        let mut report = Vec::new();
        let read = self.report.read_to_end(&mut report);
        let end = probe::wait_end(self.process.as_fd().as_raw_fd());
        match (released, read, <[u8; child::REPORT]>::try_from(report), end) {
            (Err(why), ..) => Tried::Unmapped(why),
            (_, _, Ok(report), _) => decode(report),
            (_, _, Err(_), Ok((true, signal))) => Tried::Killed(signal),
            (_, Err(error), ..) => Tried::Untried(format!("its report cannot be read: {error}")),
            _ => Tried::Untried("the copy that tried ended without a word".to_owned()),
        }
    }
}

fn decode(report: [u8; child::REPORT]) -> Tried {
    let [a, b, c, d, e, f, g, h, i, j, ..] = report;
    match i32::from_ne_bytes([c, d, e, f]) {
        0 => Tried::Worked(i32::from_ne_bytes([g, h, i, j])),
        errno => Tried::refused(Operation::InCopy(u16::from_ne_bytes([a, b])), errno),
    }
}

#[cfg(test)]
mod tests {
    use super::{Operation, Tried, Work, child, decode, in_copy};

    #[test]
    fn every_operation_has_a_name() {
        for index in 0..=child::JOIN {
            let name = Operation::InCopy(index).to_string();
            assert!(!name.contains("without a name"), "{index}");
        }
    }

    #[test]
    fn a_report_is_what_the_copy_said() {
        let mut report = [0; child::REPORT];
        report[6] = 7;
        assert_eq!(decode(report), Tried::Worked(7));
        report[0] = 5;
        report[2] = 1;
        let refused = Tried::refused(Operation::InCopy(child::TMPFS), libc::EPERM);
        assert_eq!(decode(report), refused);
    }

    #[test]
    fn a_clone_that_the_kernel_refuses_is_said() {
        // A thread group without shared memory is EINVAL on every kernel.
        let flags = u64::from(libc::CLONE_THREAD.unsigned_abs());
        let tried = in_copy(flags, Work::Calls, |_| Ok(()));
        assert_eq!(tried, Tried::refused(Operation::Clone, libc::EINVAL));
    }

    #[test]
    fn a_copy_that_is_not_released_is_the_parents_failure() {
        let tried = in_copy(0, Work::Mounts, |_| Err("no map".to_owned()));
        assert_eq!(tried, Tried::Unmapped("no map".to_owned()));
    }

    #[test]
    fn a_copy_that_dies_is_told_by_its_signal() {
        let tried = in_copy(0, Work::Mounts, |pid| {
            let pid = nix::unistd::Pid::from_raw(pid.try_into().unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL).unwrap();
            // Not released before it is dead: a pipe that is not written to is no end of file yet.
            while std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| !stat.contains(") Z "))
            {
                std::thread::yield_now();
            }
            Ok(())
        });
        assert_eq!(tried, Tried::Killed(libc::SIGKILL));
    }
}
