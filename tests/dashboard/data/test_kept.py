"""What pages keep of a database, for as long as its file stays as it is."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from dashboard.data.kept import STATES, kept


class Frame:
    """Something large."""


class TestStates:
    def test_what_was_read_of_a_state_is_read_once(self) -> None:
        reads: list[Hashable] = []

        @kept()
        def read(state: Hashable, task: str, study: str = "all") -> Frame:
            reads.append((state, task, study))
            return Frame()

        first = read("a.1", "sums")
        assert read("a.1", "sums", "all") is read("a.1", task="sums", study="all") is first, "one question, one read"
        assert read("a.1", "words") is not first
        assert reads == [("a.1", "sums", "all"), ("a.1", "words", "all")]

    def test_what_can_only_be_given_by_its_name_makes_another_question_too(self) -> None:
        @kept()
        def read(state: Hashable, *, axis: str = "calls") -> str:
            return axis

        assert (read("b.1"), read("b.1", axis="usd"), read("b.1", axis="calls")) == ("calls", "usd", "calls")

    def test_a_file_that_changes_for_hours_leaves_nothing_behind(self) -> None:
        held: list[weakref.ref[Frame]] = []

        @kept()
        def read(state: Hashable, task: str) -> Frame:
            found = Frame()
            held.append(weakref.ref(found))
            return found

        for version in range(100):
            for task in ("sums", "words"):
                read(("file", version), task)
        gc.collect()
        assert sum(each() is not None for each in held) == 2 * STATES
        assert all(each() is not None for each in held[-2 * STATES :]), "those of the newest states stay"

    def test_a_page_that_is_still_drawn_from_an_older_state_keeps_it(self) -> None:
        reads: list[Hashable] = []

        @kept()
        def read(state: Hashable) -> Frame:
            reads.append(state)
            return Frame()

        read("old")
        for version in range(5):
            read(version)
            read("old")
        assert reads.count("old") == 1

    def test_of_a_state_no_more_than_so_many_values_stay(self) -> None:
        held: list[weakref.ref[Frame]] = []

        @kept(4)
        def read(state: Hashable, budget: int) -> Frame:
            found = Frame()
            held.append(weakref.ref(found))
            return found

        for budget in range(20):
            read("one", budget)
        gc.collect()
        assert sum(each() is not None for each in held) == 4


class TestOnce:
    def test_who_asks_while_another_reads_waits_for_what_that_one_finds(self) -> None:
        reads, asked, go = 0, Event(), Event()

        @kept()
        def read(state: Hashable) -> Frame:
            nonlocal reads
            reads += 1
            asked.set()
            go.wait(10)
            return Frame()

        with ThreadPoolExecutor(4) as people:
            first = people.submit(read, "busy")
            asked.wait(10)
            others = [people.submit(read, "busy") for _ in range(3)]
            go.set()
            assert {id(each.result()) for each in others} == {id(first.result())}
        assert reads == 1

    def test_what_failed_is_tried_again(self) -> None:
        found = iter((ValueError("not yet"), "there"))

        @kept()
        def read(state: Hashable) -> str:
            answer = next(found)
            if isinstance(answer, Exception):
                raise answer
            return answer

        with pytest.raises(ValueError, match="not yet"):
            read("flaky")
        assert read("flaky") == "there"
