//! init, as the supervisor holds it.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use crate::{Error, sys::process};

/// init, and with it the box: killed and reaped on drop.
#[derive(Debug)]
pub(crate) struct InitProcess {
    pidfd: OwnedFd,
    reaped: bool,
}

impl AsFd for InitProcess {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl InitProcess {
    pub(crate) fn new(pidfd: OwnedFd) -> Self {
        Self {
            pidfd,
            reaped: false,
        }
    }

    /// Ends every process of the box: its pid namespace dies with PID 1.
    pub(crate) fn kill(&self) -> Result<(), Error> {
        match process::pidfd_send_signal(self.pidfd.as_raw_fd(), libc::SIGKILL) {
            Err(errno) if errno.raw() != libc::ESRCH => {
                Err(Error::call("pidfd_send_signal to init")(errno))
            }
            _ => Ok(()),
        }
    }

    /// Waits until no process of the box is left.
    pub(crate) fn reap(&mut self) -> Result<(), Error> {
        if self.reaped {
            return Ok(());
        }
        self.reaped = true;
        match process::wait_pidfd(self.pidfd.as_raw_fd()) {
            // The embedder has reaped it, with __WALL or by name: it is gone all the same.
            Err(errno) if errno.raw() == libc::ECHILD => Ok(()),
            other => other.map_err(Error::call("waitid of init")),
        }
    }
}

impl Drop for InitProcess {
    fn drop(&mut self) {
        // A drop has nobody to tell. Neither can fail for a child of one's own; where it could, init dies with the supervisor.
        if !self.reaped && self.kill().is_ok() {
            _ = self.reap();
        }
    }
}
