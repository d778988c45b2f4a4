//! The policies that come with the crate, by name.

/// A policy that comes with the crate; `Policy::from(preset)` makes it.
///
/// | Preset | For | Processes | Sockets |
/// |---|---|---|---|
/// | `Judge` | untrusted programs of any language, and compilers | yes | local, TCP, UDP |
/// | `StrictCompute` | a native solution that computes, reads and prints | threads only, and no other program; others kill | kill |
/// | `Interpreter` | a script and its runtime | threads only; others fail | local |
/// | `Compiler` | a compiler of untrusted source | yes | local |
/// | `PermissiveDeny` | programs that one mostly trusts | yes | all but vsock |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Preset {
    /// [`Policy::judge`](crate::Policy::judge).
    Judge,
    /// [`Policy::strict_compute`](crate::Policy::strict_compute).
    StrictCompute,
    /// [`Policy::interpreter`](crate::Policy::interpreter).
    Interpreter,
    /// [`Policy::compiler`](crate::Policy::compiler).
    Compiler,
    /// [`Policy::permissive_deny`](crate::Policy::permissive_deny).
    PermissiveDeny,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 5] = [
        Self::Judge,
        Self::StrictCompute,
        Self::Interpreter,
        Self::Compiler,
        Self::PermissiveDeny,
    ];
}
