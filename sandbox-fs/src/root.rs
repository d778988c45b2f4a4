//! The builder: rules in the user's order, prepared into a plan.

use std::{
    fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use sandbox_core::Host;

use crate::{
    Error, FileMode, MountFlags, ProcView, Quota, Requester, RootPlan, Rule, Upper, compile,
    descriptor::Descriptor, dev, plan, schema::Schema, target::Target,
};

/// A wish for a root: a tmpfs and the rules that fill it.
///
/// The root itself becomes read-only when the rules are carried out; what the box may write is a bind or a tmpfs with
/// [`MountFlags::WRITABLE`]. Nothing of the host is in it that no rule names. Rules may stand in any order; one may lie
/// beneath another, as a bind in a tmpfs.
///
/// ```
/// # use sandbox_core::Bytes;
/// # use sandbox_fs::{MountFlags, Quota, RootSpec};
/// let root = RootSpec::minimal(Quota { bytes: Bytes::mib(1), inodes: 100 })
///     .tmpfs("tmp", Quota { bytes: Bytes::mib(64), inodes: 4_000 }, MountFlags::WRITABLE)
///     .bind("/srv/tests", "tests", MountFlags::NOEXEC | MountFlags::OPTIONAL);
/// let plan = root.prepare()?;
/// # Ok::<(), sandbox_fs::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
#[must_use = "a specification does nothing until it is prepared"]
pub struct RootSpec {
    /// As data, a specification says which version of these rules it is written in.
    #[cfg_attr(feature = "serde", serde(rename = "schema"))]
    schema: Schema,
    pub(crate) quota: Quota,
    pub(crate) rules: Vec<Rule>,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(crate) kept: Vec<PathBuf>,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(crate) requester: Option<Requester>,
    /// Never data: a number means nothing in another process.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(crate) descriptors: Vec<(String, Descriptor)>,
}

impl RootSpec {
    /// An empty root. The quota is for directories, links and files that the rules make on the root itself.
    pub const fn new(quota: Quota) -> Self {
        Self {
            schema: Schema,
            quota,
            rules: Vec::new(),
            kept: Vec::new(),
            requester: None,
            descriptors: Vec::new(),
        }
    }

    /// A root in which dynamically linked programs of the host start: `/usr`, the directories beside it, `/proc`, `/dev`.
    ///
    /// `/bin`, `/sbin`, `/lib`, `/lib64` and `/lib32` follow the host as it is now: a link into `/usr` becomes a link, a
    /// directory becomes a bind, what does not exist is left out. `/etc` is not there: a language that needs
    /// `/etc/alternatives` gets it by a rule.
    pub fn minimal(quota: Quota) -> Self {
        let mut spec = Self::new(quota).bind("/usr", "usr", MountFlags::empty());
        for name in ["bin", "sbin", "lib", "lib64", "lib32"] {
            let host = Path::new("/").join(name);
            spec = match fs::read_link(&host) {
                Ok(to) if to.starts_with("usr") || to.starts_with("/usr") => spec.symlink(name, to),
                _ => spec.bind(host, name, MountFlags::OPTIONAL),
            };
        }
        spec.proc("proc").dev("dev")
    }

    /// Adds any rule.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Shows a file or directory of the host.
    pub fn bind(
        self,
        source: impl AsRef<Path>,
        target: impl AsRef<Path>,
        flags: MountFlags,
    ) -> Self {
        self.rule(Rule::Bind {
            source: source.as_ref().into(),
            target: target.as_ref().into(),
            flags,
        })
    }

    /// Gives the file or directory that [`Rule::BindOpen`] calls by this name. Whoever opened it had the right to show it.
    ///
    /// It must have been opened in the embedder's mount namespace; `O_PATH` is enough.
    pub fn descriptor(mut self, handle: impl Into<String>, fd: OwnedFd) -> Self {
        self.descriptors.push((handle.into(), Descriptor::new(fd)));
        self
    }

    /// Shows a file or directory that the embedder has open: [`Rule::BindOpen`] and [`RootSpec::descriptor`] at once.
    pub fn bind_open(self, fd: OwnedFd, target: impl AsRef<Path>, flags: MountFlags) -> Self {
        let target = target.as_ref();
        let handle = target.display().to_string();
        self.descriptor(handle.clone(), fd).rule(Rule::BindOpen {
            handle,
            target: target.into(),
            flags,
        })
    }

    /// Lays directories of the host over each other, the topmost first.
    ///
    /// # Kernel
    /// 6.5.
    pub fn overlay<P: AsRef<Path>>(
        self,
        lowers: impl IntoIterator<Item = P>,
        upper: Option<Upper>,
        target: impl AsRef<Path>,
        flags: MountFlags,
    ) -> Self {
        self.rule(Rule::Overlay {
            lowers: lowers
                .into_iter()
                .map(|path| path.as_ref().into())
                .collect(),
            upper,
            target: target.as_ref().into(),
            flags,
        })
    }

    /// Hides what another rule shows there.
    pub fn mask(self, target: impl AsRef<Path>) -> Self {
        self.rule(Rule::Mask {
            target: target.as_ref().into(),
            optional: false,
        })
    }

    /// Hides what tells most about the host, or does most to it, in a full proc and a sysfs, as far as this kernel has it.
    pub fn mask_kernel_files(mut self) -> Self {
        let shown = |rule: &Rule| match rule {
            Rule::Proc { target, view } if *view == ProcView::Full => {
                Some((target.clone(), dev::PROC_MASKS))
            }
            Rule::Sysfs { target } => Some((target.clone(), dev::SYSFS_MASKS)),
            _ => None,
        };
        let masked: Vec<_> = self.rules.iter().filter_map(shown).collect();
        for (below, names) in masked {
            self.rules.extend(names.iter().map(|name| Rule::Mask {
                target: below.join(name),
                optional: true,
            }));
        }
        self
    }

    /// Adds pseudoterminals of the box's own, at most so many at once, with `ptmx` beside them.
    pub fn devpts(self, target: impl AsRef<Path>, max: u32) -> Self {
        self.rule(Rule::Devpts {
            target: target.as_ref().into(),
            max,
        })
    }

    /// Adds a read-only sysfs(5).
    pub fn sysfs(self, target: impl AsRef<Path>) -> Self {
        self.rule(Rule::Sysfs {
            target: target.as_ref().into(),
        })
    }

    /// Adds `/dev/shm` for POSIX shared memory and semaphores.
    pub fn shm(self, quota: Quota) -> Self {
        self.tmpfs("dev/shm", quota, MountFlags::WRITABLE | MountFlags::NOEXEC)
    }

    /// Puts a rule in the place of the one with the same target, or at the end where there is none.
    pub fn replace(mut self, rule: Rule) -> Self {
        let same = |old: &&mut Rule| same_target(old, rule.target());
        match self.rules.iter_mut().find(same) {
            Some(old) => *old = rule,
            None => self.rules.push(rule),
        }
        self
    }

    /// Takes the rule with this target out, where there is one.
    pub fn without(mut self, target: impl AsRef<Path>) -> Self {
        self.rules
            .retain(|rule| !same_target(rule, target.as_ref()));
        self
    }

    /// Adds an empty directory in memory.
    pub fn tmpfs(self, target: impl AsRef<Path>, quota: Quota, flags: MountFlags) -> Self {
        self.rule(Rule::Tmpfs {
            target: target.as_ref().into(),
            quota,
            flags,
        })
    }

    /// Adds the box's own proc(5) with the directories of its processes and nothing else.
    ///
    /// # Kernel
    /// 5.8; older ones do not know `subset=pid` and `hidepid=4` (`EINVAL` in [`Stage::Root`](sandbox_core::Stage)).
    pub fn proc(self, target: impl AsRef<Path>) -> Self {
        self.rule(Rule::Proc {
            target: target.as_ref().into(),
            view: ProcView::Processes,
        })
    }

    /// Adds the box's own proc(5) with everything in it: `cpuinfo`, `meminfo`, `sys` and the rest tell about the host.
    pub fn proc_full(self, target: impl AsRef<Path>) -> Self {
        self.rule(Rule::Proc {
            target: target.as_ref().into(),
            view: ProcView::Full,
        })
    }

    /// Adds the minimal dev; `/dev/shm` is there only where a rule puts a tmpfs there.
    pub fn dev(self, target: impl AsRef<Path>) -> Self {
        self.rule(Rule::Dev {
            target: target.as_ref().into(),
        })
    }

    /// Adds a file with these contents.
    pub fn file(
        self,
        target: impl AsRef<Path>,
        contents: impl Into<Vec<u8>>,
        mode: FileMode,
    ) -> Self {
        self.rule(Rule::File {
            target: target.as_ref().into(),
            contents: contents.into(),
            mode,
        })
    }

    /// Adds a symbolic link.
    pub fn symlink(self, target: impl AsRef<Path>, points_to: impl AsRef<Path>) -> Self {
        self.rule(Rule::Symlink {
            target: target.as_ref().into(),
            points_to: points_to.as_ref().into(),
        })
    }

    /// Adds an empty directory.
    pub fn dir(self, target: impl AsRef<Path>) -> Self {
        self.rule(Rule::Dir {
            target: target.as_ref().into(),
        })
    }

    /// Keeps a directory of the box readable for the embedder when all processes of the box are dead.
    ///
    /// The target is usually one of a writable tmpfs or bind; see [`KeptDir`](crate::KeptDir).
    pub fn keep(mut self, target: impl AsRef<Path>) -> Self {
        self.kept.push(target.as_ref().into());
        self
    }

    /// Opens sources with the rights of this user instead of the embedder's.
    pub fn requester(mut self, requester: Requester) -> Self {
        self.requester = Some(requester);
        self
    }

    /// The rules, in the order in which they were added.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Checks the rules, opens every source with the requester's rights and compiles the operations.
    ///
    /// Opens, but mounts and creates nothing. With a requester other than the embedder itself, a short-lived copy of the
    /// process opens the sources; the embedder's ids, dumpable flag, signal mask and children stay as they are.
    ///
    /// Whoever asks, a source is an absolute path and may lead through symbolic links, but not through a magic link of
    /// proc(5) such as `/proc/self/cwd`, `/proc/PID/root` or `/proc/self/fd/3`: those lead past the directories above.
    ///
    /// The copy has no descriptor of the embedder and gets 10 seconds for all sources together. Then it is killed and
    /// the error is [`Error::Unanswered`]. One that a filesystem keeps beyond `SIGKILL` (a FUSE daemon that has read a
    /// request and does not answer) is reaped by a thread when it ends. Sources that the embedder opens for itself have
    /// no deadline.
    ///
    /// # Errors
    /// [`Error::Host`] on a kernel without what every tree needs. What is wrong with the rules is said before any source is opened: [`Error::Target`], [`Error::Flags`],
    /// [`Error::QuotaZero`], [`Error::Conflict`] of one target, [`Error::Relative`]. Then [`Error::Source`],
    /// [`Error::Requester`] and [`Error::Unanswered`] for sources, [`Error::Conflict`] of nesting and [`Error::QuotaTooSmall`].
    pub fn prepare(&self) -> Result<RootPlan, Error> {
        let kept = self
            .kept
            .iter()
            .map(|path| Target::new(path))
            .collect::<Result<Vec<_>, _>>()?;
        let host = Host::probe()?;
        let compiled = compile::compile(self, host.mount_setattr)?;
        plan::RootPlan::new(compiled, &kept)
    }
}

fn same_target(rule: &Rule, target: &Path) -> bool {
    // What is no target at all is refused by name later.
    matches!((Target::new(rule.target()), Target::new(target)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use sandbox_core::Bytes;

    use crate::{FileMode, MountFlags, Quota, Requester, RootSpec};

    #[test]
    fn a_specification_survives_as_data() {
        let quota = Quota {
            bytes: Bytes::mib(1),
            inodes: 10,
        };
        let spec = RootSpec::new(quota)
            .bind("/srv", "srv", MountFlags::NOEXEC | MountFlags::OPTIONAL)
            .file("etc/x", "x", FileMode::Plain)
            .proc("proc")
            .keep("srv")
            .requester(Requester {
                uid: 1,
                gid: 2,
                groups: vec![3],
            });
        let text = serde_json::to_string(&spec).unwrap();
        assert!(text.contains("\"NOEXEC | OPTIONAL\""), "{text}");
        assert_eq!(serde_json::from_str::<RootSpec>(&text).unwrap(), spec);
        for (good, bad) in [
            ("NOEXEC", "SUID"),
            ("\"schema\":1", "\"schema\":2"),
            ("\"schema\":1,", ""),
            ("\"kept\"", "\"keeps\""),
            ("\"source\":\"/srv\"", "\"source\":\"/srv\",\"rw\":true"),
        ] {
            let changed = text.replace(good, bad);
            assert_ne!(changed, text, "{good}");
            assert!(serde_json::from_str::<RootSpec>(&changed).is_err(), "{bad}");
        }
    }
}
