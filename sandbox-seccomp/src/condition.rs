//! Conditions on the arguments of a system call.

use core::fmt;

/// How many of an argument's bits count.
///
/// The kernel hands the filter 64 bits of each argument. Where the call takes an `int` it uses the low 32 bits, and the
/// program may put anything into the others: comparing all 64 there is a hole (`ioctl(fd, 0x1_0000_5412)` is `TIOCSTI`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Width {
    /// The low 32 bits: `int`, `unsigned int`, `pid_t`, a descriptor.
    Dword,
    /// All 64 bits: `long`, `size_t`, an address.
    Qword,
}

/// A comparison of an argument: unsigned, but for those that say `Signed`.
///
/// Signed ones read the bits that count as two's complement: the sign of a [`Width::Dword`] is bit 31.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case", deny_unknown_fields)
)]
#[non_exhaustive]
pub enum Comparison {
    /// Equal.
    Eq(u64),
    /// Not equal.
    Ne(u64),
    /// Less than.
    Lt(u64),
    /// Less than or equal.
    Le(u64),
    /// Greater than.
    Gt(u64),
    /// Greater than or equal.
    Ge(u64),
    /// `argument & mask == value`.
    MaskedEq {
        /// The bits that count.
        mask: u64,
        /// What they must be; has no bit outside of the mask.
        value: u64,
    },
    /// Less than, as signed numbers.
    SignedLt(i64),
    /// Less than or equal, as signed numbers.
    SignedLe(i64),
    /// Greater than, as signed numbers.
    SignedGt(i64),
    /// Greater than or equal, as signed numbers.
    SignedGe(i64),
}

impl Comparison {
    /// Whether the bits are read as two's complement.
    pub(crate) fn is_signed(&self) -> bool {
        matches!(
            self,
            Self::SignedLt(_) | Self::SignedLe(_) | Self::SignedGt(_) | Self::SignedGe(_)
        )
    }
}

/// A condition on one argument of a system call.
///
/// ```
/// use sandbox_seccomp::{ArgCondition, Comparison};
/// let third_is_small = ArgCondition::dword(2, Comparison::Lt(10));
/// assert_eq!(third_is_small.to_string(), "arg2 as u32 < 0xa");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct ArgCondition {
    /// Which argument, 0 to 5.
    pub argument: u8,
    /// How many of its bits count.
    pub width: Width,
    /// What is asked of them.
    pub comparison: Comparison,
}

impl ArgCondition {
    /// A condition on the low 32 bits of argument 0 to 5.
    #[must_use]
    pub const fn dword(argument: u8, comparison: Comparison) -> Self {
        Self {
            argument,
            width: Width::Dword,
            comparison,
        }
    }

    /// A condition on all 64 bits of argument 0 to 5.
    #[must_use]
    pub const fn qword(argument: u8, comparison: Comparison) -> Self {
        Self {
            argument,
            width: Width::Qword,
            comparison,
        }
    }

    /// Whether the condition holds for these arguments; one on an argument beyond 5 never does.
    #[must_use]
    pub fn holds(&self, args: [u64; 6]) -> bool {
        let Some(&all) = args.get(usize::from(self.argument)) else {
            return false;
        };
        let (bits, signed) = match self.width {
            Width::Dword => {
                let [a, b, c, d, ..] = all.to_le_bytes();
                let low = [a, b, c, d];
                (
                    u64::from(u32::from_le_bytes(low)),
                    i64::from(i32::from_le_bytes(low)),
                )
            }
            Width::Qword => (all, i64::from_le_bytes(all.to_le_bytes())),
        };
        match self.comparison {
            Comparison::Eq(v) => bits == v,
            Comparison::Ne(v) => bits != v,
            Comparison::Lt(v) => bits < v,
            Comparison::Le(v) => bits <= v,
            Comparison::Gt(v) => bits > v,
            Comparison::Ge(v) => bits >= v,
            Comparison::MaskedEq { mask, value } => bits & mask == value,
            Comparison::SignedLt(v) => signed < v,
            Comparison::SignedLe(v) => signed <= v,
            Comparison::SignedGt(v) => signed > v,
            Comparison::SignedGe(v) => signed >= v,
        }
    }

    /// What is wrong with the condition, if anything.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.argument > 5 {
            return Some("names an argument beyond 5");
        }
        let dword = self.width == Width::Dword;
        match self.comparison {
            Comparison::SignedLt(v)
            | Comparison::SignedLe(v)
            | Comparison::SignedGt(v)
            | Comparison::SignedGe(v) => (dword && i32::try_from(v).is_err())
                .then_some("compares 32 bits with a longer value"),
            Comparison::MaskedEq { mask, value } if value & !mask != 0 => {
                Some("wants bits outside of its mask")
            }
            Comparison::Eq(v)
            | Comparison::Ne(v)
            | Comparison::Lt(v)
            | Comparison::Le(v)
            | Comparison::Gt(v)
            | Comparison::Ge(v)
            | Comparison::MaskedEq { value: v, .. } => {
                // Cut down, it would be another value.
                (dword && v > u64::from(u32::MAX)).then_some("compares 32 bits with a longer value")
            }
        }
    }
}

