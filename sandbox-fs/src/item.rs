//! Rules taken apart: every rule checked by itself, and each thing it puts into the tree as one item.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crate::{
    Error, FileMode, MountFlags, ProcView, Quota, Rule,
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
    Bind(PathBuf, MountFlags),
    Tmpfs(Quota, MountFlags),
    Proc(ProcView),
    File(&'r [u8], FileMode),
    Symlink(&'r Path),
    Dir,
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
        let kind = match rule {
            Rule::Bind { source, flags, .. } => Kind::Bind(source.clone(), *flags),
            Rule::Tmpfs { quota, flags, .. } => {
                check_quota(rule.target(), *quota)?;
                Kind::Tmpfs(*quota, *flags)
            }
            Rule::Proc { view, .. } => Kind::Proc(*view),
            Rule::File { contents, mode, .. } => Kind::File(contents, *mode),
            Rule::Symlink { points_to, .. } => Kind::Symlink(points_to),
            Rule::Dir { .. } => Kind::Dir,
            Rule::Dev { .. } => {
                expand_dev(&target, rule, &mut items);
                Kind::Dir
            }
        };
        items.push(Item { target, rule, kind });
    }
    Ok(items)
}

fn expand_dev<'r>(target: &Target, rule: &'r Rule, items: &mut Vec<Item<'r>>) {
    // Writing to a device through a read-only mount works; changing its permissions does not.
    let flags = MountFlags::DEVICES | MountFlags::NOEXEC;
    items.extend(NODES.iter().map(|name| Item {
        target: target.join(name),
        rule,
        kind: Kind::Bind(Path::new("/dev").join(name), flags),
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
