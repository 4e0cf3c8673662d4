"""The journal: what was written is read back, whatever was in it and wherever the process died."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.budget import Amount
from engine.core.records import Attempt, Completion, Usage
from engine.runs.journal import Journal, charged, read, without_texts
from tests.support.effort import cases
from tests.support.trials_on_paper import NEVER

# Python text may hold half a surrogate pair; two halves side by side mean the character and are read as such.
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_ANY = st.characters(exclude_categories=()) | st.sampled_from('\x00\n\r\u2028\x1f\x7f\u202e\ud800\udc00"\\{}')
texts = st.text(_ANY, max_size=40).filter(lambda text: not _PAIR.search(text))
counts = st.integers(0, 2**62)
moments = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]))
usages = st.builds(Usage, counts, counts, st.none() | counts, st.none() | counts, st.none() | counts, st.booleans())
completions = st.builds(
    Completion,
    key=texts,
    text=texts,
    finish=st.sampled_from(["stop", "length", "filter", "other"]),
    usage=usages,
    latency_ms=counts,
    model_reported=st.none() | texts,
    fingerprint=st.none() | texts,
    created_at=moments,
    provider_cost_pusd=st.none() | counts,
    run_id=st.none() | texts,
)
attempts = st.builds(
    Attempt,
    attempt_id=st.uuids().map(str),
    key=texts,
    model=texts,
    ordinal=st.integers(0, 5),
    outcome=st.sampled_from(["ok", "retried", "failed", "in_doubt"]),
    error=st.none() | texts,
    reserved_tokens=counts,
    reserved_pusd=st.none() | counts,
    charged_tokens=counts,
    charged_pusd=st.none() | counts,
    started_at=moments,
    latency_ms=counts,
)


def completion(key: str, text: str) -> Completion:
    """A plain completion."""
    return Completion(key, text, "stop", Usage(1, 2), 0, None, None, NEVER)


def attempt(name: str, **fields: object) -> Attempt:
    """A plain attempt: 10 tokens and 70 pico-dollars reserved, nothing known of its outcome."""
    plain = Attempt(name, f"key {name}", "m", 0, "in_doubt", None, 10, 70, 10, 70, NEVER, 0)
    return replace(plain, **fields)  # type: ignore[arg-type]


def _write(path: Path, steps: Sequence[tuple[Attempt, Completion | None]]) -> None:
    journal = Journal(path)
    for done, reply in steps:
        journal.intent(replace(done, outcome="in_doubt"))
        journal.outcome(done, reply)
    journal.close()


@given(steps=st.lists(st.tuples(attempts, st.none() | completions), max_size=6, unique_by=lambda s: s[0].attempt_id))
@cases(300)
def test_what_is_written_is_read_back(steps: list[tuple[Attempt, Completion | None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        _write(path, steps)
        history = read(path)
        assert len(path.read_bytes().splitlines()) == 2 * len(steps)
    assert history.attempts == [done for done, _ in steps]
    first: dict[str, Completion] = {}
    for _, reply in steps:
        if reply is not None:
            first.setdefault(reply.key, reply)
    assert history.completions == first


def test_a_huge_reply_is_one_line(tmp_path: Path) -> None:
    huge = completion("k", "so 💥\n\ud800 " * 500_000)
    _write(tmp_path / "j", [(attempt("a", outcome="ok"), huge)])
    assert read(tmp_path / "j").completions["k"] == huge


def test_a_missing_journal_is_an_empty_history(tmp_path: Path) -> None:
    history = read(tmp_path / "nothing")
    assert (history.attempts, history.completions, history.spent, history.in_doubt) == ([], {}, Amount(), Amount())


def test_a_torn_last_line_loses_only_the_torn_record_wherever_it_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    steps = [(attempt(name, outcome="ok"), completion(f"key {name}", f"é💥 {name}\n")) for name in "abc"]
    _write(path, steps)
    whole = path.read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == 10]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        lines = sum(end - 1 <= cut for end in ends)
        history = read(path)
        assert len(history.attempts) == (lines + 1) // 2
        assert len(history.completions) == lines // 2
        assert sum(a.outcome == "in_doubt" for a in history.attempts) == lines % 2


def test_appending_after_a_torn_line_keeps_both_sides(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    _write(path, [(attempt("a", outcome="ok"), completion("key a", "first"))])
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole) + 1):
        path.write_bytes(whole[:cut])
        _write(path, [(attempt("b", outcome="ok"), completion("key b", "second"))])
        history = read(path)
        assert [a.attempt_id for a in history.attempts] == ["a", "b"]
        assert history.completions["key b"].text == "second"
        kept = cut >= len(whole) - 1
        assert ("key a" in history.completions, history.attempts[0].outcome) == (kept, "ok" if kept else "in_doubt")


def test_an_intent_without_outcome_stays_charged_as_in_doubt(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.intent(attempt("a"))
    journal.intent(attempt("b"))
    journal.outcome(attempt("b", outcome="ok", charged_tokens=4, charged_pusd=28), completion("key b", "x"))
    journal.close()
    history = read(tmp_path / "j")
    assert (history.in_doubt, history.spent) == (Amount(1, 10, 70), Amount(1, 4, 28))


@given(done=st.lists(attempts, max_size=8, unique_by=lambda a: a.attempt_id))
@cases(150)
def test_sums_count_every_attempt_once(done: list[Attempt]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder) / "j", [(a, None) for a in done])
        history = read(Path(folder) / "j")
    assert history.spent + history.in_doubt == sum((charged(a) for a in done), Amount())
    assert history.in_doubt == sum((charged(a) for a in done if a.outcome == "in_doubt"), Amount())


def test_a_refused_attempt_made_no_billed_call() -> None:
    assert charged(attempt("a", outcome="failed", charged_tokens=0, charged_pusd=0)) == Amount()
    assert charged(attempt("a", outcome="ok", charged_tokens=0, charged_pusd=None)) == Amount(1)


def test_the_first_completion_of_a_key_is_kept(tmp_path: Path) -> None:
    steps = [(attempt(n, outcome="ok"), completion("same", n)) for n in "ab"]
    _write(tmp_path / "j", steps)
    assert read(tmp_path / "j").completions["same"].text == "a"


def test_a_write_is_in_the_file_before_it_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.intent(attempt("a"))
    assert [a.attempt_id for a in read(tmp_path / "j").attempts] == ["a"]
    journal.close()


def test_a_synced_journal_is_read_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.intent(attempt("a"))
    journal.sync()
    journal.close()
    assert len(read(tmp_path / "j").attempts) == 1


def test_nobody_else_may_read_a_journal(tmp_path: Path) -> None:
    Journal(tmp_path / "j").close()
    assert (tmp_path / "j").stat().st_mode & 0o077 == 0


JUNK = [
    b"\xff\xfe\n",
    b"[]\n",
    b"null\n",
    b"{}\n",
    b'"x"\n',
    b"\n",
    b"{not json\n",
    b'{"other": 1}\n',
    b"1e999\n",
    b"[" * 100_000 + b"\n",
]
FOREIGN = [b'{"intent": 5}\n', b'{"intent": {"attempt_id": "x"}}\n']


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk[:20]))
def test_an_unreadable_line_is_skipped(tmp_path: Path, junk: bytes) -> None:
    _around(tmp_path / "j", junk)


@pytest.mark.parametrize("junk", FOREIGN, ids=repr)
def test_a_line_of_another_shape_is_skipped(tmp_path: Path, junk: bytes) -> None:
    _around(tmp_path / "j", junk)


@pytest.mark.parametrize(
    "wrong",
    [
        {"charged_tokens": "a"},
        {"charged_tokens": -1_000_000_000},
        {"charged_pusd": -1},
        {"charged_tokens": 1.5},
        {"charged_tokens": True},
        {"reserved_tokens": None},
        {"outcome": "free"},
        {"started_at": 5},
        {"attempt_id": ["a"]},
        {"model": None},
    ],
    ids=repr,
)
def test_an_outcome_that_cannot_be_true_leaves_its_intent_in_doubt(tmp_path: Path, wrong: dict[str, object]) -> None:
    journal = Journal(tmp_path / "j")
    journal.intent(attempt("a"))
    journal.outcome(attempt("a", outcome="ok", charged_tokens=1, charged_pusd=2), completion("key a", "x"))
    journal.close()
    intent, outcome = (tmp_path / "j").read_text(encoding="utf-8").splitlines()
    line = json.loads(outcome)
    line["outcome"].update(wrong)
    del line["sum"]
    (tmp_path / "j").write_text(f"{intent}\n{json.dumps(line)}\n", encoding="utf-8")
    history = read(tmp_path / "j")
    assert (history.in_doubt, history.spent, history.completions) == (Amount(1, 10, 70), Amount(), {})


@pytest.mark.parametrize("usage", [None, {"input_tokens": -5, "output_tokens": 1}, {"input_tokens": "1"}, {}], ids=repr)
def test_a_reply_whose_usage_cannot_be_true_is_not_believed(tmp_path: Path, usage: object) -> None:
    _write(tmp_path / "j", [(attempt("a", outcome="ok"), completion("key a", "x"))])
    intent, outcome = (tmp_path / "j").read_text(encoding="utf-8").splitlines()
    line = json.loads(outcome)
    line["completion"]["usage"] = usage
    del line["sum"]
    (tmp_path / "j").write_text(f"{intent}\n{json.dumps(line)}\n", encoding="utf-8")
    assert (read(tmp_path / "j").in_doubt, read(tmp_path / "j").completions) == (Amount(1, 10, 70), {})


@pytest.mark.parametrize("bit", [0, 3, 6])
def test_no_bit_that_changes_makes_an_attempt_cheaper(tmp_path: Path, bit: int) -> None:
    path = tmp_path / "j"
    outcome = attempt("a", outcome="ok", charged_tokens=9, charged_pusd=66)
    _write(path, [(outcome, completion("key a", "x"))])
    whole = path.read_bytes()
    charged = read(path).spent
    for at in range(whole.index(b"\n") + 1, len(whole) - 1):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :])
        history = read(path)
        assert (history.spent + history.in_doubt).least(charged) == charged, whole[at - 9 : at + 9]


def test_a_line_of_a_release_without_sums_is_read(tmp_path: Path) -> None:
    path = tmp_path / "j"
    _write(path, [(attempt("a", outcome="ok"), completion("key a", "x"))])
    path.write_bytes(re.sub(rb',"sum":[0-9]+', b"", path.read_bytes()))
    assert [a.outcome for a in read(path).attempts] == ["ok"] and not read(path).unreadable


def test_a_text_that_is_removed_leaves_lines_that_are_read_and_damage_that_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "j"
    _write(path, [(attempt(name, outcome="ok"), completion(f"key {name}", "secret")) for name in "ab"])
    path.write_bytes(path.read_bytes().replace(b'"charged_tokens":', b'"charged_tokens":1', 2))
    before = read(path)
    assert without_texts(path, ["key a", "key b"], date(2026, 11, 29))
    assert b"secret" not in path.read_bytes()
    after = read(path)
    assert (after.unreadable, after.spent, after.in_doubt) == (before.unreadable, before.spent, before.in_doubt)
    assert before.unreadable and list(after.completions) == list(before.completions)


def test_unreadable_lines_are_counted_but_not_a_torn_last_one_or_a_blank_one(tmp_path: Path) -> None:
    path = tmp_path / "j"
    _write(path, [(attempt(name, outcome="ok"), completion(f"key {name}", name)) for name in "ab"])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:1], b"rubbish\n", b" \n", *JUNK[:2], *lines[1:], b'{"outcome": {']))
    history = read(path)
    assert history.unreadable == 3
    assert list(history.completions) == ["key a", "key b"] and history.in_doubt == Amount()


def test_an_intent_found_after_its_outcome_does_not_undo_it(tmp_path: Path) -> None:
    path = tmp_path / "j"
    _write(path, [(attempt("a", outcome="ok"), completion("key a", "x"))])
    intent, outcome = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(outcome + intent)
    assert [a.outcome for a in read(path).attempts] == ["ok"]


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: what a full disk looks like to a writer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_outcome_that_a_full_disk_refused_is_written_once_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal(path)
    for name in "ab":
        journal.intent(attempt(name))
    whole = path.stat().st_size
    for room in (0, 1, 100):
        with full_at(whole + room), pytest.raises(OSError, match="too large"):
            journal.outcome(attempt("a", outcome="ok"), completion("key a", "x" * 200))
        assert read(path).in_doubt.calls == 2
    with full_at(path.stat().st_size), pytest.raises(OSError, match="too large"):
        journal.intent(attempt("never sent"))
    journal.outcome(attempt("b", outcome="ok"), completion("key b", "y"))
    journal.close()
    history = read(path)
    assert [(a.attempt_id, a.outcome) for a in history.attempts] == [("a", "ok"), ("b", "ok")]
    assert list(history.completions) == ["key a", "key b"]


def test_written_tries_again_what_could_not_be_written(tmp_path: Path) -> None:
    async def through() -> None:
        journal = Journal(tmp_path / "j")
        with full_at(10):
            journal.outcome(attempt("a", outcome="ok"), completion("key a", "x"))
            for _ in range(2):
                with pytest.raises(OSError, match="too large"):
                    await journal.written()
        await journal.written()
        assert list(read(tmp_path / "j").completions) == ["key a"]
        journal.close()

    asyncio.run(through())


def test_a_closed_journal_takes_no_note_and_harms_no_other_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.close()
    journal.close()
    with (tmp_path / "other").open("wb", buffering=0) as other:
        with pytest.raises(OSError, match="Bad file descriptor"):
            journal.intent(attempt("late"))
        assert other.tell() == 0


def _around(path: Path, junk: bytes) -> None:
    _write(path, [(attempt("a", outcome="ok"), None)])
    path.write_bytes(path.read_bytes() + junk)
    _write(path, [(attempt("b", outcome="ok"), None)])
    assert [a.attempt_id for a in read(path).attempts] == ["a", "b"]


def test_times_keep_their_zone(tmp_path: Path) -> None:
    moment = datetime(2026, 3, 1, 12, 30, 1, 250, tzinfo=UTC)
    _write(tmp_path / "j", [(attempt("a", outcome="ok", started_at=moment), None)])
    assert read(tmp_path / "j").attempts[0].started_at == moment
