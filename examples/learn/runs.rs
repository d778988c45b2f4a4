//! The boxes in which the program is watched, and those in which a policy is tried.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use sandbox_exec::{
    Bytes, Command, Exit, Finished, Identity, Limits, MountFlags, Outcome, Policy, Quota, Reading,
    RootSpec, Sandbox, Stdin, SyscallReports,
};

use crate::{cli::Args, failure::Failure};

/// Standard output that is compared.
const KEEP: Bytes = Bytes::mib(16);

/// `/tmp` and the root itself.
const QUOTA: Quota = Quota {
    bytes: Bytes::mib(64),
    inodes: 4_096,
};

/// How the program ran, where it was watched.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) seen: SyscallReports,
    exit: Option<Exit>,
    stdout: Vec<u8>,
    wall_time: Duration,
}

/// The program and its inputs.
#[derive(Debug)]
pub(crate) struct Runs<'a> {
    args: &'a Args,
    program: PathBuf,
    inputs: Vec<Vec<u8>>,
}

impl<'a> Runs<'a> {
    pub(crate) fn new(args: &'a Args) -> Result<Self, Failure> {
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|source| Failure::File {
                what: "read the input",
                path: path.clone(),
                source,
            })
        };
        let mut inputs = args
            .inputs
            .iter()
            .map(read)
            .collect::<Result<Vec<_>, _>>()?;
        if inputs.is_empty() {
            inputs.push(Vec::new());
        }
        let program = in_the_box(args.command.first().map_or("", String::as_str))?;
        Ok(Self {
            args,
            program,
            inputs,
        })
    }

    /// Runs the program on each input; what the policy reports is made and written down.
    pub(crate) fn watch(&self, policy: &Policy) -> Result<Vec<Watched>, Failure> {
        let wall_time = Duration::from_secs(self.args.seconds);
        let mut all = Vec::new();
        for (run, input) in (1..).zip(&self.inputs) {
            let Finished {
                outcome, stdout, ..
            } = self.run(Mode::Watch(policy), wall_time, input)?;
            let how = how(&outcome);
            let evidence = outcome.evidence;
            if !matches!(evidence.exit, Some(Exit::Code(_))) || evidence.kill.is_some() {
                return Err(Failure::Ended { run, how });
            }
            let seen = match evidence.reports {
                Reading::Value(seen) => seen,
                Reading::Unavailable(why) => return Err(Failure::Unseen(format!("{why:?}"))),
            };
            if seen.calls.iter().map(|call| call.count).sum::<u64>() < seen.total {
                return Err(Failure::TooMany);
            }
            all.push(Watched {
                seen,
                exit: evidence.exit,
                stdout,
                wall_time: evidence.wall_time,
            });
        }
        Ok(all)
    }

    /// Runs the program under this policy: the first input on which it does something else, if any.
    pub(crate) fn differs(
        &self,
        policy: &Policy,
        watched: &[Watched],
    ) -> Result<Option<(usize, String)>, Failure> {
        for ((run, input), was) in (1..).zip(&self.inputs).zip(watched) {
            // Without a call that it needs, a program may wait for ever.
            let wall_time = was.wall_time * 10 + Duration::from_secs(2);
            let is = self.run(Mode::Enforce(policy), wall_time, input)?;
            let same_output = self.args.ignore_output || is.stdout == was.stdout;
            let evidence = &is.outcome.evidence;
            if evidence.exit != was.exit || evidence.kill.is_some() || !same_output {
                return Ok(Some((run, how(&is.outcome))));
            }
        }
        Ok(None)
    }

    fn run(&self, mode: Mode<'_>, wall_time: Duration, input: &[u8]) -> Result<Finished, Failure> {
        let words = self.args.command.iter().skip(1);
        let command = Command::new(&self.program)
            .args(words)
            .work_dir("/tmp")
            .env("PATH", "/usr/bin:/bin");
        let limits = Limits::default()
            .wall_time(wall_time)
            .memory(Bytes::mib(1024))
            .processes(256)
            .output(KEEP);
        let builder = Sandbox::builder()
            .root(self.root())
            .identity(Identity::new(60_042, 60_042))
            .limits(limits);
        let builder = match mode {
            Mode::Watch(policy) => builder.dangerous().observe(policy.clone()),
            Mode::Enforce(policy) => builder.policy(policy.clone()),
        };
        Ok(builder
            .command(&command)?
            .run(Stdin::Bytes(input.to_vec()), KEEP)?)
    }

    fn root(&self) -> RootSpec {
        let mut root = RootSpec::minimal(QUOTA).tmpfs("tmp", QUOTA, MountFlags::WRITABLE);
        let real = fs::canonicalize(&self.program);
        let own = real
            .is_ok_and(|real| !real.starts_with("/usr"))
            .then_some(&self.program);
        for path in own.into_iter().chain(&self.args.binds) {
            root = root.bind(path, path, MountFlags::empty());
        }
        root
    }
}

/// Where the box has the program: what lies in `/usr` is called as on the command line, for some look at their name.
fn in_the_box(program: &str) -> Result<PathBuf, Failure> {
    let missing = |source| Failure::File {
        what: "find the program, which is not looked for along PATH:",
        path: program.into(),
        source,
    };
    let real = fs::canonicalize(program).map_err(missing)?;
    if real.is_dir() {
        return Err(missing(io::ErrorKind::IsADirectory.into()));
    }
    let shown = real.starts_with("/usr") && Path::new(program).is_absolute();
    Ok(if shown { program.into() } else { real })
}

/// What becomes of the calls that a policy refuses.
#[derive(Debug, Clone, Copy)]
enum Mode<'a> {
    /// They are made and written down.
    Watch(&'a Policy),
    /// They are refused.
    Enforce(&'a Policy),
}

fn how(outcome: &Outcome) -> String {
    let judgement = &outcome.judgement;
    format!("{}, because of {:?}", judgement.verdict, judgement.basis)
}
