"""Generated benchmarks: the contract for every generator, and what each part promises beyond it."""

from __future__ import annotations

import ast
import functools
import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from engine.core import answers
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Problem, Question
from engine.tasks import open_task, task_names
from engine.tasks.gym import known_generators
from engine.tasks.gym.catalogue import CATALOGUE
from engine.tasks.gym.formula import Argument, evaluate
from engine.tasks.gym.source import OWN, dataset, lean, source
from engine.tasks.task import TaskSpec
from tests.support.task_contract import TaskContract, contents_elsewhere

GYM = tuple(name for name in task_names() if name.startswith("gym:"))
EASY = tuple(TaskSpec(name, questions=6) for name in GYM)
SLOW = {"gym:puzzle24"}
HARDER = tuple(
    TaskSpec(name, questions=4, level=level) for name in GYM if name not in SLOW for level in ("medium", "hard")
)


@functools.cache
def _elsewhere() -> dict[tuple[str, str], list[str]]:
    specs = EASY + HARDER
    return {(spec.name, spec.level): made for spec, made in zip(specs, contents_elsewhere(specs), strict=True)}


@functools.cache
def _asked(spec: TaskSpec) -> Sequence[Question]:
    return open_task(spec).questions()


class TestEveryGenerator(TaskContract):
    def asked(self, spec: TaskSpec) -> Sequence[Question]:
        return _asked(spec)

    @pytest.fixture(params=EASY + HARDER, ids=lambda spec: f"{spec.name}/{spec.level}")
    def spec(self, request: pytest.FixtureRequest) -> TaskSpec:
        found: TaskSpec = request.param
        return found

    @pytest.fixture
    def elsewhere(self, spec: TaskSpec) -> list[str]:
        return _elsewhere()[spec.name, spec.level]


class TestASpanOfLevels(TaskContract):
    @pytest.fixture
    def spec(self) -> TaskSpec:
        return TaskSpec("gym:syllogism/1-4", questions=20)

    def test_difficulty_is_an_axis_whose_levels_take_turns(self, spec: TaskSpec) -> None:
        groups = [question.category for question in open_task(replace(spec, name="gym:gcd/1-4")).questions()]
        assert groups == [f"level {level}" for _ in range(5) for level in range(1, 5)]
        presets = open_task(TaskSpec("gym:gcd", 6, level="easy-hard"))
        assert [question.category for question in presets.questions()] == ["easy", "medium", "hard"] * 2
        assert presets.name == "gym:gcd/easy-hard"


def test_there_are_many_generators_of_several_families_most_with_a_curriculum() -> None:
    families = Counter(CATALOGUE[name].family for name in {*known_generators()} - OWN.keys())
    assert families.total() >= 25 and len(families) >= 7, families
    assert sum(CATALOGUE[name].steps > 1 for name in known_generators()) >= 25


@pytest.mark.parametrize("generator", sorted(name for name in known_generators() if CATALOGUE[name].steps))
def test_every_level_of_a_curriculum_can_be_asked_and_its_targets_are_right(generator: str) -> None:
    for level in range(1, CATALOGUE[generator].steps + 1):
        task = open_task(TaskSpec(f"gym:{generator}/{level}", questions=2))
        for question in task.questions():
            said = answers.extract(f"So.\nAnswer: {question.target}", question.problem.answer_kind)
            assert said is not None and task.score(said, question), (level, question.target)


def test_a_chain_gets_longer_from_level_to_level() -> None:
    lengths = [
        [len(question.problem.text) for question in open_task(TaskSpec(f"gym:chain_sum/{level}", 10)).questions()]
        for level in range(1, 6)
    ]
    assert all(max(below) < min(above) for below, above in itertools.pairwise(lengths))


@pytest.mark.parametrize(
    ("generator", "target", "right", "wrong"),
    [
        (
            "word_sorting",
            "Hart, find, sit",
            ["hart, find, sit", "['Hart', 'find', 'sit']"],
            ["find, Hart, sit", "Hart find"],
        ),
        ("prime_factorization", "2 × 3", ["2 * 3", "2, 3"], ["6", "2^3", "3 × 2", "2 × 3 × 1"]),
        ("bitwise_arithmetic", "-0x3", ["-0x3", "-0X3"], ["0x3", "3", "-3"]),
        ("dice", "1/2", ["1/2", "2/4", "0.5"], ["1/3", "2"]),
        ("course_schedule", "True", ["true", "True."], ["False", "yes and no"]),
    ],
)
def test_answers_of_another_form_are_read(generator: str, target: str, right: list[str], wrong: list[str]) -> None:
    task = open_task(TaskSpec(f"gym:{generator}"))
    question = Question("q", task.name, Problem("?", CATALOGUE[generator].kind), target, data='{"metadata":{}}')
    assert [task.score(answer, question) for answer in (*right, *wrong)] == [True] * len(right) + [False] * len(wrong)


