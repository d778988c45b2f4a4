//! The command line.

use std::{env, path::PathBuf};

use crate::cases::{self, Case};

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) quick: bool,
    /// A directory on a disk, for the page cache.
    pub(crate) disk: Option<PathBuf>,
    only: Option<String>,
}

impl Arguments {
    pub(crate) fn parse() -> Result<Self, String> {
        let mut parsed = Self {
            quick: false,
            disk: None,
            only: None,
        };
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--quick" => parsed.quick = true,
                "--disk" => {
                    let disk = value()?;
                    let full = std::fs::canonicalize(&disk).map_err(|e| format!("{disk}: {e}"))?;
                    parsed.disk = Some(full);
                }
                "--only" => parsed.only = Some(value()?),
                _ => return Err(format!("unknown argument {word}")),
            }
        }
        Ok(parsed)
    }

    /// Sizes of the embedding process.
    pub(crate) fn embedder_mib(&self) -> Vec<usize> {
        if self.quick { vec![48] } else { vec![48, 1908] }
    }

    /// CPU time that each process or thread burns.
    pub(crate) fn burn_ms(&self) -> usize {
        if self.quick { 200 } else { 1000 }
    }

    pub(crate) fn cases(&self) -> Vec<Case> {
        let wanted = |case: &Case| {
            self.only
                .as_ref()
                .is_none_or(|word| case.name().contains(word))
        };
        cases::ALL.into_iter().filter(wanted).collect()
    }
}
