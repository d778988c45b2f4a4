//! What can go wrong before the child runs.

use std::path::PathBuf;

use sandbox_core::Errno;

use crate::Namespaces;

/// A namespace specification that cannot be prepared, or an id map that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The host name is empty, longer than 64 bytes, or has a character outside of `[A-Za-z0-9.-]`.
    #[error("host name {0:?} is not 1 to 64 letters, digits, dots and hyphens")]
    HostName(String),
    /// An option would act on the host, because its namespace is not unshared.
    #[error("{option} needs the namespace {needs:?}, or it would change the host's")]
    Shared {
        /// The option of the specification.
        option: &'static str,
        /// The namespace that it needs.
        needs: Namespaces,
    },
    /// An id map is empty, overlaps, overflows or has more than 340 lines.
    #[error("{map} is not a valid id map: {reason}")]
    Map {
        /// `uid_map` or `gid_map`.
        map: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The kernel refused a map.
    ///
    /// `EPERM`: the ids are not the writer's own, and it has no `CAP_SETUID`/`CAP_SETGID` over them, or `gid_map` came before
    /// `setgroups` was denied. `EINVAL`: ids that the parent namespace does not map.
    #[error("cannot write {}", path.display())]
    WriteMap {
        /// The file below `/proc/PID`.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: Errno,
    },
    /// Ranges beyond the caller's own id need the setuid helpers of the package uidmap (shadow-utils).
    #[error("cannot run {helper}: install the package uidmap, or map only your own id")]
    HelperMissing {
        /// `newuidmap` or `newgidmap`.
        helper: &'static str,
        /// Why it could not be started.
        #[source]
        source: Errno,
    },
    /// The helper refused: `/etc/subuid` or `/etc/subgid` does not give these ranges to the caller.
    #[error("{helper} refused the ranges: {message}")]
    HelperRefused {
        /// `newuidmap` or `newgidmap`.
        helper: &'static str,
        /// What it printed.
        message: String,
    },
}
