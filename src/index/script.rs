//! An index as a script, for Turso: ordinary tables and triggers, the statements of a sync, and a search. No table module
//! of ours is in it, since Turso's do not work (`backends/turso`), and no words, since it has no FTS5.

use super::config::Config;
use super::ddl::{MARKS, Mark, Trigger, Watched};
use super::name::{quote, string};
use crate::base::error::{Error, Result};

/// How many rows a sync takes at once: what they have is embedded before the transaction begins, and must find room
/// in the cache.
const ROWS: usize = 1000;

/// The script of an index `index` in three parts, each after a line that says what it is for.
///
/// # Errors
/// An option that the script has no use for, or needs and lacks.
pub fn script(index: &str, config: &Config) -> Result<String> {
    let Some(rowid) = &config.content_rowid else {
        return Err(Error::invalid(
            "the script wants content_rowid too: the INTEGER PRIMARY KEY of the content table, as in 'content_rowid', 'id'",
        ));
    };
    let watched = Watched::new(index, &config.content, rowid, &config.columns);
    Ok(format!(
        "{}\n{}\n{}",
        create(index, &watched),
        sync(index, config, &watched),
        search(index, config, &watched)
    ))
}

/// The names of the tables of chunks and of marks.
fn tables(index: &str) -> [String; 2] {
    ["chunks", MARKS].map(|suffix| quote(&format!("{index}_{suffix}")))
}

fn create(index: &str, watched: &Watched) -> String {
    let [chunks, marks] = tables(index);
    let triggers: Vec<String> = Trigger::ALL
        .iter()
        .map(|trigger| format!("CREATE TRIGGER {} {};", quote(&trigger.name(index)), watched.body(*trigger)))
        .collect();
    format!(
        "-- create: once. Two tables, and triggers that mark the rows of {content} that change. There is no search by words:
-- Turso has no FTS5.
CREATE TABLE {chunks}(id INTEGER PRIMARY KEY, \"row\" INTEGER NOT NULL, seq INTEGER NOT NULL, \"start\" INTEGER NOT NULL,
    \"end\" INTEGER NOT NULL, chunk TEXT NOT NULL, embedding BLOB NOT NULL, UNIQUE(\"row\", seq));
CREATE TABLE {marks}(\"row\" INTEGER PRIMARY KEY, kind INTEGER NOT NULL);
{triggers}
INSERT INTO {marks}(\"row\", kind) SELECT {id}, {hidden} FROM {content};
",
        content = quote(&watched.content),
        id = quote(&watched.rowid),
        hidden = Mark::Hidden as i64,
        triggers = triggers.join("\n"),
    )
}

fn sync(index: &str, config: &Config, watched: &Watched) -> String {
    let [chunks, marks] = tables(index);
    let client = string(&config.client);
    let some = format!("(SELECT \"row\" FROM {marks} ORDER BY \"row\" LIMIT {ROWS})");
    let texts: Vec<String> = watched.columns.iter().map(|column| format!("d.{}", quote(column))).collect();
    let pieces = format!(
        "FROM {} AS d
    JOIN json_each(rembed_chunks_json(concat_ws(char(10, 10), {}), {}, {})) AS piece
    WHERE d.{} IN {some}",
        quote(&watched.content),
        texts.join(", "),
        config.cut.size(),
        config.cut.overlap(),
        quote(&watched.rowid),
    );
    format!(
        "-- sync: after changes, again until nothing is pending. The first statement asks for vectors while nothing is locked;
-- after an error in a later one, ROLLBACK, and begin again.
SELECT rembed_prefetch({client}, (SELECT json_group_array(piece.value ->> 'chunk')
    {pieces}), 'document') AS ready;
BEGIN;
DELETE FROM {chunks} WHERE \"row\" IN {some};
INSERT INTO {chunks}(\"row\", seq, \"start\", \"end\", chunk, embedding)
    SELECT d.{id}, piece.value ->> 'seq', piece.value ->> 'start', piece.value ->> 'end', piece.value ->> 'chunk',
        rembed({client}, piece.value ->> 'chunk', 'document')
    {pieces};
DELETE FROM {marks} WHERE \"row\" IN {some};
COMMIT;
SELECT count(*) AS pending FROM {marks};
",
        id = quote(&watched.rowid),
    )
}

fn search(index: &str, config: &Config, watched: &Watched) -> String {
    let [chunks, marks] = tables(index);
    format!(
        "-- search: the chunks nearest to a question, ?1. Rows that came, went or moved since the last sync are left out.
SELECT c.\"row\", c.seq, c.chunk, vector_distance_cos(c.embedding, q.question) AS distance
    FROM (SELECT rembed({client}, ?1, 'query') AS question) AS q
    CROSS JOIN {chunks} AS c
    JOIN {content} AS d ON d.{id} = c.\"row\"
    WHERE c.\"row\" NOT IN (SELECT \"row\" FROM {marks} WHERE kind <> {changed})
    ORDER BY distance LIMIT 10;
",
        client = string(&config.client),
        content = quote(&watched.content),
        id = quote(&watched.rowid),
        changed = Mark::Changed as i64,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_stay_what_they_are() {
        let pairs = [
            ("client", "it's"),
            ("content", "my \"docs\""),
            ("content_rowid", "the id"),
            ("columns", "a, [b c]"),
        ];
        let script = script("i\"x", &Config::of(pairs).unwrap()).unwrap();
        for part in
            ["'it''s'", "\"my \"\"docs\"\"\"", "d.\"the id\"", "d.\"a\", d.\"b c\"", "\"i\"\"x_chunks\""]
        {
            assert!(script.contains(part), "{part}: {script}");
        }
    }

    #[test]
    fn a_script_wants_the_key_by_name() {
        let config = Config::of([("client", "c"), ("content", "docs"), ("columns", "a")]).unwrap();
        assert!(script("i", &config).unwrap_err().to_string().contains("content_rowid"));
    }
}
