//! Groups of system calls by what they are about, for rules to name.

mod lists;

/// A named group of system calls. A [`Rule`](crate::Rule) names it by its `@name` among its calls.
///
/// The groups share no call, and every call that this crate knows is in one of them. A later version may put calls of newer
/// kernels into a group; [`Policy::effective`](crate::Policy::effective) shows what a policy means today.
///
/// What a group *is about* says nothing about danger. `@file-read` has `open`, whose flags may ask for writing, `@process`
/// has `clone`, which makes threads and namespaces as well: such calls need rules with conditions behind the group's rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// The name, with its `@`.
    pub name: &'static str,
    /// What its calls do.
    pub about: &'static str,
    /// The calls.
    pub calls: &'static [&'static str],
}

impl Group {
    /// Every group.
    #[must_use]
    pub fn all() -> &'static [Self] {
        lists::GROUPS
    }

    /// The group of this `@name`.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        lists::GROUPS.iter().find(|group| group.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::Group;
    use crate::table;
    use std::collections::BTreeMap;

    #[test]
    fn every_call_is_in_exactly_one_group() {
        let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for group in Group::all() {
            assert!(group.name.starts_with('@') && !group.about.is_empty());
            for call in group.calls {
                found.entry(call).or_default().push(group.name);
            }
        }
        for (call, groups) in &found {
            assert_eq!(groups.len(), 1, "{call} is in {groups:?}");
        }
        let known = table::names();
        assert_eq!(found.into_keys().collect::<Vec<_>>(), known);
    }
}
