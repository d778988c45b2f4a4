//! The `limits` of `problem.yaml`, both formats, as one type.

use std::{path::Path, time::Duration};

use sandbox_exec::Bytes;
use serde::Deserialize;

use super::error::PackageError;

/// Every limit of a package, defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PackageLimits {
    /// CPU time of one run, where the package says it outright.
    pub(crate) time: Option<Duration>,
    /// How the time limit follows from measured submissions, where it does not.
    pub(crate) time_rule: TimeRule,
    /// Memory of one run; `None` where the judge may choose.
    pub(crate) memory: Option<Bytes>,
    /// Output of one run.
    pub(crate) output: Bytes,
    /// Size of the source files of a submission.
    pub(crate) code: Bytes,
    /// CPU time of a compilation.
    pub(crate) compilation_time: Duration,
    /// Memory of a compilation; `None` where the judge may choose.
    pub(crate) compilation_memory: Option<Bytes>,
    /// CPU time of an output validator.
    pub(crate) validation_time: Duration,
    /// Memory of an output validator; `None` where the judge may choose.
    pub(crate) validation_memory: Option<Bytes>,
    /// Output and feedback of an output validator.
    pub(crate) validation_output: Bytes,
}

/// How a time limit follows from measured submissions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum TimeRule {
    /// Slowest accepted × multiplier, rounded up to whole seconds.
    Legacy {
        /// `time_multiplier`.
        multiplier: f64,
    },
    /// The smallest multiple of the resolution between the two bounds.
    Current {
        /// `time_multipliers.ac_to_time_limit`.
        ac_to_limit: f64,
        /// `time_multipliers.time_limit_to_tle`.
        limit_to_tle: f64,
        /// `time_resolution`.
        resolution: Duration,
    },
}

/// What the format calls typical system defaults.
const OUTPUT_MIB: f64 = 8.0;
const CODE_KIB: f64 = 128.0;
const COMPILATION_SECONDS: f64 = 60.0;
const VALIDATION_SECONDS: f64 = 60.0;
const VALIDATION_OUTPUT_MIB: f64 = 8.0;

/// `limits` of the legacy format.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LegacyLimits {
    time_multiplier: Option<f64>,
    time_safety_margin: Option<f64>,
    memory: Option<f64>,
    output: Option<f64>,
    code: Option<f64>,
    compilation_time: Option<f64>,
    compilation_memory: Option<f64>,
    validation_time: Option<f64>,
    validation_memory: Option<f64>,
    validation_output: Option<f64>,
}

/// `limits` of 2025-09.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CurrentLimits {
    time_multipliers: Option<TimeMultipliers>,
    time_limit: Option<f64>,
    time_resolution: Option<f64>,
    memory: Option<u32>,
    output: Option<u32>,
    code: Option<u32>,
    compilation_time: Option<u32>,
    compilation_memory: Option<u32>,
    validation_time: Option<u32>,
    validation_memory: Option<u32>,
    validation_output: Option<u32>,
    validation_passes: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeMultipliers {
    ac_to_time_limit: Option<f64>,
    time_limit_to_tle: Option<f64>,
}

impl LegacyLimits {
    /// Checks the values and fills in the defaults.
    pub(super) fn resolve(self, file: &Path) -> Result<PackageLimits, PackageError> {
        let check = Check { file };
        let multiplier = check.at_least("time_multiplier", self.time_multiplier, 5.0, 0.0)?;
        // Only of interest to those who choose a limit by hand; read so that nonsense is refused.
        check.at_least("time_safety_margin", self.time_safety_margin, 2.0, 0.0)?;
        Ok(PackageLimits {
            time: None,
            time_rule: TimeRule::Legacy { multiplier },
            memory: check.mebibytes("memory", self.memory)?,
            output: check.size("output", self.output.unwrap_or(OUTPUT_MIB), 20)?,
            code: check.size("code", self.code.unwrap_or(CODE_KIB), 10)?,
            compilation_time: check.seconds(
                "compilation_time",
                self.compilation_time.unwrap_or(COMPILATION_SECONDS),
            )?,
            compilation_memory: check.mebibytes("compilation_memory", self.compilation_memory)?,
            validation_time: check.seconds(
                "validation_time",
                self.validation_time.unwrap_or(VALIDATION_SECONDS),
            )?,
            validation_memory: check.mebibytes("validation_memory", self.validation_memory)?,
            validation_output: check.size(
                "validation_output",
                self.validation_output.unwrap_or(VALIDATION_OUTPUT_MIB),
                20,
            )?,
        })
    }
}

impl CurrentLimits {
    /// Checks the values and fills in the defaults.
    pub(super) fn resolve(self, file: &Path) -> Result<PackageLimits, PackageError> {
        let check = Check { file };
        if self.validation_passes.is_some() {
            return Err(PackageError::unsupported(
                file,
                "limits.validation_passes (multi-pass)",
            ));
        }
        let multipliers = self.time_multipliers.unwrap_or_default();
        let seconds = |name, value: Option<u32>, default: f64| {
            check.seconds(name, value.map_or(default, f64::from))
        };
        let size = |name, value: Option<u32>, default: f64, shift| {
            check.size(name, value.map_or(default, f64::from), shift)
        };
        Ok(PackageLimits {
            time: self
                .time_limit
                .map(|value| check.seconds("time_limit", value))
                .transpose()?,
            time_rule: TimeRule::Current {
                ac_to_limit: check.at_least(
                    "time_multipliers.ac_to_time_limit",
                    multipliers.ac_to_time_limit,
                    2.0,
                    1.0,
                )?,
                limit_to_tle: check.at_least(
                    "time_multipliers.time_limit_to_tle",
                    multipliers.time_limit_to_tle,
                    1.5,
                    1.0,
                )?,
                resolution: check
                    .seconds("time_resolution", self.time_resolution.unwrap_or(1.0))?,
            },
            memory: check.mebibytes("memory", self.memory.map(f64::from))?,
            output: size("output", self.output, OUTPUT_MIB, 20)?,
            code: size("code", self.code, CODE_KIB, 10)?,
            compilation_time: seconds(
                "compilation_time",
                self.compilation_time,
                COMPILATION_SECONDS,
            )?,
            compilation_memory: check
                .mebibytes("compilation_memory", self.compilation_memory.map(f64::from))?,
            validation_time: seconds("validation_time", self.validation_time, VALIDATION_SECONDS)?,
            validation_memory: check
                .mebibytes("validation_memory", self.validation_memory.map(f64::from))?,
            validation_output: size(
                "validation_output",
                self.validation_output,
                VALIDATION_OUTPUT_MIB,
                20,
            )?,
        })
    }
}

