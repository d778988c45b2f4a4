//! What was observed. Nothing in here is copied from the configuration.

use core::time::Duration;

use crate::{Bytes, DiskUse, Errno, Reading, Stage, SyscallReports, Unavailable};

/// How a process ended, from its raw wait status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Exit {
    /// It called `exit` with this status.
    Code(u8),
    /// A signal ended it.
    Signal {
        /// Number of the signal.
        signo: i32,
        /// Whether the kernel wrote a core dump.
        core_dumped: bool,
    },
}

impl Exit {
    /// Decodes a raw status of `wait(2)`; `None` where the process has not ended.
    #[must_use]
    pub fn from_wait_status(status: i32) -> Option<Self> {
        if libc::WIFEXITED(status) {
            return u8::try_from(libc::WEXITSTATUS(status)).ok().map(Self::Code);
        }
        libc::WIFSIGNALED(status).then(|| Self::Signal {
            signo: libc::WTERMSIG(status),
            core_dumped: libc::WCOREDUMP(status),
        })
    }
}

/// Why the supervisor killed the box; recorded before the signal is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum KillReason {
    /// The measured CPU time passed the limit.
    CpuTime,
    /// The wall clock passed the limit.
    WallTime,
    /// Wall minus CPU time passed the limit.
    IdleTime,
    /// A captured stream passed the limit.
    Output,
    /// The kernel's OOM killer took a process of a v1 cgroup, which cannot end the whole group by itself.
    OutOfMemory,
    /// A thread made a call for which the policy ends the run; see [`SyscallReports::decisive`].
    ForbiddenCall,
    /// More calls were reported than one run may have; see [`SyscallReports::decisive`].
    ReportFlood,
    /// The embedding program asked for it.
    Requested,
}

/// How the capture of a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum StreamEnd {
    /// The stream was not captured: it went to a descriptor of the embedder or to `/dev/null`.
    NotCaptured,
    /// Everything that the program wrote was read, up to the end of the box.
    Complete,
    /// More came than the limit; the rest was drained and counted, not kept.
    Truncated,
    /// Every process of the box closed the stream before the payload ended.
    ClosedByProgram,
    /// The box was killed before the stream ended: by the supervisor, or from outside.
    CutByKill,
    /// Reading failed.
    ReadError(Errno),
}

/// What was seen of one output stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StreamEvidence {
    /// Bytes read from the stream, kept or not; 0 where it was not captured.
    pub seen: Bytes,
    /// How the capture ended.
    pub end: StreamEnd,
}

/// A resource controller of cgroups(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Controller {
    /// CPU bandwidth and weight.
    Cpu,
    /// CPU time accounting: v1 `cpuacct`, on v2 part of every cgroup.
    Cpuacct,
    /// CPU and memory node placement.
    Cpuset,
    /// Memory and swap.
    Memory,
    /// Number of tasks.
    Pids,
}

/// Generation of a cgroup hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum HierarchyVersion {
    /// One hierarchy per controller or set of controllers.
    V1,
    /// The unified hierarchy.
    V2,
}

/// Which hierarchy served a controller in this run: the payload joined a group there, and every limit was read back from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ControllerUse {
    /// The controller.
    pub controller: Controller,
    /// The generation of the hierarchy that served it.
    pub version: HierarchyVersion,
}

/// What of landlock(7) held a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Landlocked {
    /// Version of the rules in force; the kernel's own may be later.
    pub version: u8,
    /// Whether TCP was closed (version 4).
    pub tcp: bool,
    /// Whether signals and abstract sockets out of the box were closed (version 6).
    pub scopes: bool,
}

impl Landlocked {
    /// As much as this version has.
    #[must_use]
    pub const fn new(version: u8) -> Self {
        Self {
            version,
            tcp: version >= 4,
            scopes: version >= 6,
        }
    }
}

