"""Form values become a study the engine reads back as it was meant; uploads stay within limits and folder."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.data import studies
from dashboard.data.studies import Form
from engine.core.errors import BudgetscopeError, UsageError
from engine.core.records import Price, Tier
from engine.models.declared import ModelSpec
from engine.strategies import entries
from engine.study import schema
from engine.tasks.task import TaskSpec
from tests import ROOT
from tests.support.pages import run_page

TASK = {"name": "gym:chain_sum", "level": "easy", "questions": 3, "seed": 1, "shots": 2}


def form(**changes: Any) -> Form:
    usual: dict[str, Any] = {
        "name": "mine",
        "models": ("scripted/adder",),
        "strategies": (("self_consistency", {"samples": "2, 4", "chain_tokens": "", "temperature": "0.5"}),),
        "tasks": (TASK,),
        "budgets": "64, 32",
    }
    return Form(**{**usual, **changes})


def test_a_form_becomes_the_study_it_says() -> None:
    found = studies.checked(form(repeats=2, system="Be brief.", tokens=5_000, usd=1.5))
    assert (found.name, found.repeats, found.system) == ("mine", 2, "Be brief.")
    assert found.budgets == (32, 64)
    assert (found.ceiling.tokens, found.ceiling.pusd) == (5_000, 1_500_000_000_000)
    assert [dict(choice.params) for choice in found.strategies] == [
        {"samples": 2, "temperature": 0.5},
        {"samples": 4, "temperature": 0.5},
    ]
    task = found.tasks[0]
    assert (task.name, task.level, task.questions, task.seed, task.shots) == ("gym:chain_sum", "easy", 3, 1, 2)


def test_an_empty_knob_keeps_its_default() -> None:
    found = studies.checked(form(strategies=(("direct", {"answer_tokens": " ", "temperature": ""}),)))
    assert found.strategies[0].params == ()


def test_every_strategy_with_empty_knobs_is_a_study() -> None:
    every = tuple((name, dict.fromkeys(entry.knobs, "")) for name, entry in entries().items())
    assert [choice.name for choice in studies.checked(form(strategies=every)).strategies] == list(entries())


def test_money_budgets_are_dollars() -> None:
    assert studies.checked(form(axis="usd", budgets="0.001, 0.5")).budgets == (1_000_000_000, 500_000_000_000)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"budgets": "many"}, "budgets"),
        ({"budgets": ""}, "budgets"),
        ({"budgets": "32, 32"}, "twice"),
        ({"models": ()}, "models"),
        ({"tasks": ()}, "tasks"),
        ({"strategies": ()}, "strategies"),
        ({"strategies": (("self_consistency", {"samples": "few"}),)}, "samples as int, not 'few'"),
        ({"strategies": (("self_consistensy", {}),)}, "did you mean 'self_consistency'?"),
        ({"name": " "}, "name"),
    ],
)
def test_what_does_not_fit_is_said_in_the_engines_words(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match="(?i)" + says.replace("?", r"\?")):
        studies.checked(form(**changes))


def test_a_declared_model_keeps_all_that_was_declared() -> None:
    text = """name = "s"
