"""One syntax tree at a time: Python before 3.11.8 and 3.12.2 counts the depth of all that are made in one place.

While a tree becomes objects, garbage may be looked for; a finalizer then lets another thread in, or itself formats an
error, and where that makes a tree too, the first ends in "SystemError: AST constructor recursion depth mismatch"
(https://github.com/python/cpython/issues/106905). Tests make trees from the source of strategies, hypothesis from that of
tests, and every error that is logged from the line it happened on.
"""

from __future__ import annotations

import ast
import gc
import sys
import threading
from functools import wraps
from typing import Any

_AFFECTED = sys.version_info < (3, 11, 8) or (3, 12) <= sys.version_info < (3, 12, 2)
_ONE = threading.RLock()


def alone() -> None:
    """From here on `ast.parse` lets nobody in between, where this Python needs that."""
    parse = ast.parse
    if not _AFFECTED or getattr(parse, "alone", False):
        return

    @wraps(parse)
    def parsed(*args: Any, **options: Any) -> Any:
        with _ONE:
            collecting = gc.isenabled()
            gc.disable()
            try:
                return parse(*args, **options)
            finally:
                if collecting:
                    gc.enable()

    parsed.alone = True  # type: ignore[attr-defined]
    ast.parse = parsed
