"""Chips of handles and names of baselines stand where no mark, no label and no other of them is."""

from __future__ import annotations

import itertools
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.figures.axes import ROOMS, Room, accuracy_scale, log_scale
from dashboard.figures.frontier import FrontierInfo, Handles, frontier_figure, frontier_info
from dashboard.figures.labels import HEIGHT, SIZE, SMALL, Plane
from dashboard.figures.lettering import width
from dashboard.figures.tags import WIDER, Ground, Tag, baseline_tags, chips
from engine.core import text as fmt
from tests.support.figure_frames import STRATEGIES, band_of, cell, frame, line_of

Box = tuple[float, float, float, float]
SPENDS = st.floats(3, 3_000)
SHARES = st.integers(0, 60).map(lambda right: right / 60)


def touching(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def covers(tag: Box, at: tuple[float, float], radius: float) -> bool:
    dx = max(tag[0] - at[0], 0, at[0] - tag[2])
    dy = max(tag[1] - at[1], 0, at[1] - tag[3])
    return bool((dx * dx + dy * dy) ** 0.5 < radius)


@st.composite
def scenes(draw: Any) -> tuple[FrontierInfo, Handles]:
    """Up to 24 points, some on the very limits that are asked for, and a baseline or two."""
    most, least = draw(st.one_of(st.none(), SPENDS)), draw(st.one_of(st.none(), SHARES))
    spots = draw(
        st.lists(
            st.tuples(
                SPENDS if most is None else st.one_of(SPENDS, st.just(most)),
                SHARES if least is None else st.one_of(SHARES, st.just(least)),
            ),
            min_size=1,
            max_size=24,
        )
    )
    blind = {"guess": draw(SHARES), "chance": draw(st.one_of(st.none(), SHARES))}
    cells = [
        cell(condition_id=f"c{i}", strategy=STRATEGIES[i % 8], params=f'{{"k": {i // 8}}}', spend=x, accuracy=y)
        for i, (x, y) in enumerate(spots)
    ]
    line = line_of(frame(*cells))
    best = set(line.iter_rows())
    rows = [row | blind | {"on_frontier": (row["total_tokens"], row["accuracy"]) in best} for row in cells]
    handles, room = Handles(most, least), draw(st.sampled_from(ROOMS))
    # Baselines are no columns of the invented frames.
    table = pl.DataFrame(rows, infer_schema_length=None)
    return frontier_info(table, line, x="total_tokens", handles=handles, room=room), handles


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_no_tag_covers_a_mark_another_tag_or_a_label_and_all_are_inside(scene: tuple[FrontierInfo, Handles]) -> None:
    info, handles = scene
    across, high = info.box.plot
    tags = (*info.chips, *info.line_names)
    assert len(info.chips) == (handles.most is not None) + (handles.least is not None)
    for factor in WIDER:
        plane = Plane(info.x_scale, info.y_scale, across * factor, high)
        boxes = [tag.box(across * factor, high) for tag in tags]
        for box in boxes:
            assert box[0] >= 0 and box[1] >= 0 and box[2] <= across * factor and box[3] <= high + 0.1
            assert not [p for p in info.points if covers(box, plane.at(p.x, p.y), p.radius)]
        assert not [pair for pair in itertools.combinations(boxes, 2) if touching(*pair)]
    plane = Plane(info.x_scale, info.y_scale, across, high)
    for label in info.labels:
        point = info.points[label.point]
        x, y = plane.at(point.x, point.y)
        wide = width(label.text, SIZE if label.name else SMALL, bold=label.bold)
        left, top = x + label.dx - wide / 2, y + label.dy - HEIGHT / 2
        drawn = (left, top, left + wide, top + HEIGHT)
        assert not [tag for tag in tags if touching(drawn, tag.box(across, high))]


def ground(*marks: tuple[float, float]) -> Ground:
    return Ground(900, 430, tuple((x, y, 6.5, True) for x, y in marks))


X = log_scale([10, 1000], tick=fmt.number, pixels=900)
Y = accuracy_scale([0.0, 0.9], [])


def test_chips_stand_at_the_left_and_at_the_foot_where_nothing_is() -> None:
    most, least = chips(300, 0.6, X, Y, ground())
    assert most.text == "spend at most 300" and least.text == "reach at least 60%"
    assert least.box(900, 430)[0] == pytest.approx(8) and least.dy == 0
    assert most.box(900, 430)[3] == pytest.approx(420) and most.dx < 0


def test_a_chip_leaves_its_corner_to_a_mark_that_stands_there() -> None:
    at = Y.fraction(0.6)
    (chip,) = chips(None, 0.6, X, Y, ground((0.05, at)))
    assert not covers(chip.box(900, 430), (0.05 * 900, (1 - at) * 430), 6.5)
    assert chip.dy == 0, "there is room on the line itself"


@pytest.mark.parametrize(("most", "least"), [(0.5, 1.0), (10, 0.0), (9e9, 0.95), (1_000, 0.9)])
def test_a_limit_beyond_the_plot_has_its_chip_at_the_edge(most: float, least: float) -> None:
    for tag in chips(most, least, X, Y, ground()):
        x0, y0, x1, y1 = tag.box(900, 430)
        assert x0 >= 0 and y0 >= 0 and x1 <= 900 and y1 <= 430


def test_the_name_of_a_baseline_gives_way_to_the_chip_beside_it() -> None:
    asked = chips(700, None, X, Y, ground())
    (name,) = baseline_tags([(0.03, "one fixed answer")], (700, None), X, Y, ground(), chips=asked)
    assert name.text == "one fixed answer 3%"
    assert not touching(name.box(900, 430), asked[0].box(900, 430))


@pytest.mark.parametrize("most", [None, 40, 300, 700, 950])
@pytest.mark.parametrize("least", [0.46, 0.5, 0.53, 0.6])
def test_no_line_of_a_handle_or_of_another_baseline_runs_through_the_name_of_one(
    most: float | None, least: float
) -> None:
    lines, limits = [(0.5, "one fixed answer"), (0.42, "chance")], (most, least)
    asked = chips(*limits, X, Y, ground())
    for factor in WIDER:
        for name in baseline_tags(lines, limits, X, Y, ground(), chips=asked):
            left, top, right, foot = name.box(900 * factor, 430)
            assert not [at for at in (least, 0.5, 0.42) if top < (1 - Y.fraction(at)) * 430 < foot]
            assert most is None or not left < X.fraction(most) * 900 * factor < right


@pytest.mark.parametrize("room", ROOMS)
def test_a_figure_writes_each_chip_on_its_line(room: Room) -> None:
    cells = frame(cell(spend=100, accuracy=0.7, on_frontier=True), cell(condition_id="c1", spend=300, accuracy=0.6))
    info = frontier_info(cells, line_of(cells), x="total_tokens", handles=Handles(200, 0.65), room=room)
    notes = {note.text: note for note in frontier_figure(info).layout.annotations}
    assert 10 ** notes["spend at most 200"].x == pytest.approx(200)
    assert notes["reach at least 65%"].y == pytest.approx(0.65)


def test_tags_are_the_same_for_equal_input() -> None:
    spots = [(i / 9, 0.5) for i in range(10)]
    assert chips(300, 0.5, X, Y, ground(*spots)) == chips(300, 0.5, X, Y, ground(*spots))
    assert all(isinstance(tag, Tag) for tag in chips(300, 0.5, X, Y, ground(*spots)))


def test_the_key_of_several_models_names_band_and_interval_too_where_there_is_room() -> None:
    rows = frame(*(cell(condition_id=m, model=f"a/{m}", spend=40 * (i + 1)) for i, m in enumerate(("one", "two"))))
    line = line_of(rows, "total_tokens")
    rooms: tuple[tuple[Room, bool], ...] = (("wide", True), ("phone", False))
    for room, named in rooms:
        info = frontier_info(rows, line, band_of(line), x="total_tokens", room=room)
        key = "".join(note.text for note in frontier_figure(info).layout.annotations)
        assert ("● one" in key) is ("■ two" in key) is named
        for part in ("large: on the frontier", "where the frontier may be (80%)", "95% interval"):
            assert (part in key) is named, (room, part)
