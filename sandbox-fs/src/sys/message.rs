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

use core::{
    ffi::c_int,
    mem::{offset_of, zeroed},
};

use sandbox_core::{
    Errno,
    sys::{check_int, errno, retry},
};

/// One message. Numbers only, so that any bytes are a valid one.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Message {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) number: u32,
    pub(crate) is_dir: u32,
}

/// One descriptor as the control message of sendmsg(2).
///
/// Written out because the `CMSG_*` macros compute pointers into untyped bytes; a test compares the layouts.
#[repr(C)]
struct Passed {
    header: libc::cmsghdr,
    fd: c_int,
}

/// Bytes of [`Passed`] that count, without the padding behind.
const PASSED_LEN: usize = offset_of!(Passed, fd).saturating_add(size_of::<c_int>());

/// A pair of connected sockets that keep messages apart.
pub(crate) fn socket_pair() -> Result<[c_int; 2], Errno> {
    let mut pair = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: `pair` has room for the two descriptors.
    check_int(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr()) })?;
    Ok(pair)
}

/// Sends one message, with a descriptor where there is one.
pub(crate) fn send(socket: c_int, mut message: Message, fd: Option<c_int>) -> Result<(), Errno> {
    let mut text = libc::iovec {
        iov_base: (&raw mut message).cast(),
        iov_len: size_of::<Message>(),
    };
    // SAFETY: an all-zero `Passed` is valid: numbers only.
    let mut passed: Passed = unsafe { zeroed() };
    // SAFETY: an all-zero `msghdr` is valid: no address, no data, no control message.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut text;
    header.msg_iovlen = 1;
    if let Some(fd) = fd {
        passed.header.cmsg_level = libc::SOL_SOCKET;
        passed.header.cmsg_type = libc::SCM_RIGHTS;
        passed.header.cmsg_len = PASSED_LEN as _;
        passed.fd = fd;
        header.msg_control = (&raw mut passed).cast();
        header.msg_controllen = size_of::<Passed>() as _;
    }
    retry(|| {
        // SAFETY: `header` points to `text`, `message` and `passed`, which all live until the call returns.
        let sent = unsafe { libc::sendmsg(socket, &raw const header, libc::MSG_NOSIGNAL) };
        if sent < 0 { Err(errno()) } else { Ok(()) }
    })
}

/// Receives what [`send`] sent, without waiting for it.
///
/// # Errors
/// `EAGAIN`: there is none yet. `EPIPE`: the sender is gone.
pub(crate) fn receive(socket: c_int) -> Result<(Message, Option<c_int>), Errno> {
    let mut message = Message::default();
    let mut text = libc::iovec {
        iov_base: (&raw mut message).cast(),
        iov_len: size_of::<Message>(),
    };
    // SAFETY: an all-zero `Passed` is valid: numbers only.
    let mut passed: Passed = unsafe { zeroed() };
    // SAFETY: an all-zero `msghdr` is valid.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut text;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut passed).cast();
    header.msg_controllen = size_of::<Passed>() as _;
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    let received = retry(|| {
        // SAFETY: `header` points to `text`, `message` and `passed`, which all live until the call returns.
        let received = unsafe { libc::recvmsg(socket, &raw mut header, flags) };
        usize::try_from(received).map_err(|_| errno())
    })?;
    if received != size_of::<Message>() {
        return Err(Errno::from_raw(libc::EPIPE));
    }
    let has_fd = header.msg_controllen != 0
        && passed.header.cmsg_level == libc::SOL_SOCKET
        && passed.header.cmsg_type == libc::SCM_RIGHTS;
    Ok((message, has_fd.then_some(passed.fd)))
}

#[cfg(test)]
mod tests {
    use super::{PASSED_LEN, Passed};

    #[test]
    #[expect(clippy::disallowed_macros, reason = "a test may panic")]
    fn the_control_message_has_the_layout_of_the_macros() {
        // SAFETY: CMSG_LEN and CMSG_SPACE compute with numbers only.
        let len = unsafe { libc::CMSG_LEN(4) };
        // SAFETY: as above.
        let space = unsafe { libc::CMSG_SPACE(4) };
        assert_eq!(PASSED_LEN, len as usize);
        assert_eq!(size_of::<Passed>(), space as usize);
    }
}
