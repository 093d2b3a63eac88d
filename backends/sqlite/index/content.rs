//! The content table of an index: whether its rows have numbers that stay, and how its columns are spelled.

use crate::base::error::{Error, Result};
use crate::base::words::{did_you_mean, quoted};
use crate::index::config::Config;
use crate::index::name::{is_same, quote, string};
use crate::sqlite::connection::Db;
use crate::sqlite::sql::Statement;

/// A column of the content table.
struct Column {
    name: String,
    is_integer: bool,
    is_key: bool,
    /// No one sees it (a virtual table's own).
    is_hidden: bool,
}

/// Checks the content table that `config` names, of the index's schema. Gives the configuration with its names as the
/// schema spells them, the rowid's too.
///
/// # Errors
/// What an index cannot be made of, and why.
pub fn check(db: Db, schema: &str, config: &Config) -> Result<Config> {
    let content = &config.content;
    let table = table_of(db, schema, content)?;
    let columns = columns_of(db, schema, &table)?;
    let rowid = rowid_of(db, schema, &table, &columns)?;
    if let Some(named) = &config.content_rowid {
        if !is_same(named, &rowid) {
            return Err(refused(
                &table,
                &format!(
                    "content_rowid is {}, and its INTEGER PRIMARY KEY is {}",
                    quoted(named),
                    quoted(&rowid)
                ),
            ));
        }
    }
    let spelled = |named: &String| {
        let seen = || columns.iter().filter(|column| !column.is_hidden);
        let found = seen().find(|column| is_same(&column.name, named));
        found.map(|column| column.name.clone()).ok_or_else(|| {
            let names: Vec<&str> = seen().map(|column| &*column.name).collect();
            refused(
                &table,
                &format!(
                    "it has no column {}.{} It has: {}",
                    quoted(named),
                    did_you_mean(named, names.iter().copied()),
                    names.join(", ")
                ),
            )
        })
    };
    Ok(Config {
        columns: config.columns.iter().map(spelled).collect::<Result<_>>()?,
        content: table,
        content_rowid: Some(rowid),
        ..config.clone()
    })
}

fn refused(table: &str, why: &str) -> Error {
    Error::invalid(format!("content = {}: {why}", quoted(table)))
}

/// The table's name as the schema spells it.
fn table_of(db: Db, schema: &str, content: &str) -> Result<String> {
    let sql = format!(
        "SELECT name, type, sql FROM {}.sqlite_master WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE",
        quote(schema)
    );
    let found = Statement::prepare(db, &sql)?
        .first(&[content.into()], |row| (row.text(0), row.text(1), row.text(2)))?;
    let Some((name, kind, sql)) = found else {
        return Err(Error::invalid(format!(
            "content = {}: the schema {} has no such table; an index is of the schema of its content table",
            quoted(content),
            quoted(schema)
        )));
    };
    if kind == "view" {
        return Err(refused(
            &name,
            "it is a view, and a view tells nobody which of its rows change. Index its table",
        ));
    }
    if sql.get(..15).is_some_and(|head| is_same(head, "CREATE VIRTUAL ")) {
        return Err(refused(
            &name,
            "it is a virtual table, on which there are no triggers. Index an ordinary table",
        ));
    }
    Ok(name)
}

fn columns_of(db: Db, schema: &str, table: &str) -> Result<Vec<Column>> {
    let sql = format!(
        "SELECT name, type, pk, hidden FROM pragma_table_xinfo({}, {}) ORDER BY cid",
        string(table),
        string(schema)
    );
    Ok(Statement::prepare(db, &sql)?.all(&[], |row| Column {
        name: row.text(0),
        is_integer: is_same(&row.text(1), "INTEGER"),
        is_key: row.int(2) > 0,
        is_hidden: row.int(3) == 1,
    })?)
}

/// The INTEGER PRIMARY KEY, which is the rowid under a name of its own (<https://www.sqlite.org/lang_createtable.html#rowid>).
fn rowid_of(db: Db, schema: &str, table: &str, columns: &[Column]) -> Result<String> {
    if is_without_rowid(db, schema, table, columns) {
        return Err(refused(table, "it is WITHOUT ROWID, and an index finds rows by rowid"));
    }
    let wanted = "an index needs an INTEGER PRIMARY KEY: VACUUM gives other numbers to rows without one";
    let mut keys = columns.iter().filter(|column| column.is_key);
    match (keys.next(), keys.next()) {
        (None, _) => Err(refused(table, &format!("it has no primary key, and {wanted}"))),
        (Some(_), Some(_)) => {
            Err(refused(table, &format!("its primary key has several columns, and {wanted}")))
        }
        (Some(key), None) if !key.is_integer => Err(refused(
            table,
            &format!("its primary key {} is not of the type INTEGER, and {wanted}", quoted(&key.name)),
        )),
        (Some(key), None) => {
            // A key that is the rowid needs no index of its own.
            let sql = format!(
                "SELECT 1 FROM pragma_index_list({}, {}) WHERE origin = 'pk'",
                string(table),
                string(schema)
            );
            match Statement::prepare(db, &sql)?.first(&[], |_| ())? {
                None => Ok(key.name.clone()),
                Some(()) => Err(refused(
                    table,
                    &format!(
                        "its key {} is declared DESC, which makes it no rowid, and {wanted}",
                        quoted(&key.name)
                    ),
                )),
            }
        }
    }
}

/// Whether none of the names of a rowid is one. A column may have such a name.
fn is_without_rowid(db: Db, schema: &str, table: &str, columns: &[Column]) -> bool {
    let names = ["_rowid_", "oid", "rowid"];
    let free = names.iter().find(|name| !columns.iter().any(|column| is_same(&column.name, name)));
    free.is_some_and(|name| {
        let sql = format!("SELECT {name} FROM {}.{}", quote(schema), quote(table));
        Statement::prepare(db, &sql).is_err()
    })
}