/// What a memory cgroup is charged with at one moment, by what the charge is for.
///
/// [`MemoryCharge::total`] is more than the parts together: each CPU takes charges in batches of 64 pages and keeps the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct MemoryCharge {
    /// All of it.
    pub total: Reading<Bytes>,
    /// Heap, stack, private mappings.
    pub anonymous: Reading<Bytes>,
    /// Pages of files on disks. The kernel takes them back when the group needs the memory.
    pub page_cache: Reading<Bytes>,
    /// Shared mappings, memory files, tmpfs.
    pub shared: Reading<Bytes>,
    /// The kernel's own structures for the group: page tables, stacks, inodes, buffers of the page cache. Kernel: v2 from
    /// Linux 5.18 on.
    pub kernel: Reading<Bytes>,
}

impl MemoryCharge {
    /// Every part absent, for this reason.
    #[must_use]
    pub const fn unavailable(why: Unavailable) -> Self {
        let none = Reading::Unavailable(why);
        Self {
            total: none,
            anonymous: none,
            page_cache: none,
            shared: none,
            kernel: none,
        }
    }
}

/// Raw observations of one run, collected once and never edited.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Evidence {
    /// How the payload ended, as init reaped it; `None` where the box was gone before init could tell.
    pub exit: Option<Exit>,
    /// Why the supervisor killed the box, if it did.
    pub kill: Option<KillReason>,
    /// From just before `execve(2)` to the reaping of the payload, or to the kill; monotonic clock.
    pub wall_time: Duration,
    /// CPU time of every process of the run, user and system together.
    pub cpu_time: Reading<Duration>,
    /// The part of it that was charged when the supervisor saw that the program had started: set-up, the release of the
    /// embedder's memory that a box begins as a copy of, and what the program burnt until the supervisor looked. It grows with
    /// the embedder (docs/measurement.md).
    pub cpu_time_at_start: Reading<Duration>,
    /// Largest charge of the run's memory cgroup: the program's pages, and what docs/measurement.md explains beside them.
    pub memory_peak: Reading<Bytes>,
    /// What that cgroup was still charged with when no process of the run was left. The page cache in it, and the kernel's
    /// structures for it, are part of the peak and no memory that the program asked for.
    pub memory_left: MemoryCharge,
    /// Processes that the OOM killer took from this cgroup, for its own limit or for an ancestor's.
    pub oom_kills: Reading<u64>,
    /// How often this cgroup's own memory limit was hit (v1 `memory.failcnt`, v2 `memory.events.local` `oom`).
    pub memory_limit_hits: Reading<u64>,
    /// Forks and thread starts that the pids controller refused, for this cgroup's limit or for an ancestor's.
    pub forks_denied: Reading<u64>,
    /// Most tasks alive at once in the run's own cgroup (Linux 6.6).
    pub processes_peak: Reading<u64>,
    /// Standard output.
    pub stdout: StreamEvidence,
    /// Standard error.
    pub stderr: StreamEvidence,
    /// How many supplementary groups the payload had when it was sealed, as it counted them itself. More than none only where
    /// a user namespace denies `setgroups(2)` and the embedder allowed that.
    pub supplementary_groups: u16,
    /// Whether memory was limited for each process by itself, as `RLIMIT_AS`, and not for the run: the embedder allowed that
    /// where no cgroup can serve the limit, and the payload proved it. Such a run never ends in
    /// [`Verdict::MemoryLimit`](crate::Verdict::MemoryLimit): a process that meets the limit is refused memory and goes on.
    #[cfg_attr(feature = "serde", serde(default))]
    pub memory_by_rlimit: bool,
    /// The stages that init and payload reported as done before the program started.
    pub proved: Vec<Stage>,
    /// For each kept directory that is a tmpfs of the box, in their order, and for each quota that the embedder added.
    #[cfg_attr(feature = "serde", serde(default))]
    pub disks: Vec<DiskUse>,
    /// For each quota of the run, in their order: what its holder had when no process of the run was left.
    #[cfg_attr(feature = "serde", serde(default))]
    pub quotas: Vec<Reading<DiskUse>>,
    /// What of Landlock the payload had put itself under; absent where none was asked for, or the kernel has none.
    #[cfg_attr(feature = "serde", serde(default = "not_requested"))]
    pub landlock: Reading<Landlocked>,
    /// The calls that the policy reports; absent where it reports none.
    #[cfg_attr(feature = "serde", serde(default = "not_requested"))]
    pub reports: Reading<SyscallReports>,
    /// Which hierarchy served which controller.
    pub controllers: Vec<ControllerUse>,
}

