"""Answers of a setting, one by one: which came out right, wrong, cut or not at all, and each call by call.

Texts of questions and models are escaped wherever they stand in markup; nothing of theirs is HTML.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any, cast

import streamlit as st

from dashboard import ready, theme
from dashboard.data import cuts, queries
from dashboard.text import strips, transcript
from dashboard.text.transcript import Entry
from dashboard.theme import fade
from dashboard.widgets import controls, setting, url_state
from dashboard.widgets.url_state import Param
from engine.analysis.sql.trial_list import PAGE, Key, TrialPage
from engine.core import names, replay
from engine.core import text as fmt
from engine.core.errors import BudgetscopeError
from engine.core.records import AXES, Axis, Call, Completion, Trial
from engine.models.settings import shown
from engine.store.store import Store

if TYPE_CHECKING:
    import polars as pl

VIEW = "answers"
SHOW = {
    "all": "All",
    "right": "Right",
    "partly": "Partly right",
    "wrong": "Wrong",
    "none": "No answer",
    "exhausted": "Cut",
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
_DERIVED = "A majority vote over draws of its log, which stand under the setting it is derived from; nobody was asked."
WIDTHS = {"": 24, "Question": 112, "It said": 76, "Tokens": 56, "Output": 44, "Repeat": 46}  # Pixels.
BAR = 44
"""Pixels of the bar of a row."""
STYLE = """<style>
[class*="st-key-text"] pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.st-key-list [data-testid="stButtonGroup"] > label { display: none; }
.an-head { display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem 1rem; font-size: 15px; }
.an-bar { display: flex; position: relative; height: 18px; margin: 20px 0 6px; }
.an-bar i {
  box-sizing: border-box; border-right: 1px solid var(--bs-background); min-width: 0; overflow: hidden;
  font-size: 12px; line-height: 18px; font-style: normal; text-align: center; color: var(--bs-background);
}
.an-went { margin: 3px 0 8px; }
.an-went i { color: var(--bs-text); }
.an-went b { top: -4px; height: 26px; }
.an-bar i.an-out {
  background: none !important; border: 1px solid var(--bs-axis); line-height: 16px; color: var(--bs-muted);
}
.an-bar b { position: absolute; top: -19px; height: 42px; border-left: 3px solid var(--bs-cut); }
.an-bar b span { position: absolute; top: -3px; left: 6px; font-size: 13px; white-space: nowrap; color: var(--bs-cut); }
.an-bar b.an-late span { left: auto; right: 9px; }
.an-words { display: flex; justify-content: space-between; gap: 1rem; font-size: 13px; color: var(--bs-muted); }
.an-call {
  display: grid; grid-template-columns: 190px minmax(0, 1fr) 110px; gap: .3rem 1rem; padding: 9px 0;
  border-top: 1px solid var(--bs-border); font-size: 15px;
}
.an-call > :last-child { text-align: right; overflow-wrap: anywhere; }
.an-call small { display: block; font-size: 13px; color: var(--bs-muted); }
.an-call summary { font-size: 13px; color: var(--bs-muted); cursor: pointer; }
.an-cut { color: var(--bs-cut); font-weight: 650; }
@media (max-width: 1100px) {
  .st-key-split [data-testid="stHorizontalBlock"]:has(> [data-testid="stColumn"]) { flex-direction: column; }
  .st-key-split [data-testid="stColumn"] { width: 100%; flex: 1 1 auto; }
}
.st-key-split { margin-top: .8rem; }
@media (max-width: 640px) {
  .an-call { grid-template-columns: minmax(0, 1fr); }
  .an-call > :last-child { text-align: left; }
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
        """Draw the row of controls; what they ask for."""
        by = {param.name: param for param in params}
        study, condition = setting.choose(db, VIEW, by, conditions)
        axis = cast("Axis", url_state.value(VIEW, "axis") or condition["axis"])
        key = url_state.key(VIEW, "budget")
        budget = st.session_state.get(key)
        # Eighteen digits: what is longer does not fit the database's integers.
        if budget is not None and not (str(budget).isdecimal() and len(str(budget)) < 19):
            problems.append(f"This link asks for budget {url_state.quoted(budget)}, which is no whole number.")
            st.session_state[key] = budget = None
        limit = fmt.up_to(condition["budget"], condition["axis"])
        as_run = limit if limit == fmt.AS_RUN else f"{limit}, {fmt.AS_RUN}"
        if condition["anytime"]:
            # On its own axis as every page reads it, so that nothing is read twice.
            placed = queries.placed(db, None if axis == condition["axis"] else axis, study)
            own = placed.filter(condition_id=condition["condition_id"])["budgets"].explode().drop_nulls()
            walls = {*own, *([int(budget)] if budget else [])}
            st.selectbox(
                "Budget",
                [str(each) for each in sorted(walls)],
                index=None,
                key=key,
                placeholder=as_run,
                width=308,
                format_func=lambda each: fmt.up_to(int(each), axis),
            )
        else:  # It planned with its budget, so nobody knows what it would have done at another.
            st.session_state[key] = None
            controls.caption(as_run)
        budget = st.session_state.get(key)
        find = str(url_state.value(VIEW, "find") or "").strip()
        show = str(url_state.value(VIEW, "show") or "all")
        return cls(study, condition, axis, None if budget is None else int(budget), show, find)

    @property
    def limit(self) -> str:
        """The budget answers are read at: `128 tokens`."""
        if self.budget is None:
            return fmt.budget(self.condition["budget"], self.condition["axis"])
        return fmt.budget(self.budget, self.axis)

    @property
    def limit_tokens(self) -> int | None:
        """The budget as a number on its axis; None: it has none."""
        budget = self.condition["budget"] if self.budget is None else self.budget
        return None if budget is None else int(budget)


def render() -> None:
    """Draw the page."""
    if (db := controls.database()) is None:
        return
    controls.wear(STYLE, strips.style(controls.dark()))
    query = url_state.current()
    if "trial" in query and "condition" not in query:  # A link that names an answer alone: its setting is looked up.
        with suppress(BudgetscopeError):
            st.query_params["condition"] = Store(db.path).trial(query["trial"][0]).spec.condition.condition_id
    conditions = setting.named(db)
    params = controls.offering(PARAMS, {"study": controls.studies(db, "condition"), "condition": tuple(conditions)})
    problems = url_state.load(VIEW, params)
    controls.keep(VIEW, ("show", "find"))
    with st.container(horizontal=True, vertical_alignment="center", key="bar"):
        wish = Wish.drawn(db, params, conditions, problems)
        st.space("stretch")
        ways = st.container(horizontal=True, width="content")
    model = str(wish.condition["model"])
    # It is loaded while the answers are looked for.
    ready.ahead(db, ("answers", model), [partial(cuts.begin, model)])
    key = url_state.value(VIEW, "trial"), url_state.value(VIEW, "question")
    asked = (db, wish.study, wish.condition["task"], wish.condition["condition_id"], wish.axis)
    try:
        page = queries.trial_page(*asked, wish.budget, wish.show, wish.find, key)
        entries = [Entry(trial, replay.read(trial, wish.axis, wish.budget)) for trial in page.trials]
    except BudgetscopeError as error:  # Cost, and a price nobody knows.
        problems.append(str(error))
        wish = replace(wish, budget=None)
        page = queries.trial_page(*asked, None, wish.show, wish.find, key)
        entries = [Entry(trial, replay.read(trial)) for trial in page.trials]
    if key[0] and not page.known:
        problems.append(f"This link asks for answer {url_state.quoted(key[0])}, which this setting does not have.")
    chosen = None if page.chosen is None else Entry(page.chosen, replay.read(page.chosen, wish.axis, wish.budget))
    with ways:
        _turn("Previous", "Left", page.before)
        _turn("Next", "Right", page.after)
    if chosen is None:
        sought = wish.find or wish.show != "all"
        controls.heading(f"No answer of this setting {'matches' if sought else 'is stored'}")
    else:
        controls.heading(transcript.finding(chosen.trial, chosen.reading, wish.limit))
    controls.warn(problems)
    with st.container(key="split"):
        left, right = st.columns([48, 100], gap="medium")
    with left, st.container(border=True, key="list"):
        _list(wish, page, entries)
    with right:
        if chosen is not None:
            _answer(db, wish, chosen)
    placed = queries.placed(db, None, wish.study)
    drawn = placed.filter(condition_id=wish.condition["condition_id"])["n_draws"].max()
    if isinstance(drawn, int) and drawn > 1:
        controls.caption(f"Other pages read this setting as the {fmt.draws(drawn)}; these are the answers that ran.")
    for sentence in queries.notes(db, wish.study):
        controls.caption(sentence)
    url_state.save(VIEW, params)

    def every() -> pl.DataFrame:
        rows = queries.trial_rows(db, wish.condition["condition_id"])
        asked = queries.questions_of(db, wish.study, wish.condition["task"])
        return rows if asked is None else rows.filter(rows["question_id"].is_in(sorted(asked)))

    controls.downloads(VIEW, every, params)


def _choose(key: Key) -> None:
    st.session_state[url_state.key(VIEW, "trial")] = key.trial_id
    st.session_state[url_state.key(VIEW, "question")] = key.question_id


def _turn(label: str, shortcut: str, to: Key | None) -> None:
    """A button to the answer before or after, also by an arrow key."""
    st.button(label, key=f"{VIEW}.{label}", disabled=to is None, on_click=_choose, args=(to,), shortcut=shortcut)


def _list(wish: Wish, page: TrialPage, entries: Sequence[Entry]) -> None:
    """The filter with its counts, and the page of the list."""
    counts = {show: page.fates.get(show, 0) for show in SHOW}
    counts |= {"all": page.total, "exhausted": page.ended, "failed": counts["failed"] + page.fates.get("stopped", 0)}
    # What became of none is no choice, unless a link made it.
    st.segmented_control(
        "Show",
        [show for show in SHOW if counts[show] or show in ("all", wish.show)],
        key=url_state.key(VIEW, "show"),
        required=True,
        label_visibility="collapsed",
        format_func=lambda show: f"{SHOW[show]} {fmt.count(counts[show])}",
    )
    key, help = url_state.key(VIEW, "find"), "Words that a question, its target or an answer holds"
    st.text_input("Search", key=key, max_chars=200, placeholder="Search", help=help, label_visibility="collapsed")
    if not entries:
        st.markdown("No answer is like that; choose another filter or budget above.")
        return
    inks, dark = theme.inks(controls.dark()), controls.dark()
    strategy = str(wish.condition["strategy"])
    colour = theme.strategy_colours([strategy], dark=dark)[strategy]
    whole = [_output(entry.trial.calls) for entry in entries]
    longest = max(1, *whole)
    bars = [
        _bar(entry, total, longest, colour, inks.grid, inks.cut) for entry, total in zip(entries, whole, strict=True)
    ]
    table = transcript.table(entries)
    import polars as pl

    table = table.insert_column(3, pl.Series("Tokens", bars))
    formats: dict[str, Any] = {
        name: st.column_config.Column(width=WIDTHS[name] - 34 * (name == "Question" and controls.narrow()))
        for name in table.columns
        if name != "Tokens"
    }
    formats["Tokens"] = st.column_config.ImageColumn(width=WIDTHS["Tokens"], help="Output tokens, the cut in red")

    def pick(row: int | None) -> None:
        if row is not None:  # A row that is let go keeps its answer on screen: one is always read.
            _choose(Key(entries[row].trial_id, entries[row].question_id))

    row = None if page.at is None else page.at - page.first
    tallest, alt = 300 if controls.narrow() else 600, "Answers of this setting"
    controls.table(table, "answers.table", formats=formats, tallest=tallest, alt=alt, row=row, pick=pick)
    first, last = fmt.count(page.first + 1), fmt.count(page.first + len(entries))
    controls.caption(f"Answers {first}–{last} of {fmt.count(page.shown)} shown", "← → to move")
    if page.shown > PAGE:
        with st.container(horizontal=True):
            for label, to in (("Page before", page.page_before), ("Page after", page.page_after)):
                st.button(label, disabled=to is None, on_click=_choose, args=(to,))


def _output(calls: Sequence[Call]) -> int:
    return sum(call.seen_output_tokens or call.spend.output_tokens for call in calls)


def _bar(entry: Entry, whole: int, longest: int, colour: str, ground: str, cut: str) -> str:
    """Output tokens of an answer as an image: those within the budget full, those beyond faded, the cut as a line."""
    inside, beyond = (BAR * n / longest for n in (entry.reading.spend.output_tokens, whole))
    line = ""
    if transcript.closing_call(entry.trial, entry.reading):
        line = f'<rect x="{max(0, inside - 1.5):.1f}" y="2" width="3" height="20" fill="{cut}"/>'
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{BAR}" height="24"><rect y="6" width="{BAR}" height="12" '
        f'fill="{ground}"/><rect y="6" width="{max(inside, beyond):.1f}" height="12" fill="{colour}" opacity=".35"/>'
        f'<rect y="6" width="{inside:.1f}" height="12" fill="{colour}"/>{line}</svg>'
    )
    return f"data:image/svg+xml;base64,{base64.b64encode(drawing.encode()).decode()}"


