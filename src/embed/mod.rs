//! Text in, vectors out: the requests of a statement, their retries, and the caches.

pub mod cache;
pub mod call;
pub mod check;
pub mod given_up;
mod others;
pub mod progress;
pub mod retry;
pub mod row;
pub mod seen;
pub mod stream;
pub mod tally;
pub mod together;
mod token;
mod workers;
