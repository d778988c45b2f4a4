//! Which arguments tell what a call does, so that a learned rule asks for them.

use sandbox_exec::seccomp::{ArgCondition, Comparison};

/// What a rule asks of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// The value that was seen.
    Seen(u8),
    /// A number of a process, another one at each run: that it is not init's.
    NotInit(u8),
}

use Ask::{NotInit, Seen};

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
    ("setpriority", &[Seen(0), NotInit(1)]),
    ("kill", &[NotInit(0)]),
    ("tkill", &[NotInit(0)]),
    ("tgkill", &[NotInit(0)]),
    ("rt_sigqueueinfo", &[NotInit(0)]),
    ("rt_tgsigqueueinfo", &[NotInit(0)]),
    ("pidfd_open", &[NotInit(0)]),
    ("sched_setaffinity", &[NotInit(0)]),
    ("sched_setscheduler", &[NotInit(0), Seen(1)]),
    ("sched_setparam", &[NotInit(0)]),
    ("sched_setattr", &[NotInit(0)]),
];

/// The number of init in a box.
const INIT: u64 = 1;

/// The conditions of a rule that a call with these arguments teaches.
pub(crate) fn conditions(syscall: &str, args: [u64; 6]) -> Vec<ArgCondition> {
    let asked = TELLING.iter().find(|(name, _)| *name == syscall);
    let asked = asked.map_or(&[][..], |(_, asked)| asked);
    let mut conditions: Vec<_> = asked.iter().map(|ask| condition(*ask, args)).collect();
    if syscall == "fcntl" && low_half(args[1]) == F_SETOWN {
        conditions.push(condition(NotInit(2), args));
    }
    conditions
}

/// The same without what was seen: where a program has too many values to list.
pub(crate) fn wide_conditions(syscall: &str) -> Vec<ArgCondition> {
    let asked = TELLING.iter().filter(|(name, _)| *name == syscall);
    asked
        .flat_map(|(_, asked)| asked.iter())
        .filter(|ask| matches!(ask, NotInit(_)))
        .map(|ask| condition(*ask, [0; 6]))
        .collect()
}

const F_SETOWN: u64 = 8;

/// All of them are numbers of 32 bits.
fn condition(ask: Ask, args: [u64; 6]) -> ArgCondition {
    match ask {
        Seen(argument) => {
            let seen = args.get(usize::from(argument)).copied().unwrap_or(0);
            ArgCondition::dword(argument, Comparison::Eq(low_half(seen)))
        }
        NotInit(argument) => ArgCondition::dword(argument, Comparison::Ne(INIT)),
    }
}

fn low_half(argument: u64) -> u64 {
    argument & u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{TELLING, conditions, wide_conditions};
    use sandbox_exec::Policy;

    #[test]
    fn whatever_judge_looks_at_is_asked_for() {
        for call in Policy::judge().effective().unwrap().calls {
            if call.cases.is_empty() {
                continue;
            }
            let known = TELLING.iter().any(|(name, _)| *name == call.name);
            assert!(known, "{} is decided by its arguments", call.name);
        }
    }

    #[test]
    fn a_rule_asks_for_what_was_seen_and_never_for_the_number_of_a_process() {
        let texts = |conditions: Vec<_>| -> Vec<String> {
            conditions.iter().map(ToString::to_string).collect()
        };
        assert_eq!(texts(conditions("read", [3; 6])), [""; 0]);
        assert_eq!(
            texts(conditions("prctl", [0x7_0000_000f, 9, 9, 9, 9, 9])),
            ["arg0 as u32 == 0xf"]
        );
        assert_eq!(texts(conditions("kill", [77; 6])), ["arg0 as u32 != 0x1"]);
        assert_eq!(
            texts(conditions("fcntl", [3, 8, 77, 0, 0, 0])),
            ["arg1 as u32 == 0x8", "arg2 as u32 != 0x1"]
        );
        assert_eq!(texts(wide_conditions("ioctl")), [""; 0]);
        assert_eq!(texts(wide_conditions("kill")), ["arg0 as u32 != 0x1"]);
    }
}
