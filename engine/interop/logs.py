"""Logs as they lie on a disk, which nobody vouches for: opened with bounds, read piece by piece, refused in one line.

A whole JSON file is mapped and not read, and the elements of its long list are decoded one by one, so memory does not
grow with the file. An archive says how large its members are and may lie: what comes out is counted. Nothing is
written, unpacked to disk, or run.
"""

from __future__ import annotations

import codecs
import mmap
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import fields
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from engine.core import ids
from engine.core.errors import UsageError, shortened
from engine.core.records import Message, Prompt, Spend

MOST_MEMBER_BYTES = 256 << 20
"""Of one member of an archive, unpacked; one sample is far smaller."""
MOST_RATIO = 200
"""How many times larger a member may be than it is packed, once it is over a megabyte; text packs 5 to 20 times."""
MOST_LINE_BYTES = 64 << 20
"""Of one line of JSON lines."""
PIECE_BYTES = 1 << 20
"""Of a file of lines, that are read at once."""
MOST_REPEATS = 1_000_000
"""Epochs of one question; a number beyond is a mistake of the log."""
ROWS = 1_000
"""Rows of a mapped file's list between two times that its pages are let go of."""
MARK = b"\xef\xbb\xbf"
"""Of UTF-8, in front of a file."""
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""What texts in UTF-16 begin with."""
HEAD_BYTES = 4 << 20
"""What is looked at to tell one kind of file from another."""
_ZSTANDARD = 93
"""How a zip archive numbers this method (APPNOTE 6.3.8, 4.4.5)."""
_T = TypeVar("_T")


def decoded(raw: Any, kind: type[_T], where: str) -> _T:
    """A record from JSON. Raises UsageError that names the place."""
    # As editors on Windows write a file anew.
    if bytes(memoryview(raw)[:3]) == MARK:
        raw = memoryview(raw)[3:]
    try:
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.DecodeError as error:
            # A model's reply may hold half a letter, which JSON can say and msgspec refuses; and where Python writes
            # JSON, a score that is no number is NaN.
            whole = bytes(raw)
            if "surrogate" not in str(error) and b"NaN" not in whole and b"Infinity" not in whole:
                raise
            plain = _NO_NUMBER.sub(lambda found: found[1] or b"null", whole)
            return msgspec.json.decode(_HALVES.sub(_mended, plain), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        foreign = isinstance(error, UnicodeDecodeError) or bytes(memoryview(raw)[:2]) in UTF_16
        said = "it is no text in UTF-8; save it so" if foreign else _words(error)
        raise UsageError(f"{where} is no such record: {said}.") from None


# An escaped backslash, a whole letter of two halves, or a half alone.
_HALVES = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\u[dD][c-fC-F][0-9a-fA-F]{2})?|\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)

# A text as it stands, or a word of Python's that is no JSON.
_NO_NUMBER = re.compile(rb'("(?:[^"\\]|\\.)*+")|-?\b(?:NaN|Infinity)\b', re.S)


def _mended(found: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if len(found[0]) == 6 else found[0]


def _words(error: Exception) -> str:
    # Names of fields come from the file, so that the sentence stays one line.
    said = " ".join(str(error).split()) or type(error).__name__
    # But for a word in capitals, such as JSON.
    first = said[:1] if said[1:2].isupper() else said[:1].lower()
    return shortened(first + said[1:].rstrip("."))


_PARTS = tuple(field.name for field in fields(Spend))

_skipped: ContextVar[list[str] | None] = ContextVar("skipped", default=None)


@contextmanager
def skipping_bad() -> Iterator[list[str]]:
    """Inside the block records that cannot be read are left out; why, is in the list."""
    faults: list[str] = []
    token = _skipped.set(faults)
    try:
        yield faults
    finally:
        _skipped.reset(token)


def left_out() -> int:
    """How many records could not be read so far; 0 where such stop the import."""
    return len(set(_skipped.get() or ()))


def attempt(where: str, read: Callable[..., _T], *parts: Any) -> _T | None:
    """One record; None where it cannot be read and such are left out. Raises UsageError where they are not.

    Whatever a reader stumbles over in a record that is shaped as no tool writes it becomes a sentence, here and once:
    no reader asks of every value of a foreign log which kind it has."""
    try:
        try:
            return read(*parts)
        except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise UsageError(f"{where} holds a value of another kind than its place has: {_words(error)}.") from None
    except UsageError as error:
        if (faults := _skipped.get()) is None:
            raise
        faults.append(str(error))
        return None


def at_line(name: str, number: int) -> str:
    """Where a record of JSON lines stands, as sentences begin; `name`: the file's."""
    return f"{name!r}, line {number},"


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """A file's bytes without reading them; raises UsageError for an empty one."""
    if not path.stat().st_size:
        raise UsageError(f"{path.name!r} is empty; there is nothing to import.")
    # Read by the pages that are touched, so a log of gigabytes costs no memory.
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        yield content
    finally:
        # Raw records point into it, also from the frames of an error on its way; the last of them closes it.
        with suppress(BufferError):
            content.close()


