//! Calls that a policy reports: what the supervisor learns of them, and what a program can do about it.

mod calls;
mod endings;
mod execve;
mod floods;
mod forgeries;
mod starts;
mod threads;

use sandbox_exec::{
    Answer, Basis, Errno, Finished, Output, Reading, ReportedCall, SyscallReports, Verdict,
    core::Evidence, seccomp::Action,
};
use sandbox_test_support::{boxes, host, setup::judged};

pub(crate) const ENOSYS: Errno = Errno::from_raw(libc::ENOSYS);
pub(crate) const REPORT_KILL: Action = Action::Report(Answer::Kill);
pub(crate) const REPORT_ENOSYS: Action = Action::Report(Answer::Errno(ENOSYS));

pub(crate) fn can_run() -> bool {
    host::has(&["root", "memory", "pids"])
}

/// The reports of a run whose policy has some.
#[track_caller]
pub(crate) fn reports(finished: &Finished) -> &SyscallReports {
    of(&finished.outcome.evidence)
}

#[track_caller]
fn of(evidence: &Evidence) -> &SyscallReports {
    match &evidence.reports {
        Reading::Value(reports) => reports,
        Reading::Unavailable(why) => panic!("no reports: {why:?}"),
    }
}

/// What was reported of calls with this name.
#[track_caller]
pub(crate) fn named(finished: &Finished, name: &str) -> ReportedCall {
    let calls = &reports(finished).calls;
    let found = calls.iter().find(|call| call.syscall.to_string() == name);
    *found.unwrap_or_else(|| panic!("{name} is not among {calls:?}"))
}

/// Name of the call that the verdict has.
#[track_caller]
pub(crate) fn violation(finished: &Finished) -> String {
    match judged(finished) {
        (
            Verdict::SecurityViolation {
                syscall: Some(call),
            },
            Basis::SyscallReport,
        ) => call.to_string(),
        other => panic!("{other:?}: {:?}", finished.outcome.evidence),
    }
}

pub(crate) fn capture() -> Output {
    Output::Capture { keep: boxes::KEEP }
}
