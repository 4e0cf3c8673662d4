"""A run as a process: what is paid is never lost or paid again, whatever happens to the process."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.errors import AlreadyRunning, RunError
from engine.core.ids import request_of
from engine.runs import journal, run_dir, runner, worker
from engine.runs.rate_limits import Retries
from engine.runs.run_dir import RunDir, Status
from engine.runs.runner import FLUSH_S
from engine.store.store import Store
from engine.study.schema import parse
from tests.support import killer
from tests.support.provider import Provider, serving

AT_ONCE = Retries(first_s=0)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving(latency_s=0.02) as server:
        yield server


def questions(folder: Path, count: int) -> Path:
    path = folder / "sums.jsonl"
    rows = [{"question": f"What is {n} + {n + 3}?", "answer": str(2 * n + 3)} for n in range(count)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def study_text(folder: Path, model: str, *, count: int = 12, budget: int = 400, more: str = "") -> str:
    return f"""
name = "worker"
budgets = [{budget}]
models = [{model}]
tasks = ["file:{questions(folder, count)}"]
strategies = [{{name = "self_consistency", samples = 4, chain_tokens = 64}},
              {{name = "chain_of_thought", chain_tokens = 64}}]
{more}
"""


def remote(provider: Provider) -> str:
    return f'{{name = "m", api_base = "{provider.api_base}", parallel = 4, prices = {{input = 1.0, output = 2.0}}}}'


def prepared(folder: Path, text: str) -> RunDir:
    db = folder / "results.duckdb"
    return worker.prepare(parse(text, "test"), db)


def rows_of(db: Path) -> list[tuple[str, str, str | None, tuple[tuple[str, int], ...]]]:
    """What a run found out, without times and attempts."""
    store = Store(db)
    with store.reading() as connection:
        ids = connection.execute("select distinct condition_id from trials").fetchall()
    trials = [trial for (condition,) in ids for trial in store.trials(condition)]
    return sorted((t.spec.trial_id, t.end, t.answer, tuple((m.answer, m.after_calls) for m in t.marks)) for t in trials)


def asked_twice(provider: Provider) -> int:
    asked = Counter(json.dumps([s.body["messages"], s.body["seed"], s.body["max_tokens"]]) for s in provider.served)
    return sum(count - 1 for count in asked.values())


def quiet(_: Status) -> None:
    """Nobody watches."""


def test_after_sigkill_nothing_is_lost_or_paid_again_but_what_was_in_flight(tmp_path: Path, provider: Provider) -> None:
    study = study_text(tmp_path, remote(provider), count=20, more="[ceiling]\nusd = 1.0")
    run = prepared(tmp_path, study)
    child = killer.start(["--db", str(run.db), "resume", run.run_id], tmp_path / "out")
    killer.until(lambda: provider.good >= 25)
    child.kill()
    assert killer.ended(child) == -signal.SIGKILL
    history = journal.read(run.journal)
    assert run_dir.read(run).state == "dead"
    acknowledged = len(history.completions)
    assert 0 < acknowledged <= provider.good
    ended = worker.run(run, quiet)
    in_flight = sum(attempt.outcome == "in_doubt" for attempt in history.attempts)
    assert ended.state == "finished" and ended.done == 40
    assert asked_twice(provider) <= in_flight <= 4
    assert ended.in_doubt.calls == in_flight
    with Store(run.db).reading() as connection:
        (stored,) = connection.execute("select count(*) from completions").fetchone() or (0,)
        doubted = connection.execute("select count(*) from attempts where outcome = 'in_doubt'").fetchone()
    assert stored == 80 and doubted == (in_flight,)
    other = tmp_path / "undisturbed"
    other.mkdir()
    calm = prepared(other, study)
    worker.run(calm, quiet)
    assert rows_of(calm.db) == rows_of(run.db)


def test_a_torn_last_line_of_the_journal_costs_that_line_alone(tmp_path: Path) -> None:
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"'))
    worker.run(run, quiet)
    whole = journal.read(run.journal)
    with run.journal.open("ab") as file:
        file.write(b'{"outcome": {"attempt_id": "torn", "ke')
    run.db.unlink()
    ended = worker.run(run, quiet)
    assert ended.state == "finished"
    again = journal.read(run.journal)
    assert again.completions == whole.completions and len(again.attempts) == len(whole.attempts)


def test_a_lost_database_is_filled_again_from_the_journal_without_a_call(tmp_path: Path) -> None:
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"'))
    worker.run(run, quiet)
    before = rows_of(run.db)
    run.db.unlink()
    calls = len(journal.read(run.journal).attempts)
    worker.run(run, quiet)
    assert rows_of(run.db) == before
    assert len(journal.read(run.journal).attempts) == calls


def test_a_second_worker_on_one_run_is_refused(tmp_path: Path) -> None:
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"'))
    with run_dir.held(run), pytest.raises(AlreadyRunning, match="already being worked on"):
        worker.run(run, quiet)
    assert worker.run(run, quiet).state == "finished"


def test_a_larger_budget_supersedes_and_replays_what_was_paid(tmp_path: Path) -> None:
    small = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"', budget=40))
    worker.run(small, quiet)
    paid = len(journal.read(small.journal).attempts)
    large = worker.prepare(parse(study_text(tmp_path, '"scripted/adder"', budget=400), "test"), small.db)
    worker.run(large, quiet)
    again = {attempt.key for attempt in journal.read(large.journal).attempts}
    before = {request_of(key) for key in journal.read(small.journal).completions}
    assert paid > 0 and again and not again & before
    last = [trial for (condition,) in _conditions(small.db) for trial in Store(small.db).trials(condition)]
    assert {trial.end for trial in last} == {"finished"}
    assert {t.attempt for t in last if t.spec.condition.strategy == "chain_of_thought"} == {1}
    assert {t.attempt for t in last if t.spec.condition.strategy == "self_consistency"} == {2}


def _conditions(db: Path) -> list[tuple[str]]:
    with Store(db).reading() as connection:
        return connection.execute("select condition_id from conditions").fetchall()


def test_stopping_keeps_what_was_in_flight_and_resume_goes_on(tmp_path: Path, provider: Provider) -> None:
    run = prepared(tmp_path, study_text(tmp_path, remote(provider), more="[ceiling]\nusd = 1.0"))
    provider.sends = 1

    def stop_in_flight(now: Status) -> None:
        if now.state == "stopping":
            provider.release()
        elif len(provider.waiting) == 4:
            run_dir.request_stop(run)

    stopped = worker.run(run, stop_in_flight)
    assert (stopped.state, stopped.in_doubt.calls) == ("stopped", 0)
    assert len(provider.served) == stopped.spent.calls == len(journal.read(run.journal).completions) == 5
    assert worker.run(run, quiet).state == "finished"
    assert asked_twice(provider) == 0


def test_the_journal_is_synced_once_for_each_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[journal.Journal] = []
    monkeypatch.setattr(journal.Journal, "sync", lambda journal: synced.append(journal))
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"'))
    began = time.monotonic()
    worker.run(run, quiet)
    assert len(journal.read(run.journal).attempts) == 48
    assert 1 <= len(synced) <= 2 + (time.monotonic() - began) / FLUSH_S


def test_the_database_is_made_quick_to_read_while_the_run_goes_on(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[dict[str, float]] = []
    monkeypatch.setattr(worker, "materialize", lambda path, **how: made.append(how))
    monkeypatch.setattr(runner, "PREPARED_EVERY", 1)
    monkeypatch.setattr(runner, "FLUSH_S", 0.02)
    run = prepared(tmp_path, study_text(tmp_path, remote(provider), more="[ceiling]\nusd = 1.0"))
    provider.sends = 40

    def go_on(_: Status) -> None:
        if made:
            provider.release()

    assert worker.run(run, go_on).state == "finished"
    # Where it is worth it, and at the end wherever it is not done.
    assert made[0] == {"worth": worker.WORTH} and made[-1] == {} and len(made) > 1


def test_rubbish_in_the_middle_of_a_journal_is_reported_and_costs_nothing_else(tmp_path: Path) -> None:
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"'))
    worker.run(run, quiet)
    before = rows_of(run.db)
    lines = run.journal.read_bytes().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if n > 20 and b'"completion":{' in line)
    run.journal.write_bytes(b"".join([*lines[:at], b"\xffrubbish\x00\n", *lines[at + 1 :]]))
    run.db.unlink()
    ended = worker.run(run, quiet)
    assert ended.state == "finished" and ended.in_doubt.calls == 1
    assert ended.message is not None and "1 line cannot be read" in ended.message
    assert rows_of(run.db) == before


def test_a_run_whose_every_trial_fails_gives_up_and_says_why(tmp_path: Path) -> None:
    with serving() as rude:
        text = study_text(tmp_path, remote(rude), count=40, more="[ceiling]\nusd = 1.0")
        run = prepared(tmp_path, text.replace("sums.jsonl", "rude.jsonl"))
        rows = [{"question": f"[[fault:401]] {n}", "answer": "1"} for n in range(40)]
        (tmp_path / "rude.jsonl").write_text("\n".join(map(json.dumps, rows)))
        ended = worker.run(run, quiet, AT_ONCE)
    assert ended.state == "failed" and ended.message is not None and "Every trial failed" in ended.message
    assert ended.ends["failed"] < 40 and ended.spent.calls == 0


def test_the_ceiling_is_never_passed_and_the_run_says_so(tmp_path: Path, provider: Provider) -> None:
    run = prepared(tmp_path, study_text(tmp_path, remote(provider), more="[ceiling]\nusd = 1.0\ntokens = 2000"))
    seen: list[int] = []

    def watch(now: Status) -> None:
        seen.append(now.spent.tokens + now.reserved.tokens + now.in_doubt.tokens)

    ended = worker.run(run, watch)
    assert ended.state == "ceiling" and max(seen) <= 2000 and ended.spent.tokens > 1000
    assert sum(s.prompt_tokens + s.completion_tokens for s in provider.served) <= 2000


def test_the_run_directory_holds_no_key(tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", "sk-planted-51c2")
    model = remote(provider).replace("parallel", 'api_key_env = "PLANTED_KEY", parallel')
    run = prepared(tmp_path, study_text(tmp_path, model, count=3, more="[ceiling]\nusd = 1.0"))
    worker.run(run, quiet)
    assert any("sk-planted-51c2" in str(s.headers) for s in provider.served)
    for path in [*run.path.rglob("*"), run.db]:
        if path.is_file():
            assert b"sk-planted-51c2" not in path.read_bytes(), path
    assert os.environ["PLANTED_KEY"]


def test_what_is_bought_again_is_kept_beside_what_was_bought_before(tmp_path: Path) -> None:
    more = "pool_max_age_days = 0"
    with serving(skill=1.0) as sure:
        text = study_text(tmp_path, remote(sure), count=4).replace("budgets", f"{more}\nbudgets")
        first = prepared(tmp_path, f"{text}\n[ceiling]\nusd = 1.0")
        worker.run(first, quiet)
        sure.skill = 0.0
        again = text.replace("samples = 4", "samples = 2").replace('{name = "chain_of_thought", chain_tokens = 64}', "")
        second = worker.prepare(parse(f"{again}\n[ceiling]\nusd = 1.0", "test"), first.db)
        worker.run(second, quiet)
    store = Store(first.db)
    for (condition,) in _conditions(first.db):
        for trial in store.trials(condition):
            replies = store.completions([call.key for call in trial.calls])
            assert len(replies) == len(trial.calls)
            stated = {reply.text.rsplit(" ", 1)[-1].strip(".") for reply in replies.values()}
            assert trial.answer in stated, trial.run_id


def test_data_that_changed_since_the_start_is_not_mixed_in(tmp_path: Path) -> None:
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"', count=6))
    worker.run(run, quiet)
    questions(tmp_path, 5)
    with pytest.raises(RunError, match="not what they were"):
        worker.run(run, quiet)
    told = run_dir.read(run)
    assert told.state == "failed" and told.done == 12 and told.spent.calls > 0


def test_a_run_that_rests_before_a_retry_stops_at_once(tmp_path: Path) -> None:
    with serving() as rude:
        run = prepared(tmp_path, study_text(tmp_path, remote(rude), more="[ceiling]\nusd = 1.0"))
        rows = [{"question": f"[[fault:429 retry_after=50]] {n}", "answer": "1"} for n in range(4)]
        (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))

        def stop(now: Status) -> None:
            if rude.served:
                run_dir.request_stop(run)

        assert worker.run(run, stop).state == "stopped"


def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    study = parse(study_text(tmp_path, '"scripted/adder"'), "test")
    (tmp_path / "taken.runs").write_text("a file where the runs should go")
    with pytest.raises(RunError, match="cannot be made"):
        worker.prepare(study, tmp_path / "taken.duckdb")
