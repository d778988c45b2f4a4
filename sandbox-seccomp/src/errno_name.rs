//! Errnos in files: by name, as people write them, or as numbers.

use core::fmt;

use sandbox_core::Errno;
use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de};

/// The name of an errno that has one.
fn name(errno: Errno) -> Option<String> {
    let text = errno.to_string();
    let first = text.split(' ').next()?;
    first.starts_with('E').then(|| first.to_owned())
}

/// The errno of this name.
pub(crate) fn named(wanted: &str) -> Option<Errno> {
    match wanted {
        "EWOULDBLOCK" => return Some(Errno::from_raw(libc::EWOULDBLOCK)),
        "ENOTSUP" => return Some(Errno::from_raw(libc::ENOTSUP)),
        "EDEADLOCK" => return Some(Errno::from_raw(libc::EDEADLK)),
        _ => {}
    }
    // Every errno of Linux is below 134.
    let mut all = (1..=133).map(Errno::from_raw);
    all.find(|&errno| name(errno).as_deref() == Some(wanted))
}

pub(crate) fn serialize<S: Serializer>(errno: &Errno, serializer: S) -> Result<S::Ok, S::Error> {
    match name(*errno).filter(|_| serializer.is_human_readable()) {
        Some(name) => serializer.serialize_str(&name),
        None => errno.serialize(serializer),
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Errno, D::Error> {
    if deserializer.is_human_readable() {
        deserializer.deserialize_any(NameOrNumber)
    } else {
        Errno::deserialize(deserializer)
    }
}

struct NameOrNumber;

impl de::Visitor<'_> for NameOrNumber {
    type Value = Errno;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an errno, as \"EPERM\" or 1")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Errno, E> {
        named(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Errno, E> {
        i32::try_from(number)
            .map(Errno::from_raw)
            .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Errno, E> {
        i32::try_from(number)
            .map(Errno::from_raw)
            .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::{name, named};
    use crate::{Action, Answer};
    use sandbox_core::Errno;

    fn read(text: &str) -> Result<Action, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn errnos_are_read_by_name_and_number_and_written_by_name() {
        for number in 1..=4095 {
            let errno = Errno::from_raw(number);
            for action in [Action::Errno(errno), Action::Report(Answer::Errno(errno))] {
                let text = serde_json::to_string(&action).unwrap();
                assert_eq!(read(&text), Ok(action), "{text}");
                let known = name(errno);
                let shown = known.map_or_else(|| number.to_string(), |name| format!("\"{name}\""));
                assert!(text.contains(&format!("\"errno\":{shown}")), "{text}");
                let digits = text.replace(&shown, &number.to_string());
                assert_eq!(read(&digits), Ok(action), "{digits}");
            }
        }
        let written = serde_json::to_string(&Action::Errno(Errno::from_raw(1)));
        assert_eq!(written.unwrap(), r#"{"errno":"EPERM"}"#);
        for (text, number) in [
            ("EWOULDBLOCK", libc::EAGAIN),
            ("ENOTSUP", libc::EOPNOTSUPP),
            ("EDEADLOCK", libc::EDEADLK),
        ] {
            assert_eq!(named(text), Some(Errno::from_raw(number)));
        }
    }

    #[test]
    fn what_is_no_errno_is_refused_and_shown() {
        for text in [
            "\"EPREM\"",
            "\"\"",
            "\"1\"",
            "\"errno\"",
            "\"EPERM (Operation not permitted)\"",
            "3000000000",
            "-3000000000",
        ] {
            let error = read(&format!("{{\"errno\": {text}}}")).unwrap_err();
            let shown = text.trim_matches('"');
            let wanted = "expected an errno, as \"EPERM\" or 1";
            assert!(error.contains(shown) && error.contains(wanted), "{error}");
        }
        for text in ["null", "true", "1.5", "[1]", "{\"errno\": 1}"] {
            assert!(read(&format!("{{\"errno\": {text}}}")).is_err(), "{text}");
        }
    }
}
