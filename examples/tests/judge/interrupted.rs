//! A judge that is stopped leaves no process, no cgroup and no file; one that is killed leaves them to the next.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::{Child, Command},
    time::{Duration, Instant},
};

use sandbox_test_support::host;

use crate::package::Package;

/// Far more than any step takes; only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A package whose submission sleeps for an hour, and would be given the time.
fn sleepy() -> Package {
    let package = Package::legacy();
    package.write(".timelimit", "1000\n").write(
        "submissions/accepted/echo.py",
        "import time\ntime.sleep(3600)\n",
    );
    package
}

/// Every process below `judge`, with the cgroups of a box that it is in.
fn below(judge: u32) -> BTreeMap<u32, Vec<String>> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process that ends meanwhile is none of ours to wait for.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let after = stat.rsplit(')').next().unwrap_or("");
        if let Some(parent) = after.split_whitespace().nth(1) {
            parents.insert(pid, parent.parse::<u32>().unwrap());
        }
    }
    let mut found = BTreeMap::new();
    for &pid in parents.keys() {
        let mut at = pid;
        while let Some(&parent) = parents.get(&at) {
            if parent == judge {
                let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
                let groups = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
                let groups = groups.filter(|group| group.contains("/sandbox-"));
                found.insert(pid, groups.map(str::to_owned).collect());
                break;
            }
            at = parent;
        }
    }
    found
}

/// Waits until the submission sleeps in its box: a process in a box's cgroup whose program is Python.
fn wait_for_box(judge: &Child) -> BTreeMap<u32, Vec<String>> {
    let start = Instant::now();
    loop {
        let processes = below(judge.id());
        let sleeps = |pid: &u32| {
            let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            comm.starts_with("python3") && line.windows(8).any(|part| part == b"/box/ech")
        };
        let boxed = |(pid, groups): (&u32, &Vec<String>)| !groups.is_empty() && sleeps(pid);
        if processes.iter().any(boxed) {
            return processes;
        }
        assert!(start.elapsed() < PATIENCE, "no box: {processes:?}");
        std::thread::yield_now();
    }
}

fn signal(name: &str, judge: &Child) {
    let pid = judge.id().to_string();
    let sent = Command::new("kill").args([name, &pid]).status().unwrap();
    assert!(sent.success());
}

/// The directories of these cgroups, in whatever hierarchy they are.
fn directories(processes: &BTreeMap<u32, Vec<String>>) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let hierarchies = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|fields| matches!(fields.get(2), Some(&("cgroup" | "cgroup2"))))
        .filter_map(|fields| fields.get(1).map(PathBuf::from));
    let hierarchies: Vec<_> = hierarchies.collect();
    processes
        .values()
        .flatten()
        .flat_map(|group| {
            let relative = group.trim_start_matches('/').to_owned();
            hierarchies.iter().map(move |root| root.join(&relative))
        })
        .filter(|path| path.exists())
        .collect()
}

fn assert_gone(processes: &BTreeMap<u32, Vec<String>>) {
    for pid in processes.keys() {
        let path = PathBuf::from(format!("/proc/{pid}"));
        assert!(!path.exists(), "process {pid} is left");
    }
}

#[test]
fn a_signal_ends_the_boxes_and_cleans_up() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    for (name, number) in [("-INT", 2), ("-TERM", 15)] {
        let package = sleepy();
        let judge = package.command(&[]).spawn().unwrap();
        let processes = wait_for_box(&judge);
        let groups = directories(&processes);
        assert!(!groups.is_empty());
        signal(name, &judge);
        let output = judge.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(128 + number));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("stopped by signal"), "{said}");
        assert!(
            output.stdout.is_empty(),
            "no verdict of a run that was stopped"
        );
        assert_gone(&processes);
        for group in groups {
            assert!(!group.exists(), "{} is left", group.display());
        }
        let left: Vec<_> = fs::read_dir(package.tmp()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn what_a_killed_judge_leaves_goes_with_the_next() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let package = sleepy();
    let mut judge = package.command(&[]).spawn().unwrap();
    let processes = wait_for_box(&judge);
    let groups = directories(&processes);
    signal("-KILL", &judge);
    judge.wait().unwrap();
    let start = Instant::now();
    while processes
        .keys()
        .any(|pid| PathBuf::from(format!("/proc/{pid}")).exists())
    {
        assert!(start.elapsed() < PATIENCE, "a box survived: {processes:?}");
        std::thread::yield_now();
    }
    assert_eq!(fs::read_dir(package.tmp()).unwrap().count(), 1);
    package.write("submissions/accepted/echo.py", "print(input())\n");
    // Asserts that the temporary directory is empty afterwards.
    let judged = package.judge(&[]);
    assert_eq!(judged.status(), Some(0), "{}", judged.stderr());
    for group in groups {
        assert!(!group.exists(), "{} is left", group.display());
    }
}

/// The user ids of the submissions that run below `judge`, each of which is Python in a box's cgroup.
fn uids(processes: &BTreeMap<u32, Vec<String>>) -> BTreeSet<String> {
    let of = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let is_submission = line("Name:").is_some_and(|name| name.trim().starts_with("python3"));
        let ids = line("Uid:")?.split_whitespace().collect::<BTreeSet<_>>();
        let [one] = Vec::from_iter(ids)[..] else {
            return None;
        };
        is_submission.then(|| one.to_owned())
    };
    processes.keys().filter_map(of).collect()
}

/// Two judges know nothing of each other but the directory with the locks of user ids.
#[test]
fn boxes_of_two_judges_never_share_a_user_id() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let packages = [sleepy(), sleepy()];
    let judges = packages
        .each_ref()
        .map(|package| package.command(&[]).spawn().unwrap());
    let [first, second] = judges.each_ref().map(|judge| uids(&wait_for_box(judge)));
    assert!(!first.is_empty() && !second.is_empty());
    assert!(first.is_disjoint(&second), "{first:?} and {second:?}");
    for judge in judges {
        signal("-TERM", &judge);
        assert_eq!(
            judge.wait_with_output().unwrap().status.code(),
            Some(128 + 15)
        );
    }
}
