//! From limits to the groups that a run needs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sandbox_core::{Controller, CpuSet, Errno, HierarchyVersion, Limits};

use crate::{
    CgroupParent, Error, Hierarchies, Missing,
    hierarchy::Hierarchy,
    host_limits, mountinfo, node, reach,
    setting::Setting,
    sys,
    v1::{self, Surroundings},
    v2,
};

/// A controller, and the limit that cannot do without it; `None`: wanted for a reading, and the run goes without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) controller: Controller,
    pub(crate) field: Option<&'static str>,
}

/// The group that a run needs in one hierarchy.
#[derive(Debug)]
pub(crate) struct Wanted<'h> {
    hierarchy: &'h Hierarchy,
    needs: Vec<Need>,
}

/// A group that can be made: its parent is ready, the settings are known.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) parent: PathBuf,
    pub(crate) version: HierarchyVersion,
    pub(crate) controllers: Vec<Controller>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) required: bool,
}

/// What the limits need; pure.
fn needs(limits: &Limits) -> Vec<Need> {
    let field = |set: bool, name: &'static str| set.then_some(name);
    let accounting = field(limits.cpu_time.is_some(), "cpu_time")
        .or(field(limits.idle_time.is_some(), "idle_time"));
    let cpu = field(limits.cpu_rate.is_some(), "cpu_rate")
        .or(field(limits.cpu_weight.is_some(), "cpu_weight"));
    let enforced = [
        (Controller::Memory, field(limits.memory.is_some(), "memory")),
        (
            Controller::Pids,
            field(limits.processes.is_some(), "processes"),
        ),
        (Controller::Cpuset, field(limits.cpus.is_some(), "cpus")),
    ];
    let enforced = enforced
        .into_iter()
        .filter(|(_, field)| field.is_some())
        .map(|(controller, field)| Need { controller, field });
    let mut all = vec![Need {
        controller: Controller::Cpuacct,
        field: accounting,
    }];
    all.extend(enforced);
    // Always wanted: a process in no cpu group has a share of CPU time for each session that it opens (autogroup), so that
    // one box could starve the others by setsid(2).
    all.push(Need {
        controller: Controller::Cpu,
        field: cpu,
    });
    all
}

/// The groups that the limits need, one per hierarchy; pure.
pub(crate) fn wanted<'h>(
    hierarchies: &'h Hierarchies,
    limits: &Limits,
) -> Result<Vec<Wanted<'h>>, Error> {
    let mut list: Vec<Wanted<'h>> = Vec::new();
    for need in needs(limits) {
        let Some(hierarchy) = hierarchies.serving(need.controller) else {
            if let Some(field) = need.field {
                let reason = Missing::NotMounted;
                return Err(Error::NoController {
                    field,
                    controller: need.controller,
                    reason,
                });
            }
            continue;
        };
        match list.iter_mut().find(|known| known.hierarchy == hierarchy) {
            Some(known) => known.needs.push(need),
            None => list.push(Wanted {
                hierarchy,
                needs: vec![need],
            }),
        }
    }
    Ok(list)
}

