//! The table of differences.

use sandbox_test_support::host;

use crate::cases::{Case, Measured, Pair};

const MIB: u64 = 1 << 20;
const MS: u64 = 1_000_000;

/// 2 % or 2 ms of CPU time, 2 % or 1 MiB of memory. Of wall time, that it is no less than what the program saw and no more than
/// what passed around the run, which is checked where it is read. In an emulated machine the 2 ms are 20, as all bounds of time are
/// ten times wider there: the end of a process alone takes 13 ms.
fn bound(case: Case, truth: u64) -> Option<u64> {
    match case {
        Case::Wall | Case::Start => None,
        Case::Cpu(..) => Some((truth / 50).max(if host::is_emulated() { 20 * MS } else { 2 * MS })),
        _ => Some((truth / 50).max(MIB)),
    }
}

/// Prints a line per case; how many cells are beyond their bound.
///
/// The median decides. A hypervisor that takes the CPU away between the program's last look at its clock and its end adds
/// what it took to the kernel's count, and nothing in the box can know; the worst is shown beside it. Under an emulator, whose
/// processors take turns while the clocks of all go on, that is the rule: there the best decides over CPU time.
pub(crate) fn print(columns: &[String], rows: &[(Case, Vec<Measured>)]) -> usize {
    let mut missed = 0;
    println!("| what | truth | {} |", columns.join(" | "));
    println!("|---|---|{}", "---|".repeat(columns.len()));
    for (case, cells) in rows {
        let mut truths = vec![0];
        let mut texts = Vec::new();
        for cell in cells {
            let pairs = match cell {
                Measured::Cell(pairs) => pairs,
                Measured::NotRun(why) => {
                    texts.push(format!("not run: {why}"));
                    continue;
                }
            };
            let median = pairs[pairs.len() / 2];
            let far = |pair: &&Pair| pair.difference().abs();
            let (Some(best), Some(worst)) =
                (pairs.iter().min_by_key(far), pairs.iter().max_by_key(far))
            else {
                continue;
            };
            truths.push(median.truth);
            // An emulator's processors take turns in one thread while the clocks of all go on, so that a run can only look dearer
            // than it was (docs/measurement.md). Memory is counted as anywhere.
            let by_best = host::is_emulated() && !case.is_memory();
            let decides = if by_best { *best } else { median };
            let beyond = bound(*case, decides.truth)
                .is_some_and(|bound| decides.difference().unsigned_abs() > bound);
            missed += usize::from(beyond);
            let mark = if beyond { " **beyond**" } else { "" };
            let best = if by_best {
                format!("best {}, ", difference(*case, *best))
            } else {
                String::new()
            };
            let (median, worst) = (difference(*case, median), difference(*case, *worst));
            texts.push(format!("{median} ({best}worst {worst}){mark}"));
        }
        let truth = truths.into_iter().max().unwrap_or(0);
        let truth = if case.is_memory() {
            format!("{} MiB", truth / MIB)
        } else {
            format!("{} ms", truth / MS)
        };
        println!("| {} | {truth} | {} |", case.name(), texts.join(" | "));
    }
    missed
}

#[expect(clippy::cast_precision_loss, reason = "for human eyes")]
fn difference(case: Case, pair: Pair) -> String {
    let difference = pair.difference() as f64;
    if case.is_memory() {
        return format!("{:+.0} KiB", difference / 1024.0);
    }
    format!("{:+.2} ms", difference / MS as f64)
}
