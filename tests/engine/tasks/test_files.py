"""Benchmarks in files: formats, blocks of rows, worked examples, and one clear sentence for every bad file."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from engine.core.errors import UnknownName, UsageError
from engine.tasks import open_task
from engine.tasks.files import guess_kind
from engine.tasks.tabular import read_rows
from engine.tasks.task import TaskSpec
from tests.support.task_contract import TaskContract

ROWS = [{"question": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(12)]


def _jsonl(folder: Path, rows: list[dict[str, object]] | list[dict[str, str]], name: str = "sums.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _spec(path: Path, **more: object) -> TaskSpec:
    return replace(TaskSpec(f"file:{path}"), **more)  # type: ignore[arg-type]


class TestFileOfNumbers(TaskContract):
    @pytest.fixture
    def spec(self, tmp_path: Path) -> TaskSpec:
        return _spec(_jsonl(tmp_path, ROWS), questions=4)


class TestFileOfText(TaskContract):
    @pytest.fixture
    def spec(self, tmp_path: Path) -> TaskSpec:
        rows = [{"q": f"Which tree, {n}?", "a": f"the {n} old oaks"} for n in range(9)]
        return _spec(_jsonl(tmp_path, rows), questions=3, question_column="q", answer_column="a")


def test_every_format_gives_the_same_questions(tmp_path: Path) -> None:
    frame = pl.DataFrame(ROWS)
    frame.write_csv(tmp_path / "sums.csv")
    frame.write_csv(tmp_path / "sums.tsv", separator="\t")
    frame.write_parquet(tmp_path / "sums.parquet")
    (tmp_path / "sums.json").write_text(json.dumps(ROWS))
    (tmp_path / "wrapped.json").write_text(json.dumps({"canary": "x", "examples": ROWS}))
    _jsonl(tmp_path, ROWS)
    made = [_ids(_spec(path)) for path in sorted(tmp_path.iterdir())]
    assert len(made) == 6 and all(ids == made[0] for ids in made)


def test_ids_do_not_depend_on_name_or_order_of_rows(tmp_path: Path) -> None:
    one, two = _jsonl(tmp_path, ROWS, "one.jsonl"), _jsonl(tmp_path, ROWS[::-1], "two.jsonl")
    assert _ids(_spec(one)) == _ids(_spec(two))[::-1]
    assert open_task(_spec(one)).name == "file:one"


def test_seed_zero_is_the_head_of_the_file_and_all_seeds_together_are_the_file(tmp_path: Path) -> None:
    path = _jsonl(tmp_path, ROWS)
    blocks = [open_task(_spec(path, questions=4, seed=seed)).questions() for seed in range(3)]
    assert [question.target for question in blocks[0]] == ["0", "2", "4", "6"]
    assert {question.problem.text for block in blocks for question in block} == {row["question"] for row in ROWS}


def test_a_seed_beyond_the_file_says_which_seeds_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has 12 distinct rows, enough for seeds 0 to 1 with 5 each; seed 2 asks"):
        open_task(_spec(_jsonl(tmp_path, ROWS), questions=5, seed=2)).questions()


def test_gsm8k_targets_lose_their_steps_and_examples_keep_them(tmp_path: Path) -> None:
    rows = [
        {"question": f"Q{n}", "answer": f"Half of {2 * n} is <<{2 * n}/2={n}>>{n}.\n#### {n},000"} for n in range(1, 6)
    ]
    questions = open_task(_spec(_jsonl(tmp_path, rows), shots=2)).questions()
    assert [question.target for question in questions] == [
        f"{row['question'][1:]},000" for row in rows if row["question"] in {q.problem.text for q in questions}
    ]
    assert len(questions) == 3 and questions[0].problem.answer_kind == "number"
    for example in questions[0].problem.examples:
        n = example.question[1:]
        assert example.reasoning == f"Half of {2 * int(n)} is {n}." and example.answer == f"{n},000"


def test_targets_stay_whole_when_one_row_lacks_the_mark(tmp_path: Path) -> None:
    rows = [{"question": "a", "answer": "x #### 1"}, {"question": "b", "answer": "2"}]
    assert open_task(_spec(_jsonl(tmp_path, rows))).questions()[0].target == "x #### 1"


def test_too_few_rows_for_worked_examples_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"12 distinct rows: 11 to ask leave 1 for 2 worked examples"):
        open_task(_spec(_jsonl(tmp_path, ROWS), questions=11, shots=2)).questions()


def test_a_row_that_repeats_counts_once(tmp_path: Path) -> None:
    assert len(_ids(_spec(_jsonl(tmp_path, ROWS + ROWS[:3])))) == 12


@pytest.mark.parametrize(
    ("targets", "kind"),
    [
        (["1", "2.5", "$1,000", "1/2"], "number"),
        (["Yes", "no"], "yes_no"),
        (["(A)", "7"], "word"),
        (["two words"], "text"),
    ],
)
def test_the_kind_of_answer_is_guessed_from_all_targets(targets: list[str], kind: str) -> None:
    assert guess_kind(targets) == kind


def test_cells_keep_their_spelling_and_booleans_become_yes_and_no(tmp_path: Path) -> None:
    (tmp_path / "typed.jsonl").write_text(
        '{"question": 1.50, "answer": true, "topic": 10000000000000000000001}\n\n{"question": "b", "answer": false, "topic": null}\n'
    )
    first, second = open_task(_spec(tmp_path / "typed.jsonl", category_column="topic")).questions()
    assert (first.problem.text, first.target, first.category) == ("1.50", "yes", "10000000000000000000001")
    assert (second.target, second.category, second.problem.answer_kind) == ("no", None, "yes_no")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.jsonl", b'{"question": "a", "answer": ""}', r"Row 1 of '.*x\.jsonl' has an empty 'answer'"),
        (
            "x.jsonl",
            b'{"question": "a", "answer": "1"}\n{"question": null, "answer": "1"}',
            "Row 2 of .* empty 'question'",
        ),
        ("x.jsonl", b'{"question": "a"', "is not valid JSON: line 1 ends too early."),
        (
            "x.jsonl",
            b'{"question": "a", "answer": "b"}\n{"question": "a" "b"}',
            "JSON: line 2: Expecting ',' delimiter.",
        ),
        ("x.json", b'[{"question": "a"},\n{"question":\n', "is not valid JSON: line 3 ends too early."),
        ("x.json", b'[{"question": "a"},\n{"question": "what', "is not valid JSON: line 2 ends too early."),
        ("x.jsonl", b"[1]", "Row 1 of .* is not an object"),
        ("x.jsonl", b'{"question": ["a"], "answer": "1"}', "Row 1 of .* holds no plain text in 'question'"),
        ("x.jsonl", b'{"question": "\xff"}', "Line 1 of .* is not valid UTF-8"),
        ("x.jsonl", b"", "holds no rows"),
        ("x.jsonl", b'{"question": "a", "answer": "' + b"1" * 2000 + b'"}', "2,000 characters; at most 1,000"),
        ("x.jsonl", b'{"question": ' + b"[" * 100_000, "is not valid JSON: line 1"),
        ("x.json", b'{"a": [], "b": []}', "holds 2 lists"),
        ("x.json", b"7", "holds no list of rows"),
        ("x.json", b"[]", "holds no rows"),
        ("x.csv", b"", "holds no rows"),
        ("x.csv", b"question,answer\n", "holds no rows"),
        ("x.csv", b"question,answer\na,\n", "Row 1 of .* empty 'answer'"),
        ("x.csv", b"question,answer\na,1,2,3\n", "is not a valid table: row 1 has 4 cells, its head 2"),
        ("x.csv", b'question,answer\n"a,1\nb,2\n', "line 2: a quote is opened and never closed"),
        ("x.csv", b'question,answer\na,1\n"b,2\n' + b"c,3\n" * 99_999, "line 3: a quote is opened and never closed"),
        ("x.csv", b'question,answer\n"a"b,1\n', "is not a valid table: line 2"),
        ("x.csv", b"question,answer\n\n,\n", "holds no rows"),
        ("x.csv", b"question,answer\n\xe9,1\n", "Line 2 of .* is not valid UTF-8"),
        ("x.parquet", b"PAR1 nonsense", "is not a valid Parquet file"),
    ],
)
def test_a_bad_file_gets_one_clear_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=sentence) as raised:
        open_task(_spec(tmp_path / name)).questions()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_an_unknown_column_comes_with_the_nearest(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    frame = pl.DataFrame({"questions": ["a"], "answer": ["1"]})
    getattr(frame, {"jsonl": "write_ndjson"}.get(ending, f"write_{ending}"))(path)
    with pytest.raises(UnknownName, match=r"x\..* column 'question': did you mean 'questions'"):
        open_task(_spec(path)).questions()


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (pl.Series([[1, 2]]), "(large_)?list"),
        (pl.Series([[1, 2]], dtype=pl.Array(pl.Int64, 2)), "(fixed_size_)?list"),
        (pl.Series([{"a": 1}]), "struct"),
        (pl.Series([b"1"]), "(large_)?binary"),
    ],
    ids=["list", "array", "struct", "binary"],
)
def test_a_parquet_column_of_nested_values_is_refused_by_name_and_type(
    tmp_path: Path, cells: pl.Series, kind: str
) -> None:
    pl.DataFrame({"question": cells, "answer": ["1"]}).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(UsageError, match=rf"Column 'question' of .*x\.parquet' holds {kind}.* not plain text"):
        open_task(_spec(tmp_path / "x.parquet")).questions()


def test_empty_lines_of_a_table_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(
        "\ufeffquestion,answer\r\na,1\r\n\r\nb,2\r\n,\r\n\r\n", encoding="utf-8", newline=""
    )
    assert [q.target for q in open_task(_spec(tmp_path / "x.csv")).questions()] == ["1", "2"]
    (tmp_path / "x.csv").write_text("question,answer\na,1\n\nb,\n", encoding="utf-8")
    with pytest.raises(UsageError, match="Row 2 of .* empty 'answer'"):
        open_task(_spec(tmp_path / "x.csv")).questions()


def test_a_quote_inside_a_cell_is_text_and_loses_no_row(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('question,answer\n5" pipe,3\n"a ""b""",2\nc,4"\n', encoding="utf-8")
    found = [(q.problem.text, q.target) for q in open_task(_spec(tmp_path / "x.csv")).questions()]
    assert found == [('5" pipe', "3"), ('a "b"', "2"), ("c", '4"')]


