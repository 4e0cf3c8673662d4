"""Labels never cover one another, and names cannot smuggle markup into a figure."""

from __future__ import annotations

import itertools
import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import figures
from dashboard.figures.axes import Room
from dashboard.figures.ends import PITCH, end_labels
from dashboard.figures.frontier import FrontierInfo, Handles, frontier_info
from dashboard.figures.labels import HEIGHT, RIGHT, SIZE, SMALL, UP_LEFT, Ask, Place, Plane, Scene, place
from dashboard.figures.lettering import plain, safe, short_model, width
from dashboard.figures.names import name_rows
from dashboard.figures.tiling import tiling_for
from tests.support.figure_frames import cell, curve, frame, line_of, study

Box = tuple[float, float, float, float]


def layout(labels: int, wide: float, seed: int) -> tuple[list[Ask], Scene]:
    """Labels at random spots of a plot 400 pixels high."""
    rng = np.random.default_rng(seed)
    spots = [(float(x), float(y)) for x, y in rng.uniform((20, 20), (wide - 20, 380), (labels, 2))]
    asks = [
        Ask(x, y, 7, float(rng.uniform(50, 160)), 16, UP_LEFT if i % 2 else RIGHT) for i, (x, y) in enumerate(spots)
    ]
    bars = tuple((x, y - 30, x, y + 30, 0.5) for x, y in spots)
    return asks, Scene(wide, 400, tuple((x, y, 7.0) for x, y in spots), bars)


def box_of(ask: Ask, spot: Place) -> Box:
    x, y = ask.x + spot.dx, ask.y + spot.dy
    return x - ask.width / 2, y - ask.height / 2, x + ask.width / 2, y + ask.height / 2


def overlaps(boxes: list[Box]) -> int:
    return sum(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for a, b in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("labels", "wide"), [(18, 900), (30, 900), (30, 644)])
def test_no_two_labels_overlap_and_all_are_inside(labels: int, wide: float, seed: int) -> None:
    asks, scene = layout(labels, wide, seed)
    found = place(asks, scene)
    boxes = [box_of(ask, spot) for ask, spot in zip(asks, found, strict=True) if spot]
    assert overlaps(boxes) == 0
    assert all(x0 >= 0 and y0 >= 0 and x1 <= wide + 0.1 and y1 <= 400.1 for x0, y0, x1, y1 in boxes)
    assert len(boxes) >= labels - 1, "hardly any label is left out"


def test_the_same_labels_always_get_the_same_places() -> None:
    asks, scene = layout(30, 900, 5)
    assert place(asks, scene) == place(asks, scene)


def test_thirty_labels_are_placed_in_well_under_two_seconds() -> None:
    asks, scene = layout(30, 644, 9)
    start = time.process_time()
    place(asks, scene)
    assert time.process_time() - start < 2.0


def test_labels_that_cannot_all_fit_are_left_out_from_the_least_important() -> None:
    asks = [Ask(120, 40, 6, 90, 16) for _ in range(20)]
    found = place(asks, Scene(240, 80, ((120, 40, 6),)))
    boxes = [box_of(ask, spot) for ask, spot in zip(asks, found, strict=True) if spot]
    assert overlaps(boxes) == 0 and 4 <= len(boxes) < 20


def test_only_labels_far_from_their_mark_get_a_leader() -> None:
    asks, scene = layout(1, 900, 0)
    spot = place(asks, scene)[0]
    assert spot is not None and not spot.leader


def drawn_boxes(info: FrontierInfo) -> list[Box]:
    plane = Plane(info.x_scale, info.y_scale, *info.box.plot)
    boxes = []
    for label in info.labels:
        point = info.points[label.point]
        x, y = plane.at(point.x, point.y)
        wide = width(label.text, SIZE if label.name else SMALL, bold=label.bold)
        wide += width(f" · {label.model}", SIZE) if label.model else 0
        boxes.append(box_of(Ask(x, y, 0, wide, HEIGHT), Place(label.dx, label.dy, label.leader)))
    return boxes


def test_the_name_of_a_curve_stands_beside_the_interval_of_its_last_point_and_not_across_it() -> None:
    spends = (60.0, 120.0, 200.0)
    shared = {"strategy": "self_consistency", "params": '{"samples": 12}', "on_frontier": True}
    rows = [cell(spend=spend, accuracy=0.3 + 0.15 * i, budget=64 << i, **shared) for i, spend in enumerate(spends)]
    # A budget that hardly adds anything: the name stands where the curve left the frontier.
    rows.append(cell(spend=206.0, accuracy=0.6, budget=512, **shared | {"on_frontier": False}))
    cells = pl.DataFrame([row | {"accuracy_low": 0.1, "accuracy_high": 0.9, "guess": 0.65} for row in rows])
    info = frontier_info(cells, line_of(cells.filter("on_frontier")), x="total_tokens")
    plane = Plane(info.x_scale, info.y_scale, *info.box.plot)
    upright = [plane.at(p.x, p.y)[0] for p in info.points if p.front]
    level = plane.at(1, 0.65)[1]
    assert not [box for box in drawn_boxes(info) if box[1] < level < box[3]], "no baseline strikes a name out"
    assert len(info.labels) == 4
    assert not [(box, x) for box in drawn_boxes(info) for x in upright if box[0] < x < box[2]]


