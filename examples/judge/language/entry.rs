//! Which file or class of a submission is its entry point.

use super::Language;

/// One source file: its name and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// Path below the submission's directory.
    pub(crate) name: String,
    /// Its bytes.
    pub(crate) text: Vec<u8>,
    /// Whether the package added it.
    pub(crate) included: bool,
}

/// The entry point of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryPoint {
    /// `{entry}`: a class name with its package, or a file name.
    pub(crate) entry: String,
    /// The source file that it is in.
    pub(crate) file: String,
}

/// Why there is no entry point; becomes the compile error of the submission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EntryError {
    /// Several candidates and no way to choose.
    #[error("{count} possible entry points and none is {wanted}; name one in submissions.yaml")]
    Ambiguous {
        /// How many there are.
        count: usize,
        /// The language's default.
        wanted: String,
    },
    /// What `submissions.yaml` names is not there.
    #[error("entry point {0} is not in the submission")]
    Missing(String),
}

/// Finds the entry point among the source files of one language.
pub(crate) fn find(
    language: &Language,
    sources: &[Source],
    declared: Option<&str>,
) -> Result<EntryPoint, EntryError> {
    if language.class_entry {
        return class(language, sources, declared);
    }
    let files = |wanted: &str| sources.iter().find(|source| source.name == wanted);
    if let Some(declared) = declared {
        return files(declared)
            .map(file_entry)
            .ok_or_else(|| EntryError::Missing(declared.to_owned()));
    }
    let default = language.entry.as_deref().unwrap_or("");
    // A driver that the package adds has the default name, and so is preferred to the submission's only file.
    if let Some(main) = files(default) {
        return Ok(file_entry(main));
    }
    let own: Vec<&Source> = sources.iter().filter(|source| !source.included).collect();
    match own.as_slice() {
        [only] => Ok(file_entry(only)),
        // Languages without a default compile every file, and the linker finds `main`.
        [first, ..] if language.entry.is_none() => Ok(file_entry(first)),
        many => Err(EntryError::Ambiguous {
            count: many.len(),
            wanted: default.to_owned(),
        }),
    }
}

fn file_entry(source: &Source) -> EntryPoint {
    EntryPoint {
        entry: source.name.clone(),
        file: source.name.clone(),
    }
}

fn class(
    language: &Language,
    sources: &[Source],
    declared: Option<&str>,
) -> Result<EntryPoint, EntryError> {
    let mut candidates = Vec::new();
    for source in sources {
        let words = words(&source.text);
        let package = package_of(&words);
        for class in classes_with_main(&words) {
            let entry = match &package {
                Some(package) => format!("{package}.{class}"),
                None => class,
            };
            let point = EntryPoint {
                entry,
                file: source.name.clone(),
            };
            candidates.push((point, source.included));
        }
    }
    if let Some(declared) = declared {
        // A declared class may inherit its main method, so it need not be among the candidates.
        return Ok(EntryPoint {
            entry: declared.to_owned(),
            file: sources
                .first()
                .map_or_else(String::new, |source| source.name.clone()),
        });
    }
    let wanted = language.entry.clone().unwrap_or_default();
    let is_default = |candidate: &EntryPoint| {
        candidate.entry == wanted || candidate.entry.ends_with(&format!(".{wanted}"))
    };
    if let Some((main, _)) = candidates.iter().find(|(point, _)| is_default(point)) {
        return Ok(main.clone());
    }
    if candidates.len() > 1 {
        candidates.retain(|(_, included)| !included);
    }
    match candidates.as_slice() {
        [(only, _)] => Ok(only.clone()),
        // None at all: let the compiler speak first, and the run fail for want of the default class.
        [] => Ok(EntryPoint {
            entry: wanted,
            file: String::new(),
        }),
        many => Err(EntryError::Ambiguous {
            count: many.len(),
            wanted,
        }),
    }
}

/// The file name that the compiler wants for this text: javac refuses a public class in a file of another name.
pub(crate) fn required_file_name(language: &Language, text: &[u8]) -> Option<String> {
    if !language.class_entry {
        return None;
    }
    let words = words(text);
    let mut depth = 0_usize;
    let mut public = false;
    for pair in words.windows(2) {
        let [word, next] = pair else { continue };
        match word.as_str() {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            "public" if depth == 0 => public = true,
            ";" if depth == 0 => public = false,
            "class" | "interface" | "enum" | "record" if depth == 0 && public => {
                let extension = language.extensions.first()?;
                return Some(format!("{next}{extension}"));
            }
            _ => {}
        }
    }
    None
}

fn package_of(words: &[String]) -> Option<String> {
    let at = words.iter().position(|word| word == "package")?;
    let name: String = words
        .get(at + 1..)?
        .iter()
        .take_while(|word| *word != ";")
        .map(String::as_str)
        .collect();
    (!name.is_empty()).then_some(name)
}

/// Top-level classes with a `static void main` in them.
fn classes_with_main(words: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut depth = 0_usize;
    let mut current: Option<&String> = None;
    for (at, word) in words.iter().enumerate() {
        match word.as_str() {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            "class" | "interface" | "enum" | "record" if depth == 0 => {
                current = words.get(at + 1);
            }
            "main" if depth == 1 => {
                let before = words.get(at.saturating_sub(3)..at).unwrap_or(&[]);
                let is_method = words.get(at + 1).is_some_and(|next| next == "(");
                let is_static = before.iter().any(|word| word == "static");
                if is_method
                    && is_static
                    && before.last().is_some_and(|word| word == "void")
                    && let Some(class) = current
                    && !found.contains(class)
                {
                    found.push(class.clone());
                }
            }
            _ => {}
        }
    }
    found
}

