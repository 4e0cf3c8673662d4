"""Streamlit's program for browsers: a hundred files, which every first visit asks for while the server gets ready.

Streamlit's own way to a file leads through a dozen layers and into five threads: over three milliseconds of a processor
each, of which two are saved where it is read on the spot. Only files that are there when the first one is asked for, by
their exact addresses: all else, such as a part of a file, is left to Streamlit.
"""

from __future__ import annotations

import mimetypes
from functools import cache
from pathlib import Path

from starlette.requests import HTTPConnection
from starlette.responses import Response
from streamlit import file_util

FOLDER = "static"
_KEPT = {"Cache-Control": f"public, immutable, max-age={365 * 86_400}"}
"""Their names change with their content, so a browser keeps them for a year, as Streamlit has it."""


def answer(method: str, path: str, asks: HTTPConnection) -> Response | None:
    """The file at an address; None: not ours to answer."""
    file = _files().get(path) if method == "GET" and path.startswith(f"/{FOLDER}/") else None
    if file is None or "range" in asks.headers:
        return None
    try:
        return Response(file.read_bytes(), 200, _KEPT, mimetypes.guess_type(path)[0])
    except OSError:  # Taken away since: Streamlit says what it says then.
        return None


@cache
def _files() -> dict[str, Path]:
    root = Path(file_util.get_static_dir())
    return {f"/{file.relative_to(root).as_posix()}": file for file in (root / FOLDER).rglob("*") if file.is_file()}
