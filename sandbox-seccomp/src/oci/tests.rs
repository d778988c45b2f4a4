//! Imported and exported profiles against libseccomp's program of the same profile.

use proptest::{
    prelude::*,
    sample,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

use super::{Error, Profile, Target};
use crate::{
    Action, Filter, Policy, Preset,
    instruction::Instruction,
    libseccomp::{CHAIN, Libseccomp},
    table::{ALL, Architecture},
    testing::{arguments, filter, unsupervised, values},
};

mod fields;

/// libseccomp's program of a profile, for our evaluator.
fn theirs(
    library: &Libseccomp,
    profile: &Value,
    selects: impl Fn(&Value) -> bool,
) -> Result<Filter, String> {
    let program = library.program(profile, CHAIN, selects)?;
    let instruction = |[a, b, jt, jf, k @ ..]: [u8; 8]| Instruction {
        code: u16::from_ne_bytes([a, b]),
        jt,
        jf,
        k: u32::from_ne_bytes(k),
    };
    Ok(Filter::new(program.into_iter().map(instruction).collect()))
}

/// The library, or a line that says that it is not there. `SANDBOX_TEST_HOST=profiles:libseccomp/podman` declares it.
fn library() -> Option<Libseccomp> {
    let mut library = Libseccomp::load();
    match &mut library {
        // Version 2.5.4 knows no name of a call after 450, but takes any number.
        Some(library) => library.number = own_number,
        None => missing("libseccomp"),
    }
    library
}

fn own_number(name: &str) -> Option<i32> {
    let number = Architecture::native().unwrap().number(name).ok()??;
    number.try_into().ok()
}

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn missing(what: &str) {
    let declared = std::env::var("SANDBOX_TEST_HOST").unwrap_or_default();
    let declared = declared
        .split(',')
        .filter_map(|item| item.strip_prefix("profiles:"))
        .any(|list| list.split('/').any(|name| name == what));
    assert!(
        !declared,
        "SANDBOX_TEST_HOST declares {what}, which is not there"
    );
    println!("skipped: needs {what}");
}

/// The same decision about every number of a call, and for many arguments where they matter.
fn assert_same(policy: &Policy, ours: &Filter, theirs: &Filter) {
    let architecture = Architecture::native().unwrap();
    let mut runner = TestRunner::new(Config::default());
    let strategy = arguments(policy);
    let effective = policy.effective_on(architecture).unwrap();
    let conditional = |nr: i64| {
        let name = architecture.name(u32::try_from(nr).unwrap());
        let mut calls = effective.calls.iter();
        calls.any(|call| Some(call.name) == name && !call.cases.is_empty())
    };
    // 512 to 547 are calls of x32, which old kernels also made without its bit: they kill here and get the default there.
    for nr in (0..512).chain([548, 1024, 0x3fff_ffff, 0xffff_ffff]) {
        for round in 0..if conditional(nr) { 60 } else { 1 } {
            let args = match round {
                0 => [0; 6],
                _ => strategy.new_tree(&mut runner).unwrap().current(),
            };
            assert_eq!(
                ours.evaluate(architecture.audit, nr, args),
                theirs.evaluate(architecture.audit, nr, args),
                "number {nr}, arguments {args:x?}"
            );
        }
    }
}

/// [`assert_same`], and both kill foreign architectures and on `x86_64` the table of x32, whatever the profile says. What dies
/// is other on purpose: where libseccomp ends a thread, the rest of the process hangs until its time is up.
fn assert_as_libseccomp(policy: &Policy, ours: &Filter, theirs: &Filter) {
    assert_same(policy, ours, theirs);
    let architecture = Architecture::native().unwrap();
    let i386 = 3 | 0x4000_0000;
    let others = ALL.iter().map(|other| other.audit).chain([i386, 0, 0x1234]);
    let others = others.filter(|&arch| arch != architecture.audit);
    let foreign = others.flat_map(|arch| [0, 59, 221, 511, 0x4000_0000].map(|nr| (arch, nr)));
    let traps = architecture.traps.iter().filter(|trap| trap.0 > 1024);
    let x32 = traps.flat_map(|&(first, last)| [first, first + 1, first + 59, last]);
    let x32 = x32.map(|nr| (architecture.audit, nr.into()));
    for (arch, nr) in foreign.chain(x32) {
        let acted = [ours, theirs].map(|filter| filter.evaluate(arch, nr, [0; 6]));
        assert_eq!(
            acted,
            [Action::Kill, Action::KillThread],
            "{arch:#x}, {nr:#x}"
        );
    }
    // No call at all, which libseccomp counts to x32 except for -1.
    if !architecture.traps.is_empty() {
        for nr in [0x8000_0000, 0xffff_fffe] {
            let acted =
                [ours, theirs].map(|filter| filter.evaluate(architecture.audit, nr, [0; 6]));
            assert_eq!(acted, [policy.default_action(), Action::KillThread]);
        }
    }
}

/// Whether runc takes an entry, by its own words, with these capabilities on a kernel of today.
fn selected(entry: &Value, capabilities: &[&str]) -> bool {
    let has = |part: &str, field: &str, wanted: &[&str]| -> Option<(usize, usize)> {
        let names = entry.get(part)?.get(field)?.as_array()?;
        let held = names
            .iter()
            .filter(|name| wanted.contains(&name.as_str().unwrap()));
        Some((held.count(), names.len()))
    };
    let arch = [Architecture::native().unwrap().go];
    let all = |(held, named)| held == named;
    let any = |(held, _)| held > 0;
    has("includes", "arches", &arch).is_none_or(any)
        && has("includes", "caps", capabilities).is_none_or(all)
        && !has("excludes", "arches", &arch).is_some_and(any)
        && !has("excludes", "caps", capabilities).is_some_and(any)
        && entry.pointer("/excludes/minKernel").is_none()
}

fn assert_imports_as_libseccomp_does(text: &str) {
    let Some(library) = library() else { return };
    let value: Value = serde_json::from_str(text).unwrap();
    let profile: Profile = serde_json::from_str(text).unwrap();
    let everything = [
        "CAP_SYS_ADMIN",
        "CAP_SYS_CHROOT",
        "CAP_SYS_MODULE",
        "CAP_SYS_PTRACE",
        "CAP_AUDIT_WRITE",
        "CAP_SYS_TIME",
    ];
    for capabilities in [&[][..], &["CAP_SYS_PTRACE"], &everything] {
        let target = capabilities
            .iter()
            .fold(Target::native((6, 1)).unwrap(), |target, one| {
                target.capability(one)
            });
        let imported = profile.import(&target).unwrap();
        let architecture = Architecture::native().unwrap();
        let theirs = theirs(&library, &value, |entry| selected(entry, capabilities)).unwrap();
        assert_as_libseccomp(
            &imported.policy,
            &filter(&imported.policy, architecture),
            &theirs,
        );
        let unknown: Vec<_> = imported
            .unknown
            .iter()
            .filter(|one| !one.elsewhere)
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        assert!(imported.unknown.iter().any(|one| one.name == "_llseek"));
        assert_eq!(
            imported.policy,
            reread(&profile).import(&target).unwrap().policy
        );
    }
}

/// A profile through its own text.
fn reread(profile: &Profile) -> Profile {
    serde_json::from_str(&serde_json::to_string(profile).unwrap()).unwrap()
}

fn file(what: &str, path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok();
    if text.is_none() {
        missing(what);
    }
    text
}

#[test]
fn podmans_profile_decides_as_libseccomp_does() {
    if let Some(text) = file("podman", "/usr/share/containers/seccomp.json") {
        assert_imports_as_libseccomp_does(&text);
    }
}

#[test]
fn dockers_profile_decides_as_libseccomp_does() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../target/profiles/docker.json"
    );
    if let Some(text) = file("docker", path) {
        assert_imports_as_libseccomp_does(&text);
    }
}

