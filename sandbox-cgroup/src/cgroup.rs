//! The groups of one run.

use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    path::Path,
};

use sandbox_core::{
    Bytes, Controller, ControllerUse, Errno, HierarchyVersion, Limits, MemoryCharge, Reading,
    Unavailable,
};

use crate::{
    CgroupParent, Entry, Error, Hierarchies, charge,
    counter::{Counter, keyed, number},
    kill,
    node::{self, Node},
    orphans, sys, v1, v2,
    wanted::{self, Place},
};

/// How many names are tried before a creation fails; each try can only lose to a collector that looks at that moment.
const ATTEMPTS: u32 = 16;

/// A run's group in every hierarchy that it needs, with every limit written and read back.
///
/// Dropping it kills what is left inside and removes the groups silently; [`Cgroup::destroy`] says how that went.
#[derive(Debug)]
pub struct Cgroup {
    nodes: Vec<Node>,
    counters: Counters,
    notifier: Option<OwnedFd>,
    killed: AtomicBool,
}

/// What the processes of a run used, since the groups were made for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Usage {
    /// CPU time of all processes, user and system.
    pub cpu_time: Reading<Duration>,
    /// Largest charge. Kernel: v2 `memory.peak` came with Linux 5.19.
    pub memory_peak: Reading<Bytes>,
    /// The charge at this moment.
    pub memory_charge: MemoryCharge,
    /// Processes that the OOM killer took, for whoever's limit. With v2's `memory.oom.group` it may count one twice.
    pub oom_kills: Reading<u64>,
    /// How often the run's own memory limit was hit.
    pub memory_limit_hits: Reading<u64>,
    /// Forks and thread starts that were refused in this group. Kernel: before Linux 6.11, and on v1, those for an
    /// ancestor's limit count as well.
    pub forks_denied: Reading<u64>,
    /// Most tasks alive at once. Kernel: `pids.peak` came with Linux 6.6.
    pub processes_peak: Reading<u64>,
}

/// The counters of a run; a limit that was not asked for leaves its counters absent.
#[derive(Debug)]
struct Counters {
    cpu_nanos: Counter,
    memory_peak: Counter,
    oom_kills: Counter,
    limit_hits: Counter,
    /// v1 only: hits of the joint limit of memory and swap.
    swap_limit_hits: Option<Counter>,
    forks_denied: Counter,
    processes_peak: Counter,
}

impl Cgroup {
    /// Makes a new group in every hierarchy that the limits need, writes the limits and reads them back.
    ///
    /// CPU accounting is always wanted and costs the run nothing where it cannot be had, unless a limit depends on it; then
    /// its reading is unavailable. On v2 the controllers that are needed are enabled for the children of `parent`, where
    /// they are not, and stay enabled.
    ///
    /// # Errors
    /// [`Error::Limits`] and [`Error::BeyondHost`] for limits that nothing or not this machine can honour,
    /// [`Error::NoController`] where no hierarchy serves a limit, [`Error::OutOfReach`] where the payload could not come into the group, [`Error::SwapUnaccounted`] where swap would defeat the
    /// memory limit, [`Error::ReadBack`] where the kernel took a limit and means another; else the operation that failed.
    ///
    /// # Kernel
    /// As the family needs it (Linux 5.9); `memory.events.local` 5.2, `cgroup.kill` 5.14, `memory.peak` 5.19.
    pub fn create(
        hierarchies: &Hierarchies,
        parent: &CgroupParent,
        limits: &Limits,
    ) -> Result<Self, Error> {
        limits.validate()?;
        crate::host_limits::check(limits)?;
        let mut no_accounting = Unavailable::NoController;
        let mut places = Vec::new();
        let hierarchies = parent.seen_from_here(hierarchies)?;
        for group in wanted::wanted(&hierarchies, limits)? {
            match group.place(parent, limits) {
                Ok(place) => places.push(place),
                Err(error) if group.required() => return Err(error),
                Err(error) if group.accounts() => no_accounting = unavailable(&error),
                Err(_) => {}
            }
        }
        for _ in 0..ATTEMPTS {
            let random = sys::random().map_err(|source| Error::Read {
                path: "/dev/urandom".into(),
                source,
            })?;
            let name = orphans::name(random, std::process::id());
            if let Some(cgroup) = Self::create_as(&name, &places, no_accounting)? {
                return Ok(cgroup);
            }
        }
        let path = places
            .first()
            .map(|place| place.parent.clone())
            .unwrap_or_default();
        Err(Error::Create {
            path,
            source: Errno::from_raw(libc::EAGAIN),
        })
    }

