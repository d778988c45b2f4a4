//! A compiled box.

use core::num::NonZeroUsize;
use std::sync::Arc;

use sandbox_cgroup::{CgroupParent, Hierarchies};
use sandbox_core::{Landlocked, Limits, Reading, Unavailable};
use sandbox_fs::{LandlockPlan, RootPlan, Trees};
use sandbox_ns::NamespacePlan;
use sandbox_seccomp::Filter;

use crate::{
    Error, Finished, Output, Pool, Prepared, Running, SandboxBuilder, Stdin, WantsRoot,
    child::{Chain, standard_chain},
    command::Image,
    identities::Payloads,
    prepared,
    process::{identity::IdentityPlan, rlimits::Rlimits},
    quotas::QuotaPlan,
    reports::Mode,
};

/// A compiled box: reusable, `Send + Sync`, cheap to clone. Nothing of it is on the host until [`Sandbox::spawn`].
#[derive(Debug, Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

/// What every run of a sandbox shares.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) namespaces: NamespacePlan,
    pub(crate) root: RootPlan,
    pub(crate) trees: Trees,
    pub(crate) payloads: Payloads,
    pub(crate) quotas: Vec<QuotaPlan>,
    pub(crate) init: IdentityPlan,
    pub(crate) limits: Limits,
    /// Those of `limits` that the cgroup is to keep.
    pub(crate) cgroup_limits: Limits,
    pub(crate) memory_by_rlimit: bool,
    pub(crate) rlimits: Rlimits,
    pub(crate) landlock_asked: bool,
    pub(crate) landlock: Option<LandlockPlan>,
    pub(crate) filter: Option<Filter>,
    /// What is done with the calls that the filter reports.
    pub(crate) reports: Mode,
    pub(crate) image: Image,
    pub(crate) hierarchies: &'static Hierarchies,
    pub(crate) parent: CgroupParent,
    pub(crate) leftovers: Option<sandbox_cgroup::Error>,
}

impl Inner {
    /// Whether init waits to be dismissed where the program has left processes behind.
    pub(crate) fn init_lingers(&self) -> bool {
        self.filter.as_ref().is_some_and(Filter::reports)
    }

    /// What the evidence says of Landlock where its stage is proved.
    pub(crate) fn landlocked(&self) -> Reading<Landlocked> {
        match &self.landlock {
            Some(plan) => Reading::Value(plan.level()),
            None if self.landlock_asked => Reading::Unavailable(Unavailable::KernelTooOld),
            None => Reading::Unavailable(Unavailable::NotRequested),
        }
    }
}

impl Sandbox {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// Starts building.
    pub fn builder() -> SandboxBuilder<WantsRoot> {
        SandboxBuilder::new()
    }

    /// Why cgroups of a dead embedder could not be removed when this sandbox was built, if so.
    #[must_use]
    pub fn leftovers(&self) -> Option<&sandbox_cgroup::Error> {
        self.inner.leftovers.as_ref()
    }

    /// Makes a box that waits for its run, so that [`Prepared::spawn`] has less to do.
    ///
    /// It does not wait for the box: what fails in there is told by [`Prepared::spawn`].
    ///
    /// # Errors
    /// [`Error::Cgroup`]: a limit that this host cannot apply. [`Error::Syscall`]: `EPERM`, `ENOSPC`, `EAGAIN` of the clone, with
    /// advice. Nothing is left behind.
    pub fn prepare(&self) -> Result<Prepared, Error> {
        // SAFETY: the family's own chain keeps the promise; see `child`.
        #[expect(unsafe_code, reason = "the one caller inside the family")]
        unsafe {
            self.prepare_with(standard_chain)
        }
    }

    /// [`Sandbox::prepare`] with a chain of stages written by the embedder.
    ///
    /// # Safety
    /// As [`Sandbox::spawn_with`].
    ///
    /// # Errors
    /// As [`Sandbox::prepare`].
    #[expect(unsafe_code, reason = "the chain's promise is the caller's")]
    pub unsafe fn prepare_with(&self, chain: Chain) -> Result<Prepared, Error> {
        // SAFETY: promised by the caller.
        unsafe { prepared::prepare(&self.inner, chain) }
    }

    /// A pool of `size` boxes that are made ahead, in a thread of its own, as long as it lives.
    ///
    /// # Errors
    /// [`Error::Syscall`]: `EAGAIN`, the thread could not be made. That a box cannot be made is told by [`Pool::spawn`].
    pub fn pool(&self, size: NonZeroUsize) -> Result<Pool, Error> {
        Pool::new(self.clone(), size)
    }

    /// Starts a run in a box of its own and returns once `execve(2)` has succeeded.
    ///
    /// Limits are enforced, and calls that the policy reports answered, by [`Running::wait`]; call it at once, in a thread per box. For a box that nobody waits for there are
    /// back stops: init ends it a second after its wall limit, `RLIMIT_CPU` ends each process at about twice the CPU limit.
    /// Without a wall limit a sleeping box then lives until [`Running`] is dropped or this process ends; so do, under a policy
    /// that reports, processes that the program has left behind, however late the wait.
    ///
    /// # Errors
    /// [`Error::Setup`] names the stage and operation that failed in the child; [`Error::Cgroup`] a limit that this host
    /// cannot apply. The program has not run then, and nothing is left behind.
    pub fn spawn(&self, stdin: Stdin, stdout: Output, stderr: Output) -> Result<Running, Error> {
        self.prepare()?.spawn(stdin, stdout, stderr)
    }

    /// [`Sandbox::spawn`] with a chain of stages written by the embedder.
    ///
    /// # Safety
    /// The chain runs between `clone3(2)` and `execve(2)`: it must be async-signal-safe, as the module [`child`](crate::child)
    /// says. It is called once in init, and returns there only to fail; in the payload, it must end in
    /// [`Child::execve`](crate::child::Child::execve).
    ///
    /// # Errors
    /// As [`Sandbox::spawn`].
    #[expect(unsafe_code, reason = "the chain's promise is the caller's")]
    pub unsafe fn spawn_with(
        &self,
        chain: Chain,
        stdin: Stdin,
        stdout: Output,
        stderr: Output,
    ) -> Result<Running, Error> {
        // SAFETY: promised by the caller.
        unsafe { self.prepare_with(chain) }?.spawn(stdin, stdout, stderr)
    }

    /// Runs the program to its end with captured output.
    ///
    /// # Errors
    /// As [`Sandbox::spawn`] and [`Running::wait`].
    pub fn run(&self, stdin: Stdin, keep: sandbox_core::Bytes) -> Result<Finished, Error> {
        let capture = || Output::Capture { keep };
        self.spawn(stdin, capture(), capture())?.wait()
    }
}
