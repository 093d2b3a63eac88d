//! The semantic index without SQL: how a text is cut, how its vectors are kept and ranked, and the texts of the tables
//! and triggers around them. No connection is opened here, and nothing is sent.

pub mod chunk;
pub mod config;
pub mod ddl;
pub mod fuse;
pub mod name;
pub mod quant;
pub mod question;
pub mod rescore;
pub mod scan;
pub mod segment;
pub mod snippet;
