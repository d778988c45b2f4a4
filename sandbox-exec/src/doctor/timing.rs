//! What makes times differ from run to run.

use super::{
    kernel::unread,
    report::{Finding, Need},
    tree::{Text, Tree},
};

const GUEST: &str = "this is a virtual machine, and its host does not tell";

pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    vec![
        aslr(&tree.text("proc/sys/kernel/randomize_va_space")),
        smt(tree),
        governor(tree),
        turbo(tree),
    ]
}

fn aslr(text: &Text) -> Finding {
    let need = Need::Aslr;
    match text {
        Text::Is(mode) if mode == "0" => Finding::ok(
            need,
            "off: addresses are the same in every run; programs of the host lack that protection",
        ),
        Text::Is(mode) if mode == "1" || mode == "2" => Finding::degraded(
            need,
            format!("randomize_va_space is {mode}"),
            "addresses, and with them cache conflicts, differ from run to run: times scatter by some percent",
        )
        .mend("sysctl -w kernel.randomize_va_space=0, on a machine that does nothing but judge"),
        Text::Is(mode) => Finding::unknown(need, format!("randomize_va_space is {mode:?}")),
        other => Finding::unknown(need, unread("/proc/sys/kernel/randomize_va_space", other)),
    }
}

/// `hypervisor` among the flags of the first processor. arm64 has no such flag, and a guest there no such files either.
fn is_guest(tree: &Tree) -> bool {
    let text = tree.text("proc/cpuinfo").known().unwrap_or_default();
    let flags = text
        .lines()
        .find(|line| line.starts_with("flags"))
        .unwrap_or_default();
    flags.split_whitespace().any(|flag| flag == "hypervisor")
}

fn smt(tree: &Tree) -> Finding {
    let need = Need::Smt;
    let active = tree.text("sys/devices/system/cpu/smt/active");
    match &active {
        Text::Is(text) if text == "1" => Finding::degraded(
            need,
            "two CPUs share each core",
            "a program on the neighbour takes up to half of the core, and none of the clocks shows it; and neighbours can \
             learn of each other by their caches",
        )
        .mend("echo off > /sys/devices/system/cpu/smt/control, or give one CPU of each core to boxes (limit cpus)"),
        // What a guest takes for cores may be threads.
        Text::Is(_) if is_guest(tree) => Finding::unknown(need, format!("none is seen here, but {GUEST}")),
        Text::Is(text) if text == "0" => Finding::ok(need, "each CPU is a core of its own"),
        Text::Is(text) => Finding::unknown(need, format!("smt/active is {text:?}")),
        other => Finding::unknown(need, unread("/sys/devices/system/cpu/smt/active", other)),
    }
}

fn governor(tree: &Tree) -> Finding {
    let need = Need::CpuGovernor;
    let cpus = tree.names("sys/devices/system/cpu", "cpu");
    let mut governors: Vec<String> = cpus
        .iter()
        .filter(|name| name["cpu".len()..].parse::<u32>().is_ok())
        .filter_map(|cpu| {
            let path = format!("sys/devices/system/cpu/{cpu}/cpufreq/scaling_governor");
            tree.text(&path).known()
        })
        .collect();
    governors.sort();
    governors.dedup();
    match &governors[..] {
        [] if is_guest(tree) => Finding::unknown(need, format!("no frequency is set here; {GUEST}")),
        [] => Finding::unknown(need, "the kernel sets no frequency here; the firmware may"),
        [one] if one == "performance" => Finding::ok(need, "performance on every CPU"),
        several => Finding::degraded(
            need,
            several.join(", "),
            "a program starts on a slow CPU and pays for the time until it is fast: times depend on what ran before",
        )
        .mend("cpupower frequency-set -g performance"),
    }
}

