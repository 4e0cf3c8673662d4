"""The journal of a run: an intent before each dispatch, the outcome before any strategy sees it.

One JSON object per line, with its checksum. Lines of one turn of the event loop share a write (a system call costs more
than a line), and `written` returns once it is done: what is acknowledged so survives SIGKILL; `sync` makes a batch
survive the machine. An outcome that a full disk refused is kept and tried again with the next line; an intent is
dropped, as nothing is sent without it. Reading forgives a torn last line and counts what it cannot read. An intent
without an outcome is *in doubt*: it may have been billed, so it stays charged at its worst case. Holds no key and no
header, only what the store keeps as well.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import accumulate
from pathlib import Path
from typing import Any

from engine.core import codec, files
from engine.core.answers import removed
from engine.core.budget import Amount, larger
from engine.core.records import Attempt, Completion

_CLOSED = -1
_INTENT, _OUTCOME = b'{"intent":', b'{"outcome":'
_NAMED = re.compile(rb'\{"(?:intent|outcome)": ?\{"attempt_id": ?"([\w-]+)"')


@dataclass(slots=True)
class History:
    """What a journal tells of the run so far."""

    completions: dict[str, Completion] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    """Every attempt; those without outcome are 'in_doubt' with their whole reservation charged."""
    unreadable: int = 0
    """Lines that say nothing, a torn last one not counted; calls whose outcome they held are in doubt."""
    unread: list[str | None] = field(default_factory=list)
    """Of these, those after the last word of what is untold, by the attempt they begin to name; None: they name none.
    """
    untold: Amount = Amount()
    """Charged for attempts nobody knows any more; part of what is in doubt."""
    reported_pusd: dict[str, int] = field(default_factory=dict)
    """By attempt, the pico-dollars its provider itself reported, where it did."""

    @property
    def billed(self) -> list[Attempt]:
        """Every attempt at what the ceiling counts: our price, or the provider's own cost where that is more."""
        # Of a lost reply no cost is known, whatever an earlier line about it said: it stays at its worst case.
        costs = ((a, self.reported_pusd.get(a.attempt_id) if a.outcome == "ok" else None) for a in self.attempts)
        return [replace(a, charged_pusd=larger(a.charged_pusd, cost)) if cost else a for a, cost in costs]

    @property
    def spent(self) -> Amount:
        """What attempts with a known outcome cost."""
        return sum((charged(a) for a in self.billed if a.outcome != "in_doubt"), Amount())

    @property
    def in_doubt(self) -> Amount:
        """What attempts without a known outcome may have cost."""
        return sum((charged(a) for a in self.attempts if a.outcome == "in_doubt"), self.untold)


def charged(attempt: Attempt) -> Amount:
    """What an attempt counts against the ceiling; a refused one made no billed call."""
    billed = attempt.charged_tokens > 0 or attempt.outcome in ("ok", "in_doubt")
    return Amount(int(billed), attempt.charged_tokens, attempt.charged_pusd or 0)


