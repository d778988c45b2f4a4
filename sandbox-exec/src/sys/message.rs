//! Messages over the sockets of a box: records, descriptors, the go.

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
use std::os::fd::OwnedFd;

pub(crate) use sandbox_core::sys::rights::MOST_DESCRIPTORS;
use sandbox_core::{Errno, Record, sys::rights};

use super::descriptors::own;

/// What came over a socket of the box.
#[derive(Debug)]
pub(crate) enum Message {
    /// A record.
    Record([u8; Record::SIZE]),
    /// A descriptor, with one byte of data.
    Descriptor(OwnedFd),
    /// One byte: the supervisor lets init go on.
    Go,
    /// The other side has closed.
    End,
    /// Nothing yet.
    Empty,
    /// Something that is neither.
    Foreign,
}

/// Sends one descriptor with one byte of data.
pub(crate) fn send_descriptor(socket: c_int, fd: c_int) -> Result<(), Errno> {
    rights::send::<1>(socket, &[0], &[fd])
}

/// Sends the byte that lets init go on.
pub(crate) fn send_go(socket: c_int) -> Result<(), Errno> {
    rights::send::<1>(socket, &[0], &[])
}

/// Receives one message, if there is one.
pub(crate) fn receive(socket: c_int) -> Result<Message, Errno> {
    let (mut bytes, mut fds) = ([0_u8; Record::SIZE], [-1]);
    let mut take = || {
        rights::receive(
            socket,
            &mut bytes,
            &mut fds,
            libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC,
        )
    };
    let is_reset =
        |result: &Result<_, Errno>| matches!(result, Err(errno) if errno.raw() == libc::ECONNRESET);
    let mut received = take();
    if is_reset(&received) {
        // A peer that died with unread data of ours resets the connection. That is told once, and before what the peer
        // had still sent.
        received = take();
    }
    let (length, count) = match received {
        Err(errno) if errno.raw() == libc::EAGAIN => return Ok(Message::Empty),
        Err(errno) if errno.raw() == libc::ECONNRESET => return Ok(Message::End),
        other => other?,
    };
    let [fd] = fds;
    Ok(match (count, length) {
        (1.., _) => Message::Descriptor(own(fd)),
        (0, 0) => Message::End,
        (0, 1) => Message::Go,
        (0, Record::SIZE) => Message::Record(bytes),
        _ => Message::Foreign,
    })
}

/// Sends some bytes with these descriptors, at most [`MOST_DESCRIPTORS`].
pub(crate) fn send_many(socket: c_int, bytes: &[u8], fds: &[c_int]) -> Result<(), Errno> {
    rights::send::<MOST_DESCRIPTORS>(socket, bytes, fds)
}

/// Receives one message with descriptors, with `MSG_CMSG_CLOEXEC` or no flags: how many bytes and how many descriptors came. In the child, which
/// owns nothing: they stay open until it closes them.
pub(crate) fn receive_many(
    socket: c_int,
    bytes: &mut [u8],
    fds: &mut [c_int; MOST_DESCRIPTORS],
    flags: c_int,
) -> Result<(usize, usize), Errno> {
    rights::receive(socket, bytes, fds, flags)
}