impl fmt::Display for ArgCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match (self.width, self.comparison.is_signed()) {
            (Width::Dword, false) => "u32",
            (Width::Dword, true) => "i32",
            (Width::Qword, false) => "u64",
            (Width::Qword, true) => "i64",
        };
        write!(f, "arg{} as {kind} ", self.argument)?;
        match self.comparison {
            Comparison::Eq(v) => write!(f, "== {v:#x}"),
            Comparison::Ne(v) => write!(f, "!= {v:#x}"),
            Comparison::Lt(v) => write!(f, "< {v:#x}"),
            Comparison::Le(v) => write!(f, "<= {v:#x}"),
            Comparison::Gt(v) => write!(f, "> {v:#x}"),
            Comparison::Ge(v) => write!(f, ">= {v:#x}"),
            Comparison::MaskedEq { mask, value } => write!(f, "& {mask:#x} == {value:#x}"),
            Comparison::SignedLt(v) => write!(f, "< {v}"),
            Comparison::SignedLe(v) => write!(f, "<= {v}"),
            Comparison::SignedGt(v) => write!(f, "> {v}"),
            Comparison::SignedGe(v) => write!(f, ">= {v}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ArgCondition, Comparison};

    #[test]
    fn signs_are_those_of_the_width() {
        let negative = Comparison::SignedLt(0);
        let holds = |condition: ArgCondition, argument| condition.holds([argument, 0, 0, 0, 0, 0]);
        assert!(holds(ArgCondition::dword(0, negative), 0x8000_0000));
        assert!(holds(
            ArgCondition::dword(0, negative),
            0x7fff_0000_ffff_ffff
        ));
        assert!(!holds(
            ArgCondition::dword(0, negative),
            0xffff_ffff_7fff_ffff
        ));
        assert!(!holds(ArgCondition::qword(0, negative), 0xffff_ffff));
        assert!(holds(ArgCondition::qword(0, negative), 1 << 63));
        assert!(holds(
            ArgCondition::dword(0, Comparison::SignedGe(-2)),
            0xffff_fffe
        ));
        assert!(!holds(
            ArgCondition::dword(0, Comparison::SignedGt(-2)),
            0xffff_fffe
        ));
        assert!(holds(
            ArgCondition::qword(0, Comparison::SignedLe(-2)),
            u64::MAX - 1
        ));
        assert!(!holds(ArgCondition::qword(9, Comparison::Ne(1)), 0));
    }

    /// Each by a value below, one at and one above its own, all of them in words.
    #[test]
    fn every_comparison_is_what_it_is_called() {
        let masked = Comparison::MaskedEq {
            mask: 0xc,
            value: 0x8,
        };
        for (comparison, sign, holds) in [
            (Comparison::Eq(9), "u == 0x9", [false, true, false]),
            (Comparison::Ne(9), "u != 0x9", [true, false, true]),
            (Comparison::Lt(9), "u < 0x9", [true, false, false]),
            (Comparison::Le(9), "u <= 0x9", [true, true, false]),
            (Comparison::Gt(9), "u > 0x9", [false, false, true]),
            (Comparison::Ge(9), "u >= 0x9", [false, true, true]),
            (masked, "u & 0xc == 0x8", [false, true, false]),
            (Comparison::SignedLt(-9), "i < -9", [true, false, false]),
            (Comparison::SignedLe(-9), "i <= -9", [true, true, false]),
            (Comparison::SignedGt(-9), "i > -9", [false, false, true]),
            (Comparison::SignedGe(-9), "i >= -9", [false, true, true]),
        ] {
            let values = match (comparison, comparison.is_signed()) {
                (Comparison::MaskedEq { .. }, _) => [0x7, 0xb, 0xc],
                (_, false) => [8, 9, 10],
                (_, true) => [-10, -9, -8].map(i64::cast_unsigned),
            };
            let (kind, rest) = sign.split_at(1);
            for (width, condition) in [
                (32, ArgCondition::dword(2, comparison)),
                (64, ArgCondition::qword(2, comparison)),
            ] {
                let held = values.map(|value| condition.holds([9, 9, value, 9, 9, 9]));
                assert_eq!(held, holds, "{condition}");
                assert_eq!(
                    condition.to_string(),
                    format!("arg2 as {kind}{width}{rest}")
                );
                assert_eq!(condition.problem(), None);
            }
        }
    }

    #[test]
    fn signed_values_must_fit_their_width() {
        let long = Comparison::SignedGt(i64::from(i32::MIN) - 1);
        assert!(ArgCondition::dword(0, long).problem().is_some());
        assert!(ArgCondition::qword(0, long).problem().is_none());
        let edge = Comparison::SignedGt(i64::from(i32::MIN));
        assert!(ArgCondition::dword(0, edge).problem().is_none());
    }
}
