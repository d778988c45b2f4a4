//! Conditions as questions about words of 32 bits, the only thing that BPF looks at.

use std::collections::BTreeSet;

use crate::{ArgCondition, Comparison, Width, instruction::OFFSET_ARGS};

const SIGN: u32 = 1 << 31;

/// A word of `struct seccomp_data`, and which of its bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word {
    pub(super) offset: u32,
    pub(super) mask: u32,
}

/// What becomes of a condition once a word is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rest {
    Fails,
    Holds,
    /// Another word decides.
    Ask(Box<Test>),
}

impl Rest {
    fn not(self) -> Self {
        match self {
            Self::Fails => Self::Holds,
            Self::Holds => Self::Fails,
            Self::Ask(test) => Self::Ask(Box::new(Test {
                word: test.word,
                parts: test
                    .parts
                    .into_iter()
                    .map(|(first, rest)| (first, rest.not()))
                    .collect(),
            })),
        }
    }
}

/// A condition, by what it says for each value of a word.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Test {
    pub(super) word: Word,
    /// What is so from each of these values up to the next one. The first is 0.
    pub(super) parts: Vec<(u32, Rest)>,
}

impl Test {
    /// What remains once the word has a value.
    pub(super) fn at(&self, value: u32) -> &Rest {
        let after = self.parts.partition_point(|&(first, _)| first <= value);
        let part = after.checked_sub(1).and_then(|place| self.parts.get(place));
        part.map_or(&Rest::Fails, |(_, rest)| rest)
    }
}

/// What has to be asked to know whether a condition holds.
pub(super) fn test(condition: &ArgCondition) -> Rest {
    let offset = OFFSET_ARGS + 8 * u32::from(condition.argument);
    let halves = Halves {
        low: offset,
        high: (condition.width == Width::Qword).then_some(offset + 4),
    };
    match condition.comparison {
        Comparison::Eq(value) => halves.masked(u64::MAX, value),
        Comparison::Ne(value) => halves.masked(u64::MAX, value).not(),
        Comparison::MaskedEq { mask, value } => halves.masked(mask, value),
        Comparison::Ge(value) => halves.at_least(value),
        Comparison::Lt(value) => halves.at_least(value).not(),
        Comparison::Gt(value) => halves.at_most(value).not(),
        Comparison::Le(value) => halves.at_most(value),
        Comparison::SignedGe(value) => halves.signed(Halves::at_least, value),
        Comparison::SignedLt(value) => halves.signed(Halves::at_least, value).not(),
        Comparison::SignedGt(value) => halves.signed(Halves::at_most, value).not(),
        Comparison::SignedLe(value) => halves.signed(Halves::at_most, value),
    }
}

/// Where the words of an argument are; the high one only where it counts.
#[derive(Clone, Copy)]
struct Halves {
    low: u32,
    high: Option<u32>,
}

impl Halves {
    fn masked(self, mask: u64, value: u64) -> Rest {
        let ([low_mask, high_mask], [low, high]) = (split(mask), split(value));
        let rest = equal(self.low, low_mask, low, &Rest::Holds);
        match self.high {
            Some(offset) => equal(offset, high_mask, high, &rest),
            None => rest,
        }
    }

    fn at_least(self, value: u64) -> Rest {
        let [low, high] = split(value);
        let rest = ask(
            whole(self.low),
            [(0, Rest::Fails), (low.into(), Rest::Holds)],
        );
        self.above(high, Rest::Fails, rest, Rest::Holds)
    }

    fn at_most(self, value: u64) -> Rest {
        let [low, high] = split(value);
        let beyond = u64::from(low) + 1;
        let rest = ask(whole(self.low), [(0, Rest::Holds), (beyond, Rest::Fails)]);
        self.above(high, Rest::Holds, rest, Rest::Fails)
    }

    /// What is so where the high word is below, at and above a value. Without a high word it is at it.
    fn above(self, high: u32, below: Rest, at: Rest, above: Rest) -> Rest {
        let Some(offset) = self.high else { return at };
        let first = u64::from(high);
        let parts = [(0, below), (first, at), (first + 1, above)];
        ask(whole(offset), parts)
    }

    /// Flipping the sign bits of both sides turns a signed comparison into an unsigned one.
    fn signed(self, compare: fn(Self, u64) -> Rest, value: i64) -> Rest {
        let bits = u64::from_ne_bytes(value.to_ne_bytes());
        let sign = u64::from(SIGN) << if self.high.is_some() { 32 } else { 0 };
        match compare(self, bits ^ sign) {
            // It asks the word with the sign first. Back to that word as it is: its upper half comes first.
            Rest::Ask(test) => {
                let bounds = |half| {
                    let firsts = test.parts.iter().map(|&(first, _)| first);
                    firsts
                        .filter(move |first| first & SIGN == half)
                        .chain([half])
                        .collect::<BTreeSet<_>>()
                };
                let flipped = bounds(SIGN).into_iter().chain(bounds(0));
                let parts = flipped.map(|first| (u64::from(first ^ SIGN), test.at(first).clone()));
                ask(test.word, parts)
            }
            known => known,
        }
    }
}

