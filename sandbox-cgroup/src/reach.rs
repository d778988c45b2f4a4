//! Whether a process can get from here into a group of v2.
//!
//! The kernel asks for write access to `cgroup.procs` not only where a process goes, but also in the group above both ends:
//! whoever was given a subtree can move processes in it, and none into it.

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
};

use sandbox_core::Errno;

use crate::{CgroupParent, Error, Hierarchies, hierarchy::Hierarchy, node};

const PROCS: &str = "cgroup.procs";

/// The group that stands in the way of a process of this group, and the kernel's reason; `None`: nothing does that is known.
pub(crate) fn obstacle(
    hierarchy: &Hierarchy,
    parent: &Path,
) -> Result<Option<(PathBuf, Errno)>, Error> {
    // Whoever may write at the top may anywhere below. And where boxes cannot even be made, that is the better reason.
    if refusal(&hierarchy.point).is_none() || refusal(parent).is_some() {
        return Ok(None);
    }
    let own = Hierarchies::own_now(hierarchy)?;
    let above = common(&CgroupParent::Own.directory(&own)?, parent);
    Ok(refusal(&above).map(|errno| (above.join(PROCS), errno)))
}

/// Why processes cannot be moved across this group; by opening, which asks for the rights that count.
fn refusal(group: &Path) -> Option<Errno> {
    let opened = node::open(&group.join(PROCS), OpenOptions::new().write(true));
    let errno = opened.err()?.errno()?;
    matches!(errno.raw(), libc::EACCES | libc::EPERM).then_some(errno)
}

/// The nearest group above both.
fn common(one: &Path, other: &Path) -> PathBuf {
    let both = one.components().zip(other.components());
    both.take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
}

#[cfg(test)]
mod tests {
    use super::common;
    use std::path::Path;

    #[test]
    fn the_common_group_is_the_nearest_one_above_both() {
        for (one, other, above) in [
            ("/c/a/b", "/c/a/d/e", "/c/a"),
            ("/c/a", "/c/a", "/c/a"),
            ("/c/a/b", "/c/a", "/c/a"),
            ("/c/ab", "/c/a", "/c"),
            ("/c", "/c/x", "/c"),
        ] {
            assert_eq!(common(Path::new(one), Path::new(other)), Path::new(above));
        }
    }
}
