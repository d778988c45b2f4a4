//! Cgroups: which generation serves what, whether each limit can be had, and whether we may make groups.

mod told;

use core::time::Duration;
use std::path::PathBuf;

use sandbox_cgroup::{Cgroup, CgroupParent, Error, Hierarchies};
use sandbox_core::{Bytes, Controller, CpuSet, HierarchyVersion, Limits, Reading, Unavailable};

use super::{
    attempt::{self, Operation},
    child::{self, Work},
    report::Need,
    tree::Tree,
};

pub(super) use told::findings;

/// One limit, and what becomes of runs without it.
struct Limit {
    need: Need,
    controller: Controller,
    required: bool,
    lost: &'static str,
}

const LIMITS: [Limit; 5] = [
    Limit {
        need: Need::CpuTime,
        controller: Controller::Cpuacct,
        required: true,
        lost: "limits of CPU and idle time are errors, and the CPU time of a run is unknown",
    },
    Limit {
        need: Need::Memory,
        controller: Controller::Memory,
        required: true,
        lost: "a limit of memory is an error, and the peak is unknown",
    },
    Limit {
        need: Need::Processes,
        controller: Controller::Pids,
        required: true,
        lost: "a limit of processes is an error: a fork bomb is stopped by the host's own limit only",
    },
    Limit {
        need: Need::CpuRate,
        controller: Controller::Cpu,
        required: false,
        lost: "cpu_rate and cpu_weight are errors; a box can take CPU time from others by many sessions",
    },
    Limit {
        need: Need::CpuSet,
        controller: Controller::Cpuset,
        required: false,
        lost: "a limit of cpus is an error: boxes cannot be kept apart on CPUs",
    },
];

/// What making one group with one limit gave.
type Attempt = Result<Group, Refusal>;

/// Why a limit cannot be had.
#[derive(Debug)]
enum Refusal {
    /// No group.
    Group(Error),
    /// A group that no process of the caller's group can enter, or of which nobody knows.
    Entry {
        parents: Vec<PathBuf>,
        tried: attempt::Tried,
    },
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            // Known before the group is made, and to be told like a group that the kernel lets nobody enter.
            Error::OutOfReach { parent, source, .. } => Self::Entry {
                parents: vec![parent],
                tried: attempt::Tried::refused(Operation::InCopy(child::JOIN), source.raw()),
            },
            error => Self::Group(error),
        }
    }
}

/// A group that was made, read and removed.
#[derive(Debug)]
struct Group {
    parents: Vec<PathBuf>,
    version: Option<HierarchyVersion>,
    memory_peak: Option<Unavailable>,
}

/// What was seen and tried of cgroups.
#[derive(Debug)]
pub(super) struct Tried {
    parent: CgroupParent,
    hierarchies: Result<Hierarchies, Error>,
    attempts: Vec<Attempt>,
}

impl Tried {
    pub(super) fn new(parent: CgroupParent) -> Self {
        let hierarchies = Hierarchies::discover();
        let attempts = match &hierarchies {
            Ok(hierarchies) => LIMITS
                .iter()
                .map(|limit| attempt(hierarchies, &parent, limit.controller))
                .collect(),
            Err(_) => Vec::new(),
        };
        Self {
            parent,
            hierarchies,
            attempts,
        }
    }

    pub(super) fn parent(&self) -> &CgroupParent {
        &self.parent
    }

    /// Small limits of everything that can be limited here.
    pub(super) fn limits(&self) -> Limits {
        let served = LIMITS.iter().zip(&self.attempts);
        served
            .filter(|(_, attempt)| attempt.is_ok())
            .fold(Limits::default(), |limits, (limit, _)| {
                with(limits, limit.controller)
            })
    }
}

/// A limit that a program which does nothing never meets.
fn with(limits: Limits, controller: Controller) -> Limits {
    match controller {
        Controller::Cpuacct => limits.cpu_time(Duration::from_secs(10)),
        Controller::Memory => limits.memory(Bytes::mib(64)),
        Controller::Pids => limits.processes(16),
        Controller::Cpu => limits.cpu_rate(1000),
        Controller::Cpuset => limits.cpus(one_cpu()),
        _ => limits,
    }
}

/// A CPU that this process may use, so that its cpuset has it.
fn one_cpu() -> CpuSet {
    let allowed = || {
        let status = Tree::host().text("proc/self/status").known()?;
        let list = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        list.trim().parse::<CpuSet>().ok()?.iter().next()
    };
    CpuSet::new([allowed().unwrap_or(0)])
}

fn attempt(hierarchies: &Hierarchies, parent: &CgroupParent, controller: Controller) -> Attempt {
    let limits = with(Limits::default(), controller);
    let cgroup = Cgroup::create(hierarchies, parent, &limits)?;
    let parents = cgroup.paths().filter_map(|path| path.parent());
    let parents = parents.map(PathBuf::from).collect();
    let entry = cgroup.prepare()?.by_write();
    let tried = attempt::apart(Work::Join(&entry));
    if !tried.worked() {
        return Err(Refusal::Entry { parents, tried });
    }
    let served = cgroup.controllers();
    let group = Group {
        parents,
        version: served
            .iter()
            .find(|one| one.controller == controller)
            .map(|one| one.version),
        memory_peak: match cgroup.usage().memory_peak {
            Reading::Value(_) => None,
            Reading::Unavailable(why) => Some(why),
        },
    };
    cgroup.destroy()?;
    Ok(group)
}