budgets = [8]
strategies = ["direct"]
tasks = ["gym:chain_sum"]
[[models]]
name = "mine"
api_base = "http://localhost:8000/v1"
api_key_env = "MY_KEY"
model = "qwen"
context_tokens = 4096
parallel = 3
timeout_s = 7.5
prices = { input = 0.15, output = 0.6, cached = 0.075, source = "a page", as_of = "2026-01-31", assumed = true }
"""
    told = schema.parse(text, "s.toml").models[0]
    assert told.price is not None
    again = studies.checked(form(models=("mine",), tables={"mine": studies.model_table(told)}))
    assert again.models == (told,)


def test_a_price_with_tiers_comes_back_whole() -> None:
    tiers = (Tier(200_000, 7, 9, 1, 2, 11), Tier(400_000, 8, 10))
    price = Price(5, 6, source="study", reasoning_pusd=9, request_pusd=3 * 10**9, tiers=tiers)
    told = ModelSpec("m", api_base="http://h/v1", price=price)
    again = studies.checked(form(models=("m",), tables={"m": studies.model_table(told)}))
    assert again.models[0].price == price


def test_prices_come_back_to_the_pico_dollar() -> None:
    for rate in (1, 7, 123_457, 30_000_000, 10**11):
        told = ModelSpec("m", api_base="http://h/v1", price=Price(rate, rate + 1, source="study"))
        assert (
            studies.checked(form(models=("m",), tables={"m": studies.model_table(told)})).models[0].price == told.price
        )


@given(name=st.text(), system=st.text(), budgets=st.text(max_size=40), samples=st.text(max_size=20), model=st.text())
def test_whatever_is_typed_gives_a_study_or_one_sentence(
    name: str, system: str, budgets: str, samples: str, model: str
) -> None:
    wild = form(
        name=name,
        system=system,
        budgets=budgets,
        models=(model,),
        strategies=(("self_consistency", {"samples": samples}),),
    )
    assert tomllib.loads(studies.text(wild))
    try:
        found = studies.checked(wild)
    except BudgetscopeError as error:
        assert str(error)
    else:
        assert found.name == name.encode("utf-8", "replace").decode()


@given(st.text(min_size=1).filter(str.strip))
def test_any_text_survives_the_way_through_toml(text: str) -> None:
    typed = text.encode("utf-8", "replace").decode()
    assert tomllib.loads(studies.text(form(name=text)))["name"] == typed


def test_where_questions_come_from_is_told_without_a_folder() -> None:
    other = "1234567890" * 4
    lines = studies.origins(
        [
            TaskSpec("gym:gcd"),
            TaskSpec("file:/home/me/secret/own.csv"),
            TaskSpec("gsm8k", path="/home/me/secret/test.jsonl"),
            TaskSpec("gsm8k"),
            TaskSpec("mgsm/de", revision=other),
        ]
    )
    assert lines[:2] == ["Questions from the file own.csv", "Questions of gsm8k from a copy, the file test.jsonl"]
    assert re.fullmatch(r"Questions of gsm8k from hf://datasets/openai/gsm8k@[0-9a-f]{40}/.*", lines[2])
    assert f"@{other}/" in lines[3] and "de" in lines[3].rpartition("/")[2]


def test_keys_are_known_by_the_name_of_their_variable() -> None:
    found = studies.keys_present({"OPENAI_API_KEY": "sk-secret", "GROQ_API_KEY": " "})
    assert found == {"openai": "OPENAI_API_KEY"}
    assert "secret" not in studies.text(form())


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("q.csv", "question,answer,kind\n1+1,2,easy\n", ["question", "answer", "kind"]),
        ("q.tsv", "q\ta\n1+1\t2\n", ["q", "a"]),
        ("q.jsonl", '\n{"question": "1+1", "answer": 2}\n', ["question", "answer"]),
        ("q.json", '{"rows": [{"q": "1+1", "a": "2"}]}', ["q", "a"]),
        ("bom.csv", "\ufeffquestion,answer\n1+1,2\n", ["question", "answer"]),
    ],
)
def test_an_upload_is_kept_and_tells_its_columns(tmp_path: Path, name: str, content: str, columns: list[str]) -> None:
    path = studies.save_upload(tmp_path, name, content.encode())
    assert path.name == name
    assert studies.columns(path) == columns
    assert studies.save_upload(tmp_path, name, content.encode()) == path


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("q.csv", b"q,a\n" + b"1,2\n" * (studies.MOST_ROWS + 1), "10,001 rows; an upload may have 10,000"),
        ("q.csv", b"x" * (studies.MOST_BYTES + 1), "5,000,001 bytes; an upload may have 5,000,000"),
        ("q.exe", b"MZ", "save it as one of these"),
        ("q.csv", b"\xff\xfe\x00", "not valid UTF-8"),
        ("q.jsonl", b"[1,", "not valid JSON"),
        ("q.json", b'[{"question": "1+1"},\n{"question": "2', "line 2 ends too early"),
        ("q.jsonl", b"1\n", "not an object"),
    ],
)
def test_an_upload_beyond_the_limits_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        studies.save_upload(tmp_path, name, content)


@given(st.text(max_size=60))
def test_no_name_of_an_upload_leaves_its_folder(name: str) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        try:
            path = studies.save_upload(Path(folder), name, b"question,answer\n1+1,2\n")
        except BudgetscopeError:
            return
        assert path.resolve().parent.parent == Path(folder).resolve()


def test_an_uploaded_file_is_a_task_with_its_columns(tmp_path: Path) -> None:
    from engine.tasks import open_task

    path = studies.save_upload(tmp_path, "../own questions.csv", b"q,a\nWhat is 1+1?,2\nWhat is 2+2?,4\n")
    task = {"name": f"file:{path}", "question_column": "q", "answer_column": "a", "questions": 2}
    found = studies.checked(form(tasks=(task,)))
    assert [question.target for question in open_task(found.tasks[0]).questions()] == ["2", "4"]
    assert os.path.commonpath([path, tmp_path]) == str(tmp_path)


def test_more_of_a_task_is_asked_by_an_address_the_form_takes_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(ROOT / "results.duckdb"))
    rows = [{"model": "local/smollm2-135m", "strategy": name} for name in ("self_consistency", "direct")]
    query = studies.more_of("gym:chain_sum/easy", 120, rows)
    assert query == {
        "model": ["local/smollm2-135m"],
        "strategy": ["direct", "self_consistency"],
        "task": "chain_sum",
        "level": "easy",
        "questions": "120",
    }
    app = run_page("runs", **query)
    assert not app.exception
    assert not [box.value for box in app.warning if "This link asks" in str(box.value)]
    assert app.number_input(key="form.questions").value == 120


def test_more_of_a_file_or_of_a_line_up_asks_what_the_form_can_take() -> None:
    rows = [{"model": "a → b", "strategy": "cascade"}, {"model": "x/y", "strategy": "imported:inspect/solve"}]
    assert studies.more_of("file:own", 12, rows) == {"model": ["x/y"], "strategy": ["cascade"]}
