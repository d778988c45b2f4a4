//! The builder: every decision is a state, so nothing is forgotten and nothing decided twice.

use std::{path::PathBuf, sync::Arc};

use caps::{CapSet, Capability};
use sandbox_cgroup::{CgroupParent, Hierarchies, collect_orphans};
use sandbox_core::{Host, Limits};
use sandbox_fs::{DiskLimit, Landlock, RootSpec, Trees};
use sandbox_ns::{NamespaceSpec, Namespaces, UserMap};
use sandbox_seccomp::Policy;

use crate::{
    Command, Error, Identity, UidPool,
    identities::{self, Source},
    process::rlimits::Rlimits,
    quotas::{QuotaPlan, Wanted, Who},
    reports::Mode,
    sandbox::{Inner, Sandbox},
};

/// What has a default.
#[derive(Debug)]
struct Settings {
    host_name: String,
    parent: CgroupParent,
    user_map: Option<UserMap>,
    landlock: Option<Landlock>,
    quotas: Vec<Wanted>,
    share_network: bool,
    keep_groups: bool,
    memory_by_rlimit: bool,
    reports: Mode,
}

/// Builds a [`Sandbox`]. The order is root, identity, limits, policy, command; each state is named after what it still
/// wants, and you never need to write these types out.
#[derive(Debug)]
#[must_use = "a builder does nothing until `command`"]
pub struct SandboxBuilder<State> {
    settings: Settings,
    state: State,
}

/// Wants the file tree.
#[derive(Debug)]
pub struct WantsRoot(());

/// Wants the payload's ids.
#[derive(Debug)]
pub struct WantsIdentity {
    root: RootSpec,
}

/// Wants the limits.
#[derive(Debug)]
pub struct WantsLimits {
    root: RootSpec,
    identity: Source,
}

/// Wants the system call policy.
#[derive(Debug)]
pub struct WantsPolicy {
    root: RootSpec,
    identity: Source,
    limits: Limits,
}

/// Wants the program.
#[derive(Debug)]
pub struct WantsCommand {
    root: RootSpec,
    identity: Source,
    limits: Limits,
    policy: Option<Policy>,
}

impl SandboxBuilder<WantsRoot> {
    pub(crate) fn new() -> Self {
        let settings = Settings {
            host_name: "box".to_owned(),
            parent: CgroupParent::Root,
            user_map: None,
            landlock: None,
            quotas: Vec::new(),
            share_network: false,
            keep_groups: false,
            memory_by_rlimit: false,
            reports: Mode::Enforce,
        };
        Self {
            settings,
            state: WantsRoot(()),
        }
    }

    /// The file tree of the box.
    pub fn root(self, root: RootSpec) -> SandboxBuilder<WantsIdentity> {
        SandboxBuilder {
            settings: self.settings,
            state: WantsIdentity { root },
        }
    }
}

impl SandboxBuilder<WantsIdentity> {
    /// Who the payload is. Boxes that run at the same time should have different uids: see [`Self::uid_pool`].
    pub fn identity(self, identity: Identity) -> SandboxBuilder<WantsLimits> {
        self.with_identity(Source::Fixed(identity))
    }

    /// Each run is somebody else while it lasts: a uid that no other running box has, and the gid of the same number.
    ///
    /// A run begins with [`Error::UidsInUse`] where the pool has no more.
    pub fn uid_pool(self, pool: &UidPool) -> SandboxBuilder<WantsLimits> {
        self.with_identity(Source::Pool(pool.clone()))
    }

    fn with_identity(self, identity: Source) -> SandboxBuilder<WantsLimits> {
        let WantsIdentity { root } = self.state;
        SandboxBuilder {
            settings: self.settings,
            state: WantsLimits { root, identity },
        }
    }
}

impl SandboxBuilder<WantsLimits> {
    /// What the run may use.
    pub fn limits(self, limits: Limits) -> SandboxBuilder<WantsPolicy> {
        let WantsLimits { root, identity } = self.state;
        SandboxBuilder {
            settings: self.settings,
            state: WantsPolicy {
                root,
                identity,
                limits,
            },
        }
    }
}

