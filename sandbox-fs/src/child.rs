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

use sandbox_core::{ChildStep, Fault, Stage};

use crate::{RootInstance, apply};

#[expect(unsafe_code, reason = "the promise of ChildStep")]
// SAFETY: `apply::run` borrows the plan, and its file, this one and all that it calls stand under the lint header for code
// after the clone: raw system calls on memory made before, an array on the stack, no drop but of plain numbers.
unsafe impl ChildStep for RootInstance<'_> {
    const STAGE: Stage = Stage::Root;

    fn apply(&self) -> Result<(), Fault> {
        let origin = match &self.trees {
            Some(trees) => apply::Origin::Parent(trees),
            None => apply::Origin::Init,
        };
        apply::run(&self.plan.ops, &self.plan.binds, origin)
    }
}
