//! `Child<S>`: the order of the stages as types.

#![deny(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::alloc_instead_of_core
)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![deny(
    clippy::disallowed_macros,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]
#![expect(unsafe_code, reason = "the constructor and the two clones' ends")]

use core::{convert::Infallible, ffi::c_int, marker::PhantomData};
use std::os::fd::AsRawFd as _;

use sandbox_cgroup::Entry;
use sandbox_core::{
    ChildStep, Errno, Fault, Process, Record, Stage, StageSet, StepFailure,
    sys::{monotonic_ns, send_record},
};
use sandbox_fs::RootInstance;
use sandbox_ns::NamespacePlan;
use sandbox_seccomp::Filter;

use super::{ChildChannel, init};
use crate::{
    command::Image,
    plan::InitPlan,
    process::{capabilities::CapabilityDrop, identity::IdentityPlan, rlimits::Rlimits, session},
    stdio::StdioPlan,
    sys::{
        credentials::group_count,
        descriptors::{Message, close_all_but, eventfd_wait, poll, receive, send_descriptor},
        process::{CloneRequest, access_execute, chdir, clone3, execve},
        signals,
    },
};

mod state {
    pub trait Sealed {}
}

/// A state of the child. Sealed: the states are those of this module.
pub trait State: state::Sealed {}

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident)*) => {
        $($(#[$doc])* #[derive(Debug)] pub enum $name {}
        impl state::Sealed for $name {}
        impl State for $name {})*
    };
}

states! {
    /// init, just cloned: a copy of the embedder.
    Cloned
    /// init has shed the embedder's signals, session and descriptors, and its ids are mapped.
    Released
    /// init's namespaces are set up.
    Isolated
    /// init stands in the new root, the host's tree is detached.
    Rooted
    /// The payload, in its own session and in the cgroup of the run.
    Joined
    /// Descriptors 0, 1 and 2 are the program's.
    Attached
    /// The resource limits hold.
    Limited
    /// No group, no capability, the payload's own ids.
    Unprivileged
    /// Nothing that is executed brings privileges back, and Landlock holds where it was asked for.
    Confined
    /// Nothing is left to do but to exec.
    Sealed
}

/// The child between `clone3(2)` and `execve(2)`, with the stages behind it.
#[derive(Debug)]
#[must_use = "a child that is not driven to execve does nothing"]
pub struct Child<S: State> {
    channel: ChildChannel,
    proved: StageSet,
    /// What the payload saw last: when it was sealed, and its groups. Set by the last transition.
    started_ns: i64,
    groups: u16,
    state: PhantomData<fn() -> S>,
}

/// The next state, or why there is none.
pub type Step<S> = Result<Child<S>, StepFailure>;

/// Operation of [`Stage::Root`] that is this crate's own: the descriptor of a kept directory goes home.
pub(crate) const SEND_KEPT: u16 = u16::MAX;

pub(super) fn in_stage<T>(stage: Stage, result: Result<T, Fault>) -> Result<T, StepFailure> {
    result.map_err(|fault| StepFailure { stage, fault })
}

pub(super) fn apply<P: ChildStep>(step: &P) -> Result<StageSet, StepFailure> {
    in_stage(P::STAGE, step.apply()).map(|()| P::STAGE.set())
}

impl<S: State> Child<S> {
    pub(super) fn next<T: State>(self, done: StageSet) -> Child<T> {
        Child {
            channel: self.channel,
            proved: self.proved | done,
            started_ns: self.started_ns,
            groups: self.groups,
            state: PhantomData,
        }
    }
}

impl Child<Cloned> {
    /// Takes the role of the child.
    ///
    /// # Safety
    /// Only in the child of `clone3(2)`, once; only async-signal-safe code may run from here on.
    pub unsafe fn adopt(channel: ChildChannel) -> Self {
        Self {
            channel,
            proved: StageSet::empty(),
            started_ns: 0,
            groups: 0,
            state: PhantomData,
        }
    }

