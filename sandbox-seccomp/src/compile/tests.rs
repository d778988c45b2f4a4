//! Compiled programs against the meaning of the policy, and against a second compiler.

use std::collections::BTreeMap;

use sandbox_core::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch};

use super::program;
use crate::{
    Action, ArgCondition, Comparison, Error, Filter, Policy, Rule, Width,
    instruction::Instruction,
    table::{ALL, Architecture},
};

/// Numbers around every bound that a filter has, for all architectures.
fn numbers() -> impl Iterator<Item = u32> {
    let x32 = (0..1024).map(|number| number | 0x4000_0000);
    let edges = [0x3fff_ffff, 0x7fff_ffff, 0x8000_0000, 0xc000_0000, u32::MAX];
    (0..1024).chain(x32).chain(edges)
}

/// A policy as its documentation reads, without the compiler.
struct Meaning<'a> {
    policy: &'a Policy,
    architecture: &'a Architecture,
    /// The rules with the numbers of their calls.
    rules: Vec<(Vec<u32>, &'a Rule)>,
}

impl<'a> Meaning<'a> {
    fn of(policy: &'a Policy, architecture: &'a Architecture) -> Self {
        let number = |name: &String| architecture.number(name).unwrap();
        let numbers = |rule: &Rule| rule.syscalls.iter().filter_map(number).collect();
        Self {
            policy,
            architecture,
            rules: policy
                .list()
                .iter()
                .map(|rule| (numbers(rule), rule))
                .collect(),
        }
    }

    fn action(&self, nr: u32, args: [u64; 6]) -> Action {
        let trapped = |&(first, last): &(u32, u32)| (first..=last).contains(&nr);
        if self.architecture.traps.iter().any(trapped) {
            return Action::Kill;
        }
        let decides = |(numbers, rule): &&(Vec<u32>, &Rule)| {
            numbers.contains(&nr) && rule.conditions.iter().all(|c| holds(c, args))
        };
        let last = self.rules.iter().rev().find(decides);
        last.map_or(self.policy.default_action(), |(_, rule)| rule.action)
    }
}

fn holds(condition: &ArgCondition, args: [u64; 6]) -> bool {
    let argument = args[usize::from(condition.argument)];
    let argument = match condition.width {
        Width::Dword => argument & u64::from(u32::MAX),
        Width::Qword => argument,
    };
    match condition.comparison {
        Comparison::Eq(v) => argument == v,
        Comparison::Ne(v) => argument != v,
        Comparison::Lt(v) => argument < v,
        Comparison::Le(v) => argument <= v,
        Comparison::Gt(v) => argument > v,
        Comparison::Ge(v) => argument >= v,
        Comparison::MaskedEq { mask, value } => argument & mask == value,
    }
}

/// xorshift64: the same values in every run, so that a failure can be run again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let length = u64::try_from(from.len()).unwrap();
        from[usize::try_from(self.below(length)).unwrap()]
    }

    /// Values near the bounds of both halves, where carries between them go wrong.
    fn value(&mut self) -> u64 {
        let half = |random: &mut Self| match random.below(6) {
            0 => random.next() & 0xffff_ffff,
            n => [0, 1, 5, 0x7fff_ffff, 0xffff_ffff][usize::try_from(n - 1).unwrap()],
        };
        (half(self) << 32) | half(self)
    }

    fn condition(&mut self) -> ArgCondition {
        let argument = u8::try_from(self.below(6)).unwrap();
        let dword = self.below(2) == 0;
        let cut = if dword { 0xffff_ffff } else { u64::MAX };
        let value = self.value() & cut;
        let mask = self.value() & cut;
        let comparison = match self.below(7) {
            0 => Comparison::Eq(value),
            1 => Comparison::Ne(value),
            2 => Comparison::Lt(value),
            3 => Comparison::Le(value),
            4 => Comparison::Gt(value),
            5 => Comparison::Ge(value),
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
    }

    fn conditions(&mut self, most: u64) -> Vec<ArgCondition> {
        (0..self.below(most + 1))
            .map(|_| self.condition())
            .collect()
    }

    fn args(&mut self) -> [u64; 6] {
        core::array::from_fn(|_| self.value())
    }
}

