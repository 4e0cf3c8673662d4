"""Which of two settings is better, and who pays for the saving: one difference, overall and group by group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard import figures
from dashboard.data import comparison, queries
from dashboard.text import differences, tables
from dashboard.widgets import controls, filters, flips, months, url_state
from dashboard.widgets.url_state import Param
from engine.core import names
from engine.core import text as fmt
from engine.core.errors import shortened
from engine.models import energy

if TYPE_CHECKING:
    import polars as pl

    from dashboard.figures import ForestInfo
    from engine.analysis import Cell

VIEW = "compare"
AXES = {
    "own": "As run",
    "output_tokens": "Output tokens",
    "total_tokens": "Total tokens",
    "calls": "Calls",
    "usd": "Money",
}
PARAMS = (
    Param("task", pinned=True),
    Param("axis", "own", tuple(AXES)),
    Param("a", pinned=True),
    Param("b", pinned=True),
    Param("by", pinned=True),
    Param("open", (), ("others", "savings"), many=True),
    Param("per_day", "1000"),
    Param("zone", energy.WORLD, tuple(energy.GRID)),
    Param("size"),
)
SHOWN = f"{VIEW}.shown"
"""Session key: the task and axis that were on screen last."""


@dataclass(frozen=True)
class Wish:
    """What the controls ask for; a setting is named as links name a cell."""

    task: str
    axis: str
    a: str
    b: str
    by: str


Rows = dict[str, dict[str, Any]]
"""Settings by their name in links."""


def render() -> None:
    """Draw the page."""
    db = queries.state()
    if why := queries.trouble(db):
        controls.nothing(why)
        return
    params = controls.offering(PARAMS, {"task": queries.tasks(queries.cells(db))})
    problems = url_state.load(VIEW, params)
    filters.keep(VIEW, months.CONTROLS)
    head = st.container()
    task, axis = _place(params)
    rows = _rows(db, task, axis)
    if len(rows) < 2:
        _lonely(head, rows, problems, axis)
        url_state.save(VIEW, params)
        return
    params, moved = _settled(db, params, rows, task, axis)
    wish = _pair(db, rows, task, axis)
    url_state.save(VIEW, params)
    _said(db, rows, wish, params, head, [*problems, *moved])


def _place(params: tuple[Param, ...]) -> tuple[str, str]:
    by = {param.name: param for param in params}
    with st.container(horizontal=True, gap="medium"):
        task = controls.choose(VIEW, by["task"], "Task")
        axis = controls.choose(VIEW, by["axis"], "Budgets in", AXES.__getitem__)
    return str(task), str(axis)


def _rows(db: queries.Database, task: str, axis: str) -> Rows:
    """Settings of the task, those that differ from a smaller budget in nothing left out unless they are asked for."""
    frame = queries.settings(db, task, None if axis == "own" else axis)
    kept = {url_state.cell(*pair) for pair in queries.distinct(frame).select("condition_id", "budget").iter_rows()}
    kept |= {str(st.session_state.get(url_state.key(VIEW, side))) for side in "ab"}
    told = frame.sort("label", "budget").to_dicts()
    every = {url_state.cell(row["condition_id"], row["budget"]): row for row in told}
    return {name: row | {"oracle": _oracle(row)} for name, row in every.items() if name in kept}


def _oracle(row: dict[str, Any]) -> bool:
    from engine.strategies import entries

    entry = entries().get(row["strategy"])
    return entry is not None and entry.oracle


def _lonely(head: Any, rows: Rows, problems: list[str], axis: str) -> None:
    with head:
        called = [tables.cell_name(row, names.over([row])) for row in rows.values()]
        why = f"One setting, {called[0]}: nothing to compare it with yet" if called else "No setting to compare yet"
        elsewhere = "" if axis == "own" else " Or choose budgets as they were run above."
        controls.empty(why, f"Run a second strategy, model or budget on this task.{elsewhere}")
        controls.warn(problems)


def _settled(
    db: queries.Database, params: tuple[Param, ...], rows: Rows, task: str, axis: str
) -> tuple[tuple[Param, ...], list[str]]:
    """The parameters with the defaults this task has; what a link asked for in vain is explained and replaced.

    Nothing is explained where a visitor went on to another task or axis."""
    here, was = (task, axis), st.session_state.get(SHOWN)
    st.session_state[SHOWN] = here
    cheap, best = _ends(rows)
    choices = {"a": (cheap, tuple(rows)), "b": (best, tuple(rows)), "by": _groups(db, task)}
    problems = []
    for name, (default, offered) in choices.items():
        key = url_state.key(VIEW, name)
        asked = st.session_state.get(key)
        if asked is not None and asked not in offered and was in (None, here):
            problems.append(f"This link asks for {name} = {shortened(asked)!r}, which is not there (any more).")
        if asked not in offered or (was not in (None, here) and name not in url_state.current()):
            st.session_state[key] = default
    known = {name: default for name, (default, _) in choices.items()}
    return tuple(replace(p, default=known[p.name]) if p.name in known else p for p in params), problems


@st.cache_data(max_entries=32, show_spinner=False)
def _groups(db: queries.Database, task: str) -> tuple[str, tuple[str, ...]]:
    """The column to group questions by at first, and all there are."""
    return comparison.groupings(queries.questions(db).filter(task=task))


def _ends(rows: Rows) -> tuple[str, str]:
    """The cheapest and the most accurate setting on the frontier; of a frontier of one, that and its best rival."""

    def spends(name: str) -> tuple[float, str]:
        return rows[name]["total_tokens"] or 0.0, name

    front = sorted((name for name, row in rows.items() if row["on_frontier"]), key=spends) or sorted(rows, key=spends)
    cheap, best = front[0], max(front, key=lambda name: rows[name]["accuracy"])
    if cheap != best:
        return cheap, best
    rivals = [name for name in rows if name != best]
    return max(rivals, key=lambda name: (rows[name]["accuracy"], -spends(name)[0])), best


def _pair(db: queries.Database, rows: Rows, task: str, axis: str) -> Wish:
    called = names.over([*rows.values()])
    columns = st.columns([10, 10, 6], gap="small", vertical_alignment="bottom")
    for side, column in zip("ab", columns, strict=False):
        key = url_state.key(VIEW, side)
        column.selectbox(
            f"Setting {side.upper()}", list(rows), key=key, format_func=lambda name: _name(rows[name], called)
        )
    _, offered = _groups(db, task)
    columns[2].selectbox("Group questions by", offered, key=url_state.key(VIEW, "by"))
    chosen = (str(st.session_state[url_state.key(VIEW, name)]) for name in ("a", "b", "by"))
    return Wish(task, axis, *chosen)


def _name(row: dict[str, Any], called: Callable[[names.Row], str]) -> str:
    return " · ".join([tables.cell_name(row, called), *(["simulated"] if row["simulated"] else [])])


def _said(
    db: queries.Database,
    rows: Rows,
    wish: Wish,
    params: tuple[Param, ...],
    head: Any,
    problems: list[str],
) -> None:
    a, b = rows[wish.a], rows[wish.b]
    if wish.a == wish.b:
        with head:
            controls.empty("The same setting twice", "Choose another one for A or B.")
            controls.warn(problems)
        return
    cells = _cell(a), _cell(b)
    found = queries.compared(db, *cells, wish.by, differences.dearer(a, b))
    finding, caption = differences.finding(found.whole, a, b), differences.caption(found.whole, wish.task, a, b)
    with head:
        controls.heading(finding)
        controls.caption(caption)
        controls.warn(problems)
    told = comparison.told_rows(found)
    info = figures.forest_info(told, narrow=controls.narrow(), dark=controls.dark())
    _figure(info, finding)
    _payers(found, info, a, b)
    _spends(found, a, b)
    flips.show(db, found, a, b)
    _others(db, wish, rows, cells[0])
    months.show(VIEW, db, params, cells)
    _downloads(info, told, params, finding, f"{caption} · grouped by {wish.by}")


def _cell(row: dict[str, Any]) -> Cell:
    from engine.analysis import Cell

    return Cell(row["condition_id"], row["budget"], row["axis"])


def _figure(info: ForestInfo, finding: str) -> None:
    st.plotly_chart(
        figures.forest_figure(info),
        theme=None,
        key="compare.figure",
        alt=finding,
        config=controls.figure_config("compare"),
    )


def _payers(found: differences.Compared, info: ForestInfo, a: dict[str, Any], b: dict[str, Any]) -> None:
    for sentence in differences.payers(found, a, b):
        st.warning(controls.literal(sentence), icon=":material/balance:")
    hidden = f"{fmt.plural(info.hidden, 'more group')} in the download." if info.hidden else ""
    controls.caption(" ".join(part for part in (differences.too_few(found), hidden) if part))


def _spends(found: differences.Compared, a: dict[str, Any], b: dict[str, Any]) -> None:
    st.markdown("##### What they spend")
    table = differences.spend_table(found.whole, a, b)
    st.dataframe(table, key="compare.spend", hide_index=True, column_config=controls.columns(table))
    if {a["n_questions"], b["n_questions"]} != {found.whole.n}:
        controls.caption(
            f"A and B: means over the questions of each; differences: over the "
            f"{fmt.plural(found.whole.n, 'question')} both have."
        )


def _others(db: queries.Database, wish: Wish, rows: Rows, a: Cell) -> None:
    """All other settings of the task against A, computed when it is opened."""
    label = f"Against all others: {fmt.plural(len(rows) - 1, 'setting')} minus A"
    with filters.fold(VIEW, "others", label) as opened:
        if not opened:
            return
        found = queries.against(db, tuple(_cell(row) for name, row in rows.items() if name != wish.a), a)
        table = differences.others_table(found, {(row["condition_id"], row["budget"]): row for row in rows.values()})
        points = {differences.DIFFERENCE: st.column_config.NumberColumn(format="%+.1f")}
        st.dataframe(
            table,
            key="compare.others",
            hide_index=True,
            column_config=controls.columns(table) | points,
            height=min(38 + 35 * table.height, 420),
        )
        controls.caption(f"Intervals are those of each row alone; p, Holm counts all {fmt.count(table.height)} rows.")
        with st.container(horizontal=True):
            controls.download_table("compare-others", found)


def _downloads(info: ForestInfo, told: pl.DataFrame, params: tuple[Param, ...], finding: str, caption: str) -> None:
    with st.container(horizontal=True):
        controls.copy_link(VIEW, params)
        controls.download_table("compare", told)
        controls.download_figure("compare", lambda: controls.as_html(figures.forest_figure(info), finding, caption))


render()
