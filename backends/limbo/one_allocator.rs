//! The allocator of the engine's host, for a library that is part of that host: there is one, for both.

pub use std::alloc::{alloc as allocate, dealloc as free};
