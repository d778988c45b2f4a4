//! Real groups on the real kernel, v1, v2 or hybrid; needs root and a writable hierarchy root.
//!
//! Each test touches only groups that it made itself. What differs between v1 and v2 is asserted per version, so the
//! same binary runs on a hybrid host and on a pure v2 one.

mod errors;
mod join;
mod lifecycle;
mod limits;
mod orphans;
mod support;
mod usage;
