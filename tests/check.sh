# shellcheck shell=bash
# Sourced by runners that check one thing after the other: `check WHAT COMMAND…` runs a command and counts whether it
# succeeds, `pass WHAT` and `fail WHAT` count what the runner judges itself, and `total` prints the closing line. A check
# that takes seconds says how many, so that the whole run can tell which are the slowest.
passed=0 failed=0
checked_at=$SECONDS

took() { # the seconds since the last check, where there are any
    local seconds=$((SECONDS - checked_at))
    checked_at=$SECONDS
    [ $seconds -lt 2 ] || echo " ($seconds s)"
}

pass() {
    passed=$((passed + 1))
    echo "ok   $1$(took)"
    checked_at=$SECONDS
}

fail() {
    failed=$((failed + 1))
    echo "FAIL $1$(took)"
    checked_at=$SECONDS
}

check() {
    if "${@:2}"; then pass "$1"; else fail "$1"; fi
}

total() {
    echo "$passed passed, $failed failed"
    [ $failed = 0 ]
}
