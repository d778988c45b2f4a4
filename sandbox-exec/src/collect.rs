//! From what was seen of a run to its outcome.

use core::time::Duration;

use sandbox_cgroup::{Cgroup, Usage};
use sandbox_core::{
    Evidence, KillReason, Landlocked, Limits, Outcome, Reading, Stage, SyscallReports, Unavailable,
    sys::monotonic_ns,
};
use sandbox_fs::KeptDir;

use crate::{
    Error,
    capture::Capture,
    observed::{Proof, Status},
    quotas::RunQuotas,
};

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

/// Everything seen of a run of which no process is left, so that every counter stands still.
#[derive(Debug)]
pub(crate) struct Remains {
    pub(crate) limits: Limits,
    /// What the stage gives, if it is among the proofs.
    pub(crate) landlock: Reading<Landlocked>,
    pub(crate) memory_by_rlimit: bool,
    pub(crate) proof: Proof,
    pub(crate) cpu_at_start: Reading<Duration>,
    pub(crate) status: Status,
    pub(crate) reports: Reading<SyscallReports>,
    pub(crate) kill: Option<(KillReason, i64)>,
    /// Where the counters are already read for the last time.
    pub(crate) usage: Option<Usage>,
    pub(crate) stdout: Capture,
    pub(crate) stderr: Capture,
    pub(crate) cgroup: Cgroup,
    pub(crate) quotas: RunQuotas,
}

impl Remains {
    /// Reads the counters, removes the cgroup and judges.
    pub(crate) fn collect(self) -> Result<Finished, Error> {
        let Self {
            limits,
            landlock,
            memory_by_rlimit,
            proof,
            cpu_at_start,
            status,
            reports,
            kill,
            usage,
            stdout,
            stderr,
            cgroup,
            quotas,
        } = self;
        let killed_ns = kill.map(|(_, ns)| ns);
        let end_ns = status.ended_ns.or(killed_ns).unwrap_or_else(monotonic_ns);
        let mut evidence = Evidence::empty(elapsed(proof.started_ns, end_ns));
        let usage = usage.map_or_else(
            || cgroup.usage(),
            |mut early| {
                early.memory_charge = cgroup.memory_charge();
                early
            },
        );
        evidence.exit = status.exit;
        evidence.kill = kill.map(|(reason, _)| reason);
        evidence.cpu_time = usage.cpu_time;
        evidence.cpu_time_at_start = cpu_at_start;
        evidence.memory_peak = usage.memory_peak;
        evidence.memory_left = usage.memory_charge;
        evidence.oom_kills = usage.oom_kills;
        evidence.memory_limit_hits = usage.memory_limit_hits;
        evidence.forks_denied = usage.forks_denied;
        evidence.processes_peak = usage.processes_peak;
        evidence.controllers = cgroup.controllers();
        evidence.supplementary_groups = proof.groups;
        evidence.landlock = match landlock {
            Reading::Value(_) if !proof.stages.contains(Stage::Landlock.set()) => {
                // A chain of the embedder's own left it out.
                Reading::Unavailable(Unavailable::NotRequested)
            }
            other => other,
        };
        evidence.reports = reports;
        evidence.memory_by_rlimit = memory_by_rlimit && proof.stages.contains(Stage::Rlimits.set());
        evidence.disks = status.kept.iter().filter_map(KeptDir::usage).collect();
        evidence.quotas = quotas.usage();
        evidence.proved = (proof.stages | status.stages).stages().collect();
        let (stream, stdout) = stdout.into_evidence(killed_ns, status.ended_ns);
        evidence.stdout = stream;
        let (stream, stderr) = stderr.into_evidence(killed_ns, status.ended_ns);
        evidence.stderr = stream;
        let outcome = Outcome::new(limits, evidence);
        if let Err(source) = cgroup.destroy() {
            let outcome = Box::new(outcome);
            return Err(Error::NotRemoved { outcome, source });
        }
        if let Err(source) = quotas.clear() {
            let outcome = Box::new(outcome);
            return Err(Error::QuotaLeft { outcome, source });
        }
        Ok(Finished {
            outcome,
            stdout,
            stderr,
            kept: status.kept,
        })
    }
}

/// The time between two readings of `CLOCK_MONOTONIC`.
pub(crate) fn elapsed(start_ns: i64, end_ns: i64) -> Duration {
    Duration::from_nanos(end_ns.saturating_sub(start_ns).max(0).unsigned_abs())
}