impl Wanted<'_> {
    /// Whether a limit depends on the group.
    pub(crate) fn required(&self) -> bool {
        self.needs.iter().any(|need| need.field.is_some())
    }

    /// Whether it is the one that counts CPU time.
    pub(crate) fn accounts(&self) -> bool {
        let is_it = |need: &Need| need.controller == Controller::Cpuacct;
        self.needs.iter().any(is_it)
    }

    /// Makes the parent ready and works out the settings.
    pub(crate) fn place(&self, parent: &CgroupParent, limits: &Limits) -> Result<Place, Error> {
        let directory = parent.directory(self.hierarchy)?;
        let controllers = match self.hierarchy.version {
            HierarchyVersion::V1 => self.needs.iter().map(|need| need.controller).collect(),
            HierarchyVersion::V2 => self.on_offer(&directory)?,
        };
        if self.hierarchy.version == HierarchyVersion::V2 {
            self.check_reach(&directory)?;
        }
        let settings = match self.hierarchy.version {
            HierarchyVersion::V1 => self.v1_settings(&directory, &controllers, limits)?,
            HierarchyVersion::V2 => {
                self.enable(&directory, &controllers)?;
                if let Some(cpus) = &limits.cpus {
                    if controllers.contains(&Controller::Cpuset) {
                        let available = read_list(directory.join("cpuset.cpus.effective"))?;
                        host_limits::check_cpus(cpus, &available)?;
                    }
                }
                controllers
                    .iter()
                    .flat_map(|c| v2::settings(*c, limits))
                    .collect()
            }
        };
        Ok(Place {
            parent: directory,
            version: self.hierarchy.version,
            controllers,
            settings,
            required: self.required(),
        })
    }

    /// Refuses a parent into which the payload could not come, before anything is changed there.
    fn check_reach(&self, parent: &Path) -> Result<(), Error> {
        let Some((path, source)) = reach::obstacle(self.hierarchy, parent)? else {
            return Ok(());
        };
        // Where no limit needs the group, its one use is accounting.
        let first = self.needs.iter().find(|need| need.field.is_some());
        Err(Error::OutOfReach {
            field: first.and_then(|need| need.field).unwrap_or("cpu_time"),
            controller: first.map_or(Controller::Cpuacct, |need| need.controller),
            parent: parent.to_owned(),
            path,
            source,
        })
    }

    fn v1_settings(
        &self,
        parent: &Path,
        controllers: &[Controller],
        limits: &Limits,
    ) -> Result<Vec<Setting>, Error> {
        let mut around = Surroundings {
            page_size: sys::page_size(),
            cpus: CpuSet::default(),
            mems: CpuSet::default(),
        };
        let mut to_set = controllers.to_vec();
        // A hierarchy that serves cpuset beside others refuses tasks until cpuset is configured, wanted or not.
        if self.hierarchy.controllers.contains(&Controller::Cpuset) {
            around.cpus = read_list(parent.join("cpuset.effective_cpus"))?;
            around.mems = read_list(parent.join("cpuset.effective_mems"))?;
            if let Some(cpus) = &limits.cpus {
                host_limits::check_cpus(cpus, &around.cpus)?;
            }
            if !to_set.contains(&Controller::Cpuset) {
                to_set.push(Controller::Cpuset);
            }
        }
        Ok(to_set
            .iter()
            .flat_map(|c| v1::settings(*c, limits, &around))
            .collect())
    }

    /// The controllers that a group in a v2 parent gets: the needed ones, and of those that are only wanted what costs no
    /// change of the parent, or comes with one that is made anyway.
    fn on_offer(&self, parent: &Path) -> Result<Vec<Controller>, Error> {
        let listed = |file: &str| {
            let path = parent.join(file);
            let text = fs::read_to_string(&path).map_err(Error::read(path))?;
            Ok::<_, Error>(mountinfo::controllers(&text, ' '))
        };
        let enabled = listed("cgroup.subtree_control")?;
        let available = listed("cgroup.controllers")?;
        let changes = |need: &Need| {
            need.field.is_some()
                && v2::name(need.controller).is_some()
                && !enabled.contains(&need.controller)
        };
        let will_change = self.needs.iter().any(changes);
        let comes = |need: &&Need| {
            need.field.is_some()
                || v2::name(need.controller).is_none()
                || enabled.contains(&need.controller)
                || (will_change && available.contains(&need.controller))
        };
        Ok(self
            .needs
            .iter()
            .filter(comes)
            .map(|need| need.controller)
            .collect())
    }

    /// Gives the controllers to the children of a v2 group, as far as they do not have them.
    fn enable(&self, parent: &Path, controllers: &[Controller]) -> Result<(), Error> {
        if controllers
            .iter()
            .all(|controller| v2::name(*controller).is_none())
        {
            return Ok(());
        }
        let path = parent.join("cgroup.controllers");
        let text = fs::read_to_string(&path).map_err(Error::read(path))?;
        let available = mountinfo::controllers(&text, ' ');
        for need in &self.needs {
            let (Some(field), Some(_)) = (need.field, v2::name(need.controller)) else {
                continue;
            };
            if !available.contains(&need.controller) {
                return Err(Error::NoController {
                    field,
                    controller: need.controller,
                    reason: Missing::NotDelegated {
                        parent: parent.to_owned(),
                    },
                });
            }
        }
        let path = parent.join("cgroup.subtree_control");
        let text = fs::read_to_string(&path).map_err(Error::read(&path))?;
        let Some(missing) = v2::to_enable(&text, controllers) else {
            return Ok(());
        };
        // For memory the kernel refuses this itself. For threaded controllers (cpu, cpuset, pids) it takes it, and no child
        // of the group can be joined any more. The root alone, which has no type, may have both.
        let populated = || {
            let procs = parent.join("cgroup.procs");
            fs::read_to_string(&procs)
                .map_err(Error::read(procs))
                .map(|text| !text.is_empty())
        };
        if parent.join("cgroup.type").exists() && populated()? {
            return Err(Error::Write {
                path,
                value: missing,
                source: Errno::from_raw(libc::EBUSY),
            });
        }
        node::write(&path, &missing)
    }
}

