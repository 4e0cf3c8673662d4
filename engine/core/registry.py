"""Doors for what users bring: a kind of thing, what is registered of it by name, and where installed packages name it.

Tasks, scorers and importers register here; strategies, which promise more, have their own (`engine.strategies`). A
plugin that registers anything is admitted or left out whole, so the state of all kinds is taken and put back together.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from engine.core.errors import UnknownName

T = TypeVar("T")
PLUGINS = "BUDGETSCOPE_PLUGINS"
"""Variable with the modules that this process and its children load, separated by commas."""
PLUGIN_FOLDERS = "BUDGETSCOPE_PLUGIN_FOLDERS"
"""Variable with the folders they may lie in besides the working directory, separated as in PATH."""
# All kinds, because a plugin that brings several is taken back whole.
_KINDS: list[Registry[Any]] = []
_LOOKS: list[Callable[[], None]] = []


def before_a_look(act: Callable[[], None]) -> None:
    """Have something done before anybody asks what is registered, such as looking at installed packages."""
    _LOOKS.append(act)


def _looked() -> None:
    for act in _LOOKS:
        act()


def child_environment(names: Iterable[str]) -> Mapping[str, str]:
    """What a child needs in its environment to load these plugins and those that we were given ourselves."""
    every = [*filter(None, os.environ.get(PLUGINS, "").split(",")), *names]
    folders = [*filter(None, os.environ.get(PLUGIN_FOLDERS, "").split(os.pathsep)), str(Path.cwd())]
    given = {PLUGINS: ",".join(dict.fromkeys(every)), PLUGIN_FOLDERS: os.pathsep.join(dict.fromkeys(folders))}
    return given if every else {}


class Registry(Generic[T]):
    """Things of one kind by name."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        """What one of them is called in a sentence: 'task'."""
        self._things: dict[str, T] = {}
        _KINDS.append(self)

    def register(self, name: str) -> Callable[[T], T]:
        """Decorate a class or a function to register it. Raises ValueError for a name that is taken or is none."""
        if not name or not name.replace("_", "a").isalnum() or not name.islower():
            raise ValueError(f"{name!r} is no name of a {self.kind}: small letters, digits and underscores")

        def admit(thing: T) -> T:
            if self._things.get(name, thing) is not thing:
                raise ValueError(f"there is a {self.kind} {name!r} already")
            self._things[name] = thing
            return thing

        return admit

    def names(self) -> tuple[str, ...]:
        """What is registered, sorted."""
        _looked()
        return tuple(sorted(self._things))

    def get(self, name: str, others: Iterable[str] = ()) -> T:
        """One of them. Raises UnknownName with the nearest, also among `others` that go by another road."""
        _looked()
        if name not in self._things:
            raise UnknownName(self.kind, name, (*self._things, *others))
        return self._things[name]

    def __contains__(self, name: str) -> bool:
        _looked()
        return name in self._things


def registered() -> list[dict[str, Any]]:
    """What is registered of every kind at this moment."""
    return [dict(kind._things) for kind in _KINDS]


def restore(before: list[dict[str, Any]]) -> None:
    """Put every kind back to what `registered` said before, but for what comes along with Budgetscope itself.

    That is registered when its module is first imported, which may be while a plugin is, and happens once."""
    for at, kind in enumerate(_KINDS):
        ours = {name: each for name, each in kind._things.items() if each.__module__.partition(".")[0] == "engine"}
        kind._things = ours | (before[at] if at < len(before) else {})
