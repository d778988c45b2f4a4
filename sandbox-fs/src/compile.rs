//! From items to operations: opens sources, orders, and finds what cannot lie beneath what.

mod emit;

use core::fmt::Display;
use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use self::emit::digits;
use crate::{
    Error, FileMode, MountFlags, Quota, RootSpec, Rule,
    error::{Conflict, conflict},
    gather::{self, Placed},
    item::{From, Item, Kind, check_quota, check_unique, expand},
    op::{At, Bind, Op},
    reach::Reach,
    source,
    target::c_path_below,
};

/// What [`crate::RootPlan`] is made of.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) ops: Vec<Op>,
    /// How many of the first operations need no bind, and so nothing of one spawn.
    pub(crate) early: usize,
    /// One name per operation.
    pub(crate) names: Vec<String>,
    pub(crate) binds: Vec<Bind>,
    pub(crate) reach: Vec<Reach>,
    pub(crate) at_once: bool,
}

/// `at_once`: a tree gets its attributes by one call, before it is attached.
pub(crate) fn compile(spec: &RootSpec, at_once: bool) -> Result<Compiled, Error> {
    check_quota(Path::new("/"), spec.quota)?;
    let items = expand(&spec.rules)?;
    check_unique(&items)?;
    let mut placed = gather::open(items, spec)?;
    placed.sort_by(|a, b| a.item.target.by_depth(&b.item.target));
    let mut compiler = Compiler::new(spec.quota, at_once)?;
    for placed in placed {
        compiler.place(placed)?;
    }
    compiler.finish(at_once)
}

/// What stands at a target already placed, as far as things beneath it care.
#[derive(Clone, Copy)]
enum Ground {
    /// A directory on the tmpfs around it.
    Dir,
    /// A tmpfs of its own, by number.
    Tmpfs(usize),
    /// A directory of the host.
    Host,
    /// A filesystem of the kernel.
    Kernel,
    /// Nothing can lie beneath, because.
    Solid(Conflict),
}

/// One tmpfs of the box and what the rules put on it.
struct Tmpfs {
    target: PathBuf,
    quota: Quota,
    used: Quota,
    read_only: bool,
    /// It lies beneath a bind.
    late: bool,
}

/// What an item lies in.
#[derive(Default)]
struct Surroundings<'r> {
    tmpfs: usize,
    host: Option<&'r Rule>,
    kernel: Option<&'r Rule>,
}

struct Compiler<'r> {
    early: Vec<(Op, String)>,
    late: Vec<(Op, String)>,
    /// Where the operations of this moment go: what lies beneath a bind comes after all binds above it.
    is_late: bool,
    binds: Vec<Bind>,
    reach: Vec<Reach>,
    tmpfs: Vec<Tmpfs>,
    ground: HashMap<PathBuf, (Ground, &'r Rule)>,
    /// Parent directories that no rule asked for.
    implied: HashSet<PathBuf>,
}

impl<'r> Compiler<'r> {
    fn new(quota: Quota, at_once: bool) -> Result<Self, Error> {
        let mut compiler = Self {
            early: Vec::new(),
            late: Vec::new(),
            is_late: false,
            binds: Vec::new(),
            reach: Vec::new(),
            tmpfs: Vec::new(),
            ground: HashMap::new(),
            implied: HashSet::new(),
        };
        if !at_once {
            compiler.op(Op::OpenProc, "open /proc, to set flags mount by mount");
        }
        compiler.op(Op::MakePrivate, "make the mounts of this namespace private");
        compiler.mount_tmpfs(Path::new(""), quota, MountFlags::empty(), None)?;
        Ok(compiler)
    }

    fn op(&mut self, op: Op, name: impl Display) {
        let ops = if self.is_late || op.needs_a_bind() {
            &mut self.late
        } else {
            &mut self.early
        };
        ops.push((op, name.to_string()));
    }

