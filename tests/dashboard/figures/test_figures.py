"""Figures: what they compute is compared as data, what they paint is only sampled."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import tomllib
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import figures, theme
from dashboard.figures.axes import Room, accuracy_scale, log_scale
from dashboard.figures.curves import CurvesInfo
from dashboard.figures.frontier import FrontierInfo
from engine.core import names
from engine.core.text import money_tick
from engine.strategies import entries
from tests import ROOT
from tests.support.effort import cases
from tests.support.figure_frames import band_of, cell, curve, frame, line_of, study


def info_of(cells: pl.DataFrame, **asked: Any) -> FrontierInfo:
    x = asked.pop("x", "total_tokens")
    line = line_of(cells, x)
    return figures.frontier_info(cells, line, band_of(line), x=x, **asked)


def marks_of(figure: go.Figure) -> list[Any]:
    return [trace for trace in figure.data if trace.customdata is not None]


def words_of(figure: go.Figure) -> list[str]:
    return [a.text for a in figure.layout.annotations]


# Frontier


def test_the_same_frame_gives_an_equal_info_and_a_changed_one_does_not() -> None:
    cells = study(12)
    assert info_of(cells) == info_of(cells)
    assert info_of(cells) != info_of(cells.with_columns(accuracy=pl.col("accuracy") + 0.01))


def test_the_figure_holds_band_line_marks_and_titles_and_no_legend() -> None:
    figure = figures.frontier_figure(info_of(study(12)))
    fills = [trace for trace in figure.data if trace.fill == "toself"]
    stairs = [trace for trace in figure.data if trace.line.shape == "hv"]
    assert (len(fills), len(stairs)) == (1, 1)
    assert sum(len(trace.x) for trace in marks_of(figure)) == 12
    assert not any(trace.showlegend for trace in figure.data)
    assert any("↖ better" in words for words in words_of(figure))
    assert any("log scale" in words for words in words_of(figure))
    assert figure.layout.xaxis.type == "log"


def test_every_mark_leads_back_to_its_point() -> None:
    cells = study(9)
    figure = figures.frontier_figure(info_of(cells))
    found = {tuple(pair) for trace in marks_of(figure) for pair in trace.customdata}
    assert found == set(cells.select("condition_id", "budget").iter_rows())
    assert all(
        trace.selected.marker.opacity == 1 and trace.unselected.marker.opacity == 0.55 for trace in marks_of(figure)
    )


def test_points_on_the_frontier_are_large_and_alone_have_intervals() -> None:
    rows = [cell(condition_id=k, strategy=k, spend=50 * (i + 1), on_frontier=k == "b") for i, k in enumerate("abc")]
    figure = figures.frontier_figure(info_of(frame(*rows)))
    sizes = {trace.customdata[0][0]: trace.marker.size[0] for trace in marks_of(figure)}
    assert sizes == {"a": 5.5, "b": 13.0, "c": 5.5}
    assert [trace.customdata[0][0] for trace in marks_of(figure) if trace.error_y.array is not None] == ["b"]
    assert [trace.customdata[0][0] for trace in marks_of(figure)][-1] == "b", "large marks are drawn last"


def test_a_partial_point_is_quiet_and_without_verdict() -> None:
    part = cell(condition_id="p", strategy="half", partial=True, n_questions=40, p_frontier=0.99, on_frontier=True)
    info = info_of(frame(cell(), part))
    point = next(p for p in info.points if p.condition_id == "p")
    assert (point.front, point.chance) == (False, None)
    assert "partial: 40 of 100 questions, no verdict" in point.hover
    assert "1 partial, without verdict" in figures.caption_sentence(info)


def test_an_all_wrong_study_is_drawn_on_the_floor() -> None:
    rows = [
        cell(condition_id=str(i), strategy=f"s{i}", spend=100 * (i + 1), accuracy=0.0, on_frontier=i == 0)
        for i in range(3)
    ]
    info = info_of(frame(*rows))
    figure = figures.frontier_figure(info)
    assert [y for trace in marks_of(figure) for y in trace.y] == [0.0, 0.0, 0.0]
    assert info.y_scale.low < 0 < info.y_scale.high, "a mark at zero is not on the edge"


def test_an_empty_frame_becomes_a_sentence() -> None:
    assert words_of(figures.frontier_figure(info_of(frame()))) == [
        "Nothing to show yet: run a study, or widen the<br>filter."
    ]


def test_one_point_is_a_figure_with_ticks_and_its_name() -> None:
    info = info_of(frame(cell(p_frontier=1.0)))
    assert len(info.x_scale.ticks) >= 2
    assert [label.text for label in info.labels] == ["Direct"]


def test_an_unknown_price_hides_a_setting_and_says_so() -> None:
    priced = cell(spend=200)
    free = cell(condition_id="u", strategy="unpriced", usd=None, usd_low=None, usd_high=None)
    info = info_of(frame(priced, free), x="usd")
    assert (len(info.points), info.hidden) == (1, 1)
    assert "1 setting not shown: unknown price or accuracy" in figures.caption_sentence(info)
    alone = figures.frontier_figure(info_of(frame(free), x="usd"))
    assert "known price" in words_of(alone)[0]


def test_a_price_of_zero_has_a_place_on_the_log_axis() -> None:
    info = info_of(frame(cell(usd=0.0, usd_low=0.0, usd_high=0.0), cell(condition_id="b", strategy="b")), x="usd")
    figure = figures.frontier_figure(info)
    drawn = [x for trace in marks_of(figure) for x in trace.x]
    assert len(drawn) == 2 and min(drawn) > 0
    assert info.x_scale.ticks[0] == (info.x_scale.zero, "$0")


def test_money_is_per_thousand_questions_and_assumed_prices_are_named() -> None:
    every = info_of(frame(cell(spend=100, usd_assumed=True)), x="usd")
    assert "assumed" not in figures.caption_sentence(every), "of all of them the axis says it"
    info = info_of(frame(cell(spend=100, usd_assumed=True), cell(condition_id="b", spend=200)), x="usd")
    assert info.points[0].x == pytest.approx(0.1)
    assert any("assumed prices" in words for words in words_of(figures.frontier_figure(info)))
    assert "(assumed price)" in info.points[0].hover
    assert "assumed" in figures.caption_sentence(info)


def test_the_hover_text_has_every_number_with_its_interval_and_n() -> None:
    info = info_of(frame(cell(spend=104, accuracy=0.674, p_frontier=0.97, n_exhausted=27, n_right=67, n_wrong=33)))
    text = re.sub("<[^>]*>", "", info.points[0].hover)
    for part in ("67%", "(62–72)", "104", "tokens per question", "27% cut off", "97% chance", "n = 100 questions"):
        assert part in text, text


def test_the_hover_text_says_whether_the_mechanism_fired_and_has_no_empty_line_where_nobody_knows() -> None:
    facts = "estimate read: 0.0% (0.0–11.7) of 30 questions; told budget kept: 40.0% (24.6–57.7) of 30 questions"
    told, silent = (
        info_of(frame(cell(mechanism=said, idle=idle))).points[0].hover.split("<br>")
        for said, idle in ((facts, True), (None, None))
    )
    assert [line for line in silent if not re.sub("<[^>]*>", "", line)] == []
    said = [re.sub("<[^>]*>", "", line) for line in told]
    assert said[said.index(names.IDLE) + 1 :][:2] == facts.split("; ")


def test_budgets_of_one_setting_are_one_curve_named_once_at_its_end() -> None:
    rows = [cell(budget=b, spend=b, accuracy=0.1 + b / 5000) for b in (64, 1024, 256)]
    info = info_of(frame(*rows, cell(condition_id="lone", strategy="lone", spend=90)))
    assert [[info.points[i].budget for i in curve] for curve in info.curves] == [[64, 256, 1024], [1024]]
    lines = [t for t in figures.frontier_figure(info).data if t.mode == "lines" and t.line.width == 1.6]
    assert sorted(len(line.x) for line in lines) == [1, 3]
    named = {label.text: info.points[label.point].budget for label in info.labels}
    assert named == {"Direct": 1024, "Lone": 1024}


def test_budgets_are_told_on_a_curve_with_three_or_more_points_on_the_frontier() -> None:
    def texts(front: int, narrow: bool = False) -> set[str]:
        rows = [
            cell(budget=b, spend=b, accuracy=0.1 + 0.2 * i, on_frontier=i < front) for i, b in enumerate((64, 256, 999))
        ]
        return {label.text for label in info_of(frame(*rows), room="narrow" if narrow else "wide").labels}

    assert texts(2) == {"Direct"}
    assert texts(3) == {"Direct", "up to 64", "up to 256", "up to 999"}
    assert texts(3, narrow=True) == {"Direct", "up to 64", "up to 256"}


def test_of_more_than_twelve_curves_only_those_on_the_frontier_keep_colour_and_name() -> None:
    rows = [
        cell(condition_id=f"c{i}", strategy=f"plugin_{i}", spend=20 + 9 * i, accuracy=0.3, on_frontier=i == 4)
        for i in range(14)
    ]
    info = info_of(frame(*rows))
    assert [label.text for label in info.labels] == ["Plugin 4"]
    colours = {trace.customdata[0][0]: trace.marker.color for trace in marks_of(figures.frontier_figure(info))}
    grey = theme.LIGHT.axis
    assert [trace.marker.color for trace in marks_of(figures.frontier_figure(info))].count(grey) == 1
    assert colours["c4"] != grey
    assert all("Plugin" in point.hover for point in info.points), "the others are named on hover"


def test_handles_bound_the_accepted_corner_and_say_what_they_ask() -> None:
    handles = figures.Handles(most=300.0, least=0.6)
    figure = figures.frontier_figure(info_of(study(8), handles=handles))
    assert {"spend at most 300", "reach at least 60%"} <= set(words_of(figure))
    (corner,) = [t for t in figure.data if t.fill == "toself" and t.fillcolor == theme.fade(theme.LIGHT.primary, 0.055)]
    assert (max(corner.x), min(corner.y)) == (300.0, 0.6)
    assert not [w for w in words_of(figures.frontier_figure(info_of(study(8)))) if "at most" in w or "at least" in w]


def test_the_selected_point_wears_a_ring_and_its_interval() -> None:
    cells = frame(cell(budget=64, spend=20), cell(budget=256, spend=80))
    info = info_of(cells)
    figure = figures.frontier_figure(figures.select(info, ("c0", 256)))
    (ring,) = [t for t in figure.data if t.mode == "markers" and t.marker.symbol == "circle-open"]
    assert tuple(ring.y) == (0.5,) and ring.error_y.array is not None
    assert figures.select(info, ("gone", 1)) == info


def test_several_models_have_a_key_of_shapes_and_are_named_after_the_strategy() -> None:
    rows = [cell(condition_id=m, model=f"a/{m}", spend=40 * (i + 1)) for i, m in enumerate(("one", "two"))]
    info = info_of(frame(*rows))
    assert {(label.text, label.model) for label in info.labels} == {("Direct", "one"), ("Direct", "two")}
    assert any("● one" in words and "■ two" in words for words in words_of(figures.frontier_figure(info)))
    assert not [label for label in info_of(frame(rows[0])).labels if label.model]


def test_hostile_names_are_shown_letter_by_letter() -> None:
    bad = '<a href="javascript:alert(1)">x</a><b>%{x} &lt; $y$'
    info = info_of(
        frame(cell(strategy=bad, model=bad, task=bad, p_frontier=0.9), cell(condition_id="d", model="m<br>n"))
    )
    curves = figures.curves_info(
        frame(cell(strategy=bad, task=bad)), {"c0": curve((8, 64), (0.1, 0.4))}, axis="total_tokens"
    )
    for figure in (figures.frontier_figure(info), figures.curves_figure(curves)):
        texts = [
            *words_of(figure),
            *(t.name or "" for t in figure.data),
            *(h for t in marks_of(figure) for h in t.hovertext),
        ]
        assert not any("<a" in text or "<b>%" in text or "<br>n" in text or "$y$" in text for text in texts)


def test_colours_and_shapes_stay_put_when_rows_are_filtered() -> None:
    cells = study(24)
    roster = {"models": sorted(set(cells["model"])), "strategies": sorted(set(cells["strategy"]))}
    whole, part = info_of(cells, **roster), info_of(cells.tail(5), **roster)
    looks = {p.condition_id: (p.colour, p.shape) for p in whole.points}
    assert all(looks[p.condition_id] == (p.colour, p.shape) for p in part.points)


def test_the_caption_names_task_model_and_n_and_the_key_what_marks_mean() -> None:
    info = info_of(frame(cell(), cell(condition_id="b", strategy="b", spend=50)))
    assert figures.caption_sentence(info) == "sums · tiny · n = 100 questions"
    (key,) = [words for words in words_of(figures.frontier_figure(info)) if "●" in words]
    for part in ("on the frontier", "other budget", "where the frontier may be (80%)", "95% interval"):
        assert part in key
    # What the key has no room for.
    for count, room, told in ((5, "wide", True), (4, "wide", False), (2, "phone", True)):
        models = [f"m{i}" for i in range(count)]
        info = info_of(frame(*(cell(condition_id=name, model=name) for name in models)), models=models, room=room)
        shapes = theme.model_shapes(models).items()
        assert {f"{shape.glyph} {name}" in figures.caption_sentence(info) for name, shape in shapes} == {told}


def test_a_hull_is_a_straight_line_bent_by_the_log_axis() -> None:
    line = pl.DataFrame({"x": [10.0, 1000.0], "accuracy": [0.2, 0.8]})
    info = figures.frontier_info(study(6), line, x="total_tokens", kind="hull")
    middle = next(y for x, y in info.line if x == pytest.approx(505))
    assert middle == pytest.approx(0.5) and len(info.line) > 10
    assert "convex hull" in figures.caption_sentence(info)
    figure = figures.frontier_figure(info)
    assert not [trace for trace in figure.data if trace.line.shape == "hv"]


@pytest.mark.parametrize(
    ("guess", "chance", "lines"),
    [
        (0.55, 0.25, ((0.55, "one fixed answer"), (0.25, "chance"))),
        (0.26, 0.25, ((0.26, "one fixed answer, chance"),)),
        (0.55, None, ((0.55, "one fixed answer"),)),
        (None, None, ()),
    ],
)
def test_what_is_scored_without_reading_the_questions_is_a_line_in_sight(guess, chance, lines) -> None:
    cells = study(6).with_columns(guess=pl.lit(guess, pl.Float64), chance=pl.lit(chance, pl.Float64))
    info = figures.frontier_info(cells, line_of(cells), x="total_tokens")
    assert info.baselines == lines
    assert all(info.y_scale.low <= at <= info.y_scale.high for at, _ in lines)
    figure = figures.frontier_figure(info)
    assert [trace.y[0] for trace in figure.data if trace.mode == "lines" and trace.line.dash == "dot"] == [
        at for at, _ in lines
    ]
    said = [note.text for note in figure.layout.annotations]
    assert all(any(text.startswith(words) for text in said) for _, words in lines)


def test_of_several_tasks_at_once_no_line_could_hold_for_all() -> None:
    cells = pl.concat([study(3), study(3).with_columns(task=pl.lit("other"))]).with_columns(guess=0.5, chance=0.2)
    assert figures.frontier_info(cells, None, x="total_tokens").baselines == ()


def test_a_figure_of_many_cells_uses_webgl() -> None:
    line = line_of(cells := study(1200))
    figure = figures.frontier_figure(figures.frontier_info(cells, line, x="total_tokens"))
    assert {trace.type for trace in marks_of(figure) if trace.marker.size[0] < 6} == {"scattergl"}


numbers = st.none() | st.floats(0, 1e6)


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    rows = []
    for i in range(draw(st.integers(0, 7))):
        accuracy = draw(st.none() | st.floats(0, 1))
        spends = {n: draw(numbers) for n in ("usd", "total_tokens", "calls")}
        rows.append(
            cell(
                condition_id=f"c{i % 4}",
                strategy=draw(st.text(max_size=12)),
                model=draw(st.text(max_size=12)),
                budget=i,
                simulated=draw(st.booleans()),
                partial=draw(st.booleans()),
                p_frontier=draw(st.none() | st.floats(0, 1)),
                accuracy=accuracy,
                params=draw(st.sampled_from(["{}", '{"k": 1}', "not json", "[1]"])),
                **spends,
            )
        )
    return frame(*rows)


@cases(40)
@given(frames(), st.sampled_from(["usd", "total_tokens", "calls", "latency_ms"]), st.booleans())
def test_any_frame_becomes_a_figure_and_no_cell_is_lost(cells: pl.DataFrame, x: str, dark: bool) -> None:
    info = info_of(cells, x=x, dark=dark)
    figure = figures.frontier_figure(info)
    assert sum(len(trace.x) for trace in marks_of(figure)) == cells.drop_nulls([x, "accuracy"]).height
    assert len(figure.to_json()) > 100
    assert bool(figures.caption_sentence(info)) == bool(info.points)
    assert all(0 <= info.x_scale.fraction(p.x) <= 1 and 0 <= info.y_scale.fraction(p.y) <= 1 for p in info.points)


# Curves


def curves_of(tasks: int, *, room: Room = "wide") -> CurvesInfo:
    rows = [cell(condition_id=f"c{t}", task=f"task {t:02}") for t in range(tasks)]
    told = [
        cell(condition_id=f"t{t}{b}", task=f"task {t:02}", strategy="told_budget", anytime=False, budget=b)
        for t in range(tasks)
        for b in (32, 128)
    ]
    known = {f"c{t}": curve((8, 64, 256), (0.0, 0.4, 0.6), censored=7) for t in range(tasks)}
    return figures.curves_info(frame(*rows, *told), known, axis="total_tokens", room=room)


@pytest.mark.parametrize(
    ("tasks", "room", "grid"),
    [(1, "wide", (1, 1)), (4, "wide", (2, 2)), (5, "narrow", (2, 3)), (12, "wide", (3, 4)), (3, "phone", (1, 3))],
)
def test_curves_come_in_one_panel_per_task(tasks: int, room: Room, grid: tuple[int, int]) -> None:
    info = curves_of(tasks, room=room)
    assert (info.tiling.columns, info.tiling.rows) == grid
    figure = figures.curves_figure(info)
    assert sum("task" in words for words in words_of(figure)) == tasks
    assert figure.layout.height == info.tiling.height


def test_only_the_curve_that_ends_highest_wears_its_band() -> None:
    known = {"c0": curve((8, 64), (0.1, 0.2)), "c1": curve((8, 64), (0.0, 0.6))}
    rows = frame(cell(condition_id="c0"), cell(condition_id="c1", strategy="chain_of_thought"))
    info = figures.curves_info(rows, known, axis="total_tokens")
    (band,) = [trace for trace in figures.curves_figure(info).data if trace.fill == "toself"]
    assert max(band.y) >= 0.6
    assert min(band.x) == info.x_scale.place(64), "before the first right answer there is nothing to be unsure of"


def test_a_curve_is_dotted_where_trials_were_not_observed_and_says_its_n() -> None:
    info = curves_of(1)
    figure = figures.curves_figure(info)
    assert {t.line.dash for t in figure.data if t.mode == "lines" and t.line.shape == "hv"} == {"solid", "dot"}
    hovers = [h for trace in marks_of(figure) for h in trace.hovertext]
    assert any("7 not observed this far" in h for h in hovers) and all("n = 100 questions" in h for h in hovers)
    assert "dotted" in figures.curves_caption(info)


def test_a_curve_ends_where_under_half_of_its_questions_are_observed() -> None:
    known = curve((8, 64, 256, 512), (0.1, 0.4, 0.6, 1.0)).with_columns(n=pl.Series([100, 90, 50, 49]))
    (drawn,) = figures.curves_info(frame(cell()), {"c0": known}, axis="total_tokens").panels[0].curves
    assert [stop.budget for stop in drawn.stops] == [8, 64, 256]


def test_strategies_that_plan_with_their_budget_are_dots_that_lead_to_their_own_condition() -> None:
    dots = next(c for c in curves_of(1).panels[0].curves if c.dots)
    assert (dots.name, dots.ids) == ("Stated budget", ("t032", "t0128"))


def test_an_accuracy_of_zero_is_on_the_curve() -> None:
    info = curves_of(1)
    assert info.panels[0].curves[0].stops[0].y == 0.0 and info.y_scale.low < 0


def test_money_budgets_are_shown_in_dollars() -> None:
    rows = frame(cell(axis="usd", budget=2_000_000_000))
    info = figures.curves_info(rows, {"c0": curve((1_000_000_000, 2_000_000_000), (0.2, 0.3))}, axis="usd")
    assert [stop.x for stop in info.panels[0].curves[0].stops] == pytest.approx([0.001, 0.002])


def test_curves_without_a_row_become_a_sentence_and_equal_input_an_equal_info() -> None:
    empty = figures.curves_info(frame(), {}, axis="calls")
    assert "No curve" in words_of(figures.curves_figure(empty))[0]
    assert curves_of(2) == curves_of(2)


# Scales


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=20), st.floats(100, 1800))
def test_every_value_is_inside_a_log_axis_and_its_ticks_too(values: list[float], pixels: float) -> None:
    scale = log_scale(values, tick=money_tick, pixels=pixels)
    assert all(0 <= scale.fraction(v) <= 1 for v in values)
    assert all(-1e-9 <= scale.fraction(v) <= 1 + 1e-9 for v, _ in scale.ticks)
    assert 1 <= len(scale.ticks) <= max(12, pixels / 20)


def test_ticks_are_one_two_five() -> None:
    scale = log_scale([0.02, 21], tick=money_tick, pixels=900)
    assert [text for _, text in scale.ticks][-4:] == ["$2", "$5", "$10", "$20"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_accuracy_axis_holds_the_data_in_steps_of_ten_points(values: list[float]) -> None:
    scale = accuracy_scale(values)
    assert scale.low <= min(values) and max(values) <= scale.high
    assert all(float(text.rstrip("%")).is_integer() for _, text in scale.ticks)


def test_the_accuracy_axis_is_not_forced_to_zero() -> None:
    assert accuracy_scale([0.36, 0.95]).low == pytest.approx(0.3)


# Theme


def channels(colour: str) -> Any:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def linear(rgb: Any) -> Any:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio."""
    light = sorted(float(linear(channels(c)) @ (0.2126, 0.7152, 0.0722)) for c in (one, other))
    return (light[1] + 0.05) / (light[0] + 0.05)


