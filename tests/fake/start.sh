# shellcheck shell=bash
# Sourced by whoever needs the fake provider. `build_fake` builds it, unless REMBED_FAKE names one, and exports that name.
# `start_fake` starts it too and sets `url`; the fake ends with its standard input, which the shell holds.
build_fake() {
    local folder
    folder=$(dirname "${BASH_SOURCE[0]}")
    if [ -z "${REMBED_FAKE:-}" ]; then
        cargo build --quiet --release --locked --manifest-path "$folder/Cargo.toml" --target-dir "$folder/target" || return
        REMBED_FAKE=$(realpath "$folder/target/release/rembed-fake")
    fi
    export REMBED_FAKE
}

start_fake() { # start_fake [ARGUMENT …]
    build_fake || return
    coproc FAKE { exec "$REMBED_FAKE" "$@"; }
    # shellcheck disable=SC2034 # for the caller
    read -r url <&"${FAKE[0]}"
}
