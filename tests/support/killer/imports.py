"""Everything a run imports, once: loaded by the server that children are forked from, so that none pays for it again."""

from __future__ import annotations

import importlib

from engine import strategies
from engine.models import remote

for name in (
    "engine.analysis",
    "engine.cli",
    "engine.cli.reading.reports",
    "engine.cli.runs",
    "engine.models.scripted",
    "engine.runs.runner",
    "engine.tasks.files",
    "engine.runs.worker",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
):
    importlib.import_module(name)
remote.loaded()
strategies.entries()
