"""A month with one setting and with another: sums by hand, unknowns that stay unknown, and what the command line says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import engine
from engine import cli
from engine.analysis import Cell, Results
from engine.analysis.lens import Lens
from engine.analysis.pairs.savings import DAYS, SCHEMA
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Price
from engine.models import energy
from engine.models.energy import EnergyRange, EnergyWeights
from tests.engine.analysis.test_curves import stored
from tests.support import stores
from tests.support.replayed import NO_PRICE, A, Ask, B, Lineup, Say, planned, play

PLAIN = {"scripted/a": EnergyRange(EnergyWeights(7, 1, 100), EnergyWeights(7, 1, 100))}


def made(folder: Path, lineup: Lineup = (("solver", A),), questions: int = 4) -> tuple[Results, Cell, Cell]:
    """Question q takes 10 + q output tokens and three calls with the dear setting, 5 and one with the cheap one."""
    model, trials = lineup[-1][1], []
    for q in range(questions):
        dear = planned("output_tokens", 900, f"q{q}", strategy="dear", lineup=lineup)
        trials.append(play(dear, [*[Ask(model, 9, 8, 10 + q, 50)] * 3, Say("right")]))
        cheap = planned("output_tokens", 900, f"q{q}", strategy="cheap", lineup=lineup)
        trials.append(play(cheap, [Ask(model, 9, 8, 5, 50), Say("right" if q else "wrong")]))
    results = stored(trials, folder)
    ids = dict(results.conditions().select("strategy", "condition_id").rows())
    return results, Cell(ids["dear"]), Cell(ids["cheap"])


def test_a_month_is_the_mean_question_times_the_questions_of_a_month(tmp_path: Path) -> None:
    results, a, b = made(tmp_path)
    told = results.savings(a, b, 1000, "FRA", PLAIN)
    lines = {row["quantity"]: row for row in told.lines.to_dicts()}
    month, dear, cheap = 1000 * DAYS, 3 * 11.5, 5
    pwh = [3 * 7 + 24 * 1 + dear * 100, 7 + 8 + 500]
    by_hand = {
        "calls": (3, 1),
        "input_tokens": (24, 8),
        "output_tokens": (dear, cheap),
        "usd": ((24 * 3 + dear * 7) / 1e12, (8 * 3 + 5 * 7) / 1e12),
        "kwh": (pwh[0] / 1e15, pwh[1] / 1e15),
        "kg_co2e": (pwh[0] / 1e15 * 0.04144, pwh[1] / 1e15 * 0.04144),
    }
    assert list(told.lines.columns) == list(SCHEMA) and set(lines) == set(by_hand)
    for name, (one, other) in by_hand.items():
        row = lines[name]
        assert (row["a"], row["b"]) == (pytest.approx(one * month), pytest.approx(other * month))
        assert row["saving"] == pytest.approx((one - other) * month)
        assert row["saving_low"] <= row["saving"] <= row["saving_high"]
        assert row["a_least"] is None
    assert lines["output_tokens"]["saving_low"] < lines["output_tokens"]["saving_high"]
    assert (told.n, told.accuracy.mean, told.intensity, told.simulated, told.assumed) == (4, -0.25, 41.44, True, False)


def test_traffic_only_scales(tmp_path: Path) -> None:
    results, a, b = made(tmp_path)
    one, ten = (results.savings(a, b, n, energy=PLAIN).lines for n in (1, 10))
    numbers = ["a", "b_low", "saving", "saving_high"]
    assert (ten.select(numbers) / 10).rows() == [pytest.approx(row) for row in one.select(numbers).rows()]


def test_an_unknown_price_or_size_is_unknown_and_not_nothing(tmp_path: Path) -> None:
    results, a, b = made(tmp_path, (("solver", A), ("critic", NO_PRICE)))
    told = results.savings(a, b, 10)
    unknown = {row["quantity"]: row["saving"] is None for row in told.lines.to_dicts()}
    assert unknown == {
        **dict.fromkeys(("usd", "kwh", "kg_co2e"), True),
        **dict.fromkeys(("calls", "input_tokens", "output_tokens"), False),
    }
    assert told.sources == ()


def test_a_stand_in_price_is_labelled_and_another_price_is_a_lens(tmp_path: Path) -> None:
    results, a, b = made(tmp_path, (("solver", B),))
    assert results.savings(a, b, 10).assumed
    told = results.savings(a, b, 10, lens=Lens.of({B.name: Price(1_000_000, 2_000_000)}))
    assert not told.assumed
    assert told.lines["b"][0] == pytest.approx(10 * DAYS * (8 * 1e-6 + 5 * 2e-6))


def test_a_size_nobody_knows_exactly_shows_its_range(tmp_path: Path) -> None:
    results, a, b = made(tmp_path)
    wide = {"scripted/a": EnergyRange(EnergyWeights(output_pwh=100), EnergyWeights(output_pwh=300))}
    row = {row["quantity"]: row for row in results.savings(a, b, 1, energy=wide).lines.to_dicts()}
    scale = 5 * DAYS / 1e15
    assert [row["kwh"][name] for name in ("b_least", "b", "b_most")] == pytest.approx(
        [100 * scale, 200 * scale, 300 * scale]
    )
    assert row["kg_co2e"]["a_most"] == pytest.approx(3 * row["kg_co2e"]["a_least"])
    assert row["usd"]["a_least"] is None


@pytest.mark.parametrize("per_day", [0, -1, float("nan"), float("inf"), 1e13])
def test_a_traffic_that_cannot_be_is_refused(tmp_path: Path, per_day: float) -> None:
    with pytest.raises(UsageError, match="Questions a day"):
        engine.open(tmp_path / "x.duckdb").savings(Cell("a"), Cell("b"), per_day)


def test_an_unknown_zone_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="grid zone 'FRAU'"):
        engine.open(tmp_path / "x.duckdb").savings(Cell("a"), Cell("b"), 1, "FRAU")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command on a copy of the demo."""
    path = stores.demo(tmp_path_factory.mktemp("demo") / "results.duckdb")
    return [
        "savings",
        "self_consistency(samples=12)",
        "chain_of_thought",
        "--task",
        "gym:gcd/easy",
        "--db",
        str(path),
        "--per-day",
        "1000",
    ]


