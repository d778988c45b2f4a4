//! The supervisor's half of a filter that reports: takes calls, writes them down, answers.

use core::time::Duration;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};

use sandbox_core::{Errno, KillReason, ReportedCall, SyscallReports, sys::monotonic_ns};
use sandbox_seccomp::{Action, Answer, Filter, Listener, Notification};

use crate::{Error, collect::elapsed, sys::descriptors};

/// Calls that are taken between two looks at the clocks. A flood of calls must not keep the supervisor from its limits.
const BATCH: u64 = 64;

/// Most distinct calls of a run that is only observed; its program is trusted.
const MOST_OBSERVED: usize = 4096;

/// What the supervisor does with the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// What the policy says.
    Enforce,
    /// Lets all of them be made. Not a sandbox.
    Observe,
}

/// The reports of one run.
#[derive(Debug)]
pub(crate) struct Reports {
    listener: Listener,
    filter: Filter,
    mode: Mode,
    seen: SyscallReports,
    /// Also those whose thread had gone: they cost the supervisor as much.
    taken: u64,
    /// No process under the filter is left: the descriptor would be ready for ever.
    hung_up: bool,
    /// Starts that the payload has announced and that are not let through yet.
    starts: u32,
    /// Before the answer to the start's own calls the program cannot have run.
    answered_ns: Option<i64>,
}

impl Reports {
    pub(crate) fn new(listener: OwnedFd, filter: Filter, mode: Mode) -> Self {
        let mut seen = SyscallReports::default();
        seen.with_kills = !filter.kills();
        seen.let_through = mode == Mode::Observe;
        Self {
            listener: Listener::from(listener),
            filter,
            mode,
            seen,
            taken: 0,
            hung_up: false,
            starts: 0,
            answered_ns: None,
        }
    }