    /// `None`: the name is taken somewhere, or a collector was faster. What was made is removed by its guard.
    fn create_as(
        name: &str,
        places: &[Place],
        mut no_accounting: Unavailable,
    ) -> Result<Option<Self>, Error> {
        let mut nodes = Vec::new();
        for place in places {
            match place.make(name) {
                Ok(Some(node)) => nodes.push(node),
                Ok(None) => return Ok(None),
                Err(error) if place.required => return Err(error),
                Err(error) if place.controllers.contains(&Controller::Cpuacct) => {
                    no_accounting = unavailable(&error);
                }
                Err(_) => {}
            }
        }
        let counters = Counters::open(&nodes, no_accounting)?;
        let notifier = match serving(&nodes, Controller::Memory) {
            Some(node) if node.version == HierarchyVersion::V1 => Some(watch_oom(node)?),
            _ => None,
        };
        Ok(Some(Self {
            nodes,
            counters,
            notifier,
            killed: AtomicBool::new(false),
        }))
    }

    /// Opens what the child needs to join.
    ///
    /// # Errors
    /// [`Error::Killed`] after [`Cgroup::kill`]; [`Error::Open`].
    pub fn prepare(&self) -> Result<Entry, Error> {
        if self.killed.load(Ordering::Relaxed) {
            return Err(Error::Killed);
        }
        Entry::new(&self.nodes)
    }

    /// Everything that was counted so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage_with(self.memory_charge())
    }

    /// What the memory group is charged with at this moment, by kind.
    #[must_use]
    pub fn memory_charge(&self) -> MemoryCharge {
        charge::read(serving(&self.nodes, Controller::Memory))
    }

    fn usage_with(&self, memory_charge: MemoryCharge) -> Usage {
        Usage {
            cpu_time: self.cpu_time(),
            memory_peak: self.counters.memory_peak.read().map(Bytes::new),
            memory_charge,
            oom_kills: self.oom_kills(),
            memory_limit_hits: self.counters.memory_limit_hits(),
            forks_denied: self.counters.forks_denied.read(),
            processes_peak: self.counters.processes_peak.read(),
        }
    }

    /// CPU time of all processes so far. One system call and no allocation: made for a watchdog.
    #[must_use]
    pub fn cpu_time(&self) -> Reading<Duration> {
        self.counters.cpu_nanos.read().map(Duration::from_nanos)
    }

    /// Processes that the OOM killer took so far. As cheap as [`Cgroup::cpu_time`].
    #[must_use]
    pub fn oom_kills(&self) -> Reading<u64> {
        self.counters.oom_kills.read()
    }

    /// An eventfd that becomes readable when the group, or one above it, is out of memory; v1 with a memory limit only.
    ///
    /// v2 ends the whole group by itself (`memory.oom.group`). On v1 the kernel signals **before** it picks a victim: at most
    /// wake-ups [`Cgroup::oom_kills`] is still 0 and grows some 20 ms later (seen on Linux 6.18), so it must be looked at
    /// again. It stays 0 where the victim is in another group. The kernel signals once more when the group is removed.
    /// Reading the eventfd (8 bytes) resets it; it does not block.
    #[must_use]
    pub fn oom_notifier(&self) -> Option<BorrowedFd<'_>> {
        self.notifier.as_ref().map(OwnedFd::as_fd)
    }

    /// Which hierarchy serves which controller: those in whose group every limit was read back.
    ///
    /// Together with the payload's word that [`Stage::Cgroup`](sandbox_core::Stage::Cgroup) is done, it is the evidence.
    #[must_use]
    pub fn controllers(&self) -> Vec<ControllerUse> {
        let of = |node: &Node| {
            let version = node.version;
            let uses = |controller: &Controller| ControllerUse {
                controller: *controller,
                version,
            };
            node.controllers.iter().map(uses).collect::<Vec<_>>()
        };
        let mut all: Vec<ControllerUse> = self.nodes.iter().flat_map(of).collect();
        all.sort_by_key(|each| each.controller);
        all
    }

    /// The directories of the groups, one per hierarchy.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.nodes.iter().map(|node| node.path.as_path())
    }

    /// Kills every process in the groups and returns when none is left.
    ///
    /// On v2 by `cgroup.kill`, on v1 process by process until the groups are empty. The groups cannot be entered again.
    /// On v1 a tree that forks faster than it can be killed is first forbidden to fork, which shows in
    /// [`Usage::forks_denied`]: read the usage before.
    ///
    /// # Errors
    /// [`Error::Kill`]: `ETIMEDOUT` after 5 seconds, `EPERM` without the right to signal.
    pub fn kill(&self) -> Result<(), Error> {
        self.killed.store(true, Ordering::Relaxed);
        kill::tree(&self.paths().collect::<Vec<_>>())
    }

    /// Reads the counters for the last time and removes the groups, if no process is in them any more; else does nothing.
    ///
    /// The memory group stays for [`Cgroup::destroy`]: what it is charged with goes with the mounts of the box, so its
    /// [`Cgroup::memory_charge`] is read when the box is gone. So does a group that is still busy with the end of its
    /// last process.
    pub fn retire(&mut self) -> Option<Usage> {
        let is_empty = |node: &Node| kill::members(&node.path).is_ok_and(|pids| pids.is_empty());
        if !self.nodes.iter().all(is_empty) {
            return None;
        }
        // Whoever is not in the groups cannot come into them: nothing moves the counters now.
        let charge = MemoryCharge::unavailable(Unavailable::NotRequested);
        let usage = self.usage_with(charge);
        let holds_memory = |node: &Node| node.controllers.contains(&Controller::Memory);
        let others = self.nodes.iter_mut().filter(|node| !holds_memory(node));
        others.for_each(Node::try_remove);
        Some(usage)
    }

    /// Removes the groups; what still runs in them is killed.
    ///
    /// `rmdir` fails with `EBUSY` for a moment after the last process has ended, so it is repeated for up to 5 seconds.
    ///
    /// # Errors
    /// The first group that could not be removed ([`Error::Remove`], [`Error::Kill`]); the others are tried all the same.
    pub fn destroy(mut self) -> Result<(), Error> {
        let mut result = Ok(());
        for node in &mut self.nodes {
            result = result.and(node.remove());
        }
        result
    }
}

