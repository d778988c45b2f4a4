//! Policy to program.

use std::collections::BTreeMap;

use cases::Cases;
use segments::{Segment, segments};
use word::{Rest, Test, Word};

use crate::{
    Action, Error, Filter, Policy,
    emit::{Emitter, Label},
    instruction::{AND, Instruction, JUMP_EQ, JUMP_GE, JUMP_SET, LOAD, OFFSET_ARCH, OFFSET_NR},
    ranges::{encode, named, ranges},
    reporting::{self, foreign},
    shrink::shrink,
    table::Architecture,
};

mod cases;
mod segments;
mod word;

/// The kernel's `BPF_MAXINSNS`.
const MAX_INSTRUCTIONS: usize = 4096;

/// Where laying out stops: nothing is shrunk to a fourth. A policy of a stranger must not cost more memory than its text.
const HOPELESS: usize = 4 * MAX_INSTRUCTIONS;

pub(crate) fn compile(policy: &Policy) -> Result<Filter, Error> {
    let architecture = Architecture::native()?;
    let mut filter = Filter::new(program(policy, architecture)?);
    filter.reports_start = reports_start(policy, architecture)?;
    permits_setup(&filter, architecture)?;
    if filter.reports() {
        reporting::check(policy, architecture)?;
    }
    Ok(filter)
}

/// The program of a policy for an architecture.
pub(crate) fn program(
    policy: &Policy,
    architecture: &Architecture,
) -> Result<Vec<Instruction>, Error> {
    let ranges = ranges(policy, architecture)?;
    let numbers = ranges
        .iter()
        .map(|one| (one.first, Cases::new(&one.decision)));
    let numbers: Vec<_> = numbers.collect();
    let mut layout = Layout::default();
    let word = Word {
        offset: OFFSET_NR,
        mask: u32::MAX,
    };
    let laid_out = layout.ask(word, &numbers, Layout::number);
    let emitter = &mut layout.emitter;
    laid_out.ok_or(Error::TooLong {
        instructions: emitter.len(),
    })?;

    // In front of the tree, hence written after it: foreign architectures die before a number is looked at.
    emitter.push_return(encode(foreign(policy))?);
    emitter.push(Instruction {
        code: JUMP_EQ,
        jt: 1,
        jf: 0,
        k: architecture.audit,
    });
    emitter.push(Instruction::new(LOAD, OFFSET_ARCH));

    let program = shrink(&layout.emitter.finish());
    if program.len() > MAX_INSTRUCTIONS {
        return Err(Error::TooLong {
            instructions: program.len(),
        });
    }
    Ok(program)
}

#[derive(Default)]
struct Layout {
    emitter: Emitter,
    /// Calls of which the same is asked share their code.
    asked: BTreeMap<Cases, Label>,
}

/// Cases with more tests are tried one after the other: a tree of them could grow without bound.
const MANY_TESTS: usize = 64;

impl Layout {
    /// Puts the decision about one number in front. `None` where the program has become too long.
    fn number(&mut self, cases: &Cases) -> Option<Label> {
        let mark = self.emitter.len();
        if cases.tests() <= MANY_TESTS {
            if let Some(label) = self.decide(cases, mark + cases.length_in_turn()) {
                return Some(label);
            }
        }
        self.emitter.cut_to(mark);
        self.asked.retain(|_, label| self.emitter.has(*label));
        self.in_turn(cases)
    }

    /// Puts in front what decides by one word after the other. `None` where that takes the program beyond `limit`.
    fn decide(&mut self, cases: &Cases, limit: usize) -> Option<Label> {
        let Some(word) = cases.next_word() else {
            return Some(self.emitter.near_return(cases.otherwise));
        };
        if let Some(&label) = self.asked.get(cases) {
            return Some(label);
        }
        if self.emitter.len() > limit {
            return None;
        }
        let parts = cases.by(word);
        let label = self.ask(word, &parts, |layout, left| layout.decide(left, limit))?;
        self.asked.insert(cases.clone(), label);
        Some(label)
    }

    /// Puts in front what tries one case after the other, and in each one test after the other.
    fn in_turn(&mut self, cases: &Cases) -> Option<Label> {
        let mut front = self.emitter.near_return(cases.otherwise);
        for case in cases.list.iter().rev() {
            let fails = front;
            front = self.emitter.near_return(case.value);
            for test in case.tests.iter().rev() {
                front = self.test(test, front, fails)?;
            }
            if self.emitter.len() > HOPELESS {
                return None;
            }
        }
        Some(front)
    }

    /// Puts one test in front: goes on at `yes` where it holds, else at `no`.
    fn test(&mut self, test: &Test, yes: Label, no: Label) -> Option<Label> {
        self.ask(test.word, &test.parts, |layout, rest| match rest {
            Rest::Holds => Some(yes),
            Rest::Fails => Some(no),
            Rest::Ask(test) => layout.test(test, yes, no),
        })
    }

