//! What every wing needs and what needs none of them.

pub mod certificate;
pub mod error;
pub mod file;
pub mod guard;
pub mod hash;
pub mod host;
pub mod interrupt;
pub mod percent;
pub mod process;
pub mod span;
pub mod vector;
pub mod wiped;
pub mod words;
