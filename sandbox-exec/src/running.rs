//! A running box: the supervisor's watch over it.

use core::time::Duration;
use std::{
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
    sync::Arc,
};

use sandbox_cgroup::Cgroup;
use sandbox_core::{
    Evidence, Exit, KillReason, Outcome, Reading, Record, StageSet, Unavailable, sys::monotonic_ns,
};
use sandbox_fs::KeptDir;

use crate::{
    Error,
    cancel::Canceller,
    capture::Capture,
    sandbox::Inner,
    sys::{
        descriptors::{self, Message},
        process,
    },
    watch::{Clocks, Decision},
};

/// How much of a stream is read at once.
const BUFFER: usize = 64 << 10;

/// How often, and how far apart, the kill count is looked at after an OOM event: on v1 the event comes before the kill.
const OOM_LOOKS: u32 = 200;
const OOM_PAUSE: Duration = Duration::from_millis(1);

/// init, and with it the box: killed and reaped on drop.
#[derive(Debug)]
pub(crate) struct InitProcess {
    pidfd: OwnedFd,
    reaped: bool,
}

impl InitProcess {
    pub(crate) fn new(pidfd: OwnedFd) -> Self {
        Self {
            pidfd,
            reaped: false,
        }
    }

    /// Ends every process of the box: its pid namespace dies with PID 1.
    pub(crate) fn kill(&self) -> Result<(), Error> {
        match process::pidfd_send_signal(self.pidfd.as_raw_fd(), libc::SIGKILL) {
            Err(errno) if errno.raw() != libc::ESRCH => {
                Err(Error::call("pidfd_send_signal to init")(errno))
            }
            _ => Ok(()),
        }
    }

    /// Waits until no process of the box is left.
    fn reap(&mut self) -> Result<(), Error> {
        if self.reaped {
            return Ok(());
        }
        self.reaped = true;
        match process::wait_pidfd(self.pidfd.as_raw_fd()) {
            // The embedder has reaped it, with __WALL or by name: it is gone all the same.
            Err(errno) if errno.raw() == libc::ECHILD => Ok(()),
            other => other.map_err(Error::call("waitid of init")),
        }
    }
}

impl Drop for InitProcess {
    fn drop(&mut self) {
        // A drop has nobody to tell. Neither can fail for a child of one's own; where it could, init dies with the supervisor.
        if !self.reaped && self.kill().is_ok() {
            _ = self.reap();
        }
    }
}

/// What a start hands over.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) inner: Arc<Inner>,
    pub(crate) process: InitProcess,
    pub(crate) status: OwnedFd,
    pub(crate) cgroup: Cgroup,
    pub(crate) canceller: Canceller,
    pub(crate) stdout: Capture,
    pub(crate) stderr: Capture,
    pub(crate) proof: Proof,
}

/// What the payload said last before it became the program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proof {
    /// The stages behind it.
    pub(crate) stages: StageSet,
    /// When it was sealed, `CLOCK_MONOTONIC`.
    pub(crate) started_ns: i64,
    /// How many supplementary groups it had.
    pub(crate) groups: u16,
}

/// A running box. Dropped, it is killed, reaped and removed.
///
/// As a descriptor it is a pidfd: readable when no process of the box is left.
#[derive(Debug)]
#[must_use = "dropping it kills the box"]
pub struct Running {
    // Dropped in this order: first every process, then the cgroup that held them.
    process: InitProcess,
    cgroup: Cgroup,
    inner: Arc<Inner>,
    status: OwnedFd,
    canceller: Canceller,
    stdout: Capture,
    stderr: Capture,
    proof: Proof,
    kept: Vec<KeptDir>,
    exit: Option<Exit>,
    ended_ns: Option<i64>,
    kill: Option<(KillReason, i64)>,
    oom_looks: u32,
    /// CPUs that were online at the start: how fast the box's CPU clock can run.
    cpus: u32,
}

/// A run that is over. Nothing of it is left on the host.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finished {
    /// Limits, evidence and judgement.
    pub outcome: Outcome,
    /// What was kept of standard output.
    pub stdout: Vec<u8>,
    /// What was kept of standard error.
    pub stderr: Vec<u8>,
    /// The directories that [`RootSpec::keep`](sandbox_fs::RootSpec::keep) names, in its order. They live in memory until dropped.
    pub kept: Vec<KeptDir>,
}

