//! The language table: what to compile with, what to run, what to show of the host.

pub(crate) mod entry;
pub(crate) mod toolchain;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// The table that the judge is built with.
const BUILT_IN: &str = include_str!("../languages.toml");

/// Where programs without a slash are looked for, inside the box.
fn default_path() -> Vec<String> {
    ["/usr/bin", "/usr/local/bin"].map(str::to_owned).to_vec()
}

fn default_processes() -> u32 {
    64
}

/// One language.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Language {
    /// Code in the format's language table.
    pub(crate) code: String,
    /// Name for people.
    pub(crate) name: String,
    /// Endings of source files, with the dot.
    pub(crate) extensions: Vec<String>,
    /// The entry point among several files.
    pub(crate) entry: Option<String>,
    /// Whether the entry point is a class, found by its `main` method.
    #[serde(default)]
    pub(crate) class_entry: bool,
    /// Host paths that are shown read-only under the same path; `*` in the last name; absent ones are skipped.
    #[serde(default)]
    pub(crate) binds: Vec<String>,
    /// A directory of the host that a command names.
    pub(crate) toolchain: Option<Toolchain>,
    /// Environment, over the judge's own small one.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Where programs without a slash are looked for.
    #[serde(default = "default_path")]
    pub(crate) path: Vec<String>,
    /// The compiler's command; absent where there is nothing to compile or check.
    pub(crate) compile: Option<Vec<String>>,
    /// The program's command.
    pub(crate) run: Vec<String>,
    /// A command that exits with 0 where the language is installed.
    pub(crate) probe: Vec<String>,
    /// The same for a compiler that is not the run-time system.
    pub(crate) compile_probe: Option<Vec<String>>,
    /// MiB of the memory limit that are not offered as heap.
    #[serde(default)]
    pub(crate) heap_reserve_mib: u64,
    /// Processes and threads that a run may have at once.
    #[serde(default = "default_processes")]
    pub(crate) processes: u32,
}

/// A directory of the host that a command names, shown in the box under a path of ours.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Toolchain {
    /// The command, run on the host as the user who called the judge. Its first line is the directory.
    pub(crate) command: Vec<String>,
    /// Where the directory appears in the box.
    pub(crate) target: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    language: Vec<Language>,
}

/// All languages.
#[derive(Debug, Clone)]
pub(crate) struct Languages(Vec<Language>);

/// A fault of the language table.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LanguageError {
    /// The file cannot be read.
    #[error("cannot read the language table {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The file is no table of languages.
    #[error("the language table {} is broken in line {line}: {what}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where. The library's own text shows the place in four lines, and errors of the judge have one.
        line: usize,
        /// What was expected.
        what: String,
    },
    /// Two entries cannot be told apart, or one cannot work.
    #[error("the language table {}: {code}: {what}", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The language.
        code: String,
        /// What is wrong with it.
        what: String,
    },
}

impl Languages {
    /// Reads a table, or takes the built-in one.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, LanguageError> {
        match file {
            None => Self::parse(BUILT_IN, Path::new("languages.toml (built in)")),
            Some(path) => {
                let text = fs::read_to_string(path).map_err(|source| LanguageError::Read {
                    path: path.to_owned(),
                    source,
                })?;
                Self::parse(&text, path)
            }
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, LanguageError> {
        let file: File = toml::from_str(text).map_err(|source| LanguageError::Toml {
            path: path.to_owned(),
            line: line_of(text, source.span()),
            what: source.message().replace('\n', " "),
        })?;
        let mut seen = BTreeSet::new();
        for language in &file.language {
            let wrong = |what: String| LanguageError::Entry {
                path: path.to_owned(),
                code: language.code.clone(),
                what,
            };
            if !seen.insert(language.code.as_str()) {
                return Err(wrong("is there twice".to_owned()));
            }
            if let Some(extension) = language.extensions.iter().find(|e| !seen.insert(e)) {
                return Err(wrong(format!("{extension} belongs to two languages")));
            }
            for (name, command) in [
                ("run", Some(&language.run)),
                ("probe", Some(&language.probe)),
                ("compile", language.compile.as_ref()),
                ("compile_probe", language.compile_probe.as_ref()),
                ("toolchain", language.toolchain.as_ref().map(|t| &t.command)),
            ] {
                if command.is_some_and(Vec::is_empty) {
                    return Err(wrong(format!("{name} has no program")));
                }
                if command.is_some_and(|command| command.iter().any(|part| part.contains('\0'))) {
                    return Err(wrong(format!("{name} contains a NUL byte")));
                }
            }
            if language.path.is_empty() {
                return Err(wrong("path is empty".to_owned()));
            }
        }
        Ok(Self(file.language))
    }

    /// The language with this code.
    pub(crate) fn by_code(&self, code: &str) -> Option<&Language> {
        self.0.iter().find(|language| language.code == code)
    }

    /// The language whose source files end like this name.
    pub(crate) fn by_file_name(&self, name: &str) -> Option<&Language> {
        self.0.iter().find(|language| language.owns(name))
    }

    /// Every ending of every language, for messages.
    pub(crate) fn extensions(&self) -> String {
        let all: Vec<_> = self
            .0
            .iter()
            .flat_map(|language| &language.extensions)
            .map(String::as_str)
            .collect();
        all.join(" ")
    }
}

fn line_of(text: &str, span: Option<std::ops::Range<usize>>) -> usize {
    let before = span.and_then(|span| text.get(..span.start));
    before.map_or(1, |before| before.matches('\n').count() + 1)
}

/// What the placeholders of a command stand for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    /// `{files}`.
    pub(crate) files: Vec<String>,
    /// `{main}`.
    pub(crate) main: String,
    /// `{entry}`.
    pub(crate) entry: String,
    /// `{heap_mib}`.
    pub(crate) heap_mib: u64,
    /// `{stack_kib}`.
    pub(crate) stack_kib: u64,
}

