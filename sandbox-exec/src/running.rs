//! A running box: the supervisor's watch over it.

use core::time::Duration;
use std::{
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, RawFd},
    sync::Arc,
    time::Instant,
};

use sandbox_cgroup::{Cgroup, Usage};
use sandbox_core::{KillReason, Reading, Unavailable, sys::monotonic_ns};

use crate::{
    Error, Finished, Identity,
    cancel::Canceller,
    capture::Capture,
    collect::{Remains, elapsed},
    explain::exec_failure,
    identities::RunIdentity,
    init_process::InitProcess,
    observed::{Handshake, Proof, Status},
    pool::Turn,
    quotas::RunQuotas,
    reports::Reports,
    sandbox::Inner,
    sys::{descriptors, process},
    watch::{Clocks, Decision},
};

/// How much of a stream is read at once.
const BUFFER: usize = 64 << 10;

/// How long after an OOM event, and how often, the kill count is looked at. On v1 the event comes first; the count was
/// seen to follow up to 20 ms later.
const OOM_PATIENCE: Duration = Duration::from_millis(200);
const OOM_PAUSE: Duration = Duration::from_millis(1);

/// What a start hands over.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) inner: Arc<Inner>,
    pub(crate) process: InitProcess,
    pub(crate) handshake: Handshake,
    pub(crate) status: Status,
    pub(crate) cgroup: Cgroup,
    pub(crate) canceller: Canceller,
    pub(crate) stdout: Capture,
    pub(crate) stderr: Capture,
    pub(crate) proof: Proof,
    pub(crate) cpu_at_start: Reading<Duration>,
    pub(crate) quotas: RunQuotas,
    /// Last: given back when nothing of that uid lives.
    pub(crate) identity: RunIdentity,
    pub(crate) turn: Option<Turn>,
}

/// A running box. Dropped, it is killed, reaped and removed.
///
/// As a descriptor it is a pidfd: readable when no process of the box is left. Nobody answers before [`Running::wait`]: under
/// a policy that reports, calls wait for it, and so does the end of a box whose program has left processes behind.
#[derive(Debug)]
#[must_use = "dropping it kills the box"]
pub struct Running {
    // In this order dropped: first every process, then the cgroup that held them.
    start: Start,
    kill: Option<(KillReason, i64)>,
    /// init was told that it may end.
    is_dismissed: bool,
    /// The last reading of the counters, where the cgroup was empty before init was gone.
    usage: Option<Usage>,
    /// Until when the OOM kill count is looked at again and again.
    oom_until: Option<Instant>,
    /// CPUs that were online at the start: how fast the box's CPU clock can run.
    cpus: u32,
}

impl AsFd for Running {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.start.process.as_fd()
    }
}

impl Running {
    pub(crate) fn new(start: Start) -> Self {
        Self {
            start,
            kill: None,
            is_dismissed: false,
            usage: None,
            oom_until: None,
            cpus: process::online_cpus(),
        }
    }

