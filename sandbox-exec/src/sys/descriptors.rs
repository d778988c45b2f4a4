//! Descriptors: pipes, sockets, polling, closing.

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

use core::{
    ffi::{CStr, c_int, c_uint},
    time::Duration,
};
use std::os::fd::{FromRawFd as _, OwnedFd};

use sandbox_core::{
    Errno,
    sys::{check, check_int, retry, rights},
};

/// Takes ownership of a descriptor that the kernel has just made.
pub(crate) fn own(fd: c_int) -> OwnedFd {
    // SAFETY: every caller passes the fresh result of a system call that nothing else owns.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// The same open file at a number above 2, close-on-exec. An embedder may have closed its standard streams; a descriptor
/// of ours at such a number would be overwritten in the child by the program's own.
pub(crate) fn above_stdio(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    let raw = std::os::fd::AsRawFd::as_raw_fd(&fd);
    if raw > 2 {
        return Ok(fd);
    }
    // SAFETY: plain integers; `fd` is open.
    check_int(unsafe { libc::fcntl(raw, libc::F_DUPFD_CLOEXEC, 3) }).map(own)
}

/// Whether a descriptor must not be given to a box: a directory is a door out of it, and an `O_PATH` descriptor of
/// anything is no stream.
pub(crate) fn is_directory_or_path(fd: c_int) -> Result<bool, Errno> {
    // SAFETY: an all-zero `stat` is valid.
    let mut stat: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: `stat` is live and filled.
    check_int(unsafe { libc::fstat(fd, &raw mut stat) })?;
    // SAFETY: plain integers.
    let flags = check_int(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    Ok(stat.st_mode & libc::S_IFMT == libc::S_IFDIR || flags & libc::O_PATH != 0)
}

/// pipe2(2), close-on-exec: read end and write end.
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut fds = [0; 2];
    // SAFETY: room for two descriptors.
    check_int(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) })?;
    let [read, write] = fds.map(own);
    Ok((above_stdio(read)?, above_stdio(write)?))
}

/// The same open file at a number above 2, close-on-exec, in the child, which owns nothing. The old number is closed.
pub(crate) fn lift_above_stdio(fd: c_int) -> Result<c_int, Errno> {
    if fd > 2 {
        return Ok(fd);
    }
    // SAFETY: plain integers.
    let lifted = check_int(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) })?;
    close(fd)?;
    Ok(lifted)
}

/// A pair of connected sockets that keep messages whole, close-on-exec.
pub(crate) fn message_pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let [a, b] = rights::socket_pair()?.map(own);
    Ok((above_stdio(a)?, above_stdio(b)?))
}

/// eventfd(2) at 0, close-on-exec.
pub(crate) fn eventfd() -> Result<OwnedFd, Errno> {
    // SAFETY: plain integers.
    above_stdio(own(check_int(unsafe {
        libc::eventfd(0, libc::EFD_CLOEXEC)
    })?))
}

/// Adds 1 to an eventfd.
pub(crate) fn eventfd_signal(fd: c_int) -> Result<(), Errno> {
    let one = 1_u64.to_ne_bytes();
    // SAFETY: eight live bytes.
    retry(|| check(unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) as i64 }).map(drop))
}

/// Waits until an eventfd is above 0 and takes its value.
pub(crate) fn eventfd_wait(fd: c_int) -> Result<(), Errno> {
    let mut value = [0_u8; 8];
    // SAFETY: eight live bytes.
    retry(|| check(unsafe { libc::read(fd, value.as_mut_ptr().cast(), 8) as i64 }).map(drop))
}

/// read(2): how many bytes came, 0 at the end of the stream.
pub(crate) fn read(fd: c_int, buffer: &mut [u8]) -> Result<usize, Errno> {
    retry(|| {
        // SAFETY: pointer and length of one live, exclusively borrowed slice.
        let n = check(unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) as i64 })?;
        usize::try_from(n).map_err(|_| Errno::from_raw(libc::EIO))
    })
}

