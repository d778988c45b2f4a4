//! From a compiled box to a running one.

use core::time::Duration;
use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd},
    sync::Arc,
    time::Instant,
};

use sandbox_cgroup::Cgroup;
use sandbox_core::{Errno, Limits, Reading};

use crate::{
    Error, Output, Running, Stdin,
    cancel::Canceller,
    child::{self, Chain, ChildChannel},
    explain::setup_failure,
    init_process::InitProcess,
    observed::{Handshake, Proof, Status},
    plan::{InitPlan, Plan},
    running::Start,
    sandbox::Inner,
    stdio::StdioPlan,
    sys::{
        descriptors,
        process::{CloneRequest, clone3, getpid, pidfd_open},
        signals,
    },
};

/// How long set-up may take. It needs about a millisecond; only a file system that does not answer takes longer.
const SETUP_DEADLINE: Duration = Duration::from_secs(60);

/// How long after the payload's proof its exec is waited for.
const EXEC_PATIENCE: Duration = Duration::from_millis(100);

/// How much later than the wall limit init ends a box by itself.
const LIFE_SLACK: Duration = Duration::from_secs(1);

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

/// Starts a run.
///
/// # Safety
/// The chain is async-signal-safe.
#[expect(unsafe_code, reason = "clones the child and hands it the chain")]
pub(crate) unsafe fn start(
    inner: &Arc<Inner>,
    chain: Chain,
    stdin: Stdin,
    stdout: Output,
    stderr: Output,
) -> Result<Running, Error> {
    // First, so that on every way out it is given back last, when nothing of that uid lives.
    let identity = inner.payloads.take()?;
    let (stdio, stdout, stderr) =
        StdioPlan::new(stdin, stdout, stderr, &inner.limits, identity.pipe_owner)?;
    let cgroup = Cgroup::create(inner.hierarchies, &inner.parent, &inner.cgroup_limits)?;
    let entry = cgroup.prepare()?;
    let has_user_namespace = inner.namespaces.user_map().is_some();
    // A mapped payload has no right over the host's cgroup directories at the clone, but keeps that of an open file.
    let entry = if has_user_namespace {
        entry.by_write()
    } else {
        entry
    };
    let root = inner.root.instantiate(inner.trees)?;
    let canceller = Canceller::new()?;
    let channels = Channels::open()?;
    let channel = channels.child();

    let internal = [
        channel.handshake,
        channel.status,
        channel.gate,
        channel.supervisor,
    ];
    let init = InitPlan {
        keep: sorted([
            &internal,
            &stdio.raw()[..],
            &root.descriptors(),
            &entry.descriptors(),
        ]),
        identity: inner.init,
        reset_oom_score: protected_from_oom(),
        life: inner
            .limits
            .wall_time
            .map(|limit| limit.saturating_add(LIFE_SLACK)),
    };
    let plan = Plan {
        init: &init,
        namespaces: &inner.namespaces,
        root: &root,
        cgroup: &entry,
        stdio: &stdio,
        rlimits: &inner.rlimits,
        identity: &identity.payload,
        landlock: inner.landlock.as_ref(),
        filter: inner.filter.as_ref(),
        image: &inner.image,
        channel,
    };
    if !has_user_namespace {
        // Nothing to wait for: the go is there before the child is.
        descriptors::send_go(channels.status.as_raw_fd()).map_err(Error::call("send to init"))?;
    }
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
    // The old mask was valid a moment ago, so this cannot fail; if it did, the box below is still killed on the way out.
    let unmasked = signals::set_mask(mask).map_err(Error::call("rt_sigprocmask"));
    let clone = cloned.map_err(|source| Error::Syscall {
        call: "clone3 of init",
        advice: clone_advice(source),
        source,
    })?;
    let mut process = InitProcess::new(descriptors::own(clone.pidfd));
    unmasked?;

    let Channels {
        handshake,
        status,
        child_handshake,
        child_status,
        gate,
        supervisor,
    } = channels;
    drop((child_handshake, child_status, gate, supervisor));
    let (mut handshake, mut status) = (Handshake::new(handshake), Status::new(status));
    if has_user_namespace {
        inner.namespaces.write_id_maps(clone.pid.unsigned_abs())?;
        status.send_go()?;
    }
    let proof = match await_exec(&plan, &process, &mut handshake, &mut status) {
        Err(Error::Vanished) => {
            process.kill()?;
            process.reap()?;
            return Err(vanished(&inner.limits, &cgroup));
        }
        other => other?,
    };
    let cpu_at_start = cgroup.cpu_time();
    drop(root);
    Ok(Running::new(Start {
        inner: Arc::clone(inner),
        process,
        handshake,
        status,
        cgroup,
        canceller,
        stdout,
        stderr,
        proof,
        cpu_at_start,
        identity,
    }))
}

