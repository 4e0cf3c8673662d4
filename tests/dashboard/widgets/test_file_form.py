"""The Run page asks of a file how its answers look, and says before the launch how they will be read."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.data import runs, studies
from tests.support.pages import run_page

ROWS = "question,answer,A,B,Puzzles\n" + "".join(f"Which {n}?,{'AB'[n % 2]},x{n},y{n},1 1 4 {n}\n" for n in range(12))


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(tmp_path / "new.duckdb"))
    kept = studies.save_upload(runs.uploads(tmp_path / "new.duckdb"), "asked.csv", ROWS.encode())
    return run_page("runs", model=["scripted/adder"], task="file", file=f"{kept.parent.name}/asked.csv", questions="12")


def _captions(app: AppTest) -> str:
    return " ".join(str(caption.value) for caption in app.caption).replace("\\", "")


def test_the_guess_is_on_the_page_and_the_form_overrules_it(page: AppTest) -> None:
    assert not page.exception
    assert "Answers to asked are read as choice: all 12 targets are letters of options." in _captions(page)
    page.selectbox(key="form.kind").set_value("text")
    page.selectbox(key="form.statement").set_value("first").run()
    assert 'kind = "text"' in page.code[0].value and 'statement = "first"' in page.code[0].value
    assert "are read as text, as the study says, of several that a reply states the first." in _captions(page)


def test_a_checker_needs_no_column_of_answers(page: AppTest) -> None:
    page.selectbox(key="form.checker").set_value("game24").run()
    page.selectbox(key="form.question").set_value("Puzzles").run()
    assert not page.exception
    assert 'checker = "game24"' in page.code[0].value and "answer_column" not in page.code[0].value
    assert "Answers to asked (game24) are judged by game24, without targets." in _captions(page)


def test_a_file_of_one_column_is_not_ready_since_no_question_is_its_own_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(tmp_path / "new.duckdb"))
    kept = studies.save_upload(runs.uploads(tmp_path / "new.duckdb"), "alone.csv", b"question\nWhy?\n")
    page = run_page("runs", model=["scripted/adder"], task="file", file=f"{kept.parent.name}/alone.csv")
    said = " ".join(str(each.value) for each in page.warning).replace("\\", "")
    # In the card alone.
    assert said.count("The column 'question' of alone.csv cannot hold both question and answer") == 1
    assert "Ready to launch" not in "".join(str(each.proto.body) for each in page.get("html"))


def test_a_file_is_in_the_address_by_its_content_and_no_server_path_is_in_a_message(
    page: AppTest, tmp_path: Path
) -> None:
    assert [*page.query_params["task"]] in (["file"], [*"file"]) and str(tmp_path) not in str(dict(page.query_params))
    page.selectbox(key="form.answer").set_value("Puzzles").run()
    shown = [*page.warning, *page.error, *page.caption, *page.markdown]
    assert not page.exception and not any(str(tmp_path) in str(each.value).replace("\\", "") for each in shown)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"question,answer\n", "The file 'few.csv' holds no rows."),
        (
            b"question,answer\n1+1?,2\n1+1?,2\n",
            "The file 'few.csv' has 1 distinct row, too few for 2: ask for at most 1.",
        ),
        (b"question,answer\n1+1?,\n2+2?,4\n", "Row 1 of 'few.csv' has an empty 'answer'."),
    ],
)
def test_a_file_that_cannot_be_asked_is_called_by_its_name_and_once(
    content: bytes, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(tmp_path / "new.duckdb"))
    kept = studies.save_upload(runs.uploads(tmp_path / "new.duckdb"), "few.csv", content)
    file = f"{kept.parent.name}/few.csv"
    page = run_page("runs", model=["scripted/adder"], task="file", file=file, questions="2")
    assert [str(each.value).replace("\\", "") for each in (*page.warning, *page.error)] == [sentence]
    assert [button.disabled for button in page.button if button.label == "Launch"] == [True]


def test_why_a_file_was_not_taken_is_said_as_long_as_it_stands_in_the_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(tmp_path / "new.duckdb"))
    page = run_page("runs", model=["scripted/adder"], task="file")
    page.file_uploader(key="form.file").upload(
        "old.csv", "question,answer\nWie groß?,fünf\n".encode("latin-1"), "text/csv"
    )
    for _ in range(2):
        page.run()
        said = [str(each.value).replace("\\", "") for each in (*page.warning, *page.error)]
        assert said == ["Line 2 of 'old.csv' is not valid UTF-8; save the file as UTF-8."]


def test_columns_are_chosen_by_their_names_and_can_be_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(tmp_path / "new.duckdb"))
    table = "id;Passage;prompt;gold;topic\n" + "".join(
        f"r{n};Text {n}.;Sum of {n} and {n}?;{2 * n};{'odd' if n % 2 else 'even'}\n" for n in range(8)
    )
    kept = studies.save_upload(runs.uploads(tmp_path / "new.duckdb"), "own.csv", table.encode())
    page = run_page("runs", model=["scripted/adder"], task="file", file=f"{kept.parent.name}/own.csv", questions="4")
    assert not page.exception
    chosen = {name: page.selectbox(key=f"form.{name}").value for name in ("question", "answer", "context", "category")}
    assert chosen == {"question": "prompt", "answer": "gold", "context": "Passage", "category": "topic"}
    assert page.selectbox(key="form.ids").value == "no column"
    page.selectbox(key="form.stratify").set_value("topic")
    page.selectbox(key="form.context").set_value("no column")
    page.selectbox(key="form.bad").set_value("are left out and counted").run()
    assert not page.exception
    study = page.code[0].value
    assert 'stratify_column = "topic"' in study and "skip_bad = true" in study and "context_column" not in study
    assert page.query_params["context"] and page.query_params["stratify"]


def test_an_uploaded_chat_is_a_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(tmp_path / "new.duckdb"))
    turns = [
        {"role": "user", "content": "I have 3."},
        {"role": "assistant", "content": "Noted."},
        {"role": "user", "content": "And 2 more?"},
        {"role": "assistant", "content": "5"},
    ]
    kept = studies.save_upload(
        runs.uploads(tmp_path / "new.duckdb"), "chats.jsonl", json.dumps({"messages": turns}).encode()
    )
    page = run_page(
        "runs", model=["scripted/adder"], task="file", file=f"{kept.parent.name}/chats.jsonl", questions="1"
    )
    assert not page.exception
    study = page.code[0].value
    assert 'messages_column = "messages"' in study and "answer_column" not in study
    assert not page.warning and "Answers to chats are read as number: there is one target." in _captions(page)


def test_a_scorer_with_options_is_in_the_address_and_a_wrong_one_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(tmp_path / "new.duckdb"))
    kept = studies.save_upload(runs.uploads(tmp_path / "new.duckdb"), "own.csv", b"question,answer\n2 km?,2 km\n")
    asked: dict[str, Any] = {
        "model": ["scripted/adder"],
        "task": "file",
        "file": f"{kept.parent.name}/own.csv",
        "questions": "1",
    }
    page = run_page("runs", **asked, scorer="number(tolerance=1%)")
    assert not page.exception and 'scorer = "number(tolerance=1%)"' in page.code[0].value
    assert "exact" in page.selectbox(key="form.scorer").options
    wrong = run_page("runs", **asked, scorer="number(tolerence=1%)")
    assert any("did you mean 'tolerance'" in str(each.value).replace("\\", "") for each in wrong.warning)


def test_a_benchmark_says_its_revision_and_takes_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(tmp_path / "new.duckdb"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    page = run_page("runs", model=["scripted/adder"], task="gsm8k")
    assert not page.exception and "Questions from hf://datasets/openai/gsm8k@" in _captions(page)
    page.text_input(key="form.revision").set_value("1234567890" * 4).run()
    assert not page.exception and f'revision = "{"1234567890" * 4}"' in page.code[0].value
    page.text_input(key="form.revision").set_value("main").run()
    assert "give the commit's 40 digits" in " ".join(str(each.value) for each in page.warning)


def test_a_judge_is_chosen_with_its_rubric_and_takes_the_scorers_place(page: AppTest) -> None:
    assert not [each for each in page.text_area if each.key == "form.rubric"]
    page.selectbox(key="form.judge").set_value("scripted/adder").run()
    assert "takes judge and rubric together" in " ".join(str(each.value) for each in page.warning)
    page.text_area(key="form.rubric").set_value("Right if\nit names the letter.").run()
    assert not page.exception and not page.warning
    study = tomllib.loads(page.code[0].value)
    (task,) = study["tasks"]
    assert (task["judge"], task["rubric"]) == ("scripted/adder", "Right if\nit names the letter.")
    assert page.selectbox(key="form.scorer").disabled and "scorer" not in task
    assert "charged to the run, under its ceiling, and to no setting" in _captions(page)
    again = run_page("runs", **{name: values for name, values in page.query_params.items() if name != "db"})
    assert not again.exception and tomllib.loads(again.code[0].value)["tasks"] == study["tasks"]
