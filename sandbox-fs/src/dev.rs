//! What a minimal `/dev` holds.

/// Character devices that need no right and leak nothing, bound from the host one by one: a user namespace may not
/// make device nodes.
pub(crate) const NODES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Links that programs expect, name and where it points.
pub(crate) const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];
