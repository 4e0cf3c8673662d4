"""Hostile input: every reader gives what it can or one sentence, at once, whatever the bytes.

FUZZ_CASES says how many cases each reader gets (120); `FUZZ_CASES=20000 pytest tests/test_fuzz.py` looks harder.
"""

from __future__ import annotations

import gc
import io
import os
import random
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from dashboard.data import studies
from dashboard.widgets.url_state import Param, parse, written
from engine.core import codec, toml
from engine.core.errors import BudgetscopeError
from engine.core.records import Attempt, Completion, Message, Request, Usage
from engine.models.replies import Expected, completion
from engine.runs import journal
from engine.study import schema
from engine.tasks import open_task
from engine.tasks.tabular import column_names, read_rows
from engine.tasks.task import TaskSpec

CASES = int(os.environ.get("FUZZ_CASES", "120"))
MOST_S = 1.0
MOST_MB = 400
fuzzed = settings(max_examples=CASES, deadline=None, derandomize=CASES == 120, database=None)

STUDY = """name = "s"
budget_axis = "usd"
budgets = [0.001, 2]
repeats = 2
system = "Be brief."
models = ["scripted/adder", { name = "mine", api_base = "http://localhost:8000/v1", api_key_env = "K", prices = { input = 0.1, output = 1, as_of = 2026-01-31 } }]
tasks = [{ name = "gym:chain_sum", questions = 2, seed = 1, shots = 1 }, "file:~/x.csv"]
[[strategies]]
name = "self_consistency"
samples = [2, 4]
temperature = 0.5
[[examples]]
question = "1 + 1?"
answer = "2"
[ceiling]
tokens = 1000
usd = 1.5
"""
TOML_PARTS = (
    "[" * 300,
    "{a=" * 200,
    "[[models]]\n",
    "[ceiling]\n",
    "[ceiling.tokens]\n",
    "x.y.z = 1\n",
    "= ",
    '"""',
    "'''",
    "0x" + "f" * 4000,
    "9" * 4400,
    "1e999",
    "-inf",
    "nan",
    "1_000",
    "1979-05-27T07:32:00Z",
    "07:32:00",
    "true",
    '""',
    '"~nobody/x"',
    '"~\\u0000"',
    '"file:\\u0000"',
    '"file:~\\u0000"',
    '"http://["',
    '"http://a:99999/v1"',
    '"http://\u2100/v1"',
    '"\\U0010ffff"',
    '"\\ud800"',
    "\u202e",
    "\x00",
    "\ufeff",
    "#",
    "\r",
    "samples = [" + "1," * 1200 + "]\n",
    "budgets = [" + "1," * 900 + "]\n",
    "base = ",
    'gguf = "x"\n',
    "prices = {}\n",
    "as_of = ",
    "name = ",
    "1e-400",
    "base = '~\x01'\n",
)
CELLS = (
    "1e999999999",
    "9" * 5000,
    "1/0",
    "\u0663",
    "\uff19",
    "nan",
    "=1+1",
    "#### 3",
    "<<" * 600,
    "\x00",
    "\ufeff",
    "true",
    "[[1]]",
    "\u202e",
    "x" * 3000,
    "\\boxed{" * 300,
    "-" * 900,
    "1," * 900,
    "e\u0301" * 200,
)
CSV_PARTS = ('"', '""', ",", "\r", "\n", "\t", "question,answer\n", ",,,,,,\n", *CELLS)
JSON_PARTS = (
    '{"question":"',
    '"answer":',
    "[" * 900,
    "{" * 300,
    '"\\ud800"',
    '"\\udc00x":',
    '{"question":"\\ud800","answer":"1"}\n',
    "NaN",
    "Infinity",
    "1e999999",
    "null",
    "-0",
    "\\u0000",
    '{"a":[],"b":[]}',
    "],",
    "}\n",
    *CELLS,
)
JSONL = "".join(f'{{"question": "What is {n} + 1?", "answer": {n + 1}, "kind": null}}\n' for n in range(6))


def packed(**options: object) -> bytes:
    """A small Parquet file."""
    table = pa.table(
        {
            "question": [f"What is {n} + 1?" for n in range(20)],
            "answer": [str(n + 1) for n in range(20)],
            "n": list(range(20)),
            "when": [datetime(2026, 1, 1)] * 20,
            "nested": [[1, 2]] * 20,
        }
    )
    file = io.BytesIO()
    parquet.write_table(table, file, **options)
    return file.getvalue()


