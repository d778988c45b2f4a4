//! The glob patterns of `submissions.yaml`: `*` inside one file name, `{a,b}`, nothing else.

/// More alternatives than any package needs; nested braces multiply, so a hostile pattern is cut off here.
const MAX_ALTERNATIVES: usize = 256;

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    alternatives: Vec<Vec<String>>,
}

/// A pattern that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GlobError {
    /// Braces do not pair up.
    #[error("glob {0:?} has a brace without its partner")]
    Braces(String),
    /// Too many alternatives.
    #[error("glob {0:?} has more than {MAX_ALTERNATIVES} alternatives")]
    TooMany(String),
}

impl Glob {
    /// Compiles a pattern.
    pub(crate) fn new(pattern: &str) -> Result<Self, GlobError> {
        let mut pending = vec![pattern.trim_matches('/').to_owned()];
        let mut alternatives = Vec::new();
        while let Some(text) = pending.pop() {
            if pending.len() + alternatives.len() > MAX_ALTERNATIVES {
                return Err(GlobError::TooMany(pattern.to_owned()));
            }
            match expand_first(&text).ok_or_else(|| GlobError::Braces(pattern.to_owned()))? {
                Expanded::Done => alternatives.push(text.split('/').map(str::to_owned).collect()),
                Expanded::Into(texts) => pending.extend(texts),
            }
        }
        Ok(Self { alternatives })
    }

    /// Whether the pattern matches `path` itself or one of its parent directories.
    pub(crate) fn covers(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        self.alternatives.iter().any(|pattern| {
            pattern.len() <= parts.len()
                && pattern
                    .iter()
                    .zip(&parts)
                    .all(|(pattern, part)| matches_name(pattern, part))
        })
    }
}

/// Whether `pattern`, in which `*` stands for any text, matches the whole of `name`.
pub(crate) fn matches_name(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or(""),
            None => return false,
        }
    }
    true
}

enum Expanded {
    Done,
    Into(Vec<String>),
}

/// Expands the innermost brace that closes first; `None` where braces do not pair up.
fn expand_first(text: &str) -> Option<Expanded> {
    let Some(close) = text.find('}') else {
        return (!text.contains('{')).then_some(Expanded::Done);
    };
    let open = text.get(..close)?.rfind('{')?;
    let (head, tail) = (text.get(..open)?, text.get(close + 1..)?);
    let body = text.get(open + 1..close)?;
    Some(Expanded::Into(
        body.split(',')
            .map(|alternative| format!("{head}{alternative}{tail}"))
            .collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::{Glob, GlobError, matches_name};

    fn covers(pattern: &str, path: &str) -> bool {
        Glob::new(pattern).unwrap().covers(path)
    }

    #[test]
    fn a_star_stays_inside_one_name() {
        assert!(covers("accepted/*.py", "accepted/a.py"));
        assert!(!covers("*.py", "accepted/a.py"));
        assert!(covers("secret/*-easy", "secret/03-easy"));
        assert!(!covers("secret/*-easy", "secret/03-easy-not"));
    }

    #[test]
    fn a_directory_covers_what_is_in_it() {
        assert!(covers("accepted", "accepted/a.py"));
        assert!(covers("secret/group1", "secret/group1/a/b"));
        assert!(!covers("secret/group1", "secret/group10/a"));
    }

    #[test]
    fn braces_expand_and_nest() {
        assert!(covers("x/{a,b{1,2}}.{py,cpp}", "x/b2.cpp"));
        assert!(!covers("x/{a,b{1,2}}.{py,cpp}", "x/b3.cpp"));
    }

    #[test]
    fn bad_braces_are_refused() {
        for pattern in ["{a", "a}", "}{"] {
            assert!(
                matches!(Glob::new(pattern), Err(GlobError::Braces(_))),
                "{pattern}"
            );
        }
        let bomb = "{a,b}".repeat(20);
        assert!(matches!(Glob::new(&bomb), Err(GlobError::TooMany(_))));
    }

    #[test]
    fn stars_match_greedily_enough() {
        assert!(matches_name("a*b*c", "aXbYbZc"));
        assert!(!matches_name("a*b", "ab-"));
        assert!(!matches_name("ab*ba", "aba"));
        assert!(matches_name("*", ""));
    }
}
