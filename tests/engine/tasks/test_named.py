"""Public benchmarks by name: read from files of their publishers' form, fetched at a pinned revision, kept and checked."""

from __future__ import annotations

import csv
import functools
import hashlib
import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from pyarrow import parquet

from engine.core import answers
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Which
from engine.study import schema
from engine.tasks import TaskSpec, named, open_task, task_names
from engine.tasks.named import fetch
from engine.tasks.named.benchmark import Source
from tests.support.task_contract import JUNK, TaskContract, contents_elsewhere

PUZZLES = ("1 2 3 4", "2 3 5 12", "4 4 10 10", "1 5 5 5", "6 6 6 6", "3 3 8 8")
COUNT = 9
"""Rows of each file the tests write: enough for two seeds of three questions and two worked examples."""


def rows_like(name: str) -> list[dict[str, Any]]:
    """Rows in the form of a benchmark's own file: its example, asked again and again in other words."""
    example = dict(named.benchmark(name).example)
    if name == "game24":
        return [{"Rank": str(900 + at), "Puzzles": puzzle} for at, puzzle in enumerate(PUZZLES)]
    if name == "finqa":
        return [
            example | {"qa": example["qa"] | {"question": f"{example['qa']['question']} ({at})"}} for at in range(COUNT)
        ]
    asked = next(column for column in ("question", "problem", "Question", "input") if column in example)
    return [example | {asked: f"{example[asked]} ({at})"} for at in range(COUNT)]


