//! Runtimes that read proc(5) start with its smallest view. As root, on the real kernel.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use sandbox_core::Bytes;
use sandbox_fs::{MountFlags, Quota, RootSpec};
use support::{ROOMY, USER, become_user, in_box, in_child};

const MAIN: &str =
    "class Main { public static void main(String[] a) { System.out.println(6 * 7); } }";

/// Runs `program` as an unprivileged PID 2 and gives what it printed.
fn run(program: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().current_dir("/tmp");
    command.output().expect("the program starts")
}

fn start(program: &Path, arguments: &[&str], expected: &str) {
    in_child(|| {
        let quota = Quota {
            bytes: Bytes::mib(64),
            inodes: 1000,
        };
        let spec = RootSpec::minimal(ROOMY)
            .bind(
                "/etc/alternatives",
                "etc/alternatives",
                MountFlags::OPTIONAL,
            )
            .bind(
                "/etc/java-17-openjdk",
                "etc/java-17-openjdk",
                MountFlags::OPTIONAL,
            )
            .bind("/opt", "opt", MountFlags::OPTIONAL)
            .tmpfs("tmp", quota, MountFlags::WRITABLE);
        in_box(&spec, || {
            assert!(!Path::new("/proc/meminfo").exists());
            in_child(|| {
                become_user(USER);
                fs::write("/tmp/Main.java", MAIN).unwrap();
                let output = run(program, arguments);
                let text = [output.stdout, output.stderr].concat();
                let text = String::from_utf8_lossy(&text);
                assert!(output.status.success(), "{}: {text}", output.status);
                assert!(text.contains(expected), "{text}");
            });
        });
    });
}

/// Where a program of the host is, if it is installed below what the box binds.
fn installed(name: &str) -> Option<PathBuf> {
    let found = Path::new("/usr/bin").join(name);
    fs::metadata(&found).is_ok().then_some(found)
}

#[test]
fn node_starts() {
    match installed("node") {
        Some(node) => start(&node, &["-e", "console.log(6 * 7)"], "42"),
        None => skipped("node"),
    }
}

#[test]
fn java_compiles_and_runs() {
    match installed("java") {
        Some(java) => start(&java, &["Main.java"], "42"),
        None => skipped("java"),
    }
}

#[test]
fn python_starts() {
    match installed("python3") {
        Some(python) => start(&python, &["-c", "print(6 * 7)"], "42"),
        None => skipped("python3"),
    }
}

#[test]
fn a_compiler_starts() {
    match installed("g++") {
        Some(compiler) => start(&compiler, &["-x", "c++", "-E", "/dev/null"], "#"),
        None => skipped("g++"),
    }
}

/// `SANDBOX_TEST_HOST=programs:node/java` declares what is there: what is declared and missing fails.
#[expect(clippy::print_stderr, reason = "no test is skipped in silence")]
fn skipped(what: &str) {
    let declared = std::env::var("SANDBOX_TEST_HOST").unwrap_or_default();
    let mut lists = declared
        .split(',')
        .filter_map(|item| item.strip_prefix("programs:"));
    assert!(
        !lists.any(|list| list.split('/').any(|one| one == what)),
        "SANDBOX_TEST_HOST declares {what}, which /usr/bin lacks"
    );
    eprintln!("skipped: needs {what} in /usr/bin");
}
