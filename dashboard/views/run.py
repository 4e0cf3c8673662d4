"""Start a study, watch it, stop it, go on with it: every run beside the database, and the one the address names."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import streamlit as st

from dashboard.data import access, queries, runs, studies
from dashboard.data.studies import Form
from dashboard.text import progress
from dashboard.text.progress import Result
from dashboard.widgets import controls, preview, receipt, study_form, url_state
from dashboard.widgets.url_state import Param
from engine.core.budget import Limits
from engine.core.errors import BudgetscopeError
from engine.models.prices import pusd
from engine.runs.expectation import held
from engine.runs.run_dir import RunDir, Status, read
from engine.study.schema import Study

VIEW = "run"
RUN = (Param("run"),)
PARAMS = (*RUN, *study_form.PARAMS)
SHOWN = 10
Colour = Literal["blue", "orange", "green", "red", "gray"]
COLOURS: dict[str, Colour] = {
    "running": "blue",
    "stopping": "orange",
    "finished": "green",
    "ceiling": "orange",
    "failed": "red",
    "dead": "red",
}


def render() -> None:
    """Draw the page."""
    runs.reap()
    problems = url_state.load(VIEW, PARAMS)
    run = _chosen(problems)
    problems += _prepared()
    url_state.save(VIEW, PARAMS)
    controls.warn(problems)
    if note := st.session_state.get("run.note"):
        st.info(controls.literal(note), icon=":material/info:")
    if run is not None:
        _watch(run)
    else:
        controls.heading("Start a run, or follow one" if access.may_spend() else "Follow a run")
    _list()
    receipt.today()
    controls.door()
    if access.may_spend():
        _new(opened=run is None)


def _prepared() -> list[str]:
    """Fill the form from a link that prepares a run; says what of it cannot be had here."""
    if access.may_spend():
        return study_form.fill(VIEW)
    return ["This link prepares a run, which cannot be started here."] if any(study_form.asked(VIEW).values()) else []


def _chosen(problems: list[str]) -> RunDir | None:
    asked = st.session_state.get(url_state.key(VIEW, "run"))
    if not asked:
        return None
    try:
        return runs.find(queries.path(), str(asked))
    except BudgetscopeError:
        problems.append(f"There is no run {asked!r} beside {queries.path().name}; the list below has those there are.")
        return None


def _choose(run_id: str | None) -> None:
    st.session_state[url_state.key(VIEW, "run")] = run_id


def _busy(status: Status) -> bool:
    return status.alive or runs.starting(status)


def _watch(run: RunDir) -> None:
    """The chosen run, looked at every second while somebody works on it, else now and then: somebody may resume it."""
    live = _busy(read(run))
    st.fragment(_panel, run_every=1.0 if live else 5.0)(run, live)


def _panel(run: RunDir, live: bool) -> None:
    status = read(run)
    busy = _busy(status)
    if busy != live:
        st.rerun()
    with st.container(key="panel"):
        controls.heading(progress.title(status, busy))
        controls.caption(progress.subtitle(status))
        st.progress(progress.share(status))
        with st.container(horizontal=True, gap="large"):
            for what, value, aside in progress.figures(status):
                with st.container(width="content", gap=None):
                    st.metric(what, value)
                    controls.caption(aside or "\u00a0")
        if sentence := progress.against(held(run, status), status):
            controls.caption(sentence)
        if not busy and (reason := progress.why(status, runs.log_tail(run))):
            (controls.caption if status.state in ("finished", "stopped") else _warn)(reason)
        if access.may_spend():
            _actions(run, status, busy)
        _results(status)
        if not busy:
            receipt.show(status.run_id)
        _log(run)


def _warn(sentence: str) -> None:
    st.warning(controls.literal(sentence))


def _actions(run: RunDir, status: Status, busy: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if status.alive and status.state != "stopping":
            st.button(
                "Stop",
                icon=":material/stop_circle:",
                on_click=_stop,
                args=(run, False),
                help="Calls in flight finish and are kept; resume goes on from there.",
            )
        elif status.alive:
            st.button(
                "Stop now",
                icon=":material/stop_circle:",
                on_click=_stop,
                args=(run, True),
                help="Gives up calls in flight; they stay charged at their worst case.",
            )
        elif not busy and progress.resumable(status):
            _resume(run, status)
        controls.copy_link(VIEW, RUN)
        if not busy and st.button("Close", icon=":material/close:"):
            _choose(None)
            st.rerun()


def _stop(run: RunDir, now: bool) -> None:
    try:
        runs.stop(run, now)
    except (BudgetscopeError, OSError) as error:
        st.session_state["run.note"] = f"The run was not told to stop: {error}"


def _resume(run: RunDir, status: Status) -> None:
    tokens = usd = None
    with st.popover("Raise the ceiling", icon=":material/vertical_align_top:"):
        controls.caption("In all, what is spent already included; empty leaves it as it is.")
        tokens = st.number_input(
            "Tokens",
            1,
            10**12,
            None,
            step=100_000,
            key=f"resume.tokens.{run.run_id}",
            placeholder=progress.limit(status.ceiling.tokens),
        )
        usd = st.number_input(
            "US dollars",
            0.0,
            1e6,
            None,
            step=0.5,
            key=f"resume.usd.{run.run_id}",
            placeholder=progress.money(status.ceiling.pusd),
        )
    if st.button("Resume" if status.state != "new" else "Start", icon=":material/play_arrow:", type="primary"):
        wished = Limits(None, None if tokens is None else int(tokens), None if usd is None else pusd(usd))
        try:
            runs.resume(run, wished)
        except BudgetscopeError as error:
            st.error(controls.literal(str(error)))
            return
        st.rerun()


def _results(status: Status) -> None:
    """The run's conditions at their largest budget, each the way down to its trials."""
    rows = _rows(status)
    if not rows:
        stored = status.state == "finished" and status.done
        controls.caption(
            "Earlier runs had stored all these trials, so nothing was left to do; the frontier has them."
            if stored
            else "Results appear here with the first finished trials."
        )
        return
    widths = [6, 1, 3, 1, 2]
    for column, title in zip(
        st.columns(widths), ("Condition", "Budget", "Accuracy, 95%", "n", "Tokens per question"), strict=True
    ):
        column.caption(title)
    for row in rows[:SHOWN]:
        name, *cells = st.columns(widths, vertical_alignment="center")
        with name:
            controls.link_to("trials", row.name, {"condition": row.condition_id, "budget": str(row.budget)})
        for column, text in zip(cells, row.texts, strict=True):
            column.text(text)
    if any(row.simulated for row in rows):
        controls.caption("Scripted models are simulated: no language model answered.")
    if len(rows) > SHOWN:
        controls.caption(f"{len(rows) - SHOWN} more conditions are on the frontier page.")
    controls.link_to("frontier", "Open the frontier", {})


