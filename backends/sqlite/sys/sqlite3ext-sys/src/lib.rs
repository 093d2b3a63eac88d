//! The declarations of `sqlite3ext.h` that a loadable extension needs: the table of API routines and the
//! structures of virtual tables. No C is compiled and no symbol is defined.
//!
//! `bindings.rs` is written by `../generate.sh`.
#![no_std]
#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]
#![allow(clippy::all)]

mod bindings;
pub use bindings::*;
