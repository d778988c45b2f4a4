//! Which arguments tell what a call does, so that a learned rule asks for them.

use sandbox_exec::seccomp::{ArgCondition, Comparison};

/// What a rule asks of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// The value that was seen.
    Seen(u8),
    /// A number of a process, another one at each run: whether it is init's.
    Process(u8),
}

use Ask::{Process, Seen};

/// Every call that the preset `judge` decides by its arguments, and others that are as different as their flags.
const TELLING: &[(&str, &[Ask])] = &[
    ("open", &[Seen(1)]),
    ("openat", &[Seen(2)]),
    ("clone", &[Seen(0)]),
    ("unshare", &[Seen(0)]),
    ("setns", &[Seen(1)]),
    ("socket", &[Seen(0), Seen(1), Seen(2)]),
    ("socketpair", &[Seen(0)]),
    ("setsockopt", &[Seen(1), Seen(2)]),
    ("ioctl", &[Seen(1)]),
    ("fcntl", &[Seen(1)]),
    ("prctl", &[Seen(0)]),
    ("prlimit64", &[Seen(0)]),
    ("personality", &[Seen(0)]),
    ("ptrace", &[Seen(0)]),
    ("keyctl", &[Seen(0)]),
    ("bpf", &[Seen(0)]),
    ("mmap", &[Seen(3)]),
    ("memfd_create", &[Seen(1)]),
    ("setpriority", &[Seen(0), Process(1)]),
    ("kill", &[Process(0)]),
    ("tkill", &[Process(0)]),
    ("tgkill", &[Process(0)]),
    ("rt_sigqueueinfo", &[Process(0)]),
    ("rt_tgsigqueueinfo", &[Process(0)]),
    ("pidfd_open", &[Process(0)]),
    ("sched_setaffinity", &[Process(0)]),
    ("sched_setscheduler", &[Process(0), Seen(1)]),
    ("sched_setparam", &[Process(0)]),
    ("sched_setattr", &[Process(0)]),
];

/// The number of init in a box.
const INIT: u64 = 1;

/// `-1`: the process group of init, where an owner of a descriptor is named.
const GROUP_OF_INIT: u64 = 0xffff_ffff;

const F_SETOWN: u64 = 8;

/// The conditions of a rule that a call with these arguments teaches.
pub(crate) fn conditions(syscall: &str, args: [u64; 6]) -> Vec<ArgCondition> {
    let asked = TELLING.iter().find(|(name, _)| *name == syscall);
    let asked = asked.map_or(&[][..], |(_, asked)| asked);
    let mut conditions: Vec<_> = asked.iter().flat_map(|ask| of_ask(*ask, args)).collect();
    if syscall == "fcntl" && low_half(args[1]) == F_SETOWN {
        conditions.extend(any_but(&[INIT, GROUP_OF_INIT], 2, args));
    }
    conditions
}

fn of_ask(ask: Ask, args: [u64; 6]) -> Vec<ArgCondition> {
    match ask {
        Seen(argument) => vec![ArgCondition::dword(
            argument,
            Comparison::Eq(seen(argument, args)),
        )],
        Process(argument) => any_but(&[INIT], argument, args),
    }
}

/// Of a number that changes with each run: that it is none of those that do not, or the one of them that it was.
fn any_but(fixed: &[u64], argument: u8, args: [u64; 6]) -> Vec<ArgCondition> {
    let seen = seen(argument, args);
    let comparisons = match fixed.contains(&seen) {
        true => vec![Comparison::Eq(seen)],
        false => fixed.iter().copied().map(Comparison::Ne).collect(),
    };
    comparisons
        .into_iter()
        .map(|comparison| ArgCondition::dword(argument, comparison))
        .collect()
}

/// All that is asked for are numbers of 32 bits.
fn seen(argument: u8, args: [u64; 6]) -> u64 {
    low_half(args.get(usize::from(argument)).copied().unwrap_or(0))
}

