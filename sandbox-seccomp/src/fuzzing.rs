//! Entries for the fuzz targets, which are compiled with `cfg(fuzzing)` only.

use crate::{
    evaluate::{self, Call},
    instruction::Instruction,
    shrink::shrink,
};

/// What a program of `code, jt, jf, k` returns for a call.
#[must_use]
pub fn run(program: &[(u16, u8, u8, u32)], arch: u32, nr: u32, args: [u64; 6]) -> u32 {
    evaluate::run(&instructions(program), &Call { arch, nr, args })
}

/// The same of the shortened program.
#[must_use]
pub fn run_shrunk(program: &[(u16, u8, u8, u32)], arch: u32, nr: u32, args: [u64; 6]) -> u32 {
    let program = shrink(&instructions(program));
    evaluate::run(&program, &Call { arch, nr, args })
}

/// Codes of which few are ours would mostly end at the first instruction.
fn instructions(program: &[(u16, u8, u8, u32)]) -> Vec<Instruction> {
    const CODES: [u16; 8] = [0x20, 0x54, 0xa4, 0x05, 0x15, 0x25, 0x35, 0x06];
    let instruction = |&(code, jt, jf, k): &(u16, u8, u8, u32)| {
        let known = CODES.get(usize::from(code & 0xff));
        Instruction {
            code: known.copied().unwrap_or(code),
            jt,
            jf,
            k,
        }
    };
    program.iter().map(instruction).collect()
}
