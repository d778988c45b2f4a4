//! What narrows the payload's way to files before it opens anything more.

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

use sandbox_core::{Errno, Fault, Stage, StageSet, StepFailure};
use sandbox_fs::LandlockPlan;

use super::chain::{Attached, Child, Confined, Step, apply, in_stage};
use crate::sys::{descriptors::eventfd_wait, process::prctl};

pub(crate) const SET_NO_NEW_PRIVS: u16 = 0;
pub(crate) const VERIFY_NO_NEW_PRIVS: u16 = 1;

impl Child<Attached> {
    /// Waits at the gate until the root stands and init is sealed, gives up what `execve(2)` could bring back, and enters
    /// the Landlock domain where there is one.
    ///
    /// # Errors
    /// [`Stage::Gate`], [`Stage::NoNewPrivs`], [`Stage::Landlock`].
    pub fn confine(self, landlock: Option<&LandlockPlan>) -> Step<Confined> {
        let opened = eventfd_wait(self.gate()).map_err(Fault::at(0));
        in_stage(Stage::Gate, opened)?;
        no_new_privs()?;
        let entered = landlock.map_or(Ok(StageSet::empty()), apply)?;
        Ok(self.next(Stage::Gate.set() | Stage::NoNewPrivs.set() | entered))
    }
}

fn no_new_privs() -> Result<(), StepFailure> {
    let stage = Stage::NoNewPrivs;
    let set = prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map_err(Fault::at(SET_NO_NEW_PRIVS));
    in_stage(stage, set)?;
    let now = prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0).map_err(Fault::at(VERIFY_NO_NEW_PRIVS));
    if in_stage(stage, now)? == 1 {
        return Ok(());
    }
    let errno = Errno::from_raw(libc::EPERM);
    in_stage(stage, Err(Fault::at(VERIFY_NO_NEW_PRIVS)(errno)))
}
