"""How a file's answers are read: the kind of each, options, checkers, and what is said of it before a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from engine.core.codec import reading, with_reading
from engine.core.errors import UnknownName, UsageError
from engine.core.ids import digest, question_id
from engine.core.records import Problem
from engine.study.plan import plan
from engine.study.schema import parse
from engine.tasks import open_task
from engine.tasks.files import FileTask, split_options
from engine.tasks.kinds import guess, told
from engine.tasks.task import TaskSpec
from engine.testing import doors
from tests.support.task_contract import TaskContract


def _file(folder: Path, rows: list[dict[str, object]], name: str = "asked.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _spec(path: Path, **more: object) -> TaskSpec:
    return replace(TaskSpec(f"file:{path}"), **more)  # type: ignore[arg-type]


LETTERS: list[dict[str, object]] = [
    {
        "question": f"Which city, {at}?",
        "answer": "ABCD"[at % 4],
        "A": "Oslo",
        "B": "Rome",
        "C": "Bern",
        "D": f"Lima {at}",
    }
    for at in range(9)
]


class TestFileOfChoices(TaskContract):
    @pytest.fixture
    def spec(self, tmp_path: Path) -> TaskSpec:
        return _spec(_file(tmp_path, list(LETTERS)), questions=3)


class TestFileOfFormulas(TaskContract):
    @pytest.fixture
    def spec(self, tmp_path: Path) -> TaskSpec:
        rows: list[dict[str, object]] = [
            {"question": f"Half of {n}?", "answer": f"\\frac{{{n}}}{{2}}"} for n in range(1, 10)
        ]
        return _spec(_file(tmp_path, list(rows)), questions=3)


@pytest.mark.parametrize(
    ("targets", "kind", "odd"),
    [
        ([*map(str, range(99)), "50%"], "number", ()),
        ([*map(str, range(99)), "unknown"], "number", (99,)),
        ([*map(str, range(99)), "about ten"], "number", (99,)),
        (["A", "B", "C", "D", "A"], "choice", ()),
        (["(A)", "(C)", "(B)"], "choice", ()),
        ([*"ABCDABCDAB", "none of them"], "choice", (10,)),
        (["yes", "No", "yes"], "yes_no", ()),
        (["\\frac{14}{3}", "\\text{Evelyn}", "p - q", "9", "(2,\\infty)"], "expression", ()),
        (["01234", "94110", "10001"], "word", ()),
        (["12/25", "7/4", "2/14"], "word", ()),
        (["1/2", "3/4", "5/8"], "number", ()),
        (["1 000", "12,5", "2 1/2"], "number", ()),
        ([*["oak", "elm"] * 10, "an old oak"], "word", (20,)),
        (["an oak", "the old elm", "a"], "text", ()),
    ],
)
def test_the_kind_is_that_of_most_targets_and_odd_rows_keep_their_own(
    targets: list[str], kind: str, odd: tuple[int, ...]
) -> None:
    guessed = guess(targets)
    assert (guessed.kind, guessed.odd) == (kind, odd)
    assert all((one == kind) == (place not in odd) for place, one in enumerate(guessed.kinds))


def test_a_date_is_told_by_its_question() -> None:
    assert guess(["12/25", "7/4"], ["On what date is it?", "What day is it?"]).kind == "word"
    assert guess(["12/25", "7/4"], ["What is 12 over 25?", "What is 7 over 4?"]).kind == "number"


def test_the_guess_is_said_with_its_reason_and_its_odd_rows(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"question": f"{n}?", "answer": str(n)} for n in range(19)]
    path = _file(tmp_path, [*rows, {"question": "Who?", "answer": "nobody at all"}])
    task = FileTask(_spec(path))
    questions = task.questions()
    assert task.note == (
        "Answers to asked are read as number: 19 of its 20 targets are numbers; row 20 ('nobody at all') as text."
    )
    assert [question.problem.answer_kind for question in questions[-2:]] == ["number", "text"]
    assert questions[0].problem.instructions == "Give the answer as a number."
    task = FileTask(_spec(path, kind="text", statement="first"))
    assert {question.problem.answer_kind for question in task.questions()} == {"text"}
    assert task.note.endswith("are read as text, as the study says, of several that a reply states the first.")
    many = guess([*map(str, range(90)), "a", "b", "c", "d", "e"])
    assert told(many, [*map(str, range(90)), *"abcde"], range(1, 96)).endswith(", row 93 ('c') as word and 2 more")


def test_options_in_lettered_columns_are_drawn_into_the_question(tmp_path: Path) -> None:
    question = open_task(_spec(_file(tmp_path, list(LETTERS)))).questions()[1]
    assert question.problem.text == "Which city, 1?\n\nA) Oslo\nB) Rome\nC) Bern\nD) Lima 1"
    assert (question.problem.answer_kind, question.target) == ("choice", "B")
    assert question.problem.options == ("Oslo", "Rome", "Bern", "Lima 1")
    assert question.problem.instructions == "Answer with the letter of one option."
    assert reading(question.data) == (question.problem.options, "last")


@pytest.mark.parametrize(
    ("choices", "answer"),
    [
        (["Oslo", "Rome", "Bern"], "Rome"),
        (["Oslo", "Rome", "Bern"], "B"),
        (["Oslo", "Rome", "Bern"], "(B)"),
        (["Oslo", "Rome", "Bern"], 1),
        ({"text": ["Oslo", "Rome", "Bern"], "label": ["A", "B", "C"]}, "B"),
        ("['Oslo', 'Rome', 'Bern']", "B"),
        ("Oslo | Rome | Bern", "Rome"),
        ("A) Oslo\nB) Rome\nC) Bern", "B"),
    ],
)
def test_a_column_of_choices_is_read_however_it_is_written(tmp_path: Path, choices: object, answer: object) -> None:
    rows: list[dict[str, object]] = [{"question": "Where?", "answer": answer, "choices": choices}]
    (question,) = open_task(_spec(_file(tmp_path, rows))).questions()
    assert (question.target, question.problem.options) == ("B", ("Oslo", "Rome", "Bern"))
    assert question.problem.text.endswith("A) Oslo\nB) Rome\nC) Bern")


def test_a_parquet_column_of_lists_holds_choices(tmp_path: Path) -> None:
    frame = pl.DataFrame({"question": ["Where?"], "answer": ["B"], "options": [["Oslo", "Rome"]]})
    frame.write_parquet(tmp_path / "x.parquet")
    (question,) = open_task(_spec(tmp_path / "x.parquet")).questions()
    assert (question.problem.answer_kind, question.problem.options) == ("choice", ("Oslo", "Rome"))


def test_numbers_of_options_count_from_zero_unless_one_is_out_of_reach(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"question": f"{n}?", "answer": n, "choices": ["x", "y", "z"]} for n in (1, 2, 3)]
    assert [q.target for q in open_task(_spec(_file(tmp_path, rows), kind="choice")).questions()] == ["A", "B", "C"]
    assert [q.target for q in open_task(_spec(_file(tmp_path, rows[:2]), kind="choice")).questions()] == ["B", "C"]


def test_options_that_stand_in_the_question_are_not_drawn_again(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"question": "Where?\n(A) Oslo\n(B) Rome", "answer": "A", "choices": ["Oslo", "Rome"]}
    ]
    (question,) = open_task(_spec(_file(tmp_path, rows))).questions()
    assert question.problem.text == "Where?\n(A) Oslo\n(B) Rome"


def test_columns_that_only_look_like_options_change_nothing(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"question": f"{n} + 1?", "answer": str(n + 10), "A": "x", "B": "y"} for n in range(3)
    ]
    path = _file(tmp_path, rows)
    plain = _file(tmp_path, [{"question": r["question"], "answer": r["answer"]} for r in rows], "plain.jsonl")
    assert [q.question_id for q in open_task(_spec(path)).questions()] == [
        q.question_id for q in open_task(_spec(plain)).questions()
    ]


def test_a_target_that_is_no_option_is_said_with_its_row(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"question": "Where?", "answer": "Paris", "choices": ["Oslo", "Rome"]}]
    with pytest.raises(UsageError, match="Row 1 of .* has the answer 'Paris', which is none of its 2 options"):
        open_task(_spec(_file(tmp_path, rows), kind="choice")).questions()


def test_hostile_cells_of_options_stay_text() -> None:
    assert split_options("[" * 50_000) == ["[" * 50_000]
    assert split_options("__import__('os').getcwd()") == ["__import__('os').getcwd()"]


def test_what_is_usual_changes_no_question_id() -> None:
    problem = Problem("2 + 2?", "number")
    assert question_id("file", problem, "4") == digest("q1", ["file", "2 + 2?", None, "number", "4"])
    assert with_reading(problem) == "{}"
    changed = [replace(problem, statement="first"), replace(problem, options=("4", "5"))]
    assert len({question_id("file", each, "4") for each in (problem, *changed)}) == 3
    assert [reading(with_reading(each)) for each in changed] == [((), "first"), (("4", "5"), "last")]


PUZZLES = "Rank,Puzzles\n1,1 1 4 6\n2,1 1 11 11\n3,4 4 10 10\n"


def test_a_game_of_24_is_asked_without_targets(tmp_path: Path) -> None:
    (tmp_path / "game24.csv").write_text(PUZZLES)
    task = open_task(_spec(tmp_path / "game24.csv", question_column="Puzzles", checker="game24"))
    first, second, third = task.questions()
    assert task.name == "file:game24+game24" and first.problem.text == "1 1 4 6"
    assert "24" in first.problem.instructions and len({q.question_id for q in (first, second, third)}) == 3
    for answer in ("(1 + 1) * 4 * 6", "4 * 6", "24", "1 + 1 + 4 + 6", "((", "", "4 * 6 * 1 + 1"):
        assert task.score(answer, first) == 0
    for answer in ("4 * 6 * 1 * 1", "4 * 6 * 1 / 1 = 24", "\\boxed{4 \\times 6 \\times 1 \\div 1}", "(4*6)*(1*1)"):
        assert task.score(answer, first) == 1, answer
    assert task.score("(10 * 10 - 4) / 4", third) == 1


class TestGame24(doors.ScorerContract):
    scorer = "game24"

    @property
    def question(self):  # type: ignore[override]
        from engine.core.records import Question

        return Question("q", "file:x", Problem("4 6 1 1"), "4 * 6 * 1 * 1")


STUDY = """name = "kinds"
budgets = [64]
models = ["scripted/adder"]
strategies = ["direct"]
"""


def test_a_study_names_kind_statement_options_and_checker(tmp_path: Path) -> None:
    _file(tmp_path, list(LETTERS))
    table = '[[tasks]]\nname = "file:asked.jsonl"\nkind = "choice"\nstatement = "first"\n'
    study = parse(f"{STUDY}{table}", "s.toml", tmp_path)
    assert (study.tasks[0].kind, study.tasks[0].statement) == ("choice", "first")
    planned = plan(study, sends=False)
    assert planned.notes == (
        "Answers to asked are read as choice, as the study says, of several that a reply states the first.",
    )
    assert planned.specs[0].question.problem.statement == "first"
    for key, sentence in (
        ('kind = "numbre"', "did you mean 'number'"),
        ('statement = "firts"', "did you mean 'first'"),
        ('checker = "game42"', "Unknown checker 'game42': did you mean 'game24'"),
    ):
        with pytest.raises(UnknownName, match=sentence):
            parse(f'{STUDY}[[tasks]]\nname = "file:asked.jsonl"\n{key}\n', "s.toml", tmp_path)
    with pytest.raises(UsageError, match="has kind, which tasks of files take"):
        parse(f'{STUDY}[[tasks]]\nname = "gym:chain_sum"\nkind = "number"\n', "s.toml", tmp_path)
    with pytest.raises(UsageError, match="has a checker, which decides alone; take its kind out"):
        open_task(_spec(tmp_path / "asked.jsonl", kind="text", checker="game24"))


def test_the_framing_of_most_rows_names_the_condition(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"question": f"{n}?", "answer": str(n)} for n in range(20)]
    odd: dict[str, object] = {"question": "Who?", "answer": "nobody at all"}
    ids = []
    for name, ordered in (("x", [odd, *rows]), ("y", [*rows, odd])):
        (tmp_path / name).mkdir()
        _file(tmp_path / name, ordered)
        study = parse(f'{STUDY}[[tasks]]\nname = "file:asked.jsonl"\n', "s.toml", tmp_path / name)
        ids.append(plan(study, sends=False).conditions[0].condition_id)
    assert ids[0] == ids[1]
