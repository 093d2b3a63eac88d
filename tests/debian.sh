#!/usr/bin/env bash
# usage: tests/debian.sh PACKAGE…
# Installs Debian packages as root; for anybody else it says what is missing. One caller at a time: apt does not wait for another.
set -euo pipefail
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "missing: apt-get install $*" >&2
    exit 1
fi
exec 9<"$0"
flock 9
apt-get update -q >&2
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2