    /// Who the payload is: in this run, where the ids come from a [`UidPool`](crate::UidPool).
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.start.identity.payload.identity
    }

    /// A handle that ends the run from elsewhere.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.start.canceller.clone()
    }

    /// Watches the run to its end: drains the streams, answers the calls that the policy reports, looks at the clocks when a limit
    /// could next be passed, kills at a limit, then reads the counters and removes the cgroup.
    ///
    /// # Errors
    /// [`Error::Setup`] where `execve(2)` failed so late that [`Sandbox::spawn`](crate::Sandbox::spawn) had returned, and
    /// [`Error::Vanished`] where the box ended before the program had begun;
    /// [`Error::ClockUnreadable`] where a limit could not be watched, [`Error::ForeignRecord`], [`Error::Syscall`];
    /// [`Error::NotRemoved`] and [`Error::QuotaLeft`], with the outcome, where the cgroup or a quota is left. In each case no process of the box is left.
    pub fn wait(mut self) -> Result<Finished, Error> {
        let mut buffer = vec![0; BUFFER];
        while !self.watch(&mut buffer)? {}
        let Start {
            inner,
            mut process,
            mut handshake,
            mut status,
            cgroup,
            mut stdout,
            mut stderr,
            proof,
            cpu_at_start,
            identity,
            quotas,
            turn,
            ..
        } = self.start;
        process.reap()?;
        identity.box_is_dead();
        // What was said last may still be unread: the end of the process is seen on another descriptor.
        status.read()?;
        handshake.read()?;
        if let Some((_, failure)) = handshake.failure {
            return Err(exec_failure(&inner.image, failure).into());
        }
        let is_cancelled = matches!(self.kill, Some((KillReason::Requested, _)));
        if handshake.awaits_execve() && !is_cancelled {
            return Err(Error::Vanished);
        }
        stdout.finish(&mut buffer);
        stderr.finish(&mut buffer);
        let proof = handshake.proof().unwrap_or(proof);
        let reports = match handshake.reports.take() {
            Some(reports) => Reading::Value(reports.into_evidence()),
            None => Reading::Unavailable(Unavailable::NotRequested),
        };
        let remains = Remains {
            limits: inner.limits.clone(),
            landlock: inner.landlocked(),
            memory_by_rlimit: inner.memory_by_rlimit,
            proof,
            cpu_at_start,
            status,
            reports,
            kill: self.kill,
            usage: self.usage,
            stdout,
            stderr,
            cgroup,
            quotas,
        };
        let finished = remains.collect();
        // In this order: a pool's next box may need the id.
        drop((identity, turn));
        finished
    }

    /// One look and one sleep; whether the box is over.
    fn watch(&mut self, buffer: &mut [u8]) -> Result<bool, Error> {
        let mut sleep = self.look_at_clocks()?;
        if self.looks_for_oom() {
            sleep = Some(sleep.map_or(OOM_PAUSE, |sleep| sleep.min(OOM_PAUSE)));
        }
        let ready = self.sleep(sleep)?;
        let Start {
            status,
            handshake,
            stdout,
            stderr,
            cgroup,
            cpu_at_start,
            ..
        } = &mut self.start;
        if ready.status {
            status.read()?;
        }
        if ready.handshake {
            handshake.read()?;
            // A copy of a large embedder can take longer to go than the start waits.
            *cpu_at_start = cgroup.cpu_time();
        }
        if ready.stdout {
            stdout.read(buffer);
        }
        if ready.stderr {
            stderr.read(buffer);
        }
        if ready.report {
            self.serve_reports()?;
        }
        if let (true, Some(reports)) = (ready.reports_over, &mut self.start.handshake.reports) {
            reports.hang_up();
        }
        if ready.cancel {
            self.kill(KillReason::Requested)?;
        }
        self.dismiss_init()?;
        if self.start.status.ended_ns.is_some() && self.usage.is_none() && !ready.over {
            // While the kernel takes init and its namespaces apart, what is ours goes.
            self.usage = self.start.cgroup.retire();
        }
        self.look_at_output()?;
        if ready.oom {
            self.acknowledge_oom()?;
        }
        if self.looks_for_oom() && self.oom_killed() {
            self.kill(KillReason::OutOfMemory)?;
        }
        Ok(ready.over)
    }

    /// Whether the end is certain: killed, or reported by init, which ends right after its report, or when dismissed.
    fn is_ending(&self) -> bool {
        self.kill.is_some() || self.start.status.ended_ns.is_some()
    }

    /// A start that is reported late is also let through late.
    fn started_ns(&self) -> i64 {
        let proof = self.start.handshake.proof().unwrap_or(self.start.proof);
        proof.started_ns
    }

    /// Kills at a limit of time, or says how long none can be passed.
    fn look_at_clocks(&mut self) -> Result<Option<Duration>, Error> {
        if self.is_ending() || self.start.handshake.awaits_execve() {
            return Ok(None);
        }
        let clocks = Clocks::new(&self.start.inner.limits, self.cpus);
        let cpu = if clocks.needs_cpu() {
            self.start.cgroup.cpu_time()
        } else {
            Reading::Unavailable(Unavailable::NotRequested)
        };
        let wall = elapsed(self.started_ns(), monotonic_ns());
        match clocks.look(wall, cpu) {
            Decision::Sleep(sleep) => Ok(sleep),
            // Where the payload turns out to have ended, there is nothing to sleep for: init may wait to be dismissed.
            Decision::Kill(reason) => self.kill(reason).map(|()| Some(Duration::ZERO)),
            Decision::Blind(why) => Err(Error::ClockUnreadable(why)),
        }
    }

    fn look_at_output(&mut self) -> Result<(), Error> {
        let most = self.start.stdout.seen().max(self.start.stderr.seen());
        match self.start.inner.limits.output {
            Some(limit) if most > limit => self.kill(KillReason::Output),
            _ => Ok(()),
        }
    }

    /// Records why, then kills. A run whose end is certain is not killed: its report may be on its way, or just unread.
    fn kill(&mut self, reason: KillReason) -> Result<(), Error> {
        self.start.status.read()?;
        if self.is_ending() {
            return Ok(());
        }
        self.kill = Some((reason, monotonic_ns()));
        self.start.process.kill()
    }

    fn serve_reports(&mut self) -> Result<(), Error> {
        let started_ns = self.started_ns();
        // A start that is tried once more is announced before it is reported.
        self.start.handshake.read()?;
        let Some(reports) = &mut self.start.handshake.reports else {
            return Ok(());
        };
        match reports.serve(started_ns)? {
            Some(reason) => self.kill(reason),
            None => Ok(()),
        }
    }

    /// Lets init end the box once the payload has ended. What waits in the listener until then is a call that was made, and
    /// would be gone with its process.
    fn dismiss_init(&mut self) -> Result<(), Error> {
        let has_ended = self.start.status.ended_ns.is_some();
        if self.is_dismissed || self.kill.is_some() || !has_ended {
            return Ok(());
        }
        self.is_dismissed = true;
        let started_ns = self.started_ns();
        // A chain of the embedder's own may have left the filter out; init waits all the same.
        if let Some(reports) = &mut self.start.handshake.reports {
            if reports.drain(started_ns)? {
                // Of what was taken, no call may have a name.
                self.kill = Some((KillReason::ReportFlood, monotonic_ns()));
                return self.start.process.kill();
            }
        }
        if self.start.inner.init_lingers() {
            self.start.status.dismiss()?;
        }
        Ok(())
    }

    fn looks_for_oom(&self) -> bool {
        !self.is_ending() && self.oom_until.is_some_and(|until| Instant::now() < until)
    }

    fn oom_killed(&self) -> bool {
        self.start
            .cgroup
            .oom_kills()
            .value()
            .is_some_and(|kills| kills > 0)
    }

    /// v1 only: the group is out of memory. Its kill count moves in a moment, unless memory was found after all.
    fn acknowledge_oom(&mut self) -> Result<(), Error> {
        if let Some(notifier) = self.start.cgroup.oom_notifier() {
            let taken = descriptors::eventfd_wait(notifier.as_raw_fd());
            taken.map_err(Error::call("read of the OOM event"))?;
            self.oom_until = Some(Instant::now() + OOM_PATIENCE);
        }
        Ok(())
    }

    fn sleep(&self, timeout: Option<Duration>) -> Result<Ready, Error> {
        let Start {
            process,
            handshake,
            status,
            cgroup,
            canceller,
            stdout,
            stderr,
            ..
        } = &self.start;
        let oom = cgroup.oom_notifier().filter(|_| self.usage.is_none());
        let reports = handshake.reports.as_ref().and_then(Reports::descriptor);
        // A negative number is passed over by poll(2).
        let entry = |fd: Option<RawFd>| libc::pollfd {
            fd: fd.unwrap_or(-1),
            events: libc::POLLIN,
            revents: 0,
        };
        let mut fds = [
            entry(Some(process.as_fd().as_raw_fd())),
            entry(status.descriptor()),
            entry(handshake.descriptor()),
            entry(Some(canceller.descriptor()).filter(|_| !self.is_ending())),
            entry(stdout.descriptor()),
            entry(stderr.descriptor()),
            // It signals the removal of the group as well.
            entry(oom.map(|fd| fd.as_raw_fd())),
            entry(reports.filter(|_| !self.is_ending())),
        ];
        match descriptors::poll(&mut fds, timeout) {
            Err(errno) if errno.raw() == libc::EINTR => return Ok(Ready::default()),
            other => other.map_err(Error::call("ppoll"))?,
        };
        let [.., reports] = fds;
        let [over, status, handshake, cancel, stdout, stderr, oom, _] =
            fds.map(|fd| fd.revents != 0);
        Ok(Ready {
            over,
            status,
            handshake,
            cancel,
            stdout,
            stderr,
            oom,
            report: reports.revents & libc::POLLIN != 0,
            reports_over: reports.revents & libc::POLLHUP != 0,
        })
    }
}

/// Which descriptors have something to say.
#[derive(Debug, Default)]
struct Ready {
    over: bool,
    status: bool,
    handshake: bool,
    cancel: bool,
    stdout: bool,
    stderr: bool,
    oom: bool,
    report: bool,
    reports_over: bool,
}
