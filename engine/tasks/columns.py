"""Which column of a file holds what, by what people and benchmarks call them. Reads no file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

Role = Literal["question", "answer", "choices", "context", "category", "id", "kind", "messages"]
NAMES: dict[Role, tuple[str, ...]] = {
    "question": ("question", "problem", "prompt", "query", "input", "text", "asked", "q"),
    "answer": ("answer", "target", "solution", "expected", "label", "output", "gold", "a", "answers", "reference"),
    "choices": ("choices", "options", "answer_choices", "candidates"),
    "context": ("context", "passage", "document", "article", "background", "story"),
    "category": ("category", "topic", "subject", "domain", "difficulty", "level", "type"),
    "id": ("id", "question_id", "qid", "uid", "_id", "idx"),
    "kind": ("kind", "answer_kind", "answer_type"),
    "messages": ("messages", "conversation", "conversations", "dialogue", "dialog", "chat"),
}
"""What columns are called, the likeliest first."""
ROLES: tuple[Role, ...] = tuple(NAMES)


def named(role: Role, columns: Iterable[str]) -> str | None:
    """The column whose name says that it holds this; None: none does."""
    # Backwards, so that of two that differ in case alone the first counts.
    there = [*columns]
    # A name that stands so before one that only looks like it: it is what a study reads that names none.
    folded = {name.strip().lower(): name for name in reversed(there)} | {name: name for name in there}
    return next((folded[name] for name in NAMES[role] if name in folded), None)


def guessed(columns: Sequence[str]) -> dict[Role, str]:
    """What the columns of a file probably hold, each one thing; question and answer are the first and the last column
    where no name says so."""
    found: dict[Role, str] = {}
    for role in ROLES:
        column = named(role, (name for name in columns if name not in found.values()))
        if column is not None:
            found[role] = column
    rest = [name for name in columns if name not in found.values()]
    if "question" not in found and "messages" not in found and rest:
        found["question"] = rest.pop(0)
    if "answer" not in found and "messages" not in found and rest:
        found["answer"] = rest[-1]
    return found
