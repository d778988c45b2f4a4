//! Policy to profile.

use std::collections::BTreeMap;

use super::{
    Arg, Entry, Error, Operator, Profile, ProfileAction, Selector,
    cubes::{Cube, cubes},
};
use crate::{Action, EffectiveCall, Policy, table::Architecture};

/// More alternatives for one call than leave room for others in a filter.
const MOST: usize = 512;

impl Profile {
    /// A profile by which libseccomp decides as this policy does, on this program's architecture.
    ///
    /// Conditions become alternatives of masks, since a profile has no order and compares 64 bits: one on an `int` may need 32
    /// entries. Reasons do not survive this. What cannot be said exactly is refused, never widened.
    ///
    /// Every [`Preset`](crate::Preset) can be said. What cannot is a choice by two arguments at once that excludes values of
    /// both, as "neither this process nor that thread": it takes 32 entries for each of 32.
    ///
    /// ```
    /// use sandbox_seccomp::{Policy, oci::Profile};
    /// let text = serde_json::to_string_pretty(&Profile::export(&Policy::judge())?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Reports`]: the policy reports calls. [`Error::NotExpressible`] names a call whose conditions need too many entries, [`Error::Policy`] what is wrong with
    /// the policy itself.
    pub fn export(policy: &Policy) -> Result<Self, Error> {
        if policy.reports() {
            return Err(Error::Reports);
        }
        let architecture = Architecture::native()?;
        let effective = policy.effective_on(architecture)?;
        let (default_action, default_errno_ret) = encode(effective.default);
        let mut constant: BTreeMap<Option<u32>, (Action, Vec<String>)> = BTreeMap::new();
        let mut groups: Vec<(&EffectiveCall, Vec<String>)> = Vec::new();
        for call in &effective.calls {
            let name = call.name.to_owned();
            if call.cases.is_empty() {
                let of_action = constant.entry(call.otherwise.encode());
                let (_, names) = of_action.or_insert((call.otherwise, Vec::new()));
                names.push(name);
                continue;
            }
            let alike = |(other, _): &&mut (&EffectiveCall, Vec<String>)| {
                other.cases == call.cases && other.otherwise == call.otherwise
            };
            match groups.iter_mut().find(alike) {
                Some((_, names)) => names.push(name),
                None => groups.push((call, vec![name])),
            }
        }
        let mut syscalls: Vec<_> = constant
            .into_values()
            .map(|(action, names)| entry(&names, action, Vec::new()))
            .collect();
        for (call, names) in groups {
            for (cube, action) in alternatives(call)? {
                if action != effective.default {
                    syscalls.push(entry(&names, action, args(&cube)));
                }
            }
        }
        Ok(Self {
            default_action,
            default_errno_ret,
            default_errno: None,
            architectures: vec![architecture.scmp.to_owned()],
            arch_map: Vec::new(),
            flags: Vec::new(),
            listener_path: None,
            listener_metadata: None,
            syscalls,
        })
    }
}

/// Where which action is taken; no two share arguments.
fn alternatives(call: &EffectiveCall) -> Result<Vec<(Cube, Action)>, Error> {
    let too_many = || Error::NotExpressible {
        syscall: call.name.to_owned(),
        most: MOST,
    };
    let mut rest = vec![Cube::ALL];
    let mut found = Vec::new();
    for (conditions, action) in &call.cases {
        for hole in cubes(conditions, MOST).ok_or_else(too_many)? {
            let mut next = Vec::new();
            for cube in &rest {
                found.extend(cube.and(&hole).map(|both| (both, *action)));
                cube.without(&hole, &mut next);
            }
            rest = next;
            if rest.len() + found.len() > MOST {
                return Err(too_many());
            }
        }
    }
    found.extend(rest.into_iter().map(|cube| (cube, call.otherwise)));
    Ok(found)
}

fn args(cube: &Cube) -> Vec<Arg> {
    (0..)
        .zip(&cube.bits)
        .filter(|(_, (mask, _))| *mask != 0)
        .map(|(index, &(mask, value))| {
            let (op, value, value_two) = if mask == u64::MAX {
                (Operator::Eq, value, 0)
            } else {
                (Operator::MaskedEq, mask, value)
            };
            Arg {
                index,
                value,
                value_two,
                op,
            }
        })
        .collect()
}

fn entry(names: &[String], action: Action, args: Vec<Arg>) -> Entry {
    let (action, errno_ret) = encode(action);
    Entry {
        name: None,
        names: names.to_vec(),
        action,
        errno_ret,
        errno: None,
        args,
        comment: None,
        includes: Selector::default(),
        excludes: Selector::default(),
    }
}

fn encode(action: Action) -> (ProfileAction, Option<u32>) {
    match action {
        Action::Allow => (ProfileAction::Allow, None),
        Action::Errno(errno) => (ProfileAction::Errno, u32::try_from(errno.raw()).ok()),
        Action::Kill => (ProfileAction::KillProcess, None),
        Action::KillThread => (ProfileAction::KillThread, None),
        Action::Trap => (ProfileAction::Trap, None),
        Action::Log => (ProfileAction::Log, None),
        Action::Report(_) => (ProfileAction::Notify, None),
    }
}
