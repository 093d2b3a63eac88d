//! An index as its file has it: what its table of options says, and what its triggers watch.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::base::error::{Error, Result};
use crate::base::words::quoted;
use crate::index::config::Config;
use crate::index::ddl::{self, Watched};
use crate::index::name::{self, is_same, quote};
use crate::index::quant::DIMENSIONS_MAX;
use crate::sql::value::Output;
use crate::sqlite::connection::Db;
use crate::sqlite::sql::{Failure, Statement, exec};

/// Names in the table of options beside [`OPTIONS`](crate::index::config::OPTIONS).
pub mod setting {
    /// The version of the tables' layout.
    pub const FORMAT: &str = "format";
    /// The number of the generation of vectors that answers.
    pub const GENERATION: &str = "generation";
    /// The fingerprint of its model, and how many dimensions its vectors have. Not there before the first vector is.
    pub const MODEL: &str = "model";
    /// See [`MODEL`].
    pub const DIMENSIONS: &str = "dimensions";
    /// The same three of the generation that is being filled, where there is one.
    pub const NEXT_GENERATION: &str = "next_generation";
    /// See [`NEXT_GENERATION`].
    pub const NEXT_MODEL: &str = "next_model";
    /// See [`NEXT_GENERATION`].
    pub const NEXT_DIMENSIONS: &str = "next_dimensions";
    /// 1 where the next generation takes over the vectors of the one before: a rebuild.
    pub const NEXT_COPIES: &str = "next_copies";
    /// Which table of words answers: 1 for the first of [`WORDS`](crate::index::ddl::WORDS), 2 for the second, 0 for none.
    pub const WORDS: &str = "words";
    /// The tokenizer that it was made with.
    pub const WORDS_TOKENIZE: &str = "words_tokenize";
    /// 1 where the next sync is to make the table of words anew.
    pub const WORDS_STALE: &str = "words_stale";
    /// Which table of words is being filled, to answer next.
    pub const NEXT_WORDS: &str = "next_words";
    /// The last chunk whose words it has.
    pub const NEXT_WORDS_FROM: &str = "next_words_from";
    /// 1 where the next sync is to make triggers for other columns.
    pub const COLUMNS_STALE: &str = "columns_stale";
    /// What a sync has to do with every row: see [`Pass`](super::Pass).
    pub const PASS: &str = "pass";
    /// The rowid that it goes on from.
    pub const PASS_FROM: &str = "pass_from";
    /// 1 where the next sync is to tidy up.
    pub const OPTIMIZE: &str = "optimize";
    /// Grows with each change of the options, so that a sync under way sees it.
    pub const REVISION: &str = "revision";
    /// When a sync last ended, in seconds since 1970.
    pub const SYNCED: &str = "synced";
}

/// The version of the layout that is written.
pub const FORMAT: i64 = 1;

/// The numbers that a generation may have.
const GENERATIONS: RangeInclusive<i64> = 1..=i64::MAX / 2;

/// What the next sync has to do with every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Mark those whose texts are not what their hashes say: the triggers were away.
    Compare,
    /// Mark all.
    All,
}

impl Pass {
    /// What the settings call it.
    pub const ALL: &str = "all";
    /// See [`Pass::ALL`].
    pub const COMPARE: &str = "compare";
}

/// An index.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The connection.
    pub db: Db,
    /// The schema, as the connection names it.
    pub schema: String,
    /// The index's name.
    pub name: String,
    /// Its options. Names of the content table and its columns are those of [`Stored::watched`], where that is known.
    pub config: Config,
    /// What its triggers watch; `None` where one is missing.
    pub watched: Option<Watched>,
    /// Whether the host has FTS5.
    pub has_fts5: bool,
    settings: BTreeMap<String, Output>,
}

impl Stored {
    /// Reads the index `name` of `schema`.
    ///
    /// # Errors
    /// Tables that are missing or damaged, of a newer version; a lock.
    pub fn read(db: Db, schema: &str, name: &str) -> Result<Stored> {
        let sql = format!("SELECT name, value FROM {}", ddl::table(schema, name, "config"));
        let damaged = |e: &str| Error::invalid(format!("the index {} is damaged: {e}", quoted(name)));
        let mut statement = Statement::prepare(db, &sql).map_err(|e| match Error::from(e) {
            Error::Invalid(why) => damaged(&why),
            e => e,
        })?;
        let rows = statement.all(&[], |row| (row.text(0), row.text(1), row.output(1)))?;
        let config = Config::from_rows(rows.iter().map(|(name, text, _)| (&**name, &**text)))?;
        let settings: BTreeMap<_, _> =
            rows.into_iter().map(|(name, _, value)| Ok((name, value?))).collect::<Result<_>>()?;
        let mut stored = Stored {
            db,
            schema: schema.into(),
            name: name.into(),
            config,
            watched: None,
            has_fts5: has_fts5(db)?,
            settings,
        };
        if stored.int(setting::FORMAT) != Some(FORMAT) {
            return Err(damaged(
                "a newer version of sqlite-rembed made it, or its table of options was changed",
            ));
        }
        let generations = [setting::GENERATION, setting::NEXT_GENERATION].map(|name| stored.int(name));
        if generations.iter().flatten().any(|generation| !GENERATIONS.contains(generation)) {
            return Err(damaged("its table of options was changed"));
        }
        stored.watched = stored.read_watched()?;
        Ok(stored)
    }

