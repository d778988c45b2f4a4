//! The one place that talks to the sandbox.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sandbox_exec::{
    Bytes, CgroupParent, Command, Identity, KeptDir, KillReason, Limits, MountFlags, Outcome,
    Output, Policy, Quota, RootSpec, Sandbox, Stdin, UidPool,
};

use crate::{language::toolchain::Bind, signals::Interrupt, slot::Slot};

/// The root of a box holds mount points and small files of ours only.
const ROOT_QUOTA: Quota = Quota {
    bytes: Bytes::mib(1),
    inodes: 512,
};
/// Files and directories in a writable directory; javac makes one per class, Go's cache thousands.
const SCRATCH_INODES: u64 = 16_384;
/// Compiled boxes that are kept: a program and its validator, for as many judging places as machines often have.
const KEEP_COMPILED: usize = 32;
/// Bytes of standard error that are kept.
const KEEP_STDERR: Bytes = Bytes::kib(64);

/// A tmpfs of the box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scratch {
    /// Where it appears in the box.
    pub(crate) target: &'static str,
    /// Its size.
    pub(crate) size: Bytes,
    /// Whether it is read after the run. At most one per box.
    pub(crate) keep: bool,
}

/// One program to run, and what it may see and use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BoxSpec {
    /// Program with its full path, and arguments.
    pub(crate) command: Vec<String>,
    /// The whole environment.
    pub(crate) env: Vec<(String, String)>,
    /// Working directory inside the box.
    pub(crate) work_dir: &'static str,
    /// Read-only views of the host, besides `/usr`.
    pub(crate) binds: Vec<Bind>,
    /// Writable directories.
    pub(crate) scratch: Vec<Scratch>,
    /// The limits.
    pub(crate) limits: Limits,
    /// Bytes of standard output that are kept.
    pub(crate) keep_stdout: Bytes,
}

