//! A profile as data.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};

/// A seccomp profile: Docker's and Podman's file, and `linux.seccomp` of an OCI container.
///
/// A field that is none of theirs is an error, and so is a field of the wrong type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Profile {
    /// What happens to a call that no entry decides.
    pub default_action: ProfileAction,
    /// The errno of the default action; `EPERM` where missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// The same by name, as Podman has it; goes before the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno: Option<String>,
    /// Architectures whose tables are decided by the entries, as libseccomp names them (`SCMP_ARCH_X86`).
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub architectures: Vec<String>,
    /// The same, per architecture of the machine.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub arch_map: Vec<ArchMap>,
    /// Flags of seccomp(2): [`Imported::unused_flags`](super::Imported::unused_flags).
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub flags: Vec<String>,
    /// The socket of a listener for `SCMP_ACT_NOTIFY`, which no import has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_path: Option<String>,
    /// What the listener is told; an import refuses it as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_metadata: Option<String>,
    /// The entries.
    #[serde(default, deserialize_with = "nullable")]
    pub syscalls: Vec<Entry>,
}

/// Which tables belong to an architecture.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct ArchMap {
    /// The machine's.
    pub architecture: String,
    /// The others that its kernel has.
    #[serde(default, deserialize_with = "nullable")]
    pub sub_architectures: Vec<String>,
}

/// One entry of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Entry {
    /// The call, in files of old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The calls.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub names: Vec<String>,
    /// What happens.
    pub action: ProfileAction,
    /// The errno of `SCMP_ACT_ERRNO`; `EPERM` where missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// The same by name, as Podman has it; goes before the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
    /// Conditions on arguments.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub args: Vec<Arg>,
    /// For readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Where the entry counts.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Selector::is_empty"
    )]
    pub includes: Selector,
    /// Where it does not.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Selector::is_empty"
    )]
    pub excludes: Selector,
}

/// Where an entry counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Selector {
    /// Capabilities of the process.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "BTreeSet::is_empty"
    )]
    pub caps: BTreeSet<String>,
    /// Architectures of the machine, as Go names them (`amd64`).
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "BTreeSet::is_empty"
    )]
    pub arches: BTreeSet<String>,
    /// The oldest kernel, as `major.minor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_kernel: Option<String>,
}

impl Selector {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A condition on an argument, always of 64 bits and unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Arg {
    /// Which argument, 0 to 5.
    pub index: u32,
    /// The value; for `SCMP_CMP_MASKED_EQ` the mask.
    pub value: u64,
    /// The value that `SCMP_CMP_MASKED_EQ` wants.
    #[serde(default)]
    pub value_two: u64,
    /// The comparison.
    pub op: Operator,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "libseccomp's names say it")]
#[non_exhaustive]
pub enum Operator {
    #[serde(rename = "SCMP_CMP_NE")]
    Ne,
    #[serde(rename = "SCMP_CMP_LT")]
    Lt,
    #[serde(rename = "SCMP_CMP_LE")]
    Le,
    #[serde(rename = "SCMP_CMP_EQ")]
    Eq,
    #[serde(rename = "SCMP_CMP_GE")]
    Ge,
    #[serde(rename = "SCMP_CMP_GT")]
    Gt,
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEq,
}

/// What a profile does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ProfileAction {
    /// The thread dies: libseccomp's name of old for the next one.
    #[serde(rename = "SCMP_ACT_KILL")]
    Kill,
    /// The thread dies.
    #[serde(rename = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    /// The process dies.
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    /// The thread gets `SIGSYS`.
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    /// The call fails.
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    /// A tracer decides.
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    /// The call is made.
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    /// The call is made and logged.
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    /// A listener decides.
    #[serde(rename = "SCMP_ACT_NOTIFY")]
    Notify,
}

/// `null` is what Go writes for an empty list.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
