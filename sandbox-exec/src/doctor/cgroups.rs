//! Cgroups: which generation serves what, whether each limit can be had, and whether we may make groups.

use core::time::Duration;
use std::{collections::BTreeSet, path::PathBuf};

use sandbox_cgroup::{Cgroup, CgroupParent, Error, Hierarchies};
use sandbox_core::{Bytes, Controller, CpuSet, HierarchyVersion, Limits, Reading, Unavailable};

use super::{
    report::{Finding, Need},
    tree::{Text, Tree},
};
use crate::error::chain;

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
type Attempt = Result<Group, Error>;

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
    // What the payload would open to join.
    drop(cgroup.prepare()?);
    let parents = cgroup.paths().filter_map(|path| path.parent());
    let parents = parents.map(PathBuf::from).collect();
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

pub(super) fn findings(tried: &Tried) -> Vec<Finding> {
    let mountinfo = Tree::host().text("proc/self/mountinfo");
    let mut list = vec![modes(&tried.hierarchies, &mountinfo)];
    if tried.hierarchies.is_ok() {
        let limits = LIMITS.iter().zip(&tried.attempts);
        list.extend(limits.map(|(limit, attempt)| one_limit(limit, attempt)));
        list.push(delegation(&tried.parent, &tried.attempts));
    } else {
        let blind = "the hierarchies are not known";
        let unknown = |limit: &Limit| Finding::unknown(limit.need, blind).required(limit.required);
        list.extend(LIMITS.iter().map(unknown));
        list.push(Finding::unknown(Need::Delegation, blind).required(true));
    }
    list
}

/// The mode of the host, and who serves which controller.
fn modes(hierarchies: &Result<Hierarchies, Error>, mountinfo: &Text) -> Finding {
    let hierarchies = match hierarchies {
        Ok(hierarchies) => hierarchies,
        Err(error) => return Finding::unknown(Need::Cgroups, chain(error)).required(true),
    };
    let served: Vec<String> = LIMITS
        .iter()
        .map(|limit| {
            let serving = hierarchies.version(limit.controller);
            let version = serving.map_or("nowhere", version_name);
            format!("{} {version}", controller_name(limit.controller))
        })
        .collect();
    let served = served.join(", ");
    let mounted = |kind: &str| match mountinfo {
        Text::Is(text) => text.lines().any(|line| line.contains(kind)),
        _ => false,
    };
    let mode = match (mounted(" - cgroup "), mounted(" - cgroup2 ")) {
        (true, true) => "hybrid",
        (true, false) => "v1",
        (false, _) => "unified",
    };
    let nobody = LIMITS
        .iter()
        .all(|limit| hierarchies.version(limit.controller).is_none());
    let finding = if nobody {
        Finding::missing(
            Need::Cgroups,
            "no hierarchy with a controller is mounted",
            "no limit of memory, processes or CPU time can be had",
        )
        .mend("mount -t cgroup2 cgroup2 /sys/fs/cgroup")
    } else {
        Finding::ok(Need::Cgroups, format!("{mode}: {served}"))
    };
    finding.required(true)
}

/// The kernel's name.
fn controller_name(controller: Controller) -> String {
    format!("{controller:?}").to_lowercase()
}

fn version_name(version: HierarchyVersion) -> &'static str {
    match version {
        HierarchyVersion::V1 => "v1",
        HierarchyVersion::V2 => "v2",
    }
}

fn one_limit(limit: &Limit, attempt: &Attempt) -> Finding {
    let need = limit.need;
    let finding = match attempt {
        Ok(group) => {
            let version = group.version.map_or("unserved", version_name);
            match group.memory_peak {
                Some(why) if need == Need::Memory => Finding::degraded(
                    need,
                    format!("{version}: the limit holds, the peak is {why:?}"),
                    "the largest use of memory of a run is unknown",
                )
                .mend("boot Linux 5.19 or newer"),
                _ => Finding::ok(need, format!("{version}: set and read back in a group")),
            }
        }
        Err(error) if denied(error) => {
            Finding::missing(need, "no group can be made for it", limit.lost)
                .mend(format!("see the line {}", Need::Delegation))
        }
        Err(error) => {
            Finding::missing(need, chain(error), limit.lost).mend(mend(limit.controller, error))
        }
    };
    finding.required(limit.required)
}

