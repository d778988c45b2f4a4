//! Which namespaces a box gets.

use core::ffi::c_int;

use crate::{Error, NamespacePlan, UserMap};

bitflags::bitflags! {
    /// Kinds of namespaces, see namespaces(7).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    pub struct Namespaces: u32 {
        /// Mount points.
        const MOUNT = 1;
        /// Process ids.
        const PID = 1 << 1;
        /// Network devices, addresses, ports, abstract unix sockets.
        const NET = 1 << 2;
        /// System V IPC and POSIX message queues.
        const IPC = 1 << 3;
        /// Host and domain name.
        const UTS = 1 << 4;
        /// Root of the visible cgroup tree.
        const CGROUP = 1 << 5;
        /// User and group ids, capabilities.
        const USER = 1 << 6;
    }
}

impl Namespaces {
    /// The flags for `clone3(2)`. `CGROUP` is not among them: it is taken after the payload has joined its cgroup. Nor is
    /// `NET`: it takes longer than all others together, and init makes it while the parent goes on.
    pub(crate) fn clone_flags(self) -> u64 {
        let table: [(Self, c_int); 5] = [
            (Self::MOUNT, libc::CLONE_NEWNS),
            (Self::PID, libc::CLONE_NEWPID),
            (Self::IPC, libc::CLONE_NEWIPC),
            (Self::UTS, libc::CLONE_NEWUTS),
            (Self::USER, libc::CLONE_NEWUSER),
        ];
        table
            .into_iter()
            .filter(|(kind, _)| self.contains(*kind))
            .fold(0, |flags, (_, flag)| flags | u64::from(flag.unsigned_abs()))
    }
}

/// The namespaces of a box and what is set up in them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct NamespaceSpec {
    /// The namespaces that the box does not share with the embedder.
    pub unshare: Namespaces,
    /// Host name inside; needs `UTS`.
    pub host_name: Option<String>,
    /// Brings `lo` up, with 127.0.0.1 and `::1`; needs `NET`.
    pub loopback: bool,
    /// Id maps of the user namespace; needs `USER`, and `USER` needs it.
    pub user_map: Option<UserMap>,
}

impl Default for NamespaceSpec {
    /// All namespaces but `USER`, host name `box`, `lo` up.
    fn default() -> Self {
        Self {
            unshare: Namespaces::all() - Namespaces::USER,
            host_name: Some("box".to_owned()),
            loopback: true,
            user_map: None,
        }
    }
}

impl NamespaceSpec {
    /// Checks the specification and compiles it.
    ///
    /// # Errors
    /// [`Error::HostName`], [`Error::Map`] for values that the kernel would refuse; [`Error::Shared`] where an option would
    /// act on a namespace of the host.
    pub fn prepare(&self) -> Result<NamespacePlan, Error> {
        let needs = [
            ("a host name", self.host_name.is_some(), Namespaces::UTS),
            ("loopback", self.loopback, Namespaces::NET),
            ("an id map", self.user_map.is_some(), Namespaces::USER),
        ];
        for (option, wanted, needs) in needs {
            if wanted && !self.unshare.contains(needs) {
                return Err(Error::Shared { option, needs });
            }
        }
        if let Some(name) = &self.host_name {
            let fits = (1..=64).contains(&name.len());
            let plain = name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
            if !fits || !plain {
                return Err(Error::HostName(name.clone()));
            }
        }
        match (&self.user_map, self.unshare.contains(Namespaces::USER)) {
            (Some(map), _) => map.validate()?,
            (None, true) => {
                return Err(Error::Map {
                    map: "uid_map",
                    reason: "a user namespace needs one",
                });
            }
            (None, false) => {}
        }
        Ok(NamespacePlan::new(self))
    }
}

#[cfg(test)]
mod tests {
    use super::{NamespaceSpec, Namespaces};
    use crate::{Error, UserMap};

    #[test]
    fn an_option_never_acts_on_the_host() {
        for missing in [Namespaces::UTS, Namespaces::NET] {
            let mut spec = NamespaceSpec::default();
            spec.unshare -= missing;
            let error = spec.prepare().unwrap_err();
            assert!(
                matches!(error, Error::Shared { needs, .. } if needs == missing),
                "{error}"
            );
        }
        let spec = NamespaceSpec {
            user_map: Some(UserMap::own()),
            ..NamespaceSpec::default()
        };
        assert!(matches!(spec.prepare(), Err(Error::Shared { .. })));
    }

    #[test]
    fn host_names_are_checked() {
        let long = "x".repeat(65);
        for name in ["", "a b", "a\0b", "ä", long.as_str()] {
            let spec = NamespaceSpec {
                host_name: Some(name.to_owned()),
                ..NamespaceSpec::default()
            };
            assert!(
                matches!(spec.prepare(), Err(Error::HostName(_))),
                "{name:?}"
            );
        }
    }

    #[test]
    fn cgroup_is_no_clone_flag() {
        assert_eq!(Namespaces::CGROUP.clone_flags(), 0);
        let all = Namespaces::all().clone_flags();
        assert_eq!(all & libc::CLONE_NEWCGROUP.unsigned_abs() as u64, 0);
        assert_ne!(all & libc::CLONE_NEWUSER.unsigned_abs() as u64, 0);
    }

    #[test]
    fn a_user_namespace_needs_a_map() {
        let spec = NamespaceSpec {
            unshare: Namespaces::all(),
            ..NamespaceSpec::default()
        };
        assert!(matches!(spec.prepare(), Err(Error::Map { .. })));
    }
}
