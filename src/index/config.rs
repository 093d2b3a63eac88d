//! What `CREATE VIRTUAL TABLE … USING rembed_index(…)` says.
//!
//! ```
//! use sqlite_rembed::index::config::Config;
//!
//! let config = Config::parse("docs_index", &["client = 'local'", "content = docs", "columns = 'title, body'"])?;
//! assert_eq!((config.columns.len(), config.cut.size(), config.cut.overlap()), (2, 1000, 100));
//! let again = Config::from_rows(config.rows().iter().map(|(name, value)| (*name, &**value)))?;
//! assert_eq!(again, config);
//! # Ok::<(), sqlite_rembed::Error>(())
//! ```

use super::chunk::{Cut, DEFAULT_SIZE};
use super::name::{self, is_same};
use crate::base::error::{Error, Result};
use crate::base::words::{bounded, did_you_mean, quoted};

/// The options, in the order in which they are kept.
pub const OPTIONS: &[&str] =
    &["client", "content", "content_rowid", "columns", "chunk_size", "chunk_overlap", "tokenize"];

/// The columns of an index, hidden ones too; the last hidden one has the index's own name.
pub const COLUMNS: &[&str] = &[
    "rowid",
    "seq",
    "chunk",
    "snippet",
    "score",
    "distance",
    "vec_rank",
    "fts_rank",
    "query",
    "k",
    "mode",
    "per_chunk",
    "rank",
];

/// FTS5's tokenizer, where nothing else is said.
const TOKENIZE: &str = "porter unicode61";

/// What an index is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The name of the client that embeds.
    pub client: String,
    /// The table whose rows are found, of the index's schema.
    pub content: String,
    /// Its INTEGER PRIMARY KEY; `None` where it was not named.
    pub content_rowid: Option<String>,
    /// Its columns whose texts are embedded.
    pub columns: Vec<String>,
    /// How they are cut.
    pub cut: Cut,
    /// Whether the overlap was said: one that was not goes with the size.
    pub has_overlap: bool,
    /// FTS5's tokenizer with its arguments; empty for no search by words.
    pub tokenize: String,
}

/// What a changed option asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing: the value is what it was.
    None,
    /// Other vectors, if the client's model is another.
    Client,
    /// Other triggers, texts, chunks and vectors.
    Columns,
    /// Other chunks, and so vectors.
    Chunks,
    /// Another table of words, and other chunks in none.
    Words,
}

impl Config {
    /// Reads the arguments of `CREATE VIRTUAL TABLE` of an index `index`, each `name = value` as SQLite passes it.
    ///
    /// # Errors
    /// What the user must change, in words.
    pub fn parse(index: &str, args: &[&str]) -> Result<Config> {
        if COLUMNS.iter().any(|column| is_same(column, index)) {
            return Err(Error::invalid(format!(
                "an index cannot have the name '{index}', which one of its columns has: take another"
            )));
        }
        let pairs = args.iter().map(|arg| pair(arg)).collect::<Result<Vec<_>>>()?;
        Config::of(pairs.iter().map(|(name, value)| (&**name, &**value)))
    }

    /// What [`rows`](Config::rows) gave. Rows of other names are left alone.
    ///
    /// # Errors
    /// A row that is missing, doubled or that no option has as its value: the table is anybody's.
    pub fn from_rows<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Config> {
        let ours = rows.into_iter().filter(|(name, _)| OPTIONS.contains(name));
        Config::of(ours).map_err(|e| Error::invalid(format!("the index's table of options is damaged: {e}")))
    }

    /// Each option that has a value, and it.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let values = [
            Some(self.client.clone()),
            Some(self.content.clone()),
            self.content_rowid.clone(),
            Some(name::quoted_list(&self.columns)),
            Some(self.cut.size().to_string()),
            self.has_overlap.then(|| self.cut.overlap().to_string()),
            Some(self.tokenize.clone()),
        ];
        OPTIONS.iter().zip(values).filter_map(|(name, value)| Some((*name, value?))).collect()
    }

    /// Changes an option. A chunk size takes the overlap with it, where that was never said.
    ///
    /// # Errors
    /// No such option, one that no index changes, a value that it does not take; the configuration stays as it was.
    pub fn change(&mut self, option: &str, value: &str) -> Result<Change> {
        let mut rows = self.rows();
        let option = known(option)?;
        let change = match option {
            "client" => Change::Client,
            "columns" => Change::Columns,
            "tokenize" => Change::Words,
            "chunk_size" | "chunk_overlap" => Change::Chunks,
            _ => {
                return Err(Error::invalid(format!(
                    "an index keeps its {option}: make another index, and drop this one"
                )));
            }
        };
        rows.retain(|(name, _)| *name != option);
        rows.push((option, value.to_owned()));
        let changed = Config::of(rows.iter().map(|(name, value)| (*name, &**value)))?;
        if changed == *self {
            return Ok(Change::None);
        }
        *self = changed;
        Ok(change)
    }

    /// Reads pairs of an option's name and its value.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Config> {
        let mut values = [None; OPTIONS.len()];
        for (option, value) in pairs {
            let option = known(option)?;
            let place = OPTIONS.iter().position(|name| *name == option).unwrap_or_default();
            if values[place].replace(value).is_some() {
                return Err(Error::invalid(format!("the option {option} is given twice")));
            }
        }
        let [client, content, content_rowid, columns, size, overlap, tokenize] = values;
        let required = |option: &str, value: Option<&str>, what: &str| match value {
            Some(value) if !value.is_empty() => Ok(value.to_owned()),
            _ => Err(Error::invalid(format!("an index wants {option} = '…', {what}"))),
        };
        let size = characters("chunk_size", size)?.unwrap_or(DEFAULT_SIZE);
        let has_overlap = overlap.is_some();
        let overlap = characters("chunk_overlap", overlap)?.unwrap_or(Cut::default_overlap(size));
        Ok(Config {
            client: required("client", client, "the name of the client that embeds its texts")?,
            content: required("content", content, "the table whose rows it finds")?,
            content_rowid: content_rowid.filter(|name| !name.is_empty()).map(str::to_owned),
            columns: columns_of(&required(
                "columns",
                columns,
                "the columns whose texts it finds, as in 'title, body'",
            )?)?,
            cut: Cut::new(size, overlap)?,
            has_overlap,
            tokenize: tokenize.unwrap_or(TOKENIZE).trim().to_owned(),
        })
    }
}

