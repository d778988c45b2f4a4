//! Session, signals, keyring, scheduling: what a fresh process must not inherit from the embedder.

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

use sandbox_core::Fault;

use crate::sys::{descriptors, process, signals};

pub(crate) const NEW_SESSION: u16 = 0;
pub(crate) const KEYRING: u16 = 1;
pub(crate) const SCHEDULER: u16 = 2;
pub(crate) const IO_PRIORITY: u16 = 3;
pub(crate) const PERSONALITY: u16 = 4;
pub(crate) const TIMER_SLACK: u16 = 5;
pub(crate) const DISPOSITIONS: u16 = 6;
pub(crate) const CLOSE: u16 = 7;
pub(crate) const OOM_SCORE: u16 = 8;

/// File mode mask of the payload: others may read, nobody but the payload may write.
const UMASK: libc::mode_t = 0o022;

/// The kernel's default. Asking for 0 would restore the creator's value instead.
const TIMER_SLACK_NS: core::ffi::c_ulong = 50_000;

/// The payload's own session, with nothing of the embedder's in it. The signal mask stays blocked until the last stage.
pub(crate) fn start_payload() -> Result<(), Fault> {
    process::setsid().map_err(Fault::at(NEW_SESSION))?;
    process::umask(UMASK);
    // The embedder's session keyring would be readable by any uid.
    process::join_new_session_keyring().map_err(Fault::at(KEYRING))?;
    process::reset_scheduler().map_err(Fault::at(SCHEDULER))?;
    process::reset_io_priority().map_err(Fault::at(IO_PRIORITY))?;
    process::reset_personality().map_err(Fault::at(PERSONALITY))?;
    process::prctl(libc::PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0)
        .map_err(Fault::at(TIMER_SLACK))
        .map(drop)
}

/// init's first act, before anything can block: its dispositions, its session, and none of the embedder's descriptors.
/// init never execs, so close-on-exec closes nothing in it; another launch's sockets would stay open.
pub(crate) fn start_init(keep: &[core::ffi::c_int], reset_oom_score: bool) -> Result<(), Fault> {
    signals::reset_dispositions().map_err(Fault::at(DISPOSITIONS))?;
    process::setsid().map_err(Fault::at(NEW_SESSION))?;
    descriptors::close_all_but(3, keep).map_err(Fault::at(CLOSE))?;
    if reset_oom_score {
        // The host's /proc is still in place, and raising the own value needs no capability.
        let file =
            descriptors::open_write(c"/proc/self/oom_score_adj").map_err(Fault::at(OOM_SCORE))?;
        descriptors::write(file, b"0").map_err(Fault::at(OOM_SCORE))?;
        descriptors::close(file).map_err(Fault::at(OOM_SCORE))?;
    }
    Ok(())
}
