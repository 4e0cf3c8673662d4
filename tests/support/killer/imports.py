"""Everything a run imports and a new database, once: by the server that children are forked from, so that none pays for
it again."""

from __future__ import annotations

import importlib

from engine import strategies
from engine.core import memory
from engine.models import remote
from tests.support import hasty, new_files

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
# Who is killed has told the system all it wrote.
hasty.files()
new_files.copied(at_once=True)
# A child that looks for garbage in what all share would get a copy of it.
memory.keep()
