"""The plugin of sqlite-utils: every connection that it opens has the extension."""

import warnings
from typing import Any

from sqlite_utils import hookimpl

from . import load


@hookimpl
def prepare_connection(conn: Any) -> None:
    try:
        load(conn)
    except RuntimeError as error:
        # The commands that embed nothing still work.
        warnings.warn(f"sqlite-rembed: {error}", stacklevel=1)
