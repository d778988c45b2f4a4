//! Where in a hierarchy boxes are made.

use std::{
    borrow::Cow,
    path::{Component, PathBuf},
};

use sandbox_core::HierarchyVersion;

use crate::{Error, Hierarchies, delegation, hierarchy::Hierarchy};

/// The group in which the groups of runs are made, in every hierarchy alike.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum CgroupParent {
    /// The root of each hierarchy, as it is mounted here. For root on a machine or in a container of its own.
    #[default]
    Root,
    /// The process's own group in each hierarchy. On v2 only accounting works there unless the group is the root of the
    /// hierarchy: a group with processes cannot give controllers to children ([`Error::Write`] with `EBUSY`). After
    /// [`Hierarchies::delegate_self`](crate::Hierarchies::delegate_self) it is the group that the process moved out of.
    Own,
    /// This group, relative to each mount point. It must exist in every hierarchy that a run needs.
    Path(PathBuf),
}

impl CgroupParent {
    /// What the directory is looked for in: the own groups must be those of now.
    pub(crate) fn seen_from_here<'h>(
        &self,
        hierarchies: &'h Hierarchies,
    ) -> Result<Cow<'h, Hierarchies>, Error> {
        Ok(match self {
            Self::Own => Cow::Owned(hierarchies.as_of_now()?),
            Self::Root | Self::Path(_) => Cow::Borrowed(hierarchies),
        })
    }

    /// The directory in this hierarchy.
    pub(crate) fn directory(&self, hierarchy: &Hierarchy) -> Result<PathBuf, Error> {
        match self {
            Self::Root => Ok(hierarchy.point.clone()),
            Self::Own => {
                let mut own = hierarchy.own.clone().unwrap_or_default();
                if hierarchy.version == HierarchyVersion::V2 && delegation::is_leaf(&own) {
                    own.pop();
                }
                // Where a container bind-mounts a part of the hierarchy, the mount point stands for `root`.
                match own.strip_prefix(&hierarchy.root) {
                    Ok(below) => Ok(hierarchy.point.join(below)),
                    Err(_) => Err(Error::OwnOutside {
                        own,
                        mount: hierarchy.point.clone(),
                    }),
                }
            }
            Self::Path(path) => {
                // `..` would leave the hierarchy, and an absolute path would replace the mount point in `join`.
                let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
                if path.components().all(plain) {
                    return Ok(hierarchy.point.join(path));
                }
                Err(Error::ParentPath { path: path.clone() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CgroupParent;
    use crate::{Error, Hierarchies};
    use std::path::PathBuf;

    fn directory(parent: &CgroupParent, root: &str, own: &str) -> Result<PathBuf, Error> {
        let mounts = format!("1 2 0:9 {root} /c rw - cgroup2 cgroup2 rw");
        let found = Hierarchies::parse(&mounts, &format!("0::{own}"))?;
        parent.directory(found.iter().next().unwrap())
    }

    #[test]
    fn the_own_group_is_found_below_a_bind_mounted_root() {
        let own = |root, own| directory(&CgroupParent::Own, root, own);
        assert_eq!(own("/", "/a/b").unwrap(), PathBuf::from("/c/a/b"));
        assert_eq!(own("/a", "/a/b").unwrap(), PathBuf::from("/c/b"));
        assert!(matches!(own("/a", "/ab"), Err(Error::OwnOutside { .. })));
        // A supervisor that has moved aside, seen from anywhere.
        assert_eq!(
            own("/a", "/a/sandbox-supervisor").unwrap(),
            PathBuf::from("/c")
        );
    }

    #[test]
    fn a_path_stays_below_the_mount_point() {
        let path = |path: &str| directory(&CgroupParent::Path(path.into()), "/", "/");
        assert_eq!(
            path("judge.slice/x").unwrap(),
            PathBuf::from("/c/judge.slice/x")
        );
        for bad in ["/sys", "../x", "a/../../b"] {
            assert!(matches!(path(bad), Err(Error::ParentPath { .. })), "{bad}");
        }
        assert_eq!(
            directory(&CgroupParent::Root, "/x", "/").unwrap(),
            PathBuf::from("/c")
        );
    }
}
