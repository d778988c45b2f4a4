//! What a prepared tree is, and what one spawn makes of it.

use std::{
    ffi::CString,
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
};

use sandbox_core::{Explain, Fault};

use crate::{
    Error, apply,
    compile::Compiled,
    op::{Bind, Op},
    reach::Reach,
    source::{c_path, own},
    target::Target,
    tree,
};

/// Who makes the mounts of binds.
///
/// Either way init leaves the host's tree by `pivot_root(2)`, which the kernel refuses (`EINVAL`) where the embedder's
/// root is the initial ramfs or no mount point, as in a chroot: give such an embedder a mount of its own as its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trees {
    /// The embedder, which needs `CAP_SYS_ADMIN`, from the descriptors it opened in [`RootSpec::prepare`]. What the paths
    /// mean by now does not matter.
    ///
    /// [`RootSpec::prepare`]: crate::RootSpec::prepare
    FromParent,
    /// init, in its own user and mount namespace, from the paths; it compares device and inode with what was prepared
    /// (`ESTALE`). For an embedder without `CAP_SYS_ADMIN`.
    FromInit,
}

/// How many directories one tree may keep: their descriptors wait in a socket until the supervisor takes them.
const MAX_KEPT: usize = 32;

/// How many binds one tree may have: their mounts come to init in one message, which the kernel limits to 253 descriptors.
pub const MAX_BINDS: usize = 240;

/// A checked and compiled tree. It can be instantiated any number of times, at once too.
#[derive(Debug)]
pub struct RootPlan {
    pub(crate) ops: Vec<Op>,
    pub(crate) early: usize,
    names: Vec<String>,
    pub(crate) binds: Vec<Bind>,
    pub(crate) reach: Vec<Reach>,
    /// A tree gets its attributes by one call, before it is attached.
    pub(crate) at_once: bool,
    /// Absolute inside the box.
    kept: Vec<CString>,
}

