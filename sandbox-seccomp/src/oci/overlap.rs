//! Whether two sets of conditions can hold for the same arguments.

use crate::{ArgCondition, Comparison};

/// Whether no arguments fulfil both; says no where it is not sure. All conditions are unsigned; those
/// of 32 bits are masks.
pub(super) fn are_disjoint(one: &[ArgCondition], other: &[ArgCondition]) -> bool {
    one.iter().any(|a| {
        let mut others = other.iter().filter(|b| a.argument == b.argument);
        others.any(|b| excludes(a.comparison, b.comparison))
    })
}

fn excludes(a: Comparison, b: Comparison) -> bool {
    use Comparison::{MaskedEq, Ne};
    match (a, b) {
        (
            MaskedEq { mask, value },
            MaskedEq {
                mask: other_mask,
                value: other,
            },
        ) => (value ^ other) & mask & other_mask != 0,
        (MaskedEq { mask, value }, b) | (b, MaskedEq { mask, value }) => {
            range(b).is_some_and(|(first, last)| first == last && first & mask != value)
        }
        (Ne(_), Ne(_)) => false,
        (Ne(hole), b) | (b, Ne(hole)) => range(b) == Some((hole, hole)),
        (a, b) => match (range(a), range(b)) {
            (Some((first, last)), Some((other_first, other_last))) => {
                last < other_first || other_last < first
            }
            _ => false,
        },
    }
}

/// The values that fulfil the comparison, where they are one range and there is any.
fn range(comparison: Comparison) -> Option<(u64, u64)> {
    match comparison {
        Comparison::Eq(v) => Some((v, v)),
        Comparison::Lt(v) => Some((0, v.checked_sub(1)?)),
        Comparison::Le(v) => Some((0, v)),
        Comparison::Gt(v) => Some((v.checked_add(1)?, u64::MAX)),
        Comparison::Ge(v) => Some((v, u64::MAX)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::are_disjoint;
    use crate::{
        ArgCondition,
        Comparison::{Eq, Ge, Gt, Le, Lt, MaskedEq, Ne},
    };

    #[test]
    fn exclusion_is_seen_where_there_is_one() {
        let masked = |mask, value| MaskedEq { mask, value };
        for (a, b, disjoint) in [
            (Eq(9), Ne(9), true),
            (Eq(9), Ne(8), false),
            (Eq(9), Eq(8), true),
            (Lt(9), Ge(9), true),
            (Le(9), Ge(9), false),
            (Lt(9), Gt(8), true),
            (Ne(1), Ne(2), false),
            (masked(3, 1), masked(1, 0), true),
            (masked(3, 1), masked(4, 0), false),
            (masked(3, 1), Eq(2), true),
            (masked(3, 1), Eq(5), false),
            (masked(3, 1), Ge(4), false),
            (Ge(1), Le(u64::MAX), false),
        ] {
            let one = |comparison| [ArgCondition::qword(0, comparison)];
            assert_eq!(are_disjoint(&one(a), &one(b)), disjoint, "{a:?} {b:?}");
            assert_eq!(are_disjoint(&one(b), &one(a)), disjoint, "{b:?} {a:?}");
            let other = [ArgCondition::qword(1, b)];
            assert!(!are_disjoint(&one(a), &other));
        }
    }
}
