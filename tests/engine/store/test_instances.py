"""Instances of DuckDB: lent from block to block, and handed in for new ones before they weigh."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from engine.store import instances
from engine.store.sql import Connection
from engine.store.store import Batch, Store
from tests.engine.store.test_store import a_trial, count, store

__all__ = ["store"]


def test_a_file_that_is_read_for_hours_is_handed_to_a_new_duckdb_now_and_then(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def start(instance: instances.Instance, of: Callable[..., Connection] = instances.Instance._start) -> Connection:
        started.append(instance._path)
        return of(instance)

    monkeypatch.setattr(instances.Instance, "_start", start)
    monkeypatch.setattr(instances, "_WORN", 6)
    store.flush(Batch((a_trial(0),)))
    assert [count(store, "trials") for _ in range(40)] == [1] * 40
    assert 4 <= len(started) <= 8, "each keeps something of every connection it gave"
    # A block that still reads holds the one it has.
    with store.reading() as connection:
        before = len(started)
        assert [count(store, "trials") for _ in range(20)] == [1] * 20
        assert connection.execute("select count(*) from trials").fetchall() == [(1,)]
        assert len(started) == before
    store.flush(Batch((a_trial(1),)))
    assert count(store, "trials") == 2


def test_a_reading_that_took_much_memory_leaves_none_of_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "_HEAVY", 2**20)
    held: list[int] = []

    def start(instance: instances.Instance, of: Callable[..., Connection] = instances.Instance._start) -> Connection:
        held.append(1)
        return of(instance)

    store.flush(Batch((a_trial(0),)))
    monkeypatch.setattr(instances.Instance, "_start", start)
    assert [count(store, "trials") for _ in range(3)] == [1] * 3 and len(held) <= 1
    with store.writing() as connection:
        connection.execute("create table much as select md5(i::varchar) as id from range(200_000) r(i)")
    assert count(store, "trials") == 1
    before = len(held)
    assert [count(store, "trials") for _ in range(3)] == [1] * 3
    assert len(held) == before, "of much there is, little was read"
    for _ in range(3):
        assert count(store, "(select distinct id from much)") == 200_000
    assert len(held) >= before + 2


def test_one_that_spilled_has_cleared_its_folder_before_the_next_begins(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instances, "_HEAVY", 2**20)
    with store.writing() as connection:
        connection.execute("create table much as select md5(i::varchar) as id from range(200_000) r(i)")
    closed: list[str] = []

    def close(instance: instances.Instance, of: Callable[..., None] = instances.Instance.close) -> None:
        closed.append(threading.current_thread().name)
        of(instance)

    monkeypatch.setattr(instances.Instance, "close", close)
    assert count(store, "(select distinct id from much)") == 200_000
    assert not closed
    spilled = store.path.with_name(f"{store.path.name}.tmp")
    spilled.mkdir()
    assert count(store, "(select distinct id from much)") == 200_000
    assert closed == [threading.current_thread().name]
