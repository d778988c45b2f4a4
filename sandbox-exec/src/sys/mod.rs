//! The system calls of this crate, by what they act on. All are async-signal-safe and none touches memory that it was
//! not given, so that the same wrappers serve the supervisor and the child.

pub(crate) mod credentials;
pub(crate) mod descriptors;
pub(crate) mod message;
pub(crate) mod probe;
pub(crate) mod process;
pub(crate) mod signals;
