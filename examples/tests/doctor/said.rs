//! What the doctor said.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;

/// Every need, in the order of the report.
pub(crate) const NEEDS: [&str; 28] = [
    "kernel",
    "cgroups",
    "cpu_time",
    "memory",
    "processes",
    "cpu_rate",
    "cpu_set",
    "delegation",
    "swap",
    "namespaces",
    "user_namespaces",
    "namespace_limits",
    "namespace_sysctl",
    "namespace_apparmor",
    "proc_mounts",
    "id_helpers",
    "seccomp_profile",
    "seccomp",
    "seccomp_notify",
    "landlock",
    "box",
    "quota",
    "core_pattern",
    "aslr",
    "smt",
    "cpu_governor",
    "cpu_turbo",
    "huge_pages",
];

#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) text: String,
    /// Null unless `--json` was given.
    pub(crate) document: Value,
}

impl Said {
    #[track_caller]
    pub(crate) fn from(output: &Output) -> Self {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Self {
            status: output
                .status
                .code()
                .unwrap_or_else(|| panic!("it exits: {output:?}")),
            document: serde_json::from_str(&text).unwrap_or_default(),
            text,
        }
    }

    #[track_caller]
    pub(crate) fn findings(&self) -> &[Value] {
        let findings = self.document["findings"].as_array();
        findings.unwrap_or_else(|| panic!("status {}: {:?}", self.status, self.text))
    }

    #[track_caller]
    pub(crate) fn finding(&self, need: &str) -> &Value {
        let found = self.findings().iter().find(|one| one["need"] == need);
        found.unwrap_or_else(|| panic!("no line {need}"))
    }

    #[track_caller]
    pub(crate) fn state(&self, need: &str) -> &str {
        self.finding(need)["state"].as_str().expect("a text")
    }

    #[track_caller]
    pub(crate) fn found(&self, need: &str) -> &str {
        self.finding(need)["found"].as_str().expect("a text")
    }
}

/// The program, where every user may execute it, for the target directory may be root's alone.
#[derive(Debug)]
pub(crate) struct Doctor(tempfile::TempDir);

impl Doctor {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(dir.path(), open).expect("ours");
        let doctor = Self(dir);
        // By another process: a copy that this one writes is busy (ETXTBSY) for as long as a child that another test has just
        // forked holds its descriptor.
        let from = env!("CARGO_BIN_EXE_sandbox-doctor");
        let copied = Command::new("cp").arg(from).arg(doctor.path()).status();
        assert!(copied.expect("cp starts").success());
        doctor
    }

    /// Runs it with these options, started by the words before it.
    #[track_caller]
    pub(crate) fn says(&self, before: &[&str], options: &[&str]) -> Said {
        let mut words: Vec<_> = before.iter().map(PathBuf::from).collect();
        words.push(self.path());
        let mut command = Command::new(&words[0]);
        let command = command.args(&words[1..]).args(options).current_dir("/");
        Said::from(&command.output().expect("the doctor starts"))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("sandbox-doctor")
    }
}
