//! What of a disk was used.

use crate::{Bytes, Reading};

/// What a place with a quota held when the run was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DiskUse {
    /// Space in use; holes are not counted.
    pub bytes: Bytes,
    /// Files, directories and links.
    pub inodes: u64,
    /// No block or no inode more fits. By itself it does not say that anything was refused, and what was removed before the end
    /// is not seen.
    pub full: bool,
    /// Whether the kernel found the limit in the way of something at any time of the run, by its own word: also where room was
    /// made after that. A tmpfs has no such count. XFS asks for room ahead of a growing file too, and says so as well
    /// where it then does without.
    #[cfg_attr(feature = "serde", serde(default = "crate::evidence::not_requested"))]
    pub hit: Reading<bool>,
}
