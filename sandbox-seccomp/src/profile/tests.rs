use super::calls;

#[test]
fn no_call_is_in_two_groups() {
    let groups = [
        calls::FILES,
        calls::FILE_NAMES,
        calls::MEMORY,
        calls::PROCESSES,
        calls::SCHEDULING,
        calls::SIGNALS,
        calls::TIME,
        calls::WAITING,
        calls::SOCKETS,
        calls::SELF,
        calls::CREDENTIALS,
        calls::ATTRIBUTES,
        calls::PROBED,
        calls::ATTACKS,
        &[
            "clone",
            "socket",
            "socketpair",
            "ioctl",
            "prctl",
            "prlimit64",
            "personality",
        ],
    ];
    let mut names = groups.concat();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