fn mend(controller: Controller, error: &Error) -> String {
    let name = controller_name(controller);
    match error {
        Error::NoController { reason, .. } => match reason {
            sandbox_cgroup::Missing::NotDelegated { parent } => format!(
                "echo +{name} > cgroup.subtree_control, in each group from the root down to the one above {}",
                parent.display()
            ),
            _ if controller == Controller::Memory => {
                "boot with cgroup_enable=memory, or mount the hierarchy".to_owned()
            }
            _ => format!("boot without cgroup_disable={name}, or mount the hierarchy"),
        },
        Error::SwapUnaccounted { .. } => "swapoff -a, or boot with swapaccount=1".to_owned(),
        _ => "what the error says".to_owned(),
    }
}

/// Whether it is a matter of rights, or of where the groups would be, not of the controller.
fn denied(error: &Error) -> bool {
    let errno = error.errno().map_or(0, sandbox_core::Errno::raw);
    let place = matches!(
        error,
        Error::ParentPath { .. } | Error::OwnOutside { .. } | Error::NotDomain { .. }
    );
    place
        || matches!(
            errno,
            libc::EACCES | libc::EPERM | libc::EROFS | libc::EBUSY | libc::ENOENT
        )
}

/// Whether groups can be made where they would be.
fn delegation(parent: &CgroupParent, attempts: &[Attempt]) -> Finding {
    let need = Need::Delegation;
    let lost = "no limit of memory, processes or CPU time can be had for boxes of this process";
    let refused = attempts
        .iter()
        .filter_map(|attempt| attempt.as_ref().err())
        .find(|error| denied(error));
    let made: BTreeSet<String> = attempts
        .iter()
        .filter_map(|attempt| attempt.as_ref().ok())
        .flat_map(|group| &group.parents)
        .map(|path| path.display().to_string())
        .collect();
    let made: Vec<_> = made.into_iter().collect();
    let finding = match refused {
        Some(error) => {
            let errno = error.errno().map_or(0, sandbox_core::Errno::raw);
            Finding::missing(need, chain(error), lost).mend(match errno {
                libc::EROFS => {
                    "mount -o remount,rw /sys/fs/cgroup; in a container, start it with a cgroup namespace and a writable \
                     /sys/fs/cgroup"
                }
                libc::EBUSY => {
                    "mkdir GROUP/leaf, then echo PID > GROUP/leaf/cgroup.procs for each process of the group"
                }
                libc::ENOENT => "mkdir the parent in every hierarchy, or choose one that exists",
                _ if *parent == CgroupParent::Root => {
                    "run as root, or systemd-run --user --scope -p Delegate=yes and take the own group as parent"
                }
                _ => "chown USER GROUP GROUP/cgroup.procs GROUP/cgroup.subtree_control (v1: GROUP/tasks)",
            })
        }
        None if made.is_empty() => Finding::missing(need, "no group could be made anywhere", lost)
            .mend("see the lines of the limits"),
        None => Finding::ok(need, format!("groups can be made in {}", made.join(", "))),
    };
    finding.required(true)
}

#[cfg(test)]
mod tests {
    use super::{Attempt, Group, LIMITS, delegation, modes, one_limit};
    use crate::doctor::{report::State, tree::Text};
    use sandbox_cgroup::{CgroupParent, Error, Hierarchies, Missing};
    use sandbox_core::{Controller, Errno, HierarchyVersion, Unavailable};
    use std::path::PathBuf;

    fn made() -> Attempt {
        Ok(Group {
            parents: vec![PathBuf::from("/c")],
            version: Some(HierarchyVersion::V2),
            memory_peak: None,
        })
    }

    fn refused(errno: i32) -> Attempt {
        Err(Error::Create {
            path: PathBuf::from("/c/x"),
            source: Errno::from_raw(errno),
        })
    }

