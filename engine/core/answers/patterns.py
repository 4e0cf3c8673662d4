"""Regular expressions that are compiled when a text first needs them.

There are more than two hundred here, a tenth of a second for every process that imports an answer's type or version.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, cast


class _Late:
    """Stands for a compiled expression. Only what was never asked for comes through `__getattr__`: after the first time
    a method is found as fast as that of the expression itself."""

    def __init__(self, pattern: str, flags: int) -> None:
        self.pattern = pattern
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        # What copies or pickles asks for such names before there is anything here.
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self._compiled, name)
        setattr(self, name, value)
        return value

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, self._flags)


def late(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """As `re.compile`, for what a module has at its top; a mistake in it is raised where it is first used."""
    return cast("re.Pattern[str]", _Late(pattern, flags))
