//! Profile to policy.

use std::collections::{BTreeMap, BTreeSet};

use sandbox_core::Errno;

use super::{Arg, Entry, Error, Operator, Profile, ProfileAction, Target, overlap::are_disjoint};
use crate::{
    Action, ArgCondition, Comparison, Policy, errno_name,
    policy::Rule,
    table::{self, Architecture},
};

/// A profile as a policy, with what has no place in one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// The policy. Its rules have the entries' comments as reasons, or else their places.
    pub policy: Policy,
    /// Names of the profile that this crate does not know, also of entries that do not count here.
    pub unknown: Vec<UnknownName>,
    /// Tables whose calls the profile decides and every filter of this crate kills.
    pub killed_architectures: Vec<String>,
    /// The profile's flags of seccomp(2), none of which a filter of this crate is installed with. No decision depends on
    /// them: they log, leave a mitigation of Spectre out, or are about threads and listeners.
    pub unused_flags: Vec<String>,
}

/// A name that has no number here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownName {
    /// The name.
    pub name: String,
    /// The place of its entry in `syscalls`, from 0.
    pub entry: usize,
    /// Whether it is a call of an architecture for which this crate has no table, 32-bit ones above all, and so no
    /// loss. Otherwise it is a call of a newer kernel, or no call.
    pub elsewhere: bool,
}

/// What the entries say about one call.
#[derive(Default)]
struct Call<'a> {
    /// The first entry without arguments.
    always: Option<(usize, Action)>,
    /// The others: place, conditions, action.
    cases: Vec<(usize, Vec<ArgCondition>, Action)>,
    name: &'a str,
}

/// No filter has room for more, and they are compared in pairs.
const MOST_CASES: usize = 1024;

impl Profile {
    /// The policy that decides as this profile does for a process on a machine.
    ///
    /// # Errors
    /// [`Error`] names the entry that cannot be taken as it is meant.
    pub fn import(&self, target: &Target) -> Result<Imported, Error> {
        let listener = [
            ("listenerPath", &self.listener_path),
            ("listenerMetadata", &self.listener_metadata),
        ];
        if let Some((place, _)) = listener.iter().find(|(_, said)| said.is_some()) {
            return Err(Error::NoListener {
                place: (*place).to_owned(),
            });
        }
        let default = action(
            self.default_action,
            self.default_errno.as_deref(),
            self.default_errno_ret,
            || "the default".to_owned(),
        )?;
        let known = table::names();
        let mut unknown = Vec::new();
        let mut calls: BTreeMap<&str, Call<'_>> = BTreeMap::new();
        for (place, entry) in self.syscalls.iter().enumerate() {
            let applies = target.selects(place, entry)?;
            let said = action(
                entry.action,
                entry.errno.as_deref(),
                entry.errno_ret,
                || format!("entry {place}"),
            )?;
            let alternatives = conditions(place, &entry.args)?;
            for name in names(place, entry)? {
                if known.binary_search(&name).is_err() {
                    let elsewhere = table::is_elsewhere(name);
                    if applies && !elsewhere && default.permits() && !said.permits() {
                        return Err(Error::CannotRefuse {
                            entry: place,
                            name: name.to_owned(),
                        });
                    }
                    unknown.push(UnknownName {
                        name: name.to_owned(),
                        entry: place,
                        elsewhere,
                    });
                } else if applies && said != default {
                    let call = calls.entry(name).or_default();
                    call.name = name;
                    call.add(place, &alternatives, said)?;
                }
            }
        }
        let calls: Vec<_> = calls.into_values().collect();
        for call in &calls {
            call.check()?;
        }
        Ok(Imported {
            policy: policy(default, &self.syscalls, &calls),
            unknown,
            killed_architectures: self.other_architectures()?,
            unused_flags: self.flags.clone(),
        })
    }

    /// The architectures beside the native one that the profile decides about.
    fn other_architectures(&self) -> Result<Vec<String>, Error> {
        if !self.architectures.is_empty() && !self.arch_map.is_empty() {
            return Err(Error::Architectures);
        }
        let native = Architecture::native()?.scmp;
        let mapped = self
            .arch_map
            .iter()
            .filter(|map| map.architecture == native)
            .flat_map(|map| &map.sub_architectures);
        let all: BTreeSet<_> = self.architectures.iter().chain(mapped).collect();
        Ok(all
            .into_iter()
            .filter(|name| *name != native)
            .cloned()
            .collect())
    }
}

impl Call<'_> {
    fn add(
        &mut self,
        place: usize,
        alternatives: &[Vec<ArgCondition>],
        action: Action,
    ) -> Result<(), Error> {
        if alternatives.iter().any(Vec::is_empty) {
            self.always.get_or_insert((place, action));
            return Ok(());
        }
        for conditions in alternatives {
            self.cases.push((place, conditions.clone(), action));
        }
        if self.cases.len() > MOST_CASES {
            return Err(Error::TooMany {
                syscall: self.name.to_owned(),
                entries: self.cases.len(),
            });
        }
        Ok(())
    }

    /// Whether what decides does not depend on an order that the profile does not have.
    fn check(&self) -> Result<(), Error> {
        if self.always.is_some() {
            return Ok(());
        }
        for (at, (second, conditions, action)) in self.cases.iter().enumerate() {
            let earlier = self.cases.iter().take(at);
            let clash = earlier
                .filter(|(.., other)| other != action)
                .find(|(_, other, _)| !are_disjoint(conditions, other));
            if let Some(&(first, ..)) = clash {
                return Err(Error::Conflict {
                    syscall: self.name.to_owned(),
                    first,
                    second: *second,
                });
            }
        }
        Ok(())
    }
}

