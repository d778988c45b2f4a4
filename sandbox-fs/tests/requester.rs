//! What a requester tries with the copy that opens his sources: as root, on the real kernel.

mod support;

use std::{
    env, fs,
    os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
    path::Path,
    time::Instant,
};

use sandbox_fs::{Error, MountFlags, Requester, RootSpec};
use support::{ROOMY, USER, become_user, in_child, patience};

const RO: MountFlags = MountFlags::empty();

fn user() -> Requester {
    Requester {
        uid: USER,
        gid: USER,
        groups: Vec::new(),
    }
}

fn bind(path: impl AsRef<Path>) -> RootSpec {
    RootSpec::new(ROOMY).bind(path, "box", RO)
}

fn source_errno(spec: &RootSpec) -> Option<i32> {
    match spec.prepare() {
        Ok(_) => None,
        Err(Error::Source { source, .. }) => Some(source.raw()),
        Err(other) => panic!("{other}"),
    }
}

/// `top` (0700, root's) with the directory `inner` (0755) in it, which has a file.
fn hidden_dir() -> tempfile::TempDir {
    let top = tempfile::tempdir().unwrap();
    fs::set_permissions(top.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let inner = top.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(inner.join("file"), "x").unwrap();
    fs::set_permissions(inner.join("file"), fs::Permissions::from_mode(0o644)).unwrap();
    top
}

#[test]
fn the_embedders_directories_are_no_way_around_one_that_may_not_be_searched() {
    let top = hidden_dir();
    let inner = top.path().join("inner");
    in_child(|| {
        env::set_current_dir(&inner).unwrap();
        let open = fs::File::open(&inner).unwrap();
        let fd = open.as_raw_fd();
        let me = std::process::id();
        for path in [
            "/proc/self/cwd".to_owned(),
            "/proc/self/cwd/file".to_owned(),
            "/proc/thread-self/cwd/file".to_owned(),
            format!("/proc/{me}/cwd/file"),
            format!("/proc/self/fd/{fd}"),
            format!("/proc/self/fd/{fd}/file"),
            format!("/dev/fd/{fd}/file"),
        ] {
            let asked = source_errno(&bind(&path).requester(user()));
            // The links of a process that the requester may not trace are closed before they are magic.
            assert!(
                matches!(asked, Some(libc::ELOOP | libc::EACCES | libc::ENOENT)),
                "{path}: {asked:?}"
            );
        }
        // One rule for both: what a specification means does not depend on who prepares it.
        assert_eq!(
            source_errno(&bind("/proc/self/cwd/file")),
            Some(libc::ELOOP)
        );
    });
}

#[test]
fn a_relative_source_is_refused_by_name_whoever_asks() {
    let top = hidden_dir();
    in_child(|| {
        env::set_current_dir(top.path().join("inner")).unwrap();
        for path in [".", "file", "../inner/file", "./file", ""] {
            for spec in [bind(path), bind(path).requester(user())] {
                let error = spec.prepare().unwrap_err();
                assert_eq!(
                    error.to_string(),
                    format!(
                        "the source {path:?}, to be bound on \"box\", is relative; use an absolute path"
                    )
                );
            }
        }
    });
}

#[test]
fn ordinary_sources_open_for_a_requester() {
    let links = tempfile::tempdir().unwrap();
    fs::set_permissions(links.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let link = links.path().join("link");
    std::os::unix::fs::symlink("/usr/bin", &link).unwrap();
    let names = [
        "/usr",
        "/lib64",
        "/bin/sh",
        "/proc/cpuinfo",
        "/proc/self/mounts",
        "/proc/mounts",
    ];
    for path in names.into_iter().map(Path::new).chain([link.as_path()]) {
        for spec in [bind(path), bind(path).requester(user())] {
            assert_eq!(source_errno(&spec), None, "{}", path.display());
        }
    }
}

/// Children of the whole process, with or without an exit signal.
fn children(pid: u32) -> Vec<i32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok())
        .flat_map(|line| {
            let pids: Vec<_> = line
                .split_whitespace()
                .map(|pid| pid.parse().unwrap())
                .collect();
            pids
        })
        .collect()
}