def write(name: str, folder: Path, ending: str | None = None) -> Path:
    """A file as the publisher has it, by the ending of its address unless another is asked for."""
    made, rows = named.benchmark(name), rows_like(name)
    address = next(iter(made.sources.values())).address
    path = folder / f"{name}{ending or Path(address).suffix}"
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps({"canary": "?", "examples": rows} if name == "bbh" else rows), encoding="utf-8")
    elif path.suffix == ".tsv":
        lines = ["\t".join(map(str, row.values())) for row in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("benchmarks")
    for name in named.names():
        write(name, made)
    return made


def _path(folder: Path, name: str) -> str:
    return str(next(folder.glob(f"{name}.*")))


@functools.cache
def _elsewhere(folder: Path) -> dict[str, list[str]]:
    specs = [TaskSpec(name, 3, path=_path(folder, name)) for name in named.names()]
    return dict(zip(named.names(), contents_elsewhere(specs), strict=True))


# A checker's target is what the expression comes to, and no answer.
@pytest.mark.parametrize("name", sorted({*named.names()} - {"game24"}))
class TestEveryBenchmark(TaskContract):
    @pytest.fixture
    def spec(self, name: str, folder: Path) -> TaskSpec:
        return TaskSpec(name, 3, path=_path(folder, name))

    @pytest.fixture
    def elsewhere(self, name: str, folder: Path) -> list[str]:
        return _elsewhere(folder)[name]

    def test_its_page_says_where_its_rows_come_from(self, name: str) -> None:
        made = named.benchmark(name)
        assert made.family in named.FAMILIES and made.licence and re.search(r"arXiv \d{4}\.\d{5}", made.paper)
        for source in made.sources.values():
            # Pinned: the address holds a commit, which never moves.
            assert re.search(r"@[0-9a-f]{40}/", source.address)
            assert source.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", source.sha256)

    def test_its_example_is_asked_and_its_target_is_right(self, name: str) -> None:
        question = named.example_of(name)
        assert question.problem.text and question.target and question.problem.instructions is not None
        assert named.NamedTask(TaskSpec(name)).score(question.target, question) == 1

    def test_every_row_of_its_file_is_asked_when_no_number_is_said(self, name: str, spec: TaskSpec) -> None:
        assert len(open_task(TaskSpec(name, path=spec.path)).questions()) == COUNT


def test_the_papers_sets_and_those_of_other_fields_can_be_named() -> None:
    papers = {"gsm8k", "math500", "theoremqa", "csqa", "hotpotqa", "strategyqa", "game24"}
    fields = {"medqa", "pubmedqa", "gpqa", "sciq", "mmlu_pro", "finqa", "mgsm"}
    assert papers | fields <= {*named.names()} <= {*task_names()}
    assert {name for names in named.by_family().values() for name in names} == {*named.names()}


@pytest.mark.parametrize(
    ("name", "context"),
    [("hotpotqa", "Vila Clara: Vila Clara is a town"), ("pubmedqa", "Heart rate fell"), ("finqa", "sales | 80 | 90")],
)
def test_what_a_question_is_about_is_its_context(name: str, context: str) -> None:
    problem = named.example_of(name).problem
    assert context in (problem.context or "") and context not in problem.text


def test_options_of_a_file_that_gives_the_right_one_first_are_shuffled_the_same_way_everywhere(folder: Path) -> None:
    for name in ("gpqa", "sciq"):
        made = named.benchmark(name)
        right = str(made.example["Correct Answer" if name == "gpqa" else "correct_answer"])
        asked = open_task(TaskSpec(name, path=_path(folder, name))).questions()
        assert len({question.target for question in asked}) > 1
        for question in asked:
            assert question.problem.options[ord(question.target) - ord("A")] == right
            assert f"{question.target}) {right}" in question.problem.text


def test_worked_examples_show_the_publishers_steps_without_notes_for_a_calculator(folder: Path) -> None:
    example = open_task(TaskSpec("gsm8k", 2, shots=1, path=_path(folder, "gsm8k"))).questions()[0].problem.examples[0]
    assert (
        example.answer == "21" and "24 - 3 = 21" in (example.reasoning or "") and "<<" not in (example.reasoning or "")
    )


def test_game_of_24_takes_any_right_expression_and_its_hard_subset_is_that_of_the_paper(folder: Path) -> None:
    task = open_task(TaskSpec("game24", path=_path(folder, "game24")))
    asked = {question.problem.text: question for question in task.questions()}
    assert len(asked) == len(PUZZLES) and task.score("1 * 2 * 3 * 4", asked["1 2 3 4"]) == 1
    assert not any(task.score(junk, asked["1 2 3 4"]) for junk in (*JUNK, "24", "4 * 6", "1 * 2 * 12"))
    hard = open_task(TaskSpec("game24/hard", path=_path(folder, "game24")))
    assert [question.problem.text for question in hard.questions()] == list(PUZZLES[1:]) and hard.name == "game24/hard"


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("finqa", ["12.5%", "0.125", "12.52 %", "0.12497"], ["12.6%", "12.4%", "125", "0.13", "no"]),
        ("theoremqa", ["11", "11.0"], ["11.2", "12", "-11"]),
        ("hotpotqa", ["portugal", "Portugal.", "the Portugal"], ["Spain", "Portugal and Spain"]),
        ("pubmedqa", ["Yes", "yes."], ["no", "maybe"]),
        ("math500", ["7/2", "3.5", r"\frac72"], ["2/7", "7"]),
    ],
)
def test_answers_are_scored_as_its_authors_do(name: str, right: list[str], wrong: list[str]) -> None:
    task, question = named.NamedTask(TaskSpec(name)), named.example_of(name)
    assert {answer: task.score(answer, question) for answer in right} == dict.fromkeys(right, 1.0)
    assert {answer: task.score(answer, question) for answer in wrong} == dict.fromkeys(wrong, 0.0)


@pytest.mark.parametrize(
    ("name", "said", "counts"),
    [("mmlu_pro", None, "first"), ("gpqa", None, "first"), ("csqa", None, "last"), ("mmlu_pro", "last", "last")],
)
def test_of_several_stated_answers_the_one_its_authors_count_counts_unless_the_study_says(
    name: str, said: Which | None, counts: str, folder: Path
) -> None:
    written = {} if said is None else {"statement": said}
    spec = schema.task_alone({"name": name, "questions": 1, "path": _path(folder, name), **written}, "here")
    task = open_task(spec)
    problem = task.questions()[0].problem
    reply = "The answer is (A). On second thought, the answer is (C)."
    read = answers.extract(reply, problem.answer_kind, statement=problem.statement, options=problem.options)
    assert (problem.statement, read) == (counts, "A" if counts == "first" else "C")
    assert ("states the first" in getattr(task, "note", "")) == (counts == "first")