/// Words and punctuation of a source text, without comments and literals.
fn words(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let mut words = Vec::new();
    let mut rest = text.as_ref();
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..).unwrap_or("");
        if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, tail)| tail);
        } else if rest.starts_with("/*") {
            rest = rest.split_once("*/").map_or("", |(_, tail)| tail);
        } else if rest.starts_with("\"\"\"") {
            let body = rest.get(3..).unwrap_or("");
            rest = body.split_once("\"\"\"").map_or("", |(_, tail)| tail);
        } else if first == '"' || first == '\'' {
            rest = skip_literal(after, first);
        } else if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, tail) = rest.split_at(end);
            words.push(word.to_owned());
            rest = tail;
        } else {
            if !first.is_whitespace() {
                words.push(first.to_string());
            }
            rest = after;
        }
    }
    words
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn skip_literal(text: &str, quote: char) -> &str {
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        if c == '\\' {
            characters.next();
        } else if c == quote || c == '\n' {
            return text.get(at + c.len_utf8()..).unwrap_or("");
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::{EntryError, Source, find, required_file_name};
    use crate::language::Languages;

    fn source(name: &str, text: &str) -> Source {
        Source {
            name: name.to_owned(),
            text: text.as_bytes().to_owned(),
            included: false,
        }
    }

    fn included(name: &str, text: &str) -> Source {
        Source {
            included: true,
            ..source(name, text)
        }
    }

    fn java(sources: &[Source]) -> Result<String, EntryError> {
        let languages = Languages::load(None).unwrap();
        find(languages.by_code("java").unwrap(), sources, None).map(|found| found.entry)
    }

    const MAIN: &str = "public static void main(String[] a) {}";

    #[test]
    fn the_class_with_main_is_found() {
        let text = format!("// class A\nclass Helper {{}} public class Sum {{ {MAIN} }}");
        assert_eq!(java(&[source("x.java", &text)]), Ok("Sum".to_owned()));
        let text = format!("package a.b; class S {{ String s = \"class T {{\"; {MAIN} }}");
        assert_eq!(java(&[source("S.java", &text)]), Ok("a.b.S".to_owned()));
    }

    #[test]
    fn main_is_preferred_among_several() {
        let both = [
            source("A.java", &format!("class A {{ {MAIN} }}")),
            source("Main.java", &format!("class Main {{ {MAIN} }}")),
        ];
        assert_eq!(java(&both), Ok("Main".to_owned()));
        let none = [
            source("A.java", &format!("class A {{ {MAIN} }}")),
            source("B.java", &format!("class B {{ {MAIN} }}")),
        ];
        assert!(matches!(java(&none), Err(EntryError::Ambiguous { .. })));
        assert_eq!(
            java(&[source("A.java", "class A {")]),
            Ok("Main".to_owned())
        );
    }

    #[test]
    fn a_public_class_names_its_file() {
        let languages = Languages::load(None).unwrap();
        let name =
            |text: &str| required_file_name(languages.by_code("java").unwrap(), text.as_bytes());
        assert_eq!(
            name("public final class Sum {}"),
            Some("Sum.java".to_owned())
        );
        assert_eq!(name("class Sum { public class Inner {} }"), None);
        assert_eq!(
            name("import a.b; /* public class No {} */ class X {}"),
            None
        );
        let c = languages.by_code("c").unwrap();
        assert_eq!(required_file_name(c, b"public class X"), None);
    }

    #[test]
    fn files_need_the_default_name_only_among_several() {
        let languages = Languages::load(None).unwrap();
        let python = languages.by_code("python3").unwrap();
        let one = [source("x.py", "")];
        assert_eq!(find(python, &one, None).unwrap().entry, "x.py");
        let two = [source("x.py", ""), source("y.py", "")];
        assert!(find(python, &two, None).is_err());
        assert_eq!(find(python, &two, Some("y.py")).unwrap().file, "y.py");
        assert_eq!(
            find(python, &two, Some("z.py")),
            Err(EntryError::Missing("z.py".to_owned()))
        );
        let cpp = languages.by_code("cpp").unwrap();
        let two = [source("a.cpp", ""), source("b.cpp", "")];
        assert!(find(cpp, &two, None).is_ok());
    }

    #[test]
    fn what_the_package_adds_is_a_library_or_the_driver() {
        let languages = Languages::load(None).unwrap();
        let python = languages.by_code("python3").unwrap();
        let library = [source("x.py", ""), included("helper.py", "")];
        assert_eq!(find(python, &library, None).unwrap().entry, "x.py");
        let driver = [source("x.py", ""), included("main.py", "")];
        assert_eq!(find(python, &driver, None).unwrap().entry, "main.py");
        let with_main = |class: &str| format!("class {class} {{ {MAIN} }}");
        let library = [
            source("A.java", &with_main("A")),
            included("Demo.java", &with_main("Demo")),
        ];
        assert_eq!(java(&library), Ok("A".to_owned()));
    }

    #[test]
    fn no_text_makes_the_search_fail() {
        for text in [
            "\"",
            "'\\",
            "/*",
            "\"\"\"",
            "public class",
            "}}}{{{",
            "ä\u{0}",
        ] {
            java(&[source("A.java", text)]).unwrap();
        }
    }
}
