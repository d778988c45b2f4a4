//! The time limit: given, or found from measured submissions as the format says.

use std::time::Duration;

use serde::Serialize;

use crate::package::limits::TimeRule;

/// CPU time that a submission gets while the time limit is not known yet.
pub(crate) const MEASURING_CAP: Duration = Duration::from_secs(60);

/// Where a time limit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// `--time-limit`.
    CommandLine,
    /// `problem.yaml` or `.timelimit`.
    Package,
    /// The slowest accepted submission.
    Measured,
}

/// No time limit lies between the two bounds of the format.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub(crate) enum TimeLimitError {
    /// Nothing was measured.
    #[error(
        "no time limit is given, and no accepted submission could be measured; use --time-limit"
    )]
    NothingMeasured,
    /// An accepted submission did not end.
    #[error(
        "no time limit is given, and {0:?} was not enough for an accepted submission; use --time-limit"
    )]
    TooSlow(Duration),
    /// The fastest submission that should be too slow is too fast.
    #[error(
        "no time limit fits: {limit:?} is the smallest that leaves time to the accepted submissions, and a submission \
         that must exceed the limit takes only {tle:?}"
    )]
    NoneFits {
        /// The smallest candidate.
        limit: Duration,
        /// The fastest of the submissions that must be stopped.
        tle: Duration,
    },
}

/// The smallest limit that leaves time to a submission that took `slowest`.
pub(crate) fn smallest(rule: TimeRule, slowest: Duration) -> Duration {
    match rule {
        TimeRule::Legacy { multiplier } => {
            multiple(slowest.as_secs_f64() * multiplier, Duration::from_secs(1))
        }
        TimeRule::Current {
            ac_to_limit,
            resolution,
            ..
        } => multiple(slowest.as_secs_f64() * ac_to_limit, resolution),
    }
}

/// How long a submission that must be stopped has to run at least.
pub(crate) fn least_tle(rule: TimeRule, limit: Duration) -> Duration {
    match rule {
        TimeRule::Legacy { .. } => limit,
        TimeRule::Current { limit_to_tle, .. } => {
            Duration::try_from_secs_f64(limit.as_secs_f64() * limit_to_tle).unwrap_or(Duration::MAX)
        }
    }
}

/// The smallest multiple of `unit`, at least one, that is not below `seconds`.
fn multiple(seconds: f64, unit: Duration) -> Duration {
    let count = (seconds / unit.as_secs_f64()).ceil().max(1.0);
    Duration::try_from_secs_f64(count * unit.as_secs_f64()).unwrap_or(Duration::MAX)
}

/// What to tell people of a given limit that breaks the format's inequalities on this machine.
pub(crate) fn warnings(
    rule: TimeRule,
    limit: Duration,
    slowest: Option<Duration>,
    fastest_tle: Option<Duration>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if let TimeRule::Current {
        ac_to_limit,
        limit_to_tle,
        ..
    } = rule
    {
        if let Some(slowest) = slowest
            && slowest.as_secs_f64() * ac_to_limit > limit.as_secs_f64()
        {
            warnings.push(format!(
                "the time limit {limit:?} is less than {ac_to_limit} times the {slowest:?} of a submission that must \
                 stay within it"
            ));
        }
        if let Some(tle) = fastest_tle
            && limit.as_secs_f64() * limit_to_tle > tle.as_secs_f64()
        {
            warnings.push(format!(
                "a submission that must exceed the time limit {limit:?} takes {tle:?}, less than {limit_to_tle} times \
                 that"
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::{least_tle, smallest, warnings};
    use crate::package::limits::TimeRule;
    use std::time::Duration;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    const LEGACY: TimeRule = TimeRule::Legacy { multiplier: 5.0 };
    const CURRENT: TimeRule = TimeRule::Current {
        ac_to_limit: 2.0,
        limit_to_tle: 1.5,
        resolution: ms(500),
    };

    #[test]
    fn legacy_rounds_up_to_whole_seconds() {
        assert_eq!(smallest(LEGACY, ms(0)), ms(1000));
        assert_eq!(smallest(LEGACY, ms(200)), ms(1000));
        assert_eq!(smallest(LEGACY, ms(201)), ms(2000));
    }

    #[test]
    fn current_rounds_up_to_the_resolution() {
        assert_eq!(smallest(CURRENT, ms(0)), ms(500));
        assert_eq!(smallest(CURRENT, ms(250)), ms(500));
        assert_eq!(smallest(CURRENT, ms(251)), ms(1000));
        assert_eq!(least_tle(CURRENT, ms(1000)), ms(1500));
    }

    #[test]
    fn given_limits_are_held_against_the_inequalities() {
        assert!(warnings(CURRENT, ms(1000), Some(ms(500)), Some(ms(1500))).is_empty());
        assert_eq!(warnings(CURRENT, ms(1000), Some(ms(501)), None).len(), 1);
        assert_eq!(warnings(CURRENT, ms(1000), None, Some(ms(1499))).len(), 1);
        assert!(warnings(LEGACY, ms(1), Some(ms(5000)), None).is_empty());
    }
}
