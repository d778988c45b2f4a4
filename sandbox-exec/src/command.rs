//! The program of a box: what the user says, and what execve(2) takes.

use core::ffi::{CStr, c_char};
use std::{
    ffi::{CString, OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use sandbox_core::CStringArray;

use crate::Error;

/// A program, its arguments, environment and working directory, all as seen inside the box.
///
/// The environment starts empty and nothing can be inherited from the embedder. There is no search along `PATH`: the
/// program is an absolute path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Command {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    work_dir: PathBuf,
}

impl Command {
    /// The program at this absolute path, without arguments, in `/`.
    pub fn new(program: impl AsRef<Path>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            work_dir: PathBuf::from("/"),
        }
    }

    /// One more argument. `argv[0]` is the program's path.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable; the last value of a name counts.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.retain(|(known, _)| known != name.as_ref());
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The directory that the program starts in.
    #[must_use]
    pub fn work_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.work_dir = dir.as_ref().to_owned();
        self
    }

    /// Compiles the command.
    ///
    /// # Errors
    /// [`Error::RelativePath`] for a program or working directory that is not absolute, [`Error::Nul`] for a text that the
    /// kernel would cut at a NUL byte, [`Error::VariableName`] for an empty name or one with `=`.
    pub fn prepare(&self) -> Result<Image, Error> {
        let absolute = |field, path: &Path| {
            if !path.is_absolute() {
                return Err(Error::RelativePath {
                    field,
                    path: path.to_owned(),
                });
            }
            CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::Nul {
                field: format!("{field} {}", path.display()),
            })
        };
        let program = absolute("program", &self.program)?;
        let work_dir = absolute("work_dir", &self.work_dir)?;
        let argv = [self.program.as_os_str()]
            .into_iter()
            .chain(self.args.iter().map(AsRef::as_ref));
        let argv = CStringArray::new(argv).map_err(|e| Error::Nul {
            field: format!("argument {}", e.index),
        })?;
        for (name, _) in &self.env {
            if name.is_empty() || name.as_bytes().contains(&b'=') {
                return Err(Error::VariableName { name: name.clone() });
            }
        }
        let variables = self.env.iter().map(|(name, value)| {
            let mut text = name.clone();
            text.push("=");
            text.push(value);
            text
        });
        let envp = CStringArray::new(variables).map_err(|e| {
            let name = self
                .env
                .get(e.index)
                .map(|(name, _)| name.to_string_lossy());
            Error::Nul {
                field: format!("variable {}", name.unwrap_or_default()),
            }
        })?;
        Ok(Image {
            program,
            argv,
            envp,
            work_dir,
        })
    }
}

/// A command as execve(2) takes it.
#[derive(Debug)]
pub struct Image {
    program: CString,
    argv: CStringArray,
    envp: CStringArray,
    work_dir: CString,
}

impl Image {
    pub(crate) fn program(&self) -> &CStr {
        &self.program
    }

    pub(crate) fn work_dir(&self) -> &CStr {
        &self.work_dir
    }

    pub(crate) fn argv(&self) -> *const *const c_char {
        self.argv.as_ptr()
    }

    pub(crate) fn envp(&self) -> *const *const c_char {
        self.envp.as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::Command;
    use crate::Error;

    #[test]
    fn nul_bytes_are_refused_by_name() {
        let nul = |command: Command| match command.prepare() {
            Err(Error::Nul { field }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(nul(Command::new("/a\0b")), "program /a\0b");
        assert_eq!(nul(Command::new("/a").arg("x").arg("y\0")), "argument 2");
        assert_eq!(
            nul(Command::new("/a").env("A", "1").env("B", "\0")),
            "variable B"
        );
        assert_eq!(nul(Command::new("/a").work_dir("/\0")), "work_dir /\0");
    }

    #[test]
    fn paths_are_absolute_and_names_are_names() {
        assert!(matches!(
            Command::new("a.out").prepare(),
            Err(Error::RelativePath { .. })
        ));
        let relative = Command::new("/a").work_dir("tmp");
        assert!(matches!(
            relative.prepare(),
            Err(Error::RelativePath {
                field: "work_dir",
                ..
            })
        ));
        for name in ["", "A=B"] {
            let error = Command::new("/a").env(name, "x").prepare();
            assert!(matches!(error, Err(Error::VariableName { .. })));
        }
    }

    #[test]
    fn the_last_value_of_a_variable_counts() {
        let image = Command::new("/a")
            .env("A", "1")
            .env("A", "2")
            .prepare()
            .unwrap();
        assert_eq!(image.envp.strings(), [c"A=2".to_owned()]);
        assert_eq!(image.argv.strings(), [c"/a".to_owned()]);
    }
}