    /// Sheds what init inherited and waits until the supervisor has written the id maps.
    ///
    /// # Errors
    /// [`Stage::Adopt`], or [`Stage::Release`] with `ESRCH` where the supervisor ended first.
    pub fn await_release(self, plan: &InitPlan) -> Step<Released> {
        in_stage(
            Stage::Adopt,
            session::start_init(&plan.keep, plan.reset_oom_score),
        )?;
        // The socket alone is not enough: another copy of the embedder may hold its other end open.
        let entry = |fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        let mut fds = [entry(self.channel.status), entry(self.channel.supervisor)];
        in_stage(Stage::Release, poll(&mut fds, None).map_err(Fault::at(0)))?;
        let message = receive(self.channel.status).map_err(Fault::at(0));
        match in_stage(Stage::Release, message)? {
            Message::Go => Ok(self.next(Stage::Adopt.set() | Stage::Release.set())),
            _ => in_stage(
                Stage::Release,
                Err(Fault {
                    index: 0,
                    errno: Errno::from_raw(libc::ESRCH),
                }),
            ),
        }
    }
}

impl Child<Released> {
    /// Sets the namespaces up.
    ///
    /// # Errors
    /// [`Stage::Namespaces`].
    pub fn isolate(self, plan: &NamespacePlan) -> Step<Isolated> {
        let done = apply(plan)?;
        Ok(self.next(done))
    }
}

impl Child<Isolated> {
    /// Builds the new root, enters it and detaches the host's tree; sends the kept directories home.
    ///
    /// # Errors
    /// [`Stage::Root`].
    pub fn enter_root(self, root: &RootInstance<'_>) -> Step<Rooted> {
        let done = apply(root)?;
        for index in 0..root.plan().kept_len() {
            let kept = in_stage(Stage::Root, root.open_kept(index))?;
            let sent = send_descriptor(self.channel.status, kept).map_err(Fault::at(SEND_KEPT));
            in_stage(Stage::Root, sent)?;
        }
        Ok(self.next(done))
    }
}

impl Child<Rooted> {
    /// Clones the payload. init stays in here for good: it seals itself, reaps and reports. The payload returns, in its own
    /// session and in the cgroup of the run.
    ///
    /// # Errors
    /// [`Stage::Fork`], [`Stage::Session`], [`Stage::Cgroup`]; [`Stage::Namespaces`] for the cgroup namespace.
    pub fn fork_payload(
        self,
        plan: &InitPlan,
        entry: &Entry,
        namespaces: &NamespacePlan,
    ) -> Step<Joined> {
        let signals = signals::child_signals().map_err(Fault::at(init::SIGNALS));
        let signals = in_stage(Stage::Fork, signals)?;
        let request = CloneRequest {
            flags: 0,
            exit_signal: libc::SIGCHLD,
            cgroup: entry.clone_into().map(|fd| fd.as_raw_fd()),
        };
        // SAFETY: the copy goes on in the same async-signal-safe chain.
        let clone = unsafe { clone3(request) }.map_err(Fault::at(init::CLONE));
        let clone = in_stage(Stage::Fork, clone)?;
        if clone.pid != 0 {
            let proved = self.proved | Stage::Fork.set();
            init::run(self.channel, plan, proved, signals, clone.pid);
        }
        in_stage(Stage::Session, session::start_payload())?;
        let joined = apply(entry)?;
        in_stage(Stage::Namespaces, namespaces.unshare_cgroup())?;
        Ok(self.next(Stage::Fork.set() | Stage::Session.set() | joined))
    }
}

impl Child<Joined> {
    /// Puts the program's descriptors on 0, 1 and 2.
    ///
    /// # Errors
    /// [`Stage::Stdio`].
    pub fn attach_stdio(self, stdio: &StdioPlan) -> Step<Attached> {
        let done = apply(stdio)?;
        Ok(self.next(done))
    }
}

impl Child<Attached> {
    /// Sets the resource limits and reads them back.
    ///
    /// # Errors
    /// [`Stage::Rlimits`].
    pub fn limit(self, rlimits: &Rlimits) -> Step<Limited> {
        let done = apply(rlimits)?;
        Ok(self.next(done))
    }
}

impl Child<Limited> {
    /// Gives up groups, ids and capabilities, and reads each back.
    ///
    /// # Errors
    /// [`Stage::Credentials`], [`Stage::Capabilities`].
    pub fn drop_privileges(self, identity: &IdentityPlan) -> Step<Unprivileged> {
        let ids = apply(identity)?;
        let capabilities = apply(&CapabilityDrop)?;
        Ok(self.next(ids | capabilities))
    }
}

