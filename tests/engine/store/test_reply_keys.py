"""What is known of stored replies: of each request of a model the oldest, whoever paid for it, and no other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
from hypothesis import given
from hypothesis import strategies as st

from engine.core import ids
from engine.store import tables
from engine.store.reply_keys import ReplyKeys, reply_keys

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).replace(tzinfo=None)
REQUESTS = [
    *(ids.digest("c1", number) for number in range(5)),
    "c-0",
    "",
    "c1-ABCDEF0123456789",
    "c1-0123456789_bcdef",
    "ü",
]
REPLIES = st.tuples(
    st.sampled_from(REQUESTS), st.sampled_from([None, "r1", "r2", "r@3", ""]), st.integers(-2, 2), st.sampled_from("ab")
)


@given(st.lists(REPLIES, max_size=30), st.integers(-2, 2))
def test_of_each_request_of_a_model_the_oldest_reply_is_found(
    replies: list[tuple[str, str | None, int, str]], since: int
):
    connection = duckdb.connect()
    connection.execute("create table completions (key varchar, created_at timestamp)")
    connection.execute("create table attempts (key varchar, model varchar)")
    connection.execute("create table calls (key varchar, model varchar)")
    oldest: dict[str, tuple[datetime, str]] = {}
    stored: dict[str, datetime] = {}
    for place, (request, run, day, model) in enumerate(replies):
        key, at = request if run is None else f"{request}@{run}", NOON + timedelta(days=day)
        # An attempt names the request, a call the reply; either says whose it is.
        connection.execute(
            "insert into attempts values (?, ?)" if place % 2 else "insert into calls values (?, ?)",
            [key if place % 2 == 0 else request, model],
        )
        if stored.setdefault(key, at) is at:
            connection.execute("insert into completions values (?, ?)", [key, at])
    asked = {request for request, _, _, model in replies if model == "a"}
    for key, at in stored.items():
        request = ids.request_of(key)
        if request in asked and at >= NOON + timedelta(days=since):
            oldest[request] = min(oldest.get(request, (at, key)), (at, key))
    tables.want(connection, ["a"])
    found = reply_keys(connection, NOON + timedelta(days=since), "")
    assert {request: found.get(request) for request in REQUESTS if request in found} == {
        request: key for request, (_, key) in oldest.items()
    }
    assert len(found) == len(oldest) and bool(found) == bool(oldest)


def test_where_nothing_is_stored_nothing_is_found():
    assert not ReplyKeys() and ReplyKeys().get("c1-0") is None
