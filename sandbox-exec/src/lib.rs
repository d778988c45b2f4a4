//! Runs one program in a sandbox: builder, child chain, supervisor, evidence.
//!
//! ```no_run
//! use sandbox_exec::{
//!     Bytes, Command, Identity, Limits, MountFlags, Policy, Quota, RootSpec, Sandbox, Stdin,
//! };
//! use std::time::Duration;
//!
//! let quota = Quota { bytes: Bytes::mib(16), inodes: 1_000 };
//! let sandbox = Sandbox::builder()
//!     .root(RootSpec::minimal(quota).bind("/srv/submission", "box", MountFlags::empty()))
//!     .identity(Identity::new(60_042, 60_042))
//!     .limits(Limits::default().cpu_time(Duration::from_secs(2)).memory(Bytes::mib(256)))
//!     .policy(Policy::judge())
//!     .command(&Command::new("/box/a.out").work_dir("/box"))?;
//! let finished = sandbox.run(Stdin::Bytes(b"1 2\n".to_vec()), Bytes::mib(8))?;
//! println!("{:?}", finished.outcome.judgement);
//! # Ok::<(), sandbox_exec::Error>(())
//! ```
//!
//! # Processes
//! ```text
//! supervisor (the embedder's process, any thread)
//!   └ clone3 with all namespaces
//!     init, PID 1: builds the box, seals itself, reaps, reports; its end is the end of the box
//!       └ clone3 into the cgroup of the run
//!         payload, PID 2: joins, attaches, limits, drops, filters, becomes the program
//! ```
//! PID 1 is ours, because a program as PID 1 cannot be ended by the default action of a signal: `abort()` would end in
//! SIGSEGV. init is in no cgroup of the run, so it is neither charged nor killed with it, and can still report.
//!
//! # Stages
//! The only place that states their order; [`Stage`] has the same.
//!
//! | # | Stage | process | it stands after, because | it stands before, because |
//! |---|---|---|---|---|
//! | 1 | `Adopt` | init | | anything can block: another launch's sockets must not stay open in here |
//! | 2 | `Release` | init | the supervisor writes the id maps | any privileged call in a user namespace |
//! | 3 | `Namespaces` | init | its ids are mapped | needs `CAP_SYS_ADMIN`, `CAP_NET_ADMIN` |
//! | 4 | `Fork` | init | the way into the cgroup has come, and what can be made of the root without the run | the payload must not be PID 1 |
//! | 5 | `Root` | init | the mounts of the run have come | the pivot needs `CAP_SYS_ADMIN` |
//! | 6 | `Seal` | init | entering the cgroup and building the root needed its capabilities | the gate, stage 13 |
//! | 7 | `Session` | payload | a process of its own | dispositions and keyring survive `execve(2)` |
//! | 8 | `Cgroup` | payload | | everything later is charged; the cgroup namespace takes this group as its root |
//! | 9 | `Rlimits` | payload | | needs `CAP_SYS_RESOURCE` where it raises |
//! | 10 | `Credentials` | payload | | the bounding set needs `CAP_SETPCAP`, so it goes first in here |
//! | 11 | `Capabilities` | payload | ids are changed with them | |
//! | 12 | `Stdio` | payload | the streams of the run have come, and whatever can be done before | the gate: init makes the root of the run meanwhile |
//! | 13 | `Gate` | payload | the root stands and init is sealed | untrusted code |
//! | 14 | `NoNewPrivs` | payload | | Landlock and the filter of an unprivileged process need it |
//! | 15 | `Landlock` | payload | its paths are those of the new root | whatever the payload opens from here on |
//! | 16 | `WorkDir` | payload | the payload's own rights are checked | |
//! | 17 | `CloseFds` | payload | nothing is left to open | the filter may forbid `close_range(2)` |
//! | 18 | `Seccomp` | payload | set-up makes calls that the program may not | |
//! | 19 | `Execve` | payload | [`child::Sealed`] only | |
//!
//! A kill from outside between the payload's proof and `execve(2)` (two system calls) counts as the program's own death.
//!
//! # Embedders with much memory
//! init is a copy of the embedder, and the kernel copies an entry for each page of private memory: a tenth of a second per
//! gigabyte in pages of 4 KiB, a fiftieth of that in huge ones. Mappings that are marked `MADV_DONTFORK` (madvise(2)) cost
//! nothing, and no box needs them.
//!
//! # What a run leaves in the embedder
//! Nothing: no descriptor, no child that its own `wait(2)` could see (but newuidmap(1), where a user map needs it), no
//! changed mask, cwd, umask or id. Signals are blocked in the calling thread for the moment of the clone. The one thread of the
//! family is that of a [`Pool`], which ends when the pool is dropped. The embedder's CPU affinity is inherited by the box; limit `cpus` for another.

mod builder;
mod cancel;
mod capture;
pub mod child;
mod collect;
mod command;
mod delivery;
pub mod doctor;
mod error;
mod explain;
mod identities;
mod init_process;
mod observed;
mod plan;
mod pool;
mod prepared;
mod process;
mod quotas;
mod reports;
mod resources;
mod running;
mod sandbox;
mod spawn;
mod stdio;
mod sys;
mod uid_pool;
mod watch;

#[cfg(all(doctest, feature = "serde"))]
#[doc = include_str!("../../docs/policies.md")]
struct PoliciesPage;

pub use builder::{
    Dangerous, SandboxBuilder, WantsCommand, WantsIdentity, WantsLimits, WantsPolicy, WantsRoot,
};
pub use cancel::Canceller;
pub use collect::Finished;
pub use command::{Command, Image};
pub use error::{Error, SetupFailure};
pub use plan::{InitPlan, Plan, RootStart};
pub use pool::Pool;
pub use prepared::Prepared;
pub use process::{
    identity::{Identity, IdentityPlan},
    rlimits::Rlimits,
};
pub use running::Running;
pub use sandbox::Sandbox;
pub use stdio::{Output, Stdin};
pub use uid_pool::UidPool;

pub use sandbox_cgroup as cgroup;
pub use sandbox_core as core;
pub use sandbox_fs as fs;
pub use sandbox_ns as ns;
pub use sandbox_seccomp as seccomp;

pub use sandbox_cgroup::{CgroupParent, Hierarchies};
pub use sandbox_core::{
    Abi, Basis, Bytes, Controller, ControllerUse, CpuSet, DiskUse, Errno, Evidence, Exit,
    HierarchyVersion, Host, Judgement, KillReason, Landlocked, LimitError, Limits, MemoryCharge,
    Outcome, Reading, ReportedCall, Stage, StreamEnd, StreamEvidence, Syscall, SyscallName,
    SyscallReports, Unavailable, Verdict, judge,
};
pub use sandbox_fs::{DiskLimit, KeptDir, Landlock, MountFlags, Quota, Requester, RootSpec};
pub use sandbox_ns::{IdRange, UserMap};
pub use sandbox_seccomp::{Action, Answer, Policy};
