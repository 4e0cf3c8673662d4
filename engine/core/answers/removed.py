"""What stands in place of a text that its owner had removed: when, and the answer it gave, which is a result and stays.

Votes are counted from stored replies, so the answer is kept word for word and `extract` reads it back, whatever the
question. Anything else of the text is gone.
"""

from __future__ import annotations

import re
from datetime import date

from engine.core.answers.patterns import late

_OPENING = "\u27e8texts were removed on "
_NOTE = late(_OPENING + r"(\d{4}-\d\d-\d\d)\u27e9(?: (.*))?", re.DOTALL)
LIKE = f"{_OPENING}%"
"""The beginning of such a note, as SQL's `like` has it."""


def note(day: date, answer: str | None = None) -> str:
    """The note in place of a text; `answer`: what it gave, None where it gave none."""
    return f"{_OPENING}{day.isoformat()}\u27e9" + ("" if answer is None else f" {answer}")


def is_note(text: str) -> bool:
    """Whether a text is such a note."""
    return text.startswith(_OPENING) and _NOTE.fullmatch(text) is not None


def kept(text: str) -> str | None:
    """The answer that a note keeps; None: the text gave none, or this is no note."""
    match = _NOTE.fullmatch(text) if text.startswith(_OPENING) else None
    return match[2] if match else None
