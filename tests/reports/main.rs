//! Calls that a policy reports: what the supervisor learns of them, and what a program can do about it.

mod calls;
mod endings;
mod execve;
mod faults;
mod floods;
mod forgeries;
mod starts;
mod threads;

use std::sync::mpsc;

use sandbox_exec::{
    Answer, Basis, Errno, Finished, Output, Reading, ReportedCall, Running, SyscallReports,
    Verdict, core::Evidence, seccomp::Action,
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

/// A wait that would hang where something is wrong.
#[track_caller]
pub(crate) fn wait_in_time(running: Running) -> Finished {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(running.wait()).is_ok());
    let finished = told.recv_timeout(host::patience(5_000));
    boxes::ok(finished.expect("it is over"))
}
