"""What stands behind one difference of Compare, in folds that are computed when they are opened.

What both spend, the questions that change sides, all other settings, where they cross, the next point, a month.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard import figures
from dashboard.data import comparison, queries
from dashboard.data.lens import Looking
from dashboard.figures.lettering import plain
from dashboard.text import differences
from dashboard.text.differences import Compared
from dashboard.text.transcript import visible
from dashboard.widgets import controls, url_state
from dashboard.widgets.url_state import Param
from engine.analysis import Cell
from engine.core import text as fmt
from engine.core.errors import BudgetscopeError, UsageError
from engine.models import energy

FOLDS = ("spend", "flips", "others", "crossing", "next", "savings")
MOST = 25  # Questions that are listed on a side.
TALL, LINE, LONGEST = 330, 62, 150  # Pixels of a list and of a line, and letters of a question.
Row = Mapping[str, Any]
Name = Callable[[str], str]


@dataclass(frozen=True, eq=False)
class Setting:
    """A setting as it was read, with its name on the page."""

    name: str
    row: Row
    study: str

    @property
    def cell(self) -> Cell:
        """The setting as the analysis takes it."""
        return Cell(self.row["condition_id"], self.row["budget"], self.row["axis"])

    @property
    def query(self) -> dict[str, str]:
        """The way to its answers."""
        return {
            "study": self.study,
            "condition": self.cell.condition_id,
            "budget": str(self.cell.budget),
            "axis": str(self.cell.axis),
        }


@dataclass(frozen=True)
class Pair:
    """The baseline and a setting beside it."""

    view: str
    a: Setting
    b: Setting
    compared: Compared
    looking: Looking

    def draw(
        self, db: queries.Database, task: str, rows: Mapping[str, Row], by: Mapping[str, Param], called: Name
    ) -> None:
        """All folds. `rows`: every setting of the task by its name in the address, `called` for people."""
        self._spend()
        if self.compared.whole.n:
            self._flips(db)
        self._others(db, rows)
        self._crossing(db, task, called)
        self._next(db, task)
        self._month(db, by)

    def _spend(self) -> None:
        a, b, whole = self.a.row, self.b.row, self.compared.whole
        with controls.fold(self.view, "spend", "What they spend, and at which prices") as opened:
            if not opened:
                return
            table = differences.spend_table(whole, a, b)
            controls.table(table, "compare.spend", tallest=None)
            # Said only where the two are not the same questions.
            if {a["n_questions"], b["n_questions"]} != {whole.n}:
                shared = fmt.plural(whole.n, "question")
                controls.caption(f"Means over the questions of each; differences: over the {shared} both have.")
            controls.downloads("compare-spend", table)

    def _flips(self, db: queries.Database) -> None:
        whole = self.compared.whole
        count = fmt.plural(len(whole.won) + len(whole.lost), "question")
        with controls.fold(self.view, "flips", f"Every question that changes sides: {count}") as opened:
            if not opened:
                return
            questions = queries.asked(db, (*whole.won, *whole.lost))
            heads = ("The setting is better", whole.won), ("The baseline is better", whole.lost)
            for column, (head, ids) in zip(st.columns(2, gap="medium"), heads, strict=True):
                with column:
                    st.markdown(f"**{head}** on {fmt.plural(len(ids), 'question')}")
                    if not ids:
                        continue
                    # A box that scrolls, or two hundred questions would push the page away.
                    with st.container(height=min(TALL, 20 + LINE * 2 * len(ids)), border=True):
                        for name in ids[:MOST]:
                            question = questions[name]
                            st.markdown(controls.literal(plain(visible(question["text"]), LONGEST)))
                            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                                controls.caption(f"Target {plain(visible(question['target']), 40)}")
                                for label, side in (("Baseline", self.a), ("Setting", self.b)):
                                    query = side.query | {"question": question["question_id"]}
                                    controls.link_to("answers", f"{label}'s answer", query)
                        if len(ids) > MOST:
                            controls.caption(f"{fmt.count(len(ids) - MOST)} more; Answers has them all.")

    def _others(self, db: queries.Database, rows: Mapping[str, Row]) -> None:
        label = f"Against every other point: {fmt.count(len(rows) - 1)}, each minus the baseline"
        with controls.fold(self.view, "others", label) as opened:
            if not opened:
                return
            # The baseline is among them, and a setting is not compared with itself.
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

    def _crossing(self, db: queries.Database, task: str, called: Name) -> None:
        with controls.fold(self.view, "crossing", "From which budget on is the setting ahead?") as opened:
            if not opened:
                return
            look = (controls.dark(), controls.narrow())
            sides = [url_state.cell(side.row["condition_id"], side.row["budget"]) for side in (self.b, self.a)]
            try:
                answer, info, walls = comparison.crossing(
                    db, self.a.study, task, self.a.cell, self.b.cell, (called(sides[0]), called(sides[1])), *look
                )
            except UsageError as error:
                controls.fault(error)
                return
            controls.say(answer)
            controls.chart(figures.crossing_figure(info), "compare.crossing", "crossing", answer)
            controls.caption(figures.crossing_caption(info), capital=True)
            controls.downloads("compare-crossing", walls, chart="compare.crossing")

    def _next(self, db: queries.Database, task: str) -> None:
        with controls.fold(self.view, "next", "What does the next point of accuracy cost?") as opened:
            # A next point costs a thousand resamples, so it waits until somebody looks.
            if opened:
                try:
                    controls.say(comparison.next_point(db, self.a.study, task, self.looking))
                except BudgetscopeError as error:
                    controls.fault(error)

    def _month(self, db: queries.Database, by: Mapping[str, Param]) -> None:
        """What a month comes to with either. What is unknown stays unknown."""
        with controls.fold(self.view, "savings", "Savings: a month with either") as opened:
            if not opened:
                return
            a, b = self.a.cell, self.b.cell
            known = queries.conditions(db)
            played = known.filter(known["condition_id"].is_in([a.condition_id, b.condition_id]))
            lineups = tuple(sorted(set(played["lineup"])))
            unknown = comparison.unknown_sizes(lineups)
            wish, size = self._wish(by, unknown)
            try:
                savings = comparison.month(db, self.a.study, a, b, lineups, wish, self.looking)
            except UsageError as error:
                controls.fault(error)
                return
            controls.table(differences.month_table(savings), "compare.month", tallest=None)
            controls.caption(differences.month_remarks(savings, () if size else unknown))
            controls.downloads("compare-month", savings.lines)

    def _wish(self, by: Mapping[str, Param], unknown: tuple[str, ...]) -> tuple[comparison.Month, str]:
        """The fields of a month, and the size that was typed."""
        for name in ("per_day", "size"):  # A field that was emptied says its default again.
            key = url_state.key(self.view, name)
            st.session_state[key] = st.session_state.get(key) or by[name].default or ""
        first, second, third = st.columns(3, gap="small", vertical_alignment="bottom")
        per_day = first.text_input("Questions per day", key=url_state.key(self.view, "per_day"))
        with second:
            zone = controls.choose(
                self.view, by["zone"], "Electricity", lambda zone: f"{zone} · {energy.GRID[zone]:.0f} g CO2e per kWh"
            )
        size = third.text_input(
            "Size of models nobody knows",
            key=url_state.key(self.view, "size"),
            disabled=not unknown,
            placeholder="billions, such as 8 or 3.6/20.9" if unknown else "every size here is known",
            help="Billions of parameters: active, or active/total. Energy stays unknown without it.",
        )
        size = size if unknown else ""
        return comparison.Month(per_day, str(zone), size), size