impl AsFd for Running {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.pidfd.as_fd()
    }
}

impl Running {
    pub(crate) fn new(start: Start) -> Self {
        let Start {
            inner,
            process,
            status,
            cgroup,
            canceller,
            stdout,
            stderr,
            proof,
        } = start;
        Self {
            process,
            cgroup,
            inner,
            status,
            canceller,
            stdout,
            stderr,
            proof,
            kept: Vec::new(),
            exit: None,
            ended_ns: None,
            kill: None,
            oom_looks: 0,
            cpus: process::online_cpus(),
        }
    }

    /// A handle that ends the run from elsewhere.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Watches the run to its end: drains the streams, looks at the clocks when a limit could next be passed, kills at a
    /// limit, then reads the counters and removes the cgroup.
    ///
    /// # Errors
    /// [`Error::ClockUnreadable`] where a limit could not be watched, [`Error::ForeignRecord`], [`Error::Syscall`], and
    /// [`Error::Cgroup`] where the cgroup could not be removed. In each case no process of the box is left.
    pub fn wait(mut self) -> Result<Finished, Error> {
        let mut buffer = vec![0; BUFFER];
        while !self.watch(&mut buffer)? {}
        self.process.reap()?;
        // What init said last may still be unread: the end of the process is seen on another descriptor.
        self.read_status()?;
        self.stdout.finish(&mut buffer);
        self.stderr.finish(&mut buffer);
        self.collect()
    }

    /// One look and one sleep; whether the box is over.
    fn watch(&mut self, buffer: &mut [u8]) -> Result<bool, Error> {
        let mut sleep = if self.kill.is_some() {
            None
        } else {
            self.look_at_clocks()?
        };
        if self.oom_looks > 0 && self.kill.is_none() {
            self.oom_looks -= 1;
            sleep = Some(sleep.map_or(OOM_PAUSE, |sleep| sleep.min(OOM_PAUSE)));
        }
        let ready = self.sleep(sleep)?;
        if ready.status {
            self.read_status()?;
        }
        if ready.cancel && self.kill.is_none() {
            self.kill(KillReason::Requested)?;
        }
        if ready.stdout {
            self.stdout.read(buffer);
        }
        if ready.stderr {
            self.stderr.read(buffer);
        }
        self.look_at_output()?;
        if ready.oom {
            self.acknowledge_oom()?;
        }
        if self.oom_looks > 0 && self.kill.is_none() && self.oom_killed() {
            self.kill(KillReason::OutOfMemory)?;
        }
        Ok(ready.over)
    }

    fn look_at_clocks(&mut self) -> Result<Option<Duration>, Error> {
        let clocks = Clocks::new(&self.inner.limits, self.cpus);
        let cpu = if clocks.needs_cpu() {
            self.cgroup.cpu_time()
        } else {
            Reading::Unavailable(Unavailable::NotRequested)
        };
        match clocks.look(self.since_start(monotonic_ns()), cpu) {
            Decision::Sleep(sleep) => Ok(sleep),
            // The payload is over: what init reported is the truth, and the box is about to end by itself.
            Decision::Kill(_) if self.ended_ns.is_some() => Ok(None),
            Decision::Kill(reason) => self.kill(reason).map(|()| None),
            Decision::Blind(why) => Err(Error::ClockUnreadable(why)),
        }
    }

    fn look_at_output(&mut self) -> Result<(), Error> {
        let most = self.stdout.seen().max(self.stderr.seen());
        match self.inner.limits.output {
            Some(limit) if most > limit && self.kill.is_none() => self.kill(KillReason::Output),
            _ => Ok(()),
        }
    }

    /// Records why, then kills.
    fn kill(&mut self, reason: KillReason) -> Result<(), Error> {
        self.kill = Some((reason, monotonic_ns()));
        self.process.kill()
    }

    fn oom_killed(&self) -> bool {
        self.cgroup
            .oom_kills()
            .value()
            .is_some_and(|kills| kills > 0)
    }

    /// v1 only: the group is out of memory. Its kill count moves in a moment, unless memory was found after all.
    fn acknowledge_oom(&mut self) -> Result<(), Error> {
        if let Some(notifier) = self.cgroup.oom_notifier() {
            let taken = descriptors::eventfd_wait(notifier.as_raw_fd());
            taken.map_err(Error::call("read of the OOM event"))?;
            self.oom_looks = OOM_LOOKS;
        }
        Ok(())
    }

