//! What a query asks of an index: its constraints as a plan, and the plan's arguments as a question.

use std::collections::HashSet;

use crate::base::error::{Error, Result};
use crate::base::words::{did_you_mean, quoted};
use crate::index::config::COLUMNS;
use crate::index::scan::Filter;
use crate::sql::table::{Argument, Operator, Order, Plan, Query, Values};
use crate::sql::value::{Kind, Output, Value};

/// The columns of an index, by their places in [`COLUMNS`].
pub mod column {
    #![allow(missing_docs)] // each is the column of its name
    pub const ROWID: usize = 0;
    pub const SEQ: usize = 1;
    pub const CHUNK: usize = 2;
    pub const SNIPPET: usize = 3;
    pub const SCORE: usize = 4;
    pub const DISTANCE: usize = 5;
    pub const VEC_RANK: usize = 6;
    pub const FTS_RANK: usize = 7;
    pub const QUERY: usize = 8;
    pub const K: usize = 9;
    pub const MODE: usize = 10;
    pub const PER_CHUNK: usize = 11;
}

/// What a scan costs. A constraint of the rowid makes it no cheaper: the joined table would become the outer loop, and each of its
/// rows a search.
const COST: f64 = 1e7;

/// What a scan of every chunk costs, where a condition on the question is in an OR: a scan for each part of it is meant.
const COST_OF_NONE: f64 = 1e30;

/// The arguments, in their order; the number of a plan has a bit for each that is given.
const ARGUMENTS: [(Option<usize>, Operator); 10] = [
    (Some(column::QUERY), Operator::Equals),
    (Some(column::K), Operator::Equals),
    (Some(column::MODE), Operator::Equals),
    (Some(column::PER_CHUNK), Operator::Equals),
    (Some(column::ROWID), Operator::Equals),
    (Some(column::ROWID), Operator::Greater),
    (Some(column::ROWID), Operator::GreaterOrEquals),
    (Some(column::ROWID), Operator::Less),
    (Some(column::ROWID), Operator::LessOrEquals),
    (None, Operator::Limit),
];
/// OFFSET, which is of no column either.
const OFFSET: usize = ARGUMENTS.len();
/// The place of the argument `rowid = …`.
const ROWID_EQUALS: usize = 4;
/// Where its value is a list.
const LIST: i32 = 1 << (OFFSET + 1);
/// Where the question is given by IS, which compares with NULL too.
const IS: i32 = 1 << (OFFSET + 2);
/// The number of a plan before anything is known of it.
const NONE: Option<Argument> = None;

/// The plan for a query; `None` where an argument comes from a table that is read later.
pub fn plan(query: &Query) -> Option<Plan> {
    let mut given = [NONE; OFFSET + 1];
    let mut number = 0;
    for (constraint, asked) in query.constraints.iter().enumerate() {
        let place = match asked.operator {
            Operator::Offset => Some(OFFSET),
            Operator::Limit => Some(OFFSET - 1),
            Operator::Is => ARGUMENTS[..ROWID_EQUALS].iter().position(|(column, _)| *column == asked.column),
            operator => ARGUMENTS.iter().position(|known| *known == (asked.column, operator)),
        };
        let Some(place) = place else { continue };
        let is_argument = place < ROWID_EQUALS;
        if !asked.usable {
            // A plan without the argument would be another search.
            if is_argument {
                return None;
            }
            continue;
        }
        let is_list = asked.values == Values::List;
        // A list that comes one by one would be a search each.
        if place == ROWID_EQUALS && asked.values == Values::Unknown {
            continue;
        }
        if given[place].is_none() {
            // What the scan does not take exactly as SQL compares it, the engine looks at again.
            let whole = place == ROWID_EQUALS && is_list;
            number |= if whole { LIST } else { 0 };
            number |= if place == 0 && asked.operator == Operator::Is { IS } else { 0 };
            given[place] = Some(Argument { constraint, exact: is_argument, whole });
        }
    }
    for (place, argument) in given.iter().enumerate() {
        number |= i32::from(argument.is_some()) << place;
    }
    let best_first = [Order { column: Some(column::SCORE), descending: true }];
    let is_search = given[0].is_some();
    let is_of_rows = given[ROWID_EQUALS..OFFSET - 1].iter().any(Option::is_some);
    Some(Plan {
        number,
        arguments: given.into_iter().flatten().collect(),
        unique: false,
        cost: if !is_search && !is_of_rows && query.reads(column::QUERY) { COST_OF_NONE } else { COST },
        rows: if is_search { 100 } else { 1_000_000 },
        ordered: is_search && query.order == best_first,
    })
}

