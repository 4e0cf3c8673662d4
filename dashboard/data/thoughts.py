"""Thoughts of a setting, cached, and looking into them: a process of the command line, asked before by `access`.

What a look takes is worked out by the same command without asking anybody; how far one is stands in its log. Raises
RunError where this session may only look. Knows no page.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.data import access, queries, runs
from dashboard.data.kept import kept
from dashboard.data.queries import ALL, Database
from engine.analysis.sql.chains import Chain
from engine.analysis.thinking.overthinking import Glance
from engine.analysis.thinking.overthinking import glance as glance_of
from engine.analysis.thinking.thoughts import Inside, Source
from engine.analysis.thinking.thoughts import of as inside_of
from engine.core.errors import BudgetscopeError, RunError
from engine.core.tokens import DEFAULT, Token
from engine.models.tokens import tokenizers

LONGEST_PLAN_S = 240.0
"""The longest the estimate of a look is waited for: a local model has to be started for it."""
_probes: dict[tuple[str, str], Looking] = {}
"""By database and condition what was started here."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What looking into the thoughts of a setting takes at most."""

    thoughts: int
    looks: int
    known: int
    """Looks that were paid for before and cost nothing."""
    calls: int
    tokens: int
    pusd: int
    """Pico-dollars; 0: nobody bills the model."""


@dataclass
class Looking:
    """A process that looks."""

    child: subprocess.Popen[bytes]
    log: Path
    said: str = field(default="")

    @property
    def running(self) -> bool:
        """Whether it works still."""
        return self.child.poll() is None

    def line(self) -> str:
        """The last sentence it said."""
        # The system may sweep its folder of temporary files; what was read last is kept.
        if self.log.exists():
            lines = self.log.read_text("utf-8", "replace").strip().splitlines()
            self.said = lines[-1].removeprefix("budgetscope: ") if lines else self.said
        return self.said


@kept(128, says="Reading the thoughts …")
def chain(db: Database, condition: str, study: str, key: str) -> Chain | None:
    """One stored thought of a condition on a study's questions, by its key; None: it is there no longer."""
    every = queries.results(db.path).chains(condition, None if study == ALL else study, keys=[key])
    return next(iter(every), None)


@kept(32, says="Reading the thoughts …")
def inside(db: Database, condition: str, study: str, source: Source | None) -> Inside:
    """What they say about stopping them; see `analysis.thoughts.of`."""
    return inside_of(queries.results(db.path), condition, None if study == ALL else study, source)


@kept(128)
def glance(db: Database, condition: str, study: str) -> Glance | None:
    """How much a condition overthinks; see `analysis.overthinking.glance`."""
    try:
        # On a panel it is an aside: where it cannot be told, the panel is shorter.
        return glance_of(queries.results(db.path), condition, None if study == ALL else study)
    except BudgetscopeError:
        return None


@st.cache_data(max_entries=256, show_spinner="Cutting into tokens …")
def cells(model: str, text: str) -> tuple[Token, ...]:
    """A thought as tokens: by the model's own tokenizer where its file is here, else by the nearest one."""
    try:
        # Nothing at hand at all: then by the encoding that always comes along.
        own = tokenizers.of_model(model) or tokenizers.open_tokenizer(DEFAULT)
        return own.cut(text, most=tokenizers.ALL).tokens
    except BudgetscopeError:
        return replace(tokenizers.open_tokenizer(DEFAULT), exact=False).cut(text, most=tokenizers.ALL).tokens


def estimate(db: Database, condition: str, study: str) -> Estimate:
    """What a look takes at most; asks nobody. Raises RunError with the sentence of the command that would do it."""
    access.require()
    try:
        done = subprocess.run(
            [*_command(Path(db.path), condition, study), "--plan", "--json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=Path(__file__).resolve().parents[2],
            env=access.run_environment(),
            # In a process of its own, which may load a model and must not take the server's memory with it.
            timeout=LONGEST_PLAN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RunError("The estimate took too long and was given up; nothing was asked.") from None
    if done.returncode:
        # The last line is the sentence; before it may stand warnings of libraries.
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise RunError(said[-1].removeprefix("budgetscope: ") if said else "The estimate ended without a word.")
    found: dict[str, Any] = json.loads(done.stdout)
    worst = found.pop("worst")
    return Estimate(found["thoughts"], found["looks"], found["known"], **worst)


def start(db: Database, condition: str, study: str, *, tokens: int, usd: float | None) -> None:
    """Look into the thoughts under this ceiling, in a process of its own. Raises RunError."""
    access.require()
    # A demo is only read: looks go to the local copy, which is then the one that is shown.
    own = runs.settle(Path(db.path))
    key = (str(own), condition)
    if (before := _probes.get(key)) is not None and before.running:
        raise RunError("These thoughts are being looked into already.")
    descriptor, log = tempfile.mkstemp(prefix="budgetscope-probe-", suffix=".log")
    # To the last pico-dollar, and never with an exponent.
    ceiling = ["--tokens", str(tokens), *(["--usd", f"{usd:.12f}"] if usd is not None else [])]
    with os.fdopen(descriptor, "ab") as file:
        child = subprocess.Popen(
            [*_command(own, condition, study), *ceiling],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            # Out of the server's group: Ctrl+C there ends the dashboard, and not what it started.
            start_new_session=True,
            cwd=Path(__file__).resolve().parents[2],
            env={**access.run_environment(), "PYTHONUNBUFFERED": "1"},
        )
    _probes[key] = Looking(child, Path(log))


def looking(db: Database, condition: str) -> Looking | None:
    """What was started here for this setting; None: nothing."""
    return _probes.get((db.path, condition))


def stop(db: Database, condition: str) -> None:
    """Ask it to end; what it bought is kept."""
    access.require()
    if (found := looking(db, condition)) is not None and found.running:
        # As Ctrl+C would: it ends by its own rules, and stores what it paid for.
        found.child.send_signal(signal.SIGINT)


def _command(db: Path, condition: str, study: str) -> Sequence[str]:
    named = [] if study == ALL else ["--study", study]
    return [sys.executable, "-m", "engine", "probe", condition, "--db", str(db.resolve()), *named]
