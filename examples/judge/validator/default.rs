//! The default output validator: token by token, as both versions of the format describe it.

use std::iter;

use crate::{package::metadata::Format, validator::Opinion};

/// Longest excerpt of a token in a message.
const EXCERPT: usize = 40;

/// How outputs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Options {
    case_sensitive: bool,
    space_change_sensitive: bool,
    relative: Option<f64>,
    absolute: Option<f64>,
}

/// A flag that the default validator does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FlagError {
    /// Not a flag.
    #[error("{0:?} is no flag of the default validator")]
    Unknown(String),
    /// A tolerance without its number.
    #[error("{0} needs a number that is not negative, such as 1e-6")]
    Number(String),
    /// A tolerance that is given twice.
    #[error("{0} is given twice")]
    Twice(String),
}

impl Options {
    /// Reads the flags. 2025-09 refuses a tolerance that is given twice; in the legacy format the last one counts.
    pub(crate) fn parse(flags: &[String], format: Format) -> Result<Self, FlagError> {
        let mut options = Self::default();
        let mut flags = flags.iter();
        while let Some(flag) = flags.next() {
            let (relative, absolute) = match flag.as_str() {
                "case_sensitive" => {
                    options.case_sensitive = true;
                    continue;
                }
                "space_change_sensitive" => {
                    options.space_change_sensitive = true;
                    continue;
                }
                "float_relative_tolerance" => (true, false),
                "float_absolute_tolerance" => (false, true),
                "float_tolerance" => (true, true),
                _ => return Err(FlagError::Unknown(flag.clone())),
            };
            let epsilon = flags
                .next()
                .and_then(|text| float(text.as_bytes()))
                .filter(|epsilon| *epsilon >= 0.0 && epsilon.is_finite())
                .ok_or_else(|| FlagError::Number(flag.clone()))?;
            for (wanted, place) in [
                (relative, &mut options.relative),
                (absolute, &mut options.absolute),
            ] {
                if wanted && place.replace(epsilon).is_some() && format != Format::Legacy {
                    return Err(FlagError::Twice(flag.clone()));
                }
            }
        }
        Ok(options)
    }

    /// Compares an output with the answer. Total on any bytes, and linear in their number.
    pub(crate) fn compare(&self, output: &[u8], answer: &[u8]) -> Opinion {
        match self.difference(output, answer) {
            None => Opinion::Accepted {
                message: String::new(),
            },
            Some(message) => Opinion::Wrong { message },
        }
    }

    fn difference(&self, output: &[u8], answer: &[u8]) -> Option<String> {
        let mut got = Tokens(output);
        let mut wanted = Tokens(answer);
        for number in 1_u64.. {
            let (got_space, got_token) = got.step();
            let (wanted_space, wanted_token) = wanted.step();
            if self.space_change_sensitive && got_space != wanted_space {
                return Some(format!(
                    "white space before token {number}: got {}, expected {}",
                    excerpt(got_space),
                    excerpt(wanted_space)
                ));
            }
            match (got_token.is_empty(), wanted_token.is_empty()) {
                (true, true) => return None,
                (true, false) => {
                    return Some(format!(
                        "token {number}: the output ends, expected {}",
                        excerpt(wanted_token)
                    ));
                }
                (false, true) => {
                    return Some(format!(
                        "token {number}: got {}, expected the end",
                        excerpt(got_token)
                    ));
                }
                (false, false) if self.same(got_token, wanted_token) => {}
                (false, false) => {
                    return Some(format!(
                        "token {number}: got {}, expected {}",
                        excerpt(got_token),
                        excerpt(wanted_token)
                    ));
                }
            }
        }
        None
    }

    fn same(&self, got: &[u8], wanted: &[u8]) -> bool {
        if (self.relative.is_some() || self.absolute.is_some())
            && let Some(answer) = float(wanted)
        {
            return float(got).is_some_and(|got| self.near(got, answer));
        }
        if self.case_sensitive {
            got == wanted
        } else {
            got.eq_ignore_ascii_case(wanted)
        }
    }

    fn near(&self, got: f64, answer: f64) -> bool {
        #[expect(
            clippy::float_cmp,
            reason = "equal numbers are near at any tolerance, infinite ones too"
        )]
        let equal = got == answer;
        let error = (got - answer).abs();
        equal
            || self.absolute.is_some_and(|epsilon| error <= epsilon)
            || self
                .relative
                .is_some_and(|epsilon| error <= epsilon * answer.abs())
    }
}

/// Walks over a text: white space, token, white space, token, …
struct Tokens<'a>(&'a [u8]);

impl<'a> Tokens<'a> {
    /// The white space before the next token, and the token; both empty at the end.
    fn step(&mut self) -> (&'a [u8], &'a [u8]) {
        let space = self.take(is_space);
        (space, self.take(|byte| !is_space(byte)))
    }

    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self
            .0
            .iter()
            .position(|byte| !wanted(*byte))
            .unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | 0x09..=0x0d)
}

