//! The file tree through the whole sandbox: what is in it is what the rules name, and what may be written is what they say.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command as Program,
};

use sandbox_exec::{
    Command, MountFlags, RootSpec,
    fs::{FileMode, IdMapping, ProcView, Rule, Upper},
};
use sandbox_test_support::{Setup, boxes, host, in_child, outside, scene};

/// A directory of the host that everybody may write, with one file in it.
fn open_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("our directory");
    fs::write(dir.path().join("file"), "x").expect("our directory");
    dir
}

/// The directories of the host that the ordinary box shows as a whole.
fn shown(root: &RootSpec) -> Vec<String> {
    let binds = root.rules().iter().filter_map(|rule| match rule {
        Rule::Bind { source, target, .. } if source.is_dir() => Some(Path::new("/").join(target)),
        _ => None,
    });
    binds.map(|path| path.display().to_string()).collect()
}

/// What a walk through the box must find, from the rules alone.
fn expected(root: &RootSpec) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rule in root.rules() {
        let target = Path::new("/").join(rule.target());
        let kind = match rule {
            Rule::Bind { source, .. } if !source.exists() => continue,
            Rule::Bind { source, .. } if source.is_file() => 'f',
            Rule::Symlink { .. } => 'l',
            Rule::File { .. } => 'f',
            _ => 'd',
        };
        if let Rule::Dev { .. } = rule {
            let at = target.display();
            let nodes = ["null", "zero", "full", "random", "urandom"];
            found.extend(nodes.map(|name| format!("s {at}/{name}")));
            let links = ["fd", "stdin", "stdout", "stderr"];
            found.extend(links.map(|name| format!("l {at}/{name}")));
        }
        found.insert(format!("{kind} {}", target.display()));
        let above = target
            .ancestors()
            .skip(1)
            .filter(|dir| *dir != Path::new("/"));
        found.extend(above.map(|dir| format!("d {}", dir.display())));
    }
    found
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn what_is_inside_is_what_the_rules_name() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let dir = open_dir();
    let setup = Setup::new().root(|root| {
        root.bind(dir.path(), "deep/below/dir", MountFlags::empty())
            .bind("/nowhere/at/all", "absent", MountFlags::OPTIONAL)
            .file("etc/motd", "hello", FileMode::Plain)
            .symlink("etc/link", "motd")
            .dir("empty")
    });
    let mut skip = shown(&setup.root);
    skip.push("/proc".into());
    let args: Vec<&str> = ["walk"]
        .into_iter()
        .chain(skip.iter().map(String::as_str))
        .collect();
    let found = lines(&boxes::said(&setup.run(&args)));
    assert_eq!(found, expected(&setup.root));
    // What a bind shows is what the host has there, no more.
    let inner =
        boxes::said(&setup.run(&["walk", "/usr", "/proc", "/lib", "/lib64", "/bin", "/sbin"]));
    assert!(lines(&inner).contains("f /deep/below/dir/file"), "{inner}");
}

