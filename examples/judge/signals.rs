//! `SIGINT` and `SIGTERM`: cancel the running boxes, let the judge clean up, exit.

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering},
    },
    thread,
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level,
};

/// Cancels one running box.
type Cancel = Arc<dyn Fn() + Send + Sync>;

/// What everybody asks before starting a box, and who to tell when no more may run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// The signal that came, or 0.
    signal: AtomicI32,
    /// Whether anything, a signal or a fault, says that no more boxes may run.
    stopped: AtomicBool,
    next: AtomicU64,
    running: Mutex<BTreeMap<u64, Cancel>>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupt")
            .field("signal", &self.signal)
            .finish_non_exhaustive()
    }
}

/// Forgets a box when its run is over.
#[derive(Debug)]
pub(crate) struct Registered<'a> {
    inner: &'a Inner,
    key: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.inner.lock().remove(&self.key);
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Cancel>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interrupt {
    /// Starts to listen. A second signal ends the judge at once: the kernel then ends the boxes, and the next start
    /// collects what they left.
    pub(crate) fn listen() -> io::Result<Self> {
        let interrupt = Self::default();
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let seen = interrupt.clone();
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for signal in signals.forever() {
                    if seen.0.signal.swap(signal, Ordering::SeqCst) != 0 {
                        low_level::exit(128 + signal);
                    }
                    seen.stop();
                }
            })?;
        Ok(interrupt)
    }

    /// The signal that came, if one did.
    pub(crate) fn signal(&self) -> Option<i32> {
        match self.0.signal.load(Ordering::SeqCst) {
            0 => None,
            signal => Some(signal),
        }
    }

    /// Whether no more boxes may run.
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    /// Remembers a running box, and cancels it where the end came before.
    pub(crate) fn register(&self, cancel: impl Fn() + Send + Sync + 'static) -> Registered<'_> {
        let key = self.0.next.fetch_add(1, Ordering::Relaxed);
        let cancel: Cancel = Arc::new(cancel);
        self.0.lock().insert(key, Arc::clone(&cancel));
        // Asked after the insertion: either we see the end here, or whoever says it sees the box.
        if self.is_stopped() {
            cancel();
        }
        Registered {
            inner: &self.0,
            key,
        }
    }

    /// Lets no more boxes run, and cancels those that do.
    pub(crate) fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        for cancel in self.0.lock().values() {
            cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Interrupt;
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    #[test]
    fn what_runs_is_cancelled_and_what_comes_later_too() {
        let interrupt = Interrupt::default();
        let count = Arc::new(AtomicU32::new(0));
        let add = |n| {
            let count = Arc::clone(&count);
            move || {
                count.fetch_add(n, Ordering::SeqCst);
            }
        };
        let over = interrupt.register(add(1));
        drop(over);
        let running = interrupt.register(add(10));
        interrupt.stop();
        assert_eq!(count.load(Ordering::SeqCst), 10);
        let late = interrupt.register(add(100));
        assert_eq!(count.load(Ordering::SeqCst), 110);
        assert!(interrupt.is_stopped());
        assert_eq!(interrupt.signal(), None);
        drop((running, late));
    }
}