    /// The descriptor to poll, while there may be something to take.
    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        (!self.hung_up).then(|| self.listener.as_fd().as_raw_fd())
    }

    pub(crate) fn hang_up(&mut self) {
        self.hung_up = true;
    }

    /// When the last of the start's own calls was answered.
    pub(crate) fn answered_ns(&self) -> Option<i64> {
        self.answered_ns
    }

    /// The payload is about to call `execve`. It says so where no program can, and before every try.
    pub(crate) fn announce_start(&mut self) {
        if self.filter.reports_start() {
            self.starts = self.starts.saturating_add(1);
        }
    }

    /// Whether the next call is the start's.
    pub(crate) fn awaits_start(&self) -> bool {
        self.starts > 0
    }

    /// Takes a start that was announced and lets it through.
    pub(crate) fn let_start(&mut self) -> Result<(), Error> {
        match self.take()? {
            Some(call) if call.is_start() => self.let_through(&call),
            Some(_) => Err(Error::ForeignRecord),
            None => Ok(()),
        }
    }

    fn let_through(&mut self, call: &Notification) -> Result<(), Error> {
        self.answered_ns = Some(monotonic_ns());
        if self.listener.let_start(call).map_err(answer_failed)? {
            self.starts = self.starts.saturating_sub(1);
        }
        Ok(())
    }

    /// Takes the start's own call and answers it: all of the way works.
    pub(crate) fn greet(&mut self) -> Result<(), Error> {
        let Some(call) = self.take()? else {
            return Ok(());
        };
        if !call.is_greeting() {
            return Err(Error::ForeignRecord);
        }
        self.answered_ns = Some(monotonic_ns());
        self.listener.greet_back(&call).map_err(answer_failed)
    }

    /// Takes calls and answers them; why the run is to be ended, if it is. The call that it is ended for gets no answer.
    pub(crate) fn serve(&mut self, started_ns: i64) -> Result<Option<KillReason>, Error> {
        for _ in 0..BATCH {
            self.taken = self.taken.saturating_add(1);
            let end = match self.take()? {
                Some(call) => self.answer(&call, started_ns)?,
                None => self.flood(),
            };
            if end.is_some() || !self.is_ready()? {
                return Ok(end);
            }
        }
        Ok(None)
    }

    /// [`Reports::serve`] until nothing waits or one call has decided, for a run whose end is certain; whether it was a flood.
    pub(crate) fn drain(&mut self, started_ns: i64) -> Result<bool, Error> {
        // Who is answered can call again: more than a run may have are not taken.
        for _ in 0..=SyscallReports::FLOOD / BATCH {
            let is_decided = self.seen.decisive.is_some();
            if is_decided || self.hung_up || !self.is_ready()? {
                break;
            }
            if self.serve(started_ns)? == Some(KillReason::ReportFlood) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn into_evidence(self) -> SyscallReports {
        self.seen
    }

    /// Ends a flood whose last call was taken back: the verdict names the one that makes up the most of it.
    fn flood(&mut self) -> Option<KillReason> {
        if !self.is_flooded() {
            return None;
        }
        self.seen.decisive = self.seen.most_frequent().copied();
        Some(KillReason::ReportFlood)
    }

    fn is_flooded(&self) -> bool {
        self.mode == Mode::Enforce && self.taken > SyscallReports::FLOOD
    }

    fn answer(
        &mut self,
        call: &Notification,
        started_ns: i64,
    ) -> Result<Option<KillReason>, Error> {
        if self.awaits_start() && call.is_start() {
            return self.let_through(call).map(|()| None);
        }
        let after = elapsed(started_ns, monotonic_ns());
        let report = ReportedCall::new(call.syscall, call.args, call.thread, after);
        if self.mode == Mode::Observe {
            let same =
                |a: &ReportedCall, b: &ReportedCall| (a.syscall, a.args) == (b.syscall, b.args);
            self.seen.record_within(report, MOST_OBSERVED, same);
            let answered = self.listener.dangerous_continue(call);
            return answered.map(|()| None).map_err(answer_failed);
        }
        self.seen.record(report);
        let reason = match call.action(&self.filter) {
            _ if self.is_flooded() => KillReason::ReportFlood,
            Action::Report(Answer::Errno(errno)) => {
                let answered = self.listener.refuse(call, errno);
                return answered.map(|()| None).map_err(answer_failed);
            }
            // Also what our own filter would never have reported.
            _ => KillReason::ForbiddenCall,
        };
        self.seen.decisive = Some(report);
        Ok(Some(reason))
    }

    fn take(&self) -> Result<Option<Notification>, Error> {
        let taken = self.listener.receive();
        taken.map_err(Error::call("ioctl SECCOMP_IOCTL_NOTIF_RECV"))
    }

    /// Whether another call waits: taking one where none does would sleep.
    fn is_ready(&self) -> Result<bool, Error> {
        let mut fds = [libc::pollfd {
            fd: self.listener.as_fd().as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        }];
        loop {
            match descriptors::poll(&mut fds, Some(Duration::ZERO)) {
                Err(errno) if errno.raw() == libc::EINTR => {}
                other => {
                    other.map_err(Error::call("ppoll"))?;
                    break;
                }
            }
        }
        let [listener] = fds;
        Ok(listener.revents & libc::POLLIN != 0)
    }
}

fn answer_failed(errno: Errno) -> Error {
    Error::call("ioctl SECCOMP_IOCTL_NOTIF_SEND")(errno)
}

#[cfg(test)]
mod tests {
    use super::{Mode, Reports};
    use core::time::Duration;
    use sandbox_core::{Abi, KillReason, ReportedCall, Syscall, SyscallReports};
    use sandbox_seccomp::Policy;
    use std::fs::File;

    #[test]
    fn a_flood_whose_last_call_was_taken_back_has_a_name_where_one_was_known() {
        let flooded = |numbers: &[u32], mode| {
            let filter = Policy::judge().report_kills().prepare().unwrap();
            let listener = File::open("/dev/null").unwrap().into();
            let mut reports = Reports::new(listener, filter, mode);
            for number in numbers {
                let syscall = Syscall::new(Abi::X86_64, *number, None);
                let call = ReportedCall::new(syscall, [0; 6], 7, Duration::ZERO);
                reports.seen.record(call);
            }
            reports.taken = SyscallReports::FLOOD;
            assert_eq!(reports.flood(), None);
            reports.taken += 1;
            let reason = reports.flood();
            let decisive = reports.into_evidence().decisive;
            (reason, decisive.map(|call| call.syscall.number))
        };
        let flood = Some(KillReason::ReportFlood);
        assert_eq!(flooded(&[1, 2, 2], Mode::Enforce), (flood, Some(2)));
        assert_eq!(flooded(&[], Mode::Enforce), (flood, None));
        assert_eq!(flooded(&[1], Mode::Observe), (None, None));
    }
}
