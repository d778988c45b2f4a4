//! What tests do to their own process and to the kernel before an attack: mounts, keys, terminals, leaks.

#![expect(unsafe_code, reason = "system calls that one test each needs")]

use core::ffi::{CStr, c_int};
use std::{
    ffi::CString,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use crate::sys::check;

/// A mount namespace of its own for the calling process, from which nothing propagates to the host.
pub fn unshare_mounts() {
    // SAFETY: takes a flag.
    check(
        "unshare",
        unsafe { libc::unshare(libc::CLONE_NEWNS) }.into(),
    );
    let none = core::ptr::null();
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: a literal path; the other pointers may be null where only the propagation changes.
    let ret = unsafe { libc::mount(none, c"/".as_ptr(), none, flags, none.cast()) };
    check("mount --make-rprivate", ret.into());
}

/// A session keyring of its own with one key in it.
pub fn add_session_key(name: &CStr, secret: &[u8]) {
    let session = libc::KEY_SPEC_SESSION_KEYRING;
    let none = core::ptr::null::<u8>();
    // SAFETY: a null name asks for an anonymous keyring.
    let ret = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, none) };
    check("keyctl", ret);
    let (kind, name) = (c"user".as_ptr(), name.as_ptr());
    // SAFETY: two texts and a buffer of the length that is said.
    let key = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            kind,
            name,
            secret.as_ptr(),
            secret.len(),
            session,
        )
    };
    let key = check("add_key", key);
    // Everybody may see and read it: the twin reads it as another user.
    let rights = 0x3f3f_3f3f;
    // SAFETY: takes numbers.
    let ret = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_SETPERM, key, rights) };
    check("keyctl", ret);
}

/// Both ends of a new pseudo-terminal: master and slave.
#[must_use]
pub fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut master, mut slave) = (0, 0);
    let null = core::ptr::null_mut();
    // SAFETY: two live ints; no name, settings or size are given.
    let ret = unsafe {
        libc::openpty(
            &raw mut master,
            &raw mut slave,
            null,
            null.cast(),
            null.cast(),
        )
    };
    check("openpty", ret.into());
    // SAFETY: fresh descriptors, owned by nobody.
    [master, slave]
        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
        .into()
}

/// A descriptor with `secret` in it that every child inherits: the leak of a careless embedder.
pub fn leak(secret: &[u8], number: c_int) {
    // SAFETY: a literal name, no flags: it survives execve(2).
    let fd = check(
        "memfd_create",
        unsafe { libc::memfd_create(c"secret".as_ptr(), 0) }.into(),
    );
    let fd = i32::try_from(fd).expect("a descriptor is an int");
    // SAFETY: a live buffer of the length that is said.
    let ret = unsafe { libc::write(fd, secret.as_ptr().cast(), secret.len()) };
    check("write", i64::try_from(ret).unwrap_or(-1));
    // SAFETY: takes numbers; only called in forked copies, where nothing owns the number.
    check("dup2", unsafe { libc::dup2(fd, number) }.into());
}

/// Waits until a child stops or ends: its raw status.
#[must_use]
pub fn wait_stopped(child: i32) -> i32 {
    let mut status = 0;
    // SAFETY: the status pointer is live.
    let ret = unsafe { libc::waitpid(child, &raw mut status, libc::WUNTRACED) };
    check("waitpid", ret.into());
    status
}

/// Mounts a fresh tmpfs; only after [`unshare_mounts`].
pub fn mount_tmpfs(at: &CStr) {
    let kind = c"tmpfs".as_ptr();
    // SAFETY: three texts and no data.
    let ret = unsafe { libc::mount(kind, at.as_ptr(), kind, 0, core::ptr::null()) };
    check("mount tmpfs", ret.into());
}

fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no NUL")
}

/// As [`mount_tmpfs`], anywhere.
pub fn mount_tmpfs_on(at: &Path) {
    mount_tmpfs(&text(at));
}

/// Takes the mount on `at` away; only after [`unshare_mounts`].
pub fn unmount(at: &Path) {
    let at = text(at);
    // SAFETY: a path.
    check("umount", unsafe { libc::umount2(at.as_ptr(), 0) }.into());
}

/// Shows `source` in the place of the file `at`; only after [`unshare_mounts`].
pub fn mount_file(source: &Path, at: &Path) {
    let (source, at) = (text(source), text(at));
    let none = core::ptr::null();
    // SAFETY: two paths; a bind needs neither type nor data.
    let ret = unsafe {
        libc::mount(
            source.as_ptr(),
            at.as_ptr(),
            none,
            libc::MS_BIND,
            none.cast(),
        )
    };
    check("mount --bind", ret.into());
}