/// Of evidence that was stored before there was such a reading.
#[cfg(feature = "serde")]
pub(crate) fn not_requested<T>() -> Reading<T> {
    Reading::Unavailable(Unavailable::NotRequested)
}

impl Evidence {
    /// Evidence of a run that left nothing but its duration: every reading absent, nothing proved.
    #[must_use]
    pub fn empty(wall_time: Duration) -> Self {
        let none = StreamEvidence {
            seen: Bytes::new(0),
            end: StreamEnd::NotCaptured,
        };
        Self {
            exit: None,
            kill: None,
            wall_time,
            cpu_time: Reading::Unavailable(Unavailable::NotRequested),
            cpu_time_at_start: Reading::Unavailable(Unavailable::NotRequested),
            memory_peak: Reading::Unavailable(Unavailable::NotRequested),
            memory_left: MemoryCharge::unavailable(Unavailable::NotRequested),
            oom_kills: Reading::Unavailable(Unavailable::NotRequested),
            memory_limit_hits: Reading::Unavailable(Unavailable::NotRequested),
            forks_denied: Reading::Unavailable(Unavailable::NotRequested),
            processes_peak: Reading::Unavailable(Unavailable::NotRequested),
            stdout: none,
            stderr: none,
            supplementary_groups: 0,
            memory_by_rlimit: false,
            proved: Vec::new(),
            disks: Vec::new(),
            quotas: Vec::new(),
            landlock: Reading::Unavailable(Unavailable::NotRequested),
            reports: Reading::Unavailable(Unavailable::NotRequested),
            controllers: Vec::new(),
        }
    }

    /// Every place with a quota of which something is known.
    pub(crate) fn places(&self) -> impl Iterator<Item = DiskUse> + '_ {
        let quotas = self.quotas.iter().filter_map(|quota| quota.value());
        self.disks.iter().copied().chain(quotas)
    }

    /// Wall time minus CPU time, where the CPU time was measured.
    #[must_use]
    pub fn idle_time(&self) -> Reading<Duration> {
        self.cpu_time.map(|cpu| self.wall_time.saturating_sub(cpu))
    }
}

#[cfg(test)]
mod tests {
    use super::{Evidence, Exit};
    use crate::{Reading, Unavailable};
    use core::time::Duration;

    #[test]
    fn wait_statuses_decode() {
        assert_eq!(Exit::from_wait_status(0), Some(Exit::Code(0)));
        assert_eq!(Exit::from_wait_status(159 << 8), Some(Exit::Code(159)));
        let abort = Exit::Signal {
            signo: libc::SIGABRT,
            core_dumped: true,
        };
        assert_eq!(Exit::from_wait_status(libc::SIGABRT | 0x80), Some(abort));
        assert_eq!(Exit::from_wait_status(0x137f), None, "stopped is not ended");
    }

    #[test]
    fn idle_time_needs_a_cpu_reading() {
        let mut evidence = Evidence::empty(Duration::from_secs(3));
        assert_eq!(
            evidence.idle_time(),
            Reading::Unavailable(Unavailable::NotRequested)
        );
        evidence.cpu_time = Reading::Value(Duration::from_secs(1));
        assert_eq!(evidence.idle_time(), Reading::Value(Duration::from_secs(2)));
    }
}
