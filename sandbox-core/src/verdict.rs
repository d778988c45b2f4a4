//! From evidence to verdict: a pure table.

use crate::{DiskUse, Evidence, Exit, KillReason, Limits, Reading, Syscall};

/// What became of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Verdict {
    /// Exit code 0 within every limit.
    Ok,
    /// Another exit code, or a signal that no rule explains.
    RuntimeError(Exit),
    /// Used more CPU time than allowed.
    CpuTimeLimit,
    /// Took longer than allowed.
    WallTimeLimit,
    /// Slept or waited longer than allowed.
    IdleTimeLimit,
    /// Needed more memory than allowed.
    MemoryLimit,
    /// Was refused a process or thread and failed.
    ProcessLimit,
    /// Wrote more than allowed.
    OutputLimit,
    /// Filled a disk to its quota and failed.
    DiskLimit,
    /// Made a system call that the policy kills for.
    SecurityViolation {
        /// Which; `None` where the kernel killed for it, who does not say. It is there under a policy that
        /// reports what it kills for (`Policy::report_kills`).
        syscall: Option<Syscall>,
    },
    /// The embedding program killed the box.
    Cancelled,
    /// The evidence does not say; judge again. Never the contestant's fault.
    Indeterminate,
}

/// Which observation decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Basis {
    /// The embedding program's own request.
    KillRequest,
    /// The kernel's OOM kill count together with the cgroup's own limit hits.
    OomKill,
    /// An OOM kill that this cgroup's own limit did not cause: an ancestor's or the host's.
    ForeignOomKill,
    /// Bytes counted on a captured stream.
    OutputCount,
    /// The CPU time reading.
    CpuReading,
    /// The wall clock.
    WallReading,
    /// Wall clock and CPU time reading.
    IdleReading,
    /// The kernel ended the payload with `SIGXFSZ` under a file size limit.
    Sigxfsz,
    /// A call that the policy reports, for which the supervisor ended the run.
    SyscallReport,
    /// The kernel ended the payload with `SIGSYS`.
    Sigsys,
    /// Forks were refused, but not for the run's own limit: that was never reached.
    ForeignForkDenied,
    /// The pids controller refused forks, and the payload failed.
    ForkDenied,
    /// The kernel said that a quota was in the way, and the payload failed.
    DiskQuota,
    /// A place of which the kernel does not say so had no room left, and the payload failed.
    DiskFull,
    /// The payload's own exit status.
    ExitStatus,
    /// init could not report how the payload ended.
    NoExitReport,
}

/// A verdict and what it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Judgement {
    /// What became of the run.
    pub verdict: Verdict,
    /// Which observation decided.
    pub basis: Basis,
}

/// Limits, evidence and judgement of one run. Stored, it can be judged again by later rules.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Outcome {
    /// What was asked for.
    pub limits: Limits,
    /// What was seen.
    pub evidence: Evidence,
    /// What follows.
    pub judgement: Judgement,
}

impl Outcome {
    /// Judges the evidence and keeps all three together.
    #[must_use]
    pub fn new(limits: Limits, evidence: Evidence) -> Self {
        let judgement = judge(&evidence, &limits);
        Self {
            limits,
            evidence,
            judgement,
        }
    }

    /// The same run with what a quota of the embedder's own held when it was over, judged anew.
    #[must_use]
    pub fn with_disk(mut self, disk: DiskUse) -> Self {
        self.evidence.disks.push(disk);
        Self::new(self.limits, self.evidence)
    }
}

/// A row of the verdict table: the basis, and the verdict if this observation decides.
pub type Rule = (Basis, fn(&Evidence, &Limits) -> Option<Verdict>);

