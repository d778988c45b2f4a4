//! What was tried of cgroups, as findings; pure but for one text.

use std::{collections::BTreeSet, path::PathBuf};

use sandbox_cgroup::{CgroupParent, Error, Hierarchies};
use sandbox_core::{Controller, HierarchyVersion};

use super::{Attempt, LIMITS, Limit, Refusal};
use crate::{
    doctor::{
        attempt::Tried,
        report::{Finding, Need},
        tree::{Text, Tree},
    },
    error::chain,
};

const SEE_DELEGATION: &str = "see the line delegation";

pub(in crate::doctor) fn findings(tried: &super::Tried) -> Vec<Finding> {
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
        Err(Refusal::Entry {
            tried: Tried::Untried(why),
            ..
        }) => Finding::unknown(need, why),
        Err(Refusal::Entry { .. }) => Finding::missing(
            need,
            "a group can be made for it, but not entered",
            limit.lost,
        )
        .mend(SEE_DELEGATION),
        Err(Refusal::Group(error)) if denied(error) => {
            Finding::missing(need, "no group can be made for it", limit.lost).mend(SEE_DELEGATION)
        }
        Err(Refusal::Group(error)) => {
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

/// Whether groups can be made where they would be, and entered.
fn delegation(parent: &CgroupParent, attempts: &[Attempt]) -> Finding {
    let need = Need::Delegation;
    let lost = "no limit of memory, processes or CPU time can be had for boxes of this process";
    let refusals = || attempts.iter().filter_map(|attempt| attempt.as_ref().err());
    let ungrouped = refusals().find_map(|refusal| match refusal {
        Refusal::Group(error) if denied(error) => Some(error),
        _ => None,
    });
    let unentered = refusals().find_map(|refusal| match refusal {
        Refusal::Entry { parents, tried } => Some((list(parents), tried)),
        Refusal::Group(_) => None,
    });
    let made = attempts.iter().filter_map(|attempt| attempt.as_ref().ok());
    let made = list(made.flat_map(|group| &group.parents));
    let finding = match (ungrouped, unentered) {
        (Some(error), _) => {
            Finding::missing(need, chain(error), lost).mend(how_to_delegate(parent, error))
        }
        (None, Some((_, Tried::Untried(why)))) => Finding::unknown(need, why),
        (None, Some((parents, tried))) => {
            let found = format!("groups can be made in {parents}, but not entered: {tried}");
            Finding::missing(need, found, lost).mend(
                "start this in a group below the delegated one: as root, echo PID > DELEGATED/leaf/cgroup.procs \
                 (systemd-run --user --scope -p Delegate=yes does it)",
            )
        }
        (None, None) if made.is_empty() => {
            Finding::missing(need, "no group could be made anywhere", lost)
                .mend("see the lines of the limits")
        }
        (None, None) => Finding::ok(need, format!("groups can be made and entered in {made}")),
    };
    finding.required(true)
}

fn how_to_delegate(parent: &CgroupParent, error: &Error) -> &'static str {
    match error.errno().map_or(0, sandbox_core::Errno::raw) {
        libc::EROFS => {
            "mount -o remount,rw /sys/fs/cgroup; in a container, start it with a cgroup namespace and a writable \
             /sys/fs/cgroup"
        }
        libc::EBUSY => {
            "mkdir GROUP/leaf, then echo PID > GROUP/leaf/cgroup.procs for each process of the group; a program alone in its own \
             group may call Hierarchies::delegate_self"
        }
        libc::ENOENT => "mkdir the parent in every hierarchy, or choose one that exists",
        _ if *parent == CgroupParent::Root => {
            "run as root, or systemd-run --user --scope -p Delegate=yes and take the own group as parent"
        }
        _ => "chown USER GROUP GROUP/cgroup.procs GROUP/cgroup.subtree_control (v1: GROUP/tasks)",
    }
}

/// Each path once.
fn list<'p>(paths: impl IntoIterator<Item = &'p PathBuf>) -> String {
    let paths: BTreeSet<String> = paths
        .into_iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
