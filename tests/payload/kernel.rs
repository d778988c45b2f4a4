//! Attacks on the kernel's interfaces: namespaces, mounts, keys, terminals, devices, foreign system call tables.

#![expect(unsafe_code, reason = "one instruction of assembly")]

use std::{
    ffi::CString,
    net::TcpStream,
    os::{linux::net::SocketAddrExt as _, unix::net},
};

use crate::{
    Subcommand,
    raw::{call, exit, fork, number, report, say, text, wait},
};

pub(crate) const SUBCOMMANDS: &[Subcommand] = &[
    ("connect", |args| {
        connect(u16::try_from(number(args, 0)).expect("a port"));
    }),
    ("connect-abstract", |args| connect_abstract(text(args, 0))),
    ("mount", |args| mount(text(args, 0))),
    ("remount", |args| remount(text(args, 0))),
    ("umount", |args| umount(text(args, 0))),
    ("chroot-escape", |args| chroot_escape(text(args, 0))),
    ("mknod", |args| mknod(text(args, 0))),
    ("unshare-user", |_| {
        report(
            "unshare",
            call(libc::SYS_unshare, [NEW_USER, 0, 0, 0, 0, 0]),
        );
    }),
    ("clone-user", |_| clone_user()),
    ("clone3-user", |_| clone3_user()),
    ("key", |args| key(text(args, 0))),
    ("type-into-terminal", |_| type_into_terminal()),
    ("io-uring", |_| io_uring()),
    ("int80", |_| int80()),
    ("stat", |args| stat(text(args, 0))),
    ("symlink", |args| {
        report("symlink", symlink(text(args, 0), text(args, 1)));
    }),
];

const NEW_USER: usize = libc::CLONE_NEWUSER.unsigned_abs() as usize;

fn path(text: &str) -> CString {
    CString::new(text).expect("no NUL")
}

fn outcome(name: &str, result: std::io::Result<()>) {
    report(
        name,
        result
            .map(|()| 0)
            .map_err(|e| e.raw_os_error().unwrap_or(0)),
    );
}

fn connect(port: u16) {
    outcome("connect", TcpStream::connect(("127.0.0.1", port)).map(drop));
}

fn connect_abstract(name: &str) {
    let address = net::SocketAddr::from_abstract_name(name);
    let stream = address.and_then(|address| net::UnixStream::connect_addr(&address));
    outcome("connect", stream.map(drop));
}

fn mount_call(target: &str, flags: libc::c_ulong) -> Result<usize, i32> {
    let target = path(target);
    let kind = c"tmpfs".as_ptr().addr();
    let flags = usize::try_from(flags).unwrap_or(0);
    call(
        libc::SYS_mount,
        [kind, target.as_ptr().addr(), kind, flags, 0, 0],
    )
}

fn mount(target: &str) {
    report("mount", mount_call(target, 0));
}

/// Makes a read-only mount writable.
fn remount(target: &str) {
    report(
        "remount",
        mount_call(target, libc::MS_REMOUNT | libc::MS_BIND),
    );
    outcome("write", std::fs::write(format!("{target}/written"), "x"));
}

/// Takes a mount away to see what is below.
fn umount(target: &str) {
    let at = path(target);
    let detach = libc::MNT_DETACH.unsigned_abs() as usize;
    report(
        "umount",
        call(libc::SYS_umount2, [at.as_ptr().addr(), detach, 0, 0, 0, 0]),
    );
}

/// The classic: a working directory outside of a second root, then up.
fn chroot_escape(dir: &str) {
    outcome("mkdir", std::fs::create_dir_all(dir));
    let here = path(dir);
    report(
        "chroot",
        call(libc::SYS_chroot, [here.as_ptr().addr(), 0, 0, 0, 0, 0]),
    );
    for _ in 0..64 {
        call(libc::SYS_chdir, [c"..".as_ptr().addr(), 0, 0, 0, 0, 0]).ok();
    }
    report(
        "chroot",
        call(libc::SYS_chroot, [c".".as_ptr().addr(), 0, 0, 0, 0, 0]),
    );
    let found = std::path::Path::new("/etc/passwd").exists();
    say(format!("host file {found}"));
}

