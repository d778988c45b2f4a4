//! Policy files: read, shown, compiled, and decided as they are explained.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sandbox_seccomp::{
    Action, Answer, Policy,
    fuzzing::{Decisions, calls},
};

fuzz_target!(|text: &str| {
    let Ok(policy) = serde_json::from_str::<Policy>(text) else {
        return;
    };
    let written = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&written).unwrap(), policy);
    let shown = policy.effective().map(|effective| effective.to_string());
    let explained = policy.explain(0, [0; 6]).map(|one| one.to_string());
    assert_eq!(shown.as_ref().err(), explained.as_ref().err());
    let prepared = policy.prepare();
    let Ok(all) = Decisions::everywhere(&policy) else {
        return;
    };
    assert!(shown.is_ok() || prepared.is_err());
    let dies = if policy.reports() {
        Action::Report(Answer::Kill)
    } else {
        Action::Kill
    };
    for decisions in all {
        for (nr, args) in calls(text) {
            assert_eq!(
                decisions.does(nr, args),
                decisions.means(nr, args),
                "{nr}, {args:x?}"
            );
            assert_eq!(decisions.does_abroad(nr, args), dies, "{nr}, {args:x?}");
        }
    }
});
