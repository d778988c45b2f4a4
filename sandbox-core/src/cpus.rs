//! A set of CPUs in the kernel's list format.

use core::{fmt, str::FromStr};
use std::collections::BTreeSet;

/// A set of CPU numbers. Reads the lists of cpuset(7), `0-2,5`; writes single numbers, `0,1,2,5`, which the kernel reads too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "String", try_from = "String")
)]
pub struct CpuSet(BTreeSet<u16>);

/// A text is no CPU list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a CPU list such as \"0-2,5\"")]
pub struct CpuSetError(pub String);

impl CpuSet {
    /// The CPUs with these numbers.
    pub fn new(cpus: impl IntoIterator<Item = u16>) -> Self {
        Self(cpus.into_iter().collect())
    }

    /// The numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().copied()
    }

    /// How many CPUs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no CPU is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for CpuSet {
    type Err = CpuSetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || CpuSetError(text.to_owned());
        let mut cpus = BTreeSet::new();
        for part in text.trim().split(',').filter(|part| !part.is_empty()) {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            let low: u16 = low.trim().parse().map_err(|_| bad())?;
            let high: u16 = high.trim().parse().map_err(|_| bad())?;
            if low > high {
                return Err(bad());
            }
            cpus.extend(low..=high);
        }
        Ok(Self(cpus))
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, cpu) in self.0.iter().enumerate() {
            write!(f, "{}{cpu}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl From<CpuSet> for String {
    fn from(set: CpuSet) -> Self {
        set.to_string()
    }
}

impl TryFrom<String> for CpuSet {
    type Error = CpuSetError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::CpuSet;

    #[test]
    fn lists_and_ranges_parse() {
        let set: CpuSet = "0-2,5\n".parse().unwrap();
        assert_eq!(set, CpuSet::new([0, 1, 2, 5]));
        assert_eq!(set.to_string(), "0,1,2,5");
        assert!("".parse::<CpuSet>().unwrap().is_empty());
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["x", "2-1", "1-", "0,-1", "70000"] {
            assert!(text.parse::<CpuSet>().is_err(), "{text}");
        }
    }
}
