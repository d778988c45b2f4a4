//! Ending a run from another thread.

use std::{
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
    sync::Arc,
};

use crate::{Error, sys::descriptors};

/// Ends a run from any thread, a signal handler's thread included. [`Running::wait`](crate::Running::wait) then kills the box and
/// reports [`KillReason::Requested`](sandbox_core::KillReason::Requested).
#[derive(Debug, Clone)]
pub struct Canceller {
    event: Arc<OwnedFd>,
}

impl Canceller {
    pub(crate) fn new() -> Result<Self, Error> {
        let event = descriptors::eventfd().map_err(Error::call("eventfd"))?;
        Ok(Self {
            event: Arc::new(event),
        })
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.event.as_raw_fd()
    }

    /// Asks for the end of the run; does nothing where it is over.
    pub fn cancel(&self) {
        // The counter of an eventfd overflows after 2^64 - 2 requests; one is enough, so a full one is as good.
        _ = descriptors::eventfd_signal(self.event.as_raw_fd());
    }
}
