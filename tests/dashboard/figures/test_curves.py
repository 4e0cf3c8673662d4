"""Curves over budgets go on to the budget they were bought under, also where nothing changes on the way."""

from __future__ import annotations

from itertools import pairwise

import pytest

from dashboard import figures, theme
from dashboard.figures.axes import log_scale
from dashboard.figures.ink import empty_figure
from dashboard.figures.lettering import width
from engine.core import text
from tests.support.figure_frames import cell, curve, frame


def test_a_curve_that_is_never_right_runs_from_nothing_to_its_largest_budget() -> None:
    rows = frame(cell(budget=32, accuracy=0.0), cell(budget=256, accuracy=0.0))
    info = figures.curves_info(rows, {"c0": curve((0,), (0.0,))}, axis="total_tokens")
    assert [(stop.budget, stop.y) for stop in info.panels[0].curves[0].stops] == [(0, 0.0), (256, 0.0)]
    assert info.x_scale.fraction(0) < info.x_scale.fraction(32) < info.x_scale.fraction(256) < 1


def test_a_curve_keeps_what_it_had_last_up_to_its_budget_and_no_further_than_it_was_observed() -> None:
    rows = frame(cell(budget=500))
    (whole,) = figures.curves_info(rows, {"c0": curve((10, 200), (0.2, 0.5))}, axis="total_tokens").panels[0].curves
    assert [(stop.budget, stop.y) for stop in whole.stops] == [(10, 0.2), (200, 0.5), (500, 0.5)]
    unsure = curve((10, 200), (0.2, 0.5), censored=3)
    (cut,) = figures.curves_info(rows, {"c0": unsure}, axis="total_tokens").panels[0].curves
    assert [stop.budget for stop in cut.stops] == [10, 200]


@pytest.mark.parametrize("most", [64, 90, 250, 900])
def test_ticks_of_a_short_axis_do_not_touch_on_a_phone(most: int) -> None:
    scale = log_scale([0.0, most], tick=text.number, pixels=240)
    for (one, said), (other, next_said) in pairwise(scale.ticks):
        apart = (scale.fraction(other) - scale.fraction(one)) * 240
        assert apart > (width(said, 12.5) + width(next_said, 12.5)) / 2


def test_what_a_figure_without_data_says_fits_a_phone() -> None:
    figure = empty_figure("No setting here has a scored answer with a known spend on this axis.", theme.LIGHT)
    (said,) = (note.text for note in figure.layout.annotations)
    assert max(width(line, 14) for line in said.split("<br>")) < 352
