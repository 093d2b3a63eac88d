//! One file on one engine.

use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use sqllogictest::{Connection, DB, DBOutput, QueryExpect, Record, Runner};

use crate::driver::{Driver, Failure, Greeting};
use crate::engines::{Engine, Library};
use crate::provider::Provider;
use crate::script::{self, Script, Step};
use crate::value::{self, Kind};

/// The connection that is the provider's.
const PROVIDER: &str = "provider";

/// What all runs share.
#[derive(Clone)]
pub struct World {
    /// The repository.
    pub root: PathBuf,
    /// The library under test.
    pub library: PathBuf,
    /// sqlite-vec, for drivers that load it.
    pub sqlite_vec: PathBuf,
    /// The version that the library states.
    pub version: String,
    /// The fake provider.
    pub provider: Arc<Provider>,
}

/// What a row came to on an engine.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Cell {
    /// How many records ran.
    pub ran: usize,
    /// Why records were skipped.
    pub why: Vec<String>,
    /// The statements that ran in their place.
    pub instead: Vec<String>,
}

/// What a file came to on an engine.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Who the driver says it is.
    pub greeting: Option<Greeting>,
    /// One a row.
    pub cells: Vec<Cell>,
    /// What failed, ready to print.
    pub failures: Vec<String>,
    /// How many records ran.
    pub ran: usize,
}

/// What the connections of a run share.
struct State {
    driver: Driver,
    provider: Arc<Provider>,
    /// Variable to scenario.
    scenarios: BTreeMap<String, String>,
    /// The connection of the record that runs: sqllogictest does not tell the maker of one its name.
    connection: String,
}

#[derive(Clone)]
struct Session {
    name: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct SqlError(String);

impl std::fmt::Display for SqlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SqlError {}

impl DB for Session {
    type Error = SqlError;
    type ColumnType = Kind;

    fn run(&mut self, sql: &str) -> Result<DBOutput<Kind>, SqlError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = if self.name == PROVIDER {
            let (question, variable) = sql.rsplit_once(" of ").unwrap_or((sql, ""));
            let scenario =
                state.scenarios.get(variable).ok_or(SqlError(format!("no provider '{variable}'")))?;
            state.provider.ask(scenario, question).map_err(SqlError)?
        } else {
            state.driver.ask(&self.name, sql).map_err(|failure| match failure {
                Failure::Sql(text) | Failure::Broken(text) => SqlError(text),
            })?
        };
        Ok(DBOutput::Rows { types: rows.types, rows: rows.rows })
    }
}

/// Runs `script` on `engine`: a driver, a database and scenarios of its own.
pub fn run(script: &Script, engine: &Engine, world: &World) -> Outcome {
    let mut outcome = Outcome { cells: vec![Cell::default(); script.rows.len()], ..Outcome::default() };
    if let Err(why) = attempt(script, engine, world, &mut outcome) {
        outcome.failures.push(why);
    }
    outcome
}

fn attempt(script: &Script, engine: &Engine, world: &World, outcome: &mut Outcome) -> Result<(), String> {
    let folder =
        tempfile::Builder::new().prefix("rembed-conformance-").tempdir().map_err(|e| e.to_string())?;
    let mut variables = BTreeMap::new();
    let mut scenarios = BTreeMap::new();
    for (name, settings) in &script.providers {
        let scenario = format!("{}-{}-{name}", engine.id, script.name);
        variables.insert(name.clone(), world.provider.scenario(&scenario, settings)?);
        scenarios.insert(name.clone(), scenario);
    }
    variables.insert("VERSION".into(), world.version.clone());
    // A file for `file:PATH` keys, and a folder for what a file wants to leave.
    variables.insert("FOLDER".into(), folder.path().to_string_lossy().into_owned());
    std::fs::write(folder.path().join("key.txt"), "sk-from-a-file\n").map_err(|e| e.to_string())?;

    let environment = environment(script, world, folder.path(), &variables)?;
    let driver = Driver::start(command(engine, world, folder.path()), &environment, folder.path())?;
    outcome.greeting = Some(driver.greeting().clone());
    let connection = String::new();
    let state =
        Arc::new(Mutex::new(State { driver, provider: world.provider.clone(), scenarios, connection }));
    let mut runner = runner(engine, &state);
    for step in &script.steps {
        let stopped = run_step(script, step, engine, &variables, &state, &mut runner, outcome);
        if stopped {
            return Ok(());
        }
    }
    drop(runner);
    let state = Arc::into_inner(state).ok_or("a connection is left")?;
    state.into_inner().unwrap_or_else(PoisonError::into_inner).driver.finish()
}

