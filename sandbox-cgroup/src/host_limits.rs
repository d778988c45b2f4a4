//! Limits that this machine cannot honour, though another one could.

use std::fs;

use sandbox_core::{Bytes, CpuSet, Errno, Limits};

use crate::{Error, sys};

/// `RESERVED_PIDS` of the kernel, and one.
const SMALLEST_PID_MAX: u32 = 301;

/// Refuses what is beyond the machine. The CPUs are compared with those of the cgroup parent, elsewhere.
pub(crate) fn check(limits: &Limits) -> Result<(), Error> {
    if let Some(memory) = limits.memory {
        let total = sys::total_memory().map_err(|source: Errno| Error::Read {
            path: "/proc/meminfo".into(),
            source,
        })?;
        if memory.get() > total {
            return Err(Error::beyond_memory(memory, Bytes::new(total)));
        }
    }
    // Up to the smallest value that the kernel takes for it, nobody needs to look.
    if let Some(processes) = limits.processes.filter(|n| *n > SMALLEST_PID_MAX) {
        // The kernel hands out ids below this number.
        let path = "/proc/sys/kernel/pid_max";
        let text = fs::read_to_string(path).map_err(Error::read(path))?;
        at_most("processes", processes, parsed(path, &text)?)?;
    }
    if let Some(rate) = limits.cpu_rate {
        let path = "/sys/devices/system/cpu/online";
        let text = fs::read_to_string(path).map_err(Error::read(path))?;
        let cpus: CpuSet = parsed(path, &text)?;
        let available = u32::try_from(cpus.len())
            .unwrap_or(u32::MAX)
            .saturating_mul(1000);
        at_most("cpu_rate", rate, available)?;
    }
    Ok(())
}

fn at_most(field: &'static str, wanted: u32, available: u32) -> Result<(), Error> {
    if wanted <= available {
        return Ok(());
    }
    Err(Error::BeyondHost {
        field,
        wanted: wanted.to_string(),
        available: available.to_string(),
    })
}

/// Refuses CPUs that the cgroup parent does not have.
pub(crate) fn check_cpus(wanted: &CpuSet, available: &CpuSet) -> Result<(), Error> {
    if wanted
        .iter()
        .all(|cpu| available.iter().any(|other| other == cpu))
    {
        return Ok(());
    }
    Err(Error::BeyondHost {
        field: "cpus",
        wanted: wanted.to_string(),
        available: available.to_string(),
    })
}

fn parsed<T: core::str::FromStr>(file: &'static str, text: &str) -> Result<T, Error> {
    text.trim()
        .parse()
        .map_err(|_| Error::Parse { file, line: 1 })
}

#[cfg(test)]
mod tests {
    use super::{check, check_cpus};
    use crate::Error;
    use sandbox_core::{Bytes, CpuSet, Limits};

    #[test]
    fn what_the_machine_lacks_is_refused_by_field() {
        let cases = [
            ("memory", Limits::default().memory(Bytes::new(u64::MAX))),
            ("processes", Limits::default().processes(u32::MAX)),
            ("cpu_rate", Limits::default().cpu_rate(u32::MAX)),
        ];
        for (name, limits) in cases {
            let error = check(&limits).unwrap_err();
            assert!(
                matches!(error, Error::BeyondHost { field, .. } if field == name),
                "{error}"
            );
        }
        let small = Limits::default()
            .memory(Bytes::mib(1))
            .processes(1)
            .cpu_rate(1000);
        assert_eq!(check(&small), Ok(()));
    }

    #[test]
    fn cpus_must_be_a_subset() {
        let have = CpuSet::new([0, 1, 4]);
        assert_eq!(check_cpus(&CpuSet::new([4, 0]), &have), Ok(()));
        let text = check_cpus(&CpuSet::new([2]), &have)
            .unwrap_err()
            .to_string();
        assert_eq!(text, "limit cpus is 2, this host has 0,1,4");
    }
}
