//! The semantic index without SQL: how a text is cut, how its vectors are kept and ranked, and the texts of the tables
//! and triggers around them. No connection is opened here, and nothing is sent.

pub mod asked;
pub mod chunk;
pub mod config;
pub mod ddl;
pub mod fingerprint;
pub mod fuse;
pub mod lazy;
pub mod name;
pub mod pace;
pub mod plan;
pub mod quant;
pub mod question;
pub mod rescore;
pub mod scan;
pub mod segment;
pub mod snippet;
