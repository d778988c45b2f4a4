//! Bind sources as the parent holds them: opened once, with the requester's rights.

use core::ffi::c_uint;
use std::{
    ffi::CString,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStringExt as _,
    },
    path::{Path, PathBuf},
};

use sandbox_core::Errno;

use crate::{
    Error, Requester,
    resolver::{self, IDENTITY_CALLS, Ids, Wanted},
    sys::{
        file::{self, Identity},
        process,
    },
};

/// An opened bind source. The descriptor keeps its inode number from being given to another file.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) fd: OwnedFd,
    pub(crate) path: PathBuf,
    /// Without symbolic links, for init, which cannot use descriptors of another mount namespace.
    pub(crate) canonical: Option<CString>,
    pub(crate) identity: Identity,
    pub(crate) is_dir: bool,
}

/// What a rule asks for.
pub(crate) struct Request<'r> {
    pub(crate) path: &'r Path,
    pub(crate) target: &'r Path,
    pub(crate) writable: bool,
    pub(crate) optional: bool,
}

/// Opens all sources; `None` for an optional one that does not exist.
pub(crate) fn open_all(
    requests: &[Request<'_>],
    requester: Option<&Requester>,
) -> Result<Vec<Option<Source>>, Error> {
    let paths = requests
        .iter()
        .map(|request| c_path(request.path))
        .collect::<Result<Vec<_>, _>>()?;
    let wanted: Vec<_> = requests
        .iter()
        .zip(&paths)
        .map(|(request, path)| Wanted {
            path,
            writable: request.writable,
        })
        .collect();
    let opened = match requester {
        Some(requester) if !is_self(requester) => open_as(requester, &wanted)?,
        // An embedder that opens for itself may bind for writing what only the box's ids may write.
        _ => wanted
            .iter()
            .map(|one| resolver::open(one, false).map(own))
            .collect(),
    };
    requests
        .iter()
        .zip(opened)
        .map(
            |(request, opened)| match opened.and_then(|fd| describe(fd, request.path)) {
                Ok(source) => Ok(Some(source)),
                Err(errno) if request.optional && errno.raw() == libc::ENOENT => Ok(None),
                Err(source) => Err(Error::Source {
                    path: request.path.to_owned(),
                    target: request.target.to_owned(),
                    source,
                }),
            },
        )
        .collect()
}

/// A path as the kernel wants it.
pub(crate) fn c_path(path: &Path) -> Result<CString, Error> {
    CString::new(path.as_os_str().to_owned().into_vec()).map_err(|_| Error::Nul {
        text: path.to_owned(),
    })
}

/// Takes over a descriptor that a call of this crate just opened.
#[expect(unsafe_code, reason = "the raw descriptor changes hands here")]
pub(crate) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: every caller passes a descriptor that the kernel returned a moment ago and that nothing else knows.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn describe(fd: OwnedFd, path: &Path) -> Result<Source, Errno> {
    let stat = file::fstat(fd.as_raw_fd())?;
    // Without a mounted proc there is no canonical path; only Trees::FromInit needs it and says so.
    let canonical = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))
        .ok()
        .filter(|found| found.is_absolute())
        .and_then(|found| CString::new(found.into_os_string().into_vec()).ok());
    Ok(Source {
        path: path.to_owned(),
        canonical,
        identity: Identity {
            device: stat.st_dev,
            inode: stat.st_ino,
        },
        is_dir: stat.st_mode & libc::S_IFMT == libc::S_IFDIR,
        fd,
    })
}

/// Whether the embedder already has exactly the requester's rights.
fn is_self(requester: &Requester) -> bool {
    const NGROUPS_MAX: usize = 65_536;
    // Root has its capabilities by right; another's, from a file or a service manager, the requester does not have.
    if requester.uid != 0 && process::has_capabilities().unwrap_or(true) {
        return false;
    }
    if process::effective_ids() != (requester.uid, requester.gid) {
        return false;
    }
    let mut groups = vec![0; NGROUPS_MAX];
    let Ok(count) = process::getgroups(&mut groups) else {
        return false;
    };
    groups.truncate(count);
    groups.sort_unstable();
    let mut asked = requester.groups.clone();
    asked.sort_unstable();
    asked.dedup();
    groups.dedup();
    groups == asked
}

/// Opens sources in a copy of this process, so that the embedder's own ids, dumpable flag and parent-death signal stay.
fn open_as(
    requester: &Requester,
    wanted: &[Wanted<'_>],
) -> Result<Vec<Result<OwnedFd, Errno>>, Error> {
    let failed = |call| {
        move |source| Error::Requester {
            uid: requester.uid,
            call,
            source,
        }
    };
    let ids = Ids {
        uid: requester.uid,
        gid: requester.gid,
        groups: &requester.groups,
    };
    let [ours, theirs] = process::socket_pair()
        .map_err(failed("socketpair"))?
        .map(own);
    // A handler of the embedder must not run in the copy.
    let mask = process::block_signals().map_err(failed("pthread_sigmask"))?;
    #[expect(unsafe_code, reason = "the copy runs `serve` and nothing else")]
    // SAFETY: `serve` is async-signal-safe, as the lint header of its file demands, and never returns.
    let forked = unsafe { process::fork_silent() };
    if let Ok(0) = forked {
        resolver::serve(theirs.as_raw_fd(), &ids, wanted);
    }
    let restored = process::change_mask(&mask);
    drop(theirs);
    let child = forked.map_err(failed("clone3"))?;
    let answers = collect(ours.as_raw_fd(), wanted.len());
    // Closed first: a copy that still writes then fails instead of waiting.
    drop(ours);
    process::reap(child).map_err(failed("waitpid"))?;
    restored.map_err(failed("pthread_sigmask"))?;
    answers.map_err(|(call, source)| Error::Requester {
        uid: requester.uid,
        call,
        source,
    })
}

type Answers = Vec<Result<OwnedFd, Errno>>;

fn collect(socket: RawFd, count: usize) -> Result<Answers, (&'static str, Errno)> {
    let receive = || process::receive_number(socket).map_err(|errno| ("recvmsg", errno));
    let (report, _) = receive()?;
    if report != 0 {
        let position = usize::try_from(report >> 16).unwrap_or(usize::MAX);
        let call = IDENTITY_CALLS.get(position).copied().unwrap_or("setresuid");
        return Err((call, raw(report & 0xffff)));
    }
    (0..count)
        .map(|_| match receive()? {
            (_, Some(fd)) => Ok(Ok(own(fd))),
            (number, None) => Ok(Err(raw(number))),
        })
        .collect()
}

fn raw(number: c_uint) -> Errno {
    Errno::from_raw(i32::try_from(number).unwrap_or(libc::EIO))
}