/// Of the same shape, for machines without those two.
#[test]
fn a_profile_with_everything_decides_as_libseccomp_does() {
    let (mine, other) = match Architecture::native().unwrap().go {
        "amd64" => ("amd64", "arm64"),
        native => (native, "amd64"),
    };
    let profile = json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "defaultErrno": "ENOSYS",
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
            {"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": null}
        ],
        "syscalls": [
            {"names": ["read", "write", "_llseek", "openat", "close"], "action": "SCMP_ACT_ALLOW", "args": null},
            {"names": ["kill"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5},
            {"names": ["tgkill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["swapon"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "4.8"}},
            {"names": ["swapoff"], "action": "SCMP_ACT_TRAP", "includes": {"arches": [other]}},
            {"names": ["acct"], "action": "SCMP_ACT_TRAP", "includes": {"arches": [other, mine]}},
            {"names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT"]}},
            {"names": ["chroot"], "action": "SCMP_ACT_KILL", "excludes": {"caps": ["CAP_SYS_CHROOT"]}},
            {"names": ["personality", "prctl"], "action": "SCMP_ACT_LOG",
                "args": [{"index": 0, "value": 4_294_967_295_u64, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]},
            {"names": ["personality"], "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 9, "op": "SCMP_CMP_EQ"}]},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": 2_114_060_288, "op": "SCMP_CMP_MASKED_EQ"}]},
            {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22, "errno": "EINVAL", "comment": "audit", "args": [
                {"index": 0, "value": 16, "op": "SCMP_CMP_EQ"}, {"index": 2, "value": 9, "op": "SCMP_CMP_EQ"}]},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 2, "value": 9, "op": "SCMP_CMP_NE"}]},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_NE"}]},
            {"names": ["lseek"], "action": "SCMP_ACT_KILL_PROCESS", "args": [
                {"index": 1, "value": u64::MAX, "op": "SCMP_CMP_LT"}, {"index": 2, "value": 1_u64 << 32, "op": "SCMP_CMP_GE"}]},
            {"names": ["mmap"], "action": "SCMP_ACT_KILL_THREAD", "args": [
                {"index": 3, "value": 1, "op": "SCMP_CMP_LE"}, {"index": 4, "value": 7, "op": "SCMP_CMP_GT"}]},
            {"names": ["munmap"], "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 3, "value": 1, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ"}]}
        ]
    });
    assert_imports_as_libseccomp_does(&profile.to_string());
}

