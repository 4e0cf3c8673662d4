"""TOML that people write: read, checked table by table against declared types, changed and written again.

msgspec checks types and ranges; this adds where a value stands and the nearest right word, so that every mistake is one
`UsageError` of one sentence with file, key and what is wanted. A value is only shown in it when it is a number or a
name to choose from: texts may be secrets in the wrong place.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
import tomli_w
from msgspec import Meta

from engine.core.errors import UnknownName, UsageError, shortened

Text = Annotated[str, Meta(pattern=r"\S")]
"""A text that is not empty."""
LARGEST = 10**12
"""No number in a study is larger."""
MOST_ENTRIES = 1_000
"""No list in a study is longer: they multiply."""
# A study has kilobytes; a data file named by mistake would be parsed for minutes.
_LARGEST_FILE_BYTES = 4_000_000
_REQUIRED: Any = object()
_T = TypeVar("_T")


def read(path: Path) -> str:
    """Text of a file, a byte order mark left out. Raises UsageError when it is missing, too large or no UTF-8."""
    try:
        if path.exists() and not path.is_file():
            # A pipe or a device would be read for ever.
            raise UsageError(f"{path} cannot be read: it is not an ordinary file.")
        if path.stat().st_size > _LARGEST_FILE_BYTES:
            raise UsageError(f"{path} is larger than 4 MB: that is no study.")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not valid UTF-8 (byte {error.start}); save it as UTF-8.") from None
    except FileNotFoundError:
        raise UsageError(f"There is no study file {path}.") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None


def parse(text: str, where: str) -> dict[str, Any]:
    """The tables of a text; `where` names it in errors. Raises UsageError with the line."""
    try:
        body = tomllib.loads(text)
        repr(body)  # A hexadecimal number can be too long to be written in decimals: refused here, not when shown.
        return body
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where} is not valid TOML: {_explained(text, str(error))}.") from None
    except (ValueError, RecursionError):
        raise UsageError(
            f"{where} is not usable TOML: a number is too long, or values are nested too deeply."
        ) from None


def dump(body: Mapping[str, Any]) -> str:
    """TOML of these values; what is None is left out, and a lone surrogate, which UTF-8 cannot hold, becomes '?'."""
    return tomli_w.dumps(_writable(body))


def _writable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_writable(key): _writable(each) for key, each in value.items() if each is not None}
    if isinstance(value, (list, tuple)):
        return [_writable(each) for each in value if each is not None]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


_PART = r"""(?:"[^"\n]*"|'[^'\n]*'|[\w-]+)"""
_KEYED = re.compile(rf"[ \t]*(\[\[?)?[ \t]*({_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*(?:\]\]?|=|$)")
_MEANINGS = {
    "Invalid value": "a value is missing, or a text stands without quotes",
    "Expected ']": "the head of a table is not closed with ]",
    "Unclosed array": "a list is not closed with ]",
    "Unterminated string": "a text is not closed with its quotes",
    "Expected '=' after a key": "a key has no = and value",
    "Expected newline or end of document": "something follows a value on its line",
}
"""Beginnings of tomllib's messages that say little to who wrote the file."""


def _explained(text: str, message: str) -> str:
    """What is wrong and where, in words of the file; a key that is set twice is shown in both its forms."""
    what, place = (message.rpartition(" (at ")[0], message.rpartition(" (at ")[2].rstrip(")"))
    lines = text.splitlines()
    number = int(found[1]) if (found := re.match(r"line (\d+)", place)) else len(lines)
    if what.startswith(("Cannot mutate", "Cannot declare", "Cannot overwrite")):
        section, written = "", []
        for at, line in enumerate(lines[:number], 1):
            if match := _KEYED.match(line):
                opening, key = match[1], re.sub(r"""[\s"']""", "", match[2])
                section = key if opening else section
                form = f"{opening}{key}{']' * len(opening)}" if opening else f"{key} = ..."
                written.append((at, key if opening or not section else f"{section}.{key}", form))
        later, path, form = written.pop() if written else (number, "", "")
        # The same path before a part of it, and nearest first: a key of one [[models]] table may stand in another too.
        twins = [each for each in written if each[1] == path]
        nested = [e for e in written if f"{e[1]}.".startswith(f"{path}.") or f"{path}.".startswith(f"{e[1]}.")]
        if twins or nested:
            earlier, other, other_form = (twins or nested)[-1]
            if other_form == form:
                return f"{shortened(form)} stands twice, in lines {earlier} and {later}; once is enough"
            return (
                f"{shortened(min(path, other, key=len))} is written both as {shortened(other_form)} (line {earlier}) "
                f"and as {shortened(form)} (line {later}); keep one of the two"
            )
        return f"a key or table is set a second time at {place}"
    meaning = next((words for beginning, words in _MEANINGS.items() if what.startswith(beginning)), what)
    return f"{meaning} (at {place})"


