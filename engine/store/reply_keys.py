"""Which requests have a stored reply, in twelve bytes each, so that a run knows millions of them at its start."""

from __future__ import annotations

import hashlib
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from engine.store.sql import Connection

CHUNK = 10_000
"""Rows in memory at once."""
_HEX = "[0-9a-f]{16}"
# Half of the hash an id is. Of two requests with one number, one's reply would not be found and would be bought again.
_NUMBER = f"""if(regexp_full_match(substr(key, 4, 16), '{_HEX}'), ('0x' || substr(key, 4, 16))::ubigint,
    md5_number_lower(split_part(key, '@', 1)))"""
_BEHIND = "substr(key, length(split_part(key, '@', 1)) + 1)"
_PLACES = f"""
create or replace temp table places as select behind, row_number() over (order by behind) - 1 as place
from (select distinct {_BEHIND} as behind from completions)"""
_ASKED = f"""
create or replace temp table asked as
select {_NUMBER} as number from attempts where model in (from wanted)
union select {_NUMBER} from calls where model in (from wanted)"""
# Time and place in one number, as whole texts would take a gigabyte of memory for two million replies.
_OLDEST = "select number, (min((epoch_us(created_at)::hugeint << 32) + place) & 4294967295)::bigint"
_REPLIES = f"select {_NUMBER} as number, {_BEHIND} as behind, created_at from completions where created_at >= ?"


class ReplyKeys:
    """The oldest stored reply of each request of some models. Nothing is in one that is made of nothing."""

    def __init__(self, found: Iterable[tuple[int, int]] = (), behind: Sequence[str] = ()) -> None:
        """`found`: by rising number the place in `behind` of what stands behind the request in the key of its reply."""
        self._numbers, self._places, self._behind = array("Q"), array("I"), behind
        for number, place in found:
            self._numbers.append(number)
            self._places.append(place)

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, request: str) -> bool:
        return self.get(request) is not None

    def get(self, request: str) -> str | None:
        """The key of the reply to a request; None: there is none."""
        number = _number(request)
        at = bisect_left(self._numbers, number)
        if at == len(self._numbers) or self._numbers[at] != number:
            return None
        return request + self._behind[self._places[at]]


def _number(request: str) -> int:
    """As `_NUMBER` says it."""
    if re.fullmatch(_HEX, half := request[3:19]):
        return int(half, 16)
    return int.from_bytes(hashlib.md5(request.encode(), usedforsecurity=False).digest()[8:], "little")


def reply_keys(connection: Connection, since: object, ours: str) -> ReplyKeys:
    """Of the models in the view `wanted` (column `id`), replies made at or after a naive UTC time; `ours`: a condition
    on them that begins with *and*, or nothing."""
    connection.execute(_PLACES)
    connection.execute(_ASKED)
    behind = [each for (each,) in connection.execute("select behind from places order by place").fetchall()]
    joined = "semi join asked using (number) join places using (behind) group by number order by number"
    cursor = connection.execute(f"{_OLDEST} from ({_REPLIES} {ours}) {joined}", [since])
    return ReplyKeys((row for some in iter(lambda: cursor.fetchmany(CHUNK), []) for row in some), behind)
