"""Records out of JSON that other hands may have touched: every field is of its type, or there is no record.

Owns what a readable count, moment or text is. Knows no file and no particular record; writes nothing.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

_MOST = 1 << 63
_T = TypeVar("_T")


def parsed(text: str | bytes) -> Any:
    """A JSON value. Raises ValueError, also for NaN, infinities and nesting beyond what Python reads."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def record(kind: type[_T], body: object) -> _T:
    """A dataclass from its JSON object. Raises ValueError for a missing, unknown or mistyped field.

    Counts are whole numbers from 0 to 2**63 - 1, moments are ISO 8601 with their zone, other numbers are finite."""
    hints = _hints(kind)  # type: ignore[arg-type]
    if not isinstance(body, dict) or not body.keys() <= hints.keys():
        raise ValueError(f"no {kind.__name__}")
    try:
        return kind(**{name: _value(hints[name], value) for name, value in body.items()})
    except TypeError as error:
        raise ValueError(str(error)) from None


@functools.cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _value(hint: Any, value: Any) -> Any:
    form = get_origin(hint)
    if form in (Union, UnionType):
        return _first(get_args(hint), value)
    if form is Literal:
        return value if isinstance(value, str) and value in get_args(hint) else _refuse(value)
    if form is Mapping and isinstance(value, dict):
        return {name: _value(get_args(hint)[1], each) for name, each in value.items()}
    if is_dataclass(hint) and isinstance(hint, type):
        return record(hint, value)
    if hint is datetime:
        return _moment(value)
    return value if hint in _FITS and _FITS[hint](value) else _refuse(value)


def _first(hints: tuple[Any, ...], value: Any) -> Any:
    """`value` as the one kind that is not null, or null itself."""
    if value is None and NoneType in hints:
        return None
    (kind,) = (hint for hint in hints if hint is not NoneType)
    return _value(kind, value)


def _moment(value: object) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else _refuse(value)
    return moment if moment.tzinfo else _refuse(value)


def _refuse(value: object) -> NoReturn:
    raise ValueError(f"a {type(value).__name__} that does not fit")


_FITS: dict[Any, Callable[[Any], bool]] = {
    bool: lambda value: type(value) is bool,
    float: lambda value: type(value) in (int, float) and abs(value) < _MOST and math.isfinite(value),
    int: lambda value: type(value) is int and 0 <= value < _MOST,
    str: lambda value: isinstance(value, str),
}
