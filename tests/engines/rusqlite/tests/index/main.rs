//! The semantic index on a real SQLite. Each file is named after a point of what must be so.

mod basics;
mod commands;
mod point02;
mod point03;
mod point04;
mod point06;
mod point07;
mod point08;
mod point10;
mod point12;
mod point13;
mod point14;
mod support;
mod tokenizers;
