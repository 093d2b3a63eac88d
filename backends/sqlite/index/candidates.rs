//! What both rankings of a search have in common: which content rows they look at.

use super::stored::Stored;
use crate::index::ddl::{MARKS, Mark, Watched};
use crate::index::name::quote;
use crate::sql::search::Rows;

/// Up to so many content rows are looked at one by one: a scan would read every vector.
const FEW: usize = 64;

/// Rows that are asked for, where they are few.
pub fn few(rows: &Rows) -> Option<Vec<i64>> {
    let wanted = |row: &i64| (rows.from..=rows.to).contains(row);
    match &rows.among {
        Some(among) if among.len() <= FEW => Some(among.iter().copied().filter(wanted).collect()),
        None if rows.from == rows.to => Some(vec![rows.from]),
        _ => None,
    }
}

/// A condition on chunks `c`: their row is there, and no mark hides it. REPLACE takes rows away without a mark.
pub fn is_shown(stored: &Stored, watched: &Watched) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM {} AS m WHERE m.\"row\" = c.\"row\" AND m.kind IS NOT {}) \
         AND EXISTS (SELECT 1 FROM {} AS d WHERE d.{} = c.\"row\")",
        stored.table(MARKS),
        Mark::Changed as i64,
        stored.content(watched),
        quote(&watched.rowid)
    )
}
