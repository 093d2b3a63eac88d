//! A table that CREATE VIRTUAL TABLE makes, with arguments of its own: it is made, renamed, found again and dropped.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::Arc;

use super::{Constraint, DB, Table as Played, connection};
use crate::base::error::{Error, Result};
use crate::sql::functions::Callers;
use crate::sql::table::{self, Cursor, Operator, Plan, Query, Table};
use crate::sql::value::Output;
use crate::sqlite::connection::{Connection, Db};
use crate::sqlite::ffi::code;
use crate::sqlite::vtab::{Argument, Module, VirtualTable};

thread_local! {
    /// What the table was told, in order.
    static TOLD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// What sqlite3_declare_vtab() was given.
    pub(super) static DECLARED: RefCell<Option<CString>> = const { RefCell::new(None) };
}

fn tell(what: &str, of: &[&CStr]) {
    let words: Vec<_> = of.iter().map(|word| word.to_string_lossy()).collect();
    TOLD.with_borrow_mut(|told| told.push(format!("{what} {}", words.join(" "))));
}

/// Its columns depend on its name.
struct Index {
    name: CString,
}

impl VirtualTable for Index {
    const IS_CREATED: bool = true;

    fn connect(_: &Arc<Connection>, _: Db, arguments: &[&CStr]) -> Result<Index> {
        tell("connect", arguments);
        Ok(Index { name: arguments[2].into() })
    }

    fn create(_: &Arc<Connection>, _: Db, arguments: &[&CStr]) -> Result<Index> {
        tell("create", arguments);
        match arguments {
            [_, _, name, argument] if *argument == c"content = 'docs'" => Ok(Index { name: (*name).into() }),
            [_, _, _, argument, ..] if *argument == c"stop" => Err(Error::Interrupted),
            [_, _, _, argument, ..] if *argument == c"panic" => panic!("at create"),
            _ => Err(Error::invalid("which content?")),
        }
    }

    fn destroy(&self) -> Result<()> {
        tell("destroy", &[&self.name]);
        // A table of this name cannot be dropped.
        if *self.name == *c"kept" { Err(Error::invalid("it is kept")) } else { Ok(()) }
    }

    fn rename(&self, name: &CStr) -> Result<()> {
        tell("rename", &[&self.name, name]);
        Ok(())
    }

    fn is_shadow(end: &CStr) -> bool {
        end == c"chunks"
    }
}

impl Table<Argument> for Index {
    const NAME: &'static CStr = c"played_index";
    const CALLERS: Callers = Callers::Anyone;
    type Cursor = Nothing;

    fn declaration(&self) -> Cow<'static, CStr> {
        let sql = format!("CREATE TABLE x(chunk, query HIDDEN, {} HIDDEN)", self.name.to_string_lossy());
        CString::new(sql).unwrap().into()
    }

    /// The value of an `=` is met by the rows, that of a range is a hint.
    fn plan(&self, query: &Query) -> Option<Plan> {
        let arguments = query.constraints.iter().enumerate().filter_map(|(constraint, asked)| {
            let exact = match asked.operator {
                Operator::Equals => true,
                Operator::Greater | Operator::LessOrEquals | Operator::Limit => false,
                _ => return None,
            };
            Some(table::Argument { constraint, exact, whole: false })
        });
        Some(Plan { arguments: arguments.collect(), ..Plan::default() })
    }

    fn open(&self) -> Nothing {
        Nothing
    }
}

struct Nothing;

impl Cursor<Argument> for Nothing {
    fn filter(&mut self, _: i32, _: &[Argument]) -> Result<()> {
        Ok(())
    }

    fn advance(&mut self) -> Result<()> {
        Ok(())
    }

    fn is_done(&self) -> bool {
        true
    }

    fn column(&mut self, _: usize) -> Result<Output> {
        Ok(Output::Null)
    }

    fn rowid(&self) -> i64 {
        0
    }
}

