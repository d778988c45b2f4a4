//! How far one call may go into a tree that an attacker made.

use core::time::Duration;
use std::{ffi::CStr, time::Instant};

use crate::{
    Error,
    error::{Bound, shown},
};

/// How much of a hostile tree one call may touch before it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Bounds {
    /// Names looked at, all directories together. Memory grows with the depth of the tree only, and that by 24 bytes a
    /// level.
    pub entries: usize,
    /// Wall time.
    pub time: Duration,
}

impl Default for Bounds {
    /// A million names, one minute.
    fn default() -> Self {
        Self {
            entries: 1_000_000,
            time: Duration::from_secs(60),
        }
    }
}

/// Bounds at work.
pub(crate) struct Budget {
    bounds: Bounds,
    begun: Instant,
    spent: usize,
}

impl Budget {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            begun: Instant::now(),
            spent: 0,
        }
    }

    /// One more name.
    pub(crate) fn spend(&mut self, name: &CStr) -> Result<(), Error> {
        let too_large = |max| Error::TooLarge {
            path: shown(name),
            max,
        };
        if self.spent == self.bounds.entries {
            return Err(too_large(Bound::Entries(self.bounds.entries)));
        }
        self.spent += 1;
        if self.begun.elapsed() > self.bounds.time {
            return Err(too_large(Bound::Time(self.bounds.time)));
        }
        Ok(())
    }
}
