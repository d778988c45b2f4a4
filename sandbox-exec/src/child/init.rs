//! PID 1 of the box: seals itself, reaps, reports the payload's end, and dies with the supervisor.

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

use core::{ffi::c_int, time::Duration};

use sandbox_core::{
    Errno, Fault, Process, Record, Stage, StageSet, StepFailure,
    sys::{exit_now, monotonic_ns, send_record},
};

use super::{ChildChannel, chain::Frame};
use crate::{
    plan::InitPlan,
    process::capabilities::CapabilityDrop,
    sys::{
        descriptors::{close_all_but, eventfd_signal, poll, read},
        message::send_descriptor,
        process::{prctl, reap},
    },
};

pub(crate) const SIGNALS: u16 = 0;
pub(crate) const CLONE: u16 = 1;
pub(crate) const RECEIVE_ENTRY: u16 = 2;

/// Operations of [`Stage::Root`] that are this crate's own, after all of the tree's.
pub(crate) const SEND_KEPT: u16 = u16::MAX;
pub(crate) const RECEIVE_TREES: u16 = u16::MAX - 1;

pub(crate) const SEAL_DESCRIPTORS: u16 = 32;
pub(crate) const SEAL_NO_NEW_PRIVS: u16 = 33;
pub(crate) const SEAL_DUMPABLE: u16 = 34;
pub(crate) const SEAL_GATE: u16 = 35;
/// Added to the indices of the capability drop, which follow those of the ids.
pub(crate) const SEAL_CAPABILITIES: u16 = 16;

/// Finishes the root when the run has come, and sends its kept directories home.
fn finish_root(channel: ChildChannel, frame: Frame<'_>) -> Result<(), Fault> {
    let Frame { plan, frame } = frame;
    let trees = channel.receive_trees().map_err(Fault::at(RECEIVE_TREES))?;
    frame.finish(trees.as_slice())?;
    for index in 0..plan.kept_len() {
        let kept = plan.open_kept(index)?;
        send_descriptor(channel.status, kept).map_err(Fault::at(SEND_KEPT))?;
    }
    Ok(())
}

/// init when the root stands. It still holds the embedder's memory, so nothing of it may be within the payload's reach:
/// no descriptor but its own, no capability, not the payload's uid, not dumpable. Only then does the gate open.
fn seal(channel: ChildChannel, plan: &InitPlan, signals: c_int) -> Result<(), Fault> {
    let mut keep = [channel.status, channel.gate, channel.supervisor, signals];
    keep.sort_unstable();
    close_all_but(0, &keep).map_err(Fault::at(SEAL_DESCRIPTORS))?;
    plan.identity.take_ids()?;
    CapabilityDrop::empty_sets().map_err(|fault| Fault {
        index: fault.index.saturating_add(SEAL_CAPABILITIES),
        errno: fault.errno,
    })?;
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map_err(Fault::at(SEAL_NO_NEW_PRIVS))?;
    prctl(libc::PR_SET_DUMPABLE, 0, 0).map_err(Fault::at(SEAL_DUMPABLE))?;
    if prctl(libc::PR_GET_DUMPABLE, 0, 0).map_err(Fault::at(SEAL_DUMPABLE))? != 0 {
        return Err(Fault {
            index: SEAL_DUMPABLE,
            errno: Errno::from_raw(libc::EPERM),
        });
    }
    eventfd_signal(channel.gate).map_err(Fault::at(SEAL_GATE))
}

/// init for the rest of its life. Its end is the end of every process in the box.
///
/// There is no `PR_SET_PDEATHSIG`: it fires when the *thread* that cloned ends, which in a thread pool is any time, and
/// would kill a healthy box. The pidfd of the supervisor says the same without that fault.
pub(super) fn run(
    channel: ChildChannel,
    plan: &InitPlan,
    frame: Frame<'_>,
    proved: StageSet,
    signals: c_int,
    payload: c_int,
) -> ! {
    let in_stage = |stage| move |fault| StepFailure { stage, fault };
    let ready = finish_root(channel, frame)
        .map_err(in_stage(Stage::Root))
        .and_then(|()| seal(channel, plan, signals).map_err(in_stage(Stage::Seal)));
    if let Err(failure) = ready {
        // Nothing follows but the exit, whether or not anyone reads this.
        _ = send_record(channel.status, Record::Failed(Process::Init, failure));
        exit_now(1);
    }
    let proof = Record::Proved(
        Process::Init,
        proved | Stage::Root.set() | Stage::Seal.set(),
    );
    if send_record(channel.status, proof).is_err() {
        exit_now(1);
    }
    let born = monotonic_ns();
    let life = plan
        .life
        .map(|life| i64::try_from(life.as_nanos()).unwrap_or(i64::MAX));
    let mut over = false;
    loop {
        // Where the program has ended, calls may wait in the listener, and to end with one untold would hide it.
        let rest = life
            .filter(|_| !over)
            .map(|life| life.saturating_sub(monotonic_ns().saturating_sub(born)));
        if rest.is_some_and(|rest| rest <= 0) {
            exit_now(1);
        }
        let timeout = rest.map(|rest| Duration::from_nanos(rest.unsigned_abs()));
        let entry = |fd, events| libc::pollfd {
            fd,
            events,
            revents: 0,
        };
        // Until the payload has ended only the hang-up of the status socket counts, which is always told; then also the go.
        let go = if over { libc::POLLIN } else { 0 };
        let mut fds = [
            entry(signals, libc::POLLIN),
            entry(channel.supervisor, libc::POLLIN),
            entry(channel.status, go),
        ];
        match poll(&mut fds, timeout) {
            Err(errno) if errno.raw() == libc::EINTR => continue,
            Err(_) => exit_now(1),
            Ok(_) => {}
        }
        let [children, supervisor, status] = fds;
        if supervisor.revents != 0 || status.revents != 0 {
            exit_now(0);
        }
        if children.revents != 0 {
            over |= reap_all(channel, plan, signals, payload);
        }
    }
}

/// Reaps what has ended: zombies of orphans would count against the limit of processes. Returns whether the payload was
/// among it, whose own end is the end of the run: whatever it left behind dies with init. Where calls are reported, not
/// before the supervisor has taken those that wait: to die with one untold would be a way to hide it.
fn reap_all(channel: ChildChannel, plan: &InitPlan, signals: c_int, payload: c_int) -> bool {
    let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
    // One SIGCHLD may stand for many children, and the queue holds one: what was read does not matter.
    _ = read(signals, &mut info);
    let mut over = false;
    loop {
        match reap() {
            Ok(Some((pid, status))) if pid == payload => {
                let now = monotonic_ns();
                // A supervisor that is gone needs no report.
                _ = send_record(channel.status, Record::Exited(status));
                _ = send_record(channel.status, Record::Ended(now));
                over = true;
                if !plan.lingers {
                    exit_now(0);
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return over,
            // No child, so no process: every orphan becomes one.
            Err(_) => exit_now(0),
        }
    }
}
