//! What a compiler leaves is hostile: whoever wrote the sources may have chosen every name and byte of it.

use sandbox_test_support::host;

use crate::package::{Package, submission};

/// Judges a submission whose compiler is this shell script.
fn compiled_by(script: &str) -> (String, String) {
    let package = Package::legacy();
    let table = format!(
        "[[language]]\ncode = 'python3'\nname = 'Python'\nextensions = ['.py']\n\
         run = ['python3', '/box/{{entry}}']\nprobe = ['python3', '--version']\n\
         [[language]]\ncode = 'sh'\nname = 'Shell'\nextensions = ['.sh']\nprobe = ['true']\n\
         compile = ['/bin/sh', '-c', '''{script}''']\nrun = ['/box/program']\n"
    );
    package
        .write("table.toml", &table)
        .write("submissions/compile_error/x.sh", "x");
    let path = package.root().join("table.toml");
    let judged = package.judge(&["--json", "--languages", path.to_str().unwrap()]);
    let report = judged.json();
    let entry = submission(&report, "compile_error/x.sh");
    let text = |name: &str| entry[name].as_str().unwrap().to_owned();
    (text("verdict"), text("detail"))
}

#[test]
fn only_regular_files_leave_the_compilers_box() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    for (script, part) in [
        (
            "ln -s /etc/shadow /box/program",
            "neither a file nor a directory",
        ),
        ("mkfifo /box/program", "neither a file nor a directory"),
        ("cd /box; for i in $(seq 5000); do : > $i; done", "4096"),
        (
            "d=/box; for i in $(seq 40); do d=$d/x; mkdir $d; done; : > $d/y",
            "levels",
        ),
        ("mkdir /box/x.sh", "cannot write"),
        ("mkdir /box/program", "no program"),
        ("true", "no program"),
        (": > /src/x", "exit code 2"),
        (": > /usr/x", "exit code 2"),
        ("cat /etc/shadow", "exit code 1"),
        ("kill -9 $$", "signal 9"),
        (
            "head -c 400000000 /dev/zero > /box/program",
            "disk limit exceeded",
        ),
    ] {
        let (verdict, detail) = compiled_by(script);
        assert_eq!(verdict, "compile_error", "{script}: {detail}");
        assert!(detail.contains(part), "{script}: {detail}");
    }
    let (verdict, _) =
        compiled_by("printf \"#!/bin/sh\\ncat\" > /box/program; chmod 777 /box/program");
    assert_eq!(
        verdict, "accepted",
        "the means work: a plain file does leave the box"
    );
}