fn low_half(argument: u64) -> u64 {
    argument & u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::conditions;
    use sandbox_exec::{
        Action, Policy,
        seccomp::{ArgCondition, Comparison, EffectiveCall},
    };

    /// Where a comparison may change its mind.
    fn edges(condition: &ArgCondition) -> Vec<u64> {
        let value = match condition.comparison {
            Comparison::Eq(value)
            | Comparison::Ne(value)
            | Comparison::Le(value)
            | Comparison::Ge(value)
            | Comparison::MaskedEq { value, .. } => value,
            other => panic!("judge says {other:?} nowhere"),
        };
        let mask = match condition.comparison {
            Comparison::MaskedEq { mask, .. } => mask,
            _ => 0,
        };
        let flipped = (0..32).map(|bit| 1 << bit).filter(|bit| mask & bit != 0);
        let mut edges: Vec<u64> = flipped.map(|bit| value ^ bit).collect();
        edges.extend([value.wrapping_sub(1), value, value + 1].map(super::low_half));
        edges
    }

    /// Arguments at the edges of all that judge says of a call, each with each.
    fn tries(call: &EffectiveCall) -> Vec<[u64; 6]> {
        let mut tries = vec![[0; 6]];
        for argument in 0..6_u8 {
            let conditions = call.cases.iter().flat_map(|(conditions, _)| conditions);
            let of_this = conditions.filter(|condition| condition.argument == argument);
            let mut values: Vec<u64> = of_this.flat_map(edges).chain([77]).collect();
            values.sort_unstable();
            values.dedup();
            let place = usize::from(argument);
            let with = |args: &[u64; 6], value| {
                let mut args = *args;
                args[place] = value;
                args
            };
            tries = values
                .iter()
                .flat_map(|value| tries.iter().map(|args| with(args, *value)))
                .collect();
        }
        tries
    }

    /// What judge does, by what comes of all its rules.
    fn is_allowed(call: &EffectiveCall, args: [u64; 6]) -> bool {
        let mut cases = call.cases.iter();
        let decides = cases.find(|(conditions, _)| conditions.iter().all(|one| one.holds(args)));
        decides.map_or(call.otherwise, |(_, action)| *action) == Action::Allow
    }

    /// So a rule without the mark of judge is nowhere wider than judge.
    #[test]
    fn what_judge_allows_teaches_nothing_that_it_refuses() {
        let mut conditional = 0;
        for call in Policy::judge().effective().unwrap().calls {
            if call.cases.is_empty() {
                continue;
            }
            conditional += 1;
            let tries = tries(&call);
            let (allowed, refused): (Vec<[u64; 6]>, Vec<[u64; 6]>) =
                tries.into_iter().partition(|args| is_allowed(&call, *args));
            assert!(!allowed.is_empty() && !refused.is_empty(), "{}", call.name);
            let mut rules: Vec<_> = allowed
                .iter()
                .map(|args| conditions(call.name, *args))
                .collect();
            rules.sort_unstable();
            rules.dedup();
            for (rule, args) in rules
                .iter()
                .flat_map(|rule| refused.iter().map(move |args| (rule, args)))
            {
                let wider = rule.iter().all(|one| one.holds(*args));
                assert!(!wider, "{} where {rule:?} allows {args:x?}", call.name);
            }
        }
        assert!(conditional > 15, "{conditional}");
    }

    #[test]
    fn a_rule_asks_for_what_was_seen_and_for_the_number_of_no_process_but_init() {
        for (syscall, args, expected) in [
            ("read", [3; 6], &[][..]),
            (
                "prctl",
                [0x7_0000_000f, 9, 9, 9, 9, 9],
                &["arg0 as u32 == 0xf"],
            ),
            ("kill", [77; 6], &["arg0 as u32 != 0x1"]),
            ("kill", [1; 6], &["arg0 as u32 == 0x1"]),
            (
                "fcntl",
                [3, 8, 77, 0, 0, 0],
                &[
                    "arg1 as u32 == 0x8",
                    "arg2 as u32 != 0x1",
                    "arg2 as u32 != 0xffffffff",
                ],
            ),
            (
                "fcntl",
                [3, 8, u64::MAX, 0, 0, 0],
                &["arg1 as u32 == 0x8", "arg2 as u32 == 0xffffffff"],
            ),
        ] {
            let taught = conditions(syscall, args);
            let texts: Vec<_> = taught.iter().map(ToString::to_string).collect();
            assert_eq!(texts, expected, "{syscall} {args:x?}");
            assert!(taught.iter().all(|one| one.holds(args)), "{syscall}");
        }
    }
}