@pytest.mark.parametrize(
    ("kind", "target", "right", "wrong"),
    [
        ("float", "2.5", "2.59", "2.61"),
        ("bool", "True", "true", "False"),
        ("option", "(b)", "B", "a"),
        ("list of integer", "[1, 2]", "[2, 1]", "[1, 2, 3]"),
        ("list of float", "[0.5, 1.0]", "(1.01, 0.5)", "0.5"),
    ],
)
def test_a_theorem_is_asked_in_the_form_of_its_answer(
    kind: str, target: str, right: str, wrong: str, tmp_path: Path
) -> None:
    rows = [
        {"Question": "What?", "Answer": target, "Answer_type": kind, "Picture": None},
        {"Question": "What is drawn?", "Answer": "1", "Answer_type": "integer", "Picture": {"path": "a.png"}},
    ]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    task = open_task(TaskSpec("theoremqa", path=str(path)))
    (question,) = task.questions()
    assert (task.score(right, question), task.score(wrong, question)) == (1, 0)
    assert answers.extract(f"So.\nAnswer: {target}", question.problem.answer_kind) is not None


def test_a_local_copy_may_have_another_ending_and_its_columns_group_the_questions(tmp_path: Path) -> None:
    here = [
        open_task(TaskSpec("mmlu_pro", path=str(write("mmlu_pro", tmp_path, end)))) for end in (".parquet", ".jsonl")
    ]
    assert here[0].questions() == here[1].questions()
    grouped = open_task(TaskSpec("mmlu_pro", category_column="answer", path=str(tmp_path / "mmlu_pro.jsonl")))
    assert {question.category for question in grouped.questions()} == {"C"}


def test_another_scorer_makes_a_task_of_its_own(folder: Path) -> None:
    task = open_task(TaskSpec("hotpotqa", scorer="same", path=_path(folder, "hotpotqa")))
    other = open_task(TaskSpec("hotpotqa", path=_path(folder, "hotpotqa")))
    asked = task.questions()
    assert task.name == "hotpotqa+same" and getattr(task, "note", "") == "Answers to hotpotqa+same are scored by same."
    assert not {each.question_id for each in asked} & {each.question_id for each in other.questions()}
    assert task.score("portugal", asked[0]) == 1


def test_some_of_the_words_are_some_of_the_score_where_it_is_asked_for(folder: Path) -> None:
    task = open_task(TaskSpec("hotpotqa", scorer="token_f1", path=_path(folder, "hotpotqa")))
    question = task.questions()[0]
    assert task.score("Portugal", question) == 1 and 0 < task.score("the country of Portugal", question) < 1


def test_questions_are_spread_over_the_groups_of_a_column(tmp_path: Path) -> None:
    rows = [{**row, "category": field} for row in rows_like("mmlu_pro") for field in ("law", "physics", "maths")]
    rows = [{**row, "question": f"{row['question']} {row['category']}"} for row in sorted(rows, key=str)]
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    asked = open_task(TaskSpec("mmlu_pro", 6, stratify_column="category", path=str(path))).questions()
    assert sorted(str(each.category) for each in asked) == ["law", "law", "maths", "maths", "physics", "physics"]


def test_a_subset_is_part_of_the_name_and_the_name_opens_it_again(folder: Path) -> None:
    task = open_task(TaskSpec("mgsm", subset="de", path=_path(folder, "mgsm")))
    assert task.name == "mgsm/de" and open_task(TaskSpec("mgsm/de", path=_path(folder, "mgsm"))).name == task.name
    assert open_task(TaskSpec("gsm8k")).name == "gsm8k"


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (TaskSpec("gsm9k"), "did you mean 'gsm8k'"),
        (TaskSpec("mgsm/dee"), "Unknown subset of mgsm 'dee': did you mean 'de'"),
        (TaskSpec("gpqa", subset="diamant"), "did you mean 'diamond'"),
    ],
)
def test_an_unknown_name_comes_with_the_nearest(spec: TaskSpec, sentence: str) -> None:
    with pytest.raises(UnknownName, match=sentence):
        open_task(spec)