@dataclass(frozen=True)
class Table:
    """One table of a file."""

    where: str
    """File, for errors."""
    name: str
    """As the file writes it: '[ceiling]', "[[models]] 'small'"; empty: the top level."""
    body: Mapping[str, Any]

    @property
    def place(self) -> str:
        """Where an error is."""
        return f"{self.name} of {self.where}" if self.name else self.where

    def known(self, keys: Iterable[str]) -> None:
        """Refuse any other key. Raises UnknownName."""
        for key in self.body:
            if key not in keys:
                raise UnknownName(f"key in {self.place}", key, keys)

    def wrong(self, key: str, wanted: str, value: object = None) -> UsageError:
        """The error for a value that does not fit; the value itself is only shown when it is a number."""
        value = self.body.get(key) if value is None else value
        if type(value) in (int, float, bool):
            instead = f", not {value}"[:60]
        elif value is None:
            instead = "; it is missing"
        elif value in ([], {}) or (isinstance(value, str) and not value.strip()):
            instead = "; it is empty"
        else:
            instead = f", not {_kind(value)}"
        return UsageError(f"{key} in {self.place} must be {wanted}{instead}.")

    def value(self, key: str, kind: Any, default: Any = _REQUIRED) -> Any:
        """The value of a key as `kind`, a type that msgspec knows; without a default the key has to be there."""
        if key in self.body:
            return self.checked(key, kind, self.body[key])
        if default is _REQUIRED:
            raise UsageError(f"{self.place} has no {key}; give it one.")
        return default

    def checked(self, key: str, kind: Any, value: Any) -> Any:
        """`value` as `kind`. Raises UsageError that calls it `key`, UnknownName where `kind` is a choice of names."""
        try:
            return msgspec.convert(value, kind)
        except (msgspec.ValidationError, UnicodeEncodeError):
            choices = [part for part in (kind, *get_args(kind)) if get_origin(part) is Literal]
            if choices and isinstance(value, str) and value.strip():
                raise UnknownName(f"{key} in {self.place}", value, get_args(choices[0])) from None
            raise self.wrong(key, _wanted(kind), value) from None

    def fields(self, kind: type[_T], **others: Any) -> _T:
        """A dataclass whose fields are keys of this table, checked against their types; `others` are given as they are.

        Keys that are no field are not looked at (see `known`)."""
        hints = _hints(kind)  # type: ignore[arg-type]
        for field in dataclasses.fields(kind):  # type: ignore[arg-type]
            if field.name not in others and (field.name in self.body or field.default is dataclasses.MISSING):
                others[field.name] = self.value(field.name, hints[field.name])
        return kind(**others)

    def table(self, key: str) -> Table | None:
        """A table below this one; None: it is not there."""
        if key not in self.body:
            return None
        return Table(self.where, f"[{self._below(key)}]", self.value(key, dict[str, Any]))

    def items(self, key: str, more: str = "") -> list[Any]:
        """A list that is not empty; the key has to be there. `more` says what else it may be."""
        values = self.body.get(key)
        if not isinstance(values, list) or not values:
            raise self.wrong(key, f"a list with at least one entry{more}")
        if len(values) > MOST_ENTRIES:
            raise UsageError(
                f"{key} in {self.place} has {len(values):,} entries and the most is {MOST_ENTRIES:,}; leave some out."
            )
        return values

    def tables(self, key: str, known: Callable[[Mapping[str, Any]], Iterable[str]]) -> list[Table]:
        """[[key]] tables with `known` keys, each by its name; a bare text stands for a table with that name alone."""
        tables = []
        for at, item in enumerate(self.items(key, f" (or [[{key}]] tables)"), 1):
            body = {"name": item} if isinstance(item, str) else item
            if not isinstance(body, dict):
                raise UsageError(f"Entry {at} of {key} in {self.where} must be a name or a table, not {_kind(item)}.")
            name = body.get("name")
            # By its name where it has one, which is how whoever wrote it finds it.
            label = shortened(repr(name)) if isinstance(name, str) else f"number {at}"
            tables.append(Table(self.where, f"[[{self._below(key)}]] {label}", body))
            tables[-1].known(known(body))
        return tables

    def _below(self, key: str) -> str:
        return f"{self.name.strip('[]')}.{key}" if self.name.startswith("[") and "]] " not in self.name else key


@functools.cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _wanted(kind: Any) -> str:
    """What a type asks for, as the middle of a sentence."""
    parts = [part for part in get_args(kind) if part is not NoneType]
    if get_origin(kind) is Annotated:
        bounds = next((part for part in parts if isinstance(part, Meta)), Meta())
        if parts[0] in (int, float):
            number = "a whole number" if parts[0] is int else "a number"
            return f"{number} from {bounds.ge:,} to {bounds.le:,}"
        return _wanted(parts[0])
    if NoneType in get_args(kind):
        return _wanted(parts[0])
    words = {str: "a text that is not empty", bool: "true or false", dict: "a table"}
    return words.get(get_origin(kind) or kind, "a text that is not empty")


def _kind(value: object) -> str:
    names = {dict: "a table", list: "a list", str: "a text", bool: "true or false"}
    return names.get(type(value), f"a {type(value).__name__}")


def located(written: str, folder: Path) -> Path:
    """A path as a study writes it, relative to the study's folder; ~ is the home folder."""
    try:
        return folder / Path(written).expanduser()
    except RuntimeError:
        raise UsageError(f"The path {written!r} names a home folder that does not exist.") from None