@pytest.mark.parametrize("inks", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_every_colour_stands_out_from_its_background(inks: theme.Inks) -> None:
    dark = inks is theme.DARK
    marks = theme.strategy_colours(theme.STRATEGIES, dark=dark)
    labels = theme.label_colours(theme.STRATEGIES, dark=dark)
    assert len(set(marks.values())) == len(marks) == len(theme.STRATEGIES)
    assert min(contrast(mark, inks.background) for mark in marks.values()) >= 3.0
    assert min(contrast(label, inks.background) for label in labels.values()) >= 4.5
    assert contrast(inks.text, inks.background) >= 7 and contrast(inks.muted, inks.background) >= 4.5


BLINDNESS = {
    "none": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def lab(colour: str, sight: Any) -> Any:
    xyz = TO_XYZ @ np.clip(sight @ linear(channels(colour)), 0, 1) / (0.95047, 1, 1.08883)
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def difference(one: Any, other: Any) -> float:
    """CIEDE2000."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 1.5 - 0.5 * np.sqrt(mean**7 / (mean**7 + 25.0**7))
    c1, c2 = np.hypot(a1 * g, b1), np.hypot(a2 * g, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1 * g)) % 360, np.degrees(np.arctan2(b2, a2 * g)) % 360
    turn = (h2 - h1 + 180) % 360 - 180
    dl, dc, dh = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    level, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    hue = (h1 + turn / 2) % 360
    t = (
        1
        - 0.17 * np.cos(np.radians(hue - 30))
        + 0.24 * np.cos(np.radians(2 * hue))
        + 0.32 * np.cos(np.radians(3 * hue + 6))
        - 0.2 * np.cos(np.radians(4 * hue - 63))
    )
    sl = 1 + 0.015 * (level - 50) ** 2 / np.sqrt(20 + (level - 50) ** 2)
    sc, sh = 1 + 0.045 * chroma, 1 + 0.015 * chroma * t
    rt = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    return float(np.sqrt((dl / sl) ** 2 + (dc / sc) ** 2 + (dh / sh) ** 2 + rt * dc / sc * dh / sh))


def test_the_colour_difference_agrees_with_published_pairs() -> None:
    assert difference((50, 2.6772, -79.7751), (50, 0, -82.7485)) == pytest.approx(2.0425, abs=1e-4)
    assert difference((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387)) == pytest.approx(1.2644, abs=1e-4)


@pytest.mark.parametrize("sight", BLINDNESS)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_any_two_of_the_ten_drawn_colours_can_be_told_apart(dark: bool, sight: str) -> None:
    marks = theme.strategy_colours([*theme.STRATEGIES][:10], dark=dark)
    seen = [lab(mark, BLINDNESS[sight]) for mark in marks.values()]
    assert min(difference(a, b) for a, b in itertools.combinations(seen, 2)) >= 10


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_strategies_of_different_families_are_ten_apart(dark: bool) -> None:
    known = {name: entry.family for name, entry in entries().items() if name in theme.STRATEGIES}
    assert len(known) == len(theme.STRATEGIES) >= 37
    marks = {name: lab(mark, np.eye(3)) for name, mark in theme.strategy_colours(known, dark=dark).items()}
    apart = [difference(marks[a], marks[b]) for a, b in itertools.combinations(known, 2) if known[a] != known[b]]
    assert min(apart) >= 10


def hue(colour: str) -> float:
    """OKLCH hue in degrees."""
    rgb = linear(channels(colour))
    cones = np.cbrt(
        np.array(
            [
                [0.41222147, 0.53633254, 0.05144599],
                [0.21190350, 0.68069955, 0.10739696],
                [0.08830246, 0.28171884, 0.62997870],
            ]
        )
        @ rgb
    )
    a, b = np.array([[1.97799850, -2.42859220, 0.45059371], [0.02590404, 0.78277177, -0.80867577]]) @ cones
    return float(np.degrees(np.arctan2(b, a)) % 360)


def test_a_strategy_has_the_same_hue_in_both_themes_and_in_its_label() -> None:
    for name, (light, light_label, dark, dark_label) in theme.STRATEGIES.items():
        turned = [(light, dark)] + ([(light, light_label), (dark, dark_label)] if name != "direct" else [])
        for one, other in turned:
            assert abs((hue(one) - hue(other) + 180) % 360 - 180) <= 12, (name, one, other)


def test_a_strategy_keeps_its_colour_whatever_else_is_shown() -> None:
    alone = [theme.strategy_colours([name])[name] for name in ("direct", "zeta", "alpha")]
    assert alone == [theme.strategy_colours(["direct", "zeta", "alpha"])[name] for name in ("direct", "zeta", "alpha")]
    assert theme.strategy_colours(["direct"]) == {"direct": "#737a85"}


def test_eight_models_have_eight_shapes() -> None:
    assert len(set(theme.model_shapes(f"m{i}" for i in range(8)).values())) == 8


def test_the_streamlit_theme_has_the_inks_of_the_figures() -> None:
    config = tomllib.loads((ROOT / "dashboard/.streamlit/config.toml").read_text())
    for name, inks in (("light", theme.LIGHT), ("dark", theme.DARK)):
        written = config["theme"][name]
        assert (written["backgroundColor"], written["textColor"]) == (inks.background, inks.text)
        assert (written["primaryColor"], written["secondaryBackgroundColor"]) == (inks.primary, inks.secondary)
        assert written["borderColor"] == inks.border
    assert config["server"]["address"] == "127.0.0.1" and config["browser"]["gatherUsageStats"] is False


def test_figures_never_load_streamlit_or_the_database() -> None:
    code = (
        "import sys, dashboard.figures; print(sorted({'streamlit', 'duckdb', 'litellm', 'polars'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_shape_can_be_drawn_whole_and_as_a_partial_point() -> None:
    for shape in theme.SHAPES:
        go.Scatter(marker={"symbol": [shape.symbol, f"{shape.symbol}-open-dot"]})


@given(st.integers(0, 0xFFFFFF))
def test_what_is_written_on_a_colour_is_legible(colour: int) -> None:
    ground = f"#{colour:06x}"
    assert contrast(theme.ink_on(ground), ground) >= 4.5
