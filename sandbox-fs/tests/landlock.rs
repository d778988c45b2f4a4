//! What Landlock holds when nothing else does: as root, on the real kernel. Each with its twin outside the domain.
//!
//! Where the kernel has less than version 6 the suite of the workspace says so; here the tests of that part are skipped.

#![expect(unsafe_code, reason = "prctl, mount and kill")]

mod support;

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    path::Path,
    process::Command,
};

use sandbox_core::ChildStep as _;
use sandbox_fs::{Error, FileMode, Landlock, LandlockPlan, MountFlags, RootSpec, Trees};
use support::{Ids, ROOMY, check, errno, in_child, in_planned_box};

const W: MountFlags = MountFlags::WRITABLE;
const DENIED: Option<i32> = Some(libc::EACCES);

/// The version that the kernel has, asked without the library.
fn version() -> i64 {
    const VERSION: u32 = 1;
    let nothing: *const u8 = std::ptr::null();
    // SAFETY: with this flag nothing is read.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0, VERSION) }
}

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn lacks(needed: i64) -> bool {
    let found = version();
    if found < needed {
        println!("skipped: needs Landlock {needed}, this kernel has {found}");
    }
    found < needed
}

fn enter(plan: &LandlockPlan) {
    // SAFETY: takes numbers.
    let set = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    check("prctl", set.into());
    plan.apply().expect("the domain can be entered");
}

/// Runs `inside` in a box outside the domain and then in a copy within it.
fn twice(spec: &RootSpec, prepare: impl Fn(), inside: impl Fn(bool)) {
    let plan = spec.prepare().unwrap();
    let landlock = Landlock::optional().prepare(&plan).unwrap();
    let landlock = landlock.expect("the kernel has some");
    in_planned_box(&plan, Trees::FromParent, Ids::Host, || {
        prepare();
        inside(false);
        in_child(|| {
            enter(&landlock);
            inside(true);
        });
    });
}

/// Makes a mount writable and executable again, as a fault in the kernel's mount code might.
fn loosen(path: &std::ffi::CStr) {
    let none = core::ptr::null();
    let flags = libc::MS_REMOUNT | libc::MS_BIND;
    // SAFETY: the path is a live C string; a remount reads no other.
    let ret = unsafe { libc::mount(none, path.as_ptr(), none, flags, none.cast()) };
    check("mount", ret.into());
}

#[test]
fn files_are_held_as_ruled_where_the_mounts_are_loosened() {
    if lacks(2) {
        return;
    }
    in_child(|| {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(dir.path().join("file"), "x").unwrap();
        fs::copy("/usr/bin/true", other.path().join("true")).unwrap();
        let spec = RootSpec::minimal(ROOMY)
            .bind(dir.path(), "ro", MountFlags::empty())
            .bind(other.path(), "noexec", W | MountFlags::NOEXEC)
            .tmpfs("tmp", ROOMY, W)
            .file("etc/motd", "x", FileMode::Plain);
        let loosened = [c"/", c"/ro", c"/noexec", c"/usr"];
        twice(
            &spec,
            || loosened.into_iter().for_each(loosen),
            |within| {
                let denied = if within { DENIED } else { None };
                for path in ["/new", "/ro/new", "/ro/file", "/etc/motd"] {
                    assert_eq!(errno(fs::write(path, "y")), denied, "{path}");
                }
                let started = Command::new("/noexec/true").status();
                assert_eq!(errno(started), denied);
                let gone = if within { "/ro/file" } else { "/ro/new" };
                assert_eq!(errno(fs::remove_file(gone)), denied);

                // What the rules allow, works.
                fs::write("/noexec/mine", "y").unwrap();
                fs::create_dir_all("/tmp/a/b").unwrap();
                fs::write("/tmp/a/b/c", "y").unwrap();
                fs::rename("/tmp/a/b/c", "/tmp/d").unwrap();
                fs::write("/dev/null", "y").unwrap();
                assert_eq!(fs::read("/etc/motd").unwrap().len(), 1);
                assert!(fs::read_dir("/").unwrap().count() > 3);
                assert!(Path::new("/proc/self/status").exists());
                fs::read("/proc/self/status").unwrap();
                fs::copy("/usr/bin/true", "/tmp/true").unwrap();
                for program in ["/bin/true", "/tmp/true"] {
                    assert!(Command::new(program).status().unwrap().success());
                }
                fs::remove_dir_all("/tmp/a").unwrap();
            },
        );
    });
}

#[test]
fn tcp_is_closed() {
    if lacks(4) {
        return;
    }
    in_child(|| {
        let host = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = host.local_addr().unwrap().port();
        twice(
            &RootSpec::minimal(ROOMY),
            || {},
            |within| {
                let denied = if within { DENIED } else { None };
                assert_eq!(errno(TcpStream::connect(("127.0.0.1", port))), denied);
                assert_eq!(errno(TcpListener::bind("127.0.0.1:0")), denied);
            },
        );
    });
}

#[test]
fn no_signal_and_no_abstract_socket_leads_out() {
    if lacks(6) {
        return;
    }
    in_child(|| {
        let name = format!("sandbox-fs-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let _host = UnixListener::bind_addr(&address).unwrap();
        twice(
            &RootSpec::minimal(ROOMY),
            || {},
            |within| {
                let refused = within.then_some(libc::EPERM);
                assert_eq!(errno(UnixStream::connect_addr(&address)), refused);
                // SAFETY: signal 0 only asks.
                let sent = unsafe { libc::kill(1, 0) };
                let sent = if sent == 0 {
                    Ok(())
                } else {
                    Err(std::io::Error::last_os_error())
                };
                assert_eq!(errno(sent), refused);
                // Its own children it may end.
                let mut child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
                child.kill().unwrap();
                child.wait().unwrap();
                let own = SocketAddr::from_abstract_name(format!("{name}-{within}")).unwrap();
                let _listener = UnixListener::bind_addr(&own).unwrap();
                UnixStream::connect_addr(&own).unwrap();
            },
        );
    });
}

#[test]
fn what_the_kernel_lacks_is_an_error_or_nothing() {
    let plan = RootSpec::minimal(ROOMY).prepare().unwrap();
    let usable = version().clamp(0, 6);
    for asked in 2..=6_u8 {
        let prepared = Landlock::at_least(asked).prepare(&plan);
        assert_eq!(prepared.is_ok(), i64::from(asked) <= usable, "{asked}");
        if let Ok(prepared) = prepared {
            let level = prepared.unwrap().level();
            assert_eq!(i64::from(level.version), usable, "all that there is");
            assert_eq!((level.tcp, level.scopes), (usable >= 4, usable >= 6));
        }
    }
    for unknown in [0, 1, 7, 255] {
        let error = Landlock::at_least(unknown).prepare(&plan).unwrap_err();
        assert!(matches!(error, Error::LandlockMissing { asked, .. } if asked == unknown));
    }
    let optional = Landlock::optional().prepare(&plan).unwrap();
    assert_eq!(optional.is_some(), usable >= 2);
}
