#!/bin/sh
# usage: tests/miri.sh [TEST …]
# Miri over what needs neither C nor a network: the tables of backends/sqlite with an SQLite that is played in Rust, and the parts
# of src/ that are pure. Needs a nightly Rust with the component miri. The last line has the counts.
set -eu
cd "$(dirname "$0")/.."
# The environment is read, time is asked for.
export MIRIFLAGS="-Zmiri-disable-isolation"
[ $# -gt 0 ] || set -- played
cargo +nightly miri test --locked --lib --target-dir target/miri -- "$@"
