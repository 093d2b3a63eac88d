//! The SQL contract, one statement of it a test, in a host that knows nothing but SQL.

mod echoes;
mod elsewhere;
mod environment;
mod faults;
mod files;
mod formats;
mod functions;
mod headers;
mod insert;
mod interrupt;
mod keys;
mod load;
mod loading;
mod memory;
mod nomem;
mod options;
mod panic;
mod register;
mod residue;
mod retries;
mod schema;
mod scope;
mod secrets;
mod select;
mod texts;
mod update;
