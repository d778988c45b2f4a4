//! What the user asks for.

use core::time::Duration;

use crate::{Bytes, CpuSet};

/// The limits of one run. What is `None` is not limited, and only what is `Some` may decide a verdict.
///
/// Which mechanism enforces which field, and the test that fails when it is ignored: the guarantee table of the README.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct Limits {
    /// CPU time of all processes of the run together, user and system.
    pub cpu_time: Option<Duration>,
    /// Time from `execve(2)` to the end of the payload on the monotonic clock.
    pub wall_time: Option<Duration>,
    /// Wall time minus CPU time: how long the run may sleep or wait in total. Waiting for a CPU counts as well, so on a busy
    /// machine, or beside `cpu_rate`, it needs room.
    pub idle_time: Option<Duration>,
    /// Memory of the whole cgroup: anonymous pages, page cache and tmpfs. Swap is forbidden where it is set (on v1 but for the
    /// 256 KiB that the kernel's own accounting needs).
    pub memory: Option<Bytes>,
    /// Tasks (processes and threads) alive at once.
    pub processes: Option<u32>,
    /// Bytes that the program may write to each captured stream.
    pub output: Option<Bytes>,
    /// Share of CPU time per wall time, in thousandths of one CPU: 1000 is one CPU, 500 half of one.
    pub cpu_rate: Option<u32>,
    /// Relative weight against other cgroups, 1 to 10 000; the kernel's default is 100.
    pub cpu_weight: Option<u32>,
    /// The CPUs that the run may use.
    pub cpus: Option<CpuSet>,
    /// `RLIMIT_FSIZE`: largest size of any one file that the program writes.
    pub file_size: Option<Bytes>,
    /// `RLIMIT_NOFILE`: one more than the highest descriptor number.
    pub open_files: Option<u32>,
    /// `RLIMIT_STACK`: stack of the main thread.
    pub stack: Option<Bytes>,
    /// `RLIMIT_AS`: address space of each process. Breaks JVM, Go and Node; `memory` is what a judge wants.
    pub address_space: Option<Bytes>,
}

/// A limit that no run could honour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// The limit is zero: nothing could run under it.
    #[error("limit {field} is zero; leave it unset for no limit")]
    Zero {
        /// Name of the field of [`Limits`].
        field: &'static str,
    },
    /// The limit is outside of what the kernel takes.
    #[error("limit {field} is {value}, allowed is {allowed}")]
    OutOfRange {
        /// Name of the field of [`Limits`].
        field: &'static str,
        /// What was asked for.
        value: u64,
        /// What could have been asked for.
        allowed: String,
    },
}

macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident: $type:ty;)*) => {
        $($(#[$doc])* #[must_use] pub fn $field(mut self, value: $type) -> Self {
            self.$field = Some(value);
            self
        })*
    };
}

impl Limits {
    setters! {
        /// Limits [`Limits::cpu_time`].
        cpu_time: Duration;
        /// Limits [`Limits::wall_time`].
        wall_time: Duration;
        /// Limits [`Limits::idle_time`].
        idle_time: Duration;
        /// Limits [`Limits::memory`].
        memory: Bytes;
        /// Limits [`Limits::processes`].
        processes: u32;
        /// Limits [`Limits::output`].
        output: Bytes;
        /// Limits [`Limits::cpu_rate`].
        cpu_rate: u32;
        /// Sets [`Limits::cpu_weight`].
        cpu_weight: u32;
        /// Restricts to [`Limits::cpus`].
        cpus: CpuSet;
        /// Limits [`Limits::file_size`].
        file_size: Bytes;
        /// Limits [`Limits::open_files`].
        open_files: u32;
        /// Limits [`Limits::stack`].
        stack: Bytes;
        /// Limits [`Limits::address_space`].
        address_space: Bytes;
    }

    /// Refuses limits that no kernel could honour.
    ///
    /// # Errors
    /// [`LimitError`] names the field. What only this host cannot honour (more memory than it has, a CPU that it lacks)
    /// is refused by the crate that applies the limit.
    pub fn validate(&self) -> Result<(), LimitError> {
        let zeros = [
            ("cpu_time", self.cpu_time.map(|t| t.is_zero())),
            ("wall_time", self.wall_time.map(|t| t.is_zero())),
            ("idle_time", self.idle_time.map(|t| t.is_zero())),
            ("memory", self.memory.map(|b| b.get() == 0)),
            ("processes", self.processes.map(|n| n == 0)),
            ("output", self.output.map(|b| b.get() == 0)),
            ("cpu_rate", self.cpu_rate.map(|n| n == 0)),
            ("cpu_weight", self.cpu_weight.map(|n| n == 0)),
            ("cpus", self.cpus.as_ref().map(CpuSet::is_empty)),
            ("file_size", self.file_size.map(|b| b.get() == 0)),
            ("open_files", self.open_files.map(|n| n == 0)),
            ("stack", self.stack.map(|b| b.get() == 0)),
            ("address_space", self.address_space.map(|b| b.get() == 0)),
        ];
        if let Some((field, _)) = zeros.into_iter().find(|(_, zero)| *zero == Some(true)) {
            return Err(LimitError::Zero { field });
        }
        let range = |field, value: u64, low: u64, high: u64| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(LimitError::OutOfRange {
                field,
                value,
                allowed: format!("{low} to {high}"),
            })
        };
        if let Some(memory) = self.memory {
            // Below one page the kernel rounds to no memory at all.
            range("memory", memory.get(), 4096, u64::MAX)?;
        }
        if let Some(weight) = self.cpu_weight {
            range("cpu_weight", weight.into(), 1, 10_000)?;
        }
        if let Some(rate) = self.cpu_rate {
            // Below 1 % of a CPU the kernel's quota (at least 1 ms a period of 100 ms) cannot express the rate.
            range("cpu_rate", rate.into(), 10, 1_000_000)?;
        }
        if let Some(files) = self.open_files {
            // The three standard descriptors must fit, or set-up itself fails.
            range("open_files", files.into(), 3, 1 << 20)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{LimitError, Limits};
    use crate::{Bytes, CpuSet};
    use core::time::Duration;

    #[test]
    fn zero_is_refused_by_name() {
        let cases = [
            ("cpu_time", Limits::default().cpu_time(Duration::ZERO)),
            ("wall_time", Limits::default().wall_time(Duration::ZERO)),
            ("idle_time", Limits::default().idle_time(Duration::ZERO)),
            ("memory", Limits::default().memory(Bytes::new(0))),
            ("processes", Limits::default().processes(0)),
            ("output", Limits::default().output(Bytes::new(0))),
            ("cpu_rate", Limits::default().cpu_rate(0)),
            ("cpu_weight", Limits::default().cpu_weight(0)),
            ("cpus", Limits::default().cpus(CpuSet::default())),
            ("file_size", Limits::default().file_size(Bytes::new(0))),
            ("open_files", Limits::default().open_files(0)),
            ("stack", Limits::default().stack(Bytes::new(0))),
            (
                "address_space",
                Limits::default().address_space(Bytes::new(0)),
            ),
        ];
        for (field, limits) in cases {
            assert_eq!(limits.validate(), Err(LimitError::Zero { field }));
        }
    }

    #[test]
    fn what_the_kernel_cannot_take_is_refused() {
        assert!(Limits::default().cpu_weight(10_001).validate().is_err());
        assert!(Limits::default().cpu_rate(9).validate().is_err());
        assert!(Limits::default().open_files(2).validate().is_err());
        assert_eq!(Limits::default().validate(), Ok(()));
    }
}
