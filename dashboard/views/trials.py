"""From a condition to its trials, and from a trial to its calls in order: what was asked, said, paid and cut."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal, cast

import streamlit as st

from dashboard.data import queries
from dashboard.text import transcript
from dashboard.text.transcript import Entry
from dashboard.widgets import controls, url_state
from dashboard.widgets.url_state import Param
from engine.analysis.sql.trial_list import PAGE, Key, TrialPage
from engine.core import names, replay
from engine.core import text as fmt
from engine.core.errors import BudgetscopeError
from engine.core.records import AXES, Axis
from engine.store.store import Store

VIEW = "trials"
SHOW = {
    "all": "All",
    "right": "Right",
    "wrong": "Wrong",
    "none": "No answer",
    "exhausted": "Ended by budget",
    "failed": "Failed",
}
PARAMS = (
    Param("study", pinned=True),
    Param("condition", pinned=True),
    Param("budget"),
    Param("axis", None, AXES),
    Param("show", "all", tuple(SHOW)),
    Param("find"),
    Param("question"),
    Param("trial"),
)
Colour = Literal["green", "red", "gray", "orange"]
BADGES: dict[str, Colour] = {"right": "green", "wrong": "red", "none": "gray", "censored": "gray"}
BADGES |= {"failed": "orange", "stopped": "orange"}
WIDTHS = {"Verdict": 74, "Question": 110, "Answer": 60, "Target": 58, "Tokens (in+out)": 128}  # Pixels; others have 60.
STYLE = """<style>
[class*="st-key-beyond"] { opacity: .55; }
[class*="st-key-text"] pre, [class*="st-key-text"] code { white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 900px) {
  .st-key-split [data-testid="stHorizontalBlock"]:has(> [data-testid="stColumn"]) { flex-direction: column; }
  .st-key-split [data-testid="stColumn"] { width: 100%; flex: 1 1 auto; }
}
</style>"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the controls ask for."""

    study: str
    condition: dict[str, Any]
    axis: Axis
    budget: int | None  # None: as they were run.
    show: str
    find: str  # Words of question, target or answer; empty: any.

    @classmethod
    def drawn(
        cls, db: queries.Database, params: Sequence[Param], conditions: dict[str, dict[str, Any]], problems: list[str]
    ) -> Wish:
        """Draw the controls; what they ask for."""
        by = {param.name: param for param in params}
        with st.container(horizontal=True, gap="medium"):
            study = controls.study(VIEW, by["study"])
        own = queries.studies(db).get(study)
        conditions = {name: row for name, row in conditions.items() if own is None or name in own}
        controls.narrowed(VIEW, by["condition"], tuple(conditions))
        several = len({row["task"] for row in conditions.values()}) > 1

        def name_of(condition: str) -> str:
            row = conditions[condition]
            task = names.task(row["task"]) if several else ""
            return " · ".join(filter(None, [row["name"], task, "simulated" if row["simulated"] else ""]))

        with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
            key = url_state.key(VIEW, "condition")
            st.selectbox("Condition", list(conditions), key=key, format_func=name_of, width=420)
            condition = conditions[st.session_state[key]]
            axis = cast("Axis", url_state.value(VIEW, "axis") or condition["axis"])
            key = url_state.key(VIEW, "budget")
            budget = st.session_state.get(key)
            # Eighteen digits: what is longer does not fit the database's integers.
            if budget is not None and not (str(budget).isdecimal() and len(str(budget)) < 19):
                problems.append(f"This link asks for budget {url_state.quoted(budget)}, which is no whole number.")
                st.session_state[key] = budget = None
            if condition["anytime"]:
                cells = queries.cells(db, axis, study=study).filter(condition_id=condition["condition_id"])
                walls = {*cells["budget"], *([int(budget)] if budget else [])}
                st.selectbox(
                    "Read at budget",
                    [str(each) for each in sorted(walls)],
                    index=None,
                    key=key,
                    placeholder="As it was run",
                    width=220,
                    format_func=lambda each: fmt.budget(int(each), axis),
                )
            else:  # It planned with its budget, so nobody knows what it would have done at another.
                st.session_state[key] = None
            budget = st.session_state.get(key)
            show = controls.choose(VIEW, by["show"], "Show", SHOW.__getitem__)
            help = "Words that a question, target or answer holds"
            st.text_input("Search", key=url_state.key(VIEW, "find"), width=160, max_chars=200, help=help)
            find = str(url_state.value(VIEW, "find") or "").strip()
        return cls(study, condition, axis, None if budget is None else int(budget), show or "all", find)

    def budget_name(self, before: str, otherwise: str) -> str:
        """The budget with a word before it; `otherwise` where trials are read as they were run."""
        return otherwise if self.budget is None else f"{before}{fmt.budget(self.budget, self.axis)}"


