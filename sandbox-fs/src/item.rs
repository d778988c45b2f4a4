//! Rules taken apart: every rule checked by itself, and each thing it puts into the tree as one item.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crate::{
    Error, FileMode, IdMapping, MountFlags, ProcView, Quota, Rule, Upper,
    dev::{LINKS, NODES},
    error::{Conflict, conflict},
    target::Target,
};

/// One thing to place. A rule is one item, except for `Dev`, which is ten.
pub(crate) struct Item<'r> {
    pub(crate) target: Target,
    pub(crate) rule: &'r Rule,
    pub(crate) kind: Kind<'r>,
}

pub(crate) enum Kind<'r> {
    Bind(From<'r>, MountFlags),
    Overlay {
        lowers: &'r [PathBuf],
        upper: Option<&'r Upper>,
        flags: MountFlags,
    },
    Tmpfs(Quota, MountFlags),
    Proc(ProcView),
    Sysfs,
    Devpts(u32),
    Mask {
        optional: bool,
    },
    File(&'r [u8], FileMode),
    Symlink(&'r Path),
    Dir,
}

/// Where a bind comes from.
pub(crate) enum From<'r> {
    Path(PathBuf),
    Mapped(&'r Path, IdMapping),
    Handle(&'r str),
}

impl Kind<'_> {
    /// What the target must be for this to be mounted on it; `None`: nothing is mounted, or either will do.
    pub(crate) fn mounts(&self) -> bool {
        !matches!(self, Self::File(..) | Self::Symlink(_) | Self::Dir)
    }
}

pub(crate) fn check_quota(target: &Path, quota: Quota) -> Result<(), Error> {
    if quota.bytes.get() == 0 || quota.inodes == 0 {
        return Err(Error::QuotaZero {
            target: target.to_owned(),
        });
    }
    Ok(())
}

pub(crate) fn expand(rules: &[Rule]) -> Result<Vec<Item<'_>>, Error> {
    let mut items = Vec::with_capacity(rules.len() + NODES.len() + LINKS.len());
    for rule in rules {
        let idle = rule.idle_flags();
        if !idle.is_empty() {
            return Err(Error::Flags {
                rule: Box::new(rule.clone()),
                flags: idle,
            });
        }
        let target = Target::new(rule.target())?;
        let kind = kind(rule)?;
        if let Rule::Dev { .. } = rule {
            expand_dev(&target, rule, &mut items);
        }
        items.push(Item { target, rule, kind });
    }
    Ok(items)
}

fn kind(rule: &Rule) -> Result<Kind<'_>, Error> {
    let meaningless = |why| Error::Meaningless {
        rule: Box::new(rule.clone()),
        why,
    };
    Ok(match rule {
        Rule::Bind { source, flags, .. } => Kind::Bind(From::Path(source.clone()), *flags),
        Rule::BindOpen { handle, flags, .. } => Kind::Bind(From::Handle(handle), *flags),
        Rule::IdmappedBind {
            source, flags, ids, ..
        } => {
            let fits = |first: u32| first.checked_add(ids.count).is_some();
            if ids.count == 0 || !fits(ids.stored) || !fits(ids.shown) {
                return Err(meaningless("its ids are none, or beyond the largest id"));
            }
            Kind::Bind(From::Mapped(source, *ids), *flags)
        }
        Rule::Overlay {
            lowers,
            upper,
            flags,
            ..
        } => {
            match upper {
                Some(Upper::Memory(quota)) => check_quota(rule.target(), *quota)?,
                Some(Upper::Directory(_)) => {}
                None if lowers.len() < 2 => {
                    return Err(meaningless(
                        "an overlay without an upper directory needs two lower ones; use a bind",
                    ));
                }
                None => {}
            }
            if lowers.is_empty() {
                return Err(meaningless(
                    "an overlay needs a lower directory; use a bind",
                ));
            }
            Kind::Overlay {
                lowers,
                upper: upper.as_ref(),
                flags: *flags,
            }
        }
        Rule::Tmpfs { quota, flags, .. } => {
            check_quota(rule.target(), *quota)?;
            Kind::Tmpfs(*quota, *flags)
        }
        Rule::Proc { view, .. } => Kind::Proc(*view),
        Rule::Sysfs { .. } => Kind::Sysfs,
        Rule::Devpts { max: 0, .. } => return Err(meaningless("it allows no terminal")),
        Rule::Devpts { max, .. } => Kind::Devpts(*max),
        Rule::Mask { optional, .. } => Kind::Mask {
            optional: *optional,
        },
        Rule::File { contents, mode, .. } => Kind::File(contents, *mode),
        Rule::Symlink { points_to, .. } => Kind::Symlink(points_to),
        Rule::Dir { .. } | Rule::Dev { .. } => Kind::Dir,
    })
}

fn expand_dev<'r>(target: &Target, rule: &'r Rule, items: &mut Vec<Item<'r>>) {
    // Writing to a device through a read-only mount works; changing its permissions does not.
    let flags = MountFlags::DEVICES | MountFlags::NOEXEC;
    items.extend(NODES.iter().map(|name| Item {
        target: target.join(name),
        rule,
        kind: Kind::Bind(From::Path(Path::new("/dev").join(name)), flags),
    }));
    items.extend(LINKS.iter().map(|(name, to)| Item {
        target: target.join(name),
        rule,
        kind: Kind::Symlink(Path::new(to)),
    }));
}

pub(crate) fn check_unique(items: &[Item<'_>]) -> Result<(), Error> {
    let mut seen = HashMap::with_capacity(items.len());
    for item in items {
        if let Some(first) = seen.insert(&item.target, item.rule) {
            return Err(conflict(first, item.rule, Conflict::SameTarget));
        }
    }
    Ok(())
}
