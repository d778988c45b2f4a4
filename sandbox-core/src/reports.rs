//! What the supervisor was told of calls that a policy reports.

use core::time::Duration;

use crate::Syscall;

/// The calls of one run that its policy reports, as the kernel told the supervisor. No program can forge, hide or change one:
/// each was stopped by the kernel, and its arguments are the registers of the moment.
///
/// Also not by its end: a call that waits for its answer when the main program ends is taken before the rest of the box may
/// die. Where the box is killed instead, at a limit or by the embedder, one that waits just then is neither made nor listed.
/// Nor is one that the program itself takes back before the supervisor has it: by a signal, or by the end or the `execve` of the
/// process whose thread waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct SyscallReports {
    /// How many calls were reported. On kernels before 5.19, one that a signal interrupts is made and reported again.
    pub total: u64,
    /// The first distinct ones, [`SyscallReports::MOST`] at most, in the order of their first reports. Two reports are of one
    /// call where ABI and number are equal.
    pub calls: Vec<ReportedCall>,
    /// Every call for which the policy kills is reported, so that a `SIGSYS` is the program's own work.
    pub with_kills: bool,
    /// The calls were made and only written down: such a run was no sandboxed one.
    pub let_through: bool,
    /// The call that the policy ends a run for, or the one that a flood ended it for, where there was one; also where the main
    /// program had ended before the supervisor could end it. Where the last call of a flood was taken back, the most frequent one.
    pub decisive: Option<ReportedCall>,
}

/// One call that a policy reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ReportedCall {
    /// The call.
    pub syscall: Syscall,
    /// Its arguments, as registers; of the first report. What a pointer leads to is not looked at: another thread could
    /// change it at any time.
    pub args: [u64; 6],
    /// The thread of the first report, by the number that the supervisor's own pid namespace has for it.
    pub thread: u32,
    /// When the supervisor took the first report, counted from the start as [`wall_time`](crate::Evidence::wall_time) is.
    pub after: Duration,
    /// How often it was reported.
    pub count: u64,
}

impl ReportedCall {
    /// A call that was reported once.
    #[must_use]
    pub const fn new(syscall: Syscall, args: [u64; 6], thread: u32, after: Duration) -> Self {
        Self {
            syscall,
            args,
            thread,
            after,
            count: 1,
        }
    }
}

impl SyscallReports {
    /// Most distinct calls that are listed: memory of the supervisor is not the program's to fill.
    pub const MOST: usize = 32;

    /// How many calls one run may have reported: at the next one it is ended. Each costs the supervisor about ten microseconds.
    pub const FLOOD: u64 = 10_000;

    /// The call that was reported most often; the first of several.
    #[must_use]
    pub fn most_frequent(&self) -> Option<&ReportedCall> {
        // Of equals, `max_by_key` takes the last.
        self.calls.iter().rev().max_by_key(|call| call.count)
    }

    /// Adds a report.
    pub fn record(&mut self, call: ReportedCall) {
        self.record_within(call, Self::MOST, |known, new| known.syscall == new.syscall);
    }

    /// [`SyscallReports::record`] with another bound and another idea of what is one call.
    pub fn record_within(
        &mut self,
        call: ReportedCall,
        most: usize,
        is_same: impl Fn(&ReportedCall, &ReportedCall) -> bool,
    ) {
        self.total = self.total.saturating_add(call.count);
        if let Some(known) = self.calls.iter_mut().find(|known| is_same(known, &call)) {
            known.count = known.count.saturating_add(call.count);
        } else if self.calls.len() < most {
            self.calls.push(call);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ReportedCall, SyscallReports};
    use crate::{Abi, Syscall};
    use core::time::Duration;

    #[test]
    fn first_distinct_calls_are_listed_and_all_are_counted() {
        let mut reports = SyscallReports::default();
        for round in 0..3 {
            for number in 0..100 {
                let syscall = Syscall::new(Abi::X86_64, number, None);
                let args = [round, 0, 0, 0, 0, 0];
                reports.record(ReportedCall::new(syscall, args, 7, Duration::ZERO));
            }
        }
        assert_eq!(reports.total, 300);
        assert_eq!(reports.calls.len(), SyscallReports::MOST);
        for (number, call) in (0..).zip(&reports.calls) {
            assert_eq!(
                (call.syscall.number, call.count, call.args),
                (number, 3, [0; 6])
            );
        }
    }

    #[test]
    fn most_frequent_is_the_first_of_the_most_counted() {
        let mut reports = SyscallReports::default();
        assert_eq!(reports.most_frequent(), None);
        for number in [5, 6, 7, 7, 6] {
            let syscall = Syscall::new(Abi::X86_64, number, None);
            reports.record(ReportedCall::new(syscall, [0; 6], 7, Duration::ZERO));
        }
        let most = reports.most_frequent().unwrap();
        assert_eq!((most.syscall.number, most.count), (6, 2));
    }
}