@pytest.mark.parametrize("generator", sorted({*known_generators()} - OWN.keys()))
def test_the_generators_own_verifier_agrees_on_the_target(generator: str) -> None:
    """After the round trip through JSON, so that stored questions can still be checked against it."""
    made = source(generator, "easy")
    with lean():
        verifier = dataset(generator, "easy", 0)
        assert all(verifier.score_answer(entry["answer"], entry) == 1.0 for entry in made.first(3))


@pytest.mark.parametrize("name", ["chain_sum", "gcd", "lcm", "products", "letter_counting", "simple_equations"])
@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_written_out_reasoning_ends_at_the_answer(name: str, level: str) -> None:
    question = open_task(TaskSpec(f"gym:{name}", questions=1, level=level, shots=8)).questions()[0]
    for example in question.problem.examples:
        assert example.reasoning is not None
        assert example.reasoning.rstrip(".").split()[-1] == example.answer


def test_written_out_spelling_and_logic_fit_the_answer() -> None:
    for example in open_task(TaskSpec("gym:spell_backward", 1, shots=8)).questions()[0].problem.examples:
        assert (example.reasoning or "").rpartition(": ")[2].replace(", ", "").rstrip(".") == example.answer
    for example in open_task(TaskSpec("gym:syllogism", 1, shots=8)).questions()[0].problem.examples:
        assert ("there is no counterexample" in (example.reasoning or "")) == (example.answer == "Yes")


def test_yes_and_no_alternate_among_worked_examples() -> None:
    examples = open_task(TaskSpec("gym:syllogism", 1, shots=4)).questions()[0].problem.examples
    assert {example.answer for example in examples[:2]} == {"Yes", "No"}


def test_the_haystack_is_context_and_not_question() -> None:
    question = open_task(TaskSpec("gym:needle_haystack", 1)).questions()[0]
    assert question.problem.context and question.target in question.problem.context
    assert question.problem.text.startswith("Who ") and question.target not in question.problem.text


def test_asking_for_more_than_there_is_says_how_many_there_are() -> None:
    with pytest.raises(UsageError, match=r"Products \(easy\) has 92 distinct questions, enough for seeds 0 to 0"):
        open_task(TaskSpec("gym:products", questions=50, seed=1)).questions()
    assert len(open_task(TaskSpec("gym:products", questions=92)).questions()) == 92


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (TaskSpec("gym:chain_sun"), "did you mean 'chain_sum'"),
        (TaskSpec("gym:chain_sum", level="eazy"), "did you mean 'easy'"),
        (TaskSpec("gym:gcd/5"), "Unknown level '5'"),
        (TaskSpec("gym:gcd", level="1-9"), "Unknown level '9'"),
        (TaskSpec("gim:chain_sum"), "did you mean 'gym:chain_sum'"),
        (TaskSpec("gym:"), "Unknown task"),
    ],
)
def test_an_unknown_name_comes_with_the_nearest(spec: TaskSpec, sentence: str) -> None:
    with pytest.raises(UnknownName, match=sentence):
        open_task(spec)


@pytest.mark.parametrize("span", ["hard-easy", "easy-3", "2-2", "3-1"])
def test_a_span_that_does_not_go_up_is_refused(span: str) -> None:
    with pytest.raises(UsageError, match=f"'{span}' does not go up"):
        open_task(TaskSpec(f"gym:gcd/{span}"))


@pytest.mark.parametrize("spec", [TaskSpec("gym:gcd", 0), TaskSpec("gym:gcd", seed=-1), TaskSpec("gym:gcd", shots=9)])
def test_counts_out_of_range_are_refused(spec: TaskSpec) -> None:
    with pytest.raises(UsageError, match="'gym:gcd'"):
        open_task(spec)


def test_the_name_of_a_task_opens_it_again() -> None:
    task = open_task(TaskSpec("gym:gcd", questions=2, level="medium"))
    again = open_task(TaskSpec(task.name, questions=2))
    assert again.name == task.name == "gym:gcd/medium"
    assert again.questions() == task.questions()


