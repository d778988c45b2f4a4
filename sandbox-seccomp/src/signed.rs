//! Signed comparisons, which the back end for conditions does not have.
//!
//! Flipping the sign bits of both sides turns a signed comparison into an unsigned one, which is the only kind of BPF.

use crate::{
    ArgCondition, Comparison, Width,
    emit::{Emitter, Label},
    instruction::{Instruction, JUMP_EQ, JUMP_GE, JUMP_GT, LOAD, OFFSET_ARGS, XOR},
};

const SIGN: u32 = 1 << 31;

/// Puts a signed condition in front: goes on at `yes` where it holds, else at `no`. `None` where it is not signed.
pub(crate) fn push(
    emitter: &mut Emitter,
    condition: &ArgCondition,
    yes: Label,
    no: Label,
) -> Option<Label> {
    // `<` and `<=` are `>=` and `>` with the ways changed over.
    let (jump, value, yes, no) = match condition.comparison {
        Comparison::SignedGe(value) => (JUMP_GE, value, yes, no),
        Comparison::SignedGt(value) => (JUMP_GT, value, yes, no),
        Comparison::SignedLt(value) => (JUMP_GE, value, no, yes),
        Comparison::SignedLe(value) => (JUMP_GT, value, no, yes),
        _ => return None,
    };
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    let (low, high) = (
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    );
    let at = OFFSET_ARGS + 8 * u32::from(condition.argument);
    match condition.width {
        Width::Dword => {
            emitter.push_jump(jump, low ^ SIGN, yes, no);
            emitter.push(Instruction::new(XOR, SIGN));
            Some(emitter.push(Instruction::new(LOAD, at)))
        }
        Width::Qword => {
            emitter.push_jump(jump, low, yes, no);
            let lower = emitter.push(Instruction::new(LOAD, at));
            let equal = emitter.push_jump(JUMP_EQ, high ^ SIGN, lower, no);
            emitter.push_jump(JUMP_GT, high ^ SIGN, yes, equal);
            emitter.push(Instruction::new(XOR, SIGN));
            Some(emitter.push(Instruction::new(LOAD, at + 4)))
        }
    }
}