/// The verdict table. The first row that gives a verdict decides.
///
/// | # | Basis | Verdict | when |
/// |---|---|---|---|
/// | 1 | `KillRequest` | `Cancelled` | the embedding program killed the box |
/// | 2 | `OomKill` | `MemoryLimit` | OOM kills > 0 and the cgroup's own limit was hit |
/// | 3 | `ForeignOomKill` | `Indeterminate` | OOM kills > 0 and the own limit was not seen to be hit |
/// | 4 | `OutputCount` | `OutputLimit` | a captured stream passed the limit |
/// | 5 | `CpuReading` | `CpuTimeLimit` | measured CPU time above the limit |
/// | 6 | `WallReading` | `WallTimeLimit` | measured wall time above the limit |
/// | 7 | `IdleReading` | `IdleTimeLimit` | wall minus CPU time above the limit, at the end or when the box was killed for it |
/// | 8 | `Sigxfsz` | `OutputLimit` | ended by `SIGXFSZ`, file size limit asked for |
/// | 9 | `SyscallReport` | `SecurityViolation`, with the call | a call was reported that the policy ends the run for, or more calls than one run may have |
/// | 10 | `Sigsys` | `SecurityViolation` | ended by `SIGSYS`, where the policy does not report each call that it kills for |
/// | 11 | `ForeignForkDenied` | `Indeterminate` | a fork was refused, the own limit never reached, and the payload did not exit with 0 |
/// | 12 | `ForkDenied` | `ProcessLimit` | a fork was refused, and the payload did not exit with 0 |
/// | 13 | `DiskQuota` | `DiskLimit` | the limit of a quota was in the way, and the payload did not exit with 0 |
/// | 14 | `DiskFull` | `DiskLimit` | where that is not counted, no other block or inode fitted at the end, and the payload did not exit with 0 |
/// | 15 | `ExitStatus` | `Ok`, `RuntimeError` | init reported how the payload ended |
/// | 16 | `NoExitReport` | `Indeterminate` | nothing else is known |
///
/// CPU and wall time decide by the final reading alone, which is never smaller than the one that led to a kill. Idle time
/// can shrink: the kill itself costs CPU time. So there a kill that ended the payload decides as well. `SIGKILL` by itself
/// is a run-time error, `SIGXCPU` too, and exit code 159 is an exit code. A kernel without `pids.peak` (before 6.6) cannot
/// tell whose limit refused a fork; there rule 12 takes it for the run's own.
pub const RULES: &[Rule] = &[
    (Basis::KillRequest, |e, _| {
        (e.kill == Some(KillReason::Requested)).then_some(Verdict::Cancelled)
    }),
    (Basis::OomKill, |e, l| {
        (l.memory.is_some() && positive(e.oom_kills) && positive(e.memory_limit_hits))
            .then_some(Verdict::MemoryLimit)
    }),
    (Basis::ForeignOomKill, |e, _| {
        positive(e.oom_kills).then_some(Verdict::Indeterminate)
    }),
    (Basis::OutputCount, |e, l| {
        exceeds(Some(e.stdout.seen.max(e.stderr.seen)), l.output).then_some(Verdict::OutputLimit)
    }),
    (Basis::CpuReading, |e, l| {
        exceeds(e.cpu_time.value(), l.cpu_time).then_some(Verdict::CpuTimeLimit)
    }),
    (Basis::WallReading, |e, l| {
        exceeds(Some(e.wall_time), l.wall_time).then_some(Verdict::WallTimeLimit)
    }),
    (Basis::IdleReading, |e, l| {
        let killed = e.kill == Some(KillReason::IdleTime) && e.exit.is_none();
        let passed = killed || exceeds(e.idle_time().value(), l.idle_time);
        (l.idle_time.is_some() && passed).then_some(Verdict::IdleTimeLimit)
    }),
    (Basis::Sigxfsz, |e, l| {
        (ended_by(e, libc::SIGXFSZ) && l.file_size.is_some()).then_some(Verdict::OutputLimit)
    }),
    (Basis::SyscallReport, |e, _| match &e.reports {
        Reading::Value(reports)
            if reports.decisive.is_some() || e.kill == Some(KillReason::ReportFlood) =>
        {
            let syscall = reports.decisive.map(|call| call.syscall);
            Some(Verdict::SecurityViolation { syscall })
        }
        _ => None,
    }),
    (Basis::Sigsys, |e, _| {
        let forged = matches!(&e.reports, Reading::Value(reports) if reports.with_kills);
        (ended_by(e, libc::SIGSYS) && !forged)
            .then_some(Verdict::SecurityViolation { syscall: None })
    }),
    (Basis::ForeignForkDenied, |e, l| {
        let below = matches!(
            (e.processes_peak, l.processes),
            (Reading::Value(peak), Some(limit)) if peak < u64::from(limit)
        );
        (failed_after_denied_fork(e) && (below || l.processes.is_none()))
            .then_some(Verdict::Indeterminate)
    }),
    (Basis::ForkDenied, |e, _| {
        failed_after_denied_fork(e).then_some(Verdict::ProcessLimit)
    }),
    (Basis::DiskQuota, |e, _| {
        (failed(e) && e.places().any(|place| place.hit == Reading::Value(true)))
            .then_some(Verdict::DiskLimit)
    }),
    (Basis::DiskFull, |e, _| {
        // Where it is counted that nothing was refused, a full place is as full as the program meant it to be.
        let full = |place: DiskUse| place.full && place.hit != Reading::Value(false);
        (failed(e) && e.places().any(full)).then_some(Verdict::DiskLimit)
    }),
    (Basis::ExitStatus, |e, _| {
        e.exit.map(|exit| match exit {
            Exit::Code(0) => Verdict::Ok,
            other => Verdict::RuntimeError(other),
        })
    }),
    (Basis::NoExitReport, |_, _| Some(Verdict::Indeterminate)),
];

/// The verdict of a run. Pure and total: no clock, no I/O, no host state; equal arguments give equal results.
#[must_use]
pub fn judge(evidence: &Evidence, limits: &Limits) -> Judgement {
    RULES
        .iter()
        .find_map(|(basis, rule)| {
            rule(evidence, limits).map(|verdict| Judgement {
                verdict,
                basis: *basis,
            })
        })
        .unwrap_or(Judgement {
            verdict: Verdict::Indeterminate,
            basis: Basis::NoExitReport,
        })
}

fn positive(reading: Reading<u64>) -> bool {
    reading.value().is_some_and(|n| n > 0)
}

fn failed_after_denied_fork(evidence: &Evidence) -> bool {
    positive(evidence.forks_denied) && failed(evidence)
}

fn failed(evidence: &Evidence) -> bool {
    evidence.exit.is_some_and(|exit| exit != Exit::Code(0))
}

fn exceeds<T: PartialOrd>(measured: Option<T>, limit: Option<T>) -> bool {
    matches!((measured, limit), (Some(measured), Some(limit)) if measured > limit)
}

fn ended_by(evidence: &Evidence, signal: i32) -> bool {
    matches!(evidence.exit, Some(Exit::Signal { signo, .. }) if signo == signal)
}