def elements(content: mmap.mmap, rows: Iterable[_T]) -> Iterator[_T]:
    """The rows of a mapped file's long list; what was read of the file is let go of, or it would all stay in memory."""
    # None on Windows, which lets go of pages by itself.
    forget: int | None = getattr(mmap, "MADV_DONTNEED", None)
    for place, row in enumerate(rows):
        if forget is not None and not place % ROWS:
            content.madvise(forget)
        yield row


def lines(path: Path, kind: type[_T]) -> Iterator[tuple[int, _T]]:
    """Records of JSON lines with their number, from 1; empty lines are passed over."""
    name = path.name
    # By large pieces: most lines are shorter than a usual one is.
    with path.open("rb", buffering=PIECE_BYTES) as file:
        number = 0
        while line := file.readline(MOST_LINE_BYTES + 1):
            number += 1
            if len(line) > MOST_LINE_BYTES:
                raise UsageError(f"{at_line(name, number)} is longer than {MOST_LINE_BYTES >> 20} MB; split it.")
            line = line.strip() if number > 1 else line.removeprefix(MARK).strip()
            if line:
                where = at_line(name, number)
                record = attempt(where, decoded, line, kind, where)
                if record is not None:
                    yield number, record


def first_line(path: Path) -> dict[str, Any]:
    """The JSON object in a file's first line; empty where there is none. Never raises for what is in it."""
    try:
        return _first(path)
    except (OSError, UsageError):
        return {}


def why_unread(path: Path) -> str:
    """What is wrong with the first line of a file of lines, in words to end a sentence with; empty where nothing is."""
    try:
        if path.suffix in (".jsonl", ".ndjson"):
            _first(path)
    except (OSError, UsageError) as error:
        return f"; {error}"
    return ""


