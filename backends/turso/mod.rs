//! Turso 0.7 to 0.9.
