//! One limit as a file and its text, and whether what the kernel reports is the same limit.

use sandbox_core::{Bytes, CpuSet};

/// The period over which a CPU rate is counted: the kernel's own default.
pub(crate) const CPU_PERIOD_USEC: u64 = 100_000;

/// A file of a group and what to write there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) file: &'static str,
    pub(crate) value: Value,
    /// What it means where the group has no such file.
    pub(crate) absent: Absent,
}

/// What the absence of a file means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// The limit cannot be applied.
    Fails,
    /// The kernel does not account swap: harmless where no swap is active.
    NoSwap,
    /// The kernel has nothing to limit here.
    Nothing,
}

/// What is written, by how it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// Comes back as written.
    Text(String),
    /// Comes back rounded down to whole pages.
    Bytes(Bytes),
    /// Comes back as the same set in another notation.
    List(CpuSet),
}

impl Setting {
    pub(crate) fn text(file: &'static str, value: impl Into<String>) -> Self {
        Self {
            file,
            value: Value::Text(value.into()),
            absent: Absent::Fails,
        }
    }

    pub(crate) fn bytes(file: &'static str, value: Bytes) -> Self {
        Self {
            file,
            value: Value::Bytes(value),
            absent: Absent::Fails,
        }
    }

    pub(crate) fn list(file: &'static str, value: CpuSet) -> Self {
        Self {
            file,
            value: Value::List(value),
            absent: Absent::Fails,
        }
    }

    pub(crate) fn needs_swap_accounting(mut self) -> Self {
        self.absent = Absent::NoSwap;
        self
    }

    pub(crate) fn where_it_exists(mut self) -> Self {
        self.absent = Absent::Nothing;
        self
    }

    /// The text to write.
    pub(crate) fn written(&self) -> String {
        match &self.value {
            Value::Text(text) => text.clone(),
            Value::Bytes(bytes) => bytes.get().to_string(),
            Value::List(list) => list.to_string(),
        }
    }

    /// Whether `read`, the file's text after the write, means what was written.
    pub(crate) fn confirmed_by(&self, read: &str, page_size: u64) -> bool {
        let read = read.trim();
        match &self.value {
            Value::Text(text) => text == read,
            Value::Bytes(bytes) => {
                let whole_pages = bytes.get() - bytes.get() % page_size.max(1);
                read.parse() == Ok(whole_pages)
            }
            Value::List(list) => read.parse().as_ref() == Ok(list),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Setting;
    use sandbox_core::{Bytes, CpuSet};

    #[test]
    fn byte_limits_come_back_in_whole_pages() {
        let setting = Setting::bytes("memory.max", Bytes::new(12_345_678));
        assert!(setting.confirmed_by("12345344\n", 4096));
        for other in ["12345678", "max", "12341248", ""] {
            assert!(!setting.confirmed_by(other, 4096), "{other}");
        }
    }

    #[test]
    fn sets_are_compared_as_sets() {
        let setting = Setting::list("cpuset.cpus", CpuSet::new([0, 1, 3]));
        assert_eq!(setting.written(), "0,1,3");
        assert!(setting.confirmed_by("0-1,3\n", 4096));
        assert!(!setting.confirmed_by("0-3", 4096));
        assert!(!setting.confirmed_by("nonsense", 4096));
    }

    #[test]
    fn other_texts_come_back_as_they_are() {
        let setting = Setting::text("pids.max", "9");
        assert!(setting.confirmed_by("9\n", 4096));
        assert!(!setting.confirmed_by("max\n", 4096));
    }
}
