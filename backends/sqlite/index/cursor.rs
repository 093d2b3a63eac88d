//! A scan of an index: the hits of a question, or every chunk where there is none.

use std::sync::Arc;

use super::candidates::is_shown;
use super::search::{Opened, Search};
use super::table::Index;
use crate::base::error::{Error, Result};
use crate::base::words::quoted;
use crate::embed::seen::Seen;
use crate::index::fuse::Hit;
use crate::index::name::quote;
use crate::index::snippet::{DEFAULT_LENGTH, Marker};
use crate::sql::search::{Asked, Bound, Rows, column, echoes, is_asked};
use crate::sql::table::Cursor;
use crate::sql::value::Output;
use crate::sqlite::connection::{Connection, Db};
use crate::sqlite::sql::Statement;
use crate::sqlite::vtab::Argument;

/// The hidden columns that are arguments.
const ARGUMENTS: usize = 4;

/// A scan.
pub struct Scan {
    connection: Arc<Connection>,
    db: Db,
    schema: String,
    name: String,
    /// Lives as long as the statement: a join filters the cursor again for each row of another table.
    opened: Option<Opened>,
    /// The questions of all scans of the index that are open: a statement may have several.
    seen: Arc<Seen>,
    state: State,
    /// Whether there is a question, or NULL for one.
    is_asked: bool,
    /// What the hidden columns give back.
    echoes: [Output; ARGUMENTS],
    /// The rows before this one.
    place: usize,
    /// The number and the text of the row's chunk, once a column asked for them.
    chunk: Option<(i64, String)>,
}

enum State {
    Done,
    /// Every chunk, without a score.
    All(Statement, Asked),
    /// The search, and the hit that the row is. After the last hit it waits for being asked again.
    Search(Box<Search>, Option<Hit>),
}

impl Scan {
    /// A scan of `index`.
    pub fn new(index: &Index) -> Scan {
        Scan {
            connection: index.connection.clone(),
            db: index.db,
            schema: index.schema.clone(),
            name: index.name.clone(),
            opened: None,
            seen: index.seen(),
            state: State::Done,
            is_asked: false,
            echoes: [const { Output::Null }; ARGUMENTS],
            place: 0,
            chunk: None,
        }
    }

    fn all(&mut self, asked: Asked) -> Result<()> {
        let Some(Opened { stored, watched, .. }) = &self.opened else { return Ok(()) };
        let sql = format!(
            "SELECT c.id, c.\"row\", c.seq, c.chunk FROM {} AS c WHERE c.\"row\" BETWEEN ?1 AND ?2 AND {} \
             ORDER BY c.\"row\", c.seq",
            stored.table("chunks"),
            is_shown(stored, watched)
        );
        let mut rows = Statement::prepare(self.db, &sql)?;
        rows.start(&[asked.rows.from.into(), asked.rows.to.into()])?;
        self.state = State::All(rows, asked);
        Ok(())
    }

    /// Goes to the row at the place.
    fn settle(&mut self) -> Result<()> {
        self.chunk = None;
        match &mut self.state {
            State::Done => {}
            State::Search(search, hit) => *hit = search.get(self.place)?,
            State::All(rows, asked) => {
                let is_wanted = |row| {
                    let Rows { among, .. } = &asked.rows;
                    among.as_ref().is_none_or(|among| among.binary_search(&row).is_ok())
                };
                let mut found = asked.k.is_none_or(|k| self.place < k) && rows.step()?;
                while found && !is_wanted(rows.int(1)) {
                    found = rows.step()?;
                }
                if !found {
                    self.state = State::Done;
                }
            }
        }
        Ok(())
    }

    fn chunk(&mut self) -> Result<&(i64, String)> {
        if self.chunk.is_none() {
            self.chunk = Some(match &mut self.state {
                State::Search(search, Some(hit)) => search.chunk(hit)?,
                State::All(rows, _) => (rows.int(2), rows.text(3)),
                _ => (0, String::new()),
            });
        }
        self.chunk.as_ref().ok_or_else(|| Error::invalid("the index has no such chunk"))
    }
}

impl Cursor<Argument> for Scan {
    fn filter(&mut self, plan: i32, arguments: &[Argument]) -> Result<()> {
        self.place = 0;
        self.is_asked = is_asked(plan);
        self.echoes = echoes(plan, arguments, Argument::to_output)?;
        let asked =
            Asked::read(plan, arguments, |list, each| list.each_of_list(|value| each(Bound::of(value))))?;
        let state = std::mem::replace(&mut self.state, State::Done);
        if let State::Search(search, _) = state {
            if search.asked == asked {
                self.state = State::Search(search, None);
                return self.settle();
            }
        }
        if self.opened.is_none() {
            self.opened = Some(Opened::new(self.db, &self.schema, &self.name, self.seen.clone())?);
        }
        if asked.is_empty {
            return Ok(());
        }
        match (asked.question.clone(), &mut self.opened) {
            (Some(question), Some(opened)) => {
                let search = Search::new(&self.connection, opened, asked, &question)?;
                self.state = State::Search(Box::new(search), None);
            }
            _ => self.all(asked)?,
        }
        self.settle()
    }

    fn advance(&mut self) -> Result<()> {
        self.place += 1;
        self.settle()
    }

    fn is_done(&self) -> bool {
        matches!(self.state, State::Done | State::Search(_, None))
    }

    fn column(&mut self, column: usize) -> Result<Output> {
        if column == column::QUERY && !self.is_asked {
            return Err(Error::invalid(format!(
                "the index {} is not asked where this reads its column query: write {}('…'), or compare query by = or IS, in each part \
                 of an OR. In a join, the table that has the questions stands before the index",
                quoted(&self.name),
                quote(&self.name)
            )));
        }
        if let Some(echo) = column.checked_sub(column::QUERY).and_then(|place| self.echoes.get(place)) {
            return Ok(echo.clone());
        }
        match column {
            column::SEQ => return Ok(Output::Int(self.chunk()?.0)),
            column::CHUNK => return Ok(Output::Text(self.chunk()?.1.clone().into())),
            column::SNIPPET => {
                self.chunk()?;
                let text = self.chunk.as_ref().map_or("", |(_, text)| text);
                let snippet = match &self.state {
                    State::Search(search, _) => search.snippet(text),
                    _ => Marker::new("").snippet(text, DEFAULT_LENGTH),
                };
                return Ok(Output::Text(snippet.into()));
            }
            _ => {}
        }
        let rank = |rank: Option<usize>| rank.map_or(Output::Null, |rank| Output::Int(rank as i64));
        Ok(match (&mut self.state, column) {
            (State::All(rows, _), column::ROWID) => Output::Int(rows.int(1)),
            (State::Search(_, Some(hit)), column::ROWID) => Output::Int(hit.row),
            (State::Search(_, Some(hit)), column::SCORE) => Output::Real(hit.score),
            (State::Search(search, Some(hit)), column::DISTANCE) => {
                search.distance(hit)?.map_or(Output::Null, Output::Real)
            }
            (State::Search(_, Some(hit)), column::VEC_RANK) => rank(hit.vec_rank),
            (State::Search(_, Some(hit)), column::FTS_RANK) => rank(hit.fts_rank),
            _ => Output::Null,
        })
    }

    /// The chunk's id: where an OR is two scans, SQLite takes equal numbers for one row.
    fn rowid(&self) -> i64 {
        match &self.state {
            State::All(rows, _) => rows.int(0),
            State::Search(_, Some(hit)) => hit.id,
            _ => 0,
        }
    }
}
