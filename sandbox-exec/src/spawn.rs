//! From a box that waits to one that runs.

use core::time::Duration;
use std::{
    os::fd::{AsFd as _, AsRawFd as _},
    time::Instant,
};

use sandbox_cgroup::Cgroup;
use sandbox_core::{Limits, Reading};

use crate::{
    Error, Output, Prepared, Running, Stdin, cancel::Canceller, delivery::deliver_run,
    explain::setup_failure, observed::Proof, running::Start, stdio::StdioPlan, sys::descriptors,
};

/// How long set-up may take. It needs about a millisecond; only a file system that does not answer takes longer.
const SETUP_DEADLINE: Duration = Duration::from_secs(60);

/// How long after the payload's proof its exec is waited for.
const EXEC_PATIENCE: Duration = Duration::from_millis(100);

/// Hands a prepared box what it runs with, and waits until it runs.
pub(crate) fn start(
    mut prepared: Prepared,
    stdin: Stdin,
    stdout: Output,
    stderr: Output,
) -> Result<Running, Error> {
    let inner = &prepared.inner;
    let (stdio, stdout, stderr) = StdioPlan::new(
        stdin,
        stdout,
        stderr,
        &inner.limits,
        prepared.identity.pipe_owner,
    )?;
    let root = inner.root.instantiate(inner.trees)?;
    let canceller = Canceller::new()?;
    deliver_run(&prepared.status, &prepared.handshake, &root, &stdio)?;
    drop((stdio, root));
    let proof = match await_exec(&mut prepared) {
        Err(Error::Vanished) => {
            prepared.process.kill()?;
            prepared.process.reap()?;
            return Err(vanished(&prepared.inner.limits, &prepared.cgroup));
        }
        other => other?,
    };
    let cpu_at_start = prepared.cgroup.cpu_time();
    let Prepared {
        inner,
        process,
        handshake,
        status,
        cgroup,
        entry: _,
        quotas,
        identity,
        turn,
    } = prepared;
    Ok(Running::new(Start {
        inner,
        process,
        handshake,
        status,
        cgroup,
        canceller,
        stdout,
        stderr,
        proof,
        cpu_at_start,
        quotas,
        identity,
        turn,
    }))
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

/// Waits until the payload has become the program.
///
/// The payload's end of the handshake closes at `execve(2)`: a proof and then the end of the stream mean that the program
/// runs. A copy of that end may live on in a process that another thread of the embedder has just forked, so the end alone
/// is not waited for: a while after the proof, [`Running`] goes on and takes a late failure.
fn await_exec(prepared: &mut Prepared) -> Result<Proof, Error> {
    let begun = Instant::now();
    let mut proved = None;
    loop {
        let rest = match proved {
            Some(proved) => EXEC_PATIENCE.saturating_sub(Instant::now().duration_since(proved)),
            None => SETUP_DEADLINE.saturating_sub(begun.elapsed()),
        };
        let watched = |fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        let mut fds = [
            watched(prepared.handshake.descriptor().unwrap_or(-1)),
            watched(prepared.process.as_fd().as_raw_fd()),
            watched(prepared.handshake.awaits_start().unwrap_or(-1)),
        ];
        let ready = match descriptors::poll(&mut fds, Some(rest)) {
            Err(errno) if errno.raw() == libc::EINTR => continue,
            other => other.map_err(Error::call("ppoll"))?,
        };
        let [_, init, listener] = fds;
        prepared.handshake.read()?;
        let inner = &prepared.inner;
        prepared
            .handshake
            .listen(inner.filter.as_ref(), inner.reports)?;
        if listener.revents & libc::POLLIN != 0 {
            prepared.handshake.answer_start()?;
            // A program that is open for writing is tried again, and each try asks.
            proved = None;
        }
        if let Some((speaker, failure)) = prepared.handshake.failure {
            return Err(setup_failure(prepared, speaker, failure).into());
        }
        let ended = prepared.handshake.is_over() || init.revents != 0;
        match prepared.handshake.proof() {
            Some(_) if ended && prepared.handshake.awaits_execve() => break,
            Some(proof) if ended || (ready == 0 && proved.is_some()) => return Ok(proof),
            None if ended => break,
            // Also where something is ready again and again and nothing comes of it.
            _ if begun.elapsed() >= SETUP_DEADLINE => {
                let seconds = SETUP_DEADLINE.as_secs();
                return Err(Error::SetupTimeout { seconds });
            }
            Some(_) => proved = proved.or_else(|| Some(Instant::now())),
            None => {}
        }
    }
    // init speaks on its own socket once it is sealed, and its end takes the payload along.
    prepared.status.read()?;
    match prepared.status.failure {
        Some((speaker, failure)) => Err(setup_failure(prepared, speaker, failure).into()),
        None => Err(Error::Vanished),
    }
}
