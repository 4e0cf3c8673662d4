"""How a question is put to models: every strategy by name, ours and those of plugins.

A strategy is a page: parameters as fields, one async generator `solve`, its prompts below. It sees a `Problem` and a
`Session`, never a target, a client, a token count or a budget. Strategies do not import each other; the one thing they
share is `chain`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.core.errors import UnknownName
from engine.strategies import plugins
from engine.strategies.registry import (
    Entry,
    Strategy,
    builtin,
    instance,
    is_oracle,
    parameters,
    registered,
    restore,
    strategy,
)

__all__ = [
    "Entry",
    "Strategy",
    "build",
    "builtin",
    "entries",
    "entry",
    "is_oracle",
    "parameters",
    "registered",
    "restore",
    "strategy",
]


def entries() -> dict[str, Entry]:
    """All strategies by name, those of plugins included, those that are not listed left out."""
    builtin()
    plugins.ready()
    return dict(sorted((name, found) for name, found in registered().items() if found.listed))


def entry(name: str) -> Entry:
    """One strategy, listed or not. Raises UnknownName with the nearest listed one and the plugins left out."""
    listed = entries()
    known = registered()
    if name not in known:
        raise UnknownName("strategy", name, listed, plugins.excuse())
    return known[name]


def build(name: str, params: Mapping[str, object]) -> Any:
    """An instance with checked parameters. Raises UsageError naming the parameter and what it takes."""
    return instance(entry(name), params)
