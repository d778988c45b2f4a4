//! The report as lines and as JSON.

use std::{fmt::Write as _, io};

use sandbox_exec::doctor::{Finding, Health, Report, State};
use serde::Serialize;

/// The JSON document: the report and what it comes to. docs/doctor.md has its shape.
#[derive(Debug, Serialize)]
struct Document<'r> {
    health: Health,
    #[serde(flatten)]
    report: &'r Report,
}

/// One JSON document.
pub(crate) fn json(report: &Report) -> io::Result<String> {
    let document = Document {
        health: report.health(),
        report,
    };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}

/// One line per need, and one of sums.
pub(crate) fn lines(report: &Report) -> String {
    let mut text: String = report.findings.iter().map(line).collect();
    let count = |state| {
        report
            .findings
            .iter()
            .filter(|finding| finding.state == state)
            .count()
    };
    let health = match report.health() {
        Health::Missing => "something that boxes depend on is missing",
        Health::Unknown => "something that boxes depend on is unknown",
        _ => "boxes can be had",
    };
    let user = if report.privileged {
        "privileged"
    } else {
        "as an ordinary user"
    };
    // Writing to a string cannot fail.
    writeln!(
        text,
        "Linux {}, {user}: {health}; {} ok, {} degraded, {} missing, {} unknown",
        report.kernel,
        count(State::Ok),
        count(State::Degraded),
        count(State::Missing),
        count(State::Unknown),
    )
    .ok();
    text
}

fn line(finding: &Finding) -> String {
    let star = if finding.required { '*' } else { ' ' };
    let mut text = format!(
        "{:<8} {star}{:<18} {}",
        finding.state, finding.need, finding.found
    );
    for (name, value) in [("costs", &finding.costs), ("mend", &finding.mend)] {
        if let Some(value) = value {
            write!(text, " | {name}: {value}").ok();
        }
    }
    // What the kernel or a path says may have line ends.
    text = text.replace('\n', " ");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::{json, lines};
    use sandbox_exec::doctor::Report;

    fn report() -> Report {
        let report = serde_json::json!({"kernel": "6.1", "privileged": false, "findings": [
            {"need": "memory", "state": "missing", "required": true, "found": "a\nb", "costs": "c", "mend": "d"},
            {"need": "aslr", "state": "ok", "required": false, "found": "off", "costs": null, "mend": null},
        ]});
        serde_json::from_value(report).unwrap()
    }

    #[test]
    fn a_need_is_a_line() {
        let text = lines(&report());
        let mut each = text.lines();
        let first = each.next().unwrap();
        assert_eq!(
            first,
            "missing  *memory             a b | costs: c | mend: d"
        );
        assert_eq!(each.next().unwrap(), "ok        aslr               off");
        let sums = each.next().unwrap();
        assert!(
            sums.ends_with("1 ok, 0 degraded, 1 missing, 0 unknown"),
            "{sums}"
        );
        assert_eq!(each.next(), None);
    }

    #[test]
    fn the_document_says_what_it_comes_to() {
        let text = json(&report()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["health"], "missing");
        assert_eq!(value["findings"][1]["mend"], serde_json::Value::Null);
    }
}
