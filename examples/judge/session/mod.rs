//! One judging from start to end: load, probe, build, measure, run, report.

mod bounds;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sandbox_exec::{Hierarchies, UidPool, cgroup::Delegation};

use crate::{
    build::{self, Built, Program},
    cli::Args,
    context::Context,
    fatal::{Fatal, chain},
    language::{Language, Languages},
    package::{Package, promise::Bound},
    probe,
    report::{
        Reporter,
        assess::{Observed, assess},
        model::{LanguageState, Problem, Report, SubmissionReport, Summary},
    },
    run,
    runner::{RunError, Runner},
    settings::Settings,
    signals::Interrupt,
    slot::{Slot, UID_LOCKS, UIDS, work},
    stage::Origin,
    submission::{self, Submission},
    timelimit::{self, MEASURING_CAP, Origin as TimeOrigin},
    validator::custom::{self, Validators},
    workspace::Workspace,
};

/// Judges a package.
pub(crate) fn judge(
    args: &Args,
    interrupt: &Interrupt,
    reporter: &Reporter,
) -> Result<Summary, Fatal> {
    let mut delegation = None;
    if args.delegate {
        delegation = Some(Hierarchies::delegate_self()?);
    }
    let result = Session::start(args, interrupt, reporter).and_then(Session::judge);
    // What the group holds still is named by the result, or belongs to somebody else.
    if let Some(Err(error)) = delegation.as_mut().map(Delegation::undo) {
        let warning = format!("the judge stays aside in its cgroup: {}", chain(&error));
        reporter.warn(&warning).map_err(Fatal::io("writing"))?;
    }
    // Whatever a cancelled box is reported as: the signal is the reason.
    match interrupt.signal() {
        Some(signal) => Err(Fatal::Signal(signal)),
        None => result,
    }
}

struct Session<'a> {
    args: &'a Args,
    reporter: &'a Reporter,
    interrupt: &'a Interrupt,
    context: Context,
    submissions: Vec<Submission>,
    validators: Validators,
    warnings: Vec<String>,
    /// One for each submission.
    states: Vec<Mutex<State>>,
    /// Finished submissions by index.
    reports: Mutex<BTreeMap<usize, SubmissionReport>>,
}

#[derive(Default)]
struct State {
    program: Option<Arc<Program>>,
    observed: Observed,
    runs: BTreeMap<usize, run::TestRun>,
}

enum Job {
    Build(usize),
    Test { submission: usize, test: usize },
}

impl<'a> Session<'a> {
    /// Everything up to the first compilation of a submission.
    fn start(
        args: &'a Args,
        interrupt: &'a Interrupt,
        reporter: &'a Reporter,
    ) -> Result<Self, Fatal> {
        let languages = Languages::load(args.languages.as_deref())?;
        let package = Package::load(&args.problem)?;
        let found = submission::discover(&package, &languages, &args.submissions)?;
        let settings = Settings::new(&package, args.tool_time_factor)?;
        let workspace = Workspace::create().map_err(Fatal::io("making a temporary directory"))?;
        let is_root = workspace.owner().map_err(Fatal::io("looking at it"))? == 0;
        let pool = is_root.then(|| UidPool::open(UID_LOCKS, UIDS));
        let pool = pool.transpose().map_err(RunError::from)?;
        let runner = Runner::new(args.boxes_parent(), pool, interrupt.clone());
        let mut context = Context {
            package,
            settings,
            runner,
            precompiled: args.precompiled(),
            workspace,
            installed: BTreeMap::new(),
        };
        let first_limit = args.time_limit.or(context.package.limits().time);
        run::preflight(&context, first_limit.unwrap_or(MEASURING_CAP))?;
        let package = &context.package;
        let of_validators = custom::languages(&package.validators, &package.root, &languages)?;
        let needed: Vec<&Language> = found
            .submissions
            .iter()
            .filter(|submission| is_run(submission, first_limit.is_some()))
            .map(|submission| &submission.language)
            .chain(of_validators)
            .collect();
        for language in needed {
            if !context.installed.contains_key(&language.code) {
                let installed = probe::probe(&context, language)?;
                context.installed.insert(language.code.clone(), installed);
            }
        }
        let validators = Validators::build(&context, &languages)?;
        let mut warnings = found.warnings;
        if let Some(directory) = &args.artefacts {
            warnings.push(format!(
                "the package's programs were not compiled here but are taken from {}",
                directory.display()
            ));
        }
        for warning in &warnings {
            reporter.warn(warning).map_err(Fatal::io("writing"))?;
        }
        Ok(Self {
            args,
            reporter,
            interrupt,
            states: found.submissions.iter().map(|_| Mutex::default()).collect(),
            context,
            submissions: found.submissions,
            validators,
            warnings,
            reports: Mutex::default(),
        })
    }

