"""The plugin of Datasette, installed, with the example's page: by HTTP and in a browser."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest
import yaml

from conftest import PACKAGES, ROOT

EXAMPLE = ROOT / "examples/datasette"
QUESTION = "How do I return an item and get a refund?"
ANSWER = "Return an item within 30 days and we refund the full price to the card you paid with."
KEY = "the-key-of-the-shop"
HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="session")
def shop(provider, tmp_path_factory):
    """The example's database and configuration, with the fake provider's address, and a key from the environment."""
    folder = tmp_path_factory.mktemp("datasette")
    subprocess.run([sys.executable, EXAMPLE / "make.py"], cwd=folder, env={**os.environ, "REMBED_URL": provider}, check=True)
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    config = yaml.safe_load((folder / "metadata.yaml").read_text())
    client = config["plugins"]["datasette-sqlite-rembed"]["clients"]["docs"]
    # This one answers to the key alone.
    HTTP.open(urllib.request.Request(provider + "/_/shop", json.dumps({"key": KEY}).encode(), method="PUT"))
    client.update(url=provider + "/s/shop", key={"$env": "SHOP_KEY"})
    (folder / "metadata.yaml").write_text(yaml.safe_dump(config))
    return folder


@contextmanager
def datasette(folder, *options, **environment):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "datasette", "serve", ".", "--host", "127.0.0.1", "--port", str(port), *options]
    server = subprocess.Popen(command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            if server.poll() is not None:
                raise RuntimeError(server.stdout.read())
            try:
                HTTP.open(url + "/-/versions.json")
                break
            except urllib.error.URLError:
                time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def get(url, path, **parameters):
    """The reply's JSON, also that of a refusal."""
    try:
        with HTTP.open(f"{url}{path}?{urllib.parse.urlencode(parameters)}") as reply:
            return json.load(reply)
    except urllib.error.HTTPError as refused:
        return json.load(refused)


@pytest.fixture(scope="session")
def url(shop):
    with datasette(shop, SHOP_KEY=KEY) as url:
        yield url


def test_the_query_searches(url):
    rows = get(url, "/shop/search.json", question=QUESTION, _shape="array")
    assert len(rows) == 3 and rows[0]["body"] == ANSWER and rows[0]["title"] == "Returns"


def test_a_visitor_writes_no_sql(url):
    with pytest.raises(urllib.error.HTTPError, match="403"):
        HTTP.open(url + "/shop.json?" + urllib.parse.urlencode({"sql": "SELECT rembed('docs', 'x')"}))


def test_the_key_is_on_no_page(url):
    for page in ("/-/plugins.json", "/-/metadata.json", "/-/config.json", "/-/settings.json", "/shop/search"):
        try:
            assert KEY not in HTTP.open(url + page).read().decode(), page
        except urllib.error.HTTPError as refused:
            assert refused.code in (403, 404)


def test_a_visitor_with_sql_registers_nothing(shop, provider):
    with datasette(shop, "--setting", "default_allow_sql", "on", SHOP_KEY=KEY) as url:
        def ask(sql):
            return get(url, "/shop.json", sql=sql, _shape="arrays")

        assert ask("SELECT length(rembed('docs', 'x'))")["rows"] == [[3072]]
        for sql in (
            f"SELECT rembed_register('mine', 'format', 'ollama', 'model', 'm', 'url', '{provider}')",
            f"SELECT rembed_register('docs', 'format', 'ollama', 'model', 'm', 'url', '{provider}')",
            f"SELECT rembed_register('mine', 'format', 'ollama', 'model', 'm', 'url', '{provider}', 'scope', 'process')",
            "SELECT rembed_unregister('docs')",
        ):
            assert "lock" in ask(sql)["error"], sql
        assert "was not registered" in ask("SELECT rembed('mine', 'x')")["error"]
        assert ask("SELECT name, key FROM temp.rembed_clients")["rows"] == [["docs", "***"]]


@pytest.mark.parametrize("plugin, environment, said", [
    ({"clients": {"docs": {"format": "ollama", "key": {"$env": "SHOP_KEY"}}}}, {}, "key is empty: is its environment variable set?"),
    ({"clients": {"docs": {"format": "olama"}}}, {}, "olama"),
    ({"client": {}}, {}, "the configuration is"),
    ({"clients": {"docs": "ollama"}}, {}, "its options are an object"),
])
def test_a_configuration_that_cannot_work_ends_datasette(shop, tmp_path, plugin, environment, said):
    shutil.copy(shop / "shop.db", tmp_path)
    (tmp_path / "metadata.yaml").write_text(yaml.safe_dump({"plugins": {"datasette-sqlite-rembed": plugin}}))
    with pytest.raises(RuntimeError, match=re.escape(said)):
        with datasette(tmp_path, **environment):
            pass


def test_the_page_in_a_browser(url, tmp_path):
    """What a visitor sees after a search; the picture is target/packages/datasette.png."""
    page = f"{url}/shop/search?{urllib.parse.urlencode({'question': QUESTION})}"
    chromium = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path}"]
    seen = subprocess.run([*chromium, "--dump-dom", page], capture_output=True, text=True, timeout=300).stdout
    assert re.findall(r"<h2>(.+?) <small>", seen)[0] == "Returns" and ANSWER in seen
    picture = PACKAGES / "datasette.png"
    picture.unlink(missing_ok=True)
    subprocess.run([*chromium, "--window-size=900,700", f"--screenshot={picture}", page], capture_output=True, timeout=300)
    assert picture.stat().st_size > 10_000
