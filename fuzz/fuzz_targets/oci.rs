//! Profiles of containers: read, imported, compiled, exported, and read again as what they were.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sandbox_seccomp::{
    fuzzing::{Decisions, calls},
    oci::{Profile, Target},
};

fuzz_target!(|text: &str| {
    let Ok(profile) = serde_json::from_str::<Profile>(text) else {
        return;
    };
    let target = Target::native((6, 1)).unwrap().capability("CAP_SYS_ADMIN");
    let Ok(imported) = profile.import(&target) else {
        return;
    };
    // What was imported names no unknown call, so that only its size or the start can stand against it.
    let effective = imported.policy.effective();
    assert!(effective.is_ok(), "{effective:?}");
    drop(imported.policy.prepare());
    let Ok(exported) = Profile::export(&imported.policy) else {
        return;
    };
    let again = exported.import(&target).unwrap();
    assert!(again.unknown.is_empty());
    let both = [&imported.policy, &again.policy].map(Decisions::native);
    // The one of masks can be too long.
    let [Ok(before), Ok(after)] = both else {
        return;
    };
    for (nr, args) in calls(text) {
        assert_eq!(
            before.does(nr, args),
            before.means(nr, args),
            "{nr}, {args:x?}"
        );
        assert_eq!(
            before.does(nr, args),
            after.does(nr, args),
            "{nr}, {args:x?}"
        );
    }
});