/// A program that walks everything it can reach finds mounts, devices and writable places as the rules name them, at every
/// level of what is mounted below a bind, and no other.
#[test]
fn everything_that_can_be_reached_is_restricted_as_the_rules_say() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    // Here, where nothing is mounted in it when it is removed.
    let dir = open_dir();
    in_child(|| {
        scene::unshare_mounts();
        // On the host all of it can be written, and set-user-id programs and devices work.
        let levels = [dir.path().join("a"), dir.path().join("a/b")];
        for level in &levels {
            fs::create_dir(level).expect("ours");
            let mount = ["-t", "tmpfs", "-o", "mode=0777", "tmpfs"];
            let status = Program::new("mount").args(mount).arg(level).status();
            assert!(status.expect("mount(8)").success());
        }
        let own = fs::read_to_string("/proc/self/mountinfo").expect("readable");
        for level in &levels {
            let loose = format!(" {} rw,relatime", level.display());
            assert!(own.contains(&loose), "the twin: {own}");
        }
        let setup = Setup::new().root(|root| {
            root.bind(dir.path(), "deep", MountFlags::empty())
                .bind(dir.path(), "loud", MountFlags::WRITABLE)
                .bind(dir.path(), "flat", MountFlags::NON_RECURSIVE)
                .bind(dir.path(), "quiet", W | MountFlags::NOEXEC)
        });
        // A host's /usr has a hundred thousand names.
        let setup = setup.limits(|limits| {
            limits.cpu_time = Some(host::patience(60_000));
            limits.wall_time = Some(host::patience(120_000));
        });
        // Where it is emulated, the files of the host come one by one.
        let skip: &[&str] = if host::is_emulated() { &["/usr"] } else { &[] };
        let args = [&["survey"], skip].concat();
        let found = lines(&boxes::said(&setup.run(&args)));
        let binds = setup.root.rules().iter().filter_map(|rule| match rule {
            Rule::Bind { source, target, .. } if source.exists() => {
                Some(Path::new("/").join(target).display().to_string())
            }
            _ => None,
        });
        let closed = "ro,nosuid,nodev";
        let mut expected: BTreeSet<String> = binds
            .filter(|target| !["/loud", "/quiet"].contains(&target.as_str()))
            .map(|target| format!("mount {target} {closed} private"))
            .collect();
        let mounted = |point: &str, flags: &str| format!("mount {point} {flags} private");
        expected.insert(mounted("/", closed));
        expected.insert(mounted("/tmp", OPEN));
        expected.insert(mounted("/proc", &format!("{closed},noexec")));
        for below in ["", "/a", "/a/b"] {
            expected.insert(mounted(&format!("/deep{below}"), closed));
            expected.insert(mounted(&format!("/loud{below}"), OPEN));
            let flags = format!("{OPEN},noexec");
            expected.insert(mounted(&format!("/quiet{below}"), &flags));
        }
        for (name, number) in [
            ("null", 3),
            ("zero", 5),
            ("full", 7),
            ("random", 8),
            ("urandom", 9),
        ] {
            let flags = "ro,nosuid,noexec";
            expected.insert(mounted(&format!("/dev/{name}"), flags));
            expected.insert(format!("level /dev/{name} {flags}"));
            expected.insert(format!("device /dev/{name} 1:{number} 666"));
        }
        let rest = format!(
            "level / {closed}\nlevel /tmp {OPEN}\nlevel /proc {closed},noexec\nlevel /loud {OPEN}\n\
             level /quiet {OPEN},noexec\nproc 2\nproc self\nproc thread-self\n\
             descriptor 0 no directory\ndescriptor 1 no directory\ndescriptor 2 no directory"
        );
        expected.append(&mut lines(&rest));
        let writable = [
            "/tmp",
            "/loud",
            "/loud/a",
            "/loud/a/b",
            "/quiet",
            "/quiet/a",
            "/quiet/a/b",
        ];
        expected.extend(writable.map(|path| format!("writable {path}")));
        assert_eq!(found, expected);
    });
}

const W: MountFlags = MountFlags::WRITABLE;
const OPEN: &str = "rw,nosuid,nodev";

#[test]
fn nothing_else_of_the_host_can_be_reached() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let dir = open_dir();
    let secret = dir.path().join("file");
    let path = secret.to_str().expect("plain");
    let setup = Setup::new();
    let ways = [
        path.to_owned(),
        format!("/../../../..{path}"),
        format!("/proc/self/root{path}"),
        format!("/proc/self/cwd/../../..{path}"),
        format!("/proc/self/task/2/root{path}"),
        format!("/proc/1/root{path}"),
        format!("/proc/self/fd/0{path}"),
        format!("/proc/self/fd/3{path}"),
        format!("/usr/../..{path}"),
        format!("/dev/fd/../../root{path}"),
    ];
    for way in &ways {
        let said = boxes::said(&setup.run(&["stat", way]));
        assert!(said.starts_with("stat: errno "), "{way}: {said}");
    }
    let uid = setup.identity.uid;
    for way in [path.to_owned(), format!("/proc/self/root{path}")] {
        assert_eq!(
            outside::run(uid, &["stat", &way]),
            "stat: ok 0\n",
            "{way} on the host"
        );
    }
}

