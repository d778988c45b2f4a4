//! The vocabulary of the sandbox crate family.
//!
//! Here is what two crates of the family both need: units, errnos, the stages of a start, what the child reports, the
//! limits a user asks for, the evidence a run leaves and the verdict that follows from it. Nothing here opens a file or
//! changes the process, except for the few async-signal-safe calls in [`sys`] and the probe in [`Host`].
//!
//! **Dependency rule.** This crate imports none of its siblings. `sandbox-cgroup`, `sandbox-ns`, `sandbox-fs` and
//! `sandbox-seccomp` import this crate only, `sandbox-exec` imports all five. What two siblings need moves down to here,
//! an order between siblings moves up to `sandbox-exec`.

#[cfg(not(target_pointer_width = "64"))]
compile_error!("the sandbox crates speak the 64-bit interface of the kernel only");

mod cpus;
mod cstrings;
mod disk_use;
mod errno;
mod evidence;
mod host;
mod limits;
mod reading;
mod record;
mod reports;
mod stage;
mod step;
pub mod sys;
mod syscall;
mod units;
mod verdict;
mod words;

pub use cpus::{CpuSet, CpuSetError};
pub use cstrings::{CStringArray, NulError};
pub use disk_use::DiskUse;
pub use errno::Errno;
pub use evidence::{
    Controller, ControllerUse, Evidence, Exit, HierarchyVersion, KillReason, Landlocked,
    MemoryCharge, StreamEnd, StreamEvidence,
};
pub use host::{Host, HostError};
pub use limits::{LimitError, Limits};
pub use reading::{Reading, Unavailable};
pub use record::{Process, Record, RecordError};
pub use reports::{ReportedCall, SyscallReports};
pub use stage::{Stage, StageSet};
pub use step::{ChildStep, Explain, Fault, StepFailure};
pub use syscall::{Abi, Syscall, SyscallName, SyscallNameError};
pub use units::Bytes;
pub use verdict::{Basis, Judgement, Outcome, RULES, Rule, Verdict, judge};
