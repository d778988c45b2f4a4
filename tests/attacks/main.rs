//! Attacks. Each proves that the box had started, asserts the judgement and what the host or the evidence shows, and has a twin
//! with one control off in which the same code does its damage, bounded by itself.

mod files;
mod holes;
mod kernel;
mod network;
mod parent;
mod processes;
mod rights;
mod space;
mod time;

use sandbox_test_support::host;

/// What every attack needs of the machine.
fn can_run() -> bool {
    host::has(&["root", "memory", "pids", "cpuacct"])
}
