//! The code between `clone3(2)` and `execve(2)`.
//!
//! # Async-signal-safety
//! init is a copy of the embedder at one moment. Another of its threads may have held the allocator's lock, a `Mutex`, the
//! lock of stdout or of the dynamic linker; in the copy nobody will ever release it. So nothing here allocates, frees,
//! locks, panics, formats or logs. Everything comes compiled from the parent by shared reference, every way out is the
//! next state or sixteen bytes and `_exit`. Four things keep that promise: the `unsafe` of [`ChildStep`], the lints at the head
//! of each of these files, the test `child_no_alloc` with an allocator that refuses to serve the child, and the test
//! `fork_in_threads` with four threads in the allocator.
//!
//! # The chain
//! [`Child`] is a type-state: each transition takes the compiled step that it executes and gives the next state only if the
//! step succeeded. There is no flag that skips a step, and [`Child::execve`] exists on [`Sealed`] alone.
//!
//! [`ChildStep`]: sandbox_core::ChildStep

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

pub(crate) mod chain;
pub(crate) mod confine;
pub(crate) mod init;
pub(crate) mod receive;
pub(crate) mod report;

use core::{convert::Infallible, ffi::c_int};

use sandbox_core::{
    Process, Record, StepFailure,
    sys::{exit_now, send_record},
};

pub use chain::{
    Attached, Child, Cloned, Confined, DangerousChild, Frame, Framed, Isolated, Joined, Limited,
    Released, Sealed, State, Step, Unprivileged,
};

use crate::{plan::Plan, sys::process::getpid};

/// Exit status of init or payload when a stage failed. Nobody reads it: the record is the message.
const EXIT_SETUP_FAILED: c_int = 1;

/// The child's ends of the channels to the supervisor, by number.
#[derive(Debug, Clone, Copy)]
pub struct ChildChannel {
    /// Failures of set-up and the payload's proofs; closes at `execve(2)`.
    pub(crate) handshake: c_int,
    /// init's proofs, descriptors for the supervisor and the payload's end; closes when the box is gone.
    pub(crate) status: c_int,
    /// An eventfd that init raises when it is sealed.
    pub(crate) gate: c_int,
    /// A pidfd of the supervisor: readable when that is gone.
    pub(crate) supervisor: c_int,
}

/// An order of stages: what [`Sandbox::spawn`](crate::Sandbox::spawn) runs in the child.
pub type Chain = fn(Child<Cloned>, &Plan<'_>) -> Result<Infallible, StepFailure>;

/// The family's own chain.
///
/// # Errors
/// The stage and operation that failed. It returns in no other case: init stays inside [`Child::fork_payload`], the payload
/// becomes the program.
pub fn standard_chain(child: Child<Cloned>, plan: &Plan<'_>) -> Result<Infallible, StepFailure> {
    let (framed, frame) = child
        .await_release(plan.init)? //     Child<Released>      shed the embedder, id maps written
        .isolate(plan.namespaces)? //     Child<Isolated>      lo up, host name
        .frame_root(plan.root)?; //       Child<Framed>        the root without its binds
    let confined = framed
        .fork_payload(plan.init, frame, plan.namespaces)? // Child<Joined>  init stays, payload goes on
        .limit(plan.rlimits)? //          Child<Limited>
        .drop_privileges(plan.identity)? // Child<Unprivileged>  groups, ids, five capability sets
        .attach_stdio()? //               Child<Attached>      the run has come
        .confine(plan.landlock)?; //      Child<Confined>      init sealed, no_new_privs, Landlock
    let sealed = match plan.filter {
        Some(filter) => confined.seal(filter, plan.image)?,
        None => confined.dangerous().seal_unfiltered(plan.image)?,
    };
    sealed.execve(plan.image) //                      the family's only execve
}

/// Runs a chain and ends the process.
///
/// # Safety
/// Only in the child of the clone, once, and only with a chain that is async-signal-safe.
#[expect(unsafe_code, reason = "adopts the child")]
pub(crate) unsafe fn main(plan: &Plan<'_>, chain: Chain) -> ! {
    // SAFETY: promised by the caller.
    let child = unsafe { Child::adopt(plan.channel) };
    let Err(failure) = chain(child, plan);
    let speaker = if getpid() == 1 {
        Process::Init
    } else {
        Process::Payload
    };
    // A supervisor that is gone reads nothing; then the exit below is all that is left to do.
    _ = send_record(plan.channel.handshake, Record::Failed(speaker, failure));
    exit_now(EXIT_SETUP_FAILED)
}
