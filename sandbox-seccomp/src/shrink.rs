//! Leaves out of a program what it can do without.
//!
//! Where ways through the program meet, each has loaded the word that it looked at, and often that is the same one. Returns
//! are repeated where a jump could not reach them before. The kernel checks and translates every instruction at each start.

use std::collections::BTreeMap;

use crate::instruction::{Instruction, JUMP, JUMP_EQ, JUMP_GE, JUMP_GT, JUMP_SET, LOAD, RETURN};

/// A program that returns the same for every call.
///
/// Jumps only go forward and become shorter, so all of them still reach.
pub(crate) fn shrink(program: &[Instruction]) -> Vec<Instruction> {
    let Some(mut steps) = steps(program) else {
        // A jump beyond the end; the kernel will say so.
        return program.to_vec();
    };
    drop_loads(&mut steps);
    share_returns(&mut steps);
    drop_unreached(&mut steps);
    lay_out(&steps).unwrap_or_else(|| program.to_vec())
}

/// An instruction with the places it goes on at.
#[derive(Debug)]
struct Step {
    instruction: Instruction,
    /// Where it goes on: none after a return, two after a conditional jump (`jt`, `jf`).
    next: Vec<usize>,
    kept: bool,
}

fn steps(program: &[Instruction]) -> Option<Vec<Step>> {
    let step = |(place, instruction): (usize, &Instruction)| {
        let after = |skipped: usize| {
            let target = place.checked_add(1)?.checked_add(skipped)?;
            (target < program.len()).then_some(target)
        };
        let next = match instruction.code {
            RETURN => vec![],
            JUMP => vec![after(usize::try_from(instruction.k).ok()?)?],
            JUMP_EQ | JUMP_GT | JUMP_GE | JUMP_SET => {
                vec![after(instruction.jt.into())?, after(instruction.jf.into())?]
            }
            _ => vec![after(0)?],
        };
        Some(Step {
            instruction: *instruction,
            next,
            kept: true,
        })
    };
    program.iter().enumerate().map(step).collect()
}

/// What is known of the accumulator in front of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accumulator {
    /// No way leads here.
    Unreached,
    /// The word at this offset, whichever way led here.
    Word(u32),
    Anything,
}

impl Accumulator {
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unreached, known) | (known, Self::Unreached) => known,
            _ if self == other => self,
            _ => Self::Anything,
        }
    }
}

/// Drops the loads of a word that is in the accumulator already, whichever way led there.
fn drop_loads(steps: &mut [Step]) {
    let mut before = vec![Accumulator::Unreached; steps.len()];
    if let Some(first) = before.first_mut() {
        *first = Accumulator::Anything;
    }
    for place in 0..steps.len() {
        let (step, here) = (&mut steps[place], before[place]);
        let after = match step.instruction.code {
            LOAD => {
                let word = Accumulator::Word(step.instruction.k);
                step.kept = here != word;
                word
            }
            JUMP | JUMP_EQ | JUMP_GT | JUMP_GE | JUMP_SET => here,
            _ => Accumulator::Anything,
        };
        if here == Accumulator::Unreached {
            continue;
        }
        for &next in &step.next {
            before[next] = before[next].or(after);
        }
    }
}

/// Leads conditional jumps to the last return of the same value that they reach.
fn share_returns(steps: &mut [Step]) {
    // From the end, so that a return is known before the jumps to it.
    let mut returns: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for place in (0..steps.len()).rev() {
        let Instruction { code, k, .. } = steps[place].instruction;
        match code {
            RETURN => returns.entry(k).or_default().push(place),
            JUMP_EQ | JUMP_GT | JUMP_GE | JUMP_SET => {
                for arm in 0..steps[place].next.len() {
                    let target = &steps[steps[place].next[arm]].instruction;
                    if target.code != RETURN {
                        continue;
                    }
                    let same = returns.get(&target.k).into_iter().flatten();
                    let reach = place + 1 + usize::from(u8::MAX);
                    if let Some(&last) = same.clone().find(|&&other| other <= reach) {
                        steps[place].next[arm] = last;
                    }
                }
            }
            _ => {}
        }
    }
}

fn drop_unreached(steps: &mut [Step]) {
    let mut reached = vec![false; steps.len()];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for (place, step) in steps.iter_mut().enumerate() {
        step.kept &= reached[place];
        if reached[place] {
            for &next in &step.next {
                reached[next] = true;
            }
        }
    }
}