impl SandboxBuilder<WantsPolicy> {
    /// Which system calls it may make. Compiled for the first box that has it, and so best kept and cloned for the next one.
    pub fn policy(self, policy: Policy) -> SandboxBuilder<WantsCommand> {
        self.with_policy(Some(policy))
    }

    fn with_policy(self, policy: Option<Policy>) -> SandboxBuilder<WantsCommand> {
        let WantsPolicy {
            root,
            identity,
            limits,
        } = self.state;
        let state = WantsCommand {
            root,
            identity,
            limits,
            policy,
        };
        SandboxBuilder {
            settings: self.settings,
            state,
        }
    }
}

impl<State> SandboxBuilder<State> {
    /// Host name inside; `box` unless told.
    pub fn host_name(mut self, name: impl Into<String>) -> Self {
        self.settings.host_name = name.into();
        self
    }

    /// Where the cgroups of the runs are made; the root of each hierarchy unless told.
    pub fn cgroup_parent(mut self, parent: CgroupParent) -> Self {
        self.settings.parent = parent;
        self
    }

    /// Puts the box into a user namespace with these maps: what an ordinary user needs. The identity is then one of its ids.
    pub fn user_map(mut self, map: UserMap) -> Self {
        self.settings.user_map = Some(map);
        self
    }

    /// Puts the program under Landlock as well; not unless told, because that closes TCP inside the box too.
    pub fn landlock(mut self, landlock: Landlock) -> Self {
        self.settings.landlock = Some(landlock);
        self
    }

    /// Limits what the payload's uid may have on the file system of this directory, for as long as each run lasts. Files that
    /// the uid has there already count; what the box writes into files of others counts for those. Needs [`Self::uid_pool`].
    /// See [`sandbox_fs::DiskQuota`].
    ///
    /// Whether the limit was in the way and what was used is in [`Evidence::quotas`](sandbox_core::Evidence::quotas). An embedder that is killed leaves
    /// the limits on the file system; the next run of that uid with a quota puts its own in their place.
    pub fn user_quota(self, directory: impl Into<PathBuf>, limit: DiskLimit) -> Self {
        self.quota(directory.into(), Who::Payload, limit)
    }

    /// Limits what this directory and all in it may take, for as long as each run lasts: everything in it becomes the
    /// project's, which should be of no other directory. One run at a time has the directory, which is locked by flock(2). As
    /// [`Self::user_quota`] in everything else.
    pub fn project_quota(
        self,
        directory: impl Into<PathBuf>,
        project: u32,
        limit: DiskLimit,
    ) -> Self {
        self.quota(directory.into(), Who::Project(project), limit)
    }

    fn quota(mut self, directory: PathBuf, who: Who, limit: DiskLimit) -> Self {
        self.settings.quotas.push(Wanted {
            directory,
            who,
            limit,
        });
        self
    }

    /// The only door to a weaker box; one `grep dangerous` finds every use.
    pub fn dangerous(self) -> Dangerous<State> {
        Dangerous(self)
    }
}

/// A builder that may leave a control out.
#[derive(Debug)]
#[must_use = "a builder does nothing until `command`"]
pub struct Dangerous<State>(SandboxBuilder<State>);

impl<State> Dangerous<State> {
    /// Shares the embedder's network, its abstract unix sockets included.
    pub fn share_network(mut self) -> SandboxBuilder<State> {
        self.0.settings.share_network = true;
        self.0
    }

    /// Limits memory for each process by itself, as `RLIMIT_AS`, where no cgroup can: for an ordinary user without a delegated
    /// group. Two processes may have twice the limit, files on a tmpfs and pages that are shared do not count, and what a
    /// process has reserved and never touched does. [`Evidence::memory_by_rlimit`](sandbox_core::Evidence::memory_by_rlimit) says so.
    pub fn memory_by_rlimit(mut self) -> SandboxBuilder<State> {
        self.0.settings.memory_by_rlimit = true;
        self.0
    }

