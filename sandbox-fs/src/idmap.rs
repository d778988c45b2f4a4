//! The user namespace that an idmapped mount takes its map from.

use std::{
    fs,
    os::fd::{AsRawFd as _, OwnedFd},
};

use sandbox_core::{Errno, Host, HostError, sys::exit_now};

use crate::{
    Error, IdMapping,
    source::own,
    sys::{
        message,
        process::{self, Forked},
    },
};

/// A user namespace with this map. It lives as long as the descriptor; the process that was its first is gone.
pub(crate) fn namespace(ids: IdMapping) -> Result<OwnedFd, Error> {
    if !Host::probe()?.mount_setattr {
        // No other call can do it.
        return Err(Error::Host(HostError {
            feature: "mount_setattr(2) for idmapped binds",
            since: "5.12",
            errno: Errno::from_raw(libc::ENOSYS),
        }));
    }
    let failed = |call| move |source| Error::IdMap { call, source };
    let [ours, theirs] = message::socket_pair()
        .map_err(failed("socketpair"))?
        .map(own);
    let mask = process::block_signals().map_err(failed("pthread_sigmask"))?;
    #[expect(unsafe_code, reason = "the copy waits and ends")]
    // SAFETY: the copy makes two system calls on its descriptors and ends by `exit_now`.
    let forked = unsafe { process::fork_silent(libc::CLONE_NEWUSER) };
    if let Ok(Forked::Copy) = forked {
        // Until the embedder has what it wants, or is gone.
        let waited = process::close_all_but(theirs.as_raw_fd())
            .and_then(|()| process::wait_readable([theirs.as_raw_fd()], -1));
        exit_now(waited.is_err().into());
    }
    let restored = process::change_mask(&mask).map_err(failed("pthread_sigmask"));
    let (pidfd, pid) = match forked.map_err(failed("clone3"))? {
        Forked::Parent { pidfd, pid } => (own(pidfd), pid),
        Forked::Copy => return Err(failed("clone3")(Errno::from_raw(libc::EIO))),
    };
    let made = restored.and_then(|_| write_and_open(ids, pid));
    drop(ours);
    process::kill(pidfd.as_raw_fd()).map_err(failed("pidfd_send_signal"))?;
    process::reap(pidfd.as_raw_fd()).map_err(failed("waitid"))?;
    made
}

fn write_and_open(ids: IdMapping, pid: i32) -> Result<OwnedFd, Error> {
    let failed = |call| {
        move |error: std::io::Error| Error::IdMap {
            call,
            source: Errno::from_io(&error),
        }
    };
    let IdMapping {
        stored,
        shown,
        count,
    } = ids;
    let map = format!("{stored} {shown} {count}");
    for (file, call) in [("uid_map", "write uid_map"), ("gid_map", "write gid_map")] {
        fs::write(format!("/proc/{pid}/{file}"), &map).map_err(failed(call))?;
    }
    let opened = fs::File::open(format!("/proc/{pid}/ns/user")).map_err(failed("open ns/user"))?;
    Ok(opened.into())
}
