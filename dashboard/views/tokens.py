"""Tokens: a text as models read it, what it costs and what a budget leaves; and where the tokens of a study went.

Every text is anybody's: it is drawn as escaped cells, and never read as markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from html import escape
from typing import Any

import streamlit as st

from dashboard import figures, theme
from dashboard.data import cuts, queries
from dashboard.data.access import closed
from dashboard.text import strips
from dashboard.text.transcript import visible
from dashboard.widgets import controls, url_state
from dashboard.widgets.url_state import Param
from engine.core import names
from engine.core import text as fmt
from engine.core.errors import BudgetscopeError
from engine.models.prices import priced_names
from engine.models.tokens import text_size, tokenizers
from engine.models.tokens.text_size import Premium
from engine.models.tokens.tokenizers import Cut
from engine.store.store import Store

VIEW = "tokens"
SHOWN = {"text": "A text", "study": "A study"}
SOURCES = {"own": "Your text", "stored": "A stored answer", "file": "A file"}
PARAMS = (
    Param("show", "text", tuple(SHOWN)),
    Param("source", "own", tuple(SOURCES)),
    Param("with", (), many=True),
    Param("trial"),
    Param("study", pinned=True),
    Param("task", pinned=True),
)
TEXT = (
    "A train leaves at 14:05 and arrives at 17:50. How long is the journey? Think step by step, then give the answer "
    "in minutes."
)
LONGEST, LONGEST_LOOK = 4_000_000, 50_000
"""Characters of a text that are read, and of one that is typed where nobody may start runs."""
CELLS = 1_500
"""Cells that are drawn of each tokenizer at once; all are counted."""
COLUMNS = (
    *("Model", "Tokens", "Per million, in / out", "As input", "As output", "With the reply"),
    *("Reply for $0.001", "Of the window"),
)
"""Of the table of costs."""
NARROWEST = 0.26
"""Share of a bar that has room for words."""
WORDS = (
    "A model reads and writes tokens: whole words, parts of words, signs, and for letters it rarely saw single bytes.",
    "A token budget is the number of them one answer may take. Where it ends the text ends, in the middle of a word "
    "if need be; what the model had not said by then is not known.",
    "Providers bill tokens, output at several times the rate of input, and a model that thinks is billed for every "
    "token of its thought, shown or hidden.",
)
STYLE = """<style>
.to-head { display: flex; justify-content: space-between; gap: 1rem; font-size: 15px; margin: 0 0 4px; }
.to-head b { font-weight: 650; }
.to-big { font-size: 17px; }
.to-row { border-top: 1px solid var(--bs-border); padding: 10px 0 6px; }
.to-lang { display: grid; grid-template-columns: 92px minmax(0, 1fr); gap: 2px 8px; font-size: 14px; }
.to-lang > div { padding: 3px 0; }
.to-bar { display: flex; align-items: center; gap: 7px; font-size: 12px; line-height: 12px; color: var(--bs-text); }
.to-bar i { height: 8px; border-radius: 2px; flex: none; }
.to-key { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: 13px; margin-bottom: 6px; }
.to-key i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px; }
.to-room { position: relative; display: flex; height: 22px; font-size: 13px; line-height: 22px; text-align: center; }
.to-room i { font-style: normal; overflow: hidden; white-space: nowrap; color: var(--bs-text); }
.to-room b { position: absolute; right: 0; top: -3px; height: 30px; border-right: 3px solid var(--bs-cut); }
.to-words { display: flex; justify-content: space-between; gap: 1rem; font-size: 13px; margin-top: 8px; }
.to-scroll { overflow-x: auto; }
.to-table { width: 100%; border-collapse: collapse; font-size: 14px; }
.to-table th, .to-table td {
  padding: 6px 0 6px 12px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--bs-border);
}
.to-table th { font-size: 13px; font-weight: 400; color: var(--bs-muted); white-space: normal; vertical-align: bottom; }
.to-table :is(th, td):first-child { text-align: left; padding-left: 0; }
.to-table td:is(:first-child, :nth-child(6)) { font-weight: 650; }
[class*="st-key-to-fields"] [data-testid="stNumberInput"] { display: flex; align-items: center; gap: .7rem; }
[class*="st-key-to-fields"] [data-testid="stNumberInput"] > label { margin: 0; min-height: 0; flex: none; width: auto; }
.to-words b { color: var(--bs-cut); }
@media (max-width: 640px) {
  [class*="st-key-to-fields"] [data-testid="stNumberInput"] { flex-wrap: wrap; }
  .st-key-to-tokenizers > :first-child { min-width: 100%; }
}
@media (max-width: 1100px) {
  .st-key-tokens-split > * > [data-testid="stHorizontalBlock"] { flex-direction: column; }
  .st-key-tokens-split > * > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"] {
    width: 100%; flex: 1 1 auto;
  }
}
</style>"""
_CALLED = lru_cache(maxsize=2)(names.models)
"""What each of some thousand priced models is called."""


def render() -> None:
    """Draw the page."""
    controls.wear(STYLE, strips.style(controls.dark()))
    db = queries.state()
    there = queries.trouble(db) is None
    params = controls.offering(PARAMS, {"study": controls.studies(db, "task") if there else ("",), "task": ("",)})
    # Before any control is drawn: Streamlit refuses to set the state of a widget that stands already.
    problems = url_state.load(VIEW, params)
    controls.keep(VIEW, ("show", "source", "with"))
    # Drawn first and filled last: the finding is known only when the text has been cut.
    head = st.container()
    with st.container(horizontal=True, vertical_alignment="center", key="bar-tokens"):
        key = url_state.key(VIEW, "show")
        st.segmented_control(
            "Show", list(SHOWN), key=key, required=True, label_visibility="collapsed", format_func=SHOWN.__getitem__
        )
        chosen = str(url_state.value(VIEW, "show") or "text")
        if chosen == "study" and there:
            study, task = _which(db, params)
    if chosen == "study":
        if there:
            _study(db, params, head, problems, study, task)
        else:
            with head:
                controls.database()
        return
    with st.container(key="tokens-split"):
        left, right = st.columns([58, 38], gap="medium")
    with left, st.container(border=True):
        text, shown = _text(db if there else None, problems)
    with head:
        controls.heading(_finding(shown))
        controls.caption(
            "How each model cuts a text, what it costs there, and what a budget leaves for the reply. "
            "Text alone, without the chat template."
        )
        controls.warn(problems)
    with left:
        with st.container(border=True):
            _costs(text)
        with st.container(border=True):
            st.markdown("## What a token budget is")
            for sentence in WORDS:
                controls.say(sentence)
    with right:
        with st.container(border=True):
            _languages([cut.tokenizer for cut in shown])
        with st.container(border=True):
            _budget(shown)
    url_state.save(VIEW, params)
    controls.copy_link(VIEW, params)


def _finding(shown: Sequence[Cut]) -> str:
    if not shown:
        return "Choose a tokenizer to see a text as tokens"
    counts: dict[int, list[str]] = {}
    for cut in shown:
        counts.setdefault(cut.n_tokens, []).append(cut.title.partition(" (")[0])
    said = [f"{fmt.about(n, True)} to {_together(titles)}" for n, titles in counts.items()]
    # All agree, so no comparison is to be made.
    if len(said) == 1:
        return f"This text is {fmt.plural(shown[0].n_tokens, 'token')} to {_together(next(iter(counts.values())))}"
    # A heading holds three; the others stand at their cells.
    first, *rest = said[:3]
    return f"The same text is {first.replace(' to ', ' tokens to ', 1)}, {fmt.joined(rest)}"


def _together(titles: Sequence[str]) -> str:
    """`SmolLM2 135M`, `the GPT-4o and GPT-4 families`."""
    families = [title.removesuffix(" family") for title in titles if title.endswith(" family")]
    kin = f"the {fmt.joined(families)} {'family' if len(families) == 1 else 'families'}"
    return fmt.joined([*(title for title in titles if not title.endswith(" family")), *([kin] if families else [])])


def _text(db: queries.Database | None, problems: list[str]) -> tuple[str, list[Cut]]:
    """The text and its cuts, drawn one under the other."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("## Text")
        st.space("stretch")
        st.segmented_control(
            "Source",
            list(SOURCES),
            key=url_state.key(VIEW, "source"),
            required=True,
            label_visibility="collapsed",
            format_func=SOURCES.__getitem__,
        )
    # A page that was just opened has no state for the control yet.
    text = _source(str(url_state.value(VIEW, "source") or "own"), db, problems)
    if len(text) > LONGEST:
        problems.append(f"The text is longer than {fmt.count(LONGEST)} characters; its beginning is shown.")
        text = text[:LONGEST]
    here = tokenizers.at_hand()
    key = url_state.key(VIEW, "with")
    wanted = st.session_state.get(key) or [*here[:3]]
    # A file of the server is nothing that a page may ask for; and it stands in the headline, so it has to be a name.
    st.session_state[key] = [
        name for name in wanted if name in here or (url_state.is_name(name) and not name.startswith("local/"))
    ]
    if foreign := [name for name in wanted if name not in st.session_state[key]]:
        problems.append(f"{url_state.quoted(foreign[0])} is not among the models of this machine that a page may use.")
    with st.container(horizontal=True, vertical_alignment="bottom", key="to-tokenizers"):
        asked = st.multiselect(
            "Tokenizers",
            [*dict.fromkeys([*here, *st.session_state[key]])],
            key=key,
            max_selections=6,
            format_func=_title,
            accept_new_options=True,
            help="Encodings, models on this machine, or the name of any model",
        )
        special = st.toggle("Read special tokens", help="Names such as <|endoftext|> become the tokens they name")
    shown: list[Cut] = []
    first = 0
    place = st.container()
    for name in asked:
        try:
            # Counted whole from the start: only then is it known whether a window into it is needed.
            cut = cuts.cut(text, name, 0, CELLS, special)
            if cut.n_tokens > CELLS:
                # One field for all tokenizers, drawn at the first that needs it, or its key would be there twice.
                if not first:
                    with place:
                        wish = f"First token drawn (of {fmt.count(CELLS)} at once; all are counted)"
                        first = int(st.number_input(wish, 1, max(1, cut.n_tokens), 1, CELLS, width=420))
                cut = cuts.cut(text, name, max(0, first - 1), CELLS, special) if first > 1 else cut
        except BudgetscopeError as error:
            controls.fault(error)
            continue
        shown.append(cut)
        st.html(_cut(cut))
    return text, shown


