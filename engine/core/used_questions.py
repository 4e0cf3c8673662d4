"""Which questions something was trained on: a JSON file beside what was exported, read by studies that leave them out.

What is trained on a question is not scored on it. `budgetscope rewards --out` writes it, `without` of a study names it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from engine.core import files
from engine.core.errors import UsageError

ENDING = ".questions.json"
"""What is put behind the name of the exported file."""
_KEY = "questions"
_LARGEST = 64 * 2**20
"""Bytes of a file that are read."""


def beside(path: Path) -> Path:
    """Where the list of an exported file stands."""
    return path.with_name(f"{path.name}{ENDING}")


def write(path: Path, questions: Iterable[str], **about: str) -> None:
    """Write a list of question ids, and what it is about. Raises OSError."""
    files.replace(path, json.dumps({**about, _KEY: list(questions)}, indent=1))


def read(path: Path) -> frozenset[str]:
    """The ids of a list. Raises UsageError naming the file and what is wrong with it."""
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{path.name} has more than {_LARGEST // 2**20} MB, which no list of questions has.")
        body = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"The list of questions {str(path)!r} cannot be read ({files.why(error)}).") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{path.name} is no list of questions: it is not JSON.") from None
    ids = body.get(_KEY) if isinstance(body, dict) else None
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise UsageError(
            f"{path.name} is no list of questions: it has no {_KEY!r} with ids, as `budgetscope rewards --out` writes."
        )
    return frozenset(ids)
