//! Enters the domain, in the payload: between `clone3(2)` and `execve(2)`.

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

use sandbox_core::{ChildStep, Errno, Fault, Stage};

use super::LandlockPlan;
use crate::sys::{file, landlock};

pub(super) const CREATE: u16 = 0;
pub(super) const RESTRICT: u16 = 1;
pub(super) const FIRST_RULE: u16 = 2;

#[expect(unsafe_code, reason = "the promise of ChildStep")]
// SAFETY: `apply` makes raw system calls on the plan's memory; this file and those that it calls stand under the lint
// header for code after the clone.
unsafe impl ChildStep for LandlockPlan {
    const STAGE: Stage = Stage::Landlock;

    fn apply(&self) -> Result<(), Fault> {
        let handled = &self.handled;
        let ruleset = landlock::create_ruleset(handled.files, handled.tcp, handled.scopes)
            .map_err(Fault::at(CREATE))?;
        let mut index = FIRST_RULE;
        for rule in &self.rules {
            let opened = file::openat2(
                libc::AT_FDCWD,
                &rule.path,
                libc::O_PATH,
                libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS,
            );
            match opened {
                // What the payload's own ids may not reach needs no rule: then it is closed twice.
                Err(errno) if errno == Errno::from_raw(libc::EACCES) => {}
                Err(errno) => return Err(Fault { index, errno }),
                Ok(place) => {
                    landlock::allow_beneath(ruleset, place, rule.allowed)
                        .and_then(|()| file::close(place))
                        .map_err(Fault::at(index))?;
                }
            }
            index = index.saturating_add(1);
        }
        landlock::restrict_self(ruleset)
            .and_then(|()| file::close(ruleset))
            .map_err(Fault::at(RESTRICT))
    }
}
