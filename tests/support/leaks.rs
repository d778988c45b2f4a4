//! Everything of a process that a box could change or leave behind.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use sandbox_exec::CgroupParent;

use crate::{boxes, host, in_child, sys};

/// A photograph of the calling thread and its process. Take it in [`in_child`](crate::in_child()), where no other test has
/// threads, descriptors and children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<String, String>);

impl Snapshot {
    /// Takes one.
    #[must_use]
    pub fn take() -> Self {
        let mut facts = BTreeMap::new();
        for line in read("/proc/thread-self/status").lines() {
            // What moves by itself is left out.
            let (name, value) = line.split_once(':').expect("`name: value`");
            let moves = name.starts_with("Vm")
                || name.starts_with("Rss")
                || name.ends_with("ctxt_switches")
                || [
                    "State",
                    "HugetlbPages",
                    "Pid",
                    "FDSize",
                    "SigQ",
                    "SigPnd",
                    "ShdPnd",
                ]
                .contains(&name);
            if !moves {
                facts.insert(format!("status {name}"), value.trim().to_owned());
            }
        }
        for fd in list("/proc/self/fd") {
            // The directory that is being listed is itself gone by now.
            if let Ok(target) = fs::read_link(Path::new("/proc/self/fd").join(&fd)) {
                facts.insert(format!("descriptor {fd}"), target.display().to_string());
            }
        }
        for name in list("/proc/self/ns") {
            let link = fs::read_link(Path::new("/proc/self/ns").join(&name)).expect("a link");
            facts.insert(format!("namespace {name}"), link.display().to_string());
        }
        for task in list("/proc/self/task") {
            let children = read(format!("/proc/self/task/{task}/children"));
            facts.insert(
                format!("task {task}"),
                format!("children {}", children.trim()),
            );
        }
        let own = [
            "limits",
            "mountinfo",
            "oom_score_adj",
            "cgroup",
            "timerslack_ns",
            "loginuid",
        ];
        for file in own {
            let text = fs::read_to_string(Path::new("/proc/self").join(file));
            facts.insert(
                file.to_owned(),
                text.unwrap_or_else(|error| error.to_string()),
            );
        }
        for link in ["cwd", "root"] {
            let target = fs::read_link(Path::new("/proc/self").join(link)).expect("a link");
            facts.insert(link.to_owned(), target.display().to_string());
        }
        facts.insert(
            "dumpable".into(),
            sys::prctl(libc::PR_GET_DUMPABLE, 0).to_string(),
        );
        facts.insert("scheduling".into(), scheduling());
        for group in own_cgroups() {
            facts.insert(format!("cgroup {}", group.display()), String::new());
        }
        Self(facts)
    }

    /// Fails, with every difference, where something is not as it was.
    #[track_caller]
    pub fn assert_same(&self, before: &Self) {
        let names = self.0.keys().chain(before.0.keys());
        let mut differences: Vec<_> = names
            .filter(|name| self.0.get(*name) != before.0.get(*name))
            .map(|name| {
                format!(
                    "{name}: {:?} became {:?}",
                    before.0.get(name),
                    self.0.get(name)
                )
            })
            .collect();
        differences.sort();
        differences.dedup();
        assert!(
            differences.is_empty(),
            "the process changed:\n{}",
            differences.join("\n")
        );
    }
}

/// The children of the calling process, adopted orphans included.
#[must_use]
pub fn children() -> Vec<i32> {
    let tasks = list("/proc/self/task");
    let files = tasks
        .iter()
        .map(|task| read(format!("/proc/self/task/{task}/children")));
    let pids = files.flat_map(|text| {
        let pids = text.split_whitespace().map(|pid| pid.parse());
        pids.collect::<Result<Vec<_>, _>>().expect("numbers")
    });
    pids.collect()
}

/// Work in a copy of the test that leaves the process and the host as it found them.
#[track_caller]
pub fn leaving_nothing(work: impl FnOnce()) {
    in_child(|| {
        let before = Snapshot::take();
        work();
        await_single_thread();
        Snapshot::take().assert_same(&before);
    });
}

/// Waits until the calling thread is the only one. A join returns when a thread has nothing more to do in user space; the
/// kernel lists it for a moment longer.
pub fn await_single_thread() {
    let started = std::time::Instant::now();
    while list("/proc/self/task").len() > 1 {
        assert!(started.elapsed().as_secs() < 10, "a thread goes on");
        std::thread::yield_now();
    }
}

/// Priority, policy and affinity of the thread, terminal and session of the process, from stat(5).
fn scheduling() -> String {
    let stat = read("/proc/thread-self/stat");
    let (_, fields) = stat.rsplit_once(')').expect("the name is in parentheses");
    let fields: Vec<_> = fields.split_whitespace().collect();
    // Numbers of proc_pid_stat(5), counted from the state, which is the third.
    let field = |number: usize| fields[number - 3];
    format!(
        "group {} session {} terminal {} nice {} rt {} policy {}",
        field(5),
        field(6),
        field(7),
        field(19),
        field(40),
        field(41)
    )
}

/// The groups of runs that this process has made in the roots of the hierarchies and not removed.
#[must_use]
pub fn own_cgroups() -> Vec<PathBuf> {
    cgroups_of(std::process::id())
}

/// As [`own_cgroups`], for any process.
#[must_use]
pub fn cgroups_of(creator: u32) -> Vec<PathBuf> {
    debug_assert_eq!(CgroupParent::default(), CgroupParent::Root);
    let suffix = format!("-{creator}");
    let mut found = Vec::new();
    for line in read("/proc/self/mountinfo").lines() {
        let (mount, kind) = line.split_once(" - ").expect("mountinfo has a separator");
        if !kind.starts_with("cgroup") {
            continue;
        }
        let point = mount.split(' ').nth(4).expect("a mount point");
        for name in list(point) {
            if name.starts_with("sandbox-") && name.ends_with(&suffix) {
                found.push(Path::new(point).join(name));
            }
        }
    }
    found.sort();
    found
}

/// Starts embedders until nothing is left of one that is dead: the first act of each is to remove that. Where another test's
/// embedder is at the same orphan already, it is left to that one, which may take a moment.
///
/// # Panics
/// Where it stays.
#[track_caller]
pub fn collect(creator: u32) {
    let started = Instant::now();
    loop {
        drop(boxes::sandbox(&["exit"]));
        let left = cgroups_of(creator);
        if left.is_empty() {
            return;
        }
        assert!(started.elapsed() < host::patience(2_000), "left: {left:?}");
    }
}

/// Every process that the cgroups hold, as this process numbers them.
#[must_use]
pub fn members(groups: &[PathBuf]) -> Vec<i32> {
    let procs = groups.iter().map(|group| group.join("cgroup.procs"));
    let texts = procs.filter_map(|path| fs::read_to_string(path).ok());
    let mut pids: Vec<i32> = texts
        .flat_map(|text| {
            text.lines()
                .filter_map(|line| line.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn list(path: &str) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("listable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}