def _answer(db: queries.Database, wish: Wish, chosen: Entry) -> None:
    """An answer in full: its question, what it said, where its tokens went, and every call in order."""
    trial, reading = chosen.trial, chosen.reading
    problem = trial.spec.question.problem
    when = trial.started_at, trial.finished_at
    replies = queries.completions(db, tuple(call.key for call in trial.calls), when)
    with st.container(key="text.question", gap="small"):
        # Plain text elements throughout: questions and answers are anybody's, and never Markdown.
        st.text(transcript.visible(problem.text))
        if document := problem.context:
            with st.expander(transcript.document_title(document), expanded=len(document) <= transcript.SHORT):
                st.text(transcript.visible(document))
        look = {"right": "right", "wrong": "wrong"}.get(reading.fate, "muted")
        verdict = escape(transcript.verdict_line(trial, reading))
        stated = {
            call.ordinal: transcript.stated_answer(reply.text, problem)
            for call in trial.calls[: reading.covered]
            if call.cut is None and (reply := replies.get(call.key))
        }
        ballot = transcript.votes(list(stated.values())) if _voted(trial) else ""
        aside = f'<span class="bs-muted">votes: {escape(ballot)}</span>' if ballot else ""
        st.html(f'<div class="an-head"><b class="bs-{look}">{verdict}</b>{aside}</div>')
        if mechanism := transcript.mechanism_line(trial, reading):
            st.text(mechanism)
    if not trial.calls:
        imported = transcript.is_imported(trial)
        without = "Its log has no prompt of it." if imported else "No call was made for this answer."
        controls.caption(_DERIVED if transcript.is_derived(trial) else without)
        return
    # Of an imported answer the log's own sums are known, and not what each call spent.
    flow = "" if transcript.is_imported(trial) else _flow(wish, trial, chosen)
    st.html(flow + _calls(wish, trial, chosen, replies, stated))
    controls.caption(transcript.facts_line(chosen))
    with st.container(horizontal=True, gap="medium"):
        query = {"source": "stored", "trial": chosen.trial_id}
        controls.link_to("tokens", "Its first call by other tokenizers", query)
        thinking = next((call.key for call in trial.calls if call.role == "solve"), None)
        if thinking is not None:
            named = {"study": wish.study, "condition": wish.condition["condition_id"], "thought": thinking}
            controls.link_to("thought", "Inside this thought", named)