def test_budgets_that_gave_the_same_are_one_point_and_not_named_one_under_the_other() -> None:
    cells = pl.DataFrame([cell(budget=32 << i, on_frontier=True) for i in range(5)])
    info = frontier_info(cells, line_of(cells.head(1)), x="total_tokens")
    assert [label.name for label in info.labels] == [True]


@pytest.mark.parametrize("room", ["wide", "narrow"])
@pytest.mark.parametrize("seed", range(3))
def test_thirty_settings_are_labelled_without_overlap_and_clear_of_the_chips(room: Room, seed: int) -> None:
    cells = study(30, seed)
    cells = cells.with_columns(on_frontier=cells["p_frontier"] > 0.5)
    handles = Handles(most=float(cells["total_tokens"].quantile(0.7) or 0), least=0.5)
    info = frontier_info(cells, line_of(cells), x="total_tokens", handles=handles, room=room)
    across, high = info.box.plot
    boxes = drawn_boxes(info)
    assert overlaps(boxes) == 0
    assert all(x0 >= 0 and y0 >= 0 and x1 <= across + 0.1 and y1 <= high + 0.1 for x0, y0, x1, y1 in boxes)
    wanted = sum(info.named)
    assert 0 < len([label for label in info.labels if label.name]) <= wanted
    assert len([label for label in info.labels if label.name]) >= wanted - 2


