//! What each preset comes to, against what is written down.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{Effective, Policy, Preset, table::ALL};

/// Whoever changes a list or a number of a preset, or moves a call to another group, changes this text too, where a reader
/// sees what becomes of each call.
const WRITTEN: &str = include_str!("../../tests/effective/presets.txt");

/// What becomes of every call of every architecture. A name means the same on all of them.
fn everywhere(preset: Preset) -> Effective {
    let policy = Policy::from(preset);
    let mut calls = BTreeMap::new();
    for architecture in ALL {
        for call in policy.effective_on(architecture).unwrap().calls {
            let known = calls.entry(call.name).or_insert_with(|| call.clone());
            assert_eq!(*known, call, "{preset:?}");
        }
    }
    Effective {
        default: policy.default_action(),
        calls: calls.into_values().collect(),
    }
}

/// Lines of at most 120 columns; what goes on is indented.
fn folded(text: &str) -> String {
    let mut folded = String::new();
    for line in text.lines() {
        let mut column = 0;
        for word in line.split(' ') {
            let gap = match column {
                0 => "",
                _ if column + 1 + word.len() > 120 => "\n    ",
                _ => " ",
            };
            column = if gap.len() > 1 { 4 } else { column + gap.len() };
            column += word.len();
            write!(folded, "{gap}{word}").unwrap();
        }
        folded.push('\n');
    }
    folded
}

#[test]
fn every_preset_comes_to_what_is_written_down() {
    let shown = Preset::ALL.map(|preset| folded(&format!("[{preset:?}]\n{}", everywhere(preset))));
    let shown = shown.join("\n");
    let mut lines = shown.lines().zip(WRITTEN.lines());
    let differs = lines.find(|(shown, written)| shown != written);
    let all = format!("differs first: {differs:#?}\nIt all comes to\n{shown}");
    assert!(shown == WRITTEN, "{all}");
}

/// [`Policy::because`] is about all rules before it that have no reason: one left out would give them the next one's.
#[test]
fn the_reasons_of_strict_compute_are_about_their_own_calls() {
    let strict = Policy::strict_compute();
    let about = |word: &str| {
        let rules = strict
            .list()
            .iter()
            .filter(|rule| rule.reason.contains(word));
        let calls = rules.flat_map(|rule| rule.syscalls.iter().map(String::as_str));
        calls.collect::<Vec<_>>()
    };
    assert_eq!(about("Pascal"), ["sched_setscheduler"]);
    assert_eq!(about("init"), ["tkill", "tgkill"]);
    assert_eq!(about("threads"), ["clone", "clone"]);
    assert_eq!(about("failed start"), ["sendto"]);
}
