//! The SQL of an index: its tables, and the triggers by which its content table marks the rows that changed.
//!
//! The triggers are plain SQL, for hosts that never loaded the library, and write into an ordinary table: SQLite's
//! defensive mode keeps them from shadow tables. They say which columns an index has, since SQLite changes their
//! texts when a table or a column gets another name: [`Watched::read`] reads them back.
//!
//! ```
//! use sqlite_rembed::index::ddl::{Trigger, Watched};
//!
//! let watched = Watched::new("docs_index", "docs", "id", &["title".into(), "body".into()]);
//! let triggers = Trigger::ALL.map(|trigger| (trigger.name("docs_index"), watched.body(trigger)));
//! let stored = triggers.iter().map(|(name, body)| (&**name, format!("CREATE TRIGGER \"{name}\" {body}")));
//! assert_eq!(Watched::read("docs_index", stored), Some(watched));
//! ```

use super::name::{self, is_same, quote, string};

/// The shadow tables of an index, by what follows its name and `_`. The table of marks is none.
pub const SHADOWS: &[&str] =
    &["config", "rows", "chunks", "vectors", "segments", "errors", "claims", WORDS[0], WORDS[1]];

/// The shadow tables of words, which FTS5 keeps. One answers, and takes turns with the one that is filled to follow it:
/// ALTER TABLE RENAME would fail where the schema has a view of anybody's that is broken.
pub const WORDS: [&str; 2] = ["words", "words2"];

/// The table of marks: an ordinary one.
pub const MARKS: &str = "marks";

/// What a mark says of its row. A mark becomes another only by a higher one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// The row changed. Until the next sync its old chunks may be found.
    Changed = 1,
    /// The row came or went, or had another rowid. Chunks under its rowid are not its own, and must not be found.
    Hidden = 2,
}

impl Mark {
    /// The mark of a number of the table of marks, which may be anybody's: what is no mark hides the row.
    pub fn of(kind: i64) -> Mark {
        if kind == Mark::Changed as i64 { Mark::Changed } else { Mark::Hidden }
    }
}

/// A table of an index with its schema, quoted.
pub fn table(schema: &str, index: &str, suffix: &str) -> String {
    format!("{}.{}", quote(schema), quote(&format!("{index}_{suffix}")))
}

/// The statements that make the tables of an index but for the words. There is no CREATE INDEX among them, since ALTER TABLE
/// RENAME cannot give an index another name: SQLite lets no index be dropped then.
///
/// | table | what |
/// | --- | --- |
/// | config | options, and what else is one value |
/// | rows | the hash of each content row's text, as it was last synced |
/// | chunks | their places in the text, texts and hashes |
/// | vectors | f32 of each chunk and generation of the model, and where its bytes are; where the chunk went, the vector's own number negated stands for it, and the number of the sync for a place |
/// | segments | bytes of many vectors, as in [`segment`](super::segment) |
/// | errors | what failed, how often, and when it may be tried again (seconds since 1970) |
/// | claims | the rows that a process is at work on, and until when (seconds since 1970) |
/// | marks | the rows that changed, see [`Mark`] |
pub fn create_tables(schema: &str, index: &str) -> Vec<String> {
    let create =
        |suffix: &str, columns: &str| format!("CREATE TABLE {}({columns}", table(schema, index, suffix));
    vec![
        create("config", "name TEXT PRIMARY KEY NOT NULL, value) WITHOUT ROWID"),
        create("rows", "\"row\" INTEGER PRIMARY KEY, hash BLOB NOT NULL)"),
        create(
            "chunks",
            "id INTEGER PRIMARY KEY, \"row\" INTEGER NOT NULL, seq INTEGER NOT NULL, start INTEGER NOT NULL, \
             \"end\" INTEGER NOT NULL, hash BLOB NOT NULL, chunk TEXT NOT NULL, UNIQUE(\"row\", seq))",
        ),
        create(
            "vectors",
            "id INTEGER PRIMARY KEY, generation INTEGER NOT NULL, chunk INTEGER NOT NULL, hash BLOB NOT NULL, \
             segment INTEGER NOT NULL, place INTEGER NOT NULL, vector BLOB NOT NULL, UNIQUE(generation, chunk), \
             UNIQUE(generation, hash, chunk))",
        ),
        create(
            "segments",
            "id INTEGER PRIMARY KEY, generation INTEGER NOT NULL, live INTEGER NOT NULL, data BLOB NOT NULL)",
        ),
        create(
            "errors",
            "\"row\" INTEGER NOT NULL, seq INTEGER NOT NULL, message TEXT NOT NULL, attempts INTEGER NOT NULL, \
             again REAL NOT NULL, PRIMARY KEY(\"row\", seq)) WITHOUT ROWID",
        ),
        create("claims", "\"row\" INTEGER PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL)"),
        create(MARKS, "\"row\" INTEGER PRIMARY KEY, kind INTEGER NOT NULL)"),
    ]
}

