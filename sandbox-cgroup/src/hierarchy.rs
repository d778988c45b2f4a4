//! Which hierarchy serves which controller on this host.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf};

use once_cell::sync::OnceCell;
use sandbox_core::{Controller, HierarchyVersion};

use crate::{
    Error,
    mountinfo::{self, Mount, OwnGroup},
    sys,
};

/// The hierarchies of this host that serve a controller of this crate.
///
/// Legacy, hybrid and unified hosts are one model: each controller is served by at most one hierarchy, and each hierarchy
/// has a version, a mount point and the process's own group.
///
/// # References
/// <https://man7.org/linux/man-pages/man7/cgroups.7.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchies {
    list: Vec<Hierarchy>,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    pub(crate) version: HierarchyVersion,
    pub(crate) point: PathBuf,
    /// The directory of the hierarchy that is mounted on `point`.
    pub(crate) root: PathBuf,
    /// The process's own group, as seen from the hierarchy's root.
    pub(crate) own: Option<PathBuf>,
    pub(crate) controllers: Vec<Controller>,
}

static HIERARCHIES: OnceCell<Hierarchies> = OnceCell::new();

impl Hierarchies {
    /// The hierarchies as they were at the first call; [`Hierarchies::discover`] looks anew. The process's own groups are
    /// looked up whenever they are used.
    ///
    /// # Errors
    /// As [`Hierarchies::discover`]; a failure is not remembered.
    pub fn host() -> Result<&'static Self, Error> {
        HIERARCHIES.get_or_try_init(Self::discover)
    }

    /// Reads `/proc/self/mountinfo`, `/proc/self/cgroup` and, where v2 is mounted, its `cgroup.controllers`.
    ///
    /// A mount that another mount hides is passed over: its path leads to another file system.
    ///
    /// # Errors
    /// [`Error::Read`] where `/proc` is not mounted, [`Error::Parse`] where its text is not understood.
    pub fn discover() -> Result<Self, Error> {
        let read = |path: &'static str| fs::read_to_string(path).map_err(Error::read(path));
        let mut mounts = mountinfo::mounts(&read("/proc/self/mountinfo")?)?;
        mounts.retain(|mount| {
            fs::metadata(&mount.point).is_ok_and(|found| sys::device(found.dev()) == mount.device)
        });
        let own = mountinfo::own_groups(&read("/proc/self/cgroup")?)?;
        let mut found = Self::assemble(&mounts, &own);
        for hierarchy in &mut found.list {
            if hierarchy.version == HierarchyVersion::V2 {
                let path = hierarchy.point.join("cgroup.controllers");
                let text = fs::read_to_string(&path).map_err(Error::read(path))?;
                hierarchy.keep_v2_controllers(&text);
            }
        }
        Ok(found)
    }

    /// Pure: what [`Hierarchies::discover`] makes of the two texts of `/proc/self`.
    ///
    /// The texts do not say which controllers v2 has, so every controller that no v1 hierarchy has counts as v2's here.
    ///
    /// # Errors
    /// [`Error::Parse`] names the line that is not understood.
    pub fn parse(mountinfo: &str, cgroup: &str) -> Result<Self, Error> {
        Ok(Self::assemble(
            &mountinfo::mounts(mountinfo)?,
            &mountinfo::own_groups(cgroup)?,
        ))
    }

    /// The generation of the hierarchy that serves `controller`, if one does.
    ///
    /// [`Controller::Cpuacct`] is served by v2 without a controller: each v2 group accounts CPU time.
    #[must_use]
    pub fn version(&self, controller: Controller) -> Option<HierarchyVersion> {
        self.serving(controller).map(|hierarchy| hierarchy.version)
    }

    pub(crate) fn serving(&self, controller: Controller) -> Option<&Hierarchy> {
        self.list
            .iter()
            .find(|hierarchy| hierarchy.controllers.contains(&controller))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Hierarchy> {
        self.list.iter()
    }

    /// The same hierarchies, with the groups in which this process is now: a manager may have moved it since.
    pub(crate) fn as_of_now(&self) -> Result<Self, Error> {
        let path = "/proc/self/cgroup";
        let text = fs::read_to_string(path).map_err(Error::read(path))?;
        let own = mountinfo::own_groups(&text)?;
        let mut current = self.clone();
        for each in &mut current.list {
            each.own = own_of(each.version, &each.controllers, &own);
        }
        Ok(current)
    }

    /// One of them with the group in which this process is now.
    pub(crate) fn own_now(hierarchy: &Hierarchy) -> Result<Hierarchy, Error> {
        let list = vec![hierarchy.clone()];
        let mut now = Self { list }.as_of_now()?.list;
        Ok(now.pop().unwrap_or_else(|| hierarchy.clone()))
    }

    fn assemble(mounts: &[Mount], own: &[OwnGroup]) -> Self {
        let mut best: Vec<&Mount> = Vec::new();
        for mount in mounts {
            if mount.version == HierarchyVersion::V1 && mount.controllers.is_empty() {
                continue;
            }
            match best.iter_mut().find(|known| known.device == mount.device) {
                Some(known) if rank(mount) < rank(known) => *known = mount,
                Some(_) => {}
                None => best.push(mount),
            }
        }
        let mounted_v1: Vec<Controller> = best.iter().flat_map(|m| m.controllers.clone()).collect();
        let list = best
            .into_iter()
            .map(|mount| Hierarchy::new(mount, own, &mounted_v1))
            .collect();
        Self { list }
    }
}

