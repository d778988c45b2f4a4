//! Policy to program.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

use crate::{
    Action, ArgCondition, Comparison, Error, Filter, Policy, Width,
    emit::{Emitter, Label},
    instruction::{Instruction, JUMP_EQ, JUMP_GE, LOAD, OFFSET_ARCH, OFFSET_NR},
    ranges::{Chain, Decision, Range, encode, ranges},
    reporting::{self, foreign},
    shrink::shrink,
    signed,
    table::Architecture,
};

/// The kernel's `BPF_MAXINSNS`.
const MAX_INSTRUCTIONS: usize = 4096;

/// Where laying out stops: nothing is shrunk to a fourth. A policy of a stranger must not cost more memory than its text.
const HOPELESS: usize = 4 * MAX_INSTRUCTIONS;

pub(crate) fn compile(policy: &Policy) -> Result<Filter, Error> {
    let architecture = Architecture::native()?;
    let filter = Filter::new(program(policy, architecture)?);
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
    let mut layout = Layout::default();
    layout.tree(&ranges)?;

    // In front of the tree, hence written after it: foreign architectures die before a number is looked at.
    let emitter = &mut layout.emitter;
    emitter.push(Instruction::new(LOAD, OFFSET_NR));
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
struct Layout<'a> {
    emitter: Emitter,
    /// Calls with the same conditions share their code.
    chains: BTreeMap<&'a Chain<'a>, Label>,
}

impl<'a> Layout<'a> {
    /// Puts a balanced tree of comparisons over the ranges in front.
    fn tree(&mut self, ranges: &'a [Range<'a>]) -> Result<Label, Error> {
        match ranges {
            [] => Ok(self.emitter.near_return(libc::SECCOMP_RET_KILL_PROCESS)),
            [range] => self.leaf(&range.decision),
            _ => {
                let (low, high) = ranges.split_at(ranges.len() / 2);
                let at_least = self.tree(high)?;
                let below = self.tree(low)?;
                let bound = high.first().map_or(0, |range| range.first);
                Ok(self.emitter.push_jump(JUMP_GE, bound, at_least, below))
            }
        }
    }

    fn leaf(&mut self, decision: &'a Decision<'a>) -> Result<Label, Error> {
        match decision {
            Decision::Constant(value) => Ok(self.emitter.near_return(*value)),
            Decision::Conditional(chain) => match self.chains.get(chain) {
                Some(&label) => Ok(label),
                None => self.chain(chain),
            },
        }
    }

    /// Puts the code of a chain in front. The last case is tried first, so it is written last.
    fn chain(&mut self, chain: &'a Chain<'a>) -> Result<Label, Error> {
        let mut front = self.emitter.push_return(chain.otherwise);
        for &(conditions, value) in &chain.cases {
            let (signed, unsigned): (Vec<_>, Vec<_>) = conditions
                .iter()
                .partition(|condition| condition.comparison.is_signed());
            let block = matcher(&unsigned).map_err(|error| Error::Compile {
                reason: error.to_string(),
            })?;
            let fails = front;
            // The block's jumps lead to its next instruction, or over that one to what was in front.
            front = self.emitter.push_return(value);
            self.emitter.push_block(&block);
            if !block.is_empty() {
                front = self.emitter.front();
            }
            for condition in signed {
                front = signed::push(&mut self.emitter, condition, front, fails).unwrap_or(front);
            }
            if self.emitter.len() > HOPELESS {
                return Err(Error::TooLong {
                    instructions: self.emitter.len(),
                });
            }
        }
        self.chains.insert(chain, front);
        Ok(front)
    }
}

/// Code that goes on with the next instruction where all conditions hold, else with the one after it.
fn matcher(conditions: &[&ArgCondition]) -> Result<Vec<Instruction>, seccompiler::BackendError> {
    if conditions.is_empty() {
        return Ok(Vec::new());
    }
    let rule = SeccompRule::new(backend(conditions)?)?;
    // The back end begins with two jumps that only its own chain of rules uses: into the rule, and past it.
    Ok(BpfProgram::from(rule)
        .into_iter()
        .skip(2)
        .map(|instruction| Instruction {
            code: instruction.code,
            jt: instruction.jt,
            jf: instruction.jf,
            k: instruction.k,
        })
        .collect())
}

/// Unsigned conditions as the back end has them.
fn backend(
    conditions: &[&ArgCondition],
) -> Result<Vec<SeccompCondition>, seccompiler::BackendError> {
    let convert = |condition: &&ArgCondition| {
        let width = match condition.width {
            Width::Dword => SeccompCmpArgLen::Dword,
            Width::Qword => SeccompCmpArgLen::Qword,
        };
        let (operator, value) = match condition.comparison {
            Comparison::Eq(v) => (SeccompCmpOp::Eq, v),
            Comparison::Ne(v) => (SeccompCmpOp::Ne, v),
            Comparison::Lt(v) => (SeccompCmpOp::Lt, v),
            Comparison::Le(v) => (SeccompCmpOp::Le, v),
            Comparison::Gt(v) => (SeccompCmpOp::Gt, v),
            Comparison::Ge(v) => (SeccompCmpOp::Ge, v),
            Comparison::MaskedEq { mask, value } => (SeccompCmpOp::MaskedEq(mask), value),
            Comparison::SignedLt(_)
            | Comparison::SignedLe(_)
            | Comparison::SignedGt(_)
            | Comparison::SignedGe(_) => {
                return Err(seccompiler::BackendError::EmptyRule);
            }
        };
        SeccompCondition::new(condition.argument, width, operator, value)
    };
    conditions.iter().map(convert).collect()
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
        if !action.permits() {
            return Err(Error::BlocksSetup { syscall });
        }
    }
    Ok(())
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