    /// Finds the index that `text` names: `name` or `schema.name`, in quotes where they need them.
    ///
    /// # Errors
    /// No such index; as [`Stored::read`].
    pub fn find(db: Db, text: &str) -> Result<Stored> {
        let none = || {
            Error::invalid(format!(
                "there is no index {}: name one that CREATE VIRTUAL TABLE … USING rembed_index(…) made, as 'docs_index' or 'aux.docs_index'",
                quoted(text)
            ))
        };
        let schemas = schemas(db)?;
        for schema in &schemas {
            if let Some(name) = spelled(db, schema, text)? {
                return Stored::read(db, schema, &name);
            }
        }
        let (schema, rest) = name::word(text.trim()).ok_or_else(none)?;
        match rest.trim_start().strip_prefix('.') {
            None if rest.trim().is_empty() => {
                for in_schema in &schemas {
                    if let Some(name) = spelled(db, in_schema, &schema)? {
                        return Stored::read(db, in_schema, &name);
                    }
                }
                Err(none())
            }
            None => Err(none()),
            Some(rest) => {
                let schema = schemas.iter().find(|known| is_same(known, &schema)).ok_or_else(none)?;
                let (name, rest) = name::word(rest.trim_start()).ok_or_else(none)?;
                match spelled(db, schema, &name)? {
                    Some(name) if rest.trim().is_empty() => Stored::read(db, schema, &name),
                    _ => Err(none()),
                }
            }
        }
    }

    /// A setting that is an integer.
    pub fn int(&self, setting: &str) -> Option<i64> {
        match self.settings.get(setting) {
            Some(Output::Int(value)) => Some(*value),
            _ => None,
        }
    }

    /// A setting that is a text.
    pub fn text(&self, setting: &str) -> Option<&str> {
        match self.settings.get(setting) {
            Some(Output::Text(value)) => Some(value),
            _ => None,
        }
    }

    /// The generation of vectors that answers.
    pub fn generation(&self) -> i64 {
        self.int(setting::GENERATION).unwrap_or(1)
    }

    /// The dimensions of its vectors; `None` before there is one.
    pub fn dimensions(&self) -> Option<usize> {
        self.int(setting::DIMENSIONS).and_then(width)
    }

    /// The generation that is being filled, and its model's fingerprint.
    pub fn next(&self) -> Option<(i64, &str)> {
        self.int(setting::NEXT_GENERATION).zip(self.text(setting::NEXT_MODEL))
    }

    /// Whether a setting is 1.
    pub fn is_set(&self, setting: &str) -> bool {
        self.int(setting) == Some(1)
    }