/// Which rankings a search asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // each is the mode of its name
pub enum Mode {
    Hybrid,
    Vector,
    Words,
}

/// What a query asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The question, without NULs. `None`: every chunk is asked for.
    pub question: Option<String>,
    /// The most rows.
    pub k: Option<usize>,
    /// Which rankings.
    pub mode: Mode,
    /// Whether chunks are asked for, and not content rows by their best chunk.
    pub per_chunk: bool,
    /// Which content rows.
    pub rows: Rows,
    /// How many rows will be read, as far as LIMIT says.
    pub limit: Option<usize>,
    /// Whether it has no row: a comparison with NULL, a question without anything in it, k = 0.
    pub is_empty: bool,
}

/// Which content rows are asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// The lowest rowid.
    pub from: i64,
    /// The highest rowid.
    pub to: i64,
    /// Those of them alone that are here, in order.
    pub among: Option<Vec<i64>>,
}

impl Rows {
    /// All.
    pub const ALL: Rows = Rows { from: i64::MIN, to: i64::MAX, among: None };

    /// As a scan takes them.
    pub fn filter(&self) -> Filter {
        let filter = Filter::default().within(self.from..=self.to);
        match &self.among {
            Some(rows) => filter.among(rows.iter().copied().collect::<HashSet<i64>>()),
            None => filter,
        }
    }
}

impl Asked {
    /// Reads the arguments of the plan `number`. `list` gives the values of one that is a list.
    ///
    /// # Errors
    /// An argument that is no question, number or mode.
    pub fn read<V: Value>(
        number: i32,
        arguments: &[V],
        list: impl Fn(&V, &mut dyn FnMut(Bound)) -> Result<(), String>,
    ) -> Result<Asked> {
        let mut given = arguments.iter();
        let mut asked = Asked {
            question: None,
            k: None,
            mode: Mode::Hybrid,
            per_chunk: false,
            rows: Rows::ALL,
            limit: None,
            is_empty: false,
        };
        let mut offset = 0;
        for place in 0..=OFFSET {
            if number & (1 << place) == 0 {
                continue;
            }
            let Some(value) = given.next() else { break };
            match place {
                0 if number & IS != 0 && value.is_null() => {}
                0 => asked.question = asked.question(value)?,
                1 => asked.k = count(value, "k")?,
                2 => asked.mode = mode(value)?,
                3 => asked.per_chunk = count(value, "per_chunk")?.is_some_and(|n| n > 0),
                ROWID_EQUALS if number & LIST != 0 => {
                    let mut rows = Vec::new();
                    list(value, &mut |bound| rows.extend(bound.exactly())).map_err(Error::Invalid)?;
                    rows.sort_unstable();
                    rows.dedup();
                    asked.rows.among = Some(rows);
                }
                _ if place < OFFSET - 1 => asked.restrict(place, &Bound::of(value)),
                _ if value.kind() != Kind::Integer => {}
                OFFSET => offset = usize::try_from(value.int()).unwrap_or(0),
                _ => asked.limit = usize::try_from(value.int()).ok(),
            }
        }
        asked.limit = asked.limit.map(|limit| limit.saturating_add(offset));
        let Rows { from, to, among } = &asked.rows;
        asked.is_empty |= asked.k == Some(0) || from > to || among.as_ref().is_some_and(Vec::is_empty);
        Ok(asked)
    }

    /// How many rows will be read, as far as anything says.
    pub fn hint(&self) -> Option<usize> {
        self.k.or(self.limit)
    }

