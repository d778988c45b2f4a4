//! The table of runtimes, and which of them the environment declares.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

/// What `table.toml` says of one runtime; the fields are explained there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Runtime {
    pub(crate) name: String,
    #[expect(dead_code, reason = "for .ci/run, which installs it")]
    package: Option<String>,
    home: Vec<String>,
    #[serde(default)]
    sysroot: Vec<String>,
    source: String,
    #[serde(default)]
    pub(crate) compile: Vec<String>,
    pub(crate) run: Vec<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) binds: Vec<PathBuf>,
    pub(crate) fits: Fits,
    pub(crate) says: Vec<String>,
}

/// The preset for runs of solutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fits {
    StrictCompute,
    Interpreter,
}

/// Where a box has the sysroot of a compiler that is not below `/usr`.
pub(crate) const SYSROOT: &str = "/opt/sysroot";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    runtime: Vec<Runtime>,
}

pub(crate) fn table() -> Vec<Runtime> {
    let table: Table =
        toml::from_str(include_str!("table.toml")).expect("the table is well-formed");
    table.runtime
}

/// The directory of the programs.
pub(crate) fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("runtimes/programs")
}

impl Runtime {
    /// What is there of it on this machine.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.home.iter().find_map(|home| {
            if home.contains('/') {
                return Path::new(home).exists().then(|| home.into());
            }
            let path = env::var_os("PATH")?;
            env::split_paths(&path)
                .map(|directory| directory.join(home))
                .find(|program| program.is_file())
        })
    }

    /// The host's directory that compiling needs at [`SYSROOT`].
    pub(crate) fn sysroot(&self) -> Option<PathBuf> {
        let (program, arguments) = self.sysroot.split_first()?;
        let said = Command::new(program).args(arguments).output();
        let said = said.unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(said.status.success(), "{program}: {said:?}");
        let path = String::from_utf8(said.stdout).expect("a path in UTF-8");
        Some(path.trim_end().into())
    }

    /// A command of the table with its placeholders filled in.
    pub(crate) fn filled(&self, command: &[String]) -> Vec<String> {
        let home = self.home().unwrap_or_default();
        let home = home.to_str().expect("a path in UTF-8");
        let fill = |word: &String| {
            word.replace("{home}", home)
                .replace("{sysroot}", SYSROOT)
                .replace("{source}", &format!("/src/{}", self.source))
                .replace("{box}", "/box")
        };
        command.iter().map(fill).collect()
    }
}

/// The runtimes that are declared, of all that the table has; without a declaration, those that are there.
#[expect(clippy::print_stdout, reason = "what is assumed is said")]
pub(crate) fn declared(all: &[Runtime]) -> BTreeSet<String> {
    let found: BTreeSet<_> = all
        .iter()
        .filter(|runtime| runtime.home().is_some())
        .map(|runtime| runtime.name.clone())
        .collect();
    let Ok(text) = env::var("SANDBOX_TEST_HOST") else {
        println!("assumed are the runtimes that were found: {found:?}");
        return found;
    };
    let lists = text
        .split(',')
        .filter_map(|item| item.trim().strip_prefix("runtimes:"));
    let declared: BTreeSet<_> = lists
        .flat_map(|list| list.split('/'))
        .map(str::to_owned)
        .collect();
    let missing: Vec<_> = declared.difference(&found).collect();
    assert!(
        missing.is_empty(),
        "SANDBOX_TEST_HOST declares the runtimes {missing:?}, which this machine or the table lacks; found: {found:?}"
    );
    declared
}

/// Copies what was compiled from one directory of artefacts to another.
pub(crate) fn copy_artefacts(from: &Path, to: &Path) {
    let entries = fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    for entry in entries {
        let entry = entry.expect("a directory of ours");
        let target = to.join(entry.file_name());
        fs::copy(entry.path(), target).expect("an artefact is a file");
    }
}
