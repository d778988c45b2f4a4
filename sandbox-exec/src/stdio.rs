//! Descriptors 0, 1 and 2 of the program.

use std::{
    fs::OpenOptions,
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
};

use sandbox_core::{Bytes, Errno, Limits};

use crate::{Error, Identity, capture::Capture, sys::descriptors};

/// Standard input of the program.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stdin {
    /// At its end from the start.
    Null,
    /// These bytes, as a sealed file in memory: seekable, and no writer that could block or be signalled.
    Bytes(Vec<u8>),
    /// A descriptor: an opened file, the read end of a pipe, a socket. A directory, which would be a door out of the box, is
    /// refused. Whatever it is open for, the
    /// program can open the same file again through `/proc/self/fd/0`, for writing too where the file's mode lets the
    /// payload's uid; pass [`Stdin::Bytes`] where that matters.
    Fd(OwnedFd),
}

/// Standard output or standard error of the program.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// `/dev/null`.
    Null,
    /// Read by the supervisor. What comes after the first `keep` bytes is drained and counted, so that the program never
    /// blocks on a full pipe, and the memory of the supervisor is bounded.
    Capture {
        /// How many bytes are kept.
        keep: Bytes,
    },
    /// A descriptor; the program can open the same file again, as with [`Stdin::Fd`]. The limit of output does not reach it;
    /// `Limits::file_size` does, where it is a file.
    Fd(OwnedFd),
}

/// What becomes 0, 1 and 2: the child's ends. Dropped by the parent when they are sent.
#[derive(Debug)]
pub(crate) struct StdioPlan {
    ends: [OwnedFd; 3],
}

impl StdioPlan {
    /// The numbers of the three ends in the parent.
    pub(crate) fn raw(&self) -> [RawFd; 3] {
        let [stdin, stdout, stderr] = &self.ends;
        [stdin.as_raw_fd(), stdout.as_raw_fd(), stderr.as_raw_fd()]
    }

    /// Makes the three ends. `owner` becomes the owner of the pipes, so that the program can open `/dev/stdout`.
    pub(crate) fn new(
        stdin: Stdin,
        stdout: Output,
        stderr: Output,
        limits: &Limits,
        owner: Option<Identity>,
    ) -> Result<(Self, Capture, Capture), Error> {
        let stdin = match stdin {
            Stdin::Null => null()?,
            Stdin::Bytes(bytes) => {
                descriptors::sealed_memfd(&bytes).map_err(Error::call("memfd_create"))?
            }
            Stdin::Fd(fd) => given("stdin", fd)?,
        };
        let output = |stream, output| match output {
            Output::Null => Ok((null()?, Capture::none())),
            Output::Fd(_) if limits.output.is_some() => Err(Error::OutputNotCaptured { stream }),
            Output::Fd(fd) => Ok((given(stream, fd)?, Capture::none())),
            Output::Capture { keep } => {
                let (read, write) = descriptors::pipe().map_err(Error::call("pipe2"))?;
                descriptors::set_nonblocking(read.as_raw_fd()).map_err(Error::call("fcntl"))?;
                if let Some(Identity { uid, gid }) = owner {
                    let changed = descriptors::fchown(write.as_raw_fd(), uid, gid);
                    changed.map_err(Error::call("fchown of a pipe"))?;
                }
                Ok((write, Capture::new(read, keep)))
            }
        };
        let (stdout, captured_stdout) = output("stdout", stdout)?;
        let (stderr, captured_stderr) = output("stderr", stderr)?;
        Ok((
            Self {
                ends: [stdin, stdout, stderr],
            },
            captured_stdout,
            captured_stderr,
        ))
    }
}

/// A descriptor of the embedder, checked.
fn given(stream: &'static str, fd: OwnedFd) -> Result<OwnedFd, Error> {
    if descriptors::is_directory_or_path(fd.as_raw_fd())
        .map_err(Error::call("fstat of a stream"))?
    {
        return Err(Error::DirectoryAsStream { stream });
    }
    Ok(fd)
}

fn null() -> Result<OwnedFd, Error> {
    let opened = OpenOptions::new().read(true).write(true).open("/dev/null");
    let opened = opened.map_err(|e| Error::call("open /dev/null")(Errno::from_io(&e)))?;
    Ok(opened.into())
}
