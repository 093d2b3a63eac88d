//! What the triggers of `temp.rembed_clients` call (rembed_clients.sql). A user may call them too:
//! they do and show only what the table does and shows.

use super::value::RawValue;
use crate::base::error::Error;
use crate::sql::clients::{self, Columns};
use crate::sql::functions::{Callers, Function};
use crate::sql::session::Session;
use crate::sql::value::{Output, Value};

/// The functions, beside those that every engine has.
pub const FUNCTIONS: &[Function<RawValue>] = &[
    // It is not deterministic: the engine runs a constant call of one that is once a statement, and so numbers statements.
    Function { deterministic: true, ..Function::new(c"rembed_clients_statement", &[0], statement) },
    Function::new(c"rembed_clients_row", &[4], row),
    Function::new(c"rembed_clients_set", &[7], set),
    Function::new(c"rembed_clients_unset", &[1], unset),
    Function::new(c"rembed_clients_undo", &[0], undo),
    Function::new(c"rembed_clients_redo", &[0], redo),
    Function { callers: Callers::Anyone, ..Function::new(c"rembed_clients_shown", &[2], shown) },
];

/// `rembed_clients_statement()`: the number of the statement that runs.
fn statement(session: &Session, _: &[RawValue]) -> Result<Output, Error> {
    Ok(Output::Int(session.number_statement()))
}

/// `rembed_clients_row(statement, name, filled, wanted)`: a row of the statement begins, if it is wanted. Returns whether it
/// is. `filled` says that it has more than a name.
fn row(session: &Session, args: &[RawValue]) -> Result<Output, Error> {
    let [statement, name, filled, wanted] = args else { return Ok(Output::Null) };
    if wanted.int() == 0 {
        return Ok(Output::Int(0));
    }
    session.begin_row(statement.int(), filled.int() != 0);
    match name.is_null() {
        true => session.change(&[], || Err(clients::no_name())),
        false => Ok(Output::Int(1)),
    }
}

/// `rembed_clients_undo()`: the statement's earlier rows are without clients until [`redo`].
fn undo(session: &Session, _: &[RawValue]) -> Result<Output, Error> {
    session.undo_statement();
    Ok(Output::Null)
}

/// `rembed_clients_redo()`: the statement goes on.
fn redo(session: &Session, _: &[RawValue]) -> Result<Output, Error> {
    session.redo_statement();
    Ok(Output::Null)
}

/// `rembed_clients_unset(name)`: the DELETE of a row.
fn unset(session: &Session, args: &[RawValue]) -> Result<Output, Error> {
    change(session, &args[..1], || {
        let name = args[0].text("the name").map_err(Error::Invalid)?.ok_or_else(clients::no_name)?;
        Ok(Output::Int(session.unregister(&name)?.into()))
    })
}

/// `rembed_clients_set(old name, name, format, model, url, key, options)`: the INSERT of a row, or, with an
/// old name, its UPDATE. Returns the name.
fn set(session: &Session, args: &[RawValue]) -> Result<Output, Error> {
    change(session, &args[..2], || {
        let texts = clients::texts(&args[1..])?;
        let columns = Columns::of(&texts);
        match args[0].text("the old name").map_err(Error::Invalid)? {
            // The table refuses a name that it has by itself. A client that rembed_register() made is replaced, as by another
            // rembed_register().
            None => session.insert(&columns, None, true).map(drop)?,
            Some(old) => {
                let Some(entry) = session.row_named(&old)? else {
                    return Err(Error::invalid(format!(
                        "client '{old}' is gone, by rembed_unregister(): DELETE its row and INSERT it anew"
                    )));
                };
                session.update(entry.rowid, entry.rowid, &columns, false)?;
            }
        }
        Ok(columns.name.flatten().map_or(Output::Null, |name| Output::Text(name.to_owned().into())))
    })
}

/// Changes the clients of `names`. A name that is none has no client.
fn change(
    session: &Session,
    names: &[RawValue],
    work: impl FnOnce() -> Result<Output, Error>,
) -> Result<Output, Error> {
    let names: Vec<_> = names.iter().filter_map(|name| name.text("a name").ok().flatten()).collect();
    session.change(&names.iter().map(|name| &**name).collect::<Vec<_>>(), work)
}

/// `rembed_clients_shown(name, column)`: what the table shows, NULL without such a client.
fn shown(session: &Session, args: &[RawValue]) -> Result<Output, Error> {
    let column = args[1].text("the column").map_err(Error::Invalid)?;
    // No client has a name that is not text. What is wrong with one is for rembed_clients_set() to say, which undoes the statement.
    let name = args[0].text("the client's name").ok().flatten();
    let (Some(name), Some(column)) = (name, column) else {
        return Ok(Output::Null);
    };
    let Some(client) = session.row_named(&name)?.map(|entry| entry.client) else {
        return Ok(Output::Null);
    };
    let Some(column) = Columns::NAMES.iter().position(|known| *known == column) else {
        let names = Columns::NAMES.join(", ");
        return Err(Error::invalid(format!("rembed_clients has the columns {names}")));
    };
    let value = client.column(column);
    Ok(value.map_or(Output::Null, |text| Output::Text(text.into())))
}
