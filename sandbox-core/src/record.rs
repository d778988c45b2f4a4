//! The 16-byte messages of init and payload. Encoding only; [`crate::sys`] sends them.

use crate::{Errno, Fault, Stage, StageSet, StepFailure};

const MAGIC: u16 = 0x5b0c;

const FAILED: u8 = 1;
const PROVED: u8 = 2;
const STARTED: u8 = 3;
const EXITED: u8 = 4;
const ENDED: u8 = 5;

/// Which process of the box speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Process {
    /// PID 1 of the box.
    Init = 1,
    /// The process that becomes the program.
    Payload = 2,
}

/// One message from the box to the supervisor.
///
/// Layout, native endian: `magic u16 | kind u8 | stage u8 | index u16 | process u8 | 0 u8 | value i64`.
/// Both ends are the same binary on the same machine, so neither endianness nor version is negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// A stage failed; nothing untrusted has run.
    Failed(Process, StepFailure),
    /// These stages are behind the speaker, each applied and where possible read back.
    Proved(Process, StageSet),
    /// Taken by the payload when nothing but filter and `execve(2)` was left.
    Started {
        /// `CLOCK_MONOTONIC` in nanoseconds.
        ns: i64,
        /// How many supplementary groups it still had.
        groups: u16,
    },
    /// The payload's raw wait status (`wait(2)`), as init reaped it.
    Exited(i32),
    /// `CLOCK_MONOTONIC` in nanoseconds, taken by init when it reaped the payload.
    Ended(i64),
}

/// Why sixteen bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a record of the box")]
pub struct RecordError;

impl Record {
    /// Size of an encoded record in bytes.
    pub const SIZE: usize = 16;

    /// The wire form. Async-signal-safe.
    #[must_use]
    pub const fn encode(self) -> [u8; Self::SIZE] {
        let (kind, process, stage, index, value) = match self {
            Self::Failed(
                process,
                StepFailure {
                    stage,
                    fault: Fault { index, errno },
                },
            ) => (
                FAILED,
                process as u8,
                stage as u8,
                index,
                errno.raw() as i64,
            ),
            Self::Proved(process, stages) => (PROVED, process as u8, 0, 0, stages.bits() as i64),
            Self::Started { ns, groups } => (STARTED, Process::Payload as u8, 0, groups, ns),
            Self::Exited(status) => (EXITED, Process::Init as u8, 0, 0, status as i64),
            Self::Ended(ns) => (ENDED, Process::Init as u8, 0, 0, ns),
        };
        let [m0, m1] = MAGIC.to_ne_bytes();
        let [i0, i1] = index.to_ne_bytes();
        let [v0, v1, v2, v3, v4, v5, v6, v7] = value.to_ne_bytes();
        [
            m0, m1, kind, stage, i0, i1, process, 0, v0, v1, v2, v3, v4, v5, v6, v7,
        ]
    }

    /// Reads the wire form.
    ///
    /// # Errors
    /// [`RecordError`] where the bytes were not made by [`Record::encode`].
    pub fn decode(bytes: [u8; Self::SIZE]) -> Result<Self, RecordError> {
        let [
            m0,
            m1,
            kind,
            stage,
            i0,
            i1,
            process,
            0,
            v0,
            v1,
            v2,
            v3,
            v4,
            v5,
            v6,
            v7,
        ] = bytes
        else {
            return Err(RecordError);
        };
        if u16::from_ne_bytes([m0, m1]) != MAGIC {
            return Err(RecordError);
        }
        let value = i64::from_ne_bytes([v0, v1, v2, v3, v4, v5, v6, v7]);
        let index = u16::from_ne_bytes([i0, i1]);
        let process = match process {
            1 => Process::Init,
            2 => Process::Payload,
            _ => return Err(RecordError),
        };
        let small = i32::try_from(value).map_err(|_| RecordError);
        match kind {
            FAILED => {
                let stage = Stage::from_wire(stage).ok_or(RecordError)?;
                let fault = Fault {
                    index,
                    errno: Errno::from_raw(small?),
                };
                Ok(Self::Failed(process, StepFailure { stage, fault }))
            }
            PROVED => {
                let bits = u32::try_from(value).map_err(|_| RecordError)?;
                Ok(Self::Proved(process, StageSet::from_bits_retain(bits)))
            }
            STARTED => Ok(Self::Started {
                ns: value,
                groups: index,
            }),
            EXITED => Ok(Self::Exited(small?)),
            ENDED => Ok(Self::Ended(value)),
            _ => Err(RecordError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Process, Record, RecordError};
    use crate::{Errno, Fault, Stage, StepFailure};

    #[test]
    fn every_record_survives_the_wire() {
        let fault = Fault {
            index: 65_535,
            errno: Errno::from_raw(libc::EPERM),
        };
        let records = [
            Record::Failed(
                Process::Payload,
                StepFailure {
                    stage: Stage::Seccomp,
                    fault,
                },
            ),
            Record::Failed(
                Process::Init,
                StepFailure {
                    stage: Stage::Root,
                    fault,
                },
            ),
            Record::Proved(Process::Init, Stage::Root.set() | Stage::Seal.set()),
            Record::Started {
                ns: i64::MAX,
                groups: 7,
            },
            Record::Exited(0x8b),
            Record::Ended(0),
        ];
        for record in records {
            assert_eq!(Record::decode(record.encode()), Ok(record));
        }
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert_eq!(Record::decode([0; Record::SIZE]), Err(RecordError));
        let good = Record::Exited(0).encode();
        for at in [0, 2, 6, 7] {
            let mut bad = good;
            bad[at] ^= 0x40;
            assert_eq!(Record::decode(bad), Err(RecordError), "byte {at}");
        }
    }
}
