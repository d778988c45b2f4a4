//! What is left to be decided about a call, word by word.

use std::collections::BTreeSet;

use super::word::{Rest, Test, Word, test};
use crate::ranges::Decision;

/// Cases in the order in which they are tried: the first whose tests all hold decides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cases {
    pub(super) list: Vec<Case>,
    /// The return value where none holds.
    pub(super) otherwise: u32,
}

/// What is returned where all tests hold; there is one at least.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Case {
    pub(super) tests: Vec<Test>,
    pub(super) value: u32,
}

impl Cases {
    pub(super) fn new(decision: &Decision<'_>) -> Self {
        match decision {
            Decision::Constant(value) => Self::settled([], *value),
            Decision::Conditional(chain) => {
                // In a chain the last one decides.
                let cases = chain.cases.iter().rev().map(|&(conditions, value)| {
                    let rests = conditions.iter().map(test);
                    (rests.collect(), value)
                });
                Self::settled(cases, chain.otherwise)
            }
        }
    }

    /// Leaves out tests that hold, cases that fail, and cases after one that always decides or that change nothing.
    fn settled(cases: impl IntoIterator<Item = (Vec<Rest>, u32)>, otherwise: u32) -> Self {
        let mut settled = Self {
            list: Vec::new(),
            otherwise,
        };
        for (rests, value) in cases {
            if rests.contains(&Rest::Fails) {
                continue;
            }
            let asks = rests.into_iter().filter_map(|rest| match rest {
                Rest::Ask(test) => Some(*test),
                Rest::Fails | Rest::Holds => None,
            });
            let tests: Vec<_> = asks.collect();
            if tests.is_empty() {
                settled.otherwise = value;
                break;
            }
            settled.list.push(Case { tests, value });
        }
        let decides = |case: &Case| case.value != settled.otherwise;
        let kept = settled.list.iter().rposition(decides);
        settled.list.truncate(kept.map_or(0, |last| last + 1));
        settled
    }

    /// The word to look at next: one that many of the first cases ask, and of those the one that leaves the fewest ways on.
    /// `None` where all is decided.
    pub(super) fn next_word(&self) -> Option<Word> {
        let first = self.list.first()?;
        let asked = first.tests.iter().map(|test| test.word);
        asked.min_by_key(|&word| {
            let asks = |case: &&Case| case.tests.iter().any(|test| test.word == word);
            let run = self.list.iter().take_while(asks).count();
            (usize::MAX - run, self.bounds(word).len())
        })
    }

    /// What is left for each value of a word, from these values up to the next one. The first is 0.
    pub(super) fn by(&self, word: Word) -> Vec<(u32, Self)> {
        let mut parts: Vec<(u32, Self)> = Vec::new();
        for first in self.bounds(word) {
            let left = self.knowing(word, first);
            if parts.last().is_none_or(|last| last.1 != left) {
                parts.push((first, left));
            }
        }
        parts
    }

    /// The values at which a test of this word may change its mind.
    fn bounds(&self, word: Word) -> BTreeSet<u32> {
        let tests = self.list.iter().flat_map(|case| &case.tests);
        tests
            .filter(|test| test.word == word)
            .flat_map(|test| test.parts.iter().map(|&(first, _)| first))
            .collect()
    }

    fn knowing(&self, word: Word, value: u32) -> Self {
        let cases = self.list.iter().map(|case| {
            let tests = case.tests.iter().map(|test| {
                if test.word == word {
                    test.at(value).clone()
                } else {
                    Rest::Ask(Box::new(test.clone()))
                }
            });
            (tests.collect(), case.value)
        });
        Self::settled(cases, self.otherwise)
    }

    pub(super) fn tests(&self) -> usize {
        self.list.iter().map(|case| case.tests.len()).sum()
    }

    /// About how many instructions it takes to try one case after the other: a comparison for each test, a load for each word
    /// of a case, a return for each case.
    pub(super) fn length_in_turn(&self) -> usize {
        let words = self.list.iter().map(|case| {
            let words = case.tests.iter().map(|test| test.word);
            words.collect::<BTreeSet<_>>().len()
        });
        self.tests() + words.sum::<usize>() + self.list.len()
    }
}