@pytest.mark.parametrize(
    ("name", "rows", "sentence"),
    [
        ("gsm8k", '{"question": "?"}', "Unknown s.jsonl row 1 column 'answer'"),
        ("gsm8k", '{"question": "?", "answer": "5"}', "Row 1 of .* is no row of gsm8k: its answer has no ####"),
        ("strategyqa", '{"question": "?", "answer": "perhaps"}', "Row 1 .*'perhaps' is neither true nor false"),
        ("csqa", '{"question": "?", "answerKey": "F", "choices": {"text": ["a", "b"]}}', "none of its 2 options"),
        ("csqa", '{"question": "?", "answerKey": "A", "choices": 5}', "Row 1 of .* is no row of csqa"),
        ("gsm8k", "nonsense", "not valid JSON: line 1"),
        ("gsm8k", "", "holds no rows of gsm8k"),
        ("gsm8k", '{"question": " ", "answer": "#### 5"}', "Row 1 of .* has an empty 'question'"),
        ("gsm8k", "[" * 50_000, "not valid JSON"),
        ("gsm8k", "5", "Row 1 of .* is not an object"),
    ],
)
def test_a_copy_of_another_form_is_told_with_its_row(name: str, rows: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text(rows, encoding="utf-8")
    with pytest.raises(UsageError, match=sentence):
        open_task(TaskSpec(name, path=str(path))).questions()


def test_broken_files_and_files_that_are_not_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and then nothing PAR1")
    with pytest.raises(UsageError, match="not a valid Parquet file"):
        open_task(TaskSpec("gsm8k", path=str(tmp_path / "a.parquet"))).questions()
    with pytest.raises(UsageError, match="There is no file"):
        open_task(TaskSpec("gsm8k", path=str(tmp_path / "b.jsonl"))).questions()
    with pytest.raises(UnknownName, match="did you mean '.json'"):
        open_task(TaskSpec("gsm8k", path=str(tmp_path / "b.jsonx"))).questions()


class Hub(http.server.BaseHTTPRequestHandler):
    """A hub with one file; everything else is not found, and a gated one wants a token."""

    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization")))
        gated = "/gpqa/" in self.path and not self.headers.get("Authorization")
        body = b"" if gated else self.files.get(self.path, b"")
        self.send_response(401 if gated else 200 if self.path in self.files else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """A hub on this machine, an empty cache, and no memory of what failed."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(Hub, "files", {})
    monkeypatch.setattr(Hub, "asked", [])
    monkeypatch.setattr(fetch, "_failed", {})
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    yield Hub
    server.shutdown()
    server.server_close()


STRATEGYQA = "/datasets/ChilleD/StrategyQA/resolve/705562638fe1d8ca6bb98c66fc8f94d45fda8c83/test.json"


def test_a_benchmark_is_fetched_once_at_its_pinned_revision_and_found_again_offline(
    hub: type[Hub], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files[STRATEGYQA] = Path(_path(folder, "strategyqa")).read_bytes()
    first = open_task(TaskSpec("strategyqa")).questions()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert open_task(TaskSpec("strategyqa")).questions() == first and len(first) == COUNT
    assert [path for path, _ in hub.asked] == [STRATEGYQA]


def test_a_kept_file_that_was_changed_is_refused(hub: type[Hub], folder: Path, tmp_path: Path) -> None:
    hub.files[STRATEGYQA] = Path(_path(folder, "strategyqa")).read_bytes()
    open_task(TaskSpec("strategyqa")).questions()
    (kept,) = (tmp_path / "cache").rglob("test.json")
    kept.write_text("[]", encoding="utf-8")
    with pytest.raises(UsageError, match="not the published one .* remove .* and it is fetched again"):
        open_task(TaskSpec("strategyqa")).questions()


def test_a_file_is_held_to_its_publishers_checksum(hub: type[Hub], folder: Path) -> None:
    source = named.benchmark("gsm8k").sources["test"]
    url = fetch.url_of(source, None)
    hub.files[url[url.index("/datasets") :]] = content = Path(_path(folder, "gsm8k")).read_bytes()
    with pytest.raises(UsageError, match=f"sha256 {hashlib.sha256(content).hexdigest()[:12]}, not ee7b8da9e381"):
        open_task(TaskSpec("gsm8k")).questions()


def test_without_a_network_one_sentence_says_what_to_fetch_and_where_to_say_so(
    hub: type[Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_ENDPOINT", "https://huggingface.co")
    with pytest.raises(UsageError) as refused:
        open_task(TaskSpec("strategyqa")).questions()
    assert str(refused.value) == (
        "The questions of strategyqa are not here and cannot be fetched (HF_HUB_OFFLINE is set): download "
        f'https://huggingface.co{STRATEGYQA} and say path = "test.json" under [[tasks]].'
    )
    assert not hub.asked


def test_a_download_that_failed_is_not_tried_at_every_click(hub: type[Hub]) -> None:
    for _ in range(3):
        with pytest.raises(UsageError, match="127.0.0.1 answers 404"):
            open_task(TaskSpec("strategyqa")).questions()
    assert len(hub.asked) == 1


def test_a_gated_set_says_so_and_opens_with_a_token(
    hub: type[Hub], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = "/datasets/Idavidrein/gpqa/resolve/633f5ee89ab8ad4522a9f850766b73f62147ffdd/gpqa_diamond.csv"
    hub.files[at] = Path(_path(folder, "gpqa")).read_bytes()
    with pytest.raises(UsageError, match="answers 401; it is gated: .* HF_TOKEN"):
        open_task(TaskSpec("gpqa")).questions()
    monkeypatch.setattr(fetch, "_failed", {})
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert len(open_task(TaskSpec("gpqa")).questions()) == COUNT
    assert hub.asked[-1] == (at, "Bearer hf_secret")


def test_another_revision_is_fetched_beside_the_pinned_one_and_a_name_that_moves_is_none(
    hub: type[Hub], folder: Path
) -> None:
    hub.files[STRATEGYQA.replace("705562638fe1d8ca6bb98c66fc8f94d45fda8c83", "a" * 40)] = (
        b'[{"question": "?", "answer": true}]'
    )
    assert len(open_task(TaskSpec("strategyqa", revision="a" * 40)).questions()) == 1
    with pytest.raises(UsageError, match="The revision 'main' is none: give the commit's 40 digits"):
        open_task(TaskSpec("strategyqa", revision="main")).questions()
    with pytest.raises(UsageError, match='No revision of hf://datasets/a/b is pinned here; set revision = "…"'):
        fetch.url_of(Source("hf://datasets/a/b@{revision}/c.parquet"), None)


def test_a_study_names_a_benchmark_with_a_copy_beside_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.parquet").write_bytes(Path(_path(folder, "gsm8k")).read_bytes())
    study = tmp_path / "study.toml"
    study.write_text(
        'name = "s"\nmodels = ["scripted/adder"]\nstrategies = ["direct"]\nbudgets = [64]\n'
        '[[tasks]]\nname = "gsm8k"\nquestions = 3\npath = "copy.parquet"\n',
        encoding="utf-8",
    )
    (spec,) = schema.load(study).tasks
    assert spec.path == str(tmp_path / "copy.parquet") and len(open_task(spec).questions()) == 3
    for key, sentence in (
        ('kind = "word"', "has kind, which tasks of files"),
        ('subset = "x"', "has subset, which public"),
    ):
        other = study.read_text("utf-8").replace("gsm8k", "gsm8k" if "kind" in key else "gym:gcd")
        study.with_name("other.toml").write_text(other.replace('path = "copy.parquet"', key), encoding="utf-8")
        with pytest.raises(UsageError, match=sentence):
            schema.load(study.with_name("other.toml"))


def test_listing_and_scoring_read_no_file_and_load_nothing_heavy() -> None:
    code = (
        "import sys; from engine.tasks import *; from engine.tasks import named\n"
        "assert 'gsm8k' in task_names() and named.by_family()\n"
        "q = named.example_of('hotpotqa')\n"
        "assert open_task(TaskSpec('hotpotqa')).score(q.target, q) == 1\n"
        "assert not {'pyarrow', 'polars', 'httpx', 'reasoning_gym', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
