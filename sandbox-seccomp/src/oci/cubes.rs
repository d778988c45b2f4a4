//! Sets of arguments as alternatives of masks.
//!
//! A profile has alternatives without order, of comparisons of 64 bits. A policy has ordered cases that may look at 32 bits. What
//! both can say is "these bits of that argument are so": a cube in the space of all bits. Cubes can be cut out of each other,
//! which gets rid of the order.

use crate::{ArgCondition, Comparison, Width};

/// For each argument the bits that matter, and what they are; no bit of a value is outside of its mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cube {
    pub(super) bits: [(u64, u64); 6],
}

impl Cube {
    /// All arguments.
    pub(super) const ALL: Self = Self { bits: [(0, 0); 6] };

    /// What is in both.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        let mut both = *self;
        for (mine, &(mask, value)) in both.bits.iter_mut().zip(&other.bits) {
            if (mine.1 ^ value) & mine.0 & mask != 0 {
                return None;
            }
            *mine = (mine.0 | mask, mine.1 | value);
        }
        Some(both)
    }

    /// Adds to `rest` what is in this and not in the other, as cubes that share nothing.
    pub(super) fn without(&self, other: &Self, rest: &mut Vec<Self>) {
        if self.and(other).is_none() {
            rest.push(*self);
            return;
        }
        // Bit by bit from the top: what differs there is out, what agrees goes on.
        let mut inside = *self;
        for (argument, &(mask, value)) in other.bits.iter().enumerate() {
            let Some(&(own, _)) = self.bits.get(argument) else {
                continue;
            };
            for bit in (0..64).rev().map(|place| 1_u64 << place) {
                if mask & !own & bit == 0 {
                    continue;
                }
                let mut outside = inside;
                if let (Some(out), Some(within)) = (
                    outside.bits.get_mut(argument),
                    inside.bits.get_mut(argument),
                ) {
                    *out = (out.0 | bit, out.1 | (!value & bit));
                    *within = (within.0 | bit, within.1 | (value & bit));
                }
                rest.push(outside);
            }
        }
    }
}

/// The cubes in which all conditions hold; they share nothing. `None` where there are more than `most`.
pub(super) fn cubes(conditions: &[ArgCondition], most: usize) -> Option<Vec<Cube>> {
    let mut all = vec![Cube::ALL];
    for condition in conditions {
        let alternatives = masks(condition).into_iter().filter_map(|bits| {
            let mut cube = Cube::ALL;
            *cube.bits.get_mut(usize::from(condition.argument))? = bits;
            Some(cube)
        });
        let alternatives: Vec<_> = alternatives.collect();
        let meet = |one: &Cube| {
            let one = *one;
            alternatives.iter().filter_map(move |other| one.and(other))
        };
        all = all.iter().flat_map(meet).take(most + 1).collect();
        if all.len() > most {
            return None;
        }
    }
    Some(all)
}

/// The masks and values of which one holds where the condition does.
fn masks(condition: &ArgCondition) -> Vec<(u64, u64)> {
    let (all, sign) = match condition.width {
        Width::Dword => (u64::from(u32::MAX), 1 << 31),
        Width::Qword => (u64::MAX, 1 << 63),
    };
    // In signed order the negative half comes first: what is below `v` is from the sign up to its bits.
    let bits = |v: i64| u64::from_le_bytes(v.to_le_bytes()) & all;
    let below = |v: u64| v.checked_sub(1).map(|last| (0, last));
    let above = |v: u64| (v < all).then(|| (v + 1, all));
    let signed_below = |v: u64| -> Vec<Option<(u64, u64)>> {
        if v < sign {
            vec![Some((sign, all)), below(v)]
        } else {
            vec![(v > sign).then(|| (sign, v - 1))]
        }
    };
    let signed_above = |v: u64| -> Vec<Option<(u64, u64)>> {
        if v < sign {
            vec![(v + 1 < sign).then(|| (v + 1, sign - 1))]
        } else {
            vec![Some((0, sign - 1)), above(v)]
        }
    };
    let ranges = match condition.comparison {
        Comparison::MaskedEq { mask, value } => return vec![(mask & all, value)],
        Comparison::Eq(v) => vec![Some((v, v))],
        Comparison::Ne(v) => vec![below(v), above(v)],
        Comparison::Lt(v) => vec![below(v)],
        Comparison::Le(v) => vec![Some((0, v))],
        Comparison::Gt(v) => vec![above(v)],
        Comparison::Ge(v) => vec![Some((v, all))],
        Comparison::SignedLt(v) => signed_below(bits(v)),
        Comparison::SignedGt(v) => signed_above(bits(v)),
        Comparison::SignedLe(v) => [vec![Some((bits(v), bits(v)))], signed_below(bits(v))].concat(),
        Comparison::SignedGe(v) => [vec![Some((bits(v), bits(v)))], signed_above(bits(v))].concat(),
    };
    let ranges = ranges.into_iter().flatten();
    ranges
        .flat_map(|(first, last)| blocks(first, last, all))
        .collect()
}

/// A range as blocks of which each is all numbers with the same upper bits.
fn blocks(first: u64, last: u64, all: u64) -> Vec<(u64, u64)> {
    let mut blocks = Vec::new();
    let mut next = Some(first);
    while let Some(start) = next.filter(|start| *start <= last) {
        let mut size_mask = 0_u64;
        // Twice as large as long as it starts and ends right.
        loop {
            let larger = size_mask << 1 | 1;
            let end = start | larger;
            if size_mask == all || start & larger != 0 || end > last {
                break;
            }
            size_mask = larger;
        }
        blocks.push((all & !size_mask, start));
        next = (start | size_mask).checked_add(1);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::{Cube, cubes};
    use crate::testing::{conditions, values};
    use proptest::prelude::*;

    fn contains(cube: &Cube, args: [u64; 6]) -> bool {
        cube.bits
            .iter()
            .zip(args)
            .all(|(&(mask, value), argument)| argument & mask == value)
    }

    proptest! {
        // Failures are printed, not written into the tree.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn cubes_are_where_the_conditions_hold(
            all in prop::collection::vec(conditions(), 0..3),
            args in prop::array::uniform6(values()),
        ) {
            let inside = cubes(&all, usize::MAX - 1).unwrap().iter().filter(|cube| contains(cube, args)).count();
            let holds = all.iter().all(|one| one.holds(args));
            prop_assert_eq!(inside, usize::from(holds));
        }

        #[test]
        fn what_is_cut_out_is_out(
            one in prop::collection::vec(conditions(), 0..2),
            other in prop::collection::vec(conditions(), 0..2),
            args in prop::array::uniform6(values()),
        ) {
            let mut rest = cubes(&one, 9999).unwrap();
            for hole in cubes(&other, 9999).unwrap() {
                let mut next = Vec::new();
                for cube in &rest {
                    cube.without(&hole, &mut next);
                }
                rest = next;
            }
            let inside = rest.iter().filter(|cube| contains(cube, args)).count();
            let holds = one.iter().all(|a| a.holds(args)) && !other.iter().all(|a| a.holds(args));
            prop_assert_eq!(inside, usize::from(holds));
        }
    }
}
