"""Prices as a lens: today's list, a contract, a what-if factor; and the snapshots a database was written with."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.lens import Lens
from engine.analysis.sql import listings
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Price, Spend, Tier
from engine.models import snapshots
from engine.models.prices import bundled_price
from tests.engine.analysis.test_curves import stored
from tests.support.replayed import NO_PRICE, A, Ask, B, Say, planned, play

NAMES = {"openai/gpt-4o-mini": "openai/gpt-4o-mini@api.openai.com/v1", "scripted/a": "scripted/a@1"}
KNOWN = {"scripted/a": Price(3_000_000, 7_000_001, cached_pusd=5, source="study")}
whole = st.integers(0, 10**9)


def contract(folder: Path, text: str) -> dict[str, Price]:
    """Prices of a file with this text."""
    path = folder / "contract.toml"
    path.write_text(text)
    return snapshots.contract(path)


def test_todays_list_is_the_bundled_map_with_its_release_as_source() -> None:
    found = snapshots.todays(["openai/gpt-4o-mini", "openai/gpt-nobody", "scripted/a"])
    assert found == {"openai/gpt-4o-mini": bundled_price("openai/gpt-4o-mini")}
    assert found["openai/gpt-4o-mini"].source.startswith("litellm ")


def test_a_contract_is_written_as_in_a_study_and_names_its_file(tmp_path: Path) -> None:
    text = """
        models = [{ name = "small", prices = { input = 0.5, output = 2, cached = 0.1, as_of = "2026-11-01" } },
                  { name = "free", prices = { input = 0, output = 0, source = "letter of May", assumed = true } }, "other"]
    """
    assert contract(tmp_path, text) == {
        "small": Price(500_000, 2_000_000, 100_000, source="contract.toml", as_of="2026-11-01"),
        "free": Price(0, 0, source="letter of May", assumed=True),
    }


@pytest.mark.parametrize("text", ["", "[prices]\nx = 1\n", 'models = ["small"]\n'])
def test_a_file_without_prices_says_so(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"contract\.toml has no \[\[models\]\] table with prices"):
        contract(tmp_path, text)


def test_a_missing_rate_is_an_error_and_not_a_free_token(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="need input and output"):
        contract(tmp_path, 'models = [{ name = "small", prices = { input = 0.5 } }]')


@given(whole, whole, st.none() | whole, whole, whole, st.integers(0, 1000))
def test_a_whole_factor_scales_every_bill_exactly(
    given_: int, taken: int, cached: int | None, n_in: int, n_out: int, times: int
) -> None:
    price = Price(given_, taken, cached, assumed=False)
    scaled = snapshots.scaled({"m": price}, "m", times)
    spend = Spend(1, n_in, n_in // 2, 0, n_out)
    for discount in (False, True):
        assert scaled.cost_pusd(spend, cache_discount=discount) == times * price.cost_pusd(
            spend, cache_discount=discount
        )
    assert scaled.assumed and f"x {times}" in scaled.source


def test_a_factor_on_an_unknown_price_is_refused_not_taken_from_zero() -> None:
    with pytest.raises(UsageError, match="no known price to multiply"):
        snapshots.scaled({}, "openai/gpt-nobody", 0.5)


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("a=0.15/0.6", Price(150_000, 600_000, source="command line")),
        ("a=1/2/0.5", Price(1_000_000, 2_000_000, 500_000, source="command line")),
        ("openai/x=y=3/4", Price(3_000_000, 4_000_000, source="command line")),
    ],
)
def test_a_price_is_said_in_dollars_per_million(text: str, price: Price) -> None:
    assert snapshots.stated(text, {})[1] == price


@pytest.mark.parametrize(
    "text", ["a", "=1/2", "a=", "a=1", "a=1/x", "a=1/2/3/4", "a=-1/2", "a=nan/2", "a=1e999999/2", "a=inf/1", "a=x"]
)
def test_what_is_no_price_is_said_to_be_none(text: str) -> None:
    with pytest.raises(UsageError, match="is no price: write MODEL=INPUT/OUTPUT"):
        snapshots.stated(text, {"a": Price(1, 1)})


def test_words_are_read_in_order_and_later_ones_win() -> None:
    assert snapshots.asked([], NAMES, KNOWN) == {}
    assert snapshots.asked(["today", "stored"], NAMES, KNOWN) == {}
    halved = snapshots.asked(["scripted/a=x0.5"], NAMES, KNOWN)["scripted/a"]
    assert (halved.input_pusd, halved.output_pusd, halved.cached_pusd) == (1_500_000, 3_500_000, 2)
    both = snapshots.asked(["today", "openai/gpt-4o-mini=x3"], NAMES, KNOWN)
    listed = bundled_price("openai/gpt-4o-mini")
    assert listed is not None and both["openai/gpt-4o-mini"].output_pusd == 3 * listed.output_pusd
    with pytest.raises(UnknownName, match="'scripted/b': did you mean 'scripted/a'"):
        snapshots.asked(["scripted/b=1/2"], NAMES, KNOWN)


def test_a_level_of_service_is_a_word_and_leaves_out_what_the_list_does_not_state() -> None:
    names = {"openai/gpt-5.4": "x", "scripted/a": "y", "deepseek/deepseek-chat": "z"}
    for service, rate in (("batch", 1_250_000), ("flex", 1_250_000), ("priority", 5_000_000)):
        ((name, price),) = snapshots.asked([service], names, KNOWN).items()
        assert (name, price.input_pusd) == ("openai/gpt-5.4", rate)
        assert price.source.endswith(f", {service}")


def test_a_factor_multiplies_every_rate_of_every_tier() -> None:
    price = Price(3, 7, 2, 5, reasoning_pusd=9, request_pusd=100, tiers=(Tier(9, 4, 8, None, 6, 10),))
    doubled = snapshots.scaled({"m": price}, "m", Decimal(2))
    assert replace(doubled, source=price.source, assumed=False) == Price(
        6, 14, 4, 10, reasoning_pusd=18, request_pusd=200, tiers=(Tier(9, 8, 16, None, 12, 20),)
    )


def test_a_stored_price_with_tiers_is_the_newest_with_them(tmp_path: Path) -> None:
    price = Price(3, 7, reasoning_pusd=9, request_pusd=100, tiers=(Tier(9, 4, 8, None, 6, 10),))
    lineup = (("solver", replace(A, price=price)),)
    results = stored([play(planned("output_tokens", 90, "q", lineup=lineup), [Ask(A, 9, 8, 7, 50)])], tmp_path)
    assert listings.newest(results.snapshots()) == {A.identity: price}


def test_the_stored_snapshot_as_a_lens_gives_the_stored_money(tmp_path: Path) -> None:
    lineup = (("solver", A), ("critic", B))
    specs = [planned("output_tokens", 90, f"q{q}", lineup=lineup) for q in range(3)]
    results = stored([play(s, [Ask(A, 9, 8, 7, 50), Ask(B, 5, 4, 3, 50), Say("right")]) for s in specs], tmp_path)
    listed = results.snapshots()
    assert listed.select("name", "model", "n_trials").rows() == [
        ("scripted/a", "scripted/a@1", 3),
        ("scripted/b", "scripted/b@1", 3),
    ]
    prices = listings.newest(listed)
    assert prices == {A.identity: A.price, B.identity: B.price}
    plain = results.measured(None, None, {})[0]
    assert plain.equals(results.measured(None, None, {}, Lens.of(prices))[0])
    assert plain["usd"][0] == pytest.approx((8 * 3 + 7 * 7 + 4 * 2) / 1e12)
    doubled = Lens.of({"scripted/a": snapshots.scaled({"scripted/a": prices[A.identity]}, "scripted/a", Decimal(2))})
    assert results.measured(None, None, {}, doubled)[0]["usd"][0] == pytest.approx((2 * (8 * 3 + 7 * 7) + 4 * 2) / 1e12)


def test_an_unknown_price_is_listed_and_stays_unknown(tmp_path: Path) -> None:
    spec = planned("output_tokens", 90, "q", lineup=(("solver", NO_PRICE),))
    results = stored([play(spec, [Ask(NO_PRICE, 9, 8, 7, 50), Say("right")])], tmp_path)
    assert results.snapshots()["output_pusd"].to_list() == [None]
    assert listings.newest(results.snapshots()) == {}
    assert results.measured(None, None, {}, Lens.of(snapshots.todays([NO_PRICE.name])))[0]["usd"].to_list() == [None]
    assert results.measured(None, None, {}, Lens.of({NO_PRICE.name: Price(1, 2)}))[0]["usd"][0] == pytest.approx(22e-12)
