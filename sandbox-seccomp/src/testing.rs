//! What the property tests share: a policy's meaning without the compiler, and random policies and arguments.

use std::collections::BTreeSet;

use proptest::{prelude::*, sample};
use sandbox_core::Errno;

use crate::{
    Action, Answer, ArgCondition, Comparison, Filter, Policy, Preset, Width,
    compile::program,
    instruction::{
        AND, JUMP, JUMP_EQ, JUMP_GE, JUMP_GT, LOAD, OFFSET_ARCH, OFFSET_ARGS, OFFSET_NR, RETURN,
    },
    table::{ALL, Architecture},
};

/// The compiled policy for any architecture.
pub(crate) fn filter(policy: &Policy, architecture: &Architecture) -> Filter {
    Filter::new(program(policy, architecture).unwrap())
}

/// A preset for places without a supervisor, where nobody lets the start through whose `execve` is reported.
pub(crate) fn unsupervised(preset: Preset) -> Policy {
    match preset {
        Preset::StrictCompute => Policy::strict_compute()
            .allow(&["execve"])
            .without_reports(),
        other => other.into(),
    }
}

/// What a policy says about a call, as its documentation reads.
pub(crate) fn meaning(
    policy: &Policy,
    architecture: &Architecture,
    nr: u32,
    args: [u64; 6],
) -> Action {
    policy.explain_on(architecture, nr, args).action
}

/// What a program compares the architecture and the number with. For two of them with no constant in between, it does the same.
pub(crate) struct Constants {
    architectures: BTreeSet<u32>,
    numbers: BTreeSet<u32>,
}

impl Constants {
    /// Panics where a program does more with them than comparing, for then its constants are not its bounds.
    pub(crate) fn of(filter: &Filter) -> Self {
        let program = filter.program();
        let mut all = Self {
            architectures: BTreeSet::new(),
            numbers: BTreeSet::new(),
        };
        // Which words the accumulator may hold at each instruction. Jumps only go forward.
        let mut held = vec![BTreeSet::new(); program.len()];
        for (at, one) in program.iter().enumerate() {
            let mut words = core::mem::take(&mut held[at]);
            let mut next = vec![0];
            match one.code {
                RETURN => next.clear(),
                LOAD => words = BTreeSet::from([one.k]),
                JUMP => next = vec![usize::try_from(one.k).unwrap()],
                AND => assert!(words.iter().all(|word| *word >= OFFSET_ARGS)),
                code => {
                    for word in &words {
                        match *word {
                            OFFSET_ARCH => all.architectures.insert(one.k),
                            OFFSET_NR => all.numbers.insert(one.k),
                            _ => continue,
                        };
                        assert!([JUMP_EQ, JUMP_GT, JUMP_GE].contains(&code));
                    }
                    next = vec![one.jt.into(), one.jf.into()];
                }
            }
            for skip in next {
                held[at + 1 + skip].extend(&words);
            }
        }
        all
    }

    /// Numbers of which one is like each number there is, to the program and to what its policy says.
    pub(crate) fn numbers(&self, architecture: &Architecture) -> BTreeSet<u32> {
        let calls = architecture.calls.iter().map(|&(_, number)| number);
        let traps = architecture.traps.iter();
        let traps = traps.flat_map(|&(first, last)| [first, last]);
        around(self.numbers.iter().copied().chain(calls).chain(traps))
    }

    /// The same of `AUDIT_ARCH_*`, and those that there are.
    pub(crate) fn architectures(&self) -> BTreeSet<u32> {
        const I386: u32 = 3 | 0x4000_0000;
        const ARM: u32 = 40 | 0x4000_0000;
        let known = ALL.iter().map(|architecture| architecture.audit);
        around(
            self.architectures
                .iter()
                .copied()
                .chain(known)
                .chain([I386, ARM]),
        )
    }
}

fn around(bounds: impl Iterator<Item = u32>) -> BTreeSet<u32> {
    bounds
        .chain([0])
        .flat_map(|bound| [bound.wrapping_sub(1), bound, bound.wrapping_add(1)])
        .collect()
}

pub(crate) fn actions() -> impl Strategy<Value = Action> {
    sample::select(vec![
        Action::Allow,
        Action::Kill,
        Action::KillThread,
        Action::Trap,
        Action::Log,
        Action::Errno(Errno::from_raw(1)),
        Action::Errno(Errno::from_raw(38)),
        Action::Report(Answer::Kill),
        Action::Report(Answer::Errno(Errno::from_raw(38))),
    ])
}

