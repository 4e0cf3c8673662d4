"""Length rewards: each formula gives what its paper's does, and what is written to train on names its questions."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.analysis.thinking import rewards
from engine.analysis.thinking.rewards import FORMULAS, Scored
from engine.cli import main
from engine.core import used_questions
from engine.core.errors import UsageError
from engine.core.records import Message
from engine.interop import training
from engine.study.plan import plan
from engine.study.schema import parse
from tests.support.stores import studied

ASKED = (Message("user", "What is 2 + 3?"),)


def thought(tokens: int, right: bool, question: str = "q1") -> Scored:
    return Scored(f"{question}-{tokens}-{right}", question, ASKED, f"{tokens} words <b>", tokens, right)


GROUP = [thought(10, True), thought(30, True), thought(50, False), thought(5, False)]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        # Lengths from 5 to 50: the shortest right one gains, a wrong one never does.
        ("kimi", [0.5 - 5 / 45, 0.5 - 25 / 45, -0.5, 0.0]),
        ("l1_exact", [1 - 0.003, 1 - 0.003, -0.009, -0.0045]),
        ("l1_max", [0.503, 0.497, 0.0, 0.0]),
        ("o1_pruner", [23.75 / 10 - 1 + 2.5, 23.75 / 30 - 1 + 2.5, 23.75 / 50 - 1 - 2.5, 23.75 / 5 - 1 - 2.5]),
        # Half are right, 20 tokens long on average, the longest has 50: a budget of 35.
        ("dast", [0.5 + 0.5 * 25 / 35, 0.5 + 0.5 * 5 / 35, -0.1, 0.9 * -30 / 35 - 0.1]),
        ("arora_zanette", [1 - 0.1 * 0.2689414, 1 - 0.1 * 0.7310586, 0.0, 0.0]),
        ("tale_pt", [1.0, 0.0, 0.0, 0.0]),
    ],
)
def test_a_formula_gives_what_its_paper_says(name: str, values: list[float]) -> None:
    assert FORMULAS[name][1](GROUP, 20.0) == pytest.approx(values, abs=1e-6)


@given(
    st.lists(st.tuples(st.integers(1, 500), st.booleans()), min_size=1, max_size=8),
    st.sampled_from(sorted(FORMULAS)),
    st.floats(1, 500),
)
def test_of_two_right_thoughts_no_formula_prefers_the_one_further_from_what_it_aims_at(
    drawn: list[tuple[int, bool]], name: str, target: float
) -> None:
    group = [thought(*each) for each in drawn]
    given = FORMULAS[name][1](group, target)
    right = [(t.tokens, value) for t, value in zip(group, given, strict=True) if t.right]
    ordered = sorted(right, key=lambda each: abs(each[0] - target) if name == "l1_exact" else each[0])
    # TALE-PT takes one of the shortest.
    values = [value for _, value in ordered]
    assert all(a >= b - 1e-9 for a, b in pairwise(values) if name != "tale_pt")
    assert len(given) == len(group) and (name != "tale_pt" or sum(given) == bool(right))


def written_out(name: str, lengths: NDArray[np.float64], ok: NDArray[np.float64], target: float) -> Any:
    """The formulas once more, as arrays and straight from the papers' notation."""
    right: NDArray[np.float64] = lengths[ok > 0]
    every = lengths
    p = len(right) / len(every)
    match name:
        case "kimi":
            spread = every.max() - every.min()
            bonus = 0 * every if spread == 0 else 0.5 - (every - every.min()) / spread
            return np.where(ok > 0, bonus, np.minimum(0, bonus))
        case "l1_exact":
            return ok - 0.0003 * np.abs(target - every)
        case "l1_max":
            return ok * np.clip(0.0003 * (target - every) + 0.5, 0, 1)
        case "o1_pruner":
            return (every.mean() - every) / every + 5 * (ok - p)
        case "dast":
            budget = (p * right.mean() if len(right) else 0) + (1 - p) * every.max()
            by = (every - budget) / budget
            return np.where(ok > 0, np.maximum(0.5 - 0.5 * by, 0.1), np.minimum(0.9 * by - 0.1, -0.1))
        case "arora_zanette":
            spread = right.std() if len(right) else 0.0
            z = (every - right.mean()) / spread if spread else 0 * every
            return ok * (1 - 0.1 * (1 + np.tanh(z / 2)) / 2)
    first = np.flatnonzero((ok > 0) & (every == right.min())) if len(right) else np.array([], dtype=int)
    return np.isin(np.arange(len(every)), first[:1]).astype(float)


@given(
    st.lists(
        st.tuples(st.integers(1, 100_000), st.booleans()), min_size=1, max_size=16, unique_by=lambda each: each[0]
    ),
    st.sampled_from(sorted(FORMULAS)),
    st.floats(1, 100_000),
)
def test_a_formula_is_what_its_paper_writes_for_any_group(
    drawn: list[tuple[int, bool]], name: str, target: float
) -> None:
    lengths, ok = np.array([n for n, _ in drawn], dtype=float), np.array([right for _, right in drawn], dtype=float)
    own = FORMULAS[name][1]([thought(*each) for each in drawn], target)
    assert own == pytest.approx(list(written_out(name, lengths, ok, target)), rel=1e-9, abs=1e-9)


