//! The wish to stop, by a signal.

use signal_hook::consts::{SIGHUP, TERM_SIGNALS};
use signal_hook::flag;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit status after a second signal, as a shell has it after SIGINT.
const AT_ONCE: i32 = 130;

/// Was the program asked to stop?
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on, the first SIGINT, SIGTERM, SIGQUIT or SIGHUP is a wish to stop, to be asked for; the second
    /// ends the program at once. Where SIGHUP is ignored, as by `nohup`, it stays so.
    ///
    /// # Errors
    /// The system does not allow it.
    pub(crate) fn watch() -> io::Result<Self> {
        let stop = Self::default();
        let hangup = Some(&SIGHUP).filter(|_| !ignores_hangup());
        for &signal in TERM_SIGNALS.iter().chain(hangup) {
            // In this order: the first one finds the wish not there yet.
            flag::register_conditional_shutdown(signal, AT_ONCE, stop.0.clone())?;
            flag::register(signal, stop.0.clone())?;
        }
        Ok(stop)
    }

    /// Was it?
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Is SIGHUP ignored? Only Linux tells.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.unwrap_or(0) >> (SIGHUP - 1) & 1 == 1
}
