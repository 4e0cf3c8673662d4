"""Runs of the command line in processes of their own, which may be told to kill themselves at a named point.

A process is forked from a server that has imported everything once (stdlib's forkserver), so it costs a fraction of a
second and is otherwise what `python -m engine` is: its own pid, lock, event loop and exit code. At a kill point the real
function is wrapped in the child and sends SIGKILL to its own process; the engine knows nothing of it.
"""

from __future__ import annotations

import functools
import importlib
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import duckdb

from engine.core.records import Completion
from engine.runs import journal, process
from engine.runs.run_dir import RunDir, find, list_runs
from engine.store import database, schema
from engine.store.store import Store
from tests.support import new_files
from tests.support.provider import Provider, Served, serving

PARALLEL = 3
CEILING = 12_000
STUDY = """
name = "killed"
budgets = [400]
models = [{{name = "m", api_base = "{api_base}", parallel = {parallel}, prices = {{input = 1.0, output = 2.0}}}}]
tasks = ["file:{data}"]
strategies = [{{name = "self_consistency", samples = 3, chain_tokens = 48}},
              {{name = "chain_of_thought", chain_tokens = 48}}]
[ceiling]
usd = 1.0
tokens = {ceiling}
"""
Tap = Callable[..., Any]
DONE_S = 120.0
"""Seconds after which a child that has not ended is given up."""
HURRIED_S = 0.3
"""Seconds of one try to get at the database, and of the shortest gap in the clock, of a run that is hurried."""
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.support.killer.imports"])


def die() -> None:
    """End this process as nothing else can."""
    os.kill(os.getpid(), signal.SIGKILL)


def _before(target: str, nth: int) -> None:
    """Die when `target` is called the nth time."""

    def tapped(real: Tap, *args: Any, **more: Any) -> Any:
        if next(calls) == nth:
            die()
        return real(*args, **more)

    calls = _counted()
    _wrap(target, tapped)


def _after(target: str, nth: int) -> None:
    """Die when `target` has returned the nth time."""

    def tapped(real: Tap, *args: Any, **more: Any) -> Any:
        done = real(*args, **more)
        if next(calls) == nth:
            die()
        return done

    calls = _counted()
    _wrap(target, tapped)


def _after_await(target: str, nth: int) -> None:
    """Die when a coroutine of `target` has returned the nth time."""

    async def tapped(real: Tap, *args: Any, **more: Any) -> Any:
        done = await real(*args, **more)
        if next(calls) == nth:
            die()
        return done

    calls = _counted()
    _wrap(target, tapped)


