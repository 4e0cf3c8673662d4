"""Accuracy over a thought and what is thought past the answer, over thoughts anybody could have had."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from engine.analysis.sql.chains import visible
from engine.analysis.thinking import overthinking
from engine.analysis.thinking.overthinking import glance, glances
from engine.analysis.thinking.thoughts import MARGIN, excess, inside, stored
from engine.cli import main, show
from engine.cli.reading import reports
from engine.core import answers, codec
from engine.core.thoughts import Place, Thought, from_text, grid
from tests.support.stores import studied


@st.composite
def thought_lists(draw: st.DrawFn) -> list[Thought]:
    """Thoughts with places at a grid they share, and ends of sentences of their own."""
    lengths = draw(st.lists(st.integers(1, 300), min_size=1, max_size=8))
    shared = grid(max(lengths), 6)
    scores = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 1.0]))
    made = []
    for number, length in enumerate(lengths):
        own = {at: True for at in shared if at < length}
        for at in draw(st.lists(st.integers(1, 300), max_size=3)):
            if at < length:
                own.setdefault(at, False)
        places = [(at, on_grid, draw(scores)) for at, on_grid in sorted(own.items())] + [(length, True, draw(scores))]
        told = [
            Place(at, None if score is None else f"{score:g}", score, 3 if at < length else 0, on_grid)
            for at, on_grid, score in places
        ]
        made.append(Thought(f"k{number}", f"q{number % 3}", length, "number", tuple(told)))
    return made


@given(thought_lists())
def test_the_last_point_of_the_curve_is_the_mean_score_of_the_thoughts(thoughts: list[Thought]) -> None:
    found = inside(thoughts, "probes", "continued", True)
    by_question: dict[str, list[float]] = {}
    for thought in thoughts:
        by_question.setdefault(thought.question_id, []).append(thought.final.score or 0.0)
    whole = sum(sum(own) / len(own) for own in by_question.values()) / len(by_question)
    last = found.curve.row(-1, named=True)
    assert last["accuracy"] == pytest.approx(whole) and last["rest"] == 0 and last["n_thinking"] == 0
    assert last["tokens"] == max(thought.n_tokens for thought in thoughts)
    assert found.curve["tokens"].is_sorted() and found.curve["tokens"].is_unique().all()
    # A thought that is shorter keeps its own answer, so what is spent is never more than it has.
    assert found.curve["spent_tokens"].is_sorted()
    assert last["spent_tokens"] == pytest.approx(found.mean_tokens.mean)


@given(thought_lists())
def test_what_is_settled_was_reached_before_and_what_follows_is_redundant(thoughts: list[Thought]) -> None:
    for thought in thoughts:
        if thought.final.answer is None:
            assert thought.first_reached is thought.settled is thought.redundant is None
            continue
        assert thought.first_reached is not None and thought.settled is not None
        assert thought.first_reached <= thought.settled <= thought.n_tokens
        assert thought.redundant == thought.n_tokens - thought.settled
    found = excess(thoughts, "probes")
    assert found.redundant.mean is None or 0 <= found.redundant.mean < 1
    assert 0 <= (found.thought_away.mean or 0.0) <= 1
    assert found.n_right >= sum((thought.final.score or 0.0) >= 1 for thought in thoughts)


def thought(number: int, *places: tuple[int, float | None]) -> Thought:
    told = [Place(at, None if score is None else f"{score:g}", score) for at, score in places]
    return Thought(f"k{number}", f"q{number}", places[-1][0], "number", tuple(told))


def test_right_and_then_thought_away_is_counted_with_its_flips_and_the_way_to_the_first_right_one() -> None:
    found = excess([thought(1, (4, 1.0), (8, 0.0), (16, 1.0), (20, 0.0)), thought(2, (4, 0.0), (10, 1.0))], "probes")
    assert (found.thought_away.mean, found.flips.mean, found.n_right) == (0.5, 1.0, 2)
    assert found.first_right.mean == (4 + 10) / 2
    # 0 of the first one's 20 tokens follow the place from where on it says 0, and none of the second's.
    assert found.redundant.mean == 0.0


def test_a_score_between_wrong_and_right_counts_as_much_as_it_is() -> None:
    found = inside([thought(1, (4, 0.25), (8, 0.75)), thought(2, (4, None), (8, 0.25))], "probes", "asked", True)
    assert found.curve["accuracy"].to_list() == [0.125, 0.5]
    assert found.excess.n_right == 0 and found.excess.thought_away.mean == 0.0


def test_few_questions_none_of_which_changed_are_no_proof_that_none_would() -> None:
    few = [thought(n, (4, 0.0), (8, 0.0)) for n in range(10)]
    found = inside(few, "probes", "continued", True)
    assert found.stop is None and found.curve["high"][0] > 0 and found.curve["rest_high"][0] > MARGIN
    many = [replace(each, key=f"k{n}", question_id=f"q{n}") for n, each in enumerate(few * 30)]
    stop = inside(many, "probes", "continued", True).stop
    assert stop is not None and stop.tokens == 4


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("over")
    models = '"scripted/adder", "scripted/sure-adder"'
    strategies = ["chain_of_thought", "direct"]
    return studied(folder / "r.duckdb", questions=9, models=models, strategies=strategies, budgets=[64, 512])


def test_a_glance_sorts_questions_by_what_the_other_settings_make_of_them(db: Path) -> None:
    results = engine.open(db)
    found = glances(results)
    assert {*found} == {*results.conditions()["condition_id"]}
    for condition, each in found.items():
        assert each.source == "text" and each.excess.n_questions == 9
        assert sum(band.excess.n_questions for band in each.bands) == 9
        assert [band.name for band in each.bands] == sorted(
            {band.name for band in each.bands}, key=("easy", "middling", "difficult").index
        )
        assert glance(results, condition) == each


def test_what_many_settings_are_told_at_once_is_what_reading_each_text_at_each_place_says(db: Path) -> None:
    results = engine.open(db)
    found = glances(results)
    models = dict(results.conditions().select("condition_id", "model").iter_rows())
    for condition, each in found.items():
        kept = visible(results.chains(condition))[: overthinking.MOST]
        cuts = [stored(chain, models[condition]) for chain in kept]
        shared = grid(max(cut.n_tokens for cut in cuts), overthinking.PLACES)
        thoughts = []
        for chain, cut in zip(kept, cuts, strict=True):
            options, statement = codec.reading(chain.row["data"])
            said = []
            for at in [*(place for place in shared if place < cut.n_tokens), cut.n_tokens]:
                own = None if at == cut.n_tokens and chain.cut else cut.before(at)
                answer = None if own is None else answers.extract(own, chain.kind, statement=statement, options=options)
                said.append((at, answer, chain.score(answer)))
            thoughts.append(from_text(chain.key, chain.question_id, cut, chain.kind, said))
        assert each.excess == excess(thoughts, "text")


def test_as_many_thoughts_are_read_as_are_wanted_and_they_are_the_first_of_all(db: Path, tmp_path: Path) -> None:
    results = engine.open(db)
    for condition in results.conditions()["condition_id"]:
        every = results.chains(condition)
        for most in (1, 4, 9, 100):
            assert results.chains(condition, most=most) == every[:most]
        keys = {chain.key for chain in every[2:4]}
        assert results.chains(condition, keys=keys) == [chain for chain in every if chain.key in keys]
        assert results.n_chains(condition) == (len(every), len(visible(every))) == (9, 9)
    # So they are where each question was asked again and again.
    shutil.copy(db, tmp_path / "repeated.duckdb")
    with duckdb.connect(str(tmp_path / "repeated.duckdb")) as connection:
        connection.execute("update trials set repeat = rowid % 3 * 20")
    for condition in results.conditions()["condition_id"]:
        every = engine.open(tmp_path / "repeated.duckdb").chains(condition)
        assert all(engine.open(tmp_path / "repeated.duckdb").chains(condition, most=n) == every[:n] for n in (1, 4, 8))
    # Where the first are hidden, later ones are looked for.
    last = every[-1]
    shutil.copy(db, tmp_path / "hidden.duckdb")
    with duckdb.connect(str(tmp_path / "hidden.duckdb")) as connection:
        connection.execute("update completions set reasoning_tokens = 1 where key <> ?", [last.key])
    hidden = engine.open(tmp_path / "hidden.duckdb")
    assert visible(hidden.chains(condition, most=1)) == visible(hidden.chains(condition)) == [last]
    assert hidden.n_chains(condition) == (9, 1)


@pytest.mark.parametrize("n", [2, 8, 60])
def test_what_was_seen_on_no_question_has_an_interval_all_the_same(n: int) -> None:
    found = excess([thought(number, (4, 0.0), (8, 0.0)) for number in range(n)], "text")
    assert found.flips.mean == 0 and found.flips.low == 0 and 0 < (found.flips.high or 0) < 1
    assert (found.flips.high or 0) > 1 / n


def test_the_report_on_a_terminal_says_it_task_by_task(db: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--db", str(db), "report"]) == 0
    out = capsys.readouterr().out
    _, told, rest = out.partition("Thinking past the answer on ")
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    known = glances(engine.open(db))
    assert told and len(lines) == len(known)
    shares = [each.excess.redundant.mean for each in known.values()]
    assert all(any(line.count(show.percent(share)) for line in lines) for share in shares if share is not None)
    assert all(line.endswith("text") for line in lines) and reports.PAST in out


def test_replies_that_are_short_are_no_thoughts(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overthinking, "SHORTEST", 10_000)
    assert glances(engine.open(db)) == {}


def test_the_report_as_json_says_it_of_every_setting_that_thinks(db: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--db", str(db), "report", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    known = {each: glance.record() for each, glance in glances(engine.open(db)).items()}
    assert rows and known
    for row in rows:
        assert row["overthinking"] == known.get(row["condition_id"])
    one = next(iter(known.values()))
    assert {"redundant", "first_right", "flips", "n_thoughts", "n_questions", "by_difficulty"} <= {*one}
    assert {*one["redundant"]} == {"mean", "low", "high"}
