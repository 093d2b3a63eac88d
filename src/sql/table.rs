//! What a virtual table is, on any engine: its columns, how a query on it is planned, its rows, and what changes them.
//! A backend has the callbacks that its engine calls, once, and puts them over any [`Table`].

use std::borrow::Cow;
use std::ffi::CStr;

use crate::base::error::{Error, Result};
use crate::sql::functions::Callers;
use crate::sql::value::{Output, Value};

/// A table of one connection, for an engine whose values are `V`.
pub trait Table<V: Value>: Sized + 'static {
    /// The name that the engine knows it by.
    const NAME: &'static CStr;
    /// Who may use it.
    const CALLERS: Callers;
    /// Whether it takes INSERT, UPDATE and DELETE.
    const WRITABLE: bool = false;
    /// A scan of it.
    type Cursor: Cursor<V>;

    /// The columns, as a CREATE TABLE statement. A table-valued function has its arguments as HIDDEN columns.
    fn declaration(&self) -> Cow<'static, CStr>;

    /// How a scan would answer `query`; `None` where none can before other tables are read. By default it is a scan of
    /// all rows, which the engine filters.
    fn plan(&self, query: &Query) -> Option<Plan> {
        let _ = query;
        Some(Plan::default())
    }

    /// A cursor, which has no row until [`Cursor::filter`].
    fn open(&self) -> Self::Cursor;

    /// Adds a row, of the rowid that the statement names or of a new one, and returns its rowid. `replace` is INSERT OR
    /// REPLACE.
    ///
    /// # Errors
    /// What is wrong with the row. The table is as it was then.
    fn insert(&self, rowid: Option<i64>, columns: &[V], replace: bool) -> Result<i64> {
        let _ = (rowid, columns, replace);
        Err(read_only(Self::NAME))
    }

    /// Changes the row `old`, whose rowid becomes `new`. `replace` is UPDATE OR REPLACE.
    ///
    /// # Errors
    /// As [`Table::insert`].
    fn update(&self, old: i64, new: i64, columns: &[V], replace: bool) -> Result<()> {
        let _ = (old, new, columns, replace);
        Err(read_only(Self::NAME))
    }

    /// Takes the row away.
    ///
    /// # Errors
    /// As [`Table::insert`].
    fn delete(&self, rowid: i64) -> Result<()> {
        let _ = rowid;
        Err(read_only(Self::NAME))
    }
}

/// A scan of a table.
pub trait Cursor<V: Value> {
    /// Begins at the first row, perhaps again: a join filters one cursor for each row of the other table. `plan` is the
    /// [`Plan::number`] that was chosen, and `arguments` are the values of [`Plan::arguments`]. An engine that makes
    /// no plans passes 0, and all arguments of a table-valued function.
    ///
    /// # Errors
    /// Arguments that are wrong; what fails before there is a row.
    fn filter(&mut self, plan: i32, arguments: &[V]) -> Result<()>;

    /// Goes to the next row.
    ///
    /// # Errors
    /// What fails then.
    fn advance(&mut self) -> Result<()>;

    /// Whether it is past the last row.
    fn is_done(&self) -> bool;

    /// A column of the row.
    ///
    /// # Errors
    /// A row that failed.
    fn column(&mut self, column: usize) -> Result<Output>;

    /// The row's number.
    fn rowid(&self) -> i64;
}

/// What the engine asks a table when it looks for the cheapest way to run a statement.
#[derive(Debug, Default)]
pub struct Query {
    /// The comparisons of WHERE and ON whose left side is a column of the table.
    pub constraints: Vec<Constraint>,
    /// The columns that the statement reads, a bit each. The last bit stands for all columns from there on.
    pub columns: u64,
    /// What ORDER BY asks for; empty where nothing is, or not of this table alone.
    pub order: Vec<Order>,
}

/// A column of ORDER BY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// The column; `None` is the rowid.
    pub column: Option<usize>,
    /// Whether the largest comes first.
    pub descending: bool,
}

impl Query {
    /// Whether the statement reads the column.
    pub fn reads(&self, column: usize) -> bool {
        self.columns & (1 << column.min(63)) != 0
    }
}

/// A comparison of a column with a value.
#[derive(Debug)]
pub struct Constraint {
    /// The column; `None` is the rowid.
    pub column: Option<usize>,
    /// How the two are compared.
    pub operator: Operator,
    /// Whether `=` compares byte by byte, and not by another collation.
    pub binary: bool,
    /// Whether the value is known before the scan begins. It is not where it comes from a table that is read later.
    pub usable: bool,
    /// Of `=` alone: what its value may be.
    pub values: Values,
}

/// What the value of `=` may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// One value.
    One,
    /// Each of a list, `column IN (…)`: one after the other, a scan each, unless the plan takes the list whole.
    List,
    /// Either: the engine does not tell.
    Unknown,
}

impl Constraint {
    /// Whether it is `=`.
    pub fn is_equals(&self) -> bool {
        self.operator == Operator::Equals
    }
}

/// How a column is compared. `Limit` and `Offset` are of no column: the value is that of the statement's clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // each is the operator of its name
pub enum Operator {
    Equals,
    Is,
    Less,
    LessOrEquals,
    Greater,
    GreaterOrEquals,
    Limit,
    Offset,
    /// MATCH, LIKE and whatever else there is.
    Other,
}

/// A way to scan a table, and what it costs.
#[derive(Debug)]
pub struct Plan {
    /// What [`Cursor::filter`] is told of the plan.
    pub number: i32,
    /// The arguments of [`Cursor::filter`], in their order.
    pub arguments: Vec<Argument>,
    /// Whether there is one row at most.
    pub unique: bool,
    /// What it costs, in an unknown unit that all tables share.
    pub cost: f64,
    /// How many rows it gives, about.
    pub rows: i64,
    /// Whether the rows come in the order that [`Query::order`] asks for.
    pub ordered: bool,
}

impl Default for Plan {
    /// A scan of all rows of a small table.
    fn default() -> Plan {
        Plan { number: 0, arguments: Vec::new(), unique: false, cost: 100.0, rows: 25, ordered: false }
    }
}

/// A constraint whose value is an argument of [`Cursor::filter`].
#[derive(Debug, Clone, Copy)]
pub struct Argument {
    /// The constraint, by its place in [`Query::constraints`].
    pub constraint: usize,
    /// Whether the rows of the scan all meet it, so that the engine need not check.
    pub exact: bool,
    /// Whether the value is the whole list of [`Values::List`].
    pub whole: bool,
}

fn read_only(name: &CStr) -> Error {
    Error::invalid(format!("{} is a function: it has no rows to change", name.to_string_lossy()))
}
