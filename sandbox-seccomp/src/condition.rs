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

/// A comparison of an argument, always unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
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
}

/// A condition on one argument of a system call.
///
/// ```
/// use sandbox_seccomp::{ArgCondition, Comparison};
/// let third_is_small = ArgCondition::dword(2, Comparison::Lt(10));
/// assert_eq!(third_is_small.to_string(), "arg2 < 0xa");
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

    /// What is wrong with the condition, if anything.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let (mask, value) = match self.comparison {
            Comparison::Eq(v)
            | Comparison::Ne(v)
            | Comparison::Lt(v)
            | Comparison::Le(v)
            | Comparison::Gt(v)
            | Comparison::Ge(v) => (u64::MAX, v),
            Comparison::MaskedEq { mask, value } => (mask, value),
        };
        if self.argument > 5 {
            Some("names an argument beyond 5")
        } else if value & !mask != 0 {
            Some("wants bits outside of its mask")
        } else if self.width == Width::Dword && value > u64::from(u32::MAX) {
            // The back end would cut the value down and so compare with another one.
            Some("compares 32 bits with a longer value")
        } else {
            None
        }
    }
}

impl fmt::Display for ArgCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arg{} ", self.argument)?;
        match self.comparison {
            Comparison::Eq(v) => write!(f, "== {v:#x}"),
            Comparison::Ne(v) => write!(f, "!= {v:#x}"),
            Comparison::Lt(v) => write!(f, "< {v:#x}"),
            Comparison::Le(v) => write!(f, "<= {v:#x}"),
            Comparison::Gt(v) => write!(f, "> {v:#x}"),
            Comparison::Ge(v) => write!(f, ">= {v:#x}"),
            Comparison::MaskedEq { mask, value } => write!(f, "& {mask:#x} == {value:#x}"),
        }
    }
}
