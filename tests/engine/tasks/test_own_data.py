"""Own questions in files: tables by any separator, workbooks, chats, kinds by row, samples spread by a column."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from engine.core.errors import UnknownName, UsageError
from engine.core.records import Message, Question
from engine.strategies.chain import framed
from engine.tasks import open_task
from engine.tasks.columns import guessed
from engine.tasks.tabular import column_names, read_rows, separator_of
from engine.tasks.task import TaskSpec

HEAD, ROWS = ["question", "answer"], [["2; 3 and 4, what comes next?", "5"], ["1 + 1 | 2?", "2"], ["Say \t ok", "ok"]]


def asked(path: Path, **more: object) -> Sequence[Question]:
    return open_task(replace(TaskSpec(f"file:{path}"), **more)).questions()  # type: ignore[arg-type]


def workbook(path: Path, rows: Sequence[Sequence[object]], sheets: int = 1, hidden: bool = False) -> Path:
    """A workbook as spreadsheets write them, its rows on the last sheet and the others empty, or hidden with others."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"

    def cell(value: object) -> str:
        if isinstance(value, int | float):
            return f"<c><v>{value}</v></c>"
        return f'<c t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'

    def sheet(content: Sequence[Sequence[object]]) -> str:
        lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in content)
        return f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>'

    numbers = range(1, sheets + 1)
    unseen = {n: ' state="hidden"' for n in numbers if hidden and n < sheets}
    names = "".join(f'<sheet name="s{n}" sheetId="{n}"{unseen.get(n, "")} r:id="r{n}"/>' for n in numbers)
    links = "".join(
        f'<Relationship Id="r{n}" Type="{office}/worksheet" Target="worksheets/s{n}.xml"/>' for n in numbers
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{relations}"><Relationship Id="r" Type="{office}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        packed.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{relations}">{links}</Relationships>')
        packed.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{names}</sheets></workbook>'
        )
        for n in numbers:
            packed.writestr(
                f"xl/worksheets/s{n}.xml", sheet(rows if n == sheets else [["looked", "up"]] if hidden else [])
            )
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_what_separates_cells_and_how_they_are_coded_is_found(tmp_path: Path, separator: str, encoding: str) -> None:
    path = tmp_path / "own.csv"
    lines = [separator.join(f'"{cell}"' for cell in row) for row in (HEAD, *ROWS)]
    path.write_text("\n".join(lines), encoding=encoding)
    assert [(q.problem.text, q.target) for q in asked(path)] == [tuple(row) for row in ROWS]


@given(
    st.lists(st.lists(st.text(alphabet="ab ;,|\t\"'", max_size=6), min_size=2, max_size=2), min_size=1, max_size=6),
    st.sampled_from(",;\t|"),
)
def test_the_separator_of_a_quoted_table_is_found_whatever_stands_in_its_cells(
    rows: list[list[str]], separator: str
) -> None:
    text = pl.DataFrame(rows, schema=HEAD, orient="row").write_csv(separator=separator, quote_style="always")
    assert separator_of(text) == separator


def test_a_column_that_is_there_twice_is_said_and_one_that_nobody_reads_may_be(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("question,answer,answer,note,note\na,1,2,x,y\n")
    with pytest.raises(UsageError, match="has 2 columns named 'answer'; give each a name of its own"):
        asked(path)
    path.write_text("question,answer,note,note\na,1,x,y\n")
    assert [q.target for q in asked(path)] == ["1"]


def test_a_workbook_is_read_as_the_same_table_is(tmp_path: Path) -> None:
    book = workbook(
        tmp_path / "own.xlsx", [["question", "answer"], ["2 + 2?", 4], ["1/3?", 0.25], ["Sky <&>?", "blue"]], 2
    )
    assert column_names(book) == HEAD
    assert read_rows(book, HEAD) == [("2 + 2?", "4"), ("1/3?", "0.25"), ("Sky <&>?", "blue")]
    table = tmp_path / "own.csv"
    table.write_text("question,answer\n2 + 2?,4\n1/3?,0.25\nSky <&>?,blue\n")
    assert [q.question_id for q in asked(book)] == [q.question_id for q in asked(table)]


def test_a_workbook_that_is_none_is_empty_or_unpacks_to_too_much_gets_a_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "broken.xlsx"
    broken.write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(UsageError, match="is not a workbook that can be read"):
        asked(broken)
    with pytest.raises(UsageError, match="No sheet of .* holds anything"):
        asked(workbook(tmp_path / "empty.xlsx", []))
    for far in (
        '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
        '<row r="1048576"><c/><c><v>1</v></c></row><row><c/>' + "<c/>" * 20 + "<c><v>1</v></c></row>",
        "<x:row><x:c\ts='1' r = 'XFD900000'><x:v>1</x:v></x:c></x:row>",
    ):
        reaching = tmp_path / "reaching.xlsx"
        with zipfile.ZipFile(workbook(reaching, [["question", "answer"], ["q", 1]]), "a") as packed:
            packed.writestr("xl/worksheets/another.xml", f"<worksheet><sheetData>{far}</sheetData></worksheet>")
        with pytest.raises(UsageError, match="reaches over more than 10,000,000 cells"):
            asked(reaching)
    reaching = tmp_path / "reaching.ods"
    with zipfile.ZipFile(reaching, "w") as packed:
        cell = '<table:table-cell office:value-type="float" table:number-columns-repeated="16000"/>'
        packed.writestr("content.xml", f'<table:table-row table:number-rows-repeated="999999">{cell}</table:table-row>')
    with pytest.raises(UsageError, match="reaches over more than"):
        asked(reaching)
    bomb = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        for n in range(5):
            with packed.open(f"xl/{n}.xml", "w") as part:
                for _ in range(100):
                    part.write(b"0" * 1_000_000)
    with pytest.raises(UsageError, match="unpacks to more than"):
        asked(bomb)


CHAT: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "I have 3 apples."},
    {"role": "assistant", "content": "Noted."},
    {"role": "user", "content": [{"type": "text", "text": "I eat one. How many?"}]},
]


