//! The extension as its users on Turso meet it, in every way that there is in.

mod functions;
mod index;
mod process;
mod sessions;
mod statement;
mod table;
mod too_old;
