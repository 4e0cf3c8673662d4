"""The panel beside the figure of Explore: one point in full, and the ways on from it.

Texts of questions and models are escaped; nothing of theirs is HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from dashboard import theme
from dashboard.data import queries, studies, thoughts
from dashboard.text import tables
from dashboard.text import thoughts as words
from dashboard.theme import Inks, fade
from dashboard.widgets import controls, url_state
from engine.core import names, replay
from engine.core import text as fmt
from engine.core.records import AXES

Row = Mapping[str, Any]
SHOWN = 3
"""Answers in the panel."""
LONGEST = 34
"""Letters of a question in it; what it said has half of that."""


def draw(db: queries.Database, row: Row, name: str, study: str, zone: str | None, notes: Sequence[str]) -> None:
    """The point of `row`, called `name`; `notes` are reservations about it."""
    if row["accuracy"] is None:
        _unscored(row, name, study)
        return
    inks = theme.inks(controls.dark())
    colour = theme.strategy_colours([str(row["strategy"])], dark=controls.dark())[str(row["strategy"])]
    n = row["n_questions"]
    model, limit = names.model(str(row["model"])), fmt.up_to(row["budget"], str(row["axis"]))
    # The model has a place of its own, below.
    title = escape(name.replace(f" · {model}", "", 1))
    st.html(
        f'<h2 class="bs-title"><span class="bs-dot" style="background:{colour}"></span>{title}</h2>'
        f'<div class="bs-muted bs-under">{escape(limit)} · {escape(model)}</div>'
        f'<div class="bs-big"><b>{escape(fmt.accuracy(row["accuracy"], n))}</b><div>{_bar(row, colour, inks)}'
        f'<span class="bs-muted">{escape(tables.standing(row))}</span></div></div>'
        + "".join(words.line(*each, strong=False) for each in tables.panel_lines(row))
        + _tokens(row, colour, inks)
    )
    for sentence in (*notes, tables.energy_line(row, zone)):
        controls.caption(sentence)
    _answers(db, row, study)
    aside = st.empty()
    query = {"study": study, "condition": row["condition_id"], "budget": str(row["budget"]), "axis": row["axis"]}
    cell = url_state.cell(row["condition_id"], row["budget"])
    with st.container(key="ways", gap="small"):
        controls.link_to("answers", "Read answers", query)
        with st.container(horizontal=True, gap="small"):
            controls.link_to("compare", "Compare", {"study": study, "task": row["task"], "b": cell}, icon=None)
            controls.link_to("runs", "Run more", studies.more_of(str(row["task"]), 2 * n, [row]), icon=None)
            last = st.empty()
    # Reading a setting's thoughts takes half a second at first: the rest of the panel stands by then.
    if past := thoughts.glance(db, str(row["condition_id"]), study):
        aside.html(words.overthinking(past))
        with last:
            query = {"study": study, "condition": row["condition_id"]}
            controls.link_to("thought", "Thoughts", query, icon=None)


def _unscored(row: Row, name: str, study: str) -> None:
    """A row of the table without a place in the figure: why, and the way to its answers."""
    limit, failed = fmt.up_to(row["budget"], str(row["axis"])), row["n_failed"]
    st.html(f'<h2 class="bs-title">{escape(name)}</h2><div class="bs-muted">{escape(limit)}</div>')
    controls.caption("No answer of it is scored" + (f": {fmt.count(failed)} failed" if failed else ""))
    controls.link_to("answers", "Read answers", {"study": study, "condition": row["condition_id"]})


def _bar(row: Row, colour: str, inks: Inks) -> str:
    """A strip from 0 to 100% with the interval and the accuracy on it."""
    low, high = row["accuracy_low"], row["accuracy_high"]
    at = 100 * float(row["accuracy"])
    span = ""
    if low is not None and high is not None:
        style = f"left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%;background:{fade(colour, 0.45)}"
        span = f'<i style="{style}"></i>'
    dot = f'<b style="left:{at:.1f}%;background:{colour}"></b>'
    return f'<span class="bs-strip" style="background:{inks.grid}">{span}{dot}</span>'


def _tokens(row: Row, colour: str, inks: Inks) -> str:
    """Where the tokens go: cached input, other input, output."""
    cached, whole, output = row["cached_tokens"], row["input_tokens"], row["output_tokens"]
    # A log that reports only one of them has no share to draw.
    if whole is None or output is None or whole + output <= 0:
        return ""
    # Means of two columns need not agree where an old provider reported one of them.
    cached = min(cached or 0.0, whole)
    user = "#173c5c" if controls.dark() else "#cfe6fb"
    hatch = f"repeating-linear-gradient(45deg,{fade(inks.muted, 0.3)} 0 1.5px,{user} 1.5px 6px)"
    rest = "other input" if cached else "input"
    parts = [(cached, "cached", hatch), (whole - cached, rest, user), (output, "output", colour)]
    parts = [part for part in parts if part[0]]
    strips = "".join(f'<i style="flex:{value:.4g};background:{paint}"></i>' for value, _, paint in parts)
    words = "".join(f"<span>{escape(fmt.number(round(value)))} {word}</span>" for value, word, _ in parts)
    title = '<h3 class="bs-sub">Where the tokens go</h3>'
    return f'{title}<div class="bs-flow">{strips}</div><div class="bs-words bs-muted">{words}</div>'


def _answers(db: queries.Database, row: Row, study: str) -> None:
    axis = str(row["axis"])
    # Energy has no wall that a trial could be replayed at.
    if axis not in AXES:
        return
    lines, trials = [], queries.first_trials(db, study, str(row["task"]), str(row["condition_id"]), SHOWN)
    problems = [trial.spec.question.problem for trial in trials]
    questions = tables.short_questions([(problem.text, problem.context) for problem in problems], LONGEST)
    for trial, question in zip(trials, questions, strict=True):
        read = replay.read(trial, axis, row["budget"])
        mark, said = tables.said(read.fate, read.answer, trial.spec.question.target)
        # No answer and partly right are grey: neither is wrong.
        look = {"✓": "right", "✕": "wrong"}.get(mark, "muted")
        asked = f'<span class="bs-q"><b class="bs-{look}">{mark}</b> {escape(question)}</span>'
        lines.append(f'<div class="bs-line">{asked}<span>{escape(said)}</span></div>')
    if lines:
        head = "Three of its answers" if len(lines) == SHOWN else "Its answers"
        st.html(f'<h3 class="bs-sub">{head}</h3>{"".join(lines)}')
