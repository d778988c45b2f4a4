//! A filter that reports: the payload's half of the way to the supervisor.

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

use sandbox_core::Fault;
use sandbox_seccomp::Filter;

use crate::sys::message::send_descriptor;

/// Operation of [`Stage::Seccomp`](sandbox_core::Stage::Seccomp) after all of the filter's.
pub(crate) const SEND_LISTENER: u16 = u16::MAX;

/// Installs a filter that reports, sends its listener home and waits until the supervisor has answered a call that only the
/// filter can have told it of.
///
/// The own copy of the listener closes at `execve(2)`. It goes by message, since an ordinary user may not take a descriptor
/// out of a payload that has changed its ids, nor anybody on a host that forbids tracing.
pub(super) fn install(filter: &Filter, handshake: c_int) -> Result<(), Fault> {
    let listener = filter.install_reporting()?;
    send_descriptor(handshake, listener).map_err(Fault::at(SEND_LISTENER))?;
    filter.greet()
}