impl Place {
    fn make(&self, name: &str) -> Result<Option<Node>, Error> {
        let path = self.parent.join(name);
        let Some(node) = Node::create(path, self.version, self.controllers.clone())? else {
            return Ok(None);
        };
        node.check_joinable()?;
        node.apply(&self.settings)?;
        Ok(Some(node))
    }
}

impl Counters {
    fn open(nodes: &[Node], no_accounting: Unavailable) -> Result<Self, Error> {
        let not_requested = || Counter::absent(Unavailable::NotRequested);
        let mut counters = Self {
            cpu_nanos: Counter::absent(no_accounting),
            memory_peak: not_requested(),
            oom_kills: not_requested(),
            limit_hits: not_requested(),
            swap_limit_hits: None,
            forks_denied: not_requested(),
            processes_peak: not_requested(),
        };
        if let Some(node) = serving(nodes, Controller::Cpuacct) {
            counters.cpu_nanos = match node.version {
                HierarchyVersion::V1 => Counter::open(node, "cpuacct.usage", v1::cpu_nanos)?,
                HierarchyVersion::V2 => Counter::open(node, "cpu.stat", v2::cpu_nanos)?,
            };
        }
        if let Some(node) = serving(nodes, Controller::Memory) {
            counters.open_memory(node)?;
        }
        if let Some(node) = serving(nodes, Controller::Pids) {
            counters.forks_denied = Counter::open(node, "pids.events", |text| keyed(text, b"max"))?;
            counters.processes_peak =
                Counter::open_if(|host| host.pids_peak, node, "pids.peak", number)?;
        }
        Ok(counters)
    }

    fn open_memory(&mut self, node: &Node) -> Result<(), Error> {
        match node.version {
            HierarchyVersion::V1 => {
                self.memory_peak = Counter::open(node, "memory.max_usage_in_bytes", number)?;
                self.oom_kills = Counter::open(node, "memory.oom_control", v1::oom_kills)?;
                self.limit_hits = Counter::open(node, "memory.failcnt", number)?;
                let joint = Counter::open(node, "memory.memsw.failcnt", number)?;
                self.swap_limit_hits = joint.is_open().then_some(joint);
            }
            HierarchyVersion::V2 => {
                // The local events: the others count groups below as well.
                self.memory_peak =
                    Counter::open_if(|host| host.memory_peak, node, "memory.peak", number)?;
                self.oom_kills = Counter::open(node, "memory.events.local", v2::oom_kills)?;
                self.limit_hits = Counter::open(node, "memory.events.local", v2::own_limit_hits)?;
            }
        }
        Ok(())
    }

    /// On v1 the joint limit of memory and swap is the run's own too; it can only be hit first where swap was used.
    fn memory_limit_hits(&self) -> Reading<u64> {
        match (
            self.limit_hits.read(),
            self.swap_limit_hits.as_ref().map(Counter::read),
        ) {
            (Reading::Value(own), Some(Reading::Value(joint))) => {
                Reading::Value(own.saturating_add(joint))
            }
            (Reading::Value(_), Some(missing)) => missing,
            (reading, _) => reading,
        }
    }
}

fn serving(nodes: &[Node], controller: Controller) -> Option<&Node> {
    nodes
        .iter()
        .find(|node| node.controllers.contains(&controller))
}

fn unavailable(error: &Error) -> Unavailable {
    error
        .errno()
        .map_or(Unavailable::NoController, Unavailable::Failed)
}

/// Registers an eventfd for the out-of-memory events of a v1 group.
fn watch_oom(node: &Node) -> Result<OwnedFd, Error> {
    let watched = node.open("memory.oom_control")?;
    let notifier = sys::eventfd().map_err(|source| Error::Notify {
        path: node.path.join("memory.oom_control"),
        source,
    })?;
    let line = format!("{} {}", notifier.as_raw_fd(), watched.as_raw_fd());
    node::write(&node.path.join("cgroup.event_control"), &line)?;
    Ok(notifier)
}
