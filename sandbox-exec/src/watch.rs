//! When the supervisor must look again, and what it then decides. Pure: the clocks are arguments.

use core::time::Duration;

use sandbox_core::{KillReason, Limits, Reading, Unavailable};

/// Shortest sleep between two looks at the CPU clock: below it the looks themselves would cost more than they find. A
/// box of N CPUs passes its limit by N times this at most.
const SHORTEST: Duration = Duration::from_millis(2);

/// The clocks of a run.
#[derive(Debug)]
pub(crate) struct Clocks<'l> {
    limits: &'l Limits,
    cpus: u32,
}

/// What follows from a look at the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// A limit is passed.
    Kill(KillReason),
    /// No limit can be passed before this time is over; `None` where there is no limit of time.
    Sleep(Option<Duration>),
    /// A limit depends on a clock that cannot be read.
    Blind(Unavailable),
}

impl<'l> Clocks<'l> {
    /// `cpus`: how many CPUs the box can use at once, and so how many times faster than the wall its CPU clock can run.
    pub(crate) fn new(limits: &'l Limits, cpus: u32) -> Self {
        let named = limits
            .cpus
            .as_ref()
            .map_or(u32::MAX, |set| set.len().try_into().unwrap_or(u32::MAX));
        let cpus = cpus
            .min(named)
            .min(limits.processes.unwrap_or(u32::MAX))
            .max(1);
        Self { limits, cpus }
    }

    /// Whether the CPU clock must be read.
    pub(crate) fn needs_cpu(&self) -> bool {
        self.limits.cpu_time.is_some() || self.limits.idle_time.is_some()
    }

    /// Looks at both clocks. `cpu` is asked only where a limit needs it.
    pub(crate) fn look(&self, wall: Duration, cpu: Reading<Duration>) -> Decision {
        let mut sleep: Option<Duration> = None;
        let mut at_most = |rest: Duration| {
            sleep = Some(sleep.map_or(rest, |known| known.min(rest)));
        };
        if self.needs_cpu() {
            let cpu = match cpu {
                Reading::Value(cpu) => cpu,
                Reading::Unavailable(why) => return Decision::Blind(why),
            };
            if let Some(limit) = self.limits.cpu_time {
                if cpu > limit {
                    return Decision::Kill(KillReason::CpuTime);
                }
                at_most(((limit - cpu) / self.cpus).max(SHORTEST));
            }
            if let Some(limit) = self.limits.idle_time {
                let idle = wall.saturating_sub(cpu);
                if idle > limit {
                    return Decision::Kill(KillReason::IdleTime);
                }
                at_most((limit - idle).max(SHORTEST));
            }
        }
        if let Some(limit) = self.limits.wall_time {
            if wall > limit {
                return Decision::Kill(KillReason::WallTime);
            }
            // One nanosecond more: at the limit itself it is not passed yet.
            at_most(limit - wall + Duration::from_nanos(1));
        }
        Decision::Sleep(sleep)
    }
}

#[cfg(test)]
mod tests {
    use super::{Clocks, Decision, SHORTEST};
    use core::time::Duration;
    use sandbox_core::{KillReason, Limits, Reading, Unavailable};

    const S: Duration = Duration::from_secs(1);
    const NONE: Reading<Duration> = Reading::Unavailable(Unavailable::NoController);

    #[test]
    fn no_limit_no_wake_up() {
        let limits = Limits::default();
        assert_eq!(Clocks::new(&limits, 4).look(S, NONE), Decision::Sleep(None));
    }

    #[test]
    fn several_cpus_spend_the_rest_faster() {
        let limits = Limits::default().cpu_time(3 * S);
        let look =
            |cpus, limits: &Limits, cpu| Clocks::new(limits, cpus).look(S, Reading::Value(cpu));
        assert_eq!(look(2, &limits, S), Decision::Sleep(Some(S)));
        assert_eq!(look(4, &limits, S), Decision::Sleep(Some(S / 2)));
        assert_eq!(
            look(4, &limits.clone().processes(1), S),
            Decision::Sleep(Some(2 * S))
        );
        let pinned = limits.clone().cpus(sandbox_core::CpuSet::new([1]));
        assert_eq!(look(4, &pinned, S), Decision::Sleep(Some(2 * S)));
        assert_eq!(look(4, &limits, 3 * S), Decision::Sleep(Some(SHORTEST)));
        let passed = 3 * S + Duration::from_nanos(1);
        assert_eq!(
            look(4, &limits, passed),
            Decision::Kill(KillReason::CpuTime)
        );
    }

    #[test]
    fn the_nearest_limit_sets_the_alarm() {
        let limits = Limits::default()
            .cpu_time(10 * S)
            .wall_time(5 * S)
            .idle_time(2 * S);
        let clocks = Clocks::new(&limits, 1);
        assert_eq!(
            clocks.look(S, Reading::Value(S / 2)),
            Decision::Sleep(Some(S * 3 / 2))
        );
        assert_eq!(
            clocks.look(4 * S, Reading::Value(S)),
            Decision::Kill(KillReason::IdleTime)
        );
        assert_eq!(
            clocks.look(6 * S, Reading::Value(5 * S)),
            Decision::Kill(KillReason::WallTime)
        );
    }

    #[test]
    fn an_unreadable_clock_is_no_zero() {
        let limits = Limits::default().cpu_time(S);
        let decision = Clocks::new(&limits, 1).look(S, NONE);
        assert_eq!(decision, Decision::Blind(Unavailable::NoController));
    }
}
