//! Descriptors in messages of unix(7) sockets.

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

use core::{
    ffi::c_int,
    mem::{offset_of, zeroed},
};

use super::{check_int, errno, retry};
use crate::Errno;

/// Most descriptors of one message, the kernel's `SCM_MAX_FD`.
pub const MOST_DESCRIPTORS: usize = 253;

/// At most `MAX` descriptors as the control message of sendmsg(2).
///
/// Written out because the `CMSG_*` macros compute pointers into untyped bytes; a test compares the layouts.
#[repr(C, align(8))]
struct Rights<const MAX: usize> {
    header: libc::cmsghdr,
    fds: [c_int; MAX],
}

impl<const MAX: usize> Rights<MAX> {
    fn none() -> Self {
        // SAFETY: an all-zero value is valid: numbers only.
        unsafe { zeroed() }
    }

    /// What counts of it, without the padding behind.
    const fn length(count: usize) -> usize {
        offset_of!(Self, fds).saturating_add(count.saturating_mul(size_of::<c_int>()))
    }
}

/// A pair of connected sockets that keep messages apart, close-on-exec.
///
/// # Errors
/// `EMFILE`, `ENFILE`.
pub fn socket_pair() -> Result<[c_int; 2], Errno> {
    let mut pair = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: `pair` has room for the two descriptors.
    check_int(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr()) })?;
    Ok(pair)
}

/// Sends some bytes with these descriptors, at most `MAX`. A closed peer is an error here, never `SIGPIPE`.
///
/// # Errors
/// `E2BIG`: more than `MAX`. `EPIPE`, `ECONNRESET`: the other side is gone.
///
/// # References
/// <https://man7.org/linux/man-pages/man7/unix.7.html>
pub fn send<const MAX: usize>(socket: c_int, bytes: &[u8], fds: &[c_int]) -> Result<(), Errno> {
    let mut rights = Rights::<MAX>::none();
    let room = rights.fds.get_mut(..fds.len());
    room.ok_or(Errno::from_raw(libc::E2BIG))?
        .copy_from_slice(fds);
    let mut data = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: an all-zero `msghdr` is valid: no address, no data, no control message.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut data;
    header.msg_iovlen = 1;
    if !fds.is_empty() {
        rights.header.cmsg_level = libc::SOL_SOCKET;
        rights.header.cmsg_type = libc::SCM_RIGHTS;
        rights.header.cmsg_len = Rights::<MAX>::length(fds.len());
        header.msg_control = (&raw mut rights).cast();
        header.msg_controllen = Rights::<MAX>::length(fds.len());
    }
    retry(|| {
        // SAFETY: the header points at live bytes, which are only read, and at a live control message of the stated size.
        let sent = unsafe { libc::sendmsg(socket, &raw const header, libc::MSG_NOSIGNAL) };
        if sent < 0 { Err(errno()) } else { Ok(()) }
    })
}

/// Receives one message: how many bytes it had, and how many descriptors, which are the caller's to close.
///
/// `flags` are those of recvmsg(2); `MSG_CMSG_CLOEXEC` where no program may inherit the descriptors.
///
/// # Errors
/// `EMFILE`: the message had more descriptors than the limit of open files leaves numbers for, or than `MAX`; none is kept.
/// `EAGAIN` with `MSG_DONTWAIT`: there is none yet. `ECONNRESET`: the peer died with unread data of ours; told once, before what
/// the peer had still sent.
pub fn receive<const MAX: usize>(
    socket: c_int,
    bytes: &mut [u8],
    fds: &mut [c_int; MAX],
    flags: c_int,
) -> Result<(usize, usize), Errno> {
    let mut rights = Rights::<MAX>::none();
    let mut data = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: an all-zero `msghdr` is valid.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut data;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut rights).cast();
    header.msg_controllen = size_of::<Rights<MAX>>();
    let length = retry(|| {
        // SAFETY: the header points at live, writable buffers of the stated sizes.
        let length = unsafe { libc::recvmsg(socket, &raw mut header, flags) };
        usize::try_from(length).map_err(|_| errno())
    })?;
    let has_rights = header.msg_controllen != 0
        && rights.header.cmsg_level == libc::SOL_SOCKET
        && rights.header.cmsg_type == libc::SCM_RIGHTS;
    let count = if has_rights {
        *fds = rights.fds;
        let room = rights
            .header
            .cmsg_len
            .saturating_sub(Rights::<MAX>::length(0));
        let count = room.checked_div(size_of::<c_int>()).unwrap_or_default();
        count.min(MAX)
    } else {
        0
    };
    if header.msg_flags & libc::MSG_CTRUNC == 0 {
        return Ok((length, count));
    }
    // A message without its descriptors would be taken for another one.
    for fd in fds.iter_mut().take(count) {
        // SAFETY: the kernel has just made it, and nobody else knows it. Its number is free, whatever close(2) says.
        unsafe { libc::close(*fd) };
        *fd = -1;
    }
    Err(Errno::from_raw(libc::EMFILE))
}

#[cfg(test)]
#[expect(
    clippy::disallowed_macros,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test does not run after the clone"
)]
mod tests {
    use super::{MOST_DESCRIPTORS, Rights, receive, send, socket_pair};
    use core::ffi::c_int;

    fn close(fds: &[c_int]) {
        for fd in fds {
            // SAFETY: the tests own them.
            assert_eq!(unsafe { libc::close(*fd) }, 0);
        }
    }

    #[test]
    fn the_control_message_has_the_layout_of_the_macros() {
        for count in [1, 2, 252, MOST_DESCRIPTORS] {
            let bytes = u32::try_from(count * size_of::<c_int>()).unwrap();
            // SAFETY: computes with numbers only.
            let length = unsafe { libc::CMSG_LEN(bytes) };
            assert_eq!(Rights::<MOST_DESCRIPTORS>::length(count), length as usize);
        }
        // SAFETY: as above.
        let space = unsafe { libc::CMSG_SPACE(4) };
        assert_eq!(size_of::<Rights<1>>(), space as usize);
    }

    #[test]
    fn bytes_and_descriptors_come_as_they_were_sent() {
        let [here, there] = socket_pair().unwrap();
        for count in [0, 1, 3] {
            send::<3>(here, b"text", &[here, there, here][..count]).unwrap();
            let (mut bytes, mut fds) = ([0; 8], [-1; 3]);
            let received = receive(there, &mut bytes, &mut fds, 0).unwrap();
            assert_eq!((received, &bytes[..4]), ((4, count), &b"text"[..]));
            close(&fds[..count]);
        }
        send::<3>(here, b"text", &[here, there, here]).unwrap();
        let mut fds = [-1; 2];
        let cut = receive(there, &mut [0; 8], &mut fds, 0);
        assert_eq!(
            (cut.map_err(crate::Errno::raw), fds),
            (Err(libc::EMFILE), [-1; 2])
        );
        let too_many = send::<1>(here, b"x", &[here, there]).unwrap_err();
        assert_eq!(too_many.raw(), libc::E2BIG);
        close(&[here]);
        let ended = receive(there, &mut [0; 8], &mut [-1; 1], 0);
        assert_eq!(ended, Ok((0, 0)));
        let gone = send::<1>(there, b"x", &[]).unwrap_err();
        assert_eq!(gone.raw(), libc::EPIPE);
        close(&[there]);
    }
}
