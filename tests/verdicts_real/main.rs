//! Real programs from start to verdict: how they end, what becomes of their streams, and what they find inside.

mod endings;
mod inside;
mod streams;

use sandbox_test_support::host;

/// What the ordinary box needs of the machine.
fn can_run() -> bool {
    host::has(&["root", "memory", "pids", "cpuacct"])
}