/// A file with CPUs or memory nodes.
fn read_list(path: PathBuf) -> Result<CpuSet, Error> {
    let text = fs::read_to_string(&path).map_err(Error::read(&path))?;
    text.parse().map_err(|_| Error::ReadBack {
        path,
        wrote: "a list".to_owned(),
        read: text,
    })
}

#[cfg(test)]
mod tests {
    use super::{needs, wanted};
    use crate::{Error, Hierarchies};
    use core::time::Duration;
    use sandbox_core::{Bytes, Controller, CpuSet, Limits};

    const SPLIT: &str = "1 2 0:1 / /c/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                         1 2 0:2 / /c/m rw - cgroup cgroup rw,memory\n\
                         1 2 0:3 / /c/u rw - cgroup2 cgroup2 rw\n";
    const GROUPS: &str = "3:cpu,cpuacct:/\n2:memory:/\n1:cpuset:/\n0::/\n";

    #[test]
    fn accounting_is_always_wanted_and_needed_for_cpu_and_idle_time() {
        let field = |limits| needs(&limits)[0].field;
        assert_eq!(field(Limits::default()), None);
        assert_eq!(
            field(Limits::default().cpu_time(Duration::from_secs(1))),
            Some("cpu_time")
        );
        assert_eq!(
            field(Limits::default().idle_time(Duration::from_secs(1))),
            Some("idle_time")
        );
    }

    #[test]
    fn joined_controllers_share_a_group_and_v2_is_left_out_where_nothing_needs_it() {
        let found = Hierarchies::parse(SPLIT, GROUPS).unwrap();
        let limits = Limits::default().memory(Bytes::mib(1)).cpu_rate(500);
        let groups = wanted(&found, &limits).unwrap();
        let points: Vec<_> = groups
            .iter()
            .map(|g| (g.hierarchy.point.as_path(), g.needs.len()))
            .collect();
        assert_eq!(points, [("/c/cpu".as_ref(), 2), ("/c/m".as_ref(), 1)]);
        assert_eq!(groups[0].needs[1].field, Some("cpu_rate"));
        assert!(groups[0].required());
        let groups = wanted(&found, &Limits::default()).unwrap();
        assert!(groups.len() == 1 && !groups[0].required());
    }

    #[test]
    fn a_limit_without_a_hierarchy_is_an_error_that_names_both() {
        let found = Hierarchies::parse(SPLIT, GROUPS).unwrap();
        let error = wanted(&found, &Limits::default().cpus(CpuSet::new([0]))).unwrap_err();
        assert!(
            matches!(
                error,
                Error::NoController {
                    field: "cpus",
                    controller: Controller::Cpuset,
                    ..
                }
            ),
            "{error}"
        );
        let nothing = Hierarchies::parse("", "").unwrap();
        assert!(wanted(&nothing, &Limits::default()).unwrap().is_empty());
        assert!(
            wanted(
                &nothing,
                &Limits::default().cpu_time(Duration::from_secs(1))
            )
            .is_err()
        );
    }
}