    fn question<V: Value>(&mut self, value: &V) -> Result<Option<String>> {
        let text = value.text("query").map_err(Error::Invalid)?;
        let text = text.map_or_else(String::new, |text| text.replace('\0', ""));
        self.is_empty |= text.trim().is_empty();
        Ok(Some(text))
    }

    fn restrict(&mut self, place: usize, bound: &Bound) {
        let Rows { from, to, .. } = &mut self.rows;
        match (place, bound) {
            (_, Bound::Null) => self.is_empty = true,
            (_, Bound::Other) => {}
            (ROWID_EQUALS, Bound::Between(below, above)) => {
                *from = (*from).max(*above);
                *to = (*to).min(*below);
            }
            // Greater, and greater or equal.
            (5, Bound::Between(below, _)) => match below.checked_add(1) {
                Some(least) => *from = (*from).max(least),
                None => self.is_empty = true,
            },
            (6, Bound::Between(_, above)) => *from = (*from).max(*above),
            (7, Bound::Between(_, above)) => match above.checked_sub(1) {
                Some(most) => *to = (*to).min(most),
                None => self.is_empty = true,
            },
            (_, Bound::Between(below, _)) => *to = (*to).min(*below),
        }
    }
}

/// A value that rowids are compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// The integers next to it, below and above: twice itself where it is one.
    Between(i64, i64),
    /// NULL, to which nothing compares.
    Null,
    /// Text and the like. The engine compares.
    Other,
}

impl Bound {
    /// Of a value.
    pub fn of<V: Value>(value: &V) -> Bound {
        match value.kind() {
            Kind::Integer => Bound::Between(value.int(), value.int()),
            Kind::Null => Bound::Null,
            // Far from the ends of the integers, where a real number tells them apart.
            Kind::Real if value.real().abs() < 9e15 => {
                Bound::Between(value.real().floor() as i64, value.real().ceil() as i64)
            }
            _ => Bound::Other,
        }
    }

    fn exactly(self) -> Option<i64> {
        match self {
            Bound::Between(below, above) if below == above => Some(below),
            _ => None,
        }
    }
}

fn count<V: Value>(value: &V, what: &str) -> Result<Option<usize>> {
    value.count().map_err(|got| {
        let rows = if what == "k" { "a whole number of rows, 0 or more" } else { "0 or 1" };
        Error::invalid(format!("{what} is {got}: it must be {rows}"))
    })
}

fn mode<V: Value>(value: &V) -> Result<Mode> {
    const MODES: [&str; 3] = ["hybrid", "vector", "words"];
    let text = match value.kind() {
        Kind::Null => return Ok(Mode::Hybrid),
        _ => value.text("mode").map_err(Error::Invalid)?.unwrap_or_default(),
    };
    match MODES.iter().position(|mode| text.trim().eq_ignore_ascii_case(mode)) {
        Some(0) => Ok(Mode::Hybrid),
        Some(1) => Ok(Mode::Vector),
        Some(_) => Ok(Mode::Words),
        None => Err(Error::invalid(format!(
            "mode is {}.{} It must be one of: {}",
            quoted(&text),
            did_you_mean(&text, MODES),
            MODES.join(", ")
        ))),
    }
}

/// Whether the plan `number` has a question: without one, the column of questions has nothing to compare with.
pub fn is_asked(number: i32) -> bool {
    number & 1 != 0
}

/// Copies of the arguments, for the hidden columns that give them back: in an OR, the engine looks at them again.
pub fn echoes<V: Value>(
    number: i32,
    arguments: &[V],
    copy: impl Fn(&V) -> Result<Output>,
) -> Result<[Output; ROWID_EQUALS]> {
    let mut echoes = [const { Output::Null }; ROWID_EQUALS];
    let mut given = arguments.iter();
    for (place, echo) in echoes.iter_mut().enumerate() {
        if number & (1 << place) != 0 {
            if let Some(value) = given.next() {
                *echo = copy(value)?;
            }
        }
    }
    Ok(echoes)
}

const _: () = assert!(COLUMNS.len() == column::PER_CHUNK + 2);

#[cfg(test)]
mod tests;
