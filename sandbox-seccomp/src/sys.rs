//! The one system call of this crate. Runs between `clone3(2)` and `execve(2)`.

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
#![expect(unsafe_code, reason = "the system call module of this crate")]

use sandbox_core::{Errno, sys::check};

use crate::instruction::Instruction;

/// Installs a filter for the calling thread and all that it starts.
///
/// # Errors
/// `EACCES`: neither `no_new_privs` is set nor `CAP_SYS_ADMIN` held. `EINVAL`: the kernel has no seccomp filters, or the
/// program is empty, longer than 4096 or malformed. `ENOMEM`: the filters of this thread together pass 32 768 instructions.
///
/// # References
/// <https://man7.org/linux/man-pages/man2/seccomp.2.html>
pub(crate) fn seccomp_set_mode_filter(program: &[Instruction]) -> Result<(), Errno> {
    let Ok(len) = u16::try_from(program.len()) else {
        return Err(Errno::from_raw(libc::EINVAL));
    };
    let filter = libc::sock_fprog {
        len,
        // The kernel copies the program in and never writes to it.
        filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut(),
    };
    // SAFETY: `filter` describes `program`, a live slice of `len` instructions of the layout of `sock_filter`.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const filter,
        )
    };
    check(ret).map(drop)
}
