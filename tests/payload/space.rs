//! Attacks on memory, disk, inodes and descriptors. Each is bounded by an argument.

#![expect(unsafe_code, reason = "owns a raw descriptor")]

use std::{
    fs::File,
    io::Write,
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
};

use crate::{
    Subcommand,
    raw::{call, exit, fork, number, report, say, text, until_stdin_ends, wait},
};

const MIB: usize = 1 << 20;

pub(crate) const SUBCOMMANDS: &[Subcommand] = &[
    ("memory", |args| memory(number(args, 0))),
    ("memory-of-children", |args| {
        memory_of_children(number(args, 0), number(args, 1));
    }),
    ("memory-of-child", |args| memory_of_child(number(args, 0))),
    ("map", |args| map(number(args, 0))),
    ("fill", |args| fill(text(args, 0), number(args, 1))),
    ("fill-and-stay", |args| {
        fill(text(args, 0), number(args, 1));
        until_stdin_ends();
    }),
    ("fill-and-remove", |args| {
        fill(text(args, 0), number(args, 1));
        report(
            "unlink",
            std::fs::remove_file(text(args, 0))
                .map(|()| 0)
                .map_err(|_| libc::EIO),
        );
        exit(1);
    }),
    ("memfd", |args| memfd(number(args, 0))),
    ("tcp-buffers", |args| tcp_buffers(number(args, 0))),
    ("unix-buffers", |args| unix_buffers(number(args, 0))),
    ("inodes", |args| inodes(text(args, 0), number(args, 1))),
    ("descriptors", |args| descriptors(number(args, 0))),
    ("inherited", |_| inherited()),
];

fn touch(mib: usize) -> Vec<Vec<u8>> {
    (0..mib)
        .map(|i| vec![u8::try_from(i % 255 + 1).unwrap_or(1); MIB])
        .collect()
}

fn memory(mib: usize) {
    let kept = touch(mib);
    say(format!("touched {}", kept.len()));
}

/// Each child is small; together they are not. They hold their memory until all have it.
fn memory_of_children(children: usize, mib: usize) {
    let done = crate::raw::shared();
    for _ in 0..children {
        if fork() == Ok(0) {
            let kept = touch(mib);
            done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            call(libc::SYS_pause, [0; 6]).ok();
            drop(kept);
            exit(0);
        }
    }
    while done.load(std::sync::atomic::Ordering::SeqCst) < children as u64 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    say(format!("touched {}", children * mib));
}

/// The child bombs, the parent is well and says so.
fn memory_of_child(mib: usize) {
    let child = fork().expect("fork");
    if child == 0 {
        memory(mib);
        exit(0);
    }
    report(
        "child",
        wait(child).map(|status| status.unsigned_abs() as usize),
    );
}

/// Address space only: nothing is touched.
fn map(mib: usize) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let read = libc::PROT_READ;
    let args = [
        0,
        mib * MIB,
        read.unsigned_abs() as usize,
        flags.unsigned_abs() as usize,
        usize::MAX,
        0,
    ];
    report("mmap", call(libc::SYS_mmap, args).map(|_| mib));
}

fn write_mib(mut file: File, mib: usize) {
    let block = vec![7_u8; MIB];
    let mut written = 0;
    for _ in 0..mib {
        match file.write(&block) {
            Ok(n) => written += n,
            Err(error) => {
                say(format!(
                    "wrote {written} errno {}",
                    error.raw_os_error().unwrap_or(0)
                ));
                return;
            }
        }
    }
    say(format!("wrote {written}"));
}

fn fill(path: &str, mib: usize) {
    match File::create(path) {
        Ok(file) => write_mib(file, mib),
        Err(error) => say(format!(
            "create errno {}",
            error.raw_os_error().unwrap_or(0)
        )),
    }
}

fn memfd(mib: usize) {
    let fd = call(
        libc::SYS_memfd_create,
        [c"bomb".as_ptr().addr(), 0, 0, 0, 0, 0],
    );
    let fd = fd
        .ok()
        .and_then(|fd| i32::try_from(fd).ok())
        .expect("memfd_create");
    // SAFETY: the descriptor was just made and has no other owner.
    write_mib(unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) }, mib);
}

/// Fills the buffers of connection after connection, which nobody reads, up to so many MiB.
fn tcp_buffers(mib: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("lo is up");
    let address = listener.local_addr().expect("bound");
    hold(mib, || {
        let near = TcpStream::connect(address).ok()?;
        let (far, _) = listener.accept().ok()?;
        near.set_nonblocking(true).ok()?;
        Some((near, far))
    });
}

/// As [`tcp_buffers`], with pairs of unix sockets.
fn unix_buffers(mib: usize) {
    hold(mib, || {
        let (near, far) = UnixStream::pair().ok()?;
        near.set_nonblocking(true).ok()?;
        Some((near, far))
    });
}

fn hold<S: Write>(mib: usize, mut pair: impl FnMut() -> Option<(S, S)>) {
    let block = vec![7_u8; 64 << 10];
    let mut kept = Vec::new();
    let mut held = 0;
    while held < mib * MIB {
        let Some((mut near, far)) = pair() else { break };
        while let Ok(written @ 1..) = near.write(&block) {
            held += written;
        }
        kept.push((near, far));
        if kept.len() >= SOCKETS {
            break;
        }
    }
    say(format!("held {held}"));
}

/// Below the usual limit of descriptors, of which each pair takes two.
const SOCKETS: usize = 450;

fn inodes(dir: &str, most: usize) {
    for made in 0..most {
        if let Err(error) = File::create(Path::new(dir).join(made.to_string())) {
            return say(format!(
                "made {made} errno {}",
                error.raw_os_error().unwrap_or(0)
            ));
        }
    }
    say(format!("made {most}"));
}

fn descriptors(most: usize) {
    for made in 0..most {
        if let Err(errno) = call(libc::SYS_dup, [1, 0, 0, 0, 0, 0]) {
            return say(format!("dup {made} errno {errno}"));
        }
    }
    say(format!("dup {most}"));
}

/// Says every open descriptor above 2, and what can be read from it.
fn inherited() {
    for fd in 3..4096_usize {
        if call(libc::SYS_fcntl, [fd, libc::F_GETFD as usize, 0, 0, 0, 0]).is_err() {
            continue;
        }
        let mut buffer = [0_u8; 64];
        let read = call(
            libc::SYS_pread64,
            [fd, buffer.as_mut_ptr().addr(), buffer.len(), 0, 0, 0],
        );
        let got = &buffer[..read.unwrap_or(0)];
        say(format!("open {fd} {}", String::from_utf8_lossy(got)));
    }
    say("no more");
}
