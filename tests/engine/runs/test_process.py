"""A run that was suspended for longer than its time-outs reads what arrived meanwhile and asks for nothing again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.runs import journal, process, run_dir
from engine.runs.process import SteadyLoop
from engine.runs.run_dir import RunDir
from tests.engine.runs.test_hardship import state_of
from tests.engine.runs.test_worker import asked_twice, prepared, study_text
from tests.support import killer
from tests.support.killer import HURRIED_S, until
from tests.support.provider import Provider, serving

TIMEOUT_S = 1.5


@contextmanager
def suspended(folder: Path, provider: Provider) -> Iterator[RunDir]:
    """A run with calls in flight whose process was stopped, and went on once the block ended."""
    model = (
        f'{{name = "m", api_base = "{provider.api_base}", parallel = 4, timeout_s = {TIMEOUT_S}, '
        "prices = {input = 1.0, output = 2.0}}"
    )
    run = prepared(folder, study_text(folder, model, count=4, more="[ceiling]\nusd = 1.0"))
    provider.sends = 1
    child = killer.start(["--db", str(run.db), "resume", run.run_id], folder / "out", "hurried")
    assert child.pid is not None
    pid = child.pid
    try:
        until(lambda: len(provider.waiting) == 4)
        os.kill(pid, signal.SIGSTOP)
        until(lambda: state_of(pid) == "T")
        yield run
        os.kill(pid, signal.SIGCONT)
        assert killer.ended(child) == 0
    finally:
        child.kill()


def test_replies_that_came_while_a_run_was_suspended_beyond_its_time_out_are_taken(tmp_path: Path) -> None:
    with serving() as provider:
        with suspended(tmp_path, provider) as run:
            provider.release()
            woken = time.monotonic() + TIMEOUT_S + HURRIED_S
            until(lambda: time.monotonic() > woken)
        ended = run_dir.read(run)
        assert (ended.state, ended.in_doubt.calls, asked_twice(provider)) == ("finished", 0, 0)
        assert all(attempt.outcome == "ok" for attempt in journal.read(run.journal).attempts)


def test_a_reply_that_never_came_is_given_up_after_the_rest_of_its_time(tmp_path: Path) -> None:
    with serving() as provider:
        with suspended(tmp_path, provider) as run:
            provider.waiting.clear()
            woken = time.monotonic() + TIMEOUT_S + HURRIED_S
            until(lambda: time.monotonic() > woken)
            provider.release()
        ended = run_dir.read(run)
    assert ended.state == "finished" and ended.in_doubt.calls == 4


@pytest.fixture
def short_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gap is one after a third of the time."""
    monkeypatch.setattr(process, "GAP_S", HURRIED_S)


@pytest.mark.usefixtures("short_gaps")
def test_the_clock_of_the_loop_leaves_out_gaps_and_nothing_else() -> None:
    async def timed() -> tuple[float, float, float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(0.2)
        awake = loop.time() - began
        time.sleep(2 * HURRIED_S)
        return awake, loop.time() - began, loop.lost_s  # type: ignore[attr-defined]

    with asyncio.Runner(loop_factory=SteadyLoop) as runner:
        awake, after, lost = runner.run(timed())
    assert 0.2 <= awake < 0.2 + HURRIED_S
    assert after - awake < HURRIED_S < 2 * HURRIED_S <= lost


@pytest.mark.usefixtures("short_gaps")
def test_a_time_out_that_ran_out_in_a_gap_waits_for_what_has_arrived() -> None:
    """The gap is a callback that blocks: a long one and a stopped process are alike to the loop."""

    def blocked(pipe: int) -> None:
        os.write(pipe, b"x")
        time.sleep(2 * HURRIED_S)

    async def raced() -> str:
        ours, theirs = os.pipe()
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(ours, arrived.set)
        loop.call_later(0.05, blocked, theirs)
        try:
            async with asyncio.timeout(HURRIED_S):
                await arrived.wait()
                await asyncio.sleep(0)
        except TimeoutError:
            return "given up"
        finally:
            loop.remove_reader(ours)
        return "taken"

    with asyncio.Runner(loop_factory=SteadyLoop) as runner:
        assert runner.run(raced()) == "taken"
