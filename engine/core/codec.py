"""Records to JSON and back, and single values on their way into a column and back.

JSON may have been touched by other hands, or torn by a crash: every field is of its type, or there is no record.
msgspec checks the types. The text itself is read by the standard library, because a model's reply may hold a lone
surrogate, which JSON can say and msgspec refuses.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, NoReturn, TypeVar, get_args, get_type_hints

import msgspec

from engine.core import ids
from engine.core.records import Message, Problem, Which

Row = dict[str, Any]
"""A table row: column name to value."""
_T = TypeVar("_T")


def parsed(text: str | bytes) -> Any:
    """A JSON value. Raises ValueError, also for NaN, infinities and nesting beyond what Python reads."""
    try:
        # Python reads NaN and Infinity, which no JSON of ours holds: there a figure is torn or meant to harm.
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def record(kind: type[_T], body: object) -> _T:
    """A dataclass from its JSON object. Raises ValueError for a missing, unknown or mistyped field."""
    # msgspec looks over keys that a dataclass does not have; a damaged name would then count as its default.
    if not isinstance(body, dict) or not body.keys() <= {each.name for each in fields(kind)}:  # type: ignore[arg-type]
        raise ValueError(f"no {kind.__name__}")
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def jsonable(record: object) -> Any:
    """The record as plain values for JSON: moments in ISO 8601 with their zone, nested records as objects."""
    return msgspec.to_builtins(record)


def naive(moment: datetime) -> datetime:
    """The moment as the database keeps it: UTC without a zone."""
    return (moment if moment.tzinfo is UTC else moment.astimezone(UTC)).replace(tzinfo=None)


def aware(moment: datetime) -> datetime:
    """A stored moment with its zone back."""
    return moment.replace(tzinfo=UTC)


def storable(text: str) -> str:
    """Text that UTF-8 can hold: a lone surrogate in a model's reply becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def dumped(value: object) -> str:
    """Readable JSON text of a small nested value."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def plain(record: object) -> Row:
    """The fields of a flat record, times made naive."""
    # Not asdict, which goes down into nested records: a row has columns of its own for those.
    # Of a class the same each time: asked a thousand times a flush.
    names, values_of, moments = _columns(type(record))  # type: ignore[arg-type]
    row = dict(zip(names, values_of(record), strict=True))
    for name in moments:
        if row[name] is not None:
            row[name] = naive(row[name])
    return row


@lru_cache(maxsize=256)
def _columns(kind: type) -> tuple[tuple[str, ...], Callable[[object], tuple[Any, ...]], tuple[str, ...]]:
    """Names of the fields, what takes their values, and those that are moments."""
    names = tuple(each.name for each in fields(kind))
    values_of = attrgetter(*names) if len(names) > 1 else lambda record: (getattr(record, names[0]),)
    moments = tuple(name for name, hint in get_type_hints(kind).items() if datetime in (hint, *get_args(hint)))
    return names, values_of, moments


def with_reading(problem: Problem, own_id: str | None = None) -> str:
    """Data of a question, that says how its replies are read, what was said before it and what its source calls it;
    what is usual is left out."""
    reading = {"statement": problem.statement} if problem.statement != "last" else {}
    options = {"options": list(problem.options)} if problem.options else {}
    data: dict[str, Any] = {"reading": reading | options} if reading or options else {}
    data |= {"turns": [[turn.role, turn.content] for turn in problem.turns]} if problem.turns else {}
    data |= {"id": own_id} if own_id is not None else {}
    return ids.canonical(data) if data else "{}"


def turns(data: str) -> tuple[Message, ...]:
    """What was said before a question, as `with_reading` wrote it."""
    body = json.loads(data).get("turns") if '"turns"' in data else None
    # Both texts, or it is nothing of ours: another hand may have been at the column.
    said = [turn for turn in body or () if isinstance(turn, list) and [*map(type, turn)] == [str, str]]
    return tuple(Message(role, content) for role, content in said)


# Kept: it is asked for every draw of a question, and every place of a thought.
@lru_cache(maxsize=1024)
def reading(data: str) -> tuple[tuple[str, ...], Which]:
    """Options, and which statement of a reply counts, as `with_reading` wrote them; the usual where it did not."""
    if '"reading"' not in data:
        return (), "last"
    body = json.loads(data).get("reading")
    body = body if isinstance(body, dict) else {}
    return tuple(map(str, body.get("options") or ())), "first" if body.get("statement") == "first" else "last"
