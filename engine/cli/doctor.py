"""doctor: looks at this installation, a database and the runs beside it, line by line, and says what to mend.

Each line is `ok`, `warn` (works, but look) or `fail` (mend this first). Shows keys by name only; changes nothing.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import click

from engine.cli import show
from engine.cli.launch import LAUNCH_TOKEN, launch_token, token_fault
from engine.cli.options import Verb, as_json, plugin, unwritable
from engine.core import files, places, shipped, text
from engine.core.errors import BudgetscopeError, StoreBusy
from engine.runs import journal, run_dir
from engine.runs.run_dir import RunDir, Status

Grade = Literal["ok", "warn", "fail"]
LITTLE, TOO_LITTLE = 2_000_000_000, 200_000_000
"""Free bytes of disk below which a run is in danger, and below which none should start."""
MOST_READ = 64_000_000
"""Bytes of a journal that are read line by line; of a longer one only the end is looked at."""
MOST_CHECKED = 2_000_000_000
"""Bytes of a database that is read to its end; a larger one is only measured."""
SLACK = timedelta(minutes=2)
"""How far two clocks of one network may differ."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    grade: Grade
    what: str
    says: str
    """What was found, and what to do if it is not ok."""


_ok, _warn, _fail = partial(Finding, "ok"), partial(Finding, "warn"), partial(Finding, "fail")


def findings(db: Path) -> Iterator[Finding]:
    """Everything about one database, its folder and its runs."""
    opened = _database(db)
    yield opened
    # What is busy or of an older version is not opened to be measured: that would upgrade it.
    if opened.grade == "ok" and db.exists():
        yield from _sizes(db)
    yield from _room(places.local_copy(db) if db == shipped.demo() else db)
    runs = run_dir.list_runs(db)
    for each in runs:
        yield from _run(run_dir.at(db, each.run_id), each)
    yield _ok("runs", f"{len(runs):,} beside the database, {sum(each.alive for each in runs):,} running")
    holders: set[str] = set()
    moments: list[tuple[datetime | None, str]] = []
    # A damaged file is read no further: each look into it would say the same again.
    if opened.grade == "ok" and db.exists():
        from engine.store.schema import SCHEMA_VERSION
        from engine.store.store import Store

        store = Store(db, wait_s=5)
        with suppress(BudgetscopeError):
            # An older one has other tables, and is upgraded by the next who writes: here nothing is changed.
            if store.version() == SCHEMA_VERSION:
                for row in store.runs():
                    moments += ((at, f"the stored run {row.run_id}") for at in (row.started_at, row.finished_at))
                holders = {lease.run_id for lease in store.read_book().held}
    for run_id in sorted(holders - {each.run_id for each in runs if each.alive}):
        why = (
            "is not running; the next run, or `budgetscope allowance`, settles it"
            if run_dir.is_dead(run_dir.at(db, run_id))
            else "its lock is gone, so it may still be running somewhere: what it was lent counts to the end of its day"
        )
        yield _warn(f"run {run_id}", f"holds a part of the day's allowance and {why}")
    yield from _leftovers(db, runs)
    for path in (db, Path(__file__)):
        with suppress(OSError):
            # Our own file too: no clock is right that lies before this program was installed.
            moments.append((datetime.fromtimestamp(path.stat().st_mtime, UTC), str(path)))
    moments += ((at, f"run {each.run_id}") for each in runs for at in (each.heartbeat_at, each.started_at))
    # A clock behind what was written miscounts days, ages and timeouts; nobody on the network is asked.
    now = run_dir.now()
    moment, source = max([(now, "this moment"), *((at, source) for at, source in moments if at)])
    if moment - now <= SLACK:
        yield _ok("clock", f"{now:%Y-%m-%d %H:%M} UTC; nothing here was written later")
    else:
        behind = show.duration((moment - now).total_seconds())
        yield _warn(
            "clock",
            f"it says {now:%Y-%m-%d %H:%M} UTC, but {source} is {behind} younger; set the "
            "clock: the allowance's days and the ages of completions hang on it",
        )


