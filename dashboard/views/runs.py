"""Runs: what is asked, who answers, how much it may cost, and the run itself while it works and after."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from html import escape
from pathlib import Path

import polars as pl
import streamlit as st

from dashboard import figures, theme
from dashboard.data import access, live, queries, runs, studies
from dashboard.data.live import Live
from dashboard.text import progress
from dashboard.text.progress import Forecast
from dashboard.widgets import controls, import_panel, model_list, study_address, study_form, url_state
from dashboard.widgets.url_state import Param
from engine.core import names
from engine.core import text as fmt
from engine.core.budget import Limits
from engine.core.errors import BudgetscopeError
from engine.core.records import PUSD_PER_USD
from engine.models.prices import pusd
from engine.runs.expectation import held
from engine.runs.run_dir import RunDir, Status, read, stop_requested
from engine.study.pilot import QUESTIONS
from engine.study.schema import Study, load

VIEW = "run"
RUN = (Param("run"),)
PARAMS = (*RUN, *study_address.PARAMS)
SHOWN = 8  # Runs of a page of the list.
_LISTED = "run.listed"  # Session key: the list of runs was drawn last.
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
    # Its colours are those of `controls.dress`.
    controls.wear(f"<style>{Path(__file__).with_name('runs.css').read_text('utf-8')}</style>")
    problems, run, db = url_state.load(VIEW, PARAMS), None, queries.path()
    if wanted := url_state.value(VIEW, "run"):
        try:
            run = runs.find(db, str(wanted))
        except BudgetscopeError:
            problems.append(
                f"There is no run {url_state.quoted(wanted)} beside {db.name}; the list below has those there are."
            )
    if run is not None:
        url_state.save(VIEW, PARAMS)
        if st.session_state.pop(_LISTED, False):
            url_state.tell()
        # Looked at every two seconds while somebody works on it, else now and then: another terminal may resume it.
        busy = _busy(read(run))
        st.fragment(_panel, run_every=2.0 if busy else 6.0)(run, busy, problems)
        return
    # An archive is only read, whoever asks.
    read_only, archives = queries.archived(queries.state())
    if read_only or not access.may_spend():
        controls.heading("Follow a run")
        controls.caption(*archives)
        if study_address.asked(VIEW):
            problems.append("This link prepares a run, which cannot be started here.")
        url_state.save(VIEW, PARAMS)
        controls.warn(problems)
        controls.door()
        st.fragment(_earlier, run_every=10.0)()  # Another terminal may start one.
        return
    # A link that prepares a run fills the form before it is drawn.
    problems += study_address.fill(VIEW, runs.uploads(db))
    controls.heading("Start a run: what, who, how much")
    controls.caption("The form opens on settings that work; change what you like.", *archives)
    controls.warn(problems)
    _note()
    controls.door()
    st.fragment(_compose)()
    st.fragment(import_panel.render)()


def _note() -> None:
    """What the last click led to, said once."""
    if note := st.session_state.get("run.note"):
        st.info(controls.literal(note), icon=":material/info:")


def _choose(run_id: str | None) -> None:
    for param in PARAMS:
        st.session_state[url_state.key(VIEW, param.name)] = [] if param.many else None
    st.session_state[url_state.key(VIEW, "run")] = run_id


def _busy(status: Status) -> bool:
    return status.alive or runs.starting(status)


def _compose() -> None:
    """The three cards, and at the right what they come to and Launch; a change here redraws this part alone."""
    db = queries.path()
    study_address.start_missing()
    with st.container(key="form"):
        first, second, third, last = st.columns([296, 376, 346, 224], gap="medium")
    with first, st.container(border=True, key="what"):
        st.html(_card(1, "What"))
        tasks, wrong = study_form.what(runs.uploads(db))
    with second, st.container(border=True, key="who"):
        st.html(_card(2, "Who"))
        models, tables, strategies, lineups = study_form.who(runs.declared(db), access.run_environment())
    with third, st.container(border=True, key="much"):
        st.html(_card(3, "How much"))
        axis, budgets = study_form.how_much()
        ceiling, expected = st.container(), st.container()
        repeats, system, until = study_form.more()
    asked = ("", models, strategies, tasks, budgets, axis, repeats, system, None, None, tables, lineups, until)
    form = studies.Form(*asked)
    # The name comes from what is asked, so it is known before its field is drawn.
    taken = {status.name for status in runs.runs(db)}
    with suppress(BudgetscopeError):
        taken |= {*queries.study_choices(queries.state())} if db.exists() else set()
    usual = studies.suggested_name(form, taken)
    form = replace(form, name=str(st.session_state.get("form.name") or usual))
    with last:
        ready = st.container(border=True, key="launch")
        st.fragment(_earlier, run_every=10.0)()  # Another terminal may start one.
    with ready:
        # What it costs is asked with more money than anybody has, so that the answer can suggest the ceiling.
        forecast = Forecast(fault=wrong) if wrong else _forecast(replace(form, usd=1e6))
    with ceiling:
        form = _ceiling(form, forecast)
    with expected:
        _expected(forecast, form)
    with ready:
        playing = (model for lineup in lineups for role, model in lineup.items() if role != "name")
        asked_too = (str(model) for model in (*playing, *(task.get("judge") for task in tasks)) if model)
        lacking = model_list.lacking(dict.fromkeys((*models, *asked_too)), tables, access.run_environment())
        _launch(form, forecast, usual, db, wrong, lacking)
    study_address.settle(VIEW)
    url_state.save(VIEW, PARAMS)
    controls.copy_link(VIEW, PARAMS)


def _card(number: int, title: str) -> str:
    return f'<h2 class="bs-card"><i>{number}</i>{title}</h2>'


def _forecast(form: studies.Form) -> Forecast:
    """What the form will cost, or why it cannot run."""
    missing = "Upload a file with questions first." if not form.tasks else ""
    missing = missing or ("Choose a model." if not form.models and not form.lineups else "")
    missing = missing or ("Choose a strategy." if not form.strategies else "")
    budgets = studies.listed(form.budgets)
    missing = missing or ("Choose a budget." if not budgets else "")
    odd = next((each for each in budgets if not isinstance(each, (int, float))), None)
    missing = missing or ("" if odd is None else f"{url_state.quoted(odd)} is no budget: write a number, such as 256.")
    unpriced = model_list.unpriced(form.models, form.tables)
    missing = missing or (
        f"The price of {unpriced} is unknown: type it under Your own server or file." if unpriced else ""
    )
    if missing:
        return Forecast(fault=missing)
    forecast = queries.expected(queries.state(), studies.text(form))
    return replace(forecast, fault=forecast.fault and studies.without_path(forecast.fault, form.tasks[0]))


def _ceiling(form: studies.Form, forecast: Forecast) -> studies.Form:
    """The run's ceilings: what is typed, else what the estimate suggests."""
    st.html('<span class="bs-label">Ceiling of the whole run, never exceeded</span>')
    left, right = st.columns([3, 2])
    suggested = forecast.ceiling
    tokens = left.number_input(
        "Ceiling, tokens",
        1,
        10**12,
        step=10_000,
        key="form.tokens",
        persist_state="session",
        placeholder=f"{fmt.count(suggested.tokens)} tokens" if suggested.tokens else "tokens",
        label_visibility="collapsed",
        help="Empty: about 2.5 times what is expected, or all it can spend where nothing is known yet.",
    )
    dollars = None if suggested.pusd is None else suggested.pusd / PUSD_PER_USD
    usd = right.number_input(
        "Ceiling, US dollars",
        0.0,
        1e6,
        step=0.5,
        key="form.usd",
        persist_state="session",
        placeholder="US $" if dollars is None else f"US $ {dollars:.2g}",
        label_visibility="collapsed",
    )
    most = int(tokens) if tokens else suggested.tokens
    return replace(form, tokens=most, usd=float(usd) if usd else dollars)


