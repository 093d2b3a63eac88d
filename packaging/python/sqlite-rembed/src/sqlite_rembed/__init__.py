"""sqlite-rembed: embeddings from inside SQL, in every SQLite that Python has.

    import sqlite3, sqlite_rembed

    db = sqlite3.connect("my.db")
    sqlite_rembed.load(db)
    db.execute("SELECT rembed_register('small', 'format', 'openai', 'model', 'text-embedding-3-small')")
    db.execute("SELECT rembed('small', 'some text')")
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any, Coroutine, Protocol, overload

__all__ = ["load", "loadable_path"]

_NAMES = {"darwin": "rembed0.dylib", "win32": "rembed0.dll"}


class Connection(Protocol):
    """A connection of sqlite3, pysqlite3, APSW, sqlean.py, or another driver with their two methods."""

    def enable_load_extension(self, enabled: bool, /) -> None: ...
    def load_extension(self, path: str, /) -> None: ...


class AsyncConnection(Protocol):
    """A connection of aiosqlite."""

    def enable_load_extension(self, enabled: bool, /) -> Coroutine[Any, Any, None]: ...
    def load_extension(self, path: str, /) -> Coroutine[Any, Any, None]: ...


def loadable_path() -> str:
    """The file of the extension, for drivers and tools that take a path."""
    return str(Path(__file__).with_name(_NAMES.get(sys.platform, "rembed0.so")))


@overload
def load(connection: Connection) -> None: ...
@overload
def load(connection: AsyncConnection) -> Coroutine[Any, Any, None]: ...
def load(connection: Connection | AsyncConnection) -> Coroutine[Any, Any, None] | None:
    """Loads the extension into a connection; of aiosqlite: ``await load(connection)``.

    Where the driver forbids loading, it is allowed for this one file, and forbidden again.
    """
    if not hasattr(connection, "load_extension"):
        raise _cannot_load(connection)
    if inspect.iscoroutinefunction(connection.load_extension):
        return _load_async(connection)
    try:
        connection.load_extension(loadable_path())
    except Exception as error:
        if not _forbidden(error):
            raise
        connection.enable_load_extension(True)
        try:
            connection.load_extension(loadable_path())
        finally:
            connection.enable_load_extension(False)
    return None


async def _load_async(connection: Any) -> None:
    try:
        await connection.load_extension(loadable_path())
    except AttributeError:
        raise _cannot_load(connection) from None
    except Exception as error:
        if not _forbidden(error):
            raise
        await connection.enable_load_extension(True)
        try:
            await connection.load_extension(loadable_path())
        finally:
            await connection.enable_load_extension(False)


def _forbidden(error: Exception) -> bool:
    """Whether loading was refused before SQLite looked at the file."""
    return "not authorized" in str(error)


def _cannot_load(connection: object) -> Exception:
    kind = f"{type(connection).__module__}.{type(connection).__qualname__}"
    if kind.split(".")[0] in ("sqlite3", "aiosqlite"):
        return RuntimeError(
            f"the sqlite3 module of this Python ({sys.executable}) was built without loadable extensions. "
            "Use another driver: pip install pysqlite3-binary, then 'import pysqlite3 as sqlite3' "
            "(or APSW, sqlean.py), or a Python that has them."
        )
    return TypeError(
        f"a {kind} cannot load an extension: pass the connection of the SQLite driver "
        "(of SQLAlchemy, what the event 'connect' of the engine gives)"
    )
