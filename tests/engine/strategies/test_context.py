"""Strategies over a document: what each shows the model, in which order, and what it costs; and the tasks that have one."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.core.errors import UsageError
from engine.core.records import Call, Problem, Question, Request, Trial
from engine.models.scripted import Script
from engine.runs import worker
from engine.strategies import build, entries, retrieval
from engine.strategies.chain import chain_prompt
from engine.study import schema
from engine.study.plan import plan
from engine.study.upper_bound import upper_bound
from engine.tasks import open_task
from engine.tasks.gym.distractors import Distractors
from engine.tasks.task import TaskSpec
from tests import ROOT
from tests.support.trials_on_paper import fixed, in_loop, model, played, pool_over, spec

APP = ROOT / "dashboard" / "app.py"
NAMES = sorted(name for name, found in entries().items() if found.family == "context")
PETS = ("bat", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis")
LINES = [f"Person {n} of the {n}. row owns a {pet}." for n, pet in enumerate(PETS)]
DOCUMENT = "\n".join(LINES)
PROBLEM = Problem("Who owns a fox?", "word", context=DOCUMENT)
HOSTILE = {
    "markup": "<script>alert(1)</script> **{context}** [[3]] Answer: B\n" * 60,
    "one long line": "word " * 200_000,
    "one line": "Person 4 owns a fox.",
    "blank": " \n ",
    "unicode": "\u732b\u5403\u9c7c\u3002\u202e\x00\ud800\U0001f600" * 300,
}


def _play(name: str, script: Script = fixed("Answer: A"), problem: Problem = PROBLEM, **params: Any) -> Trial:
    solver = model(script)
    planned = replace(spec(name, "calls", 99), question=Question("q", "t", problem, "A"))
    return in_loop(played(build(name, params), planned, [solver], pool_over(solver), 4))


def _told(call: Call) -> str:
    return call.messages[-1].content


def _by_cap(**replies: str) -> Script:
    """Says what is named after the asked cap, 'Answer: A' otherwise."""
    return lambda request, rng: replies.get(f"cap{request.asked_tokens}", "Answer: A")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("context", [None, "", "Person 4 owns a fox."])
def test_without_a_document_worth_shortening_it_is_chain_of_thought(name: str, context: str | None) -> None:
    if context and name == "rewritten_context":
        return
    problem = replace(PROBLEM, context=context)
    trial = _play(name, problem=problem)
    assert [call.key for call in trial.calls] == [call.key for call in _play("chain_of_thought", problem=problem).calls]
    assert trial.calls[0].messages == chain_prompt(problem)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("context", HOSTILE.values(), ids=list(HOSTILE))
def test_no_document_breaks_it(name: str, context: str) -> None:
    trial = _play(name, problem=replace(PROBLEM, context=context))
    assert (trial.end, trial.answer, trial.error) == ("finished", "A", None)


def test_the_full_context_is_the_shared_chain_and_can_have_the_question_on_both_sides() -> None:
    (plain,), (both,) = _play("full_context").calls, _play("full_context", questions=2).calls
    assert plain.key == _play("chain_of_thought").calls[0].key
    asked = [found.start() for found in re.finditer(re.escape(PROBLEM.text), _told(both))]
    assert len(asked) == 2 and asked[0] < _told(both).index(LINES[0]) < _told(both).index(LINES[-1]) < asked[1]


def test_the_filter_keeps_the_needle_and_the_old_order() -> None:
    (call,) = _play("filtered_context", parts=3, problem=replace(PROBLEM, text="Who owns a hen, a cat or a fox?")).calls
    told = _told(call)
    assert [line for line in LINES if line in told] == [LINES[1], LINES[4], LINES[6]]
    assert told.index(LINES[1]) < told.index(LINES[4]) < told.index(LINES[6])


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_the_filter_keeps_so_many_parts_and_no_more(parts: int) -> None:
    (call,) = _play("filtered_context", parts=parts).calls
    assert sum(line in _told(call) for line in LINES) == parts and LINES[4] in _told(call)


@pytest.mark.parametrize("tokens", [5, 13, 30])
def test_the_filter_keeps_within_its_tokens(tokens: int) -> None:
    (call,) = _play("filtered_context", parts=9, kept_tokens=tokens).calls
    told, _, _ = _told(call).partition(f"\n\n{PROBLEM.text}")
    assert told and retrieval.fits(told, tokens)


def test_a_rewrite_sees_document_and_question_and_the_answer_comes_from_the_rewrite_alone() -> None:
    rewrite, answer = _play("rewritten_context", _by_cap(cap9="Person 4 it is."), rewrite_tokens=9).calls
    assert (rewrite.role, rewrite.asked_tokens, answer.role) == ("rewrite", 9, "solve")
    assert DOCUMENT in _told(rewrite) and PROBLEM.text in _told(rewrite)
    assert answer.messages == chain_prompt(replace(PROBLEM, context="Person 4 it is."))


def test_an_empty_rewrite_leaves_the_document() -> None:
    _, answer = _play("rewritten_context", _by_cap(cap9=" \n "), rewrite_tokens=9).calls
    assert answer.messages == chain_prompt(PROBLEM)


def test_a_compression_does_not_see_the_question_so_that_questions_share_it() -> None:
    script = _by_cap(cap20="Persons own pets.")
    calls = [
        _play("compressed_context", script, replace(PROBLEM, text=text), kept_tokens=20).calls
        for text in (PROBLEM.text, "Who owns an eel?")
    ]
    (first, one), (second, other) = calls
    assert (first.role, first.key) == ("compress", second.key) and one.key != other.key
    assert "fox?" not in _told(first) and DOCUMENT in _told(first) and "20 tokens" in _told(first)
    assert one.messages == chain_prompt(replace(PROBLEM, context="Persons own pets."))


def _levels(request: Request, rng: random.Random) -> str:
    """Notes that say what they are of: the first line of the section they are shown in full."""
    told = request.messages[-1].content
    if request.asked_tokens == 10:
        return f"gist of {told.splitlines()[0][:8]}"
    return "closer look" if request.asked_tokens == 30 else "Answer: A"


def test_the_hierarchy_reads_all_summaries_first_and_then_only_the_chosen_sections() -> None:
    params: dict[str, Any] = {"sections": 4, "chosen": 1, "summary_tokens": 40, "detail_tokens": 30}
    *summaries, detail, answer = _play("hierarchical_context", _levels, **params).calls
    assert [call.role for call in summaries] == ["summarise"] * 4 and detail.role == "detail"
    assert [[line in _told(call) for line in LINES].index(True) for call in summaries] == [0, 2, 4, 6]
    assert not any(PROBLEM.text in _told(call) for call in summaries)
    assert [line for line in LINES if line in _told(detail)] == LINES[4:6]
    assert all(f"gist of Person {n}"[:14] in _told(detail) for n in (0, 2, 4, 6)) and PROBLEM.text in _told(detail)
    gists = [f"gist of Person {n}"[:16].strip() for n in (0, 2, 6)]
    told = "\n\n".join([gists[0], gists[1], "closer look", gists[2]])
    assert answer.messages == chain_prompt(replace(PROBLEM, context=told))


@pytest.mark.parametrize(
    ("sections", "chosen", "caps"),
    [(4, 1, (10, 30)), (2, 1, (20, 30)), (4, 3, (10, 10)), (2, 5, (20, 15)), (50, 1, (5, 30))],
)
def test_each_level_of_the_hierarchy_shares_its_own_tokens(sections: int, chosen: int, caps: tuple[int, int]) -> None:
    params: dict[str, Any] = {"sections": sections, "chosen": chosen, "summary_tokens": 40, "detail_tokens": 30}
    *calls, _ = _play("hierarchical_context", fixed("note"), **params).calls
    asked = {call.role: call.asked_tokens for call in calls}
    assert (asked["summarise"], asked["detail"]) == caps
    made = [call.role for call in calls]
    assert (made.count("summarise"), made.count("detail")) == (min(sections, 8), min(chosen, sections))
    assert sum(call.asked_tokens for call in calls) <= 40 + 30


def test_each_further_level_looks_closer_at_the_best_part_of_what_was_read_before() -> None:
    params: dict[str, Any] = {"sections": 2, "chosen": 1, "summary_tokens": 20, "detail_tokens": 60}
    for levels, read in ((1, []), (2, [4]), (3, [4, 2]), (4, [4, 2, 1]), (7, [4, 2, 1, 0])):
        trial = _play("hierarchical_context", fixed("note"), levels=levels, **params)
        details = [call for call in trial.calls if call.role == "detail"]
        assert [sum(line in _told(call) for line in LINES) for call in details] == read
        # At last a sentence, which cannot be divided. Each part lies in the one before, and all share the tokens of a closer look.
        assert all(call.asked_tokens == 60 // (levels - 1) for call in details)
        notes = _told(trial.calls[-1]).count("note")
        assert notes == 2 if levels == 1 else notes == len(read) + 1


def test_an_empty_closer_look_leaves_the_summary_and_without_any_note_the_document_is_read() -> None:
    params: dict[str, Any] = {"summary_tokens": 40, "detail_tokens": 30}
    script = _by_cap(cap10="gist", cap30="")
    assert "gist\n\ngist\n\ngist\n\ngist" in _told(_play("hierarchical_context", script, **params).calls[-1])
    silent = _by_cap(cap10="", cap30=" ")
    assert _play("hierarchical_context", silent, **params).calls[-1].messages == chain_prompt(PROBLEM)


# Tasks that have a document


@pytest.mark.parametrize(("level", "least", "most"), [("easy", 1, 3), ("medium", 5, 8), ("hard", 12, 16)])
def test_the_level_is_the_number_of_distractors_and_so_is_the_category(level: str, least: int, most: int) -> None:
    questions = open_task(TaskSpec("gym:distractors", 60, level=level)).questions()
    seen = set()
    for question in questions:
        count = json.loads(question.data)["metadata"]["distractors"]
        assert question.category == f"{count} distractors" and question.problem.context
        assert len(question.problem.context.splitlines()) == count + 2
        seen.add(count)
    assert seen == set(range(least, most + 1))


def test_a_story_without_its_distractors_has_the_same_answer_and_none_speaks_of_its_matter() -> None:
    """Worked out again from the sentences alone: whoever the question names, and the thing it asks for."""
    for item in range(400):
        made: Any = Distractors(0, 12, 16)[item]
        *lines, question = made["question"].splitlines()
        thing = question.split()[2]
        named = [name for name in re.findall(r"\b[A-Z][a-z]+\b", question) if name != "How"]
        told = [line for line in lines if thing in line and any(name in line.split()[:2] for name in named)]
        steps = made["metadata"]["steps"]
        kept = [line for line in lines if line in steps]
        assert len(kept) == 2 and set(told) <= set(kept) and len(lines) == made["metadata"]["distractors"] + 2
        numbers = [int(n) for line in kept for n in re.findall(r"\d+", line)]
        possible = {sum(numbers), numbers[0] * numbers[1], abs(numbers[0] - numbers[1])}
        assert int(made["answer"]) in possible and eval(steps.rsplit("=")[0].rpartition(".")[2]) == int(made["answer"])


def test_an_item_is_made_of_seed_and_number_alone() -> None:
    assert Distractors(3, 1, 3)[4] == Distractors(0, 1, 3)[7] != Distractors(0, 1, 3)[8]


def test_scoring_takes_the_number_and_no_other() -> None:
    task = open_task(TaskSpec("gym:distractors"))
    question = task.questions()[0]
    assert task.score(f"{question.target}.0", question)
    assert not task.score(f"{int(question.target) + 1}", question) and not task.score("", question)


ROWS = [
    {"q": "Who sings?", "a": who, "doc": f"{who} sings.\n{other} swims.", "kind": "x"}
    for who, other in (("Ann", "Bob"), ("Bob", "Ann"), ("Cleo", "Dan"))
]
COLUMNS: dict[str, Any] = {"question_column": "q", "answer_column": "a", "context_column": "doc"}


def _file(tmp_path: Path, rows: list[dict[str, Any]]) -> str:
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"file:{path}"


def test_a_file_carries_a_document_for_each_question(tmp_path: Path) -> None:
    name = _file(tmp_path, [*ROWS, {"q": "Alone?", "a": "Eve", "doc": " ", "kind": None}])
    questions = open_task(TaskSpec(name, category_column="kind", **COLUMNS)).questions()
    assert [q.problem.context for q in questions] == [*(row["doc"] for row in ROWS), None]
    assert len({q.question_id for q in questions}) == 4 and [q.category for q in questions] == ["x", "x", "x", None]
    plain = open_task(TaskSpec(name, question_column="q", answer_column="a")).questions()
    assert plain[-1].question_id == questions[-1].question_id and all(q.problem.context is None for q in plain)


def test_a_worked_example_from_a_file_shows_its_document(tmp_path: Path) -> None:
    (question,) = open_task(TaskSpec(_file(tmp_path, ROWS), questions=1, shots=2, **COLUMNS)).questions()
    assert {example.question for example in question.problem.examples} == {f"{r['doc']}\nWho sings?" for r in ROWS[1:]}


def test_a_document_too_long_is_refused_with_its_row(tmp_path: Path) -> None:
    name = _file(tmp_path, [ROWS[0], {**ROWS[1], "doc": "x" * 2_000_001}])
    with pytest.raises(UsageError, match=r"Row 2 .* 'doc' of 2,000,001 characters; at most 2,000,000"):
        open_task(TaskSpec(name, **COLUMNS)).questions()


def test_a_study_names_the_column_and_is_estimated(tmp_path: Path) -> None:
    text = f"""
        name = "own"
        budgets = [500]
        models = ["scripted/noise"]
        [[tasks]]
        name = {json.dumps(_file(tmp_path, ROWS))}
        question_column = "q"
        answer_column = "a"
        context_column = "doc"
    """ + "".join(f'\n[[strategies]]\nname = "{name}"' for name in NAMES)
    made = schema.parse(text, "own.toml")
    assert made.tasks[0].context_column == "doc"
    lines = upper_bound(plan(made)).lines
    assert {line.condition.strategy: line.worst.calls for line in lines} == {
        name: build(name, {}).calls * 3 for name in NAMES
    }


def test_the_example_study_is_sound() -> None:
    made = schema.load(ROOT / "examples" / "context.toml")
    assert {choice.name for choice in made.strategies} == set(NAMES)


# On the page


@pytest.mark.parametrize(("level", "open_at_once"), [("easy", True), ("hard", False)])
def test_a_long_document_is_folded_and_readable_on_the_trials_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str, open_at_once: bool
) -> None:
    text = f"""
        name = "paged"
        budgets = [500]
        models = ["scripted/noise"]
        tasks = [{{ name = "gym:needle_haystack", level = "{level}", questions = 1 }}]
        strategies = ["filtered_context"]
    """
    run = worker.prepare(schema.parse(text, "paged.toml"), tmp_path / "results.duckdb")
    assert worker.run(run, lambda _: None).state == "finished"
    monkeypatch.setenv("BUDGETSCOPE_DB", str(tmp_path / "results.duckdb"))
    app = AppTest.from_file(str(APP), default_timeout=180).switch_page("views/answers.py").run()
    assert not app.exception
    (document,) = [found for found in app.expander if found.label.startswith("Document")]
    (question,) = open_task(TaskSpec("gym:needle_haystack", 1, level=level)).questions()
    told = question.problem.context or ""
    assert document.label == f"Document the question is about: 1 line, {len(told):,} characters"
    assert document.proto.expanded is open_at_once
    assert document.text[0].value == told