def _expected(forecast: Forecast, form: studies.Form) -> None:
    """What the run will make, call and cost, and how much of its ceiling that is."""
    if forecast.fault:
        return
    rows = "".join(
        f"<div><span>{escape(what)}</span><span>{escape(value)} <small>{escape(aside)}</small></span></div>"
        for what, value, aside in forecast.figures
    )
    head = "<b>At most</b>" if forecast.most else "<b>Expected</b> · 90% interval, from stored runs"
    share = forecast.tokens / form.tokens if form.tokens else 0.0
    part = f"{fmt.whole_percent(share)} of the ceiling" if share <= 1 else "more than the ceiling"
    st.html(
        f'<div class="bs-expected"><p>{head}</p>{rows}'
        f'<span class="bs-bar"><i style="width:{100 * min(1.0, share):.1f}%"></i></span>'
        f"<div><small>{part}</small>"
        f"<small>{fmt.count(form.tokens)}</small></div></div>"
    )
    controls.caption(
        progress.short_of(forecast, Limits(None, form.tokens, None if form.usd is None else pusd(form.usd))),
        forecast.note,
    )


def _launch(form: studies.Form, forecast: Forecast, usual: str, db: Path, wrong: str, lacking: str) -> None:
    """The buttons, the name of the study and its file; `wrong`: what the first card says already, `lacking`: keys."""
    fault = forecast.fault or lacking
    st.html(f'<h3 class="bs-sub">{"Not ready yet" if fault else "Ready to launch"}</h3>')
    if wrong:
        controls.caption("The questions cannot be asked yet: the first card says why.")
    elif fault:
        controls.fault(fault)
    else:
        controls.caption(f"{forecast.summary} You may close the tab: the run goes on.")

    def launch(start: Callable[[Study, Path], RunDir]) -> None:
        try:
            own = runs.settle(db)
            run = start(studies.checked(form), own)
        except BudgetscopeError as error:
            controls.fault(error, grave=True)
            return
        copy = f"results go to {own.name}, a copy that is shown from now on."
        st.session_state["run.note"] = None if own == db else f"{db.name} is the demo and is only read, so {copy}"
        _choose(run.run_id)
        st.rerun()

    with st.container(key="launch-button"):
        if st.button("Launch", type="primary", icon=":material/play_arrow:", disabled=bool(fault), width="stretch"):
            launch(runs.start)
    few = all((task.get("questions") or QUESTIONS + 1) <= QUESTIONS for task in form.tasks)
    help_text = f"{forecast.pilot}; the whole run does not pay it again." if forecast.pilot else None
    if not few and st.button(f"Try {QUESTIONS} questions first", disabled=bool(fault), width="stretch", help=help_text):
        launch(runs.pilot)
    st.text_input("Name of the study", key="form.name", persist_state="session", max_chars=80, placeholder=usual)
    with st.popover("Study file", icon=":material/description:", type="tertiary"):
        controls.caption("The same study for the command line: budgetscope run study.toml")
        text = studies.text(form)
        st.code(text, language="toml", wrap_lines=True)
        st.download_button("Download study.toml", text, "study.toml", "application/toml", on_click="ignore")
    _allowance()


