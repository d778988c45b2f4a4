//! From items to operations: opens sources, orders, and finds what cannot lie beneath what.

use core::fmt::Display;
use std::{
    collections::{HashMap, HashSet},
    ffi::CString,
    path::{Path, PathBuf},
};

use sandbox_core::Bytes;

use crate::{
    Error, FileMode, MountFlags, Quota, RootSpec, Rule,
    error::{Conflict, conflict},
    item::{Item, Kind, check_quota, check_unique, expand},
    op::{At, Bind, MAX_TMPFS, Op},
    source::{self, Request, Source},
    target::{Target, c_path_below},
};

/// What [`crate::RootPlan`] is made of.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) ops: Vec<Op>,
    /// One name per operation.
    pub(crate) names: Vec<String>,
    pub(crate) binds: Vec<Bind>,
}

pub(crate) fn compile(spec: &RootSpec) -> Result<Compiled, Error> {
    check_quota(Path::new("/"), spec.quota)?;
    let mut items = expand(&spec.rules)?;
    check_unique(&items)?;
    let mut sources = open_sources(&items, spec)?;
    // An optional source that does not exist takes its rule with it.
    let mut present = sources
        .iter()
        .map(Option::is_some)
        .collect::<Vec<_>>()
        .into_iter();
    items.retain(|item| !matches!(item.kind, Kind::Bind(..)) || present.next() == Some(true));
    sources.retain(Option::is_some);
    let mut placed: Vec<_> = {
        let mut sources = sources.into_iter().flatten();
        items
            .into_iter()
            .map(|item| match item.kind {
                Kind::Bind(..) => (item, sources.next()),
                _ => (item, None),
            })
            .collect()
    };
    placed.sort_by(|(a, _), (b, _)| a.target.by_depth(&b.target));
    let mut compiler = Compiler::new(spec.quota)?;
    for (item, source) in placed {
        compiler.place(item, source)?;
    }
    compiler.finish()
}