/// write(2) of a whole short buffer.
pub(crate) fn write(fd: c_int, bytes: &[u8]) -> Result<(), Errno> {
    // SAFETY: pointer and length of one live slice.
    retry(|| check(unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) as i64 }).map(drop))
}

/// open(2) for writing.
pub(crate) fn open_write(path: &CStr) -> Result<c_int, Errno> {
    // SAFETY: a live C string.
    check_int(unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) })
}

/// close(2).
pub(crate) fn close(fd: c_int) -> Result<(), Errno> {
    // SAFETY: only called in the child, for descriptors that it made and uses no more.
    check_int(unsafe { libc::close(fd) }).map(drop)
}

/// Makes reads from this end return `EAGAIN` instead of blocking.
pub(crate) fn set_nonblocking(fd: c_int) -> Result<(), Errno> {
    // SAFETY: plain integers; the open file description is the caller's own pipe end.
    check_int(unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) }).map(drop)
}

/// fchown(2).
pub(crate) fn fchown(fd: c_int, uid: u32, gid: u32) -> Result<(), Errno> {
    // SAFETY: plain integers.
    check_int(unsafe { libc::fchown(fd, uid, gid) }).map(drop)
}

fn close_range(first: c_uint, last: c_uint) -> Result<(), Errno> {
    // SAFETY: only called in the child, which uses none of the closed descriptors again.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// Closes every descriptor from `first` on but those in `keep`, which is sorted.
pub(crate) fn close_all_but(first: c_uint, keep: &[c_int]) -> Result<(), Errno> {
    let mut low = first;
    for fd in keep {
        let fd = fd.unsigned_abs();
        if fd > low {
            close_range(low, fd.saturating_sub(1))?;
        }
        low = low.max(fd.saturating_add(1));
    }
    close_range(low, c_uint::MAX)
}

fn memfd(flags: c_uint) -> Result<OwnedFd, Errno> {
    // SAFETY: a live C string and plain flags.
    above_stdio(own(check_int(unsafe {
        libc::memfd_create(c"stdin".as_ptr(), flags)
    })?))
}

/// A sealed, seekable file in memory with these contents: nobody can change it, whoever gets the descriptor.
pub(crate) fn sealed_memfd(contents: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // Not executable where the kernel knows the flag (6.3); a host with vm.memfd_noexec=2 allows nothing else.
    let fd = match memfd(flags | libc::MFD_NOEXEC_SEAL) {
        Err(errno) if errno.raw() == libc::EINVAL => memfd(flags)?,
        other => other?,
    };
    let raw = std::os::fd::AsRawFd::as_raw_fd(&fd);
    let mut rest = contents;
    while !rest.is_empty() {
        // SAFETY: pointer and length of one live slice.
        let n =
            retry(|| check(unsafe { libc::write(raw, rest.as_ptr().cast(), rest.len()) as i64 }))?;
        rest = usize::try_from(n)
            .ok()
            .and_then(|n| rest.get(n..))
            .unwrap_or_default();
    }
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL;
    // SAFETY: plain integers.
    check_int(unsafe { libc::fcntl(raw, libc::F_ADD_SEALS, seals) })?;
    // SAFETY: plain integers.
    check(unsafe { libc::lseek(raw, 0, libc::SEEK_SET) })?;
    Ok(fd)
}

/// ppoll(2) with the signal mask as it is; `None` waits for ever. How many entries have events.
pub(crate) fn poll(fds: &mut [libc::pollfd], timeout: Option<Duration>) -> Result<c_int, Errno> {
    let timeout = timeout.map(|t| libc::timespec {
        tv_sec: t.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: t.subsec_nanos().into(),
    });
    let timeout = timeout
        .as_ref()
        .map_or(core::ptr::null(), core::ptr::from_ref);
    let count = fds.len() as libc::nfds_t;
    // SAFETY: pointer and length of one live slice, a live or null timeout, no mask.
    check_int(unsafe { libc::ppoll(fds.as_mut_ptr(), count, timeout, core::ptr::null()) })
}
