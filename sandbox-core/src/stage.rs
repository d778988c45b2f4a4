//! The ordered stages between `clone3(2)` and `execve(2)`.

use core::fmt;

/// One stage of a start. The order of the variants is the order of execution, the discriminants are wire format.
///
/// Which process runs a stage and why it stands where it stands: the table in the documentation of `sandbox-exec`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[repr(u8)]
#[non_exhaustive]
pub enum Stage {
    /// init: signal dispositions, session, and the descriptors of the embedder are shed.
    Adopt = 1,
    /// init: the supervisor has written the id maps and given the go.
    Release,
    /// init: host name and loopback.
    Namespaces,
    /// init: clones the payload.
    Fork,
    /// init: the new root is built, entered, and the host's tree detached.
    Root,
    /// init: gives up ids, capabilities and descriptors for good.
    Seal,
    /// payload: session, umask, keyring, scheduling.
    Session,
    /// payload: joins the cgroup of this run.
    Cgroup,
    /// payload: resource limits.
    Rlimits,
    /// payload: securebits, bounding set, groups, gid, uid.
    Credentials,
    /// payload: the capability sets, emptied and read back.
    Capabilities,
    /// payload: the run has come; its streams are 0, 1 and 2.
    Stdio,
    /// payload: waits until the root stands and init is sealed.
    Gate,
    /// payload: `no_new_privs`, read back.
    NoNewPrivs,
    /// payload: the Landlock domain, where one is asked for.
    Landlock,
    /// payload: working directory, entered with the payload's own rights.
    WorkDir,
    /// payload: every descriptor above 2 is closed or marked to close.
    CloseFds,
    /// payload: the seccomp filter.
    Seccomp,
    /// payload: the one `execve(2)`.
    Execve,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 19] = [
        Self::Adopt,
        Self::Release,
        Self::Namespaces,
        Self::Fork,
        Self::Root,
        Self::Seal,
        Self::Session,
        Self::Cgroup,
        Self::Rlimits,
        Self::Credentials,
        Self::Capabilities,
        Self::Stdio,
        Self::Gate,
        Self::NoNewPrivs,
        Self::Landlock,
        Self::WorkDir,
        Self::CloseFds,
        Self::Seccomp,
        Self::Execve,
    ];

    /// The stage with this wire number.
    #[must_use]
    pub fn from_wire(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| *stage as u8 == number)
    }

    /// This stage as a member of a [`StageSet`].
    #[must_use]
    pub const fn set(self) -> StageSet {
        StageSet::from_bits_retain(1 << (self as u8))
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

bitflags::bitflags! {
    /// A set of stages: bit `n` stands for the stage with discriminant `n`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct StageSet: u32 {
        const _ = !0;
    }
}

impl StageSet {
    /// The stages of the set, in the order of execution.
    pub fn stages(self) -> impl Iterator<Item = Stage> {
        Stage::ALL
            .into_iter()
            .filter(move |stage| self.contains(stage.set()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Stage, StageSet};

    #[test]
    fn wire_numbers_are_dense_and_ordered() {
        for (i, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, i + 1);
            assert_eq!(Stage::from_wire(stage as u8), Some(stage));
        }
        assert_eq!(Stage::from_wire(0), None);
        assert_eq!(Stage::from_wire(20), None);
    }

    #[test]
    fn sets_list_their_stages_in_order() {
        let set = Stage::Execve.set() | Stage::Adopt.set();
        assert_eq!(
            set.stages().collect::<Vec<_>>(),
            [Stage::Adopt, Stage::Execve]
        );
        assert_eq!(StageSet::empty().stages().count(), 0);
    }
}
