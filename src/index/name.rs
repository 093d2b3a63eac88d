//! Names and strings in SQL texts: written so that nothing in them is SQL, and read back.
//!
//! ```
//! use sqlite_rembed::index::name;
//!
//! assert_eq!(name::quote(r#"my "docs""#), r#""my ""docs""""#);
//! assert_eq!(name::string("it's"), "'it''s'");
//! assert_eq!(name::list("title, [main body]").unwrap(), ["title", "main body"]);
//! ```

/// A name as an identifier of SQL, in double quotes (<https://www.sqlite.org/lang_keywords.html>).
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a literal of SQL.
pub fn string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Names, each in double quotes, as [`list`] reads them.
pub fn quoted_list(names: &[String]) -> String {
    names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")
}

/// Whether two names are one in SQL.
pub fn is_same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// `text` without the blanks and comments that it begins with.
pub fn skip_blanks(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        let after = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            return rest;
        };
        rest = after.trim_start();
    }
}

/// A name or text at the start of `text`, in any quotes of SQL or as a bare word, and what follows it. A bare word has
/// letters, digits, `_`, `$` and whatever is not ASCII.
pub fn word(text: &str) -> Option<(String, &str)> {
    let first = text.chars().next()?;
    let close = match first {
        '\'' | '"' | '`' => first,
        '[' => {
            let (name, rest) = text[1..].split_once(']')?;
            return Some((name.to_owned(), rest));
        }
        _ => {
            let is_other = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && c != '_' && c != '$';
            let (word, rest) = text.split_at(text.find(is_other).unwrap_or(text.len()));
            return (!word.is_empty()).then(|| (word.to_owned(), rest));
        }
    };
    let mut name = String::new();
    let mut rest = &text[1..];
    loop {
        let (part, after) = rest.split_once(close)?;
        name.push_str(part);
        match after.strip_prefix(close) {
            Some(after) => {
                name.push(close);
                rest = after;
            }
            None => return Some((name, after)),
        }
    }
}

/// Names between commas, in quotes or bare; a bare name may have blanks inside. `None` where one is empty or a quote is
/// not closed.
pub fn list(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text.trim();
    loop {
        let (name, after) = if rest.starts_with(['\'', '"', '`', '[']) {
            word(rest)?
        } else {
            let (name, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
            (name.trim_end().to_owned(), after)
        };
        if name.is_empty() {
            return None;
        }
        names.push(name);
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None => return rest.is_empty().then_some(names),
        }
    }
}

/// The module of a virtual table, in small letters, by its statement as SQLite keeps it: without schema and IF NOT EXISTS.
/// `None` where it makes no virtual table, and an empty name where it names no module.
pub fn module(sql: &str) -> Option<String> {
    let mut rest = sql;
    let mut word = || {
        let (word, after) = word(skip_blanks(rest))?;
        rest = after;
        Some(word)
    };
    for expected in ["CREATE", "VIRTUAL", "TABLE"] {
        word().filter(|word| is_same(word, expected))?;
    }
    let _name = word();
    let uses = word().is_some_and(|word| is_same(&word, "USING"));
    Some(word().filter(|_| uses).unwrap_or_default().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_as_they_were_written() {
        for name in ["docs", "my docs", "a\"b", "a''b", "[x]", "naïve 漢字", "select", "a,b", " "] {
            for (written, rest) in [(quote(name), ""), (string(name), " rest")] {
                let text = format!("{written}{rest}");
                assert_eq!(word(&text), Some((name.to_owned(), rest)), "{text}");
            }
        }
        let names = vec!["a,b".to_owned(), "c\"d".to_owned(), "e".to_owned()];
        assert_eq!(list(&quoted_list(&names)), Some(names));
    }

    #[test]
    fn every_quote_of_sql_is_read() {
        for (text, name, rest) in [
            ("title = 1", "title", " = 1"),
            ("`a``b`.c", "a`b", ".c"),
            ("[a\"b] x", "a\"b", " x"),
            ("größe_1$(", "größe_1$", "("),
            ("'' x", "", " x"),
        ] {
            assert_eq!(word(text), Some((name.to_owned(), rest)));
        }
        for none in ["", " a", "'a", "\"a\"\"", "[a", ",", "="] {
            assert_eq!(word(none), None, "{none}");
        }
    }

    #[test]
    fn lists_have_no_empty_names() {
        assert_eq!(list(" a ,b c, 'd, e' ").unwrap(), ["a", "b c", "d, e"]);
        for bad in ["", ",", "a,", "a,,b", "'a' b", "'a", "''"] {
            assert_eq!(list(bad), None, "{bad}");
        }
    }

    #[test]
    fn comments_are_blanks() {
        assert_eq!(skip_blanks(" -- a\n /* b */ c -- d"), "c -- d");
        assert_eq!(skip_blanks("-- a"), "");
        assert_eq!(skip_blanks("/* a"), "");
    }

    #[test]
    fn the_module_of_a_virtual_table_is_read() {
        assert_eq!(module("CREATE VIRTUAL TABLE \"a b\" USING FTS5(chunk)").as_deref(), Some("fts5"));
        assert_eq!(module("CREATE VIRTUAL TABLE x USING series").as_deref(), Some("series"));
        assert_eq!(module("CREATE TABLE x(a)"), None);
        assert_eq!(module("create virtual table").as_deref(), Some(""));
        assert_eq!(module("CREATE VIRTUAL TABLE x OF fts5").as_deref(), Some(""));
    }
}
