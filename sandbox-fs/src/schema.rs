//! Which version of the rules stored data is written in.

/// The version of the rules that this crate knows: 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "u32", into = "u32")
)]
pub(crate) struct Schema;

/// Data of a version that this crate does not know, and might misread.
#[cfg(feature = "serde")]
#[derive(Debug, thiserror::Error)]
#[error("rules of schema {0}; this version knows schema 1")]
pub(crate) struct UnknownSchema(u32);

#[cfg(feature = "serde")]
impl TryFrom<u32> for Schema {
    type Error = UnknownSchema;

    fn try_from(number: u32) -> Result<Self, UnknownSchema> {
        (number == 1).then_some(Self).ok_or(UnknownSchema(number))
    }
}

#[cfg(feature = "serde")]
impl From<Schema> for u32 {
    fn from(_: Schema) -> Self {
        1
    }
}
