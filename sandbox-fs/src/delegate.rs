//! Opens sources in a copy of the embedder that becomes the requester, and never waits for it longer than a deadline.
//!
//! The copy belongs to the requester: he can stop and kill it, and a filesystem of his can keep it waiting.

use core::{ffi::c_int, time::Duration};
use std::{
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
    thread,
};

use sandbox_core::{Errno, sys::monotonic_ns};

use crate::{
    Error, Requester,
    resolver::{self, IDENTITY_CALLS, Ids, Opened, Wanted},
    source::{Found, Request, own},
    sys::{
        file::Identity,
        message::{self, Message},
        process::{self, Forked},
    },
};

/// For all sources of one plan together.
const LIMIT: Duration = Duration::from_secs(10);

/// For the end of a killed copy. One that waits for a FUSE filesystem does not end before that answers.
const GRACE: Duration = Duration::from_secs(1);

type Answer = Result<Found, Errno>;

/// Opens sources in a copy of this process, so that the embedder's own ids, dumpable flag and parent-death signal stay.
pub(crate) fn open_as(
    requester: &Requester,
    requests: &[Request<'_>],
    wanted: &[Wanted<'_>],
) -> Result<Vec<Answer>, Error> {
    let failed = |call| {
        move |source| Error::Requester {
            uid: requester.uid,
            call,
            source,
        }
    };
    let copy = Copy::start(requester, wanted).map_err(|(call, source)| failed(call)(source))?;
    let answers = copy.greeting().and_then(|()| {
        let mut answers = Vec::with_capacity(requests.len());
        for _ in requests {
            match copy.answer(answers.len()) {
                Ok(answer) => answers.push(answer),
                Err(failure) => return Err(failure),
            }
        }
        Ok(answers)
    });
    copy.end().map_err(|(call, source)| failed(call)(source))?;
    answers.map_err(|failure| match failure {
        Failure::Call(call, source) => failed(call)(source),
        Failure::Late(position) => Error::Unanswered {
            uid: requester.uid,
            path: requests
                .get(position)
                .map(|request| request.path.to_owned())
                .unwrap_or_default(),
            limit: LIMIT,
            source: Errno::from_raw(libc::ETIMEDOUT),
        },
    })
}

enum Failure {
    Call(&'static str, Errno),
    /// No answer about the source at this position.
    Late(usize),
}

/// A copy at work. [`Copy::end`] must follow.
struct Copy {
    socket: OwnedFd,
    pidfd: OwnedFd,
    deadline: i64,
}

impl Copy {
    fn start(requester: &Requester, wanted: &[Wanted<'_>]) -> Result<Self, (&'static str, Errno)> {
        let failed = |call| move |errno| (call, errno);
        let ids = Ids {
            uid: requester.uid,
            gid: requester.gid,
            groups: &requester.groups,
        };
        let [socket, theirs] = message::socket_pair()
            .map_err(failed("socketpair"))?
            .map(own);
        // A handler of the embedder must not run in the copy.
        let mask = process::block_signals().map_err(failed("pthread_sigmask"))?;
        #[expect(unsafe_code, reason = "the copy runs `serve` and nothing else")]
        // SAFETY: `serve` is async-signal-safe, as the lint header of its file demands, and never returns.
        let forked = unsafe { process::fork_silent(0) };
        if let Ok(Forked::Copy) = forked {
            resolver::serve(theirs.as_raw_fd(), &ids, wanted);
        }
        let restored = process::change_mask(&mask).map_err(failed("pthread_sigmask"));
        let pidfd = match forked.map_err(failed("clone3"))? {
            Forked::Parent { pidfd, .. } => own(pidfd),
            Forked::Copy => return Err(("clone3", Errno::from_raw(libc::EIO))),
        };
        let copy = Self {
            socket,
            pidfd,
            deadline: after(LIMIT),
        };
        match restored {
            Ok(_) => Ok(copy),
            Err(failure) => copy.end().and(Err(failure)),
        }
    }

    fn greeting(&self) -> Result<(), Failure> {
        let (Message { number, .. }, _) = self.receive(0)?;
        if number == 0 {
            return Ok(());
        }
        let position = usize::try_from(number >> 16).unwrap_or(usize::MAX);
        let call = IDENTITY_CALLS.get(position).copied().unwrap_or("setresuid");
        Err(Failure::Call(call, raw(number & 0xffff)))
    }

    fn answer(&self, position: usize) -> Result<Answer, Failure> {
        let (message, fd) = self.receive(position)?;
        Ok(match fd {
            Some(fd) => Ok(Found::from(Opened {
                fd,
                identity: Identity {
                    device: message.device,
                    inode: message.inode,
                },
                is_dir: message.is_dir != 0,
            })),
            None => Err(raw(message.number)),
        })
    }

    /// The next message. The end of the socket alone would not tell that the copy is gone: another thread of the
    /// embedder may have forked meanwhile, and its child holds the other end open.
    fn receive(&self, position: usize) -> Result<(Message, Option<RawFd>), Failure> {
        let fds = [self.socket.as_raw_fd(), self.pidfd.as_raw_fd()];
        loop {
            let [readable, ended] =
                wait_until(fds, self.deadline).map_err(|errno| Failure::Call("poll", errno))?;
            if !readable && !ended {
                return Err(Failure::Late(position));
            }
            // Asked after the end was seen: what the copy sent before it ended has arrived.
            match message::receive(self.socket.as_raw_fd()) {
                Err(errno) if errno.raw() == libc::EAGAIN && !ended => {}
                Err(errno) if errno.raw() == libc::EAGAIN => {
                    return Err(Failure::Call("recvmsg", Errno::from_raw(libc::EPIPE)));
                }
                received => return received.map_err(|errno| Failure::Call("recvmsg", errno)),
            }
        }
    }

    /// Kills the copy, which has nothing left to do, and reaps it.
    fn end(self) -> Result<(), (&'static str, Errno)> {
        process::kill(self.pidfd.as_raw_fd()).map_err(|errno| ("pidfd_send_signal", errno))?;
        let [ended] =
            wait_until([self.pidfd.as_raw_fd()], after(GRACE)).map_err(|errno| ("poll", errno))?;
        if ended {
            return process::reap(self.pidfd.as_raw_fd()).map_err(|errno| ("waitid", errno));
        }
        reap_later(self.pidfd)
    }
}

/// Leaves the copy to a thread: in a request that a FUSE daemon has read and does not answer not even SIGKILL ends it.
fn reap_later(pidfd: OwnedFd) -> Result<(), (&'static str, Errno)> {
    // Signals of the embedder must find its own threads; a new one inherits the mask.
    let mask = process::block_signals().map_err(|errno| ("pthread_sigmask", errno))?;
    let spawned = thread::Builder::new()
        .name("sandbox-fs reap".to_owned())
        .spawn(move || process::reap(pidfd.as_raw_fd()));
    process::change_mask(&mask).map_err(|errno| ("pthread_sigmask", errno))?;
    // Without the thread the copy stays a zombie when it ends; to wait for it would let the requester stop the embedder.
    spawned.map(drop).map_err(|error| {
        let errno = error.raw_os_error().unwrap_or(libc::EAGAIN);
        ("pthread_create", Errno::from_raw(errno))
    })
}

fn after(duration: Duration) -> i64 {
    monotonic_ns().saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

/// All false: the deadline has passed.
fn wait_until<const N: usize>(fds: [RawFd; N], deadline: i64) -> Result<[bool; N], Errno> {
    const NS_PER_MS: i64 = 1_000_000;
    loop {
        // Rounded up: the last part of a millisecond is slept, not spun.
        let left = deadline.saturating_sub(monotonic_ns()).max(0);
        let left = left.saturating_add(NS_PER_MS - 1) / NS_PER_MS;
        match process::wait_readable(fds, c_int::try_from(left).unwrap_or(c_int::MAX)) {
            Err(errno) if errno.raw() == libc::EINTR => {}
            other => return other,
        }
    }
}

fn raw(number: u32) -> Errno {
    Errno::from_raw(i32::try_from(number).unwrap_or(libc::EIO))
}
