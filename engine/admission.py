"""What a plugin's strategies must be before they are let in: looked at once, right after the import.

Owns the reasons for which one is turned away. It imports nothing of the plugin's and solves nothing: whether a strategy
keeps the contract is for `engine.testing` to try.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import UsageError
from engine.strategies import Entry, build

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_RESERVED = frozenset({"name", "lineup", "lineups", "model", "models"})
"""Keys of a [[strategies]] table that no parameter may be called like."""


def misnamed(name: str) -> str | None:
    """Why a name cannot be a module's; None: it can."""
    if all(part.isidentifier() for part in name.split(".")) and not name.endswith(".py"):
        return None
    stem = re.split(r"[/\\]", name)[-1].removesuffix(".py")
    hint = f" ({stem})" if stem.isidentifier() else ""
    return f"a plugin is named like a module{hint}, in the folder it lies in, not like a file"


def reason(before: Mapping[str, Entry], after: Mapping[str, Entry], mine: Sequence[Entry]) -> str | None:
    """Why what a module registered cannot be let in; None: it can. `before` and `after` are the registry around it."""
    if taken := [name for name, entry in before.items() if after.get(name) is not entry]:
        return f"it registers a strategy {taken[0]!r}, and there is one of that name already"
    if not mine:
        return "it registers no strategy; decorate one with engine.strategies.strategy"
    return next((f"its strategy {e.name!r} {wrong}" for e in mine if (wrong := fault(e))), None)


def fault(entry: Entry) -> str | None:
    """What is wrong with one strategy, to be read after its name; None: nothing that can be told without running it."""
    for check in (_names, _shape, _solves, _defaults, _promises):
        if wrong := check(entry):
            return wrong
    return None


def _names(entry: Entry) -> str | None:
    if not isinstance(entry.name, str) or not _NAME.fullmatch(entry.name):
        return "needs a name of small letters, digits and underscores"
    texts = isinstance(entry.family, str) and isinstance(entry.calls, str) and entry.family.strip()
    return None if texts else "needs a family and the formula of its calls as texts"


def _shape(entry: Entry) -> str | None:
    told = getattr(entry.make, "__dataclass_params__", None)
    if getattr(told, "frozen", False):
        return None
    return "is no frozen dataclass; write @dataclass(frozen=True) under its registration"


def _solves(entry: Entry) -> str | None:
    solve = getattr(entry.make, "solve", None)
    if solve is None:
        return "has no solve"
    if not inspect.isasyncgenfunction(solve):
        return "has a solve that is no asynchronous generator; write `async def solve` and yield answers in it"
    if len(inspect.signature(solve).parameters) != 3:
        return "has a solve that does not take a problem and a session"
    return None


def _defaults(entry: Entry) -> str | None:
    for field in dataclasses.fields(entry.make):  # type: ignore[arg-type]
        if field.default is dataclasses.MISSING:
            return f"has no plain default for {field.name}"
        if field.name in _RESERVED:
            return f"has a parameter {field.name}, which means something else in a study"
    try:
        build(entry.name, {key: value for key, value in entry.knobs.items() if value is not None})
        hash(entry.make())
    except UsageError as error:
        return f"has a default it would not take itself: {error}"
    except Exception as error:
        return f"cannot be made with its defaults ({type(error).__name__}: {error})"
    return None


def _promises(entry: Entry) -> str | None:
    """`calls`, `anytime` and `version` of an instance with its defaults."""
    instance: Any = entry.make()
    try:
        calls, anytime = instance.calls, entry.anytime(instance)
    except Exception as error:
        return f"cannot say its calls or whether it is anytime ({type(error).__name__}: {error})"
    if type(calls) is not int or calls < 1:
        return "needs a property calls that is a whole number of at least 1"
    if type(entry.version) is not int or entry.version < 1:
        return "needs a version that is a whole number of at least 1"
    return None if isinstance(anytime, bool) else "does not say with true or false whether it is anytime"
