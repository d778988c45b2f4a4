//! Rules by name become decisions by number.

use std::collections::BTreeMap;

use crate::{
    Action, Answer, ArgCondition, Error, Policy,
    reporting::{HELLO, HELLO_CONDITIONS, foreign, hello},
    table::Architecture,
};

/// What is decided about one number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Decision<'a> {
    /// The same return value for all arguments.
    Constant(u32),
    /// Depends on the arguments.
    Conditional(Chain<'a>),
}

/// A decision that depends on the arguments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Chain<'a> {
    /// Conditions and return value; the last entry whose conditions hold decides.
    pub(crate) cases: Vec<(&'a [ArgCondition], u32)>,
    /// The return value where none holds.
    pub(crate) otherwise: u32,
}

/// A decision for all numbers from `first` up to the next range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range<'a> {
    pub(crate) first: u32,
    pub(crate) decision: Decision<'a>,
}

/// The decision for each number from 0 to `u32::MAX`, neighbours that agree merged. The first range starts at 0.
pub(crate) fn ranges<'a>(
    policy: &'a Policy,
    architecture: &Architecture,
) -> Result<Vec<Range<'a>>, Error> {
    let default = encode(policy.default_action())?;
    let spans = named(policy, architecture, default)?
        .into_iter()
        .map(|(number, chain)| (number, number, decide(chain)));
    let foreign = encode(foreign(policy))?;
    let trapped = |&(first, last)| (first, last, Decision::Constant(foreign));
    let traps = architecture.traps.iter().map(trapped);
    let mut spans: Vec<_> = spans.chain(traps).collect();
    spans.sort_unstable_by_key(|&(first, ..)| first);

    let mut ranges: Vec<Range<'_>> = Vec::new();
    let mut push = |first, decision| {
        if ranges.last().is_none_or(|range| range.decision != decision) {
            ranges.push(Range { first, decision });
        }
    };
    let mut next = 0;
    for (first, last, decision) in spans {
        if first > next {
            push(next, Decision::Constant(default));
        }
        push(first, decision);
        next = last + 1;
    }
    push(next, Decision::Constant(default));
    Ok(ranges)
}

/// The chain of every call of this architecture that a rule names.
pub(crate) fn named<'a>(
    policy: &'a Policy,
    architecture: &Architecture,
    default: u32,
) -> Result<BTreeMap<u32, Chain<'a>>, Error> {
    let mut chains: BTreeMap<u32, Chain<'a>> = BTreeMap::new();
    let chain = || Chain {
        cases: Vec::new(),
        otherwise: default,
    };
    for rule in policy.list() {
        let action = encode(rule.action)?;
        let names = rule.names()?;
        for condition in &rule.conditions {
            if let Some(problem) = condition.problem() {
                return Err(Error::Condition {
                    syscall: names.first().copied().unwrap_or_default().to_owned(),
                    condition: *condition,
                    problem,
                });
            }
        }
        for name in names {
            let Some(number) = architecture.number(name)? else {
                continue;
            };
            let chain = chains.entry(number).or_insert_with(chain);
            if rule.conditions.is_empty() {
                chain.cases.clear();
                chain.otherwise = action;
            } else {
                chain.cases.push((&rule.conditions, action));
            }
            if chain.cases.len() > MAX_CASES {
                return Err(Error::TooLong {
                    instructions: chain.cases.len(),
                });
            }
        }
    }
    if let (true, Some(number)) = (policy.reports(), architecture.number(HELLO)?) {
        let chain = chains.entry(number).or_insert_with(chain);
        chain.cases.push((&HELLO_CONDITIONS, encode(hello())?));
    }
    Ok(chains)
}

/// Each case needs an instruction at least, and the kernel takes no more of them.
const MAX_CASES: usize = 4096;

/// Cuts the cases that change nothing, so that a call needs no argument where it can do without.
pub(crate) fn decide(mut chain: Chain<'_>) -> Decision<'_> {
    let idle = chain
        .cases
        .iter()
        .take_while(|(_, action)| *action == chain.otherwise)
        .count();
    chain.cases.drain(..idle);
    if chain.cases.is_empty() {
        Decision::Constant(chain.otherwise)
    } else {
        Decision::Conditional(chain)
    }
}

pub(crate) fn encode(action: Action) -> Result<u32, Error> {
    action.encode().ok_or_else(|| Error::Errno {
        errno: match action {
            Action::Errno(errno) | Action::Report(Answer::Errno(errno)) => errno.raw(),
            _ => 0,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::{Decision, ranges};
    use crate::{Action, Answer, ArgCondition, Comparison, Error, Policy, table::X86_64};
    use sandbox_core::Errno;

    const ALLOW: Decision<'_> = Decision::Constant(libc::SECCOMP_RET_ALLOW);
    const KILL: Decision<'_> = Decision::Constant(libc::SECCOMP_RET_KILL_PROCESS);

    fn of(policy: &Policy) -> Vec<(u32, Decision<'_>)> {
        ranges(policy, &X86_64)
            .unwrap()
            .into_iter()
            .map(|range| (range.first, range.decision))
            .collect()
    }

    #[test]
    fn neighbours_merge_and_x32_is_closed() {
        let policy = Policy::deny_list()
            .rules(&["read", "write", "open"], Action::Kill)
            .rule("close", Action::Allow);
        assert_eq!(
            of(&policy),
            [
                (0, KILL),
                (3, ALLOW),
                (512, KILL),
                (548, ALLOW),
                (0x4000_0000, KILL),
                (0x8000_0000, ALLOW)
            ]
        );
    }

    #[test]
    fn a_condition_that_changes_nothing_costs_nothing() {
        let policy = Policy::deny_list().rule_if(
            "kill",
            [ArgCondition::dword(0, Comparison::Eq(1))],
            Action::Allow,
        );
        assert_eq!(of(&policy), of(&Policy::deny_list()));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (condition, word) in [
            (ArgCondition::dword(6, Comparison::Eq(0)), "beyond"),
            (ArgCondition::dword(0, Comparison::Eq(1 << 32)), "longer"),
            (
                ArgCondition::qword(0, Comparison::MaskedEq { mask: 1, value: 3 }),
                "outside",
            ),
        ] {
            let policy = Policy::deny_list().rule_if("kill", [condition], Action::Kill);
            let error = ranges(&policy, &X86_64).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
        for number in [0, -1, 4096] {
            let errno = Errno::from_raw(number);
            let error = Error::Errno { errno: number };
            for action in [Action::Errno(errno), Action::Report(Answer::Errno(errno))] {
                let rule = Policy::deny_list().rule("kill", action);
                assert_eq!(ranges(&rule, &X86_64).unwrap_err(), error);
                let default = Policy::allow_list(action);
                assert_eq!(ranges(&default, &X86_64).unwrap_err(), error);
            }
        }
    }
}
