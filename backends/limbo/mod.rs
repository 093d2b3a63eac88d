//! Limbo 0.0.22.