/// Makes a mount read-only; only after [`unshare_mounts`].
pub fn remount_read_only(at: &CStr) {
    let none = core::ptr::null();
    let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
    // SAFETY: a path; the other pointers may be null at a remount.
    let ret = unsafe { libc::mount(none, at.as_ptr(), none, flags, none.cast()) };
    check("remount", ret.into());
}

/// How many bytes wait to be read (`FIONREAD`).
#[must_use]
pub fn bytes_to_read(fd: &OwnedFd) -> i32 {
    let mut count = 0_i32;
    // SAFETY: the command fills an int.
    let ret = unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    check("ioctl FIONREAD", ret.into());
    count
}

/// Takes a terminal out of line mode, in which what is typed waits for the end of the line.
pub fn set_raw(fd: &OwnedFd) {
    // SAFETY: all-zero settings are valid.
    let mut settings: libc::termios = unsafe { core::mem::zeroed() };
    // SAFETY: live settings.
    let ret = unsafe { libc::tcgetattr(fd.as_raw_fd(), &raw mut settings) };
    check("tcgetattr", ret.into());
    settings.c_lflag &= !libc::ICANON;
    // SAFETY: live settings.
    let ret = unsafe { libc::tcsetattr(fd.as_raw_fd(), libc::TCSANOW, &raw const settings) };
    check("tcsetattr", ret.into());
}

/// Puts the process into a chroot that is like the host's tree but for an empty `/etc`; only after [`unshare_mounts`].
pub fn chroot_without_etc() {
    let none = core::ptr::null();
    let flags = libc::MS_BIND | libc::MS_REC;
    // SAFETY: two paths; a bind needs neither type nor data.
    let ret = unsafe { libc::mount(c"/".as_ptr(), c"/mnt".as_ptr(), none, flags, none.cast()) };
    check("mount --rbind", ret.into());
    mount_tmpfs(c"/mnt/etc");
    // SAFETY: a path.
    check("chroot", unsafe { libc::chroot(c"/mnt".as_ptr()) }.into());
    // SAFETY: a path.
    check("chdir", unsafe { libc::chdir(c"/".as_ptr()) }.into());
}

/// Ignores every other signal and blocks the rest, as far as the kernel lets one.
pub fn make_signals_strange() {
    for signal in
        (1..32).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD].contains(signal))
    {
        if signal % 2 == 0 {
            // SAFETY: no handler of ours is installed, only the kernel's own.
            let old = unsafe { libc::signal(signal, libc::SIG_IGN) };
            assert_ne!(old, libc::SIG_ERR, "signal {signal}");
        } else {
            crate::sys::block_signal(signal);
        }
    }
}

/// A nice value, groups, a file mode mask and a timer slack that no program expects.
pub fn make_identity_strange() {
    // SAFETY: takes numbers.
    check(
        "setpriority",
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 7) }.into(),
    );
    let groups = [4_u32, 24];
    // SAFETY: a live list of the length that is said.
    check(
        "setgroups",
        unsafe { libc::setgroups(groups.len(), groups.as_ptr()) }.into(),
    );
    crate::sys::umask(0o077);
    crate::sys::prctl(libc::PR_SET_TIMERSLACK, 1);
}

/// Protects this process from the OOM killer, as services are that must not die.
///
/// # Panics
/// Without `CAP_SYS_RESOURCE`.
pub fn protect_from_oom() {
    std::fs::write("/proc/self/oom_score_adj", "-500").expect("CAP_SYS_RESOURCE");
}

/// As [`become_user`](crate::sys::become_user), with a supplementary group.
pub fn become_user_with_group(uid: u32, group: u32) {
    // SAFETY: one live number.
    check(
        "setgroups",
        unsafe { libc::setgroups(1, &raw const group) }.into(),
    );
    // SAFETY: takes numbers.
    check(
        "setresgid",
        unsafe { libc::setresgid(uid, uid, uid) }.into(),
    );
    // SAFETY: takes numbers.
    check(
        "setresuid",
        unsafe { libc::setresuid(uid, uid, uid) }.into(),
    );
    // A process that changed its ids may not write uid_map otherwise.
    crate::sys::prctl(libc::PR_SET_DUMPABLE, 1);
}
