//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use sandbox_exec::CgroupParent;

use crate::{package::limits::positive_seconds, precompiled::Precompiled};

/// Judges a problem package: compiles each submission in a sandbox, runs it on every test in a fresh one, and says
/// whether each verdict is the one that the submission's directory promises.
#[derive(Debug, Parser)]
#[command(
    name = "judge",
    version,
    after_help = "Formats: Kattis / ICPC problem packages, legacy and 2025-09, pass-fail problems.\n\
        \n\
        Exit status:\n  \
          0  each verdict is the one that is promised\n  \
          1  at least one is not\n  \
          2  the package, the sandbox or the host is at fault, or a test has no verdict\n  \
          128+N  stopped by signal N, after cleaning up\n\
        Submissions whose compiler or interpreter is not installed on this host are shown and counted as \
        \"not installed\"; they neither keep nor break a promise, and do not change the exit status.\n\
        \n\
        Needs root, Linux 5.9 or newer, and cgroups with the memory, pids and CPU accounting controllers."
)]
pub(crate) struct Args {
    /// The problem package: the directory with problem.yaml.
    pub(crate) problem: PathBuf,

    /// Submissions to judge; all of the package's where none is given. A path below submissions/ (accepted/sum.cpp,
    /// accepted), or any other file or directory, of which nothing is promised.
    pub(crate) submissions: Vec<PathBuf>,

    /// Tests to judge at once, each under a user id of its own from 60000 on.
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) jobs: u32,

    /// CPU time of a run in seconds, in place of the package's own limit.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) time_limit: Option<Duration>,

    /// Write one JSON document instead of lines; its shape is in docs/judge.md.
    #[arg(long)]
    pub(crate) json: bool,

    /// A table of languages in place of the built-in one.
    #[arg(long, value_name = "FILE")]
    pub(crate) languages: Option<PathBuf>,

    /// Keep what the compilers make of the package's programs in DIR, for --artefacts.
    #[arg(long, value_name = "DIR", conflicts_with = "artefacts")]
    pub(crate) keep_artefacts: Option<PathBuf>,

    /// Compile no program of the package: take what --keep-artefacts left in DIR.
    #[arg(long, value_name = "DIR")]
    pub(crate) artefacts: Option<PathBuf>,

    /// Give compilers, probes and validators N times their time, on a machine that is so much slower.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) tool_time_factor: u32,

    /// Where the boxes' cgroups are made in each hierarchy: its root, the judge's own group, or a path in it.
    #[arg(long, value_name = "root|own|PATH", default_value = "root", value_parser = parent)]
    pub(crate) cgroup_parent: CgroupParent,

    /// Make the boxes' cgroups in the judge's own group, which was handed over (systemd: Delegate=yes; a container of its own):
    /// the judge moves aside in there for as long as it runs.
    #[arg(long, conflicts_with = "cgroup_parent")]
    pub(crate) delegate: bool,
}

impl Args {
    /// Where the boxes' cgroups are made.
    pub(crate) fn boxes_parent(&self) -> CgroupParent {
        if self.delegate {
            CgroupParent::Own
        } else {
            self.cgroup_parent.clone()
        }
    }

    /// Whether and where compilers' work is kept or taken from.
    pub(crate) fn precompiled(&self) -> Precompiled {
        match (&self.artefacts, &self.keep_artefacts) {
            (Some(directory), _) => Precompiled::Take(directory.clone()),
            (None, Some(directory)) => Precompiled::Keep(directory.clone()),
            (None, None) => Precompiled::No,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(positive_seconds)
        .ok_or_else(|| "not a positive number of seconds".to_owned())
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "clap wants a parser that may fail; a bad path is found when the cgroup is made"
)]
fn parent(text: &str) -> Result<CgroupParent, String> {
    Ok(match text {
        "root" => CgroupParent::Root,
        "own" => CgroupParent::Own,
        path => CgroupParent::Path(PathBuf::from(path)),
    })
}

#[cfg(test)]
mod tests {
    use super::Args;
    use clap::{CommandFactory as _, Parser as _};
    use std::time::Duration;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "--jobs=0",
            "--jobs=1000",
            "--time-limit=0",
            "--time-limit=x",
            "--time-limit=-1",
            "--time-limit=nan",
        ] {
            assert!(Args::try_parse_from(["judge", bad, "p"]).is_err(), "{bad}");
        }
        let args = Args::try_parse_from(["judge", "--time-limit", "1.5", "p", "a", "b"]).unwrap();
        assert_eq!(args.time_limit, Some(Duration::from_millis(1500)));
        assert_eq!(args.submissions.len(), 2);
    }
}
