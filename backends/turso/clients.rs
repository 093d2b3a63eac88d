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
    Function::new(c"rembed_clients_set", &[7], set),
    Function { callers: Callers::Anyone, ..Function::new(c"rembed_clients_shown", &[2], shown) },
];

/// `rembed_clients_set(old name, name, format, model, url, key, options)`: the INSERT of a row, or, with an
/// old name, its UPDATE. Returns the name.
fn set(session: &Session, args: &[RawValue]) -> Result<Output, Error> {
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
}

/// `rembed_clients_shown(name, column)`: what the table shows, NULL without such a client.
fn shown(session: &Session, args: &[RawValue]) -> Result<Output, Error> {
    let text = |i: usize, what| args[i].text(what).map_err(Error::Invalid);
    let (Some(name), Some(column)) = (text(0, "the client's name")?, text(1, "the column")?) else {
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