fn sorted<const N: usize>(lists: [&[RawFd]; N]) -> Box<[RawFd]> {
    let mut all = lists.concat();
    all.sort_unstable();
    all.dedup();
    all.into()
}

/// Whether the embedder has a negative `oom_score_adj`, which its children inherit.
fn protected_from_oom() -> bool {
    // Without /proc, init cannot write the file either; the box then inherits what the embedder has.
    fs::read_to_string("/proc/self/oom_score_adj").is_ok_and(|text| text.starts_with('-'))
}

/// Why a child ended without a report: for the run's own memory limit, or for something outside.
fn vanished(limits: &Limits, cgroup: &Cgroup) -> Error {
    let usage = cgroup.usage();
    let positive = |reading: Reading<u64>| reading.value().is_some_and(|n| n > 0);
    match limits.memory {
        Some(limit) if positive(usage.oom_kills) && positive(usage.memory_limit_hits) => {
            Error::MemoryTooSmall { limit }
        }
        _ => Error::Vanished,
    }
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

/// Waits until the payload has become the program.
///
/// The payload's end of the handshake closes at `execve(2)`: a proof and then the end of the stream mean that the program
/// runs. A copy of that end may live on in a process that another thread of the embedder has just forked, so the end alone
/// is not waited for: a while after the proof, [`Running`] goes on and takes a late failure.
fn await_exec(
    plan: &Plan<'_>,
    process: &InitProcess,
    handshake: &mut Handshake,
    status: &mut Status,
) -> Result<Proof, Error> {
    let begun = Instant::now();
    let mut proved = None;
    loop {
        let rest = match proved {
            Some(proved) => EXEC_PATIENCE.saturating_sub(Instant::now().duration_since(proved)),
            None => SETUP_DEADLINE.saturating_sub(begun.elapsed()),
        };
        let entry = |fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        let mut fds = [
            entry(handshake.descriptor().unwrap_or(-1)),
            entry(process.as_fd().as_raw_fd()),
        ];
        let ready = match descriptors::poll(&mut fds, Some(rest)) {
            Err(errno) if errno.raw() == libc::EINTR => continue,
            other => other.map_err(Error::call("ppoll"))?,
        };
        let [_, init] = fds;
        handshake.read()?;
        if let Some((speaker, failure)) = handshake.failure {
            return Err(setup_failure(plan, speaker, failure).into());
        }
        let ended = handshake.is_over() || init.revents != 0;
        match handshake.proof() {
            Some(proof) if ended || (ready == 0 && proved.is_some()) => return Ok(proof),
            Some(_) => proved = proved.or_else(|| Some(Instant::now())),
            None if ended => break,
            None if ready == 0 => {
                let seconds = SETUP_DEADLINE.as_secs();
                return Err(Error::SetupTimeout { seconds });
            }
            None => {}
        }
    }
    // init speaks on its own socket once it is sealed, and its end takes the payload along.
    status.read()?;
    match status.failure {
        Some((speaker, failure)) => Err(setup_failure(plan, speaker, failure).into()),
        None => Err(Error::Vanished),
    }
}
