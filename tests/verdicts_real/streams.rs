//! Standard input, output and error.

use std::{
    fs::File,
    io::{Read as _, Seek as _, Write as _},
    process::Stdio,
    time::Duration,
};

use sandbox_exec::{Basis, Bytes, Error, Finished, Output, Stdin, StreamEnd, Verdict};
use sandbox_test_support::{
    Setup, assert_judged,
    boxes::{self, capture},
    sys,
};

use crate::can_run;

#[track_caller]
fn run(args: &[&str], stdin: Stdin, stdout: Output, stderr: Output) -> Finished {
    let setup = Setup::new().limits(|limits| {
        limits.output = None;
    });
    let running = setup.sandbox(args).spawn(stdin, stdout, stderr);
    let running = running.unwrap_or_else(|error| panic!("{}", boxes::full(&error)));
    running
        .wait()
        .unwrap_or_else(|error| panic!("{}", boxes::full(&error)))
}

#[track_caller]
fn assert_stream(finished: &Finished, end: StreamEnd, seen: u64, kept: usize) {
    let stdout = finished.outcome.evidence.stdout;
    assert_eq!(
        (stdout.end, stdout.seen.get(), finished.stdout.len()),
        (end, seen, kept)
    );
}

const STARTED: u64 = boxes::STARTED.len() as u64;

#[test]
fn what_is_written_is_captured() {
    if !can_run() {
        return;
    }
    let finished = run(&["write", "1", "100000"], Stdin::Null, capture(), capture());
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    let seen = 100_000 + STARTED;
    assert_stream(
        &finished,
        StreamEnd::Complete,
        seen,
        usize::try_from(seen).expect("small"),
    );
    assert_eq!(finished.outcome.evidence.stderr.end, StreamEnd::Complete);
    assert_eq!(finished.outcome.evidence.stderr.seen, Bytes::new(0));
}

#[test]
fn what_passes_the_bound_is_counted() {
    if !can_run() {
        return;
    }
    let keep = Output::Capture {
        keep: Bytes::new(100),
    };
    let finished = run(&["write", "1", "1000000"], Stdin::Null, keep, Output::Null);
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    assert_stream(&finished, StreamEnd::Truncated, 1_000_000 + STARTED, 100);
}

#[test]
fn the_bound_itself_is_not_truncated() {
    if !can_run() {
        return;
    }
    let keep = |bytes| Output::Capture {
        keep: Bytes::new(bytes),
    };
    let write = |bound| {
        run(
            &["write", "1", "1000"],
            Stdin::Null,
            keep(bound),
            Output::Null,
        )
    };
    let all = 1000 + STARTED;
    assert_stream(&write(all), StreamEnd::Complete, all, 1008);
    assert_stream(&write(all - 1), StreamEnd::Truncated, all, 1007);
}

#[test]
fn a_stream_that_the_program_closes_is_told_apart() {
    if !can_run() {
        return;
    }
    let args = ["close-and-sleep", "1", "400"];
    let finished = run(&args, Stdin::Null, capture(), capture());
    // To write to it afterwards was EBADF, or the exit code were 1.
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    assert_eq!(boxes::said(&finished), "");
    assert_eq!(
        finished.outcome.evidence.stdout.end,
        StreamEnd::ClosedByProgram
    );
    assert_eq!(finished.outcome.evidence.stderr.end, StreamEnd::Complete);
}

#[test]
fn a_stream_that_the_kill_cuts_is_told_apart() {
    if !can_run() {
        return;
    }
    let setup = Setup::new().limits(|limits| {
        limits.wall_time = Some(Duration::from_millis(200));
    });
    let finished = setup.run(&["sleep", "10000"]);
    assert_eq!(finished.outcome.evidence.stdout.end, StreamEnd::CutByKill);
    assert_eq!(finished.outcome.evidence.stderr.end, StreamEnd::CutByKill);
}

#[test]
fn streams_go_where_they_are_sent() {
    if !can_run() {
        return;
    }
    let mut file = tempfile::tempfile().expect("a file");
    let theirs = file.try_clone().expect("a descriptor");
    let finished = run(
        &["write", "1", "5"],
        Stdin::Null,
        Output::Fd(theirs.into()),
        Output::Null,
    );
    assert_eq!(finished.outcome.evidence.stdout.end, StreamEnd::NotCaptured);
    assert_eq!(finished.outcome.evidence.stderr.end, StreamEnd::NotCaptured);
    assert_eq!(finished.outcome.judgement.verdict, Verdict::Ok);
    file.rewind().expect("a file");
    let mut text = String::new();
    file.read_to_string(&mut text).expect("a file");
    assert_eq!(text, format!("{}.....", boxes::STARTED));
}

