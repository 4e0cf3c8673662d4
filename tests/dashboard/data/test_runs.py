"""Runs started from the dashboard are processes of their own: watched, stopped, resumed, reaped, never on the demo."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dashboard.data import access, runs
from dashboard.text import progress
from engine.cli.launch import LAUNCH_TOKEN
from engine.core.budget import Limits
from engine.core.errors import RunError
from engine.runs import run_dir
from engine.runs.run_dir import RunDir, Status
from engine.runs.worker import prepare
from engine.store.store import Store
from engine.study import schema
from tests.support.provider import Provider, serving

PATIENCE_S = 90.0
TOKEN = "0123456789-correct-horse"
QUESTIONS = 120
"""Trials of `long`, many more than are in flight at once."""
STUDY = """name = "small"
budgets = [16, 64]
models = ["scripted/adder"]
tasks = [{ name = "gym:chain_sum", level = "medium", questions = %d }]
strategies = ["direct", "chain_of_thought"]
[ceiling]
tokens = %d
"""


def wanted(questions: int = 2, tokens: int = 100_000) -> schema.Study:
    return schema.parse(STUDY % (questions, tokens), "small.toml")


def long(provider: Provider) -> schema.Study:
    """Work that goes on once the provider lets it."""
    mine = f'[[models]]\nname = "mine"\napi_base = "{provider.api_base}"\nprices = {{ input = 0, output = 0 }}\n'
    text = (STUDY % (QUESTIONS // 2, 900_000)).replace('models = ["scripted/adder"]\n', "").replace("[16, 64]", "[64]")
    return schema.parse(text + mine, "long.toml")


def until(run: RunDir, true: Callable[[Status], bool]) -> Status:
    """The status once it is as wished; looks at the run like the page does."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        now = run_dir.read(run)
        if true(now):
            return now
        if now.state == "new" and not runs.starting(now):
            break
        time.sleep(0.02)
    raise AssertionError(f"{run_dir.read(run)}\n{runs.log_tail(run)}")


def ended(run: RunDir) -> Status:
    return until(run, lambda now: not now.alive and not runs.starting(now))


def gone(run: RunDir) -> None:
    """Wait until the process was reaped."""
    deadline = time.monotonic() + PATIENCE_S
    while run.run_id in runs._children and time.monotonic() < deadline:
        runs.reap()
        time.sleep(0.02)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "results.duckdb"
    yield path
    for each in runs.runs(path):
        run = runs.find(path, each.run_id)
        runs.stop(run, now=True)
        gone(run)


@pytest.fixture
def provider() -> Iterator[Provider]:
    """Sends some replies and holds the others until it is released."""
    with serving(sends=8) as provider:
        yield provider


def test_a_started_run_is_a_process_of_its_own_without_the_token_and_ends_as_the_command_line_would_end_it(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LAUNCH_TOKEN, TOKEN)
    monkeypatch.setattr(access, "closed", lambda: None)
    run = runs.start(wanted(), db)
    assert runs.starting(run_dir.read(run)), "until its process speaks"
    with pytest.raises(RunError, match="already being worked on"):
        runs.resume(run)
    child = runs._children[run.run_id][0]
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    assert TOKEN.encode() not in Path(f"/proc/{child.pid}/environ").read_bytes()
    now = ended(run)
    assert (now.state, now.done, now.total) == ("finished", 4, 4)
    assert [row.run_id for row in Store(db).runs()] == [run.run_id]
    gone(run)
    assert child.returncode == 0, "and no zombie is left"
    assert run.run_id not in runs._children
    assert "finished: 4 of 4 trials" in runs.log_tail(run)


def test_a_killed_run_is_dead_even_before_it_is_reaped_and_resumes(db: Path, provider: Provider) -> None:
    run = runs.start(long(provider), db)
    until(run, lambda now: now.state == "running" and now.done > 0)
    os.kill(runs._children[run.run_id][0].pid, signal.SIGKILL)
    assert ended(run).state == "dead"
    provider.release()
    runs.resume(run)
    now = ended(run)
    assert (now.state, now.done) == ("finished", QUESTIONS)


