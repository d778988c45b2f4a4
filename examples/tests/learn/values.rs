//! Many values of the arguments that tell calls apart.

use std::fs;

use sandbox_exec::seccomp::oci::{Profile, Target};

use crate::{can_run, enforce, is_ok, learned};

/// Each call with more harmless values than anybody reads, and one option that judge refuses; then, where asked to, what
/// lies between the values.
const VALUES: &str = r#"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    ctypes.set_errno(0)
    value = libc.syscall(*map(ctypes.c_long, args), *[ctypes.c_long(0)] * 4)
    return ctypes.get_errno(), value
IOCTL, SOCKET, CLONE, PRCTL = 16, 41, 56, 157
for command in range(0x6600, 0x6620):
    call(IOCTL, 0, command)
for flags in (0, 0x800, 0x80000, 0x80800):
    for family, kind in ((1, 1), (1, 2), (1, 5), (2, 1), (2, 2)):
        os.close(call(SOCKET, family, kind | flags, 0)[1])
for option in (2, 3, 7, 15, 16, 21, 23, 27, 29, 30, 36, 37, 38, 39, 40, 41, 42, 35):
    call(PRCTL, option, 1)
def child(flags):
    errno, pid = call(CLONE, flags | 17)
    if errno == 0 and pid == 0:
        os._exit(0)
    if errno == 0:
        os.waitpid(pid, 0)
    return errno
for flags in range(32):
    child(sum(bit * (flags >> place & 1) for place, bit in enumerate((0x200, 0x400, 0x40000, 0x800000, 0x80000000))))
print("passes")
if sys.argv[1:]:
    print(call(IOCTL, 0, 0x5412)[0], call(IOCTL, 0, 0x541c)[0], call(SOCKET, 16, 3, 0)[0], call(PRCTL, 1)[0],
          child(0x10000000))
"#;

#[test]
fn however_many_values_were_seen_no_other_is_allowed() {
    if !can_run() {
        return;
    }
    let honest = ["/usr/bin/python3", "-I", "-c", VALUES];
    let hostile = [&honest[..], &["hostile"]].concat();
    let (policy, said, directory) = learned(&["--all"], &honest);
    let of = |name: &str| {
        let start = format!("  {name} where arg");
        said.lines()
            .filter(|line| line.contains(&start))
            .collect::<Vec<_>>()
    };
    for (name, seen) in [("ioctl", 32), ("socket", 20), ("prctl", 18), ("clone", 32)] {
        let lines = of(name);
        assert!(lines.len() >= seen, "{name}: {said}");
        assert!(!said.contains(&format!("  {name}\n")), "{said}");
        let marked: Vec<_> = lines
            .iter()
            .filter(|line| line.contains("judge refuses"))
            .collect();
        match name {
            "prctl" => {
                assert!(
                    matches!(marked[..], [one] if one.contains("== 0x23;")),
                    "{marked:?}"
                );
            }
            _ => assert!(marked.is_empty(), "{marked:?}"),
        }
    }

    let text = fs::read_to_string(directory.path().join("oci.json")).unwrap();
    let profile: Profile = serde_json::from_str(&text).unwrap();
    let imported = profile.import(&Target::native((6, 1)).unwrap()).unwrap();
    let enosys = libc::ENOSYS;
    let refused = format!("passes\n{enosys} {enosys} {enosys} {enosys} {enosys}\n");
    for policy in [policy.clone(), imported.policy] {
        assert!(is_ok(&enforce(policy.clone(), &honest, &[])));
        let run = enforce(policy, &hostile, &[]);
        assert_eq!(String::from_utf8_lossy(&run.stdout), refused);
    }
    // The twin: a rule that asks for no value lets them all through to the kernel.
    let wide = policy.allow(&["ioctl", "socket", "prctl", "clone"]);
    let run = enforce(wide, &hostile, &[]);
    let made = format!("passes\n{0} {0} 0 0 0\n", libc::ENOTTY);
    assert_eq!(String::from_utf8_lossy(&run.stdout), made);
}
