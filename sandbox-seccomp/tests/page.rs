//! docs/policies.md, as a reader takes it.
#![cfg(feature = "serde")]

use sandbox_seccomp::{Policy, Preset};

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policies.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_file_on_the_page_is_a_policy() {
    let page = page();
    let (_, rest) = page.split_once("```json\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let policy: Policy = serde_json::from_str(text).unwrap();
    assert!(policy.reports());
    policy.prepare().unwrap();
    let base = Policy::judge().list().len();
    let own: Vec<String> = policy.list()[base..]
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        own,
        [
            "@network -> EACCES (Permission denied) (no sockets)",
            "perf_event_open -> allow",
            "kill where arg0 as i32 < 0 -> kill",
            "ptrace @mount -> report and kill",
            "alarm -> report, ENOSYS (Function not implemented)",
        ]
    );
}

#[test]
fn the_page_calls_each_preset_as_files_do() {
    let page = page();
    for preset in Preset::ALL {
        let name = serde_json::to_value(preset).unwrap();
        let name = name.as_str().unwrap();
        let row = format!("| `Policy::{name}()` | `{name}` | ");
        assert!(page.contains(&row), "{row}");
    }
}
