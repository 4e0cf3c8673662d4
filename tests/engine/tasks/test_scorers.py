"""Scorers by name: each holds to the contract, and scores what its benchmark or its name says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import UnknownName, UsageError
from engine.core.records import Problem, Question
from engine.tasks import TaskSpec, open_task
from engine.tasks.scorers import SAME, SCORERS, is_checker, open_scorer
from engine.testing import ScorerContract


def asked(target: str, *options: str) -> Question:
    return Question("q1-x", "file:x", Problem("Which?", "text", options=options), target)


TARGETS = {
    SAME: "12",
    "exact": "Two words",
    "folded": "Two words",
    "token_f1": "the quick brown fox",
    "regex": "blue",
    "json_fields": '{"name": "Ada", "age": 36, "home": {"city": "London"}}',
    "number": "12 km",
    "choice": "B",
    "expression": "2(x+1)",
    "set": "red, green and blue",
    "list": "red, green, blue",
    "game24": "(4+8)*2",
}


@pytest.mark.parametrize("name", [name for name in SCORERS.names() if name in TARGETS])
class TestEveryScorer(ScorerContract):
    @pytest.fixture(autouse=True)
    def _one(self, name: str) -> None:
        self.scorer = name
        self.question = asked(TARGETS[name])
        if name == "game24":
            self.question = replace(self.question, problem=Problem("4 8 2", "text"))


def test_every_scorer_that_comes_along_is_held_to_the_contract() -> None:
    ours = {name for name in SCORERS.names() if SCORERS.get(name).__module__.startswith("engine.")}
    assert ours == set(TARGETS)


def score(name: str, answer: str, target: str, *options: str) -> float:
    return open_scorer(name).score(answer, asked(target, *options))


@pytest.mark.parametrize(
    ("name", "answer", "target", "expected"),
    [
        ("exact", " Two words ", "Two words", 1),
        ("exact", "two words", "Two words", 0),
        ("exact", "b", '["a", "b"]', 1),
        ("folded", '"TWO words."', "two words", 1),
        ("folded", "2 words", "two words", 0),
        ("token_f1", "A quick brown fox!", "the quick brown fox", 1),
        ("token_f1", "quick brown", "the quick brown fox", 0.8),
        ("token_f1", "dog", "fox", 0),
        ("token_f1", "dog", '["cat", "the dog"]', 1),
        ("regex", "Colour", "colou?r", 1),
        ("regex", "the colour", "colou?r", 0),
        ("regex(anywhere=yes)", "the colour", "colou?r", 1),
        ("regex(case=yes)", "Colour", "colou?r", 0),
        ("regex", "x", "(unclosed", 0),
        ("number", "12000 m", "12 km", 1),
        ("number", "12.0", "12 km", 1),
        ("number", "12 kg", "12 km", 0),
        ("number", "12 miles", "12 km", 0),
        ("number(unit=km)", "12000 meters", "12", 1),
        ("number(tolerance=1%)", "3.15", "3.1416", 1),
        ("number(tolerance=1%)", "3.18", "3.1416", 0),
        ("number(off=0.5)", "17.6", "18", 1),
        ("number(tolerance=0.1)", "99", "110", 1),
        ("number", "50%", "0.5", 1),
        ("number(tolerance=1%)", "50.3%", "0.5", 1),
        ("number", "1/3", "2/6", 1),
        ("number", "3 or 4", "3", 0),
        ("expression", "2x+2", "2(x+1)", 1),
        ("expression", "2x+3", "2(x+1)", 0),
        ("set", "blue, red and green", "red, green, blue", 1),
        ("set", "[blue; 1.0]", "1, red, blue", 0.8),
        ("set(whole=yes)", "blue, red", "red, green, blue", 0),
        ("list", "1. red\n2. green\n3. blue", "red, green, blue", 1),
        ("list", "green, red, blue", "red, green, blue", 2 / 3),
        ("list(whole=yes)", "green, red, blue", "red, green, blue", 0),
    ],
)
def test_what_it_says_of_an_answer(name: str, answer: str, target: str, expected: float) -> None:
    assert score(name, answer, target) == pytest.approx(expected)


def test_a_choice_is_its_letter_or_the_text_of_the_option() -> None:
    for answer, right in (("B", 1), ("(b)", 1), ("Oslo", 1), ("Bergen", 0), ("A", 0)):
        assert score("choice", answer, "B", "Bergen", "Oslo") == right, answer


def test_fields_of_an_object_count_one_by_one_and_more_than_asked_only_where_it_is_strict() -> None:
    target = json.dumps({"name": "Ada", "age": 36, "home": {"city": "London", "flat": None}})
    said = 'Here it is:\n```json\n{"name": "ada", "age": 36.0, "home": {"city": "Paris", "flat": null}, "more": 1}\n```'
    assert score("json_fields", said, target) == 3 / 4
    assert score("json_fields(strict=yes)", said, target) == 3 / 5
    assert score("json_fields", "{" * 5000, target) == 0
    assert score("json_fields", '{"name": ' * 900, target) == 0


def test_a_pattern_that_never_ends_is_given_up() -> None:
    assert score("regex", "a" * 60 + "!", "(a|aa)+$(?<=b)|(a+)+$b") == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("numbr", "number"),
        ("number(tolerence=1%)", "tolerance"),
        ("number(tolerance=much)", "takes a number, or per cent, for 'tolerance', not 'much'"),
        ("number(1%)", "write it as name=value"),
        ("exact(case=yes)", "has no options"),
        ("set(whole=maybe)", "takes yes or no"),
    ],
)
def test_a_name_or_an_option_that_is_not_there_is_said_in_a_sentence(name: str, said: str) -> None:
    with pytest.raises((UnknownName, UsageError), match=r"[.?]$") as caught:
        open_scorer(name)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_breaks_one_and_scores_stay_within_their_ends(answer: str, target: str) -> None:
    for name in SCORERS.names():
        if not is_checker(name):
            assert 0 <= open_scorer(name).score(answer, asked(target or "x")) <= 1, name


def test_a_file_names_a_scorer_with_options_and_asks_for_its_form(tmp_path: Path) -> None:
    path = tmp_path / "colours.jsonl"
    path.write_text('{"question": "Which colours?", "answer": "red, blue"}\n{"question": "And?", "answer": "grey"}\n')
    task = open_task(TaskSpec(f"file:{path}", scorer="set(whole=yes)"))
    first = task.questions()[0]
    assert task.name == "file:colours+set(whole=yes)"
    assert (first.problem.answer_kind, first.problem.instructions) == (
        "text",
        "Give the answer as items between commas, in any order.",
    )
    assert task.score("blue, red", first) == 1 and task.score("red", first) == 0
    other = open_task(TaskSpec(f"file:{path}", scorer="set")).questions()[0]
    assert other.question_id != first.question_id
