//! The limits of every kind of box, from the package and the host.

use std::{fs, time::Duration};

use sandbox_exec::{Bytes, Limits};

use crate::package::{Package, error::PackageError};

/// What the format calls a typical system default.
const DEFAULT_MEMORY: Bytes = Bytes::mib(2048);
/// Processes and threads of a compiler: `go build` and javac start one per CPU and more.
const COMPILER_PROCESSES: u32 = 512;
/// Open files of a run; few programs need more than a handful, the JVM opens its modules.
const OPEN_FILES: u32 = 512;
/// Size of `/tmp` in a run. Its pages count against the memory limit as well.
pub(crate) const RUN_SCRATCH: Bytes = Bytes::mib(64);
/// Size of `/tmp` and of the output directory of a compiler.
pub(crate) const COMPILER_SCRATCH: Bytes = Bytes::mib(256);

/// Resolved limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Memory of a run.
    pub(crate) memory: Bytes,
    /// Output of a run.
    pub(crate) output: Bytes,
    compilation_time: Duration,
    compilation_memory: Bytes,
    validation_time: Duration,
    validation_memory: Bytes,
    /// How much longer than on an ordinary machine compilers, probes and validators may take.
    tool_time_factor: u32,
    /// Output and feedback of a validator.
    pub(crate) validation_output: Bytes,
}

impl Settings {
    /// Takes the package's limits, and refuses what this host cannot honour.
    pub(crate) fn new(package: &Package, tool_time_factor: u32) -> Result<Self, PackageError> {
        let host = host_memory();
        let limits = package.limits();
        let memory = |name: &str, wanted: Option<Bytes>| match (wanted, host) {
            (Some(wanted), Some(host)) if wanted > host => Err(PackageError::value(
                package.root.join("problem.yaml"),
                format!(
                    "limits.{name} is {wanted}, and this host has {host}: the limit cannot be honoured here"
                ),
            )),
            (Some(wanted), _) => Ok(wanted),
            (None, host) => Ok(host.map_or(DEFAULT_MEMORY, |host| host.min(DEFAULT_MEMORY))),
        };
        Ok(Self {
            memory: memory("memory", limits.memory)?,
            output: limits.output,
            tool_time_factor,
            compilation_time: limits.compilation_time,
            compilation_memory: memory("compilation_memory", limits.compilation_memory)?,
            validation_time: limits.validation_time,
            validation_memory: memory("validation_memory", limits.validation_memory)?,
            validation_output: limits.validation_output,
        })
    }

    /// Limits of a run of a submission.
    pub(crate) fn run(&self, time: Duration, processes: u32) -> Limits {
        timed(time)
            .memory(self.memory)
            .processes(processes)
            .output(self.output)
            .open_files(OPEN_FILES)
            .stack(self.stack())
    }

    /// Limits of a compilation.
    pub(crate) fn compilation(&self) -> Limits {
        self.tool(self.compilation_time)
            .memory(self.compilation_memory)
            .processes(COMPILER_PROCESSES)
            .output(Bytes::mib(8))
            .file_size(COMPILER_SCRATCH)
    }

    /// Limits of an output validator.
    pub(crate) fn validation(&self) -> Limits {
        self.tool(self.validation_time)
            .memory(self.validation_memory)
            .processes(64)
            .output(self.validation_output)
            .open_files(OPEN_FILES)
    }

    /// Limits of a probe: generous in time, since a cold JVM on a loaded machine is slow.
    pub(crate) fn probe(&self) -> Limits {
        self.tool(Duration::from_secs(60))
            .memory(Bytes::mib(512))
            .processes(COMPILER_PROCESSES)
            .output(Bytes::mib(1))
    }

    fn tool(&self, time: Duration) -> Limits {
        timed(time.saturating_mul(self.tool_time_factor))
    }

    /// Stack of the main thread. Below the memory limit, so that endless recursion is the crash that it would be outside
    /// and not a memory verdict; large, so that deep recursion works.
    pub(crate) fn stack(&self) -> Bytes {
        Bytes::new(self.memory.get() / 2)
            .min(Bytes::mib(256))
            .max(Bytes::mib(8))
    }
}

/// CPU time, and wall time for those who sleep. Far more than the CPU time: on a loaded machine an honest program may wait for
/// its CPU longer than it has it, and must not be stopped for that.
fn timed(time: Duration) -> Limits {
    Limits::default().cpu_time(time).wall_time(
        time.saturating_mul(3)
            .saturating_add(Duration::from_secs(3)),
    )
}

fn host_memory() -> Option<Bytes> {
    total(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn total(meminfo: &str) -> Option<Bytes> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Bytes::kib(kib))
}

#[cfg(test)]
mod tests {
    use super::total;
    use sandbox_exec::Bytes;

    #[test]
    fn the_memory_of_the_host_is_read() {
        let text = "MemTotal:       24689764 kB\nMemFree: 1 kB\n";
        assert_eq!(total(text), Some(Bytes::kib(24_689_764)));
        assert_eq!(total("MemFree: 1 kB\n"), None);
        assert_eq!(total("MemTotal: x kB\n"), None);
    }
}