def test_a_pipe_is_not_read_as_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.csv")
    with pytest.raises(UsageError, match="is not a file"):
        open_task(_spec(tmp_path / "x.csv")).questions()


def test_a_missing_file_a_folder_and_an_unknown_ending_are_said(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match="There is no file"):
        open_task(_spec(tmp_path / "none.csv")).questions()
    with pytest.raises(UsageError, match="is not a file"):
        open_task(_spec(tmp_path / "folder.csv")).questions()
    with pytest.raises(UnknownName, match=r"did you mean '\.jsonl?'"):
        open_task(_spec(tmp_path / "x.jsnl")).questions()


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(200_000_001)
    with pytest.raises(UsageError, match=r"has 200,000,001 bytes; at most 200,000,000"):
        open_task(_spec(path)).questions()


def test_more_than_a_million_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stated = read_rows.__kwdefaults__ or {}
    assert stated["most_rows"] == 1_000_000
    # Where the limit lies is stated in one place: what stands there, a task keeps to.
    monkeypatch.setitem(stated, "most_rows", 1_000)
    for count in (1_000, 1_001):
        rows = pl.DataFrame({"question": [f"a{n}" for n in range(count)], "answer": ["1"] * count})
        rows.write_parquet(tmp_path / f"{count}.parquet")
    assert len(open_task(_spec(tmp_path / "1000.parquet")).questions()) == 1_000
    with pytest.raises(UsageError, match=r"more than 1,000 rows"):
        open_task(_spec(tmp_path / "1001.parquet")).questions()