fn filter(policy: &Policy, architecture: &Architecture) -> Filter {
    Filter::new(program(policy, architecture).unwrap())
}

/// The values that a policy compares with, and those one bit or one step away.
fn neighbours(policy: &Policy) -> Vec<u64> {
    let conditions = policy.list().iter().flat_map(|rule| &rule.conditions);
    let values = conditions.flat_map(|condition| match condition.comparison {
        Comparison::Eq(v)
        | Comparison::Ne(v)
        | Comparison::Lt(v)
        | Comparison::Le(v)
        | Comparison::Gt(v)
        | Comparison::Ge(v) => [v, v ^ (1 << 32)],
        Comparison::MaskedEq { mask, value } => [mask, value],
    });
    let near = |v: u64| [v, v.wrapping_sub(1), v.wrapping_add(1), v | (1 << 63)];
    values.chain([0]).flat_map(near).collect()
}

fn assert_means(policy: &Policy, architecture: &Architecture, random: &mut Random, rounds: usize) {
    let filter = filter(policy, architecture);
    let pool = neighbours(policy);
    let meaning = Meaning::of(policy, architecture);
    for nr in numbers() {
        for round in 0..rounds {
            let args = match round {
                0 => [0; 6],
                _ if round % 2 == 0 => random.args(),
                _ => core::array::from_fn(|_| random.pick(&pool)),
            };
            assert_eq!(
                filter.evaluate(architecture.audit, nr.into(), args),
                meaning.action(nr, args),
                "number {nr:#x}, arguments {args:x?}"
            );
        }
    }
}

#[test]
fn judge_means_what_it_says_on_every_architecture() {
    let mut random = Random(1);
    let policy = Policy::judge();
    for architecture in ALL {
        assert_means(&policy, architecture, &mut random, 12);
    }
}

#[test]
fn foreign_architectures_die_whatever_they_call() {
    let i386 = 3 | 0x4000_0000;
    for policy in [Policy::judge(), Policy::deny_list()] {
        for architecture in ALL {
            let filter = filter(&policy, architecture);
            let others = ALL
                .iter()
                .map(|other| other.audit)
                .filter(|&a| a != architecture.audit);
            for arch in others.chain([i386, 0, u32::MAX]) {
                for nr in numbers() {
                    assert_eq!(filter.evaluate(arch, nr.into(), [0; 6]), Action::Kill);
                }
            }
        }
    }
}

#[test]
fn random_policies_mean_what_they_say() {
    let actions = [
        Action::Allow,
        Action::Kill,
        Action::Log,
        Action::Errno(Errno::from_raw(1)),
        Action::Errno(Errno::from_raw(38)),
    ];
    for seed in 1..=10 {
        let mut random = Random(seed * 0x9e37_79b9);
        let architecture = random.pick(&ALL);
        let names: Vec<_> = architecture.calls.iter().map(|call| call.0).collect();
        let mut policy = Policy::allow_list(random.pick(&actions));
        // Enough rules that jumps leave the reach of a conditional one.
        for _ in 0..random.below(200) {
            let name = random.pick(&names);
            let conditions = random.conditions(3);
            policy = policy.rule_if(name, conditions, random.pick(&actions));
        }
        assert_means(&policy, architecture, &mut random, 4);
    }
}