def render() -> None:
    """Draw the page."""
    if (db := controls.database()) is None:
        return
    st.html(STYLE)
    query = url_state.current()
    if "trial" in query and "condition" not in query:  # A link that names a trial alone: its condition is looked up.
        with suppress(BudgetscopeError):
            st.query_params["condition"] = Store(db.path).trial(query["trial"][0]).spec.condition.condition_id
    rows = queries.conditions(db).sort("task", "label").to_dicts()
    called: dict[str, str] = {}
    for _, group in groupby(rows, key=lambda row: row["task"]):  # Names tell the conditions of one task apart.
        called |= names.conditions([*group])
    conditions = {row["condition_id"]: row | {"name": called[row["condition_id"]]} for row in rows}
    params = controls.offering(PARAMS, {"study": controls.studies(db, "condition"), "condition": tuple(conditions)})
    problems = url_state.load(VIEW, params)
    head = st.container()
    wish = Wish.drawn(db, params, conditions, problems)
    key = url_state.value(VIEW, "trial"), url_state.value(VIEW, "question")
    asked = (db, wish.study, wish.condition["task"], wish.condition["condition_id"], wish.axis)
    try:
        page = queries.trial_page(*asked, wish.budget, wish.show, wish.find, key)
        entries = [Entry(trial, replay.read(trial, wish.axis, wish.budget)) for trial in page.trials]
    except BudgetscopeError as error:  # Money, and a price nobody knows.
        problems.append(str(error))
        wish = replace(wish, budget=None)
        page = queries.trial_page(*asked, None, wish.show, wish.find, key)
        entries = [Entry(trial, replay.read(trial)) for trial in page.trials]
    if key[0] and not page.known:
        problems.append(f"This link asks for trial {url_state.quoted(key[0])}, which this condition does not have.")
    chosen = None if page.chosen is None else Entry(page.chosen, replay.read(page.chosen, wish.axis, wish.budget))
    with head:
        controls.heading(transcript.title(wish.condition["name"], page.fates, wish.budget_name(" at ", "")))
        controls.caption(transcript.counts_line(wish.condition, page.fates, page.ended))
        drawn = queries.cells(db, study=wish.study).filter(condition_id=wish.condition["condition_id"])["n_draws"].max()
        if isinstance(drawn, int) and drawn > 1:
            controls.caption(f"Other pages read this setting as the {fmt.draws(drawn)}; these are the trials that ran.")
        for sentence in queries.notes(db, wish.study):
            controls.caption(sentence)
        controls.warn(problems)
    with st.container(key="split"):
        left, right = st.columns([5, 6], gap="medium")

    def pick(row: int | None) -> None:
        if row is not None:  # A row that is let go keeps its trial on screen: one is always read.
            _choose(Key(entries[row].trial_id, entries[row].question_id))

    with left:
        controls.caption(f"{fmt.count(page.shown)} of {fmt.plural(page.total, 'trial')} shown")
        if page.shown > PAGE:
            last = page.first + len(entries)
            with st.container(horizontal=True, vertical_alignment="center"):
                turn("Previous", "left", "page of trials", page.page_before)
                turn("Next", "right", "page of trials", page.page_after)
                controls.caption(f"{fmt.count(page.first + 1)} to {fmt.count(last)}, by question")
        if entries:
            table = transcript.table(entries)
            row = None if page.at is None else page.at - page.first
            widths = {name: st.column_config.Column(width=WIDTHS.get(name, 60)) for name in table.columns}
            tallest, alt = 360 if controls.narrow() else 640, "Trials of this condition"
            controls.table(table, "trials.table", formats=widths, tallest=tallest, alt=alt, row=row, pick=pick)
        else:
            st.markdown("No trial is like that; choose another filter or budget above.")
    with right:
        if chosen is None:
            controls.caption("Choose a trial to read it call by call.")
        else:
            _trial(db, wish, chosen, page)
    url_state.save(VIEW, params)
    controls.copy_link(VIEW, params)