def _half_a_flush() -> None:
    """Die once some tables of a flush are filled and others not, before the commit."""

    def tapped(real: Tap, connection: Any, content: dict[str, Any]) -> Any:
        names = list(content)
        if "completions" in content:
            real(connection, {name: content[name] for name in names[: len(names) // 2]})
            die()
        return real(connection, content)

    _wrap("engine.store.tables:insert", tapped)


def _half_a_migration() -> None:
    """Die between the steps of an upgrade, each of which is a transaction; of a new database, which is made in one,
    once some of its steps are taken."""
    taken = 0

    def tapped(real: Tap, connection: Any, steps: Sequence[Any]) -> Any:
        nonlocal taken
        taken += 1
        if len(steps) > 1:
            connection.execute("begin")
            for step in steps[: len(steps) // 2]:
                connection.execute(step.sql)
            die()
        if taken == 3:
            die()
        return real(connection, steps)

    database._make = new_files.made
    _wrap("engine.store.schema:_apply", tapped)


def _before_the_last_word() -> None:
    """Die when everything is stored and the status is about to say so."""

    def tapped(real: Tap, run: RunDir, status: Any) -> Any:
        if status.state == "finished":
            die()
        return real(run, status)

    _wrap("engine.runs.run_dir:write", tapped)


POINTS: dict[str, Callable[[], None]] = {
    "before the first intent": lambda: _before("engine.runs.journal:Journal.intent", 1),
    "after an intent, before dispatch": lambda: _before("engine.models.remote:RemoteModel.complete", 6),
    "after the provider served, before the journal has it": lambda: _after("engine.runs.journal:Journal.outcome", 6),
    "after the journal line, before the strategy sees it": lambda: _after_await(
        "engine.runs.dispatcher:Dispatcher.purchase", 6
    ),
    "between trial end and flush": lambda: _after_await("engine.runs.one_trial:solve", 3),
    "in the middle of a flush": _half_a_flush,
    "in the middle of a migration": _half_a_migration,
    "after the last flush, before the final status": _before_the_last_word,
}
"""What a child does to itself. The last point, while a reply is in flight, is the parent's: it holds the reply back."""

BEFORE_A_START = "before the first file of a start"
IN_A_START = "while a start makes its folder"
UNNAMED = "before a file that is written has its name"
HALF_FILLED = "once the first rows of a batch are in"
HOOKS: dict[str, Callable[[], None]] = {
    **POINTS,
    BEFORE_A_START: lambda: _before("engine.core.files:replace", 1),
    IN_A_START: lambda: _before("engine.core.files:replace", 2),
    UNNAMED: lambda: _after("os:fsync", 1),
    HALF_FILLED: lambda: _after("engine.store.tables:insert", 1),
    "nohup": lambda: _ignore(signal.SIGHUP),
    "impatient": lambda: _impatient(),
    "hurried": lambda: _hurried(),
    "by litellm": lambda: os.environ.update(BUDGETSCOPE_LANE="litellm"),
}
MAIN = "engine.cli:main"
"""What a child calls, unless it is told another."""


def _ignore(name: signal.Signals) -> None:
    signal.signal(name, signal.SIG_IGN)


def _impatient() -> None:
    """Rest a hundredth of what a run rests between tries."""

    def tapped(real: Tap, *args: Any) -> Any:
        seconds = real(*args)
        return None if seconds is None else seconds / 100

    for name in ("wait_s", "probe_s"):
        _wrap(f"engine.runs.rate_limits:Retries.{name}", tapped)


def _hurried() -> None:
    """Beat, look for a free database, and take a gap for a suspension several times sooner than a run of a user does."""

    def tapped(real: Tap, retry: Any, db: Path) -> None:
        real(retry, db, step_s=HURRIED_S)

    _wrap("engine.store.retry:LockRetry.__init__", tapped)
    process.EVERY_S, process.GAP_S = HURRIED_S / 3, HURRIED_S


def _counted() -> Iterator[int]:
    return iter(range(1, 1_000_000))


def _wrap(target: str, tapped: Tap) -> None:
    module, _, path = target.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    setattr(owner, name, _bound(tapped, getattr(owner, name)))


def _bound(tapped: Tap, real: Tap) -> Tap:
    @functools.wraps(real)
    def wrapper(*args: Any, **more: Any) -> Any:
        return tapped(real, *args, **more)

    return wrapper


def _child(argv: Sequence[str], outs: Sequence[str], hooks: Sequence[str], main: str, folder: str | None) -> None:
    """The command line with what it prints in files; never returns."""
    for stream, out in enumerate(outs, 1):
        os.dup2(os.open(out, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), stream)
    if folder is not None:
        os.chdir(folder)
        warnings.simplefilter("error")
        for name in [name for name in os.environ if name.startswith("BUDGETSCOPE_")]:
            del os.environ[name]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Tests that were started to outlive their terminal hand on that they ignore its end.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    for hook in hooks:
        HOOKS[hook]()
    module, _, name = main.partition(":")
    sys.argv[1:] = argv
    sys.exit(getattr(importlib.import_module(module), name)())


def start(
    argv: Sequence[str],
    out: Path,
    *hooks: str,
    main: str = MAIN,
    errors: Path | None = None,
    folder: Path | None = None,
) -> ForkServerProcess:
    """A process working on a command; `out` gets what it prints, but for what is said on its second stream where there
    are `errors`. In a `folder` it starts as from a terminal that says nothing of us, and a warning is an error."""
    args = list(argv), (str(out), str(errors or out)), hooks, main, folder and str(folder)
    child = _FORKS.Process(target=_child, args=args, daemon=True)
    with _without_main():
        child.start()
    return child


@contextmanager
def _without_main() -> Iterator[None]:
    """A child imports its parent's main module anew, which after a test of the pages is a page; it needs none."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def ended(child: ForkServerProcess) -> int:
    """Its exit code; negative: the signal that killed it."""
    child.join(DONE_S)
    assert child.exitcode is not None, "the process did not end"
    return child.exitcode


def run(argv: Sequence[str], out: Path, *hooks: str, main: str = MAIN) -> int:
    """The exit code of a command run to its end."""
    return ended(start(argv, out, *hooks, main=main))


class Said(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


def said(folder: Path, *argv: str) -> Said:
    """A command run to its end in a folder."""
    with tempfile.TemporaryDirectory() as place:
        out, errors = Path(place) / "out", Path(place) / "errors"
        code = ended(start(argv, out, errors=errors, folder=folder))
        return Said(code, out.read_text(encoding="utf-8"), errors.read_text(encoding="utf-8"))


@contextmanager
def held_open(db: Path) -> Iterator[None]:
    """Another process has the database open for writing for as long as the block lasts."""
    ready, done = _FORKS.Event(), _FORKS.Event()
    holder = _FORKS.Process(target=_hold, args=(str(db), ready, done), daemon=True)
    with _without_main():
        holder.start()
    assert ready.wait(DONE_S)
    try:
        yield
    finally:
        done.set()
        holder.join(DONE_S)


def _hold(db: str, ready: Any, done: Any) -> None:
    with Store(Path(db)).writing():
        ready.set()
        done.wait()


def sums(path: Path, count: int) -> Path:
    """A data file of `count` additions."""
    rows = [{"question": f"What is {n} + {n + 3}?", "answer": str(2 * n + 3)} for n in range(count)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def until(true: Callable[[], object]) -> None:
    """Wait for another process; what never comes fails the test."""
    deadline = time.monotonic() + DONE_S
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


@dataclass
class Stage:
    """One provider for several runs of one study, and what an undisturbed run found."""

    provider: Provider
    study: Path
    calm: dict[str, list[tuple[Any, ...]]]
    calls: int
    """Requests an undisturbed run makes."""
    journal_bytes: int
    """Size of its journal."""

    def argv(self, db: Path) -> list[str]:
        """The command that runs the study into a database."""
        return ["run", str(self.study), "--db", str(db)]


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """A provider, the study, and an undisturbed run of it."""
    study, db, out = folder / "study.toml", folder / "calm.duckdb", folder / "out"
    with serving() as provider:
        data = sums(folder / "sums.jsonl", 4)
        text = STUDY.format(api_base=provider.api_base, parallel=PARALLEL, data=data, ceiling=CEILING)
        study.write_text(text, encoding="utf-8")
        assert run(["run", str(study), "--db", str(db)], out) == 0, out.read_text(encoding="utf-8")
        yield Stage(provider, study, findings(db), len(provider.served), run_of(db).journal.stat().st_size)


def aged(db: Path, version: int = 4) -> Path:
    """A database of an older schema, which the first run that opens it upgrades."""
    with duckdb.connect(str(db)) as connection:
        connection.execute(schema.RECORD)
        schema._apply(connection, schema.MIGRATIONS[:version])
    return db


def run_of(db: Path) -> RunDir:
    """The one run beside a database."""
    (status,) = list_runs(db)
    return find(db, status.run_id)


def table(db: Path, name: str, *but: str) -> list[tuple[Any, ...]]:
    """The rows of a table without some columns, in a fixed order; of each trial only those of its last attempt."""
    left_out = f"exclude ({', '.join(but)})" if but else ""
    last = "where (trial_id, attempt) in (select (trial_id, max(attempt)) from trials group by trial_id)"
    with Store(db).reading() as connection:
        sql = f"select * {left_out} from {name} {last if 'attempt' in but else ''} order by all"
        return connection.execute(sql).fetchall()


_PAID_BY = re.compile(r"@(?:probe-)?\d{8}-\d{6}-[0-9a-f]{4}$")
_CHANCE: dict[str, tuple[str, ...]] = {
    "trials": ("attempt", "run_id", "started_at", "finished_at", "flush"),
    "trial_spends": ("attempt", "latency_ms", "flush"),
    "calls": ("attempt", "latency_ms", "replayed", "flush"),
    "marks": ("attempt", "flush"),
    "mark_spends": ("attempt", "latency_ms", "flush"),
    "completions": ("run_id", "created_at", "latency_ms"),
    "prompts": ("flush",),
    "conditions": (),
    "questions": (),
}
"""What a database holds, and the columns that tell of time, chance and interruptions alone."""


def findings(db: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All that a run found out: equal for two runs of one study, whatever happened to either."""
    found = {name: table(db, name, *but) for name, but in _CHANCE.items()}
    return {name: [tuple(map(without_run, row)) for row in rows] for name, rows in found.items()}


def without_run(value: Any) -> Any:
    """A completion's key tells the run that paid for it."""
    return _PAID_BY.sub("", value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Account:
    """What a provider served to a run, and what the run says of it."""

    served: int
    served_tokens: int
    asked_twice: int
    """Requests the provider saw again."""
    in_flight: int
    """Of the attempts, those whose outcome a kill left unknown."""
    needless: int
    """Requests sent again although the reply was there, or was not in doubt."""
    acknowledged: int
    """Replies the journal holds."""
    lost: int
    """Of these, the ones the database does not hold word for word."""
    charged_tokens: int
    """Spent and in doubt."""


def account(run: RunDir, served: Sequence[Served], acknowledged: Mapping[str, Completion] | None = None) -> Account:
    """The books of a run after its end; `acknowledged` is what the journal held before, all it holds unless told."""
    history = journal.read(run.journal)
    kept = history.completions if acknowledged is None else acknowledged
    stored = Store(run.db).completions(list(kept))
    asked = Counter(json.dumps([s.body["messages"], s.body["seed"], s.body["max_tokens"]]) for s in served)
    by_key: dict[str, list[str]] = {}
    for attempt in history.attempts:
        by_key.setdefault(attempt.key, []).append(attempt.outcome)
    charged = history.spent.tokens + history.in_doubt.tokens
    return Account(
        served=len(served),
        served_tokens=sum(s.prompt_tokens + s.completion_tokens for s in served),
        asked_twice=sum(count - 1 for count in asked.values()),
        in_flight=history.in_doubt.calls,
        needless=sum(max(0, sum(o != "in_doubt" for o in all_of) - 1) for all_of in by_key.values()),
        acknowledged=len(kept),
        lost=sum(stored.get(key) != reply for key, reply in kept.items()),
        charged_tokens=charged,
    )
