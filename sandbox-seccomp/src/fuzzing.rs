//! Entries for the fuzz targets, which are compiled with `cfg(fuzzing)` only.

use crate::{
    Action, Error, Filter, Policy, compile,
    evaluate::{self, Call},
    instruction::Instruction,
    shrink::shrink,
    table::{ALL, Architecture},
};

/// What a policy becomes and what its rules say, on one architecture.
#[derive(Debug)]
pub struct Decisions<'a> {
    policy: &'a Policy,
    architecture: &'static Architecture,
    filter: Filter,
}

impl<'a> Decisions<'a> {
    /// On each architecture, also where nothing could be started under the policy.
    ///
    /// # Errors
    /// What is wrong with a rule, or the length of a program.
    pub fn everywhere(policy: &'a Policy) -> Result<Vec<Self>, Error> {
        ALL.iter()
            .map(|architecture| Self::on(policy, architecture))
            .collect()
    }

    /// On this program's architecture.
    ///
    /// # Errors
    /// As above.
    pub fn native(policy: &'a Policy) -> Result<Self, Error> {
        Self::on(policy, Architecture::native()?)
    }

    fn on(policy: &'a Policy, architecture: &'static Architecture) -> Result<Self, Error> {
        let filter = Filter::new(compile::program(policy, architecture)?);
        Ok(Self {
            policy,
            architecture,
            filter,
        })
    }

    /// What the compiled program does.
    #[must_use]
    pub fn does(&self, nr: u32, args: [u64; 6]) -> Action {
        self.filter
            .evaluate(self.architecture.audit, nr.into(), args)
    }

    /// What it does with calls of other architectures.
    #[must_use]
    pub fn does_abroad(&self, nr: u32, args: [u64; 6]) -> Action {
        self.filter
            .evaluate(self.architecture.audit ^ 0x8000_0000, nr.into(), args)
    }

    /// What the rules say.
    #[must_use]
    pub fn means(&self, nr: u32, args: [u64; 6]) -> Action {
        self.policy.explain_on(self.architecture, nr, args).action
    }
}

/// Numbers of calls and of none, with arguments out of a text, where the values of its own conditions are likely.
pub fn calls(text: &str) -> impl Iterator<Item = (u32, [u64; 6])> + use<> {
    let digits = text.split(|c: char| !c.is_ascii_digit());
    let words = digits.filter_map(|digits| digits.parse().ok()).take(60);
    let words: Vec<u64> = words.chain([0]).collect();
    let bounds = [0x3fff_ffff, 0x4000_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX];
    (0..550_u32)
        .chain(bounds)
        .zip(0_usize..)
        .map(move |(nr, place)| {
            let word = |at| words.get((at + place) % words.len()).copied();
            (nr, core::array::from_fn(|at| word(at).unwrap_or(0)))
        })
}

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
