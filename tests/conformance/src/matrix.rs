//! compat-matrix.md: rows are the contract's lines, columns the engines.

use std::fmt::Write as _;

use crate::driver::Greeting;
use crate::engines::Engine;
use crate::run::Cell;
use crate::script::Script;
use crate::summary::{self, Group};

const HEAD: &str = "\
# Compatibility

What `tests/conformance/*.slt` says, run on every engine and by every way in. Written by `tests/conformance/run.sh`; a change by hand is
undone, and CI fails when the file is stale.

✓ the statement does what the contract says · ↪ *n* another statement does the same, note *n* names it · ✗ *n* nothing does, note *n* says why
";

const TAIL: &str = "
## Refused

The shell `tursodb` of npm `turso` 0.6.0 has Turso's extension API of before 0.7. It is told so by a line on standard error, does without the
functions and goes on, and so does a Limbo that is given Turso's library, or `tursodb` that is given Limbo's (`tests/engines/turso`,
`tests/engines/limbo`).

## A server

A libSQL server (`sqld` 0.24.32) of its own lacks the functions, and stores and searches what is bound to a statement; an embedded replica has
them for reads. A server that trusts the extension (`--extensions-path`) has them for all (`tests/engines/libsql/tests/remote.rs`).

## Not here

No statement shows these lines of the contract; programs do: that a statement can be interrupted, that SQLITE_BUSY and SQLITE_LOCKED never
come from the extension (`tests/engines/sqlite`, `tests/engines/proxysql`), and what `REMBED_PROGRESS` draws (`tests/cache`).
";

/// The lines of a difference that are printed; the file has them all.
const SHOWN: usize = 40;

/// An engine and what came of the files, in their order.
pub struct Column<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// Who its driver says it is.
    pub greeting: Greeting,
    /// One list a file.
    pub cells: Vec<Vec<Cell>>,
}

/// A note and the engines that it is about.
struct Note<'a> {
    text: String,
    engines: Vec<&'a str>,
}

