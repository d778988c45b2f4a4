//! What a process carries with it and nothing outside holds: ids, capabilities, limits, session.
//!
//! Each file is compiled by the parent into plain values; the `apply` halves run in the child. The names of their
//! operations are in [`crate::explain`], which may format.

pub(crate) mod capabilities;
pub(crate) mod identity;
pub(crate) mod rlimits;
pub(crate) mod session;
