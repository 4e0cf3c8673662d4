"""A study's finding as a page or as Markdown, without a dashboard: `python -m dashboard.report`, started by
`budgetscope share`.

Reads the database and writes one file; asks no model and no network.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from urllib.parse import urlencode

from engine.core import files
from engine.core.errors import BudgetscopeError, UnknownName, UsageError


def main() -> int:
    """Write the file; returns the exit code."""
    parser = argparse.ArgumentParser(prog="budgetscope share")
    for name, more in (
        ("--db", {"type": Path, "required": True}),
        ("--out", {"type": Path, "required": True}),
        ("--study", {}),
        ("--task", {}),
        ("--x", {"default": "output_tokens"}),
        ("--most", {"type": float}),
        ("--least", {"type": float}),
        ("--format", {"default": "html", "choices": ("html", "md")}),
        ("--link", {"default": ""}),
    ):
        parser.add_argument(name, **more)
    given = parser.parse_args()
    # Caches of Streamlit work outside of a page and say so at length.
    logging.disable(logging.WARNING)
    try:
        words = written(given)
        files.replace(given.out, words.encode())
    except BudgetscopeError as error:
        print(f"budgetscope: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except OSError as error:
        print(f"budgetscope: {given.out} cannot be written ({files.why(error)}).", file=sys.stderr)
        return 1
    return 0


def written(given: argparse.Namespace) -> str:
    """The page or the Markdown that was asked for. Raises UsageError, UnknownName."""
    from dashboard import figures
    from dashboard.data import frozen, queries
    from engine.store.identity import fingerprint

    db = queries.Database(str(given.db), fingerprint(given.db))
    if (why := queries.trouble(db)) is not None:
        raise UsageError(why)
    studies = queries.study_choices(db)
    study = given.study or studies[0]
    if study not in studies:
        raise UnknownName("study", study, studies)
    if given.x not in figures.AXES:
        raise UnknownName("spend", given.x, figures.AXES)
    tasks = queries.study_tasks(db, study)
    task = given.task or tasks[0]
    if task not in tasks:
        raise UnknownName("task", task, tasks)
    ids = tuple(sorted(set(queries.cells(db, study=study, task=task)["condition_id"])))
    selection = queries.Selection(given.x, task, "staircase", None, ids, study=study)
    handles = figures.Handles(given.most, None if given.least is None else given.least / 100)
    view = frozen.of(db, selection, handles, None, {"study": [study], "task": [task], "x": [given.x]})
    link = f"{given.link}?{urlencode(view.query, doseq=True)}" if given.link else ""
    return frozen.as_markdown(view) if given.format == "md" else frozen.as_page(view, link)


if __name__ == "__main__":
    raise SystemExit(main())