#[test]
fn only_what_the_rules_say_can_be_written() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let [read_only, writable] = [open_dir(), open_dir()];
    let setup = Setup::new().root(|root| {
        root.bind(read_only.path(), "ro", MountFlags::empty())
            .bind(writable.path(), "rw", MountFlags::WRITABLE)
            .tmpfs("closed", boxes::QUOTA, MountFlags::empty())
            .dir("empty")
    });
    let closed = [
        "/", "/usr", "/usr/bin", "/usr/lib", "/dev", "/ro", "/closed", "/empty",
    ];
    let open = ["/rw", "/tmp"];
    let args: Vec<&str> = ["try-writes"]
        .into_iter()
        .chain(closed)
        .chain(open)
        .collect();
    let said = boxes::said(&setup.run(&args));
    let refused = closed
        .map(|dir| format!("{dir}: errno {}\n", libc::EROFS))
        .concat();
    let allowed = open.map(|dir| format!("{dir}: ok 0\n")).concat();
    assert_eq!(said, refused + &allowed);
    assert!(!fs::exists(read_only.path().join("written")).expect("readable"));
    assert!(
        fs::exists(writable.path().join("written")).expect("readable"),
        "the twin"
    );
}

#[test]
fn two_boxes_share_no_scratch_space() {
    if !host::has(&["root", "memory", "pids", "cpuacct"]) {
        return;
    }
    let setup = Setup::new();
    let first = setup.sandbox(&["try-writes", "/tmp"]);
    assert_eq!(boxes::said(&boxes::finish(&first)), "/tmp: ok 0\n");
    // The same sandbox again: its /tmp is a new one.
    let said = boxes::said(&setup.run(&["stat", "/tmp/written"]));
    assert_eq!(said, format!("stat: errno {}\n", libc::ENOENT));
    let host: PathBuf = "/tmp/written".into();
    assert!(!host.exists(), "nor is it the host's");
}

/// Every kind of rule at once, in the whole box: what is made before the binds and what after them fits together.
#[test]
fn every_kind_of_rule_works_in_one_box() {
    if !host::has(&["root", "memory", "pids", "cpuacct", "linux6.5"]) {
        return;
    }
    let [lower, judges, given] = [open_dir(), open_dir(), open_dir()];
    let root_only = fs::Permissions::from_mode(0o700);
    fs::set_permissions(judges.path(), root_only).expect("our directory");
    let open = fs::Permissions::from_mode(0o666);
    fs::set_permissions(lower.path().join("file"), open).expect("our file");
    let handle = fs::File::open(given.path()).expect("our directory");
    let mut setup = Setup::new();
    let shown = setup.identity.uid;
    let overlay = Some(Upper::Memory(boxes::QUOTA));
    setup = setup.root(|root| {
        root.replace(Rule::Proc {
            target: "proc".into(),
            view: ProcView::Full,
        })
        .sysfs("sys")
        .mask_kernel_files()
        .devpts("dev/pts", 4)
        .symlink("dev/ptmx", "pts/ptmx")
        .shm(boxes::QUOTA)
        .overlay([lower.path()], overlay, "over", MountFlags::empty())
        .tmpfs("scratch", boxes::QUOTA, MountFlags::WRITABLE)
        .bind(lower.path(), "scratch/below", MountFlags::NOEXEC)
        .mask("scratch/below/file")
        .bind_open(handle.into(), "given", MountFlags::WRITABLE)
        .rule(Rule::IdmappedBind {
            source: judges.path().into(),
            target: "judges".into(),
            flags: MountFlags::empty(),
            ids: IdMapping {
                stored: 0,
                shown,
                count: 1,
            },
        })
    });
    let script = "set -e
        echo new >/over/new; echo changed >/over/file; cat /over/file
        cat /scratch/below/file; cat /judges/file
        echo out >/given/out; echo shm >/dev/shm/x
        test -d /sys/kernel; test ! -e /proc/sys/kernel; test -c /dev/ptmx
        ! echo x >/scratch/below/y; ! ls /proc/1";
    let finished = boxes::finish(&setup.sandbox_of(&Command::new("/bin/sh").args(["-c", script])));
    let said = String::from_utf8_lossy(&finished.stdout).into_owned();
    assert_eq!(
        said,
        "changed\nx",
        "{}",
        String::from_utf8_lossy(&finished.stderr)
    );
    assert_eq!(fs::read(lower.path().join("file")).expect("there"), b"x");
    assert!(!lower.path().join("new").exists());
    assert!(given.path().join("out").exists());
}