def test_formulas_and_code_in_a_table_stay_text(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("question,answer\n\"=1+1\",__import__('os')\n")
    question = open_task(_spec(tmp_path / "x.csv")).questions()[0]
    assert (question.problem.text, question.target) == ("=1+1", "__import__('os')")


def _ids(spec: TaskSpec) -> list[str]:
    return [question.question_id for question in open_task(spec).questions()]


def _repeated(path: Path, encoding: str | None) -> Path:
    """Few packed bytes that stand for 1.8 GB: one text of a megabyte, 1,800 times."""
    import pyarrow
    from pyarrow import parquet

    if encoding is None:
        # The same text is held once while it is written too.
        cells = pyarrow.DictionaryArray.from_arrays([0] * 1800, ["q" * 1_000_000])
    else:
        cells = pyarrow.array(["q" * 1_000_000] * 90)
    table = pyarrow.table({"question": cells, "answer": ["1"] * len(cells)})
    more = {} if encoding is None else {"use_dictionary": False, "column_encoding": {"question": encoding}}
    parquet.write_table(table, path, compression="zstd", store_schema=False, **more)
    return path


@pytest.mark.parametrize("encoding", [None, "DELTA_BYTE_ARRAY"])
def test_a_small_parquet_file_that_stands_for_gigabytes_is_refused_before_it_is_unpacked(
    encoding: str | None, tmp_path: Path
) -> None:
    import pyarrow

    path, usual = _repeated(tmp_path / "x.parquet", encoding), pyarrow.default_memory_pool()
    assert path.stat().st_size < 10_000
    pyarrow.set_memory_pool(watched := pyarrow.proxy_memory_pool(usual))
    try:
        with pytest.raises(UsageError, match="unpacks to more than 5,000,000 bytes"):
            read_rows(path, ("question", "answer"), most_bytes=5_000_000)
    finally:
        pyarrow.set_memory_pool(usual)
    assert watched.max_memory() < 20_000_000


@pytest.mark.parametrize(("letters", "times"), [(1000, 50_000), (1, 400_000)])
def test_one_row_that_lists_the_same_text_very_often_is_refused(letters: int, times: int, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"question": ["a"], "choices": [["c" * letters] * times]}).write_parquet(path)
    assert path.stat().st_size < 100_000
    with pytest.raises(UsageError, match="unpacks to more than"):
        read_rows(path, ("question", "choices"), lists="choices", most_bytes=5_000_000)
