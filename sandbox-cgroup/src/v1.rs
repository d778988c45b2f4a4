//! File names and formats of cgroup v1; pure.

use sandbox_core::{Controller, CpuSet, Limits};

use crate::{
    counter::{keyed, number},
    setting::{CPU_PERIOD_USEC, Setting},
};

/// What the parent of a v1 cpuset group has; a child may have no more.
#[derive(Debug, Clone, Default)]
pub(crate) struct CpusetParent {
    pub(crate) cpus: CpuSet,
    pub(crate) mems: CpuSet,
}

/// The limits that `controller` enforces, in the order in which they must be written.
pub(crate) fn settings(
    controller: Controller,
    limits: &Limits,
    cpuset: &CpusetParent,
) -> Vec<Setting> {
    let mut list = Vec::new();
    match controller {
        Controller::Memory => {
            if let Some(memory) = limits.memory {
                list.push(Setting::bytes("memory.limit_in_bytes", memory));
                // Memory and swap together may not be limited below memory alone, so this one comes second. Equal
                // limits leave no room for swap.
                list.push(
                    Setting::bytes("memory.memsw.limit_in_bytes", memory).needs_swap_accounting(),
                );
            }
        }
        Controller::Pids => {
            list.extend(
                limits
                    .processes
                    .map(|n| Setting::text("pids.max", n.to_string())),
            );
        }
        Controller::Cpu => {
            if let Some(rate) = limits.cpu_rate {
                let quota = u64::from(rate) * CPU_PERIOD_USEC / 1000;
                list.push(Setting::text(
                    "cpu.cfs_period_us",
                    CPU_PERIOD_USEC.to_string(),
                ));
                list.push(Setting::text("cpu.cfs_quota_us", quota.to_string()));
            }
            let shares = |weight: u32| u64::from(weight) * 1024 / 100;
            list.extend(
                limits
                    .cpu_weight
                    .map(|w| Setting::text("cpu.shares", shares(w).to_string())),
            );
        }
        Controller::Cpuset => {
            // A new group has neither, and refuses tasks (ENOSPC) until it has both.
            let cpus = limits.cpus.clone().unwrap_or_else(|| cpuset.cpus.clone());
            list.push(Setting::list("cpuset.cpus", cpus));
            list.push(Setting::list("cpuset.mems", cpuset.mems.clone()));
        }
        _ => {}
    }
    list
}

/// `cpuacct.usage`, in nanoseconds.
pub(crate) fn cpu_nanos(text: &[u8]) -> Option<u64> {
    number(text)
}

/// `memory.oom_control`.
pub(crate) fn oom_kills(text: &[u8]) -> Option<u64> {
    keyed(text, b"oom_kill")
}

#[cfg(test)]
mod tests {
    use super::{CpusetParent, oom_kills, settings};
    use sandbox_core::{Bytes, Controller, CpuSet, Limits};

    fn written(controller: Controller, limits: &Limits) -> Vec<(&'static str, String)> {
        let parent = CpusetParent {
            cpus: CpuSet::new([0, 1]),
            mems: CpuSet::new([0]),
        };
        let list = settings(controller, limits, &parent);
        list.into_iter().map(|s| (s.file, s.written())).collect()
    }

    #[test]
    fn memory_comes_before_memory_and_swap() {
        let limits = Limits::default().memory(Bytes::kib(8));
        let expected = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
            .map(|f| (f, "8192".to_owned()));
        assert_eq!(written(Controller::Memory, &limits), expected);
        assert!(written(Controller::Memory, &Limits::default()).is_empty());
    }

    #[test]
    fn rate_and_weight_become_quota_and_shares() {
        let limits = Limits::default().cpu_rate(1500).cpu_weight(50);
        let expected = [
            ("cpu.cfs_period_us", "100000"),
            ("cpu.cfs_quota_us", "150000"),
            ("cpu.shares", "512"),
        ];
        assert_eq!(
            written(Controller::Cpu, &limits),
            expected.map(|(f, v)| (f, v.to_owned()))
        );
    }

    #[test]
    fn a_cpuset_group_always_gets_cpus_and_memory_nodes() {
        let one = Limits::default().cpus(CpuSet::new([1]));
        assert_eq!(
            written(Controller::Cpuset, &one)[0],
            ("cpuset.cpus", "1".to_owned())
        );
        let inherited = written(Controller::Cpuset, &Limits::default());
        assert_eq!(
            inherited,
            [
                ("cpuset.cpus", "0,1".to_owned()),
                ("cpuset.mems", "0".to_owned())
            ]
        );
    }

    #[test]
    fn oom_kill_is_not_mistaken_for_its_neighbours() {
        assert_eq!(
            oom_kills(b"oom_kill_disable 1\nunder_oom 1\noom_kill 3\n"),
            Some(3)
        );
        assert_eq!(oom_kills(b"oom_kill_disable 1\nunder_oom 0\n"), None);
    }
}
