//! Work in a forked copy of the test, for what would change the test process itself.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    panic::{self, AssertUnwindSafe},
    sync::{
        Once,
        atomic::{AtomicI32, Ordering},
    },
};

use sandbox_exec::{Hierarchies, Host};

use crate::sys;

/// What the copy writes before anything else when it fails.
const FAILED: u8 = b'!';

/// Runs `work` in a forked child and fails where it panics, with its message.
///
/// The child has one thread and none of the descriptors above 2 that the test process had: tests in other threads have
/// boxes at work, and a copy of their sockets would hold those boxes up. So `work` must not use descriptors from outside.
#[track_caller]
pub fn in_child(work: impl FnOnce()) {
    look_up();
    in_fresh_child(work);
}

/// [`in_child`] for tests that show a process another host than that of the test: what a process looks up once is not
/// looked up in the test process, which must not do so elsewhere either.
#[track_caller]
pub fn in_fresh_child(work: impl FnOnce()) {
    let mut child = Fork::start_fresh(|_| work());
    let said = child.read_to_end();
    child.join(&said);
}

/// Looks up what a process looks up once. A copy made while another thread is at it would wait for that thread, which it
/// does not have.
fn look_up() {
    // A host without is what the tests are about to find out.
    _ = Host::probe();
    _ = Hierarchies::host();
}

/// A forked copy of the test that is talked to through a pipe and may be killed.
#[derive(Debug)]
pub struct Fork {
    pid: i32,
    pidfd: OwnedFd,
    pipe: File,
    reaped: bool,
}

impl Fork {
    /// Starts `work` in a forked child, with the write end of a pipe to this handle. As for the rest, see [`in_child`].
    #[must_use]
    pub fn start(work: impl FnOnce(&mut File)) -> Self {
        look_up();
        Self::start_fresh(work)
    }

    fn start_fresh(work: impl FnOnce(&mut File)) -> Self {
        install_hook();
        let (read, write) = sys::pipe();
        let pid = sys::fork();
        if pid == 0 {
            sys::close_all_but(write.as_fd());
            // What a shell starts in the background ignores some of them.
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
                sys::set_disposition(signal, libc::SIG_DFL);
            }
            // Its descriptor is closed above; a drop would close whatever has the number next.
            core::mem::forget(read);
            run(write.into(), work);
        }
        Self {
            pid,
            pidfd: sys::pidfd_open(pid),
            pipe: read.into(),
            reaped: false,
        }
    }

    /// The child's pid.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Reads exactly so many bytes of what the child writes.
    #[track_caller]
    pub fn read(&mut self, bytes: usize) -> Vec<u8> {
        let mut buffer = vec![0; bytes];
        if self.pipe.read_exact(&mut buffer[..1]).is_err() {
            self.join(&[]);
            panic!("the child ended without a word");
        }
        if buffer[0] == FAILED {
            self.join(&[FAILED]);
        }
        self.pipe
            .read_exact(&mut buffer[1..])
            .expect("the child says it all");
        buffer
    }

    /// Reads what the child writes to its end.
    #[must_use]
    pub fn read_to_end(&mut self) -> Vec<u8> {
        let mut said = Vec::new();
        self.pipe
            .read_to_end(&mut said)
            .expect("a pipe can be read");
        said
    }

    /// Sends a signal that ends the child; returns when it is gone.
    pub fn kill_by(self, signal: i32) {
        sys::kill(self.pid, signal);
        self.ends_by(signal);
    }

    /// Waits until a signal from elsewhere has ended the child.
    pub fn ends_by(mut self, signal: i32) {
        self.reaped = true;
        let ended_by = sys::wait(self.pid) & 0x7f;
        assert_eq!(ended_by, signal, "ended by the signal");
    }

    /// Waits for the end of the child and fails where it failed. `said` is what it wrote before.
    #[track_caller]
    pub fn join(&mut self, said: &[u8]) {
        let mut message = said.strip_prefix(&[FAILED]).map(<[u8]>::to_vec);
        if let Some(message) = &mut message {
            message.extend(self.read_to_end());
        }
        self.reaped = true;
        let status = sys::wait(self.pid);
        match message {
            Some(text) => panic!("in the child: {}", String::from_utf8_lossy(&text)),
            None => assert_eq!(status, 0, "wait status of the child, which said {said:?}"),
        }
    }
}

impl Drop for Fork {
    fn drop(&mut self) {
        if !self.reaped {
            sys::kill(self.pid, libc::SIGKILL);
            assert!(sys::readable(
                self.pidfd.as_fd(),
                core::time::Duration::from_secs(10)
            ));
            // However it ended: a test that drops this has failed already or does not care.
            sys::wait(self.pid);
        }
    }
}

/// In a forked copy, the descriptor that it speaks to the test by; -1 elsewhere.
static VOICE: AtomicI32 = AtomicI32::new(-1);

/// Lets a copy tell the test where it panicked. Installed before the fork: the lock of the hook, which another thread that
/// panics at that moment holds, is one that a copy cannot take for writing.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let voice = VOICE.load(Ordering::SeqCst);
            if voice < 0 {
                return usual(info);
            }
            // What is printed is captured by the harness in a buffer of the copy, which nobody reads.
            let text = format!("{}{info}", char::from(FAILED));
            sys::write_all(voice, text.as_bytes());
        }));
    });
}

fn run(mut pipe: File, work: impl FnOnce(&mut File)) -> ! {
    // A copy of its own: `work` may drop the file.
    let voice = pipe.try_clone().expect("a descriptor can be copied");
    VOICE.store(voice.as_raw_fd(), Ordering::SeqCst);
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| work(&mut pipe)));
    if outcome.is_ok() && pipe.flush().is_ok() {
        sys::exit_now(0);
    }
    sys::exit_now(1)
}
