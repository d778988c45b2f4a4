use super::{Helpers, apparmor, has_range, id_helpers, limits, namespaces, proc_mounts, sysctl};
use crate::doctor::{
    attempt::{Operation, Tried},
    report::{Need, State},
    tree::{Text, Tree, fixture},
};
use sandbox_core::Errno;

const UNREADABLE: Text = Text::Unreadable(Errno::from_raw(libc::EACCES));
const KINDS: [&str; 7] = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"];

fn is(text: &str) -> Text {
    Text::Is(text.to_owned())
}

fn refused() -> Tried {
    Tried::refused(Operation::Clone, libc::EPERM)
}

#[test]
fn a_refusal_leads_to_its_blocker() {
    let need = Need::UserNamespaces;
    assert_eq!(namespaces(need, &Tried::Worked(0), None).state, State::Ok);
    let blocked = namespaces(need, &refused(), Some(Need::NamespaceApparmor));
    assert_eq!(blocked.state, State::Missing);
    assert_eq!(blocked.mend.unwrap(), "see the line namespace_apparmor");
    let filtered = namespaces(need, &Tried::Killed(libc::SIGSYS), None);
    assert!(filtered.mend.unwrap().contains("seccomp"));
    let unmapped = Tried::Unmapped("cannot write /proc/7/uid_map: EPERM".to_owned());
    assert!(namespaces(need, &unmapped, None).found.contains("uid_map"));
    let untried = Tried::Untried("no pipe".to_owned());
    assert_eq!(namespaces(need, &untried, None).state, State::Unknown);
}

#[test]
fn a_namespace_limit_of_zero_blocks_users_or_everybody() {
    let look = |kind: &str, privileged| {
        let files: Vec<(String, &str)> = KINDS
            .iter()
            .map(|one| {
                let path = format!("proc/sys/user/max_{one}_namespaces");
                (path, if *one == kind { "0\n" } else { "100\n" })
            })
            .collect();
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (path.as_str(), *text))
            .collect();
        let dir = fixture(&files);
        limits(&Tree::at(dir.path()), privileged)
    };
    assert_eq!(look("none", false).state, State::Ok);
    let user = look("user", false);
    assert_eq!((user.state, user.required), (State::Missing, true));
    assert_eq!(
        user.mend.unwrap(),
        "sysctl -w user.max_user_namespaces=10000"
    );
    assert!(!look("user", true).required, "root needs none");
    assert!(look("net", true).required, "root needs the others");
    let nothing = fixture(&[]);
    assert_eq!(
        limits(&Tree::at(nothing.path()), false).state,
        State::Unknown
    );
}

#[test]
fn debians_switch_blocks_ordinary_users() {
    assert_eq!(sysctl(&is("1"), false).state, State::Ok);
    assert_eq!(sysctl(&Text::Absent, false).state, State::Ok);
    let off = sysctl(&is("0"), false);
    assert_eq!((off.state, off.required), (State::Missing, true));
    assert!(!sysctl(&is("0"), true).required);
    assert_eq!(sysctl(&is("7"), false).state, State::Unknown);
    assert_eq!(sysctl(&UNREADABLE, false).state, State::Unknown);
}

#[test]
fn ubuntus_switch_blocks_all_but_excepted_programs() {
    let on = apparmor(&is("1"), &refused(), false);
    assert_eq!((on.state, on.required), (State::Missing, true));
    let excepted = apparmor(&is("1"), &Tried::Worked(0), false);
    assert_eq!(excepted.state, State::Ok);
    let root = apparmor(&is("1"), &Tried::Worked(0), true);
    assert_eq!((root.state, root.required), (State::Missing, false));
    assert_eq!(apparmor(&is("0"), &refused(), false).state, State::Ok);
    assert_eq!(apparmor(&Text::Absent, &refused(), false).state, State::Ok);
    assert_eq!(
        apparmor(&UNREADABLE, &refused(), false).state,
        State::Unknown
    );
}

#[test]
fn what_hides_a_part_of_proc_is_listed() {
    let plain = "22 27 0:21 / /proc rw - proc proc rw\n27 1 8:1 / / rw - ext4 d rw";
    let docker = format!(
        "{plain}\n30 22 0:5 /null /proc/kcore rw - devtmpfs d rw\n31 22 0:21 /sys /proc/sys ro - proc proc rw"
    );
    let binfmt = format!("{plain}\n30 22 0:9 / /proc/sys/fs/binfmt_misc rw - autofs a rw");
    let state = |text: &str, tried: &Tried| proc_mounts(&is(text), tried, false).state;
    assert_eq!(state(plain, &refused()), State::Ok);
    assert_eq!(state(&binfmt, &refused()), State::Ok);
    assert_eq!(state(&docker, &Tried::Worked(0)), State::Ok);
    let masked = proc_mounts(&is(&docker), &refused(), false);
    assert_eq!((masked.state, masked.required), (State::Missing, true));
    assert_eq!(masked.found, "mounted over: /proc/kcore, /proc/sys");
    assert_eq!(
        proc_mounts(&UNREADABLE, &refused(), false).state,
        State::Unknown
    );
}

#[test]
fn each_fault_of_the_helpers_has_its_own_mend() {
    let fine = || Helpers {
        no_new_privs: Some(false),
        ..Helpers::default()
    };
    assert_eq!(id_helpers(&fine(), false).state, State::Ok);
    assert_eq!(id_helpers(&Helpers::default(), false).state, State::Unknown);
    let names = || vec!["newuidmap"];
    let faults = [
        (
            Helpers {
                absent: names(),
                ..fine()
            },
            "install",
        ),
        (
            Helpers {
                powerless: names(),
                ..fine()
            },
            "chmod",
        ),
        (
            Helpers {
                nosuid: names(),
                ..fine()
            },
            "remount",
        ),
        (
            Helpers {
                no_new_privs: Some(true),
                ..fine()
            },
            "NoNewPrivileges",
        ),
        (
            Helpers {
                no_ranges: vec!["/etc/subuid"],
                ..fine()
            },
            "usermod",
        ),
    ];
    for (found, word) in faults {
        let finding = id_helpers(&found, false);
        assert_eq!((finding.state, finding.required), (State::Missing, false));
        assert!(finding.mend.as_ref().unwrap().contains(word), "{finding:?}");
        assert_eq!(id_helpers(&found, true).state, State::Ok, "root needs none");
    }
}

#[test]
fn a_range_belongs_to_a_name_or_a_uid() {
    assert!(has_range("a:100000:65536\nb:1:1", "b", 7));
    assert!(has_range("7:100000:65536\n", "", 7));
    assert!(!has_range("a:100000:65536", "b", 7));
    assert!(!has_range("b:100000:0", "b", 7));
    assert!(!has_range(":100000:5", "", 7));
    assert!(!has_range("", "b", 7));
}
