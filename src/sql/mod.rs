//! What SQL users meet, for every engine: functions, rows and the table of clients, over the values of any engine.

pub mod chunks;
pub mod clients;
pub mod functions;
pub mod input;
pub mod rows;
pub mod search;
pub mod session;
mod statement;
pub mod table;
pub mod value;
pub mod whole;

#[cfg(all(test, feature = "local"))]
mod local_tests;