    /// Lets a box whose single-id map denies `setgroups(2)` keep the embedder's supplementary groups, which still open files.
    pub fn keep_groups(mut self) -> SandboxBuilder<State> {
        self.0.settings.keep_groups = true;
        self.0
    }
}

impl Dangerous<WantsPolicy> {
    /// Lets every call be made that the policy reports, and writes it down: up to 4096 calls that differ in number or
    /// arguments. **Not a sandbox**: it is for tools that learn what a program one trusts needs.
    /// [`SyscallReports::let_through`](sandbox_core::SyscallReports::let_through) says so in the evidence.
    pub fn observe(mut self, policy: Policy) -> SandboxBuilder<WantsCommand> {
        self.0.settings.reports = Mode::Observe;
        self.0.policy(policy)
    }

    /// No filter at all: every system call that the kernel gives to an unprivileged process.
    pub fn without_seccomp(self) -> SandboxBuilder<WantsCommand> {
        self.0.with_policy(None)
    }
}

impl SandboxBuilder<WantsCommand> {
    /// Checks and compiles everything. Nothing is made on the host yet, but the cgroups that dead owners left are removed.
    ///
    /// # Errors
    /// The first thing that is wrong: a limit, an id, a source that cannot be opened, a rule, a system call name, a path, or a
    /// kernel that lacks a required call.
    pub fn command(self, command: &Command) -> Result<Sandbox, Error> {
        let Self { settings, state } = self;
        let WantsCommand {
            root,
            identity,
            limits,
            policy,
        } = state;
        Host::probe()?;
        limits.validate()?;
        let (mut cgroup_limits, mut process_limits) = (limits.clone(), limits.clone());
        let memory_by_rlimit = settings.memory_by_rlimit && limits.memory.is_some();
        if memory_by_rlimit {
            let memory = cgroup_limits.memory.take();
            process_limits.address_space = memory.into_iter().chain(limits.address_space).min();
        }
        let rlimits = Rlimits::compile(&process_limits)?;
        let map = settings.user_map.as_ref();
        let privileged = privileged();
        let (payloads, init) =
            identities::compile(identity, map, settings.keep_groups, privileged)?;
        let quotas = settings
            .quotas
            .iter()
            .map(|wanted| QuotaPlan::compile(wanted.clone(), payloads.are_exclusive()))
            .collect::<Result<_, _>>()?;
        let image = command.prepare()?;
        let filter = policy.map(|policy| policy.prepare()).transpose()?;
        let namespaces = namespace_spec(&settings).prepare()?;
        let root = root.prepare()?;
        let landlock = match settings.landlock {
            Some(landlock) => landlock.prepare(&root)?,
            None => None,
        };
        let hierarchies = Hierarchies::host()?;
        // What cannot be removed is the embedder's to know, not a reason to refuse a box.
        let leftovers = collect_orphans(hierarchies, &settings.parent).err();
        let trees = if privileged {
            Trees::FromParent
        } else {
            Trees::FromInit
        };
        Ok(Sandbox::new(Arc::new(Inner {
            namespaces,
            root,
            trees,
            payloads,
            quotas,
            init,
            limits,
            cgroup_limits,
            memory_by_rlimit,
            rlimits,
            landlock_asked: settings.landlock.is_some(),
            landlock,
            filter,
            reports: settings.reports,
            image,
            hierarchies,
            parent: settings.parent,
            leftovers,
        })))
    }
}

fn privileged() -> bool {
    // A failed look at the own capabilities counts as none.
    caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_ADMIN).unwrap_or(false)
}

fn namespace_spec(settings: &Settings) -> NamespaceSpec {
    let mut spec = NamespaceSpec {
        host_name: Some(settings.host_name.clone()),
        user_map: settings.user_map.clone(),
        ..NamespaceSpec::default()
    };
    if settings.user_map.is_some() {
        spec.unshare |= Namespaces::USER;
    }
    if settings.share_network {
        spec.unshare -= Namespaces::NET;
        spec.loopback = false;
    }
    spec
}
