//! An `.slt` file: its records, and what its comments say about them.
//!
//! ```text
//! # section: Functions                     a heading of the matrix
//! # provider URL: {"width": 4}             a scenario of the fake; ${URL} is its address
//! # config: {"clients": {…}}               what REMBED_CONFIG points to
//! # env NAME: value                        a variable of the driver's environment
//! # row: `rembed(client, text)`            a line of the matrix; the records that follow show it
//! # why limbo: no triggers                 the reason of `skipif limbo` in this row
//! ```
//!
//! A comment line that is indented by three spaces or more continues the one before.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use sqllogictest::{Condition, QueryExpect, Record, StatementExpect};

use crate::engines::{self, Engine};
use crate::value::Kind;

/// A line of the matrix.
#[derive(Debug)]
pub struct Row {
    /// The heading above it.
    pub section: String,
    /// The contract's line, in Markdown.
    pub line: String,
    /// Label and reason of what is skipped.
    pub why: Vec<(String, String)>,
}

/// A record and the row that it belongs to; those before the first row prepare the file.
#[derive(Debug)]
pub struct Step {
    /// Index into [`Script::rows`].
    pub row: Option<usize>,
    /// The record.
    pub record: Record<Kind>,
}

/// A file.
#[derive(Debug, Default)]
pub struct Script {
    /// Its name without `.slt`.
    pub name: String,
    /// Scenarios of the fake by variable.
    pub providers: Vec<(String, Value)>,
    /// The content of REMBED_CONFIG.
    pub config: Option<String>,
    /// The driver's environment.
    pub variables: Vec<(String, String)>,
    /// Its lines of the matrix.
    pub rows: Vec<Row>,
    /// Its records.
    pub steps: Vec<Step>,
}

impl Script {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// What sqllogictest cannot parse; a comment that means nothing; a skip without a reason.
    pub fn read(path: &Path) -> Result<Script, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Script::parse(&text, &file).map_err(|why| format!("{file}: {why}"))
    }

    fn parse(text: &str, file: &str) -> Result<Script, String> {
        let records = sqllogictest::parse_with_name(text, file).map_err(|e| e.to_string())?;
        let mut script = Script { name: file.trim_end_matches(".slt").into(), ..Script::default() };
        let mut section = String::new();
        for record in records {
            match &record {
                Record::Comment(lines) => {
                    for line in unfold(lines) {
                        script.comment(&line, &mut section)?;
                    }
                }
                Record::Statement { .. } | Record::Query { .. } => {
                    let row = script.rows.len().checked_sub(1);
                    script.steps.push(Step { row, record });
                }
                Record::Newline | Record::Condition(_) | Record::Connection(_) => {}
                other => return Err(format!("not used here: {other}")),
            }
        }
        script.check()?;
        Ok(script)
    }

    fn comment(&mut self, line: &str, section: &mut String) -> Result<(), String> {
        let Some((head, value)) = line.split_once(": ") else { return Ok(()) };
        let (word, name) = head.split_once(' ').unwrap_or((head, ""));
        let json = || serde_json::from_str::<Value>(value).map_err(|e| format!("# {head}: {e}"));
        match (word, name) {
            ("section", "") => *section = value.into(),
            ("row", "") => {
                self.rows.push(Row { section: section.clone(), line: value.into(), why: Vec::new() });
            }
            ("config", "") => self.config = json().map(|_| Some(value.into()))?,
            ("provider", name) if !name.contains(' ') => self.providers.push((name.into(), json()?)),
            ("env", name) if !name.contains(' ') => self.variables.push((name.into(), value.into())),
            ("why", label) if !label.contains(' ') => {
                let row = self.rows.last_mut().ok_or(format!("# {head}: before the first row"))?;
                row.why.push((label.into(), value.into()));
            }
            // Prose.
            _ => {}
        }
        Ok(())
    }

    /// No skip without a reason, no reason without a skip, no label that no engine has, no row without a record.
    fn check(&self) -> Result<(), String> {
        let mut used = BTreeSet::new();
        for step in &self.steps {
            for condition in conditions(&step.record) {
                let (Condition::OnlyIf { label } | Condition::SkipIf { label }) = condition;
                if !engines::is_label(label) {
                    return Err(format!("no engine has the label '{label}' of {condition:?}"));
                }
                if let Condition::SkipIf { label } = condition {
                    let row = step.row.and_then(|i| self.rows.get(i));
                    if row.is_none_or(|row| row.reason(label).is_none()) {
                        let row = row.map_or("before the first row", |row| &row.line);
                        return Err(format!("skipif {label} without '# why {label}: …' ({row})"));
                    }
                    used.insert((step.row, label.as_str()));
                }
            }
        }
        for (i, row) in self.rows.iter().enumerate() {
            if !self.steps.iter().any(|step| step.row == Some(i)) {
                return Err(format!("a row without a record: {}", row.line));
            }
            if row.section.is_empty() {
                return Err(format!("a row without a section: {}", row.line));
            }
            if let Some((label, _)) = row.why.iter().find(|(label, _)| !used.contains(&(Some(i), label))) {
                return Err(format!("'# why {label}' without a skipif ({})", row.line));
            }
        }
        Ok(())
    }
}