/// `name = value`.
fn pair(arg: &str) -> Result<(String, String)> {
    let malformed = || {
        Error::invalid(format!(
            "'{}' is no option: options are written as in content = 'docs', with quotes around a value that is no single word",
            bounded(arg, 60)
        ))
    };
    let (option, rest) = name::word(name::skip_blanks(arg)).ok_or_else(malformed)?;
    let rest = name::skip_blanks(rest).strip_prefix('=').ok_or_else(malformed)?;
    let rest = name::skip_blanks(rest);
    let (value, rest) = if rest.starts_with(['\'', '"', '`', '[']) {
        name::word(rest).ok_or_else(malformed)?
    } else {
        // More than a word of SQL: -1 is a wrong number.
        let (value, rest) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        if value.is_empty() {
            return Err(malformed());
        }
        (value.to_owned(), rest)
    };
    if !name::skip_blanks(rest).is_empty() {
        return Err(malformed());
    }
    Ok((option, value))
}

fn known(option: &str) -> Result<&'static str> {
    let found = OPTIONS.iter().copied().find(|name| is_same(name, option));
    found.ok_or_else(|| {
        Error::invalid(format!(
            "an index has no option {}.{} It has: {}",
            quoted(option),
            did_you_mean(option, OPTIONS.iter().copied()),
            OPTIONS.join(", ")
        ))
    })
}

fn characters(option: &str, value: Option<&str>) -> Result<Option<usize>> {
    let number = value.map(|value| {
        value.trim().parse().map_err(|_| {
            Error::invalid(format!(
                "{option} is {}: it must be a whole number of characters, 0 or more",
                quoted(value)
            ))
        })
    });
    number.transpose()
}