    fn judge(mut self) -> Result<Summary, Fatal> {
        let given = match (self.args.time_limit, self.context.package.limits().time) {
            (Some(limit), _) => Some((limit, TimeOrigin::CommandLine)),
            (None, Some(limit)) => Some((limit, TimeOrigin::Package)),
            (None, None) => None,
        };
        let selected = |session: &Self| session.indices(|s| s.selected);
        let limit = if let Some((limit, _)) = given {
            self.phase(&selected(&self), limit, Some(limit))?;
            given
        } else {
            let measuring = self.indices(|s| s.bounds(Bound::Lower));
            self.phase(&measuring, MEASURING_CAP, None)?;
            let limit = self.infer(&measuring)?;
            for &index in &measuring {
                self.finish(index, limit)?;
            }
            let rest: Vec<usize> = self
                .indices(|s| s.selected || s.bounds(Bound::Upper))
                .into_iter()
                .filter(|index| !measuring.contains(index))
                .collect();
            let rule = self.context.package.limits().time_rule;
            self.phase(&rest, timelimit::least_tle(rule, limit), Some(limit))?;
            self.check_upper(limit)?;
            Some((limit, TimeOrigin::Measured))
        };
        if let Some((limit, TimeOrigin::Package)) = limit {
            self.warn_of_bounds(limit)?;
        }
        self.report(limit)
    }

    fn indices(&self, wanted: impl Fn(&Submission) -> bool) -> Vec<usize> {
        let all = self.submissions.iter().enumerate();
        all.filter(|(_, submission)| wanted(submission))
            .map(|(index, _)| index)
            .collect()
    }

    /// Builds and runs some submissions with `cap` of CPU time; finishes them where the time limit is known.
    fn phase(
        &self,
        indices: &[usize],
        cap: Duration,
        limit: Option<Duration>,
    ) -> Result<(), Fatal> {
        let tests = self.context.package.tests.len();
        self.reporter.expect(indices.len() * (tests + 1));
        let jobs = indices.iter().map(|index| Job::Build(*index));
        work(
            self.args.jobs,
            jobs,
            self.interrupt,
            |slot, job| match job {
                Job::Build(index) => self.build(slot, index, limit),
                Job::Test { submission, test } => {
                    self.test(slot, submission, test, cap, limit)?;
                    Ok(Vec::new())
                }
            },
        )
    }

    fn build(&self, slot: Slot, index: usize, limit: Option<Duration>) -> Result<Vec<Job>, Fatal> {
        let Some(submission) = self.submissions.get(index) else {
            return Ok(Vec::new());
        };
        let tests = self.context.package.tests.len();
        let mut program = None;
        let mut observed = Observed::default();
        match self.context.binds(&submission.language) {
            Err(reason) => observed.not_installed = Some(reason),
            Ok(binds) => {
                let package = &self.context.package;
                let includes = package.includes(&submission.language.code)?;
                let root = if submission.source.starts_with(&package.root) {
                    &package.root
                } else {
                    &submission.root
                };
                let origin = Origin {
                    source: &submission.source,
                    root,
                    includes: &includes,
                    include_root: &package.root,
                    constants: &package.metadata.constants,
                    code: package.limits().code,
                };
                let entry = submission.entry.as_deref();
                let language = &submission.language;
                match build::build(&self.context, slot, &origin, language, entry, binds)? {
                    Built::Program(built, outcome) => {
                        observed.compiler = outcome;
                        program = Some(built);
                    }
                    Built::Failed { message, outcome } => {
                        observed.compiler = outcome;
                        observed.compile_error = Some(message);
                    }
                }
            }
        }
        self.reporter.step(1, &submission.path);
        let run = program.is_some();
        let mut state = self.state(index)?;
        state.program = program;
        state.observed = observed;
        drop(state);
        if run {
            let job = |test| Job::Test {
                submission: index,
                test,
            };
            return Ok((0..tests).map(job).collect());
        }
        self.reporter.step(tests, &submission.path);
        if let Some(limit) = limit {
            self.finish(index, limit)?;
        }
        Ok(Vec::new())
    }

