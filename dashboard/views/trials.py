"""From a condition to its trials, and from a trial to its calls in order: what was asked, said, paid and cut."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, cast

import streamlit as st

from dashboard.data import queries
from dashboard.text import transcript
from dashboard.text.transcript import Entry
from dashboard.widgets import controls, url_state
from dashboard.widgets.url_state import Param
from engine.core import names, replay
from engine.core import text as fmt
from engine.core.errors import BudgetscopeError
from engine.core.records import AXES, Axis, Call, Completion, Trial
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
    Param("condition", pinned=True),
    Param("budget"),
    Param("axis", None, AXES),
    Param("show", "all", tuple(SHOW)),
    Param("question"),
    Param("trial"),
)
BADGES: dict[str, Literal["green", "red", "gray", "orange"]] = {
    "right": "green",
    "wrong": "red",
    "none": "gray",
    "failed": "orange",
    "stopped": "orange",
    "censored": "gray",
}
WIDTHS = {"Verdict": 74, "Question": 110, "Answer": 60, "Target": 58, "Tokens (in+out)": 128}
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

    condition: dict[str, Any]
    axis: Axis
    budget: int | None
    show: str


def render() -> None:
    """Draw the page."""
    db = queries.state()
    if why := queries.trouble(db):
        controls.nothing(why)
        return
    st.html(STYLE)
    _adopt(db)
    conditions = _conditions(db)
    params = controls.offering(PARAMS, {"condition": tuple(conditions)})
    problems = url_state.load(VIEW, params)
    head = st.container()
    wish = _controls(db, params, conditions, problems)
    entries = _entries(db, wish, problems)
    shown = _filtered(entries, wish.show)
    chosen = _chosen(entries, shown, problems)
    with head:
        _sentences(entries, wish)
        controls.warn(problems)
    with st.container(key="split"):
        left, right = st.columns([5, 6], gap="medium")
    with left:
        _list(shown, chosen, len(entries))
    with right:
        _trial(chosen, wish, shown)
    url_state.save(VIEW, params)
    controls.copy_link(VIEW, params)


def _adopt(db: queries.Database) -> None:
    """A link that names a trial alone: its condition is looked up."""
    query = url_state.current()
    if "trial" in query and "condition" not in query:
        try:
            found = Store(db.path).trial(query["trial"][0])
        except BudgetscopeError:
            return
        st.query_params["condition"] = found.spec.condition.condition_id


def _conditions(db: queries.Database) -> dict[str, dict[str, Any]]:
    """Conditions by id, the best label first in order of task."""
    rows = queries.conditions(db).sort("task", "label").to_dicts()
    called: dict[str, str] = {}
    for _, group in groupby(rows, key=lambda row: row["task"]):
        called |= names.conditions([*group])
    return {row["condition_id"]: row | {"name": called[row["condition_id"]]} for row in rows}


def _controls(
    db: queries.Database,
    params: tuple[Param, ...],
    conditions: dict[str, dict[str, Any]],
    problems: list[str],
) -> Wish:
    by = {param.name: param for param in params}
    several = len({row["task"] for row in conditions.values()}) > 1
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        st.selectbox(
            "Condition",
            list(conditions),
            key=url_state.key(VIEW, "condition"),
            format_func=lambda c: _named(conditions[c], several),
            width=420,
        )
        condition = conditions[st.session_state[url_state.key(VIEW, "condition")]]
        axis = cast("Axis", st.session_state.get(url_state.key(VIEW, "axis")) or condition["axis"])
        budget = _budget(db, condition, axis, problems)
        show = controls.choose(VIEW, by["show"], "Show", SHOW.__getitem__)
    return Wish(condition, axis, budget, show or "all")


def _named(condition: dict[str, Any], with_task: bool) -> str:
    parts = [condition["name"], *([names.task(condition["task"])] if with_task else [])]
    return " · ".join([*parts, "simulated"] if condition["simulated"] else parts)


def _budget(db: queries.Database, condition: dict[str, Any], axis: Axis, problems: list[str]) -> int | None:
    """The budget to read trials at; None: as they were run."""
    key = url_state.key(VIEW, "budget")
    asked = st.session_state.get(key)
    if asked is not None and not (str(asked).isdecimal() and len(str(asked)) < 19):
        problems.append(f"This link asks for budget {asked!r}, which is no whole number.")
        st.session_state[key] = asked = None
    if not condition["anytime"]:
        st.session_state[key] = None
        return None
    budgets = queries.cells(db, axis).filter(condition_id=condition["condition_id"])["budget"].to_list()
    options = sorted({*budgets, *([int(asked)] if asked else [])})
    st.selectbox(
        "Read at budget",
        [str(b) for b in options],
        index=None,
        key=key,
        placeholder="As it was run",
        width=220,
        format_func=lambda b: transcript.budget_name(int(b), axis),
    )
    chosen = st.session_state.get(key)
    return None if chosen is None else int(chosen)


@st.cache_resource(max_entries=8, show_spinner="Reading the trials …")
def _trials(db: queries.Database, condition: str) -> list[Trial]:
    """The last attempt of every trial of a condition, by question; shared between sessions and never changed."""
    found = Store(db.path).trials(condition)
    return sorted(found, key=lambda trial: (trial.spec.question.question_id, trial.spec.repeat))


@st.cache_data(max_entries=256, show_spinner=False)
def _completions(db: queries.Database, keys: tuple[str, ...]) -> dict[str, Completion]:
    return Store(db.path).completions(keys)


def _entries(db: queries.Database, wish: Wish, problems: list[str]) -> list[Entry]:
    trials = _trials(db, wish.condition["condition_id"])
    try:
        return [Entry(trial, replay.read(trial, wish.axis, wish.budget)) for trial in trials]
    except BudgetscopeError as error:
        problems.append(str(error))
        return [Entry(trial, replay.read(trial)) for trial in trials]


def _filtered(entries: list[Entry], show: str) -> list[Entry]:
    return [entry for entry in entries if replay.matches(entry.reading, show)]


def _chosen(entries: list[Entry], shown: list[Entry], problems: list[str]) -> Entry | None:
    """The trial of the link, else the first of its question, else the first shown."""
    for name in ("trial", "question"):
        asked = st.session_state.get(url_state.key(VIEW, name))
        found = next((entry for entry in entries if getattr(entry, f"{name}_id") == asked), None)
        if found:
            return found
        if asked and name == "trial" and not st.session_state.get(url_state.key(VIEW, "question")):
            problems.append(f"This link asks for {name} {asked!r}, which this condition does not have.")
    return shown[0] if shown else None


def _choose(entry: Entry | None) -> None:
    st.session_state[url_state.key(VIEW, "trial")] = entry.trial_id if entry else None
    st.session_state[url_state.key(VIEW, "question")] = entry.question_id if entry else None


def _sentences(entries: list[Entry], wish: Wish) -> None:
    at = f" at {transcript.budget_name(wish.budget, wish.axis)}" if wish.budget is not None else ""
    controls.heading(transcript.title(wish.condition["name"], entries, at))
    controls.caption(transcript.counts_line(wish.condition, entries))


def _list(shown: list[Entry], chosen: Entry | None, total: int) -> None:
    controls.caption(f"{fmt.count(len(shown))} of {fmt.plural(total, 'trial')} shown")
    if not shown:
        st.markdown("No trial is like that; choose another filter or budget above.")
        return
    rows = [shown.index(chosen)] if chosen in shown else []
    st.session_state["trials.table"] = {"selection": {"rows": rows, "columns": [], "cells": []}}

    def picked() -> None:
        found = cast("dict[str, Any]", st.session_state["trials.table"])["selection"]["rows"]
        if found:
            _choose(shown[found[0]])

    table = transcript.table(shown)
    st.dataframe(
        table,
        key="trials.table",
        on_select=picked,
        selection_mode="single-row",
        hide_index=True,
        height=min(38 + 35 * table.height, 360 if controls.narrow() else 640),
        alt="Trials of this condition",
        column_config={name: st.column_config.Column(width=WIDTHS.get(name, 60)) for name in table.columns},
    )


def _trial(chosen: Entry | None, wish: Wish, shown: list[Entry]) -> None:
    if chosen is None:
        controls.caption("Choose a trial to read it call by call.")
        return
    _steps(chosen, shown)
    _question(chosen)
    _calls(chosen, wish)


def _steps(chosen: Entry, shown: list[Entry]) -> None:
    """Previous, next, and where we are."""
    at = shown.index(chosen) if chosen in shown else None
    before = shown[at - 1] if at else None
    after = shown[at + 1] if at is not None and at + 1 < len(shown) else None
    where = f"Trial {at + 1} of {fmt.count(len(shown))}" if at is not None else "Hidden by the filter above"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Previous",
            icon=":material/arrow_back:",
            disabled=before is None,
            on_click=_choose,
            args=(before,),
            help="Previous trial",
        )
        st.button(
            "Next",
            icon=":material/arrow_forward:",
            disabled=after is None,
            on_click=_choose,
            args=(after,),
            help="Next trial",
        )
        controls.caption(where)


def _question(chosen: Entry) -> None:
    spec, reading = chosen.trial.spec, chosen.reading
    with st.container(border=True, key="text.question"):
        st.text(transcript.visible(spec.question.problem.text))
        if told := spec.question.problem.context:
            with st.expander(transcript.document_title(told), expanded=len(told) <= transcript.SHORT):
                st.text(transcript.visible(told))
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(replay.FATES[reading.fate], color=BADGES[reading.fate])
            if reading.exhausted:
                st.badge(
                    "ended by the context window" if chosen.trial.error == "context" else "ended by the budget",
                    color="gray",
                )
        st.text(transcript.verdict_line(chosen.trial, reading))
        controls.caption(transcript.facts_line(chosen))


def _calls(chosen: Entry, wish: Wish) -> None:
    trial, reading = chosen.trial, chosen.reading
    texts = _completions(queries.state(), tuple(call.key for call in trial.calls))
    if not trial.calls:
        controls.caption("This trial made no call.")
    budget = "The budget" if wish.budget is None else f"A budget of {transcript.budget_name(wish.budget, wish.axis)}"
    closing = transcript.closing_line(trial, reading, budget)
    for call in trial.calls:
        beyond = closing is not None and call.ordinal > reading.covered
        _call(trial, call, texts.get(call.key), beyond)
        if closing and call.ordinal == reading.covered:
            st.info(controls.literal(closing), icon=":material/content_cut:")


def _call(trial: Trial, call: Call, completion: Completion | None, beyond: bool) -> None:
    name = f"beyond.{call.ordinal}" if beyond else f"call.{call.ordinal}"
    with st.container(border=True, key=name):
        outside = " · beyond this budget" if beyond else ""
        st.markdown(f"**Call {call.ordinal + 1} · {controls.literal(call.role)}**{outside}")
        controls.caption(transcript.call_line(call))
        if cut := transcript.cut_line(call):
            st.badge(cut, icon=":material/content_cut:", color="gray" if call.cut == "own" else "orange")
        _prompt(trial, call)
        with st.container(key=f"text.{call.ordinal}"):
            if completion is None:
                controls.caption("There is no reply.")
            else:
                st.code(transcript.visible(completion.text) or " ", language=None, wrap_lines=True)
        _marks(trial, call)


def _prompt(trial: Trial, call: Call) -> None:
    """The messages as sent; a prompt sent before is named, not repeated."""
    earlier = next((c.ordinal for c in trial.calls[: call.ordinal] if c.messages == call.messages), None)
    if earlier is not None:
        controls.caption(f"The same prompt as in call {earlier + 1}.")
        return
    with st.expander(transcript.prompt_title(call.messages), icon=":material/chat:"):
        for message in call.messages:
            controls.caption(message.role)
            st.code(transcript.visible(message.content) or " ", language=None, wrap_lines=True)


def _marks(trial: Trial, call: Call) -> None:
    """The answer the trial would have given if the budget had closed after this call."""
    for version in trial.marks:
        if version.after_calls == call.ordinal + 1:
            st.text(
                f"Answer after this call: {transcript.visible(version.answer, 200)} ({replay.FATES[version.verdict]})"
            )


render()