    fn place(&mut self, placed: Placed<'r>) -> Result<(), Error> {
        let Placed { item, sources, ids } = placed;
        let path = item.target.as_path();
        let Surroundings {
            tmpfs,
            host,
            kernel,
        } = self.surroundings(&item)?;
        self.is_late = host.is_some() || self.tmpfs.get(tmpfs).is_some_and(|t| t.late);
        let mask = matches!(item.kind, Kind::Mask { .. });
        match (kernel, host) {
            (Some(rule), _) if !mask => {
                return Err(conflict(rule, item.rule, Conflict::BeneathProc));
            }
            (_, Some(rule)) if !item.kind.mounts() => {
                return Err(conflict(rule, item.rule, Conflict::CreatedOnHost));
            }
            (None, None) if mask => {
                return Err(Error::Meaningless {
                    rule: Box::new(item.rule.clone()),
                    why: "it lies beneath no bind, overlay, proc or sysfs, so there is nothing to hide",
                });
            }
            (None, None) => self.imply_parents(&item.target, tmpfs)?,
            _ => {}
        }
        let create = host.is_none() && kernel.is_none();
        self.reach.extend(Reach::of(&item, &sources));
        let name = item.rule;
        let ground = match item.kind {
            Kind::Dir => {
                self.make_dir(tmpfs, path)?;
                Ground::Dir
            }
            Kind::Symlink(to) => {
                let points_to = source::c_path(to)?;
                let at = self.at(tmpfs, path, true)?;
                self.spend(tmpfs, 0);
                self.op(Op::Symlink { at, points_to }, named_link(path, to));
                Ground::Solid(Conflict::BeneathSymlink)
            }
            Kind::File(contents, mode) => {
                self.make_file(tmpfs, path, contents, mode, name)?;
                Ground::Solid(Conflict::BeneathFile)
            }
            Kind::Proc(view) => {
                let at = self.mount_point(tmpfs, path, create)?;
                self.op(Op::Proc { at, view }, name);
                Ground::Kernel
            }
            Kind::Sysfs => {
                let at = self.mount_point(tmpfs, path, create)?;
                self.op(Op::Sysfs(at), name);
                Ground::Kernel
            }
            Kind::Devpts(max) => {
                let at = self.mount_point(tmpfs, path, create)?;
                let max = digits(max.into());
                self.op(Op::Devpts { at, max }, name);
                Ground::Kernel
            }
            Kind::Mask { optional } => {
                let at = self.at(tmpfs, path, false)?;
                // An empty file lies on the root.
                self.spend(0, 0);
                self.op(Op::Mask { at, optional }, name);
                Ground::Solid(Conflict::BeneathMask)
            }
            Kind::Tmpfs(quota, flags) => {
                let at = self.mount_point(tmpfs, path, create)?;
                Ground::Tmpfs(self.mount_tmpfs(path, quota, flags, Some(at))?)
            }
            Kind::Overlay { upper, flags, .. } => {
                let at = self.mount_point(tmpfs, path, create)?;
                self.mount_overlay(at, sources, upper, flags, name);
                Ground::Host
            }
            Kind::Bind(from, flags) => {
                let Some(source) = sources.into_iter().next() else {
                    return Ok(());
                };
                let is_dir = source.is_dir;
                // A rule of its own says it best; the nodes of a minimal dev are not rules.
                let name = match from {
                    From::Path(from) => {
                        format!("bind {} on {} ({flags})", from.display(), path.display())
                    }
                    _ => name.to_string(),
                };
                let at = if is_dir || !create {
                    self.mount_point(tmpfs, path, create)?
                } else {
                    let why = format!("make the mount point {}", path.display());
                    self.make_file(tmpfs, path, &[], FileMode::Plain, why)?;
                    self.at(tmpfs, path, true)?
                };
                let bind = self.binds.len();
                self.binds.push(Bind {
                    source,
                    attributes: flags.attributes(),
                    recursive: !flags.contains(MountFlags::NON_RECURSIVE),
                    ids,
                });
                self.op(Op::Bind { at, bind }, name);
                if is_dir {
                    Ground::Host
                } else {
                    Ground::Solid(Conflict::BeneathFile)
                }
            }
        };
        self.ground.insert(path.to_owned(), (ground, item.rule));
        Ok(())
    }

    /// The tmpfs that an item's target is resolved from, and what of the host or the kernel it lies beneath.
    fn surroundings(&self, item: &Item<'r>) -> Result<Surroundings<'r>, Error> {
        let mut found = Surroundings::default();
        for parent in item.target.parents() {
            match self.ground.get(parent) {
                None | Some((Ground::Dir, _)) => {}
                Some((Ground::Host, rule)) => found.host = found.host.or(Some(*rule)),
                Some((Ground::Kernel, rule)) => found.kernel = found.kernel.or(Some(*rule)),
                Some((Ground::Tmpfs(number), _)) => {
                    found.tmpfs = *number;
                    break;
                }
                Some((Ground::Solid(problem), rule)) => {
                    return Err(conflict(rule, item.rule, *problem));
                }
            }
        }
        Ok(found)
    }

    /// Where a directory or a filesystem is mounted; the directory is made where `create` says so.
    fn mount_point(&mut self, tmpfs: usize, path: &Path, create: bool) -> Result<At, Error> {
        if create {
            self.make_dir(tmpfs, path)?;
        }
        self.at(tmpfs, path, create)
    }

    fn at(&self, tmpfs: usize, path: &Path, ours: bool) -> Result<At, Error> {
        let base = self.tmpfs.get(tmpfs).map_or(Path::new(""), |t| &t.target);
        Ok(At {
            tmpfs,
            path: c_path_below(path, base)?,
            ours,
        })
    }

    fn finish(mut self, at_once: bool) -> Result<Compiled, Error> {
        for tmpfs in &self.tmpfs {
            let Tmpfs { quota, used, .. } = tmpfs;
            if used.bytes > quota.bytes || used.inodes > quota.inodes {
                return Err(Error::QuotaTooSmall {
                    target: Path::new("/").join(&tmpfs.target),
                    has: *quota,
                    needs: *used,
                });
            }
        }
        let sealed: Vec<_> = self
            .tmpfs
            .iter()
            .enumerate()
            .filter(|(_, tmpfs)| tmpfs.read_only)
            .map(|(number, tmpfs)| (number, format!("/{}", tmpfs.target.display())))
            .collect();
        self.is_late = true;
        for (number, name) in sealed {
            self.op(
                Op::Seal { tmpfs: number },
                format_args!("make the tmpfs on {name} read-only"),
            );
        }
        self.op(Op::Pivot, "pivot_root into the new tree");
        self.op(Op::Detach, "detach the tree of the host");
        self.op(Op::Verify, "verify that / is the new tree");
        let early = self.early.len();
        let (ops, names) = self.early.into_iter().chain(self.late).unzip();
        Ok(Compiled {
            ops,
            early,
            names,
            binds: self.binds,
            reach: self.reach,
            at_once,
        })
    }
}

fn named_link(path: &Path, to: &Path) -> String {
    format!("link {} to {}", path.display(), to.display())
}
