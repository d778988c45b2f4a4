//! Small packages made on the spot, and running the judge on them.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// Prints its input, which is the answer of every test of [`Package::legacy`].
pub(crate) const ECHO: &str = "print(input())\n";
/// Prints what no test expects.
pub(crate) const WRONG: &str = "print('no')\n";

/// A package in a directory of its own, beside the judge's temporary directory.
pub(crate) struct Package {
    base: TempDir,
}

impl Package {
    /// A sound legacy package: one secret test, one accepted submission, a time limit of one second.
    pub(crate) fn legacy() -> Self {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("tmp")).unwrap();
        let package = Self { base };
        package
            .write("problem.yaml", "name: echo\nlimits: {memory: 128}\n")
            .write(".timelimit", "1\n")
            .write("data/secret/1.in", "hello\n")
            .write("data/secret/1.ans", "hello\n")
            .write("submissions/accepted/echo.py", ECHO);
        package
    }

    /// The same in format 2025-09.
    pub(crate) fn current() -> Self {
        let package = Self::legacy();
        package.remove(".timelimit").write(
            "problem.yaml",
            "problem_format_version: 2025-09\nname: echo\nuuid: 0\nlimits: {time_limit: 1, memory: 128}\n",
        );
        package
    }

    /// The package's directory.
    pub(crate) fn root(&self) -> PathBuf {
        self.base.path().join("echo")
    }

    /// The judge's temporary directory.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.base.path().join("tmp")
    }

    /// Writes a file of the package.
    pub(crate) fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Makes a symbolic link in the package.
    pub(crate) fn link(&self, path: &str, points_to: &str) -> &Self {
        symlink(points_to, self.root().join(path)).unwrap();
        self
    }

    /// Removes a file or directory of the package.
    pub(crate) fn remove(&self, path: &str) -> &Self {
        let path = self.root().join(path);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        self
    }

    /// The judge on this package, not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = judge(&self.root(), &self.tmp());
        command.args(arguments);
        command
    }

    /// Runs the judge, and asserts that nothing is left in its temporary directory.
    pub(crate) fn judge(&self, arguments: &[&str]) -> Judged {
        let judged = Judged(self.command(arguments).output().unwrap());
        let left: Vec<_> = fs::read_dir(self.tmp()).unwrap().collect();
        assert!(left.is_empty(), "left behind: {left:?}");
        judged
    }
}

/// The judge on a package, with a temporary directory of its own.
pub(crate) fn judge(problem: &Path, tmp: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_judge"));
    command
        .arg(problem)
        .env("TMPDIR", tmp)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What the judge said.
#[derive(Debug)]
pub(crate) struct Judged(pub(crate) Output);

impl Judged {
    /// Its exit status.
    pub(crate) fn status(&self) -> Option<i32> {
        self.0.status.code()
    }

    /// Its standard output.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    /// Its standard error.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    /// Its standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.0.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout(), self.stderr()))
    }
}

/// The entry of one submission in a report.
pub(crate) fn submission<'r>(report: &'r Value, path: &str) -> &'r Value {
    let all = report["submissions"].as_array().unwrap();
    all.iter()
        .find(|submission| submission["path"] == path)
        .unwrap_or_else(|| panic!("no {path} in {report:#}"))
}
