//! System call policy, compiled to a BPF filter.
//!
//! A [`Policy`] says per system call name what happens: the call is made, fails with an errno, is logged, ends the
//! process, or is reported to the supervisor ([`Action::Report`], [`Listener`]). Rules may name [groups](Group) of calls
//! and ask for values of arguments, and later rules win, so that a policy is composed of a [`Preset`], what it shall allow as
//! well, and what it shall refuse. [`Policy::explain`] and [`Policy::effective`] show what came of it. [`Policy::prepare`]
//! turns it into a [`Filter`] in the parent; the child installs that by one call
//! ([`ChildStep::apply`](sandbox_core::ChildStep::apply)). Compiling takes longer than installing, so a policy is compiled
//! once, with all its clones.
//!
//! What every filter of this crate does, whatever the policy says:
//! * A call of a foreign architecture (`int 0x80` on `x86_64`) kills the process: numbers mean other calls there.
//! * A call through the x32 table of `x86_64` kills the process: `ptrace` has a second number there.
//!   A policy that reports anything reports both, to end the run.
//! * A name that no kernel knows is an error and never skipped. A name that only another architecture has (`open` on
//!   aarch64) is accepted and has no effect, so that one policy serves all architectures.
//! * A policy that would stop the start itself is refused: the failure would look like the contestant's.
//!
//! The program is a tree over the numbers, and over one word of the arguments after the other where those decide. Numbers
//! whose decision needs no argument are decided without loading one, since the kernel (5.11) then caches "allowed" in a
//! bitmap and does not run the filter at all. So no call is put nearer to the root than others. What counts is the length:
//! the kernel translates every instruction at every installation. `cargo bench -p sandbox-seccomp` shows installation and
//! calls, beside libseccomp's filters of the same policies.
//!
//! A filter is not a substitute for namespaces: it sees numbers, never the memory behind a pointer, so it cannot tell
//! one path from another.
//!
//! ```
//! use sandbox_core::Errno;
//! use sandbox_seccomp::{Action, Policy};
//!
//! let filter = Policy::judge()
//!     .rule("socket", Action::Errno(Errno::from_raw(13)))
//!     .prepare()?;
//! assert!(filter.len() < 250);
//! # Ok::<(), sandbox_seccomp::Error>(())
//! ```

mod action;
mod child;
mod compile;
mod condition;
mod effective;
mod emit;
#[cfg(feature = "serde")]
mod errno_name;
mod error;
mod evaluate;
mod explain;
mod filter;
#[cfg(fuzzing)]
pub mod fuzzing;
mod group;
mod instruction;
#[cfg(all(test, feature = "serde"))]
#[path = "../tests/libseccomp/mod.rs"]
mod libseccomp;
mod listener;
#[cfg(feature = "serde")]
pub mod oci;
mod policy;
mod preset;
mod profile;
mod ranges;
mod reporting;
#[cfg(feature = "serde")]
mod schema;
mod shrink;
mod sys;
mod table;
#[cfg(test)]
mod testing;

pub use action::{Action, Answer};
pub use condition::{ArgCondition, Comparison, Width};
pub use effective::{Effective, EffectiveCall};
pub use error::Error;
pub use explain::{Decider, Explanation};
pub use filter::Filter;
pub use group::Group;
pub use listener::{Listener, Notification};
pub use policy::{Policy, Rule};
pub use preset::Preset;
