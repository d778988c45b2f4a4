//! What honest and broken programs do: streams, signals, exits.

#![expect(unsafe_code, reason = "sets signal dispositions")]

use std::{
    fs::OpenOptions,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use crate::{
    Subcommand,
    raw::{call, exit, number, report, say, text},
};

pub(crate) const SUBCOMMANDS: &[Subcommand] = &[
    ("abort", |_| std::process::abort()),
    ("overflow", |_| {
        die_by_sigsegv();
        say(format!("{}", overflow(0)));
    }),
    ("raise", |args| raise(number(args, 0))),
    ("call", |args| {
        report(
            "call",
            call(i64::try_from(number(args, 0)).expect("a number"), [0; 6]),
        );
    }),
    ("cat", |_| {
        drop(io::copy(&mut io::stdin(), &mut io::stdout()));
    }),
    ("count-stdin", |_| count_stdin()),
    ("write", |args| write(number(args, 0), number(args, 1))),
    ("every-byte", |_| every_byte()),
    ("close-and-sleep", |args| {
        close_and_sleep(number(args, 0), number(args, 1));
    }),
    ("open-streams", |_| open_streams()),
    ("broken-pipe", |_| broken_pipe()),
    ("loopback", |args| loopback(text(args, 0))),
    ("stack", |args| stack(number(args, 0))),
];

/// Rust's runtime turns a stack overflow into an abort; C's does not, and that is what a judge sees most.
fn die_by_sigsegv() {
    // SAFETY: the kernel's own disposition, no handler.
    unsafe { libc::signal(libc::SIGSEGV, libc::SIG_DFL) };
}

/// Recursion without an end that the optimizer cannot turn into a loop.
#[expect(unconditional_recursion, reason = "the stack must overflow")]
fn overflow(depth: u64) -> u64 {
    let frame = core::hint::black_box([depth; 128]);
    overflow(depth + 1) + frame[usize::try_from(depth % 128).unwrap_or(0)]
}

fn raise(signal: usize) {
    report(
        "raise",
        call(
            libc::SYS_kill,
            [std::process::id() as usize, signal, 0, 0, 0, 0],
        ),
    );
    say("alive");
}

fn count_stdin() {
    let mut all = Vec::new();
    let read = io::stdin().read_to_end(&mut all);
    report("stdin", read.map_err(|e| e.raw_os_error().unwrap_or(0)));
}

/// `write STREAM BYTES`, in pieces, to 1 or 2. `started` counts, for standard output, as part of it.
fn write(stream: usize, bytes: usize) {
    let mut rest = bytes;
    let piece = [b'.'; 1000];
    while rest > 0 {
        let args = [
            stream,
            piece.as_ptr().addr(),
            rest.min(piece.len()),
            0,
            0,
            0,
        ];
        match call(libc::SYS_write, args) {
            Ok(written) => rest -= written,
            Err(errno) => return report("write", Err(errno)),
        }
    }
}

fn every_byte() {
    let all: Vec<u8> = (0..=255).collect();
    io::stdout()
        .write_all(&all)
        .and_then(|()| io::stdout().flush())
        .expect("standard output is open");
}

/// Closes a stream, tries to write to it, and goes on for a while.
fn close_and_sleep(stream: usize, millis: usize) {
    report("close", call(libc::SYS_close, [stream, 0, 0, 0, 0, 0]));
    let byte = b'x';
    let written = call(
        libc::SYS_write,
        [stream, (&raw const byte).addr(), 1, 0, 0, 0],
    );
    std::thread::sleep(Duration::from_millis(millis as u64));
    exit(usize::from(written != Err(libc::EBADF)));
}

/// Opens the three streams by name, as programs do that know no descriptors.
fn open_streams() {
    let mut text = String::new();
    let stdin = std::fs::File::open("/dev/stdin").and_then(|mut f| f.read_to_string(&mut text));
    report("stdin", stdin.map_err(|e| e.raw_os_error().unwrap_or(0)));
    for (name, path) in [("stdout", "/dev/stdout"), ("stderr", "/dev/stderr")] {
        let opened = OpenOptions::new().write(true).open(path);
        let written = opened.and_then(|mut f| f.write(b"by name\n"));
        report(name, written.map_err(|e| e.raw_os_error().unwrap_or(0)));
    }
}

/// Writes to a pipe that nobody reads, with the disposition that the program was given and Rust's runtime has changed.
fn broken_pipe() {
    // SAFETY: the kernel's own disposition, no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let mut ends = [0_i32; 2];
    call(libc::SYS_pipe2, [ends.as_mut_ptr().addr(), 0, 0, 0, 0, 0]).ok();
    let [read, write] = ends.map(|fd| usize::try_from(fd).unwrap_or(usize::MAX));
    call(libc::SYS_close, [read, 0, 0, 0, 0, 0]).ok();
    report(
        "write",
        call(libc::SYS_write, [write, ends.as_ptr().addr(), 1, 0, 0, 0]),
    );
}

/// A server and a client of this address in one program.
fn loopback(address: &str) {
    let exchange = || -> io::Result<usize> {
        let listener = TcpListener::bind((address, 0))?;
        let mut client = TcpStream::connect(listener.local_addr()?)?;
        let (mut server, _) = listener.accept()?;
        server.write_all(b"ping")?;
        client.read(&mut [0; 8])
    };
    report(
        address,
        exchange().map_err(|e| e.raw_os_error().unwrap_or(0)),
    );
}

/// Uses this much stack of the main thread.
fn stack(kib: usize) {
    fn down(frames: usize) -> usize {
        let frame = core::hint::black_box([frames; 128]);
        if frames == 0 {
            frame[0]
        } else {
            down(frames - 1) + frame[1] - frames + 1
        }
    }
    die_by_sigsegv();
    report("stack", Ok(down(kib)));
}
