//! `conformance [--check] [--file WORD] [ENGINE …]`: runs `*.slt` on the engines.
//!
//! An engine is named by its id, a family of them by a label and a star, as in `libsql*`.
//! Without names and words it runs all on all, and writes `compat-matrix.md`, or with `--check` compares it.

mod driver;
mod engines;
mod matrix;
mod provider;
mod run;
mod script;
mod summary;
mod value;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use engines::{ENGINES, Engine};
use run::{Outcome, World};
use script::Script;

/// What the command line says.
#[derive(Default)]
struct Arguments {
    check: bool,
    words: Vec<String>,
    engines: Vec<&'static Engine>,
}

fn main() -> ExitCode {
    match work() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("conformance: {why}");
            ExitCode::from(2)
        }
    }
}

/// Returns whether all is well.
fn work() -> Result<bool, String> {
    let arguments = arguments(std::env::args().skip(1))?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).ok_or("no repository")?;
    let mut scripts = scripts(here)?;
    scripts
        .retain(|s| arguments.words.is_empty() || arguments.words.iter().any(|word| s.name.contains(word)));
    let chosen: Vec<&Engine> =
        if arguments.engines.is_empty() { ENGINES.iter().collect() } else { arguments.engines };
    let whole = arguments.words.is_empty() && chosen.len() == ENGINES.len();

    build(&chosen, root)?;
    let fake = named("REMBED_FAKE", &root.join("tests/fake/target/release/rembed-fake"))?;
    let world = World {
        library: named("REMBED_LIB", &root.join("target/release/libsqlite_rembed.so"))?,
        sqlite_vec: named("SQLITE_VEC", Path::new("sqlite-vec, which run.sh finds"))?,
        version: version(root)?,
        provider: Arc::new(provider::Provider::start(&fake)?),
        root: root.to_owned(),
    };
    let outcomes = run_all(&scripts, &chosen, &world);
    let failed = report(&chosen, &outcomes);
    if failed > 0 && whole {
        println!("compat-matrix.md is as it was: what fails has no mark");
    }
    count(&outcomes, failed);
    if failed > 0 || !whole {
        return Ok(failed == 0);
    }
    let columns: Vec<_> =
        chosen.iter().zip(outcomes).map(|(engine, outcomes)| column(engine, outcomes)).collect();
    let text = matrix::render(&scripts, &columns)?;
    settle(&root.join("compat-matrix.md"), &text, arguments.check)
}

fn arguments(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--check" => arguments.check = true,
            "--file" => arguments.words.push(words.next().ok_or("--file wants a word")?),
            label => {
                // `sqlite` is an engine and a family: the engine, unless one wants `sqlite*`.
                let family = label.strip_suffix('*');
                let chosen = |engine: &&Engine| family.map_or(engine.id == label, |label| engine.is(label));
                let known = arguments.engines.len();
                arguments.engines.extend(ENGINES.iter().filter(chosen));
                if arguments.engines.len() == known {
                    let ids: Vec<_> = ENGINES.iter().map(|engine| engine.id).collect();
                    return Err(format!("'{label}' is none of: {}", ids.join(", ")));
                }
            }
        }
    }
    Ok(arguments)
}

fn scripts(folder: &Path) -> Result<Vec<Script>, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| e.to_string())?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "slt"));
    paths.sort();
    let scripts = paths.iter().map(|path| Script::read(path)).collect::<Result<Vec<_>, _>>()?;
    let mut lines: Vec<_> =
        scripts.iter().flat_map(|script| &script.rows).map(|row| (&row.section, &row.line)).collect();
    lines.sort();
    match lines.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two rows of one name: {}", pair[0].1)),
        None => Ok(scripts),
    }
}

/// The file that a variable names, or the one that is usual.
fn named(variable: &str, usual: &Path) -> Result<PathBuf, String> {
    let path = std::env::var_os(variable).map_or(usual.to_owned(), PathBuf::from);
    path.canonicalize().map_err(|e| format!("{} ({variable}): {e}", path.display()))
}

/// The crate's version.
fn version(root: &Path) -> Result<String, String> {
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).map_err(|e| e.to_string())?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("version = "));
    Ok(line.ok_or("Cargo.toml has no version")?.trim_matches('"').to_owned())
}

