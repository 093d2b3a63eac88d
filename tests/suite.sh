# shellcheck shell=sh
# Sourced by the runners of tests/engines: `suite NAME COMMAND…` runs a part and adds up what it says, by cargo's words
# or by ours; `total` prints the line that the runners end with.
suite_dir=$(mktemp -d)
trap 'rm -rf "$suite_dir"' EXIT
passed=0
failed=0

suite() {
    echo "== $1"
    shift
    { "$@" 2>&1; echo $? >"$suite_dir/status"; } | tee "$suite_dir/log"
    counts=$(sed -n 's/^\(test result: [a-zA-Z]*\. \)\{0,1\}\([0-9][0-9]*\) passed[,;] \([0-9][0-9]*\) failed.*/\2 \3/p' "$suite_dir/log")
    bad=$(echo "$counts" | awk '{ n += $2 } END { print n + 0 }')
    # What ends badly without a count, such as a build, has failed too.
    [ "$(cat "$suite_dir/status")" = 0 ] || [ "$bad" -gt 0 ] || bad=1
    passed=$((passed + $(echo "$counts" | awk '{ n += $1 } END { print n + 0 }')))
    failed=$((failed + bad))
}

total() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
}
