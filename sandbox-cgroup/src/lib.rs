//! One cgroup per run, in every hierarchy that serves it: v1, v2 and hybrid hosts as one model.
//!
//! [`Hierarchies`] says which hierarchy serves which controller. [`Cgroup::create`] makes a fresh group in each hierarchy
//! that the [`Limits`](sandbox_core::Limits) need, writes every limit and reads it back. [`Cgroup::prepare`] gives the
//! [`Entry`] by which the payload joins, [`Cgroup::usage`] what the run used, [`Cgroup::destroy`] removes it.
//!
//! ```no_run
//! use sandbox_cgroup::{Cgroup, CgroupParent, Hierarchies};
//! use sandbox_core::{Bytes, Limits};
//!
//! let limits = Limits::default().memory(Bytes::mib(64)).processes(16);
//! let cgroup = Cgroup::create(Hierarchies::host()?, &CgroupParent::Root, &limits)?;
//! let entry = cgroup.prepare()?; // goes into the child, which calls `apply`
//! println!("{:?}", cgroup.usage().memory_peak);
//! cgroup.destroy()?;
//! # drop(entry);
//! # Ok::<(), sandbox_cgroup::Error>(())
//! ```
//!
//! # What a cgroup does not limit
//! It is no boundary: it counts and caps what processes use, and hides nothing from them. It does not stop a process at a
//! CPU time (the supervisor watches [`Cgroup::cpu_time`]), does not count time asleep, and does not limit the number or
//! size of files outside of tmpfs.
//!
//! # Names, and what a dead owner leaves
//! A group is called `sandbox-<16 hexadecimal digits>-<pid of its creator>`; only the random part makes it unique. The
//! creator opens the new directory and holds `flock(LOCK_EX)` on it for the group's life; the kernel gives the lock
//! back however the creator dies, so no lock file and no process id has to be trusted. [`collect_orphans`] tries each
//! lock: who gets it has found a dead owner's group and removes it.
//!
//! Between `mkdir` and `flock` the group looks dead. Hence the creator waits for the lock, then compares the inode behind
//! the path with the one that it locked; where a collector was faster, it starts again under a new name.
//!
//! A copy of the embedder (`fork` without exec) shares the lock until it closes the descriptor, executes a program or
//! ends; until then the group counts as alive. The descriptors are close-on-exec and none of them is in
//! [`Entry::descriptors`].

mod cgroup;
mod charge;
mod counter;
mod delegation;
mod entry;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hierarchy;
mod host_limits;
mod join;
mod kill;
mod mountinfo;
mod node;
mod orphans;
mod parent;
mod reach;
mod setting;
mod sys;
mod v1;
mod v2;
mod wanted;

pub use cgroup::{Cgroup, Usage};
pub use delegation::Delegation;
pub use entry::Entry;
pub use error::{Error, Missing};
pub use hierarchy::Hierarchies;
pub use join::Join;
pub use orphans::collect_orphans;
pub use parent::CgroupParent;