const OPERATORS: [&str; 7] = ["EQ", "MASKED_EQ", "NE", "LT", "LE", "GE", "GT"];

fn args(operators: usize) -> impl Strategy<Value = Vec<Value>> {
    let arg = (0..3, values(), values(), 0..operators).prop_map(|(index, value, two, op)| {
        let op = format!("SCMP_CMP_{}", OPERATORS[op]);
        json!({"index": index, "value": value, "valueTwo": two, "op": op})
    });
    prop::collection::vec(arg, 0..3)
}

/// Entries about a few calls, in all their forms; many of them overlap.
///
/// A call has either one entry of any kind, each argument once, or several that look for equality: of two ordered
/// comparisons of an argument, libseccomp 2.5.4 forgets the one where the upper half of the other is equal.
fn profiles() -> impl Strategy<Value = Value> {
    let actions = ["ALLOW", "LOG", "TRAP", "KILL", "KILL_PROCESS", "ERRNO"];
    let action = sample::select(actions.map(|name| format!("SCMP_ACT_{name}")).to_vec());
    let names = sample::subsequence(vec!["kill", "mmap", "read", "_llseek"], 1..3);
    let any = (Just(vec!["lseek"]), action.clone(), args(OPERATORS.len()))
        .prop_filter("each argument once", |(.., args)| {
            args.len() < 2 || args[0]["index"] != args[1]["index"]
        });
    let equal = (names, action.clone(), args(2));
    (action, any, prop::collection::vec(equal, 0..6)).prop_map(|(default, any, equal)| {
        let entry = |(names, action, args)| json!({"names": names, "action": action, "args": args});
        let entries: Vec<_> = std::iter::once(any).chain(equal).map(entry).collect();
        json!({"defaultAction": default, "defaultErrnoRet": 7, "syscalls": entries})
    })
}

proptest! {
    #![proptest_config(Config { cases: 200, failure_persistence: None, ..Config::default() })]

    /// What is not refused decides as libseccomp does.
    #[test]
    fn random_profiles_decide_as_libseccomp_does(value in profiles()) {
        let Some(library) = library() else { return Ok(()) };
        let profile: Profile = serde_json::from_value(value.clone()).unwrap();
        match profile.import(&Target::native((6, 1)).unwrap()) {
            Ok(imported) => {
                let theirs = theirs(&library, &value, |_| true).unwrap();
                let ours = filter(&imported.policy, Architecture::native().unwrap());
                assert_as_libseccomp(&imported.policy, &ours, &theirs);
            }
            Err(Error::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn exported_presets_decide_the_same_in_libseccomp_and_when_read_again() {
    let library = library();
    let architecture = Architecture::native().unwrap();
    for preset in Preset::ALL {
        let policy = unsupervised(preset);
        let profile = reread(&Profile::export(&policy).unwrap());
        let ours = filter(&policy, architecture);
        let again = profile.import(&Target::native((6, 1)).unwrap()).unwrap();
        assert!(again.unknown.is_empty());
        assert_same(&policy, &ours, &filter(&again.policy, architecture));
        let Some(library) = &library else { continue };
        let value = serde_json::to_value(&profile).unwrap();
        let theirs = theirs(library, &value, |_| true).unwrap();
        assert!(theirs.len() < 4096, "{preset:?}: {}", theirs.len());
        assert_as_libseccomp(&policy, &ours, &theirs);
    }
}
