//! Side-by-side runs against one fake provider: `rembed-bench URL TLS_URL LIBRARY OLD_LIBRARY NOTHING RESULTS [--short]`.
//! `SSL_CERT_FILE` is the authority of TLS_URL's certificate.
//!
//! Every figure is a ratio within one run, since machines are noisy. The table goes to RESULTS/results.md, the
//! plot to RESULTS/throughput.svg. `--short` runs everything once and small: a smoke test, whose figures say little.

mod allocations;
mod batch;
mod connection;
mod host;
mod parse;
mod plot;
mod rows;
mod single;
mod tls;

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[global_allocator]
static ALLOCATOR: parse::Counting = parse::Counting;

/// What every run is given.
pub struct Setup {
    pub url: String,
    pub tls_url: String,
    pub library: String,
    pub old: String,
    /// An extension that does nothing.
    pub nothing: String,
    pub short: bool,
}

impl Setup {
    /// `long`, or a small part of it in a short run.
    pub fn scale(&self, long: usize) -> usize {
        if self.short { (long / 20).max(1) } else { long }
    }
}

/// A figure beside what it must reach.
pub struct Bar {
    work: String,
    against: String,
    figure: f64,
    bar: f64,
    at_most: bool,
}

impl Bar {
    pub fn at_most(work: impl Into<String>, against: impl Into<String>, figure: f64, bar: f64) -> Bar {
        Bar { work: work.into(), against: against.into(), figure, bar, at_most: true }
    }

    pub fn at_least(work: impl Into<String>, against: impl Into<String>, figure: f64, bar: f64) -> Bar {
        Bar { at_most: false, ..Bar::at_most(work, against, figure, bar) }
    }

    fn row(&self) -> String {
        let reached = if self.at_most { self.figure <= self.bar } else { self.figure >= self.bar };
        let sign = if self.at_most { "≤" } else { "≥" };
        let mark = if reached { "yes" } else { "**no**" };
        format!("| {} | {} | {:.2} | {sign} {} | {mark} |", self.work, self.against, self.figure, self.bar)
    }
}

/// The median, in seconds.
pub fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

fn main() -> Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let short = words.iter().any(|word| word == "--short");
    words.retain(|word| word != "--short");
    let [url, tls_url, library, old, nothing, results] = <[String; 6]>::try_from(words)
        .map_err(|_| "usage: rembed-bench URL TLS_URL LIBRARY OLD_LIBRARY NOTHING RESULTS [--short]")?;
    let setup = Setup { url, tls_url, library, old, nothing, short };

    let mut bars = Vec::new();
    let calls = single::run(&setup, &mut bars)?;
    tls::run(&setup, &mut bars)?;
    batch::run(&setup, &mut bars)?;
    bars.extend(parse::run(if short { 1 } else { 9 }));
    rows::run(&setup, &mut bars)?;
    host::run(&setup, &mut bars)?;
    connection::run(&setup, &mut bars)?;
    let throughput = plot::run(&setup, &format!("{results}/throughput.svg"))?;

    let mut text =
        String::from("| work | against | figure | bar | reached |\n| --- | --- | ---: | ---: | --- |\n");
    for bar in &bars {
        writeln!(text, "{}", bar.row())?;
    }
    writeln!(text, "\n## Calls a second, one text each\n\n{calls}")?;
    writeln!(
        text,
        "## Texts a second, by batch size and requests in flight (50 ms a reply)\n\n{throughput}"
    )?;
    writeln!(text, "![throughput](throughput.svg)")?;
    std::fs::write(format!("{results}/results.md"), &text)?;
    println!("{text}");
    Ok(())
}