/// Reads a number of seconds as a positive duration.
pub(crate) fn positive_seconds(value: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value)
        .ok()
        .filter(|time| !time.is_zero())
}

struct Check<'a> {
    file: &'a Path,
}

impl Check<'_> {
    fn refuse(&self, name: &str, value: f64, wanted: &str) -> PackageError {
        PackageError::value(self.file, format!("limits.{name} is {value}, not {wanted}"))
    }

    fn at_least(
        &self,
        name: &str,
        value: Option<f64>,
        default: f64,
        low: f64,
    ) -> Result<f64, PackageError> {
        let value = value.unwrap_or(default);
        if value.is_finite() && value >= low && value > 0.0 {
            Ok(value)
        } else {
            let wanted = if low > 0.0 {
                format!("a number of at least {low}")
            } else {
                "a positive number".to_owned()
            };
            Err(self.refuse(name, value, &wanted))
        }
    }

    fn seconds(&self, name: &str, value: f64) -> Result<Duration, PackageError> {
        positive_seconds(value)
            .ok_or_else(|| self.refuse(name, value, "a positive number of seconds"))
    }

    fn mebibytes(&self, name: &str, value: Option<f64>) -> Result<Option<Bytes>, PackageError> {
        value.map(|value| self.size(name, value, 20)).transpose()
    }

    /// `value` × 2^`shift` bytes.
    fn size(&self, name: &str, value: f64, shift: u32) -> Result<Bytes, PackageError> {
        let bytes = value * f64::from(1_u32 << shift);
        // 2^53 bytes are more than any machine has, and below it every count of bytes is exact.
        if (1.0..=9_007_199_254_740_992.0).contains(&bytes) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the range was checked on the line above"
            )]
            return Ok(Bytes::new(bytes as u64));
        }
        let unit = if shift == 20 { "MiB" } else { "KiB" };
        Err(self.refuse(name, value, &format!("a positive number of {unit}")))
    }
}

#[cfg(test)]
mod tests {
    use super::{CurrentLimits, LegacyLimits, TimeRule};
    use sandbox_exec::Bytes;
    use std::{path::Path, time::Duration};

    fn legacy(text: &str) -> Result<super::PackageLimits, String> {
        serde_yaml_ng::from_str::<LegacyLimits>(text)
            .map_err(|e| e.to_string())?
            .resolve(Path::new("problem.yaml"))
            .map_err(|e| e.to_string())
    }

    fn current(text: &str) -> Result<super::PackageLimits, String> {
        serde_yaml_ng::from_str::<CurrentLimits>(text)
            .map_err(|e| e.to_string())?
            .resolve(Path::new("problem.yaml"))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_are_those_of_the_format() {
        let limits = legacy("{}").unwrap();
        assert_eq!(limits.time_rule, TimeRule::Legacy { multiplier: 5.0 });
        assert_eq!(limits.output, Bytes::mib(8));
        assert_eq!(limits.code, Bytes::kib(128));
        assert_eq!(limits.memory, None);
        let limits = current("{}").unwrap();
        assert_eq!(
            limits.time_rule,
            TimeRule::Current {
                ac_to_limit: 2.0,
                limit_to_tle: 1.5,
                resolution: Duration::from_secs(1)
            }
        );
    }

    #[test]
    fn values_have_units() {
        let limits = current("{time_limit: 1.5, memory: 64, code: 1, output: 2}").unwrap();
        assert_eq!(limits.time, Some(Duration::from_millis(1500)));
        assert_eq!(limits.memory, Some(Bytes::mib(64)));
        assert_eq!(limits.code, Bytes::kib(1));
        assert_eq!(limits.output, Bytes::mib(2));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (text, name) in [
            ("{memory: 0}", "limits.memory"),
            ("{memory: -3}", "limits.memory"),
            ("{memory: .nan}", "limits.memory"),
            ("{memory: .inf}", "limits.memory"),
            ("{compilation_time: 1e300}", "limits.compilation_time"),
            ("{time_multiplier: 0}", "limits.time_multiplier"),
        ] {
            let error = legacy(text).unwrap_err();
            assert!(error.contains(name), "{text}: {error}");
        }
        for (text, name) in [
            ("{time_limit: 0}", "limits.time_limit"),
            ("{time_limit: -1}", "limits.time_limit"),
            ("{time_resolution: 0}", "limits.time_resolution"),
            (
                "{time_multipliers: {ac_to_time_limit: 0.5}}",
                "ac_to_time_limit",
            ),
            ("{validation_passes: 2}", "multi-pass"),
            ("{time_multiplier: 5}", "time_multiplier"),
            ("{memory: 1.5}", "memory"),
        ] {
            let error = current(text).unwrap_err();
            assert!(error.contains(name), "{text}: {error}");
        }
    }
}
