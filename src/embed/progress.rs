//! A bar on stderr for long statements, when `REMBED_PROGRESS=1` and stderr is a terminal.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::base::process::PerProcess;
use crate::client::Client;
use crate::client::stats::Stats;

static WANTED: PerProcess<bool> = PerProcess::new(|_| {
    std::env::var_os("REMBED_PROGRESS").is_some_and(|v| v == "1") && std::io::stderr().is_terminal()
});

/// The bar of a statement, or nothing.
pub struct Progress(Option<(ProgressBar, Arc<Stats>)>);

impl Progress {
    /// No bar.
    pub fn none() -> Progress {
        Progress(None)
    }

    /// Whether one is drawn at all.
    pub fn is_wanted() -> bool {
        *WANTED
    }

    /// A bar for `total` of what is counted, or a counter where the number is not known.
    pub fn new(client: &Client, what: &str, total: Option<u64>) -> Progress {
        if !*WANTED {
            return Progress(None);
        }
        let (bar, template) = match total {
            Some(total) => (
                ProgressBar::new(total),
                "{prefix} [{bar:30}] {human_pos}/{human_len} WHAT, {per_sec}, {msg}, {eta} left",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{prefix} {spinner} {human_pos} WHAT, {per_sec}, {msg}, {elapsed}",
            ),
        };
        let style = ProgressStyle::with_template(&template.replace("WHAT", what))
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = bar.with_style(style.progress_chars("=> "));
        let bar = bar.with_prefix(client.name().to_owned()).with_message("0 in flight");
        bar.enable_steady_tick(Duration::from_millis(200));
        Progress(Some((bar, client.stats().clone())))
    }

    /// So many more are done.
    pub fn done(&self, more: u64) {
        if let Some((bar, _)) = &self.0 {
            bar.inc(more);
        }
    }

    /// The statement has so many requests on their way.
    pub fn waiting(&self, busy: usize) {
        if let Some((bar, stats)) = &self.0 {
            bar.set_message(format!("{busy} in flight, {} retries", stats.retries.load(Relaxed)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((bar, _)) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
