"""What a study will spend: the intervals hold as often as they say, and the pilot, the note and the pages agree."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.text import progress
from engine.cli import estimates, main
from engine.core.budget import Amount
from engine.core.errors import UsageError
from engine.runs import worker
from engine.runs.expectation import Held, held, noted
from engine.runs.run_dir import RunDir, Status, now
from engine.store.store import Store
from engine.study import expected
from engine.study.pilot import capped, pilot
from engine.study.plan import plan
from engine.study.prediction import Range, apart, further, slowest, together
from engine.study.schema import Study, parse
from engine.study.upper_bound import upper_bound
from tests.bench.estimates import measure, stored, summary
from tests.support import stores

STUDY = """
name = "sums"
budgets = [16, 64, 256]

[[models]]
name = "scripted/adder"
prices = {{ input = 1.0, output = 2.0 }}

[[tasks]]
name = "gym:chain_sum"
questions = {questions}

[[strategies]]
name = "chain_of_thought"
chain_tokens = 64

[[strategies]]
name = "self_consistency"
samples = 4
chain_tokens = 64
"""
REMOTE = STUDY.replace("scripted/adder", "openai/gpt-4o-mini").replace("budgets", "ceiling = {{ usd = 1.0 }}\nbudgets")
BY_ARM = st.floats(0, 1e9)


def sums(questions: int = 12, text: str = STUDY) -> Study:
    return parse(text.format(questions=questions), "sums.toml")


def seeded(questions: int, seed: int) -> str:
    """The study on other questions of the same task."""
    return STUDY.format(questions=questions).replace('gym:chain_sum"', f'gym:chain_sum"\nseed = {seed}')


def ran(study: Study, db: Path) -> tuple[RunDir, Status]:
    run = worker.prepare(study, db)
    return run, worker.run(run, lambda status: None)


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "r.duckdb"


# How often intervals hold


def lognormal(chance: random.Random) -> float:
    return min(1000.0, chance.lognormvariate(3, 1))


def gamma(chance: random.Random) -> float:
    return min(1000.0, 1 + chance.gammavariate(0.7, 60))


def runaway(chance: random.Random) -> float:
    """Short replies, and one in twenty that never stops."""
    return 400.0 if chance.random() < 0.05 else chance.gammavariate(9, 2)


def even(chance: random.Random) -> float:
    return chance.gauss(100, 10)


@pytest.mark.parametrize(("spend", "cap"), [(lognormal, 1000.0), (gamma, 1000.0), (runaway, 400.0), (even, 200.0)])
def test_five_skewed_spends_tell_the_total_of_fifty_more_nine_times_in_ten(
    spend: Callable[[random.Random], float], cap: float
) -> None:
    chance = random.Random(7)
    many = [spend(chance) for _ in range(4000)]
    cv = math.sqrt(fmean((value / fmean(many) - 1) ** 2 for value in many))
    held = 0
    for _ in range(1000):
        seen, more = [spend(chance) for _ in range(5)], [spend(chance) for _ in range(50)]
        held += further(seen, 50, cv, cap, cap).holds(sum(more))
    assert 0.84 <= held / 1000 <= 0.975


def test_pilots_of_the_demo_tell_what_its_other_questions_spend(tmp_path: Path) -> None:
    scores = measure(stored(stores.demo(tmp_path / "results.duckdb"), "output_tokens"), pilots=12, size=5)
    for quantity in ("output_tokens", "total_tokens"):
        assert 0.82 <= summary(scores, quantity).coverage <= 0.98
    assert scores["bought for a task", "total_tokens"].coverage >= 0.75
    assert scores["Student", "output_tokens"].coverage < 0.83


@given(st.lists(BY_ARM, min_size=1, max_size=8), st.floats(0, 100), st.floats(0, 3))
def test_an_interval_holds_what_is_expected_and_stays_between_nothing_and_the_worst(
    seen: list[float], more: float, cv: float
) -> None:
    found = further(seen, more, cv, cap=max(seen), most=max(seen))
    slack = 1e-6 * (1 + more * max(seen))
    assert 0 <= found.low <= found.expected + slack
    assert found.expected - slack <= found.high <= more * max(seen) + slack


@given(st.lists(st.builds(lambda e, a, b: Range(e, e - min(e, a), e + b), BY_ARM, BY_ARM, BY_ARM), max_size=5))
def test_errors_that_cancel_give_no_wider_a_sum_than_errors_that_add_up(ranges: list[Range]) -> None:
    wide, narrow = together(ranges), apart(ranges)
    slack = 1e-6 * (1 + wide.high)
    assert wide.expected == pytest.approx(narrow.expected)
    assert wide.low - slack <= narrow.low
    assert narrow.high <= wide.high + slack


def test_nothing_left_costs_nothing_and_nothing_side_by_side_takes_no_time() -> None:
    assert further([3.0, 4.0], 0, 1.0) == Range()
    assert slowest([]) is None
    assert slowest([Range(1, 0, 9), Range(2, 1, 3)]) == Range(2, 1, 9)


# What the store knows


def test_a_study_nobody_ran_has_no_history_but_a_worst_case(db: Path) -> None:
    found = expected.expected_spend(plan(sums()), db)
    assert found.expected is None
    assert found.unknown == 2
    assert found.worst == upper_bound(plan(sums())).total
    assert not db.exists()


def test_a_finished_study_has_nothing_left_to_spend(db: Path) -> None:
    ran(sums(4), db)
    found = expected.expected_spend(plan(sums(4)), db)
    assert found.stored == 8
    assert found.worst.calls == 0
    assert found.expected is not None
    assert found.expected.bought_tokens == found.expected.calls == Range()


def test_shared_draws_and_smaller_walls_are_priced_from_what_is_stored(db: Path) -> None:
    _, final = ran(sums(8), db)
    anew = parse(seeded(8, 1), "s")
    found = expected.expected_spend(plan(anew), db)
    assert found.expected is not None
    assert found.expected.bought_calls.expected == final.spent.calls == 8 * 4
    assert found.expected.bought_tokens.expected == pytest.approx(final.spent.tokens)
    assert found.expected.calls.expected == 8 * 5
    smaller = parse(seeded(8, 1).replace("[16, 64, 256]", "[20]"), "s")
    cut = expected.expected_spend(plan(smaller), db).expected
    assert cut is not None
    assert cut.output_tokens.expected <= 8 * 2 * 20
    assert cut.output_tokens.expected < found.expected.output_tokens.expected


def test_trials_a_smaller_wall_cut_are_no_history(db: Path) -> None:
    ran(parse(STUDY.format(questions=4).replace("[16, 64, 256]", "[8]"), "s"), db)
    found = expected.expected_spend(plan(sums(6)), db)
    assert found.expected is None
    assert any(line.short for line in found.lines)


def test_other_parameters_are_no_history(db: Path) -> None:
    ran(sums(4), db)
    other = parse(STUDY.format(questions=6).replace("samples = 4", "samples = 3"), "s")
    assert [line.expected is None for line in expected.expected_spend(plan(other), db).lines] == [False, True]


def test_a_strategy_added_to_a_finished_study_buys_only_what_the_others_did_not(db: Path) -> None:
    ran(parse(seeded(8, 1), "s"), db)
    head, chain, votes = seeded(8, 0).split("[[strategies]]")
    ran(parse("[[strategies]]".join([head, votes]), "s"), db)
    found = expected.expected_spend(plan(parse("[[strategies]]".join([head, chain, votes]), "s")), db)
    assert [line.stored for line in found.lines] == [0, 8]
    assert found.expected is not None
    assert found.expected.calls.expected == 8
    assert found.expected.bought_calls == Range()


# Pilots


def test_a_pilot_is_the_first_questions_of_the_study_under_the_same_ids(db: Path) -> None:
    study = sums(12)
    cut = pilot(study, 3)
    assert cut.name == "sums (pilot)"
    asked = [spec.trial_id for spec in plan(cut).specs]
    assert asked == [spec.trial_id for spec in plan(study).specs][: len(asked)]
    assert len(asked) == 6
    assert pilot(cut, 9).first_questions == 3


@pytest.mark.parametrize("seed", [0, 1])
def test_a_pilot_of_a_shuffled_file_asks_what_the_study_asks_first(tmp_path: Path, seed: int) -> None:
    rows = "\n".join(f"What is {n} + {n}?,{2 * n}" for n in range(30))
    (tmp_path / "sums.csv").write_text(f"question,answer\n{rows}\n", encoding="utf-8")
    text = STUDY.format(questions=10).replace('gym:chain_sum"', f'file:sums.csv"\nshots = 2\nseed = {seed}')
    study = parse(text, "s.toml", tmp_path)
    assert {s.trial_id for s in plan(pilot(study, 4)).specs} < {s.trial_id for s in plan(study).specs}


def test_a_pilot_may_spend_its_worst_case_and_never_more_than_the_study(db: Path) -> None:
    cut = pilot(sums(), 5)
    bound = upper_bound(plan(cut))
    ceiling = capped(cut, bound).ceiling
    assert (ceiling.calls, ceiling.tokens) == (bound.total.calls, bound.total.total_tokens)
    tight = parse(STUDY.format(questions=9) + "\n[ceiling]\ntokens = 50\n", "s")
    assert capped(pilot(tight, 5), bound).ceiling.tokens == 50


def test_a_pilot_of_nothing_is_refused_and_any_spelling_of_the_study_can_be_cut() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        pilot(sums(), 0)
    odd = parse(STUDY.format(questions=3).replace('name = "sums"', '"name" = "sums"', 1), "s")
    cut = pilot(odd, 2)
    assert (cut.name, cut.first_questions, cut.tasks) == ("sums (pilot)", 2, odd.tasks)


def test_after_a_pilot_the_run_pays_the_rest_and_the_interval_holds_it(db: Path) -> None:
    cut = pilot(sums(20), 5)
    _, first = ran(capped(cut, upper_bound(plan(cut))), db)
    assert first.state == "finished"
    found = expected.expected_spend(plan(sums(20)), db).expected
    assert found is not None
    run, final = ran(sums(20), db)
    assert found.bought_tokens.low < found.bought_tokens.expected < found.bought_tokens.high
    assert found.bought_tokens.holds(final.spent.tokens)
    row = next(row for row in Store(db).runs() if row.run_id == run.run_id)
    assert row.estimate is not None
    assert json.loads(row.estimate)["expected"]["tokens"][0] == pytest.approx(found.bought_tokens.expected)
    tokens = next(each for each in held(run, final) if each.what == "tokens")
    assert tokens == Held("tokens", tokens.expected, final.spent.tokens, True)
    assert "inside" in progress.against(held(run, final), final)
    assert "inside" in estimates.against(held(run, final))


# Notes


def test_a_note_is_made_once_and_no_run_fails_for_want_of_one(db: Path) -> None:
    run = worker.prepare(sums(4), db)
    noted(run, plan(sums(4)))
    ran(sums(4), db)
    assert json.loads(noted(run, plan(sums(4))) or "")["expected"] is None
    db.write_bytes(b"not a database")
    (run.path / "estimate.json").unlink()
    assert noted(run, plan(sums(4))) is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"expected": 3}', b'{"expected": {"tokens": ["x"]}}', b"\xff"]
)
def test_a_broken_note_expects_nothing(db: Path, content: bytes) -> None:
    run = worker.prepare(sums(4), db)
    (run.path / "estimate.json").write_bytes(content)
    assert held(run, Status(run.run_id, "s", "finished", False, None, 0, 0)) == ()


def test_what_came_is_judged_by_its_interval_and_only_at_the_end(db: Path) -> None:
    run = worker.prepare(sums(4), db)
    (run.path / "estimate.json").write_text(
        json.dumps({"expected": {"tokens": [100, 90, 120], "pusd": None, "seconds": [10, 5, 20]}})
    )
    status = Status(run.run_id, "s", "finished", False, None, 4, 4, spent=Amount(3, 130, 0), priced=True)
    begun = now()
    status = replace(status, started_at=begun, heartbeat_at=begun + timedelta(seconds=12))
    assert [(each.what, each.inside) for each in held(run, status)] == [("tokens", False), ("seconds", True)]
    said = progress.against(held(run, status), status)
    assert "100 (90–120) tokens, came to 130: outside" in said
    assert "12 s: inside" in said
    assert "outside" not in progress.against(held(run, status), replace(status, state="running"))


# The command line and the page


def test_the_command_says_expected_beside_the_worst_and_offers_a_pilot_where_nothing_is_known(
    tmp_path: Path, db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sums.toml"
    file.write_text(STUDY.format(questions=12), encoding="utf-8")
    assert main(["estimate", str(file), "--db", str(db)]) == 0
    assert "--pilot 5" in capsys.readouterr().out
    assert main(["estimate", str(file), "--db", str(db), "--pilot", "5"]) == 0
    said = capsys.readouterr()
    assert "Pilot with 5 questions a task: 10 trials, at most" in said.err
    assert "Expected to be bought" in said.out and "--pilot" not in said.out
    assert main(["estimate", str(file), "--db", str(db), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["stored"] == 10 and found["without_history"] == 0
    assert found["expected"]["bought_tokens"]["low"] <= found["total"]["total_tokens"]
    assert [line["seen"] for line in found["lines"]] == [5, 5]
    assert main(["runs", "--db", str(db), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["expected"] == []


def test_an_estimate_needs_no_key(monkeypatch: pytest.MonkeyPatch, db: Path) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    study = sums(2, REMOTE)
    with pytest.raises(UsageError, match="OPENAI_API_KEY"):
        plan(study)
    found = expected.expected_spend(plan(study, sends=False), db)
    assert found.worst.billed_pusd
    cut = pilot(study, 1)
    ceiling = capped(cut, upper_bound(plan(cut, sends=False))).ceiling
    assert ceiling.pusd is not None and 0 < ceiling.pusd < 10**12


def test_the_page_shows_the_expected_with_its_interval_and_the_worst_as_caption(db: Path) -> None:
    empty = progress.forecast(expected.expected_spend(plan(sums()), db), upper_bound(plan(pilot(sums()))))
    assert empty.pilot is not None and empty.pilot.startswith("at most ")
    assert "Nothing is stored yet of 2 of 2 settings" in empty.note and (empty.ceiling.tokens or 0) >= empty.tokens
    ran(pilot(sums(), 5), db)
    known = progress.forecast(expected.expected_spend(plan(sums()), db))
    assert known.pilot is None
    named = {what: (value, aside) for what, value, aside in known.figures}
    assert named["Answers to make"] == ("14", "(10 more are stored)")
    assert named["All tokens"][1].startswith("(")
    assert 2.5 * known.tokens <= (known.ceiling.tokens or 0) <= 2.5 * known.tokens * 1.1 + 1_000
    assert named["Cost"][0] == "free (runs here)"
