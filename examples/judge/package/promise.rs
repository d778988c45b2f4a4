//! What the package promises of each submission: default directories, `submissions.yaml`, and whether it was kept.

use serde::Serialize;

use super::{glob::Glob, metadata::Format};

/// The four verdicts that the format knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Class {
    /// Accepted.
    Ac,
    /// Wrong answer.
    Wa,
    /// Time limit exceeded.
    Tle,
    /// Run-time error, and whatever else the format has no name for: memory, output, processes, security.
    Rte,
}

impl Class {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Ac, Self::Wa, Self::Tle, Self::Rte];

    /// The name in `submissions.yaml`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ac => "AC",
            Self::Wa => "WA",
            Self::Tle => "TLE",
            Self::Rte => "RTE",
        }
    }
}

/// One requirement on the verdicts of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Where the rule comes from, for messages.
    pub(crate) origin: String,
    /// The tests it is about; `None` means all.
    pub(crate) tests: Option<Glob>,
    /// Each of these tests has one of these verdicts.
    pub(crate) permitted: Vec<Class>,
    /// At least one of these tests has one of these verdicts.
    pub(crate) required: Vec<Class>,
    /// Text that at least one judge message must contain.
    pub(crate) message: Option<String>,
    /// What the rule means for the time limit.
    pub(crate) bound: Option<Bound>,
}

/// How a submission bounds the time limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The limit must leave it time.
    Lower,
    /// The limit must stop it.
    Upper,
}

/// What is promised of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Nothing: it is not part of the package.
    None,
    /// It does not compile. A directory of ours, `compile_error/`.
    CompileError,
    /// It compiles and keeps every rule.
    Rules(Vec<Rule>),
}

/// What one test says to a promise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// Name of the test, relative to `data/`.
    pub(crate) test: &'a str,
    /// Its verdict.
    pub(crate) class: Class,
    /// The validator's message to the judges.
    pub(crate) message: &'a str,
}

impl Rule {
    /// A rule for all tests; its bound follows from its sets as the format says.
    pub(crate) fn new(origin: &str, permitted: &[Class], required: &[Class]) -> Self {
        Self {
            origin: origin.to_owned(),
            tests: None,
            permitted: permitted.to_vec(),
            required: required.to_vec(),
            message: None,
            bound: default_bound(permitted, required),
        }
    }

    /// Whether the rule is about this test.
    pub(crate) fn covers(&self, test: &str) -> bool {
        self.tests.as_ref().is_none_or(|glob| glob.covers(test))
    }

    /// What breaks the rule.
    fn violation(&self, seen: &[Seen<'_>]) -> Option<String> {
        let covered: Vec<_> = seen.iter().filter(|s| self.covers(s.test)).collect();
        if let Some(bad) = covered.iter().find(|s| !self.permitted.contains(&s.class)) {
            return Some(format!(
                "{}: {} on {}, permitted is {}",
                self.origin,
                bad.class.name(),
                bad.test,
                names(&self.permitted)
            ));
        }
        if !covered.is_empty() && !covered.iter().any(|s| self.required.contains(&s.class)) {
            return Some(format!(
                "{}: no test gave {}",
                self.origin,
                names(&self.required)
            ));
        }
        let message = self.message.as_deref()?;
        (!covered.iter().any(|s| s.message.contains(message)))
            .then(|| format!("{}: no judge message contains {message:?}", self.origin))
    }
}

impl Promise {
    /// The rules that are broken by what was seen; empty means that the promise was kept.
    pub(crate) fn violations(&self, seen: &[Seen<'_>]) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::CompileError => vec!["compile_error: it compiles".to_owned()],
            Self::Rules(rules) => rules.iter().filter_map(|r| r.violation(seen)).collect(),
        }
    }