    /// The table of words that answers, if this host can read and write it.
    pub fn words(&self) -> Option<&'static str> {
        words_of(self.int(setting::WORDS)).filter(|_| self.has_fts5)
    }

    /// The table of words that is being filled, whatever the host.
    pub fn next_words(&self) -> Option<&'static str> {
        words_of(self.int(setting::NEXT_WORDS))
    }

    /// Whether there is a table of words, which another host than this may have made.
    pub fn is_with_words(&self) -> bool {
        words_of(self.int(setting::WORDS)).is_some() || self.next_words().is_some()
    }

    /// Whether the next sync is to make the words anew, or to go on with that.
    pub fn words_are_due(&self) -> bool {
        self.is_set(setting::WORDS_STALE)
            || self.next_words().is_some()
            || words_of(self.int(setting::WORDS)).is_some() == self.config.tokenize.is_empty()
    }

    /// What the next sync has to do with every row, and from which on.
    pub fn pass(&self) -> Option<(Pass, i64)> {
        let pass = match self.text(setting::PASS)? {
            Pass::ALL => Pass::All,
            _ => Pass::Compare,
        };
        Some((pass, self.int(setting::PASS_FROM).unwrap_or(i64::MIN)))
    }

    /// Grows with each change of the options.
    pub fn revision(&self) -> i64 {
        self.int(setting::REVISION).unwrap_or(0)
    }

    /// What it is after one.
    pub fn next_revision(&self) -> i64 {
        self.revision().wrapping_add(1)
    }

    /// What the triggers watch, for a search.
    ///
    /// # Errors
    /// The triggers are missing, or were and not every row was compared since: what the index says may not be so.
    pub fn searchable(&self) -> Result<&Watched> {
        let stale = matches!(self.pass(), Some((Pass::Compare, _)));
        self.watched.as_ref().filter(|_| !stale).ok_or_else(|| {
            Error::invalid(format!(
                "the index {} has lost sight of its content table, which was made anew or has lost its triggers: SELECT \
                 rembed_sync({}) looks at every row again, and sends what has changed alone",
                quoted(&self.name),
                name::string(&self.qualified())
            ))
        })
    }

    /// How many rows the next sync takes up: those that are marked, and those that it is to mark first.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn pending(&self) -> Result<i64, Failure> {
        let marks = self.number(&format!("SELECT count(*) FROM {}", self.table(ddl::MARKS)))?;
        let (Some((Pass::All, from)), Some(watched)) = (self.pass(), &self.watched) else { return Ok(marks) };
        let id = quote(&watched.rowid);
        let unmarked = format!(
            "SELECT count(*) FROM {} AS c WHERE c.{id} >= {from} AND NOT EXISTS (SELECT 1 FROM {} AS m WHERE m.\"row\" = c.{id})",
            self.content(watched),
            self.table(ddl::MARKS)
        );
        Ok(marks + self.number(&unmarked)?)
    }

    /// How many rows have failed.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn failed(&self) -> Result<i64, Failure> {
        self.number(&format!("SELECT count(DISTINCT \"row\") FROM {}", self.table("errors")))
    }

    /// The number that a query gives; 0 for none.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn number(&self, sql: &str) -> Result<i64, Failure> {
        Ok(Statement::prepare(self.db, sql)?.first(&[], |row| row.int(0))?.unwrap_or(0))
    }

    /// Its name as `rembed_sync` takes it.
    pub fn qualified(&self) -> String {
        match &*self.schema {
            "main" | "temp" => quote(&self.name),
            schema => format!("{}.{}", quote(schema), quote(&self.name)),
        }
    }

    /// A table of the index with its schema, quoted.
    pub fn table(&self, suffix: &str) -> String {
        ddl::table(&self.schema, &self.name, suffix)
    }

    /// The content table with its schema, quoted.
    pub fn content(&self, watched: &Watched) -> String {
        format!("{}.{}", quote(&self.schema), quote(&watched.content))
    }

    fn read_watched(&self) -> Result<Option<Watched>> {
        let sql =
            format!("SELECT name, sql FROM {}.sqlite_master WHERE type = 'trigger'", quote(&self.schema));
        let triggers = Statement::prepare(self.db, &sql)?.all(&[], |row| (row.text(0), row.text(1)))?;
        let watched = Watched::read(&self.name, triggers.iter().map(|(name, sql)| (&**name, sql)));
        Ok(watched.filter(|watched| is_same(&watched.marks, &format!("{}_{}", self.name, ddl::MARKS))))
    }
}

fn words_of(number: Option<i64>) -> Option<&'static str> {
    let place = usize::try_from(number?).ok()?.checked_sub(1)?;
    ddl::WORDS.get(place).copied()
}

/// Whether the host has FTS5.
///
/// # Errors
/// What SQLite says.
pub fn has_fts5(db: Db) -> Result<bool, Failure> {
    let sql = "SELECT 1 FROM pragma_module_list WHERE name = 'fts5'";
    Ok(Statement::prepare(db, sql)?.first(&[], |_| ())?.is_some())
}

/// A number of dimensions that vectors may have.
pub fn width(n: i64) -> Option<usize> {
    usize::try_from(n).ok().filter(|n| (1..=DIMENSIONS_MAX).contains(n))
}

/// The schemas of the connection, in the order in which SQLite looks for a table.
fn schemas(db: Db) -> Result<Vec<String>, Failure> {
    let mut all = Statement::prepare(db, "PRAGMA database_list")?.all(&[], |row| row.text(1))?;
    if let Some(temp) = all.iter().position(|name| name == "temp") {
        let temp = all.remove(temp);
        all.insert(0, temp);
    }
    Ok(all)
}

/// An index's name as the schema spells it, if there is one of this name.
fn spelled(db: Db, schema: &str, name: &str) -> Result<Option<String>, Failure> {
    let sql = format!(
        "SELECT name, sql FROM {}.sqlite_master WHERE type = 'table' AND name = ?1 COLLATE NOCASE",
        quote(schema)
    );
    let found = Statement::prepare(db, &sql)?.first(&[name.into()], |row| (row.text(0), row.text(1)))?;
    Ok(found.filter(|(_, sql)| name::module(sql).as_deref() == Some("rembed_index")).map(|(name, _)| name))
}

/// Puts settings, NULL for one that goes, in one statement: all of them, or none.
///
/// # Errors
/// What SQLite says.
pub fn put(
    db: Db,
    schema: &str,
    name: &str,
    settings: &[(&str, crate::sqlite::sql::Arg<'_>)],
) -> Result<(), Failure> {
    let places: Vec<String> =
        (0..settings.len()).map(|i| format!("(?{}, ?{})", 2 * i + 1, 2 * i + 2)).collect();
    let sql =
        format!("INSERT OR REPLACE INTO {} VALUES {}", ddl::table(schema, name, "config"), places.join(", "));
    let args: Vec<_> = settings.iter().flat_map(|(name, value)| [(*name).into(), *value]).collect();
    Statement::prepare(db, &sql)?.run(&args)
}

/// Runs statements one after the other.
///
/// # Errors
/// What SQLite says of the first that fails.
pub fn run_all(db: Db, statements: &[String]) -> Result<(), Failure> {
    statements.iter().try_for_each(|sql| exec(db, sql))
}
