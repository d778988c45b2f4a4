//! Limits and places that this host cannot serve.

use std::error::Error as _;

use sandbox_cgroup::{Cgroup, CgroupParent, Error, Hierarchies, Missing};
use sandbox_core::{Bytes, Controller, CpuSet, HierarchyVersion, Limits};

use crate::support::{below, create, file, host, needs_v2, read, spawn, version};

fn refused(limits: &Limits) -> Error {
    Cgroup::create(host(), &CgroupParent::Root, limits).unwrap_err()
}

#[test]
fn a_cpu_that_the_host_lacks_is_named() {
    let error = refused(&Limits::default().cpus(CpuSet::new([0, 999])));
    assert!(
        matches!(error, Error::BeyondHost { field: "cpus", .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .starts_with("limit cpus is 0,999, this host has 0"),
        "{error}"
    );
}

#[test]
fn more_memory_than_the_machine_has_is_refused() {
    let error = refused(&Limits::default().memory(Bytes::mib(1 << 30)));
    assert!(
        matches!(
            error,
            Error::BeyondHost {
                field: "memory",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn zero_is_refused_before_anything_is_made() {
    assert!(matches!(
        refused(&Limits::default().processes(0)),
        Error::Limits(_)
    ));
}

#[test]
fn a_host_without_the_controller_is_an_error_that_says_so() {
    let none = Hierarchies::parse("", "").unwrap();
    let limits = Limits::default().memory(Bytes::mib(16));
    let error = Cgroup::create(&none, &CgroupParent::Root, &limits).unwrap_err();
    let reason = Missing::NotMounted;
    assert_eq!(
        error,
        Error::NoController {
            field: "memory",
            controller: Controller::Memory,
            reason
        }
    );
    let cgroup = Cgroup::create(&none, &CgroupParent::Root, &Limits::default()).unwrap();
    assert_eq!(cgroup.controllers(), []);
    assert!(cgroup.cpu_time().value().is_none(), "absence is not zero");
}

#[test]
fn a_parent_that_does_not_exist_is_an_error_with_the_path() {
    let nowhere = CgroupParent::Path("sandbox-cgroup-test-nowhere".into());
    let limits = Limits::default().processes(5);
    let error = Cgroup::create(host(), &nowhere, &limits).unwrap_err();
    assert_eq!(
        error.errno().map(|errno| errno.raw()),
        Some(libc::ENOENT),
        "{error}"
    );
    assert!(
        error.to_string().contains("sandbox-cgroup-test-nowhere"),
        "{error}"
    );
}

#[test]
fn a_v2_parent_with_processes_is_an_error_with_advice() {
    // memory is refused by the kernel; with pids alone the kernel makes a group that nobody can join.
    for limits in [
        Limits::default().memory(Bytes::mib(16)),
        Limits::default().processes(5),
    ] {
        let parent = create(&Limits::default());
        let mut child = spawn(&parent, "sleep", &["600"]);
        let error = Cgroup::create(host(), &below(&parent), &limits).unwrap_err();
        child.kill().unwrap();
        child.wait().unwrap();
        let text = error.to_string();
        match version(Controller::Pids) {
            // v1's parent for the accounting group exists, the others do not.
            HierarchyVersion::V1 => {
                assert!(text.contains("must exist in every hierarchy"), "{text}");
            }
            HierarchyVersion::V2 => {
                assert!(
                    text.contains("choose a cgroup parent without processes"),
                    "{text}"
                );
                assert!(
                    error
                        .source()
                        .is_some_and(|source| source.to_string().contains("EBUSY"))
                );
                assert_eq!(
                    read(&parent, "cgroup.subtree_control"),
                    "",
                    "left as it was"
                );
            }
        }
        parent.destroy().unwrap();
    }
}

#[test]
fn a_v2_group_that_nobody_could_join_is_an_error() {
    if !needs_v2(Controller::Pids) {
        return;
    }
    let parent = create(&Limits::default());
    std::fs::write(file(&parent, "cgroup.subtree_control"), "+pids").unwrap();
    let mut child = spawn(&parent, "sleep", &["600"]);
    let result = Cgroup::create(host(), &below(&parent), &Limits::default().processes(5));
    child.kill().unwrap();
    child.wait().unwrap();
    let error = result.unwrap_err();
    assert!(
        matches!(&error, Error::NotDomain { kind, .. } if kind == "domain invalid"),
        "{error}"
    );
    parent.destroy().unwrap();
}

#[test]
fn a_controller_that_the_v2_parent_lacks_is_named() {
    let parent = create(&Limits::default());
    let inner = Cgroup::create(host(), &below(&parent), &Limits::default()).unwrap();
    let name = |cgroup: &Cgroup| {
        cgroup
            .paths()
            .next()
            .unwrap()
            .file_name()
            .unwrap()
            .to_owned()
    };
    let below = CgroupParent::Path(std::path::Path::new(&name(&parent)).join(name(&inner)));
    let error = Cgroup::create(host(), &below, &Limits::default().processes(5)).unwrap_err();
    match version(Controller::Pids) {
        HierarchyVersion::V1 => assert!(error.errno().is_some(), "{error}"),
        HierarchyVersion::V2 => {
            assert!(
                matches!(
                    error,
                    Error::NoController {
                        field: "processes",
                        ..
                    }
                ),
                "{error}"
            );
        }
    }
    inner.destroy().unwrap();
    parent.destroy().unwrap();
}