    /// The rules that bound the time limit in this direction.
    pub(crate) fn bounding(&self, bound: Bound) -> impl Iterator<Item = &Rule> {
        let rules: &[Rule] = match self {
            Self::Rules(rules) => rules,
            Self::None | Self::CompileError => &[],
        };
        rules.iter().filter(move |rule| rule.bound == Some(bound))
    }
}

/// What the sets alone say about the time limit (2025-09, "Timelimit inference").
pub(super) fn default_bound(permitted: &[Class], required: &[Class]) -> Option<Bound> {
    if !permitted.contains(&Class::Tle) {
        Some(Bound::Lower)
    } else if required == [Class::Tle] {
        Some(Bound::Upper)
    } else {
        None
    }
}

/// The requirement of a default directory; `None` where the format does not know the directory.
pub(crate) fn default_rule(format: Format, directory: &str) -> Option<Rule> {
    use Class::{Ac, Rte, Tle, Wa};
    let (permitted, required): (&[Class], &[Class]) = match (format, directory) {
        (_, "accepted") => (&[Ac], &Class::ALL),
        (_, "wrong_answer") => (&[Ac, Wa], &[Wa]),
        (Format::Legacy, "time_limit_exceeded") => (&[Ac, Wa, Tle], &[Tle]),
        (Format::Legacy, "run_time_error") => (&Class::ALL, &[Rte]),
        (Format::V2025_09, "time_limit_exceeded") => (&[Ac, Tle], &[Tle]),
        (Format::V2025_09, "run_time_error") => (&[Ac, Rte], &[Rte]),
        (Format::V2025_09, "rejected") => (&Class::ALL, &[Rte, Tle, Wa]),
        (Format::V2025_09, "brute_force") => (&[Ac, Rte, Tle], &[Rte, Tle]),
        _ => return None,
    };
    let mut rule = Rule::new(directory, permitted, required);
    if format == Format::Legacy && directory != "accepted" {
        // In the legacy format only the accepted submissions make the time limit.
        rule.bound = None;
    }
    Some(rule)
}

fn names(classes: &[Class]) -> String {
    let names: Vec<_> = classes.iter().map(|class| class.name()).collect();
    names.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::{
        Bound,
        Class::{Ac, Rte, Tle, Wa},
        Promise, Rule, Seen, default_rule,
    };
    use crate::package::{glob::Glob, metadata::Format};

    fn kept(rule: &Rule, classes: &[super::Class]) -> bool {
        let seen: Vec<_> = classes
            .iter()
            .map(|class| Seen {
                test: "secret/1",
                class: *class,
                message: "",
            })
            .collect();
        Promise::Rules(vec![rule.clone()])
            .violations(&seen)
            .is_empty()
    }

    #[test]
    fn each_directory_promises_what_its_format_says() {
        let legacy = |name| default_rule(Format::Legacy, name).unwrap();
        let current = |name| default_rule(Format::V2025_09, name).unwrap();
        assert!(kept(&legacy("accepted"), &[Ac, Ac]));
        assert!(!kept(&legacy("accepted"), &[Ac, Wa]));
        assert!(kept(&legacy("wrong_answer"), &[Ac, Wa]));
        assert!(!kept(&legacy("wrong_answer"), &[Ac, Ac]));
        assert!(!kept(&legacy("wrong_answer"), &[Wa, Tle]));
        assert!(kept(&legacy("time_limit_exceeded"), &[Wa, Tle]));
        assert!(!kept(&current("time_limit_exceeded"), &[Wa, Tle]));
        assert!(!kept(&legacy("time_limit_exceeded"), &[Rte, Tle]));
        assert!(kept(&legacy("run_time_error"), &[Wa, Tle, Rte]));
        assert!(!kept(&current("run_time_error"), &[Wa, Rte]));
        assert!(kept(&current("rejected"), &[Wa, Rte]));
        assert!(!kept(&current("rejected"), &[Ac]));
        assert!(kept(&current("brute_force"), &[Ac, Tle]));
        assert!(!kept(&current("brute_force"), &[Tle, Wa]));
        assert!(default_rule(Format::Legacy, "rejected").is_none());
    }

    #[test]
    fn bounds_follow_from_the_sets() {
        let bound = |format, name| default_rule(format, name).unwrap().bound;
        assert_eq!(bound(Format::Legacy, "accepted"), Some(Bound::Lower));
        assert_eq!(bound(Format::Legacy, "wrong_answer"), None);
        assert_eq!(bound(Format::V2025_09, "wrong_answer"), Some(Bound::Lower));
        assert_eq!(
            bound(Format::V2025_09, "run_time_error"),
            Some(Bound::Lower)
        );
        assert_eq!(
            bound(Format::V2025_09, "time_limit_exceeded"),
            Some(Bound::Upper)
        );
        assert_eq!(bound(Format::V2025_09, "brute_force"), None);
        assert_eq!(bound(Format::V2025_09, "rejected"), None);
    }

    #[test]
    fn a_rule_speaks_of_its_tests_only() {
        let mut rule = Rule::new("x", &[Ac], &super::Class::ALL);
        rule.tests = Some(Glob::new("sample").unwrap());
        assert!(kept(&rule, &[Wa]), "secret/1 is not a sample");
    }

    #[test]
    fn messages_are_looked_for() {
        let mut rule = Rule::new("x", &[Wa], &[Wa]);
        rule.message = Some("too long".to_owned());
        let promise = Promise::Rules(vec![rule]);
        let mut seen = Seen {
            test: "secret/1",
            class: Wa,
            message: "the path is too long",
        };
        assert!(promise.violations(&[seen]).is_empty());
        seen.message = "no";
        assert_eq!(promise.violations(&[seen]).len(), 1);
    }
}