    fn sleep(&self, timeout: Option<Duration>) -> Result<Ready, Error> {
        let oom = self.cgroup.oom_notifier().map(|fd| fd.as_raw_fd());
        // A negative number is passed over by poll(2).
        let entry = |fd: Option<RawFd>| libc::pollfd {
            fd: fd.unwrap_or(-1),
            events: libc::POLLIN,
            revents: 0,
        };
        let cancel = Some(self.canceller.descriptor()).filter(|_| self.kill.is_none());
        // After init's last word its socket hangs up for good; polled on, it would never let us sleep.
        let status = Some(self.status.as_raw_fd()).filter(|_| self.ended_ns.is_none());
        let mut fds = [
            entry(Some(self.process.pidfd.as_raw_fd())),
            entry(status),
            entry(cancel),
            entry(self.stdout.descriptor()),
            entry(self.stderr.descriptor()),
            entry(oom),
        ];
        match descriptors::poll(&mut fds, timeout) {
            Err(errno) if errno.raw() == libc::EINTR => return Ok(Ready::default()),
            other => other.map_err(Error::call("ppoll"))?,
        };
        let [over, status, cancel, stdout, stderr, oom] = fds.map(|fd| fd.revents != 0);
        // A hang-up without words is init's death, which the pidfd tells a moment later.
        Ok(Ready {
            over,
            status,
            cancel,
            stdout,
            stderr,
            oom,
        })
    }

    /// Takes what init has sent.
    fn read_status(&mut self) -> Result<(), Error> {
        loop {
            let message = descriptors::receive(self.status.as_raw_fd(), false);
            match message.map_err(Error::call("recvmsg from init"))? {
                Message::Empty | Message::End => return Ok(()),
                Message::Descriptor(fd) => self.kept.push(KeptDir::from(fd)),
                Message::Go | Message::Foreign => return Err(Error::ForeignRecord),
                Message::Record(bytes) => match Record::decode(bytes) {
                    Ok(Record::Proved(_, stages)) => self.proof.stages |= stages,
                    Ok(Record::Exited(status)) => self.exit = Exit::from_wait_status(status),
                    Ok(Record::Ended(ns)) => self.ended_ns = Some(ns),
                    _ => return Err(Error::ForeignRecord),
                },
            }
        }
    }

    fn since_start(&self, ns: i64) -> Duration {
        Duration::from_nanos(
            ns.saturating_sub(self.proof.started_ns)
                .max(0)
                .unsigned_abs(),
        )
    }

    /// Turns what was seen into an outcome. No process of the box is left, so every counter stands still.
    fn collect(self) -> Result<Finished, Error> {
        let killed_ns = self.kill.map(|(_, ns)| ns);
        let end_ns = self.ended_ns.or(killed_ns).unwrap_or_else(monotonic_ns);
        let mut evidence = Evidence::empty(self.since_start(end_ns));
        let usage = self.cgroup.usage();
        evidence.exit = self.exit;
        evidence.kill = self.kill.map(|(reason, _)| reason);
        evidence.cpu_time = usage.cpu_time;
        evidence.memory_peak = usage.memory_peak;
        evidence.oom_kills = usage.oom_kills;
        evidence.memory_limit_hits = usage.memory_limit_hits;
        evidence.forks_denied = usage.forks_denied;
        evidence.controllers = self.cgroup.controllers();
        evidence.supplementary_groups = self.proof.groups;
        evidence.proved = self.proof.stages.stages().collect();
        let Self {
            cgroup,
            inner,
            stdout,
            stderr,
            kept,
            ended_ns,
            ..
        } = self;
        cgroup.destroy()?;
        let (stream, stdout) = stdout.into_evidence(killed_ns, ended_ns);
        evidence.stdout = stream;
        let (stream, stderr) = stderr.into_evidence(killed_ns, ended_ns);
        evidence.stderr = stream;
        let outcome = Outcome::new(inner.limits.clone(), evidence);
        Ok(Finished {
            outcome,
            stdout,
            stderr,
            kept,
        })
    }
}

/// Which descriptors have something to say.
#[derive(Debug, Default)]
struct Ready {
    over: bool,
    status: bool,
    cancel: bool,
    stdout: bool,
    stderr: bool,
    oom: bool,
}
