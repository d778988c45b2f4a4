//! The kernel's texts about cgroups: mountinfo, /proc/self/cgroup, counters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sandbox_cgroup::{Hierarchies, fuzzing};

// The two files of /proc/self follow each other with a NUL between them.
fuzz_target!(|input: &[u8]| {
    let _ = fuzzing::counters(input);
    let Ok(text) = core::str::from_utf8(input) else {
        return;
    };
    let (mountinfo, cgroup) = text.split_once('\0').unwrap_or((text, ""));
    drop(Hierarchies::parse(mountinfo, cgroup));
});