def _choose(key: Key) -> None:
    st.session_state[url_state.key(VIEW, "trial")] = key.trial_id
    st.session_state[url_state.key(VIEW, "question")] = key.question_id


def turn(label: str, arrow: str, noun: str, to: Key | None) -> None:
    """A button to another trial; a page of the list is turned to by its first one, so that a link to it holds."""
    icon = f":material/chevron_{arrow}:" if "page" in noun else f":material/arrow_{arrow}:"
    named = f"{label} page" if "page" in noun else label
    st.button(named, icon=icon, disabled=to is None, on_click=_choose, args=(to,), help=f"{label} {noun}")


def _trial(db: queries.Database, wish: Wish, chosen: Entry, page: TrialPage) -> None:
    """A trial in full: the way to those before and after, its question, how it stands, and every call in order."""
    with st.container(horizontal=True, vertical_alignment="center"):
        turn("Previous", "back", "trial", page.before)
        turn("Next", "forward", "trial", page.after)
        where = "Hidden by the filter above"
        if page.at is not None:
            where = f"Trial {fmt.count(page.at + 1)} of {fmt.count(page.shown)}"
        controls.caption(where)
    trial, reading = chosen.trial, chosen.reading
    problem = trial.spec.question.problem
    with st.container(border=True, key="text.question"):
        # Plain text elements throughout: questions and answers are anybody's, and never Markdown.
        st.text(transcript.visible(problem.text))
        if document := problem.context:
            with st.expander(transcript.document_title(document), expanded=len(document) <= transcript.SHORT):
                st.text(transcript.visible(document))
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(replay.FATES[reading.fate], color=BADGES[reading.fate])
            if reading.exhausted:
                wall = "context window" if trial.error == "context" else "budget"
                st.badge(f"ended by the {wall}", color="gray")
        st.text(transcript.verdict_line(trial, reading))
        controls.caption(transcript.facts_line(chosen))
        if mechanism := transcript.mechanism_line(trial, reading):
            st.text(mechanism)
    replies = queries.completions(db, tuple(call.key for call in trial.calls))
    if not trial.calls:
        controls.caption("This trial made no call.")
    closing = transcript.closing_line(trial, reading, wish.budget_name("A budget of ", "The budget"))
    for call in trial.calls:
        # The call at which the budget closed is shown before the line that says so, those it never reached after it.
        beyond = closing is not None and call.ordinal > reading.covered
        with st.container(border=True, key=f"{'beyond' if beyond else 'call'}.{call.ordinal}"):
            outside = " · beyond this budget" if beyond else ""
            st.markdown(f"**Call {call.ordinal + 1} · {controls.literal(call.role)}**{outside}")
            controls.caption(transcript.call_line(call))
            if cut := transcript.cut_line(call):
                st.badge(cut, icon=":material/content_cut:", color="gray" if call.cut == "own" else "orange")
            # A prompt sent before is named, not repeated: votes send one prompt dozens of times.
            earlier = next((c.ordinal for c in trial.calls[: call.ordinal] if c.messages == call.messages), None)
            if earlier is not None:
                controls.caption(f"The same prompt as in call {earlier + 1}.")
            else:
                with st.expander(transcript.prompt_title(call.messages), icon=":material/chat:"):
                    for message in call.messages:
                        controls.caption(message.role)
                        st.code(transcript.visible(message.content) or " ", language=None, wrap_lines=True)
            with st.container(key=f"text.{call.ordinal}"):
                if (completion := replies.get(call.key)) is None:
                    controls.caption("There is no reply.")
                else:
                    st.code(transcript.visible(completion.text) or " ", language=None, wrap_lines=True)
            for version in trial.marks:
                # The answer the trial would have given if the budget had closed after this call.
                if version.after_calls == call.ordinal + 1:
                    answer, fate = transcript.visible(version.answer, 200), replay.FATES[version.verdict]
                    st.text(f"Answer after this call: {answer} ({fate})")
        if closing and call.ordinal == reading.covered:
            st.info(controls.literal(closing), icon=":material/content_cut:")


render()
