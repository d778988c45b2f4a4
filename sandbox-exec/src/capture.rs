//! Bounded capture of a stream.

use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

use sandbox_core::{Bytes, Errno, StreamEnd, StreamEvidence, sys::monotonic_ns};

use crate::sys::descriptors;

/// How often one look at a pipe reads at most: a program that floods its output, or writes single bytes as packets, must
/// not keep the supervisor from its clocks.
const READS_PER_LOOK: u32 = 32;

/// How long before the payload's end a stream must have ended to count as closed by the program. At its exit a process
/// closes its descriptors first and can be reaped a little later.
const CLOSED_EARLY_NS: i64 = 50_000_000;

/// One output stream on its way in.
#[derive(Debug)]
pub(crate) struct Capture {
    pipe: Option<OwnedFd>,
    keep: usize,
    kept: Vec<u8>,
    seen: u64,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    NotCaptured,
    Open,
    Ended { at_ns: i64 },
    Failed(Errno),
}

impl Capture {
    /// A stream that goes elsewhere.
    pub(crate) fn none() -> Self {
        Self {
            pipe: None,
            keep: 0,
            kept: Vec::new(),
            seen: 0,
            state: State::NotCaptured,
        }
    }

    /// The read end of a pipe, non-blocking.
    pub(crate) fn new(pipe: OwnedFd, keep: Bytes) -> Self {
        let keep = usize::try_from(keep.get()).unwrap_or(usize::MAX);
        Self {
            pipe: Some(pipe),
            keep,
            kept: Vec::new(),
            seen: 0,
            state: State::Open,
        }
    }

    /// The descriptor to poll, while there is something to wait for.
    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        match self.state {
            State::Open => self.pipe.as_ref().map(|pipe| pipe.as_raw_fd()),
            _ => None,
        }
    }

    /// Bytes seen so far, kept or not.
    pub(crate) fn seen(&self) -> Bytes {
        Bytes::new(self.seen)
    }

    /// Reads what is there, through `buffer`; whether there may be more.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> bool {
        let Some(fd) = self.descriptor() else {
            return false;
        };
        for _ in 0..READS_PER_LOOK {
            match descriptors::read(fd, buffer) {
                Ok(0) => {
                    self.state = State::Ended {
                        at_ns: monotonic_ns(),
                    };
                    self.pipe = None;
                    return false;
                }
                Ok(n) => {
                    self.seen += n as u64;
                    let room = self.keep - self.kept.len();
                    self.kept.extend_from_slice(&buffer[..n.min(room)]);
                }
                Err(errno) if errno.raw() == libc::EAGAIN => return false,
                Err(errno) => {
                    self.state = State::Failed(errno);
                    self.pipe = None;
                    return false;
                }
            }
        }
        true
    }

    /// Takes the rest after every process of the box is dead. Bounded by the pipe's own size, and never waits: a stray copy
    /// of the write end in some other child of the embedder keeps the pipe open, but nothing comes through it.
    pub(crate) fn finish(&mut self, buffer: &mut [u8]) {
        while self.read(buffer) {}
    }

    /// What was seen of the stream, and the bytes that were kept.
    ///
    /// `killed_ns` is when the supervisor killed the box, `ended_ns` when init reaped the payload. Without either, something
    /// outside has killed the box.
    pub(crate) fn into_evidence(
        self,
        killed_ns: Option<i64>,
        ended_ns: Option<i64>,
    ) -> (StreamEvidence, Vec<u8>) {
        let end = match self.state {
            State::NotCaptured => StreamEnd::NotCaptured,
            State::Failed(errno) => StreamEnd::ReadError(errno),
            _ if self.seen > self.kept.len() as u64 => StreamEnd::Truncated,
            State::Ended { at_ns } => {
                let closed_before = |end: i64| at_ns.saturating_add(CLOSED_EARLY_NS) < end;
                match (killed_ns, ended_ns) {
                    (_, Some(end)) if closed_before(end) => StreamEnd::ClosedByProgram,
                    (Some(kill), None) if closed_before(kill) => StreamEnd::ClosedByProgram,
                    (_, None) => StreamEnd::CutByKill,
                    _ => StreamEnd::Complete,
                }
            }
            State::Open if ended_ns.is_none() => StreamEnd::CutByKill,
            State::Open => StreamEnd::Complete,
        };
        (
            StreamEvidence {
                seen: Bytes::new(self.seen),
                end,
            },
            self.kept,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{CLOSED_EARLY_NS, Capture};
    use crate::sys::descriptors;
    use sandbox_core::{Bytes, StreamEnd, sys::monotonic_ns};
    use std::{fs::File, io::Write as _, os::fd::AsRawFd as _};

    fn pipe(keep: u64) -> (Capture, File) {
        let (read, write) = descriptors::pipe().unwrap();
        descriptors::set_nonblocking(read.as_raw_fd()).unwrap();
        (Capture::new(read, Bytes::new(keep)), write.into())
    }

    fn end(capture: Capture, killed: Option<i64>, ended: Option<i64>) -> (u64, StreamEnd, Vec<u8>) {
        let (evidence, kept) = capture.into_evidence(killed, ended);
        (evidence.seen.get(), evidence.end, kept)
    }

    #[test]
    fn what_passes_the_bound_is_drained_and_counted() {
        let (mut capture, mut write) = pipe(3);
        write.write_all(b"hello").unwrap();
        capture.read(&mut [0; 2]);
        let now = monotonic_ns();
        assert_eq!(
            end(capture, None, Some(now)),
            (5, StreamEnd::Truncated, b"hel".to_vec())
        );
    }

    #[test]
    fn the_bound_itself_is_complete() {
        let (mut capture, mut write) = pipe(5);
        write.write_all(b"hello").unwrap();
        drop(write);
        capture.finish(&mut [0; 64]);
        let now = monotonic_ns();
        assert_eq!(
            end(capture, None, Some(now)),
            (5, StreamEnd::Complete, b"hello".to_vec())
        );
    }

    #[test]
    fn a_stray_writer_does_not_hold_the_end_up() {
        let (mut capture, mut write) = pipe(9);
        write.write_all(b"x").unwrap();
        capture.finish(&mut [0; 64]);
        assert_eq!(
            end(capture, None, Some(monotonic_ns())).1,
            StreamEnd::Complete
        );
    }

    #[test]
    fn early_ends_and_kills_are_told_apart() {
        let now = monotonic_ns();
        let late = now + 2 * CLOSED_EARLY_NS;
        let closed = || {
            let (mut capture, write) = pipe(9);
            drop(write);
            capture.read(&mut [0; 8]);
            capture
        };
        assert_eq!(
            end(closed(), None, Some(late)).1,
            StreamEnd::ClosedByProgram
        );
        assert_eq!(
            end(closed(), Some(late), None).1,
            StreamEnd::ClosedByProgram
        );
        assert_eq!(end(closed(), Some(now), None).1, StreamEnd::CutByKill);
        assert_eq!(end(pipe(9).0, Some(now), None).1, StreamEnd::CutByKill);
        assert_eq!(
            end(Capture::none(), None, Some(now)).1,
            StreamEnd::NotCaptured
        );
    }
}