fn whole(offset: u32) -> Word {
    let mask = u32::MAX;
    Word { offset, mask }
}

/// The low and the high half.
fn split(value: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    ]
}

/// `rest` where the word's bits in `mask` are those of `value`, else a failure.
fn equal(offset: u32, mask: u32, value: u32, rest: &Rest) -> Rest {
    // Bits that do not count make runs of values where they are the lowest, and many of such runs where they are others.
    let free = !mask;
    let length = 1_u64 << free.trailing_ones();
    let scattered = free & !u32::try_from(length - 1).unwrap_or(u32::MAX);
    let (mask, starts, length) = if scattered.count_ones() <= 2 {
        (u32::MAX, subsets(scattered), length)
    } else {
        (mask, vec![0], 1)
    };
    let runs = starts.into_iter().flat_map(|bits| {
        let start = u64::from(value | bits);
        [(start, rest.clone()), (start + length, Rest::Fails)]
    });
    let word = Word { offset, mask };
    ask(word, [(0, Rest::Fails)].into_iter().chain(runs))
}

/// All numbers that have no other bits than these, in order.
fn subsets(bits: u32) -> Vec<u32> {
    let next = |&last: &u32| Some(last.wrapping_sub(bits) & bits).filter(|&next| next != 0);
    core::iter::successors(Some(0), next).collect()
}

/// A question with these parts, of which a later one of the same value replaces an earlier one; what they all say where they
/// all say the same.
fn ask(word: Word, given: impl IntoIterator<Item = (u64, Rest)>) -> Rest {
    let mut parts: Vec<(u32, Rest)> = Vec::new();
    for (first, rest) in given {
        let Some(first) = u32::try_from(first)
            .ok()
            .filter(|&first| first <= word.mask)
        else {
            continue;
        };
        if parts.last().is_some_and(|last| last.0 == first) {
            parts.pop();
        }
        if parts.last().is_none_or(|last| last.1 != rest) {
            parts.push((first, rest));
        }
    }
    match parts.as_mut_slice() {
        [(_, rest)] => core::mem::replace(rest, Rest::Fails),
        _ => Rest::Ask(Box::new(Test { word, parts })),
    }
}

#[cfg(test)]
mod tests {
    use super::{Rest, Test, Word, test};
    use crate::{ArgCondition, Comparison};

    /// The parts of a test that asks one word.
    fn parts(condition: ArgCondition) -> (u32, Vec<(u32, bool)>) {
        let Rest::Ask(asked) = test(&condition) else {
            panic!("{condition} asks nothing");
        };
        let Test { word, parts } = *asked;
        let holds = parts.iter().map(|(first, rest)| match rest {
            Rest::Ask(_) => panic!("{condition} asks again"),
            known => (*first, *known == Rest::Holds),
        });
        (word.mask, holds.collect())
    }

    #[test]
    fn masks_become_runs_where_those_are_few() {
        let masked =
            |mask, value| parts(ArgCondition::dword(0, Comparison::MaskedEq { mask, value }));
        let all = u32::MAX;
        let run = vec![(0, false), (0x40, true), (0x80, false)];
        assert_eq!(masked(0xffff_ffc0, 0x40), (all, run));
        let two = vec![(0, false), (2, true), (3, false), (10, true), (11, false)];
        assert_eq!(masked(0xffff_fff7, 2), (all, two));
        assert_eq!(
            masked(0xf, 3),
            (0xf, vec![(0, false), (3, true), (4, false)])
        );
        assert_eq!(masked(4, 4), (4, vec![(0, false), (4, true)]));
    }

    #[test]
    fn what_always_or_never_holds_asks_nothing() {
        for (comparison, known) in [
            (Comparison::Ge(0), Rest::Holds),
            (Comparison::Gt(u64::MAX), Rest::Fails),
            (Comparison::SignedGe(i64::MIN), Rest::Holds),
            (Comparison::SignedLt(i64::MIN), Rest::Fails),
            (Comparison::MaskedEq { mask: 0, value: 0 }, Rest::Holds),
        ] {
            assert_eq!(test(&ArgCondition::qword(0, comparison)), known);
        }
    }

    #[test]
    fn signs_are_found_in_the_upper_half() {
        let negative = parts(ArgCondition::dword(3, Comparison::SignedLt(0)));
        assert_eq!(negative.1, [(0, false), (0x8000_0000, true)]);
        let between = parts(ArgCondition::dword(3, Comparison::SignedGe(-2)));
        assert_eq!(
            between.1,
            [(0, true), (0x8000_0000, false), (0xffff_fffe, true)]
        );
    }

    #[test]
    fn the_high_word_is_asked_first() {
        let Rest::Ask(asked) = test(&ArgCondition::qword(1, Comparison::Ge(7 << 32 | 5))) else {
            panic!("it asks nothing");
        };
        let (offset, mask) = (28, u32::MAX);
        assert_eq!(asked.word, Word { offset, mask });
        assert_eq!((asked.at(6), asked.at(8)), (&Rest::Fails, &Rest::Holds));
        assert!(matches!(asked.at(7), Rest::Ask(low) if low.word.offset == 24));
    }
}