impl Language {
    /// Whether a file with this name is source text of this language.
    pub(crate) fn owns(&self, name: &str) -> bool {
        self.extensions
            .iter()
            .any(|extension| name.ends_with(extension.as_str()) && name.len() > extension.len())
    }

    /// Fills a command in: placeholders, and the program's full path.
    pub(crate) fn command(&self, template: &[String], values: &Values) -> Vec<String> {
        let mut command = Vec::new();
        for part in template {
            if part == "{files}" {
                command.extend(values.files.iter().cloned());
            } else {
                command.push(
                    part.replace("{main}", &values.main)
                        .replace("{entry}", &values.entry)
                        .replace("{heap_mib}", &values.heap_mib.to_string())
                        .replace("{stack_kib}", &values.stack_kib.to_string()),
                );
            }
        }
        if let Some(program) = command.first_mut()
            && !program.contains('/')
        {
            *program = self.locate(program);
        }
        command
    }

    /// The first place in `path` that has the program. Where none has it, the first place: the probe then fails inside
    /// the box, and only the probe decides that a language is not installed.
    fn locate(&self, program: &str) -> String {
        let place = |directory: &String| format!("{directory}/{program}");
        self.path
            .iter()
            .map(place)
            .find(|path| Path::new(path).exists())
            .or_else(|| self.path.first().map(place))
            .unwrap_or_else(|| program.to_owned())
    }

    /// MiB of heap to offer a run-time system under this memory limit.
    pub(crate) fn heap_mib(&self, memory_mib: u64) -> u64 {
        memory_mib
            .saturating_sub(self.heap_reserve_mib)
            .max(memory_mib / 2)
            .max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::{Languages, Values};
    use std::path::Path;

    #[test]
    fn the_built_in_table_is_sound() {
        let languages = Languages::load(None).unwrap();
        for code in [
            "c",
            "cpp",
            "rust",
            "python3",
            "java",
            "javascript",
            "go",
            "pascal",
        ] {
            assert!(languages.by_code(code).is_some(), "{code}");
        }
        let code = |name: &str| languages.by_file_name(name).map(|l| l.code.as_str());
        assert_eq!(code("a.cpp"), Some("cpp"));
        assert_eq!(code("a.C"), Some("cpp"));
        assert_eq!(code("a.c"), Some("c"));
        assert_eq!(code("a.pas"), Some("pascal"));
        assert_eq!(code("a.txt"), None);
        assert_eq!(code(".py"), None);
    }

    #[test]
    fn placeholders_are_filled_in() {
        let languages = Languages::load(None).unwrap();
        let java = languages.by_code("java").unwrap();
        let values = Values {
            files: vec!["/src/a b".to_owned(), "/src/{entry}".to_owned()],
            entry: "p.Main".to_owned(),
            heap_mib: java.heap_mib(256),
            ..Values::default()
        };
        let run = java.command(&java.run, &values);
        assert!(run.contains(&"-Xmx192m".to_owned()), "{run:?}");
        assert_eq!(run.last().unwrap(), "p.Main");
        let compile = java.command(java.compile.as_ref().unwrap(), &values);
        assert!(
            compile.ends_with(&["/src/a b".to_owned(), "/src/{entry}".to_owned()]),
            "a file name is one argument, and never a template: {compile:?}"
        );
    }

    #[test]
    fn a_small_limit_still_leaves_a_heap() {
        let languages = Languages::load(None).unwrap();
        let java = languages.by_code("java").unwrap();
        assert_eq!(java.heap_mib(64), 32);
        assert_eq!(java.heap_mib(1), 1);
    }

    #[test]
    fn a_broken_table_is_refused() {
        let base = "[[language]]\ncode='x'\nname='X'\nextensions=['.x']\nrun=['x']\nprobe=['x']\n";
        let parse = |text: &str| Languages::parse(text, Path::new("t")).map_err(|e| e.to_string());
        assert!(parse(base).is_ok());
        for (text, part) in [
            ("x", "broken"),
            (&format!("{base}{base}"), "twice"),
            (
                &format!("{base}{}", base.replace("code='x'", "code='y'")),
                "two languages",
            ),
            (&base.replace("run=['x']", "run=[]"), "run"),
            (&format!("{base}colour='red'\n"), "broken"),
            (&format!("{base}path=[]\n"), "path"),
            (&base.replace("run=['x']", "run=[\"x\\u0000\"]"), "NUL"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
