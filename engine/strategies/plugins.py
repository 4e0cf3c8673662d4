"""What a plugin's strategies must be before they are let in: looked at once, right after the import.

Owns the reasons for which one is turned away. It imports nothing of the plugin's and solves nothing: whether a strategy
keeps the contract is for `engine.testing` to try.

Strategies from the user's own modules: imported once, admitted whole or left out with one sentence that says why.

A plugin is a Python module that registers strategies as ours do; it is code, and runs with the rights of whoever
started this program. So nothing is imported but what that person named: on the command line, in `VARIABLE`, in a study
that a command was told to run, or by installing a package with an entry point of `GROUP`. A process that only shows
(the dashboard) imports what it was started with and never what a study, a run or an address names.
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
from types import ModuleType
from typing import TYPE_CHECKING, Any

from engine.core import registry as doors
from engine.core import toml
from engine.core.errors import UsageError, shortened
from engine.strategies import registry
from engine.strategies.registry import Entry

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


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
    before: Mapping[str, Entry], after: Mapping[str, Entry], mine: Sequence[Entry], *, brings_more: bool = False
) -> str | None:
    """Why what a module registered cannot be let in; None: it can. `before` and `after` are the registry around it.

    `brings_more`: it registered a task, a scorer or an importer, so it need not bring a strategy."""
    if taken := [name for name, entry in before.items() if after.get(name) is not entry]:
        return f"it registers a strategy {taken[0]!r}, and there is one of that name already"
    if not mine and not brings_more:
        return (
            "it registers no strategy; decorate one with engine.strategies.strategy (or a task, a scorer, an importer)"
        )
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
        registry.instance(entry, {key: value for key, value in entry.knobs.items() if value is not None})
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


GROUP = "budgetscope.strategies"
"""Entry points of installed packages: each names a module, or something in one."""
VARIABLE = "BUDGETSCOPE_PLUGINS"
"""Modules for this process and its children, separated by commas."""
FOLDERS = "BUDGETSCOPE_PLUGIN_FOLDERS"
"""Folders they may lie in besides the working directory, separated as in PATH."""


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
    """Load what the environment and the installed packages name, the first time somebody asks for strategies."""
    with _turn:
        if _asked:
            return
        _asked.add("here")
        folders = [Path(folder) for folder in os.environ.get(FOLDERS, "").split(os.pathsep) if folder]
        for name in os.environ.get(VARIABLE, "").split(","):
            if name.strip():
                load(name.strip(), folders)
        for point in _installed():
            with _turn:
                _admit(f"{point.name} of {GROUP}", point.load, point.module)


def load(name: str, folders: Iterable[Path] = ()) -> Fault | None:
    """Import a module and admit its strategies; None: it is in. The working directory and `folders` are looked in too.

    A module that is in already is not imported again; one that was left out is tried again. Never raises for what a
    plugin does."""
    with _turn:
        registry.builtin()
        ready()
        places = list(dict.fromkeys(str(folder.resolve()) for folder in (Path.cwd(), *folders)))
        sys.path.extend(place for place in places if place not in sys.path)
        importlib.invalidate_caches()
        if wrong := misnamed(name):
            return _leave_out(name, wrong)
        return _admit(name, lambda: importlib.import_module(name), name)


def of_study(top: toml.Table, folder: Path) -> tuple[str, ...]:
    """The plugins a study names, loaded where the command may; see `trusting`. Raises UsageError for rubbish."""
    names, places = (_texts(top, key) for key in ("plugins", "plugin_folders"))
    for name in names:
        if _trusted.get():
            load(name, [folder, *(toml.located(place, folder) for place in places)])
        elif name not in {known.module for known in _origins.values()}:
            _leave_out(
                name,
                "a study names it, and a program that only looks at studies loads no code for them; "
                "start it with --plugin",
            )
    return names


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


def environment(names: Iterable[str]) -> Mapping[str, str]:
    """What a child needs in its environment to load these plugins and those that we were given ourselves."""
    every = [*filter(None, os.environ.get(VARIABLE, "").split(",")), *names]
    places = [*filter(None, os.environ.get(FOLDERS, "").split(os.pathsep)), str(Path.cwd())]
    return {VARIABLE: ",".join(dict.fromkeys(every)), FOLDERS: os.pathsep.join(dict.fromkeys(places))} if every else {}


def _texts(top: toml.Table, key: str) -> tuple[str, ...]:
    values = top.items(key) if key in top.body else []
    if not all(isinstance(value, str) and value.strip() for value in values):
        raise UsageError(f"{key} in {top.place} must be a list of texts that are not empty.")
    return tuple(values)


def _installed() -> list[EntryPoint]:
    from importlib import metadata

    return sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name)


def _admit(label: str, bring: Callable[[], object], module: str) -> Fault | None:
    """Import, look at what was registered, and take all of it back if any of it will not do."""
    before, known = registry.registered(), module in sys.modules
    others = doors.registered()
    try:
        bring()
        mine = [e for name, e in registry.registered().items() if name not in before or _is_from(e.make, module)]
        reason = refusal(before, registry.registered(), mine, brings_more=doors.registered() != others)
    except (Exception, SystemExit) as error:
        reason = _told(error, module)
    if reason:
        registry.restore(before)
        doors.restore(others)
        if not known:
            sys.modules.pop(module, None)
        return _leave_out(label, reason)
    _faults.pop(label, None)
    where = _folder(sys.modules[module])
    _origins.update({each.name: Origin(module, where) for each in mine})
    return None


def _is_from(make: Callable[..., object], module: str) -> bool:
    return f"{make.__module__}.".startswith(f"{module}.")


def _leave_out(plugin: str, reason: str) -> Fault:
    fault = Fault(plugin, " ".join(reason.split()).rstrip("."))
    hearer = _hearer.get()
    if hearer and _faults.get(plugin) != fault:
        hearer(fault)
    _faults[plugin] = fault
    return fault


def _told(error: BaseException, module: str) -> str:
    """An error at import in a few words, with the plugin's own line where it has one."""
    if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
        return f"there is no module {error.name!r} in {Path.cwd()}, beside the study or among the installed packages"
    if isinstance(error, SyntaxError):
        return f"{Path(error.filename or module).name} has a mistake in line {error.lineno}: {error.msg}"
    steps = [step for step in traceback.extract_tb(error.__traceback__) if _ours(step.filename)]
    where = f" ({Path(steps[-1].filename).name}, line {steps[-1].lineno})" if steps else ""
    return f"its import ended with {type(error).__name__}: {shortened(str(error))}{where}"


def _ours(filename: str) -> bool:
    """Whether a frame is neither the import system's nor this program's."""
    return not filename.startswith("<") and Path(__file__).parents[1] not in Path(filename).parents


def _folder(module: ModuleType) -> str | None:
    """The folder a module is imported from; None: an installed one."""
    file = Path(getattr(module, "__file__", None) or "/")
    levels = module.__name__.count(".") + (file.stem == "__init__")
    root = file.resolve().parents[min(levels, len(file.resolve().parents) - 1)]
    return None if root.name in ("site-packages", "dist-packages") else str(root)