def line(kind: str, outcome: str, n: int) -> bytes:
    """A line as a journal writes it."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    attempt = Attempt(f"a{n}", f"k{n}", "m", 0, outcome, None, 90, 5, 40, None, now, 12)  # type: ignore[arg-type]
    reply = Completion(f"k{n}", "Answer: 4", "stop", Usage(10, 30), 12, "m", None, now, None)
    with TemporaryDirectory() as folder:
        notes = journal.Journal(Path(folder) / "j")
        if kind == "intent":
            notes.intent(attempt)
        else:
            notes.outcome(attempt, reply if outcome == "ok" else None)
        notes.close()
        return (Path(folder) / "j").read_bytes()


JOURNAL = b"".join(
    line("intent", "in_doubt", n) + line("outcome", outcome, n) for n, outcome in enumerate(("ok", "failed", "ok"))
)
JOURNAL_PARTS = (
    b'{"intent":',
    b'"outcome":',
    b'"completion":{}',
    b"null",
    b"{}",
    b"[]",
    b"-1",
    b"1e400",
    b"9" * 5000,
    b"NaN",
    b"\x00",
    b"\xff\xfe",
    b'"\\ud800"',
    b"[" * 3000,
    b'"9999-12-31T23:59:59.999999-23:59"',
    b'"0001-01-01T00:00:00+23:59"',
    b"\n\n",
    b"true",
    b'{"attempt_id":',
)
PARQUET = [
    packed(),
    packed(use_dictionary=False),
    packed(compression="zstd"),
    packed(compression="gzip", version="1.0"),
]


def mangled(seeds: list[bytes], parts: tuple[bytes | str, ...]) -> st.SearchStrategy[bytes]:
    """A seed after some accidents: bytes changed, cut out, doubled, torn off, or something unfit put in between."""
    pieces = [part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass") for part in parts]
    edit = st.tuples(st.integers(0, 5), st.floats(0, 1), st.integers(0, 255), st.sampled_from(pieces or [b"\x00"]))
    return st.builds(_edited, st.sampled_from([*seeds, b""]), st.lists(edit, max_size=8))


def _edited(seed: bytes, edits: list[tuple[int, float, int, bytes]]) -> bytes:
    found = seed
    for kind, place, number, piece in edits:
        # The end of a Parquet file is where its directory stands.
        at = int(place * len(found)) if number % 2 else max(0, len(found) - int(place * 600))
        size = number % 40
        rest = found[at:]
        found = (
            found[:at]
            + {
                0: piece + rest,
                1: rest[size:],
                2: rest[:size] + rest,
                3: bytes([number]) + rest[1:],
                4: b"",
                5: bytes(byte ^ (1 << number % 8) for byte in rest[:1]) + rest[1:],
            }[kind]
        )
        found = found[:16_000]
    return found


@contextmanager
def soon() -> Iterator[None]:
    """At most a second of this process's own work, and no leap of its memory."""
    before, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gc.disable()  # what thousands of earlier cases left behind is not this one's work
    try:
        yield
    finally:
        gc.enable()
    assert time.process_time() - before < MOST_S
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < MOST_MB * 1024


def reads(read: Callable[[], object]) -> bool:
    """Whether it could be read; what cannot be read is said in one line, by an error of ours."""
    with soon():
        try:
            read()
        except BudgetscopeError as error:
            assert str(error).strip()
            assert "\n" not in str(error)
            assert len(str(error)) < 2_000
            return False
    return True


@fuzzed
@given(mangled([STUDY.encode()], TOML_PARTS))
def test_a_study_is_read_or_refused(raw: bytes) -> None:
    text = raw.decode("utf-8", "replace")
    found: list[schema.Study] = []
    if reads(lambda: found.append(schema.parse(text, "s.toml"))):
        assert schema.parse(found[0].text, "s.toml").name == found[0].name
        schema.as_json(found[0])