    fn absent(reason: Missing) -> Attempt {
        Err(Error::NoController {
            field: "memory",
            controller: Controller::Memory,
            reason,
        })
    }

    #[test]
    fn each_controller_is_told_with_its_generation() {
        let found = |mounts: &str, groups: &str| {
            modes(
                &Hierarchies::parse(mounts, groups),
                &Text::Is(mounts.to_owned()),
            )
        };
        let v2 = "1 2 0:3 / /c/u rw - cgroup2 cgroup2 rw\n";
        let unified = found(v2, "0::/\n");
        assert_eq!(unified.state, State::Ok);
        assert!(unified.found.starts_with("unified: "), "{}", unified.found);
        let v1 = "1 2 0:1 / /c/m rw - cgroup cgroup rw,memory\n";
        let hybrid = found(&format!("{v1}{v2}"), "4:pids:/\n2:memory:/\n0::/\n");
        assert!(hybrid.found.starts_with("hybrid: "), "{}", hybrid.found);
        assert!(hybrid.found.contains("memory v1"), "{}", hybrid.found);
        assert!(hybrid.found.contains("pids nowhere"), "{}", hybrid.found);
        assert!(found(v1, "2:memory:/\n").found.starts_with("v1: "));
        let named = "1 2 0:7 / /c/s rw - cgroup cgroup rw,name=systemd\n";
        let systemd = found(&format!("{named}{v2}"), "0::/\n");
        assert!(systemd.found.starts_with("hybrid: "), "{}", systemd.found);
        let none = found("", "");
        assert_eq!((none.state, none.required), (State::Missing, true));
        assert_eq!(found("nonsense", "").state, State::Unknown);
    }

    #[test]
    fn a_limit_is_set_or_lost() {
        let memory = &LIMITS[1];
        assert_eq!(one_limit(memory, &made()).state, State::Ok);
        let mut old = made().unwrap();
        old.memory_peak = Some(Unavailable::KernelTooOld);
        let old = one_limit(memory, &Ok(old));
        assert_eq!(old.state, State::Degraded);
        assert!(old.mend.unwrap().contains("5.19"));

        let parent = PathBuf::from("/c/own");
        let above = one_limit(memory, &absent(Missing::NotDelegated { parent }));
        assert_eq!((above.state, above.required), (State::Missing, true));
        assert!(above.mend.unwrap().starts_with("echo +memory"));
        let nowhere = one_limit(memory, &absent(Missing::NotMounted));
        assert!(nowhere.mend.unwrap().contains("cgroup_enable=memory"));
        let path = PathBuf::from("/c/memory.swap.max");
        let swap = one_limit(memory, &Err(Error::SwapUnaccounted { path }));
        assert!(swap.mend.unwrap().contains("swapoff"));
        let denied = one_limit(memory, &refused(libc::EACCES));
        assert!(denied.mend.unwrap().contains("delegation"));
        assert!(!one_limit(&LIMITS[4], &refused(libc::EACCES)).required);
    }

    #[test]
    fn delegation_is_a_matter_of_rights_and_places() {
        let root = |attempts: &[Attempt]| delegation(&CgroupParent::Root, attempts);
        let fine = root(&[made(), absent(Missing::NotMounted)]);
        assert_eq!(fine.state, State::Ok);
        assert_eq!(fine.found, "groups can be made in /c");
        for (errno, word) in [
            (libc::EACCES, "systemd-run"),
            (libc::EROFS, "remount"),
            (libc::EBUSY, "leaf"),
            (libc::ENOENT, "exists"),
        ] {
            let finding = root(&[made(), refused(errno)]);
            assert_eq!((finding.state, finding.required), (State::Missing, true));
            assert!(finding.mend.as_ref().unwrap().contains(word), "{finding:?}");
        }
        let own = delegation(&CgroupParent::Own, &[refused(libc::EACCES)]);
        assert!(own.mend.unwrap().starts_with("chown"));
        assert_eq!(
            root(&[absent(Missing::NotMounted)]).state,
            State::Missing,
            "without any group nothing is delegated"
        );
    }
}