/// A driver that cannot be built ends the run: an engine is never left out.
fn build(chosen: &[&Engine], root: &Path) -> Result<(), String> {
    let mut done = Vec::new();
    for engine in chosen.iter().filter(|engine| !engine.build.is_empty()) {
        if done.contains(&engine.build) {
            continue;
        }
        done.push(engine.build);
        let start = Instant::now();
        let status = Command::new("sh").args(["-c", engine.build]).current_dir(root).status();
        let status = status.map_err(|e| format!("{}: {e}", engine.build))?;
        if !status.success() {
            return Err(format!("the driver of {} cannot be built ({status}): {}", engine.id, engine.build));
        }
        if start.elapsed() > Duration::from_secs(1) {
            println!("built {} in {:.0} s", engine.id, start.elapsed().as_secs_f64());
        }
    }
    Ok(())
}

/// Every file on every engine, one a core. The outcomes are in the order of `chosen` and `scripts`.
fn run_all(scripts: &[Script], chosen: &[&Engine], world: &World) -> Vec<Vec<(Outcome, Duration)>> {
    let jobs = chosen.len() * scripts.len();
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<(Outcome, Duration)>>> = Mutex::new((0..jobs).map(|_| None).collect());
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    if job >= jobs {
                        return;
                    }
                    let (engine, script) = (chosen[job / scripts.len()], &scripts[job % scripts.len()]);
                    let start = Instant::now();
                    let outcome = run::run(script, engine, world);
                    let took = start.elapsed();
                    done.lock().unwrap_or_else(PoisonError::into_inner)[job] = Some((outcome, took));
                }
            });
        }
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut done = done.into_iter().flatten();
    chosen.iter().map(|_| done.by_ref().take(scripts.len()).collect()).collect()
}

/// Prints what failed and how long it took. Returns how many failures there are.
fn report(chosen: &[&Engine], outcomes: &[Vec<(Outcome, Duration)>]) -> usize {
    let mut failed = 0;
    for (engine, outcomes) in chosen.iter().zip(outcomes) {
        let mut said: Vec<&String> = Vec::new();
        for failure in outcomes.iter().flat_map(|(outcome, _)| &outcome.failures) {
            failed += 1;
            // A driver that does not start says the same for every file.
            if !said.contains(&failure) {
                println!("--- {}: {}\n", engine.id, failure.trim_end());
                said.push(failure);
            }
        }
        let took: Duration = outcomes.iter().map(|(_, took)| *took).sum();
        let ran: usize = outcomes.iter().map(|(outcome, _)| outcome.ran).sum();
        let bad: usize = outcomes.iter().map(|(outcome, _)| outcome.failures.len()).sum();
        println!("{:<16} {ran:4} statements, {bad:3} failed, {:5.1} s", engine.id, took.as_secs_f64());
    }
    failed
}

fn count(outcomes: &[Vec<(Outcome, Duration)>], failed: usize) {
    let ran: usize = outcomes.iter().flatten().map(|(outcome, _)| outcome.ran).sum();
    println!("{} passed, {failed} failed", ran.saturating_sub(failed));
}

fn column<'a>(engine: &'a Engine, outcomes: Vec<(Outcome, Duration)>) -> matrix::Column<'a> {
    let greeting = outcomes.iter().find_map(|(outcome, _)| outcome.greeting.clone());
    let cells = outcomes.into_iter().map(|(outcome, _)| outcome.cells).collect();
    let greeting = greeting.unwrap_or(driver::Greeting { engine: String::new(), host: String::new() });
    matrix::Column { engine, greeting, cells }
}

/// Writes the matrix, or with `check` compares it.
fn settle(path: &Path, text: &str, check: bool) -> Result<bool, String> {
    let old = std::fs::read_to_string(path).unwrap_or_default();
    if old == text {
        println!("compat-matrix.md is up to date");
        return Ok(true);
    }
    print!("{}", matrix::difference(&old, text));
    if check {
        println!("compat-matrix.md is stale: tests/conformance/run.sh writes it anew, to be committed");
        return Ok(false);
    }
    std::fs::write(path, text).map_err(|e| e.to_string())?;
    println!("compat-matrix.md is written");
    Ok(true)
}