def _allowance() -> None:
    """What is free of the day's allowance, where there is one."""
    try:
        allowed, free = queries.allowance(queries.state())
    except BudgetscopeError:
        return
    parts = []
    for what, limit, left in (("calls", allowed.calls, free.calls), ("tokens", allowed.tokens, free.tokens)):
        if limit is not None and left is not None:
            parts.append(f"{fmt.count(left)} of {fmt.count(limit)} {what}")
    if allowed.pusd is not None and free.pusd is not None:
        parts.append(f"{_money(free.pusd)} of {_money(allowed.pusd)}")
    if parts:
        controls.caption(f"Free today (UTC) for all runs together: {', '.join(parts)}.")


def _earlier() -> None:
    """All runs beside the database, page by page, each with its address."""
    db = queries.path()
    every = runs.runs(db)
    st.session_state[_LISTED] = True
    st.html('<h3 class="bs-sub">Earlier runs</h3>')
    if not every:
        controls.caption("None yet. What you launch is listed here, and goes on when you close the tab.")
        return
    pages = -(-len(every) // SHOWN)
    page = st.pagination(pages, key="run.page") if pages > 1 else 1
    for status in every[(page - 1) * SHOWN : page * SHOWN]:
        with st.container(key=f"earlier-{status.run_id}", gap=None):
            controls.link_to("runs", names.study(status.name), {"run": status.run_id})
            busy = _busy(status)
            word = "starting" if busy and not status.alive else progress.STATES[status.state]
            day = f" {status.started_at:%d %b}".replace(" 0", " ") if status.started_at else ""
            controls.caption(f"{word}{day}" + (f", {progress.trials(status)}" if status.total else ""))
    if any(status.state == "dead" for status in every):
        controls.caption("A dead run lost its process (a kill, a reboot); nothing paid is lost, and resume goes on.")


def _money(amount: int | None) -> str:
    return fmt.money(None if amount is None else amount / PUSD_PER_USD)


def _panel(run: RunDir, was_busy: bool, problems: list[str]) -> None:
    """How the chosen run stands, its frontier as it grows, and what can be done with it."""
    status = read(run)
    busy = _busy(status)
    if busy != was_busy:  # The page asks for this panel at another pace then.
        st.rerun()
    so_far = live.live(status.name, run.run_id, busy)
    controls.heading(progress.title(status, busy, so_far.leader if so_far else None))
    about = [names.study(status.name)]
    about += [names.task(so_far.task)] if so_far else []
    about += [", ".join(dict.fromkeys(map(names.model, so_far.frame["model"])))] if so_far and so_far.common else []
    about += ["you may close this tab"] if busy else []
    controls.caption(*about)
    controls.warn(problems)
    _note()
    with st.container(key="live"):
        left, right = st.columns([1016, 320], gap="medium")
    with left:
        st.html(_bar(progress.bar(status, held(run, status))))
        if failures := progress.failures(status):
            st.warning(controls.literal(failures))
        if busy and status.message:
            st.warning(controls.literal(status.message))
        if not busy and (reason := progress.why(status, runs.log_tail(run))):
            if status.state in ("finished", "stopped"):
                controls.caption(reason)
            else:
                st.warning(controls.literal(reason))
        _figure(so_far, busy)
        _decisions(run)
    with right, st.container(border=True, key="standing"):
        _standing(run, status, busy, so_far)
    with suppress(BudgetscopeError):
        # A study of another version, or one that somebody edited, says nothing of it.
        for line in studies.origins(load(run.study).tasks):
            controls.caption(line)
    if not busy:
        _bill(status)
    with st.expander("Log"):
        log = progress.readable(runs.log_tail(run)) or "Nothing yet."
        st.code(log, language=None, wrap_lines=True, height=220)


def _bar(bar: progress.Bar) -> str:
    """One bar of spent, reserved, expected and ceiling."""
    spent, reserved, expected, ceiling = map(escape, bar.words)
    tick = "" if bar.expected is None else f'<b style="left:{100 * bar.expected:.2f}%"></b>'
    return (
        f'<div class="bs-live"><div class="bs-spent"><i style="width:{100 * bar.spent:.2f}%"></i>'
        f'<i class="bs-reserved" style="width:{100 * bar.reserved:.2f}%"></i>{tick}'
        f"{'<b class=bs-ceiling></b>' if ceiling else ''}</div>"
        f"<div><span><strong>{spent}</strong> {reserved}</span><span>{expected}</span>"
        f'<span class="bs-cut">{ceiling}</span></div></div>'
    )


def _figure(so_far: Live | None, busy: bool) -> None:
    """The frontier on the questions all settings have answered."""
    if so_far is None or not so_far.common:
        controls.caption(
            "The figure appears with the first question that every setting has answered."
            if busy
            else "No question has been answered by every setting, so there is no figure."
        )
        return
    x = "usd" if (so_far.frame["axis"] == "usd").all() else "output_tokens"
    info = figures.frontier_info(so_far.frame, so_far.line, x=x, room=controls.room(), dark=controls.dark())
    controls.chart(figures.frontier_figure(info), "run.figure", VIEW, "Accuracy against spend, so far")
    several, one, more = len(so_far.settings), so_far.common == 1, len(so_far.tasks) - 1
    every = f"{'both' if several == 2 else f'all {several}'} settings have answered"
    if several < 2:
        every = "is answered" if one else "are answered"
    words = f"On the {'one question' if one else fmt.plural(so_far.common, 'question')} that {every}"
    also = f" {fmt.plural(more, 'more task')} {'is' if more == 1 else 'are'} on the page of results." if more else ""
    controls.caption(
        f"{words}{'; redrawn every 2 seconds. Intervals narrow as answers come in.' if busy else '.'}{also}"
    )
    if not busy:
        controls.downloads("run", so_far.frame, chart="run.figure")


def _decisions(run: RunDir) -> None:
    """Of an adaptive run what it decided and why: how far each setting was asked, and what stopped it."""
    for each in queries.decisions(queries.state(), run.run_id):
        st.html(f'<h3 class="bs-sub">What it decided and why: {escape(names.task(each.task))}</h3>')
        controls.caption(each.sentence)
        colours = theme.strategy_colours([one.strategy for one in each.settings], dark=controls.dark())
        rows = []
        for one in each.settings:
            share, colour = 100 * one.asked / max(1, each.listed), colours[one.strategy]
            ended = f"stopped at {fmt.count(one.asked)}" if one.stopped else fmt.plural(one.asked, "question")
            rows.append(
                f'<div class="bs-setting"><div><b><i style="background:{colour}"></i>{escape(one.name)}</b>'
                f'<span>{escape(ended)}</span></div><span class="bs-bar"><i style="width:{share:.1f}%;'
                f'background:{colour}"></i></span><small>{escape(one.reason)}</small></div>'
            )
        st.html(f'<div class="bs-decided">{"".join(rows)}</div>')


def _standing(run: RunDir, status: Status, busy: bool, so_far: Live | None) -> None:
    """How far it is, setting by setting, what can be done, and what it was expected to cost."""
    head, aside = progress.pace(status)
    st.html(
        f'<div class="bs-standing"><h3 class="bs-sub">{progress.trials(status)}</h3>'
        f"<p>{escape(head)}</p><small>{escape(aside)}</small></div>"
    )
    if so_far:
        colours = theme.strategy_colours([each.strategy for each in so_far.settings], dark=controls.dark())
        st.html("".join(_setting(each, colours[each.strategy]) for each in so_far.settings[:SHOWN]))
        if len(so_far.settings) > SHOWN:
            controls.caption(f"{len(so_far.settings) - SHOWN} more settings are on the page of results.")
        if any(each.simulated for each in so_far.settings):
            controls.caption("Scripted models are simulated: no language model answered.")
    elif status.state == "finished" and status.total:
        controls.caption("Nothing of this study is stored in the database that is shown.")
    failed = status.ends.get("failed", 0)
    st.html(
        f'<div class="bs-expected"><div><span>Failed answers</span><span>{fmt.count(failed)}</span></div>'
        f"<div><span>Cost so far</span><span>{escape(progress.cost(status, runs.here(run)))}</span></div></div>"
    )
    if so_far and not busy:
        with st.container(key="results"):
            controls.link_to("explore", "See your results", {"study": so_far.study, "task": so_far.task})
    if access.may_spend():
        _actions(run, status, busy)
    controls.caption(progress.against(held(run, status), status))
    controls.copy_link(VIEW, RUN)


def _setting(each: progress.Result, colour: str) -> str:
    share = 100 * each.done / each.planned if each.planned else 0
    return (
        f'<div class="bs-setting"><div><b><i style="background:{colour}"></i>{escape(each.name)}</b>'
        f"<span>{fmt.count(each.done)} of {fmt.count(each.planned)}</span></div>"
        f'<span class="bs-bar"><i style="width:{share:.1f}%;background:{colour}"></i></span>'
        f"<small>{escape(each.right)}</small></div>"
    )


def _actions(run: RunDir, status: Status, busy: bool) -> None:
    """Stop, resume under a higher ceiling, run again with changes, another run."""

    def stop(now: bool) -> None:
        try:
            runs.stop(run, now)
        except (BudgetscopeError, OSError) as error:
            st.session_state["run.note"] = f"The run was not told to stop: {error}"

    if status.alive:
        heard = status.state == "stopping" or stop_requested(run) is not None
        label = "Stop now" if heard else "Stop"  # Who is not patient enough for a stop asks again.
        st.button(label, icon=":material/stop_circle:", on_click=stop, args=(heard,), width="stretch")
        wait = progress.patience(status, heard)
        if heard:
            st.info(controls.literal(wait), icon=":material/hourglass_top:")
            controls.caption("Stop now gives up calls in flight; they stay charged at their worst case.")
        else:
            controls.caption(f"{wait} What is stored stays and can be resumed.")
        return
    if busy:
        return
    if progress.resumable(status):
        if st.button("Resume" if status.state != "new" else "Start", icon=":material/play_arrow:", width="stretch"):
            raised = [st.session_state.get(f"resume.{what}.{run.run_id}") for what in ("tokens", "usd")]
            limits = Limits(None, raised[0] and int(raised[0]), None if raised[1] is None else pusd(raised[1]))
            try:
                runs.resume(run, limits)
            except BudgetscopeError as error:
                controls.fault(error, grave=True)
            else:
                st.rerun()
        with st.popover("Raise the ceiling", icon=":material/vertical_align_top:", width="stretch"):
            controls.caption("In all, what is spent already included; empty leaves it as it is. Then resume.")
            key, most = f"resume.tokens.{run.run_id}", progress.limit(status.ceiling.tokens)
            st.number_input("Tokens", 1, 10**12, None, step=100_000, key=key, placeholder=most)
            key, most = f"resume.usd.{run.run_id}", progress.money(status.ceiling.pusd)
            st.number_input("US dollars", 0.0, 1e6, None, step=0.5, key=key, placeholder=most)
    try:
        again = study_address.of_study(load(run.study), runs.uploads(queries.path()))
    except BudgetscopeError:
        again = None  # A study of another version, or one that somebody edited.
    if again is not None and st.button("Re-run with changes", icon=":material/edit:", width="stretch"):
        _choose(None)
        for name, value in again.items():
            st.session_state[url_state.key(VIEW, name)] = value
        st.rerun()
    if st.button("New run", icon=":material/add:", width="stretch"):
        _choose(None)
        st.rerun()


def _bill(status: Status) -> None:
    """What the run paid, by model and role."""
    try:
        bill = queries.bill(queries.state(), status.run_id).to_dicts()
    except BudgetscopeError:
        return
    lines = []
    for item in bill:
        counts = {name: fmt.count(item[name.lower()]) for name in ("Calls", "Attempts", "Retries", "Tokens")}
        paid = {name: _money(item[column]) for name, column in MONEY.items()}
        if item["assumed"] and item["list_pusd"] is not None:
            paid["List"] += " assumed price"
        model, role = names.model(item["name"] or item["model"]), names.role(item["role"] or "not read")
        lines.append({"Model": model, "Role": role, **counts, **paid})
    if lines:
        with st.expander("Bill", icon=":material/receipt_long:"):
            controls.table(pl.DataFrame(lines), None, alt="Bill of the run by model and role")
            controls.caption(BILL)
            controls.downloads("bill", pl.DataFrame(lines))


render()