def _source(source: str, db: queries.Database | None, problems: list[str]) -> str:
    if source == "file":
        # Paste what you like; a file takes the right to start runs, as on Runs.
        if closed() is not None:
            controls.door()
            return ""
        upload = st.file_uploader("A text file (UTF-8)", key="tokens.file", label_visibility="collapsed")
        if upload is None:
            return ""
        try:
            # With or without the mark that Windows puts in front, which is no letter of the text.
            return bytes(upload.getvalue()).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            problems.append(f"This file is no UTF-8 text: its byte {fmt.count(error.start + 1)} begins no letter.")
            return ""
    if source == "stored":
        named = url_state.value(VIEW, "trial")
        try:
            if db is None:
                raise BudgetscopeError("No answer is stored yet.")
            trial = Store(db.path).trial(str(named)) if named else queries.any_trial(db)
        except BudgetscopeError as error:
            problems.append(str(error))
            return ""
        if trial is None or not trial.calls:
            return ""
        when = trial.started_at, trial.finished_at
        replies = queries.completions(db, tuple(call.key for call in trial.calls[:1]), when)
        turns = [message.content for message in trial.calls[0].messages]
        text = "\n\n".join([*turns, *(reply.text for reply in replies.values())])
        st.text(visible(text, 1_200))
        query = {"condition": trial.spec.condition.condition_id, "trial": trial.spec.trial_id}
        controls.caption("Prompt and reply of its first call; the link stands on every answer.")
        controls.link_to("answers", "Read this answer", query)
        return text
    most = None if closed() is None else LONGEST_LOOK
    return st.text_area("Text", TEXT, key="tokens.text", height=96, max_chars=most, label_visibility="collapsed")