def _voted(trial: Trial) -> bool:
    """Whether one prompt was sent several times, so that replies are votes."""
    prompts = [call.messages for call in trial.calls]
    return len(prompts) > 1 and all(prompt == prompts[0] for prompt in prompts)


def _flow(wish: Wish, trial: Trial, chosen: Entry) -> str:
    """The bar of output tokens, call by call, with the budget as a line."""
    reading, strategy = chosen.reading, str(wish.condition["strategy"])
    colour = theme.strategy_colours([strategy], dark=controls.dark())[strategy]
    closing = transcript.closing_call(trial, reading)
    whole = max(1, _output(trial.calls))
    parts, inside = list[str](), 0
    for call in trial.calls:
        size, number = _output([call]), call.ordinal + 1
        label = str(number) if size / whole > 0.03 else ""
        within = size if call.ordinal < reading.covered else (reading.granted or 0) if call is closing else 0
        inside += within
        if within:
            paint = colour if call is not closing else fade(colour, 0.55)
            # Half a colour over the ground is told best by the text's own ink.
            ink = theme.ink_on(colour) if call is not closing else "var(--bs-text)"
            parts.append(f'<i style="flex:{within};background:{paint};color:{ink}">{label}</i>')
        if size > within:
            parts.append(f'<i class="an-out" style="flex:{size - within}">{"" if within else label}</i>')
    line = ""
    if closing is not None:
        at = 100 * inside / whole
        noun = "output tokens" if wish.axis == "output_tokens" and "token" in wish.limit else ""
        said = wish.limit.replace("tokens", noun) if noun else wish.limit
        line = (
            f'<b class="{"an-late" if at > 60 else ""}" style="left:{at:.2f}%"><span>budget: {escape(said)}</span></b>'
        )
    total = f"{fmt.count(whole)} in {fmt.plural(len(trial.calls), 'call')}"
    spent, axis_line = reading.spend, ""
    widest = max(1, spent.total_tokens)
    if wish.axis == "total_tokens" and wish.limit_tokens:
        widest = max(widest, wish.limit_tokens)
        axis_line = f'<b style="left:{100 * wish.limit_tokens / widest:.2f}%"></b>'
    shares = (
        ("user", "input", spent.input_tokens - spent.cached_tokens),
        ("user tk-c", "cached input", spent.cached_tokens),
        ("answer", "output", spent.output_tokens - spent.reasoning_tokens),
        ("hidden", "hidden reasoning", spent.reasoning_tokens),
    )
    went = "".join(
        f'<i class="tk-{part}" style="flex:0 0 {100 * n / widest:.2f}%" title="{name}: {fmt.count(n)}">'
        f"{f'{name} {fmt.count(n)}' if n / widest > 0.13 else ''}</i>"
        for part, name, n in shares
        if n
    )
    return (
        f'<div class="bs-muted" style="font-size:13px">All tokens: {fmt.count(spent.total_tokens)}</div>'
        f'<div class="an-bar an-went">{went}{axis_line}</div>'
        f'<div class="bs-muted" style="font-size:13px">Output tokens, call by call</div>'
        f'<div class="an-bar">{"".join(parts)}{line}</div>'
        f'<div class="an-words"><span>{escape(transcript.read_line(reading))}</span><span>{total}</span></div>'
    )


