//! Whether a statement takes every row of a table-valued function, as far as its text tells. Where it does not, the host may
//! stop after any row, and what was embedded beyond that row was paid for in vain.

use crate::index::name::{is_same, skip_blanks, word};

/// What makes one row of all. `min` and `max` are not among them: they may stop early.
const AGGREGATES: [&str; 8] =
    ["avg", "count", "group_concat", "json_group_array", "json_group_object", "string_agg", "sum", "total"];

/// What lets a query end before its last row, or give rows before it has read all.
const STOPS: [&str; 6] = ["limit", "group", "union", "except", "intersect", "over"];

/// Whether the statement `sql` takes every row of `function`. One that writes returns nothing before it is done, and a query
/// with an aggregate gives its one row at the end. All of this is looked for outside brackets: a subquery may be one that
/// wants a single row. So where the function is named anywhere else, nothing is known.
pub fn takes_every_row(sql: &str, function: &str, writes: bool) -> bool {
    let (mut calls, mut aggregates, mut stops) = (0, 0, 0);
    let (mut rest, mut depth) = (skip_blanks(sql), 0_usize);
    while let Some(first) = rest.chars().next() {
        let (bare, after) = match word(rest) {
            Some((word, after)) if !matches!(first, '\'' | '"' | '`' | '[') => (word, after),
            Some((_, after)) => (String::new(), after),
            None => (String::new(), &rest[first.len_utf8()..]),
        };
        match first {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        rest = skip_blanks(after);
        let is_one_of = |words: &[&str]| words.iter().any(|word| is_same(&bare, word));
        if depth == 0 {
            let is_call = rest.starts_with('(');
            calls += usize::from(is_call && is_same(&bare, function));
            aggregates += usize::from(is_call && is_one_of(&AGGREGATES));
            stops += usize::from(is_one_of(if writes { &STOPS[..1] } else { &STOPS }));
        }
    }
    let named = sql.to_ascii_lowercase().matches(function).count();
    calls > 0 && calls == named && stops == 0 && (writes || aggregates > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_that_writes_takes_every_row_unless_it_has_a_limit() {
        for sql in [
            "INSERT INTO t SELECT key, embedding FROM rembed_batch('c', ?)",
            "insert into t select key, embedding from REMBED_BATCH ('c', (SELECT json_group_array(a) FROM (SELECT a FROM u LIMIT 9)))",
            "CREATE TABLE t AS SELECT * FROM rembed_batch('it''s (', '[]') -- LIMIT 1",
            "UPDATE t SET v = b.embedding FROM rembed_batch('c', ?) AS b WHERE b.key = t.id",
            "WITH a(n) AS (SELECT 1) INSERT INTO t SELECT n, embedding FROM a, rembed_batch('c', ?) UNION SELECT 1, 2",
            "INSERT INTO t(a) SELECT text FROM rembed_batch('c', ?) WHERE key IN (1, 2) ORDER BY key RETURNING a",
        ] {
            assert!(takes_every_row(sql, "rembed_batch", true), "{sql}");
            assert!(!takes_every_row(sql, "rembed_rows", true), "{sql}");
            assert!(!takes_every_row(sql, "rembed_batch", false), "{sql}");
        }
        for sql in [
            "INSERT INTO t SELECT key, embedding FROM rembed_batch('c', ?) LIMIT 1",
            "INSERT INTO t SELECT key, embedding FROM rembed_batch('c', ?) /* all */ limit(?)",
            "INSERT INTO t SELECT * FROM (SELECT key, embedding FROM rembed_batch('c', ?) LIMIT 1)",
            "INSERT INTO t VALUES ((SELECT embedding FROM rembed_batch('c', ?)))",
            "UPDATE t SET v = (SELECT embedding FROM rembed_batch('c', ?) WHERE key = t.id)",
            "DELETE FROM t WHERE EXISTS (SELECT 1 FROM rembed_batch('c', ?) WHERE key = t.id)",
            "INSERT INTO t SELECT text, (SELECT key FROM rembed_batch('c', '[]')) FROM rembed_batch('c', ?)",
            "INSERT INTO t SELECT rembed_batch.key FROM (SELECT key FROM rembed_batch('c', ?)) AS rembed_batch",
            "INSERT INTO t SELECT key FROM a_view",
            "INSERT INTO t VALUES ('rembed_batch(')",
            "",
        ] {
            assert!(!takes_every_row(sql, "rembed_batch", true), "{sql}");
        }
    }

    #[test]
    fn a_query_takes_every_row_where_it_makes_one_of_all() {
        for sql in [
            "SELECT sum(length(embedding)) FROM rembed_rows('c', 'SELECT id, body FROM docs LIMIT 9')",
            "WITH a AS (SELECT 1 LIMIT 1) SELECT COUNT (*) FROM a JOIN rembed_rows('c', ?) HAVING count(*) > 2 ORDER BY 1",
        ] {
            assert!(takes_every_row(sql, "rembed_rows", false), "{sql}");
        }
        for sql in [
            "SELECT key, embedding FROM rembed_rows('c', ?)",
            "SELECT key, embedding FROM rembed_rows('c', ?) ORDER BY key",
            "SELECT max(key) FROM rembed_rows('c', ?)",
            "SELECT sum(key) OVER () FROM rembed_rows('c', ?)",
            "SELECT count(*) FROM docs JOIN rembed_rows('c', ?) GROUP BY docs.id",
            "SELECT count(*) FROM docs UNION ALL SELECT key FROM rembed_rows('c', ?)",
            "SELECT (SELECT count(*) FROM docs), key FROM rembed_rows('c', ?)",
            "SELECT \"sum\"(key), count FROM rembed_rows('c', ?)",
        ] {
            assert!(!takes_every_row(sql, "rembed_rows", false), "{sql}");
        }
    }
}
