//! The compiled namespaces.

use sandbox_core::Explain;

use crate::{Error, NamespaceSpec, Namespaces, UserMap, apply};

/// Operations of the stage, by their index in a fault.
pub(crate) const SET_GID: u16 = 0;
pub(crate) const SET_UID: u16 = 1;
pub(crate) const HOST_NAME: u16 = 2;
pub(crate) const LOOPBACK_SOCKET: u16 = 3;
pub(crate) const LOOPBACK_UP: u16 = 4;
pub(crate) const CGROUP: u16 = 5;
pub(crate) const NET: u16 = 6;

/// Namespaces, checked and compiled: flags for the clone, id maps for the parent, a step for init.
#[derive(Debug)]
pub struct NamespacePlan {
    pub(crate) unshare: Namespaces,
    pub(crate) host_name: Option<Box<[u8]>>,
    pub(crate) loopback: bool,
    pub(crate) init_ids: Option<(u32, u32)>,
    user_map: Option<UserMap>,
}

impl NamespacePlan {
    pub(crate) fn new(spec: &NamespaceSpec) -> Self {
        Self {
            unshare: spec.unshare,
            host_name: spec.host_name.as_ref().map(|name| name.as_bytes().into()),
            loopback: spec.loopback,
            init_ids: spec.user_map.as_ref().map(UserMap::init_ids),
            user_map: spec.user_map.clone(),
        }
    }

    /// The `CLONE_NEW*` flags for `clone3(2)`: without those of the network and cgroup namespaces, which the child takes.
    ///
    /// # References
    /// <https://man7.org/linux/man-pages/man2/clone.2.html>
    #[must_use]
    pub fn clone_flags(&self) -> u64 {
        self.unshare.clone_flags()
    }

    /// The namespaces that are not shared.
    #[must_use]
    pub fn namespaces(&self) -> Namespaces {
        self.unshare
    }

    /// The id maps, where there is a user namespace.
    #[must_use]
    pub fn user_map(&self) -> Option<&UserMap> {
        self.user_map.as_ref()
    }

    /// Writes `setgroups`, `gid_map` and `uid_map` of the process `pid`. For the parent, while the child waits; does
    /// nothing where there is no user namespace.
    ///
    /// # Errors
    /// [`Error::WriteMap`], [`Error::HelperMissing`] or [`Error::HelperRefused`]; the child must then not be released.
    pub fn write_id_maps(&self, pid: u32) -> Result<(), Error> {
        self.user_map.as_ref().map_or(Ok(()), |map| map.write(pid))
    }
}

impl Explain for NamespacePlan {
    fn explain(&self, index: u16) -> String {
        match index {
            SET_GID => format!(
                "setresgid to mapped id {}",
                self.init_ids.map_or(0, |ids| ids.1)
            ),
            SET_UID => format!(
                "setresuid to mapped id {}",
                self.init_ids.map_or(0, |ids| ids.0)
            ),
            HOST_NAME => {
                let name = self.host_name.as_deref().unwrap_or_default();
                format!("sethostname {:?}", String::from_utf8_lossy(name))
            }
            LOOPBACK_SOCKET => "socket for the loopback interface".to_owned(),
            LOOPBACK_UP => format!("bring {} up", apply::LOOPBACK),
            CGROUP => "unshare the cgroup namespace".to_owned(),
            NET => "unshare the network namespace".to_owned(),
            other => format!("operation {other} of the namespaces"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NET, NamespaceSpec};
    use sandbox_core::Explain as _;

    #[test]
    fn every_operation_has_a_name() {
        let plan = NamespaceSpec::default().prepare().unwrap();
        for index in 0..=NET {
            assert!(!plan.explain(index).contains("operation"), "{index}");
        }
        assert_eq!(plan.explain(2), "sethostname \"box\"");
        assert!(plan.explain(NET + 1).contains("operation"));
    }
}
