//! Bind sources as the parent holds them: opened once, with the requester's rights.

use std::{
    ffi::{CStr, CString},
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStringExt as _,
    },
    path::{Path, PathBuf},
};

use sandbox_core::Errno;

use crate::{
    Error, Requester, delegate,
    resolver::{self, Opened, Wanted},
    sys::{file::Identity, process},
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
    /// Only what stands there is asked, below the path and without following a link; the descriptor goes unused.
    pub(crate) beneath: Option<&'r CStr>,
}

/// Opens all sources, each or why not.
pub(crate) fn open_all(
    requests: &[Request<'_>],
    requester: Option<&Requester>,
) -> Result<Vec<Result<Found, Errno>>, Error> {
    // Before anything is opened: a relative path names what the embedder's working directory makes of it.
    if let Some(request) = requests.iter().find(|r| !r.path.is_absolute()) {
        return Err(Error::Relative {
            path: request.path.to_owned(),
            target: request.target.to_owned(),
        });
    }
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
            beneath: request.beneath,
        })
        .collect();
    match requester {
        Some(requester) if !is_self(requester) => delegate::open_as(requester, requests, &wanted),
        // An embedder that opens for itself may bind for writing what only the box's ids may write.
        _ => Ok(wanted
            .iter()
            .map(|one| resolver::open(one, false).map(Found::from))
            .collect()),
    }
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

/// An opened source before its path is looked up.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) fd: OwnedFd,
    pub(crate) identity: Identity,
    pub(crate) is_dir: bool,
}

impl From<Opened> for Found {
    fn from(opened: Opened) -> Self {
        Self {
            fd: own(opened.fd),
            identity: opened.identity,
            is_dir: opened.is_dir,
        }
    }
}

/// A source with the path that init can find it by.
pub(crate) fn describe(found: Found, path: &Path) -> Source {
    // Without a mounted proc there is no canonical path; only Trees::FromInit needs it and says so.
    let canonical = std::fs::read_link(format!("/proc/self/fd/{}", found.fd.as_raw_fd()))
        .ok()
        .filter(|canonical| canonical.is_absolute())
        .and_then(|canonical| CString::new(canonical.into_os_string().into_vec()).ok());
    Source {
        path: path.to_owned(),
        canonical,
        identity: found.identity,
        is_dir: found.is_dir,
        fd: found.fd,
    }
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