/// Of several mounts of one hierarchy: a writable one first, then one that shows all of it, then the first.
fn rank(mount: &Mount) -> (bool, bool) {
    (mount.read_only, mount.root.as_os_str() != "/")
}

impl Hierarchy {
    fn new(mount: &Mount, own: &[OwnGroup], mounted_v1: &[Controller]) -> Self {
        let controllers = match mount.version {
            HierarchyVersion::V1 => mount.controllers.clone(),
            HierarchyVersion::V2 => {
                let bound_to_v1 = |c: &Controller| own.iter().any(|g| g.controllers.contains(c));
                let mut rest = vec![
                    Controller::Cpu,
                    Controller::Cpuset,
                    Controller::Memory,
                    Controller::Pids,
                ];
                rest.retain(|c| !bound_to_v1(c));
                if !mounted_v1.contains(&Controller::Cpuacct) {
                    rest.push(Controller::Cpuacct);
                }
                rest
            }
        };
        Self {
            version: mount.version,
            point: mount.point.clone(),
            root: mount.root.clone(),
            own: own_of(mount.version, &mount.controllers, own),
            controllers,
        }
    }

    /// Drops what `cgroup.controllers` does not list; CPU accounting is in every group.
    fn keep_v2_controllers(&mut self, text: &str) {
        let present = mountinfo::controllers(text, ' ');
        self.controllers
            .retain(|c| *c == Controller::Cpuacct || present.contains(c));
    }
}

/// The process's own group in the hierarchy of this version that serves these controllers.
fn own_of(
    version: HierarchyVersion,
    controllers: &[Controller],
    own: &[OwnGroup],
) -> Option<PathBuf> {
    let is_it = |group: &&OwnGroup| {
        let any = |c: &Controller| controllers.contains(c);
        let is_v2 = version == HierarchyVersion::V2;
        group.version == version && (is_v2 || group.controllers.iter().any(any))
    };
    own.iter().find(is_it).map(|group| group.path.clone())
}

#[cfg(test)]
mod tests {
    use super::Hierarchies;
    use sandbox_core::{Controller, HierarchyVersion};
    use std::path::PathBuf;

    const HYBRID_MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";
    const HYBRID_GROUPS: &str = "4:memory:/a\n2:cpu,cpuacct:/\n1:name=systemd:/\n0::/u\n";

    #[test]
    fn hybrid_gives_each_controller_its_own_hierarchy() {
        let found = Hierarchies::parse(HYBRID_MOUNTS, HYBRID_GROUPS).unwrap();
        for controller in [Controller::Cpu, Controller::Cpuacct, Controller::Memory] {
            assert_eq!(
                found.version(controller),
                Some(HierarchyVersion::V1),
                "{controller:?}"
            );
        }
        assert_eq!(found.version(Controller::Pids), Some(HierarchyVersion::V2));
        let memory = found.serving(Controller::Memory).unwrap();
        assert_eq!(memory.own, Some(PathBuf::from("/a")));
        assert_eq!(
            found.iter().count(),
            3,
            "systemd's hierarchy serves nothing"
        );
    }

    #[test]
    fn v2_has_only_what_cgroup_controllers_lists_and_cpu_accounting() {
        let mut found =
            Hierarchies::parse("41 31 0:38 / /c rw - cgroup2 cgroup2 rw", "0::/").unwrap();
        found.list[0].keep_v2_controllers("cpu io memory\n");
        assert_eq!(
            found.version(Controller::Memory),
            Some(HierarchyVersion::V2)
        );
        assert_eq!(
            found.version(Controller::Cpuacct),
            Some(HierarchyVersion::V2)
        );
        assert_eq!(found.version(Controller::Pids), None);
    }

    #[test]
    fn a_v1_controller_that_is_not_mounted_here_is_served_by_nobody() {
        let found = Hierarchies::parse("41 31 0:38 / /c rw - cgroup2 cgroup2 rw", "3:pids:/\n0::/");
        assert_eq!(found.unwrap().version(Controller::Pids), None);
    }

    #[test]
    fn of_two_mounts_of_one_hierarchy_the_writable_whole_one_is_taken() {
        let mounts = "1 2 0:9 /docker/x /c/ro ro - cgroup cgroup rw,memory\n\
                      1 2 0:9 /docker/x /c/part rw - cgroup cgroup rw,memory\n\
                      1 2 0:9 / /c/whole rw - cgroup cgroup rw,memory\n";
        let found = Hierarchies::parse(mounts, "4:memory:/docker/x/y\n").unwrap();
        assert_eq!(found.iter().count(), 1);
        assert_eq!(
            found.iter().next().unwrap().point,
            PathBuf::from("/c/whole")
        );
    }
}
