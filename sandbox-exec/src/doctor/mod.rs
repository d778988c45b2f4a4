//! What this host offers to boxes, what is missing, what that costs, and the command that mends it.
//!
//! [`examine`] looks at one need after the other. Where it can, it tries the thing itself, in a throw-away copy of the
//! process: namespaces, mounts, filters, cgroups, at last a whole box. What it cannot look at is [`State::Unknown`] with the
//! reason, never [`State::Ok`].
//!
//! Nothing is left behind but what a run leaves too: on v2 the controllers that were tried stay enabled for the children of
//! the cgroup parent.
//!
//! ```no_run
//! use sandbox_exec::doctor::{self, Options, State};
//!
//! let report = doctor::examine(&Options::default());
//! for finding in &report.findings {
//!     if finding.state != State::Ok {
//!         println!("{}: {}", finding.need, finding.found);
//!     }
//! }
//! ```

mod attempt;
mod cgroups;
mod child;
mod files;
mod kernel;
mod memory;
mod report;
mod timing;
mod tree;
mod trial;
mod users;

use std::path::PathBuf;

use caps::{CapSet, Capability};
use sandbox_cgroup::CgroupParent;

pub use report::{Finding, Health, Need, Report, State};

use attempt::Attempts;
use tree::Tree;

/// What to look at, beside the host itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Where cgroups of runs would be made.
    pub cgroup_parent: CgroupParent,
    /// The directory whose file system holds what programs leave on disk; looked at for quotas.
    pub work_dir: PathBuf,
}

impl Default for Options {
    /// The root of each hierarchy, and the current directory.
    fn default() -> Self {
        Self {
            cgroup_parent: CgroupParent::Root,
            work_dir: PathBuf::from("."),
        }
    }
}

impl Options {
    /// Looks at cgroups below this parent.
    #[must_use]
    pub fn cgroup_parent(mut self, parent: CgroupParent) -> Self {
        self.cgroup_parent = parent;
        self
    }

    /// Looks at the file system of this directory.
    #[must_use]
    pub fn work_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.work_dir = directory.into();
        self
    }
}

/// Looks at everything, with the rights of the calling process: needs are those of boxes that it would start itself.
///
/// Takes some tens of milliseconds, and starts a handful of short-lived processes that `wait(2)` of the caller does not see.
#[must_use]
pub fn examine(options: &Options) -> Report {
    let tree = Tree::host();
    let privileged = privileged();
    let attempts = Attempts::make(privileged);
    let groups = cgroups::Tried::new(options.cgroup_parent.clone());

    let mut findings = vec![kernel::calls(&attempts.calls)];
    findings.extend(cgroups::findings(&groups));
    findings.push(memory::swap(&tree));
    findings.extend(users::findings(&tree, &attempts, privileged));
    findings.extend(kernel::findings(&tree, &attempts));
    findings.push(trial::finding(&attempts, &groups, privileged));
    findings.push(files::quota(&files::quotas(&options.work_dir)));
    findings.push(files::core_pattern(
        &tree.text("proc/sys/kernel/core_pattern"),
    ));
    findings.extend(timing::findings(&tree));
    findings.push(memory::huge_pages(&tree));
    Report {
        kernel: tree
            .text("proc/sys/kernel/osrelease")
            .known()
            .unwrap_or_else(|| "unknown".to_owned()),
        privileged,
        findings,
    }
}

/// Whether boxes need no user namespace, as the builder decides it.
fn privileged() -> bool {
    // A failed look at the own capabilities counts as none.
    caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_ADMIN).unwrap_or(false)
}
