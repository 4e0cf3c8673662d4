"""Which settings are better than a baseline, on which questions, and who pays for the saving.

A baseline and up to three settings beside it; below them what stands behind one of the differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from typing import Any

import polars as pl
import streamlit as st

from dashboard import figures, theme
from dashboard.data import comparison, queries, studies
from dashboard.data.comparison import MOST_OTHERS
from dashboard.data.lens import Looking
from dashboard.text import differences, tables
from dashboard.text.differences import Compared
from dashboard.views.halves import pair
from dashboard.views.halves.pair import Pair, Setting
from dashboard.widgets import controls, price_panel, url_state
from dashboard.widgets.url_state import Param
from engine.analysis.advice import decide
from engine.core import names
from engine.core import text as fmt
from engine.models import energy
from engine.strategies import entries

VIEW = "compare"
AXES = {"own": "As run"} | controls.SPENDS | {"usd": "Cost"}
PARAMS = (
    Param("study", pinned=True),
    Param("task", pinned=True),
    Param("axis", "own", tuple(AXES)),
    Param("a", pinned=True),
    Param("b", (), many=True, pinned=True),
    Param("of"),
    Param("by", pinned=True),
    Param("open", (), pair.FOLDS, many=True),
    Param("per_day", "1000"),
    Param("zone", energy.WORLD, tuple(energy.GRID)),
    Param("size"),
)
SHOWN = f"{VIEW}.shown"
"""Session key: the study, task and axis that were on screen last."""
MARKS = 120
"""Questions up to which each has a mark of its own."""
READ = (4, 3)
"""Questions won and lost that can be read with one click."""
LONGEST = 24
"""Letters of such a question."""
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Wish:
    """What the first row of controls asks for, and the settings there are."""

    study: str
    task: str
    axis: str
    looking: Looking
    rows: Mapping[str, Row]
    """By name in the address."""
    unmet: Sequence[str]


def _wish(db: queries.Database, params: Sequence[Param]) -> Wish:
    """Draw the first row of controls."""
    by = {param.name: param for param in params}
    with st.container(horizontal=True, vertical_alignment="center", key="bar"):
        study = controls.select(VIEW, by["study"], "Study", controls.study_name, 200)
        tasks = controls.narrowed(VIEW, by["task"], queries.study_tasks(db, study))
        task = controls.select(VIEW, tasks, "Task", controls.task_form(tasks), 220)
        with st.popover("Budgets and prices", icon=":material/tune:"):
            axis = str(controls.choose(VIEW, by["axis"], "Budgets in", AXES.__getitem__))
            looking, unmet = price_panel.prices_of(VIEW, queries.models(db))
    # Settings that differ from a smaller budget in nothing are left out unless they are asked for.
    frame = comparison.settings(db, study, task, None if axis == "own" else axis, looking)
    shown = {url_state.cell(*pair) for pair in queries.distinct(frame).select("condition_id", "budget").iter_rows()}
    shown |= {str(url_state.value(VIEW, "a")), *(url_state.value(VIEW, "b") or ())}
    known, rows = entries(), dict[str, Row]()
    for row in frame.sort("label", "budget").to_dicts():
        if (name := url_state.cell(row["condition_id"], row["budget"])) in shown:
            rows[name] = row | {"oracle": row["strategy"] in known and known[row["strategy"]].oracle}
    return Wish(study, task, axis, looking, rows, unmet)


def _settle(
    db: queries.Database, params: Sequence[Param], wish: Wish, groupings: tuple[str, tuple[str, ...]]
) -> tuple[tuple[Param, ...], list[str]]:
    """Baseline, settings and grouping as the address has them, else where they start: the setting that Explore
    recommends against the cheapest that works. With sentences about what a link asked for in vain."""
    pick = comparison.recommended(db, wish.study, wish.task)
    at = None if pick is None else url_state.cell(pick.condition_id, pick.budget)
    cheap, best = comparison.ends(wish.rows, at)
    # A link may name the cheapest as a setting and no baseline: then another one is.
    beside = url_state.value(VIEW, "b") or ()
    start = next((name for name in (cheap, best, *wish.rows) if name not in beside), cheap)
    here, was = (wish.study, wish.task, wish.axis), st.session_state.get(SHOWN)
    st.session_state[SHOWN] = here
    offers: dict[str, tuple[str | tuple[str, ...], tuple[str, ...]]] = {
        "a": (start, tuple(wish.rows)),
        "b": ((best,), tuple(wish.rows)),
        "by": groupings,
    }
    # Who went on to another task or axis is told nothing: what was chosen on the last one is no fault of a link.
    params, gone = url_state.settle(VIEW, params, offers, went_on=was not in (None, here))
    a, b = str(url_state.value(VIEW, "a")), list(dict.fromkeys(url_state.value(VIEW, "b")))
    others = [name for name in b if name != a]
    if not others:
        gone.append("The same setting twice: another one stands beside the baseline.")
        others = [best if best != a else cheap]
    if len(others) > MOST_OTHERS:
        gone.append(f"{MOST_OTHERS} settings fit beside a baseline; the others of this link are left out.")
    st.session_state[url_state.key(VIEW, "b")] = others[:MOST_OTHERS]
    if url_state.value(VIEW, "of") not in others[:MOST_OTHERS]:
        st.session_state[url_state.key(VIEW, "of")] = others[0]
    return tuple(replace(each, default=others[0]) if each.name == "of" else each for each in params), gone


def render() -> None:
    """Draw the page."""
    if (db := controls.database()) is None:
        return
    offered = {"study": controls.studies(db, "a", "b"), "task": queries.tasks(queries.every(db))}
    listed = tuple(
        replace(p, choices=queries.models(db).names) if p.name == "whatif" else p for p in price_panel.LISTED
    )
    params = controls.offering((*PARAMS, *listed), offered)
    problems = url_state.load(VIEW, params)
    controls.keep(VIEW, ("per_day", "zone", "size", "of", "by"))
    wish, by = _wish(db, params), {param.name: param for param in params}
    rows = wish.rows
    if len(rows) < 2:
        _nothing(db, wish)
        controls.warn([*problems, *wish.unmet])
        url_state.save(VIEW, params)
        return
    groupings = comparison.groupings(db, wish.task)
    params, gone = _settle(db, params, wish, groupings)
    called = names.over([*rows.values()])

    def name_of(name: str) -> str:
        return " · ".join([tables.cell_name(rows[name], called), *(["simulated"] if rows[name]["simulated"] else [])])

    a = str(url_state.value(VIEW, "a"))
    with st.container(horizontal=True, vertical_alignment="center", key="bar-against"):
        st.selectbox("Baseline", list(rows), key=url_state.key(VIEW, "a"), format_func=name_of, width=400)
        left, key = [name for name in rows if name != a], url_state.key(VIEW, "b")
        st.multiselect("against", left, key=key, format_func=name_of, max_selections=MOST_OTHERS, width="stretch")
    base = Setting(name_of(a), rows[a], wish.study)
    others = {name: Setting(name_of(name), rows[name], wish.study) for name in url_state.value(VIEW, "b")}
    url_state.save(VIEW, params)
    groups = _page(db, wish, base, others, groupings[1], [*problems, *wish.unmet, *gone])
    Pair(VIEW, base, others[_of()], _compared(db, wish, base, others[_of()]), wish.looking).draw(
        db, wish.task, rows, by, name_of
    )
    for sentence in queries.notes(db, wish.study):
        controls.caption(sentence)
    table = differences.export_table(_rows(db, wish, base, others), called, base.row)
    more = {} if groups.is_empty() else {"Who gains, who pays": ("compare-groups", groups, "compare.groups")}
    controls.downloads(VIEW, table, params, chart="compare.figure", more=more)


def _nothing(db: queries.Database, wish: Wish) -> None:
    """Why nothing is compared, and the way to what would help."""
    rows, every = [*wish.rows.values()], queries.cells(db, study=wish.study, task=wish.task)
    if not every.is_empty() and every["accuracy"].null_count() == every.height:
        decision = decide.unknown(every, "output_tokens")
        query = {"study": wish.study, "condition": every["condition_id"][0]}
        told = ": ".join(filter(None, (decision.lead, decision.rest)))
        controls.empty(decision.heading, told, way=("answers", "Read the answers", query))
        return
    more = "Run a second strategy, model or budget on this task."
    more += "" if wish.axis == "own" else " Or choose budgets as they were run above."
    if not rows:
        controls.empty("No setting to compare yet", more)
        return
    asked = studies.more_of(wish.task, max(row["n_questions"] for row in rows), rows)
    name = tables.cell_name(rows[0], names.over(rows))
    controls.empty(f"One setting, {name}: nothing to compare it with yet", more, way=("runs", "Run more", asked))


def _of() -> str:
    """The setting of which the cards and folds speak."""
    return str(url_state.value(VIEW, "of"))


def _rows(db: queries.Database, wish: Wish, base: Setting, others: Mapping[str, Setting]) -> list[dict[str, Any]]:
    """Each setting beside the baseline: columns of `Results.comparisons`, with `settled` and the `row` of its cell."""
    frame = comparison.against(db, wish.study, tuple(each.cell for each in others.values()), base.cell)
    return [
        row | {"row": each.row, "settled": differences.settled(row)}
        for row, each in zip(frame.to_dicts(), others.values(), strict=True)
    ]


def _compared(db: queries.Database, wish: Wish, base: Setting, other: Setting) -> Compared:
    """The baseline and a setting in full."""
    by, left = str(url_state.value(VIEW, "by")), differences.dearer(base.row, other.row)
    return comparison.compared(db, wish.study, base.cell, other.cell, by, left, wish.looking)


def _page(
    db: queries.Database,
    wish: Wish,
    base: Setting,
    others: Mapping[str, Setting],
    groupings: Sequence[str],
    problems: Sequence[str],
) -> pl.DataFrame:
    """The finding, the differences as bars, and two cards: which questions change sides, and who pays, whose groups
    come back."""
    shown = _rows(db, wish, base, others)
    compared = {name: _compared(db, wish, base, each) for name, each in others.items()}
    called = names.over([base.row, *(each.row for each in others.values())])
    finding = differences.finding(shown, base.row)
    controls.heading(finding)
    controls.say(differences.method(shown))
    controls.warn(problems)
    bars = [
        row | {"name": called(row["row"]), "strategy": row["row"]["strategy"], "at": _at(row["row"])} for row in shown
    ]
    info = figures.differences_info(
        bars,
        differences.heads(base.row),
        partial(differences.columns, base=base.row),
        room=controls.room(),
        dark=controls.dark(),
    )
    with st.container(border=True, key="bars"):
        controls.chart(figures.forest_figure(info), "compare.figure", VIEW, finding)
    pair_of = (base.row, others[_of()].row)
    said = (tables.cell_name(pair_of[0], called), tables.cell_name(pair_of[1], called))
    controls.caption(differences.caption(compared[_of()].whole, *pair_of, said), capital=True)
    with st.container(key="halves"):
        left, right = st.columns(2, gap="medium")
    with left, st.container(border=True):
        _flips(db, base, others, compared, called)
        _ways(wish, base, others, compared[_of()])
    with right, st.container(border=True):
        return _payers(base, others, compared[_of()], groupings)


def _at(row: Row) -> str:
    """The budget, and what the setting is a mean of."""
    return " · ".join(filter(None, (fmt.up_to(row["budget"], row["axis"]), fmt.draws(row.get("n_draws")))))


def _flips(
    db: queries.Database,
    base: Setting,
    others: Mapping[str, Setting],
    compared: Mapping[str, Compared],
    called: Callable[[Row], str],
) -> None:
    """One mark per question: won, both right, both wrong, lost; and some of those that changed sides to read."""
    inks = theme.inks(controls.dark())
    against = f"against {base.name}"
    parts = [
        f'<h2 class="bs-title">Which questions change sides</h2><div class="bs-muted cp-under">{escape(against)}</div>'
    ]
    for name, setting in others.items():
        colour = _colour(setting.row)
        sides = differences.sides(compared[name].whole)
        paints = (colour, inks.axis, inks.grid, inks.cut)
        told = [f"{count} {word}" for word, count in sides]
        # A mark of a strategy may be paler than a text of its colour.
        letters = (_letters(setting.row), "", "", inks.cut)
        said = [
            f'<b style="color:{ink}">{text}</b>' if at in (0, 3) else text
            for at, (text, ink) in enumerate(zip(told, letters, strict=True))
            if at in (0, 3) or sides[at][1]
        ]
        head = f"<b>{escape(called(setting.row))}</b> <span class='bs-muted'>{escape(_at(setting.row))}</span>"
        alone = compared[name].whole.n <= MARKS
        marks = "".join(
            f'<i style="background:{paint}"></i>' * count
            if alone
            else f'<i style="background:{paint};flex:{count}"></i>' * bool(count)
            for (_, count), paint in zip(sides, paints, strict=True)
        )
        label = escape(f"{called(setting.row)}: {', '.join(told)}")
        parts.append(
            f'<div class="cp-flip"><div class="cp-head"><span>{head}</span><span class="bs-muted">{" · ".join(said)}'
            f'</span></div><div class="cp-marks" role="img" aria-label="{label}">{marks}</div></div>'
        )
    st.html("".join(parts))
    whole = compared[_of()].whole
    if not (whole.won or whole.lost):
        return
    questions = queries.asked(db, (*whole.won, *whole.lost))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="chips"):
        controls.caption("Read:")
        won, lost = whole.won[: READ[0]], whole.lost[: READ[1]]
        asked = [(questions[each]["text"], questions[each]["context"]) for each in (*won, *lost)]
        labels = iter(tables.short_questions(asked, LONGEST))
        for ids, icon in ((won, ":material/check:"), (lost, ":material/close:")):
            for each, label in zip(ids, labels, strict=False):
                controls.link_to("answers", label, others[_of()].query | {"question": each}, icon)
        controls.caption(f"{fmt.count(len(whole.won) + len(whole.lost))} in all")


def _ways(wish: Wish, base: Setting, others: Mapping[str, Setting], compared: Compared) -> None:
    """On to more questions, and to the answers."""
    with st.container(horizontal=True, key="ways"):
        n = compared.whole.n
        asked = studies.more_of(wish.task, 2 * n, (base.row, *(each.row for each in others.values())))
        label = f"Run {fmt.plural(n, 'more question')}" if n and "questions" in asked else "Run more questions"
        controls.link_to("runs", label, asked)
        controls.link_to("answers", "See it in Answers", others[_of()].query)


def _payers(base: Setting, others: Mapping[str, Setting], compared: Compared, groupings: Sequence[str]) -> pl.DataFrame:
    """The difference group by group."""
    other, by = others[_of()], differences.grouped(str(url_state.value(VIEW, "by")))
    under = f"{other.name} minus {base.name}, by {by}"
    st.html(f'<h2 class="bs-title">Who gains, who pays</h2><div class="bs-muted cp-under">{escape(under)}</div>')
    groups = comparison.group_rows(compared)
    info = figures.forest_info(groups, _colour(other.row), room=controls.room(), dark=controls.dark())
    if info.lines:
        controls.chart(figures.forest_figure(info), "compare.groups", "compare-groups", under)
    for sentence in differences.payers(compared, base.row, other.row):
        st.warning(controls.literal(sentence), icon=":material/balance:")
    more = f"{fmt.plural(info.hidden, 'more group')} in the download." if info.hidden else ""
    controls.caption(" ".join(part for part in (differences.too_few(compared), more) if part))
    with st.container(horizontal=True, vertical_alignment="center", key="bar-groups"):
        if len(others) > 1:
            key = url_state.key(VIEW, "of")
            st.selectbox("Of", list(others), key=key, format_func=lambda name: others[name].name, width=270)
        key = url_state.key(VIEW, "by")
        st.selectbox("Group by", groupings, key=key, format_func=differences.grouped, width=250)
    return groups


def _colour(row: Row) -> str:
    strategy = str(row["strategy"])
    return theme.strategy_colours([strategy], dark=controls.dark())[strategy]


def _letters(row: Row) -> str:
    strategy = str(row["strategy"])
    return theme.label_colours([strategy], dark=controls.dark())[strategy]


render()
