//! Nothing. The library needs neither the crate of this name nor what its feature compiles: every build goes through the API table.
