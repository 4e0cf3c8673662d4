"""Start a study, watch it, stop it, go on with it: every run beside the database, and the one the address names."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import polars as pl
import streamlit as st

from dashboard.data import access, queries, runs, studies
from dashboard.text import progress
from dashboard.text.progress import Result
from dashboard.widgets import controls, study_form, url_state
from dashboard.widgets.url_state import Param
from engine.core import text as fmt
from engine.core.budget import Limits
from engine.core.errors import BudgetscopeError
from engine.core.records import PUSD_PER_USD
from engine.models.bundled import BUNDLED
from engine.models.prices import pusd
from engine.runs.expectation import held
from engine.runs.run_dir import RunDir, Status, read
from engine.study.pilot import QUESTIONS
from engine.study.schema import Study

VIEW = "run"
RUN = (Param("run"),)
PARAMS = (*RUN, *study_form.PARAMS)
SHOWN = 10  # Runs of a page of the list, and conditions of a run.
Colour = Literal["blue", "orange", "green", "red", "gray"]
COLOURS: dict[str, Colour] = {"running": "blue", "stopping": "orange", "finished": "green", "ceiling": "orange"}
COLOURS |= {"failed": "red", "dead": "red"}
BILL = (
    "Billed: what this run paid. Replayed: what replies it read again had cost when they were bought. List: what its "
    "calls would cost bought one by one today. In doubt: sent, and no outcome came back. The three are never added up. "
    "A ceiling counts the larger of our price and what the provider says, call by call."
)
MONEY = {
    "Billed": "billed_pusd",
    "Replayed": "replayed_pusd",
    "List": "list_pusd",
    "In doubt": "in_doubt_pusd",
    "Provider says": "provider_pusd",
}


def render() -> None:
    """Draw the page."""
    runs.reap()
    problems, run, db = url_state.load(VIEW, PARAMS), None, queries.path()
    if wanted := url_state.value(VIEW, "run"):
        try:
            run = runs.find(db, str(wanted))
        except BudgetscopeError:
            problems.append(
                f"There is no run {url_state.quoted(wanted)} beside {db.name}; the list below has those there are."
            )
    # A link that prepares a run fills the form before it is drawn.
    if access.may_spend():
        problems += study_form.fill(VIEW)
    elif any(study_form.asked(VIEW).values()):
        problems.append("This link prepares a run, which cannot be started here.")
    url_state.save(VIEW, PARAMS)
    controls.warn(problems)
    if note := st.session_state.get("run.note"):
        st.info(controls.literal(note), icon=":material/info:")
    if run is not None:
        # Looked at every second while somebody works on it, else now and then: another terminal may resume it.
        live = _busy(read(run))
        st.fragment(_panel, run_every=1.0 if live else 5.0)(run, live)
    else:
        controls.heading("Start a run, or follow one" if access.may_spend() else "Follow a run")
    live = any(_busy(status) for status in runs.runs(db))
    st.fragment(_runs, run_every=2.0 if live else 10.0)()  # Another terminal may start one.
    try:
        allowed, free = queries.allowance(queries.state())
    except BudgetscopeError:
        allowed = free = Limits()
    parts = []
    for what, limit, left in (("calls", allowed.calls, free.calls), ("tokens", allowed.tokens, free.tokens)):
        if limit is not None and left is not None:
            parts.append(f"{fmt.count(left)} of {fmt.count(limit)} {what}")
    if allowed.pusd is not None and free.pusd is not None:
        parts.append(f"{_money(free.pusd)} of {_money(allowed.pusd)}")
    if parts:
        controls.caption(f"Free today (UTC) for all runs together: {', '.join(parts)}.")
    controls.door()
    if access.may_spend():
        with st.expander("New run", expanded=run is None, icon=":material/add:"):
            st.fragment(_compose)()


def _choose(run_id: str | None) -> None:
    st.session_state[url_state.key(VIEW, "run")] = run_id


def _busy(status: Status) -> bool:
    return status.alive or runs.starting(status)


def _money(amount: int | None) -> str:
    return fmt.money(None if amount is None else amount / PUSD_PER_USD)


def _panel(run: RunDir, live: bool) -> None:
    """How the chosen run stands, what can be done with it, its results, bill and log."""
    status = read(run)
    busy = _busy(status)
    if busy != live:  # The page asks for this panel at another pace then.
        st.rerun()
    with st.container(key="panel"):
        controls.heading(progress.title(status, busy))
        controls.caption(progress.subtitle(status))
        st.progress(progress.share(status))
        controls.figures(progress.figures(status))
        controls.caption(progress.against(held(run, status), status))
        if failures := progress.failures(status):
            st.warning(controls.literal(failures))
        if busy and status.message:
            st.warning(controls.literal(status.message))
        if not busy and (reason := progress.why(status, runs.log_tail(run))):
            if status.state in ("finished", "stopped"):
                controls.caption(reason)
            else:
                st.warning(controls.literal(reason))
        if access.may_spend():
            _actions(run, status, busy)
        _results(status, busy)
        with st.expander("Log"):
            log = progress.readable(runs.log_tail(run)) or "Nothing yet."
            st.code(log, language=None, wrap_lines=True, height=220)


def _actions(run: RunDir, status: Status, busy: bool) -> None:
    """Stop, resume under a higher ceiling, copy the link, close."""

    def stop(now: bool) -> None:
        try:
            runs.stop(run, now)
        except (BudgetscopeError, OSError) as error:
            st.session_state["run.note"] = f"The run was not told to stop: {error}"

    with st.container(horizontal=True, vertical_alignment="center"):
        if status.alive:
            now = status.state == "stopping"  # Who is not patient enough for a stop asks again.
            label, text = "Stop", "Calls in flight finish and are kept; resume goes on from there."
            if now:
                label, text = "Stop now", "Gives up calls in flight; they stay charged at their worst case."
            st.button(label, icon=":material/stop_circle:", on_click=stop, args=(now,), help=text)
        elif not busy and progress.resumable(status):
            with st.popover("Raise the ceiling", icon=":material/vertical_align_top:"):
                controls.caption("In all, what is spent already included; empty leaves it as it is.")
                key, most = f"resume.tokens.{run.run_id}", progress.limit(status.ceiling.tokens)
                tokens = st.number_input("Tokens", 1, 10**12, None, step=100_000, key=key, placeholder=most)
                key, most = f"resume.usd.{run.run_id}", progress.money(status.ceiling.pusd)
                usd = st.number_input("US dollars", 0.0, 1e6, None, step=0.5, key=key, placeholder=most)
            if st.button("Resume" if status.state != "new" else "Start", icon=":material/play_arrow:", type="primary"):
                raised = Limits(None, None if tokens is None else int(tokens), None if usd is None else pusd(usd))
                try:
                    runs.resume(run, raised)
                except BudgetscopeError as error:
                    st.error(controls.literal(str(error)))
                else:
                    st.rerun()
        controls.copy_link(VIEW, RUN)
        if not busy and st.button("Close", icon=":material/close:"):
            _choose(None)
            st.rerun()


def _study_of(db: queries.Database, status: Status) -> str:
    """The study of a run as the other pages name it; all of them where nothing of it is stored yet."""
    return status.name if status.name in queries.studies(db) else queries.ALL


def _results(status: Status, busy: bool) -> None:
    """What the run has brought: its conditions at their largest budget, the way down to trials, and its bill."""
    key, began = f"run.rows.{status.run_id}", time.monotonic()
    rows: list[Result]
    rows, due = st.session_state.get(key, ([], 0.0))
    if not status.alive or began >= due:
        try:
            db = queries.state()
            scored = queries.cells(db, study=_study_of(db, status))
            rows = progress.results(scored, queries.conditions(db), status.run_id)
        except BudgetscopeError:
            rows = []
        # Every finished trial changes the file, and with it every cached frame: while the run works, results are looked
        # up no more than a fifth of the time.
        now = time.monotonic()
        st.session_state[key] = rows, now + max(1.0, 4 * (now - began))
    if not rows:
        stored = status.state == "finished" and status.done
        controls.caption(
            "Earlier runs had stored all these trials, so nothing was left to do; the frontier has them."
            if stored
            else "Results appear here with the first finished trials."
        )
    else:
        widths, titles = [6, 1, 3, 1, 2], ("Condition", "Budget", "Accuracy, 95%", "n", "Tokens per question")
        for column, title in zip(st.columns(widths), titles, strict=True):
            column.caption(title)
        study = _study_of(queries.state(), status)
        for row in rows[:SHOWN]:
            name, *cells = st.columns(widths, vertical_alignment="center")
            with name:
                place = {"condition": row.condition_id, "budget": str(row.budget)}
                controls.link_to("trials", row.name, {"study": study, **place})
            for column, text in zip(cells, row.texts, strict=True):
                column.text(text)
        if any(row.simulated for row in rows):
            controls.caption("Scripted models are simulated: no language model answered.")
        if len(rows) > SHOWN:
            controls.caption(f"{len(rows) - SHOWN} more conditions are on the frontier page.")
        controls.link_to("explore", "See your results", {"study": study})
    if busy:  # A bill of calls in flight would not add up.
        return
    try:
        bill = queries.bill(queries.state(), status.run_id).to_dicts()
    except BudgetscopeError:
        return
    lines = []
    for item in bill:
        counts = {name: fmt.count(item[name.lower()]) for name in ("Calls", "Attempts", "Retries", "Tokens")}
        paid = {name: _money(item[column]) for name, column in MONEY.items()}
        if item["assumed"] and item["list_pusd"] is not None:
            paid["List"] += " assumed"
        model, role = controls.short(item["name"] or item["model"]), item["role"] or "not read"
        lines.append({"Model": model, "Role": role, **counts, **paid})
    if lines:
        with st.expander("Bill", icon=":material/receipt_long:"):
            st.dataframe(pl.DataFrame(lines), hide_index=True, alt="Bill of the run by model and role")
            controls.caption(BILL)
            if any(item["assumed"] for item in bill):
                controls.caption("List prices marked assumed stand in for a model nobody bills.")


def _runs() -> None:
    """All runs beside the database, page by page."""
    db = queries.path()
    every = runs.runs(db)
    if not every:
        more = "; the form below starts one" if access.may_spend() else ""
        controls.caption(f"No run lies beside {db.name} yet{more}.")
        return
    st.markdown(f"##### Runs beside {controls.literal(db.name)}")
    if any(status.state == "dead" for status in every):
        controls.caption("A dead run lost its process (a kill, a reboot); nothing paid is lost, and resume goes on.")
    pages = -(-len(every) // SHOWN)
    page = st.pagination(pages, key="run.page") if pages > 1 else 1
    for status in every[(page - 1) * SHOWN : page * SHOWN]:
        run_id, busy = status.run_id, _busy(status)
        with st.container(key=f"run.{run_id}"):
            name, state, trials, spent, action = st.columns([4, 2, 2, 3, 2], vertical_alignment="center")
            with name:
                controls.link_to("run", f"{status.name} · {run_id}", {"run": run_id})
            with state:
                word = "starting" if busy and not status.alive else status.state
                st.badge(word, color=COLOURS.get(status.state, "gray"))
            trials.text(progress.trials(status))
            spent.text(progress.spent(status))
            resumable = access.may_spend() and not busy and progress.resumable(status)
            if resumable and action.button("Resume", key=f"resume.{run_id}"):
                try:
                    runs.resume(runs.find(db, run_id))
                    _choose(run_id)
                except BudgetscopeError as error:
                    st.session_state["run.note"] = str(error)
                st.rerun()


def _test(models: list[str], text: str, db: Path) -> None:
    """Ask one of the form's models once, and show what came back."""
    if not models:
        return
    with st.popover("Test a model", icon=":material/network_check:"):
        controls.caption("One call. It bills, under a ceiling of $0.10 of its own, and counts in the day's allowance.")
        name = st.selectbox("Model to test", models, key="run.test")
        if st.button("Test", key="run.test.go") and name:
            with st.spinner("Asking"):
                try:
                    replied, said = runs.ask_once(name, text, db)
                except (BudgetscopeError, OSError) as error:
                    replied, said = False, str(error)
            (st.code if replied else st.warning)(said if replied else controls.literal(said))


