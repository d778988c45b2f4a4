//! Resource limits: every one is set, none is inherited from the embedder.

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

use core::{ffi::c_int, hint::black_box};

use sandbox_core::{ChildStep, Errno, Fault, Stage};

use crate::sys::process::{getrlimit, setrlimit};

/// The limits of getrlimit(2) by number, in the order in which they are set.
pub(crate) const RESOURCES: [(c_int, &str); 16] = [
    (resource(libc::RLIMIT_CORE), "RLIMIT_CORE"),
    (resource(libc::RLIMIT_CPU), "RLIMIT_CPU"),
    (resource(libc::RLIMIT_DATA), "RLIMIT_DATA"),
    (resource(libc::RLIMIT_FSIZE), "RLIMIT_FSIZE"),
    (resource(libc::RLIMIT_LOCKS), "RLIMIT_LOCKS"),
    (resource(libc::RLIMIT_MEMLOCK), "RLIMIT_MEMLOCK"),
    (resource(libc::RLIMIT_MSGQUEUE), "RLIMIT_MSGQUEUE"),
    (resource(libc::RLIMIT_NICE), "RLIMIT_NICE"),
    (resource(libc::RLIMIT_NOFILE), "RLIMIT_NOFILE"),
    (resource(libc::RLIMIT_NPROC), "RLIMIT_NPROC"),
    (resource(libc::RLIMIT_RSS), "RLIMIT_RSS"),
    (resource(libc::RLIMIT_RTPRIO), "RLIMIT_RTPRIO"),
    (resource(libc::RLIMIT_RTTIME), "RLIMIT_RTTIME"),
    (resource(libc::RLIMIT_SIGPENDING), "RLIMIT_SIGPENDING"),
    (resource(libc::RLIMIT_STACK), "RLIMIT_STACK"),
    // Last: under a small one, set-up itself can map nothing more.
    (resource(libc::RLIMIT_AS), "RLIMIT_AS"),
];

/// glibc and musl disagree on the type of the constants.
#[expect(clippy::cast_possible_wrap, reason = "the numbers are 0 to 15")]
const fn resource(number: libc::__rlimit_resource_t) -> c_int {
    number as c_int
}

/// Index of the first read-back operation; before it come the settings.
pub(crate) const VERIFY: u16 = 16;

/// How much stack set-up may still need after the address space is limited.
const STACK_FOR_SETUP: usize = 64 << 10;

/// A value for each of the sixteen limits, soft and hard alike.
#[derive(Debug)]
pub struct Rlimits {
    pub(crate) values: [u64; 16],
}

// SAFETY: system calls on plain values; no allocation, lock or panic, nothing is written through `self`.
#[expect(unsafe_code, reason = "the promise of an async-signal-safe step")]
unsafe impl ChildStep for Rlimits {
    const STAGE: Stage = Stage::Rlimits;

    fn apply(&self) -> Result<(), Fault> {
        touch_stack();
        for (index, ((resource, _), value)) in (0_u16..).zip(RESOURCES.iter().zip(&self.values)) {
            setrlimit(*resource, *value).map_err(Fault::at(index))?;
        }
        for (index, ((resource, _), value)) in (VERIFY..).zip(RESOURCES.iter().zip(&self.values)) {
            let now = getrlimit(*resource).map_err(Fault::at(index))?;
            if now != (*value, *value) {
                return Err(Fault {
                    index,
                    errno: Errno::from_raw(libc::EPERM),
                });
            }
        }
        Ok(())
    }
}

/// Makes the stack that the later stages need resident: below a small `RLIMIT_AS` it could not grow any more.
#[inline(never)]
fn touch_stack() {
    let mut page = [0_u8; STACK_FOR_SETUP];
    black_box(&mut page);
}
