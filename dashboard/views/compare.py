"""Which of two settings is better, and who pays for the saving: one difference, overall and group by group.

Below it the questions on which they differ, all other settings against A, and what a month comes to with either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from dashboard import figures
from dashboard.data import comparison, queries
from dashboard.figures.lettering import plain
from dashboard.text import differences, tables
from dashboard.text.differences import Compared
from dashboard.text.transcript import visible
from dashboard.widgets import controls, url_state
from dashboard.widgets.url_state import Param
from engine.analysis import Cell
from engine.core import names
from engine.core import text as fmt
from engine.core.errors import UsageError
from engine.models import energy
from engine.strategies import entries

VIEW = "compare"
AXES = {"own": "As run"} | controls.SPENDS | {"usd": "Money"}
PARAMS = (
    Param("study", pinned=True),
    Param("task", pinned=True),
    Param("axis", "own", tuple(AXES)),
    Param("a", pinned=True),
    Param("b", pinned=True),
    Param("by", pinned=True),
    Param("open", (), ("others", "crossing", "savings"), many=True),
    Param("per_day", "1000"),
    Param("zone", energy.WORLD, tuple(energy.GRID)),
    Param("size"),
)
SHOWN = f"{VIEW}.shown"  # Session key: the study, task and axis that were on screen last.
MOST = 25  # Questions that are listed on a side.
TALL, LINE, LONGEST = 330, 62, 150  # Pixels of a list and of a line, and letters of a question.
Row = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Setting:
    """One of the two settings, under its letter on the page."""

    letter: str
    row: Row
    study: str

    @property
    def cell(self) -> Cell:
        """The setting as the analysis takes it."""
        return Cell(self.row["condition_id"], self.row["budget"], self.row["axis"])

    @property
    def query(self) -> dict[str, str]:
        """The way to its trials."""
        return {
            "study": self.study,
            "condition": self.cell.condition_id,
            "budget": str(self.cell.budget),
            "axis": str(self.cell.axis),
        }


@dataclass(frozen=True)
class Pair:
    """Both settings, and the parts of the page below their difference."""

    a: Setting
    b: Setting

    def explain(self, db: queries.Database, compared: Compared, hidden: int) -> None:
        """What stands behind the difference: who pays for it, what either side spends, which questions decide."""
        a, b = self.a.row, self.b.row
        whole = compared.whole
        for sentence in differences.payers(compared, a, b):
            st.warning(controls.literal(sentence), icon=":material/balance:")
        more = f"{fmt.plural(hidden, 'more group')} in the download." if hidden else ""
        controls.caption(" ".join(part for part in (differences.too_few(compared), more) if part))
        st.markdown("##### What they spend")
        controls.table(differences.spend_table(whole, a, b), "compare.spend", tallest=None)
        if {a["n_questions"], b["n_questions"]} != {whole.n}:
            shared = fmt.plural(whole.n, "question")
            controls.caption(f"A and B: means over the questions of each; differences: over the {shared} both have.")
        if not whole.n:
            return
        st.markdown("##### Where they differ")
        questions = {row["question_id"]: row for row in queries.questions(db).to_dicts()}
        trials = {}
        for side in (self.a, self.b):  # The first trial of a question comes last, so it is the one that stays.
            repeats = queries.trial_rows(db, side.cell.condition_id).sort("repeat", descending=True)
            trials[side] = dict(repeats.select("question_id", "trial_id").iter_rows())
        heads = ("B is better", whole.won), ("A is better", whole.lost)
        for column, (head, ids) in zip(st.columns(2, gap="medium"), heads, strict=True):
            with column:
                st.markdown(f"**{head}** on {fmt.plural(len(ids), 'question')}")
                if not ids:
                    continue
                with st.container(height=min(TALL, 20 + LINE * 2 * len(ids)), border=True):
                    for name in ids[:MOST]:
                        question = questions[name]
                        st.markdown(controls.literal(plain(visible(question["text"]), LONGEST)))
                        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                            controls.caption(f"Target {plain(visible(question['target']), 40)}")
                            for side in (self.a, self.b):
                                if name in trials[side]:
                                    query = side.query | {"trial": trials[side][name]}
                                    controls.link_to("answers", f"Answer of {side.letter}", query)
                    if len(ids) > MOST:
                        controls.caption(f"{fmt.count(len(ids) - MOST)} more; Answers has them all.")

    def others(self, db: queries.Database, rows: Mapping[str, Row]) -> None:
        """All other settings of the task against A, computed when it is opened."""
        label = f"Against all others: {fmt.plural(len(rows) - 1, 'setting')} minus A"
        with controls.fold(VIEW, "others", label) as opened:
            if not opened:
                return
            cells = (Setting("", row, self.a.study).cell for row in rows.values())
            frame = comparison.against(
                db, self.a.study, tuple(cell for cell in cells if cell != self.a.cell), self.a.cell
            )
            by_cell = {(row["condition_id"], row["budget"]): row for row in rows.values()}
            table = differences.others_table(frame, by_cell)
            controls.table(table, "compare.others")
            counted = fmt.count(table.height)
            controls.caption(f"Intervals are those of each row alone; p, Holm counts all {counted} rows.")
            controls.downloads("compare-others", frame)

    def crossing(self, db: queries.Database, task: str, called: Callable[[str], str]) -> None:
        """From which budget on one is ahead of the other, computed when it is opened."""
        with controls.fold(VIEW, "crossing", "From which budget on is B ahead?") as opened:
            if not opened:
                return
            look = (controls.dark(), controls.narrow())
            sides = [url_state.cell(side.row["condition_id"], side.row["budget"]) for side in (self.b, self.a)]
            try:
                answer, info = comparison.crossing(
                    db, self.a.study, task, self.a.cell, self.b.cell, (called(sides[0]), called(sides[1])), *look
                )
            except UsageError as error:
                st.warning(controls.literal(str(error)))
                return
            controls.say(answer)
            controls.chart(figures.crossing_figure(info), "compare.crossing", "crossing", answer)
            controls.caption(figures.crossing_caption(info), capital=True)

    def month(self, db: queries.Database, by: Mapping[str, Param]) -> None:
        """What a month comes to with either, computed when it is opened. What is unknown stays unknown."""
        a, b = self.a.cell, self.b.cell
        with controls.fold(VIEW, "savings", "Savings: a month with A and with B") as opened:
            if not opened:
                return
            known = queries.conditions(db)
            played = known.filter(known["condition_id"].is_in([a.condition_id, b.condition_id]))
            lineups = tuple(sorted(set(played["lineup"])))
            unknown = comparison.unknown_sizes(lineups)
            for name in ("per_day", "size"):  # A field that was emptied says its default again.
                key = url_state.key(VIEW, name)
                st.session_state[key] = st.session_state.get(key) or by[name].default or ""
            first, second, third = st.columns(3, gap="small", vertical_alignment="bottom")
            per_day = first.text_input("Questions per day", key=url_state.key(VIEW, "per_day"))
            with second:
                zone = controls.choose(
                    VIEW, by["zone"], "Electricity", lambda zone: f"{zone} · {energy.GRID[zone]:.0f} g CO2e per kWh"
                )
            size = third.text_input(
                "Size of models nobody knows",
                key=url_state.key(VIEW, "size"),
                disabled=not unknown,
                placeholder="billions, such as 8 or 3.6/20.9" if unknown else "every size here is known",
                help="Billions of parameters: active, or active/total. Energy stays unknown without it.",
            )
            size = size if unknown else ""
            try:
                savings = comparison.month(db, self.a.study, a, b, lineups, comparison.Month(per_day, str(zone), size))
            except UsageError as error:
                st.warning(controls.literal(str(error)))
                return
            controls.table(differences.month_table(savings), "compare.month", tallest=None)
            controls.caption(differences.month_remarks(savings, () if size else unknown))
            controls.downloads("compare-month", savings.lines)


def render() -> None:
    """Draw the page."""
    if (db := controls.database()) is None:
        return
    offered = {"study": controls.studies(db, "a", "b"), "task": queries.tasks(queries.every(db))}
    params = controls.offering(PARAMS, offered)
    problems = url_state.load(VIEW, params)
    controls.keep(VIEW, ("per_day", "zone", "size"))
    head, by = st.container(), {param.name: param for param in params}
    with st.container(horizontal=True, vertical_alignment="center", key="bar"):
        study = controls.select(VIEW, by["study"], "Study", controls.study_name)
        tasks = controls.narrowed(VIEW, by["task"], queries.tasks(queries.cells(db, study=study)))
        task = controls.select(VIEW, tasks, "Task", controls.task_form(tasks))
        axis = str(controls.choose(VIEW, by["axis"], "Budgets in", AXES.__getitem__))
    # Settings that differ from a smaller budget in nothing are left out unless they are asked for.
    frame = comparison.settings(db, study, task, None if axis == "own" else axis)
    shown = {url_state.cell(*pair) for pair in queries.distinct(frame).select("condition_id", "budget").iter_rows()}
    shown |= {str(url_state.value(VIEW, side)) for side in "ab"}
    known, rows = entries(), dict[str, Row]()
    for row in frame.sort("label", "budget").to_dicts():
        if (name := url_state.cell(row["condition_id"], row["budget"])) in shown:
            rows[name] = row | {"oracle": row["strategy"] in known and known[row["strategy"]].oracle}
    if len(rows) < 2:
        with head:
            lone = [tables.cell_name(row, names.over([row])) for row in rows.values()]
            why = f"One setting, {lone[0]}: nothing to compare it with yet" if lone else "No setting to compare yet"
            elsewhere = "" if axis == "own" else " Or choose budgets as they were run above."
            controls.empty(why, f"Run a second strategy, model or budget on this task.{elsewhere}")
            controls.warn(problems)
        url_state.save(VIEW, params)
        return
    grouping, groupings = comparison.groupings(db, task)
    cheap, best = comparison.ends(rows)
    # At first the setting that Explore recommends, against the cheapest that works.
    if pick := comparison.recommended(db, study, task):
        name = url_state.cell(pick.condition_id, pick.budget)
        best = name if name in rows and name != cheap else best
    offers = {"a": (cheap, tuple(rows)), "b": (best, tuple(rows)), "by": (grouping, groupings)}
    here, was = (study, task, axis), st.session_state.get(SHOWN)
    st.session_state[SHOWN] = here
    # Who went on to another task or axis is told nothing: what was chosen on the last one is no fault of a link.
    params, gone = url_state.settle(VIEW, params, offers, went_on=was not in (None, here))

    called = names.over([*rows.values()])

    def name_of(name: str) -> str:
        return " · ".join([tables.cell_name(rows[name], called), *(["simulated"] if rows[name]["simulated"] else [])])

    columns = st.columns([10, 10, 6], gap="small", vertical_alignment="bottom")
    for side, column in zip("ab", columns, strict=False):
        key = url_state.key(VIEW, side)
        column.selectbox(f"Setting {side.upper()}", list(rows), key=key, format_func=name_of)
    columns[2].selectbox("Group questions by", groupings, key=url_state.key(VIEW, "by"))
    a, b = (Setting(side.upper(), rows[str(url_state.value(VIEW, side))], study) for side in "ab")
    pair = Pair(a, b)
    url_state.save(VIEW, params)
    if a.cell == b.cell:
        with head:
            controls.empty("The same setting twice", "Choose another one for A or B.")
            controls.warn([*problems, *gone])
        return
    group = str(url_state.value(VIEW, "by"))
    compared = comparison.compared(db, study, a.cell, b.cell, group, differences.dearer(a.row, b.row))
    finding = differences.finding(compared.whole, a.row, b.row)
    text = differences.caption(compared.whole, task, a.row, b.row)
    with head:
        controls.heading(finding)
        controls.caption(text)
        for sentence in queries.notes(db, study):
            controls.caption(sentence)
        controls.warn([*problems, *gone])
    groups = comparison.told_rows(compared)
    info = figures.forest_info(groups, narrow=controls.narrow(), dark=controls.dark())
    controls.chart(figures.forest_figure(info), "compare.figure", VIEW, finding)
    pair.explain(db, compared, info.hidden)
    pair.others(db, rows)
    pair.crossing(db, task, name_of)
    pair.month(db, by)
    figure = partial(figures.forest_figure, info)
    controls.downloads(VIEW, groups, params, figure, finding, f"{text} · grouped by {group}")


render()