    fn test(
        &self,
        slot: Slot,
        index: usize,
        number: usize,
        cap: Duration,
        limit: Option<Duration>,
    ) -> Result<(), Fatal> {
        let tests = &self.context.package.tests;
        let program = self.state(index)?.program.clone();
        let (Some(test), Some(program)) = (tests.get(number), program) else {
            return Ok(());
        };
        let result = run::test(&self.context, slot, &program, test, &self.validators, cap)?;
        self.reporter.step(1, &test.name);
        let mut state = self.state(index)?;
        state.runs.insert(number, result);
        let done = state.runs.len() == tests.len();
        drop(state);
        if let (true, Some(limit)) = (done, limit) {
            self.finish(index, limit)?;
        }
        Ok(())
    }

    fn state(&self, index: usize) -> Result<MutexGuard<'_, State>, Fatal> {
        let state = self.states.get(index);
        let state = state.ok_or(Fatal::Run(RunError::Interrupted))?;
        Ok(state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A submission is complete: assess it under the final limit and tell.
    fn finish(&self, index: usize, limit: Duration) -> Result<(), Fatal> {
        let Some(submission) = self.submissions.get(index) else {
            return Ok(());
        };
        let limits = self
            .context
            .settings
            .run(limit, submission.language.processes);
        let mut state = self.state(index)?;
        let runs = std::mem::take(&mut state.runs);
        state.observed.tests = runs
            .into_iter()
            .filter_map(|(number, run)| {
                let test = self.context.package.tests.get(number)?;
                Some((test.name.clone(), run))
            })
            .collect();
        let report = assess(submission, &state.observed, &limits);
        drop(state);
        if submission.selected {
            self.reporter
                .submission(&report)
                .map_err(Fatal::io("writing"))?;
        }
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.insert(index, report);
        Ok(())
    }

    fn report(self, limit: Option<(Duration, TimeOrigin)>) -> Result<Summary, Fatal> {
        let package = &self.context.package;
        let problem = Problem {
            path: package.root.display().to_string(),
            format: package.metadata.format,
            tests: package.tests.len(),
            time_limit: limit.map(|(limit, _)| limit),
            time_limit_origin: limit.map(|(_, origin)| origin),
            memory_limit: self.context.settings.memory,
            output_limit: self.context.settings.output,
        };
        let languages = self
            .context
            .installed
            .into_iter()
            .map(|(code, state)| {
                let reason = state.err();
                let installed = reason.is_none();
                (code, LanguageState { installed, reason })
            })
            .collect();
        let reports = self.reports.into_inner();
        let submissions = reports
            .unwrap_or_else(PoisonError::into_inner)
            .into_iter()
            .filter(|(index, _)| self.submissions.get(*index).is_some_and(|s| s.selected))
            .map(|(_, report)| report)
            .collect();
        let report = Report::new(problem, self.warnings, languages, submissions);
        self.reporter
            .finish(&report)
            .map_err(Fatal::io("writing the report"))?;
        Ok(report.summary)
    }
}

/// Whether a submission is run at all: asked for, or needed to find the time limit.
fn is_run(submission: &Submission, limit_is_given: bool) -> bool {
    let bounds = |bound| !limit_is_given && submission.bounds(bound);
    submission.selected || bounds(Bound::Lower) || bounds(Bound::Upper)
}
