//! Every compiled part of one start, as the child sees it.

use core::{ffi::c_int, time::Duration};

use sandbox_fs::{LandlockPlan, RootPlan, Trees};
use sandbox_ns::NamespacePlan;
use sandbox_seccomp::Filter;

use crate::{
    child::ChildChannel,
    command::Image,
    process::{identity::IdentityPlan, rlimits::Rlimits},
};

/// The compiled parts of one start. Built in the parent before the clone and only read after it; what a chain passes to
/// the transitions of [`Child`](crate::child::Child). What belongs to one run alone, its streams, mounts and cgroup, comes to
/// init by descriptor when the rest stands.
#[derive(Debug)]
pub struct Plan<'s> {
    /// What init keeps and who it becomes.
    pub init: &'s InitPlan,
    /// Namespaces.
    pub namespaces: &'s NamespacePlan,
    /// The new root.
    pub root: &'s RootStart<'s>,
    /// Resource limits.
    pub rlimits: &'s Rlimits,
    /// The payload's ids.
    pub identity: &'s IdentityPlan,
    /// Landlock; `None` where none was asked for, or where it was optional and the kernel has none.
    pub landlock: Option<&'s LandlockPlan>,
    /// The filter; `None` only through [`Dangerous`](crate::Dangerous).
    pub filter: Option<&'s Filter>,
    /// The program, its arguments and environment.
    pub image: &'s Image,
    pub(crate) channel: ChildChannel,
}

/// The new root, and how init comes to it.
#[derive(Debug)]
pub struct RootStart<'s> {
    pub(crate) plan: &'s RootPlan,
    pub(crate) trees: Trees,
    /// Whether init is in a user namespace of its own.
    pub(crate) mapped: bool,
}

/// What init needs, compiled.
#[derive(Debug)]
pub struct InitPlan {
    /// The descriptors that survive init's first act, sorted.
    pub(crate) keep: Box<[c_int]>,
    /// The ids that init takes for good: others than the payload's, where the user namespace has others.
    pub(crate) identity: IdentityPlan,
    /// Whether the embedder is protected from the OOM killer, which the box must not inherit.
    pub(crate) reset_oom_score: bool,
    /// How long the box may live if nobody watches it: the wall limit with some slack. The supervisor's own clock comes
    /// first; this one is for an embedder that never waits.
    pub(crate) life: Option<Duration>,
    /// Whether init waits for the supervisor before it takes with it what the payload left behind: calls that the filter
    /// reports may wait there.
    pub(crate) lingers: bool,
}
