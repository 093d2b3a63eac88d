//! Apps on the libsql crate.
