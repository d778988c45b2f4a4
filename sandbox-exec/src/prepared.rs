//! From a compiled box to one that waits for its run.

use core::time::Duration;
use std::{
    fs,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
    sync::Arc,
};

use sandbox_cgroup::{Cgroup, Entry};
use sandbox_core::Errno;

use crate::{
    Error, Output, Running, Stdin,
    child::{self, Chain, ChildChannel},
    delivery::deliver_entry,
    identities::RunIdentity,
    init_process::InitProcess,
    observed::{Handshake, Status},
    plan::{InitPlan, Plan, RootStart},
    pool::Turn,
    process::identity::IdentityPlan,
    quotas::RunQuotas,
    sandbox::Inner,
    spawn,
    sys::{
        descriptors, message,
        process::{Clone, CloneRequest, clone3, getpid, pidfd_open},
        signals,
    },
};

/// How much later than the wall limit init ends a box by itself.
const LIFE_SLACK: Duration = Duration::from_secs(1);

/// A box that waits for its run: its processes but the program's, its namespaces, its cgroup and all of its root that
/// depends on no bind are there. Nothing untrusted has run in it, and one run is all it is good for.
///
/// Preparing takes most of the time of a start. A judge that prepares the next box while the last one's output is compared
/// starts its run in a fraction of the time of [`Sandbox::spawn`](crate::Sandbox::spawn). Binds are mounted by
/// [`Prepared::spawn`], so a file changed until then is seen as it is then.
///
/// Dropped, it is gone with all that belongs to it; it ends with this process as well.
#[derive(Debug)]
#[must_use = "dropping it removes the box"]
pub struct Prepared {
    pub(crate) inner: Arc<Inner>,
    // In this order dropped: first every process, then the cgroup that held them and their quotas, last the ids that they had.
    pub(crate) process: InitProcess,
    pub(crate) handshake: Handshake,
    pub(crate) status: Status,
    pub(crate) cgroup: Cgroup,
    pub(crate) entry: Entry,
    pub(crate) quotas: RunQuotas,
    pub(crate) identity: RunIdentity,
    /// The pool that it came from has one run less when this is dropped.
    pub(crate) turn: Option<Turn>,
}

/// A pidfd: readable when the box is gone, which before its run it is only where somebody has killed it.
impl AsFd for Prepared {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}

impl Prepared {
    /// Starts the run and returns once `execve(2)` has succeeded; see [`Sandbox::spawn`](crate::Sandbox::spawn).
    ///
    /// # Errors
    /// As [`Sandbox::spawn`](crate::Sandbox::spawn). What failed in the box while it was prepared is told here.
    pub fn spawn(self, stdin: Stdin, stdout: Output, stderr: Output) -> Result<Running, Error> {
        spawn::start(self, stdin, stdout, stderr)
    }
}

/// The supervisor's ends of the channels and the child's, which close here after the clone.
struct Channels {
    handshake: OwnedFd,
    status: OwnedFd,
    child_handshake: OwnedFd,
    child_status: OwnedFd,
    gate: OwnedFd,
    supervisor: OwnedFd,
}

impl Channels {
    fn open() -> Result<Self, Error> {
        let (handshake, child_handshake) =
            descriptors::message_pair().map_err(Error::call("socketpair"))?;
        let (status, child_status) =
            descriptors::message_pair().map_err(Error::call("socketpair"))?;
        let gate = descriptors::eventfd().map_err(Error::call("eventfd"))?;
        let supervisor = pidfd_open(getpid()).map_err(Error::call("pidfd_open"))?;
        Ok(Self {
            handshake,
            status,
            child_handshake,
            child_status,
            gate,
            supervisor,
        })
    }

    fn child(&self) -> ChildChannel {
        ChildChannel {
            handshake: self.child_handshake.as_raw_fd(),
            status: self.child_status.as_raw_fd(),
            gate: self.gate.as_raw_fd(),
            supervisor: self.supervisor.as_raw_fd(),
        }
    }
}

