"""`models test NAME`: one call that bills, under its own ceiling and the day's allowance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cli import main
from engine.core.budget import Limits
from engine.runs import run_dir
from engine.store.store import Store
from tests.support.faults import Fault
from tests.support.provider import Provider, serving


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving() as one:
        yield one


@pytest.fixture
def study(tmp_path: Path, provider: Provider) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(f"""
name = "s"
budgets = [9]
tasks = ["gym:chain_sum"]
strategies = ["direct"]
[[models]]
name = "mine"
api_base = "{provider.api_base}"
prices = {{ input = 1.0, output = 2.0 }}
""")
    return path


def asked(study: Path, *more: str) -> int:
    return main(["--db", str(study.parent / "results.duckdb"), "models", "test", "mine", "--study", str(study), *more])


def test_a_test_says_what_came_back_and_counts_in_the_days_allowance(
    study: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(study) == 0
    told = capsys.readouterr().out
    assert "The answer is" in told and "end: stop" in told and "at most" in told
    assert "usage fields seen: prompt_tokens, completion_tokens, total_tokens." in told
    assert len(provider.served) == 1
    used = provider.served[0].prompt_tokens + provider.served[0].completion_tokens
    (lease,) = Store(study.parent / "results.duckdb").read_book().of_day(run_dir.now().date().isoformat())
    assert (lease.held, lease.charged.calls, lease.charged.tokens) == (False, 1, used)


def test_a_test_beyond_its_ceiling_or_the_days_allowance_sends_nothing(
    study: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(study, "--usd", "0.00001") == 2
    assert "more than its ceiling" in capsys.readouterr().err
    store = Store(study.parent / "results.duckdb")
    store.create()
    store.set_allowance(Limits(tokens=50))
    assert asked(study) == 1
    assert "today's allowance" in capsys.readouterr().err
    assert provider.served == [] and not store.read_book().held


def test_a_test_that_fails_says_why_and_what_it_may_have_cost(
    study: Path, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.faults.extend([Fault("401"), Fault("500")])
    assert asked(study) == 1
    told = capsys.readouterr().out
    assert "api_key_env" in told and "charged 0 tokens" in told
    assert asked(study, "--json") == 1
    row = json.loads(capsys.readouterr().out)
    assert row["in_doubt"] is True and row["charged"] == row["worst"] and row["completion"] is None
    assert len(provider.served) == 2, "asked once each"


def test_another_word_before_a_name_is_answered_with_test(study: Path) -> None:
    assert main(["models", "tets", "mine"]) == 2