/// The whole file: the engines at a glance, what differs, and the whole of it last.
///
/// # Errors
/// A cell that would be empty.
pub fn render(scripts: &[Script], columns: &[Column<'_>]) -> Result<String, String> {
    let mut notes: Vec<Note<'_>> = Vec::new();
    let mut tables = String::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for section in sections(scripts) {
        heading(&mut tables, section, columns);
        let mut rows = Vec::new();
        for (file, script) in scripts.iter().enumerate() {
            for (i, row) in script.rows.iter().enumerate().filter(|(_, row)| row.section == section) {
                let mut marks = Vec::new();
                for column in columns {
                    let mark = mark(&column.cells[file][i], column.engine.id, &mut notes);
                    marks.push(mark.map_err(|why| format!("{}: {}: {why}", script.name, row.line))?);
                }
                let line = row.line.replace('|', "\\|");
                let _ = writeln!(tables, "| {line} | {} |", marks.join(" | "));
                rows.push((line, marks));
            }
        }
        groups.push(Group { section, rows });
    }
    let engines: Vec<_> = columns.iter().map(|column| column.engine).collect();
    let mut out = HEAD.to_owned();
    out += &summary::glance(&groups, &engines);
    out += &summary::differences(&groups, &engines);
    out += "\n## Notes\n\n";
    for (i, note) in notes.iter().enumerate() {
        let engines: Vec<_> = note.engines.iter().map(|id| format!("`{id}`")).collect();
        let _ = writeln!(out, "{}. {}: {}", i + 1, engines.join(", "), note.text);
    }
    if notes.is_empty() {
        out += "None.\n";
    }
    out += TAIL;
    out += "\n## Every way in\n\n| column | engine | host | the extension is |\n| --- | --- | --- | --- |\n";
    for column in columns {
        let Greeting { engine, host } = &column.greeting;
        let _ = writeln!(out, "| `{}` | {engine} | {host} | {} |", column.engine.id, column.engine.way);
    }
    Ok(out + &tables)
}

/// The headings, in the order of the files: several files may have one.
fn sections(scripts: &[Script]) -> Vec<&str> {
    let mut sections: Vec<&str> = Vec::new();
    for row in scripts.iter().flat_map(|script| &script.rows) {
        if !sections.contains(&row.section.as_str()) {
            sections.push(&row.section);
        }
    }
    sections
}

fn heading(out: &mut String, section: &str, columns: &[Column<'_>]) {
    let _ = write!(out, "\n### {section}\n\n| |");
    for Column { engine, greeting, .. } in columns {
        // No line breaks within a version: the column is as narrow as its longest word.
        let _ =
            write!(out, " `{}`<br>{}<br>{} |", engine.id, greeting.engine.replace(' ', "&nbsp;"), engine.way);
    }
    out.push_str("\n| --- |");
    out.push_str(&" :---: |".repeat(columns.len()));
    out.push('\n');
}

fn mark<'a>(cell: &Cell, id: &'a str, notes: &mut Vec<Note<'a>>) -> Result<String, String> {
    if cell.why.is_empty() {
        return if cell.ran == 0 {
            Err(format!("the row says nothing about {id}"))
        } else {
            Ok("✓".into())
        };
    }
    let mut text = cell.why.join("; ");
    let mark = if cell.instead.is_empty() { '✗' } else { '↪' };
    if !cell.instead.is_empty() {
        let statements: Vec<_> = cell.instead.iter().map(|sql| code(sql)).collect();
        let _ = write!(text, ". Instead: {}", statements.join(" "));
    }
    let number = notes.iter().position(|note| note.text == text).unwrap_or_else(|| {
        notes.push(Note { text, engines: Vec::new() });
        notes.len() - 1
    });
    if !notes[number].engines.contains(&id) {
        notes[number].engines.push(id);
    }
    Ok(format!("{mark}&nbsp;{}", number + 1))
}

/// A statement on one line, with an address that a reader can take for what it is.
fn code(sql: &str) -> String {
    let mut line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    while let Some((start, end)) = line.find("${").and_then(|at| Some((at, at + line[at..].find('}')? + 1))) {
        line.replace_range(start..end, "http://…");
    }
    let ticks = if line.contains('`') { "``" } else { "`" };
    format!("{ticks}{line};{ticks}")
}

/// The lines in which two texts differ, for people.
pub fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    // Once each: every section repeats the heads of the columns.
    let only = |sign: char, these: &[&str], those: &[&str]| -> String {
        let mut seen = std::collections::BTreeSet::new();
        let new = these.iter().filter(|line| !those.contains(line) && seen.insert(**line));
        new.map(|line| format!("{sign} {line}\n")).collect()
    };
    let all = only('-', &old, &new) + &only('+', &new, &old);
    match all.match_indices('\n').nth(SHOWN) {
        Some((end, _)) => format!("{}…\n", &all[..=end]),
        None => all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(ran: usize, why: &[&str], instead: &[&str]) -> Cell {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Cell { ran, why: owned(why), instead: owned(instead) }
    }

    #[test]
    fn a_cell_is_a_mark_or_a_note() {
        let mut notes = Vec::new();
        assert_eq!(mark(&cell(1, &[], &[]), "a", &mut notes).unwrap(), "✓");
        assert_eq!(mark(&cell(1, &["no"], &[]), "a", &mut notes).unwrap(), "✗&nbsp;1");
        let other = cell(1, &["so"], &["SELECT\n '${URL}/v1'"]);
        assert_eq!(mark(&other, "a", &mut notes).unwrap(), "↪&nbsp;2");
        assert_eq!(mark(&cell(0, &["no"], &[]), "b", &mut notes).unwrap(), "✗&nbsp;1");
        assert_eq!(
            (notes[0].engines.as_slice(), notes[1].text.as_str()),
            (&["a", "b"][..], "so. Instead: `SELECT 'http://…/v1';`")
        );
        assert!(mark(&cell(0, &[], &[]), "a", &mut notes).is_err());
    }

    #[test]
    fn a_difference_is_short() {
        assert_eq!(difference("a\nb\nb\n", "a\nc\n"), "- b\n+ c\n");
        let long: String = (0..100).map(|i| format!("{i}\n")).collect();
        assert_eq!(difference("", &long).lines().count(), SHOWN + 2);
    }
}
