//! `Policy::judge()` against what runtimes and compilers were seen to call.
#![cfg(target_arch = "x86_64")]

use sandbox_core::Errno;
use sandbox_seccomp::{Action, Policy};

const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const TABLE: &str = include_str!("../src/table/x86_64.rs");

/// The number of a call, read from the generated table.
fn number(name: &str) -> i64 {
    let start = format!("    (\"{name}\", ");
    let line = TABLE.lines().find_map(|line| line.strip_prefix(&start));
    let digits = line.and_then(|rest| rest.strip_suffix("),"));
    digits
        .unwrap_or_else(|| panic!("{name} is in the table"))
        .parse()
        .unwrap()
}

/// `name(0x1,0x2)` or `name`.
fn parse(word: &str) -> (&str, [u64; 6]) {
    let mut args = [0; 6];
    let Some((name, rest)) = word.split_once('(') else {
        return (word, args);
    };
    let rest = rest.strip_suffix(')').unwrap();
    for (arg, text) in args.iter_mut().zip(rest.split(',')) {
        *arg = u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap();
    }
    (name, args)
}

#[test]
fn what_runtimes_and_compilers_call_is_allowed() {
    // What is refused, and the way around that was seen: libc takes clone; node's os.networkInterfaces() fails, and
    // Python and glibc ask for addresses without netlink.
    let refused = [
        ("clone3", libc::ENOSYS),
        ("socket(0x10,0x80003,0x0)", libc::EAFNOSUPPORT),
    ];
    let filter = Policy::judge().prepare().unwrap();
    let recorded = include_str!("recorded/x86_64.txt");
    let mut runtimes = 0;
    let mut calls = 0;
    let mut runtime = "";
    for line in recorded.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with('[') {
            runtime = line;
            runtimes += 1;
            continue;
        }
        for word in line.split_whitespace() {
            let expected = refused
                .iter()
                .find(|(refused, _)| *refused == word)
                .map_or(Action::Allow, |&(_, errno)| {
                    Action::Errno(Errno::from_raw(errno))
                });
            let (name, args) = parse(word);
            let action = filter.evaluate(AUDIT_ARCH_X86_64, number(name), args);
            assert_eq!(action, expected, "{runtime} {word}");
            calls += 1;
        }
    }
    assert_eq!(runtimes, 15);
    assert!(calls > 900, "{calls}");
}