    /// Puts in front what loads a word and goes on as its value says.
    fn ask<T: PartialEq>(
        &mut self,
        word: Word,
        parts: &[(u32, T)],
        mut go_on: impl FnMut(&mut Self, &T) -> Option<Label>,
    ) -> Option<Label> {
        match parts {
            [(_, only)] => return go_on(self, only),
            // Whether any of some bits is set.
            [(_, none), (first, some)]
                if word.mask.is_power_of_two() || (*first == 1 && word.mask != u32::MAX) =>
            {
                let no = go_on(self, none)?;
                let yes = go_on(self, some)?;
                self.emitter.push_jump(JUMP_SET, word.mask, yes, no);
            }
            _ => {
                self.tree(&segments(parts), &mut go_on)?;
                if word.mask != u32::MAX {
                    self.emitter.push(Instruction::new(AND, word.mask));
                }
            }
        }
        Some(self.emitter.push(Instruction::new(LOAD, word.offset)))
    }

    /// Puts a balanced tree of comparisons over the segments in front.
    fn tree<T>(
        &mut self,
        segments: &[Segment<'_, T>],
        go_on: &mut impl FnMut(&mut Self, &T) -> Option<Label>,
    ) -> Option<Label> {
        if let [segment] = segments {
            let mut front = go_on(self, segment.usual)?;
            for (value, decision) in segment.exceptions.iter().rev() {
                let equal = go_on(self, decision)?;
                front = self.emitter.push_jump(JUMP_EQ, *value, equal, front);
            }
            return Some(front);
        }
        let (low, high) = segments.split_at(middle(segments));
        let bound = high.first()?.first;
        let at_least = self.tree(high, go_on)?;
        let below = self.tree(low, go_on)?;
        Some(self.emitter.push_jump(JUMP_GE, bound, at_least, below))
    }
}

/// Where to cut two segments at least into parts that weigh the same.
fn middle<T>(segments: &[Segment<'_, T>]) -> usize {
    let all: u32 = segments.iter().map(|one| one.weight).sum();
    let mut below = 0;
    let nearest = segments.iter().take(segments.len() - 1).map(|one| {
        below += one.weight;
        all.abs_diff(2 * below)
    });
    let nearest = nearest
        .enumerate()
        .min_by_key(|&(_, difference)| difference);
    nearest.map_or(0, |(place, _)| place) + 1
}

/// Calls that the start makes after the filter: the program itself, and the report where that fails.
///
/// Pointers and descriptors are not known yet. So each call is tried with two of them that have no bit in common: a policy
/// that asks for particular ones is refused.
const SETUP: [(&str, [u64; 6]); 5] = [
    (
        "execve",
        [
            0x7f12_3456_7890,
            0x7f12_3456_7890,
            0x7f12_3456_7890,
            0,
            0,
            0,
        ],
    ),
    (
        "execve",
        [
            0x00ed_cba9_8760,
            0x00ed_cba9_8760,
            0x00ed_cba9_8760,
            0,
            0,
            0,
        ],
    ),
    (
        "sendto",
        [100, 0x7f12_3456_7890, RECORD, MSG_NOSIGNAL, 0, 0],
    ),
    ("sendto", [3, 0x00ed_cba9_8760, RECORD, MSG_NOSIGNAL, 0, 0]),
    ("exit_group", [1, 0, 0, 0, 0, 0]),
];
const RECORD: u64 = 16;
const MSG_NOSIGNAL: u64 = 0x4000;

/// The message with the listener, of policies that report.
const LISTENER: [(&str, [u64; 6]); 2] = [
    ("sendmsg", [100, 0x7f12_3456_7890, MSG_NOSIGNAL, 0, 0, 0]),
    ("sendmsg", [3, 0x00ed_cba9_8760, MSG_NOSIGNAL, 0, 0, 0]),
];

fn permits_setup(filter: &Filter, architecture: &Architecture) -> Result<(), Error> {
    let listener = LISTENER.iter().filter(|_| filter.reports());
    for &(syscall, args) in SETUP.iter().chain(listener) {
        let action = match architecture.number(syscall)? {
            Some(number) => filter.evaluate(architecture.audit, number.into(), args),
            None => Action::Kill,
        };
        if !(action.permits() || syscall == START && filter.reports_start) {
            return Err(Error::BlocksSetup { syscall });
        }
    }
    Ok(())
}

/// Whether the supervisor is asked about every start, whatever its pointers: it lets the next one through, and where a start
/// had not asked, that would be the program's.
fn reports_start(policy: &Policy, architecture: &Architecture) -> Result<bool, Error> {
    let default = encode(policy.default_action())?;
    let number = architecture.number(START)?;
    let chains = named(policy, architecture, default)?;
    let reports = |value: u32| Action::decode(value).reports();
    Ok(match number.and_then(|number| chains.get(&number)) {
        Some(chain) => {
            let mut cases = chain.cases.iter().map(|&(_, value)| value);
            reports(chain.otherwise) && cases.all(reports)
        }
        None => reports(default),
    })
}

/// The call by which the start becomes the program.
const START: &str = "execve";

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
