//! The child's side of a prepared tree.

#![deny(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::alloc_instead_of_core
)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![deny(
    clippy::disallowed_macros,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]

use core::ffi::c_int;

use sandbox_core::{ChildStep, Fault, Stage};

use crate::{RootInstance, RootPlan, Trees, apply};

/// A tree of which everything is made that depends on no bind. Made in init, where it is finished too.
#[derive(Debug)]
#[must_use = "a tree that is not finished cannot be entered"]
pub struct RootFrame<'p> {
    builder: apply::Builder<'p>,
    trees: Trees,
}

impl RootPlan {
    /// Makes what depends on no bind: tmpfs, directories, files, links, proc. Async-signal-safe.
    ///
    /// `mapped`: init is in a user namespace of its own. Elsewhere, with [`Trees::FromParent`], init has left the host's tree
    /// when this returns, and what comes from it later comes by descriptor alone.
    ///
    /// # Errors
    /// The operation that failed, for [`Explain`](sandbox_core::Explain).
    pub fn begin(&self, trees: Trees, mapped: bool) -> Result<RootFrame<'_>, Fault> {
        let work = apply::Work {
            ops: &self.ops,
            early: self.early,
            binds: &self.binds,
            leave_first: trees == Trees::FromParent && !mapped,
        };
        let builder = apply::begin(work)?;
        Ok(RootFrame { builder, trees })
    }
}

impl RootFrame<'_> {
    /// Mounts the binds, makes read-only what shall be, and enters the tree. Async-signal-safe.
    ///
    /// `trees`: [`RootInstance::descriptors`] as received by init; not looked at with [`Trees::FromInit`].
    ///
    /// # Errors
    /// The operation that failed, for [`Explain`](sandbox_core::Explain).
    pub fn finish(self, trees: &[c_int]) -> Result<(), Fault> {
        self.builder.finish(match self.trees {
            Trees::FromParent => apply::Origin::Received(trees),
            Trees::FromInit => apply::Origin::Init,
        })
    }
}

#[expect(unsafe_code, reason = "the promise of ChildStep")]
// SAFETY: `apply` borrows the plan, and its file, this one and all that it calls stand under the lint header for code
// after the clone: raw system calls on memory made before, an array on the stack, no drop but of plain numbers.
unsafe impl ChildStep for RootInstance<'_> {
    const STAGE: Stage = Stage::Root;

    fn apply(&self) -> Result<(), Fault> {
        let origin = match &self.trees {
            Some(trees) => apply::Origin::Inherited(trees),
            None => apply::Origin::Init,
        };
        let work = apply::Work {
            ops: &self.plan.ops,
            early: self.plan.early,
            binds: &self.plan.binds,
            leave_first: false,
        };
        apply::begin(work)?.finish(origin)
    }
}