/// The table, by xCreate or xConnect; the result code and the message where there is none.
fn make(
    connection: &Arc<Connection>,
    create: bool,
    arguments: &[&CStr],
) -> std::result::Result<Played, (c_int, Option<String>)> {
    let module = Module::<Index>::CALLBACKS;
    let constructor = if create { module.xCreate.unwrap() } else { module.xConnect.unwrap() };
    let argv: Vec<*const c_char> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    let (mut vtab, mut error) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: as SQLite does, which frees the message.
    unsafe {
        let aux = Arc::as_ptr(connection).cast_mut().cast();
        let rc = constructor(DB, aux, argv.len() as c_int, argv.as_ptr(), &mut vtab, &mut error);
        if rc == code::OK {
            return Ok(Played { module, vtab });
        }
        let text = (!error.is_null()).then(|| CStr::from_ptr(error).to_string_lossy().into_owned());
        super::free(error.cast());
        Err((rc, text))
    }
}

#[test]
fn a_table_is_created_renamed_and_dropped() {
    let (connection, _one) = connection();
    let module = Module::<Index>::CALLBACKS;
    let table = make(&connection, true, &[c"played_index", c"main", c"t", c"content = 'docs'"]).ok().unwrap();
    assert_eq!(DECLARED.take().as_deref(), Some(c"CREATE TABLE x(chunk, query HIDDEN, t HIDDEN)"));
    // SAFETY: as SQLite does.
    let renamed = unsafe { module.xRename.unwrap()(table.vtab, c"u".as_ptr()) };
    assert_eq!(table.result(renamed), Ok(()));
    drop(table);
    let table = make(&connection, false, &[c"played_index", c"main", c"u"]).ok().unwrap();
    // SAFETY: as SQLite does, for which the table then is gone.
    let dropped = unsafe { module.xDestroy.unwrap()(std::mem::ManuallyDrop::new(table).vtab) };
    assert_eq!(dropped, code::OK);
    let told = [
        "create played_index main t content = 'docs'",
        "rename t u",
        "connect played_index main u",
        "destroy u",
    ];
    assert_eq!(TOLD.take(), told);
    // One that cannot be dropped stays, and is disconnected later.
    let table = make(&connection, false, &[c"played_index", c"main", c"kept"]).ok().unwrap();
    // SAFETY: as SQLite does.
    assert_eq!(unsafe { module.xDestroy.unwrap()(table.vtab) }, code::ERROR);
    assert_eq!(connection.session.last_error().as_deref(), Some("it is kept"));
    // SAFETY: as SQLite does.
    let is_shadow = |end: &CStr| unsafe { module.xShadowName.unwrap()(end.as_ptr()) };
    assert_eq!((is_shadow(c"chunks"), is_shadow(c"other")), (1, 0));
}

#[test]
fn a_table_that_is_not_created_says_why() {
    let (connection, _one) = connection();
    let create =
        |argument| make(&connection, true, &[c"played_index", c"main", c"t", argument]).err().unwrap();
    assert_eq!(create(c"nothing"), (code::ERROR, Some("which content?".into())));
    assert_eq!(connection.session.last_error().as_deref(), Some("which content?"));
    assert_eq!(create(c"stop"), (code::INTERRUPT, None));
    let (rc, text) = create(c"panic");
    assert!(rc == code::ERROR && text.unwrap().ends_with("at create"));
    // All of them have given the connection's state back.
    assert_eq!(Arc::strong_count(&connection), 1);
}

#[test]
fn a_plan_is_told_the_operators() {
    let (connection, _one) = connection();
    let table = make(&connection, false, &[c"played_index", c"main", c"t"]).ok().unwrap();
    let constraint = |op| Constraint { iColumn: 0, op, usable: 1, iTermOffset: 0 };
    // >, MATCH, =, <=, OFFSET, LIMIT
    let mut asked = [4, 64, 2, 8, 74, 73].map(constraint);
    let (_, used) = table.ask(&mut asked, 0).unwrap();
    assert_eq!(used, [(1, 0), (0, 0), (2, 1), (3, 0), (0, 0), (4, 0)]);
}