@given(st.lists(st.tuples(st.floats(0, 500), st.floats(-5, 245)), max_size=40))
def test_no_name_at_the_end_of_a_line_covers_another(ends: list[tuple[float, float]]) -> None:
    tiling, name = tiling_for(6, ["some strategy"]), "some strategy"
    found = end_labels(ends, [name] * len(ends), tiling)
    boxes = [label.box(ends[label.line], width(name, 12)) for label in found]
    for one, other in itertools.combinations(boxes, 2):
        beside = one[0] >= other[2] or other[0] >= one[2]
        assert beside or abs(one[1] - other[1]) >= PITCH - 0.3
    assert len(found) <= min(len(ends), int(tiling.high // PITCH))


def test_a_line_that_ends_by_itself_is_named_there_and_those_that_end_together_in_a_column_near_by() -> None:
    tiling = tiling_for(1, ["some strategy"])
    # One is alone at the left; three are crowded; the last goes on far to the right, above them.
    ends = [(100.0, 60.0), (300.0, 200.0), (303.0, 204.0), (306.0, 208.0), (600.0, 40.0)]
    lines = [[(0.0, 250.0), end] for end in ends]
    found = {label.line: label for label in end_labels(ends, ["some strategy"] * 5, tiling, lines)}
    assert {i for i, label in found.items() if label.leader} == {1, 2, 3}
    assert abs(found[0].dx) < 100 and abs(found[4].dx) < 100
    level = {
        label.line: label.dy for label in end_labels([(x, 9.0) for x in (300, 306, 312)], ["some strategy"] * 3, tiling)
    }
    assert level[2] < level[1] < level[0]
    columns = {round(ends[i][0] + found[i].dx) for i in (1, 2, 3)}
    assert len(columns) == 1 and max(columns) < 400


def test_a_name_covers_no_line_where_there_is_room() -> None:
    tiling = tiling_for(1, ["some strategy"])
    (label,) = end_labels([(100.0, 100.0)], ["some strategy"], tiling, [[(100.0, 100.0), (300.0, 100.0)]])
    left, top, right, foot = label.box((100.0, 100.0), width("some strategy", 12))
    assert not label.leader and not (top < 100 < foot and left < 300 and right > 100)


@given(st.text())
def test_no_text_keeps_a_tag_an_entity_or_a_formula(text: str) -> None:
    shown = safe(plain(text))
    assert not set("<>$\n\r\t") & set(shown)
    shown.encode("utf-8")
    bare = shown.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "").replace("&#36;", "").replace("&#123;", "")
    assert "&" not in bare


def test_long_names_are_cut_with_an_ellipsis_and_bidi_marks_are_gone() -> None:
    assert plain("x" * 99).endswith("…") and len(plain("x" * 99)) == 44
    assert plain("a\u202eb\ud800c\n d") == "abc d"


def test_models_are_called_by_the_last_part_of_their_name() -> None:
    assert short_model("openai/gpt-4o-mini") == "gpt-4o-mini"
    assert short_model("local/smollm2@abc123") == "smollm2"


def test_bold_text_is_wider_and_cjk_characters_take_a_full_square() -> None:
    assert width("self_consistency", 12.5, bold=True) > width("self_consistency", 12.5) > 80
    assert width("中文", 10) == 20


def shorts(*rows: dict[str, object]) -> list[str]:
    return [name.short for name in name_rows(rows)]


def test_a_name_says_no_more_than_tells_cells_apart() -> None:
    assert shorts(cell()) == ["Direct"]
    assert shorts(cell(), cell(model="x/big")) == ["Direct · tiny", "Direct · big"]
    assert shorts(cell(), cell(task="words")) == ["Direct · sums", "Direct · words"]


def test_budgets_are_named_when_a_condition_is_shown_at_several() -> None:
    assert shorts(cell(budget=64), cell(budget=2048)) == [
        "Direct, up to 64 tokens in all",
        "Direct, up to 2,048 tokens in all",
    ]
    assert shorts(cell(budget=64), cell(budget=2048, strategy="tale_ep")) == ["Direct", "TALE"]


def test_parameters_are_named_where_they_differ_and_only_those() -> None:
    few, many = '{"samples": 4, "chain_tokens": 512}', '{"samples": 16, "chain_tokens": 512}'
    assert shorts(cell(params=few), cell(params=many)) == ["Direct ×4", "Direct ×16"]


def test_simulated_models_are_marked_in_the_label() -> None:
    assert shorts(cell(simulated=True)) == ["Direct · simulated"]
    assert shorts(cell(simulated=True), cell(model="x/big")) == ["Direct · tiny (simulated)", "Direct · big"]


def test_two_models_that_end_alike_keep_their_full_names() -> None:
    assert shorts(cell(model="a/m"), cell(model="b/m")) == ["Direct · a/m", "Direct · b/m"]


def test_names_of_many_panels_and_models_stand_whole_and_every_column_has_its_ticks() -> None:
    models = ("local/smollm2-135m", "x/qwen2.5-coder-0.5b", "x/qwen2.5-coder-1.5b")
    asked = itertools.product(("a", "b", "c", "d", "e"), models, ("direct", "chain_of_thought"))
    rows = [
        cell(condition_id=f"c{at}", task=task, model=model, strategy=strategy)
        for at, (task, model, strategy) in enumerate(asked)
    ]
    known = {row["condition_id"]: curve((8, 64), (0.1, 0.2)) for row in rows}
    info = figures.curves_info(frame(*rows), known, axis="total_tokens", models=models)
    drawn = {each.name for panel in info.panels for each in panel.curves}
    assert len(drawn) == 6 and "Chain of thought ◆" in drawn
    assert "● SmolLM2 135M, ■ Qwen2.5 Coder 0.5B, ◆ Qwen2.5 Coder 1.5B" in figures.curves_caption(info)
    figure = figures.curves_figure(info)
    assert not any("…" in note.text for note in figure.layout.annotations)
    # Three in a row, two below: the third has nothing under it.
    told = [figure.layout[f"xaxis{at or ''}"].showticklabels for at in ("", 2, 3, 4, 5)]
    assert told == [False, False, True, True, True]


def test_the_name_of_a_curve_stands_on_no_baseline_and_those_of_two_baselines_keep_clear_of_each_other() -> None:
    rows = [
        cell(condition_id=f"c{i}", strategy=name)
        for i, name in enumerate(("direct", "self_refine", "chain_of_thought"))
    ]
    ends = {f"c{i}": curve((8, 64), (0.0, end)) for i, end in enumerate((0.9, 0.22, 0.05))}
    cells = frame(*rows).with_columns(guess=pl.lit(0.23), chance=pl.lit(0.2))
    info = figures.curves_info(cells, ends, axis="total_tokens")
    # The curve ends at 22%, three pixels from the line at 23% and five from the other.
    places = [(1 - info.y_scale.fraction(at)) * info.tiling.high for at in (0.9, 0.22, 0.05, 0.23, 0.2)]
    for label in info.panels[0].labels:
        assert all(abs(places[label.line] + label.dy - level) > 6 for level in places[3:])
    figure = figures.curves_figure(info)
    sides = {note.text: note.yanchor for note in figure.layout.annotations if "23%" in note.text or "20%" in note.text}
    assert sides == {"one fixed answer 23%": "bottom", "chance 20%": "top"}
