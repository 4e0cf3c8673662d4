"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core import text as fmt


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (0.08194, "$0.0819"),
        (1.2, "$1.20"),
        (1230, "$1,230"),
        (1234.5, "$1,234"),
        (0.5, "$0.50"),
        (12.3, "$12.30"),
        (0.0, "$0.00"),
        (0.0009996, "$0.001"),
        (9.999, "$10.00"),
        (999.6, "$1,000"),
        (None, "unknown"),
        (-0.5, "−$0.50"),
        (3.21e-12, "$0.00000000000321"),
    ],
)
def test_money_has_three_significant_digits_and_unknown_is_not_zero(usd: float | None, text: str) -> None:
    assert fmt.money(usd) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (104.2, "104"),
        (1234.5, "1,234"),
        (98765.4, "98,765"),
        (0.0000123, "0.0000123"),
        (8.0, "8"),
        (99.96, "100"),
        (0.5, "0.5"),
        (0, "0"),
        (-0.0, "0"),
        (-1234.5, "−1,234"),
        (None, "unknown"),
        (math.nan, "unknown"),
    ],
)
def test_numbers_have_three_significant_digits_without_trailing_zeros(value: float | None, text: str) -> None:
    assert fmt.number(value) == text


def test_percentages_have_one_decimal_and_differences_a_sign() -> None:
    assert (fmt.percent(0.674), fmt.percent(0.0), fmt.percent(None)) == ("67.4%", "0.0%", "unknown")
    assert (fmt.points(0.032), fmt.points(-0.032)) == ("+3.2 points", "−3.2 points")


@given(st.floats(0, 1))
def test_a_chance_is_never_called_certain_or_impossible(chance: float) -> None:
    assert fmt.share(chance) not in ("100%", "0%")


def test_a_chance_over_ninety_nine_percent_says_so() -> None:
    assert [fmt.share(c) for c in (1.0, 0.991, 0.97, 0.5, 0.004, 0.0)] == [
        "over 99%",
        "over 99%",
        "97%",
        "50%",
        "under 1%",
        "under 1%",
    ]


def test_a_guessed_duration_is_said_in_whole_units() -> None:
    guesses = (20, 13_600, 89_000, 204_600, 1_500_000, 5_500_000, 9_000_000)
    assert [fmt.roughly(ms) for ms in guesses] == ["1 s", "14 s", "89 s", "3 min", "25 min", "2 h", "2 h"]


def test_units_stand_after_a_space_and_durations_choose_theirs() -> None:
    assert fmt.quantity(104, "tokens") == "104 tokens"
    assert [fmt.duration(ms) for ms in (820, 4210, 90_000, 210_000, 7_560_000, None)] == [
        "820 ms",
        "4.21 s",
        "90 s",
        "3.5 min",
        "2.1 h",
        "unknown",
    ]


def test_one_of_something_is_singular() -> None:
    assert [fmt.plural(n, "condition") for n in (0, 1, 1200)] == ["0 conditions", "1 condition", "1,200 conditions"]
    assert fmt.plural(2, "entry", "entries") == "2 entries"


def test_a_distance_is_in_points_and_one_of_them_is_singular() -> None:
    told = [fmt.distance(share) for share in (0.03, 0.01, 0.0025, 0.001, 0.1 + 0.2)]
    assert told == ["3 points", "1 point", "0.25 points", "0.1 points", "30 points"]


def test_budgets_on_the_money_axis_are_pico_dollars() -> None:
    assert fmt.budget(20_000_000_000, "usd") == "$0.02"
    assert [fmt.budget(1024, axis) for axis in ("output_tokens", "total_tokens", "calls")] == [
        "1,024 tokens",
        "1,024 tokens in all",
        "1,024 calls",
    ]
    assert (fmt.budget(1, "calls"), fmt.budget(5 * 10**11, "wh")) == ("1 call", "0.5 Wh")
    assert (fmt.up_to(512, "output_tokens"), fmt.spend(512, "output_tokens")) == (
        "up to 512 tokens",
        "512 output tokens",
    )


@pytest.mark.parametrize(
    ("usd", "text"),
    [(0.05, "$0.05"), (0.5, "$0.50"), (1, "$1"), (1.5, "$1.50"), (1000, "$1,000"), (0.002, "$0.002"), (0, "$0")],
)
def test_money_ticks_are_exact_and_short(usd: float, text: str) -> None:
    assert fmt.money_tick(usd) == text


@given(st.floats(1e-9, 1e9), st.sampled_from([fmt.money, fmt.number]))
def test_rounding_keeps_the_value_within_half_a_unit_of_the_third_digit(value: float, form: object) -> None:
    text = form(value)  # type: ignore[operator]
    shown = float(text.lstrip("$").replace(",", "").replace("−", "-"))
    assert abs(shown - value) <= 0.00501 * value


def test_an_interval_with_a_missing_end_is_left_out() -> None:
    assert fmt.interval(0.1, 0.2, fmt.percent) == "(10.0–20.0)"
    assert fmt.interval(None, 0.2, fmt.percent) == ""


@pytest.mark.parametrize(
    ("value", "axis", "text"),
    [
        (1, "output_tokens", "up to 1 token"),
        (1, "total_tokens", "up to 1 token in all"),
        (1, "calls", "up to 1 call"),
        (2, "calls", "up to 2 calls"),
        (1_000, "output_tokens", "up to 1,000 tokens"),
    ],
)
def test_one_of_what_is_counted_is_no_plural(value: int, axis: str, text: str) -> None:
    assert fmt.up_to(value, axis) == text


def test_a_spend_of_one_is_no_plural_either() -> None:
    assert (fmt.spend(1, "output_tokens"), fmt.spend(1.0, "calls")) == ("1 output token", "1 call")
    assert (fmt.spend(1.5, "calls"), fmt.size(1)) == ("1.5 calls", "1 byte")