fn open_sources(items: &[Item<'_>], spec: &RootSpec) -> Result<Vec<Option<Source>>, Error> {
    let requests: Vec<_> = items
        .iter()
        .filter_map(|item| match &item.kind {
            Kind::Bind(path, flags) => Some(Request {
                path,
                target: item.target.as_path(),
                writable: flags.contains(MountFlags::WRITABLE),
                optional: flags.contains(MountFlags::OPTIONAL),
            }),
            _ => None,
        })
        .collect();
    source::open_all(&requests, spec.requester.as_ref())
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
    /// Nothing can lie beneath, because.
    Solid(Conflict),
}

/// One tmpfs of the box and what the rules put on it.
struct Tmpfs {
    target: PathBuf,
    quota: Quota,
    used: Quota,
    read_only: bool,
}

struct Compiler<'r> {
    ops: Vec<Op>,
    names: Vec<String>,
    binds: Vec<Bind>,
    tmpfs: Vec<Tmpfs>,
    ground: HashMap<PathBuf, (Ground, &'r Rule)>,
    /// Parent directories that no rule asked for.
    implied: HashSet<PathBuf>,
}

impl<'r> Compiler<'r> {
    fn new(quota: Quota) -> Result<Self, Error> {
        let mut compiler = Self {
            ops: Vec::new(),
            names: Vec::new(),
            binds: Vec::new(),
            tmpfs: Vec::new(),
            ground: HashMap::new(),
            implied: HashSet::new(),
        };
        compiler.op(Op::MakePrivate, "make the mounts of this namespace private");
        compiler.mount_tmpfs(Path::new(""), quota, MountFlags::empty(), None)?;
        Ok(compiler)
    }

    fn op(&mut self, op: Op, name: impl Display) {
        self.ops.push(op);
        self.names.push(name.to_string());
    }

    fn place(&mut self, item: Item<'r>, source: Option<Source>) -> Result<(), Error> {
        let path = item.target.as_path();
        let (tmpfs, on_host) = self.surroundings(&item)?;
        let place = |this: &Self| this.at(tmpfs, path);
        if let Some(rule) = on_host {
            let mounts = matches!(item.kind, Kind::Bind(..) | Kind::Tmpfs(..) | Kind::Proc(_));
            if !mounts {
                return Err(conflict(rule, item.rule, Conflict::CreatedOnHost));
            }
        } else {
            self.imply_parents(&item.target, tmpfs)?;
        }
        let create = on_host.is_none();
        let ground = match item.kind {
            Kind::Dir => {
                self.make_dir(tmpfs, path)?;
                Ground::Dir
            }
            Kind::Symlink(to) => {
                let points_to = source::c_path(to)?;
                let at = place(self)?;
                self.spend(tmpfs, 0);
                self.op(Op::Symlink { at, points_to }, named_link(path, to));
                Ground::Solid(Conflict::BeneathSymlink)
            }
            Kind::File(contents, mode) => {
                self.make_file(tmpfs, path, contents, mode, item.rule)?;
                Ground::Solid(Conflict::BeneathFile)
            }
            Kind::Proc(view) => {
                if create {
                    self.make_dir(tmpfs, path)?;
                }
                let at = place(self)?;
                self.op(Op::Proc { at, view }, item.rule);
                Ground::Solid(Conflict::BeneathProc)
            }
            Kind::Tmpfs(quota, flags) => {
                if create {
                    self.make_dir(tmpfs, path)?;
                }
                let at = place(self)?;
                Ground::Tmpfs(self.mount_tmpfs(path, quota, flags, Some(at))?)
            }
            Kind::Bind(from, flags) => {
                let Some(source) = source else { return Ok(()) };
                let is_dir = source.is_dir;
                let name = format!("bind {} on {} ({flags})", from.display(), path.display());
                match (create, is_dir) {
                    (true, true) => self.make_dir(tmpfs, path)?,
                    (true, false) => {
                        let why = format!("make the mount point {}", path.display());
                        self.make_file(tmpfs, path, &[], FileMode::Plain, why)?;
                    }
                    (false, _) => {}
                }
                let at = place(self)?;
                let bind = self.binds.len();
                self.binds.push(Bind {
                    source,
                    attributes: flags.attributes(),
                    recursive: !flags.contains(MountFlags::NON_RECURSIVE),
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

    /// The tmpfs that an item's target is resolved from, and the bind it lies beneath, if any.
    fn surroundings(&self, item: &Item<'r>) -> Result<(usize, Option<&'r Rule>), Error> {
        let mut host = None;
        for parent in item.target.parents() {
            match self.ground.get(parent) {
                None | Some((Ground::Dir, _)) => {}
                Some((Ground::Host, rule)) => host = host.or(Some(*rule)),
                Some((Ground::Tmpfs(number), _)) => return Ok((*number, host)),
                Some((Ground::Solid(problem), rule)) => {
                    return Err(conflict(rule, item.rule, *problem));
                }
            }
        }
        Ok((0, host))
    }

    fn at(&self, tmpfs: usize, path: &Path) -> Result<At, Error> {
        let base = self.tmpfs.get(tmpfs).map_or(Path::new(""), |t| &t.target);
        Ok(At {
            tmpfs,
            path: c_path_below(path, base)?,
        })
    }

    fn imply_parents(&mut self, target: &Target, tmpfs: usize) -> Result<(), Error> {
        let missing: Vec<_> = target
            .parents()
            .take_while(|parent| {
                !self.ground.contains_key(*parent) && !self.implied.contains(*parent)
            })
            .map(Path::to_owned)
            .collect();
        for parent in missing.into_iter().rev() {
            self.make_dir(tmpfs, &parent)?;
            self.implied.insert(parent);
        }
        Ok(())
    }

    fn make_dir(&mut self, tmpfs: usize, path: &Path) -> Result<(), Error> {
        // Never made twice: items come parents first, so none asks for a directory that was already implied.
        let at = self.at(tmpfs, path)?;
        self.spend(tmpfs, 0);
        self.op(
            Op::Directory(at),
            format_args!("make the directory {}", path.display()),
        );
        Ok(())
    }

    fn make_file(
        &mut self,
        tmpfs: usize,
        path: &Path,
        contents: &[u8],
        mode: FileMode,
        name: impl Display,
    ) -> Result<(), Error> {
        let at = self.at(tmpfs, path)?;
        self.spend(tmpfs, contents.len());
        let contents = contents.into();
        self.op(Op::File { at, contents, mode }, name);
        Ok(())
    }

    /// One inode and these many bytes, in whole pages as the kernel counts.
    fn spend(&mut self, tmpfs: usize, bytes: usize) {
        const PAGE: u64 = 4096;
        let pages = u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(PAGE);
        if let Some(Tmpfs { used, .. }) = self.tmpfs.get_mut(tmpfs) {
            used.inodes = used.inodes.saturating_add(1);
            let total = used.bytes.get().saturating_add(pages.saturating_mul(PAGE));
            used.bytes = Bytes::new(total);
        }
    }

    fn mount_tmpfs(
        &mut self,
        path: &Path,
        quota: Quota,
        flags: MountFlags,
        at: Option<At>,
    ) -> Result<usize, Error> {
        let number = self.tmpfs.len();
        if number == MAX_TMPFS {
            return Err(Error::TooMany {
                what: "tmpfs in one tree, the root among them",
                limit: MAX_TMPFS,
            });
        }
        let read_only = !flags.contains(MountFlags::WRITABLE);
        let name = format!(
            "tmpfs on /{} ({}, {} inodes, {flags})",
            path.display(),
            quota.bytes,
            quota.inodes
        );
        let op = Op::Tmpfs {
            at,
            tmpfs: number,
            size: digits(quota.bytes.get()),
            inodes: digits(quota.inodes),
            mode: if read_only { c"0755" } else { c"1777" }.to_owned(),
            // Sealed when everything on it is made.
            attributes: (flags | MountFlags::WRITABLE).attributes(),
        };
        self.op(op, name);
        self.tmpfs.push(Tmpfs {
            target: path.to_owned(),
            quota,
            used: Quota {
                bytes: Bytes::new(0),
                inodes: 1,
            },
            read_only,
        });
        Ok(number)
    }

    fn finish(mut self) -> Result<Compiled, Error> {
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
        for (number, name) in sealed {
            self.op(
                Op::Seal { tmpfs: number },
                format_args!("make the tmpfs on {name} read-only"),
            );
        }
        self.op(Op::Pivot, "pivot_root into the new tree");
        self.op(Op::Detach, "detach the tree of the host");
        self.op(Op::Verify, "verify that / is the new tree");
        Ok(Compiled {
            ops: self.ops,
            names: self.names,
            binds: self.binds,
        })
    }
}

fn named_link(path: &Path, to: &Path) -> String {
    format!("link {} to {}", path.display(), to.display())
}

/// A number as the kernel parses it.
fn digits(number: u64) -> CString {
    // Decimal digits hold no NUL; the default, an empty text, is EINVAL to the kernel.
    CString::new(number.to_string()).unwrap_or_default()
}