def _calls(
    wish: Wish, trial: Trial, chosen: Entry, replies: Mapping[str, Completion], stated: Mapping[int, str | None]
) -> str:
    """Every call the budget lets through, token by token, and where it cut the next one."""
    reading = chosen.reading
    closing, voted, rows = transcript.closing_call(trial, reading), _voted(trial), list[str]()
    # Of a call that closed by itself (the window, a limit) nothing lies beyond: it is shown like those before it.
    last = closing.ordinal if closing else len(trial.calls) - 1
    parts, cached, exact = set[str](), False, True
    for call in trial.calls[: last + 1]:
        earlier = next((c.ordinal for c in trial.calls[: call.ordinal] if c.messages == call.messages), None)
        reply = replies.get(call.key)
        said_before = tuple(replies[c.key].text for c in trial.calls[: call.ordinal] if c.key in replies)
        granted = (reading.granted or 0) if call is closing else None
        strip = cuts.strip_of(call, reply, granted, said_before, transcript.example_texts(trial.spec.question.problem))
        body = ""
        if earlier is None:
            body, n = strips.cells(strip.prompt), len(strip.prompt)
            # The first prompt in full, later ones and long ones behind their counts.
            if call.ordinal or n > strips.FOLD:
                title = f"{escape(transcript.prompt_title(call.messages))}, {fmt.plural(n, 'token')}"
                body = f"<details><summary>{title}</summary>{body}</details>"
            parts |= {cell.part for cell in strip.prompt}
            cached = cached or any(cell.cached for cell in strip.prompt)
            exact = exact and strip.prompt_exact
        if reply is None:
            body += '<small class="bs-muted">There is no reply.</small>'
        else:
            cells = strips.reply(strip, wish.limit)
            if len(strip.reply) > strips.FOLD:
                title = f"Reply: {fmt.plural(len(strip.reply), 'token')}"
                cells = f"<details{' open' if call is closing else ''}><summary>{title}</summary>{cells}</details>"
            body += cells
            parts |= {"answer"} | ({"hidden"} if strip.hidden_tokens else set())
            exact = exact and strip.reply_exact
        if call is not closing and (cut := transcript.cut_line(call)):
            body += f'<span class="an-cut">{escape(cut)}</span>'
        for mark in trial.marks:
            # The answer there would have been if the budget had closed after this call.
            if not voted and mark.after_calls == call.ordinal + 1 and call is not closing:
                words = f"Answer after this call: {transcript.visible(mark.answer, 200)} ({replay.FATES[mark.verdict]})"
                body += f'<small class="bs-muted">{escape(words)}</small>'
        verb = "votes" if voted else "says"
        said = stated.get(call.ordinal)
        vote = f"{verb} <b>{escape(transcript.visible(said, 60))}</b>" if said else ""
        if not vote and voted:
            vote = '<span class="an-cut">no vote</span>'
        role = "" if call.role == "solve" else f" · {escape(names.role(call.role))}"
        line = escape(
            shown(call.model)
            if transcript.is_imported(trial)
            else transcript.call_line(call, several=len({each.model for each in trial.calls}) > 1)
        )
        rows.append(
            f'<div class="an-call"><div><b>Call {call.ordinal + 1}</b>{role}<small>{line}</small></div>'
            f"<div>{body}</div><div>{vote}</div></div>"
        )
    if beyond := transcript.beyond_line(trial, reading):
        rows.append(f'<div class="an-call"><div></div><div class="bs-muted">{escape(beyond)}</div><div></div></div>')
    note = "" if exact else f'<div class="bs-muted" style="font-size:13px">{transcript.ABOUT_CELLS}</div>'
    return f"{strips.legend(parts, cached=cached)}{note}{''.join(rows)}"


render()