/// Clones init, and makes the cgroup while init makes its namespaces.
///
/// # Safety
/// The chain is async-signal-safe.
#[expect(unsafe_code, reason = "hands the chain on")]
pub(crate) unsafe fn prepare(inner: &Arc<Inner>, chain: Chain) -> Result<Prepared, Error> {
    // First, so that on every way out it is given back last, when nothing of that uid lives.
    let identity = inner.payloads.take()?;
    let quotas = RunQuotas::set(&inner.quotas, identity.payload.identity)?;
    let channels = Channels::open()?;
    let mapped = inner.namespaces.user_map().is_some();
    if !mapped {
        // Nothing to wait for: the go is there before the child is.
        message::send_go(channels.status.as_raw_fd()).map_err(Error::call("send to init"))?;
    }
    // SAFETY: promised by the caller.
    let clone = unsafe { clone_init(inner, &identity.payload, chain, channels.child()) }?;
    let process = InitProcess::new(descriptors::own(clone.pidfd));
    let Channels {
        handshake,
        status,
        child_handshake,
        child_status,
        gate,
        supervisor,
    } = channels;
    drop((child_handshake, child_status, gate, supervisor));
    let (handshake, status) = (Handshake::new(handshake), Status::new(status));
    if mapped {
        inner.namespaces.write_id_maps(clone.pid.unsigned_abs())?;
        status.send_go()?;
    }
    let cgroup = Cgroup::create(inner.hierarchies, &inner.parent, &inner.cgroup_limits)?;
    let entry = cgroup.prepare()?;
    // A mapped payload has no right over the host's cgroup directories at the clone, but keeps that of an open file.
    let entry = if mapped { entry.by_write() } else { entry };
    deliver_entry(&status, &entry)?;
    Ok(Prepared {
        inner: Arc::clone(inner),
        process,
        handshake,
        status,
        cgroup,
        entry,
        quotas,
        identity,
        turn: None,
    })
}

/// # Safety
/// The chain is async-signal-safe.
#[expect(unsafe_code, reason = "clones the child and hands it the chain")]
unsafe fn clone_init(
    inner: &Inner,
    identity: &IdentityPlan,
    chain: Chain,
    channel: ChildChannel,
) -> Result<Clone, Error> {
    let init = InitPlan {
        keep: sorted([
            channel.handshake,
            channel.status,
            channel.gate,
            channel.supervisor,
        ]),
        identity: inner.init,
        reset_oom_score: protected_from_oom(),
        life: inner
            .limits
            .wall_time
            .map(|limit| limit.saturating_add(LIFE_SLACK)),
        lingers: inner.init_lingers(),
    };
    let root = RootStart {
        plan: &inner.root,
        trees: inner.trees,
        mapped: inner.namespaces.user_map().is_some(),
    };
    let plan = Plan {
        init: &init,
        namespaces: &inner.namespaces,
        root: &root,
        rlimits: &inner.rlimits,
        identity,
        landlock: inner.landlock.as_ref(),
        filter: inner.filter.as_ref(),
        image: &inner.image,
        channel,
    };
    let request = CloneRequest {
        flags: inner.namespaces.clone_flags(),
        exit_signal: 0,
        cgroup: None,
    };
    // A handler of the embedder must not run in the copy; the child unblocks last.
    let mask = signals::set_mask(u64::MAX).map_err(Error::call("rt_sigprocmask"))?;
    // SAFETY: the child runs the chain, whose promise is the caller's, and ends.
    let cloned = unsafe { clone3(request) };
    if matches!(cloned, Ok(clone) if clone.pid == 0) {
        // SAFETY: this is the child, once.
        unsafe { child::main(&plan, chain) };
    }
    // The old mask was valid a moment ago, so this cannot fail; if it did, init ends with the channels.
    let unmasked = signals::set_mask(mask).map_err(Error::call("rt_sigprocmask"));
    let clone = cloned.map_err(|source| Error::Syscall {
        call: "clone3 of init",
        advice: clone_advice(source),
        source,
    })?;
    unmasked.map(|_| clone)
}

fn sorted(mut all: [RawFd; 4]) -> Box<[RawFd]> {
    all.sort_unstable();
    all.into()
}

/// Whether the embedder has a negative `oom_score_adj`, which its children inherit.
fn protected_from_oom() -> bool {
    // Without /proc, init cannot write the file either; the box then inherits what the embedder has.
    fs::read_to_string("/proc/self/oom_score_adj").is_ok_and(|text| text.starts_with('-'))
}

fn clone_advice(errno: Errno) -> Option<&'static str> {
    match errno.raw() {
        libc::EPERM => Some(
            "namespaces need CAP_SYS_ADMIN, or a user_map where the kernel allows unprivileged user namespaces",
        ),
        libc::ENOSPC => {
            Some("a limit of user.max_*_namespaces is reached, or is 0: see sysctl user")
        }
        libc::EAGAIN => Some("too many processes: see RLIMIT_NPROC and the cgroup's pids.max"),
        libc::EINVAL => Some("this kernel lacks a kind of namespace"),
        _ => None,
    }
}