#[test]
fn rules_of_many_conditions_stay_whole() {
    let architecture = Architecture::native().unwrap();
    let number = architecture.number("kill").unwrap().unwrap();
    let idle = ArgCondition::qword(0, Comparison::MaskedEq { mask: 0, value: 0 });
    // Around 42 conditions the back end must bridge the first jump that is too long, around 85 the second.
    for count in [40, 41, 42, 43, 44, 84, 85, 86, 130, 300] {
        // One condition decides, the others hold for all arguments.
        for decisive in [0, 1, count / 2, count - 1] {
            let mut conditions = vec![idle; count];
            conditions[decisive] = ArgCondition::qword(3, Comparison::Eq(5 | (5 << 32)));
            let policy = Policy::deny_list().rule_if("kill", conditions, Action::Kill);
            let filter = filter(&policy, architecture);
            let meaning = Meaning::of(&policy, architecture);
            for argument in [5 | (5 << 32), 5, 5 << 32, 0] {
                for nr in [number, number + 1, 0] {
                    let args = [0, 0, 0, argument, 0, 0];
                    assert_eq!(
                        filter.evaluate(architecture.audit, nr.into(), args),
                        meaning.action(nr, args),
                        "{count} conditions, {decisive} decides, argument {argument:#x}"
                    );
                }
            }
        }
    }
}

/// The same policy through seccompiler's own layout.
fn oracle(
    rules: &BTreeMap<i64, Vec<SeccompRule>>,
    default: SeccompAction,
    matched: SeccompAction,
) -> Filter {
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let filter = SeccompFilter::new(rules.clone(), default, matched, arch).unwrap();
    let program = BpfProgram::try_from(filter).unwrap();
    let own = |i: seccompiler::sock_filter| Instruction {
        code: i.code,
        jt: i.jt,
        jf: i.jf,
        k: i.k,
    };
    Filter::new(program.into_iter().map(own).collect())
}

#[test]
fn seccompiler_decides_the_same() {
    let architecture = Architecture::native().unwrap();
    let eperm = Action::Errno(Errno::from_raw(1));
    for seed in 1..=20 {
        let mut random = Random(seed * 0x51_7cc1);
        let (deny, mut policy) = if seed % 2 == 0 {
            (true, Policy::deny_list())
        } else {
            (false, Policy::allow_list(eperm))
        };
        let matched = if deny { eperm } else { Action::Allow };
        let (default, theirs) = if deny {
            (SeccompAction::Allow, SeccompAction::Errno(1))
        } else {
            (SeccompAction::Errno(1), SeccompAction::Allow)
        };
        let mut rules = BTreeMap::new();
        for &(name, number) in architecture.calls {
            if random.below(3) > 0 {
                continue;
            }
            let conditions = random.conditions(2);
            policy = policy.rule_if(name, conditions.clone(), matched);
            let rule = (!conditions.is_empty())
                .then(|| SeccompRule::new(super::backend(&conditions).unwrap()).unwrap());
            rules.insert(i64::from(number), rule.into_iter().collect());
        }
        let (ours, theirs) = (
            filter(&policy, architecture),
            oracle(&rules, default, theirs),
        );
        // The x32 numbers are where we differ on purpose.
        for nr in (0..1024).filter(|nr| !(512..548).contains(nr)) {
            for _ in 0..8 {
                let args = random.args();
                assert_eq!(
                    ours.evaluate(architecture.audit, nr, args),
                    theirs.evaluate(architecture.audit, nr, args),
                    "number {nr}, arguments {args:x?}"
                );
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
fn programs_longer_than_the_kernel_takes_are_refused() {
    let mut policy = Policy::deny_list();
    for value in 0..2000 {
        policy = policy.rule_if(
            "kill",
            [ArgCondition::qword(0, Comparison::Eq(value))],
            Action::Kill,
        );
    }
    let error = policy.prepare().unwrap_err();
    assert!(
        matches!(error, Error::TooLong { instructions } if instructions > 4096),
        "{error}"
    );
}

#[test]
fn judge_is_small_and_shallow() {
    for architecture in ALL {
        let length = filter(&Policy::judge(), architecture).len();
        // The kernel checks, converts and compiles the program at every start: 85 us at 231 instructions, 96 us at 307.
        // A case that looks at arguments takes two to six of them.
        assert!(length <= 320, "{length} instructions");
    }
}
