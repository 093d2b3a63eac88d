//! What is said to an index by `INSERT INTO docs_index(docs_index [, rank]) VALUES (…)`.
//!
//! Such a statement holds the lock until it ends. So a command only writes down what is to be done, in one statement, all
//! or nothing, and the next sync does it, some rows at a time.

use super::integrity;
use super::stored::{Pass, Stored, put, setting};
use super::table::{Index, check_tokenizer};
use crate::base::error::{Error, Result};
use crate::base::words::quoted;
use crate::index::config::Change;
use crate::index::name::{self, quote};
use crate::sql::value::{Kind, Value};
use crate::sqlite::index::content;
use crate::sqlite::sql::Arg;
use crate::sqlite::vtab::Argument;

/// The column that has the command, and the one that has its value.
const COMMAND: usize = 12;
const VALUE: usize = 13;

const REBUILD: &str = "rebuild";
const OPTIMIZE: &str = "optimize";
const INTEGRITY_CHECK: &str = "integrity-check";

impl Index {
    /// Does what a row says that is inserted.
    ///
    /// # Errors
    /// No command; a value that it does not take. Nothing has changed then.
    pub fn command(&self, columns: &[Argument]) -> Result<()> {
        let command = columns.get(COMMAND).filter(|value| value.kind() == Kind::Text);
        let others = columns.iter().take(COMMAND).any(|value| !value.is_null());
        let Some(command) = command.filter(|_| !others) else { return Err(self.not_a_table()) };
        let command = text(command)?.unwrap_or_default();
        let value = columns.get(VALUE).map_or(Ok(None), text)?;
        let stored = Stored::read(self.db, &self.schema, &self.name)?;
        match (&*command, value) {
            (REBUILD, None) => self.note(&stored, &rebuild(&stored)),
            (OPTIMIZE, None) => self.note(&stored, &[(setting::OPTIMIZE, 1.into())]),
            (INTEGRITY_CHECK, None) => integrity::check(&stored),
            (REBUILD | OPTIMIZE | INTEGRITY_CHECK, Some(_)) => {
                Err(Error::invalid(format!("the command {} takes no value", quoted(&command))))
            }
            (option, Some(value)) => self.change(stored, option, &value),
            (option, None) => Err(Error::invalid(format!(
                "an index has no command {}: there are '{REBUILD}', '{OPTIMIZE}' and '{INTEGRITY_CHECK}', and an option is \
                 changed by INSERT INTO {name}({name}, rank) VALUES ('client', 'other')",
                quoted(option),
                name = quote(&self.name)
            ))),
        }
    }

    /// The error of whoever writes to it as to a table.
    pub fn not_a_table(&self) -> Error {
        Error::invalid(format!(
            "the index {} has the rows of its content table: change those, and SELECT rembed_sync({}). A command is INSERT INTO \
             {name}({name}) VALUES ('rebuild')",
            quoted(&self.name),
            name::string(&quote(&self.name)),
            name = quote(&self.name)
        ))
    }

    fn change(&self, stored: Stored, option: &str, value: &str) -> Result<()> {
        let mut config = stored.config.clone();
        if let Some(watched) = &stored.watched {
            // The names of now.
            config.content.clone_from(&watched.content);
            config.content_rowid = Some(watched.rowid.clone());
            if !stored.is_set(setting::COLUMNS_STALE) {
                config.columns.clone_from(&watched.columns);
            }
        }
        let change = config.change(option, value)?;
        let mut settings: Vec<(&str, Arg<'_>)> = Vec::new();
        match change {
            Change::None => return Ok(()),
            Change::Client => {
                if let Some(lock) = self.connection.session.locked() {
                    return Err(Error::invalid(format!(
                        "locked by {lock}: an index keeps its client, since its questions and texts go there"
                    )));
                }
            }
            Change::Columns => {
                config = content::check(self.db, &self.schema, &config)?;
                settings.extend([(setting::COLUMNS_STALE, 1.into()), (setting::PASS, self.pass(&stored))]);
                settings.push((setting::PASS_FROM, Arg::Null));
            }
            Change::Chunks => {
                settings.extend([(setting::PASS, self.pass(&stored)), (setting::PASS_FROM, Arg::Null)]);
            }
            Change::Words => {
                check_tokenizer(self.db, &config)?;
                settings.push((setting::WORDS_STALE, 1.into()));
            }
        }
        let rows = config.rows();
        settings.extend(rows.iter().map(|(name, value)| (*name, Arg::from(value))));
        self.note(&stored, &settings)
    }

    /// The pass that marks every row, unless one is under way that has to find what nobody marked: that one is not lost.
    fn pass(&self, stored: &Stored) -> Arg<'static> {
        match stored.pass() {
            Some((Pass::Compare, _)) => Pass::COMPARE.into(),
            _ => Pass::ALL.into(),
        }
    }

    fn note(&self, stored: &Stored, settings: &[(&str, Arg<'_>)]) -> Result<()> {
        let mut settings = settings.to_vec();
        settings.push((setting::REVISION, (stored.next_revision()).into()));
        Ok(put(self.db, &self.schema, &self.name, &settings)?)
    }
}

fn text(value: &Argument) -> Result<Option<String>> {
    let text = value.text("the command of an index").map_err(Error::Invalid)?;
    Ok(text.map(std::borrow::Cow::into_owned))
}

/// Everything is made anew: words, and a generation of vectors that takes over those of the one before.
fn rebuild(stored: &Stored) -> Vec<(&'static str, Arg<'_>)> {
    let mut settings = vec![(setting::PASS, Pass::ALL.into()), (setting::PASS_FROM, Arg::Null)];
    if stored.is_with_words() {
        settings.push((setting::WORDS_STALE, 1.into()));
    }
    let copies = stored.next().is_none() || stored.is_set(setting::NEXT_COPIES);
    if let Some(model) = stored.text(setting::MODEL).filter(|_| copies) {
        let next = stored.next().map_or(stored.generation(), |(next, _)| next) + 1;
        settings.extend([
            (setting::NEXT_GENERATION, next.into()),
            (setting::NEXT_MODEL, model.into()),
            (setting::NEXT_DIMENSIONS, stored.int(setting::DIMENSIONS).into()),
            (setting::NEXT_COPIES, 1.into()),
        ]);
    }
    settings
}