/// The statement that makes a table of words of [`WORDS`]. It keeps no text, which `chunks` has, and so knows no other table by
/// name: a row is taken out by `INSERT INTO words(words, rowid, chunk) VALUES ('delete', id, text)`.
pub fn create_words(schema: &str, index: &str, words: &str, tokenize: &str) -> String {
    format!(
        "CREATE VIRTUAL TABLE {} USING fts5(chunk, content = '', tokenize = {})",
        table(schema, index, words),
        string(tokenize)
    )
}

/// The statements that keep FTS5 from merging within the transactions that write words: see the sync's own merges. It would
/// still, where a thousand pieces are left.
pub fn settle_words(schema: &str, index: &str, words: &str) -> [String; 2] {
    let (table, words) = (table(schema, index, words), quote(&format!("{index}_{words}")));
    [("automerge", 0), ("crisismerge", 1000)]
        .map(|(name, value)| format!("INSERT INTO {table}({words}, rank) VALUES ('{name}', {value})"))
}

/// The statement that marks up to `?2` rows from the rowid `?1` on, by `?3` as a mark's number. Nothing is marked when
/// there are no more.
pub fn mark_rows(schema: &str, index: &str, watched: &Watched) -> String {
    let id = quote(&watched.rowid);
    format!(
        "INSERT INTO {}(\"row\", kind) SELECT {id}, ?3 FROM {}.{} WHERE {id} >= ?1 ORDER BY {id} LIMIT ?2 {STRONGER}",
        table(schema, index, MARKS),
        quote(schema),
        quote(&watched.content),
    )
}

/// A mark that is there is only replaced by a higher one.
const STRONGER: &str = "ON CONFLICT(\"row\") DO UPDATE SET kind = excluded.kind WHERE excluded.kind > kind";

/// A trigger of an index on its content table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A row came.
    Insert,
    /// A row has other texts.
    Update,
    /// A row has another rowid.
    Move,
    /// A row went.
    Delete,
}

impl Trigger {
    /// All that a content table has.
    pub const ALL: [Trigger; 4] = [Trigger::Insert, Trigger::Update, Trigger::Move, Trigger::Delete];

    /// Its name.
    pub fn name(self, index: &str) -> String {
        let suffix = match self {
            Trigger::Insert => "insert",
            Trigger::Update => "update",
            Trigger::Move => "move",
            Trigger::Delete => "delete",
        };
        format!("{index}_{suffix}")
    }

    /// The statement that makes it, for what it watches.
    pub fn create(self, schema: &str, index: &str, watched: &Watched) -> String {
        format!("CREATE TRIGGER {}.{} {}", quote(schema), quote(&self.name(index)), watched.body(self))
    }

    /// The statement that takes it away, if it is there.
    pub fn drop(self, schema: &str, index: &str) -> String {
        format!("DROP TRIGGER IF EXISTS {}.{}", quote(schema), quote(&self.name(index)))
    }
}

/// What the triggers of an index watch, and where they put their marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The content table.
    pub content: String,
    /// Its INTEGER PRIMARY KEY.
    pub rowid: String,
    /// Its columns whose texts are found.
    pub columns: Vec<String>,
    /// The table of marks.
    pub marks: String,
}

impl Watched {
    /// What the triggers of `index` watch; `columns` is not empty.
    pub fn new(index: &str, content: &str, rowid: &str, columns: &[String]) -> Watched {
        Watched {
            content: content.to_owned(),
            rowid: rowid.to_owned(),
            columns: columns.to_vec(),
            marks: format!("{index}_{MARKS}"),
        }
    }

