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

use sandbox_cgroup::Join;
use sandbox_core::{
    ChildStep, Errno, Fault, Process, Record, Stage, StageSet, StepFailure,
    sys::{monotonic_ns, send_record},
};
use sandbox_fs::{RootFrame, RootPlan};
use sandbox_ns::NamespacePlan;
use sandbox_seccomp::Filter;

use super::{ChildChannel, init, report};
use crate::{
    command::Image,
    plan::{InitPlan, RootStart},
    process::{capabilities::CapabilityDrop, identity::IdentityPlan, rlimits::Rlimits, session},
    sys::{
        credentials::group_count,
        descriptors::close_all_but,
        message::{Message, receive},
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
    /// Of init's new root there is all that needs no bind.
    Framed
    /// The payload, in its own session and in the cgroup of the run.
    Joined
    /// The resource limits hold.
    Limited
    /// No group, no capability, the payload's own ids.
    Unprivileged
    /// The run has come: descriptors 0, 1 and 2 are the program's.
    Attached
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
    /// The supervisor lets only the starts through that were announced.
    start_is_reported: bool,
    state: PhantomData<fn() -> S>,
}

/// The next state, or why there is none.
pub type Step<S> = Result<Child<S>, StepFailure>;

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
            start_is_reported: self.start_is_reported,
            state: PhantomData,
        }
    }
}

impl Child<Attached> {
    /// The eventfd that init raises.
    pub(super) fn gate(&self) -> c_int {
        self.channel.gate
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
            start_is_reported: false,
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
        in_stage(
            Stage::Release,
            self.channel
                .await_message(self.channel.status)
                .map_err(Fault::at(0)),
        )?;
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
    /// Makes all of the new root that needs no bind. [`Child::fork_payload`] has init finish it.
    ///
    /// # Errors
    /// [`Stage::Root`].
    pub fn frame_root<'p>(
        self,
        root: &RootStart<'p>,
    ) -> Result<(Child<Framed>, Frame<'p>), StepFailure> {
        let frame = in_stage(Stage::Root, root.plan.begin(root.trees, root.mapped))?;
        let frame = Frame {
            plan: root.plan,
            frame,
        };
        Ok((self.next(StageSet::empty()), frame))
    }
}

/// A new root in the making, which only init can finish.
#[derive(Debug)]
#[must_use = "a root that is not finished cannot be entered"]
pub struct Frame<'p> {
    pub(super) plan: &'p RootPlan,
    pub(super) frame: RootFrame<'p>,
}

impl Child<Framed> {
    /// Clones the payload. init stays in here for good: when the run comes, it finishes the root and sends the kept
    /// directories home; then it seals itself, reaps and reports. The payload returns, in its own session and in the
    /// cgroup of the run.
    ///
    /// # Errors
    /// [`Stage::Fork`], [`Stage::Session`], [`Stage::Cgroup`]; [`Stage::Namespaces`] for the cgroup namespace. What fails in
    /// init after the clone, [`Stage::Root`] and [`Stage::Seal`], it reports itself.
    pub fn fork_payload(
        self,
        plan: &InitPlan,
        frame: Frame<'_>,
        namespaces: &NamespacePlan,
    ) -> Step<Joined> {
        let entry = self.channel.receive_entry();
        let entry = in_stage(Stage::Fork, entry.map_err(Fault::at(init::RECEIVE_ENTRY)))?;
        let signals = signals::child_signals().map_err(Fault::at(init::SIGNALS));
        let signals = in_stage(Stage::Fork, signals)?;
        let request = CloneRequest {
            flags: 0,
            exit_signal: libc::SIGCHLD,
            cgroup: entry.into,
        };
        // SAFETY: the copy goes on in the same async-signal-safe chain.
        let clone = unsafe { clone3(request) }.map_err(Fault::at(init::CLONE));
        let clone = in_stage(Stage::Fork, clone)?;
        if clone.pid != 0 {
            let proved = self.proved | Stage::Fork.set();
            init::run(self.channel, plan, frame, proved, signals, clone.pid);
        }
        in_stage(Stage::Session, session::start_payload())?;
        let files = entry.files();
        let joined = apply(&Join { files })?;
        in_stage(Stage::Namespaces, namespaces.unshare_cgroup())?;
        Ok(self.next(Stage::Fork.set() | Stage::Session.set() | joined))
    }
}

impl Child<Joined> {
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

impl Child<Unprivileged> {
    /// Waits for the run, whose streams become 0, 1 and 2. Here, and in [`Child::fork_payload`], the two processes of
    /// a [`Prepared`](crate::Prepared) box stand until it is spawned.
    ///
    /// # Errors
    /// [`Stage::Stdio`]; with `ESRCH` where the supervisor ended while the box waited.
    pub fn attach_stdio(self) -> Step<Attached> {
        in_stage(Stage::Stdio, self.channel.take_streams())?;
        Ok(self.next(Stage::Stdio.set()))
    }
}

pub(crate) const CHDIR: u16 = 0;
pub(crate) const FIND_PROGRAM: u16 = 1;
pub(crate) const CLOSE_RANGE: u16 = 0;
pub(crate) const UNBLOCK_SIGNALS: u16 = 1;
pub(crate) const COUNT_GROUPS: u16 = 2;

impl Child<Confined> {
    /// Working directory, descriptors and the filter: what is left before the exec.
    ///
    /// # Errors
    /// [`Stage::WorkDir`], [`Stage::CloseFds`], [`Stage::Seccomp`].
    pub fn seal(self, filter: &Filter, image: &Image) -> Step<Sealed> {
        let mut sealed = self.dangerous().seal_unfiltered(image)?;
        sealed.start_is_reported = filter.reports_start();
        sealed.proved |= if filter.reports() {
            let installed = report::install(filter, sealed.channel.handshake);
            in_stage(Stage::Seccomp, installed).map(|()| Stage::Seccomp.set())?
        } else {
            apply(filter)?
        };
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
        let done = Stage::WorkDir.set() | Stage::CloseFds.set();
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
            if self.start_is_reported {
                let sent = send_record(self.channel.handshake, started);
                in_stage(Stage::Execve, sent.map_err(Fault::at(REPORT)))?;
            }
        }
        in_stage(Stage::Execve, Err(Fault { index: EXEC, errno }))
    }
}

pub(crate) const REPORT: u16 = 0;
pub(crate) const EXEC: u16 = 1;
