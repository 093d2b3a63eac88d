//! The first tables of compat-matrix.md: an engine a column, whatever the ways into it.

use std::fmt::Write as _;

use crate::engines::Engine;

/// The engines as people name them, by the first label of their ways in.
const FAMILIES: [(&str, &str); 4] =
    [("sqlite", "SQLite"), ("libsql", "libSQL"), ("limbo", "Limbo"), ("turso", "Turso")];

/// A section of the contract: its rows, each with a mark for every way in.
pub struct Group<'a> {
    /// The heading.
    pub section: &'a str,
    /// The contract's line, and the marks in the order of the columns.
    pub rows: Vec<(String, Vec<String>)>,
}

/// One table that counts the rows of each section. A row counts by its worst way in.
pub fn glance(groups: &[Group<'_>], engines: &[&Engine]) -> String {
    let mut out = head(
        "At a glance",
        "Rows of each part of the contract, counted by the worst of the ways into an engine.",
    );
    for group in groups {
        let _ = write!(out, "| {} |", group.section);
        for (family, _) in FAMILIES {
            let worst = group.rows.iter().filter_map(|(_, marks)| worst(marks, engines, family));
            let worst: Vec<char> = worst.collect();
            let count = |sign: char| (worst.iter().filter(|w| **w == sign).count(), sign);
            let counts = ['✓', '↪', '✗'].map(count);
            let shown: Vec<_> =
                counts.iter().filter(|(n, _)| *n > 0).map(|(n, sign)| format!("{n}&nbsp;{sign}")).collect();
            let _ = write!(out, " {} |", shown.join(" · "));
        }
        out.push('\n');
    }
    out
}

/// The rows that are not ✓ everywhere.
pub fn differences(groups: &[Group<'_>], engines: &[&Engine]) -> String {
    let mut out = head("What differs", "The rows that are not ✓ everywhere. All others are.");
    for (line, marks) in groups.iter().flat_map(|group| &group.rows) {
        if marks.iter().all(|mark| mark == "✓") {
            continue;
        }
        let _ = write!(out, "| {line} |");
        for (family, _) in FAMILIES {
            let _ = write!(out, " {} |", of_family(marks, engines, family));
        }
        out.push('\n');
    }
    out
}

fn head(title: &str, text: &str) -> String {
    let names = FAMILIES.map(|(_, name)| name).join(" | ");
    format!("\n## {title}\n\n{text}\n\n| | {names} |\n| --- | {} |\n", [":---:"; FAMILIES.len()].join(" | "))
}

/// The marks of the ways into one engine.
fn ways<'a>(
    marks: &'a [String],
    engines: &'a [&Engine],
    family: &'a str,
) -> impl Iterator<Item = (&'a str, &'static str)> {
    let all = marks.iter().zip(engines);
    all.filter(move |(_, engine)| engine.is(family)).map(|(mark, engine)| (mark.as_str(), engine.id))
}

fn worst(marks: &[String], engines: &[&Engine], family: &str) -> Option<char> {
    let signs: Vec<char> = ways(marks, engines, family).filter_map(|(mark, _)| mark.chars().next()).collect();
    ['✗', '↪', '✓'].into_iter().find(|sign| signs.contains(sign))
}

/// One mark where all ways into an engine agree; else each that is not ✓, with the ways that it is for.
fn of_family(marks: &[String], engines: &[&Engine], family: &str) -> String {
    let ways: Vec<_> = ways(marks, engines, family).collect();
    let mut kinds: Vec<&str> = Vec::new();
    for (mark, _) in &ways {
        if !kinds.contains(mark) {
            kinds.push(mark);
        }
    }
    if let [one] = kinds[..] {
        return one.to_owned();
    }
    let several = kinds.iter().filter(|kind| **kind != "✓").map(|kind| {
        let ids: Vec<_> =
            ways.iter().filter(|(mark, _)| mark == kind).map(|(_, id)| format!("`{id}`")).collect();
        format!("{kind} {}", ids.join(", "))
    });
    let several: Vec<_> = several.collect();
    let rest = if kinds.contains(&"✓") { "✓, but " } else { "" };
    format!("{rest}{}", several.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::ENGINES;

    fn groups() -> Vec<Group<'static>> {
        let marks = |change: &dyn Fn(&Engine) -> &'static str| -> Vec<String> {
            ENGINES.iter().map(|engine| change(engine).to_owned()).collect()
        };
        let same = marks(&|_| "✓");
        let one_way = marks(&|engine| if engine.id == "proxysql" { "✗&nbsp;4" } else { "✓" });
        let family = marks(&|engine| if engine.is("limbo") { "↪&nbsp;1" } else { "✓" });
        let rows = [("all", same), ("one way", one_way), ("an engine", family)];
        vec![Group {
            section: "Functions",
            rows: rows.map(|(line, marks)| (line.to_owned(), marks)).to_vec(),
        }]
    }

    #[test]
    fn a_row_counts_by_its_worst_way_in() {
        let engines: Vec<_> = ENGINES.iter().collect();
        let table = glance(&groups(), &engines);
        let row = "| Functions | 2&nbsp;✓ · 1&nbsp;✗ | 3&nbsp;✓ | 2&nbsp;✓ · 1&nbsp;↪ | 3&nbsp;✓ |";
        assert!(table.contains(row), "{table}");
    }

    #[test]
    fn only_rows_that_differ_are_listed() {
        let engines: Vec<_> = ENGINES.iter().collect();
        let table = differences(&groups(), &engines);
        assert!(!table.contains("| all |"), "{table}");
        assert!(table.contains("| one way | ✓, but ✗&nbsp;4 `proxysql` | ✓ | ✓ | ✓ |"), "{table}");
        assert!(table.contains("| an engine | ✓ | ✓ | ↪&nbsp;1 | ✓ |"), "{table}");
    }
}
