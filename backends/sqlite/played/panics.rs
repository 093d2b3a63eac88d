//! A table that panics wherever it can: SQLite gets an error each time, and its text.

use std::borrow::Cow;
use std::ffi::CStr;
use std::sync::Arc;

use super::{GIVEN, Table as Played, Value, connection, text};
use crate::base::error::Result;
use crate::sql::functions::Callers;
use crate::sql::table::{self, Cursor, Plan, Query, Table};
use crate::sql::value::Output;
use crate::sqlite::connection::{Connection, Db};
use crate::sqlite::ffi::code;
use crate::sqlite::vtab::{Argument, VirtualTable};

struct Panics;

/// Its drop panics as well.
struct Scan;

impl VirtualTable for Panics {
    fn connect(_: &Arc<Connection>, _: Db, _: &[&CStr]) -> Result<Panics> {
        Ok(Panics)
    }
}

impl Table<Argument> for Panics {
    const NAME: &'static CStr = c"panics";
    const CALLERS: Callers = Callers::Anyone;
    const WRITABLE: bool = true;
    type Cursor = Scan;

    fn declaration(&self) -> Cow<'static, CStr> {
        c"CREATE TABLE panics(a)".into()
    }

    fn plan(&self, query: &Query) -> Option<Plan> {
        let beyond = table::Argument { constraint: query.constraints.len(), exact: false, whole: false };
        Some(Plan { arguments: vec![beyond], ..Plan::default() })
    }

    fn open(&self) -> Scan {
        Scan
    }

    fn insert(&self, _: Option<i64>, _: &[Argument], _: bool) -> Result<i64> {
        panic!("at insert")
    }
}

impl Cursor<Argument> for Scan {
    fn filter(&mut self, plan: i32, _: &[Argument]) -> Result<()> {
        assert_eq!(plan, 0, "at filter");
        Ok(())
    }

    fn advance(&mut self) -> Result<()> {
        panic!("at advance")
    }

    fn is_done(&self) -> bool {
        panic!("at is_done")
    }

    fn column(&mut self, _: usize) -> Result<Output> {
        panic!("at column")
    }

    fn rowid(&self) -> i64 {
        panic!("at rowid")
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        panic!("at drop")
    }
}

#[test]
fn a_panic_is_an_error_in_every_callback() {
    let (connection, _one) = connection();
    let played = Played::of::<Panics>(connection.clone());
    let said = |result: std::result::Result<(), String>, what: &str| {
        let text = result.unwrap_err();
        assert!(text.contains("please report") && text.contains(what), "{text}");
        assert_eq!(connection.session.last_error(), Some(text));
    };
    // A plan of a constraint that there is not would be written outside of SQLite's array.
    let rc = played.best_index(&[], 0).err().unwrap();
    said(played.result(rc), "no such constraint");
    said(played.update(&mut [Value::Null, Value::Null, text("a")]).map(drop), "at insert");
    assert_eq!(
        played.update(&mut [Value::Int(1)]).unwrap_err(),
        "panics is a function: it has no rows to change"
    );
    let cursor = played.open();
    said(played.filter(cursor, 1, &mut []), "at filter");
    said(played.filter(cursor, 0, &mut []), "at is_done");
    let module = played.module;
    let mut rowid = 0;
    // SAFETY: as SQLite does.
    unsafe {
        said(played.result(module.xNext.unwrap()(cursor)), "at advance");
        said(played.result(module.xRowid.unwrap()(cursor, &mut rowid)), "at rowid");
        assert_eq!(module.xEof.unwrap()(cursor), 1);
        assert_eq!(module.xColumn.unwrap()(cursor, std::ptr::null_mut(), 0), code::OK);
        let column = GIVEN.take().unwrap();
        assert!(
            column.starts_with("error: rembed: internal error") && column.ends_with("at column"),
            "{column}"
        );
        assert_eq!(module.xClose.unwrap()(cursor), code::ERROR);
    }
}
