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
    /// A libseccomp that is older than a call leaves its name out. So where the default allows, a refusal of such a call
    /// is lost with it; an allow list keeps it closed.
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
            for (cube, action) in alternatives(call, effective.default)? {
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

/// Where which action is taken, but for some of what gets `default`; no two share arguments.
fn alternatives(call: &EffectiveCall, default: Action) -> Result<Vec<(Cube, Action)>, Error> {
    let too_many = || Error::NotExpressible {
        syscall: call.name.to_owned(),
        most: MOST,
    };
    let mut found = Vec::new();
    for (conditions, action) in &call.cases {
        for cube in cubes(conditions, MOST).ok_or_else(too_many)? {
            let new = outside(cube, &found).ok_or_else(too_many)?;
            found.extend(new.into_iter().map(|cube| (cube, *action)));
            if found.len() > MOST {
                return Err(too_many());
            }
        }
    }
    // Around a few values of three arguments there are thousands of cubes: only where they have to be said.
    if call.otherwise != default {
        let rest = outside(Cube::ALL, &found).ok_or_else(too_many)?;
        found.extend(rest.into_iter().map(|cube| (cube, call.otherwise)));
    }
    if found.len() > MOST {
        return Err(too_many());
    }
    Ok(found)
}

/// What of a cube is in none of the others; `None` where that is too much to say.
fn outside(cube: Cube, others: &[(Cube, Action)]) -> Option<Vec<Cube>> {
    let mut pieces = vec![cube];
    for (other, _) in others {
        let mut next = Vec::new();
        for piece in &pieces {
            piece.without(other, &mut next);
        }
        pieces = next;
        if pieces.len() > MOST {
            return None;
        }
    }
    Some(pieces)
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

#[cfg(test)]
mod tests {
    use super::{Action, Error, MOST, Policy, Profile};
    use crate::{
        ArgCondition, Comparison,
        oci::Target,
        testing::{conditions, values},
    };
    use proptest::{prelude::*, sample};
    use sandbox_core::Errno;

    fn again(policy: &Policy) -> Result<Policy, Error> {
        let profile = Profile::export(policy)?;
        Ok(profile.import(&Target::native((6, 1)).unwrap())?.policy)
    }

    fn actions() -> impl Strategy<Value = Action> {
        let errno = |number| Action::Errno(Errno::from_raw(number));
        sample::select(vec![Action::Allow, errno(1), errno(2), Action::Kill])
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_can_be_said_decides_the_same(
            (default, otherwise) in (actions(), actions()),
            cases in prop::collection::vec((prop::collection::vec(conditions(), 1..3), actions()), 0..4),
            args in prop::collection::vec(prop::array::uniform6(values()), 32),
        ) {
            let mut policy = Policy::allow_list(default).rule("kill", otherwise);
            for (conditions, action) in cases {
                policy = policy.rule_if("kill", conditions, action);
            }
            let Ok(again) = again(&policy) else {
                return Ok(());
            };
            for args in args {
                let decides = |policy: &Policy| policy.explain(libc::SYS_kill, args).unwrap().action;
                prop_assert_eq!(decides(&policy), decides(&again), "{:x?}", args);
            }
        }
    }

    #[test]
    fn calls_share_entries_where_all_is_the_same() {
        let errno = |number| Action::Errno(Errno::from_raw(number));
        let one = [ArgCondition::dword(0, Comparison::Eq(1))];
        let policy = Policy::allow_list(Action::Kill)
            .rules(&["kill", "tkill"], errno(1))
            .rule("tgkill", errno(2))
            .rules_if(&["kill", "tkill", "tgkill"], one, Action::Allow);
        let again = again(&policy).unwrap();
        for number in [libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill] {
            for args in [[0; 6], [1; 6], [2; 6]] {
                let [wanted, decided] =
                    [&policy, &again].map(|one| one.explain(number, args).unwrap().action);
                assert_eq!(decided, wanted, "{number} {args:?}");
            }
        }
    }

    /// As a policy that was learned has them, far from each other in three arguments.
    #[test]
    fn single_values_are_an_entry_each() {
        let value = |argument, place: u64| {
            let spread = place.wrapping_mul(0x9e37_79b9) & u64::from(u32::MAX);
            ArgCondition::dword(argument, Comparison::Eq(spread ^ u64::from(argument)))
        };
        let many = |most: usize| {
            (0..most as u64).fold(Policy::allow_list(Action::Kill), |policy, place| {
                let values = [0, 1, 2].map(|argument| value(argument, place));
                policy.rule_if("socket", values, Action::Allow)
            })
        };
        let profile = Profile::export(&many(MOST)).unwrap();
        assert_eq!(profile.syscalls.len(), MOST);
        let more = Profile::export(&many(MOST + 1));
        assert!(matches!(more, Err(Error::NotExpressible { .. })));
    }
}