    /// A trigger's text after its name.
    ///
    /// `UPDATE OF` would miss what changes a column without naming it: another name of the rowid, a generated column.
    /// `INSERT OR IGNORE` would do as the user's own statement says, so that `UPDATE OR ABORT` failed. `IS NOT` alone would take
    /// 1 and 1.0 for the same, which have different texts.
    pub fn body(&self, trigger: Trigger) -> String {
        let id = quote(&self.rowid);
        let mark = |row: &str, mark: Mark| {
            format!(
                "INSERT INTO {}(\"row\", kind) VALUES ({row}.{id}, {}) {STRONGER};",
                quote(&self.marks),
                mark as i64
            )
        };
        let is_other = |column: &String| {
            let column = quote(column);
            format!(
                "old.{column} IS NOT new.{column} COLLATE BINARY OR typeof(old.{column}) IS NOT typeof(new.{column})"
            )
        };
        let (event, marks) = match trigger {
            Trigger::Insert => ("INSERT", mark("new", Mark::Hidden)),
            Trigger::Update => ("UPDATE", mark("new", Mark::Changed)),
            Trigger::Move => {
                ("UPDATE", format!("{} {}", mark("old", Mark::Hidden), mark("new", Mark::Hidden)))
            }
            Trigger::Delete => ("DELETE", mark("old", Mark::Hidden)),
        };
        let when = match trigger {
            Trigger::Update => {
                let others: Vec<String> = self.columns.iter().map(is_other).collect();
                format!("WHEN old.{id} IS new.{id} AND ({}) ", others.join(" OR "))
            }
            Trigger::Move => format!("WHEN old.{id} IS NOT new.{id} "),
            Trigger::Insert | Trigger::Delete => String::new(),
        };
        format!("AFTER {event} ON {} {when}BEGIN {marks} END", quote(&self.content))
    }

    /// Reads what the triggers of `index` watch from their names and texts in `sqlite_schema`; other triggers may be
    /// among them. `None` where one is missing, or has another text than ours but for names.
    pub fn read<'a>(
        index: &str,
        triggers: impl IntoIterator<Item = (&'a str, impl AsRef<str>)>,
    ) -> Option<Watched> {
        let mut bodies: [Option<Vec<String>>; 4] = Default::default();
        for (name, sql) in triggers {
            if let Some(i) = Trigger::ALL.iter().position(|trigger| is_same(&trigger.name(index), name)) {
                bodies[i] = Some(body_of(&words(sql.as_ref())?)?.to_vec());
            }
        }
        let update = bodies[1].as_ref()?;
        let after = |marker: &[&str]| {
            let at = update
                .windows(marker.len())
                .position(|words| words.iter().zip(marker).all(|(a, b)| is_same(a, b)))?;
            update.get(at + marker.len()).cloned()
        };
        let is_other = |words: &&[String]| {
            words.iter().zip(["old", ".", "", "IS", "NOT", "new"]).all(|(a, b)| b.is_empty() || is_same(a, b))
        };
        let watched = Watched {
            content: after(&["UPDATE", "ON"])?,
            rowid: after(&["WHEN", "old", "."])?,
            columns: update.windows(6).filter(is_other).map(|words| words[2].clone()).collect(),
            marks: after(&["INSERT", "INTO"])?,
        };
        let is_ours = |(trigger, body): (Trigger, Option<Vec<String>>)| {
            let ours = words(&watched.body(trigger));
            ours.zip(body).is_some_and(|(ours, body)| {
                ours.len() == body.len() && ours.iter().zip(&body).all(|(a, b)| is_same(a, b))
            })
        };
        Trigger::ALL.into_iter().zip(bodies).all(is_ours).then_some(watched)
    }
}

/// What follows `CREATE TRIGGER NAME`.
fn body_of(words: &[String]) -> Option<&[String]> {
    match words {
        [create, trigger, _, body @ ..] if is_same(create, "CREATE") && is_same(trigger, "TRIGGER") => {
            Some(body)
        }
        _ => None,
    }
}

