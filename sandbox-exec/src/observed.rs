//! What init and payload have told so far.

use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

use sandbox_core::{Exit, Process, Record, Stage, StageSet, StepFailure};
use sandbox_fs::KeptDir;
use sandbox_seccomp::Filter;

use crate::{
    Error,
    reports::{Mode, Reports},
    sys::message::{self, Message},
};

/// What the payload said last before it became the program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proof {
    /// The stages behind it.
    pub(crate) stages: StageSet,
    /// When it was sealed, `CLOCK_MONOTONIC`.
    pub(crate) started_ns: i64,
    /// How many supplementary groups it had.
    pub(crate) groups: u16,
}

/// The payload's side: its proof, and whether `execve(2)` failed after all.
#[derive(Debug)]
pub(crate) struct Handshake {
    /// Closed, and `None`, once the payload's end is seen to be closed.
    socket: Option<OwnedFd>,
    stages: Option<StageSet>,
    started: Option<(i64, u16)>,
    /// What the filter reports, where it does.
    pub(crate) reports: Option<Reports>,
    listener: Option<OwnedFd>,
    pub(crate) failure: Option<(Process, StepFailure)>,
}

impl Handshake {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self {
            socket: Some(socket),
            stages: None,
            started: None,
            reports: None,
            listener: None,
            failure: None,
        }
    }

    /// The descriptor to poll, while there may be something to read.
    pub(crate) fn descriptor(&self) -> Option<i32> {
        self.socket.as_ref().map(|socket| socket.as_raw_fd())
    }

    /// Whether the payload's end is closed: by `execve(2)`, where a proof came and no failure, or by its death.
    pub(crate) fn is_over(&self) -> bool {
        self.socket.is_none()
    }

    /// The proof, once all of it has come. `Execve` is in it only where the payload's end was seen to close.
    pub(crate) fn proof(&self) -> Option<Proof> {
        let (stages, (started_ns, groups)) = (self.stages?, self.started?);
        // The supervisor's own delay is not the program's.
        let answered_ns = self.reports.as_ref().and_then(Reports::answered_ns);
        let started_ns = started_ns.max(answered_ns.unwrap_or(started_ns));
        let exec = if self.is_over() && self.failure.is_none() {
            Stage::Execve.set()
        } else {
            StageSet::empty()
        };
        Some(Proof {
            stages: stages | exec,
            started_ns,
            groups,
        })
    }

    /// Listens to the filter's reports, once the payload has sent the listener.
    pub(crate) fn listen(&mut self, filter: Option<&Filter>, mode: Mode) -> Result<(), Error> {
        match (self.listener.take(), filter) {
            (None, _) => Ok(()),
            (Some(listener), Some(filter)) if filter.reports() && self.reports.is_none() => {
                self.reports = Some(Reports::new(listener, filter.clone(), mode));
                Ok(())
            }
            _ => Err(Error::ForeignRecord),
        }
    }

    /// The listener, while the next call is the start's: until the payload has gone on from its greeting, since one that a
    /// signal interrupts is made again, and then where it has announced its `execve`.
    pub(crate) fn awaits_start(&self) -> Option<RawFd> {
        let reports = self.reports.as_ref();
        let waits = reports.filter(|reports| self.stages.is_none() || reports.awaits_start());
        waits.and_then(Reports::descriptor)
    }

    /// Whether the `execve` that was announced is not let through yet: then the program has not run.
    pub(crate) fn awaits_execve(&self) -> bool {
        self.reports.as_ref().is_some_and(Reports::awaits_start)
    }

    /// Answers a call of the start. What else waits after the proof is the program's.
    pub(crate) fn answer_start(&mut self) -> Result<(), Error> {
        match &mut self.reports {
            Some(reports) if self.stages.is_none() => reports.greet(),
            Some(reports) if reports.awaits_start() => reports.let_start(),
            _ => Ok(()),
        }
    }

    /// Takes what has come.
    pub(crate) fn read(&mut self) -> Result<(), Error> {
        while let Some(socket) = &self.socket {
            let received = message::receive(socket.as_raw_fd());
            match received.map_err(Error::call("recvmsg from the payload"))? {
                Message::Empty => return Ok(()),
                Message::End => self.socket = None,
                Message::Record(bytes) => match Record::decode(bytes) {
                    Ok(Record::Failed(speaker, failure)) => self.failure = Some((speaker, failure)),
                    Ok(Record::Proved(Process::Payload, stages)) => self.stages = Some(stages),
                    Ok(Record::Started { ns, groups }) => {
                        self.started = Some((ns, groups));
                        if let Some(reports) = &mut self.reports {
                            reports.announce_start();
                        }
                    }
                    _ => return Err(Error::ForeignRecord),
                },
                Message::Descriptor(fd) if self.stages.is_none() && self.listener.is_none() => {
                    self.listener = Some(fd);
                }
                Message::Descriptor(_) | Message::Go | Message::Foreign => {
                    return Err(Error::ForeignRecord);
                }
            }
        }
        Ok(())
    }
}

/// init's side: its proof, the kept directories, the payload's end.
#[derive(Debug)]
pub(crate) struct Status {
    socket: OwnedFd,
    /// The socket has hung up: it would be readable for ever.
    hung_up: bool,
    pub(crate) stages: StageSet,
    pub(crate) kept: Vec<KeptDir>,
    pub(crate) exit: Option<Exit>,
    pub(crate) ended_ns: Option<i64>,
    pub(crate) failure: Option<(Process, StepFailure)>,
}

impl Status {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            hung_up: false,
            stages: StageSet::empty(),
            kept: Vec::new(),
            exit: None,
            ended_ns: None,
            failure: None,
        }
    }

    /// The descriptor to poll, while there may be something to read.
    pub(crate) fn descriptor(&self) -> Option<i32> {
        (!self.hung_up).then(|| self.socket.as_raw_fd())
    }

    /// The socket, for what the supervisor sends.
    pub(crate) fn raw(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Lets init go on.
    pub(crate) fn send_go(&self) -> Result<(), Error> {
        message::send_go(self.socket.as_raw_fd()).map_err(Error::call("send to init"))
    }

    /// Lets init end. One that had nothing to wait for has ended already.
    pub(crate) fn dismiss(&self) -> Result<(), Error> {
        match message::send_go(self.socket.as_raw_fd()) {
            Err(errno) if matches!(errno.raw(), libc::EPIPE | libc::ECONNRESET) => Ok(()),
            other => other.map_err(Error::call("send to init")),
        }
    }

    /// Takes what has come.
    pub(crate) fn read(&mut self) -> Result<(), Error> {
        while !self.hung_up {
            let received = message::receive(self.socket.as_raw_fd());
            match received.map_err(Error::call("recvmsg from init"))? {
                Message::Empty => return Ok(()),
                Message::End => self.hung_up = true,
                Message::Descriptor(fd) => self.kept.push(KeptDir::from(fd)),
                Message::Go | Message::Foreign => return Err(Error::ForeignRecord),
                Message::Record(bytes) => match Record::decode(bytes) {
                    Ok(Record::Failed(speaker, failure)) => self.failure = Some((speaker, failure)),
                    Ok(Record::Proved(Process::Init, stages)) => self.stages |= stages,
                    Ok(Record::Exited(status)) => self.exit = Exit::from_wait_status(status),
                    Ok(Record::Ended(ns)) => self.ended_ns = Some(ns),
                    _ => return Err(Error::ForeignRecord),
                },
            }
        }
        Ok(())
    }
}
