"""Strategies from the user's own modules: imported once, admitted whole or left out with one sentence that says why.

A plugin is a Python module that registers strategies as ours do; it is code, and runs with the rights of whoever
started this program. So nothing is imported but what that person named: on the command line, in `PLUGINS`, in a study
that a command was told to run, or by installing a package with an entry point of `GROUP`. A process that only shows
(the dashboard) imports what it was started with and never what a study, a run or an address names.

What its strategies must be is looked at once, right after the import; whether one keeps the contract when it solves is
for `engine.testing` to try.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.core import registry as doors
from engine.core import toml
from engine.core.errors import UsageError, shortened
from engine.strategies import registry
from engine.strategies.registry import Entry

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


def refusal(
    before: Mapping[str, Entry], after: Mapping[str, Entry], own: Sequence[Entry], *, brings_more: bool = False
) -> str | None:
    """Why what a module registered cannot be let in; None: it can. `before` and `after` are the registry around it.

    `brings_more`: it registered a task, a scorer or an importer, so it need not bring a strategy."""
    if taken := [name for name, entry in before.items() if after.get(name) is not entry]:
        return f"it registers a strategy {taken[0]!r}, and there is one of that name already"
    if not own and not brings_more:
        return (
            "it registers no strategy; decorate one with engine.strategies.strategy (or a task, a scorer, an importer)"
        )
    return next((f"its strategy {e.name!r} {wrong}" for e in own if (wrong := fault(e))), None)


def fault(entry: Entry) -> str | None:
    """What is wrong with one strategy, to be read after its name; None: nothing that can be told without running it."""
    if not isinstance(entry.name, str) or not _NAME.fullmatch(entry.name):
        return "needs a name of small letters, digits and underscores"
    if not (isinstance(entry.family, str) and isinstance(entry.calls, str) and entry.family.strip()):
        return "needs a family and the formula of its calls as texts"
    # Frozen, because instances are keys; a dataclass, because its fields are the parameters that ids are made of.
    if not getattr(getattr(entry.make, "__dataclass_params__", None), "frozen", False):
        return "is no frozen dataclass; write @dataclass(frozen=True) under its registration"
    solve = getattr(entry.make, "solve", None)
    if solve is None:
        return "has no solve"
    if not inspect.isasyncgenfunction(solve):
        return "has a solve that is no asynchronous generator; write `async def solve` and yield answers in it"
    if len(inspect.signature(solve).parameters) != 3:
        return "has a solve that does not take a problem and a session"
    for field in dataclasses.fields(entry.make):  # type: ignore[arg-type]
        if field.default is dataclasses.MISSING:
            return f"has no plain default for {field.name}"
        if field.name in _RESERVED:
            return f"has a parameter {field.name}, which means something else in a study"
    # From here on the plugin's own code runs, and may raise whatever it likes.
    try:
        registry.instance(entry, {key: value for key, value in entry.knobs.items() if value is not None})
        hash(entry.make())
    except UsageError as error:
        return f"has a default it would not take itself: {error}"
    except Exception as error:
        return f"cannot be made with its defaults ({type(error).__name__}: {error})"
    instance: Any = entry.make()
    if not hasattr(entry.make, "calls"):
        return "has no calls; write `calls = 2`, or a property where its parameters decide, for the most it makes"
    try:
        calls, anytime = instance.calls, entry.anytime(instance)
    except Exception as error:
        return f"cannot say its calls or whether it is anytime ({type(error).__name__}: {error})"
    # By type: True would pass for 1, and be stored as such.
    if type(calls) is not int or calls < 1:
        return "needs a property calls that is a whole number of at least 1"
    if type(entry.version) is not int or entry.version < 1:
        return "needs a version that is a whole number of at least 1"
    return None if isinstance(anytime, bool) else "does not say with true or false whether it is anytime"


GROUP = "budgetscope.strategies"
"""Entry points of installed packages: each names a module, or something in one."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A plugin that was left out."""

    plugin: str
    reason: str

    def __str__(self) -> str:
        return f"Plugin {shortened(self.plugin)!r} was left out: {self.reason}."


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a strategy came from."""

    module: str
    folder: str | None
    """Folder the module was found in; None: it is installed, and found from everywhere."""


Hearer = Callable[[Fault], None]
_faults: dict[str, Fault] = {}
_origins: dict[str, Origin] = {}
_turn = threading.RLock()
_asked: set[str] = set()
"""Whether the environment and the installed packages were looked at."""
_trusted: ContextVar[bool] = ContextVar("trusted", default=False)
_hearer: ContextVar[Hearer | None] = ContextVar("hearer", default=None)


@contextmanager
def hearing(hearer: Hearer) -> Iterator[None]:
    """Tell `hearer` of each plugin that is left out inside the block, once."""
    token = _hearer.set(hearer)
    try:
        yield
    finally:
        _hearer.reset(token)


@contextmanager
def trusting() -> Iterator[None]:
    """Inside the block the plugins that a study names are imported: its user told us to run it."""
    token = _trusted.set(True)
    try:
        yield
    finally:
        _trusted.reset(token)


def faults() -> tuple[Fault, ...]:
    """The plugins that were left out, in the order they were met."""
    return tuple(_faults.values())


def excuse() -> str:
    """What to add to the error about a strategy nobody knows; empty when no plugin was left out."""
    return " ".join(str(fault) for fault in faults())


def origin(strategy: str) -> Origin | None:
    """Where a plugin's strategy came from; None: it is one of ours, or nobody's."""
    return _origins.get(strategy)


def ready() -> None:
    """Load what the environment and the installed packages name, the first time somebody asks for a strategy, a task, a
    scorer or an importer."""
    with _turn:
        if _asked:
            return
        # Before the imports: a plugin that asks for strategies while it is imported must not start them again.
        _asked.add("here")
        folders = [Path(folder) for folder in os.environ.get(doors.PLUGIN_FOLDERS, "").split(os.pathsep) if folder]
        for name in os.environ.get(doors.PLUGINS, "").split(","):
            if name.strip():
                load(name.strip(), folders)
        from importlib import metadata

        for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name):
            with _turn:
                _admit(f"{point.name} of {GROUP}", point.load, point.module)


doors.before_a_look(ready)


def load(name: str, folders: Iterable[Path] = ()) -> Fault | None:
    """Import a module and admit its strategies; None: it is in. The working directory and `folders` are looked in too.

    A module that is in already is not imported again; one that was left out is tried again. Never raises for what a
    plugin does."""
    with _turn:
        registry.builtin()
        ready()
        # Behind everything that is there: a file beside a study must not stand in for a library.
        places = list(dict.fromkeys(str(folder.resolve()) for folder in (Path.cwd(), *folders)))
        sys.path.extend(place for place in places if place not in sys.path)
        importlib.invalidate_caches()  # a file written a moment ago is not seen otherwise
        if wrong := misnamed(name):
            return _leave_out(name, wrong)
        return _admit(name, lambda: importlib.import_module(name), name)


def of_study(top: toml.Table, folder: Path) -> tuple[str, ...]:
    """The plugins a study names, loaded where the command may; see `trusting`. Raises UsageError for rubbish."""
    texts: dict[str, tuple[str, ...]] = {}
    for key in ("plugins", "plugin_folders"):
        values = top.items(key) if key in top.body else []
        if not all(isinstance(value, str) and value.strip() for value in values):
            raise UsageError(f"{key} in {top.place} must be a list of texts that are not empty.")
        texts[key] = tuple(values)
    for name in texts["plugins"]:
        if _trusted.get():
            load(name, [folder, *(toml.located(place, folder) for place in texts["plugin_folders"])])
        elif name not in {known.module for known in _origins.values()}:
            _leave_out(
                name,
                "a study names it, and a program that only looks at studies loads no code for them; "
                "start it with --plugin",
            )
    return texts["plugins"]


def noted(text: str, names: Iterable[str]) -> str:
    """A study's text that names the plugins which gave these strategies, so that any later process finds them.

    A text that names them already is left as it is; one that is changed loses its comments. Raises UsageError for what
    is no TOML."""
    before = toml.parse(text, "the study")
    used = [origin for origin in map(_origins.get, names) if origin]
    wanted = {
        "plugins": [*before.get("plugins", ()), *(origin.module for origin in used)],
        "plugin_folders": [*before.get("plugin_folders", ()), *(o.folder for o in used if o.folder)],
    }
    after = {**before, **{key: list(dict.fromkeys(values)) for key, values in wanted.items() if values}}
    return text if after == before else toml.dump(after)


def _admit(label: str, bring: Callable[[], object], module: str) -> Fault | None:
    """Import, look at what was registered, and take all of it back if any of it will not do."""
    before, known = registry.registered(), module in sys.modules
    others = doors.registered()
    try:
        bring()
        after = registry.registered()
        # Its own also where it was in already: a second look must not find that it registers nothing.
        own = [e for name, e in after.items() if name not in before or f"{e.make.__module__}.".startswith(f"{module}.")]
        reason = refusal(before, after, own, brings_more=doors.registered() != others)
    except (Exception, SystemExit) as error:
        # SystemExit too: a script with sys.exit() at its end must not end us.
        reason = _reason(error, module)
    if reason:
        registry.restore(before)
        doors.restore(others)
        if not known:
            # Or a second try would find it imported, and register nothing.
            sys.modules.pop(module, None)
        return _leave_out(label, reason)
    _faults.pop(label, None)
    # The folder it was imported from; None for an installed package, which is found from everywhere.
    brought = sys.modules[module]
    file = Path(getattr(brought, "__file__", None) or "/")
    parents = file.resolve().parents
    root = parents[min(brought.__name__.count(".") + (file.stem == "__init__"), len(parents) - 1)]
    folder = None if root.name in ("site-packages", "dist-packages") else str(root)
    _origins.update({each.name: Origin(module, folder) for each in own})
    return None


def _leave_out(plugin: str, reason: str) -> Fault:
    fault = Fault(plugin, " ".join(reason.split()).rstrip("."))
    # Once for one reason: every verb that reads a study comes by here.
    hearer = _hearer.get()
    if hearer and _faults.get(plugin) != fault:
        hearer(fault)
    _faults[plugin] = fault
    return fault


def _reason(error: BaseException, module: str) -> str:
    """An error at import in a few words, with the plugin's own line where it has one."""
    # A module that the plugin itself misses is another thing, and falls through to the last sentence.
    if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
        return f"there is no module {error.name!r} in {Path.cwd()}, beside the study or among the installed packages"
    if isinstance(error, SyntaxError):
        return f"{Path(error.filename or module).name} has a mistake in line {error.lineno}: {error.msg}"
    # Frames that are neither the import system's nor this program's.
    ours = Path(__file__).parents[1]
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<")]
    theirs = [frame for frame in frames if ours not in Path(frame.filename).parents]
    where = f" ({Path(theirs[-1].filename).name}, line {theirs[-1].lineno})" if theirs else ""
    return f"its import ended with {type(error).__name__}: {shortened(str(error))}{where}"
