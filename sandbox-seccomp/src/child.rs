//! The filter's step in the child. Runs between `clone3(2)` and `execve(2)`.

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

use sandbox_core::{ChildStep, Errno, Fault, Stage};

use crate::{Filter, sys};

pub(crate) const INSTALL: u16 = 0;
pub(crate) const INSTALL_REPORTING: u16 = 1;
pub(crate) const GREET: u16 = 2;

// SAFETY: `apply` reads the compiled program and makes one raw system call; nothing is allocated, locked or written.
#[expect(unsafe_code, reason = "promises that `apply` is async-signal-safe")]
unsafe impl ChildStep for Filter {
    const STAGE: Stage = Stage::Seccomp;

    /// Installs the filter. `no_new_privs` must be set before. `EINVAL` where it [reports](Filter::reports): without a listener
    /// such calls would fail and nobody be told.
    fn apply(&self) -> Result<(), Fault> {
        if self.reports() {
            return Err(Fault::at(INSTALL)(Errno::from_raw(libc::EINVAL)));
        }
        sys::seccomp_set_mode_filter(self.program(), 0)
            .map(drop)
            .map_err(Fault::at(INSTALL))
    }
}

/// The step of a filter that [reports](Filter::reports). Async-signal-safe, as the one of others is.
impl Filter {
    /// Installs the filter: a descriptor, close-on-exec, which is to become the [`Listener`](crate::Listener) of another process
    /// (`SCM_RIGHTS`, unix(7)). `no_new_privs` must be set before.
    ///
    /// # Errors
    /// `EBUSY`: a filter of this process has a listener already; the kernel has one at most for all filters of a process.
    /// `EMFILE`: `RLIMIT_NOFILE` leaves no number for it. `EACCES`: `no_new_privs` is not set. `EINVAL`: the kernel has no
    /// listeners, or no filters at all.
    ///
    /// # Kernel
    /// Linux 5.0. Before 5.19 a call that waits for its answer is interrupted by signals, made again and reported again.
    ///
    /// # References
    /// <https://man7.org/linux/man-pages/man2/seccomp.2.html>
    pub fn install_reporting(&self) -> Result<c_int, Fault> {
        let flags = sys::NEW_LISTENER | sys::WAIT_KILLABLE;
        match sys::seccomp_set_mode_filter(self.program(), flags) {
            Err(errno) if errno.raw() == libc::EINVAL => {
                sys::seccomp_set_mode_filter(self.program(), sys::NEW_LISTENER)
            }
            other => other,
        }
        .map_err(Fault::at(INSTALL_REPORTING))
    }

    /// Makes a call that the filter reports, and waits until the supervisor has [answered](crate::Listener::greet_back): then
    /// reports arrive.
    ///
    /// # Errors
    /// `ENOSYS`: there is no listener any more. `EPROTO`: something else answered.
    pub fn greet(&self) -> Result<(), Fault> {
        match sys::greet().map_err(Fault::at(GREET))? {
            sys::GREETED if self.reports() => Ok(()),
            _ => Err(Fault::at(GREET)(Errno::from_raw(libc::EPROTO))),
        }
    }
}