def test_a_chat_is_a_question_with_the_turns_before_it(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text(json.dumps({"messages": CHAT, "answer": "2"}) + "\n")
    (question,) = asked(path, messages_column="messages")
    assert (question.problem.text, question.target) == ("I eat one. How many?", "2")
    prompt = framed(question.problem, "Think.")
    assert [turn.role for turn in prompt] == ["system", "user", "assistant", "user"]
    assert prompt[0] == Message("system", "Be brief.") and prompt[2] == Message("assistant", "Noted.")
    assert prompt[3].content.startswith("I eat one. How many?") and prompt[3].content.endswith("Think.")
    path.write_text(json.dumps({"messages": CHAT[2:], "answer": "2"}) + "\n")
    with pytest.raises(UsageError, match="column 'question'"):
        asked(path)
    assert asked(path, messages_column="messages")[0].question_id != question.question_id


def test_the_reply_behind_the_last_turn_is_the_answer_where_no_column_is(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text(json.dumps({"chat": [*CHAT, {"role": "gpt", "content": "2"}]}) + "\n")
    (question,) = asked(path, messages_column="chat")
    assert (question.problem.text, question.target) == ("I eat one. How many?", "2")
    # In a table a chat is JSON in a cell; in Parquet a list of turns.
    pl.DataFrame({"chat": [json.dumps(CHAT)], "answer": ["2"]}).write_csv(tmp_path / "chats.csv")
    plain = [{"role": turn["role"], "content": str(turn["content"])} for turn in CHAT[:2]]
    pl.DataFrame({"chat": [plain], "answer": ["2"]}).write_parquet(tmp_path / "chats.parquet")
    assert asked(tmp_path / "chats.csv", messages_column="chat")[0].question_id == question.question_id
    assert asked(tmp_path / "chats.parquet", messages_column="chat")[0].problem.text == "I have 3 apples."


@pytest.mark.parametrize(
    ("chat", "sentence"),
    [
        ("hello", "Row 1 of .* has in 'chat' no list of turns"),
        ([{"role": "robot", "content": "x"}], "by system, user or assistant"),
        ([{"role": "user", "content": None}], "no list of turns"),
        ([{"role": "system", "content": "x"}], "without a last turn of the user"),
        ([], "without a last turn of the user"),
        ([{"role": "user", "content": " "}], "has an empty 'chat'"),
    ],
)
def test_a_chat_that_is_none_is_said_with_its_row(tmp_path: Path, chat: object, sentence: str) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text(json.dumps({"chat": chat, "answer": "2"}) + "\n")
    with pytest.raises(UsageError, match=sentence):
        asked(path, messages_column="chat")


def test_each_row_may_say_how_its_answer_looks_and_what_it_is_called(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("question,answer,id,kind\n2+2?,4,a,Number\nOpen?,yes,b,yes_no\nWhat?,two words,c,\n")
    questions = asked(path, kind_column="kind", id_column="id")
    assert [q.problem.answer_kind for q in questions] == ["number", "yes_no", "text"]
    assert [json.loads(q.data)["id"] for q in questions] == ["a", "b", "c"]
    assert [q.question_id for q in questions] == [q.question_id for q in asked(path, kind_column="kind")]
    path.write_text("question,answer,id,kind\n2+2?,4,a,numbr\n")
    with pytest.raises(UnknownName, match="kind of answer in row 1 of own.csv 'numbr': did you mean 'number'"):
        asked(path, kind_column="kind")
    path.write_text("question,answer,id\n2+2?,4,a\n3+3?,6,a\n")
    with pytest.raises(UsageError, match="Row 2 of .* has the id 'a' of row 1"):
        asked(path, id_column="id")


def test_a_sample_spread_by_a_column_has_of_each_value_its_share(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    topics = ["easy"] * 60 + ["middle"] * 30 + ["hard"] * 10
    path.write_text("question,answer,topic\n" + "".join(f"Q{n},{n},{topic}\n" for n, topic in enumerate(topics)))
    for seed in range(5):
        drawn = asked(path, questions=20, seed=seed, stratify_column="topic", category_column="topic")
        counts = Counter(question.category for question in drawn)
        assert abs(counts["easy"] - 12) <= 1 and abs(counts["middle"] - 6) <= 1 and abs(counts["hard"] - 2) <= 1
    blocks = [{q.question_id for q in asked(path, questions=20, seed=s, stratify_column="topic")} for s in range(5)]
    assert len(set().union(*blocks)) == 100
    # Without it the head of the file is of one kind.
    assert {q.category for q in asked(path, questions=20, category_column="topic")} == {"easy"}


def test_bad_rows_are_left_out_and_counted_only_where_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("question,answer\na,1\nb,\nc,3,4\nd,4\n")
    with pytest.raises(UsageError, match="row 3 has 3 cells, its head 2"):
        asked(path)
    task = open_task(replace(TaskSpec(f"file:{path}"), skip_bad=True))
    assert [q.target for q in task.questions()] == ["1", "4"]
    assert "2 rows left out; the first: " in task.note and "row 3 has 3 cells" in task.note  # type: ignore[attr-defined]
    lines = tmp_path / "own.jsonl"
    lines.write_text('{"question": "a", "answer": "1"}\n{"question": \n[1]\n{"question": "b"}\n')
    assert [q.target for q in asked(lines, skip_bad=True)] == ["1"]
    with pytest.raises(UsageError, match=r"line 2"):
        asked(lines)
    lines.write_text("nothing\n")
    with pytest.raises(UsageError, match="not valid JSON: line 1"):
        asked(lines, skip_bad=True)
    options = tmp_path / "choices.jsonl"
    rows = [{"question": f"q{n}", "choices": ["x", "y"], "answer": answer} for n, answer in enumerate("xyz")]
    options.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [q.target for q in asked(options, choices_column="choices", skip_bad=True)] == ["A", "B"]


def test_columns_are_found_by_their_names_and_said(tmp_path: Path) -> None:
    assert guessed(["id", "Passage", "prompt", "options", "gold", "topic"]) == {
        "question": "prompt",
        "answer": "gold",
        "choices": "options",
        "context": "Passage",
        "category": "topic",
        "id": "id",
    }
    assert guessed(["x", "y", "z"]) == {"question": "x", "answer": "z"}
    path = tmp_path / "own.csv"
    path.write_text("prompt,gold\n2+2?,4\n")
    task = open_task(TaskSpec(f"file:{path}"))
    assert [(q.problem.text, q.target) for q in task.questions()] == [("2+2?", "4")]
    assert "By their names, the question from 'prompt' and the answer from 'gold' of own.csv." in task.note  # type: ignore[attr-defined]
    with pytest.raises(UnknownName, match="'promt': did you mean 'prompt'"):
        asked(path, question_column="promt")


def test_what_is_no_text_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    for content in (b"PK\x03\x04\0\0\0", b"\0" * 9, b"question,answer\n1\0+1,2\n"):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="Line [12] of .* holds a byte 0, which no text has"):
            asked(path)


def test_the_line_by_which_spreadsheets_say_what_separates_cells_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("sep=;\nquestion;answer\n1, 2 or 3?;3\n")
    assert [(q.problem.text, q.target) for q in asked(path)] == [("1, 2 or 3?", "3")]
    path.write_text('sep=;\nquestion;answer\n"1?;3\n')
    with pytest.raises(UsageError, match="line 3: a quote is opened"):
        asked(path)


JSON_ROWS = [{"question": "1 + 1?", "answer": 2}, {"question": "2 + 2?", "answer": 4}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lines.json", "".join(f"{json.dumps(row)}\n" for row in JSON_ROWS)),
        ("list.jsonl", json.dumps(JSON_ROWS)),
        ("written.jsonl", json.dumps(JSON_ROWS, indent=2)),
        ("columns.json", json.dumps({"question": ["1 + 1?", "2 + 2?"], "answer": [2, 4]})),
        ("frame.json", json.dumps({"question": {"0": "1 + 1?", "1": "2 + 2?"}, "answer": {"0": 2, "1": 4}})),
        ("wrapped.json", json.dumps({"version": 1, "data": JSON_ROWS}, indent=1)),
    ],
)
def test_rows_of_json_are_found_in_whatever_shape_tools_write_them(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert column_names(path) == HEAD
    assert [(q.problem.text, q.target) for q in asked(path)] == [("1 + 1?", "2"), ("2 + 2?", "4")]


def test_a_chat_to_train_on_is_a_chat(tmp_path: Path) -> None:
    path = tmp_path / "shared.jsonl"
    path.write_text(json.dumps({"conversations": [{"from": "human", "value": "2?"}, {"from": "gpt", "value": "2"}]}))
    (question,) = asked(path, messages_column="conversations")
    assert (question.problem.text, question.target) == ("2?", "2")


def test_targets_that_are_lists_or_objects_are_for_a_scorer_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text(json.dumps([{"question": "Which?", "answer": ["red", "blue"]}]))
    with pytest.raises(UsageError, match="Row 1 of .* holds no plain text in 'answer'"):
        asked(path)
    for scorer, said in (("set", "blue, red"), ("exact", "blue")):
        task = open_task(replace(TaskSpec(f"file:{path}"), scorer=scorer))
        assert task.score(said, task.questions()[0]) == 1
    path.write_text(json.dumps([{"question": "Who?", "answer": {"name": "Ada", "born": 1815}}]))
    task = open_task(replace(TaskSpec(f"file:{path}"), scorer="json_fields"))
    assert task.score('{"born": 1815, "name": "ada"}', task.questions()[0]) == 1
    pl.DataFrame({"question": ["Which?"], "answer": [["red", "blue"]]}).write_parquet(tmp_path / "own.parquet")
    task = open_task(replace(TaskSpec(f"file:{tmp_path / 'own.parquet'}"), scorer="set"))
    assert task.score("red and blue", task.questions()[0]) == 1


def test_options_under_their_letters_are_options(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({"question": "Which?", "options": {"A": "red", "B": "blue"}, "answer": "blue"}))
    (question,) = asked(path)
    assert (question.problem.options, question.target) == (("red", "blue"), "B")


def test_a_number_that_is_none_is_a_missing_cell_and_midnight_a_day(tmp_path: Path) -> None:
    days = [datetime(2020, 1, 2), datetime(2020, 1, 2, 12, 30)]
    pl.DataFrame({"question": ["a", "b"], "answer": days, "note": [1.0, float("nan")]}).write_parquet(
        path := tmp_path / "own.parquet"
    )
    assert read_rows(path, ["answer", "note"]) == [("2020-01-02", "1.0"), ("2020-01-02 12:30:00", None)]
    (tmp_path / "own.json").write_text('[{"question": "a", "answer": NaN}]')
    with pytest.raises(UsageError, match="Row 1 of .* has an empty 'answer'"):
        asked(tmp_path / "own.json")
    book = workbook(tmp_path / "own.xlsx", [HEAD, ["When?", "2020-01-02 00:00:00"]])
    assert read_rows(book, ["answer"]) == [("2020-01-02",)]


def test_a_sheet_that_is_hidden_is_not_read_and_a_locked_workbook_says_so(tmp_path: Path) -> None:
    assert read_rows(workbook(tmp_path / "own.xlsx", [HEAD, ["1 + 1?", "2"]], 2, hidden=True), HEAD) == [
        ("1 + 1?", "2")
    ]
    locked = tmp_path / "locked.xlsx"
    locked.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    with pytest.raises(UsageError, match="is locked by a password; save it without, or as CSV"):
        asked(locked)


def test_of_two_columns_that_look_alike_the_guess_is_what_a_study_reads(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("Question,question,answer\nno,yes,1\n")
    assert guessed(column_names(path))["question"] == "question"
    assert [q.problem.text for q in asked(path)] == ["yes"]
    table = pl.DataFrame({"a": ["1"], "b": ["2"]}).to_arrow().rename_columns(["question", "question"])
    parquet.write_table(table, tmp_path / "own.parquet")
    with pytest.raises(UsageError, match="has 2 columns named 'question'; give each a name of its own"):
        asked(tmp_path / "own.parquet")
