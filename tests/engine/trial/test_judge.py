"""A judge model scores each distinct answer once, on the run's bill and on no setting's; what it leaves open has no score."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

import engine
from engine.analysis.majority_at_k import score_of
from engine.core.errors import UsageError
from engine.store.store import Store
from engine.study.calibrating import calibration_of
from engine.study.plan import plan
from engine.study.schema import parse
from engine.study.upper_bound import upper_bound
from engine.trial.judge import score_in
from tests.support.provider import Provider, serving

STUDY = """
name = "graded"
budgets = [24, 400]
models = ["scripted/adder", {{ name = "judge", model = "m", api_base = "{base}", alone = false, prices = {{ input = 1, output = 2 }} }}]
strategies = ["direct", {{ name = "self_consistency", samples = 3 }}]
ceiling = {{ tokens = {tokens}, usd = 5 }}

[[tasks]]
name = "file:sums.csv"
judge = "judge"
rubric = "{rubric}"
"""
DISTINCT = "select distinct question_id, m.answer from marks m join trials t using (trial_id, attempt)"
RUBRIC = "Half a point for an answer that is off by one."


def write(folder: Path, provider: Provider, tokens: int = 500_000, rubric: str = RUBRIC) -> Path:
    rows = "".join(f"What is {n} + {n + 3}?,{2 * n + 3}\n" for n in range(10, 18))
    (folder / "sums.csv").write_text(f"question,answer\n{rows}")
    path = folder / "study.toml"
    path.write_text(STUDY.format(base=provider.api_base, tokens=tokens, rubric=rubric))
    return path


def grading(provider: Provider, say: Callable[[str, str], str]) -> None:
    """Let the server grade: `say` is given target and answer."""
    usual = provider.answer

    def answer(served):
        fault, reply = usual(served)
        asked = served.body["messages"][-1]["content"]
        target = asked.partition("Reference answer:\n")[2].partition("\n")[0]
        given = asked.partition("----------\n")[2].partition("\n----------")[0]
        reply["choices"][0]["message"]["content"] = say(target, given)
        reply["choices"][0]["finish_reason"] = "stop"
        return fault, reply

    provider.answer = answer  # type: ignore[method-assign]


def by_distance(target: str, answer: str) -> str:
    number = re.search(r"-?[0-9]+", answer)
    off = abs(int(number[0]) - int(target)) if number else 99
    return f"It is off by {off}.\nScore: {1 if off == 0 else 0.5 if off < 5 else 0}"


def rows(db: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(db), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_every_distinct_answer_is_judged_once_and_no_setting_pays_for_it(tmp_path: Path) -> None:
    db = tmp_path / "results.duckdb"
    with serving() as provider:
        grading(provider, by_distance)
        study = write(tmp_path, provider)
        ended = engine.run(study, db)
        assert ended.state == "finished" and ended.message is None
        distinct = rows(db, DISTINCT)
        assert len(provider.served) == len(distinct) > 8
        assert rows(db, "select count(*) from marks where score is null") == [(0,)]
        assert rows(db, "select count(*) from calls where model not like 'scripted/%'") == [(0,)]
        charged = rows(db, "select count(*), sum(charged_tokens) from attempts where model not like 'scripted/%'")[0]
        assert charged[0] == len(distinct) and charged[1] > 0
        cells = engine.open(db).cells(budgets=[400])
        assert max(cells["calls"].to_list()) <= 3 and cells["n_partly"].sum() > 0
        bill = engine.open(db).bill(ended.run_id, by=("model",)).to_dicts()
        (own,) = (row for row in bill if not row["model"].startswith("scripted/"))
        assert (own["calls"], own["attempts"]) == (0, len(distinct)) and own["billed_pusd"] > 0
        # Asked again the study is there, and nothing is paid.
        assert engine.run(study, db).spent.calls == 0
        # Another rubric gives another task: the answers are replayed, the judge is paid.
        again = engine.run(write(tmp_path, provider, rubric="Be strict."), db)
        assert again.state == "finished" and len(provider.served) == 2 * len(distinct)
    assert len(set(engine.open(db).conditions()["task"])) == 2


def test_a_judgement_that_cannot_be_read_leaves_its_answers_without_a_score(tmp_path: Path) -> None:
    db = tmp_path / "results.duckdb"
    with serving() as provider:
        grading(provider, lambda target, answer: "Hm." if target in ("23", "25") else by_distance(target, answer))
        ended = engine.run(write(tmp_path, provider), db)
    assert ended.state == "finished" and "not scored: no judgement of the answer can be read" in str(ended.message)
    assert rows(db, "select distinct verdict, score from trials where \"end\" = 'stopped'") == [("none", None)]
    ((stopped,),) = rows(db, "select count(*) from trials where \"end\" = 'stopped'")
    assert stopped > 0
    for budget in (400, 24, 3):
        cells = engine.open(db).cells(budgets=[budget])
        assert cells["n_stopped"].sum() == stopped, "at no budget is one of its answers wrong, or none"
        assert all(row["n_questions"] + row["n_stopped"] == 8 for row in cells.to_dicts())
        assert cells.filter(cells["n_stopped"] > 0)["partial"].all()


def test_a_run_whose_ceiling_ends_the_judging_goes_on_where_it_was(tmp_path: Path) -> None:
    db = tmp_path / "results.duckdb"
    with serving() as provider:
        grading(provider, by_distance)
        whole = engine.run(write(tmp_path, provider), tmp_path / "other.duckdb")
        provider.served.clear()
        first = engine.run(write(tmp_path, provider, tokens=whole.spent.tokens * 2 // 3), db)
        assert first.state == "ceiling"
        assert len(provider.served) > 0 and rows(db, "select count(*) from trials where \"end\" = 'stopped'") != [(0,)]
        second = engine.run(write(tmp_path, provider), db)
        assert second.state == "finished"
        distinct = rows(
            db,
            f"{DISTINCT} where m.score >= 0",
        )
        assert len(provider.served) == len(distinct), "what was judged is not judged again"
    assert not engine.open(db).cells(budgets=[400])["partial"].any()


def test_what_a_judge_can_cost_at_most_is_in_the_estimate_and_holds(tmp_path: Path) -> None:
    db = tmp_path / "results.duckdb"
    with serving() as provider:
        grading(provider, by_distance)
        study = write(tmp_path, provider)
        planned = plan(parse(study.read_text(), "study.toml", tmp_path))
        bound = upper_bound(planned)
        assert (
            bound.judging.calls > 0
            and bound.total.calls == sum(line.worst.calls for line in bound.lines) + bound.judging.calls
        )
        assert any("judge judges each distinct answer once" in note for note in planned.notes)
        ended = engine.run(study, db)
        assert ended.spent.tokens <= bound.total.total_tokens
        assert ended.spent.pusd <= (bound.total.billed_pusd or 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('rubric = "Half', 'no_rubric = "Half'), "did you mean 'rubric'|Unknown"),
        (('rubric = "Half a point for an answer that is off by one."', ""), "takes judge and rubric together"),
        (('judge = "judge"', 'judge = "jugde"'), "'judge' has no part in the study"),
        (('judge = "judge"', 'judge = "openai/gpt-none"'), "has no part|price|unknown"),
        (('judge = "judge"', 'judge = "judge"\nscorer = "exact"'), "no scorer or checker"),
        (('"direct"', '"oracle_cascade"'), "oracle|line-up|Unknown"),
    ],
)
def test_what_is_wrong_with_a_judge_is_said_before_anything_is_asked(tmp_path: Path, change, said: str) -> None:
    with serving() as provider:
        text = write(tmp_path, provider).read_text().replace(*change)
        with pytest.raises(UsageError, match=said):
            plan(parse(text, "study.toml", tmp_path))
        assert not provider.served


def test_a_judge_with_a_table_of_its_own_is_known_to_a_calibration_which_is_told_what_is_right(tmp_path: Path) -> None:
    with serving() as provider:
        study = calibration_of(parse(write(tmp_path, provider).read_text(), "study.toml", tmp_path), "plain")
        assert [model.name for model in study.models if model.alone] == ["scripted/adder"]
        with pytest.raises(UsageError, match="is told which answers are right, which the judge"):
            plan(study)


def test_answers_of_draws_that_no_trial_gave_are_not_known(tmp_path: Path) -> None:
    row = {
        "question_no": 1,
        "question_id": "q1",
        "task": "file:sums+judge(12345678)",
        "answer_kind": "text",
        "question": "?",
        "context": None,
        "target": "3",
        "category": None,
        "data": "{}",
    }
    assert score_of(row, "3", {}) is None
    assert score_of(row, "3", {(1, "3"): 0.5}) == 0.5


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("Fine.\nScore: 0.7", 0.7),
        ("**Score:** 1", 1.0),
        ("Score: 7/10", 0.7),
        ("score = 40%", 0.4),
        ("Score: 0.2\nOn second thought.\nScore: .9.", 0.9),
        ("<think>Score: 0</think>Score: 1", 1.0),
        ("Score: 7", None),
        ("Score: 3/0", None),
        ("A score of 0.5", None),
        ("Score: high", None),
        ("", None),
        ("Score: " + "9" * 5000, None),
    ],
)
def test_a_score_is_read_from_the_last_line_that_states_one(reply: str, score: float | None) -> None:
    assert score_in(reply) == score


def test_the_database_with_judged_answers_is_read_by_store_as_it_was_written(tmp_path: Path) -> None:
    db = tmp_path / "results.duckdb"
    with serving() as provider:
        grading(provider, by_distance)
        engine.run(write(tmp_path, provider), db)
    for condition in engine.open(db).conditions()["condition_id"]:
        for trial in Store(db).trials(condition):
            assert trial.score == (trial.marks[-1].score if trial.marks else None)