/// The rules, entry by entry, each with the calls about which it decides.
fn policy(default: Action, entries: &[Entry], calls: &[Call<'_>]) -> Policy {
    let mut rules: BTreeMap<(usize, Vec<ArgCondition>), (Vec<String>, Action)> = BTreeMap::new();
    for call in calls {
        let mut add = |place, conditions: &[ArgCondition], action| {
            let key = (place, conditions.to_vec());
            let (names, _) = rules.entry(key).or_insert((Vec::new(), action));
            names.push(call.name.to_owned());
        };
        match call.always {
            Some((place, action)) => add(place, &[], action),
            None => {
                for (place, conditions, action) in &call.cases {
                    add(*place, conditions, *action);
                }
            }
        }
    }
    let rules = rules
        .into_iter()
        .map(|((place, conditions), (mut syscalls, action))| {
            syscalls.dedup();
            let comment = entries.get(place).and_then(|entry| entry.comment.clone());
            Rule {
                syscalls,
                conditions,
                action,
                reason: comment.unwrap_or_else(|| format!("entry {place} of the profile")),
            }
        });
    Policy::of(default, rules.collect())
}

fn names(place: usize, entry: &Entry) -> Result<Vec<&str>, Error> {
    match (&entry.name, entry.names.as_slice()) {
        (Some(name), []) if !name.is_empty() => Ok(vec![name]),
        (None, [_, ..]) if entry.names.iter().all(|name| !name.is_empty()) => {
            Ok(entry.names.iter().map(String::as_str).collect())
        }
        _ => Err(Error::Names { entry: place }),
    }
}

fn action(
    action: ProfileAction,
    errno_name: Option<&str>,
    errno: Option<u32>,
    place: impl Fn() -> String,
) -> Result<Action, Error> {
    match action {
        ProfileAction::Kill | ProfileAction::KillThread => Ok(Action::KillThread),
        ProfileAction::KillProcess => Ok(Action::Kill),
        ProfileAction::Trap => Ok(Action::Trap),
        ProfileAction::Allow => Ok(Action::Allow),
        ProfileAction::Log => Ok(Action::Log),
        ProfileAction::Trace | ProfileAction::Notify => Err(Error::NoListener { place: place() }),
        ProfileAction::Errno => {
            let number = match errno_name.filter(|name| !name.is_empty()) {
                Some(name) => named_errno(name),
                None => i32::try_from(errno.unwrap_or(EPERM)).ok(),
            };
            number
                .map(|number| Action::Errno(Errno::from_raw(number)))
                .filter(|action| action.encode().is_some())
                .ok_or_else(|| Error::Errno {
                    place: place(),
                    errno: errno_name
                        .map_or_else(|| errno.unwrap_or(EPERM).to_string(), str::to_owned),
                })
        }
    }
}

/// What both loaders take where a profile names no errno.
const EPERM: u32 = 1;

/// The number of an errno that is given by name, or as digits.
fn named_errno(name: &str) -> Option<i32> {
    let number = name.parse().ok();
    number.or_else(|| errno_name::named(name).map(Errno::raw))
}

/// The alternatives of an entry: one without conditions where it has no arguments, and each argument by itself where one is
/// asked about twice, which libseccomp cannot have in one rule.
fn conditions(place: usize, args: &[Arg]) -> Result<Vec<Vec<ArgCondition>>, Error> {
    let all = args
        .iter()
        .map(|arg| condition(place, arg))
        .collect::<Result<Vec<_>, _>>()?;
    let asked: BTreeSet<_> = all.iter().map(|condition| condition.argument).collect();
    // A mask of nothing always holds; libseccomp, too, takes it for no condition.
    let matters = |condition: &ArgCondition| {
        !matches!(condition.comparison, Comparison::MaskedEq { mask: 0, .. })
    };
    let keep = |conditions: &[ArgCondition]| {
        let kept = conditions.iter().copied().filter(matters);
        kept.collect::<Vec<_>>()
    };
    Ok(if asked.len() < all.len() {
        all.chunks(1).map(keep).collect()
    } else {
        vec![keep(&all)]
    })
}

fn condition(place: usize, arg: &Arg) -> Result<ArgCondition, Error> {
    let argument = u8::try_from(arg.index)
        .ok()
        .filter(|argument| *argument < 6)
        .ok_or(Error::Argument {
            entry: place,
            index: arg.index,
        })?;
    let value = arg.value;
    let comparison = match arg.op {
        Operator::Ne => Comparison::Ne(value),
        Operator::Lt => Comparison::Lt(value),
        Operator::Le => Comparison::Le(value),
        Operator::Eq => Comparison::Eq(value),
        Operator::Ge => Comparison::Ge(value),
        Operator::Gt => Comparison::Gt(value),
        // libseccomp cuts the wanted value to the mask.
        Operator::MaskedEq => Comparison::MaskedEq {
            mask: value,
            value: arg.value_two & value,
        },
    };
    // The same, by half the instructions.
    if arg.op == Operator::MaskedEq && value <= u64::from(u32::MAX) {
        return Ok(ArgCondition::dword(argument, comparison));
    }
    Ok(ArgCondition::qword(argument, comparison))
}