def _cut(cut: Cut) -> str:
    each = f" · {fmt.number(cut.characters_per_token)} characters each" if cut.n_tokens else ""
    near = "" if cut.exact else '<span class="bs-muted"> counted by the nearest tokenizer</span>'
    return (
        f'<div class="to-row"><div class="to-head"><span><b>{escape(visible(cut.title, 80))}</b>{near}</span>'
        f'<span><b class="to-big">{fmt.about(cut.n_tokens, cut.exact)}</b> tokens'
        f'<span class="bs-muted">{each}</span></span></div>'
        f"{strips.turned(cut.tokens, cut.first, cut.n_tokens)}</div>"
    )


def _costs(text: str) -> None:
    st.markdown("## What it costs")
    with st.container(horizontal=True, vertical_alignment="center", key="to-fields-costs"):
        reply = int(st.number_input("With a reply of so many tokens", 0, 10_000_000, 256, 64, width=400))
    # A local model is offered where its file lies: nothing is fetched for the sake of a table.
    usual = [name for name in text_size.MODELS if not name.startswith("local/") or name in tokenizers.at_hand()]
    every = [*dict.fromkeys([*usual, *priced_names()])]
    called = _CALLED(tuple(every))
    models = st.multiselect(
        "Models", every, usual, key="tokens.models", format_func=lambda each: visible(called[each], 60)
    )
    lines, sources = [_line(COLUMNS, "th")], set[str]()
    for model in models:
        try:
            each = cuts.fit(text, model, reply)
        except BudgetscopeError as error:
            controls.fault(error)
            continue
        rates = "–"
        if each.price is not None:
            rates = f"{fmt.money(each.price.input_pusd / 1e6)} / {fmt.money(each.price.output_pusd / 1e6)}"
            # Prices of several dates may stand in one table, so each says its own.
            sources.add(" of ".join(filter(None, (each.price.source, each.price.as_of))))
        # A thousand questions, as one alone costs fractions of a cent that nobody can picture.
        costs = (each.input_pusd, each.output_pusd, each.call_pusd)
        money = [fmt.money(None if pusd is None else 1000 * pusd / 1e12) for pusd in costs]
        lines.append(
            _line(
                (
                    visible(called[model], 60),
                    fmt.about(each.tokens, each.exact),
                    rates,
                    *(("–", "–", fmt.FREE) if each.free else money),
                    "no limit" if each.free else fmt.count(each.reply_for(0.001)),
                    fmt.small_share(each.context_share),
                ),
                "td",
            )
        )
    if len(lines) > 1:
        # A region that scrolls is to be reached with the keyboard.
        region = '<div class="to-scroll" tabindex="0" role="region" aria-label="What it costs">'
        st.html(f'{region}<table class="to-table">{"".join(lines)}</table></div>')
        dated = f"List prices: {fmt.joined(sorted(sources))}" if sources else ""
        about = "“about”: the model's own tokenizer is not here"
        controls.caption(dated, "cost of 1,000 questions", about)


