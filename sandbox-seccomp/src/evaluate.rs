//! Runs a filter in user space.

use crate::instruction::{
    AND, Instruction, JUMP, JUMP_EQ, JUMP_GE, JUMP_GT, JUMP_SET, LOAD, OFFSET_ARCH, OFFSET_ARGS,
    OFFSET_NR, RETURN,
};

/// What the kernel hands a filter about one call; the instruction pointer reads as 0, since no program of ours loads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) arch: u32,
    pub(crate) nr: u32,
    pub(crate) args: [u64; 6],
}

impl Call {
    /// The word at a byte offset of `struct seccomp_data`, little-endian as all architectures of this crate are.
    fn word(&self, offset: u32) -> Option<u32> {
        match offset {
            OFFSET_NR => Some(self.nr),
            OFFSET_ARCH => Some(self.arch),
            8 | 12 => Some(0),
            _ => {
                let index = usize::try_from(offset.checked_sub(OFFSET_ARGS)?).ok()?;
                let bytes = self.args.get(index / 8)?.to_le_bytes();
                let half = bytes.get(index % 8..)?.first_chunk::<4>()?;
                (offset % 4 == 0).then_some(u32::from_le_bytes(*half))
            }
        }
    }
}

/// The program's return value. A program that the kernel would refuse returns `SECCOMP_RET_KILL_PROCESS`.
///
/// Ends on every input: jumps only go forward.
pub(crate) fn run(program: &[Instruction], call: &Call) -> u32 {
    returned(program, call).unwrap_or(libc::SECCOMP_RET_KILL_PROCESS)
}

fn returned(program: &[Instruction], call: &Call) -> Option<u32> {
    let mut accumulator = 0;
    let mut next = 0_usize;
    loop {
        let Instruction { code, jt, jf, k } = *program.get(next)?;
        let branch = |taken: bool| usize::from(if taken { jt } else { jf });
        let skip = match code {
            LOAD => {
                accumulator = call.word(k)?;
                0
            }
            AND => {
                accumulator &= k;
                0
            }
            JUMP => usize::try_from(k).ok()?,
            JUMP_EQ => branch(accumulator == k),
            JUMP_GT => branch(accumulator > k),
            JUMP_GE => branch(accumulator >= k),
            JUMP_SET => branch(accumulator & k != 0),
            RETURN => return Some(k),
            _ => return None,
        };
        next = next.checked_add(skip)?.checked_add(1)?;
    }
}

#[cfg(test)]
mod tests {
    use super::{Call, run};
    use crate::instruction::{Instruction, JUMP, LOAD, RETURN};

    const CALL: Call = Call {
        arch: 7,
        nr: 3,
        args: [0x1111_2222_3333_4444, 1, 2, 3, 4, 0x5555_6666_7777_8888],
    };

    #[test]
    fn words_are_read_where_the_kernel_puts_them() {
        let word = |offset| CALL.word(offset);
        assert_eq!((word(0), word(4), word(8)), (Some(3), Some(7), Some(0)));
        assert_eq!(word(16), Some(0x3333_4444));
        assert_eq!(word(20), Some(0x1111_2222));
        assert_eq!(word(60), Some(0x5555_6666));
        assert_eq!((word(64), word(1), word(18)), (None, None, None));
    }

    #[test]
    fn what_the_kernel_would_refuse_kills() {
        let kill = libc::SECCOMP_RET_KILL_PROCESS;
        assert_eq!(run(&[], &CALL), kill);
        assert_eq!(run(&[Instruction::new(JUMP, u32::MAX)], &CALL), kill);
        assert_eq!(run(&[Instruction::new(LOAD, 64)], &CALL), kill);
        assert_eq!(run(&[Instruction::new(0xffff, 0)], &CALL), kill);
        assert_eq!(run(&[Instruction::new(RETURN, 5)], &CALL), 5);
    }
}