def _fetch(missing: list[str]) -> None:
    """Bring bundled models that did not come with the installation."""
    for name in missing:
        if st.button(f"Fetch {name} ({BUNDLED[name].megabytes} MB)", icon=":material/download:"):
            try:
                with st.spinner("Fetching the model …"):
                    runs.fetch(name)
            except BudgetscopeError as error:
                st.error(controls.literal(str(error)))
            else:
                queries.expected.clear()  # It keeps what was wrong.
                st.rerun()


def _compose() -> None:
    """Form, study file, what it can cost and the buttons; a change here redraws this part alone."""
    db = queries.path()
    form = study_form.study_form(runs.declared(db), runs.uploads(db))
    text = studies.text(form)
    with st.expander("Study file", icon=":material/description:"):
        controls.caption("The same study for the command line: budgetscope run study.toml")
        st.code(text, language="toml", wrap_lines=True)
        st.download_button("Download study.toml", text, "study.toml", "application/toml", on_click="ignore")
    forecast = queries.expected(text, queries.state())
    # One place for either: were what follows to move, a browser would show two Launch buttons while it catches up.
    with st.container():
        if forecast.fault:
            st.warning(controls.literal(forecast.fault))
            _fetch(runs.missing(form.models))
        else:
            controls.figures(forecast.figures)
            controls.caption(forecast.note)
            if forecast.reading:
                controls.caption(controls.literal(forecast.reading))

    def launch(start: Callable[[Study, Path], RunDir]) -> None:
        try:
            own = runs.settle(db)
            run = start(studies.checked(form), own)
        except BudgetscopeError as error:
            st.error(controls.literal(str(error)))
            return
        copy = f"results go to {own.name}, a copy that is shown from now on."
        st.session_state["run.note"] = None if own == db else f"{db.name} is the demo and is only read, so {copy}"
        _choose(run.run_id)
        st.rerun()

    with st.container(horizontal=True):
        if st.button("Launch", type="primary", icon=":material/play_arrow:", disabled=bool(forecast.fault)):
            launch(runs.start)
        if forecast.pilot and st.button(f"Pilot with {QUESTIONS} questions", icon=":material/science:"):
            launch(runs.pilot)
        _test(list(form.models), text, db)
        controls.copy_link(VIEW, PARAMS, study_form.settle(VIEW))
    url_state.save(VIEW, PARAMS)
    controls.caption(f"The pilot: {forecast.pilot}" if forecast.pilot else "")


render()