impl Row {
    /// The reason given for a label.
    pub fn reason(&self, label: &str) -> Option<&str> {
        self.why.iter().find(|(of, _)| of == label).map(|(_, why)| why.as_str())
    }
}

/// The conditions of a record.
pub fn conditions(record: &Record<Kind>) -> &[Condition] {
    match record {
        Record::Statement { conditions, .. } | Record::Query { conditions, .. } => conditions,
        _ => &[],
    }
}

/// The first label by which `record` is skipped on `engine`.
pub fn skipped<'a>(record: &'a Record<Kind>, engine: &Engine) -> Option<&'a str> {
    conditions(record).iter().find_map(|condition| match condition {
        Condition::SkipIf { label } if engine.is(label) => Some(label.as_str()),
        _ => None,
    })
}

/// Whether `record` is for other engines only.
pub fn is_foreign(record: &Record<Kind>, engine: &Engine) -> bool {
    let foreign =
        |condition: &Condition| matches!(condition, Condition::OnlyIf { label } if !engine.is(label));
    conditions(record).iter().any(foreign)
}

/// The statement of a record that stands in for a skipped one: marked `onlyif`, and expected to do something.
pub fn replacement(record: &Record<Kind>) -> Option<&str> {
    let only = conditions(record).iter().any(|condition| matches!(condition, Condition::OnlyIf { .. }));
    match record {
        Record::Statement { expected: StatementExpect::Error(_), .. }
        | Record::Query { expected: QueryExpect::Error(_), .. } => None,
        Record::Statement { sql, .. } | Record::Query { sql, .. } => only.then_some(sql),
        _ => None,
    }
}

/// Comments with their continuation lines.
fn unfold(lines: &[String]) -> Vec<String> {
    let mut unfolded: Vec<String> = Vec::new();
    for line in lines {
        match unfolded.last_mut() {
            Some(last) if line.starts_with("   ") => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => unfolded.push(line.trim().into()),
        }
    }
    unfolded
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# section: S\n# provider URL: {\"width\": 4}\n# row: one\n#    and more\n\
                        # why limbo: because\nskipif limbo\nstatement ok\nSELECT 1\n\n\
                        onlyif limbo\nstatement ok\nSELECT 2\n";

    #[test]
    fn comments_say_what_records_show() {
        let script = Script::parse(GOOD, "x.slt").unwrap();
        assert_eq!((script.rows.len(), script.rows[0].line.as_str()), (1, "one and more"));
        assert_eq!(script.rows[0].reason("limbo"), Some("because"));
        assert_eq!((script.name.as_str(), script.providers.len(), script.steps.len()), ("x", 1, 2));
        assert_eq!(replacement(&script.steps[0].record), None);
        assert_eq!(replacement(&script.steps[1].record), Some("SELECT 2"));
        assert_eq!(skipped(&script.steps[0].record, &crate::engines::ENGINES[0]), None);
        assert!(is_foreign(&script.steps[1].record, &crate::engines::ENGINES[0]));
    }

    #[test]
    fn what_would_leave_a_hole_is_refused() {
        for (from, to, why) in [
            ("# why limbo: because\n", "", "without '# why limbo"),
            ("skipif limbo\n", "", "without a skipif"),
            ("# section: S\n", "", "without a section"),
            ("# row: one\n", "# row: none\n\n# row: one\n", "without a record"),
            ("skipif limbo", "skipif bimbo", "no engine has the label 'bimbo'"),
            ("onlyif limbo", "onlyif bimbo", "no engine has the label 'bimbo'"),
            ("{\"width\": 4}", "{", "# provider URL"),
            ("onlyif limbo", "halt\n\nonlyif limbo", "not used here"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            let error = Script::parse(&text, "x.slt").expect_err(to);
            assert!(error.contains(why), "{error}");
        }
    }
}
