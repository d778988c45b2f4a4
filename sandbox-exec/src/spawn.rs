//! From a compiled box to a running one.

use core::time::Duration;
use std::{
    fs,
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
    sync::Arc,
    time::Instant,
};

use sandbox_cgroup::Cgroup;
use sandbox_core::{Errno, Process, Record, Stage};

use crate::{
    Error, Output, Running, Stdin,
    cancel::Canceller,
    child::{self, Chain, ChildChannel},
    explain::setup_failure,
    plan::{InitPlan, Plan},
    running::{InitProcess, Proof, Start},
    sandbox::Inner,
    stdio::{LowDescriptors, StdioPlan},
    sys::{
        descriptors::{self, Message},
        process::{CloneRequest, clone3, getpid, pidfd_open},
        signals,
    },
};

/// How long set-up may take. It needs about a millisecond; only a file system that does not answer takes longer.
const SETUP_DEADLINE: Duration = Duration::from_secs(60);

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
        let supervisor = descriptors::own(supervisor);
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
    let _low = LowDescriptors::occupy()?;
    let (stdio, stdout, stderr) =
        StdioPlan::new(stdin, stdout, stderr, &inner.limits, inner.pipe_owner)?;
    let cgroup = Cgroup::create(inner.hierarchies, &inner.parent, &inner.limits)?;
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
        identity: &inner.payload,
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
    let process = InitProcess::new(descriptors::own(clone.pidfd));
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
    if has_user_namespace {
        inner.namespaces.write_id_maps(clone.pid.unsigned_abs())?;
        // A child that is gone already says why on the handshake.
        _ = descriptors::send_go(status.as_raw_fd());
    }
    let proof = await_exec(&plan, &process, &handshake, &status)?;
    drop(root);
    Ok(Running::new(Start {
        inner: Arc::clone(inner),
        process,
        status,
        cgroup,
        canceller,
        stdout,
        stderr,
        proof,
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

/// Reads the handshake to its end. The payload's end closes at `execve(2)`: proofs and then the end of the stream mean
/// that the program runs.
fn await_exec(
    plan: &Plan<'_>,
    process: &InitProcess,
    handshake: &OwnedFd,
    status: &OwnedFd,
) -> Result<Proof, Error> {
    let begun = Instant::now();
    let mut proved = None;
    let mut started = None;
    loop {
        let rest = SETUP_DEADLINE.saturating_sub(begun.elapsed());
        let mut fds = [libc::pollfd {
            fd: handshake.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        }];
        match descriptors::poll(&mut fds, Some(rest)) {
            Ok(0) => {
                process.kill()?;
                return Err(Error::SetupTimeout {
                    seconds: SETUP_DEADLINE.as_secs(),
                });
            }
            Err(errno) if errno.raw() != libc::EINTR => return Err(Error::call("ppoll")(errno)),
            _ => {}
        }
        let message = descriptors::receive(handshake.as_raw_fd(), false);
        match message.map_err(Error::call("recvmsg from the payload"))? {
            Message::Empty => {}
            Message::End => break,
            Message::Record(bytes) => match Record::decode(bytes) {
                Ok(Record::Failed(speaker, failure)) => {
                    return Err(setup_failure(plan, speaker, failure).into());
                }
                Ok(Record::Proved(Process::Payload, stages)) => proved = Some(stages),
                Ok(Record::Started { ns, groups }) => started = Some((ns, groups)),
                _ => return Err(Error::ForeignRecord),
            },
            Message::Descriptor(_) | Message::Go | Message::Foreign => {
                return Err(Error::ForeignRecord);
            }
        }
    }
    if let (Some(stages), Some((started_ns, groups))) = (proved, started) {
        return Ok(Proof {
            stages: stages | Stage::Execve.set(),
            started_ns,
            groups,
        });
    }
    // init speaks on its own socket once it is sealed, and its end takes the payload along.
    while let Ok(Message::Record(bytes)) = descriptors::receive(status.as_raw_fd(), false) {
        if let Ok(Record::Failed(speaker, failure)) = Record::decode(bytes) {
            return Err(setup_failure(plan, speaker, failure).into());
        }
    }
    Err(Error::Vanished)
}
