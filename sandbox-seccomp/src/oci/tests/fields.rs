//! What each field of a profile does, and what a profile cannot say.

use serde_json::{Value, json};

use crate::{
    Action, ArgCondition, Comparison, Policy,
    oci::{Error, Profile, Target},
    table::Architecture,
    testing::with_a_stranger,
};
use sandbox_core::Errno;

fn profile(value: Value) -> Profile {
    serde_json::from_value(value).unwrap()
}

#[test]
fn what_a_profile_cannot_say_is_refused_by_name() {
    // "Neither this number nor that one" of two arguments of 32 bits.
    let neither = [0, 1].map(|argument| ArgCondition::dword(argument, Comparison::Ne(1)));
    let policy = Policy::allow_list(Action::Kill).rule_if("kill", neither, Action::Allow);
    let refused = Profile::export(&policy);
    assert!(matches!(refused, Err(Error::NotExpressible { syscall, .. }) if syscall == "kill"));
    let typo = Profile::export(&Policy::deny_list().deny(&["opne"]));
    assert!(matches!(typo, Err(Error::Policy(_))));
}

#[test]
fn what_cannot_be_meant_is_refused_by_place() {
    let import = |value: Value| {
        let target = Target::native((6, 1)).unwrap();
        profile(value).import(&target).map(drop)
    };
    let entry =
        |entry: Value| import(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [entry]}));
    let kill = "SCMP_ACT_KILL";
    assert_eq!(
        entry(json!({"action": kill})),
        Err(Error::Names { entry: 0 })
    );
    let both = json!({"action": kill, "name": "read", "names": ["read"]});
    assert_eq!(entry(both), Err(Error::Names { entry: 0 }));
    for (field, empty) in [
        ("name", json!("")),
        ("names", json!([])),
        ("names", json!(["read", ""])),
    ] {
        let empty = entry(json!({"action": "SCMP_ACT_ALLOW", field: empty}));
        assert_eq!(empty, Err(Error::Names { entry: 0 }));
    }
    assert_eq!(entry(json!({"action": kill, "name": "read"})), Ok(()));
    let deny = json!({"action": kill, "names": ["a_call_of_tomorrow"]});
    let refused = Error::CannotRefuse {
        entry: 0,
        name: "a_call_of_tomorrow".to_owned(),
    };
    assert_eq!(entry(deny), Err(refused));
    assert_eq!(entry(json!({"action": kill, "names": ["_llseek"]})), Ok(()));
    let listener = entry(json!({"action": "SCMP_ACT_NOTIFY", "names": ["read"]}));
    assert!(matches!(listener, Err(Error::NoListener { .. })));
    for field in ["listenerPath", "listenerMetadata"] {
        let listener = import(json!({"defaultAction": kill, field: "/run/listener"}));
        let place = field.to_owned();
        assert_eq!(listener, Err(Error::NoListener { place }));
    }
    for (field, errno) in [
        ("errnoRet", json!(0)),
        ("errnoRet", json!(4096)),
        ("errno", json!("ENOTHING")),
        // How a number without a name is told: 41 has none.
        ("errno", json!("errno")),
        ("errno", json!("-1")),
    ] {
        let refused = entry(json!({"action": "SCMP_ACT_ERRNO", "names": ["read"], field: errno}));
        assert!(matches!(refused, Err(Error::Errno { .. })), "{refused:?}");
    }
    let six = json!({"index": 6, "value": 0, "op": "SCMP_CMP_EQ"});
    let refused = entry(json!({"action": kill, "names": ["read"], "args": [six]}));
    assert_eq!(refused, Err(Error::Argument { entry: 0, index: 6 }));
    let kernel = json!({"action": kill, "names": ["read"], "includes": {"minKernel": "new"}});
    assert!(matches!(entry(kernel), Err(Error::MinKernel { .. })));
    let arg = |value| json!([{"index": 0, "value": value, "op": "SCMP_CMP_GE"}]);
    let conflict = import(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["kill"], "action": kill, "args": arg(1)},
        {"names": ["kill"], "action": "SCMP_ACT_TRAP", "args": arg(2)},
    ]}));
    let refused = Error::Conflict {
        syscall: "kill".to_owned(),
        first: 0,
        second: 1,
    };
    assert_eq!(conflict, Err(refused));
    let entries = |count: u64| {
        let one = |value| json!({"names": ["kill"], "action": kill, "args": [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"}]});
        import(
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": (0..count).map(one).collect::<Vec<_>>()}),
        )
    };
    let refused = Error::TooMany {
        syscall: "kill".to_owned(),
        entries: 1025,
    };
    assert_eq!(entries(1024), Ok(()));
    assert_eq!(entries(1025), Err(refused));
    let two = json!({"defaultAction": kill, "architectures": ["SCMP_ARCH_X86"], "archMap": [{"architecture": "SCMP_ARCH_X86"}]});
    assert_eq!(import(two), Err(Error::Architectures));
    let typo = r#"{"defaultAction": "SCMP_ACT_KILL", "syscall": []}"#;
    assert!(serde_json::from_str::<Profile>(typo).is_err());
}

/// A field that is not read is a condition that is not asked.
#[test]
fn every_field_is_kept_and_no_other_is_passed_over() {
    let all = json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "defaultErrno": "ENOSYS",
        "architectures": ["SCMP_ARCH_X86"],
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X32"]}],
        "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "listenerPath": "/run/listener", "listenerMetadata": "x",
        "syscalls": [
            {"name": "read", "action": "SCMP_ACT_ALLOW"},
            {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "errno": "EIO", "comment": "why",
                "args": [{"index": 1, "value": 2, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ"}],
                "includes": {"caps": ["CAP_KILL"], "arches": ["amd64"], "minKernel": "4.8"},
                "excludes": {"caps": ["CAP_SYS_ADMIN"], "arches": ["arm64"], "minKernel": "5.8"}},
            {"names": ["tkill"], "action": "SCMP_ACT_TRAP", "includes": {"minKernel": "4.8"}},
            {"names": ["tkill"], "action": "SCMP_ACT_LOG", "excludes": {"arches": ["arm64"]}},
        ]
    });
    let profile = profile(all.clone());
    assert_eq!(serde_json::to_value(&profile).unwrap(), all);
    let strangers = with_a_stranger(&all);
    // The whole, the map, the entries, the argument, the selectors.
    assert_eq!(strangers.len(), 1 + 1 + 4 + 1 + 4);
    for odd in strangers {
        let read = serde_json::from_value::<Profile>(odd.clone());
        assert!(read.is_err(), "{odd}");
    }
}

#[test]
fn policies_that_report_are_exported_without() {
    let policy = Policy::permissive_deny().report_kills().report_errnos();
    assert_eq!(Profile::export(&policy), Err(Error::Reports));
    let silent = Profile::export(&policy.without_reports()).unwrap();
    assert_eq!(silent, Profile::export(&Policy::permissive_deny()).unwrap());
}

#[test]
fn names_errnos_tables_and_flags_are_reported_as_the_files() {
    let native = Architecture::native().unwrap().scmp;
    let mapped = json!([{"architecture": native, "subArchitectures": ["SCMP_ARCH_X86"]},
        {"architecture": "SCMP_ARCH_S390X", "subArchitectures": ["SCMP_ARCH_S390"]}]);
    for (field, tables) in [
        ("archMap", mapped),
        ("architectures", json!([native, "SCMP_ARCH_X86"])),
        ("architectures", json!(["SCMP_ARCH_X86"])),
    ] {
        let profile = profile(json!({
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "ENOSYS",
            field: tables,
            "flags": ["SECCOMP_FILTER_FLAG_LOG"],
            "syscalls": [
                {"names": ["opne"], "action": "SCMP_ACT_ALLOW"},
                {"names": ["socketcall"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390"]}},
            ]
        }));
        let imported = profile.import(&Target::here().unwrap()).unwrap();
        let unknown = imported.unknown.iter();
        let unknown: Vec<_> = unknown
            .map(|one| (one.name.as_str(), one.entry, one.elsewhere))
            .collect();
        assert_eq!(unknown, [("opne", 0, false), ("socketcall", 1, true)]);
        assert_eq!(imported.killed_architectures, ["SCMP_ARCH_X86"], "{field}");
        assert_eq!(imported.unused_flags, ["SECCOMP_FILTER_FLAG_LOG"]);
        assert_eq!(imported.policy.default_action(), errno(libc::ENOSYS));
    }
}

fn errno(number: i32) -> Action {
    Action::Errno(Errno::from_raw(number))
}

/// Podman writes both, and its name decides.
#[test]
fn an_errno_by_name_goes_before_its_number() {
    for (name, number, wanted) in [
        (json!("EACCES"), json!(5), libc::EACCES),
        (json!("EWOULDBLOCK"), json!(5), libc::EAGAIN),
        (json!("ENOTSUP"), json!(5), libc::EOPNOTSUPP),
        (json!("EDEADLOCK"), json!(5), libc::EDEADLK),
        (json!("EHWPOISON"), json!(5), libc::EHWPOISON),
        (json!("13"), json!(5), libc::EACCES),
        (json!(""), json!(5), libc::EIO),
        (Value::Null, json!(5), libc::EIO),
        (json!("EACCES"), Value::Null, libc::EACCES),
        (Value::Null, Value::Null, libc::EPERM),
    ] {
        let profile = profile(json!({
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": name, "defaultErrnoRet": number,
            "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]
        }));
        let imported = profile.import(&Target::native((6, 1)).unwrap()).unwrap();
        let said = format!("{name} {number}");
        assert_eq!(imported.policy.default_action(), errno(wanted), "{said}");
        let entry = json!({"names": ["read"], "action": "SCMP_ACT_ERRNO", "errno": name, "errnoRet": number});
        let policy = imported_entries(&json!([entry]), (6, 1));
        assert_eq!(policy.list()[0].action, errno(wanted), "{said}");
    }
}

/// The policy of entries where the default allows.
fn imported_entries(entries: &Value, kernel: (u32, u32)) -> Policy {
    let profile = profile(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": entries}));
    let imported = profile.import(&Target::native(kernel).unwrap());
    imported.unwrap().policy
}

#[test]
fn a_comment_is_the_reason() {
    let entry = |name| json!({"names": [name], "action": "SCMP_ACT_KILL", "comment": "no signals"});
    let mut silent = entry("tkill");
    silent["comment"] = Value::Null;
    let policy = imported_entries(&json!([entry("kill"), silent]), (6, 1));
    let reasons: Vec<_> = policy.list().iter().map(|rule| &rule.reason).collect();
    assert_eq!(reasons, ["no signals", "entry 1 of the profile"]);
}

#[test]
fn the_oldest_kernel_includes_and_excludes_from_itself_on() {
    let entry = |part: &str| json!([{"names": ["ptrace"], "action": "SCMP_ACT_KILL", part: {"minKernel": "4.8"}}]);
    for (kernel, reaches) in [
        ((3, 99), false),
        ((4, 7), false),
        ((4, 8), true),
        ((4, 9), true),
        ((4, 10), true),
        ((5, 0), true),
    ] {
        for (part, counts) in [("includes", reaches), ("excludes", !reaches)] {
            let rules = imported_entries(&entry(part), kernel).list().len();
            assert_eq!(rules == 1, counts, "{part} on {kernel:?}");
        }
    }
    // Each part must hold: the first that does not decides.
    let both = json!([{"names": ["ptrace"], "action": "SCMP_ACT_KILL",
        "includes": {"minKernel": "4.8"}, "excludes": {"minKernel": "5.10"}}]);
    for (kernel, counts) in [
        ((4, 7), false),
        ((4, 8), true),
        ((5, 9), true),
        ((5, 10), false),
    ] {
        assert_eq!(imported_entries(&both, kernel).list().len() == 1, counts);
    }
}

#[test]
fn capabilities_and_architectures_include_and_exclude() {
    let mine = Architecture::native().unwrap().go;
    let caps = |names: &[&str]| json!({"caps": names});
    let arches = |names: &[&str]| json!({"arches": names});
    for (part, selector, held, counts) in [
        (
            "includes",
            caps(&["CAP_A", "CAP_B"]),
            &["CAP_A", "CAP_B", "CAP_C"][..],
            true,
        ),
        (
            "includes",
            caps(&["CAP_A", "CAP_B"]),
            &["CAP_A", "CAP_C"],
            false,
        ),
        ("includes", caps(&["CAP_A"]), &[], false),
        ("excludes", caps(&["CAP_A", "CAP_B"]), &["CAP_C"], true),
        ("excludes", caps(&["CAP_A", "CAP_B"]), &["CAP_B"], false),
        ("includes", arches(&["s390x", mine]), &[], true),
        ("includes", arches(&["s390x"]), &[], false),
        ("excludes", arches(&["s390x"]), &[], true),
        ("excludes", arches(&["s390x", mine]), &[], false),
        (
            "includes",
            json!({"arches": ["s390x"], "caps": ["CAP_A"]}),
            &["CAP_A"],
            false,
        ),
        (
            "includes",
            json!({"arches": [mine], "caps": ["CAP_A"]}),
            &[],
            false,
        ),
        (
            "excludes",
            json!({"arches": [mine], "caps": ["CAP_A"]}),
            &[],
            false,
        ),
        (
            "excludes",
            json!({"arches": ["s390x"], "caps": ["CAP_A"]}),
            &["CAP_A"],
            false,
        ),
    ] {
        let entry = json!({"names": ["ptrace"], "action": "SCMP_ACT_KILL", part: selector});
        let profile = profile(json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [entry]}));
        let native = Target::native((6, 1)).unwrap();
        let target = held
            .iter()
            .fold(native, |target, name| target.capability(name));
        let rules = profile.import(&target).unwrap().policy.list().len();
        assert_eq!(rules == 1, counts, "{part} {selector} with {held:?}");
    }
}