/// The words and marks of an SQL text; names are without their quotes.
fn words(sql: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = name::skip_blanks(sql);
    while let Some(first) = rest.chars().next() {
        let (word, after) = if matches!(first, '.' | ',' | ';' | '(' | ')' | '=' | '>') {
            (first.to_string(), &rest[1..])
        } else {
            name::word(rest)?
        };
        words.push(word);
        rest = name::skip_blanks(after);
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched() -> Watched {
        Watched::new("i", "my \"docs\"", "the id", &["title".into(), "old".into(), "IS NOT".into()])
    }

    fn stored(watched: &Watched) -> Vec<(String, String)> {
        let text = |trigger: Trigger| {
            let name = trigger.name("i");
            let sql = format!("CREATE TRIGGER {} {}", quote(&name), watched.body(trigger));
            (name, sql)
        };
        Trigger::ALL.map(text).to_vec()
    }

    fn read(stored: &[(String, String)]) -> Option<Watched> {
        Watched::read("I", stored.iter().map(|(name, sql)| (&**name, sql)))
    }

    #[test]
    fn triggers_are_read_back_whatever_the_names_are() {
        for (content, rowid, columns) in [
            ("docs", "id", vec!["body"]),
            ("my \"docs\"", "the id", vec!["a", "b c", "old", "IS", "new.x"]),
            ("[x]", "WHEN", vec!["IS NOT", "'", "old.", ";", "\"", "漢字"]),
            ("UPDATE", "INTO", vec!["INSERT", "--", "/*"]),
        ] {
            let columns: Vec<String> = columns.into_iter().map(str::to_owned).collect();
            let watched = Watched::new("i", content, rowid, &columns);
            assert_eq!(read(&stored(&watched)), Some(watched));
        }
    }

    #[test]
    fn other_triggers_are_left_alone_and_every_one_of_ours_is_needed() {
        let mut all = stored(&watched());
        all.insert(
            2,
            ("theirs".into(), "CREATE TRIGGER theirs AFTER INSERT ON t BEGIN SELECT 'x''y' || 1; END".into()),
        );
        assert_eq!(read(&all), Some(watched()));
        for i in [0, 1, 3, 4] {
            let mut less = all.clone();
            less.remove(i);
            assert_eq!(read(&less), None);
        }
    }

    #[test]
    fn a_trigger_that_says_something_else_is_not_ours() {
        let all = stored(&watched());
        for (i, from, to) in [
            (0, ", 2)", ", 1)"),
            (0, "INSERT INTO", "INSERT OR IGNORE INTO"),
            (1, "AND (", "OR ("),
            (1, " COLLATE BINARY", ""),
            (1, "i_marks", "other_marks"),
            (2, "AFTER", "BEFORE"),
            (2, "my \"\"docs\"\"", "other"),
            (3, "END", "SELECT 1; END"),
            (3, "BEGIN", "BEGIN SELECT 'a"),
            (3, "CREATE TRIGGER", "CREATE TABLE"),
            (3, "old.\"the id\"", "old.\"title\""),
        ] {
            let mut changed = all.clone();
            changed[i].1 = changed[i].1.replace(from, to);
            assert_ne!(changed[i].1, all[i].1, "{from}");
            assert_eq!(read(&changed), None, "{from}");
        }
    }

    #[test]
    fn names_stay_names() {
        let triggers = Trigger::ALL.map(|trigger| trigger.drop("a\"b", "i'x"));
        let statements = [create_tables("a\"b", "i'x"), triggers.to_vec()].concat();
        for statement in &statements {
            assert!(words(statement).unwrap().contains(&"a\"b".to_owned()), "{statement}");
        }
        assert_eq!(
            create_words("main", "i", WORDS[0], "unicode61 tokenchars '-'"),
            "CREATE VIRTUAL TABLE \"main\".\"i_words\" USING fts5(chunk, content = '', tokenize = 'unicode61 tokenchars ''-''')"
        );
    }

    #[test]
    fn what_is_no_mark_hides_its_row() {
        assert_eq!(
            [0, 1, 2, 3, -1].map(Mark::of).map(|m| m == Mark::Changed),
            [false, true, false, false, false]
        );
    }
}