fn columns_of(list: &str) -> Result<Vec<String>> {
    let names = name::list(list).ok_or_else(|| {
        Error::invalid(format!(
            "columns = {} is no list of columns: write them as in columns = 'title, body'",
            quoted(list)
        ))
    })?;
    for (i, column) in names.iter().enumerate() {
        if names[..i].iter().any(|before| is_same(before, column)) {
            return Err(Error::invalid(format!(
                "the column {} is in the list of columns twice",
                quoted(column)
            )));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: [&str; 3] = ["client = 'local'", "content = 'docs'", "columns = 'body'"];

    fn with(args: &[&str]) -> Result<Config> {
        Config::parse("docs_index", &[&LEAST[..], args].concat())
    }

    fn error(args: &[&str]) -> String {
        Config::parse("docs_index", args).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let config = with(&[]).unwrap();
        let expected = Config {
            client: "local".into(),
            content: "docs".into(),
            content_rowid: None,
            columns: vec!["body".into()],
            cut: Cut::new(1000, 100).unwrap(),
            has_overlap: false,
            tokenize: "porter unicode61".into(),
        };
        assert_eq!(config, expected);
        assert_eq!(with(&["chunk_size = 50"]).unwrap().cut, Cut::new(50, 5).unwrap());
        assert_eq!(with(&["chunk_size=0", "tokenize = ''"]).unwrap().tokenize, "");
    }

    #[test]
    fn values_and_names_come_in_any_quotes() {
        let config = Config::parse(
            "docs_index",
            &[
                " Client = \"it's\"",
                "content=[my docs]",
                "content_rowid /* the key */ = `id`",
                "columns = '\"a, b\", [c d], e f'",
                "tokenize = 'trigram case_sensitive 1'",
                "CHUNK_SIZE\n=\n 20 -- small",
                "'chunk_overlap' = '3'",
            ],
        )
        .unwrap();
        assert_eq!(
            (&*config.client, &*config.content, config.content_rowid.as_deref()),
            ("it's", "my docs", Some("id"))
        );
        assert_eq!(config.columns, ["a, b", "c d", "e f"]);
        assert_eq!((config.cut.size(), config.cut.overlap()), (20, 3));
        assert_eq!(config.tokenize, "trigram case_sensitive 1");
        let rows = config.rows();
        assert_eq!(rows.len(), OPTIONS.len());
        let again =
            Config::from_rows(rows.iter().map(|(name, value)| (*name, &**value)).chain([("model", "m")]));
        assert_eq!(again.unwrap(), config);
    }

    #[test]
    fn each_error_says_what_to_do() {
        assert!(error(&[]).contains("wants client = '…'"));
        assert!(error(&LEAST[..1]).contains("wants content = '…'"));
        assert!(
            error(&LEAST[..2])
                .contains("wants columns = '…', the columns whose texts it finds, as in 'title, body'")
        );
        for (arg, part) in [
            ("contnt = 'x'", "no option 'contnt'. Did you mean 'content'? It has: client, content,"),
            ("zzz = 'x'", "no option 'zzz'. It has: client"),
            ("client = 'other'", "client is given twice"),
            (
                "chunk_size = 'many'",
                "chunk_size is 'many': it must be a whole number of characters, 0 or more",
            ),
            ("chunk_size = -1", "chunk_size is '-1': it must be a whole number of characters, 0 or more"),
            ("chunk_overlap = 1000", "the chunk overlap (1000) must be smaller than the chunk size (1000)"),
            ("tokenize = porter unicode61", "with quotes around a value that is no single word"),
            ("tokenize", "options are written as in content = 'docs'"),
            ("tokenize = 'x", "options are written as"),
            ("tokenize =", "options are written as"),
            ("", "options are written as"),
        ] {
            let e = with(&[arg]).unwrap_err().to_string();
            assert!(e.contains(part), "{arg}: {e}");
        }
        for (columns, part) in [
            ("columns = 'a,,b'", "columns = 'a,,b' is no list of columns: write them as in"),
            ("columns = 'a, A'", "'A' is in the list of columns twice"),
            ("columns = ''", "wants columns"),
        ] {
            let e = error(&[LEAST[0], LEAST[1], columns]);
            assert!(e.contains(part), "{columns}: {e}");
        }
    }

    #[test]
    fn an_index_is_not_named_like_its_columns() {
        for name in ["score", "RANK", "rowid"] {
            let e = Config::parse(name, &LEAST).unwrap_err().to_string();
            assert!(e.contains(name) && e.contains("take another"), "{e}");
        }
        assert!(Config::parse("scores", &LEAST).is_ok());
    }

    #[test]
    fn options_are_changed_one_at_a_time() {
        let mut config = with(&[]).unwrap();
        assert_eq!(config.change("client", "local").unwrap(), Change::None);
        assert_eq!(config.change("Client", "other").unwrap(), Change::Client);
        assert_eq!(config.change("chunk_size", "50").unwrap(), Change::Chunks);
        assert_eq!(config.cut, Cut::new(50, 5).unwrap());
        assert_eq!(config.change("chunk_overlap", "20").unwrap(), Change::Chunks);
        let e = config.change("chunk_size", "20").unwrap_err().to_string();
        assert!(e.contains("must be smaller"), "{e}");
        assert_eq!(config.cut, Cut::new(50, 20).unwrap());
        assert_eq!(config.change("tokenize", "").unwrap(), Change::Words);
        assert_eq!(config.change("columns", "title, body").unwrap(), Change::Columns);
        assert!(config.change("content", "x").unwrap_err().to_string().contains("make another index"));
        assert!(config.change("chunks", "1").unwrap_err().to_string().contains("has no option 'chunks'"));
        assert_eq!((&*config.client, config.columns.len()), ("other", 2));
    }

    #[test]
    fn an_overlap_that_was_said_stays_even_where_it_is_the_default() {
        let mut config = with(&["chunk_size = 200", "chunk_overlap = 20"]).unwrap();
        config.change("chunk_size", "50").unwrap();
        assert_eq!(config.cut, Cut::new(50, 20).unwrap());
        let mut config = with(&["chunk_size = 200"]).unwrap();
        config.change("chunk_overlap", "20").unwrap();
        let rows = config.rows();
        let mut again = Config::from_rows(rows.iter().map(|(name, value)| (*name, &**value))).unwrap();
        again.change("chunk_size", "50").unwrap();
        assert_eq!(again.cut, Cut::new(50, 20).unwrap());
    }

    #[test]
    fn a_damaged_table_of_options_is_an_error() {
        let rows = with(&[]).unwrap().rows();
        for i in 0..rows.len() {
            let mut bad: Vec<(&str, &str)> = rows.iter().map(|(name, value)| (*name, &**value)).collect();
            bad.push(bad[i]);
            let e = Config::from_rows(bad).unwrap_err().to_string();
            assert!(e.contains("damaged: ") && e.contains("twice"), "{e}");
        }
        assert!(Config::from_rows([("chunk_size", "1")]).is_err());
    }
}
