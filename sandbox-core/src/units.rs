//! Counts that carry their unit.

use core::fmt;

/// A count of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(transparent)
)]
pub struct Bytes(u64);

impl Bytes {
    /// `n` bytes.
    #[must_use]
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// `n` × 1024 bytes; saturates at `u64::MAX`.
    #[must_use]
    pub const fn kib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 10))
    }

    /// `n` × 1024² bytes; saturates at `u64::MAX`.
    #[must_use]
    pub const fn mib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 20))
    }

    /// The number of bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n >= 1 << 20 && n % (1 << 20) == 0 => write!(f, "{} MiB", n >> 20),
            n if n >= 1 << 10 && n % (1 << 10) == 0 => write!(f, "{} KiB", n >> 10),
            n => write!(f, "{n} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn units_multiply_and_saturate() {
        assert_eq!(Bytes::kib(2).get(), 2048);
        assert_eq!(Bytes::mib(2).get(), 2 << 20);
        assert_eq!(Bytes::mib(u64::MAX).get(), u64::MAX);
    }

    #[test]
    fn display_uses_the_largest_whole_unit() {
        assert_eq!(Bytes::mib(16).to_string(), "16 MiB");
        assert_eq!(Bytes::kib(3).to_string(), "3 KiB");
        assert_eq!(Bytes::new(1025).to_string(), "1025 bytes");
    }
}
