//! Policy files: read, shown, compiled, and decided as they are explained.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sandbox_seccomp::Policy;

const AUDIT_ARCH: u32 = if cfg!(target_arch = "x86_64") {
    0xc000_003e
} else {
    0xc000_00b7
};

fuzz_target!(|text: &str| {
    let Ok(policy) = serde_json::from_str::<Policy>(text) else {
        return;
    };
    let written = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&written).unwrap(), policy);
    let shown = policy.effective().map(|effective| effective.to_string());
    let Ok(filter) = policy.prepare() else { return };
    assert!(shown.is_ok());
    // Arguments out of the text itself, where its own values are likely.
    let words: Vec<u64> = text
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .chain([0])
        .take(6)
        .collect();
    for nr in 0..460 {
        let args = core::array::from_fn(|at| words[(at + nr) % words.len()]);
        let nr = nr.try_into().unwrap();
        let explained = policy.explain(nr, args).unwrap();
        assert_eq!(filter.evaluate(AUDIT_ARCH, nr, args), explained.action);
    }
});
