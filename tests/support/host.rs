//! The machine that a test needs, and the machine that the environment declares.
//!
//! `SANDBOX_TEST_HOST=root,v1:memory+pids+cpuacct+cpu+cpuset` (or `v2:…`) declares a machine. What is declared and missing
//! fails the test, so that a CI machine that lost a controller cannot turn the suite green by skipping; what is not declared
//! skips with a line that says so. Unset, what the machine has is assumed, and printed.

use std::{collections::BTreeSet, os::unix::fs::MetadataExt as _, sync::OnceLock};

use sandbox_exec::{Controller, Hierarchies, HierarchyVersion};

use crate::sys;

const VARIABLE: &str = "SANDBOX_TEST_HOST";

const CONTROLLERS: [(&str, Controller); 5] = [
    ("memory", Controller::Memory),
    ("pids", Controller::Pids),
    ("cpuacct", Controller::Cpuacct),
    ("cpu", Controller::Cpu),
    ("cpuset", Controller::Cpuset),
];

/// The number of the capability in capabilities(7), which a container's root often lacks.
pub const CAP_SYS_RESOURCE: u32 = 24;

/// What is no controller.
const OTHERS: [&str; 7] = [
    "root",
    "cap_sys_resource",
    "own_kernel",
    "landlock",
    "uidmap",
    "linux5.19",
    "linux6.5",
];

/// Calls that wait for a supervisor in a way that no signal ends; overlays by the new mount calls, idmapped tmpfs.
const KERNELS: [(&str, (u32, u32)); 2] = [("linux5.19", (5, 19)), ("linux6.5", (6, 5))];

static DECLARED: OnceLock<BTreeSet<String>> = OnceLock::new();

/// Whether the test may run here: every feature is declared. Otherwise prints why not.
///
/// Features are `root`, `cap_sys_resource`, `own_kernel` (a throw-away machine, whose settings a test may change),
/// `landlock` (all that the library can use of it: version 6), `uidmap` (newuidmap(1) and newgidmap(1)),
/// `linux5.19` and `linux6.5` (that kernel or a newer one), a controller in whatever hierarchy (`memory`), or in one
/// version (`v1:memory`, `v2:pids`).
#[must_use]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub fn has(needs: &[&str]) -> bool {
    let declared = DECLARED.get_or_init(declared);
    for need in needs {
        let either = [format!("v1:{need}"), format!("v2:{need}")];
        let known = declared.contains(*need) || either.iter().any(|one| declared.contains(one));
        if !known {
            println!("skipped: needs {need}");
            return false;
        }
    }
    true
}

/// Whether the suite runs in an emulated machine, where bounds of time are ten times wider.
#[must_use]
pub fn is_emulated() -> bool {
    std::env::var_os("VM_RUN").is_some()
}

/// Bounds of time: `milliseconds`, or ten times as many where the machine is emulated.
#[must_use]
pub fn patience(milliseconds: u64) -> std::time::Duration {
    std::time::Duration::from_millis(milliseconds * if is_emulated() { 10 } else { 1 })
}

#[expect(clippy::print_stdout, reason = "what is assumed is said")]
fn declared() -> BTreeSet<String> {
    let found = found();
    let Ok(text) = std::env::var(VARIABLE) else {
        println!("{VARIABLE} is unset; assumed is what was found: {found:?}");
        return found;
    };
    let declared = parse(&text);
    let missing: Vec<_> = declared.difference(&found).collect();
    assert!(
        missing.is_empty(),
        "{VARIABLE} declares {missing:?}, which this machine lacks; found: {found:?}"
    );
    declared
}

/// Major and minor version of the running kernel.
fn linux() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("/proc is mounted");
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|n| n.parse::<u32>().ok());
    let mut next = || numbers.next().expect("a number");
    (next(), next())
}

/// Whether a helper of the package uidmap is there as it must be.
fn is_set_user_id(program: &str) -> bool {
    let found = std::fs::metadata(format!("/usr/bin/{program}"));
    found.is_ok_and(|found| found.uid() == 0 && found.mode() & libc::S_ISUID != 0)
}

fn parse(text: &str) -> BTreeSet<String> {
    let mut features = BTreeSet::new();
    for item in text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
    {
        match item.split_once(':') {
            None if OTHERS.contains(&item) => {
                features.insert(item.to_owned());
            }
            Some((version @ ("v1" | "v2"), list)) => {
                for name in list.split('+') {
                    assert!(
                        CONTROLLERS.iter().any(|(known, _)| *known == name),
                        "{VARIABLE}: {name:?} is no controller"
                    );
                    features.insert(format!("{version}:{name}"));
                }
            }
            // For single tests, which look by themselves.
            Some(("programs" | "runtimes" | "profiles", _)) => {}
            _ => {
                panic!(
                    "{VARIABLE}: {item:?} is none of {OTHERS:?}, `v1:…`, `v2:…`, `programs:…`, `runtimes:…` or `profiles:…`"
                )
            }
        }
    }
    features
}

fn found() -> BTreeSet<String> {
    let mut features = BTreeSet::new();
    if sys::effective_uid() == 0 {
        features.insert("root".to_owned());
    }
    for (name, version) in KERNELS {
        if linux() >= version {
            features.insert(name.to_owned());
        }
    }
    if sys::effective_capabilities() >> CAP_SYS_RESOURCE & 1 == 1 {
        features.insert("cap_sys_resource".to_owned());
    }
    if ["newuidmap", "newgidmap"].map(is_set_user_id) == [true; 2] {
        features.insert("uidmap".to_owned());
    }
    if is_emulated() {
        features.insert("own_kernel".to_owned());
    }
    if sys::landlock_version() >= 6 {
        features.insert("landlock".to_owned());
    }
    // Not what the library remembers: a copy of this process may change what is mounted before it looks.
    let hierarchies = Hierarchies::discover().expect("/proc is mounted");
    for (name, controller) in CONTROLLERS {
        match hierarchies.version(controller) {
            Some(HierarchyVersion::V1) => features.insert(format!("v1:{name}")),
            Some(HierarchyVersion::V2) => features.insert(format!("v2:{name}")),
            None => false,
        };
    }
    features
}
