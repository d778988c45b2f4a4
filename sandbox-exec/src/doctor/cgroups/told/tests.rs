use super::{Attempt, LIMITS, Refusal, delegation, modes, one_limit};
use crate::doctor::{attempt::Tried, cgroups::Group, report::State, tree::Text};
use sandbox_cgroup::{CgroupParent, Error, Hierarchies, Missing};
use sandbox_core::{Controller, Errno, HierarchyVersion, Unavailable};
use std::path::PathBuf;

fn made() -> Attempt {
    Ok(Group {
        parents: vec![PathBuf::from("/c")],
        version: Some(HierarchyVersion::V2),
        memory_peak: None,
    })
}

fn refused(errno: i32) -> Attempt {
    Err(Refusal::Group(Error::Create {
        path: PathBuf::from("/c/x"),
        source: Errno::from_raw(errno),
    }))
}

fn absent(reason: Missing) -> Attempt {
    Err(Refusal::Group(Error::NoController {
        field: "memory",
        controller: Controller::Memory,
        reason,
    }))
}

#[test]
fn each_controller_is_told_with_its_generation() {
    let found = |mounts: &str, groups: &str| {
        modes(
            &Hierarchies::parse(mounts, groups),
            &Text::Is(mounts.to_owned()),
        )
    };
    let v2 = "1 2 0:3 / /c/u rw - cgroup2 cgroup2 rw\n";
    let unified = found(v2, "0::/\n");
    assert_eq!(unified.state, State::Ok);
    assert!(unified.found.starts_with("unified: "), "{}", unified.found);
    let v1 = "1 2 0:1 / /c/m rw - cgroup cgroup rw,memory\n";
    let hybrid = found(&format!("{v1}{v2}"), "4:pids:/\n2:memory:/\n0::/\n");
    assert!(hybrid.found.starts_with("hybrid: "), "{}", hybrid.found);
    assert!(hybrid.found.contains("memory v1"), "{}", hybrid.found);
    assert!(hybrid.found.contains("pids nowhere"), "{}", hybrid.found);
    assert!(found(v1, "2:memory:/\n").found.starts_with("v1: "));
    let named = "1 2 0:7 / /c/s rw - cgroup cgroup rw,name=systemd\n";
    let systemd = found(&format!("{named}{v2}"), "0::/\n");
    assert!(systemd.found.starts_with("hybrid: "), "{}", systemd.found);
    let none = found("", "");
    assert_eq!((none.state, none.required), (State::Missing, true));
    assert_eq!(found("nonsense", "").state, State::Unknown);
}

#[test]
fn a_limit_is_set_or_lost() {
    let memory = &LIMITS[1];
    assert_eq!(one_limit(memory, &made()).state, State::Ok);
    let mut old = made().unwrap();
    old.memory_peak = Some(Unavailable::KernelTooOld);
    let old = one_limit(memory, &Ok(old));
    assert_eq!(old.state, State::Degraded);
    assert!(old.mend.unwrap().contains("5.19"));

    let parent = PathBuf::from("/c/own");
    let above = one_limit(memory, &absent(Missing::NotDelegated { parent }));
    assert_eq!((above.state, above.required), (State::Missing, true));
    assert!(above.mend.unwrap().starts_with("echo +memory"));
    let nowhere = one_limit(memory, &absent(Missing::NotMounted));
    assert!(nowhere.mend.unwrap().contains("cgroup_enable=memory"));
    let path = PathBuf::from("/c/memory.swap.max");
    let swap = one_limit(memory, &Err(Error::SwapUnaccounted { path }.into()));
    assert!(swap.mend.unwrap().contains("swapoff"));
    let denied = one_limit(memory, &refused(libc::EACCES));
    assert!(denied.mend.unwrap().contains("delegation"));
    assert!(!one_limit(&LIMITS[4], &refused(libc::EACCES)).required);
}

#[test]
fn delegation_is_a_matter_of_rights_and_places() {
    let root = |attempts: &[Attempt]| delegation(&CgroupParent::Root, attempts);
    let fine = root(&[made(), absent(Missing::NotMounted)]);
    assert_eq!(fine.state, State::Ok);
    assert_eq!(fine.found, "groups can be made and entered in /c");
    for (errno, word) in [
        (libc::EACCES, "systemd-run"),
        (libc::EROFS, "remount"),
        (libc::EBUSY, "leaf"),
        (libc::ENOENT, "exists"),
    ] {
        let finding = root(&[made(), refused(errno)]);
        assert_eq!((finding.state, finding.required), (State::Missing, true));
        assert!(finding.mend.as_ref().unwrap().contains(word), "{finding:?}");
    }
    let own = delegation(&CgroupParent::Own, &[refused(libc::EACCES)]);
    assert!(own.mend.unwrap().starts_with("chown"));
    assert_eq!(
        root(&[absent(Missing::NotMounted)]).state,
        State::Missing,
        "without any group nothing is delegated"
    );
}

#[test]
fn a_group_that_cannot_be_entered_is_of_no_use() {
    let entry = |tried| {
        let parents = vec![PathBuf::from("/c/own")];
        Err(Refusal::Entry { parents, tried })
    };
    // What the library says before it makes the group.
    let refused = || {
        Err(Refusal::from(Error::OutOfReach {
            field: "memory",
            controller: Controller::Memory,
            parent: "/c/own".into(),
            path: "/c/cgroup.procs".into(),
            source: Errno::from_raw(libc::EACCES),
        }))
    };
    let finding = delegation(&CgroupParent::Own, &[refused()]);
    assert_eq!((finding.state, finding.required), (State::Missing, true));
    assert!(
        finding
            .found
            .starts_with("groups can be made in /c/own, but not entered")
    );
    assert!(finding.mend.unwrap().contains("leaf/cgroup.procs"));
    assert_eq!(one_limit(&LIMITS[0], &refused()).state, State::Missing);
    let untried = || entry(Tried::Untried("no copy".to_owned()));
    assert_eq!(
        delegation(&CgroupParent::Own, &[untried()]).state,
        State::Unknown
    );
    assert_eq!(one_limit(&LIMITS[0], &untried()).state, State::Unknown);
}
