//! What `sqlite_rembed::limbo::register` does to a connection, and to a database file.

use std::path::Path;
use std::sync::Arc;

use limbo_core::{Connection, Database, LimboError, OpenFlags, PlatformIO, StepResult, Value};
use sqlite_rembed::limbo::register;

fn open(path: &Path, flags: OpenFlags) -> Arc<Database> {
    let io = Arc::new(PlatformIO::new().unwrap());
    Database::open_file_with_flags(io, path.to_str().unwrap(), flags, false).unwrap()
}

fn run(connection: &Arc<Connection>, sql: &str) -> Result<Vec<Vec<Value>>, LimboError> {
    let mut rows = Vec::new();
    let mut statement = connection.prepare(sql)?;
    loop {
        match statement.step()? {
            StepResult::Row => rows.push(statement.row().unwrap().get_values().cloned().collect()),
            StepResult::IO => statement.run_once()?,
            StepResult::Done => return Ok(rows),
            StepResult::Busy | StepResult::Interrupt => return Err(LimboError::Busy),
        }
    }
}

fn tables(connection: &Arc<Connection>) -> Vec<String> {
    let rows = run(connection, "SELECT name FROM sqlite_schema").unwrap();
    rows.into_iter().map(|row| row[0].to_string()).collect()
}

#[test]
fn the_table_is_there_and_the_file_knows_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.db");
    let database = open(&file, OpenFlags::default());
    let connection = database.connect().unwrap();
    run(&connection, "CREATE TABLE before(a)").unwrap();
    for _ in 0..3 {
        register(&connection).unwrap();
    }
    run(&connection, "SELECT name FROM temp.rembed_clients").unwrap();
    run(&connection, "CREATE TABLE after(a)").unwrap();
    assert_eq!(tables(&connection), ["before", "after"]);
    // Another connection of the database has the table before it has the functions.
    let second = database.connect().unwrap();
    run(&second, "SELECT name FROM rembed_clients").unwrap();
    register(&second).unwrap();
    run(&second, "SELECT rembed_version()").unwrap();
    assert_eq!(tables(&second), ["before", "after"]);
}

#[test]
fn within_a_transaction_it_stays_open() {
    let dir = tempfile::tempdir().unwrap();
    let connection = open(&dir.path().join("a.db"), OpenFlags::default()).connect().unwrap();
    run(&connection, "BEGIN").unwrap();
    register(&connection).unwrap();
    assert!(!connection.get_auto_commit());
    run(&connection, "COMMIT").unwrap();
    run(&connection, "SELECT * FROM rembed_clients").unwrap();
}

#[test]
fn a_table_of_the_file_is_used_and_what_comes_after_it_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.db");
    let connection = open(&file, OpenFlags::default()).connect().unwrap();
    register(&connection).unwrap();
    run(&connection, "DROP TABLE rembed_clients").unwrap();
    run(&connection, "CREATE VIRTUAL TABLE rembed_clients USING rembed_clients").unwrap();
    run(&connection, "CREATE TABLE after(a)").unwrap();
    connection.close().unwrap();
    drop(connection);

    // A file of its own: the database of the first connection is held by the engine's tables.
    let copy = dir.path().join("b.db");
    std::fs::copy(&file, &copy).unwrap();
    let connection = open(&copy, OpenFlags::default()).connect().unwrap();
    assert!(run(&connection, "SELECT * FROM after").is_err(), "the engine has mended its schema");
    register(&connection).unwrap();
    run(&connection, "SELECT * FROM after").unwrap();
    run(&connection, "SELECT * FROM rembed_clients").unwrap();
    run(&connection, "INSERT INTO rembed_clients(name, options) VALUES ('from-file', 'openai')").unwrap();
    run(&connection, "SELECT rembed_unregister('from-file')").unwrap();
    assert_eq!(tables(&connection), ["rembed_clients", "after"]);
}

#[test]
fn a_read_only_database_has_the_functions() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.db");
    open(&file, OpenFlags::default()).connect().unwrap().close().unwrap();
    let connection = open(&file, OpenFlags::ReadOnly).connect().unwrap();
    register(&connection).unwrap();
    assert!(connection.get_auto_commit());
    run(&connection, "SELECT rembed_register('read-only', 'format', 'openai')").unwrap();
    run(&connection, "SELECT rembed_unregister('read-only')").unwrap();
    run(&connection, "SELECT * FROM rembed_clients").unwrap_err();
}

#[test]
fn a_database_that_another_writes_is_an_error_not_a_wait() {
    let dir = tempfile::tempdir().unwrap();
    let database = open(&dir.path().join("a.db"), OpenFlags::default());
    let (writer, connection) = (database.connect().unwrap(), database.connect().unwrap());
    run(&writer, "CREATE TABLE t(a)").unwrap();
    run(&writer, "BEGIN IMMEDIATE").unwrap();
    let e = register(&connection).unwrap_err().to_string();
    assert_eq!(e, "rembed: cannot make the table rembed_clients: Database is busy");
    run(&connection, "SELECT rembed_version()").unwrap();
    run(&writer, "COMMIT").unwrap();
    register(&connection).unwrap();
    run(&connection, "SELECT * FROM rembed_clients").unwrap();
}
