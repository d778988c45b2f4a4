//! Swap and huge pages.

use super::{
    kernel::unread,
    report::{Finding, Need},
    tree::{Text, Tree},
};

/// proc(5), `/proc/swaps`: one line of headings, then one line each.
pub(super) fn swap(tree: &Tree) -> Finding {
    match &tree.text("proc/swaps") {
        Text::Is(text) => match text.lines().skip(1).count() {
            0 => Finding::ok(Need::Swap, "none is active"),
            n => {
                let first = text
                    .lines()
                    .nth(1)
                    .and_then(|line| line.split_whitespace().next());
                Finding::degraded(
                    Need::Swap,
                    format!("{n} active, the first is {}", first.unwrap_or("nameless")),
                    "programs and the judge itself may wait for the disk at any page; a memory limit holds only where \
                     the kernel accounts swap, which the line memory tells",
                )
                .mend("swapoff -a, and take the lines of type swap out of /etc/fstab")
            }
        },
        // A /proc of processes only has neither.
        Text::Absent if tree.has("proc/meminfo") => {
            Finding::ok(Need::Swap, "this kernel has no swap")
        }
        unreadable => Finding::unknown(Need::Swap, unread("/proc/swaps", unreadable)),
    }
}

const HUGE: &str = "sys/kernel/mm/transparent_hugepage";

pub(super) fn huge_pages(tree: &Tree) -> Finding {
    let need = Need::HugePages;
    let enabled = match tree.text("sys/kernel/mm/transparent_hugepage/enabled") {
        Text::Is(text) => text,
        _ if tree.has("sys/kernel/mm") && !tree.has(HUGE) => {
            return Finding::ok(need, "this kernel has no transparent huge pages");
        }
        other => {
            return Finding::unknown(
                need,
                unread("/sys/kernel/mm/transparent_hugepage/enabled", &other),
            );
        }
    };
    let chosen = |text: &str| {
        text.split_whitespace()
            .find_map(|word| Some(word.strip_prefix('[')?.strip_suffix(']')?.to_owned()))
    };
    match chosen(&enabled).as_deref() {
        Some(mode @ ("never" | "madvise")) => Finding::ok(need, format!("enabled is {mode}")),
        Some(mode @ "always") => Finding::degraded(
            need,
            format!("enabled is {mode}"),
            "a touched byte may be charged as 2 MiB, and whether it is depends on the host's free memory: peaks and \
             times differ from run to run",
        )
        .mend("echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"),
        _ => Finding::unknown(need, format!("enabled is {enabled:?}, which is not documented")),
    }
}

#[cfg(test)]
mod tests {
    use super::{huge_pages, swap};
    use crate::doctor::{
        report::State,
        tree::{Tree, fixture},
    };

    #[test]
    fn each_swap_device_counts() {
        let look = |files: &[(&str, &str)]| {
            let dir = fixture(files);
            swap(&Tree::at(dir.path()))
        };
        let head = "Filename\tType\tSize\tUsed\tPriority";
        let lines = format!("{head}\n/dev/sda2 partition 1 0 -2\n/f file 1 0 -3\n");
        assert_eq!(look(&[("proc/swaps", head)]).state, State::Ok);
        let on = look(&[("proc/swaps", &lines)]);
        assert_eq!(on.state, State::Degraded);
        assert_eq!(on.found, "2 active, the first is /dev/sda2");
        assert_eq!(look(&[("proc/meminfo", "")]).state, State::Ok);
        let processes_only = look(&[("proc/self/status", "")]);
        assert_eq!(processes_only.state, State::Unknown);
        assert_eq!(look(&[]).state, State::Unknown);
    }

    #[test]
    fn huge_pages_for_everybody_are_unsteady() {
        let state = |files: &[(&str, &str)]| {
            let dir = fixture(files);
            huge_pages(&Tree::at(dir.path())).state
        };
        let file = "sys/kernel/mm/transparent_hugepage/enabled";
        assert_eq!(state(&[(file, "always [madvise] never\n")]), State::Ok);
        assert_eq!(state(&[(file, "always madvise [never]\n")]), State::Ok);
        assert_eq!(
            state(&[(file, "[always] madvise never\n")]),
            State::Degraded
        );
        assert_eq!(state(&[(file, "[new] madvise never\n")]), State::Unknown);
        assert_eq!(state(&[("sys/kernel/mm/other", "")]), State::Ok);
        assert_eq!(state(&[("sys/kernel/other", "")]), State::Unknown);
        assert_eq!(state(&[]), State::Unknown);
    }
}
