//! Becoming somebody else.

use sandbox_exec::{Basis, Verdict};
use sandbox_test_support::{Setup, assert_judged, boxes, outside};

use crate::can_run;

#[test]
fn nobody_becomes_root() {
    if !can_run() {
        return;
    }
    for setup in [Setup::new(), Setup::new().without_filter()] {
        let uid = setup.identity.uid;
        let finished = setup.run(&["become-root"]);
        let eperm = libc::EPERM;
        // setgroups to none is a right of its own.
        let expected = format!(
            "setuid: errno {eperm}\nsetgid: errno {eperm}\nsetresuid: errno {eperm}\nsetgroups: errno {eperm}\neuid: ok {uid}\n"
        );
        assert_eq!(boxes::said(&finished), expected);
        assert_judged(&finished, Verdict::Ok, Basis::ExitStatus);
    }
    let twin = outside::run(0, &["become-root"]);
    assert!(
        twin.starts_with("setuid: ok 0\nsetgid: ok 0\nsetresuid: ok 0\n"),
        "{twin}"
    );
}

#[test]
fn nobody_jumps_the_queue() {
    if !can_run() {
        return;
    }
    for setup in [Setup::new(), Setup::new().without_filter()] {
        let finished = setup.run(&["hurry"]);
        let expected = format!(
            "nice: errno {}\nfifo: errno {}\n",
            libc::EACCES,
            libc::EPERM
        );
        assert_eq!(boxes::said(&finished), expected);
    }
    let twin = outside::run(0, &["hurry"]);
    assert!(twin.starts_with("nice: ok 0\n"), "{twin}");
}
