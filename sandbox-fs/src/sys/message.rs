//! What the process that opens sources tells the embedder: messages with descriptors.

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

pub(crate) use sandbox_core::sys::rights::socket_pair;
use sandbox_core::{Errno, sys::rights};

/// One message.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Message {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) number: u32,
    pub(crate) is_dir: u32,
}

const LENGTH: usize = 24;

impl Message {
    fn encode(self) -> [u8; LENGTH] {
        let [a, b, c, d, e, f, g, h] = self.device.to_ne_bytes();
        let [i, j, k, l, m, n, o, p] = self.inode.to_ne_bytes();
        let [q, r, s, t] = self.number.to_ne_bytes();
        let [u, v, w, x] = self.is_dir.to_ne_bytes();
        [
            a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x,
        ]
    }

    fn decode(bytes: [u8; LENGTH]) -> Self {
        let [
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            i,
            j,
            k,
            l,
            m,
            n,
            o,
            p,
            q,
            r,
            s,
            t,
            u,
            v,
            w,
            x,
        ] = bytes;
        Self {
            device: u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
            inode: u64::from_ne_bytes([i, j, k, l, m, n, o, p]),
            number: u32::from_ne_bytes([q, r, s, t]),
            is_dir: u32::from_ne_bytes([u, v, w, x]),
        }
    }
}

/// Sends one message, with a descriptor where there is one.
pub(crate) fn send(socket: c_int, message: Message, fd: Option<c_int>) -> Result<(), Errno> {
    rights::send::<1>(socket, &message.encode(), fd.as_slice())
}

/// Receives what [`send`] sent, without waiting for it.
///
/// # Errors
/// `EAGAIN`: there is none yet. `EPIPE`: the sender is gone.
pub(crate) fn receive(socket: c_int) -> Result<(Message, Option<c_int>), Errno> {
    let (mut bytes, mut fds) = ([0; LENGTH], [-1]);
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    let (length, count) = rights::receive(socket, &mut bytes, &mut fds, flags)?;
    if length != LENGTH {
        return Err(Errno::from_raw(libc::EPIPE));
    }
    let [fd] = fds;
    Ok((Message::decode(bytes), (count == 1).then_some(fd)))
}
