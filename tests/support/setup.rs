//! A box with every control on, from which a test takes one away.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    thread::JoinHandle,
};

use sandbox_exec::{
    Basis, Canceller, Command, DiskLimit, Error, Finished, Identity, Landlock, Limits, Output,
    Policy, RootSpec, Running, Sandbox, Stdin, UidPool, Verdict,
};

use crate::{boxes, sys};

/// The ordinary box as data. An attack runs in [`Setup::new`], its twin in the same but for one thing.
#[derive(Debug, Clone)]
#[must_use]
pub struct Setup {
    /// Ids of the payload; also how a test finds its processes on the host.
    pub identity: Identity,
    /// The pool that gives each run its ids instead.
    pub pool: Option<UidPool>,
    /// Limits.
    pub limits: Limits,
    /// File tree.
    pub root: RootSpec,
    /// Whether the policy is in force.
    pub filter: bool,
    /// The policy; `judge` unless told.
    pub policy: Policy,
    /// Whether calls that the policy reports are let through.
    pub observed: bool,
    /// Whether the box has a network of its own.
    pub own_network: bool,
    /// Quotas: of a directory's file system for the payload's uid, or of a directory as a project.
    pub quotas: Vec<(PathBuf, Option<u32>, DiskLimit)>,
    /// Whether it is under Landlock, and how much of it is required.
    pub landlock: Option<Landlock>,
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// Every control on.
    pub fn new() -> Self {
        Self {
            identity: boxes::identity(),
            pool: None,
            limits: boxes::limits(),
            root: boxes::root(),
            filter: true,
            policy: Policy::judge(),
            observed: false,
            own_network: true,
            quotas: Vec::new(),
            landlock: None,
        }
    }

    /// As it is, but for the limits.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// As it is, but for the file tree.
    pub fn root(mut self, change: impl FnOnce(RootSpec) -> RootSpec) -> Self {
        self.root = change(self.root);
        self
    }

    /// As it is, but that each run takes its ids from this pool.
    pub fn in_pool(mut self, pool: &UidPool) -> Self {
        self.pool = Some(pool.clone());
        self
    }

    /// As it is, but with one more quota.
    pub fn quota(mut self, directory: &Path, project: Option<u32>, limit: DiskLimit) -> Self {
        self.quotas.push((directory.to_owned(), project, limit));
        self
    }

    /// As it is, but for the filter.
    pub fn without_filter(mut self) -> Self {
        self.filter = false;
        self
    }

    /// As it is, but for the policy.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// As it is, but that calls that the policy reports are let through.
    pub fn observed(mut self) -> Self {
        self.observed = true;
        self
    }

    /// As it is, but in the host's network.
    pub fn in_host_network(mut self) -> Self {
        self.own_network = false;
        self
    }

    /// The box with the payload in it.
    ///
    /// # Panics
    /// Where it cannot be prepared.
    #[track_caller]
    #[must_use]
    pub fn sandbox(&self, args: &[&str]) -> Sandbox {
        self.sandbox_of(&boxes::command(args))
    }

    /// The box with any program in it.
    ///
    /// # Panics
    /// Where it cannot be prepared.
    #[track_caller]
    #[must_use]
    pub fn sandbox_of(&self, command: &Command) -> Sandbox {
        let wants_identity = Sandbox::builder().root(self.root.clone());
        let wants_limits = match &self.pool {
            Some(pool) => wants_identity.uid_pool(pool),
            None => wants_identity.identity(self.identity),
        };
        let wants_policy = wants_limits.limits(self.limits.clone());
        let mut builder = if self.filter && self.observed {
            wants_policy.dangerous().observe(self.policy.clone())
        } else if self.filter {
            wants_policy.policy(self.policy.clone())
        } else {
            wants_policy.dangerous().without_seccomp()
        };
        if let Some(landlock) = self.landlock {
            builder = builder.landlock(landlock);
        }
        for (directory, project, limit) in &self.quotas {
            builder = match project {
                Some(id) => builder.project_quota(directory, *id, *limit),
                None => builder.user_quota(directory, *limit),
            };
        }
        if !self.own_network {
            builder = builder.dangerous().share_network();
        }
        let built = builder.command(command);
        built.unwrap_or_else(|error| panic!("{}", boxes::full(&error)))
    }

