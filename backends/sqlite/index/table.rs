//! The virtual table `rembed_index`: what makes it, renames it and takes it away.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::sync::{Arc, Weak};

use super::cursor::Scan;
use super::stored::{self, FORMAT, run_all, setting};
use super::{content, drop};
use crate::base::error::{Error, Result};
use crate::base::words::quoted;
use crate::embed::seen::Seen;
use crate::index::config::{COLUMNS, Config};
use crate::index::ddl::{self, MARKS, Mark, SHADOWS, Trigger, WORDS, Watched};
use crate::index::name::{self, is_same, quote};
use crate::sql::functions::Callers;
use crate::sql::search;
use crate::sql::table::{Plan, Query, Table};
use crate::sqlite::connection::{Connection, Db};
use crate::sqlite::sql::{Arg, Failure, Scratch, Statement, exec, tokenizer};
use crate::sqlite::vtab::{Argument, VirtualTable};

/// An index. What its file says of it is read when it is used: other connections change it.
pub struct Index {
    /// The connection's state.
    pub connection: Arc<Connection>,
    /// The connection.
    pub db: Db,
    /// The schema that it is of.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// See [`Index::seen`].
    seen: RefCell<Weak<Seen>>,
}

impl Index {
    fn of(connection: &Arc<Connection>, db: Db, arguments: &[&CStr]) -> Result<Index> {
        let text = |at: usize| {
            let text = arguments.get(at).and_then(|argument| argument.to_str().ok());
            text.ok_or_else(|| Error::invalid("rembed_index: a name is not valid UTF-8"))
        };
        let (schema, name) = (text(1)?.into(), text(2)?.into());
        Ok(Index { connection: connection.clone(), db, schema, name, seen: RefCell::default() })
    }

    /// The questions that were asked, for as long as a scan of the index is open.
    pub fn seen(&self) -> Arc<Seen> {
        let seen = self.seen.borrow().upgrade().unwrap_or_default();
        self.seen.replace(Arc::downgrade(&seen));
        seen
    }

    /// Makes the tables and triggers, and marks every row.
    fn make(&self, config: &Config) -> Result<()> {
        let (db, schema, name) = (self.db, &*self.schema, &*self.name);
        run_all(db, &ddl::create_tables(schema, name))?;
        let words = i64::from(create_words(db, schema, name, WORDS[0], config)?);
        let rows = config.rows();
        let mut settings: Vec<(&str, Arg<'_>)> =
            rows.iter().map(|(name, value)| (*name, value.into())).collect();
        settings.extend([
            (setting::FORMAT, FORMAT.into()),
            (setting::GENERATION, 1.into()),
            (setting::WORDS, words.into()),
            (setting::WORDS_TOKENIZE, (&config.tokenize).into()),
        ]);
        stored::put(db, schema, name, &settings)?;
        let watched = watched(name, config);
        for trigger in Trigger::ALL {
            exec(db, &trigger.create(schema, name, &watched))?;
        }
        let args = [i64::MIN.into(), i64::MAX.into(), (Mark::Hidden as i64).into()];
        Ok(Statement::prepare(db, &ddl::mark_rows(schema, name, &watched))?.run(&args)?)
    }
}

/// What the triggers of an index are to watch; `config` was checked.
pub fn watched(name: &str, config: &Config) -> Watched {
    Watched::new(name, &config.content, config.content_rowid.as_deref().unwrap_or_default(), &config.columns)
}

/// Makes the table of words `words`; false where there are to be none, or where the host has no FTS5.
///
/// # Errors
/// A tokenizer that FTS5 does not have or that does not take its arguments.
pub fn create_words(db: Db, schema: &str, name: &str, words: &str, config: &Config) -> Result<bool> {
    // Not by trying: when a statement fails that changes the schema, SQLite forgets the table that it is about to create.
    if config.tokenize.is_empty() || !stored::has_fts5(db)? {
        return Ok(false);
    }
    match exec(db, &ddl::create_words(schema, name, words, &config.tokenize)) {
        Ok(()) => {
            stored::run_all(db, &ddl::settle_words(schema, name, words))?;
            Ok(true)
        }
        Err(failure) => Err(wrong_tokenizer(config, failure)),
    }
}

/// Whether FTS5 takes a tokenizer. It is tried in a database of our own, since no table is dropped while a statement writes;
/// one that the application made for its connection is not known there, and is asked for here.
///
/// # Errors
/// It does not, and why.
pub fn check_tokenizer(db: Db, config: &Config) -> Result<()> {
    if config.tokenize.is_empty() || !stored::has_fts5(db)? {
        return Ok(());
    }
    let Err(failure) = Scratch::open()?.exec(&ddl::create_words("main", "index", WORDS[0], &config.tokenize))
    else {
        return Ok(());
    };
    let is_of_another =
        ["no such tokenizer", "tokenizer constructor"].iter().any(|part| failure.text.contains(part));
    let mut words = Vec::new();
    let mut rest = config.tokenize.trim_start();
    while let Some((word, after)) = name::word(rest) {
        words.push(word);
        rest = after.trim_start();
    }
    match words.split_first() {
        Some((name, args)) if is_of_another && rest.is_empty() && tokenizer::is_made(db, name, args)? => {
            Ok(())
        }
        _ => Err(wrong_tokenizer(config, failure)),
    }
}

/// The error of a tokenizer that FTS5 does not take.
fn wrong_tokenizer(config: &Config, failure: Failure) -> Error {
    match Error::from(failure) {
        Error::Invalid(why) => Error::invalid(format!("tokenize = {}: {why}", quoted(&config.tokenize))),
        e => e,
    }
}

impl VirtualTable for Index {
    const IS_CREATED: bool = true;

