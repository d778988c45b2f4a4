//! What comes to the child by descriptor, because it was not there yet at the clone.

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
use core::ffi::c_int;

use sandbox_core::{Errno, Fault};

use super::ChildChannel;
use crate::sys::{
    descriptors::{close, lift_above_stdio, poll},
    message::{MOST_DESCRIPTORS, receive_many},
};

/// How many cgroup hierarchies a run can be in: one per controller that the family uses, and some more.
const MOST_FILES: usize = 8;

/// Operations of [`Stage::Stdio`](sandbox_core::Stage::Stdio): first the three closes.
const CLOSE_STREAM: u16 = 0;
pub(crate) const RECEIVE_STREAMS: u16 = 3;

const PROTOCOL: Errno = Errno::from_raw(libc::EPROTO);

/// The way into the cgroup of the run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    files: [c_int; MOST_FILES],
    count: usize,
    /// The cgroup to be cloned into.
    pub(crate) into: Option<c_int>,
}

impl Entry {
    /// The files of the cgroups that the payload joins by writing.
    pub(crate) fn files(&self) -> &[c_int] {
        self.files.get(..self.count).unwrap_or_default()
    }
}

/// The mounts of the binds.
#[derive(Debug)]
pub(crate) struct Trees {
    fds: [c_int; MOST_DESCRIPTORS],
    count: usize,
}

impl Trees {
    pub(crate) fn as_slice(&self) -> &[c_int] {
        self.fds.get(..self.count).unwrap_or_default()
    }
}

/// The byte that goes with the descriptors.
pub(crate) mod kind {
    /// Files of cgroups to join.
    pub(crate) const ENTRY: u8 = 1;
    /// The same, and last the cgroup to be cloned into.
    pub(crate) const ENTRY_BY_CLONE: u8 = 2;
    /// Standard input, output and error.
    pub(crate) const STREAMS: u8 = 3;
    /// The mounts of the binds.
    pub(crate) const TREES: u8 = 4;
}

impl ChildChannel {
    /// Sleeps until the supervisor has said something on `socket`.
    ///
    /// # Errors
    /// `ESRCH`: it is gone.
    pub(crate) fn await_message(&self, socket: c_int) -> Result<(), Errno> {
        // The socket alone is not enough: another copy of the embedder may hold its other end open.
        let entry = |fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        let mut fds = [entry(socket), entry(self.supervisor)];
        poll(&mut fds, None)?;
        let [message, _] = fds;
        if message.revents == 0 {
            return Err(Errno::from_raw(libc::ESRCH));
        }
        Ok(())
    }

    /// Waits for the way into the cgroup, in init.
    pub(crate) fn receive_entry(&self) -> Result<Entry, Errno> {
        let (kind, fds, total) = self.receive(self.status)?;
        let by_clone = match kind {
            kind::ENTRY => false,
            kind::ENTRY_BY_CLONE => true,
            _ => return Err(PROTOCOL),
        };
        let mut files = [-1; MOST_FILES];
        let count = total.saturating_sub(by_clone.into());
        if count > MOST_FILES {
            return Err(PROTOCOL);
        }
        for (slot, fd) in files.iter_mut().zip(fds).take(count) {
            *slot = fd;
        }
        let into = if by_clone {
            Some(
                fds.get(count)
                    .copied()
                    .filter(|fd| *fd >= 0)
                    .ok_or(PROTOCOL)?,
            )
        } else {
            None
        };
        Ok(Entry { files, count, into })
    }

    /// Waits for the program's streams and takes them as 0, 1 and 2, in the payload.
    ///
    /// The kernel gives the lowest free numbers, in the order of the message. So these three need no `dup3(2)`, and fit
    /// below the smallest limit of descriptors, which is in force by now.
    pub(crate) fn take_streams(&self) -> Result<(), Fault> {
        let receive = Fault::at(RECEIVE_STREAMS);
        self.await_message(self.handshake).map_err(&receive)?;
        for (index, stream) in (CLOSE_STREAM..).zip(0..3) {
            match close(stream) {
                // The embedder has closed its own.
                Err(errno) if errno.raw() == libc::EBADF => {}
                other => other.map_err(Fault::at(index))?,
            }
        }
        let mut bytes = [0; 1];
        let mut fds = [-1; MOST_DESCRIPTORS];
        let received = receive_many(self.handshake, &mut bytes, &mut fds, 0);
        match (received.map_err(&receive)?, bytes, fds) {
            ((0, _), ..) => Err(receive(Errno::from_raw(libc::ESRCH))),
            ((_, 3), [kind::STREAMS], [0, 1, 2, ..]) => Ok(()),
            _ => Err(receive(PROTOCOL)),
        }
    }

    /// Waits for the mounts of the binds, in init.
    pub(crate) fn receive_trees(&self) -> Result<Trees, Errno> {
        match self.receive(self.status)? {
            (kind::TREES, fds, count) => Ok(Trees { fds, count }),
            _ => Err(PROTOCOL),
        }
    }

    fn receive(&self, socket: c_int) -> Result<(u8, [c_int; MOST_DESCRIPTORS], usize), Errno> {
        self.await_message(socket)?;
        let mut bytes = [0; 1];
        let mut fds = [-1; MOST_DESCRIPTORS];
        let (length, count) = receive_many(socket, &mut bytes, &mut fds, libc::MSG_CMSG_CLOEXEC)?;
        if length == 0 {
            return Err(Errno::from_raw(libc::ESRCH));
        }
        // An embedder may have closed its standard streams; then the lowest free numbers are theirs.
        for fd in fds.iter_mut().take(count) {
            *fd = lift_above_stdio(*fd)?;
        }
        let [kind] = bytes;
        Ok((kind, fds, count))
    }
}