class Journal:
    """Appends to one file; one writer at a time (the worker holds the run's lock). Raises OSError if it cannot."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        last = _last_line(path)
        if last and _is_torn(last) and not _is_json(last):
            # Nobody was told of it, and it is no damage once others follow.
            os.ftruncate(self._file, path.stat().st_size - len(last))
            last = b""
        # Any other last line is ended first: the next one would be lost with it.
        self._lines: list[bytes] = [b"\n"] if last else []
        self._waiting: list[asyncio.Future[None]] | None = None
        """Who waits for the lines of this turn of the loop; None: there are none."""
        self._flush()

    def intent(self, attempt: Attempt) -> None:
        """Note that a request is about to be sent."""
        self._write({"intent": codec.jsonable(attempt)})

    def outcome(self, attempt: Attempt, completion: Completion | None) -> None:
        """Note what became of it, with the reply if there is one."""
        reply = None if completion is None else codec.jsonable(completion)
        self._write({"outcome": codec.jsonable(attempt), "completion": reply})

    def restore(self, attempts: Iterable[Attempt], untold: Amount) -> None:
        """Note attempts it does not hold, and what was charged for those nobody knows: from here on it is whole."""
        for attempt in attempts:
            self._write({"outcome": codec.jsonable(attempt), "completion": None})
        self._write({"untold": codec.jsonable(untold)})

    async def written(self) -> None:
        """Wait until all lines noted so far are in the file. Raises OSError if they cannot be."""
        if self._waiting is not None:
            # One each: whoever is cancelled leaves the others waiting.
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        elif self._lines:
            self._flush()

    def sync(self) -> None:
        """Make all written lines survive a power cut; safe from another thread."""
        os.fsync(self._file)

    def close(self) -> None:
        """Write what is left and give the file back, whether or not that worked; a second time does nothing."""
        if self._file == _CLOSED:
            return
        try:
            self._flush()
        finally:
            # The number may be another file's soon; a late note must not find it.
            file, self._file = self._file, _CLOSED
            os.close(file)

    def _write(self, line: dict[str, Any]) -> None:
        self._lines.append(_summed(json.dumps(line, ensure_ascii=True, separators=(",", ":")).encode()))
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._flush()
            return
        # One system call for all lines of this turn of the loop; `written` waits for it.
        if self._waiting is None:
            self._waiting = []
            loop.call_soon(self._acknowledge)

    def _acknowledge(self) -> None:
        waiting, self._waiting = self._waiting or [], None
        fault: OSError | None = None
        try:
            self._flush()
        except OSError as error:
            fault = error
        for turn in waiting:
            if turn.done():
                continue
            if fault is None:
                turn.set_result(None)
            else:
                turn.set_exception(fault)

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        body, done = b"".join(lines), 0
        try:
            while done < len(body):
                done += os.write(self._file, memoryview(body)[done:])
        except OSError:
            # Whole outcomes are kept for the next try, away from a torn line. Intents are not: nothing is sent without
            # one, so nobody waits for it.
            ends = list(accumulate(map(len, lines)))
            left = [line for line, end in zip(lines, ends, strict=True) if end > done and not line.startswith(_INTENT)]
            self._lines = left if done in (0, *ends) else [b"\n", *left]
            raise


_SUM = b',"sum":'


def _summed(body: bytes) -> bytes:
    """A line with the sum of what it says: a digit that changes on the disk leaves a line that can be read."""
    return body[:-1] + _SUM + str(zlib.crc32(body)).encode() + b"}\n"


def _is_whole(line: bytes, said: object) -> bool:
    """Whether a line is what was written; those of earlier releases have no sum."""
    body, found, _ = line.rpartition(_SUM)
    return said is None if not found else zlib.crc32(body + b"}") == said


def _is_torn(line: bytes) -> bool:
    """Whether a line was being written when the process died: it lacks its end, and begins as lines do."""
    begins = any(line.startswith(start) or start.startswith(line) for start in (_INTENT, _OUTCOME))
    return begins and not line.endswith(b"\n")


def _is_json(line: bytes) -> bool:
    try:
        codec.parsed(line)
    except ValueError:
        return False
    return True


def _last_line(path: Path) -> bytes:
    """What stands after the last line's end; empty where the last line has one."""
    size, step = path.stat().st_size, 1 << 16
    with path.open("rb") as file:
        tail = b""
        while len(tail) < size and b"\n" not in tail:
            file.seek(max(0, size - len(tail) - step))
            tail, step = file.read(), 2 * step
    return tail[tail.rfind(b"\n") + 1 :]


def read(path: Path) -> History:
    """All that a journal acknowledges; a missing file is an empty history, an unreadable line is counted."""
    history = History()
    if not path.exists():
        return history
    attempts: dict[str, Attempt] = {}
    # Line by line: the journal of a long run is large, and all its replies are about to be in memory once.
    with path.open("rb") as lines:
        for line in lines:
            if line.isspace():
                continue
            try:
                entry = codec.parsed(line)
                if not isinstance(entry, dict) or not _is_whole(line, entry.pop("sum", None)):
                    raise ValueError("no line of a journal, or not the one that was written")
                if "untold" in entry:
                    history.untold += codec.record(Amount, entry["untold"])
                    history.unread.clear()
                    continue
                attempt = codec.record(Attempt, entry.get("outcome") or entry.get("intent"))
                completion = codec.record(Completion, entry["completion"]) if entry.get("completion") else None
            except ValueError:
                if not _is_torn(line):
                    named = _NAMED.match(line)
                    history.unread.append(named.group(1).decode() if named else None)
                    history.unreadable += 1
                continue
            # An outcome replaces its intent, never the other way: lines of one write may come again after a torn one.
            if entry.get("outcome") or attempt.attempt_id not in attempts:
                attempts[attempt.attempt_id] = attempt
            if completion is not None:
                history.completions.setdefault(completion.key, completion)
                if completion.provider_cost_pusd is not None:
                    history.reported_pusd[attempt.attempt_id] = completion.provider_cost_pusd
    history.attempts = list(attempts.values())
    return history


def without_texts(path: Path, keys: Collection[str], day: date) -> bool:
    """Put notes in place of the texts of some replies, in one step; whether there were any. Nothing else changes, and
    lines that cannot be read stay as they are. Whoever calls holds the run's lock."""
    if not path.exists():
        return False
    part, changed = files.part_of(path), False
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with path.open("rb") as lines, os.fdopen(handle, "wb") as new:
            for line in lines:
                told = _without_text(line, keys, day)
                changed |= told is not None
                new.write(line if told is None else told)
            new.flush()
            os.fsync(new.fileno())
        if changed:
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return changed


def _without_text(line: bytes, keys: Collection[str], day: date) -> bytes | None:
    """A line with a note for the text of its reply; None: it has none that is to go."""
    try:
        entry = codec.parsed(line)
        whole = _is_whole(line, entry.pop("sum", None))
        reply = entry["completion"]
        if reply["key"] not in keys or removed.is_note(reply["text"]):
            return None
        reply["text"] = removed.note(day)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    body = json.dumps(entry, ensure_ascii=True, separators=(",", ":")).encode()
    # A line that was damaged stays one that is not believed.
    return _summed(body) if whole else body[:-1] + _SUM + b"0}\n"