pub(crate) const CHDIR: u16 = 0;
pub(crate) const FIND_PROGRAM: u16 = 1;
pub(crate) const CLOSE_RANGE: u16 = 0;
pub(crate) const UNBLOCK_SIGNALS: u16 = 1;
pub(crate) const COUNT_GROUPS: u16 = 2;

impl Child<Confined> {
    /// Working directory, the gate, descriptors and the filter: what is left before the exec.
    ///
    /// # Errors
    /// [`Stage::WorkDir`], [`Stage::Gate`], [`Stage::CloseFds`], [`Stage::Seccomp`].
    pub fn seal(self, filter: &Filter, image: &Image) -> Step<Sealed> {
        let mut sealed = self.dangerous().seal_unfiltered(image)?;
        let done = apply(filter)?;
        sealed.proved |= done;
        Ok(sealed)
    }

    /// The only door to a child without a filter.
    pub fn dangerous(self) -> DangerousChild {
        DangerousChild(self)
    }
}

/// A child that may be weakened; every use is one `grep dangerous` away.
#[derive(Debug)]
pub struct DangerousChild(Child<Confined>);

impl DangerousChild {
    /// [`Child::seal`] without the filter.
    ///
    /// # Errors
    /// As [`Child::seal`], but for [`Stage::Seccomp`].
    pub fn seal_unfiltered(self, image: &Image) -> Step<Sealed> {
        let Self(mut child) = self;
        in_stage(
            Stage::WorkDir,
            chdir(image.work_dir()).map_err(Fault::at(CHDIR)),
        )?;
        // Asked here, a missing program is told apart from a missing interpreter, which only execve finds.
        let found = access_execute(image.program()).map_err(Fault::at(FIND_PROGRAM));
        in_stage(Stage::WorkDir, found)?;

        in_stage(
            Stage::Gate,
            eventfd_wait(child.channel.gate).map_err(Fault::at(0)),
        )?;

        // The handshake is close-on-exec, and its end tells the supervisor that the exec has happened.
        let keep: [c_int; 1] = [child.channel.handshake];
        let stage = Stage::CloseFds;
        let closed = close_all_but(3, &keep).map_err(Fault::at(CLOSE_RANGE));
        in_stage(stage, closed)?;

        // Only now: a signal from the embedder's side must not end the set-up half-way. The filter may forbid the call.
        in_stage(
            stage,
            signals::set_mask(0).map_err(Fault::at(UNBLOCK_SIGNALS)),
        )?;

        let groups = in_stage(stage, group_count().map_err(Fault::at(COUNT_GROUPS)))?;
        child.groups = u16::try_from(groups).unwrap_or(u16::MAX);
        child.started_ns = monotonic_ns();
        let done = Stage::WorkDir.set() | Stage::Gate.set() | Stage::CloseFds.set();
        Ok(child.next(done))
    }
}

/// How often a program that is still open for writing is tried again.
///
/// A thread of the embedder that forks while another writes the program leaves a copy of the writing descriptor in its
/// child until that one execs: `ETXTBSY` for a moment, through no fault of anyone.
const TEXT_BUSY_TRIES: u32 = 2000;

impl Child<Sealed> {
    /// Reports what is proved and becomes the program.
    ///
    /// # Errors
    /// [`Stage::Execve`]: `ENOENT` here means the interpreter or dynamic linker is missing in the box, since the program
    /// itself was found; `ENOEXEC` that it is no program.
    pub fn execve(self, image: &Image) -> Result<Infallible, StepFailure> {
        let proved = Record::Proved(Process::Payload, self.proved);
        let started = Record::Started {
            ns: self.started_ns,
            groups: self.groups,
        };
        let sent = send_record(self.channel.handshake, proved)
            .and_then(|()| send_record(self.channel.handshake, started));
        in_stage(Stage::Execve, sent.map_err(Fault::at(REPORT)))?;
        let mut errno = Errno::from_raw(libc::ETXTBSY);
        for _ in 0..TEXT_BUSY_TRIES {
            // SAFETY: the image owns both tables, and it lives in the parent's memory that this process is a copy of.
            errno = unsafe { execve(image.program(), image.argv(), image.envp()) };
            if errno.raw() != libc::ETXTBSY {
                break;
            }
        }
        in_stage(Stage::Execve, Err(Fault { index: EXEC, errno }))
    }
}

pub(crate) const REPORT: u16 = 0;
pub(crate) const EXEC: u16 = 1;
