//! The boxes of the matrix.

use std::{os::unix::fs::chown, path::Path};

use libtest_mimic::Failed;
use sandbox_exec::{
    Basis, Bytes, Command, Finished, Identity, Limits, MountFlags, Policy, Quota, Reading,
    RootSpec, Sandbox, Stdin, Verdict, fs::FileMode,
};
use sandbox_test_support::{boxes, host};

use crate::table::{Runtime, SYSROOT, programs};

/// A runtime and the directory of what was compiled with it.
#[derive(Debug)]
pub(crate) struct Boxed<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) artefacts: &'a Path,
}

/// A run, to be compared.
#[derive(Debug)]
pub(crate) struct Ran {
    what: String,
    finished: Finished,
}

/// Room for the caches of compilers.
const SCRATCH: Quota = Quota {
    bytes: Bytes::mib(512),
    inodes: 20_000,
};

impl Boxed<'_> {
    /// Compiles under the preset `compiler`, into the directory of artefacts.
    pub(crate) fn compile(&self) -> Ran {
        let identity = boxes::identity();
        // The box writes there as itself, and the directory goes with the test.
        chown(self.artefacts, Some(identity.uid), Some(identity.gid)).expect("as root");
        let mut root = self.root(MountFlags::WRITABLE);
        if let Some(sysroot) = self.runtime.sysroot() {
            root = root.bind(sysroot, SYSROOT, MountFlags::empty());
        }
        let ran = self.boxed(
            root,
            identity,
            Policy::compiler(),
            &self.runtime.compile,
            &[],
        );
        chown(self.artefacts, Some(0), Some(0)).expect("as root");
        ran
    }

    /// Runs what was compiled, or the source.
    pub(crate) fn run(&self, policy: Policy, arguments: &[&str]) -> Ran {
        let root = self.root(MountFlags::empty());
        let run = &self.runtime.run;
        self.boxed(root, boxes::identity(), policy, run, arguments)
    }

    fn root(&self, artefacts: MountFlags) -> RootSpec {
        let mut root = RootSpec::minimal(boxes::QUOTA)
            .tmpfs("tmp", SCRATCH, MountFlags::WRITABLE)
            .bind(programs(), "src", MountFlags::empty())
            .bind(self.artefacts, "box", artefacts)
            .dir("work")
            .dir("work/below")
            .file("work/below/looked-for", "four", FileMode::Plain);
        for bind in &self.runtime.binds {
            root = root.bind(bind, bind, MountFlags::OPTIONAL);
        }
        root
    }

    fn boxed(
        &self,
        root: RootSpec,
        identity: Identity,
        policy: Policy,
        command: &[String],
        arguments: &[&str],
    ) -> Ran {
        let filled = self.runtime.filled(command);
        let (program, rest) = filled.split_first().expect("a command has a program");
        let mut command = Command::new(program)
            .args(rest)
            .args(arguments)
            .work_dir("/work")
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", "/tmp")
            .env("LC_ALL", "C.UTF-8");
        for (name, value) in &self.runtime.env {
            command = command.env(name, value);
        }
        let sandbox = Sandbox::builder()
            .root(root)
            .identity(identity)
            .limits(limits())
            .policy(policy)
            .command(&command)
            .unwrap_or_else(|error| panic!("{}", boxes::full(&error)));
        let finished = sandbox.run(Stdin::Null, boxes::KEEP);
        Ran {
            what: format!("{program} {}", arguments.join(" ")),
            finished: finished.unwrap_or_else(|error| panic!("{}", boxes::full(&error))),
        }
    }
}

/// Wide enough for every compiler of the table; the JVM and Go make a thread for each of the machine's CPUs.
fn limits() -> Limits {
    Limits::default()
        .cpu_time(host::patience(60_000))
        .wall_time(host::patience(120_000))
        .memory(Bytes::mib(1024))
        .processes(256)
}

impl Ran {
    pub(crate) fn is_ok(&self) -> Result<(), Failed> {
        let judgement = &self.finished.outcome.judgement;
        (judgement.verdict == Verdict::Ok)
            .then_some(())
            .ok_or_else(|| self.told("is not ok"))
    }

    pub(crate) fn is_killed_by_the_filter(&self) -> Result<(), Failed> {
        let judgement = &self.finished.outcome.judgement;
        (judgement.basis == Basis::Sigsys)
            .then_some(())
            .ok_or_else(|| self.told("was not killed by the filter"))
    }

    /// How many calls were reported, where that is no more than this.
    pub(crate) fn reports_at_most(&self, most: u64) -> Result<u64, Failed> {
        match &self.finished.outcome.evidence.reports {
            Reading::Value(reports) if reports.total <= most => Ok(reports.total),
            other => Err(self.told(&format!("has reported too much, or nothing: {other:?}"))),
        }
    }

    /// Whether it printed these lines, and as the last one this, if any.
    pub(crate) fn says(&self, lines: &[String], last: &str) -> Result<(), Failed> {
        let mut wanted: Vec<&str> = lines.iter().map(String::as_str).collect();
        wanted.extend((!last.is_empty()).then_some(last));
        let said = String::from_utf8_lossy(&self.finished.stdout);
        if said.lines().eq(wanted.iter().copied()) {
            return Ok(());
        }
        Err(self.told(&format!("did not say {wanted:?}")))
    }

    fn told(&self, what: &str) -> Failed {
        let Finished {
            outcome,
            stdout,
            stderr,
            ..
        } = &self.finished;
        format!(
            "{}: {what}\n{:?}\n{:?}\n-- stdout\n{}\n-- stderr\n{}",
            self.what,
            outcome.judgement,
            outcome.evidence.exit,
            String::from_utf8_lossy(stdout),
            String::from_utf8_lossy(stderr)
        )
        .into()
    }
}