fn turbo(tree: &Tree) -> Finding {
    let need = Need::CpuTurbo;
    let switches = [
        ("sys/devices/system/cpu/intel_pstate/no_turbo", "0", "1"),
        ("sys/devices/system/cpu/cpufreq/boost", "1", "0"),
    ];
    for (path, on, off) in switches {
        match tree.text(path) {
            Text::Is(text) if text == on => {
                return Finding::degraded(
                    need,
                    "on",
                    "the frequency depends on temperature and on how many cores are busy: a run is slower beside others",
                )
                .mend(format!("echo {off} > /{path}"));
            }
            Text::Is(text) if text == off => return Finding::ok(need, "off"),
            Text::Is(text) => return Finding::unknown(need, format!("/{path} is {text:?}")),
            Text::Absent | Text::Unreadable(_) => {}
        }
    }
    if is_guest(tree) {
        return Finding::unknown(need, format!("no switch is here; {GUEST}"));
    }
    Finding::unknown(
        need,
        "neither intel_pstate nor acpi-cpufreq has a switch here",
    )
}

#[cfg(test)]
mod tests {
    use super::{aslr, governor, smt, turbo};
    use crate::doctor::{
        report::{Finding, State},
        tree::{Text, Tree, fixture},
    };

    const GUEST: (&str, &str) = ("proc/cpuinfo", "processor : 0\nflags : fpu hypervisor lm\n");
    const METAL: (&str, &str) = ("proc/cpuinfo", "processor : 0\nflags : fpu lm\n");

    fn look(at: fn(&Tree) -> Finding, files: &[(&str, &str)]) -> State {
        let dir = fixture(files);
        at(&Tree::at(dir.path())).state
    }

    #[test]
    fn randomisation_is_on_off_or_unknown() {
        let state = |text: &str| aslr(&Text::Is(text.to_owned())).state;
        assert_eq!(state("0"), State::Ok);
        assert_eq!(state("1"), State::Degraded);
        assert_eq!(state("2"), State::Degraded);
        assert_eq!(state("3"), State::Unknown);
        assert_eq!(aslr(&Text::Absent).state, State::Unknown);
    }

    #[test]
    fn a_guest_cannot_know_what_its_cpus_are() {
        let active = "sys/devices/system/cpu/smt/active";
        assert_eq!(look(smt, &[METAL, (active, "0\n")]), State::Ok);
        assert_eq!(look(smt, &[METAL, (active, "1\n")]), State::Degraded);
        assert_eq!(look(smt, &[GUEST, (active, "0\n")]), State::Unknown);
        assert_eq!(look(smt, &[GUEST, (active, "1\n")]), State::Degraded);
        assert_eq!(look(smt, &[METAL, (active, "x\n")]), State::Unknown);
        assert_eq!(look(smt, &[METAL]), State::Unknown);
    }

    #[test]
    fn one_slow_cpu_is_enough() {
        let first = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
        let second = "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor";
        let both = |a, b| look(governor, &[METAL, (first, a), (second, b)]);
        assert_eq!(both("performance\n", "performance\n"), State::Ok);
        assert_eq!(both("performance\n", "powersave\n"), State::Degraded);
        assert_eq!(both("schedutil\n", "schedutil\n"), State::Degraded);
        assert_eq!(look(governor, &[GUEST]), State::Unknown);
        let elsewhere = ("sys/devices/system/cpu/cpufreq/policy0/x", "performance");
        assert_eq!(look(governor, &[METAL, elsewhere]), State::Unknown);
    }

    #[test]
    fn turbo_has_two_switches_of_opposite_sense() {
        let intel = "sys/devices/system/cpu/intel_pstate/no_turbo";
        let boost = "sys/devices/system/cpu/cpufreq/boost";
        assert_eq!(look(turbo, &[(intel, "1\n")]), State::Ok);
        assert_eq!(look(turbo, &[(intel, "0\n")]), State::Degraded);
        assert_eq!(look(turbo, &[(boost, "0\n")]), State::Ok);
        assert_eq!(look(turbo, &[(boost, "1\n")]), State::Degraded);
        assert_eq!(look(turbo, &[(boost, "2\n")]), State::Unknown);
        assert_eq!(look(turbo, &[GUEST]), State::Unknown);
        assert_eq!(look(turbo, &[METAL]), State::Unknown);
    }
}
