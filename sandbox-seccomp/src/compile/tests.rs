//! What the compiler refuses, and edges of its programs.

use sandbox_core::Errno;

use super::{HOPELESS, MAX_INSTRUCTIONS};
use crate::{
    Action, Answer, ArgCondition, Comparison, Error, Policy,
    table::{ALL, Architecture},
    testing::{filter, meaning},
};

#[test]
fn rules_of_many_conditions_stay_whole() {
    let architecture = Architecture::native().unwrap();
    let number = architecture.number("kill").unwrap().unwrap();
    let idle = ArgCondition::qword(0, Comparison::MaskedEq { mask: 0, value: 0 });
    // Up to 64 are a tree. Jumps that are too long are bridged, around 42 conditions for the first time.
    for count in [40, 41, 42, 43, 44, 63, 64, 65, 85, 130, 300] {
        // One condition decides, the others hold for all arguments.
        for decisive in [0, 1, count / 2, count - 1] {
            let mut conditions = vec![idle; count];
            conditions[decisive] = ArgCondition::qword(3, Comparison::Eq(5 | (5 << 32)));
            let policy = Policy::deny_list().rule_if("kill", conditions, Action::Kill);
            let filter = filter(&policy, architecture);
            for argument in [5 | (5 << 32), 5, 5 << 32, 0] {
                for nr in [number, number + 1, 0] {
                    let args = [0, 0, 0, argument, 0, 0];
                    assert_eq!(
                        filter.evaluate(architecture.audit, nr.into(), args),
                        meaning(&policy, architecture, nr, args),
                        "{count} conditions, {decisive} decides, argument {argument:#x}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_policy_that_blocks_the_start_is_refused() {
    for syscall in ["execve", "sendto", "exit_group"] {
        let refused = Err(Error::BlocksSetup { syscall });
        for action in [Action::Kill, Action::Errno(Errno::from_raw(1))] {
            assert_eq!(Policy::judge().rule(syscall, action).prepare(), refused);
        }
        assert!(Policy::judge().rule(syscall, Action::Log).prepare().is_ok());
    }
    let only_one = ArgCondition::dword(0, Comparison::Eq(100));
    let policy =
        Policy::judge()
            .rule("sendto", Action::Kill)
            .rule_if("sendto", [only_one], Action::Allow);
    let refused = Err(Error::BlocksSetup { syscall: "sendto" });
    assert_eq!(policy.prepare(), refused);
    let nothing = Policy::allow_list(Action::Kill).prepare();
    assert_eq!(nothing, Err(Error::BlocksSetup { syscall: "execve" }));
}

/// What the start's pointers and descriptors will be is not known: no bit of them may be asked for.
#[test]
fn a_policy_that_asks_for_some_pointer_or_descriptor_is_refused() {
    let kill = Action::Report(Answer::Kill);
    for (syscall, arguments) in [("execve", 3), ("sendto", 2), ("sendmsg", 2)] {
        let closed = Policy::deny_list()
            .deny(&["@confine", "prctl"])
            .rule(syscall, kill);
        for (argument, bit) in (0..arguments).flat_map(|one| (0..64).map(move |bit| (one, bit))) {
            let (mask, value) = (1 << bit, 1 << bit);
            let set = ArgCondition::qword(argument, Comparison::MaskedEq { mask, value });
            let policy = closed.clone().rule_if(syscall, [set], Action::Allow);
            assert_eq!(
                policy.prepare(),
                Err(Error::BlocksSetup { syscall }),
                "{set}"
            );
        }
    }
}

#[test]
fn the_last_rule_decides() {
    let ask = [ArgCondition::dword(1, Comparison::Eq(0))];
    let eperm = Action::Errno(Errno::from_raw(1));
    let architecture = Architecture::native().unwrap();
    let number = architecture.number("kill").unwrap().unwrap().into();
    let decided = |policy: Policy, signal| {
        let filter = policy.prepare().unwrap();
        filter.evaluate(architecture.audit, number, [1, signal, 0, 0, 0, 0])
    };
    let exception = Policy::deny_list()
        .rule("kill", eperm)
        .rule_if("kill", ask, Action::Log);
    assert_eq!(decided(exception.clone(), 0), Action::Log);
    assert_eq!(decided(exception.clone(), 9), eperm);
    let hidden = exception.rule("kill", Action::Kill);
    assert_eq!(decided(hidden, 0), Action::Kill);
}

#[test]
fn cases_that_would_make_a_large_tree_are_tried_in_turn() {
    let architecture = Architecture::native().unwrap();
    let number = architecture.number("kill").unwrap().unwrap();
    let mut policy = Policy::deny_list();
    for step in 0..10 {
        // Each overlaps with all others in every argument, so that a tree has 20 ways on at each of three words.
        let range = |argument| {
            let from = ArgCondition::dword(argument, Comparison::Ge(step));
            let to = ArgCondition::dword(argument, Comparison::Lt(20 - step));
            [from, to]
        };
        let conditions = [range(0), range(1), range(2)].concat();
        let errno = i32::try_from(step).unwrap() + 1;
        policy = policy.rule_if("kill", conditions, Action::Errno(Errno::from_raw(errno)));
    }
    let filter = filter(&policy, architecture);
    assert!(filter.len() < 200, "{} instructions", filter.len());
    for place in 0..8000_u64 {
        let args = [place % 20, place / 20 % 20, place / 400, 0, 0, 0];
        assert_eq!(
            filter.evaluate(architecture.audit, number.into(), args),
            meaning(&policy, architecture, number, args),
            "arguments {args:?}"
        );
    }
}

#[test]
fn programs_longer_than_the_kernel_takes_are_refused() {
    let cases = |arguments: u8| {
        (0..2000).fold(Policy::deny_list(), |policy, value| {
            let far = Comparison::Eq(value << 32 | value);
            let conditions: Vec<_> = (0..arguments)
                .map(|argument| ArgCondition::qword(argument, far))
                .collect();
            policy.rule_if("kill", conditions, Action::Kill)
        })
    };
    for arguments in 1..=6 {
        let error = cases(arguments).prepare().unwrap_err();
        // Laying out stops where nothing can be shrunk to what the kernel takes any more.
        let known = MAX_INSTRUCTIONS + 1..=HOPELESS + 100;
        assert!(
            matches!(error, Error::TooLong { instructions } if known.contains(&instructions)),
            "{error}"
        );
    }
}

#[test]
fn judge_is_small() {
    for architecture in ALL {
        let length = filter(&Policy::judge(), architecture).len();
        // The kernel checks, converts and compiles the program at every start, about 0.4 us per instruction.
        assert!(length <= 220, "{length} instructions");
    }
}
