//! Seccomp profiles of containers: the JSON files of Docker and Podman, and the `seccomp` object of the OCI runtime
//! specification.
//!
//! [`Profile`] is such a file as data; it is read and written with any serde format, which is JSON in practice.
//! [`Profile::import`] makes a [`Policy`](crate::Policy) of it, [`Profile::export`] the other way round.
//!
//! ```
//! use sandbox_seccomp::oci::{Profile, Target};
//! let text = r#"{
//!     "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
//!     "syscalls": [
//!         {"names": ["read", "write", "execve", "sendto", "exit_group", "no_such_call"], "action": "SCMP_ACT_ALLOW"},
//!         {"names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT"]}}
//!     ]
//! }"#;
//! let profile: Profile = serde_json::from_str(text)?;
//! let imported = profile.import(&Target::native((6, 1))?)?;
//! assert_eq!(imported.unknown[0].name, "no_such_call");
//! let filter = imported.policy.prepare()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The imported policy decides about the calls of this architecture exactly as libseccomp does once runc or crun have handed it
//! the profile: rules of the same action as the default say nothing, the first rule without arguments decides whatever else is
//! said about its call, conditions on one argument twice are alternatives.
//!
//! runc puts a program of its own before libseccomp's: under it, calls with a greater number than any that the profile names
//! fail with `ENOSYS`, unless the default permits calls or is that errno itself. Here they get the default; where
//! libraries are to find an old kernel, `defaultErrnoRet` 38 says so.
//!
//! A libseccomp that is older than a call leaves its name out, and the call gets the default (2.5.4 knows those up to 450, of Linux
//! 5.17). This crate decides about every call that it knows as the profile says.
//!
//! What is other than in libseccomp, and stricter:
//! * Calls of the tables that `archMap` adds (i386, x32) kill, as with every filter of this crate;
//!   [`Imported::killed_architectures`] names them.
//! * Rules of one call that overlap with different actions are [`Error::Conflict`]. libseccomp takes one of them, by the
//!   order of its tree.
//! * A name that this crate does not know is in [`Imported::unknown`]. Where it is to be refused while the default
//!   allows, it is [`Error::CannotRefuse`]: it may be a call of this kernel.
//! * Calls of foreign tables that the profile does not add kill the process; libseccomp ends the thread, which leaves a
//!   process that hangs.
//! * `SCMP_ACT_TRACE`, `SCMP_ACT_NOTIFY` and the path and metadata of a listener are [`Error::NoListener`].
//!
//! Flags of seccomp(2) decide nothing and are not used: [`Imported::unused_flags`] names them.

mod cubes;
mod error;
mod export;
mod import;
mod overlap;
mod profile;
mod target;

pub use error::Error;
pub use import::{Imported, UnknownName};
pub use profile::{ArchMap, Arg, Entry, Operator, Profile, ProfileAction, Selector};
pub use target::Target;

#[cfg(test)]
mod tests;