def _rows(status: Status) -> list[Result]:
    """Results so far; while the run works they are looked up no more than a fifth of the time."""
    kept, due = st.session_state.get(f"run.rows.{status.run_id}", ([], 0.0))
    began = time.monotonic()
    if status.alive and began < due:
        return list(kept)
    try:
        kept = progress.results(queries.cells(queries.state()), queries.conditions(queries.state()), status.run_id)
    except BudgetscopeError:
        kept = []
    took = time.monotonic() - began
    st.session_state[f"run.rows.{status.run_id}"] = kept, time.monotonic() + max(1.0, 4 * took)
    return list(kept)


def _log(run: RunDir) -> None:
    with st.expander("Log"):
        st.code(progress.readable(runs.log_tail(run)) or "Nothing yet.", language=None, wrap_lines=True, height=220)


def _list() -> None:
    """All runs, looked at again and again: another terminal may start one."""
    live = any(_busy(each) for each in runs.runs(queries.path()))
    st.fragment(_runs, run_every=2.0 if live else 10.0)()


def _runs() -> None:
    found = runs.runs(queries.path())
    if not found:
        more = "; the form below starts one" if access.may_spend() else ""
        controls.caption(f"No run lies beside {queries.path().name} yet{more}.")
        return
    st.markdown(f"##### Runs beside {controls.literal(queries.path().name)}")
    dead = [each for each in found if each.state == "dead"]
    if dead:
        controls.caption("A dead run lost its process (a kill, a reboot); nothing paid is lost, and resume goes on.")
    pages = -(-len(found) // SHOWN)
    page = st.pagination(pages, key="run.page") if pages > 1 else 1
    for each in found[(page - 1) * SHOWN : page * SHOWN]:
        _line(each)


def _line(each: Status) -> None:
    with st.container(key=f"run.{each.run_id}"):
        name, state, trials, spent, action = st.columns([4, 2, 2, 3, 2], vertical_alignment="center")
        with name:
            controls.link_to("run", f"{each.name} · {each.run_id}", {"run": each.run_id})
        with state:
            word = "starting" if not each.alive and _busy(each) else each.state
            st.badge(word, color=COLOURS.get(each.state, "gray"))
        trials.text(progress.trials(each))
        spent.text(progress.spent(each))
        if access.may_spend() and not _busy(each) and progress.resumable(each):
            with action:
                if st.button("Resume", key=f"resume.{each.run_id}"):
                    _resume_plain(each.run_id)


def _resume_plain(run_id: str) -> None:
    try:
        runs.resume(runs.find(queries.path(), run_id))
        _choose(run_id)
    except BudgetscopeError as error:
        st.session_state["run.note"] = str(error)
    st.rerun()


def _new(opened: bool) -> None:
    with st.expander("New run", expanded=opened, icon=":material/add:"):
        st.fragment(_compose)()


def _compose() -> None:
    """Form, preview, estimate and the button; a change here redraws this part alone."""
    db = queries.path()
    asked = study_form.study_form(runs.declared(db), runs.uploads(db))
    text = studies.text(asked)
    with st.expander("Study file", icon=":material/description:"):
        controls.caption("The same study for the command line: budgetscope run study.toml")
        st.code(text, language="toml", wrap_lines=True)
        st.download_button("Download study.toml", text, "study.toml", "application/toml", on_click="ignore")
    forecast = preview.forecast(text)
    if forecast.fault:
        st.warning(controls.literal(forecast.fault))
    else:
        preview.show(forecast)
    with st.container(horizontal=True):
        if st.button("Launch", type="primary", icon=":material/play_arrow:", disabled=bool(forecast.fault)):
            _launch(asked, runs.start)
        if forecast.pilot and st.button(preview.PILOT, icon=":material/science:"):
            _launch(asked, runs.pilot)
        controls.copy_link(VIEW, PARAMS, study_form.settle(VIEW))
    url_state.save(VIEW, PARAMS)
    controls.caption(f"The pilot: {forecast.pilot}" if forecast.pilot else "")


def _launch(asked: Form, start: Callable[[Study, Path], RunDir]) -> None:
    shown = queries.path()
    try:
        own = runs.settle(shown)
        run = start(studies.checked(asked), own)
    except BudgetscopeError as error:
        st.error(controls.literal(str(error)))
        return
    moved = f"{shown.name} is the demo and is only read, so results go to {own.name}, a copy that is shown from now on."
    st.session_state["run.note"] = None if own == shown else moved
    _choose(run.run_id)
    st.rerun()


render()
