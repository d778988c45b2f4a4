//! What init does in its new namespaces, and the payload in its cgroup namespace.

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

use crate::{NamespacePlan, Namespaces, plan, sys};

/// The one interface of a fresh network namespace; it starts down.
pub(crate) const LOOPBACK: &str = "lo";

// SAFETY: system calls on plain values and on memory of the plan; no allocation, lock or panic, nothing is written.
#[expect(unsafe_code, reason = "the promise of an async-signal-safe step")]
unsafe impl ChildStep for NamespacePlan {
    const STAGE: Stage = Stage::Namespaces;

    fn apply(&self) -> Result<(), Fault> {
        if let Some((uid, gid)) = self.init_ids {
            sys::setresgid(gid).map_err(Fault::at(plan::SET_GID))?;
            sys::setresuid(uid).map_err(Fault::at(plan::SET_UID))?;
        }
        if self.unshare.contains(Namespaces::NET) {
            sys::unshare(libc::CLONE_NEWNET).map_err(Fault::at(plan::NET))?;
        }
        if let Some(name) = &self.host_name {
            sys::sethostname(name).map_err(Fault::at(plan::HOST_NAME))?;
        }
        if self.loopback {
            // The kernel gives ::1 to the interface by itself when it comes up, as it does 127.0.0.1.
            let socket = sys::inet_socket().map_err(Fault::at(plan::LOOPBACK_SOCKET))?;
            let up = sys::set_interface_up(socket, LOOPBACK.as_bytes());
            sys::close(socket).map_err(Fault::at(plan::LOOPBACK_SOCKET))?;
            up.map_err(Fault::at(plan::LOOPBACK_UP))?;
        }
        Ok(())
    }
}

impl NamespacePlan {
    /// Takes the cgroup namespace, in the payload, after it has joined its cgroup.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SYS_ADMIN`, `EINVAL` on a kernel without cgroup namespaces.
    ///
    /// # Kernel
    /// Linux 4.6.
    pub fn unshare_cgroup(&self) -> Result<(), Fault> {
        if !self.unshare.contains(Namespaces::CGROUP) {
            return Ok(());
        }
        sys::unshare(libc::CLONE_NEWCGROUP).map_err(Fault::at(plan::CGROUP))
    }
}
