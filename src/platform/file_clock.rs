//! How long after a change a file may change again without another stamp.
//!
//! File systems take the time from a clock that ticks every few milliseconds, some store whole seconds, and that of a server
//! may have another clock than this machine.

use std::path::Path;

/// Longer than a tick of the clock of any file system that stores more than seconds.
const TICK_NS: i128 = 20_000_000;
/// How far the clocks of two machines may differ; longer than a second, too.
const RACE_NS: i128 = 2_000_000_000;

/// The clock of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileClock {
    is_of_this_machine: bool,
}

impl FileClock {
    /// The clock of the file system that has `folder`.
    pub fn of(folder: &Path) -> Self {
        Self {
            is_of_this_machine: is_local(folder),
        }
    }

    /// Whether every change after `now_ns` gives another stamp to a file whose status last changed at `changed_ns`; both in
    /// nanoseconds since 1970.
    pub fn is_settled(self, changed_ns: i128, now_ns: i128) -> bool {
        let is_fine = changed_ns % 1_000_000_000 != 0;
        let race_ns = match self.is_of_this_machine && is_fine {
            true => TICK_NS,
            false => RACE_NS,
        };
        changed_ns < now_ns - race_ns
    }
}

/// Whether the kernel of this machine sets the times of files.
#[cfg(target_os = "linux")]
fn is_local(folder: &Path) -> bool {
    // From linux/magic.h: ext2 to ext4, XFS, Btrfs, F2FS, tmpfs, overlayfs.
    const LOCAL: [u32; 6] = [
        0xef53,
        0x5846_5342,
        0x9123_683e,
        0xf2f5_2010,
        0x0102_1994,
        0x794c_7630,
    ];
    rustix::fs::statfs(folder).is_ok_and(|found| LOCAL.contains(&(found.f_type as u32)))
}

#[cfg(not(target_os = "linux"))]
fn is_local(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_settled_after_a_tick_or_where_the_time_is_coarse_or_of_another_machine_later() {
        const SECOND_NS: i128 = 1_000_000_000;
        let [own, other] = [true, false].map(|is_of_this_machine| FileClock { is_of_this_machine });
        let changed_ns = 7 * SECOND_NS + 1;
        assert!(!own.is_settled(changed_ns, changed_ns + TICK_NS));
        assert!(own.is_settled(changed_ns, changed_ns + TICK_NS + 1));
        for (clock, changed_ns) in [(other, changed_ns), (own, 7 * SECOND_NS)] {
            assert!(!clock.is_settled(changed_ns, changed_ns + RACE_NS));
            assert!(clock.is_settled(changed_ns, changed_ns + RACE_NS + 1));
        }
        assert!(!own.is_settled(changed_ns, changed_ns - SECOND_NS));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_folder_that_is_no_file_system_of_this_machine_is_not_trusted() {
        assert!(!FileClock::of(Path::new("/proc")).is_of_this_machine);
        assert!(!FileClock::of(Path::new("/nowhere")).is_of_this_machine);
    }
}
