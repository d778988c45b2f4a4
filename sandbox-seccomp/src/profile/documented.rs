//! The tables in the documentation of the presets against what the presets do.

use std::collections::BTreeSet;

use crate::{
    Action, EffectiveCall, Group, Policy, Preset,
    table::{ALL, Architecture, names},
};

/// A row: the calls and groups that its first column names, and what happens to them.
struct Row<'a> {
    names: Vec<&'a str>,
    happens: &'a str,
}

impl Row<'_> {
    fn is_about(&self, call: &str) -> bool {
        let holds =
            |name: &&str| Group::find(name).is_some_and(|group| group.calls.contains(&call));
        self.names.contains(&call) || self.names.iter().any(holds)
    }
}

/// The table in front of a function.
fn table<'a>(source: &'a str, function: &str) -> Vec<Row<'a>> {
    let end = source.find(&format!("    pub fn {function}()")).unwrap();
    let lines = source[..end].lines().rev().map(str::trim);
    let documentation = lines.take_while(|line| line.starts_with("///") || line.starts_with("#["));
    let rows = documentation.filter_map(|line| line.strip_prefix("/// | "));
    let cells = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    let row = |cells: Vec<&'a str>| Row {
        names: cells[0]
            .split('`')
            .skip(1)
            .step_by(2)
            .filter_map(name)
            .collect(),
        happens: cells[1],
    };
    cells.filter(|cells| cells[0] != "Calls").map(row).collect()
}

/// The call or group with which a piece of code begins; constants are written in capitals.
fn name(code: &str) -> Option<&str> {
    let end =
        code.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && !"@_-".contains(c));
    let name = &code[..end.unwrap_or(code.len())];
    let is_known = names().contains(&name) || Group::find(name).is_some();
    assert!(
        is_known || name.is_empty(),
        "{name} is no call and no group"
    );
    Some(name).filter(|name| !name.is_empty())
}

/// How a table says it.
fn word(action: Action) -> String {
    match action {
        Action::Allow => "allowed".to_owned(),
        Action::Kill => "kill".to_owned(),
        Action::Report(_) => "reported".to_owned(),
        Action::Errno(errno) => format!("`{}`", errno.to_string().split(' ').next().unwrap()),
        other => unreachable!("no preset has {other}"),
    }
}

/// What a policy does with every call of an architecture.
fn all(policy: &Policy, architecture: &Architecture) -> Vec<EffectiveCall> {
    let effective = policy.effective_on(architecture).unwrap();
    let calls = architecture.calls.iter().map(|&(name, _)| {
        let mut told = effective.calls.iter().filter(|call| call.name == name);
        told.next().cloned().unwrap_or(EffectiveCall {
            name,
            cases: Vec::new(),
            otherwise: effective.default,
        })
    });
    calls.collect()
}

/// What has a rule that `base` has not is in the table, by its own name where arguments decide; what is in the table happens.
fn assert_documented(policy: &Policy, base: &Policy, rows: &[Row<'_>]) {
    let own = policy.list().iter().skip(base.list().len());
    let ruled: BTreeSet<_> = own.flat_map(|rule| rule.names().unwrap()).collect();
    for architecture in ALL {
        for (call, before) in all(policy, architecture)
            .iter()
            .zip(all(base, architecture))
        {
            let said = rows.iter().filter(|row| row.is_about(call.name));
            let said: Vec<_> = said.map(|row| row.happens).collect();
            if *call == before && said.is_empty() && !ruled.contains(call.name) {
                continue;
            }
            if call.cases.is_empty() {
                let wanted = word(call.otherwise);
                let is_said = said.iter().any(|said| said.contains(&wanted));
                assert!(is_said, "{}: {wanted} is not in {said:?}", call.name);
                continue;
            }
            let mut names = rows.iter().flat_map(|row| &row.names);
            assert!(
                names.any(|name| *name == call.name),
                "{} has no row",
                call.name
            );
            let actions = call.cases.iter().map(|&(_, action)| action);
            let refusals = actions
                .chain([call.otherwise])
                .filter(|action| *action != Action::Allow);
            for wanted in refusals.map(word) {
                let is_said = said.iter().any(|said| said.contains(&wanted));
                assert!(is_said, "{}: {wanted} is not in {said:?}", call.name);
            }
        }
    }
}

#[test]
fn the_tables_of_the_presets_say_what_happens_to_every_call() {
    let judge = include_str!("../profile.rs");
    let strict = include_str!("strict_compute.rs");
    let others = include_str!("others.rs");
    for preset in Preset::ALL {
        let (source, function, base) = match preset {
            Preset::Judge => (judge, "judge", None),
            Preset::StrictCompute => (strict, "strict_compute", None),
            Preset::Interpreter => (others, "interpreter", Some(Policy::judge())),
            Preset::Compiler => (others, "compiler", Some(Policy::judge())),
            Preset::PermissiveDeny => (others, "permissive_deny", None),
        };
        let policy = Policy::from(preset);
        let default = Policy::allow_list(policy.default_action());
        assert_documented(&policy, &base.unwrap_or(default), &table(source, function));
    }
}
