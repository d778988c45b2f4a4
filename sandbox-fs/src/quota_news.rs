//! Whether a quota was in the way: what the kernel tells while it is.

use std::{
    os::fd::{AsRawFd as _, OwnedFd},
    sync::OnceLock,
};

use sandbox_core::{Errno, Reading, Unavailable};

use crate::{
    source::own,
    sys::quota_news::{self, Subject},
};

/// Listens from its making on.
#[derive(Debug)]
pub(crate) struct QuotaNews {
    socket: Result<OwnedFd, Unavailable>,
    /// Why silence means nothing any more.
    lost: OnceLock<Errno>,
}

impl QuotaNews {
    /// Where the kernel does not tell, that is what [`QuotaNews::hit`] says.
    pub(crate) fn new(subject: Subject) -> Self {
        let opened = quota_news::socket().map(own).and_then(|socket| {
            quota_news::ask(socket.as_raw_fd())?;
            quota_news::listen(socket.as_raw_fd(), subject)?;
            Ok(socket)
        });
        let socket = opened.map_err(|errno| match errno.raw() {
            libc::ENOENT | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT => Unavailable::NotCounted,
            _ => Unavailable::Failed(errno),
        });
        Self {
            socket,
            lost: OnceLock::new(),
        }
    }

    /// Whether the limit was in the way so far.
    pub(crate) fn hit(&self) -> Reading<bool> {
        let socket = match &self.socket {
            Ok(socket) => socket.as_raw_fd(),
            Err(why) => return Reading::Unavailable(*why),
        };
        // That something was lost is told once, before what was not.
        let told = quota_news::has_news(socket).or_else(|errno| {
            self.lost.get_or_init(|| errno);
            quota_news::has_news(socket)
        });
        match (told, self.lost.get()) {
            (Ok(true), _) => Reading::Value(true),
            (Err(errno), _) | (Ok(false), Some(&errno)) => {
                Reading::Unavailable(Unavailable::Failed(errno))
            }
            (Ok(false), None) => Reading::Value(false),
        }
    }
}