def _line(cells: Sequence[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _languages(chosen: Sequence[str]) -> None:
    st.markdown(f"## The same sentence in {len(text_size.SENTENCES)} languages")
    controls.caption(f"“{text_size.SENTENCES['English']}” Tokens, and in brackets how many times the English ones.")
    try:
        found = cuts.premiums(tuple(chosen[:3]))
    except BudgetscopeError as error:
        controls.fault(error)
        return
    if not found:
        return
    colours = theme.strategy_colours(("self_consistency", "concise", "adaptive_consistency"), dark=controls.dark())
    paint = dict(zip(dict.fromkeys(each.tokenizer for each in found), colours.values(), strict=False))
    longest = max(each.tokens for each in found)
    by: dict[str, list[Premium]] = {}
    for each in found:
        by.setdefault(each.language, []).append(each)
    key = "".join(
        f'<span><i style="background:{colour}"></i>{escape(_title(name))}</span>' for name, colour in paint.items()
    )
    rows = "".join(
        f'<div title="{escape(some[0].sentence)}">{escape(language)}</div><div>{"".join(map(bar, some))}</div>'
        for language, some in by.items()
        for bar in [
            lambda each: (
                f'<div class="to-bar"><i style="width:{66 * each.tokens / longest:.1f}%;'
                f'background:{paint[each.tokenizer]}"></i>{each.tokens}'
                f'<span class="bs-muted">{"" if each.language == "English" else f"({fmt.times(each.premium)})"}'
                "</span></div>"
            )
        ]
    )
    st.html(f'<div class="to-key">{key}</div><div class="to-lang">{rows}</div>')
    most = max(found, key=lambda each: (each.tokens, each.language))
    plain = next(each for each in found if each.tokenizer == most.tokenizer and each.language == "English")
    controls.caption(
        f"A budget of 100 tokens holds the sentence {_often(100 // plain.tokens)} in English and "
        f"{_often(100 // most.tokens)} in {most.language} ({_title(most.tokenizer)}). "
        "One sentence: an example, no rate."
    )


def _often(times: int) -> str:
    return "once" if times == 1 else f"{fmt.count(times)} times"


def _title(name: str) -> str:
    return visible(tokenizers.ENCODINGS.get(name) or names.model(name), 60)


def _budget(shown: Sequence[Cut]) -> None:
    st.markdown("## What fits in a budget")
    with st.container(horizontal=True, vertical_alignment="center", key="to-fields-budget"):
        budget = int(st.number_input("All tokens of one answer, up to", 1, 100_000_000, 128, 64, width=360))
    for cut in shown:
        room = text_size.room(cut.n_tokens, budget)
        filled, share = min(1.0, room.share), fmt.whole_percent(room.share)
        words = f"text {fmt.count(cut.n_tokens)}" if filled > NARROWEST else ""
        inside = f'<i class="tk-user" style="flex:0 0 {100 * filled:.2f}%">{words}</i>'
        words = f"{fmt.count(room.left)} left for the reply" if 1 - filled > NARROWEST else ""
        left = f'<i class="tk-answer" style="flex:1">{words}</i>'
        calls = f"{share} filled; or two calls, each reply up to {fmt.count(room.reply(2))}"
        if not room.left:
            calls = f"{share}: the text alone is more than the budget" if room.share > 1 else "the text fills it"
        elif not room.reply(2):
            calls = f"{share} filled; no room for a second call"
        st.html(
            f'<div class="to-words"><span>{escape(visible(cut.title, 60))}</span></div>'
            f'<div class="to-room">{inside}{left if room.left else ""}<b></b></div>'
            f'<div class="to-words"><span class="bs-muted">{calls}</span><b>budget {fmt.count(budget)}</b></div>'
        )


def _which(db: queries.Database, params: Sequence[Param]) -> tuple[str, str]:
    """The study and the task, asked for."""
    by = {param.name: param for param in params}
    study = controls.select(VIEW, by["study"], "Study", controls.study_name)
    tasks = tuple(queries.token_roles(db, study)["task"].unique().sort())
    narrowed = controls.narrowed(VIEW, by["task"], tasks)
    task = controls.select(VIEW, narrowed, "Task", controls.task_form(narrowed)) if tasks else ""
    return study, task


def _study(
    db: queries.Database, params: Sequence[Param], head: Any, problems: Sequence[str], study: str, task: str
) -> None:
    """Where the tokens of a study went: figure, table, files."""
    import polars as pl

    whole = queries.token_roles(db, study)
    frame = whole.filter(task=task)
    info = figures.where_info(frame, room=controls.room(), dark=controls.dark())
    every = frame.filter(pl.col("role").is_null())
    title = "Mean tokens per answer as it was run, by what the calls were for"
    with head:
        controls.heading(_went(frame) if len(every) else "No answer of this study is scored yet")
        n = max(every["n_questions"], default=0)
        more = f"{fmt.plural(info.hidden, 'more setting')} in the table" if info.hidden else ""
        if len(every):
            # One question has no interval.
            over = f"with 95% intervals over {fmt.plural(n, 'question')}" if n > 1 else "of one question"
            controls.caption(f"{title}, {over}", info.key, more)
        controls.caption(*queries.notes(db, study))
        controls.warn(problems)
    if not len(every):
        url_state.save(VIEW, params)
        controls.copy_link(VIEW, params)
        return
    controls.chart(figures.where_figure(info), "tokens.where", VIEW, "Where the tokens of each setting went")
    # Of calls in one role the whole is that role.
    rows = frame.filter(pl.col("role").is_not_null() | (pl.len().over("setting") != 2))
    table = rows.select(
        pl.col("setting").alias("Setting"),
        pl.Series("Role", [names.role(role) if role else "all calls" for role in rows["role"]], pl.String),
        pl.col("calls").alias("Calls"),
        pl.col("input_tokens").alias("Input"),
        pl.col("cached_tokens").alias("of it cached"),
        pl.col("output_tokens").alias("Output"),
        pl.col("reasoning_tokens").alias("of it hidden"),
        pl.col("total_tokens").alias("All tokens"),
        pl.Series("95%", [fmt.interval(row["low"], row["high"], fmt.number) for row in rows.to_dicts()], pl.String),
        pl.col("n_answers").alias("Answers"),
    )
    controls.table(table, None, tallest=460, alt="Mean tokens per answer by setting and role")
    url_state.save(VIEW, params)
    controls.downloads(
        VIEW,
        whole,
        params,
        lambda: figures.where_figure(info),
        "Where the tokens went",
        f"{title} · {info.key}",
        "tokens.where",
    )


def _went(frame: Any) -> str:
    """Share of all tokens that were read, and the setting that spent most."""
    import polars as pl

    every = frame.filter(pl.col("role").is_null()).sort("total_tokens", descending=True)
    total = float(every["total_tokens"].sum())
    if not total:
        return "No token was spent yet"
    task = names.task(str(every["task"][0]))
    read = fmt.accuracy(float(every["input_tokens"].sum()) / total, None)
    most = f"; {every['setting'][0]} spends most" if len(every) > 1 else ""
    return f"On {task}, {read} of all tokens are prompts{most}"


render()
