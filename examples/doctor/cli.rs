//! The command line and the exit status.

use std::path::PathBuf;

use clap::Parser;
use sandbox_exec::{
    CgroupParent,
    doctor::{Health, Options, Report, State},
};

/// Says what this host offers to sandboxes, what is missing, what that costs, and what to type.
#[derive(Debug, Parser)]
#[command(
    name = "sandbox-doctor",
    version,
    after_help = "One line per need: ok, degraded (works, at a price), missing, unknown (nobody could look). A star marks \
        what boxes of the calling user depend on.\n\
        \n\
        Exit status:\n  \
          0  nothing that is marked is missing; with --strict, everything is ok\n  \
          1  something marked is missing; with --strict, anything is not ok\n  \
          2  something marked could not be looked at, or the command line is wrong\n\
        \n\
        Run it as the user that will start the boxes: needs differ between root and others. It tries what it can, in \
        throw-away processes and groups, and changes nothing; on cgroup v2 the controllers of the parent stay enabled for \
        its children, as after a run."
)]
pub(crate) struct Args {
    /// Write one JSON document instead of lines; its shape is in docs/doctor.md.
    #[arg(long)]
    pub(crate) json: bool,

    /// Count what is degraded, unknown or optional as well.
    #[arg(long)]
    pub(crate) strict: bool,

    /// The directory whose file system holds what programs leave on disk.
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    pub(crate) work_dir: PathBuf,

    /// Where the boxes' cgroups would be made in each hierarchy: its root, the caller's own group, or a path in it.
    #[arg(long, value_name = "root|own|PATH", default_value = "root")]
    pub(crate) cgroup_parent: String,
}

/// Exit status where nothing can be said.
pub(crate) const COULD_NOT_LOOK: u8 = 2;

impl Args {
    /// What to look at.
    pub(crate) fn options(&self) -> Options {
        let parent = match self.cgroup_parent.as_str() {
            "root" => CgroupParent::Root,
            "own" => CgroupParent::Own,
            path => CgroupParent::Path(PathBuf::from(path)),
        };
        Options::default()
            .cgroup_parent(parent)
            .work_dir(&self.work_dir)
    }
}

/// What the report comes to, for scripts.
pub(crate) fn exit_status(report: &Report, strict: bool) -> u8 {
    let flawless = || {
        report
            .findings
            .iter()
            .all(|finding| finding.state == State::Ok)
    };
    match report.health() {
        Health::Missing => 1,
        Health::Unknown => COULD_NOT_LOOK,
        Health::Ok if strict && !flawless() => 1,
        Health::Ok => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{Args, exit_status};
    use clap::{CommandFactory as _, Parser as _};
    use sandbox_exec::{
        CgroupParent,
        doctor::{Options, Report},
    };

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
        assert!(Args::try_parse_from(["sandbox-doctor", "--no-such"]).is_err());
        let args = Args::try_parse_from(["sandbox-doctor", "--cgroup-parent", "own"]).unwrap();
        let expected = Options::default().cgroup_parent(CgroupParent::Own);
        assert_eq!(args.options(), expected);
    }

    /// Status without and with `--strict`.
    fn statuses(findings: &[(&str, bool)]) -> (u8, u8) {
        let findings: Vec<_> = findings
            .iter()
            .map(|(state, required)| {
                serde_json::json!({"need": "box", "state": state, "required": required, "found": "",
                    "costs": null, "mend": null})
            })
            .collect();
        let report = serde_json::json!({"kernel": "", "privileged": true, "findings": findings});
        let report: Report = serde_json::from_value(report).unwrap();
        (exit_status(&report, false), exit_status(&report, true))
    }

    #[test]
    fn only_strict_counts_what_is_not_required() {
        assert_eq!(statuses(&[("ok", true), ("ok", false)]), (0, 0));
        assert_eq!(statuses(&[("degraded", true)]), (0, 1));
        assert_eq!(statuses(&[("missing", false)]), (0, 1));
        assert_eq!(statuses(&[("unknown", false)]), (0, 1));
        assert_eq!(statuses(&[("missing", true)]), (1, 1));
        assert_eq!(statuses(&[("unknown", true)]), (2, 2));
        assert_eq!(statuses(&[("unknown", true), ("missing", true)]), (1, 1));
    }
}
