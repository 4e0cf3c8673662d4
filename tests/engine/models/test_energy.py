"""Energy: the linear form is ecologits' own figure, sizes and grids are what they say, and nothing unknown is zero."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import UnknownName, UsageError
from engine.core.records import Spend
from engine.models import energy
from engine.models import energy as sizes
from engine.models.energy import Between, EnergyRange, EnergyWeights
from tests.support.records import spends

LIBRARY = "ecologits is not installed; `uv sync` brings it with the dev group"


def output_wh(active: float, total: float | None = None) -> float:
    """Wh of one output token."""
    return energy.energy(energy.size(active, total)).low.output_pwh / energy.PWH_PER_WH


@pytest.mark.parametrize(
    ("active", "total"), [(0.135, None), (1, None), (7, None), (70.6, None), (3.3, 30.5), (22, 235), (37, 671)]
)
@pytest.mark.parametrize("tokens", [1, 300, 5000])
def test_the_linear_form_is_what_ecologits_computes(active: float, total: float | None, tokens: int) -> None:
    llm = pytest.importorskip("ecologits.impacts.llm", reason=LIBRARY)
    theirs = llm.compute_llm_impacts(
        model_active_parameter_count=active,
        model_total_parameter_count=total or active,
        output_token_count=tokens,
        if_electricity_mix_adpe=0,
        if_electricity_mix_pe=0,
        if_electricity_mix_gwp=0,
        if_electricity_mix_wue=0,
        datacenter_pue=energy.PUE,
        datacenter_wue=0,
    )
    assert output_wh(active, total) * tokens / 1000 == pytest.approx(theirs.energy.value, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "provider", "model"),
    [
        ("openai/gpt-4o-mini", "openai", "gpt-4o-mini"),
        ("anthropic/claude-haiku-4-5@api.anthropic.com", "anthropic", "claude-haiku-4-5"),
        ("gemini/gemini-2.5-pro", "google_genai", "gemini-2.5-pro"),
        ("mistral/mistral-large-2512", "mistralai", "mistral-large-2512"),
    ],
)
def test_a_known_model_has_ecologits_range_speed_and_first_token(name: str, provider: str, model: str) -> None:
    theirs = pytest.importorskip("ecologits.tracers.utils", reason=LIBRARY)
    found = theirs.llm_impacts(provider=provider, model_name=model, output_token_count=400, request_latency=math.inf)
    weights = sizes.known_energy([name])[name]
    ours = [end.pwh(Spend(calls=1, input_tokens=9000, output_tokens=400)) / 1e15 for end in (weights.low, weights.high)]
    value = found.energy.value
    ends = [value.min, value.max] if hasattr(value, "min") else [value, value]
    assert ours == pytest.approx(ends, rel=1e-6)


def test_the_grid_is_the_librarys_grid() -> None:
    theirs = pytest.importorskip("ecologits.electricity_mix_repository", reason=LIBRARY).electricity_mixes
    known = {zone: theirs.find_electricity_mix(zone).gwp * 1000 for zone in energy.GRID}
    assert dict(energy.GRID) == pytest.approx(known, abs=0.011)


def test_seven_billions_and_three_hundred_tokens_by_hand() -> None:
    gpu = 1.16653e-6 * math.exp(-0.0112059 * 64) * 7 + 4.05293e-5
    seconds = 6.78509e-4 * 7 + 3.11931e-4 * 64 + 1.94737e-2
    by_hand = 1.2 * (seconds / 3600 * 1200 / 8 / 64 + gpu) * 300
    assert output_wh(7) * 300 == pytest.approx(by_hand, rel=1e-5)
    assert by_hand == pytest.approx(0.0264, abs=1e-4)


def test_the_bundled_model_is_known_and_hardly_cheaper_than_one_fifty_times_larger() -> None:
    local = sizes.known_energy(["local/smollm2-135m@b179c9523d0"])["local/smollm2-135m@b179c9523d0"]
    assert local.low == local.high
    assert 0.9 < local.low.output_pwh / energy.PWH_PER_WH / output_wh(7) < 0.91


@pytest.mark.parametrize(("total", "gpus"), [(1, 1), (33.3, 1), (33.4, 2), (70, 4), (405, 16), (671, 32)])
def test_memory_decides_the_gpus_in_powers_of_two(total: float, gpus: int) -> None:
    assert energy._gpus(total) == gpus


@given(spends, spends, *[st.integers(0, 10**12)] * 3)
def test_energy_is_linear_in_the_spend_vector(one: Spend, other: Spend, call: int, given_: int, taken: int) -> None:
    weights = EnergyWeights(call, given_, taken)
    assert weights.pwh(one) + weights.pwh(other) == weights.pwh(one + other)
    assert weights.pwh(Spend(latency_ms=9, cached_tokens=9)) == 0


@given(st.floats(0.01, 2000), st.floats(0, 3), st.floats(0, 1))
def test_an_input_token_costs_its_stated_share_and_nothing_by_default(active: float, more: float, share: float) -> None:
    model = energy.size(active, active * (1 + more))
    assert energy.energy(model).middle.input_pwh == 0
    weights = energy.energy(model, prefill_share=share).low
    assert weights.input_pwh == pytest.approx(share * weights.output_pwh, abs=1)
    assert ("input token" in weights.source) == (share > 0)


def test_a_range_shows_its_ends_and_its_middle_is_labelled() -> None:
    wide = energy.energy(energy.Size(Between(8, 28), Between(8, 28)))
    assert wide.low.output_pwh < wide.middle.output_pwh < wide.high.output_pwh
    assert wide.middle.assumed
    assert not energy.energy(energy.size(8)).middle.assumed
    assert EnergyRange(EnergyWeights(1, 2, 3), EnergyWeights(3, 4, 7)).middle.pwh(Spend(1, 1, 0, 0, 1)) == 2 + 3 + 5


def test_a_kilowatt_hour_of_france_is_its_intensity_and_an_unknown_zone_is_named() -> None:
    assert energy.grams_co2e(1000, "fra") == pytest.approx(41.44)
    assert energy.grams_co2e(500) == pytest.approx(458.29 / 2)
    with pytest.raises(UnknownName, match="'FRX': did you mean 'FRA'"):
        energy.intensity("FRX")


@pytest.mark.parametrize("wrong", [(0, None), (-1, None), (8, 7), (math.nan, None), (math.inf, None)])
def test_what_is_no_size_is_refused(wrong: tuple[float, float | None]) -> None:
    with pytest.raises(UsageError, match="billions of active parameters"):
        energy.size(*wrong)


def test_no_share_beyond_a_whole_token_and_no_pue_below_one() -> None:
    with pytest.raises(UsageError, match="from 0 to 1"):
        energy.energy(energy.size(1), prefill_share=1.5)
    with pytest.raises(UsageError, match="1 to 10"):
        energy.size(1, pue=0.5)


def test_a_model_nobody_knows_has_no_energy_rather_than_none_at_all() -> None:
    assert sizes.known_size("openai/gpt-nobody") is None
    assert sizes.known_energy(["scripted/perfect", "openai/gpt-nobody"]) == {}
