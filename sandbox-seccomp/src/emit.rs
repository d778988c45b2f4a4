//! Lays out a BPF program from its end to its beginning.
//!
//! Jumps only go forward and a conditional one reaches 255 instructions. Writing backwards, each target is placed before
//! the jump to it, so that the distance is known and a target out of reach can be repeated nearer.

use std::collections::BTreeMap;

use crate::instruction::{Instruction, JUMP, RETURN};

/// An instruction by its distance from the end of the program; later instructions have smaller labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Label(usize);

/// A program that grows at its front.
#[derive(Debug, Default)]
pub(crate) struct Emitter {
    reversed: Vec<Instruction>,
    /// The nearest `RETURN` of each value.
    returns: BTreeMap<u32, Label>,
}

/// A conditional jump reaches 255; one less, since the other arm of the same jump may need an instruction in between.
const REACH: usize = 254;

impl Emitter {
    /// Puts an instruction in front.
    pub(crate) fn push(&mut self, instruction: Instruction) -> Label {
        self.reversed.push(instruction);
        Label(self.reversed.len() - 1)
    }

    /// Puts a `RETURN` in front.
    pub(crate) fn push_return(&mut self, value: u32) -> Label {
        let label = self.push(Instruction::new(RETURN, value));
        self.returns.insert(value, label);
        label
    }

    /// A `RETURN` of this value that a jump can reach.
    pub(crate) fn near_return(&mut self, value: u32) -> Label {
        match self.returns.get(&value) {
            Some(&label) if self.distance(label) <= REACH => label,
            // As long as a jump to the old one, and one step shorter at run time.
            _ => self.push_return(value),
        }
    }

    /// Takes off again what was put in front since there were `len` instructions.
    pub(crate) fn cut_to(&mut self, len: usize) {
        self.reversed.truncate(len);
        // A value that had an earlier return gets a new one when it is asked for.
        self.returns.retain(|_, label| label.0 < len);
    }

    /// Whether the instruction is still there.
    pub(crate) fn has(&self, label: Label) -> bool {
        label.0 < self.reversed.len()
    }

    /// Puts a conditional jump in front: to `yes` where the comparison of the accumulator with `k` holds, else to `no`.
    pub(crate) fn push_jump(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        let yes = self.near(yes);
        let no = self.near(no);
        let jt = self.short(yes);
        let jf = self.short(no);
        self.push(Instruction { code, jt, jf, k })
    }

    /// The number of instructions so far.
    pub(crate) fn len(&self) -> usize {
        self.reversed.len()
    }

    /// The program in the order of execution.
    pub(crate) fn finish(self) -> Vec<Instruction> {
        let mut program = self.reversed;
        program.reverse();
        program
    }

    /// How many instructions a jump put in front now would skip to get there.
    fn distance(&self, label: Label) -> usize {
        self.reversed.len() - 1 - label.0
    }

    /// The label, or a jump to it where it is out of reach.
    fn near(&mut self, label: Label) -> Label {
        let distance = self.distance(label);
        if distance <= REACH {
            return label;
        }
        // A program of more than u32::MAX instructions fails the length check long before it would run.
        self.push(Instruction::new(
            JUMP,
            u32::try_from(distance).unwrap_or(u32::MAX),
        ))
    }

    /// [`Self::distance`] of a label that [`Self::near`] made sure of.
    fn short(&self, label: Label) -> u8 {
        u8::try_from(self.distance(label)).unwrap_or(u8::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::Emitter;
    use crate::{
        evaluate::{Call, run},
        instruction::{Instruction, JUMP_GE, LOAD, RETURN},
    };

    #[test]
    fn targets_out_of_reach_are_reached() {
        for padding in 0..600 {
            // The arm that is farther away may need an instruction in between, which moves the other one.
            for swapped in [false, true] {
                let mut emitter = Emitter::default();
                let mut arms = [emitter.push_return(1), emitter.push_return(2)];
                for _ in 0..padding {
                    // A jump that is one too short ends here.
                    emitter.push(Instruction::new(RETURN, 3));
                }
                if swapped {
                    arms.reverse();
                }
                let [high, low] = arms;
                emitter.push_jump(JUMP_GE, 5, high, low);
                emitter.push(Instruction::new(LOAD, 0));
                let program = emitter.finish();
                let args = [0; 6];
                let result = |nr| run(&program, &Call { arch: 0, nr, args });
                let wanted = if swapped { (1, 2) } else { (2, 1) };
                assert_eq!((result(4), result(5)), wanted, "padding {padding}");
            }
        }
    }

    #[test]
    fn returns_are_shared_while_they_are_near() {
        let mut emitter = Emitter::default();
        let first = emitter.near_return(7);
        assert_eq!(emitter.near_return(7), first);
        for _ in 0..300 {
            emitter.push(Instruction::new(LOAD, 0));
        }
        assert_ne!(emitter.near_return(7), first);
    }
}