#[test]
fn a_limit_of_output_needs_a_capture() {
    if !can_run() {
        return;
    }
    let (_read, write) = sys::pipe();
    let sandbox = boxes::sandbox(&["exit"]);
    let refused = sandbox
        .spawn(Stdin::Null, Output::Fd(write), Output::Null)
        .map(drop);
    assert!(
        matches!(refused, Err(Error::OutputNotCaptured { stream: "stdout" })),
        "{refused:?}"
    );
}

#[test]
fn standard_input_has_an_end() {
    if !can_run() {
        return;
    }
    let count = |stdin| {
        let finished = run(&["count-stdin"], stdin, capture(), capture());
        assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
        boxes::said(&finished)
    };
    assert_eq!(count(Stdin::Null), "stdin: ok 0\n");
    assert_eq!(count(Stdin::Bytes(Vec::new())), "stdin: ok 0\n");
    assert_eq!(
        count(Stdin::Bytes(vec![b'x'; 1 << 20])),
        "stdin: ok 1048576\n"
    );

    let (read, write) = sys::pipe();
    File::from(write).write_all(b"by pipe").expect("it fits");
    assert_eq!(count(Stdin::Fd(read)), "stdin: ok 7\n");
}

#[test]
fn a_program_need_not_read_its_input() {
    if !can_run() {
        return;
    }
    let large = vec![b'x'; 4 << 20];
    let finished = run(&["exit"], Stdin::Bytes(large.clone()), capture(), capture());
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);

    // Through a pipe, whoever feeds the program finds it closed.
    let mut twin = std::process::Command::new(boxes::payload_on_host())
        .arg("exit")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the payload starts");
    let written = twin.stdin.take().expect("piped").write_all(&large);
    assert_eq!(
        written.err().map(|error| error.kind()),
        Some(std::io::ErrorKind::BrokenPipe)
    );
    twin.wait().expect("our child");
}

#[test]
fn every_byte_passes() {
    if !can_run() {
        return;
    }
    let all: Vec<u8> = (0..=255).collect();
    let finished = run(&["every-byte"], Stdin::Null, capture(), capture());
    assert_eq!(
        finished.stdout.strip_prefix(boxes::STARTED.as_bytes()),
        Some(&all[..])
    );

    let many = all.repeat(2000);
    let finished = run(&["cat"], Stdin::Bytes(many.clone()), capture(), capture());
    assert_eq!(
        finished.stdout.strip_prefix(boxes::STARTED.as_bytes()),
        Some(&many[..])
    );
}

#[test]
fn streams_can_be_opened_by_name() {
    if !can_run() {
        return;
    }
    let finished = run(
        &["open-streams"],
        Stdin::Bytes(b"12345".to_vec()),
        capture(),
        capture(),
    );
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    let said = boxes::said(&finished);
    assert_eq!(said, "stdin: ok 5\nby name\nstdout: ok 8\nstderr: ok 8\n");
    assert_eq!(finished.stderr, b"by name\n");
}

#[test]
fn both_streams_may_flood_at_once() {
    if !can_run() {
        return;
    }
    // Each is more than a pipe holds: a supervisor that reads one to its end first would hang.
    let script =
        "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero";
    let command = sandbox_exec::Command::new("/bin/sh")
        .args(["-c", script])
        .env("PATH", "/usr/bin:/bin");
    let setup = Setup::new().limits(|limits| limits.output = None);
    let finished = boxes::finish(&setup.sandbox_of(&command));
    assert_eq!(finished.outcome.judgement.verdict, Verdict::Ok);
    assert_eq!(finished.outcome.evidence.stdout.seen, Bytes::new(6_000_000));
    assert_eq!(finished.outcome.evidence.stderr.seen, Bytes::new(3_000_000));
}

/// `openat(0, "../../etc/shadow")` would need no other hole.
#[test]
fn a_directory_is_no_stream() {
    if !can_run() {
        return;
    }
    let sandbox = Setup::new()
        .limits(|limits| limits.output = None)
        .sandbox(&["exit"]);
    let directory = || File::open("/").expect("there is one").into();
    let attempts = [
        ("stdin", Stdin::Fd(directory()), Output::Null, Output::Null),
        ("stdout", Stdin::Null, Output::Fd(directory()), Output::Null),
        ("stderr", Stdin::Null, Output::Null, Output::Fd(directory())),
    ];
    for (name, stdin, stdout, stderr) in attempts {
        let refused = sandbox.spawn(stdin, stdout, stderr).map(drop);
        let named = matches!(refused, Err(Error::DirectoryAsStream { stream }) if stream == name);
        assert!(named, "{name}: {refused:?}");
    }
}