def _database(db: Path) -> Finding:
    if not db.exists() and not db.is_symlink():
        return _ok("database", f"{db} does not exist yet; the first run makes it")
    from engine.store.schema import SCHEMA_VERSION
    from engine.store.store import Store

    store = Store(db, wait_s=5)
    try:
        version = store.version()
        if damage := store.damage(MOST_CHECKED):
            return _fail("database", f"{db} is damaged ({damage}); restore a copy, or run its studies into another")
        if version < SCHEMA_VERSION:
            upgrade = f"the next opening upgrades it to {SCHEMA_VERSION}, and older programs read it no more"
            return _warn("database", f"{db} has schema version {version}; {upgrade}")
        demo = " (the demo: read only, the first run copies it)" if store.is_demo() else ""
        return _ok("database", f"{db} opens, version {version}, {len(store.runs()):,} runs{demo}")
    except StoreBusy as error:
        return _warn("database", f"{error} A run that is storing results holds it for moments only.")
    except BudgetscopeError as error:
        return _fail("database", str(error))


def _sizes(db: Path) -> Iterator[Finding]:
    """Which tables the bytes are in, the largest first, and what a trial takes."""
    from engine.store.store import Store

    try:
        tables, trials = Store(db, wait_s=5).sizes()
    except BudgetscopeError:
        # Busy or damaged, which is said of it already.
        return
    total = sum(tables.values())
    largest = sorted(tables.items(), key=lambda pair: -pair[1])[:6]
    parts = [f"{name} {text.size(size)}" for name, size in largest if size]
    each = f", {text.size(total // trials)} a trial ({trials:,})" if trials else ""
    yield _ok("sizes", f"{text.size(total)} in tables{each}: {text.joined(parts) if parts else 'none'}")


def _room(db: Path) -> Iterator[Finding]:
    """Whether the folder can be written, and how much room the disk has."""
    folder = db.resolve().parent
    if why := unwritable(folder):
        yield _fail("folder", f"{folder} cannot be written ({why}); name a database elsewhere with --db")
    elif db.exists() and not os.access(db, os.W_OK):
        yield _warn("folder", f"{db} may be read but not written; change its permissions to run studies")
    else:
        yield _ok("folder", f"{folder} can be written")
    # The nearest folder that exists: the database's own may be made by the first run.
    disk = next((path for path in db.resolve().parents if path.is_dir()), Path("/"))
    free = shutil.disk_usage(disk).free
    says = f"{show.number(free / 1e9)} GB free at {disk}"
    if free < TOO_LITTLE:
        yield _fail("disk", f"{says}; make room before a run: its journal would stop it half-way")
    else:
        yield _ok("disk", says) if free >= LITTLE else _warn("disk", f"{says}; make room soon")


