//! The semantic index in SQLite: `rembed_index`, the virtual table, and `rembed_sync()`, which keeps it in step with its
//! content table. What an index is without SQL is in `src/index/`.

pub mod asker;
pub mod candidates;
pub mod commands;
pub mod content;
pub mod cursor;
pub mod drop;
pub mod integrity;
pub mod meaning;
pub mod report;
pub mod search;
pub mod shapes;
pub mod status;
pub mod stored;
pub mod sync;
pub mod table;
pub mod words;

use crate::sqlite::functions::OnConnection;

/// The functions of an index.
pub const FUNCTIONS: &[OnConnection] =
    &[OnConnection { name: c"rembed_sync", args: &[1, 2], call: sync::rembed_sync }];
