//! Entries for the fuzz targets, which are compiled with `cfg(fuzzing)` only.

use crate::{v1, v2};

/// Reads a text as each file of counters.
#[must_use]
pub fn counters(text: &[u8]) -> [Option<u64>; 5] {
    [
        v1::cpu_nanos(text),
        v1::oom_kills(text),
        v2::cpu_nanos(text),
        v2::oom_kills(text),
        v2::own_limit_hits(text),
    ]
}
