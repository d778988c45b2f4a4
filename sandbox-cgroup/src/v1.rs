//! File names and formats of cgroup v1; pure.

use sandbox_core::{Bytes, Controller, CpuSet, Limits};

use crate::{
    counter::{keyed, number},
    setting::{CPU_PERIOD_USEC, Setting},
};

/// What the settings depend on beside the limits.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) page_size: u64,
    /// CPUs of the cpuset parent; a child may have no more.
    pub(crate) cpus: CpuSet,
    /// Memory nodes of the cpuset parent.
    pub(crate) mems: CpuSet,
}

/// By how many pages the joint limit of memory and swap is above that of memory: one batch of the kernel's charges.
///
/// The kernel charges the joint counter first. With equal limits that one fails, `memory.failcnt` stays 0, and from Linux
/// 6.15 on the joint `failcnt` does not count either, so that an own OOM would look like an ancestor's. With a batch
/// between them it is always the memory limit that fails, at the price of at most so many pages of swap.
const SWAP_SLACK_PAGES: u64 = 64;

/// Most bytes in TCP and UDP buffers. v1 counts them apart from `memory.limit_in_bytes`, and out of a budget of the whole
/// host: without a limit of their own, a box of 32 MiB was seen to hold 322 MiB in sockets to itself. The kernel enforces
/// it softly, so it is small: a fraction of the memory limit, and never more than loopback programs have use for.
const SOCKET_BUFFERS: Bytes = Bytes::mib(8);
const SOCKET_FRACTION: u64 = 4;

/// The limits that `controller` enforces, in the order in which they must be written.
pub(crate) fn settings(
    controller: Controller,
    limits: &Limits,
    around: &Surroundings,
) -> Vec<Setting> {
    let mut list = Vec::new();
    match controller {
        Controller::Memory => {
            if let Some(memory) = limits.memory {
                list.push(Setting::bytes("memory.limit_in_bytes", memory));
                let slack = around.page_size.saturating_mul(SWAP_SLACK_PAGES);
                let joint = Bytes::new(memory.get().saturating_add(slack));
                // Second, because the joint limit may not be below the other.
                list.push(
                    Setting::bytes("memory.memsw.limit_in_bytes", joint).needs_swap_accounting(),
                );
                let sockets = SOCKET_BUFFERS.min(Bytes::new(memory.get() / SOCKET_FRACTION));
                list.push(
                    Setting::bytes("memory.kmem.tcp.limit_in_bytes", sockets).where_it_exists(),
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
            let cpus = limits.cpus.clone().unwrap_or_else(|| around.cpus.clone());
            list.push(Setting::list("cpuset.cpus", cpus));
            list.push(Setting::list("cpuset.mems", around.mems.clone()));
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
    use super::{Surroundings, oom_kills, settings};
    use sandbox_core::{Bytes, Controller, CpuSet, Limits};

    fn written(controller: Controller, limits: &Limits) -> Vec<(&'static str, String)> {
        let parent = Surroundings {
            page_size: 4096,
            cpus: CpuSet::new([0, 1]),
            mems: CpuSet::new([0]),
        };
        let list = settings(controller, limits, &parent);
        list.into_iter().map(|s| (s.file, s.written())).collect()
    }

    #[test]
    fn memory_comes_before_memory_and_swap() {
        let limits = Limits::default().memory(Bytes::kib(8));
        let expected = [
            ("memory.limit_in_bytes", "8192"),
            ("memory.memsw.limit_in_bytes", "270336"),
            ("memory.kmem.tcp.limit_in_bytes", "2048"),
        ];
        let expected = expected.map(|(file, value)| (file, value.to_owned()));
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
