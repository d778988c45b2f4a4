//! Mount engine of a box: rules, tmpfs root, `pivot_root(2)`.
//!
//! A [`RootSpec`] is a list of wishes. [`RootSpec::prepare`] checks them, opens the sources with the requester's rights and
//! compiles a [`RootPlan`]. Per spawn [`RootPlan::instantiate`] makes a [`RootInstance`], which init (PID 1 of the box, in
//! mount and pid namespaces of its own) applies: then `/` is a read-only tmpfs with what the rules put there, and the
//! host's tree is detached.
//!
//! What to rely on:
//! - Nothing of the host can be reached that no rule names, by no path and with no right; mounts of the host below a bound
//!   directory come along unless [`MountFlags::NON_RECURSIVE`] says otherwise, restricted like the bind itself.
//! - Nothing is left on the host: no directory, no mount. All of it goes with the box's mount namespace.
//! - Without [`MountFlags::WRITABLE`] nothing can be written, on no level below a bind.
//!
//! # Kernel
//! 5.9; [`sandbox_core::Host::probe`] says so at once. Before 5.12, without `mount_setattr(2)`, the flags of a bind are set on
//! each of its mounts, by init, and proved; a mount below the source that another one covers is then an error, and so is a
//! bind with other ids.

mod apply;
mod bounds;
mod child;
mod clear;
mod compile;
mod delegate;
mod descriptor;
mod dev;
mod entries;
mod error;
mod flags;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gather;
mod give;
mod idmap;
mod item;
mod keep;
mod kernel_fs;
mod landlock;
mod mount_list;
mod one_by_one;
mod op;
mod overlay;
mod plan;
mod put;
mod quota;
mod quota_news;
mod reach;
mod resolver;
mod root;
mod rule;
mod schema;
mod source;
mod sys;
mod target;
mod tree;
mod walk;

pub use bounds::Bounds;
pub use child::RootFrame;
pub use error::{Bound, Conflict, Error, TargetProblem};
pub use flags::MountFlags;
pub use keep::{KeptDir, KeptEntry, KeptKind, Owned, Owner};
pub use landlock::{Landlock, LandlockPlan};
pub use plan::{MAX_BINDS, RootInstance, RootPlan, Trees};
pub use quota::{DiskLimit, DiskQuota, Holder};
pub use root::RootSpec;
pub use rule::{FileMode, IdMapping, ProcView, Quota, Requester, Rule, Upper};
