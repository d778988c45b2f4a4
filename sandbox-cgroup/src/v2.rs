//! File names and formats of cgroup v2; pure.

use sandbox_core::{Controller, Limits};

use crate::{
    counter::keyed,
    mountinfo,
    setting::{CPU_PERIOD_USEC, Setting},
};

/// The limits that `controller` enforces, in the order in which they must be written.
pub(crate) fn settings(controller: Controller, limits: &Limits) -> Vec<Setting> {
    let mut list = Vec::new();
    match controller {
        Controller::Memory => {
            if let Some(memory) = limits.memory {
                list.push(Setting::text("memory.swap.max", "0").needs_swap_accounting());
                list.push(Setting::bytes("memory.max", memory));
                // A run that lost one process is over: a survivor could only give a wrong answer slowly.
                list.push(Setting::text("memory.oom.group", "1"));
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
                    "cpu.max",
                    format!("{quota} {CPU_PERIOD_USEC}"),
                ));
            }
            list.extend(
                limits
                    .cpu_weight
                    .map(|w| Setting::text("cpu.weight", w.to_string())),
            );
        }
        Controller::Cpuset => {
            list.extend(
                limits
                    .cpus
                    .clone()
                    .map(|cpus| Setting::list("cpuset.cpus", cpus)),
            );
        }
        _ => {}
    }
    list
}

/// The name by which `cgroup.subtree_control` knows a controller; `None` for what every group has.
pub(crate) fn name(controller: Controller) -> Option<&'static str> {
    match controller {
        Controller::Cpu => Some("cpu"),
        Controller::Cpuset => Some("cpuset"),
        Controller::Memory => Some("memory"),
        Controller::Pids => Some("pids"),
        _ => None,
    }
}

/// What to write to `cgroup.subtree_control` so that children get `wanted`; `None` where they have it already.
pub(crate) fn to_enable(subtree_control: &str, wanted: &[Controller]) -> Option<String> {
    let present = mountinfo::controllers(subtree_control, ' ');
    let missing: Vec<String> = wanted
        .iter()
        .filter(|controller| !present.contains(controller))
        .filter_map(|controller| name(*controller).map(|name| format!("+{name}")))
        .collect();
    (!missing.is_empty()).then(|| missing.join(" "))
}

/// `cpu.stat`, as nanoseconds.
pub(crate) fn cpu_nanos(text: &[u8]) -> Option<u64> {
    keyed(text, b"usage_usec")?.checked_mul(1000)
}

/// `memory.events.local`: processes of this group that the OOM killer took.
pub(crate) fn oom_kills(text: &[u8]) -> Option<u64> {
    keyed(text, b"oom_kill")
}

/// `memory.events.local`: how often this group's own limit could not be kept by reclaim.
pub(crate) fn own_limit_hits(text: &[u8]) -> Option<u64> {
    keyed(text, b"oom")
}

#[cfg(test)]
mod tests {
    use super::{cpu_nanos, oom_kills, own_limit_hits, settings, to_enable};
    use sandbox_core::{Bytes, Controller, CpuSet, Limits};

    #[test]
    fn every_limit_has_its_file() {
        let limits = Limits::default()
            .memory(Bytes::mib(1))
            .processes(7)
            .cpu_rate(250)
            .cpu_weight(100)
            .cpus(CpuSet::new([0]));
        let all = [
            Controller::Memory,
            Controller::Pids,
            Controller::Cpu,
            Controller::Cpuset,
        ];
        let written: Vec<_> = all
            .iter()
            .flat_map(|c| settings(*c, &limits))
            .map(|s| format!("{}={}", s.file, s.written()))
            .collect();
        let expected = [
            "memory.swap.max=0",
            "memory.max=1048576",
            "memory.oom.group=1",
            "pids.max=7",
            "cpu.max=25000 100000",
            "cpu.weight=100",
            "cpuset.cpus=0",
        ];
        assert_eq!(written, expected);
        assert!(
            all.iter()
                .all(|c| settings(*c, &Limits::default()).is_empty())
        );
    }

    #[test]
    fn only_missing_controllers_are_enabled() {
        let wanted = [Controller::Memory, Controller::Pids, Controller::Cpuacct];
        assert_eq!(to_enable("cpu memory\n", &wanted), Some("+pids".to_owned()));
        assert_eq!(to_enable("memory pids\n", &wanted), None);
        assert_eq!(to_enable("", &wanted), Some("+memory +pids".to_owned()));
    }

    #[test]
    fn events_and_cpu_time_parse() {
        let events = b"low 0\nhigh 0\nmax 9\noom 2\noom_kill 4\noom_group_kill 1\n";
        assert_eq!(
            (own_limit_hits(events), oom_kills(events)),
            (Some(2), Some(4))
        );
        assert_eq!(cpu_nanos(b"usage_usec 17\nuser_usec 9\n"), Some(17_000));
        assert_eq!(
            cpu_nanos(b"usage_usec 18446744073709551615\n"),
            None,
            "no wrap-around"
        );
    }
}
