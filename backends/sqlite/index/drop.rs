//! Takes the tables of an index away, whatever they hold: a file may be anybody's, or damaged.

use super::stored::{has_fts5, run_all};
use crate::index::ddl::{self, MARKS, SHADOWS, Trigger, WORDS};
use crate::index::name::quote;
use crate::sqlite::connection::Db;
use crate::sqlite::ffi::code;
use crate::sqlite::sql::{Failure, Scratch, Statement, exec};

/// Takes the triggers and tables of an index away, as far as they are there.
///
/// # Errors
/// What SQLite says.
pub fn drop_all(db: Db, schema: &str, index: &str) -> Result<(), Failure> {
    run_all(db, &Trigger::ALL.map(|trigger| trigger.drop(schema, index)))?;
    for suffix in SHADOWS.iter().rev().copied().chain([MARKS]) {
        if WORDS.contains(&suffix) {
            drop_words(db, schema, index, suffix)?;
        } else {
            drop_one(db, schema, &format!("{index}_{suffix}"))?;
        }
    }
    Ok(())
}

/// Takes the table of words `words` of an index away, if it is there.
///
/// FTS5 drops no table that it cannot read. Such a one is made an empty one first.
///
/// # Errors
/// What SQLite says.
pub fn drop_words(db: Db, schema: &str, index: &str, words: &str) -> Result<(), Failure> {
    let table = format!("{index}_{words}");
    match drop_one(db, schema, &table) {
        Err(failure) if matches!(failure.code, code::ERROR | code::CORRUPT) && has_fts5(db)? => {}
        done => return done,
    }
    empty(db, schema, index, words)?;
    drop_one(db, schema, &table)
}

/// Drops what has a name, which is no table where a stranger has put a view there.
fn drop_one(db: Db, schema: &str, name: &str) -> Result<(), Failure> {
    let sql = format!(
        "SELECT type FROM {}.sqlite_master WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')",
        quote(schema)
    );
    match Statement::prepare(db, &sql)?.first(&[name.into()], |row| row.text(0))? {
        Some(kind) => exec(db, &format!("DROP {kind} {}.{}", quote(schema), quote(name))),
        None => Ok(()),
    }
}

/// Gives a table of words the tables that this host's FTS5 makes for an empty one.
fn empty(db: Db, schema: &str, index: &str, words: &str) -> Result<(), Failure> {
    let scratch = Scratch::open()?;
    scratch.exec(&ddl::create_words("main", index, words, "unicode61"))?;
    let table = format!("{index}_{words}");
    let made = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name != ?1";
    for (name, sql) in scratch.all(made, &[(&table).into()], |row| (row.text(0), row.text(1)))? {
        let Some(definition) = sql.strip_prefix("CREATE TABLE ") else { continue };
        drop_one(db, schema, &name)?;
        exec(db, &format!("CREATE TABLE {}.{definition}", quote(schema)))?;
    }
    for (suffix, columns) in [("data", ["id", "block"]), ("config", ["k", "v"])] {
        let name = quote(&format!("{table}_{suffix}"));
        let rows = format!("SELECT quote({}) || ', ' || quote({}) FROM {name}", columns[0], columns[1]);
        for row in scratch.all(&rows, &[], |row| row.text(0))? {
            exec(db, &format!("INSERT INTO {}.{name} VALUES ({row})", quote(schema)))?;
        }
    }
    Ok(())
}