    fn connect(connection: &Arc<Connection>, db: Db, arguments: &[&CStr]) -> Result<Index> {
        // Whatever is wrong with its tables, DROP TABLE must work.
        Index::of(connection, db, arguments)
    }

    fn create(connection: &Arc<Connection>, db: Db, arguments: &[&CStr]) -> Result<Index> {
        let index = Index::of(connection, db, arguments)?;
        let options = arguments.iter().skip(3).map(|argument| {
            argument.to_str().map_err(|_| Error::invalid("rembed_index: an option is not valid UTF-8"))
        });
        let config = Config::parse(&index.name, &options.collect::<Result<Vec<_>>>()?)?;
        let config = content::check(db, &index.schema, &config)?;
        index.check_names(&index.name)?;
        // Before anything is made: no statement that changes the schema fails then.
        check_tokenizer(db, &config)?;
        let made = index.make(&config);
        if made.is_err() {
            // SQLite takes back what the statement did only where that is a transaction of its own.
            let _ = index.destroy();
        }
        made.map(|()| index)
    }

    fn destroy(&self) -> Result<()> {
        Ok(drop::drop_all(self.db, &self.schema, &self.name)?)
    }

    fn rename(&self, new: &CStr) -> Result<()> {
        let new = new.to_str().map_err(|_| Error::invalid("rembed_index: a name is not valid UTF-8"))?;
        if COLUMNS.iter().any(|column| is_same(column, new)) {
            return Err(Error::invalid(format!(
                "an index cannot have the name {}, which one of its columns has: take another",
                quoted(new)
            )));
        }
        if !is_same(new, &self.name) {
            self.check_names(new)?;
        }
        self.rename_all(new)
    }

    fn is_shadow(end: &CStr) -> bool {
        end.to_str().is_ok_and(|end| SHADOWS.iter().any(|shadow| is_same(shadow, end)))
    }
}

impl Index {
    /// Whether the names of the tables and triggers are free: what has one is another's, and is not to be dropped.
    fn check_names(&self, index: &str) -> Result<()> {
        let sql =
            format!("SELECT name FROM {}.sqlite_master WHERE name = ?1 COLLATE NOCASE", quote(&self.schema));
        let mut taken = Statement::prepare(self.db, &sql)?;
        let tables = SHADOWS.iter().copied().chain([MARKS]).map(|suffix| format!("{index}_{suffix}"));
        for name in tables.chain(Trigger::ALL.map(|trigger| trigger.name(index))) {
            if taken.first(&[(&name).into()], |_| ())?.is_some() {
                return Err(Error::invalid(format!(
                    "an index {} needs the name {}, which is taken: give the index another name, or drop the other",
                    quoted(index),
                    quoted(&name)
                )));
            }
        }
        Ok(())
    }

    fn rename_all(&self, new: &str) -> Result<()> {
        let (db, schema, old) = (self.db, &*self.schema, &*self.name);
        let stored = stored::Stored::read(db, schema, old)?;
        let sql = format!("SELECT 1 FROM {}.sqlite_master WHERE name = ?1 COLLATE NOCASE", quote(schema));
        let mut is_there = Statement::prepare(db, &sql)?;
        // The words first: a host without FTS5 cannot do it.
        for suffix in SHADOWS.iter().rev().copied().chain([MARKS]) {
            let before = format!("{old}_{suffix}");
            if WORDS.contains(&suffix) && is_there.first(&[(&before).into()], |_| ())?.is_none() {
                continue;
            }
            let name = quote(&format!("{new}_{suffix}"));
            exec(db, &format!("ALTER TABLE {} RENAME TO {name}", stored.table(suffix)))?;
        }
        for trigger in Trigger::ALL {
            exec(db, &trigger.drop(schema, old))?;
        }
        // Where they were missing before, a sync makes them.
        if let Some(before) = stored.watched {
            let watched = Watched::new(new, &before.content, &before.rowid, &before.columns);
            for trigger in Trigger::ALL {
                exec(db, &trigger.create(schema, new, &watched))?;
            }
        }
        Ok(())
    }
}

impl Table<Argument> for Index {
    const NAME: &'static CStr = c"rembed_index";
    const CALLERS: Callers = Callers::Anyone;
    const WRITABLE: bool = true;
    type Cursor = Scan;

    fn declaration(&self) -> Cow<'static, CStr> {
        let sql = format!(
            "CREATE TABLE x(rowid, seq, chunk, snippet, score, distance, vec_rank, fts_rank, query HIDDEN, k HIDDEN, \
             mode HIDDEN, per_chunk HIDDEN, {} HIDDEN, rank HIDDEN)",
            quote(&self.name)
        );
        // SQLite passed the name as a C string.
        CString::new(sql).unwrap_or_default().into()
    }

    fn plan(&self, query: &Query) -> Option<Plan> {
        search::plan(query)
    }

    fn open(&self) -> Scan {
        Scan::new(self)
    }

    fn insert(&self, _: Option<i64>, columns: &[Argument], _: bool) -> Result<i64> {
        self.command(columns).map(|()| 0)
    }

    fn update(&self, _: i64, _: i64, _: &[Argument], _: bool) -> Result<()> {
        Err(self.not_a_table())
    }

    fn delete(&self, _: i64) -> Result<()> {
        Err(self.not_a_table())
    }
}
