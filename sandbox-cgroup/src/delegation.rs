//! Making room for boxes in the own group of v2, which cannot have processes and give controllers to children at once.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sandbox_core::{Controller, Errno, HierarchyVersion};

use crate::{
    CgroupParent, Error, Hierarchies,
    hierarchy::Hierarchy,
    mountinfo,
    node::{self, Lock},
    v2,
};

/// The child group that the process moves to. Boxes go beside it.
pub(crate) const LEAF: &str = "sandbox-supervisor";

/// What [`Hierarchies::delegate_self`] did, for [`Delegation::undo`].
///
/// Dropping it changes nothing: the process stays where it is, and its boxes can be made, until it ends.
#[derive(Debug)]
pub struct Delegation {
    /// `None`: nothing had to be done.
    moved: Option<Moved>,
}

#[derive(Debug)]
struct Moved {
    /// The group that the process was in.
    group: PathBuf,
    /// What this call gave to its children.
    enabled: Vec<Controller>,
}

impl Hierarchies {
    /// Makes the process's own v2 group fit to hold boxes: [`CgroupParent::Own`] works from then on.
    ///
    /// A v2 group with processes cannot give controllers to its children ("no internal processes"). So this process, with all
    /// its threads and nobody else, moves to a child group `sandbox-supervisor`, and the controllers that the group has are
    /// enabled for its children. For a group that was handed over: that of a systemd unit or scope with `Delegate=yes`, the
    /// root of a container's own cgroup namespace, a subtree of an ordinary user. Nothing is done on v1 (no such rule
    /// there), at the real root of the hierarchy (the rule spares it), and where the process has moved already.
    ///
    /// # Errors
    /// [`Error::NotAlone`] where the group has other processes: they would be in the way, and are not ours to move.
    /// [`Error::Create`] and [`Error::Write`] with `EACCES` where the group is not delegated to this user, `EROFS` where a
    /// container has it read-only. Whatever was done before an error is undone.
    ///
    /// # References
    /// <https://docs.kernel.org/admin-guide/cgroup-v2.html#no-internal-process-constraint>,
    /// <https://systemd.io/CGROUP_DELEGATION/>
    pub fn delegate_self() -> Result<Delegation, Error> {
        let hierarchies = Self::discover()?;
        let mut all = hierarchies.iter();
        let nothing = Ok(Delegation { moved: None });
        let Some(hierarchy) = all.find(|one| one.version == HierarchyVersion::V2) else {
            return nothing;
        };
        let named = |controller: &&Controller| v2::name(**controller).is_some();
        if hierarchy.controllers.iter().filter(named).count() == 0 || is_in_leaf(hierarchy) {
            return nothing;
        }
        let group = CgroupParent::Own.directory(hierarchy)?;
        // The only group without a type, whose processes are in nobody's way.
        if !group.join("cgroup.type").exists() {
            return nothing;
        }
        // Two embedders in one group would each find the other in the way, or each half moved.
        let _lock = match node::lock_directory(&group, true)? {
            Lock::Held(lock) => lock,
            Lock::Alive | Lock::Gone => {
                return Err(Error::Lock {
                    path: group,
                    source: Errno::from_raw(libc::ENOENT),
                });
            }
        };
        check_alone(&group)?;
        let mut moved = Moved {
            group,
            enabled: Vec::new(),
        };
        match moved.move_down(hierarchy) {
            Ok(()) => Ok(Delegation { moved: Some(moved) }),
            Err(error) => {
                // The first error is what the caller can act on.
                moved.move_up().ok();
                Err(error)
            }
        }
    }
}

impl Delegation {
    /// Whether the process had to move.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.moved.is_some()
    }

    /// Takes the controllers back from the children and moves this process back to its group.
    ///
    /// # Errors
    /// [`Error::HoldsGroups`] while the group has children beside the one of this process (a box that runs would lose its limits),
    /// [`Error::NotAlone`] while there are other processes in that one; then nothing is changed. Else the operation that failed.
    pub fn undo(&mut self) -> Result<(), Error> {
        let Some(moved) = &self.moved else {
            return Ok(());
        };
        if let Some(child) = other_child(&moved.group)? {
            return Err(Error::HoldsGroups { child });
        }
        check_alone(&moved.group.join(LEAF))?;
        moved.move_up()?;
        self.moved = None;
        Ok(())
    }
}

impl Moved {
    fn move_down(&mut self, hierarchy: &Hierarchy) -> Result<(), Error> {
        let leaf = self.group.join(LEAF);
        match fs::create_dir(&leaf) {
            // What an embedder that is gone has left.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                let source = Errno::from_io(&error);
                return Err(Error::Create { path: leaf, source });
            }
            Ok(()) => {}
        }
        // 0 stands for the writer.
        node::write(&leaf.join("cgroup.procs"), "0")?;
        let listed = |file: &str| {
            let path = self.group.join(file);
            let text = fs::read_to_string(&path).map_err(Error::read(path))?;
            Ok::<_, Error>(mountinfo::controllers(&text, ' '))
        };
        let (available, present) = (
            listed("cgroup.controllers")?,
            listed("cgroup.subtree_control")?,
        );
        let mut missing = available;
        missing.retain(|one| hierarchy.controllers.contains(one) && !present.contains(one));
        self.write_each('+', &missing)?;
        self.enabled = missing;
        Ok(())
    }

    fn move_up(&self) -> Result<(), Error> {
        self.write_each('-', &self.enabled)?;
        node::write(&self.group.join("cgroup.procs"), "0")?;
        let leaf = self.group.join(LEAF);
        match fs::remove_dir(&leaf) {
            Err(error) if !node::is_gone(&error) => Err(Error::Remove {
                path: leaf,
                source: Errno::from_io(&error),
            }),
            _ => Ok(()),
        }
    }

    /// All in one write, which the kernel takes whole or not at all.
    fn write_each(&self, sign: char, controllers: &[Controller]) -> Result<(), Error> {
        let names = controllers.iter().filter_map(|one| v2::name(*one));
        let text: Vec<String> = names.map(|name| format!("{sign}{name}")).collect();
        if text.is_empty() {
            return Ok(());
        }
        node::write(&self.group.join("cgroup.subtree_control"), &text.join(" "))
    }
}

/// Whether the process sits where [`Hierarchies::delegate_self`] moves it to.
fn is_in_leaf(hierarchy: &Hierarchy) -> bool {
    hierarchy.own.as_deref().is_some_and(is_leaf)
}

/// Whether a group is the child that a supervisor moved to, so that boxes belong to the one above.
pub(crate) fn is_leaf(group: &Path) -> bool {
    group.file_name().is_some_and(|name| name == LEAF)
}

fn check_alone(group: &Path) -> Result<(), Error> {
    let path = group.join("cgroup.procs");
    let text = fs::read_to_string(&path).map_err(Error::read(path))?;
    let own = std::process::id().to_string();
    let others = text.lines().filter(|line| *line != own).count();
    if others == 0 {
        return Ok(());
    }
    Err(Error::NotAlone {
        path: group.to_owned(),
        others,
    })
}

/// A child group that is not the supervisor's.
fn other_child(group: &Path) -> Result<Option<PathBuf>, Error> {
    for entry in fs::read_dir(group).map_err(Error::read(group))? {
        let entry = entry.map_err(Error::read(group))?;
        let is_group = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_group && entry.file_name() != LEAF {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}
