#!/usr/bin/env bash
# https from a real host: a certificate that is trusted, one that is not, and a pool that keeps the connection.
set -euo pipefail
cd "$(dirname "$0")/.."
lib=${REMBED_LIB:-$PWD/target/release/libsqlite_rembed.so}
tls=$PWD/tests/fixtures/tls
. tests/fake/start.sh
start_fake --tls "$tls/server.pem" "$tls/server.key"
. "$PWD/tests/check.sh"

ask() { # ask URL SQL, with the client c at URL
    sqlite3 :memory: ".load $lib" "SELECT rembed_register('c','format','openai','model','m','url','$1','cache','off','retries',0) IS NULL" "$2" 2>&1
}

says() { # says WHAT EXPECTED GOT
    case $3 in
    *"$2"*) pass "$1" ;;
    *) fail "$1: '$2' expected in: $3" ;;
    esac
}

many="WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
    SELECT sum(length(rembed('c', 'text ' || i))) FROM n"
export SSL_CERT_FILE=$tls/authority.pem
says "a trusted certificate" 153600 "$(ask "$url" "$many")"
says "50 calls, one connection" '"connections":1' "$(curl --silent --cacert "$SSL_CERT_FILE" "$url/_")"
says "another name than the certificate's" "certificate" "$(ask "${url/localhost/127.0.0.1}" "SELECT rembed('c','x')" || true)"
says "plain http to a TLS port" "client 'c' (openai)" "$(ask "${url/https/http}" "SELECT rembed('c','x')" || true)"
export SSL_CERT_FILE=$tls/server.key
says "a file without certificates" "SSL_CERT_FILE" "$(ask "$url" "SELECT rembed('c','x')" || true)"
export SSL_CERT_FILE=/nowhere
says "a file that is not there" "SSL_CERT_FILE (/nowhere)" "$(ask "$url" "SELECT rembed('c','x')" || true)"
unset SSL_CERT_FILE
says "an unknown authority" "UnknownIssuer" "$(ask "$url" "SELECT rembed('c','x')" || true)"
if unshare --mount true 2>/dev/null; then
    hosts=$(mktemp)
    echo 192.0.2.1 localhost >"$hosts"
    elsewhere=$(unshare --mount bash -c "mount --bind '$hosts' /etc/hosts && exec sqlite3 :memory: '.load $lib' \
        \"SELECT rembed_register('c','format','openai','url','http://localhost:9/v1','key','k','retries',0)\" \"SELECT rembed('c','x')\"" 2>&1 || true)
    rm "$hosts"
    says "localhost that is another machine" "'localhost' is 192.0.2.1 here" "$elsewhere"
    bundle=/etc/ssl/certs/ca-certificates.crt store=$(mktemp)
    cat $bundle "$tls/authority.pem" >"$store"
    query="SELECT rembed('c', 'x') IS NOT NULL"
    register="SELECT rembed_register('c','format','openai','url','$url','cache','off','retries',0)"
    trusted=$(unshare --mount bash -c "mount --bind '$store' $bundle && exec sqlite3 :memory: '.load $lib' \"$register\" \"$query\"" 2>&1 || true)
    rm "$store"
    says "an authority that this machine trusts" $'c\n1' "$trusted"
else
    echo "skipped localhost that is another machine, and an authority that this machine trusts: no mount namespace"
fi
total
