//! The process that opens sources with the requester's rights: its birth, its ids and its messages.

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
    ffi::{c_int, c_uint},
    mem::{offset_of, zeroed},
    ptr::null_mut,
};

use sandbox_core::{
    Errno,
    sys::{check, check_int, errno, retry},
};

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

/// A copy of this process with its own memory and without a signal at its end, so that no handler or `wait` of the
/// embedder sees it. 0 in the copy.
///
/// # Safety
/// In the copy only async-signal-safe code may run, and it must end by `exit_now`.
pub(crate) unsafe fn fork_silent() -> Result<libc::pid_t, Errno> {
    // SAFETY: an all-zero `clone_args` is valid: no shared resource, no stack of its own, no exit signal.
    let args: libc::clone_args = unsafe { zeroed() };
    // SAFETY: `args` is a live `clone_args` of the size given; the copy is bound by this function's contract.
    let ret = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) };
    super::descriptor(ret)
}

/// Blocks every signal for this thread and returns the old mask.
pub(crate) fn block_signals() -> Result<libc::sigset_t, Errno> {
    // SAFETY: an all-zero `sigset_t` is valid storage; the next call fills it.
    let mut all: libc::sigset_t = unsafe { zeroed() };
    // SAFETY: `all` is live.
    check_int(unsafe { libc::sigfillset(&raw mut all) })?;
    change_mask(&all)
}

/// Installs a signal mask and returns the one before.
pub(crate) fn change_mask(mask: &libc::sigset_t) -> Result<libc::sigset_t, Errno> {
    // SAFETY: an all-zero `sigset_t` is valid storage.
    let mut old: libc::sigset_t = unsafe { zeroed() };
    // SAFETY: both sets are live.
    match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, &raw mut old) } {
        0 => Ok(old),
        number => Err(Errno::from_raw(number)),
    }
}

/// Waits for the end of a child that [`fork_silent`] made.
pub(crate) fn reap(child: libc::pid_t) -> Result<(), Errno> {
    // __WALL: a child without an exit signal is invisible to a plain wait.
    // SAFETY: a null status pointer is allowed.
    retry(|| check_int(unsafe { libc::waitpid(child, null_mut(), libc::__WALL) })).map(drop)
}

/// Sets the supplementary groups of this thread. The libc function would signal all threads of a process of which only
/// this one was copied.
pub(crate) fn setgroups(groups: &[libc::gid_t]) -> Result<(), Errno> {
    // SAFETY: the slice is live and as long as the count says.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

/// Sets real, effective and saved group id of this thread.
pub(crate) fn setresgid(gid: libc::gid_t) -> Result<(), Errno> {
    // SAFETY: takes numbers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

/// Sets real, effective and saved user id of this thread.
pub(crate) fn setresuid(uid: libc::uid_t) -> Result<(), Errno> {
    // SAFETY: takes numbers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: c_int,
}

/// `_LINUX_CAPABILITY_VERSION_3`: two sets of three words follow, effective, permitted and inheritable.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Empties the permitted, effective and inheritable capabilities of this thread.
pub(crate) fn drop_capabilities() -> Result<(), Errno> {
    let header = CapabilityHeader {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    let none = [0_u32; 6];
    // SAFETY: header and data have the layout of version 3 and are live.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) }).map(drop)
}

/// Whether the calling thread has any effective capability.
pub(crate) fn has_capabilities() -> Result<bool, Errno> {
    let header = CapabilityHeader {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    let mut sets = [0_u32; 6];
    // SAFETY: header and data have the layout of version 3 and are live.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw const header, sets.as_mut_ptr()) })?;
    let [low, _, _, high, _, _] = sets;
    Ok(low | high != 0)
}

/// Sends one number, with a descriptor where there is one.
pub(crate) fn send_number(socket: c_int, number: c_uint, fd: Option<c_int>) -> Result<(), Errno> {
    let mut bytes = number.to_ne_bytes();
    let mut text = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: an all-zero `Passed` is valid: numbers only.
    let mut passed: Passed = unsafe { zeroed() };
    // SAFETY: an all-zero `msghdr` is valid: no address, no data, no control message.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut text;
    message.msg_iovlen = 1;
    if let Some(fd) = fd {
        passed.header.cmsg_level = libc::SOL_SOCKET;
        passed.header.cmsg_type = libc::SCM_RIGHTS;
        passed.header.cmsg_len = PASSED_LEN as _;
        passed.fd = fd;
        message.msg_control = (&raw mut passed).cast();
        message.msg_controllen = size_of::<Passed>() as _;
    }
    retry(|| {
        // SAFETY: `message` points to `text`, `bytes` and `passed`, which all live until the call returns.
        let sent = unsafe { libc::sendmsg(socket, &raw const message, libc::MSG_NOSIGNAL) };
        if sent < 0 { Err(errno()) } else { Ok(()) }
    })
}

/// Receives what [`send_number`] sent; `EPIPE` where the sender is gone.
pub(crate) fn receive_number(socket: c_int) -> Result<(c_uint, Option<c_int>), Errno> {
    let mut bytes = [0; size_of::<c_uint>()];
    let mut text = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: an all-zero `Passed` is valid: numbers only.
    let mut passed: Passed = unsafe { zeroed() };
    // SAFETY: an all-zero `msghdr` is valid.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut text;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut passed).cast();
    message.msg_controllen = size_of::<Passed>() as _;
    let received = retry(|| {
        // SAFETY: `message` points to `text`, `bytes` and `passed`, which all live until the call returns.
        let received = unsafe { libc::recvmsg(socket, &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        usize::try_from(received).map_err(|_| errno())
    })?;
    if received != bytes.len() {
        return Err(Errno::from_raw(libc::EPIPE));
    }
    let has_fd = message.msg_controllen != 0
        && passed.header.cmsg_level == libc::SOL_SOCKET
        && passed.header.cmsg_type == libc::SCM_RIGHTS;
    Ok((c_uint::from_ne_bytes(bytes), has_fd.then_some(passed.fd)))
}

/// The effective ids of this process.
pub(crate) fn effective_ids() -> (libc::uid_t, libc::gid_t) {
    // SAFETY: takes nothing and cannot fail.
    let uid = unsafe { libc::geteuid() };
    // SAFETY: takes nothing and cannot fail.
    let gid = unsafe { libc::getegid() };
    (uid, gid)
}

/// The supplementary groups of this process, written to `groups`; `EINVAL` where there are more than fit.
pub(crate) fn getgroups(groups: &mut [libc::gid_t]) -> Result<usize, Errno> {
    let room = c_int::try_from(groups.len()).map_err(|_| Errno::from_raw(libc::EINVAL))?;
    // SAFETY: the slice is live and has the room it says.
    let count = check_int(unsafe { libc::getgroups(room, groups.as_mut_ptr()) })?;
    usize::try_from(count).map_err(|_| Errno::from_raw(libc::EINVAL))
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
