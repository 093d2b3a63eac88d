//! The triggers and the tables of words, as they are to be: before a sync looks at rows.

use super::Stop;
use super::transaction::Transactions;
use super::words;
use crate::base::error::Error;
use crate::base::words::quoted;
use crate::index::config::Config;
use crate::index::ddl::{self, Trigger, Watched};
use crate::index::name::{quote, quoted_list};
use crate::sqlite::index::content;
use crate::sqlite::index::drop::drop_words;
use crate::sqlite::index::stored::{Pass, Stored, put, run_all, setting};
use crate::sqlite::index::table::{create_words, watched};
use crate::sqlite::sql::{Arg, exec};

/// Makes triggers that are missing or that watch other columns than they are to, after which every row is looked at, and
/// an empty table of words where they are to be others. Gives the index as it is then.
///
/// # Errors
/// A content table that is none any more; as [`Transactions::run`].
pub fn settle(stored: Stored, transactions: &mut Transactions) -> Result<(Stored, Watched), Stop> {
    if stored.is_with_words() && !stored.has_fts5 && !stored.is_set(setting::WORDS_STALE) {
        // The words of what is synced here will be missing, and those of what goes will be there.
        let stale = [(setting::WORDS_STALE, 1.into())];
        transactions.run(|_| Ok(put(stored.db, &stored.schema, &stored.name, &stale)?))?;
    }
    let columns = stored.is_set(setting::COLUMNS_STALE);
    let is_other = wants_words(&stored);
    match &stored.watched {
        Some(watched) if !columns && !is_other => {
            let watched = watched.clone();
            keep_names(&stored, &watched, transactions)?;
            return Ok((stored, watched));
        }
        _ => {}
    }
    let (db, schema, name) = (stored.db, &*stored.schema, &*stored.name);
    transactions.run(|_| {
        let now = Stored::read(db, schema, name)?;
        if now.revision() != stored.revision() {
            return Err(Stop::Stale);
        }
        let mut settings = vec![(setting::REVISION, Arg::Int(now.next_revision()))];
        // What the triggers say is newer than what the options do.
        let config = match &now.watched {
            Some(watched) => Config {
                content: watched.content.clone(),
                content_rowid: Some(watched.rowid.clone()),
                columns: if columns { now.config.columns.clone() } else { watched.columns.clone() },
                ..now.config.clone()
            },
            None => now.config.clone(),
        };
        let config = content::check(db, schema, &config).map_err(|e| cannot_follow(name, e))?;
        if columns || now.watched.is_none() {
            let watched = watched(name, &config);
            let again = Trigger::ALL.map(|trigger| trigger.drop(schema, name));
            run_all(db, &again)?;
            run_all(db, &Trigger::ALL.map(|trigger| trigger.create(schema, name, &watched)))?;
        }
        if columns || now.watched.is_none() {
            let pass = match (now.pass(), now.watched.is_none()) {
                // A row that nobody marked, or one that is about to be: the first needs to be found before a search.
                (Some((Pass::Compare, _)), _) | (_, true) => Pass::COMPARE,
                _ => Pass::ALL,
            };
            settings.push((setting::PASS, pass.into()));
            settings.push((setting::PASS_FROM, Arg::Null));
            if pass == Pass::COMPARE && columns {
                // The chunks of every row have other texts, whatever their hashes say.
                exec(db, &format!("UPDATE {} SET hash = x''", ddl::table(schema, name, "rows")))?;
            }
        }
        if is_other {
            settings.extend(other_words(&now, &config)?);
        }
        settings.push((setting::COLUMNS_STALE, Arg::Null));
        let rows = config.rows();
        settings.extend(rows.iter().map(|(name, value)| (*name, Arg::from(value))));
        Ok(put(db, schema, name, &settings)?)
    })?;
    let stored = Stored::read(db, schema, name)?;
    let watched = stored.watched.clone().ok_or(Stop::Stale)?;
    Ok((stored, watched))
}

/// The error of a content table that was made anew as another one.
fn cannot_follow(index: &str, e: Error) -> Error {
    let Error::Invalid(why) = e else { return e };
    Error::invalid(format!(
        "{why}. The index {} cannot go on with that: where its columns have other names, INSERT INTO {name}({name}, rank) VALUES \
         ('columns', …) and sync it, else DROP TABLE {name} and make it anew",
        quoted(index),
        name = quote(index)
    ))
}

/// Whether a table of words is to be made, or taken away, which a host without FTS5 cannot do.
fn wants_words(stored: &Stored) -> bool {
    let is_other =
        stored.is_set(setting::WORDS_STALE) || stored.is_with_words() == stored.config.tokenize.is_empty();
    is_other && stored.has_fts5
}

/// Makes the table of words that is to follow, and takes away the one that was to. The one that answers goes where there
/// are to be none.
fn other_words(now: &Stored, config: &Config) -> Result<Vec<(&'static str, Arg<'static>)>, Stop> {
    let next = words::other(now);
    let drop = |words: &str| drop_words(now.db, &now.schema, &now.name, words);
    drop(next)?;
    let is_made = create_words(now.db, &now.schema, &now.name, next, config)?;
    let mut settings = vec![
        (setting::WORDS_STALE, Arg::Null),
        (setting::NEXT_WORDS, is_made.then(|| words::number_of(next)).into()),
        (setting::NEXT_WORDS_FROM, Arg::Null),
    ];
    if let (false, Some(before)) = (is_made, now.words()) {
        drop(before)?;
        settings.push((setting::WORDS, 0.into()));
    }
    Ok(settings)
}

/// Writes down the names that the triggers have, for when they are lost.
fn keep_names(stored: &Stored, watched: &Watched, transactions: &mut Transactions) -> Result<(), Stop> {
    let (config, columns) = (&stored.config, quoted_list(&watched.columns));
    let is_same = config.content == watched.content
        && config.content_rowid.as_deref() == Some(&*watched.rowid)
        && config.columns == watched.columns;
    if is_same {
        return Ok(());
    }
    let names = [
        ("content", Arg::from(&watched.content)),
        ("content_rowid", (&watched.rowid).into()),
        ("columns", (&columns).into()),
    ];
    transactions.run(|_| Ok(put(stored.db, &stored.schema, &stored.name, &names)?))
}
