//! How much memory conversions take, and how much there is.

use std::time::{Duration, Instant};

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Time between two measurements.
const EVERY: Duration = Duration::from_millis(10);
/// Share of the machine's memory that conversions are planned for where there is no limit: the rest is for others, and for
/// estimates that were too low.
const SHARE: (u64, u64) = (4, 5);

/// The memory of the machine.
pub struct Memory {
    system: System,
    room: u64,
    last: Option<Instant>,
}

impl Memory {
    /// Looks at the machine.
    pub fn new(limit: Option<u64>) -> Self {
        let mut system = System::new();
        system.refresh_memory();
        let group = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
        let share = system.total_memory().min(group) / SHARE.1 * SHARE.0;
        Self { system, room: limit.unwrap_or(share), last: None }
    }

    /// How much conversions may take together, as far as estimates go.
    pub fn room(&self) -> u64 {
        self.room
    }

    /// The resident bytes of each of `processes`, 0 of one that has ended; `None` where it was measured just before.
    pub fn resident(&mut self, processes: &[u32]) -> Option<Vec<u64>> {
        if processes.is_empty() || self.last.is_some_and(|last| last.elapsed() < EVERY) {
            return None;
        }
        self.last = Some(Instant::now());
        let pids: Vec<Pid> = processes.iter().copied().map(Pid::from_u32).collect();
        let kind = ProcessRefreshKind::nothing().with_memory();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, kind);
        Some(pids.iter().map(|&pid| self.system.process(pid).map_or(0, |process| process.memory())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_some() {
        let mut memory = Memory::new(None);
        assert!(memory.room() > 1 << 20);
        let found = memory.resident(&[std::process::id()]).unwrap();
        assert!(found[0] > 1 << 16, "{found:?}");
        assert_eq!(memory.resident(&[std::process::id()]), None);
        assert_eq!(Memory::new(Some(5)).room(), 5);
    }
}
