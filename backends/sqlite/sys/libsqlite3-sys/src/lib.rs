//! The types and functions that sqlite-loadable names when its feature `static` is on. The crate of this
//! name compiles a SQLite of its own into the archive; here the host that links the archive supplies it.
//!
//! `functions.rs` is written by `../generate.sh`.
#![no_std]
#![allow(clippy::all)]

pub use sqlite3ext_sys::{
    sqlite3, sqlite3_api_routines, sqlite3_context, sqlite3_index_info,
    sqlite3_index_info_sqlite3_index_constraint as sqlite3_index_constraint,
    sqlite3_index_info_sqlite3_index_constraint_usage as sqlite3_index_constraint_usage,
    sqlite3_index_info_sqlite3_index_orderby as sqlite3_index_orderby, sqlite3_module,
    sqlite3_stmt, sqlite3_value, sqlite3_vtab, sqlite3_vtab_cursor,
};

mod functions;
pub use functions::*;