/// Reads a number by the grammar of the format: no `inf`, no `nan`, no hexadecimal.
fn float(token: &[u8]) -> Option<f64> {
    let unsigned = match token {
        [b'+' | b'-', rest @ ..] => rest,
        _ => token,
    };
    let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    let before = digits(unsigned);
    let mut rest = unsigned.get(before..)?;
    let mut after = 0;
    if let [b'.', fraction @ ..] = rest {
        after = digits(fraction);
        rest = fraction.get(after..)?;
    }
    if before == 0 && after == 0 {
        return None;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', rest @ ..] => rest,
            _ => exponent,
        };
        if exponent.is_empty() || digits(exponent) != exponent.len() {
            return None;
        }
    } else if !rest.is_empty() {
        return None;
    }
    std::str::from_utf8(token).ok()?.parse().ok()
}

/// A token for a message: bounded, and free of control characters that would reach a judge's terminal.
fn excerpt(token: &[u8]) -> String {
    let shown = token.get(..EXCERPT).unwrap_or(token);
    let dots = if shown.len() < token.len() { "…" } else { "" };
    iter::once('"')
        .chain(shown.escape_ascii().map(char::from))
        .chain(iter::once('"'))
        .chain(dots.chars())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{FlagError, Options, float};
    use crate::{package::metadata::Format, validator::Opinion};

    fn options(flags: &str) -> Options {
        let flags: Vec<_> = flags.split_whitespace().map(str::to_owned).collect();
        Options::parse(&flags, Format::V2025_09).unwrap()
    }

    fn accepts(flags: &str, output: &[u8], answer: &[u8]) -> bool {
        matches!(
            options(flags).compare(output, answer),
            Opinion::Accepted { .. }
        )
    }

    #[test]
    fn tokens_count_and_space_does_not() {
        assert!(accepts("", b" 1\n2\r\n\x0b\x0c\t3", b"1 2 3\n"));
        assert!(accepts("", b"", b" \n"));
        assert!(!accepts("", b"1 2", b"1 2 3"));
        assert!(!accepts("", b"1 2 3 4", b"1 2 3"));
        assert!(!accepts("", b"12", b"1 2"));
    }

    #[test]
    fn case_counts_only_when_asked_for() {
        assert!(accepts("", b"YES", b"yes"));
        assert!(!accepts("case_sensitive", b"YES", b"yes"));
        assert!(!accepts("", "Ä".as_bytes(), "ä".as_bytes()), "ASCII only");
    }

    #[test]
    fn space_counts_only_when_asked_for() {
        let flag = "space_change_sensitive";
        assert!(accepts(flag, b"a b\n", b"a b\n"));
        assert!(!accepts(flag, b"a  b\n", b"a b\n"));
        assert!(!accepts(flag, b"a b", b"a b\n"));
        assert!(!accepts(flag, b" a b\n", b"a b\n"));
        assert!(!accepts(flag, b"a\tb\n", b"a b\n"));
    }

    #[test]
    fn tolerances_are_relative_absolute_or_either() {
        assert!(!accepts("", b"1.0", b"1"), "text without a tolerance");
        assert!(accepts("float_tolerance 0", b"1.0", b"1"));
        assert!(accepts("float_absolute_tolerance 0.5", b"1.5", b"1"));
        assert!(!accepts("float_absolute_tolerance 0.5", b"1.51", b"1"));
        assert!(accepts("float_relative_tolerance 0.5", b"150", b"100"));
        assert!(!accepts("float_relative_tolerance 0.5", b"151", b"100"));
        assert!(accepts("float_tolerance 1e-2", b"1000", b"1009"));
        assert!(accepts("float_tolerance 1e-2", b"3.14e-2", b"0.0314"));
        assert!(!accepts("float_tolerance 1e-2", b"nan", b"1"));
        assert!(!accepts("float_tolerance 1e-2", b"inf", b"1"));
        assert!(accepts("float_tolerance 1e-2", b"inf", b"INF"), "text");
    }

    #[test]
    fn numbers_follow_the_grammar() {
        for text in ["1", "-1.", "+.5", "1e5", "1.5E-3", "00.10"] {
            assert!(float(text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            "", ".", "-", "e5", "1e", "1e+", "0x1", "inf", "nan", "1_0", "1 ", "--1",
        ] {
            assert!(float(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn any_bytes_are_compared() {
        let huge = vec![b'9'; 4 << 20];
        assert!(accepts("float_tolerance 1e-6", &huge, &huge));
        let binary: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        assert!(accepts("", &binary, &binary));
        let Opinion::Wrong { message } = options("").compare(&[0x1b, b'[', 0xff], &huge) else {
            panic!("must differ")
        };
        assert!(message.is_ascii() || message.ends_with('…'), "{message}");
        assert!(message.len() < 200);
        assert!(!message.contains('\x1b'));
    }

    #[test]
    fn flags_are_checked() {
        let parse = |text: &str, format| {
            let flags: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
            Options::parse(&flags, format)
        };
        assert!(matches!(
            parse("ignore_case", Format::Legacy),
            Err(FlagError::Unknown(_))
        ));
        for text in ["float_tolerance", "float_tolerance x", "float_tolerance -1"] {
            assert!(matches!(
                parse(text, Format::Legacy),
                Err(FlagError::Number(_))
            ));
        }
        let twice = "float_tolerance 1 float_absolute_tolerance 2";
        assert!(parse(twice, Format::Legacy).is_ok());
        assert!(matches!(
            parse(twice, Format::V2025_09),
            Err(FlagError::Twice(_))
        ));
        assert!(
            parse(
                "float_relative_tolerance 1 float_absolute_tolerance 2",
                Format::V2025_09
            )
            .is_ok()
        );
    }
}