def test_the_lens_says_what_a_formula_lifts_and_what_its_favourites_would_spend() -> None:
    other = [thought(20, False, "q2"), thought(40, False, "q2")]
    frame = rewards.lens([GROUP, other], 20.0)
    row = frame.filter(formula="tale_pt").row(0, named=True)
    assert (row["n_thoughts"], row["n_questions"]) == (6, 2)
    assert (row["lifted_right"], row["lifted_wrong"], row["lifted_tokens"]) == (0.5, 0.0, 10.0)
    # Of the second question all get one reward: the shorter is taken, and nothing is lifted.
    assert (row["best_tokens"], row["best_accuracy"]) == (15.0, 0.5)
    assert (row["accuracy"], row["mean_tokens"]) == (0.25, (23.75 + 30) / 2)


def test_rows_to_train_on_take_the_shortest_right_thought_over_the_longest_other() -> None:
    hopeless = [thought(20, False, "q2")]
    fine = training.export([GROUP, hopeless], "sft")
    assert [(row["completion_tokens"], row["question_id"]) for row in fine.rows] == [(10, "q1")]
    assert (fine.questions, fine.chosen_tokens, fine.mean_tokens) == (("q1",), 10.0, 23.75)
    (pair,) = training.export([GROUP, hopeless], "pairs").rows
    assert (pair["chosen_tokens"], pair["rejected_tokens"], pair["rejected_right"]) == (10, 50, False)
    every = training.export([GROUP, hopeless], "rewards", 20.0)
    assert len(every.rows) == 5 and every.questions == ("q1", "q2")
    assert every.rows[0]["reward_l1_max"] == pytest.approx(0.503)


@pytest.mark.parametrize("form", training.FORMS)
def test_a_file_holds_conversations_and_beside_it_stands_which_questions_were_used(
    tmp_path: Path, form: training.Form
) -> None:
    used = training.write(training.export([GROUP], form), tmp_path / "rows.jsonl", setting="s", task="t")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert all(row["prompt"] == [{"role": "user", "content": "What is 2 + 3?"}] for row in rows)
    last = "chosen" if form == "pairs" else "completion"
    assert all([turn["role"] for turn in row[last]] == ["assistant"] for row in rows)
    assert json.loads(used.read_text()) == {"setting": "s", "task": "t", "form": form, "questions": ["q1"]}


def test_where_no_thought_is_right_there_is_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No question has a right thought"):
        training.write(training.export([[thought(9, False)]], "sft"), tmp_path / "rows.jsonl")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("form", training.FORMS)
def test_the_datasets_library_reads_what_is_written_as_conversations(
    tmp_path: Path, form: training.Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="the library that trainers read rows with is not installed")
    path = tmp_path / "rows.jsonl"
    training.write(training.export([GROUP, [thought(7, True, "q3"), thought(9, False, "q3")]], form), path)
    read = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert [row["question_id"] for row in read] == [
        json.loads(line)["question_id"] for line in path.read_text().splitlines()
    ]
    answers = ("chosen", "rejected") if form == "pairs" else ("completion",)
    for row in read:
        assert [turn["role"] for turn in row["prompt"]] == ["user"]
        assert all(
            [turn["role"] for turn in row[name]] == ["assistant"] and row[name][0]["content"] for name in answers
        )
    if form == "rewards":
        assert {f"reward_{name}" for name in FORMULAS} <= {*read.column_names}
        assert all(isinstance(row["reward_kimi"], float) for row in read)


def test_what_was_trained_on_questions_is_not_scored_on_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = studied(
        tmp_path / "r.duckdb", questions=8, models='"scripted/adder"', strategies=["self_consistency"], budgets=[2048]
    )
    rows = tmp_path / "rows.jsonl"
    command = ["--db", str(db), "rewards", "Self-consistency ×16", "--out", str(rows), "--form", "pairs"]
    assert main(command) == 0
    assert "tokens each for" in capsys.readouterr().err
    used = used_questions.read(used_questions.beside(rows))
    assert used
    file = tmp_path / "sums.csv"
    file.write_text(file.read_text() + "\nWhat is 50 + 4?,54\nWhat is 60 + 4?,64")
    text = (
        'name="again"\nbudgets=[64]\ntasks=["file:sums.csv"]\nmodels=["scripted/sure-adder"]\nstrategies=["direct"]\n'
    )
    made = plan(parse(f'{text}without=["rows.jsonl.questions.json"]\n', "again.toml", tmp_path))
    asked = {spec.question.question_id for spec in made.specs}
    assert asked and not asked & used and len(asked) == 10 - len(used)
    assert any("were trained on and are left out" in note for note in made.notes)
    every = json.dumps(
        {"questions": [spec.question.question_id for spec in plan(parse(text, "a.toml", tmp_path)).specs]}
    )
    (tmp_path / "all.json").write_text(every)
    with pytest.raises(UsageError, match="were trained on"):
        plan(parse(f'{text}without=["all.json"]\n', "again.toml", tmp_path))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "it is not JSON"),
        ("[]", "has no 'questions'"),
        ('{"questions": [1]}', "has no 'questions'"),
        (None, "read"),
    ],
)
def test_a_list_of_questions_that_is_none_is_refused_in_one_sentence(
    tmp_path: Path, body: str | None, said: str
) -> None:
    path = tmp_path / "rows.jsonl.questions.json"
    if body is not None:
        path.write_text(body)
    with pytest.raises(UsageError, match=said):
        used_questions.read(path)