/// Values near the bounds of both halves, where carries and signs go wrong.
pub(crate) fn values() -> impl Strategy<Value = u64> {
    let half = prop_oneof![
        sample::select(vec![0, 1, 5, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]),
        any::<u32>(),
    ];
    (half.clone(), half).prop_map(|(high, low)| u64::from(high) << 32 | u64::from(low))
}

pub(crate) fn conditions() -> impl Strategy<Value = ArgCondition> {
    (0..6_u8, any::<bool>(), 0..11, values(), values()).prop_map(
        |(argument, dword, kind, value, mask)| {
            let cut = if dword { 0xffff_ffff } else { u64::MAX };
            let (value, mask) = (value & cut, mask & cut);
            let signed = if dword {
                i64::from(u32::try_from(value).unwrap().cast_signed())
            } else {
                value.cast_signed()
            };
            let comparison = match kind {
                0 => Comparison::Eq(value),
                1 => Comparison::Ne(value),
                2 => Comparison::Lt(value),
                3 => Comparison::Le(value),
                4 => Comparison::Gt(value),
                5 => Comparison::Ge(value),
                6 => Comparison::SignedLt(signed),
                7 => Comparison::SignedLe(signed),
                8 => Comparison::SignedGt(signed),
                9 => Comparison::SignedGe(signed),
                _ => Comparison::MaskedEq {
                    mask,
                    value: value & mask,
                },
            };
            if dword {
                ArgCondition::dword(argument, comparison)
            } else {
                ArgCondition::qword(argument, comparison)
            }
        },
    )
}

/// Policies of up to `rules` rules about calls of `architecture`.
pub(crate) fn policies(
    architecture: &'static Architecture,
    rules: usize,
) -> impl Strategy<Value = Policy> {
    let names: Vec<_> = architecture.calls.iter().map(|call| call.0).collect();
    let groups = crate::Group::all().iter().map(|group| group.name);
    let name = prop_oneof![
        9 => sample::select(names),
        1 => sample::select(groups.collect::<Vec<_>>()),
    ];
    let rule = (name, prop::collection::vec(conditions(), 0..4), actions());
    (actions(), prop::collection::vec(rule, 0..rules)).prop_map(|(default, rules)| {
        rules.into_iter().fold(
            Policy::allow_list(default),
            |policy, (name, all, action)| policy.rule_if(name, all, action),
        )
    })
}

/// Arguments of which each is random or near a value that a rule of the policy compares with.
pub(crate) fn arguments(policy: &Policy) -> impl Strategy<Value = [u64; 6]> + use<> {
    let mut near = vec![0];
    for condition in policy.list().iter().flat_map(|rule| &rule.conditions) {
        let edges = match condition.comparison {
            Comparison::Eq(v)
            | Comparison::Ne(v)
            | Comparison::Lt(v)
            | Comparison::Le(v)
            | Comparison::Gt(v)
            | Comparison::Ge(v) => [v, v ^ (1 << 32)],
            Comparison::MaskedEq { mask, value } => [mask, value],
            Comparison::SignedLt(v)
            | Comparison::SignedLe(v)
            | Comparison::SignedGt(v)
            | Comparison::SignedGe(v) => [v.cast_unsigned(), v.cast_unsigned() ^ (1 << 31)],
        };
        for edge in edges {
            near.extend([
                edge,
                edge.wrapping_sub(1),
                edge.wrapping_add(1),
                edge | 1 << 63,
            ]);
            if condition.width == Width::Dword {
                near.push(edge | 0xdead << 32);
            }
        }
    }
    let one = prop_oneof![3 => sample::select(near), 1 => values()];
    prop::array::uniform6(one)
}

/// The document once for each object in it, with a field in there that is nobody's.
#[cfg(feature = "serde")]
pub(crate) fn with_a_stranger(document: &serde_json::Value) -> Vec<serde_json::Value> {
    use serde_json::Value;
    let mut found = Vec::new();
    let mut inside = |key: &dyn Fn(&mut Value) -> &mut Value, part: &Value| {
        for changed in with_a_stranger(part) {
            let mut whole = document.clone();
            *key(&mut whole) = changed;
            found.push(whole);
        }
    };
    match document {
        Value::Object(fields) => {
            for (name, part) in fields {
                inside(&|whole| &mut whole[name], part);
            }
            let mut whole = document.clone();
            whole["stranger"] = Value::from(0);
            found.push(whole);
        }
        Value::Array(parts) => {
            for (place, part) in parts.iter().enumerate() {
                inside(&|whole| &mut whole[place], part);
            }
        }
        _ => {}
    }
    found
}
