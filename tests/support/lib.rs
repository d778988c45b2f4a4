//! What the tests of the family share: the declared machine, forked children, leak checks, boxes.

#![expect(
    clippy::missing_panics_doc,
    reason = "a helper that cannot do its work panics: that is how a test fails"
)]

pub mod boxes;
pub mod delegated;
pub mod faults;
pub mod host;
pub mod in_child;
pub mod inject;
pub mod leaks;
pub mod mapped;
pub mod outside;
pub mod scene;
pub mod setup;
pub mod sys;
pub mod trace;
pub mod watch;

pub use in_child::{Fork, in_child, in_fresh_child};
pub use setup::{Setup, assert_judged};
