//! Interfaces of the kernel that a judge's program has no use for.

use std::process::Stdio;

use sandbox_exec::{Basis, Stdin, Verdict};
use sandbox_test_support::{Setup, assert_judged, boxes, in_child, outside, scene};

use crate::can_run;

fn said_by(setup: &Setup, args: &[&str]) -> String {
    let finished = setup.run(args);
    assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    boxes::said(&finished)
}

/// By each of the three ways; the filter is the control, so the twin is the same box without it.
#[test]
fn no_user_namespace_can_be_made() {
    if !can_run() {
        return;
    }
    let finished = Setup::new().run(&["unshare-user"]);
    assert_eq!(boxes::said(&finished), "");
    assert_judged(
        &finished,
        Verdict::SecurityViolation { syscall: None },
        Basis::Sigsys,
    );
    let refused = [
        ("clone-user", format!("clone: errno {}\n", libc::EPERM)),
        ("clone3-user", format!("clone3: errno {}\n", libc::ENOSYS)),
    ];
    for (attack, refusal) in refused {
        assert_eq!(said_by(&Setup::new(), &[attack]), refusal);
    }
    let open = Setup::new().without_filter();
    assert_eq!(said_by(&open, &["unshare-user"]), "unshare: ok 0\n");
    assert_eq!(said_by(&open, &["clone-user"]), "clone: ok 0\n");
    assert_eq!(said_by(&open, &["clone3-user"]), "clone3: ok 0\n");
}

#[test]
fn keys_of_the_embedder_are_out_of_reach() {
    if !can_run() {
        return;
    }
    in_child(|| {
        scene::add_session_key(c"sandbox-tests", b"the answers");
        let setup = Setup::new();
        let refused = format!("search: errno {}\n", libc::ENOSYS);
        assert_eq!(said_by(&setup, &["key", "sandbox-tests"]), refused);
        // Without the filter, it is the keyring of its own that keeps it away.
        let found = said_by(&Setup::new().without_filter(), &["key", "sandbox-tests"]);
        assert!(found.starts_with("search: errno"), "{found}");

        let twin = outside::run(0, &["key", "sandbox-tests"]);
        assert_eq!(twin, "search: ok 0\nkey the answers\n");
    });
}

#[test]
fn nothing_can_be_typed_into_a_terminal() {
    if !can_run() {
        return;
    }
    in_child(|| {
        let (_master, slave) = scene::terminal();
        let attack = |stdin: Stdin| {
            let sandbox = Setup::new().sandbox(&["type-into-terminal"]);
            let running = sandbox.spawn(stdin, boxes::capture(), boxes::capture());
            let running = running.unwrap_or_else(|error| panic!("{}", boxes::full(&error)));
            running.wait().expect("watched")
        };
        let finished = attack(Stdin::Fd(slave.try_clone().expect("a descriptor")));
        let eperm = libc::EPERM;
        let expected = format!("tiocsti: errno {eperm}\nwide tiocsti: errno {eperm}\n");
        assert_eq!(boxes::said(&finished), expected);
        assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
        assert_eq!(scene::bytes_to_read(&slave), 0, "nothing was typed");

        let twin = outside::run_with(
            0,
            &["type-into-terminal"],
            Stdio::from(slave.try_clone().expect("a descriptor")),
        );
        assert_eq!(twin, "tiocsti: ok 0\nwide tiocsti: ok 0\n");
        scene::set_raw(&slave);
        assert!(scene::bytes_to_read(&slave) > 0, "the twin typed");
    });
}

#[test]
fn io_uring_is_not_there() {
    if !can_run() {
        return;
    }
    let refused = format!("io_uring: errno {}\n", libc::ENOSYS);
    assert_eq!(said_by(&Setup::new(), &["io-uring"]), refused);
    assert_eq!(
        said_by(&Setup::new().without_filter(), &["io-uring"]),
        "io_uring: ok 0\n"
    );
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_table_of_32_bit_programs_is_closed() {
    if !can_run() {
        return;
    }
    let finished = Setup::new().run(&["int80"]);
    assert_eq!(boxes::said(&finished), "");
    assert_judged(
        &finished,
        Verdict::SecurityViolation { syscall: None },
        Basis::Sigsys,
    );

    assert_eq!(
        said_by(&Setup::new().without_filter(), &["int80"]),
        "int80 2\n",
        "its pid"
    );
}
