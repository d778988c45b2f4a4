//! The size of this process, which must not show in what a run reports.

/// Memory that this process holds for no other reason than to be large.
#[derive(Debug, Default)]
pub(crate) struct Embedder {
    ballast: Vec<Vec<u8>>,
}

impl Embedder {
    /// Grows to so many MiB of its own, and says its `VmRSS` in units of 1000² bytes.
    pub(crate) fn grow_to(&mut self, mib: usize) -> u64 {
        while self.ballast.len() < mib {
            self.ballast.push(vec![1; 1 << 20]);
        }
        let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("status has VmRSS");
        let kib: u64 = line
            .trim_end_matches("kB")
            .trim()
            .parse()
            .expect("a number");
        kib * 1024 / 1_000_000
    }
}