def _run(run: RunDir, now: Status) -> Iterator[Finding]:
    """How a run stands, and what its journal has lost."""
    what = f"run {run.run_id}"
    if now.state in ("dead", "stopped", "ceiling", "failed", "new"):
        lost = ": its process is gone, its lock is free" if now.state == "dead" else ""
        trials = f"{now.done:,} of {now.total:,} trials"
        yield _warn(what, f"{now.state}{lost}, at {trials}; `budgetscope resume {run.run_id}` goes on")
    elif now.alive and now.message:
        yield _warn(what, now.message)
    try:
        # A journal of gigabytes is not read line by line for a check-up.
        size = run.journal.stat().st_size
        lines = journal.read(run.journal).unreadable if size <= MOST_READ else 0
        with run.journal.open("rb") as file:
            # The last byte alone tells: every whole line ends in a newline.
            file.seek(max(0, size - 1))
            # What a living run's journal ends in may be a line that is being written.
            torn = not now.alive and file.read(1) not in (b"", b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        restore = "restore it before you resume: what it holds was paid for"
        yield _fail(what, f"{run.journal} cannot be read ({files.why(error)}); {restore}")
        return
    if lines:
        doubt = "calls whose outcome they held stay charged at their worst case"
        yield _warn(what, f"{lines:,} lines of its journal say nothing; {doubt}")
    if torn:
        yield _warn(
            what,
            "its journal ends in a torn line, as a kill in the middle of a write leaves it; "
            "resume goes on, and that call stays charged at its worst case",
        )


def _leftovers(db: Path, runs: Iterable[Status]) -> Iterator[Finding]:
    """Half-made files of processes that were killed; they hold no lock and are only in the way."""
    found = files.leftovers(db.parent, lambda name: name == db.name)
    runs_folder = run_dir.folder(db)
    for folder in (runs_folder, *(runs_folder / each.run_id for each in runs)):
        found += files.leftovers(folder)
    for path in found:
        yield _warn("leftover", f"{path} is half a file of a process that was killed; delete it")


NEEDED = ("duckdb", "polars", "streamlit", "plotly", "litellm", "tiktoken", "numpy", "pyarrow")
KEYS = (
    *("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "MISTRAL_API_KEY"),
    *("GROQ_API_KEY", "DEEPSEEK_API_KEY", "OPENROUTER_API_KEY", "TOGETHERAI_API_KEY"),
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
    report = list(checks(db))
    if as_json:
        show.emit([asdict(each) for each in report])
    else:
        for each in report:
            show.say(f"{each.grade:4}  {each.what}: {each.says}")
    return int(any(each.grade == "fail" for each in report))


def checks(db: Path) -> Iterator[Finding]:
    """Of the installation, of one database, and of what studies beside it name."""
    from engine.strategies import entries, plugins
    from engine.study.schema import load
    from engine.tasks.gym.source import can_generate

    version = platform.python_version()
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield _ok("python", version) if fits else _fail("python", f"{version}; use 3.11, 3.12 or 3.13")
    for name in NEEDED:
        try:
            yield _ok(name, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield _fail(name, "missing; run `uv sync` (or `pip install budgetscope`)")
    if can_generate():
        yield _ok("reasoning-gym", metadata.version("reasoning-gym"))
    else:
        without = "the questions of the examples come along, those of other generators do not"
        yield _warn("reasoning-gym", f'{without}; `pip install "budgetscope[gym]"`')
    yield from findings(db)
    declared = []
    for each in run_dir.list_runs(db):
        # A study that cannot be read declares nothing.
        with suppress(BudgetscopeError):
            study = load(run_dir.at(db, each.run_id).study)
            declared += [(each.run_id, model) for model in study.models]
    # Those of the environment, of installed packages and of --plugin; what runs name is looked at by nobody here.
    origins = [(name, origin) for name in entries() if (origin := plugins.origin(name))]
    for fault in plugins.faults():
        yield _warn("plugin", str(fault))
    for name, origin in origins:
        yield _ok("plugin", f"{origin.module} gives the strategy {name}; it runs with your rights")
    # Each by itself: one broken part must not hide what the others say.
    for what, check in (("local model", _local_model), ("token counting", _encodings), ("prices", _prices)):
        try:
            yield check()
        except BudgetscopeError as error:
            yield _warn(what, str(error))
        except (ImportError, OSError, ValueError) as error:
            yield _warn(what, f"cannot be told ({error})")
    dates: dict[str, str] = {}
    for _, model in declared:
        if model.price is not None and model.price.as_of:
            dates[model.name] = max(model.price.as_of, dates.get(model.name, ""))
    for name, newest in dates.items():
        with suppress(ValueError):
            days = (run_dir.now().date() - date.fromisoformat(newest)).days
            if days > OLD_DAYS:
                yield _warn("prices", f"that of {name} is from {newest}, {days:,} days ago; look it up again")
    present = ", ".join(name for name in KEYS if os.environ.get(name))
    yield _ok("keys", f"set: {present}" if present else "none set; local and scripted models need none")
    for name, run_id in sorted({model.api_key_env: run_id for run_id, model in declared if model.api_key_env}.items()):
        if not os.environ.get(name, "").strip():
            yield _warn("keys", f"{name} is named by run {run_id} and not set; set it before you resume that run")
    yield from _secrets()
    if weakness := token_fault():
        yield _fail("launch token", weakness)
    elif launch_token():
        yield _ok("launch token", f"{LAUNCH_TOKEN} is set: asked for before runs are started on the page")
    else:
        without = "a dashboard makes one at each start, and one that other machines can reach is read-only"
        yield _ok("launch token", f"{LAUNCH_TOKEN} is not set; {without}")
    if browser := next((path for path in map(shutil.which, BROWSERS) if path), None):
        yield _ok("browser", f"{browser} (saving figures as PNG, browser tests)")
    else:
        yield _warn("browser", "no Chromium; needed only to save figures as PNG (`apt-get install chromium`)")


def _local_model() -> Finding:
    """Loads the bundled model in a process of its own: llama.cpp may end the process over a broken file."""
    from engine.models.llama import INSTALL

    what = "local model"
    if importlib.util.find_spec("xllamacpp") is None:
        return _warn(what, f"xllamacpp is missing, so no model runs here; {INSTALL}")
    from engine.models import open_model
    from engine.models.bundled import BUNDLED, FETCH
    from engine.models.local import LocalModel

    model = open_model(next(iter(BUNDLED)), {})
    assert isinstance(model, LocalModel)
    code = "import sys, pathlib; from engine.models.llama import running; running(pathlib.Path(sys.argv[1]), 'm')"
    # What llama.cpp says on its way down is not for this report.
    quiet: Any = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    # The child is to load this very checkout, wherever it is called from.
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    words = [sys.executable, "-c", code, str(model.path)]
    try:
        done = subprocess.run(words, env=environment, timeout=LOAD_S, check=False, **quiet)
    except subprocess.TimeoutExpired:
        return _fail(what, f"did not load within {LOAD_S:g} s; is the machine busy or out of memory?")
    if done.returncode:
        return _fail(what, f"{model.path} does not load; delete it, then run `{FETCH}`")
    return _ok(what, f"loads and listens: {model.setting.identity}")


def _encodings() -> Finding:
    """The encodings come with the package; a look-up on the network would be a defect of ours."""
    from engine.core.records import Message
    from engine.core.tokens import BUNDLED, least

    counted = least((Message("user", "four words stand here"),), "gpt-4o")
    return _ok("token counting", f"offline with {len(BUNDLED)} encodings ({counted} tokens for 4 words)")


def _prices() -> Finding:
    """The bundled list carries no date; it is at least as old as its file."""
    from engine.models.prices import FILE

    package = importlib.util.find_spec("litellm")
    path = Path(package.origin).parent / FILE if package and package.origin else Path(FILE)
    if not path.is_file():
        return _fail("prices", "litellm's price list is missing, so no list price is known; run `uv sync`")
    days = (run_dir.now() - datetime.fromtimestamp(path.stat().st_mtime, UTC)).days
    says = f"litellm {metadata.version('litellm')}'s list, on this disk for {max(0, days):,} days"
    if days <= OLD_DAYS:
        return _ok("prices", says)
    return _warn("prices", f"{says}; `uv sync --upgrade-package litellm` brings newer ones")


def _secrets() -> Iterator[Finding]:
    """Streamlit's secrets, which the dashboard passes on to the runs it starts: names alone."""
    top = Path(__file__).resolve().parents[2]
    # Where Streamlit looks: beside its script, in the working folder and at home.
    for folder in dict.fromkeys((top, top / "dashboard", Path.cwd(), Path.home())):
        path = folder / ".streamlit" / "secrets.toml"
        if not path.is_file():
            continue
        try:
            names = [name for name, value in tomllib.loads(path.read_text("utf-8")).items() if isinstance(value, str)]
        except (OSError, ValueError):
            yield _warn("secrets", f"{path} cannot be read, so the dashboard has no keys from it")
            continue
        says = f"{path} names {', '.join(names) or 'none'}, for runs the dashboard starts"
        if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            yield _warn("secrets", f"{says}; others may read it: `chmod 600`")
        else:
            yield _ok("secrets", says)