@fuzzed
@given(mangled([STUDY.encode()], TOML_PARTS))
def test_a_study_file_is_read_or_refused(raw: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "s.toml"
        path.write_bytes(raw)
        reads(lambda: toml.parse(toml.read(path), "s.toml"))


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@fuzzed
@given(
    st.sampled_from(
        [
            "budgets",
            "repeats",
            "system",
            "models",
            "tasks",
            "strategies",
            "ceiling",
            "examples",
            "base",
            "pool_max_age_days",
            "budget_axis",
            "name",
        ]
    ),
    VALUE,
)
def test_a_study_with_any_value_under_any_key_is_read_or_refused(key: str, value: object) -> None:
    body = {
        "name": "s",
        "budgets": [8],
        "models": ["scripted/adder"],
        "tasks": ["gym:chain_sum"],
        "strategies": ["direct"],
    }
    reads(lambda: schema.parse(toml.dump({**body, key: value}), "s"))


PARAMS = (Param("x", "output", ("output", "calls")), Param("model", (), ("a", "b"), many=True), Param("cell"))
NAMES = st.sampled_from(["x", "model", "cell", "modle", "__proto__", "<script>", "../..", "'; drop table runs; --"])


@fuzzed
@given(st.dictionaries(NAMES | st.text(), st.lists(NAMES | st.text() | st.just("x" * 8_000), max_size=4), max_size=6))
def test_an_address_gives_known_values_and_sentences(query: dict[str, list[str]]) -> None:
    with soon():
        values, problems = parse(PARAMS, query)
        again = written(PARAMS, values)
    assert values["x"] in ("output", "calls")
    assert set(values["model"] or ()) <= {"a", "b"}
    assert set(again) <= {"x", "model", "cell"}
    assert len(problems) <= 9
    assert all(0 < len(sentence) < 500 for sentence in problems)


def _file(raw: bytes, ending: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"x.{ending}"
        path.write_bytes(raw)
        if reads(lambda: read_rows(path, ["question", "answer"])):
            assert {"question", "answer"} <= set(column_names(path)) or not read_rows(path, ())
        reads(lambda: column_names(path))
        reads(lambda: open_task(TaskSpec(f"file:{path}", questions=2, shots=1)).questions())
        if reads(lambda: open_task(TaskSpec(f"file:{path}")).questions()):
            task = open_task(TaskSpec(f"file:{path}"))
            assert all(task.score(each.target, each) in (0, 1) for each in task.questions())


@fuzzed
@given(
    mangled(
        [b"question,answer\nWhat is 1+1?,2\nWhat is 2+2?,4\n", "\ufeffanswer\tquestion\n1\tone\n".encode()], CSV_PARTS
    ),
    st.sampled_from(["csv", "tsv"]),
)
def test_a_table_is_read_or_refused(raw: bytes, ending: str) -> None:
    _file(raw, ending)


@fuzzed
@given(
    mangled([JSONL.encode(), b'{"rows": [{"question": "a", "answer": 1}]}', b"[{}]"], JSON_PARTS),
    st.sampled_from(["json", "jsonl"]),
)
def test_json_rows_are_read_or_refused(raw: bytes, ending: str) -> None:
    _file(raw, ending)


@fuzzed
@given(mangled(list(PARQUET), (b"PAR1", b"\xff\xff\xff\x7f", b"\x00" * 9, b"\x15\x15", b"\x80\x80\x80\x80\x08")))
def test_parquet_is_read_or_refused(raw: bytes) -> None:
    _file(raw, "parquet")


@fuzzed
@given(mangled([JOURNAL], JOURNAL_PARTS) | st.binary(max_size=400))
def test_a_journal_tells_what_it_can(raw: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        path.write_bytes(raw)
        with soon():
            told = journal.read(path)
            assert min(told.spent.tokens, told.in_doubt.tokens) >= 0
        notes = journal.Journal(path)
        notes.intent(Attempt("mine", "k", "m", 0, "in_doubt", None, 7, 1, 7, 1, datetime(2026, 1, 1, tzinfo=UTC), 0))
        notes.close()
        assert journal.read(path).in_doubt.tokens in (told.in_doubt.tokens + 7, *((7,) if b'"mine"' in raw else ()))


REPLIES = [
    b'{"model":"m","choices":[{"message":{"content":[{"type":"text","text":"Answer: 4"}]},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":30,"cost":"0.01"}}',
    b'{"content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"4"}],"stop_reason":"end_turn",'
    b'"usage":{"input_tokens":9,"output_tokens":4,"cache_read_input_tokens":5}}',
    b'{"candidates":[{"content":{"parts":[{"text":"4"}]},"finishReason":"STOP"}],'
    b'"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"thoughtsTokenCount":3,"totalTokenCount":16}}',
    b'{"error":{"code":429,"message":"maximum context length is 200 tokens, 50 in the messages"},"choices":[]}',
]
REPLY_PARTS = (
    *(
        '"error":{"code":',
        '"finish_reason":null',
        '"usage":',
        '"total_tokens":',
        "1e400",
        "NaN",
        "-1",
        "9" * 400,
        "[" * 900,
    ),
    *('"\\ud800"', "\\u0000", "{}", "[]", "null", "true", '"length"', '"content":', '"parts":[', '"code":"400",'),
)


@fuzzed
@given(mangled(REPLIES, REPLY_PARTS), st.booleans())
def test_a_providers_reply_is_read_or_fails_in_one_sentence(raw: bytes, lenient: bool) -> None:
    request = Request("m", (Message("user", "2 + 2?"),), (), 64, 0, 0, key="k")
    found: list[Completion] = []
    expected = Expected(request, 100, "m at h", 1, lenient)
    if reads(lambda: found.append(completion(None, expected, raw.decode("utf-8", "replace")))):
        (done,) = found
        assert codec.record(Completion, codec.jsonable(done)) == done
        assert done.finish in ("stop", "length", "filter", *(("unsaid",) if lenient else ()))
        assert (done.usage.cached_tokens or 0) <= done.usage.input_tokens
        assert (done.usage.reasoning_tokens or 0) <= done.usage.output_tokens


UPLOAD = st.tuples(
    st.text(max_size=300)
    | st.sampled_from(
        [
            "..",
            "/",
            "a/../../b.csv",
            "\x00.csv",
            ".csv",
            "\u6f22" * 200 + ".csv",
            "con.json",
            "a\\b.tsv",
            "x.parquet",
            "-rf.jsonl",
            "\ud800.csv",
            "\u202evsc.exe",
        ]
    ),
    st.sampled_from(["", ".csv", ".tsv", ".json", ".jsonl", ".parquet", ".CSV"]),
)


@fuzzed
@given(UPLOAD, mangled([b"question,answer\n1+1,2\n", JSONL.encode(), *PARQUET], (*CSV_PARTS, *JSON_PARTS)))
def test_an_upload_is_kept_in_its_folder_or_refused_and_gone(name: tuple[str, str], raw: bytes) -> None:
    with TemporaryDirectory() as folder:
        kept: list[Path] = []
        fits = reads(lambda: kept.append(studies.save_upload(Path(folder) / "uploads", "".join(name), raw)))
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        assert files == kept
        if fits:
            assert kept[0].resolve().parent.parent == (Path(folder) / "uploads").resolve()
            assert all(column.encode() is not None for column in studies.columns(kept[0]))


def test_columns_with_line_breaks_in_their_names_are_listed_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('"a\nb","\tc"\n1,2\n')
    with pytest.raises(BudgetscopeError, match=r"known: '\\tc', 'a\\nb'\.$"):
        read_rows(tmp_path / "x.csv", ["question"])


def bomb(cell: str, rows: int, *, dictionary: bool = False, compression: str = "zstd") -> bytes:
    """A Parquet file of few bytes that stands for many."""
    cells = pa.array([cell] * (1 if dictionary else rows))
    if dictionary:
        cells = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), cells)
    file = io.BytesIO()
    table = pa.table({"question": cells, "answer": ["1"] * rows})
    parquet.write_table(table, file, compression=compression, use_dictionary=dictionary)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (bomb("x", 10_001), "10,001 rows; an upload may have 10,000"),
        (bomb("x" * 1_000, 9_000), "unpacks to more than 5,000,000 bytes"),
        (bomb("x" * 9_000_000, 1, compression="gzip"), "unpacks to more than 5,000,000 bytes"),
    ],
    ids=["rows", "many cells", "one cell"],
)
def test_an_upload_that_unpacks_to_more_than_it_may_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    assert len(content) < 100_000
    with soon(), pytest.raises(BudgetscopeError, match=says):
        studies.save_upload(tmp_path, "x.parquet", content)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_dictionary_that_repeats_a_long_text_stops_at_the_limit(tmp_path: Path) -> None:
    """Its pages are small; what they stand for is 300 MB."""
    (tmp_path / "x.parquet").write_bytes(bomb("x" * 100_000, 3_000, dictionary=True))
    with pytest.raises(BudgetscopeError, match="unpacks to more than 5,000,000 bytes"):
        read_rows(tmp_path / "x.parquet", ["question", "answer"], most_bytes=5_000_000)


def test_too_many_columns_are_refused(tmp_path: Path) -> None:
    head = ",".join(f"c{n}" for n in range(201))
    with pytest.raises(BudgetscopeError, match="201 columns; an upload may have 200"):
        studies.save_upload(tmp_path, "x.csv", f"{head}\n".encode())


def test_the_cases_differ_and_many_of_them_can_be_read() -> None:
    """The fuzz means something: mangled files are neither all alike nor all refused."""
    rng, read = random.Random(1), 0
    for _ in range(200):
        edits = [(rng.randrange(6), rng.random(), rng.randrange(256), b"1") for _ in range(rng.randrange(4))]
        with suppress(BudgetscopeError):
            schema.parse(_edited(STUDY.encode(), edits).decode("utf-8", "replace"), "s")
            read += 1
    assert 20 < read < 180