/// The node of the machine's memory.
fn mknod(at: &str) {
    let at = path(at);
    let mode = (libc::S_IFCHR | 0o666) as usize;
    let device = usize::try_from(libc::makedev(1, 1)).unwrap_or(0);
    report(
        "mknod",
        call(libc::SYS_mknod, [at.as_ptr().addr(), mode, device, 0, 0, 0]),
    );
}

fn in_child(name: &str, pid: Result<usize, i32>) {
    if pid == Ok(0) {
        exit(0);
    }
    report(name, pid.map(|_| 0));
    if let Ok(pid) = pid {
        wait(pid).ok();
    }
}

fn clone_user() {
    let flags = NEW_USER | libc::SIGCHLD.unsigned_abs() as usize;
    in_child("clone", call(libc::SYS_clone, [flags, 0, 0, 0, 0, 0]));
}

fn clone3_user() {
    let mut args = [0_u64; 11];
    args[0] = NEW_USER as u64;
    args[4] = libc::SIGCHLD.unsigned_abs().into();
    let size = size_of_val(&args);
    in_child(
        "clone3",
        call(libc::SYS_clone3, [args.as_ptr().addr(), size, 0, 0, 0, 0]),
    );
}

/// Looks for a key by name in the session keyring and reads it.
fn key(name: &str) {
    let name = path(name);
    let session = (-3_isize).cast_unsigned();
    let kind = c"user".as_ptr().addr();
    let search = libc::KEYCTL_SEARCH as usize;
    let found = call(
        libc::SYS_keyctl,
        [search, session, kind, name.as_ptr().addr(), 0, 0],
    );
    report("search", found.map(|_| 0));
    let Ok(found) = found else { return };
    let mut buffer = [0_u8; 64];
    let read = libc::KEYCTL_READ as usize;
    let got = call(
        libc::SYS_keyctl,
        [read, found, buffer.as_mut_ptr().addr(), buffer.len(), 0, 0],
    );
    let got = &buffer[..got.unwrap_or(0).min(buffer.len())];
    say(format!("key {}", String::from_utf8_lossy(got)));
}

/// Puts a character into the input queue of the terminal that standard input is.
fn type_into_terminal() {
    let typed = b'x';
    let command = usize::try_from(libc::TIOCSTI).unwrap_or(0);
    report(
        "tiocsti",
        call(
            libc::SYS_ioctl,
            [0, command, (&raw const typed).addr(), 0, 0, 0],
        ),
    );
    // The kernel takes 32 bits of the command: a filter that compares 64 lets this one pass.
    let wide = command | 1 << 32;
    report(
        "wide tiocsti",
        call(
            libc::SYS_ioctl,
            [0, wide, (&raw const typed).addr(), 0, 0, 0],
        ),
    );
}

fn io_uring() {
    let mut parameters = [0_u8; 120];
    let setup = call(
        libc::SYS_io_uring_setup,
        [4, parameters.as_mut_ptr().addr(), 0, 0, 0, 0],
    );
    report("io_uring", setup.map(|_| 0));
}

/// getpid by the table of 32-bit programs, where number 20 is getpid and 64-bit's 20 is writev.
#[cfg(target_arch = "x86_64")]
fn int80() {
    let result: i64;
    // SAFETY: getpid touches no memory; r8 to r11 are lost on this way into the kernel.
    unsafe {
        core::arch::asm!("int 0x80", inlateout("rax") 20_i64 => result, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    say(format!("int80 {result}"));
}

#[cfg(not(target_arch = "x86_64"))]
fn int80() {
    say("int80 none");
}

fn stat(at: &str) {
    outcome("stat", std::fs::symlink_metadata(at).map(drop));
}

fn symlink(to: &str, at: &str) -> Result<usize, i32> {
    let (to, at) = (path(to), path(at));
    let args = [to.as_ptr().addr(), at.as_ptr().addr(), 0, 0, 0, 0];
    // In a forked child, as a program would that wants to hide who made it.
    let child = fork()?;
    if child == 0 {
        exit(usize::from(call(libc::SYS_symlink, args).is_err()));
    }
    wait(child).map(|status| status.unsigned_abs() as usize)
}
