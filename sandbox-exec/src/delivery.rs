//! What comes to the child by descriptor: the supervisor's side.
//!
//! init is cloned before there is a cgroup, a mount or a pipe for it: making them takes as long as init takes to make its
//! namespaces, and a box can be prepared before it is known what runs in it.

use std::os::fd::{AsRawFd as _, RawFd};

use sandbox_cgroup::Entry;
use sandbox_core::Errno;
use sandbox_fs::RootInstance;

use crate::{
    Error,
    child::receive::kind,
    observed::{Handshake, Status},
    stdio::StdioPlan,
    sys::message,
};

/// Sends init the way into the cgroup.
pub(crate) fn deliver_entry(status: &Status, entry: &Entry) -> Result<(), Error> {
    let mut fds: Vec<RawFd> = entry.files().map(|file| file.as_raw_fd()).collect();
    let into = entry.clone_into();
    fds.extend(into.map(|fd| fd.as_raw_fd()));
    let kind = if into.is_some() {
        kind::ENTRY_BY_CLONE
    } else {
        kind::ENTRY
    };
    sent(message::send_many(status.raw(), &[kind], &fds))
}

/// Sends init the mounts of the binds and the payload its streams.
pub(crate) fn deliver_run(
    status: &Status,
    handshake: &Handshake,
    root: &RootInstance<'_>,
    stdio: &StdioPlan,
) -> Result<(), Error> {
    sent(message::send_many(
        status.raw(),
        &[kind::TREES],
        &root.descriptors(),
    ))?;
    match handshake.descriptor() {
        Some(socket) => sent(message::send_many(socket, &[kind::STREAMS], &stdio.raw())),
        None => Ok(()),
    }
}

/// A receiver that has ended has said why, and that is read later.
fn sent(result: Result<(), Errno>) -> Result<(), Error> {
    match result {
        Err(errno) if matches!(errno.raw(), libc::EPIPE | libc::ECONNRESET) => Ok(()),
        other => other.map_err(Error::call("sendmsg to the box")),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        child::{ChildChannel, receive::kind},
        sys::{
            descriptors::{close, eventfd, message_pair},
            message::send_many,
            process::{getpid, pidfd_open},
        },
    };
    use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

    /// What the child gets of `count` descriptors sent with this byte.
    fn sent<T>(kind: u8, count: usize, take: impl FnOnce(&ChildChannel) -> T) -> T {
        let (parent, child) = message_pair().unwrap();
        let supervisor = pidfd_open(getpid()).unwrap();
        let event = eventfd().unwrap();
        let fds = vec![event.as_raw_fd(); count];
        send_many(parent.as_raw_fd(), &[kind], &fds).unwrap();
        take(&ChildChannel {
            handshake: child.as_raw_fd(),
            status: child.as_raw_fd(),
            gate: -1,
            supervisor: supervisor.as_raw_fd(),
        })
    }

    fn closes(fds: &[RawFd]) {
        for fd in fds {
            assert!(*fd > 2);
            close(*fd).unwrap();
        }
    }

    #[test]
    fn every_message_arrives_whole() {
        let entry = sent(kind::ENTRY, 4, ChildChannel::receive_entry).unwrap();
        assert_eq!((entry.files().len(), entry.into), (4, None));
        closes(entry.files());
        let entry = sent(kind::ENTRY_BY_CLONE, 3, ChildChannel::receive_entry).unwrap();
        assert_eq!(entry.files().len(), 2);
        closes(entry.files());
        closes(&[entry.into.unwrap()]);
        let trees = sent(kind::TREES, 240, ChildChannel::receive_trees).unwrap();
        assert_eq!(trees.as_slice().len(), 240);
        closes(trees.as_slice());
        let trees = sent(kind::TREES, 0, ChildChannel::receive_trees).unwrap();
        assert_eq!(trees.as_slice().len(), 0);
    }

    #[test]
    fn another_message_is_refused() {
        let refused = |errno: sandbox_core::Errno| assert_eq!(errno.raw(), libc::EPROTO);
        refused(sent(kind::STREAMS, 3, ChildChannel::receive_entry).unwrap_err());
        refused(sent(kind::STREAMS, 3, ChildChannel::receive_trees).unwrap_err());
        refused(sent(kind::ENTRY, 9, ChildChannel::receive_entry).unwrap_err());
        refused(sent(kind::ENTRY_BY_CLONE, 0, ChildChannel::receive_entry).unwrap_err());
    }

    #[test]
    fn the_end_of_the_supervisor_is_no_message() {
        let (parent, child): (OwnedFd, OwnedFd) = message_pair().unwrap();
        drop(parent);
        let channel = ChildChannel {
            handshake: child.as_raw_fd(),
            status: child.as_raw_fd(),
            gate: -1,
            supervisor: -1,
        };
        assert_eq!(channel.receive_trees().unwrap_err().raw(), libc::ESRCH);
    }
}
