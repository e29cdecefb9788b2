//! The signals that end the daemon, those that must not, and the word to systemd along the way.

use std::io;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT. The first asks for an orderly end, the second for an end at once.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Heard so that it does not end us: a file that is as large as it may be is a write that fails, like a full disk.
    _file_too_large: Signal,
}

const SIGXFSZ: i32 = rustix::process::Signal::XFSZ.as_raw();

impl Signals {
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_too_large: signal(SignalKind::from_raw(SIGXFSZ))?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Tells systemd, if it started us, that we serve.
pub fn tell_ready() {
    notify(&[sd_notify::NotifyState::Ready]);
}

pub fn tell_stopping() {
    notify(&[sd_notify::NotifyState::Stopping]);
}

fn notify(state: &[sd_notify::NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd could not be told");
    }
}

/// Feeds systemd's watchdog, where the unit asks for one, for as long as the runtime turns.
pub async fn feed_watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut beat = tokio::time::interval((limit / 2).max(Duration::from_millis(100)));
    loop {
        beat.tick().await;
        notify(&[sd_notify::NotifyState::Watchdog]);
    }
}
