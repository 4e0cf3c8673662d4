"""doctor: looks at this installation line by line and says what to mend. Shows keys by name only; changes nothing."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from engine import status
from engine.console import show
from engine.console.places import database
from engine.errors import BudgetscopeError

Grade = Literal["ok", "warn", "fail"]
NEEDED = ("duckdb", "polars", "streamlit", "plotly", "litellm", "tiktoken", "numpy", "pyarrow", "reasoning-gym")
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "MISTRAL_API_KEY", "GROQ_API_KEY",
        "DEEPSEEK_API_KEY", "OPENROUTER_API_KEY", "TOGETHERAI_API_KEY")  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    grade: Grade
    what: str
    says: str
    """What was found, and what to do if it is not ok."""


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
    yield _database(db)
    yield from _runs(db)
    for what, check in (("local model", _local_model), ("token counting", _encodings)):
        yield _guarded(what, check)
    yield _keys()
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


def _database(db: Path) -> Finding:
    if not db.exists():
        return Finding("ok", "database", f"{db} does not exist yet; the first run makes it")
    from engine.store import Store

    try:
        store = Store(db, wait_s=5)
        demo = " (the demo: read only, the first run copies it)" if store.is_demo() else ""
        return Finding("ok", "database", f"{db} opens, {len(store.runs()):,} runs{demo}")
    except BudgetscopeError as error:
        return Finding("fail", "database", str(error))


def _runs(db: Path) -> Iterable[Finding]:
    found = status.list_runs(db)
    for each in found:
        if each.state in ("dead", "stopped", "ceiling", "failed", "new"):
            advice = (
                f"{each.state} at {each.done:,} of {each.total:,} trials; `budgetscope resume {each.run_id}` goes on"
            )
            yield Finding("warn", f"run {each.run_id}", advice)
    living = sum(each.alive for each in found)
    yield Finding("ok", "runs", f"{len(found):,} beside the database, {living:,} running")


def _guarded(what: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except (BudgetscopeError, ImportError, OSError, ValueError) as error:
        return Finding("warn", what, f"{type(error).__name__}: {error}")


def _local_model() -> Finding:
    if importlib.util.find_spec("xllamacpp") is None:
        return Finding("warn", "local model", "xllamacpp is missing, so no model runs here; `uv sync --group local`")
    from engine.models import open_model

    model = open_model("local/smollm2-135m", {})
    return Finding("ok", "local model", f"found: {model.setting.identity}")


def _encodings() -> Finding:
    """The encodings come with the package; a look-up on the network would be a defect of ours."""
    from engine.records import Message
    from engine.tokens import BUNDLED, least

    counted = least((Message("user", "four words stand here"),), "gpt-4o")
    return Finding("ok", "token counting", f"offline with {len(BUNDLED)} encodings ({counted} tokens for 4 words)")


def _keys() -> Finding:
    present = [name for name in KEYS if os.environ.get(name)]
    says = f"set: {', '.join(present)}" if present else "none set; local and scripted models need none"
    return Finding("ok", "keys", says)


def _browser() -> Finding:
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found:
        return Finding("ok", "browser", f"{found} (saving figures as PNG, browser tests)")
    return Finding("warn", "browser", "no Chromium; needed only to save figures as PNG (`apt-get install chromium`)")
