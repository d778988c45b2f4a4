//! Finding what the box is shown of the host for a language.

use std::{
    env, fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Language;
use crate::package::glob::matches_name;

/// A host path and where it appears in the box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bind {
    /// On the host.
    pub(crate) source: PathBuf,
    /// In the box.
    pub(crate) target: PathBuf,
}

/// What a language is shown of the host, or why its toolchain cannot be found.
pub(crate) fn binds(language: &Language) -> Result<Vec<Bind>, String> {
    let mut binds: Vec<Bind> = language
        .binds
        .iter()
        .flat_map(|pattern| expand(pattern))
        .map(|path| Bind {
            source: path.clone(),
            target: path,
        })
        .collect();
    if let Some(toolchain) = &language.toolchain {
        binds.push(Bind {
            source: directory_of(&toolchain.command)?,
            target: PathBuf::from(&toolchain.target),
        });
    }
    Ok(binds)
}

/// The paths that exist, with `*` allowed in the last name.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let path = Path::new(pattern);
    let (Some(parent), Some(last)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return Vec::new();
    };
    if !last.contains('*') {
        return if path.exists() {
            vec![path.to_owned()]
        } else {
            Vec::new()
        };
    }
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|name| matches_name(last, name))
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// Runs the command on the host and reads a directory from its first line. The first program of that name that works
/// counts: one in root's home is of no use to the user who called sudo, and the reverse.
fn directory_of(command: &[String]) -> Result<PathBuf, String> {
    let [program, arguments @ ..] = command else {
        return Err("no command".to_owned());
    };
    let user = Invoker::find();
    let mut reason = format!("{program} is neither in PATH nor in ~/.cargo/bin");
    let places = user.places();
    for found in places.iter().map(|directory| directory.join(program)) {
        if found.is_file() {
            match ask(&found, arguments, &user) {
                Ok(directory) => return Ok(directory),
                Err(error) => reason = format!("{} {error}", found.display()),
            }
        }
    }
    Err(reason)
}

fn ask(program: &Path, arguments: &[String], user: &Invoker) -> Result<PathBuf, String> {
    let mut command = Command::new(program);
    // Away from the current directory, whose rust-toolchain.toml may name a toolchain that rustup would download.
    command
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::null());
    if let Some(home) = &user.home {
        command.env("HOME", home);
    }
    if let Some((uid, gid)) = user.ids {
        command.uid(uid).gid(gid);
    }
    let output = command
        .output()
        .map_err(|error| format!("cannot be run: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said.lines().next().unwrap_or("");
        return Err(format!("failed ({}): {first}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let directory = PathBuf::from(text.lines().next().unwrap_or(""));
    if directory.is_absolute() && directory.is_dir() {
        Ok(directory)
    } else {
        Err("names no directory".to_owned())
    }
}

/// The user who called the judge. sudo hides both the home directory and cargo's place in PATH.
struct Invoker {
    home: Option<PathBuf>,
    ids: Option<(u32, u32)>,
}

impl Invoker {
    fn find() -> Self {
        let number = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
        let sudo = number("SUDO_UID")
            .zip(number("SUDO_GID"))
            .filter(|(uid, _)| *uid != 0);
        if let Some(ids) = sudo
            && let Some(home) = home_of(ids.0)
        {
            return Self {
                home: Some(home),
                ids: Some(ids),
            };
        }
        Self {
            home: env::var_os("HOME").map(PathBuf::from),
            ids: None,
        }
    }

    fn places(&self) -> Vec<PathBuf> {
        let path = env::var_os("PATH").unwrap_or_default();
        let root = home_of(0);
        let cargo = self
            .home
            .iter()
            .chain(&root)
            .map(|home| home.join(".cargo/bin"));
        env::split_paths(&path)
            .filter(|directory| directory.is_absolute())
            .chain(cargo)
            .chain(["/usr/bin", "/usr/local/bin"].map(PathBuf::from))
            .collect()
    }
}

fn home_of(uid: u32) -> Option<PathBuf> {
    parse_home(&fs::read_to_string("/etc/passwd").ok()?, uid)
}

fn parse_home(passwd: &str, uid: u32) -> Option<PathBuf> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_user = fields.get(2)?.parse() == Ok(uid);
        is_user.then(|| fields.get(5).map(PathBuf::from)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::{directory_of, expand, parse_home};
    use std::path::PathBuf;

    #[test]
    fn stars_expand_in_the_last_name() {
        assert_eq!(expand("/etc/pass*d"), [PathBuf::from("/etc/passwd")]);
        assert_eq!(expand("/etc/passwd"), [PathBuf::from("/etc/passwd")]);
        assert!(expand("/no/such/*").is_empty());
        assert!(expand("/no/such").is_empty());
    }

    #[test]
    fn homes_are_read_by_uid() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nme:x:1000:1000::/home/me:/bin/sh\n";
        assert_eq!(parse_home(passwd, 1000), Some(PathBuf::from("/home/me")));
        assert_eq!(parse_home(passwd, 1), None);
    }

    #[test]
    fn a_command_names_a_directory() {
        let run = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|w| (*w).to_owned()).collect();
            directory_of(&words)
        };
        assert_eq!(run(&["echo", "/usr"]), Ok(PathBuf::from("/usr")));
        assert!(run(&["echo", "usr"]).is_err());
        assert!(run(&["false"]).is_err());
        assert!(run(&["no-such-program-here"]).unwrap_err().contains("PATH"));
    }
}