def test_a_run_at_its_ceiling_goes_on_under_a_higher_one(db: Path) -> None:
    run = runs.start(wanted(6, 900), db)
    assert ended(run).state == "ceiling"
    gone(run)
    runs.resume(run, Limits(tokens=200_000))
    now = ended(run)
    assert (now.state, now.ceiling.tokens) == ("finished", 200_000)


def test_a_stopped_run_keeps_what_it_has_and_resumes(db: Path, provider: Provider) -> None:
    run = runs.start(long(provider), db)
    until(run, lambda now: now.state == "running" and now.done > 0)
    runs.stop(run)
    # Once it has heard, nothing more is sent; what is in flight is waited for.
    until(run, lambda now: now.state == "stopping")
    provider.release()
    now = ended(run)
    assert now.state == "stopped"
    assert 0 < now.done < now.total
    gone(run)
    runs.resume(run)
    assert ended(run).state == "finished"


def test_a_run_that_cannot_start_says_why_in_its_log(db: Path) -> None:
    run = runs.start(schema.parse(STUDY.replace("medium", "easy") % (9_999, 1), "s.toml"), db)
    gone(run)
    assert not runs.starting(run_dir.read(run))
    assert "147 distinct questions" in progress.why(run_dir.read(run), runs.log_tail(run))


def test_runs_are_listed_newest_first(db: Path) -> None:
    made = {prepare(wanted(n), db).run_id for n in (1, 2)}
    assert {each.run_id for each in runs.runs(db)} == made
    assert runs.runs(db) == run_dir.list_runs(db)[::-1]


def test_the_demo_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = tmp_path / "results.duckdb"
    Store(demo).create()
    Store(demo).set_demo(True)
    before = demo.read_bytes()
    monkeypatch.setenv("BUDGETSCOPE_DB", str(demo))
    own = runs.settle(demo)
    assert own == tmp_path / "results.local.duckdb"
    assert os.environ["BUDGETSCOPE_DB"] == str(own)
    assert not Store(own).is_demo()
    assert demo.read_bytes() == before
    assert runs.settle(own) == own


def test_an_ordinary_or_missing_database_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", "unchanged")
    path = tmp_path / "mine.duckdb"
    assert runs.settle(path) == path
    Store(path).create()
    assert runs.settle(path) == path
    assert os.environ["BUDGETSCOPE_DB"] == "unchanged"


def test_models_declared_by_earlier_runs_can_be_chosen_again(db: Path) -> None:
    text = STUDY.replace(
        '["scripted/adder"]', '[{ name = "mine", api_base = "http://127.0.0.1:9/v1" }, "scripted/noise"]'
    )
    prepare(schema.parse(text % (1, 10), "s.toml"), db)
    broken = prepare(wanted(), db)
    broken.study.write_text("name = ")
    assert {name: model.api_base for name, model in runs.declared(db).items()} == {"mine": "http://127.0.0.1:9/v1"}


def test_a_log_that_is_not_there_is_empty(db: Path) -> None:
    assert runs.log_tail(RunDir(db.with_name("none"), "none", db)) == ""


def test_a_model_of_the_form_is_asked_once_and_what_came_back_is_shown(db: Path) -> None:
    with serving() as provider:
        table = f'[[models]]\nname = "mine"\napi_base = "{provider.api_base}"\nprices = {{ input = 1, output = 1 }}\n'
        study = f'name = "s"\nbudgets = [9]\ntasks = ["gym:chain_sum"]\nstrategies = ["direct"]\n{table}'
        replied, said = runs.ask_once("mine", study, db)
        assert replied and "usage fields seen: prompt_tokens" in said and len(provider.served) == 1
    assert not list(db.parent.glob(".test-*"))
    replied, said = runs.ask_once("nobody", study, db)
    assert not replied and "nobody" in said and "\n" not in said