impl RootPlan {
    pub(crate) fn new(compiled: Compiled, kept: &[Target]) -> Result<Self, Error> {
        let Compiled {
            ops,
            early,
            mut names,
            binds,
            reach,
            at_once,
        } = compiled;
        for target in kept {
            names.push(format!("keep {}", target.as_path().display()));
        }
        if kept.len() > MAX_KEPT {
            return Err(Error::TooMany {
                what: "kept directories of one tree",
                limit: MAX_KEPT,
            });
        }
        if binds.len() > MAX_BINDS {
            return Err(Error::TooMany {
                what: "binds in one tree",
                limit: MAX_BINDS,
            });
        }
        let limit = usize::from(u16::MAX);
        if names.len() > limit {
            return Err(Error::TooMany {
                what: "operations in one tree",
                limit,
            });
        }
        let kept = kept
            .iter()
            .map(|target| c_path(&std::path::Path::new("/").join(target.as_path())))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            ops,
            early,
            names,
            binds,
            reach,
            at_once,
            kept,
        })
    }

    /// Makes what one spawn needs. For a clone that inherits the mounts, call it right before the clone and drop it right
    /// after; for one that is there already, send it [`RootInstance::descriptors`].
    ///
    /// # Errors
    /// With [`Trees::FromParent`] [`Error::Tree`]: `EPERM` without `CAP_SYS_ADMIN`, `EMFILE` (one descriptor per bind),
    /// `EINVAL` where a source's mount has left this mount namespace, or where its filesystem does not know idmapped mounts.
    /// With [`Trees::FromInit`] [`Error::Pathless`] and [`Error::Unmappable`].
    pub fn instantiate(&self, trees: Trees) -> Result<RootInstance<'_>, Error> {
        let trees = match trees {
            Trees::FromParent => Some(self.make_trees()?),
            Trees::FromInit => {
                let pathless = self.binds.iter().find(|b| b.source.canonical.is_none());
                if let Some(bind) = pathless {
                    return Err(Error::Pathless {
                        path: bind.source.path.clone(),
                    });
                }
                if let Some(bind) = self.binds.iter().find(|b| b.ids.is_some()) {
                    return Err(Error::Unmappable {
                        path: bind.source.path.clone(),
                    });
                }
                None
            }
        };
        Ok(RootInstance { plan: self, trees })
    }

    fn make_trees(&self) -> Result<Vec<OwnedFd>, Error> {
        self.binds
            .iter()
            .map(|bind| {
                tree::make(bind.source.fd.as_raw_fd(), bind, self.at_once)
                    .map(own)
                    .map_err(|(call, source)| Error::Tree {
                        path: bind.source.path.clone(),
                        call,
                        source,
                    })
            })
            .collect()
    }

    /// How many directories [`RootSpec::keep`](crate::RootSpec::keep) named.
    #[must_use]
    pub fn kept_len(&self) -> usize {
        self.kept.len()
    }

    /// What usually is behind an operation's failure, where the errno alone does not say it.
    #[must_use]
    pub fn advice(&self, fault: Fault) -> Option<&'static str> {
        let op = self.ops.get(usize::from(fault.index));
        match (op, fault.errno.raw()) {
            (Some(Op::Bind { .. }), libc::EINVAL) => Some(
                "without NON_RECURSIVE the mounts below come along; with it, in a user namespace, they may not be uncovered",
            ),
            (Some(Op::Bind { .. }), libc::ESTALE) => {
                Some("the source was replaced since it was prepared; prepare again")
            }
            (Some(Op::Bind { .. }), libc::EBUSY) => Some(
                "a mount below the source is covered by another, and before Linux 5.12 nothing reaches it; use NON_RECURSIVE",
            ),
            (Some(Op::Bind { .. }), libc::ENOSPC) => Some(
                "before Linux 5.12 a bind may bring 512 mounts along, itself among them; use NON_RECURSIVE",
            ),
            (Some(Op::Bind { .. } | Op::Tmpfs { .. } | Op::Proc { .. }), libc::ENOENT) => {
                Some("beneath a bind the target must exist on the host")
            }
            (Some(Op::Bind { .. } | Op::Tmpfs { .. } | Op::Proc { .. }), libc::ELOOP) => {
                Some("a symbolic link stands in the way of the target; none is followed")
            }
            (Some(Op::Bind { .. }), libc::ENOTDIR) => {
                Some("a directory and a file cannot be mounted on each other")
            }
            (Some(Op::Mask { .. }), libc::ENOENT) => {
                Some("there is nothing to hide; say that the mask is optional")
            }
            (Some(Op::Overlay { .. }), libc::EINVAL) => {
                Some("overlays need Linux 6.5; an upper directory must not be on overlayfs itself")
            }
            (Some(Op::Overlay { .. }), libc::EBUSY) => {
                Some("another box has the same upper directory")
            }
            (Some(Op::Overlay { .. }), libc::ENOENT) => {
                Some("the upper directory needs `upper` and an empty `work` in it")
            }
            (Some(Op::Proc { .. } | Op::Sysfs(_)), libc::EPERM) => Some(
                "the one of this host is covered in part, as in a container; a user namespace may not mount another",
            ),
            (Some(Op::Proc { .. }), libc::EINVAL) => {
                Some("hidepid=4 and subset=pid need Linux 5.8")
            }
            (Some(Op::Pivot), libc::EINVAL) => Some(
                "pivot_root cannot leave the initial ramfs of the kernel, nor a chroot: is the embedder in one?",
            ),
            _ => None,
        }
    }
}

impl Explain for RootPlan {
    fn explain(&self, index: u16) -> String {
        self.names
            .get(usize::from(index))
            .cloned()
            .unwrap_or_else(|| format!("operation {index} of the tree"))
    }
}

/// A plan and the mounts of one spawn. Dropping it closes them; what init has attached by then stays.
#[derive(Debug)]
pub struct RootInstance<'p> {
    pub(crate) plan: &'p RootPlan,
    /// `None`: init makes them.
    pub(crate) trees: Option<Vec<OwnedFd>>,
}

impl RootInstance<'_> {
    /// The plan that this is an instance of.
    #[must_use]
    pub fn plan(&self) -> &RootPlan {
        self.plan
    }

    /// The mounts of this spawn, in the order in which [`RootFrame::finish`](crate::RootFrame::finish) wants to receive
    /// them; what init must not close before [`ChildStep::apply`](sandbox_core::ChildStep::apply) is through.
    #[must_use]
    pub fn descriptors(&self) -> Vec<RawFd> {
        let trees = self.trees.as_deref().unwrap_or_default();
        trees.iter().map(|tree| tree.as_raw_fd()).collect()
    }
}

impl RootPlan {
    /// Opens a kept directory as a place (`O_PATH`), in init, in the finished tree. Async-signal-safe.
    ///
    /// The descriptor holds the directory's mount beyond the death of the box; pass it to the embedder for
    /// [`KeptDir`](crate::KeptDir).
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `ELOOP`: the target is not there, or is no directory. `EINVAL`: there is no such index.
    pub fn open_kept(&self, index: usize) -> Result<RawFd, Fault> {
        apply::open_kept(&self.kept, self.ops.len(), index)
    }
}

impl Explain for RootInstance<'_> {
    fn explain(&self, index: u16) -> String {
        self.plan.explain(index)
    }
}
