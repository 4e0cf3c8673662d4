"""Votes over a log's draws and a second reading of its replies: settings of their own, beside the log's."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from tempfile import SpooledTemporaryFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from engine.cli import main
from engine.core.errors import UsageError
from engine.core.records import Message, Spend
from engine.interop import ImportedAnswer, importing
from engine.interop.derived import Wishes, readings
from engine.interop.kept import Kept
from engine.store.store import Store
from tests.support import foreign_logs

BOTH = Wishes("same", True)
VOTES = Wishes(votes=True)


def _draw(said: str | None, repeat: int, **changes: object) -> ImportedAnswer:
    spend = Spend(calls=1, input_tokens=10, output_tokens=4 + repeat)
    answer = ImportedAnswer(
        *("inspect", "generate", "m", "What is 1 plus 1?", "2", said, float(said == "2"), "match"),
        repeat=repeat,
        spend=spend,
        reply=None if said is None else f"The answer is {said}.",
        prompt=(Message("user", "What is 1 plus 1?"),),
    )
    return replace(answer, **changes)  # type: ignore[arg-type]


def _votes(draws: Sequence[ImportedAnswer], wishes: Wishes = VOTES) -> dict[int, ImportedAnswer]:
    return {each.votes: each for each in readings(lambda: iter(draws), wishes) if each.votes}


def _chosen(votes: Sequence[str | None]) -> float:
    """The mean score of a plurality vote: those that lead share it, as over all orders each is as often the first."""
    counts = Counter(vote for vote in votes if vote is not None)
    most = max(counts.values(), default=0)
    leaders = [vote for vote, count in counts.items() if count == most]
    return sum(vote == "2" for vote in leaders) / len(leaders) if leaders else 0.0


@given(st.lists(st.one_of(st.text(max_size=9), st.integers(0, 20)), max_size=30))
def test_what_waits_in_a_file_is_where_it_was_put_however_often_it_is_looked_at(steps: list[str | int]) -> None:
    with SpooledTemporaryFile(40) as file:
        kept, places = Kept(file), list[tuple[int, str]]()
        for step in steps:
            if isinstance(step, str):
                places.append((kept.put(step), step))
            elif step < len(places):
                assert kept.get(places[step][0]) == places[step][1]
        assert [kept.get(at) for at, _ in places] == [word for _, word in places]


@given(st.lists(st.sampled_from(["2", "3", "4", None]), min_size=2, max_size=7))
def test_a_derived_vote_is_the_mean_over_every_choice_of_its_draws(said: list[str | None]) -> None:
    derived = _votes([_draw(each, place) for place, each in enumerate(said)])
    assert set(derived) == {k for k in (2, 4) if k <= len(said)} | {len(said)}
    for k, vote in derived.items():
        choices = [_chosen(chosen) for chosen in combinations(said, k)]
        assert vote.score == pytest.approx(sum(choices) / len(choices))
        assert vote.spend is not None and vote.spend.calls == k and vote.spend.input_tokens == 10 * k
        assert vote.spend.output_tokens == round(k * sum(4 + place for place in range(len(said))) / len(said))
        assert (vote.reply, vote.prompt, vote.repeat) == (None, (), 0)


def test_a_failed_answer_is_no_draw_and_a_cut_one_has_no_vote() -> None:
    draws = [_draw("3", 0), _draw("2", 1), _draw("2", 2, cut=True), _draw(None, 3, error="429", score=None)]
    derived = _votes(draws)
    assert set(derived) == {2, 3} and derived[3].score == 0.5


@pytest.mark.parametrize(
    "draws",
    [
        [_draw("2", 0)],
        [_draw(f"Well, {'I think ' * 20}{place}", place) for place in range(4)],
        [_draw("2", place, prompt=(Message("user", f"Example {place}. What is 1 plus 1?"),)) for place in range(4)],
    ],
    ids=["one draw", "whole texts", "prompts that differ"],
)
def test_nothing_is_derived_from_what_cannot_vote(draws: list[ImportedAnswer]) -> None:
    assert not _votes(draws)


def test_what_one_draw_does_not_report_is_unknown_of_the_vote() -> None:
    unsaid = _draw("2", 1, unreported=("latency_ms", "output_tokens"))
    assert _votes([_draw("2", 0), unsaid])[2].unreported == ("output_tokens", "latency_ms")
    assert _votes([_draw("2", 0), _draw("2", 1, spend=None)])[2].spend is None


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({"answer": "two", "score": 0.0, "reply": "I say 3, no: the answer is 2."}, ("2", 1.0)),
        ({"reply": "No idea."}, (None, 0.0)),
        ({"reply": "The answer is 2", "cut": True}, (None, 0.0)),
        ({"target": "5 | 2", "reply": "The answer is 2."}, ("2", 1.0)),
        ({"target": "B", "options": ("1", "2"), "reply": "The answer is (B)."}, ("B", 1.0)),
        ({"target": "2", "options": ("1", "2"), "reply": "The answer is (A)."}, ("A", 0.0)),
    ],
)
def test_a_reply_is_read_again_as_one_of_our_own(
    changes: dict[str, object], read: tuple[str | None, float | None]
) -> None:
    log = _draw("2", 0, **changes)
    first, again = readings(lambda: iter([log]), Wishes("same"))
    assert first == log and again.scorer == "Budgetscope (same)" and (again.answer, again.score) == read


def test_a_reply_without_target_is_read_once_and_a_failure_stays_one() -> None:
    assert len(list(readings(lambda: iter([_draw("2", 0, target=None)]), Wishes("same")))) == 1
    _, again = readings(lambda: iter([_draw(None, 0, error="429", score=None)]), Wishes("same"))
    assert again.error == "429" and again.score is None
    with pytest.raises(UsageError, match="checks questions of its own kind"):
        list(readings(lambda: iter([_draw("2", 0)]), Wishes("game24")))


@pytest.mark.parametrize("epochs", [1, 3])
def test_texts_of_a_log_do_not_stay_in_memory_until_its_votes(epochs: int) -> None:
    def source() -> Iterator[ImportedAnswer]:
        for place in range(150 * epochs):
            text = f"{place % 150}{'x' * 100_000}"
            yield _draw("2", place // 150, question=text, reply=text, prompt=(Message("user", text),))

    tracemalloc.start()
    try:
        votes = sum(1 for answer in readings(source, VOTES) if answer.votes)
        assert votes == (0 if epochs == 1 else 2 * 150) and tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def _log(folder: Path) -> Path:
    """Four epochs; one answer in four is wrong, and one reply says what its scorer did not see."""
    log = foreign_logs.inspect_json(folder, epochs=4)
    body = json.loads(log.read_text())
    for sample in body["samples"][::4]:
        sample["scores"]["match"] = {"value": "I", "answer": "99"}
    log.write_text(json.dumps(body))
    return log


def test_votes_and_second_readings_stand_beside_the_log_and_come_in_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "r.duckdb")
    found = importing.survey(store, _log(tmp_path), wishes=BOTH)
    (part,) = found.parts.values()
    assert "48 answers, 2 settings" in part.lines()[0]
    assert part.lines()[2] == "Derived from its draws, and labelled so: majority at 2 and 4."
    assert importing.bring_in(store, found) == 48 + 4 * 6
    assert importing.survey(store, tmp_path / "run-1.json", wishes=BOTH).fresh == 0
    cells = engine.open(store.path).cells().sort("calls", "accuracy").to_dicts()
    assert [cell["calls"] for cell in cells] == [1, 1, 2, 2, 4, 4]
    assert [round(cell["accuracy"] * 24) for cell in cells[:2]] == [14, 20]
    assert all(cell["n_questions"] == 6 and not cell["anytime"] and cell["budget"] == 0 for cell in cells)


def test_a_reading_asked_for_later_leaves_what_is_here_as_it_is(tmp_path: Path) -> None:
    store, log = Store(tmp_path / "r.duckdb"), _log(tmp_path)
    importing.bring_in(store, importing.survey(store, log))
    before = engine.open(store.path).cells().to_dicts()
    assert importing.bring_in(store, importing.survey(store, log, wishes=Wishes("same"))) == 24
    after = {cell["condition_id"]: cell for cell in engine.open(store.path).cells().to_dicts()}
    assert len(after) == 2 and after[before[0]["condition_id"]]["accuracy"] == before[0]["accuracy"]


def test_the_verb_derives_votes_says_so_and_names_them_in_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, db = str(_log(tmp_path)), str(tmp_path / "r.duckdb")
    assert main(["import", log, "--db", db, "--no-votes"]) == 0
    assert "Votes over its draws (majority at k) can come in too" in capsys.readouterr().out
    assert main(["import", log, "--db", db, "--scorer", "number(tolerance=1%)"]) == 0
    assert "votes derived from draws are among them" in capsys.readouterr().out
    assert main(["report", "--db", db]) == 0
    said = capsys.readouterr().out
    assert "generate, majority at 4 (derived, Inspect), scorer match" in said
    assert "generate (imported, Inspect), scorer Budgetscope (number(tolerance=1%))" in said
    assert "those of Budgetscope are its own reading of the same replies" in said
    assert main(["import", log, "--db", db, "--scorer", "nonsense"]) == 2
