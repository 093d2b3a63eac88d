//! What one statement on `rembed_clients` has done, for an engine whose table is rows with triggers. The engine undoes the
//! rows of a statement that fails, and tells nobody: the session undoes the clients.

use std::sync::{MutexGuard, PoisonError};

use super::session::Session;
use crate::base::error::{Error, Result};
use crate::base::guard::guard;
use crate::client::registry::Change;

/// How far a row is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Row {
    /// None has begun, or its client is changed.
    #[default]
    None,
    Begun,
    /// The trigger has begun to put its name into the table.
    Named,
}

/// The last statement that began a row.
#[derive(Debug, Default)]
pub(super) struct Statement {
    /// How many statements there have been on the session.
    count: i64,
    number: i64,
    row: Row,
    /// Kept until the next statement begins, since nothing tells that this one has ended.
    changes: Vec<Change>,
    undone: bool,
}

#[doc(hidden)]
impl Session {
    /// The number of a new statement.
    pub fn number_statement(&self) -> i64 {
        let mut statement = self.statement();
        statement.count += 1;
        statement.count
    }

    /// Begins a row of the statement of this number. A row that is not `filled` begins no statement: it is the name that
    /// the trigger puts into the table first, or a row of a user that is refused.
    pub fn begin_row(&self, number: i64, filled: bool) {
        let mut statement = self.statement();
        statement.row = match (statement.number == number, filled, statement.row) {
            (true, _, _) => Row::Begun,
            (false, true, _) => {
                *statement = Statement { count: statement.count, number, ..Statement::default() };
                Row::Begun
            }
            (false, false, Row::Begun) => Row::Named,
            // The row before has failed.
            (false, false, _) => Row::None,
        };
    }

    /// Changes the clients of `names` by `work`. An error undoes what the statement did before, if a row of it has begun:
    /// what a user does beside the table undoes nothing.
    ///
    /// # Errors
    /// That of `work`, or its panic.
    pub fn change<T>(&self, names: &[&str], work: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut statement = self.statement();
        let in_row = std::mem::take(&mut statement.row) != Row::None;
        let work = || guard(work).unwrap_or_else(|panic| Err(Error::Invalid(panic)));
        let (done, changes) = self.registry.changes_of(names, work);
        if in_row {
            statement.changes.extend(changes);
            if done.is_err() {
                self.registry.undo(&std::mem::take(&mut statement.changes));
            }
        }
        done
    }

    /// Undoes what the statement did so far, for a row that the engine may refuse.
    pub fn undo_statement(&self) {
        let mut statement = self.statement();
        if !std::mem::replace(&mut statement.undone, true) {
            self.registry.undo(&statement.changes);
        }
    }

    /// Does again what [`Session::undo_statement`] has undone, if the engine did not refuse the row.
    pub fn redo_statement(&self) {
        let mut statement = self.statement();
        if std::mem::take(&mut statement.undone) {
            self.registry.redo(&statement.changes);
        }
    }

    fn statement(&self) -> MutexGuard<'_, Statement> {
        self.statement.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn set(session: &Session, name: &str, format: &str) -> bool {
        let options = Map::from_iter([("format".to_owned(), json!(format))]);
        session.change(&[name], || session.register(name, options)).is_ok()
    }

    fn row(session: &Session, number: i64, name: &str, format: &str) -> bool {
        session.begin_row(number, true);
        session.begin_row(session.number_statement(), false);
        set(session, name, format)
    }

    #[test]
    fn an_error_undoes_the_rows_of_its_statement_alone() {
        let s = Session::default();
        let first = s.number_statement();
        assert!(row(&s, first, "a", "openai"));
        let second = s.number_statement();
        assert!(row(&s, second, "b", "openai") && row(&s, second, "a", "cohere"));
        assert!(!row(&s, second, "c", "nonsense"));
        assert_eq!(s.client_names().unwrap(), ["a"]);
        assert_eq!(s.client("a").unwrap().format(), "openai");
        assert!(!row(&s, first, "c", "nonsense"));
        assert_eq!(s.client_names().unwrap(), ["a"]);
    }

    #[test]
    fn an_error_beside_the_table_undoes_nothing() {
        let s = Session::default();
        let number = s.number_statement();
        assert!(row(&s, number, "a", "openai") && !set(&s, "b", "nonsense"));
        // A row that the engine refused, then one of another statement that has only a name.
        s.begin_row(number, true);
        s.begin_row(s.number_statement(), false);
        let other = s.number_statement();
        s.begin_row(other, false);
        s.begin_row(s.number_statement(), false);
        assert!(!set(&s, "b", "nonsense"));
        assert_eq!(s.client_names().unwrap(), ["a"]);
    }

    #[test]
    fn what_is_undone_for_a_row_comes_back() {
        let s = Session::default();
        let number = s.number_statement();
        assert!(row(&s, number, "a", "openai"));
        s.redo_statement();
        s.begin_row(number, true);
        s.undo_statement();
        s.undo_statement();
        assert!(s.client_names().unwrap().is_empty());
        s.redo_statement();
        s.redo_statement();
        assert_eq!(s.client_names().unwrap(), ["a"]);
    }
}
