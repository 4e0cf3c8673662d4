"""Records out of JSON that other hands may have touched: every field is of its type, or there is no record.

Owns what a readable count, moment or text is. Knows no file and no particular record; writes nothing.

Single values on their way into a column and back: times without a zone, text that UTF-8 holds, small JSON.

Reading TOML that people wrote: checked values out of tables, and one sentence for whatever does not fit.

Owns types, ranges and unknown keys; knows no study. A value is never shown in an error unless it is a number or a short
text of a key that cannot hold a secret.
"""

from __future__ import annotations

import functools
import json
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from engine.core.errors import UnknownName, UsageError, shortened

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


Row = dict[str, Any]


def naive(moment: datetime) -> datetime:
    """The moment as the database keeps it: UTC without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


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
    values = {name: getattr(record, name) for name in getattr(record, "__dataclass_fields__", ())}
    return {name: naive(v) if isinstance(v, datetime) else v for name, v in values.items()}


LARGEST = 10**12
"""No number in a study is larger."""
_LARGEST_FILE = 4_000_000


def read(path: Path) -> str:
    """Text of a file, a byte order mark left out. Raises UsageError when it is missing, too large or no UTF-8."""
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} cannot be read: it is not an ordinary file.")
        if path.stat().st_size > _LARGEST_FILE:
            raise UsageError(f"{path} is larger than 4 MB: that is no study.")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not valid UTF-8 (byte {error.start}); save it as UTF-8.") from None
    except FileNotFoundError:
        raise UsageError(f"There is no study file {path}.") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None


def parse(text: str, where: str) -> dict[str, Any]:
    """The tables of a text. Raises UsageError with line and column."""
    try:
        found = tomllib.loads(text)
        repr(found)  # A hexadecimal number can be too long to be written in decimals: refused here, not when shown.
        return found
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where} is not valid TOML: {error}.") from None
    except (ValueError, RecursionError):
        raise UsageError(
            f"{where} is not usable TOML: a number is too long, or values are nested too deeply."
        ) from None


def with_table(text: str, name: str, values: Mapping[str, int | float]) -> str | None:
    """The text with these numbers set in a top-level table, whatever way it was written; None: it cannot be done."""
    before = tomllib.loads(text)
    after = {**before, name: {**before.get(name, {}), **values}}
    body = "".join(f"{key} = {value!r}\n" for key, value in after[name].items())
    header = re.compile(rf"^[ \t]*\[[ \t]*{name}[ \t]*\][^\n]*\n(?:(?![ \t]*\[)[^\n]*\n)*", re.M)
    inline = re.compile(rf"^[ \t]*{name}[ \t]*(?:\.[ \t]*\w+[ \t]*)?=[^\n]*\n", re.M)
    bare = inline.sub("", header.sub("", f"{text}\n"))
    changed = f"{bare.rstrip()}\n\n[{name}]\n{body}"
    try:
        return changed if tomllib.loads(changed) == after else None
    except ValueError:
        return None


def with_lists(text: str, lists: Mapping[str, list[str]]) -> str | None:
    """The text with these lists of texts set at its top level; None: it cannot be done."""
    written = re.compile(rf"^[ \t]*(?:{'|'.join(lists)})[ \t]*=[ \t]*\[[^\]]*\][^\n]*\n", re.M)
    head = "".join(f"{key} = {json.dumps(values, ensure_ascii=False)}\n" for key, values in lists.items())
    changed = f"{head}{written.sub('', f'{text}' + chr(10))}"
    try:
        return changed if tomllib.loads(changed) == {**tomllib.loads(text), **lists} else None
    except ValueError:
        return None


@dataclass(frozen=True)
class Table:
    """One table and what it may hold; making one refuses unknown keys."""

    where: str
    """File, for errors."""
    name: str
    """As the file writes it: '[ceiling]', "[[models]] 'small'"; empty: the top level."""
    body: Mapping[str, Any]
    known: Iterable[str]

    def __post_init__(self) -> None:
        for key in self.body:
            if key not in self.known:
                raise UnknownName(f"key in {self.place}", key, self.known)

    @property
    def place(self) -> str:
        """Where an error is."""
        return f"{self.name} of {self.where}" if self.name else self.where

    def wrong(self, key: str, wanted: str) -> UsageError:
        """The error for a value that does not fit; the value itself is only shown when it is a number."""
        value = self.body.get(key)
        return UsageError(f"{key} in {self.place} must be {wanted}{_instead(value)[:60]}.")

    def text(self, key: str, default: _T) -> str | _T:
        """A text that is not empty."""
        if key not in self.body:
            return default
        value = self.body[key]
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, "a text that is not empty")
        return value

    def required(self, key: str) -> str:
        """A text that has to be there."""
        found = self.text(key, None)
        if found is None:
            raise UsageError(f"{self.place} has no {key}; give it one.")
        return found

    def integer(self, key: str, default: _T, least: int = 0, most: int = LARGEST) -> int | _T:
        """A whole number within bounds; true and false are none."""
        if key not in self.body:
            return default
        value = self.body[key]
        if type(value) is not int or not least <= value <= most:
            raise self.wrong(key, f"a whole number from {least:,} to {most:,}")
        return value

    def number(self, key: str, default: _T, least: float = 0, most: float = LARGEST) -> Decimal | _T:
        """A finite number within bounds, exact as written."""
        if key not in self.body:
            return default
        value = self.body[key]
        if type(value) not in (int, float) or not least <= value <= most:
            raise self.wrong(key, f"a number from {least:,} to {most:,}")
        return Decimal(repr(value))

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self.body.get(key, default)
        if type(value) is not bool:
            raise self.wrong(key, "true or false")
        return value

    def one_of(self, key: str, default: str, choices: Iterable[str]) -> str:
        """A text from a list. Raises UnknownName with the nearest."""
        found = self.text(key, default)
        if found not in choices:
            raise UnknownName(f"{key} in {self.place}", found, choices)
        return found

    def table(self, key: str, known: Iterable[str]) -> Table | None:
        """A table below this one; None: it is not there."""
        if key not in self.body:
            return None
        if not isinstance(self.body[key], dict):
            raise self.wrong(key, "a table")
        return Table(self.where, f"[{self._below(key)}]", self.body[key], known)

    def items(self, key: str, more: str = "") -> list[Any]:
        """A list that is not empty; the key has to be there. `more` says what else it may be."""
        value = self.body.get(key)
        if not isinstance(value, list) or not value:
            raise self.wrong(key, "a list with at least one entry" + more)
        return value

    def tables(self, key: str, known: Callable[[Mapping[str, Any]], Iterable[str]]) -> list[Table]:
        """[[key]] tables, each by its name; a bare text stands for a table with that name alone."""
        found = self.items(key, f" (or [[{key}]] tables)")
        return [self._entry(key, at, item, known) for at, item in enumerate(found, 1)]

    def _entry(self, key: str, at: int, item: object, known: Callable[[Mapping[str, Any]], Iterable[str]]) -> Table:
        body = {"name": item} if isinstance(item, str) else item
        if not isinstance(body, dict):
            raise UsageError(f"Entry {at} of {key} in {self.where} must be a name or a table, not {_kind(item)}.")
        name = body.get("name")
        label = f"[[{self._below(key)}]] " + (shortened(repr(name)) if isinstance(name, str) else f"number {at}")
        return Table(self.where, label, body, known(body))

    def _below(self, key: str) -> str:
        return f"{self.name.strip('[]')}.{key}" if self.name.startswith("[") and "]] " not in self.name else key


def _instead(value: object) -> str:
    """What stands there instead of what is wanted, as the end of a sentence."""
    if type(value) in (int, float, bool):
        return f", not {value}"
    if value is None:
        return "; it is missing"
    empty = not value.strip() if isinstance(value, str) else value in ([], {})
    return "; it is empty" if empty else f", not {_kind(value)}"


def _kind(value: object) -> str:
    names = {dict: "a table", list: "a list", str: "a text", bool: "true or false", type(None): "missing"}
    return names.get(type(value), f"a {type(value).__name__}")


def path(written: str, folder: Path) -> Path:
    """A path as a study writes it, relative to the study's folder; ~ is the home folder."""
    try:
        return folder / Path(written).expanduser()
    except RuntimeError:
        raise UsageError(f"The path {written!r} names a home folder that does not exist.") from None
