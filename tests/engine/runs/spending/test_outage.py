"""An outage of a provider costs at most ten worst cases, however many calls wait, and the run says what it does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.runs import journal, run_dir, worker
from engine.runs.rate_limits import DOUBTFUL, PROBES, Retries
from engine.runs.run_dir import RunDir, Status
from engine.study.schema import parse
from tests.support.faults import Fault
from tests.support.provider import Provider, serving

HURRY = Retries(first_s=0)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving() as one:
        yield one


def prepared(folder: Path, provider: Provider, questions: int = 80, more: str = "") -> RunDir:
    text = f"""
name = "outage"
budgets = [1000]
tasks = [{{ name = "gym:chain_sum", level = "easy", questions = {questions} }}]
strategies = ["direct"]
[[models]]
name = "m"
api_base = "{provider.api_base}"
parallel = 64
prices = {{ input = 1.0, output = 1.0 }}
{more}
[ceiling]
tokens = 1000000
usd = 1000.0
"""
    return worker.prepare(parse(text, "test"), folder / "results.duckdb")


@pytest.mark.parametrize("accident", ["500", "503", "cut", "408", "garbage"])
def test_an_outage_from_the_start_costs_ten_worst_cases_at_most_with_64_calls_at_once(
    tmp_path: Path, provider: Provider, accident: str
) -> None:
    provider.faults.extend(Fault(accident) for _ in range(1000))
    said: list[Status] = []
    run = prepared(tmp_path, provider)
    ended = worker.run(run, said.append, HURRY)
    attempts = journal.read(run.journal).attempts
    assert len(provider.served) == len(attempts) == ended.in_doubt.calls <= DOUBTFUL + PROBES == 10
    assert ended.in_doubt.tokens == sum(attempt.reserved_tokens for attempt in attempts)
    assert ended.spent.tokens == 0 and ended.state == "failed"
    assert ended.message is not None and "asked no more" in ended.message and "resume" in ended.message
    # What is left of a run is alike after any of them, so one is gone on with.
    if accident != "cut":
        return
    provider.faults.clear()
    resumed = worker.run(run, lambda _: None, HURRY)
    assert (resumed.state, resumed.done) == ("finished", 80), "nothing of the run is lost"


def test_a_short_outage_is_outlasted_one_call_at_a_time(tmp_path: Path, provider: Provider) -> None:
    provider.faults.extend(Fault("500") for _ in range(8))
    ended = worker.run(prepared(tmp_path, provider), lambda _: None, HURRY)
    assert (ended.state, ended.done, ended.in_doubt.calls) == ("finished", 80, 8)


def test_an_outage_in_the_middle_costs_what_was_on_its_way_and_five_probes(tmp_path: Path, provider: Provider) -> None:
    provider.faults.extend([*(None for _ in range(40)), *(Fault("500") for _ in range(1000))])
    ended = worker.run(prepared(tmp_path, provider, 140), lambda _: None, HURRY)
    # Until the last good reply is read nobody knows of it: each may be followed by one less than tell of an outage.
    assert ended.in_doubt.calls <= 40 * (DOUBTFUL - 1) + 64 + PROBES
    assert (ended.spent.calls, ended.state) == (40, "failed")


def test_another_model_goes_on_while_one_is_asked_no_more(tmp_path: Path, provider: Provider) -> None:
    with serving() as broken:
        broken.faults.extend(Fault("500") for _ in range(1000))
        other = f'[[models]]\nname = "broken"\napi_base = "{broken.api_base}"\nprices = {{ input = 1.0, output = 1.0 }}'
        run = prepared(tmp_path, provider, 20, other)
        ended = worker.run(run, lambda _: None, HURRY)
    assert (ended.state, ended.ends) == ("finished", {"finished": 20, "failed": 20})
    assert ended.in_doubt.calls <= 10 == len(broken.served)


def test_a_model_asked_one_call_at_a_time_is_told_of_while_the_run_goes_on(tmp_path: Path, provider: Provider) -> None:
    provider.faults.extend(Fault("500") for _ in range(6))
    run = prepared(tmp_path, provider)
    log = run.log
    worker.run(run, lambda _: None, HURRY)
    assert "m in a row ended in doubt, so it is asked one call at a time" in log.read_text()
    assert run_dir.read(run).state == "finished"
