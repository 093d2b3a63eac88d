"""Datasette with rembed(): its configuration names the clients, and no visitor can add one.

    plugins:
      datasette-sqlite-rembed:
        clients:
          docs: {format: openai, model: text-embedding-3-small, key: {$env: OPENAI_API_KEY}}
"""

import json

from datasette import hookimpl
from datasette.utils import StartupError
from datasette.utils.sqlite import sqlite3

import sqlite_rembed

NAME = "datasette-sqlite-rembed"


@hookimpl
def prepare_connection(conn, datasette):
    sqlite_rembed.load(conn)
    for name, options in clients(datasette).items():
        conn.execute("SELECT rembed_register(?, ?)", (name, json.dumps(options))).fetchone()
    # After this no SQL of a visitor registers a client, nor changes one.
    conn.execute("SELECT rembed_lock()").fetchone()


@hookimpl
def startup(datasette):
    """A configuration that cannot work ends Datasette now, and not a page later."""
    try:
        prepare_connection(sqlite3.connect(":memory:"), datasette)
    except (RuntimeError, ValueError, sqlite3.Error) as error:
        raise StartupError(f"{NAME}: {error}") from error


def clients(datasette):
    config = datasette.plugin_config(NAME) or {}
    if not isinstance(config, dict) or set(config) - {"clients"} or not isinstance(config.get("clients", {}), dict):
        raise ValueError('the configuration is {"clients": {NAME: {OPTION: VALUE}}}')
    found = config.get("clients", {})
    for name, options in found.items():
        if not isinstance(options, dict):
            raise ValueError(f"client '{name}': its options are an object, as {{\"format\": \"openai\"}}")
        if options.get("key", "") is None:
            # What Datasette makes of {"$env": …} when there is no such variable.
            raise ValueError(f"client '{name}': key is empty: is its environment variable set?")
    return found
