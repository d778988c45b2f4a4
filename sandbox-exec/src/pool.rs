//! Boxes made ahead of their runs.

use core::{num::NonZeroUsize, time::Duration};
use std::{
    collections::VecDeque,
    os::fd::{AsFd as _, AsRawFd as _},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};

use sandbox_core::Errno;

use crate::{
    Error, Output, Prepared, Running, Sandbox, Stdin,
    sys::{descriptors, signals},
};

/// How long the making of a box is put off while programs run: those that end sooner are not disturbed by it, and those
/// that take longer do not notice it.
const QUIET: Duration = Duration::from_millis(10);

/// How long after a run the making begins: who waited for that run has the CPU first.
const BREATH: Duration = Duration::from_micros(500);

/// Boxes of one [`Sandbox`] that wait for their runs, and a thread that makes the next ones.
///
/// Each is a [`Prepared`] box: its own namespaces, cgroup and root, one run, then gone. A judge whose CPUs have a moment
/// between two runs starts each of them in the time that [`Prepared::spawn`] takes, without having to think of preparing.
///
/// The thread blocks all signals and sleeps while the pool is full. It works between the runs, and beside those that take
/// longer than 10 ms where no box is left. A waiting box costs about what two sleeping processes,
/// a network namespace and a cgroup cost, and holds an id where these come from a [`UidPool`](crate::UidPool).
///
/// Dropped, the thread has ended and the boxes that wait are gone. Those that run stay.
#[derive(Debug)]
pub struct Pool {
    sandbox: Sandbox,
    shared: Arc<Shared>,
    maker: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    ready: VecDeque<Prepared>,
    /// Runs that have not ended.
    running: usize,
    /// Since when a box is missing.
    missing: Option<Instant>,
    /// When a run ended last.
    ended: Option<Instant>,
    /// What the thread does is waited for by a spawn, which takes what comes.
    making: Making,
    /// The last box could not be made. The next spawn tries for itself, and tells its caller why.
    failed: bool,
    closing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Making {
    Nothing,
    /// For the queue.
    Ahead,
    /// For a spawn that waits.
    Awaited,
}

impl State {
    /// How long the next box must not be made yet; `None` where there is nothing to make.
    fn rest(&self, size: usize) -> Option<Duration> {
        if self.failed || self.ready.len() >= size {
            return None;
        }
        let rest = |pause: Duration, since: Option<Instant>| {
            since.map_or(Duration::ZERO, |since| {
                pause.saturating_sub(since.elapsed())
            })
        };
        let quiet = match self.running {
            0 => Duration::ZERO,
            _ => rest(QUIET, self.missing),
        };
        Some(quiet.max(rest(BREATH, self.ended)))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock panics but an allocation of the queue, which leaves the queue whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep<'s>(
        &self,
        state: MutexGuard<'s, State>,
        rest: Option<Duration>,
    ) -> MutexGuard<'s, State> {
        match rest {
            Some(rest) => self
                .changed
                .wait_timeout(state, rest)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state),
            None => self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// A run of a pool, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Shared>);

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running = state.running.saturating_sub(1);
        state.ended = Some(Instant::now());
        drop(state);
        self.0.changed.notify_all();
    }
}

impl Pool {
    pub(crate) fn new(sandbox: Sandbox, size: NonZeroUsize) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                ready: VecDeque::with_capacity(size.get()),
                running: 0,
                missing: None,
                ended: None,
                making: Making::Nothing,
                failed: false,
                closing: false,
            }),
            changed: Condvar::new(),
        });
        let (its_shared, its_sandbox) = (Arc::clone(&shared), sandbox.clone());
        // The thread inherits the mask: no handler of the embedder ever runs in it.
        let mask = signals::set_mask(u64::MAX).map_err(Error::call("rt_sigprocmask"))?;
        let maker = thread::Builder::new()
            .name("sandbox-pool".into())
            .spawn(move || make(&its_shared, &its_sandbox, size.get()));
        signals::set_mask(mask).map_err(Error::call("rt_sigprocmask"))?;
        let maker = maker.map_err(|error| {
            let errno = error.raw_os_error().unwrap_or(libc::EAGAIN);
            Error::call("clone3 of a thread")(Errno::from_raw(errno))
        })?;
        Ok(Self {
            sandbox,
            shared,
            maker: Some(maker),
        })
    }

    /// Starts a run in a box that is ready, or else in one made from nothing; see [`Sandbox::spawn`].
    ///
    /// # Errors
    /// As [`Sandbox::spawn`].
    pub fn spawn(&self, stdin: Stdin, stdout: Output, stderr: Output) -> Result<Running, Error> {
        let turn = Turn(Arc::clone(&self.shared));
        self.shared.lock().running += 1;
        let mut prepared = match self.take() {
            Some(prepared) => prepared,
            // The thread may have taken the last id or process that there was, in this moment, for a box of this pool.
            None => self
                .sandbox
                .prepare()
                .or_else(|error| self.take().ok_or(error))?,
        };
        prepared.turn = Some(turn);
        prepared.spawn(stdin, stdout, stderr)
    }

    /// How many boxes wait for their runs now.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.shared.lock().ready.len()
    }

    /// A box that is ready, or that soon is. One that has died is no use, and making another one says why it did.
    fn take(&self) -> Option<Prepared> {
        let mut state = self.shared.lock();
        state.failed = false;
        loop {
            if let Some(prepared) = state.ready.pop_front() {
                state.missing = state.missing.or_else(|| Some(Instant::now()));
                if state.ready.is_empty() {
                    self.shared.changed.notify_all();
                }
                if !has_ended(&prepared) {
                    return Some(prepared);
                }
                continue;
            }
            match state.making {
                Making::Nothing | Making::Awaited => return None,
                Making::Ahead => state.making = Making::Awaited,
            }
            while state.making == Making::Awaited {
                state = self.shared.sleep(state, None);
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
        if let Some(maker) = self.maker.take() {
            // It panics only where the allocator does; the boxes are dropped below in any case.
            _ = maker.join();
        }
        self.shared.lock().ready.clear();
    }
}

/// The thread: keeps the queue full.
fn make(shared: &Shared, sandbox: &Sandbox, size: usize) {
    let mut state = shared.lock();
    while !state.closing {
        match state.rest(size) {
            Some(Duration::ZERO) => {}
            rest => {
                state = shared.sleep(state, rest);
                continue;
            }
        }
        state.making = Making::Ahead;
        drop(state);
        let made = sandbox.prepare();
        state = shared.lock();
        state.making = Making::Nothing;
        match made {
            Ok(prepared) => {
                state.ready.push_back(prepared);
                state.missing = (state.ready.len() < size).then(Instant::now);
            }
            Err(_) => state.failed = true,
        }
        shared.changed.notify_all();
    }
}

fn has_ended(prepared: &Prepared) -> bool {
    let mut fds = [libc::pollfd {
        fd: prepared.as_fd().as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    }];
    descriptors::poll(&mut fds, Some(core::time::Duration::ZERO)).is_ok_and(|ready| ready > 0)
}