/// The kept steps as a program. `None` where one goes on at what does not follow it, which the passes never make.
fn lay_out(steps: &[Step]) -> Option<Vec<Instruction>> {
    // How many kept steps lie in front of each place; a dropped load's place is that of what follows it.
    let mut kept = 0;
    let places: Vec<usize> = steps
        .iter()
        .map(|step| {
            let place = kept;
            kept += usize::from(step.kept);
            place
        })
        .collect();
    let mut program = Vec::with_capacity(kept);
    for (step, place) in steps.iter().zip(&places).filter(|(step, _)| step.kept) {
        let skipped = |next: &usize| places.get(*next)?.checked_sub(place + 1);
        let mut instruction = step.instruction;
        match (instruction.code, step.next.as_slice()) {
            (RETURN, _) => {}
            (JUMP, [next]) => instruction.k = u32::try_from(skipped(next)?).ok()?,
            (JUMP_EQ | JUMP_GT | JUMP_GE | JUMP_SET, [yes, no]) => {
                instruction.jt = u8::try_from(skipped(yes)?).ok()?;
                instruction.jf = u8::try_from(skipped(no)?).ok()?;
            }
            (_, [next]) if skipped(next)? == 0 => {}
            _ => return None,
        }
        program.push(instruction);
    }
    Some(program)
}

#[cfg(test)]
mod tests {
    use super::shrink;
    use crate::{
        evaluate::{Call, run},
        instruction::{AND, Instruction, JUMP, JUMP_EQ, LOAD, RETURN},
    };

    fn equal(k: u32, jt: u8, jf: u8) -> Instruction {
        Instruction {
            code: JUMP_EQ,
            jt,
            jf,
            k,
        }
    }

    #[test]
    fn a_second_load_and_a_second_return_go() {
        let program = [
            Instruction::new(LOAD, 16),
            equal(1, 0, 1),
            Instruction::new(RETURN, 7),
            Instruction::new(LOAD, 16),
            equal(2, 0, 1),
            Instruction::new(RETURN, 7),
            Instruction::new(RETURN, 8),
        ];
        let short = [
            Instruction::new(LOAD, 16),
            equal(1, 1, 0),
            equal(2, 0, 1),
            Instruction::new(RETURN, 7),
            Instruction::new(RETURN, 8),
        ];
        assert_eq!(shrink(&program), short);
    }

    #[test]
    fn loads_stay_where_the_accumulator_is_another() {
        let masked = [
            Instruction::new(LOAD, 16),
            Instruction::new(AND, 4),
            Instruction::new(LOAD, 16),
            equal(1, 0, 1),
            Instruction::new(RETURN, 7),
            Instruction::new(RETURN, 8),
        ];
        assert_eq!(shrink(&masked), masked);
        let two_ways = [
            Instruction::new(LOAD, 0),
            equal(1, 0, 1),
            Instruction::new(LOAD, 16),
            Instruction::new(LOAD, 0),
            equal(2, 0, 1),
            Instruction::new(RETURN, 7),
            Instruction::new(RETURN, 8),
        ];
        assert_eq!(shrink(&two_ways), two_ways);
    }

    #[test]
    fn returns_out_of_reach_stay() {
        for padding in 200..300 {
            let mut program = vec![
                Instruction::new(LOAD, 0),
                equal(1, 0, 1),
                Instruction::new(RETURN, 7),
            ];
            program.extend(vec![Instruction::new(AND, u32::MAX); padding]);
            program.extend([
                equal(2, 1, 0),
                Instruction::new(JUMP, 1),
                Instruction::new(RETURN, 7),
                Instruction::new(RETURN, 8),
            ]);
            let short = shrink(&program);
            for nr in 0..4 {
                let call = Call {
                    arch: 0,
                    nr,
                    args: [0; 6],
                };
                assert_eq!(
                    run(&short, &call),
                    run(&program, &call),
                    "padding {padding}"
                );
            }
        }
    }

    #[test]
    fn a_program_that_runs_out_is_left_to_the_kernel() {
        let beyond = [Instruction::new(JUMP, 5)];
        assert_eq!(shrink(&beyond), beyond);
        assert_eq!(shrink(&[]), []);
    }
}
