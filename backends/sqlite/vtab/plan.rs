//! What SQLite asks before it scans a table, and what the table answers (<https://www.sqlite.org/vtab.html#the_xbestindex_method>).

use std::ffi::{CStr, c_int};

use crate::sql::table::{Constraint, Operator, Order, Plan, Query, Values};
use crate::sqlite::ffi::{self, code, sqlite3_index_info};

/// What SQLite asks. By a raw pointer: sqlite3_vtab_collation() reads what stands behind the struct.
///
/// # Safety
/// SQLite has just passed `info` to xBestIndex.
pub unsafe fn query(info: *mut sqlite3_index_info) -> Query {
    // SAFETY: SQLite passes arrays of nConstraint entries; the collation is a C string or NULL.
    unsafe {
        let constraint = |i: usize| {
            let raw = &*(*info).aConstraint.add(i);
            let operator = operator(raw.op);
            let is_binary = || {
                let name = ffi::vtab_collation(info, i as c_int);
                !name.is_null() && CStr::from_ptr(name).to_bytes().eq_ignore_ascii_case(b"BINARY")
            };
            Constraint {
                column: usize::try_from(raw.iColumn).ok(),
                operator,
                binary: operator == Operator::Equals && is_binary(),
                usable: raw.usable != 0,
                values: if operator == Operator::Equals { values(info, i as c_int) } else { Values::One },
            }
        };
        let order = |i: usize| {
            let raw = &*(*info).aOrderBy.add(i);
            Order { column: usize::try_from(raw.iColumn).ok(), descending: raw.desc != 0 }
        };
        let count = |n: c_int| usize::try_from(n).unwrap_or(0);
        Query {
            constraints: (0..count((*info).nConstraint)).map(constraint).collect(),
            columns: (*info).colUsed,
            order: (0..count((*info).nOrderBy)).map(order).collect(),
        }
    }
}

/// What the value of a constraint with `=` may be.
unsafe fn values(info: *mut sqlite3_index_info, constraint: c_int) -> Values {
    // SAFETY: SQLite has just passed `info` to xBestIndex, which has the constraint.
    match unsafe { ffi::vtab_in(info, constraint, ffi::ASK_WHETHER_IN) } {
        Some(true) => Values::List,
        Some(false) => Values::One,
        None => Values::Unknown,
    }
}

fn operator(op: u8) -> Operator {
    match op {
        code::INDEX_CONSTRAINT_EQ => Operator::Equals,
        code::INDEX_CONSTRAINT_IS => Operator::Is,
        code::INDEX_CONSTRAINT_LT => Operator::Less,
        code::INDEX_CONSTRAINT_LE => Operator::LessOrEquals,
        code::INDEX_CONSTRAINT_GT => Operator::Greater,
        code::INDEX_CONSTRAINT_GE => Operator::GreaterOrEquals,
        code::INDEX_CONSTRAINT_LIMIT => Operator::Limit,
        code::INDEX_CONSTRAINT_OFFSET => Operator::Offset,
        _ => Operator::Other,
    }
}

/// Writes the plan for SQLite.
///
/// # Safety
/// As [`query`].
pub unsafe fn answer(info: *mut sqlite3_index_info, plan: &Plan) {
    // SAFETY: SQLite passes an array of nConstraint entries, and the plan's constraints are of query().
    unsafe {
        for (place, argument) in (1..).zip(&plan.arguments) {
            let exists = argument.constraint < usize::try_from((*info).nConstraint).unwrap_or(0);
            assert!(exists, "no such constraint");
            let usage = &mut *(*info).aConstraintUsage.add(argument.constraint);
            usage.argvIndex = place;
            usage.omit = argument.exact.into();
            if argument.whole {
                ffi::vtab_in(info, argument.constraint as c_int, ffi::TAKE_IN_WHOLE);
            }
        }
        (*info).idxNum = plan.number;
        (*info).idxFlags = if plan.unique { code::INDEX_SCAN_UNIQUE } else { 0 };
        (*info).estimatedCost = plan.cost;
        (*info).estimatedRows = plan.rows;
        (*info).orderByConsumed = plan.ordered.into();
    }
}