/// Returns whether the driver can do no more.
fn run_step(
    script: &Script,
    step: &Step,
    engine: &Engine,
    variables: &BTreeMap<String, String>,
    state: &Arc<Mutex<State>>,
    runner: &mut Runner<Session, impl FnMut() -> Ready<Result<Session, SqlError>>>,
    outcome: &mut Outcome,
) -> bool {
    let mut unused = Cell::default();
    let cell = step.row.map_or(&mut unused, |row| &mut outcome.cells[row]);
    if let Some(label) = script::skipped(&step.record, engine) {
        let why = step.row.and_then(|row| script.rows[row].reason(label)).unwrap_or_default().to_owned();
        if !cell.why.contains(&why) {
            cell.why.push(why);
        }
        return false;
    }
    if script::is_foreign(&step.record, engine) {
        return false;
    }
    cell.ran += 1;
    cell.instead.extend(script::replacement(&step.record).map(str::to_owned));
    outcome.ran += 1;
    let record = substitute(step.record.clone(), variables);
    {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.connection = connection(&record);
    }
    let result = runner.run(record);
    let broken = state.lock().unwrap_or_else(PoisonError::into_inner).driver.broken().map(str::to_owned);
    match (result, broken) {
        (result, Some(why)) => {
            let at = result.err().map_or_else(String::new, |e| format!("at {}", e.location()));
            outcome.failures.push(format!("{why}\n{at}"));
            true
        }
        (Err(e), None) => {
            outcome.failures.push(e.to_string());
            false
        }
        (Ok(_), None) => false,
    }
}

fn runner(
    engine: &Engine,
    state: &Arc<Mutex<State>>,
) -> Runner<Session, impl FnMut() -> Ready<Result<Session, SqlError>> + use<>> {
    let state = state.clone();
    let mut runner = Runner::new(move || {
        let name = state.lock().unwrap_or_else(PoisonError::into_inner).connection.clone();
        ready(Ok(Session { name, state: state.clone() }))
    });
    for label in engine.labels.iter().chain([&engine.id]) {
        runner.add_label(label);
    }
    runner.with_validator(value::same_rows);
    runner.with_column_validator(value::same_types);
    runner
}

fn command(engine: &Engine, world: &World, folder: &Path) -> Command {
    let mut words = engine.run.split_whitespace();
    let mut command = Command::new(match words.next().unwrap_or_default() {
        // Not from the path.
        program if program.contains('/') => world.root.join(program).into_os_string(),
        program => program.into(),
    });
    command.args(words).arg(folder.join("test.db")).current_dir(&world.root);
    match engine.library {
        Library::None => {}
        Library::Loadable => drop(command.arg(&world.library)),
        Library::At(path) => drop(command.arg(world.root.join(path))),
    }
    command
}

fn environment(
    script: &Script,
    world: &World,
    folder: &Path,
    variables: &BTreeMap<String, String>,
) -> Result<Vec<(String, String)>, String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut environment = vec![
        ("SQLITE_VEC".to_owned(), text(&world.sqlite_vec)),
        ("REMBED_CACHE_DIR".to_owned(), text(&folder.join("cache"))),
        ("CONFORMANCE_KEY".to_owned(), "sk-from-the-environment".to_owned()),
    ];
    if let Some(config) = &script.config {
        let path = folder.join("config.json");
        std::fs::write(&path, replace(config, variables)).map_err(|e| e.to_string())?;
        environment.push(("REMBED_CONFIG".to_owned(), text(&path)));
    }
    let given = script.variables.iter().map(|(name, value)| (name.clone(), replace(value, variables)));
    environment.extend(given);
    Ok(environment)
}

fn connection(record: &Record<Kind>) -> String {
    match record {
        Record::Statement { connection: Connection::Named(name), .. }
        | Record::Query { connection: Connection::Named(name), .. } => name.clone(),
        _ => "default".into(),
    }
}

/// Puts the variables in. Not by sqllogictest, which would take the `$.x` of a JSON path for one, and `\` for an escape.
fn substitute(mut record: Record<Kind>, variables: &BTreeMap<String, String>) -> Record<Kind> {
    match &mut record {
        Record::Statement { sql, .. } => *sql = replace(sql, variables),
        Record::Query { sql, expected, .. } => {
            *sql = replace(sql, variables);
            if let QueryExpect::Results { results, .. } = expected {
                results.iter_mut().for_each(|line| *line = replace(line, variables));
            }
        }
        _ => {}
    }
    record
}

fn replace(text: &str, variables: &BTreeMap<String, String>) -> String {
    variables.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}