    /// Runs the payload to its end, with an empty standard input; no process of the box is left on the host then.
    ///
    /// # Panics
    /// Where the box cannot be started, and where something is left.
    #[track_caller]
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Finished {
        let finished = boxes::finish(&self.sandbox(args));
        let left = crate::outside::processes_of(self.identity.uid);
        assert!(left.is_empty(), "left of the box: {left:?}");
        finished
    }

    /// Starts the payload and watches it in a thread, so that the test can look from outside meanwhile.
    ///
    /// # Panics
    /// Where the box cannot be started.
    #[track_caller]
    #[must_use]
    pub fn live(self, args: &[&str]) -> Live {
        let started = self.start(args);
        let Started { running, .. } = started;
        Live {
            identity: running.identity(),
            stdin: started.stdin,
            stdout: started.stdout,
            canceller: running.canceller(),
            waiter: std::thread::spawn(move || running.wait()),
        }
    }

    /// Starts the payload, which nobody watches yet.
    ///
    /// # Panics
    /// Where the box cannot be started.
    #[track_caller]
    pub fn start(mut self, args: &[&str]) -> Started {
        // Its output comes through a pipe of the test, where the limit cannot count.
        self.limits.output = None;
        let (stdin, ours) = sys::pipe();
        let (stdout, theirs) = sys::pipe();
        let sandbox = self.sandbox(args);
        let running = sandbox.spawn(Stdin::Fd(stdin), Output::Fd(theirs), Output::Null);
        let running = running.unwrap_or_else(|error| panic!("{}", boxes::full(&error)));
        let mut started = Started {
            running,
            stdin: Some(ours.into()),
            stdout: BufReader::new(stdout.into()),
        };
        assert_eq!(started.line(), boxes::STARTED.trim_end());
        started
    }
}

/// A box that runs and that nobody watches.
#[derive(Debug)]
#[must_use]
pub struct Started {
    /// The box.
    pub running: Running,
    stdin: Option<File>,
    stdout: BufReader<File>,
}

impl Started {
    /// The next line of the payload.
    ///
    /// # Panics
    /// Where the payload ends instead.
    #[track_caller]
    pub fn line(&mut self) -> String {
        line_of(&mut self.stdout)
    }

    /// Ends the payload's standard input; most payloads go on then.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }
}

#[track_caller]
fn line_of(stdout: &mut BufReader<File>) -> String {
    let mut line = String::new();
    let read = stdout.read_line(&mut line).expect("a pipe can be read");
    assert!(read > 0, "the payload ended without another line");
    line.trim_end().to_owned()
}

/// A box that runs while the test looks at it.
#[derive(Debug)]
pub struct Live {
    /// Who the payload is.
    pub identity: Identity,
    stdin: Option<File>,
    stdout: BufReader<File>,
    canceller: Canceller,
    waiter: JoinHandle<Result<Finished, Error>>,
}

impl Live {
    /// The next line of the payload; the wall limit bounds how long that takes.
    ///
    /// # Panics
    /// Where the payload ends instead.
    #[track_caller]
    pub fn line(&mut self) -> String {
        line_of(&mut self.stdout)
    }

    /// Ends the payload's standard input; most payloads go on then.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Ends the run from here.
    #[track_caller]
    #[must_use]
    pub fn cancel(self) -> Finished {
        self.canceller.cancel();
        self.finish()
    }

    /// Ends the payload's standard input and waits for the end of the run.
    ///
    /// # Panics
    /// Where the run could not be watched.
    #[track_caller]
    #[must_use]
    pub fn finish(self) -> Finished {
        drop(self.stdin);
        let finished = self.waiter.join().expect("the watching thread is well");
        finished.unwrap_or_else(|error| panic!("{}", boxes::full(&error)))
    }
}

/// What was judged, and on which basis.
#[must_use]
pub fn judged(finished: &Finished) -> (Verdict, Basis) {
    let judgement = finished.outcome.judgement;
    (judgement.verdict, judgement.basis)
}

/// Fails with the whole evidence where the judgement is another one, or where the payload has not started.
///
/// # Panics
/// As said.
#[track_caller]
pub fn assert_judged(finished: &Finished, verdict: Verdict, basis: Basis) {
    if finished.outcome.evidence.stdout.seen.get() > 0 {
        drop(boxes::said(finished));
    }
    assert_eq!(
        judged(finished),
        (verdict, basis),
        "{:#?}\nstdout {:?}\nstderr {:?}",
        finished.outcome.evidence,
        String::from_utf8_lossy(&finished.stdout),
        String::from_utf8_lossy(&finished.stderr),
    );
}