def test_the_command_says_the_month_its_prices_and_who_pays(
    demo: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*demo, "--zone", "FRA", "--by", "result"]) == 0
    said = capsys.readouterr().out
    for words in (
        "energy, kWh",
        "carbon, kg CO2e",
        "Accuracy changes by",
        "41.44 gCO2e/kWh (FRA)",
        "assumed price",
        "after ecologits",
        "per million tokens",
        "not enough questions to say",
    ):
        assert words in said


def test_the_command_takes_prices_and_sizes_and_gives_json(demo: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    model = "local/smollm2-135m"
    assert cli.main([*demo, "--json"]) == 0
    before = json.loads(capsys.readouterr().out)
    assert cli.main([*demo, "--json", "--prices", f"{model}=x3", "--size", f"{model}=70"]) == 0
    after = json.loads(capsys.readouterr().out)
    one, other = ({row["quantity"]: row["saving"] for row in each["lines"]} for each in (before, after))
    assert other["usd"] == pytest.approx(3 * one["usd"])
    factor = energy.energy(energy.size(70)).low.output_pwh / energy.energy(energy.size(0.135)).low.output_pwh
    assert other["kwh"] == pytest.approx(factor * one["kwh"], rel=1e-6)
    assert other["calls"] == one["calls"]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--size", "local/smollm2-135m=a"], "is no size: write MODEL=ACTIVE"),
        (["--size", "gpt=3"], "Unknown model of the database 'gpt'"),
        (["--prices", "local/smollm2-135m=1"], "is no price: write MODEL=INPUT/OUTPUT"),
        (["--prices", "no.toml"], "no.toml"),
        (["--by", "colour"], "Unknown column of the questions 'colour'"),
        (["--prefill-share", "2"], "from 0 to 1"),
    ],
)
def test_a_wrong_word_is_one_sentence(
    demo: list[str], more: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*demo, *more]) == 2
    assert sentence in capsys.readouterr().err


def test_a_report_is_read_through_prices_and_on_energy(demo: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    report = ["report", "--db", demo[demo.index("--db") + 1], "--task", "gym:gcd/easy"]
    assert cli.main([*report, "--x", "wh", "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)
    weight = energy.energy(energy.size(0.135)).low.output_pwh / 1e12
    assert [row["x"] for row in cells] == pytest.approx([row["output_tokens"] * weight for row in cells])
    assert cli.main([*report, "--prices", "local/smollm2-135m=0/2", "--json"]) == 0
    priced = json.loads(capsys.readouterr().out)
    assert [row["usd"] for row in priced] == pytest.approx([row["output_tokens"] * 2e-6 for row in priced])
    assert not any(row["usd_assumed"] for row in priced)
    assert cli.main([*report, "--prices", "local/smollm2-135m=0/2"]) == 0
    assert (
        "price of local/smollm2-135m: $0.00 in, $2.00 out per million tokens (command line, undated)."
        in capsys.readouterr().out
    )
    assert cli.main([*report, "--prices", "batch"]) == 0
    assert "The list has no batch price of local/smollm2-135m; what is stored is kept." in capsys.readouterr().out
