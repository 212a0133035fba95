//! What happens when the process is told to end: by Ctrl-C, by `kill`, by a terminal that closes.

use std::io::{self, Write as _};

use super::terminal::visible;
use crate::api::program::abandon;

/// Exit code of what was interrupted by a signal is this and the signal's number, as shells have it.
const SIGNALLED: i32 = 128;

/// Has the process end at a signal with nothing unfinished left behind.
pub fn end_cleanly() {
    on_signal(|signal| {
        let stand = abandon();
        let written = stand.written.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        let told = match (written.is_empty(), stand.unfinished) {
            (true, true) => ", nothing written".to_owned(),
            (true, false) => String::new(),
            (false, _) => format!("; complete: {}", written.join(", ")),
        };
        // Nobody is left to tell when this fails.
        let _ = writeln!(io::stderr(), "{}", visible(&format!("interrupted{told}")));
        std::process::exit(SIGNALLED + signal);
    });
}

/// Does `act` with the number of each signal that asks the process to end. A signal that was ignored stays so, as a hang-up
/// does under `nohup`.
#[cfg(unix)]
pub fn on_signal(act: impl Fn(i32) + Send + 'static) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let signals = [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|&signal| !is_ignored(signal));
    // Without a handler a signal ends the process at once, as it does elsewhere.
    let Ok(mut signals) = signal_hook::iterator::Signals::new(signals) else { return };
    let wait = move || signals.forever().for_each(act);
    drop(std::thread::Builder::new().name("signals".into()).spawn(wait));
}

/// Whether whoever started the process has it ignore `signal`. Where the system does not tell, it does not.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

/// The number of the interrupt, where there are no others.
#[cfg(not(unix))]
pub fn on_signal(act: impl Fn(i32) + Send + 'static) {
    const INTERRUPT: i32 = 2;
    drop(ctrlc::set_handler(move || act(INTERRUPT)));
}