def _first(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        line = file.readline(MOST_LINE_BYTES + 1)
    if len(line) > MOST_LINE_BYTES:
        raise UsageError(f"its first line is longer than {MOST_LINE_BYTES >> 20} MB.")
    return fields_of(decoded(line, Any, "its first line")) if line.strip() else {}


def begins_with(path: Path, *words: bytes) -> bool:
    """Whether a JSON object's beginning holds all of these."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return False
    return head.removeprefix(MARK).lstrip(b" \t\r\n").startswith(b"{") and all(word in head for word in words)


def is_archive(path: Path) -> bool:
    """Whether a file begins as a zip archive; one that was cut short has lost its end, by which others know them."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


class Archive:
    """A zip file whose members are read in memory, each bounded; their names are looked up and never used as paths."""

    def __init__(self, path: Path) -> None:
        self._path, self._name = path, path.name
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise UsageError(f"{path.name!r} is no whole archive ({_words(error)}); fetch it again.") from None
        self.names = self._zip.namelist()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def read(self, name: str) -> bytes:
        """One member, unpacked. Raises UsageError for one that is missing, damaged, encrypted, or a bomb."""
        try:
            info = self._zip.getinfo(name)
        except KeyError:
            raise UsageError(f"{self._name!r} holds no {name!r}; it was not written to its end.") from None
        # By its packed size, which is what the disk really holds.
        most = max(1 << 20, min(MOST_MEMBER_BYTES, info.compress_size * MOST_RATIO))
        try:
            # One byte more than is allowed: what the archive says of sizes may be a lie.
            if info.compress_type == _ZSTANDARD:
                content = self._unpacked(info, most + 1)
            else:
                with self._zip.open(info) as member:
                    content = member.read(most + 1)
        except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
            raise UsageError(
                f"{self._name!r}, member {shortened(name)!r}, cannot be unpacked: {_words(error)}."
            ) from None
        except Exception as error:
            # zlib, lzma and bz2 have errors of their own for damaged data.
            raise UsageError(f"{self._name!r}, member {shortened(name)!r}, is damaged: {_words(error)}.") from None
        if len(content) > most:
            raise UsageError(
                f"{self._name!r}, member {shortened(name)!r}, unpacks to more than {most >> 20} MB, as no log does; "
                "it is refused."
            )
        return content

    def _unpacked(self, info: zipfile.ZipInfo, most: int) -> bytes:
        """A member in Zstandard, which Inspect packs with by now and zipfile learns in Python 3.14."""
        import pyarrow

        if info.flag_bits & 1:
            raise RuntimeError("it is encrypted")
        with self._path.open("rb") as file:
            file.seek(info.header_offset)
            # What stands between its header and its data: two lengths, at 26 and 28.
            head = file.read(30)
            if len(head) < 30 or head[:4] != b"PK\x03\x04":
                raise zipfile.BadZipFile("it is not where the archive says")
            file.seek(int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"), 1)
            packed = file.read(min(info.compress_size, MOST_MEMBER_BYTES))
        with pyarrow.CompressedInputStream(pyarrow.BufferReader(packed), "zstd") as stream:
            content: bytes = stream.read(most)
        if len(content) < most and zlib.crc32(content) != info.CRC:
            raise zipfile.BadZipFile("its checksum is another")
        return content


def text_of(content: Any) -> str:
    """The text of a message: a string, or the text parts of a list; pictures and sounds are named only."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts: list[str] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(part, str):
            parts.append(part)
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            parts.append(part["text"])
        # A thought is no part of what was said.
        elif kind and kind != "reasoning":
            parts.append(f"[{kind}]")
    return "\n".join(parts)


def prompt_of(messages: Any) -> Prompt:
    """Messages as a transcript shows them; what a tool returned is told by the user's turn."""
    turns: list[Message] = []
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict):
            continue
        role, content = message.get("role"), text_of(message.get("content"))
        if role in ("system", "developer"):
            turns.append(Message("system", content))
        elif role == "assistant":
            turns.append(Message("assistant", content))
        else:
            # Tools and functions have no role here; whose words they are is said in brackets.
            turns.append(Message("user", content if role == "user" else f"[{shortened(str(role))}] {content}"))
    return tuple(turns)


def named_by(prompt: str, kind: str) -> str:
    """A name for a setting that nobody named and that its prompt makes: by content, for names are shown where prompts
    are not, and two that begin alike are two."""
    return f"{kind} {ids.digest('i3', prompt)[3:11]}"


def chat_of(words: str) -> Prompt:
    """A chat where a prompt is the JSON of one, as some tools keep it, else one turn."""
    try:
        turns = prompt_of(msgspec.json.decode(words)) if words.lstrip().startswith("[") else ()
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        turns = ()
    return turns or (Message("user", words),)


def moment(value: Any) -> datetime | None:
    """A time from ISO 8601 or seconds since 1970; without a zone it is taken for UTC. None: it is none."""
    try:
        if isinstance(value, str) and value:
            read = datetime.fromisoformat(value)
            return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def count_of(value: Any) -> int | None:
    """A whole number of at least 0 that a column holds; None: the log does not say."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 31:
        return None
    # Some tools count tokens in floats.
    return round(value)


def fields_of(value: Any) -> dict[str, Any]:
    """An object of a log; empty where something else stands in its place."""
    return value if isinstance(value, dict) else {}


def unit(value: Any) -> float | None:
    """A score from 0 to 1; None: it is no number, or outside, which is another scale that nobody told us."""
    if isinstance(value, bool):
        return float(value)
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None


def parameters(pairs: dict[str, Any]) -> tuple[tuple[str, str | int | float | bool], ...]:
    """Plain settings of a generation, sorted; nested and empty ones are left out, long texts shortened."""
    plain = {k: shortened(v) if isinstance(v, str) else v for k, v in pairs.items() if isinstance(v, str | int | float)}
    # The bound leaves out nan and infinity, which no JSON has, and what is no setting of anything.
    kept = {k: v for k, v in plain.items() if (v != "" if isinstance(v, str) else abs(v) < 1 << 53)}
    return tuple(sorted((shortened(str(k)), v) for k, v in kept.items()))


def spend(parts: dict[str, int | None]) -> tuple[Spend | None, tuple[str, ...]]:
    """The vector of what a log reports, and the names of what it does not; None where it reports nothing."""
    known = {name: value for name, value in parts.items() if value is not None}
    unreported = _lacking(tuple(known))
    return (Spend(**known), unreported) if known else (None, unreported)


@lru_cache(maxsize=256)
def _lacking(known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in _PARTS if name not in known)