fn timed_out(outcome: Result<sandbox_fs::RootPlan, Error>) -> bool {
    match outcome {
        // More than one tree takes, which is told when the copy has opened them all.
        Ok(_) | Err(Error::TooMany { .. }) => false,
        Err(Error::Unanswered { source, uid, .. }) => {
            assert_eq!((source.raw(), uid), (libc::ETIMEDOUT, USER));
            true
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
#[expect(unsafe_code, reason = "signals and forks")]
fn a_copy_that_the_requester_stops_holds_the_embedder_for_the_deadline_at_most() {
    in_child(|| {
        let embedder = std::process::id();
        // SAFETY: this process has one thread.
        let stopper = unsafe { libc::fork() };
        if stopper == 0 {
            become_user(USER);
            // After the change of ids, which clears it.
            // SAFETY: takes numbers.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let me = i32::try_from(std::process::id()).unwrap();
            loop {
                for child in children(embedder).into_iter().filter(|pid| *pid != me) {
                    // Again and again: one that has done its work already stops too late.
                    // SAFETY: takes numbers; the kernel refuses before the copy has become the requester.
                    unsafe { libc::kill(child, libc::SIGSTOP) };
                }
            }
        }
        let mut spec = RootSpec::new(sandbox_fs::Quota {
            inodes: 4_000,
            ..ROOMY
        });
        for number in 0..1_000 {
            spec = spec.bind("/usr/bin", format!("{number}"), RO);
        }
        let spec = spec.requester(user());
        // The copy is fast: it may be through before it is found.
        let mut start = Instant::now();
        while !timed_out(spec.prepare()) {
            start = Instant::now();
        }
        assert!(start.elapsed() < patience(15), "{:?}", start.elapsed());
        assert_eq!(children(embedder), [stopper], "a copy was left");
        // SAFETY: takes numbers; our own child, not yet waited for.
        unsafe { libc::kill(stopper, libc::SIGKILL) };
        // SAFETY: as above; no status is asked for.
        let reaped = unsafe { libc::waitpid(stopper, core::ptr::null_mut(), 0) };
        assert_eq!(reaped, stopper);
    });
}

/// Answers the first request of a FUSE filesystem, reads the next and never answers it.
fn silent_fuse(device: &mut fs::File) {
    use std::io::{Read as _, Write as _};
    let mut request = vec![0; 1 << 17];
    assert!(device.read(&mut request).unwrap() > 0);
    let unique = request.get(8..16).unwrap().to_owned();
    // fuse_out_header, then fuse_init_out: version 7.31, max_write 4096.
    let mut answer = [0_u8; 80];
    answer[..4].copy_from_slice(&80_u32.to_ne_bytes());
    answer[8..16].copy_from_slice(&unique);
    answer[16..20].copy_from_slice(&7_u32.to_ne_bytes());
    answer[20..24].copy_from_slice(&31_u32.to_ne_bytes());
    answer[36..40].copy_from_slice(&4096_u32.to_ne_bytes());
    assert_eq!(device.write(&answer).unwrap(), answer.len());
    assert!(device.read(&mut request).unwrap() > 0);
}

#[test]
#[expect(unsafe_code, reason = "mounts")]
fn a_fuse_source_that_never_answers_leaves_neither_a_hang_nor_a_zombie() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    in_child(|| {
        support::private_mounts();
        let mut device = fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .unwrap();
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0,allow_other",
            device.as_raw_fd()
        );
        let options = std::ffi::CString::new(options).unwrap();
        let at = std::ffi::CString::new(dir.path().to_str().unwrap()).unwrap();
        let kind = c"fuse".as_ptr();
        // SAFETY: all strings are live.
        let ret = unsafe { libc::mount(kind, at.as_ptr(), kind, 0, options.as_ptr().cast()) };
        support::check("mount", ret.into());
        let daemon = std::thread::spawn(move || {
            silent_fuse(&mut device);
            device
        });
        let me = std::process::id();
        let start = Instant::now();
        assert!(timed_out(
            bind(dir.path().join("file")).requester(user()).prepare()
        ));
        assert!(start.elapsed() < patience(15), "{:?}", start.elapsed());
        let device = daemon.join().unwrap();
        // SIGKILL does not end it: without this the test would prove less than its name says.
        let left = children(me);
        assert_eq!(left.len(), 1, "{left:?}");
        let threads = || fs::read_dir("/proc/self/task").unwrap().count();
        // Closing the device fails all requests; the copy ends, the thread reaps it and ends too.
        drop(device);
        while threads() > 1 {
            std::thread::yield_now();
        }
        assert_eq!(children(me), [0; 0], "a copy was left");
    });
}
