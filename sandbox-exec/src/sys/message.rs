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
#![expect(unsafe_code, reason = "system call module")]

use core::ffi::c_int;
use std::os::fd::OwnedFd;

use sandbox_core::{
    Errno, Record,
    sys::{check, retry},
};

use super::descriptors::own;

/// One descriptor in flight: a control message of exactly this layout, see cmsg(3).
#[repr(C, align(8))]
struct RightsMessage {
    header: libc::cmsghdr,
    fd: c_int,
}

fn rights_message(fd: c_int) -> RightsMessage {
    RightsMessage {
        header: libc::cmsghdr {
            cmsg_len: core::mem::offset_of!(RightsMessage, fd).saturating_add(size_of::<c_int>()),
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        },
        fd,
    }
}

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
    let mut byte = 0_u8;
    let mut data = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let mut control = rights_message(fd);
    // SAFETY: an all-zero msghdr is valid: no name, no data, no control.
    let mut header: libc::msghdr = unsafe { core::mem::zeroed() };
    header.msg_iov = &raw mut data;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = size_of::<RightsMessage>();
    // SAFETY: the header points at one live byte and one live control message of the stated size.
    retry(|| check(unsafe { libc::sendmsg(socket, &raw const header, libc::MSG_NOSIGNAL) as i64 }))
        .map(drop)
}

/// Sends the byte that lets init go on.
pub(crate) fn send_go(socket: c_int) -> Result<(), Errno> {
    let byte = 0_u8;
    retry(|| {
        // SAFETY: one live byte.
        check(unsafe { libc::send(socket, (&raw const byte).cast(), 1, libc::MSG_NOSIGNAL) as i64 })
    })
    .map(drop)
}

/// Receives one message, if there is one.
pub(crate) fn receive(socket: c_int) -> Result<Message, Errno> {
    let mut bytes = [0_u8; Record::SIZE];
    let mut data = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut control = rights_message(-1);
    // SAFETY: an all-zero msghdr is valid.
    let mut header: libc::msghdr = unsafe { core::mem::zeroed() };
    header.msg_iov = &raw mut data;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = size_of::<RightsMessage>();
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    let mut take = || {
        retry(|| {
            // SAFETY: the header points at live, writable buffers of the stated sizes.
            check(unsafe { libc::recvmsg(socket, &raw mut header, flags) as i64 })
        })
    };
    let is_reset = |result: &Result<i64, Errno>| matches!(result, Err(errno) if errno.raw() == libc::ECONNRESET);
    let mut n = take();
    if is_reset(&n) {
        // A peer that died with unread data of ours resets the connection. That is told once, and before what the peer
        // had still sent.
        n = take();
    }
    let n = match n {
        Err(errno) if errno.raw() == libc::EAGAIN => return Ok(Message::Empty),
        Err(errno) if errno.raw() == libc::ECONNRESET => return Ok(Message::End),
        other => other?,
    };
    let carries_rights = header.msg_controllen > 0
        && control.header.cmsg_level == libc::SOL_SOCKET
        && control.header.cmsg_type == libc::SCM_RIGHTS
        && control.fd >= 0;
    if carries_rights {
        return Ok(Message::Descriptor(own(control.fd)));
    }
    Ok(match usize::try_from(n) {
        Ok(0) => Message::End,
        Ok(1) => Message::Go,
        Ok(Record::SIZE) => Message::Record(bytes),
        _ => Message::Foreign,
    })
}

/// Most descriptors of one message, the kernel's `SCM_MAX_FD`; see unix(7).
pub(crate) const MOST_DESCRIPTORS: usize = 253;

/// As many descriptors in flight as one message can have.
#[repr(C, align(8))]
struct ManyRights {
    header: libc::cmsghdr,
    fds: [c_int; MOST_DESCRIPTORS],
}

fn control_length(count: usize) -> usize {
    let bytes = count.saturating_mul(size_of::<c_int>());
    core::mem::offset_of!(ManyRights, fds).saturating_add(bytes)
}

/// Sends some bytes with these descriptors, at most [`MOST_DESCRIPTORS`].
pub(crate) fn send_many(socket: c_int, bytes: &[u8], fds: &[c_int]) -> Result<(), Errno> {
    let mut control = ManyRights {
        header: libc::cmsghdr {
            cmsg_len: control_length(fds.len()),
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        },
        fds: [-1; MOST_DESCRIPTORS],
    };
    let room = control.fds.get_mut(..fds.len());
    room.ok_or(Errno::from_raw(libc::E2BIG))?
        .copy_from_slice(fds);
    let mut data = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: an all-zero msghdr is valid: no name, no data, no control.
    let mut header: libc::msghdr = unsafe { core::mem::zeroed() };
    header.msg_iov = &raw mut data;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = control_length(fds.len());
    // SAFETY: the header points at live bytes, which are only read, and one live control message of the stated size.
    retry(|| check(unsafe { libc::sendmsg(socket, &raw const header, libc::MSG_NOSIGNAL) as i64 }))
        .map(drop)
}

/// Receives one message with descriptors, with `MSG_CMSG_CLOEXEC` or no flags: how many bytes and how many descriptors came. In the child, which
/// owns nothing: they stay open until it closes them.
pub(crate) fn receive_many(
    socket: c_int,
    bytes: &mut [u8],
    fds: &mut [c_int; MOST_DESCRIPTORS],
    flags: c_int,
) -> Result<(usize, usize), Errno> {
    let mut control = ManyRights {
        header: libc::cmsghdr {
            cmsg_len: 0,
            cmsg_level: 0,
            cmsg_type: 0,
        },
        fds: [-1; MOST_DESCRIPTORS],
    };
    let mut data = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: an all-zero msghdr is valid.
    let mut header: libc::msghdr = unsafe { core::mem::zeroed() };
    header.msg_iov = &raw mut data;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = size_of::<ManyRights>();
    let n = retry(|| {
        // SAFETY: the header points at live, writable buffers of the stated sizes.
        check(unsafe { libc::recvmsg(socket, &raw mut header, flags) as i64 })
    })?;
    let bytes = usize::try_from(n).map_err(|_| Errno::from_raw(libc::EIO))?;
    let carries_rights = header.msg_controllen > 0
        && control.header.cmsg_level == libc::SOL_SOCKET
        && control.header.cmsg_type == libc::SCM_RIGHTS;
    if !carries_rights {
        return Ok((bytes, 0));
    }
    *fds = control.fds;
    let room = control.header.cmsg_len.saturating_sub(control_length(0));
    let count = room.checked_div(size_of::<c_int>()).unwrap_or_default();
    Ok((bytes, count.min(MOST_DESCRIPTORS)))
}