def test_listing_and_scoring_leave_the_generators_unimported() -> None:
    code = (
        "import sys; from engine.records import Problem, Question; from engine.tasks import *\n"
        "assert 'gym:gcd' in task_names()\n"
        "q = Question('q', 'gym:gcd/easy', Problem('?', 'number'), '4', data='{\"metadata\":{}}')\n"
        "assert open_task(TaskSpec(q.task)).score('4.0', q) and not open_task(TaskSpec(q.task)).score('5', q)\n"
        "assert not {'reasoning_gym', 'polars', 'sympy', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def _puzzle(target: str = "(1 + 3)*6*1") -> Question:
    return Question("q", "gym:puzzle24/easy", Problem("?"), target, data='{"metadata":{"numbers":[1,3,6,1]}}')


@pytest.mark.parametrize("answer", ["(1 + 3)*6*1", "6 \u00d7 (3 + 1) \u00f7 1", "6*(3+1)/1 = 24"])
def test_any_expression_that_uses_the_numbers_counts(answer: str) -> None:
    assert open_task(TaskSpec("gym:puzzle24")).score(answer, _puzzle())


@pytest.mark.parametrize(
    "answer", ["24", "6*4", "6*(3+1)", "8*3*1*1", "6*(3+1)*1**5", "6 and 3 + 1, 1", "6*(3+1)/(1-1)"]
)
def test_other_numbers_other_values_and_other_signs_do_not(answer: str) -> None:
    assert not open_task(TaskSpec("gym:puzzle24")).score(answer, _puzzle())


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "9**9**9",
        "1_000",
        "0x10",
        "True+1",
        "(" * 150 + ")" * 150,
        "1" * 500,
        "1/0",
        "",
        "a+1",
        "4(3)",
    ],
)
def test_what_is_not_arithmetic_has_no_value(text: str) -> None:
    assert evaluate(text) is None


def test_an_expression_is_read_though_another_thread_makes_a_tree_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    parse, failed = ast.parse, list[str]()

    def disturbed(text: str, **more: Any) -> Any:
        if not failed:
            failed.append(text)
            raise SystemError("AST constructor recursion depth mismatch (before=10, after=12)")
        return parse(text, **more)

    monkeypatch.setattr(ast, "parse", disturbed)
    assert evaluate("(4 + 4) * 3") == (Fraction(24), [3, 4, 4])
    assert failed == ["(4 + 4) * 3"]


def test_one_kind_of_question_loads_one_generator_and_leaves_no_half_a_package_behind() -> None:
    code = """
import sys
from engine.tasks import open_task
from engine.tasks.task import TaskSpec

# More than come along as files.
for name in ("gym:gsm_symbolic", "gym:chain_sum", "gym:syllogism"):
    assert list(open_task(TaskSpec(name, questions=121)).questions())
heavy = {"matplotlib", "sympy", "pandas", "reasoning_gym"} & set(sys.modules)
assert not heavy, heavy
assert len(list(open_task(TaskSpec("gym:products", questions=2)).questions())) == 2
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_every_generator_can_be_the_first_that_a_process_asks() -> None:
    code = """
import sys
from engine.tasks.gym import known_generators, source

for generator in sorted({*known_generators()} - source.OWN.keys()):
    source._lent.clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "reasoning_gym"]:
        del sys.modules[name]
    assert source.source(generator, "easy").first(1), generator
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_arithmetic_is_exact() -> None:
    assert evaluate("1/3 + 1/6") == (Fraction(1, 2), [1, 1, 3, 6])


def test_a_fraction_must_be_in_lowest_terms() -> None:
    task = open_task(TaskSpec("gym:fraction_simplification"))
    question = Question("q", task.name, Problem("?", "number"), "1/2", data='{"metadata":{}}')
    assert task.score("1 / 2", question) and not task.score("2/4", question)


def test_a_sign_matters_in_word_problems() -> None:
    task = open_task(TaskSpec("gym:gsm_symbolic"))
    question = Question("q", task.name, Problem("?", "number"), "70", data='{"metadata":{}}')
    assert task.score("70.0", question) and not task.score("-70", question)


@pytest.mark.parametrize(
    ("one", "two", "conclusion", "verdict"),
    [
        ("All a are b", "All b are c", "All a are c", True),
        ("All a are b", "All b are c", "All c are a", False),
        ("No a are b", "All c are b", "No a are c", True),
        ("Some a are b", "All b are c", "Some a are c", True),
        ("Some a are b", "Some b are c", "Some a are c", False),
        ("All a are b", "All b are c", "Some a are c", None),
    ],
)
def test_logic_is_decided_by_trying_every_world(one: str, two: str, conclusion: str, verdict: bool | None) -> None:
    assert Argument((one, two), conclusion).verdict() is verdict