/// Where standard input comes from.
#[derive(Debug)]
pub(crate) enum Input {
    /// `/dev/null`.
    Null,
    /// A file of the host, passed by descriptor.
    File(PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// A run that took place.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Limits, evidence and judgement.
    pub(crate) outcome: Outcome,
    /// Standard output, as far as kept.
    pub(crate) stdout: Vec<u8>,
    /// Standard error, as far as kept.
    pub(crate) stderr: Vec<u8>,
    /// The scratch directory that was to be kept.
    pub(crate) kept: Option<KeptDir>,
}

/// Why a run did not take place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The program could not be started: it is not there, not executable, or its interpreter is missing.
    #[error("cannot start {program}")]
    Program {
        /// Its path inside the box.
        program: String,
        /// What the sandbox reports.
        source: sandbox_exec::Error,
    },
    /// The sandbox does not work on this host, or not with these limits.
    #[error("the sandbox failed")]
    Sandbox(#[from] sandbox_exec::Error),
    /// The standard input cannot be opened.
    #[error("cannot open {}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// A command of the language table has no program.
    #[error("a command has no program")]
    NoCommand,
    /// The judge was told to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Runs programs in boxes.
#[derive(Debug, Clone)]
pub(crate) struct Runner {
    parent: CgroupParent,
    /// Where boxes get their user ids from; `None` for a judge that may not give any.
    pool: Option<UidPool>,
    /// Of every box, and so compiled for the first one alone.
    policy: Policy,
    interrupt: Interrupt,
    compiled: Arc<Mutex<VecDeque<Compiled>>>,
}

/// A box that may be needed again: the next test differs in its input only.
#[derive(Debug)]
struct Compiled {
    /// Whose user id the box has, where that is not the pool's to give.
    slot: Option<Slot>,
    spec: BoxSpec,
    sandbox: Sandbox,
}

impl Runner {
    /// A runner whose boxes have their cgroups below `parent`, their user ids from `pool`, and end when `interrupt` says so.
    pub(crate) fn new(parent: CgroupParent, pool: Option<UidPool>, interrupt: Interrupt) -> Self {
        Self {
            parent,
            pool,
            // The verdict then names the call, whichever of the submission's processes makes it.
            policy: Policy::judge().report_kills(),
            interrupt,
            compiled: Arc::default(),
        }
    }

    /// Runs one program to its end.
    pub(crate) fn run(&self, slot: Slot, spec: &BoxSpec, input: Input) -> Result<Ran, RunError> {
        if self.interrupt.is_stopped() {
            return Err(RunError::Interrupted);
        }
        let sandbox = self.compiled(slot, spec)?;
        let stdin = match input {
            Input::Null => Stdin::Null,
            Input::Bytes(bytes) => Stdin::Bytes(bytes),
            Input::File(path) => {
                let opened = open_input(&path);
                opened.map_err(|source| RunError::Input { path, source })?
            }
        };
        let capture = |keep| Output::Capture { keep };
        let running = sandbox
            .spawn(stdin, capture(spec.keep_stdout), capture(KEEP_STDERR))
            .map_err(|error| named(error, spec))?;
        let canceller = running.canceller();
        let registered = self.interrupt.register(move || canceller.cancel());
        let finished = running.wait();
        drop(registered);
        // An exec that failed late is told by the wait.
        let finished = finished.map_err(|error| named(error, spec))?;
        if finished.outcome.evidence.kill == Some(KillReason::Requested) {
            return Err(RunError::Interrupted);
        }
        Ok(Ran {
            outcome: finished.outcome,
            stdout: finished.stdout,
            stderr: finished.stderr,
            kept: finished.kept.into_iter().next(),
        })
    }

    /// The sandbox for this, compiled once for all tests of a submission.
    fn compiled(&self, slot: Slot, spec: &BoxSpec) -> Result<Sandbox, RunError> {
        let lock = || self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let slot_of_box = self.pool.is_none().then_some(slot);
        let known = lock()
            .iter()
            .find(|known| known.slot == slot_of_box && known.spec == *spec)
            .map(|known| known.sandbox.clone());
        if let Some(sandbox) = known {
            return Ok(sandbox);
        }
        let sandbox = self.sandbox(slot, spec)?;
        let mut compiled = lock();
        compiled.truncate(KEEP_COMPILED - 1);
        compiled.push_front(Compiled {
            slot: slot_of_box,
            spec: spec.clone(),
            sandbox: sandbox.clone(),
        });
        Ok(sandbox)
    }

    fn sandbox(&self, slot: Slot, spec: &BoxSpec) -> Result<Sandbox, RunError> {
        let mut root = RootSpec::minimal(ROOT_QUOTA);
        for bind in &spec.binds {
            root = root.bind(&bind.source, &bind.target, MountFlags::empty());
        }
        for scratch in &spec.scratch {
            let quota = Quota {
                bytes: scratch.size,
                inodes: SCRATCH_INODES,
            };
            root = root.tmpfs(scratch.target, quota, MountFlags::WRITABLE);
            if scratch.keep {
                root = root.keep(scratch.target);
            }
        }
        let (program, arguments) = spec.command.split_first().ok_or(RunError::NoCommand)?;
        let mut command = Command::new(program)
            .args(arguments)
            .work_dir(spec.work_dir);
        for (name, value) in &spec.env {
            command = command.env(name, value);
        }
        let builder = Sandbox::builder().root(root);
        let builder = match &self.pool {
            Some(pool) => builder.uid_pool(pool),
            None => builder.identity(Identity::new(slot.uid(), slot.uid())),
        };
        Ok(builder
            .limits(spec.limits.clone())
            .policy(self.policy.clone())
            .cgroup_parent(self.parent.clone())
            .command(&command)?)
    }
}

/// Opens a file of the host as standard input.
///
/// The descriptor is read-only, but a program can open the file behind it again through `/proc/self/fd/0`, and then only the
/// file's own mode stands between it and the test data. A file that others may write to goes as a sealed copy.
fn open_input(path: &Path) -> io::Result<Stdin> {
    let mut file = File::open(path)?;
    let found = file.metadata()?;
    if found.mode() & 0o022 == 0 && found.uid() < Slot::FIRST.uid() {
        return Ok(Stdin::Fd(file.into()));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Stdin::Bytes(bytes))
}

/// Tells a program that cannot be started from a sandbox that does not work.
fn named(error: sandbox_exec::Error, spec: &BoxSpec) -> RunError {
    let is_program =
        matches!(&error, sandbox_exec::Error::Setup(failure) if failure.is_the_programs_fault());
    if !is_program {
        return RunError::Sandbox(error);
    }
    RunError::Program {
        program: spec.command.first().cloned().unwrap_or_default(),
        source: error,
    }
}
