//! Measurements that may be absent.

use crate::Errno;

/// A measurement, or why there is none. Absence never reads as zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Reading<T> {
    /// What was measured.
    Value(T),
    /// Why nothing was measured.
    Unavailable(Unavailable),
}

impl<T> Reading<T> {
    /// The measurement, where there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unavailable(_) => None,
        }
    }

    /// Applies `f` to the measurement.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Value(value) => Reading::Value(f(value)),
            Self::Unavailable(why) => Reading::Unavailable(why),
        }
    }
}

/// Why there is no measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Unavailable {
    /// No limit or option of this run needed the source of this reading.
    NotRequested,
    /// No cgroup hierarchy of this host serves the controller.
    NoController,
    /// The kernel does not have the file that holds the reading.
    KernelTooOld,
    /// The kernel keeps no count of this, or shows it only in the host's first network namespace.
    NotCounted,
    /// The file was read, and its text was not what the kernel documents.
    Malformed,
    /// Reading failed.
    Failed(Errno),
}
