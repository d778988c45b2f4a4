//! Binds that show other ids than their files have. As root, on the real kernel.

mod support;

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, chown},
};

use sandbox_fs::{Error, IdMapping, MountFlags, RootSpec, Rule, Trees};
use support::{ROOMY, USER, become_user, errno, in_box, in_child, is_linux_6_5};

const W: MountFlags = MountFlags::WRITABLE;

#[test]
fn an_idmapped_bind_shows_the_judges_files_as_the_boxs() {
    if !is_linux_6_5() {
        return;
    }
    in_child(|| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "x").unwrap();
        chown(dir.path(), Some(4_000), Some(4_000)).unwrap();
        chown(dir.path().join("file"), Some(4_000), Some(4_000)).unwrap();
        let ids = IdMapping {
            stored: 4_000,
            shown: USER,
            count: 1,
        };
        let mapped = RootSpec::new(ROOMY).rule(Rule::IdmappedBind {
            source: dir.path().into(),
            target: "box".into(),
            flags: W,
            ids,
        });
        in_box(&mapped, || {
            assert_eq!(fs::metadata("/box").unwrap().uid(), USER);
            become_user(USER);
            fs::write("/box/new", "x").unwrap();
        });
        let new = fs::metadata(dir.path().join("new")).unwrap();
        assert_eq!((new.uid(), new.gid()), (4_000, 4_000), "as it is stored");
        in_box(&RootSpec::new(ROOMY).bind(dir.path(), "box", W), || {
            become_user(USER);
            let twin = errno(fs::write("/box/new", "y"));
            assert_eq!(twin, Some(libc::EACCES), "the twin");
        });
        let plan = mapped.prepare().unwrap();
        let error = plan.instantiate(Trees::FromInit).unwrap_err();
        assert!(matches!(error, Error::Unmappable { .. }), "{error}");
    });
}
