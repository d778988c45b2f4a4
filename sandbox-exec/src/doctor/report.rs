//! What the doctor says.

use core::fmt;

/// What a box, or a steady measurement, needs of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Need {
    /// The system calls without which no box starts.
    Kernel,
    /// Cgroup hierarchies, and which generation serves which controller.
    Cgroups,
    /// CPU time of a run: limit and reading.
    CpuTime,
    /// Memory limit and peak.
    Memory,
    /// Limit of processes.
    Processes,
    /// Limit of CPU time per wall time.
    CpuRate,
    /// Choice of CPUs.
    CpuSet,
    /// The right to make cgroups where runs would have theirs.
    Delegation,
    /// No swap, or swap that is accounted.
    Swap,
    /// The namespaces of a box, as this process would make them.
    Namespaces,
    /// User namespaces: boxes of ordinary users.
    UserNamespaces,
    /// `user.max_*_namespaces`.
    NamespaceLimits,
    /// Debian's `kernel.unprivileged_userns_clone`.
    NamespaceSysctl,
    /// Ubuntu's `kernel.apparmor_restrict_unprivileged_userns`.
    NamespaceApparmor,
    /// No mount lies over a part of `/proc`, for then no new one can be mounted in a user namespace.
    ProcMounts,
    /// newuidmap(1) and newgidmap(1): ranges of ids for boxes of ordinary users.
    IdHelpers,
    /// No system call filter on this process, such as a container's.
    SeccompProfile,
    /// System call filters, with the actions that policies use.
    Seccomp,
    /// System call filters that ask a supervisor.
    SeccompNotify,
    /// Landlock.
    Landlock,
    /// A box with every limit that the host can apply.
    Box,
    /// Quotas on the work directory's file system.
    Quota,
    /// A crash starts no helper.
    CorePattern,
    /// Address space randomisation: steady times against protection.
    Aslr,
    /// Two CPUs that share a core disturb each other's times.
    Smt,
    /// A constant CPU frequency.
    CpuGovernor,
    /// No frequency that depends on temperature and neighbours.
    CpuTurbo,
    /// Huge pages only for those who ask.
    HugePages,
}

impl Need {
    /// Its name in reports: that of the variant, in snake case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Cgroups => "cgroups",
            Self::CpuTime => "cpu_time",
            Self::Memory => "memory",
            Self::Processes => "processes",
            Self::CpuRate => "cpu_rate",
            Self::CpuSet => "cpu_set",
            Self::Delegation => "delegation",
            Self::Swap => "swap",
            Self::Namespaces => "namespaces",
            Self::UserNamespaces => "user_namespaces",
            Self::NamespaceLimits => "namespace_limits",
            Self::NamespaceSysctl => "namespace_sysctl",
            Self::NamespaceApparmor => "namespace_apparmor",
            Self::ProcMounts => "proc_mounts",
            Self::IdHelpers => "id_helpers",
            Self::SeccompProfile => "seccomp_profile",
            Self::Seccomp => "seccomp",
            Self::SeccompNotify => "seccomp_notify",
            Self::Landlock => "landlock",
            Self::Box => "box",
            Self::Quota => "quota",
            Self::CorePattern => "core_pattern",
            Self::Aslr => "aslr",
            Self::Smt => "smt",
            Self::CpuGovernor => "cpu_governor",
            Self::CpuTurbo => "cpu_turbo",
            Self::HugePages => "huge_pages",
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a need is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum State {
    /// Met.
    Ok,
    /// Met at a price, which [`Finding::costs`] says.
    Degraded,
    /// Not met; [`Finding::costs`] says what is lost.
    Missing,
    /// Nobody could look; [`Finding::found`] says why.
    Unknown,
}

impl State {
    /// Its name in reports: that of the variant, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One need, looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Finding {
    /// The need.
    pub need: Need,
    /// How it is met.
    pub state: State,
    /// Whether boxes of this process depend on it; what is not required makes them worse, or their times less steady.
    pub required: bool,
    /// What was seen; in [`State::Unknown`], why nothing was.
    pub found: String,
    /// What it costs that the need is not met, or not fully; `None` where the state is ok or unknown.
    pub costs: Option<String>,
    /// What to type, as root, where something can be typed.
    pub mend: Option<String>,
}

impl Finding {
    fn new(need: Need, state: State, found: impl Into<String>) -> Self {
        Self {
            need,
            state,
            required: false,
            found: found.into(),
            costs: None,
            mend: None,
        }
    }

    pub(super) fn ok(need: Need, found: impl Into<String>) -> Self {
        Self::new(need, State::Ok, found)
    }

    pub(super) fn degraded(need: Need, found: impl Into<String>, costs: impl Into<String>) -> Self {
        Self {
            costs: Some(costs.into()),
            ..Self::new(need, State::Degraded, found)
        }
    }

    pub(super) fn missing(need: Need, found: impl Into<String>, costs: impl Into<String>) -> Self {
        Self {
            costs: Some(costs.into()),
            ..Self::new(need, State::Missing, found)
        }
    }

    pub(super) fn unknown(need: Need, why: impl Into<String>) -> Self {
        Self::new(need, State::Unknown, why)
    }

    pub(super) fn mend(mut self, command: impl Into<String>) -> Self {
        self.mend = Some(command.into());
        self
    }

    pub(super) fn required(mut self, required: bool) -> Self {
        self.required = required;
        self
    }
}

/// What follows from all findings: whether boxes can be had here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Health {
    /// Nothing that is required is missing or unknown.
    Ok,
    /// Something that is required is missing.
    Missing,
    /// Nothing required was seen to be missing, but something of it could not be looked at.
    Unknown,
}

/// Everything that was looked at, in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Report {
    /// Release of the running kernel.
    pub kernel: String,
    /// Whether this process needs no user namespace for its boxes (`CAP_SYS_ADMIN`).
    pub privileged: bool,
    /// One for each need.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether boxes can be had.
    #[must_use]
    pub fn health(&self) -> Health {
        let any = |state| {
            self.findings
                .iter()
                .any(|finding| finding.required && finding.state == state)
        };
        if any(State::Missing) {
            Health::Missing
        } else if any(State::Unknown) {
            Health::Unknown
        } else {
            Health::Ok
        }
    }

    /// The finding about one need.
    #[must_use]
    pub fn finding(&self, need: Need) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.need == need)
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, Health, Need, Report};

    fn health(findings: Vec<Finding>) -> Health {
        let report = Report {
            kernel: String::new(),
            privileged: true,
            findings,
        };
        report.health()
    }

    #[test]
    fn only_what_is_required_decides() {
        let missing = || Finding::missing(Need::Landlock, "", "");
        let unknown = || Finding::unknown(Need::Seccomp, "");
        let fine = || Finding::ok(Need::Kernel, "").required(true);
        let poor = || Finding::degraded(Need::Swap, "", "").required(true);
        assert_eq!(
            health(vec![missing(), unknown(), fine(), poor()]),
            Health::Ok
        );
        assert_eq!(
            health(vec![fine(), unknown().required(true)]),
            Health::Unknown
        );
        let both = vec![unknown().required(true), missing().required(true)];
        assert_eq!(health(both), Health::Missing);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn names_are_those_of_the_data() {
        for need in [
            Need::CpuTime,
            Need::HugePages,
            Need::Box,
            Need::NamespaceApparmor,
        ] {
            assert_eq!(serde_json::to_string(&need).unwrap(), format!("\"{need}\""));
        }
    }
}
